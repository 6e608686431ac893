//! Trigger text for SQLite: row triggers, one outbox row a change, in the same JSON as on PostgreSQL.
//!
//! What SQLite decides itself: DROP COLUMN of a column that a trigger names is refused, RENAME COLUMN and RENAME TO
//! rewrite the trigger (so the next reconcile replaces it). There are no settings, so the lane is live.
//!
//! REPLACE fires no delete trigger for the rows that it replaces unless the connection has `recursive_triggers` on. So
//! triggers before an insert and an update capture the rows whose unique key the new row takes; where the statement
//! then keeps them (IGNORE, ABORT, an upsert), their roots are looked at for nothing.

use std::collections::BTreeMap;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::names::Names;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};

use crate::catalogue::ColumnKind;
use crate::hash::hash;
use crate::plan;

use super::{
    Capture, Error, LockRetry, Step, StepKind, TableName, begin, execute_all, texts, with_lock_retry,
};

const DIALECT: Dialect = Dialect::Sqlite;

/// By the name of the table that they stand on: names and texts of triggers, by name.
type Present = BTreeMap<String, Vec<(String, String)>>;

async fn present<C: ConnectionTrait>(db: &C, names: &Names) -> Result<Present, DbErr> {
    let sql = "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger' \
               AND substr(name, 1, length($1)) = $1 ORDER BY tbl_name, name";
    let mut present = Present::new();
    for row in texts(db, names, sql, vec![prefix(names).into()], 3).await? {
        if let Ok([table, name, sql]) = <[String; 3]>::try_from(row) {
            present.entry(table).or_default().push((name, sql));
        }
    }
    Ok(present)
}

/// What it takes to capture these tables, and no other.
pub(super) async fn steps<C: ConnectionTrait>(
    db: &C,
    names: &Names,
    captures: &[Capture],
) -> Result<Vec<Step>, DbErr> {
    let mut present = present(db, names).await?;
    let mut steps = Vec::new();
    let mut made: Vec<String> = Vec::new();
    for capture in captures {
        let wanted = triggers(names, capture);
        let found = present.remove(&capture.table.name).unwrap_or_default();
        let kind = match () {
            () if found.is_empty() => StepKind::Install,
            () if found == wanted => StepKind::Keep,
            () => StepKind::Replace,
        };
        let mut statements = replacement(&found, &wanted);
        if kind == StepKind::Replace && found.len() < wanted.len() {
            statements.push(mark(names, capture));
        }
        steps.push(Step {
            kind,
            table: capture.name.clone(),
            statements,
        });
        made.extend(wanted.into_iter().map(|(name, _)| name));
    }
    // A trigger follows its table when that is renamed, and keeps its name: another table may have taken it since.
    for (table, mut found) in present {
        found.retain(|(name, _)| !made.contains(name));
        steps.push(Step {
            kind: StepKind::Remove,
            table,
            statements: replacement(&found, &[]),
        });
    }
    Ok(steps)
}

fn replacement(found: &[(String, String)], wanted: &[(String, String)]) -> Vec<String> {
    let drop = |(name, _): &(String, String)| format!("DROP TRIGGER IF EXISTS {}", DIALECT.quote(name));
    let mut statements: Vec<String> = found.iter().chain(wanted).map(drop).collect();
    statements.extend(wanted.iter().map(|(_, sql)| sql.clone()));
    statements
}

/// Sets triggers that a table lost: another table has the name now, or somebody dropped one. Triggers of another text
/// are left alone: a definition that is newer than ours may have made them.
pub(super) async fn repair(
    db: &DatabaseConnection,
    names: &Names,
    captures: &[Capture],
    retry: &LockRetry,
) -> Result<Vec<String>, Error> {
    if lost(db, names, captures).await.map_err(Error::Read)?.is_empty() {
        return Ok(Vec::new());
    }
    let attempt = || async {
        let txn = begin(db).await?;
        let lost = lost(&txn, names, captures).await?;
        for (_, statements) in &lost {
            execute_all(&txn, statements).await?;
        }
        txn.commit().await?;
        Ok(lost.into_iter().map(|(table, _)| table).collect())
    };
    with_lock_retry(retry, attempt).await.map_err(|source| {
        let tables: Vec<&str> = captures.iter().map(|capture| &*capture.table.name).collect();
        Error::of_change(&tables.join(", "), retry, source)
    })
}

async fn lost<C: ConnectionTrait>(
    db: &C,
    names: &Names,
    captures: &[Capture],
) -> Result<Vec<(String, Vec<String>)>, DbErr> {
    let present = present(db, names).await?;
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table'";
    let tables = texts(db, names, sql, Vec::new(), 1).await?.concat();
    let mut lost = Vec::new();
    for capture in captures
        .iter()
        .filter(|capture| tables.contains(&capture.table.name))
    {
        let wanted = triggers(names, capture);
        let found = present.get(&capture.table.name).cloned().unwrap_or_default();
        if found.len() >= wanted.len() {
            continue;
        }
        let mut statements = replacement(&found, &wanted);
        statements.push(mark(names, capture));
        lost.push((capture.name.clone(), statements));
    }
    Ok(lost)
}

/// Asks for a rebuild of the documents over a table: a trigger was missing.
fn mark(names: &Names, capture: &Capture) -> String {
    format!(
        "INSERT INTO {} (kind, table_name, changes, lane, at) VALUES ('truncate', {}, '[]', 'bulk', {})",
        names.table("outbox"),
        DIALECT.literal(&capture.name),
        DIALECT.now()
    )
}

/// The fingerprint is that of the text in `sqlite_master`, so whatever rewrote a trigger is seen.
pub(super) async fn installed<C: ConnectionTrait>(
    db: &C,
    names: &Names,
) -> Result<BTreeMap<TableName, String>, DbErr> {
    let texts = |triggers: Vec<(String, String)>| {
        let texts: Vec<String> = triggers.into_iter().map(|(_, sql)| sql).collect();
        hash(texts.join("\n"))
    };
    let named = |table| TableName { schema: None, table };
    let present = present(db, names).await?;
    Ok(present
        .into_iter()
        .map(|(table, triggers)| (named(table), texts(triggers)))
        .collect())
}

fn prefix(names: &Names) -> String {
    format!("{}_capture_", names.name())
}

fn trigger_name(names: &Names, table: &str, operation: &str) -> String {
    format!("{}{table}_{operation}", prefix(names))
}

/// Name and text of each trigger, in the order of the names.
fn triggers(names: &Names, capture: &Capture) -> Vec<(String, String)> {
    let events = [
        ("delete", "AFTER DELETE", String::new(), deleted(capture)),
        ("insert", "AFTER INSERT", String::new(), inserted(capture)),
        ("update", "AFTER UPDATE", when_changed(capture), updated(capture)),
    ];
    let mut triggers: Vec<(String, String)> = events
        .into_iter()
        .map(|(suffix, event, when, change)| {
            let rows = format!("VALUES ({})", values(capture, &change));
            trigger(names, capture, suffix, event, &when, &rows)
        })
        .collect();
    let keys = keys(capture);
    if !keys.is_empty() {
        for (suffix, event, is_update) in [
            ("before_insert", "BEFORE INSERT", false),
            ("before_update", "BEFORE UPDATE", true),
        ] {
            let rows = taken(capture, &keys, is_update);
            triggers.push(trigger(names, capture, suffix, event, "", &rows));
        }
    }
    triggers.sort();
    triggers
}

fn trigger(
    names: &Names,
    capture: &Capture,
    suffix: &str,
    event: &str,
    when: &str,
    rows: &str,
) -> (String, String) {
    let name = trigger_name(names, &capture.table.name, suffix);
    let sql = format!(
        "CREATE TRIGGER {trigger} {event} ON {table}{when}\nBEGIN\n  \
         INSERT INTO {outbox} (kind, table_name, changes, lane, at)\n  {rows};\nEND",
        trigger = DIALECT.quote(&name),
        table = DIALECT.quote(&capture.table.name),
        outbox = names.table("outbox"),
    );
    (name, sql)
}

fn values(capture: &Capture, change: &str) -> String {
    format!(
        "'rows', {name}, '[' || {change} || ']', 'live', {now}",
        name = DIALECT.literal(&capture.name),
        now = DIALECT.now(),
    )
}

fn inserted(capture: &Capture) -> String {
    format!("'{{\"n\":' || {} || '}}'", image(capture, "NEW"))
}

fn deleted(capture: &Capture) -> String {
    format!("'{{\"o\":' || {} || '}}'", image(capture, "OLD"))
}

/// Column sets by which a new row can take the place of another one.
fn keys(capture: &Capture) -> Vec<&[usize]> {
    let table = &capture.table;
    let keys = std::iter::once(&table.primary_key).chain(&table.unique);
    keys.map(Vec::as_slice).filter(|key| !key.is_empty()).collect()
}

/// The rows whose key the new row takes, each looked up by its index. An update takes them only where it changes the key.
fn taken(capture: &Capture, keys: &[&[usize]], is_update: bool) -> String {
    let conflict = |key: &&[usize]| {
        let all = |left: &str, operator: &str| {
            let each = key.iter().map(|&column| {
                let column = DIALECT.quote(capture.column(column));
                format!("{left}.{column} {operator} NEW.{column}")
            });
            each.collect::<Vec<_>>().join(" AND ")
        };
        match is_update {
            true => format!("({} AND NOT ({}))", all("taken", "="), all("OLD", "IS")),
            false => format!("({})", all("taken", "=")),
        }
    };
    let change = format!("'{{\"o\":' || {} || '}}'", image(capture, "taken"));
    format!(
        "SELECT {} FROM {} AS taken\n  WHERE {}",
        values(capture, &change),
        DIALECT.quote(&capture.table.name),
        keys.iter().map(conflict).collect::<Vec<_>>().join(" OR "),
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
