//! `ancestors` and `tree`: the columns by which rows of a table hang on each other.

use std::sync::Arc;

use crate::catalogue::Table;
use crate::document::{ColumnRef, Direction, Filter, Join, Link, Operand, Recursion, SourceId, Test, Value};
use crate::language::name::Name;
use crate::language::syntax::{self, At, Condition, Member, Rows};
use crate::language::yaml::Span;

use super::body::Kind;
use super::constant::comparable;
use super::document::Checker;
use super::names::Place;
use super::tables::{find_column, is_sqlite};

impl Checker<'_, '_> {
    pub fn ancestors(
        &mut self,
        rows: &Rows,
        parent: &At<Vec<At<Name>>>,
        body: &At<syntax::Value>,
        outside: Place,
    ) -> Option<Value> {
        let inside = self.rows(rows, Kind::One, outside)?;
        let links = self.links(parent, &self.table(inside.bare));
        let body = self.value(body, inside);
        self.sources[inside.bare].recursion = Some(Recursion {
            direction: Direction::Up,
            links: links?,
            start: Vec::new(),
        });
        Some(Value::Ancestors {
            source: inside.bare,
            body: Box::new(body?),
        })
    }

    pub fn tree(
        &mut self,
        rows: &Rows,
        parent: &At<Vec<At<Name>>>,
        start: Option<&[Condition]>,
        body: &[Member],
        outside: Place,
    ) -> Option<Value> {
        let below = self.member.clone();
        let rows_at = rows.table.at;
        // The joins are made here: they come from `parent` or `start`.
        let inside = self.rows(
            &Rows {
                link: syntax::Link::Broken,
                ..rows.clone()
            },
            Kind::Many,
            outside,
        )?;
        let source = inside.bare;
        let links = self.links(parent, &self.table(source));
        let (joins, start) = match start {
            Some(conditions) => Some(self.start(conditions, source, inside)),
            None => self.below_current_row(links.as_deref(), source, outside.bare, rows_at),
        }
        .unwrap_or_default();
        self.sources[source].joins = joins;
        let body = self.tree_body(body, &below, inside);
        self.sources[source].recursion = Some(Recursion {
            direction: Direction::Down,
            links: links?,
            start,
        });
        Some(Value::Tree {
            source,
            body: body?,
            below,
        })
    }

    /// Equalities with columns of rows before are joins, so that a change finds few documents; the rest are conditions
    /// on the first rows.
    fn start(
        &mut self,
        conditions: &[Condition],
        source: SourceId,
        place: Place,
    ) -> (Vec<Join>, Vec<Filter>) {
        let (mut joins, mut start) = (Vec::new(), Vec::new());
        for filter in self.filters(conditions, source, None, place) {
            match filter {
                Filter::Column {
                    column,
                    test: Test::Equals(Operand::Column(to)),
                } if column.source == source && to.source < source => joins.push(Join {
                    column: column.column,
                    to: Operand::Column(to),
                }),
                _ => start.push(filter),
            }
        }
        (joins, start)
    }

    /// The first rows are those that name the current row.
    fn below_current_row(
        &mut self,
        links: Option<&[Link]>,
        source: SourceId,
        current: SourceId,
        at: Span,
    ) -> Option<(Vec<Join>, Vec<Filter>)> {
        let (table, row) = (self.table(source), self.table(current));
        if !Arc::ptr_eq(&table, &row) {
            let (table, row) = (self.tables.name_of(&table), self.tables.name_of(&row));
            let message = format!(
                "\"tree\" gives the rows below the current row, which is of \"{row}\", not of \"{table}\""
            );
            let help = "name the top rows: start: { where: { column: parent.column } }".to_owned();
            return self.report.fail_with(at, "wrong_shape", message, help);
        }
        let join = |link: &Link| Join {
            column: link.parent,
            to: Operand::Column(ColumnRef {
                source: current,
                column: link.key,
            }),
        };
        Some((links?.iter().map(join).collect(), Vec::new()))
    }

    fn tree_body(&mut self, members: &[Member], below: &str, inside: Place) -> Option<Vec<(String, Value)>> {
        if let Some(taken) = members.iter().find(|member| member.name == below) {
            let message = format!("the rows below stand under \"{below}\", which this member is called too");
            return self.report.fail(taken.value.at, "wrong_shape", message);
        }
        Some(self.members(members, inside))
    }

    /// By the foreign key over these columns; without one, a single column names the primary key.
    fn links(&mut self, parent: &At<Vec<At<Name>>>, table: &Arc<Table>) -> Option<Vec<Link>> {
        let named: Vec<_> = parent
            .is
            .iter()
            .map(|name| match name.is.bare() {
                Some(column) => self.tables.column(table, column, name.at, self.report),
                None => {
                    let table = self.tables.name_of(table);
                    let message = format!(
                        "\"{}\" cannot stand here: \"parent\" takes columns of \"{table}\"",
                        name.is
                    );
                    self.report.fail(name.at, "unknown_name", message)
                }
            })
            .collect();
        let columns = named.into_iter().collect::<Option<Vec<_>>>()?;
        let key = table.foreign_keys.iter().find(|key| {
            self.tables.names(key, table)
                && key.columns.len() == columns.len()
                && columns.iter().all(|column| key.columns.contains(column))
        });
        if let Some(key) = key {
            let link = |(parent, named): (&usize, &String)| {
                let key = find_column(table, named)?;
                Some(Link { parent: *parent, key })
            };
            return key.columns.iter().zip(&key.references).map(link).collect();
        }
        if let ([parent], [key]) = (columns.as_slice(), table.primary_key.as_slice()) {
            let (parent, key) = (*parent, *key);
            if is_sqlite(table) || comparable(&table.columns[parent], &table.columns[key]) {
                return Some(vec![Link { parent, key }]);
            }
        }
        let shown: Vec<_> = parent.is.iter().map(|name| name.is.to_string()).collect();
        let message = format!(
            "no foreign key of \"{0}\" over [{1}] names \"{0}\"",
            self.tables.name_of(table),
            shown.join(", ")
        );
        let help = "\"parent\" is the column that names the row above in the same table".to_owned();
        self.report.fail_with(parent.at, "no_foreign_key", message, help)
    }
}
