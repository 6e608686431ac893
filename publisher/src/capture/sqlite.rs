//! Trigger text for SQLite: row triggers, one outbox row a change, in the same JSON as on PostgreSQL.
//!
//! What SQLite decides itself: DROP COLUMN of a column that a trigger names is refused, RENAME COLUMN and RENAME TO
//! rewrite the trigger (so the next reconcile replaces it). REPLACE fires no delete trigger for the rows that it
//! replaces unless the connection has `recursive_triggers` on. There are no settings, so the lane is live.

use std::collections::BTreeMap;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::names::Names;
use sea_orm::{ConnectionTrait, DbErr};

use crate::catalogue::ColumnKind;
use crate::plan;

use super::{Capture, Script, TableName, fingerprint, texts};

const DIALECT: Dialect = Dialect::Sqlite;

/// By name in the order in which SQLite sorts them; fingerprints depend on it.
const OPERATIONS: [&str; 3] = ["delete", "insert", "update"];

pub(super) fn script(names: &Names, capture: &Capture) -> Script {
    let table = TableName::of(&capture.table);
    let triggers = OPERATIONS.map(|operation| trigger(names, capture, operation));
    let mut statements = removal(names, &table);
    let fingerprint = fingerprint(&triggers.join("\n"));
    statements.extend(triggers);
    Script {
        fingerprint,
        statements,
    }
}

pub(super) fn removal(names: &Names, table: &TableName) -> Vec<String> {
    OPERATIONS
        .map(|operation| {
            format!(
                "DROP TRIGGER IF EXISTS {}",
                DIALECT.quote(&trigger_name(names, &table.table, operation))
            )
        })
        .into()
}

/// The fingerprint is that of the text in `sqlite_master`, so whatever rewrote a trigger is seen.
pub(super) async fn installed<C: ConnectionTrait>(
    db: &C,
    names: &Names,
) -> Result<BTreeMap<TableName, String>, DbErr> {
    let sql = "SELECT tbl_name, sql FROM sqlite_master WHERE type = 'trigger' \
               AND substr(name, 1, length($1)) = $1 ORDER BY tbl_name, name";
    let rows = texts(db, names, sql, vec![prefix(names).into()], 2).await?;
    let mut triggers = BTreeMap::<String, Vec<String>>::new();
    for row in rows {
        if let Ok([table, sql]) = <[String; 2]>::try_from(row) {
            triggers.entry(table).or_default().push(sql);
        }
    }
    let named = |table| TableName { schema: None, table };
    Ok(triggers
        .into_iter()
        .map(|(table, sql)| (named(table), fingerprint(&sql.join("\n"))))
        .collect())
}

fn prefix(names: &Names) -> String {
    format!("{}_capture_", names.name())
}

fn trigger_name(names: &Names, table: &str, operation: &str) -> String {
    format!("{}{table}_{operation}", prefix(names))
}

fn trigger(names: &Names, capture: &Capture, operation: &str) -> String {
    let (when, change) = match operation {
        "insert" => (
            String::new(),
            format!("'{{\"n\":' || {} || '}}'", image(capture, "NEW")),
        ),
        "delete" => (
            String::new(),
            format!("'{{\"o\":' || {} || '}}'", image(capture, "OLD")),
        ),
        _ => (when_changed(capture), updated(capture)),
    };
    format!(
        "CREATE TRIGGER {trigger} AFTER {event} ON {table}{when}\nBEGIN\n  \
         INSERT INTO {outbox} (kind, table_name, changes, lane, at)\n  \
         VALUES ('rows', {name}, '[' || {change} || ']', 'live', {now});\nEND",
        trigger = DIALECT.quote(&trigger_name(names, &capture.table.name, operation)),
        event = operation.to_uppercase(),
        table = DIALECT.quote(&capture.table.name),
        outbox = names.table("outbox"),
        name = DIALECT.literal(&capture.name),
        now = DIALECT.now(),
    )
}

fn when_changed(capture: &Capture) -> String {
    let compared = capture.used();
    let differs: Vec<_> = compared.iter().map(|&column| differs(capture, column)).collect();
    match differs.is_empty() {
        true => "\nWHEN 0".to_owned(),
        false => format!("\nWHEN {}", differs.join("\n  OR ")),
    }
}

fn updated(capture: &Capture) -> String {
    let names: Vec<_> = capture
        .used()
        .into_iter()
        .map(|column| {
            let member = DIALECT.literal(&format!(",{}", json_string(capture.column(column))));
            format!("CASE WHEN {} THEN {member} ELSE '' END", differs(capture, column))
        })
        .collect();
    let names = if names.is_empty() {
        "''".to_owned()
    } else {
        names.join("\n    || ")
    };
    format!(
        "'{{\"o\":' || {} || ',\"n\":' || {} || ',\"c\":[' || substr({names}, 2) || ']}}'",
        image(capture, "OLD"),
        image(capture, "NEW"),
    )
}

/// Equality of bytes, and of the storage class: 1 is not '1', 'a' is not 'A' in a column of collation NOCASE.
fn differs(capture: &Capture, column: usize) -> String {
    let column = DIALECT.quote(capture.column(column));
    format!(
        "(typeof(OLD.{column}) IS NOT typeof(NEW.{column}) OR OLD.{column} IS NOT NEW.{column} {})",
        DIALECT.bytewise()
    )
}

/// A JSON object of the carried columns. Concatenated: functions take no more than 127 arguments.
fn image(capture: &Capture, row: &str) -> String {
    let member = |&column: &usize| {
        let column = &capture.table.columns[column];
        let value = format!("{row}.{}", DIALECT.quote(&column.name));
        // The same text that SELECTs and reverse paths use: a root's image becomes its id as it stands. A blob in a
        // column of another type would not be text at all, and nobody could read the outbox row.
        let text = plan::dialect::text(DIALECT, &value, column);
        let text = format!(
            "CASE WHEN typeof({value}) = 'blob' AND {} THEN '\\x' || lower(hex({value})) ELSE {text} END",
            column.kind != ColumnKind::Bytes
        );
        format!(
            "{} || json_quote({text})",
            DIALECT.literal(&format!("{}:", json_string(&column.name)))
        )
    };
    capture
        .carried
        .iter()
        .map(member)
        .reduce(|before, member| format!("{before} || ',' || {member}"))
        .map_or_else(
            || "'{}'".to_owned(),
            |members| format!("'{{' || {members} || '}}'"),
        )
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
