//! The rows of a SELECT: FROM, WHERE and ORDER BY.

use pubsync_schema::dialect::Dialect;

use super::recursion::ends;
use super::slots::{Slots, qualified, rows_of};
use super::{Outer, dialect};
use crate::document::{
    ColumnRef, Comparison, Document, Filter, Join, Link, Operand, Recursion, Role, SourceId, Test,
};

/// SQL of one SELECT: columns of its own rows by their alias, outer values by their place in the batch.
pub(super) struct Expressions<'a> {
    pub dialect: Dialect,
    pub document: &'a Document,
    pub outer: &'a [Outer],
    /// Rows that a row of the same source leads to; the values that lead there stand after the outer ones.
    pub onward: Option<&'a Recursion>,
}

impl Expressions<'_> {
    pub fn from(&self, source: SourceId) -> String {
        let values = self.outer.len() + self.onward.map_or(0, |recursion| recursion.links.len());
        let mut sql = format!("FROM {}", self.dialect.rows(1, values + 1, "q"));
        for part in self.parts(source) {
            let on = match self.onward {
                Some(recursion) => self.links(part, recursion),
                None => self.joins(part),
            };
            let on = if on.is_empty() {
                "TRUE".to_owned()
            } else {
                on.join(" AND ")
            };
            sql += &format!(" {} {} ON {on}", dialect::join(self.dialect), self.table(part));
        }
        let mut conditions = self.filters(source);
        if let (Some(recursion), None) = (&self.document.sources[source].recursion, self.onward) {
            conditions.extend(recursion.start.iter().map(|filter| self.filter(filter)));
        }
        sql + &self.lookups(source) + &where_clause(&conditions)
    }

    /// The rows of a condition, from the first junction on, for the row that it is about.
    fn existing(&self, source: SourceId) -> String {
        let mut sql = String::new();
        let mut conditions = Vec::new();
        for part in self.parts(source) {
            let on = self.joins(part);
            if sql.is_empty() {
                sql = format!("SELECT 1 FROM {}", self.table(part));
                conditions = on;
            } else {
                sql += &format!(
                    " {} {} ON {}",
                    dialect::join(self.dialect),
                    self.table(part),
                    on.join(" AND ")
                );
            }
        }
        conditions.extend(self.filters(source));
        sql + &self.lookups(source) + &where_clause(&conditions)
    }

    fn table(&self, source: SourceId) -> String {
        rows_of(self.dialect, self.document, source)
    }

    fn joins(&self, source: SourceId) -> Vec<String> {
        let joins = &self.document.sources[source].joins;
        let joined = |column: usize| joins.iter().any(|join| join.column == column);
        let key = &self.document.sources[source].table.primary_key;
        // Where these lead into the primary key, the others stand beside them.
        let leading: Vec<usize> = key.iter().copied().take_while(|&column| joined(column)).collect();
        joins
            .iter()
            .map(|join| match self.join(source, join) {
                condition if leading.is_empty() || leading.contains(&join.column) => condition,
                condition => dialect::beside_join(self.dialect, condition),
            })
            .collect()
    }

    /// Of the rows and their junctions.
    fn filters(&self, source: SourceId) -> Vec<String> {
        let parts = self.parts(source);
        let joined = parts.flat_map(|part| &self.document.sources[part].joins).count() > 0;
        let filters = self
            .parts(source)
            .flat_map(|part| &self.document.sources[part].filters);
        filters
            .map(|filter| match (filter, self.filter(filter)) {
                (Filter::Column { .. }, condition) if joined => dialect::beside_join(self.dialect, condition),
                (_, condition) => condition,
            })
            .collect()
    }

    /// The junctions, then the rows that they lead to.
    fn parts(&self, source: SourceId) -> impl Iterator<Item = SourceId> {
        self.document.junctions(source).into_iter().chain([source])
    }

    /// Rows that foreign keys of the SELECT's own rows name; one at most, so they take and add no row.
    pub fn lookups(&self, source: SourceId) -> String {
        let lookups = (0..self.document.sources.len()).filter(|&id| {
            matches!(self.document.sources[id].role, Role::Lookup { .. })
                && self.document.joined_to(id) == source
        });
        lookups
            .map(|id| {
                format!(
                    " LEFT JOIN {} ON {}",
                    self.table(id),
                    self.joins(id).join(" AND ")
                )
            })
            .collect()
    }

    fn join(&self, source: SourceId, join: &Join) -> String {
        let column = ColumnRef {
            source,
            column: join.column,
        };
        format!("{} = {}", self.column(column), self.operand(&join.to, column))
    }

    fn links(&self, source: SourceId, recursion: &Recursion) -> Vec<String> {
        let link = |(i, &link): (usize, &Link)| {
            let (column, value) = ends(recursion, link);
            let column = qualified(self.dialect, self.document, ColumnRef { source, column });
            let meta = self.document.column_of(ColumnRef {
                source,
                column: value,
            });
            let place = format!("q.c{}", self.outer.len() + i + 1);
            format!("{column} = {}", dialect::cast(self.dialect, &place, meta))
        };
        recursion.links.iter().enumerate().map(link).collect()
    }

    /// Declared order, then the primary key, then the junction's; all used columns where there is no key.
    pub fn order(&self, source: SourceId, slots: &Slots<'_>) -> Vec<String> {
        let mut terms = Vec::new();
        let mut seen = Vec::new();
        for order in &self.document.sources[source].order {
            let direction = if order.descending { "DESC" } else { "ASC" };
            terms.push(format!("{} {direction} NULLS LAST", self.column(order.column)));
            seen.push(order.column);
        }
        for part in self.parts(source).collect::<Vec<_>>().into_iter().rev() {
            let key = &self.document.sources[part].table.primary_key;
            for &column in key {
                let column = ColumnRef { source: part, column };
                if !seen.contains(&column) {
                    terms.push(self.column(column));
                }
            }
            if key.is_empty() {
                let used = slots.used(source).iter();
                let used = used.filter(|column| self.holder(column.source) == part && !seen.contains(column));
                terms.extend(used.map(|&column| {
                    let text = dialect::text(
                        self.dialect,
                        &self.column(column),
                        self.document.column_of(column),
                    );
                    format!("{text} {}", self.dialect.bytewise())
                }));
            }
        }
        terms
    }

    /// The source whose row's foreign keys lead here, over however many.
    fn holder(&self, source: SourceId) -> SourceId {
        match self.document.sources[source].role {
            Role::Lookup { parent } => self.holder(parent),
            _ => source,
        }
    }

    pub fn filter(&self, filter: &Filter) -> String {
        match filter {
            Filter::Column { column, test } => self.test(*column, test),
            Filter::Exists { source, wanted: true } => format!("EXISTS ({})", self.existing(*source)),
            Filter::Exists {
                source,
                wanted: false,
            } => format!("NOT EXISTS ({})", self.existing(*source)),
        }
    }

    fn test(&self, tested: ColumnRef, test: &Test) -> String {
        let column = self.column(tested);
        let operand = |operand| self.operand(operand, tested);
        match test {
            Test::IsNull => format!("{column} IS NULL"),
            Test::IsNotNull => format!("{column} IS NOT NULL"),
            Test::Equals(right) => format!("{column} = {}", operand(right)),
            Test::OneOf(rights) => {
                let rights: Vec<_> = rights.iter().map(operand).collect();
                format!("{column} IN ({})", rights.join(", "))
            }
            Test::NoneOf(rights) => {
                let distinct = rights
                    .iter()
                    .map(|right| format!("{column} IS DISTINCT FROM {}", operand(right)));
                distinct.collect::<Vec<_>>().join(" AND ")
            }
            Test::Compares(comparison, right) => {
                format!("{column} {} {}", sign(*comparison), operand(right))
            }
        }
    }

    /// `meets`: the column that a constant takes its type from.
    fn operand(&self, operand: &Operand, meets: ColumnRef) -> String {
        match operand {
            Operand::Column(column) => self.column(*column),
            Operand::Constant(constant) => {
                dialect::constant(self.dialect, &constant.0, self.document.column_of(meets))
            }
        }
    }

    pub fn column(&self, column: ColumnRef) -> String {
        match self.outer.iter().position(|outer| outer.slot.column == column) {
            Some(i) => dialect::cast(
                self.dialect,
                &format!("q.c{}", i + 1),
                self.document.column_of(column),
            ),
            None => qualified(self.dialect, self.document, column),
        }
    }
}

pub(super) fn where_clause(conditions: &[String]) -> String {
    if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
    }
}
