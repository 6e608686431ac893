//! The SELECT of the root, and of each scope and node.

use pubsync_schema::dialect::Dialect;

use super::aggregate::folded;
use super::recursion::{LinkSlots, links, onward};
use super::rows::{Expressions, where_clause};
use super::slots::{Slot, Slots};
use super::{ExpressionUse, Outer, RootSelect, Step, Walk, dialect, expression};
use crate::document::{ColumnRef, Document, Filter, Operand, Role, SourceId};

/// What a step needs from rows of earlier sources.
pub(super) struct Needs {
    source: SourceId,
    outer: Vec<Outer>,
    /// For each outer value, whether it is needed by more than what chooses the first rows of a recursion.
    all: Vec<bool>,
    links: Vec<LinkSlots>,
    /// Places by which a scope's rows are told apart.
    distinct: Vec<usize>,
}

/// Reads the conditions of all steps, so that each source's SELECT knows which columns later ones want of it.
pub(super) fn needs(document: &Document, slots: &mut Slots<'_>) -> Vec<Needs> {
    (1..document.sources.len())
        .filter(|&source| {
            matches!(
                document.sources[source].role,
                Role::Scope { .. } | Role::Node { .. }
            )
        })
        .map(|source| {
            let (outer, all) = outer(document, slots, source).into_iter().unzip();
            Needs {
                source,
                outer,
                all,
                links: links(document, slots, source),
                distinct: distinct(document, slots, source),
            }
        })
        .collect()
}

/// A scope is a set of rows: a junction that names one twice makes no second document.
fn distinct(document: &Document, slots: &mut Slots<'_>, source: SourceId) -> Vec<usize> {
    match document.sources[source].role {
        Role::Scope { via: Some(_), .. } => {
            let key = &document.sources[source].table.primary_key;
            key.iter()
                .map(|&column| slots.outer(ColumnRef { source, column }).place)
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Each with whether it is needed by more than what chooses the first rows of a recursion.
fn outer(document: &Document, slots: &mut Slots<'_>, source: SourceId) -> Vec<(Outer, bool)> {
    let mut found: Vec<(Outer, bool)> = Vec::new();
    let mut add = |column: ColumnRef, strict: bool, all: bool| {
        if document.owner(column.source) == source {
            return;
        }
        match found.iter_mut().find(|known| known.0.slot.column == column) {
            Some(known) => {
                known.0.strict |= strict;
                known.1 |= all;
            }
            None => found.push((
                Outer {
                    slot: slots.outer(column),
                    strict,
                },
                all,
            )),
        }
    };
    for part in (0..document.sources.len()).filter(|&part| document.owner(part) == source) {
        // A null in a condition on other rows leaves none of them, but may not leave out the row that asks.
        let decides = document.joined_to(part) == source;
        for join in &document.sources[part].joins {
            if let Operand::Column(column) = join.to {
                add(column, decides, part != source);
            }
        }
        let start = document.sources[part].recursion.iter();
        let start = start
            .flat_map(|recursion| &recursion.start)
            .map(|filter| (filter, false));
        let filters = document.sources[part].filters.iter().map(|filter| (filter, true));
        for (filter, all) in filters.chain(start) {
            let Filter::Column { column, test } = filter else {
                continue;
            };
            add(*column, decides && test.drops_null(), all);
            for operand in test.operands() {
                if let Operand::Column(column) = operand {
                    add(*column, decides && test.needs_right(), all);
                }
            }
        }
    }
    found
}

pub(super) fn root(dialect: Dialect, document: &Document, slots: &Slots<'_>, id: Vec<Slot>) -> RootSelect {
    let scope = Expressions {
        dialect,
        document,
        outer: &[],
        onward: None,
    };
    let matches = document.root_id.iter().enumerate().map(|(i, &column)| {
        let column = ColumnRef { source: 0, column };
        let value = dialect::cast(dialect, &format!("q.c{}", i + 1), document.column_of(column));
        format!("{} = {value}", scope.column(column))
    });
    let conditions = document
        .filters
        .iter()
        .chain(&document.sources[0].filters)
        .map(|filter| scope.filter(filter));
    let (conditions, state) = standing(&scope, conditions.collect());
    let columns = slots.selected(0).iter().chain(&state);
    let sql = format!(
        "SELECT q.c0, {} FROM {} {} {} s0 ON {}{}{}",
        columns.cloned().collect::<Vec<_>>().join(", "),
        dialect.rows(1, document.root_id.len() + 1, "q"),
        dialect::join(dialect),
        dialect::table(dialect, &document.sources[0].table),
        matches.collect::<Vec<_>>().join(" AND "),
        scope.lookups(0),
        where_clause(&conditions),
    );
    RootSelect {
        sql,
        width: slots.selected(0).len(),
        id,
        standing: !state.is_empty(),
    }
}

/// Where it matters why a root has no documents, its `where` becomes a column instead of a condition, and the moments of
/// `visible` come with it: see [`RootSelect::standing`].
fn standing(scope: &Expressions<'_>, conditions: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (dialect, life) = (scope.dialect, &scope.document.life);
    if !life.asks_for_all() {
        return (conditions, Vec::new());
    }
    let meets = match conditions.is_empty() {
        true => "'1'".to_owned(),
        false => format!("CASE WHEN {} THEN '1' ELSE '0' END", conditions.join(" AND ")),
    };
    let null = match dialect {
        Dialect::Postgres => "NULL::text",
        Dialect::Sqlite => "NULL",
    };
    let moment = |column: Option<ColumnRef>| {
        column.map_or_else(
            || null.to_owned(),
            |column| dialect::moment(dialect, &scope.column(column)),
        )
    };
    let columns = vec![
        meets,
        moment(life.from),
        moment(life.until),
        dialect::present(dialect),
    ];
    (Vec::new(), columns)
}

pub(super) fn steps(
    dialect: Dialect,
    document: &Document,
    slots: &Slots<'_>,
    needs: Vec<Needs>,
) -> Vec<Option<Step>> {
    let folded = folded(dialect, document);
    let mut steps: Vec<Option<Step>> = document.sources.iter().map(|_| None).collect();
    for Needs {
        source,
        outer,
        all,
        links,
        distinct,
    } in needs
    {
        let folded = folded[source].as_deref();
        let walk = walk(document, &steps, &outer);
        let expressions = Expressions {
            dialect,
            document,
            outer: &outer,
            onward: None,
        };
        let onward = onward(&expressions, slots, source, &all, links);
        steps[source] = Some(Step {
            source,
            sql: expressions.step(source, slots, folded),
            onward,
            width: folded.unwrap_or(slots.selected(source)).len(),
            outer,
            walk,
            at_most: document.sources[source].limit.filter(|_| folded.is_some()),
            distinct,
        });
    }
    steps
}

/// Adds the steps of expressions behind those of sources.
pub(super) fn expressions(
    document: &Document,
    steps: &mut Vec<Option<Step>>,
    needs: Vec<expression::Needs>,
) -> Vec<ExpressionUse> {
    let mut uses = Vec::new();
    for needs in needs {
        uses.push(ExpressionUse {
            step: steps.len(),
            text: needs.text,
            line: needs.line,
            column: needs.column,
        });
        steps.push(Some(Step {
            source: steps.len(),
            sql: needs.sql,
            width: 2,
            walk: walk(document, steps, &needs.outer),
            outer: needs.outer,
            at_most: None,
            distinct: Vec::new(),
            onward: None,
        }));
    }
    uses
}

fn walk(document: &Document, steps: &[Option<Step>], outer: &[Outer]) -> Walk {
    let always_there =
        |source: SourceId| !matches!(document.sources[source].role, Role::Scope { optional: true, .. });

    let mut sources: Vec<SourceId> = outer.iter().map(|outer| outer.slot.source).collect();
    sources.sort_unstable();
    sources.dedup();
    match sources[..] {
        [] => return Walk::Once,
        [0] => return Walk::Roots,
        [one] if always_there(one) || outer.iter().all(|outer| outer.strict) => return Walk::Rows(one),
        _ => {}
    }
    // What a row hangs on must be bound before it.
    let mut open = sources.clone();
    while let Some(source) = open.pop() {
        for needed in steps[source]
            .iter()
            .flat_map(|step| &step.outer)
            .map(|outer| outer.slot.source)
        {
            if !sources.contains(&needed) {
                sources.push(needed);
                open.push(needed);
            }
        }
    }
    sources.retain(|&source| source != 0);
    sources.sort_unstable();
    Walk::Combinations(sources)
}

impl Expressions<'_> {
    pub fn step(&self, source: SourceId, slots: &Slots<'_>, folded: Option<&[String]>) -> String {
        let from = self.from(source);
        if let Some(folded) = folded {
            return format!("SELECT q.c0, {} {from} GROUP BY q.c0", folded.join(", "));
        }
        let selected = slots.selected(source);
        let order = self.order(source, slots).join(", ");
        let order = if order.is_empty() {
            String::new()
        } else {
            format!("ORDER BY {order}")
        };
        let list: String = selected
            .iter()
            .map(|expression| format!(", {expression}"))
            .collect();
        let limit = self.document.sources[source].limit;
        let Some(limit) = limit.filter(|_| self.onward.is_none()) else {
            return format!("SELECT q.c0{list} {from} {order}");
        };
        let named: String = selected
            .iter()
            .enumerate()
            .map(|(i, expression)| format!(", {expression} AS v{i}"))
            .collect();
        let names: String = (0..selected.len()).map(|i| format!(", v{i}")).collect();
        format!(
            "SELECT c0{names} FROM (SELECT q.c0{named}, row_number() OVER (PARTITION BY q.c0 {order}) AS place {from}) t \
             WHERE place <= {limit} ORDER BY place"
        )
    }
}
