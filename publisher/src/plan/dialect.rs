//! SQL expressions over columns of application tables, where databases differ.

use pubsync_schema::dialect::Dialect;

use crate::catalogue::{Column, ColumnKind, Table};

/// A table, quoted and qualified.
#[must_use]
pub fn table(dialect: Dialect, table: &Table) -> String {
    let name = dialect.quote(&table.name);
    match &table.schema {
        Some(schema) => format!("{}.{name}", dialect.quote(schema)),
        None => name,
    }
}

/// A column of a row, quoted.
#[must_use]
pub fn column(dialect: Dialect, alias: &str, column: &Column) -> String {
    format!("{alias}.{}", dialect.quote(&column.name))
}

/// The text that stands for a value outside of the database: as a parameter, in row images, as a root id. [`cast`]
/// reads it back, exactly. Bytes are `\x…` on PostgreSQL, bare hexadecimal digits on SQLite.
///
/// PostgreSQL's text of dates, times and floats depends on the session; sqlx sets `DateStyle` to ISO, `TimeZone` to
/// UTC and `extra_float_digits` to the shortest exact text on every connection.
#[must_use]
pub fn text(dialect: Dialect, value: &str, column: &Column) -> String {
    match (dialect, &column.kind) {
        (Dialect::Postgres, _) => format!("({value})::text"),
        (Dialect::Sqlite, ColumnKind::Bytes) => {
            format!("CASE WHEN {value} IS NOT NULL THEN hex({value}) END")
        }
        (Dialect::Sqlite, ColumnKind::Numeric { scale: Some(scale) }) => sqlite_fixed(value, *scale),
        (Dialect::Sqlite, _) => format!("CAST({value} AS TEXT)"),
    }
}

/// The text from which the worker makes JSON. As [`text`], but arrays are JSON already, and rare types have the text that
/// the database shows (a cast would make `10.0.0.1` of type `inet` a `10.0.0.1/32`).
#[must_use]
pub fn json_text(dialect: Dialect, value: &str, column: &Column) -> String {
    match (dialect, &column.kind) {
        (Dialect::Postgres, ColumnKind::Array) => format!("to_json({value})::text"),
        (Dialect::Postgres, ColumnKind::Other) => format!("to_json({value}) #>> '{{}}'"),
        _ => text(dialect, value, column),
    }
}

/// Reads a text back into the column's type. SQLite's columns do it themselves, by affinity.
#[must_use]
pub fn cast(dialect: Dialect, text: &str, column: &Column) -> String {
    match (dialect, &column.kind) {
        (Dialect::Postgres, _) => format!("{text}::{}", column.sql_type),
        (Dialect::Sqlite, ColumnKind::Bytes) => format!("unhex({text})"),
        (Dialect::Sqlite, _) => text.to_owned(),
    }
}

/// A constant in the column's type.
#[must_use]
pub fn constant(dialect: Dialect, constant: &str, column: &Column) -> String {
    match (dialect, &column.kind, constant) {
        (Dialect::Sqlite, ColumnKind::Boolean, "true") => "1".to_owned(),
        (Dialect::Sqlite, ColumnKind::Boolean, "false") => "0".to_owned(),
        _ => cast(dialect, &dialect.literal(constant), column),
    }
}

/// Microseconds since 1970 of a date or timestamp, as text; one without a zone counts as UTC. Moments beyond all bounds
/// are very large numbers. What SQLite holds that is no date is `?`.
#[must_use]
pub fn moment(dialect: Dialect, value: &str) -> String {
    match dialect {
        // `least` and `greatest` do not see nulls.
        Dialect::Postgres => format!(
            "CASE WHEN {value} IS NOT NULL THEN greatest(least(extract(epoch FROM {value}) * 1000000, \
             9000000000000000000), -9000000000000000000)::bigint::text END"
        ),
        Dialect::Sqlite => format!(
            "CASE WHEN {value} IS NOT NULL THEN CASE WHEN typeof({value}) = 'text' AND {value} GLOB '[0-9][0-9][0-9][0-9]-*' \
             THEN coalesce(CAST(CAST((julianday({value}) - 2440587.5) * 86400000.0 + 0.5 AS INTEGER) * 1000 AS TEXT), '?') \
             ELSE '?' END END"
        ),
    }
}

/// The moment to which [`moment`] is compared, in the same form: on PostgreSQL that of the transaction, the same in all
/// its statements.
#[must_use]
pub fn present(dialect: Dialect) -> String {
    match dialect {
        Dialect::Postgres => "(extract(epoch FROM now()) * 1000000)::bigint::text".to_owned(),
        Dialect::Sqlite => format!("CAST({} AS TEXT)", dialect.now()),
    }
}

/// A root's id out of the texts of its columns: of one column its text, of several a JSON array of texts.
#[must_use]
pub fn root(dialect: Dialect, texts: &[String]) -> String {
    match (dialect, texts) {
        (_, [one]) => one.clone(),
        (Dialect::Postgres, many) => format!("to_json(ARRAY[{}])::text", many.join(", ")),
        (Dialect::Sqlite, many) => format!("json_array({})", many.join(", ")),
    }
}

/// A text parameter that may be null.
#[must_use]
pub fn text_parameter(dialect: Dialect, parameter: usize) -> String {
    match dialect {
        Dialect::Postgres => format!("${parameter}::text"),
        Dialect::Sqlite => format!("${parameter}"),
    }
}

/// Joins in the order written: from the batch to the rows that it names. PostgreSQL's planner decides by itself.
#[must_use]
pub fn join(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "JOIN",
        Dialect::Sqlite => "CROSS JOIN",
    }
}

/// A condition that rows found by a join must pass. SQLite without statistics takes an index of this column for as good as one
/// of the joining column, and would read for each row of the batch all that the whole table has of one value.
#[must_use]
pub fn beside_join(dialect: Dialect, condition: String) -> String {
    match dialect {
        Dialect::Postgres => condition,
        Dialect::Sqlite => format!("likely({condition})"),
    }
}

/// Gives a text the collation of the database, whichever column it is of.
#[must_use]
pub fn plain_collation(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "COLLATE \"default\"",
        Dialect::Sqlite => "COLLATE BINARY",
    }
}

/// SQLite keeps 19.90 as the float 19.9: its declared scale gives the digits back.
fn sqlite_fixed(value: &str, scale: u32) -> String {
    let zeros = if scale == 0 {
        String::new()
    } else {
        format!(".{}", "0".repeat(scale as usize))
    };
    format!(
        "CASE typeof({value}) WHEN 'integer' THEN {value} || '{zeros}' \
         WHEN 'real' THEN printf('%.{scale}f', {value}) ELSE CAST({value} AS TEXT) END"
    )
}
