//! The rows of `each`.

use std::sync::Arc;

use crate::catalogue::Table;
use crate::document::{ColumnRef, Filter, Join, Operand, Role, Source, SourceId, Test};
use crate::language::syntax::{Link, Scope};

use super::document::{Checker, ScopeState, source};
use super::joins::{Direction, Start};
use super::names::Place;

pub struct CheckedScope {
    pub name: String,
    pub source: SourceId,
    /// Whether one combination of the rows before it can meet several of its rows.
    pub several: bool,
}

/// How a scope meets the rows before it; by default it takes every row.
#[derive(Default)]
struct Linked {
    via: Option<SourceId>,
    joins: Vec<Join>,
    to_one: bool,
}

impl Checker<'_, '_> {
    /// Adds the sources of all scopes, in order.
    pub fn scopes(&mut self, scopes: &[Scope]) -> Vec<CheckedScope> {
        let mut checked = Vec::new();
        for (i, scope) in scopes.iter().enumerate() {
            let done = self.scope(scope);
            self.scopes[i].1 = done
                .as_ref()
                .map_or(ScopeState::Broken, |scope| ScopeState::Known(scope.source));
            checked.extend(done);
        }
        checked
    }

    fn scope(&mut self, scope: &Scope) -> Option<CheckedScope> {
        let table = self.tables.table(scope.table.as_ref()?, self.report)?;
        let linked = self.link_scope(scope, &table);
        let whole = scope.whole && linked.is_some();
        let linked = linked.unwrap_or_default();
        let id = self.sources.len();
        let name = scope.name.is.clone();
        let role = Role::Scope {
            name: name.clone(),
            optional: scope.optional,
            via: linked.via,
        };
        self.sources.push(Source {
            joins: linked.joins,
            ..source(table, role)
        });
        if let Link::Match(conditions) = &scope.link {
            self.sources[id].joins = self.match_joins(conditions, id, Place::TOP);
        }
        let place = Place {
            bare: id,
            via: linked.via,
            ..Place::TOP
        };
        self.sources[id].filters = self.filters(&scope.conditions, id, linked.via, place);
        let whole = whole && self.is_whole(scope, id);
        let several = whole && !linked.to_one && !self.gives_one_row(id, linked.via);
        Some(CheckedScope {
            name,
            source: id,
            several,
        })
    }

    /// Whether no condition is left out for a problem. Otherwise nobody can say how many rows the scope gives.
    fn is_whole(&self, scope: &Scope, id: SourceId) -> bool {
        let joined = match &scope.link {
            Link::Match(conditions) => self.sources[id].joins.len() == conditions.len(),
            _ => true,
        };
        joined && self.sources[id].filters.len() == scope.conditions.len()
    }

    fn link_scope(&mut self, scope: &Scope, table: &Arc<Table>) -> Option<Linked> {
        match &scope.link {
            Link::Match(_) => Some(Linked::default()),
            Link::Broken => None,
            Link::Via(via) => {
                let (via, joins) = self.through(via, &self.starts(), table)?;
                Some(Linked {
                    via: Some(via),
                    joins,
                    to_one: false,
                })
            }
            Link::Inferred => match self.direct(&self.starts(), table, Direction::Either).as_slice() {
                [] if self.has_broken_scope() => None,
                [] => Some(Linked::default()),
                [choice] => Some(Linked {
                    via: None,
                    joins: choice.near_joins(),
                    to_one: choice.to_one,
                }),
                several => {
                    let what = format!("the scope \"{}\" can be joined", scope.name.is);
                    self.ambiguous(scope.name.at, &what, several)
                }
            },
        }
    }

    /// Whether a scope so far has a problem of its own, so that joins to it cannot be found.
    pub fn has_broken_scope(&self) -> bool {
        self.scopes.iter().any(|(_, state)| *state == ScopeState::Broken)
    }

    /// The root and the scopes so far.
    fn starts(&self) -> Vec<Start> {
        let root = Start {
            source: 0,
            prefix: "root.".to_owned(),
        };
        let scopes = self.scopes.iter().filter_map(|(name, state)| match state {
            ScopeState::Known(source) => Some(Start {
                source: *source,
                prefix: format!("{name}."),
            }),
            ScopeState::Later | ScopeState::Broken => None,
        });
        std::iter::once(root).chain(scopes).collect()
    }

    /// The last junction and those before it.
    fn junctions(&self, last: Option<SourceId>) -> impl Iterator<Item = SourceId> {
        let before = |&junction: &SourceId| match self.sources[junction].role {
            Role::Via { parent } => {
                Some(parent).filter(|&parent| matches!(self.sources[parent].role, Role::Via { .. }))
            }
            _ => None,
        };
        std::iter::successors(last, before)
    }

    /// Whether joins and equal conditions hold all columns of a key; with a junction, of one there as well.
    fn gives_one_row(&self, scope: SourceId, via: Option<SourceId>) -> bool {
        let filters = &self.sources[scope].filters;
        holds_key(&self.sources[scope], scope, filters)
            && self
                .junctions(via)
                .all(|via| holds_key(&self.sources[via], via, filters))
    }
}

fn holds_key(source: &Source, id: SourceId, filters: &[Filter]) -> bool {
    let other =
        |operand: &Operand| !matches!(operand, Operand::Column(ColumnRef { source, .. }) if *source == id);
    let joined = |column: usize| source.joins.iter().any(|join| join.column == column);
    let filtered = |column: usize| {
        filters.iter().any(|filter| {
            matches!(filter, Filter::Column { column: left, test: Test::Equals(to) }
                if *left == ColumnRef { source: id, column } && other(to))
        })
    };
    let held = |columns: &[usize]| columns.iter().all(|column| joined(*column) || filtered(*column));
    let table = &source.table;
    (!table.primary_key.is_empty() && held(&table.primary_key))
        || table.unique.iter().any(|index| held(index))
}
