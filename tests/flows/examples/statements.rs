//! Statements that change rows, made from the schema.

use pubsync_tests::naive::{ColumnKind, Row, Table};

/// Far above every generated id.
pub const NEW_ID: u64 = 1_000_000;

/// An id of its own, or the foreign keys of a junction: other values there are another row.
pub fn is_identity(table: &Table, place: usize) -> bool {
    table.key.contains(&place) && (table.key.len() == 1 || is_foreign(table, place))
}

pub fn is_foreign(table: &Table, place: usize) -> bool {
    table.foreign.iter().any(|key| key.columns == [place])
}

/// Whether the key is a number of the table's own.
pub fn has_own_id(table: &Table) -> bool {
    table.key.len() == 1 && !is_foreign(table, table.key[0])
}

/// A copy of a row under a new id; `unique`: with other texts, too.
pub fn copied(table: &Table, row: &Row, unique: bool) -> String {
    let value = |place: usize| {
        let column = &table.columns[place];
        match column.kind {
            _ if place == table.key[0] => format!("{} + {NEW_ID}", column.name),
            ColumnKind::Text if unique => format!("{} || '-2'", column.name),
            _ => column.name.clone(),
        }
    };
    let values: Vec<String> = (0..table.columns.len()).map(value).collect();
    format!(
        "INSERT INTO {} ({}) SELECT {} FROM {} WHERE {}",
        table.sql,
        names(table),
        values.join(", "),
        table.sql,
        is_row(table, row)
    )
}

/// Gives a column of a row this value, which is SQL.
pub fn update(table: &Table, place: usize, value: &str, row: &Row) -> String {
    let column = &table.columns[place].name;
    format!(
        "UPDATE {} SET {column} = {value} WHERE {}",
        table.sql,
        is_row(table, row)
    )
}

pub fn deleted(table: &Table, row: &Row) -> String {
    format!("DELETE FROM {} WHERE {}", table.sql, is_row(table, row))
}

/// The row as it was.
pub fn inserted(table: &Table, row: &Row) -> String {
    let values: Vec<String> = row.iter().map(literal).collect();
    let values = values.join(", ");
    format!("INSERT INTO {} ({}) VALUES ({values})", table.sql, names(table))
}

fn names(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    names.join(", ")
}

/// The row's id.
pub fn number(table: &Table, row: &Row) -> u64 {
    let id = row[table.key[0]].as_deref().expect("an id");
    id.parse().unwrap_or_else(|error| panic!("{id}: {error}"))
}

/// The condition that only this row meets.
fn is_row(table: &Table, row: &Row) -> String {
    let column = |place: &usize| format!("{} = {}", table.columns[*place].name, literal(&row[*place]));
    let columns: Vec<String> = table.key.iter().map(column).collect();
    columns.join(" AND ")
}

/// As SQL writes it, whatever the column's type.
pub fn literal(value: &Option<String>) -> String {
    match value {
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => "NULL".to_owned(),
    }
}
