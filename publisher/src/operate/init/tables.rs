//! What tables are to each other: identities, junctions, references; and their names as documents write them.

use crate::catalogue::{Catalogue, Column, ColumnKind, ForeignKey, Table};

/// Columns besides its foreign keys that a junction may have.
const MOST_OF_A_JUNCTION: usize = 3;

/// A foreign key of another table (or the same).
pub struct Reference<'a> {
    /// As documents call the table that holds it.
    pub name: &'a str,
    pub table: &'a Table,
    pub key: &'a ForeignKey,
}

/// Columns that tell rows apart, and whether they are the primary key.
pub fn identity(table: &Table) -> Option<(Vec<usize>, bool)> {
    if !table.primary_key.is_empty() {
        return Some((table.primary_key.clone(), true));
    }
    let never_null = |columns: &&Vec<usize>| columns.iter().all(|column| !table.columns[*column].nullable);
    let unique = table
        .unique
        .iter()
        .filter(never_null)
        .min_by_key(|columns| columns.len())?;
    Some((unique.clone(), false))
}

/// All foreign keys that lead to this table.
pub fn references<'a>(catalogue: &'a Catalogue, to: &'a str) -> impl Iterator<Item = Reference<'a>> {
    catalogue.tables.iter().flat_map(move |(name, table)| {
        let keys = table.foreign_keys.iter().filter(move |key| key.table == to);
        keys.map(move |key| Reference { name, table, key })
    })
}

/// Whether the table only connects two others: two foreign keys that are an identity together, and little else. Text
/// belongs to readers, so a table with text is no junction.
pub fn is_junction(table: &Table) -> bool {
    let [a, b] = table.foreign_keys.as_slice() else {
        return false;
    };
    let both: Vec<usize> = a.columns.iter().chain(&b.columns).copied().collect();
    let little = |column: &Column| {
        matches!(
            column.kind,
            ColumnKind::Integer
                | ColumnKind::Boolean
                | ColumnKind::Date
                | ColumnKind::Timestamp
                | ColumnKind::TimestampTz
        )
    };
    holds_key(table, &both)
        && own_columns(table).count() <= MOST_OF_A_JUNCTION
        && own_columns(table).all(little)
}

/// Columns that are neither key nor foreign key.
pub fn own_columns(table: &Table) -> impl Iterator<Item = &Column> {
    let in_keys = |column: &usize| {
        let mut keys = table.foreign_keys.iter();
        table.primary_key.contains(column) || keys.any(|key| key.columns.contains(column))
    };
    let columns = table.columns.iter().enumerate();
    columns
        .filter(move |(i, _)| !in_keys(i))
        .map(|(_, column)| column)
}

/// Whether at most one row has the same values in these columns.
pub fn holds_key(table: &Table, columns: &[usize]) -> bool {
    let held = |key: &[usize]| !key.is_empty() && key.iter().all(|column| columns.contains(column));
    held(&table.primary_key) || table.unique.iter().any(|key| held(key))
}

pub mod written {
    //! Names as documents write them.

    use super::Catalogue;
    pub(crate) use crate::language::quoted_where_needed as name;

    /// `product`, `sales.invoice`, `"Big Invoice"`.
    pub fn table(catalogue: &Catalogue, called: &str) -> String {
        let Some(table) = catalogue.tables.get(called) else {
            return name(called);
        };
        match &table.schema {
            Some(schema) if table.name != called => format!("{}.{}", name(schema), name(&table.name)),
            _ => name(&table.name),
        }
    }
}
