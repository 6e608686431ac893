//! Columns through foreign keys: `brand.country.name`. Each step is the table that a foreign key names, or a column of
//! the foreign key where several lead to that table.

use std::sync::Arc;

use crate::catalogue::{ForeignKey, Table};
use crate::document::{ColumnRef, Join, Operand, Role, Source, SourceId};
use crate::language::name::{Name, quoted_where_needed};
use crate::language::suggest::did_you_mean;
use crate::language::yaml::Span;

use super::document::{Checker, source};
use super::tables::{find_column, is_sqlite};

/// One foreign key that a step may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Step<'a> {
    key: &'a ForeignKey,
    /// How many parts of the name it takes: a table of another schema takes two.
    parts: usize,
}

impl Checker<'_, '_> {
    /// The column that the last part names, of the row to which the parts before it lead from a row of `from`.
    pub fn through_keys(
        &mut self,
        from: SourceId,
        path: &[String],
        name: &Name,
        at: Span,
    ) -> Option<ColumnRef> {
        let (mut from, mut path) = (from, path);
        loop {
            match path {
                [] => return None,
                [column] => return self.column(from, column, at),
                _ => {
                    let parts;
                    (from, parts) = self.follow(from, path, name, at)?;
                    path = &path[parts..];
                }
            }
        }
    }

    /// Whether the first part is a step along a foreign key.
    pub fn leads_away(&self, path: &[String], from: SourceId) -> bool {
        let table = &self.sources[from].table;
        !self.steps(table, path).is_empty()
    }

    fn follow(
        &mut self,
        from: SourceId,
        path: &[String],
        name: &Name,
        at: Span,
    ) -> Option<(SourceId, usize)> {
        let table = self.table(from);
        match self.steps(&table, path).as_slice() {
            [] => self.no_such_step(&table, &path[0], name, at),
            [step] => {
                let lookup = self.lookup(from, &table, step.key, name, at)?;
                Some((lookup, step.parts))
            }
            several => {
                let written: Vec<_> = several
                    .iter()
                    .map(|step| self.written(&table, *step, &path[step.parts..]))
                    .collect();
                let message = format!(
                    "\"{name}\" can follow {} foreign keys of \"{}\"",
                    several.len(),
                    self.tables.name_of(&table)
                );
                let help = format!("write one of: {}", written.join(" or "));
                self.report.fail_with(at, "ambiguous_join", message, help)
            }
        }
    }

    /// Foreign keys that the start of the path can mean. A column tells those to one table apart, and so does a table
    /// those that share a column.
    fn steps<'a>(&self, table: &'a Arc<Table>, path: &[String]) -> Vec<Step<'a>> {
        let [first, rest @ ..] = path else {
            return Vec::new();
        };
        let mut by_table: Vec<Step<'a>> = Vec::new();
        let mut by_column: Vec<Step<'a>> = Vec::new();
        for key in &table.foreign_keys {
            if let Some(parts) = self.names_table(key, first, rest) {
                add(&mut by_table, Step { key, parts });
            }
            if find_column(table, first).is_some_and(|column| key.columns.contains(&column)) {
                add(&mut by_column, Step { key, parts: 1 });
            }
        }
        match (by_table.len(), by_column.len()) {
            (0, _) | (2.., 1) => by_column,
            (_, 0) | (1, 2..) => by_table,
            _ => {
                by_column.into_iter().for_each(|step| add(&mut by_table, step));
                by_table
            }
        }
    }

    /// How many parts of the path name the table of the foreign key.
    fn names_table(&self, key: &ForeignKey, first: &str, rest: &[String]) -> Option<usize> {
        let named = self.tables.0.tables.get(&key.table)?;
        let bare = key.table == *first || is_sqlite(named) && named.name.eq_ignore_ascii_case(first);
        let [second, _, ..] = rest else {
            return bare.then_some(1);
        };
        let qualified = named.schema.as_deref() == Some(first) && named.name == *second;
        if qualified { Some(2) } else { bare.then_some(1) }
    }

    /// The source of the row that the key names, the same for the same way.
    fn lookup(
        &mut self,
        from: SourceId,
        table: &Arc<Table>,
        key: &ForeignKey,
        name: &Name,
        at: Span,
    ) -> Option<SourceId> {
        let named = Arc::clone(self.tables.0.tables.get(&key.table)?);
        let columns: Option<Vec<usize>> = key
            .references
            .iter()
            .map(|column| find_column(&named, column))
            .collect();
        let columns = columns?;
        if !is_unique(&named, &columns) {
            let message = format!(
                "\"{name}\" could be of several rows: no key of \"{}\" is over {}",
                key.table,
                key.references.join(", ")
            );
            let help = format!(
                "a unique index makes it one row; {{ one: {}, match: … }} takes the first",
                key.table
            );
            return self.report.fail_with(at, "ambiguous_join", message, help);
        }
        let joins: Vec<(usize, usize)> = columns.into_iter().zip(key.columns.iter().copied()).collect();
        let same = |known: &Source| {
            known.role == (Role::Lookup { parent: from })
                && Arc::ptr_eq(&known.table, &named)
                && pairs(&known.joins) == joins
        };
        if let Some(known) = self.sources.iter().position(same) {
            return Some(known);
        }
        debug_assert!(Arc::ptr_eq(table, &self.sources[from].table));
        let mut lookup = source(named, Role::Lookup { parent: from });
        lookup.joins = joins
            .iter()
            .map(|&(column, held)| Join {
                column,
                to: Operand::Column(ColumnRef {
                    source: from,
                    column: held,
                }),
            })
            .collect();
        self.sources.push(lookup);
        Some(self.sources.len() - 1)
    }

    fn no_such_step<T>(&mut self, table: &Arc<Table>, word: &str, name: &Name, at: Span) -> Option<T> {
        let words: Vec<&str> = table
            .foreign_keys
            .iter()
            .flat_map(|key| {
                let columns = key
                    .columns
                    .iter()
                    .map(|column| table.columns[*column].name.as_str());
                std::iter::once(key.table.as_str()).chain(columns)
            })
            .collect();
        let help = did_you_mean(word, words);
        let message = format!(
            "\"{name}\": no foreign key of \"{}\" leads to \"{word}\"",
            self.tables.name_of(table)
        );
        self.report.fail_with(at, "no_foreign_key", message, help)
    }

    /// The step as the document could say it, with what follows.
    fn written(&self, table: &Arc<Table>, step: Step<'_>, rest: &[String]) -> String {
        let columns = step
            .key
            .columns
            .iter()
            .map(|column| table.columns[*column].name.clone());
        let means_it = |word: &String| {
            let path = [std::slice::from_ref(word), rest].concat();
            matches!(self.steps(table, &path).as_slice(), [only] if only.key == step.key)
        };
        let word = columns
            .clone()
            .find(means_it)
            .unwrap_or_else(|| step.key.table.clone());
        let rest: Vec<_> = std::iter::once(&word)
            .chain(rest)
            .map(|part| quoted_where_needed(part))
            .collect();
        rest.join(".")
    }
}

/// A constraint that says the same as another counts once.
fn add<'a>(steps: &mut Vec<Step<'a>>, step: Step<'a>) {
    if !steps.iter().any(|known| known.key == step.key) {
        steps.push(step);
    }
}

/// Only SQLite lets a foreign key name columns that are no key.
fn is_unique(table: &Table, columns: &[usize]) -> bool {
    let within = |key: &[usize]| !key.is_empty() && key.iter().all(|column| columns.contains(column));
    within(&table.primary_key) || table.unique.iter().any(|key| within(key))
}

fn pairs(joins: &[Join]) -> Vec<(usize, usize)> {
    let pair = |join: &Join| match join.to {
        Operand::Column(to) => Some((join.column, to.column)),
        Operand::Constant(_) => None,
    };
    joins.iter().filter_map(pair).collect()
}
