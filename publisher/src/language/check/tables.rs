//! Tables and columns by the names that documents use.

use std::sync::Arc;

use crate::catalogue::{Catalogue, ForeignKey, Table};
use crate::language::name::Name;
use crate::language::problem::Report;
use crate::language::suggest::did_you_mean;
use crate::language::syntax::At;
use crate::language::yaml::Span;

#[derive(Clone, Copy)]
pub struct Tables<'a>(pub &'a Catalogue);

impl<'a> Tables<'a> {
    pub fn table(self, name: &At<Name>, report: &mut Report<'_>) -> Option<Arc<Table>> {
        if let Some(table) = self.find(&name.is) {
            return Some(Arc::clone(table));
        }
        let help = self.elsewhere(&name.is).or_else(|| self.nearest(&name.is));
        report.fail_with(
            name.at,
            "unknown_table",
            format!("no table \"{}\"", name.is),
            help,
        )
    }

    pub fn find(self, name: &Name) -> Option<&'a Arc<Table>> {
        let mut all = self.0.tables.iter();
        match name.parts() {
            [table] => match self.0.tables.get(table) {
                Some(found) if found.name == *table => Some(found),
                _ => all
                    .find(|(key, found)| is_sqlite(found) && key.eq_ignore_ascii_case(table))
                    .map(|(_, found)| found),
            },
            [schema, table] => all
                .find(|(_, found)| found.schema.as_deref() == Some(schema) && found.name == *table)
                .map(|(_, found)| found),
            _ => None,
        }
    }

    /// The same name in another schema.
    fn elsewhere(self, name: &Name) -> Option<String> {
        let last = name.parts().last()?;
        let (key, _) = self.0.tables.iter().find(|(_, table)| table.name == *last)?;
        Some(format!("did you mean \"{key}\"?"))
    }

    fn nearest(self, name: &Name) -> Option<String> {
        did_you_mean(&name.to_string(), self.0.tables.keys().map(String::as_str))
    }

    /// The name by which documents call the table.
    pub fn name_of(self, table: &Arc<Table>) -> &'a str {
        self.0
            .tables
            .iter()
            .find(|(_, other)| Arc::ptr_eq(table, other))
            .map(|(key, _)| key.as_str())
            .or_else(|| self.query_name(table))
            .unwrap_or("?")
    }

    fn query_name(self, table: &Arc<Table>) -> Option<&'a str> {
        let mut described = self.0.statements.values().flatten();
        let found = described.find(|described| Arc::ptr_eq(&described.table, table))?;
        Some(&found.table.name)
    }

    /// Whether the foreign key names this table.
    pub fn names(self, key: &ForeignKey, table: &Arc<Table>) -> bool {
        self.0
            .tables
            .get(&key.table)
            .is_some_and(|named| Arc::ptr_eq(named, table))
    }

    pub fn column(
        self,
        table: &Arc<Table>,
        column: &str,
        at: Span,
        report: &mut Report<'_>,
    ) -> Option<usize> {
        if let Some(found) = find_column(table, column) {
            return Some(found);
        }
        let help = did_you_mean(column, table.columns.iter().map(|column| column.name.as_str()))
            .or_else(|| self.as_table(column));
        let message = format!("no column \"{column}\" in table \"{}\"", self.name_of(table));
        report.fail_with(at, "unknown_column", message, help)
    }

    /// What to do with the name of a table where a column is expected.
    pub fn as_table(self, name: &str) -> Option<String> {
        let row = format!("{{ one: {name}, body: … }} is a row of it");
        let rows = format!("{{ many: {name}, body: … }} are its rows");
        self.0
            .tables
            .contains_key(name)
            .then(|| format!("\"{name}\" is a table: {row}, {rows}"))
    }
}

/// Exactly as in the catalogue; SQLite: in any case.
pub fn find_column(table: &Table, name: &str) -> Option<usize> {
    table.column(name).or_else(|| {
        let same = |column: &str| is_sqlite(table) && column.eq_ignore_ascii_case(name);
        table.columns.iter().position(|column| same(&column.name))
    })
}

/// Only SQLite has no schemas.
pub fn is_sqlite(table: &Table) -> bool {
    table.schema.is_none()
}
