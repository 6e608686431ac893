//! Which columns each SELECT answers, and where they stand.

use pubsync_schema::dialect::Dialect;

use super::{dialect, expression};
use crate::catalogue::{Column, ColumnKind};
use crate::document::{ColumnRef, Document, Expression, Role, Source, SourceId};

/// Where a column's text stands among the rows that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The source whose SELECT answers it: that of a junction is its node or scope.
    pub source: SourceId,
    /// Place in the row, the instance's number not counted.
    pub place: usize,
    pub kind: ColumnKind,
    pub column: ColumnRef,
}

/// Collects columns while templates and conditions are read; then gives each SELECT its list.
pub(super) struct Slots<'a> {
    dialect: Dialect,
    document: &'a Document,
    /// SQL expressions by source.
    selected: Vec<Vec<String>>,
    used: Vec<Vec<ColumnRef>>,
    expressions: Vec<expression::Needs>,
}

impl<'a> Slots<'a> {
    pub fn new(dialect: Dialect, document: &'a Document) -> Self {
        let sources = document.sources.len();
        Self {
            dialect,
            document,
            selected: vec![Vec::new(); sources],
            used: vec![Vec::new(); sources],
            expressions: Vec::new(),
        }
    }

    /// A column whose value goes into JSON or a key.
    pub fn value(&mut self, column: ColumnRef) -> Slot {
        self.slot(column, dialect::json_text)
    }

    /// A column that goes back into the database as a parameter.
    pub fn outer(&mut self, column: ColumnRef) -> Slot {
        self.slot(column, dialect::text)
    }

    fn slot(&mut self, column: ColumnRef, text: fn(Dialect, &str, &Column) -> String) -> Slot {
        let source = self.document.owner(column.source);
        let meta = self.document.column_of(column);
        let expression = text(
            self.dialect,
            &qualified(self.dialect, self.document, column),
            meta,
        );
        let list = &mut self.selected[source];
        let place = list
            .iter()
            .position(|known| *known == expression)
            .unwrap_or_else(|| {
                list.push(expression);
                list.len() - 1
            });
        if !self.used[source].contains(&column) {
            self.used[source].push(column);
        }
        Slot {
            source,
            place,
            kind: meta.kind.clone(),
            column,
        }
    }

    /// Gives the step that the expression will have.
    pub fn expression(&mut self, expression: &Expression) -> SourceId {
        let needs = expression::needs(self.dialect, self.document, self, expression);
        self.expressions.push(needs);
        self.document.sources.len() + self.expressions.len() - 1
    }

    pub fn into_expressions(self) -> Vec<expression::Needs> {
        self.expressions
    }

    /// What the catalogue says of a column.
    pub fn meta(&self, column: ColumnRef) -> &'a Column {
        self.document.column_of(column)
    }

    /// Expressions that the SELECT of a source answers.
    pub fn selected(&self, source: SourceId) -> &[String] {
        &self.selected[source]
    }

    /// Columns behind [`Self::selected`].
    pub fn used(&self, source: SourceId) -> &[ColumnRef] {
        &self.used[source]
    }
}

/// Name of a source in SQL.
pub(super) fn alias(source: SourceId) -> String {
    format!("s{source}")
}

/// What FROM and JOIN name: the rows of a source under its alias.
pub(super) fn rows_of(dialect: Dialect, document: &Document, source: SourceId) -> String {
    let Source { table, query, .. } = &document.sources[source];
    let rows = match query {
        Some(query) => format!("({})", query.sql),
        None => dialect::table(dialect, table),
    };
    format!("{rows} {}", alias(source))
}

pub(super) fn qualified(dialect: Dialect, document: &Document, column: ColumnRef) -> String {
    dialect::column(dialect, &alias(column.source), document.column_of(column))
}

impl Document {
    /// The source whose SELECT reads or tests rows of this one.
    #[must_use]
    pub fn owner(&self, source: SourceId) -> SourceId {
        let joined = self.joined_to(source);
        match self.sources[joined].role {
            Role::Exists { parent, .. } => self.owner(parent),
            _ => joined,
        }
    }

    /// The source in whose FROM this one stands: a junction is joined to the rows that it leads to, the row of a foreign
    /// key to the row that holds it.
    #[must_use]
    pub fn joined_to(&self, source: SourceId) -> SourceId {
        match self.sources[source].role {
            Role::Via { .. } => self.end_of(source),
            Role::Lookup { parent } => self.joined_to(parent),
            Role::Root | Role::Scope { .. } | Role::Exists { .. } | Role::Node { .. } => source,
        }
    }

    /// The source that a junction leads to.
    fn end_of(&self, junction: SourceId) -> SourceId {
        let leads_there = |&end: &SourceId| self.junctions(end).contains(&junction);
        (junction..self.sources.len())
            .find(leads_there)
            .unwrap_or(junction)
    }

    /// The junctions that lead to a source, the first first.
    #[must_use]
    pub fn junctions(&self, source: SourceId) -> Vec<SourceId> {
        let mut found = Vec::new();
        let mut next = self.sources[source].via();
        while let Some(junction) = next {
            found.insert(0, junction);
            next = match self.sources[junction].role {
                Role::Via { parent } => {
                    Some(parent).filter(|&parent| matches!(self.sources[parent].role, Role::Via { .. }))
                }
                _ => None,
            };
        }
        found
    }

    /// What the catalogue says of a column.
    #[must_use]
    pub fn column_of(&self, column: ColumnRef) -> &Column {
        &self.sources[column.source].table.columns[column.column]
    }

    /// What a source is, for people.
    #[must_use]
    pub fn label(&self, source: SourceId) -> String {
        let table = &self.sources[source].table.name;
        match &self.sources[source].role {
            Role::Root => format!("root {table}"),
            Role::Scope { name, .. } => format!("scope {name} ({table})"),
            Role::Via { .. } => format!("junction {table}"),
            Role::Lookup { .. } => format!("foreign key to {table}"),
            Role::Exists { .. } => format!("condition on {table}"),
            Role::Node { .. } => format!("node {table}"),
        }
    }
}

impl crate::document::Source {
    /// The junction that leads here.
    #[must_use]
    pub fn via(&self) -> Option<SourceId> {
        match self.role {
            Role::Scope { via, .. } | Role::Exists { via, .. } | Role::Node { via, .. } => via,
            Role::Root | Role::Via { .. } | Role::Lookup { .. } => None,
        }
    }
}
