//! The outbox: captured changes, committed with the data that changed. Claimed by deleting; no reader remembers a
//! last id, because ids do not commit in order.

use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use crate::dialect::Dialect;
use crate::names::Lane;
use crate::store::Store;

/// A captured statement (or up to 1,000 rows of one).
#[derive(Debug, Clone)]
pub struct OutboxRow {
    pub id: i64,
    pub kind: OutboxKind,
    pub table: String,
    /// JSON; what it holds depends on the kind.
    pub changes: String,
    pub lane: Lane,
    /// Microseconds by the database clock.
    pub at: i64,
    pub trace: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxKind {
    /// A list of `wire::RowChange`.
    Rows,
    /// Any row may have changed: the table was emptied, or rows came or went without a trigger.
    Truncate,
    /// The trigger could not do its work: `{"error", "state", "operation"}`.
    Broken,
    /// `pubsync.publish(document, ids)`: `{"document", "ids"}`.
    Publish,
    /// None of these, and why. `changes` is then what can be shown of it.
    Unreadable(String),
}

/// Most bytes of changes that one transaction takes, unless a single row has more.
const MAX_BYTES: i64 = 8 * 1024 * 1024;

/// Takes up to `limit` rows away, within the caller's transaction. Rows that others hold are skipped.
pub async fn take(conn: &impl ConnectionTrait, store: &Store, limit: u64) -> Result<Vec<OutboxRow>, DbErr> {
    let outbox = store.names.table("outbox");
    let sized = format!(
        "SELECT id FROM (SELECT id, sum(size) OVER (ORDER BY id) - size AS before FROM locked) s WHERE before < {MAX_BYTES}"
    );
    let sql = match store.dialect() {
        Dialect::Postgres => format!(
            "WITH locked AS MATERIALIZED (SELECT id, length(changes) AS size FROM {outbox} ORDER BY id LIMIT {limit} FOR UPDATE SKIP LOCKED) \
             DELETE FROM {outbox} WHERE id = ANY(ARRAY({sized})) RETURNING {COLUMNS}"
        ),
        Dialect::Sqlite => format!(
            "DELETE FROM {outbox} WHERE id IN (WITH locked AS (SELECT id, length(changes) AS size FROM {outbox} ORDER BY id LIMIT {limit}) {sized}) \
             RETURNING {COLUMNS_OF_ANY_TYPE}"
        ),
    };
    let rows = conn.query_all_raw(store.sql(sql, [])).await?;
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        out.push(read(&row, store.dialect())?);
    }
    out.sort_unstable_by_key(|row| row.id);
    Ok(out)
}

/// Whether anything waits: cheap enough to ask many times a second.
pub async fn waits(store: &Store) -> Result<bool, DbErr> {
    let sql = format!("SELECT id FROM {} LIMIT 1", store.names.table("outbox"));
    Ok(store.write.query_one_raw(store.sql(sql, [])).await?.is_some())
}

/// How many rows wait, and when the oldest of them was captured.
pub async fn load(store: &Store) -> Result<(i64, Option<i64>), DbErr> {
    let sql = format!(
        "SELECT count(*) AS total, min(at) AS oldest FROM {}",
        store.names.table("outbox")
    );
    match store.read.query_one_raw(store.sql(sql, [])).await? {
        Some(row) => Ok((row.try_get("", "total")?, row.try_get("", "oldest")?)),
        None => Ok((0, None)),
    }
}

const COLUMNS: &str = "id, kind, table_name, changes, lane, at, trace";

/// On SQLite a column holds what an application puts into it: a blob, a number, bytes that are no text.
const COLUMNS_OF_ANY_TYPE: &str = "id, CAST(kind AS blob) AS kind, CAST(table_name AS blob) AS table_name, \
    CAST(changes AS blob) AS changes, CAST(lane AS blob) AS lane, CAST(at AS integer) AS at, CAST(trace AS blob) AS trace";

/// Never fails for what stands in a row: nobody could take the rows behind it.
fn read(row: &QueryResult, dialect: Dialect) -> Result<OutboxRow, DbErr> {
    let mut torn = None;
    let mut text = |column: &'static str| -> Result<Option<String>, DbErr> {
        if dialect == Dialect::Postgres {
            return row.try_get("", column);
        }
        let bytes: Option<Vec<u8>> = row.try_get("", column)?;
        Ok(bytes.map(|bytes| {
            String::from_utf8(bytes).unwrap_or_else(|error| {
                torn = Some(format!("its {column} is no UTF-8"));
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            })
        }))
    };
    let (kind, table) = (text("kind")?, text("table_name")?.unwrap_or_default());
    let (changes, lane) = (text("changes")?.unwrap_or_default(), text("lane")?);
    let trace = text("trace")?;
    Ok(OutboxRow {
        id: row.try_get("", "id")?,
        kind: match torn {
            Some(why) => OutboxKind::Unreadable(why),
            None => OutboxKind::parse(&kind.unwrap_or_default()),
        },
        table,
        changes,
        lane: Lane::parse(&lane.unwrap_or_default()),
        at: row.try_get::<i64>("", "at")?.max(0),
        trace,
    })
}

impl OutboxKind {
    fn parse(text: &str) -> Self {
        match text {
            "rows" => Self::Rows,
            "truncate" => Self::Truncate,
            "broken" => Self::Broken,
            "publish" => Self::Publish,
            other => Self::Unreadable(format!("its kind {other:?} is none that this pubsync knows")),
        }
    }
}
