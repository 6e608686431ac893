//! Joins that the foreign keys of the catalogue give: every way to get from a row to a table, and the one that is
//! meant.

use std::sync::Arc;

use crate::catalogue::{ForeignKey, Table};
use crate::document::{ColumnRef, Join, Operand, Role, SourceId};
use crate::language::name::{Name, quoted_where_needed};
use crate::language::syntax::{At, Hop, Via};
use crate::language::yaml::Span;

use super::document::{Checker, source};
use super::tables::{Tables, find_column};

/// A row that a join may start from.
pub struct Start {
    pub source: SourceId,
    /// How a scope is told apart in a list of choices: `root.`; empty for the enclosing row of a node.
    pub prefix: String,
}

/// Which side of a foreign key the joined table is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The current row names the joined one.
    ToOne,
    /// The joined rows name the current one.
    ToMany,
    Either,
}

/// One way to join.
pub struct Choice {
    pub start: SourceId,
    /// Columns of the joined table (with a junction: of the junction), each with the column of the start.
    near: Vec<(usize, usize)>,
    /// Columns of the joined table, each with the column of the junction; empty without one.
    far: Vec<(usize, usize)>,
    /// The start's row names one row.
    pub to_one: bool,
    /// As the document could say it.
    written: String,
}

impl Choice {
    /// Joins of the joined table (with a junction: of the junction) to the start.
    pub fn near_joins(&self) -> Vec<Join> {
        joins(&self.near, self.start)
    }

    fn far_joins(&self, junction: SourceId) -> Vec<Join> {
        joins(&self.far, junction)
    }
}

pub fn joins(pairs: &[(usize, usize)], to: SourceId) -> Vec<Join> {
    let join = |&(column, other): &(usize, usize)| Join {
        column,
        to: Operand::Column(ColumnRef {
            source: to,
            column: other,
        }),
    };
    pairs.iter().map(join).collect()
}

impl Checker<'_, '_> {
    /// All ways from one of the starts to the table by one foreign key.
    pub fn direct(&self, starts: &[Start], table: &Arc<Table>, direction: Direction) -> Vec<Choice> {
        let mut choices = Vec::new();
        for start in starts {
            let from = &self.sources[start.source].table;
            if direction != Direction::ToMany {
                for (held, named) in keys(self.tables, from, table) {
                    choices.push(self.direct_choice(
                        start,
                        table,
                        named.into_iter().zip(held).collect(),
                        true,
                    ));
                }
            }
            if direction != Direction::ToOne {
                for (held, named) in keys(self.tables, table, from) {
                    choices.push(self.direct_choice(
                        start,
                        table,
                        held.into_iter().zip(named).collect(),
                        false,
                    ));
                }
            }
        }
        choices
    }

    fn direct_choice(&self, start: &Start, table: &Table, near: Vec<(usize, usize)>, to_one: bool) -> Choice {
        let from = &self.sources[start.source].table;
        let pair = |&(column, other): &(usize, usize)| {
            let (column, other) = (&table.columns[column].name, &from.columns[other].name);
            format!(
                "{}: {}{}",
                quoted_where_needed(column),
                start.prefix,
                quoted_where_needed(other)
            )
        };
        let pairs: Vec<_> = near.iter().map(pair).collect();
        let written = format!("match: {{ {} }}", pairs.join(", "));
        Choice {
            start: start.source,
            near,
            far: Vec::new(),
            to_one,
            written,
        }
    }

    /// Adds the sources of the junctions and gives the id of the last with the joins that lead on to the table.
    pub fn through(
        &mut self,
        via: &Via,
        starts: &[Start],
        table: &Arc<Table>,
    ) -> Option<(SourceId, Vec<Join>)> {
        match via {
            Via::Junction(hop) => self.through_junction(hop, starts, table),
            Via::Hops(hops) => self.through_hops(hops, starts, table),
        }
    }

    fn through_junction(
        &mut self,
        via: &Hop,
        starts: &[Start],
        table: &Arc<Table>,
    ) -> Option<(SourceId, Vec<Join>)> {
        let junction = self.tables.table(&via.table, self.report)?;
        let (from, to) = (
            self.via_columns(via.from.as_ref(), &junction),
            self.via_columns(via.to.as_ref(), &junction),
        );
        let choices =
            self.junction_choices(via, starts, table, &junction, (from?.as_deref(), to?.as_deref()));
        let choice = match <[Choice; 1]>::try_from(choices) {
            Ok([choice]) => choice,
            Err(choices) if choices.is_empty() => return self.no_way_through(via, starts, table, &junction),
            Err(choices) => {
                let what = format!("\"{}\" leads to \"{}\"", via.table.is, self.tables.name_of(table));
                return self.ambiguous(via.table.at, &what, &choices);
            }
        };
        let id = self.sources.len();
        let mut source = source(junction, Role::Via { parent: choice.start });
        source.joins = choice.near_joins();
        self.sources.push(source);
        Some((id, choice.far_joins(id)))
    }

    /// `None` where a column is unknown; `Some(None)` where none are named.
    #[allow(clippy::option_option)]
    fn via_columns(
        &mut self,
        names: Option<&Vec<At<Name>>>,
        junction: &Arc<Table>,
    ) -> Option<Option<Vec<usize>>> {
        let Some(names) = names else { return Some(None) };
        let columns: Vec<_> = names
            .iter()
            .map(|name| match name.is.bare() {
                Some(column) => self.tables.column(junction, column, name.at, self.report),
                None => {
                    let message = format!(
                        "\"{}\" cannot stand here: \"via\" takes columns of the junction",
                        name.is
                    );
                    self.report.fail(name.at, "unknown_name", message)
                }
            })
            .collect();
        columns.into_iter().collect::<Option<Vec<_>>>().map(Some)
    }

    fn junction_choices(
        &self,
        via: &Hop,
        starts: &[Start],
        table: &Arc<Table>,
        junction: &Arc<Table>,
        (from, to): (Option<&[usize]>, Option<&[usize]>),
    ) -> Vec<Choice> {
        let keys_to = |table, columns| {
            let keys = keys(self.tables, junction, table).into_iter();
            keys.filter(move |(held, _)| wanted(columns, held))
                .collect::<Vec<_>>()
        };
        let ends = keys_to(table, to);
        let mut choices = Vec::new();
        for start in starts {
            for near in keys_to(&self.sources[start.source].table, from) {
                let ends = ends.iter().filter(|far| far.0 != near.0);
                choices.extend(ends.map(|far| junction_choice(via, start, junction, &near, far)));
            }
        }
        choices
    }

    fn no_way_through<T>(
        &mut self,
        via: &Hop,
        starts: &[Start],
        table: &Arc<Table>,
        junction: &Arc<Table>,
    ) -> Option<T> {
        // It may have started from a scope that has a problem of its own.
        if starts.iter().any(|start| !start.prefix.is_empty()) && self.has_broken_scope() {
            return None;
        }
        let far = self.tables.name_of(table);
        let near: Vec<_> = starts
            .iter()
            .map(|start| &self.sources[start.source].table)
            .collect();
        let reaches_near = near
            .iter()
            .any(|near| !keys(self.tables, junction, near).is_empty());
        let message = if !reaches_near {
            let names: Vec<_> = near
                .iter()
                .map(|near| format!("\"{}\"", self.tables.name_of(near)))
                .collect();
            format!(
                "no foreign key of \"{}\" names {}",
                via.table.is,
                names.join(" or ")
            )
        } else if keys(self.tables, junction, table).is_empty() {
            format!("no foreign key of \"{}\" names \"{far}\"", via.table.is)
        } else {
            format!(
                "\"{}\" has no foreign key to each side over these columns",
                via.table.is
            )
        };
        self.report.fail(via.at, "no_foreign_key", message)
    }

    /// Lists the choices.
    pub fn ambiguous<T>(&mut self, at: Span, what: &str, choices: &[Choice]) -> Option<T> {
        let written: Vec<_> = choices.iter().map(|choice| choice.written.as_str()).collect();
        let message = format!("{what} in {} ways", choices.len());
        self.report.fail_with(
            at,
            "ambiguous_join",
            message,
            format!("write one of: {}", written.join(" or ")),
        )
    }
}

fn junction_choice(via: &Hop, start: &Start, junction: &Table, near: &Key, far: &Key) -> Choice {
    let (from, to) = (
        written_columns(junction, &near.0),
        written_columns(junction, &far.0),
    );
    let origin = start
        .prefix
        .strip_suffix('.')
        .map(|scope| format!(" (from {scope})"))
        .unwrap_or_default();
    Choice {
        start: start.source,
        near: near.0.iter().copied().zip(near.1.iter().copied()).collect(),
        far: far.1.iter().copied().zip(far.0.iter().copied()).collect(),
        to_one: false,
        written: format!(
            "via: {{ table: {}, from: {from}, to: {to} }}{origin}",
            via.table.is
        ),
    }
}

/// Columns that hold a foreign key, and columns that it names.
type Key = (Vec<usize>, Vec<usize>);

/// The foreign keys by which one table names another. A constraint that says the same as another counts once.
pub fn keys(tables: Tables<'_>, holder: &Table, named: &Arc<Table>) -> Vec<Key> {
    let mut keys: Vec<_> = holder
        .foreign_keys
        .iter()
        .filter(|key| tables.names(key, named))
        .filter_map(|key| Some((key.columns.clone(), referenced(key, named)?)))
        .collect();
    let mut seen = Vec::new();
    keys.retain(|key| {
        let first = !seen.contains(key);
        seen.push(key.clone());
        first
    });
    keys
}

fn referenced(key: &ForeignKey, named: &Table) -> Option<Vec<usize>> {
    key.references
        .iter()
        .map(|column| find_column(named, column))
        .collect()
}

fn wanted(columns: Option<&[usize]>, key: &[usize]) -> bool {
    columns
        .is_none_or(|columns| columns.len() == key.len() && columns.iter().all(|column| key.contains(column)))
}

pub fn written_columns(table: &Table, columns: &[usize]) -> String {
    let names: Vec<_> = columns
        .iter()
        .map(|column| quoted_where_needed(&table.columns[*column].name))
        .collect();
    match names.as_slice() {
        [name] => name.clone(),
        _ => format!("[{}]", names.join(", ")),
    }
}
