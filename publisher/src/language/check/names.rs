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

impl Checker<'_, '_> {
    pub fn table(&self, source: SourceId) -> Arc<Table> {
        Arc::clone(&self.sources[source].table)
    }

    /// A column of whatever the name reaches.
    pub fn resolve(&mut self, name: &Name, at: Span, place: Place) -> Option<ColumnRef> {
        match name.parts() {
            [column] => self.column(place.bare, column, at),
            [qualifier, column] => {
                let source = self.qualifier(qualifier, column, at, place)?;
                self.column(source, column, at)
            }
            _ => self
                .report
                .not_supported(at, &format!("\"{name}\", a column through foreign keys,")),
        }
    }

    /// A column of a node's own table, or of its junction: the only ones by which rows are chosen and ordered.
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
            ([qualifier, column], Some(via)) if qualifier == "via" => self.column(via, column, at),
            _ if name.parts().len() == 2 && self.leads_away(&name.parts()[0], own) => {
                self.through_foreign_key(name, at)
            }
            _ => {
                let table = self.tables.name_of(&self.table(own));
                let junction = if via.is_some() { " and via" } else { "" };
                let message =
                    format!("\"{name}\" cannot stand here: {what} takes columns of \"{table}\"{junction}");
                self.report.fail(at, "unknown_name", message)
            }
        }
    }

    pub fn column(&mut self, source: SourceId, column: &str, at: Span) -> Option<ColumnRef> {
        let table = self.table(source);
        let column = self.tables.column(&table, column, at, self.report)?;
        Some(ColumnRef { source, column })
    }

    fn qualifier(&mut self, qualifier: &str, column: &str, at: Span, place: Place) -> Option<SourceId> {
        match qualifier {
            "root" => return Some(0),
            "via" => {
                return place
                    .via
                    .or_else(|| self.nothing_here(at, "via", "there is no junction here"));
            }
            "parent" => {
                return place
                    .parent
                    .or_else(|| self.nothing_here(at, "parent", "there is no enclosing row here"));
            }
            _ => {}
        }
        match self
            .scopes
            .iter()
            .find(|(name, _)| name == qualifier)
            .map(|(_, state)| *state)
        {
            Some(_) if place.root_only => {
                let message = "the document's own \"where\" reaches only the root's row";
                let help = "put the condition into the \"where\" of the scope".to_owned();
                self.report.fail_with(at, "unknown_name", message, help)
            }
            Some(ScopeState::Known(source)) => Some(source),
            Some(ScopeState::Broken) => None,
            Some(ScopeState::Later) => {
                let message = format!("\"{qualifier}.{column}\" reaches a scope that is not there yet");
                let help = "a scope reaches the root and the scopes above it".to_owned();
                self.report.fail_with(at, "unknown_name", message, help)
            }
            None => self.unknown_qualifier(qualifier, column, at, place),
        }
    }

    fn nothing_here<T>(&mut self, at: Span, word: &str, why: &str) -> Option<T> {
        self.report
            .fail(at, "unknown_name", format!("{why}, so \"{word}\" names nothing"))
    }

    fn unknown_qualifier<T>(&mut self, qualifier: &str, column: &str, at: Span, place: Place) -> Option<T> {
        if self.leads_away(qualifier, place.bare) {
            return self.report.not_supported(
                at,
                &format!("\"{qualifier}.{column}\", a column through a foreign key,"),
            );
        }
        let help = self.instead_of(qualifier, column, place);
        self.report.fail_with(
            at,
            "unknown_name",
            format!("nothing is called \"{qualifier}\" here"),
            help,
        )
    }

    fn instead_of(&self, qualifier: &str, column: &str, place: Place) -> String {
        if self.tables.name_of(&self.sources[place.bare].table) == qualifier {
            return format!("columns of the node's own table are written without it: {column}");
        }
        let reachable = self.reachable(place);
        let meant = did_you_mean(qualifier, reachable.iter().map(String::as_str));
        meant
            .or_else(|| self.tables.as_table(qualifier).filter(|_| place.constants))
            .unwrap_or_else(|| {
                let names = format!("names here start with {}", reachable.join(", "));
                let constant = format!("; a constant is written {{ value: \"{qualifier}.{column}\" }}");
                names + if place.constants { &constant } else { "" }
            })
    }

    /// Whether the word is a step of `t.x`: a table that a foreign key names, or a column of a foreign key.
    fn leads_away(&self, word: &str, from: SourceId) -> bool {
        let table = &self.sources[from].table;
        table.foreign_keys.iter().any(|key| {
            key.table == word
                || key
                    .columns
                    .iter()
                    .any(|column| table.columns[*column].name == word)
        })
    }

    fn through_foreign_key<T>(&mut self, name: &Name, at: Span) -> Option<T> {
        self.report
            .not_supported(at, &format!("\"{name}\", a column through a foreign key,"))
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
