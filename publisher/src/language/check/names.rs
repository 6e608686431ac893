//! What a name reaches: `root.x`, a scope's `s.x`, `via.x`, `parent.x`, or a bare column.

use std::sync::Arc;

use crate::catalogue::Table;
use crate::document::{ColumnRef, SourceId};
use crate::language::name::Name;
use crate::language::suggest::did_you_mean;
use crate::language::yaml::Span;

use super::document::{Checker, ScopeState};

/// What names reach at one place of a document.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Whose columns bare names are.
    pub bare: SourceId,
    /// The junction of the node.
    pub via: Option<SourceId>,
    /// The enclosing row; `None` at the top.
    pub parent: Option<SourceId>,
    /// Whether a constant could stand here as well.
    pub constants: bool,
    /// Scopes are out of reach: the document's own `where`.
    pub root_only: bool,
}

impl Place {
    pub const TOP: Self = Self {
        bare: 0,
        via: None,
        parent: None,
        constants: true,
        root_only: false,
    };
    pub const ROOT: Self = Self {
        root_only: true,
        ..Self::TOP
    };
    pub const KEY: Self = Self {
        constants: false,
        ..Self::TOP
    };
}

/// What the first part of a name reaches.
enum Qualifier {
    Row(SourceId),
    /// The problem is noted.
    Wrong,
    None,
}

impl Checker<'_, '_> {
    pub fn table(&self, source: SourceId) -> Arc<Table> {
        Arc::clone(&self.sources[source].table)
    }

    /// A column of whatever the name reaches.
    pub fn resolve(&mut self, name: &Name, at: Span, place: Place) -> Option<ColumnRef> {
        match name.parts() {
            [column] => self.column(place.bare, column, at),
            [first, rest @ ..] => match self.qualifier(first, name, at, place) {
                Qualifier::Row(source) => self.through_keys(source, rest, name, at),
                Qualifier::Wrong => None,
                Qualifier::None if self.leads_away(name.parts(), place.bare) => {
                    self.through_keys(place.bare, name.parts(), name, at)
                }
                Qualifier::None => self.unknown_qualifier(first, name, at, place),
            },
            [] => None,
        }
    }

    /// A column of a node's own row, of its junction, or of a row that their foreign keys name: the only ones by which
    /// rows are chosen and ordered.
    pub fn own_column(
        &mut self,
        name: &Name,
        at: Span,
        own: SourceId,
        via: Option<SourceId>,
        what: &str,
    ) -> Option<ColumnRef> {
        match (name.parts(), via) {
            ([column], _) => self.column(own, column, at),
            ([qualifier, rest @ ..], Some(via)) if qualifier == "via" => {
                self.through_keys(via, rest, name, at)
            }
            ([first, ..], _) if !self.is_qualifier(first) && self.leads_away(name.parts(), own) => {
                self.through_keys(own, name.parts(), name, at)
            }
            _ => {
                let junction = if via.is_some() { " and via" } else { "" };
                self.not_of(name, at, own, what, junction)
            }
        }
    }

    /// A column of the table itself.
    pub fn table_column(&mut self, name: &Name, at: Span, own: SourceId, what: &str) -> Option<ColumnRef> {
        match name.bare() {
            Some(column) => self.column(own, column, at),
            None => self.not_of(name, at, own, what, ""),
        }
    }

    fn not_of<T>(&mut self, name: &Name, at: Span, own: SourceId, what: &str, junction: &str) -> Option<T> {
        let table = self.tables.name_of(&self.table(own));
        let message = format!("\"{name}\" cannot stand here: {what} takes columns of \"{table}\"{junction}");
        self.report.fail(at, "unknown_name", message)
    }

    pub fn column(&mut self, source: SourceId, column: &str, at: Span) -> Option<ColumnRef> {
        let table = self.table(source);
        let column = self.tables.column(&table, column, at, self.report)?;
        Some(ColumnRef { source, column })
    }

    fn qualifier(&mut self, qualifier: &str, name: &Name, at: Span, place: Place) -> Qualifier {
        let row = |row: Option<SourceId>| row.map_or(Qualifier::Wrong, Qualifier::Row);
        match qualifier {
            "root" => return Qualifier::Row(0),
            "via" => {
                return row(place
                    .via
                    .or_else(|| self.nothing_here(at, "via", "there is no junction here")));
            }
            "parent" => {
                return row(place
                    .parent
                    .or_else(|| self.nothing_here(at, "parent", "there is no enclosing row here")));
            }
            _ => {}
        }
        let scope = self.scopes.iter().find(|(name, _)| name == qualifier);
        let problem = match scope.map(|(_, state)| *state) {
            Some(_) if place.root_only => {
                let message = "the document's own \"where\" reaches only the root's row".to_owned();
                (message, "put the condition into the \"where\" of the scope")
            }
            Some(ScopeState::Known(source)) => return Qualifier::Row(source),
            Some(ScopeState::Broken) => return Qualifier::Wrong,
            Some(ScopeState::Later) => {
                let message = format!("\"{name}\" reaches a scope that is not there yet");
                (message, "a scope reaches the root and the scopes above it")
            }
            None => return Qualifier::None,
        };
        self.report
            .fail_with::<()>(at, "unknown_name", problem.0, problem.1.to_owned());
        Qualifier::Wrong
    }

    fn is_qualifier(&self, word: &str) -> bool {
        matches!(word, "root" | "via" | "parent") || self.scopes.iter().any(|(name, _)| name == word)
    }

    fn nothing_here<T>(&mut self, at: Span, word: &str, why: &str) -> Option<T> {
        self.report
            .fail(at, "unknown_name", format!("{why}, so \"{word}\" names nothing"))
    }

    fn unknown_qualifier<T>(&mut self, qualifier: &str, name: &Name, at: Span, place: Place) -> Option<T> {
        let help = self.instead_of(qualifier, name, place);
        self.report.fail_with(
            at,
            "unknown_name",
            format!("nothing is called \"{qualifier}\" here"),
            help,
        )
    }

    fn instead_of(&self, qualifier: &str, name: &Name, place: Place) -> String {
        if self.tables.name_of(&self.sources[place.bare].table) == qualifier {
            let rest = &name.parts()[1..];
            return format!(
                "columns of the node's own table are written without it: {}",
                rest.join(".")
            );
        }
        let reachable = self.reachable(place);
        let meant = did_you_mean(qualifier, reachable.iter().map(String::as_str));
        meant
            .or_else(|| self.tables.as_table(qualifier).filter(|_| place.constants))
            .unwrap_or_else(|| {
                let names = format!("names here start with {}", reachable.join(", "));
                let constant = format!("; a constant is written {{ value: \"{name}\" }}");
                names + if place.constants { &constant } else { "" }
            })
    }

    fn reachable(&self, place: Place) -> Vec<String> {
        let mut words = vec!["root".to_owned()];
        words.extend(
            self.scopes
                .iter()
                .filter(|(_, state)| !matches!(state, ScopeState::Later))
                .map(|(name, _)| name.clone()),
        );
        words.extend(place.parent.map(|_| "parent".to_owned()));
        words.extend(place.via.map(|_| "via".to_owned()));
        words
    }
}
