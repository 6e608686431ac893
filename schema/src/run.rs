//! Long operations (`publish`, `resync`): how far they are, over all workers.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use crate::store::{Store, numbers};

#[derive(Debug, Clone, serde::Serialize)]
pub struct Run {
    pub id: i64,
    pub kind: String,
    pub document: String,
    pub target: Option<String>,
    /// Items found so far.
    pub total: i64,
    pub done: i64,
    pub failed: i64,
    pub started_at: i64,
    pub finished_at: Option<i64>,
}

/// Begins a run and gives its id.
pub async fn begin(
    conn: &impl ConnectionTrait,
    store: &Store,
    kind: &str,
    document: &str,
    target: Option<&str>,
) -> Result<i64, DbErr> {
    let sql = format!(
        "INSERT INTO {} (kind, document, target, total, started_at) VALUES ($1, $2, $3, 0, {}) RETURNING id",
        store.names.table("run"),
        store.dialect().now()
    );
    let values = [kind.into(), document.into(), target.map(str::to_owned).into()];
    conn.query_one_raw(store.sql(sql, values))
        .await?
        .ok_or(DbErr::RecordNotInserted)?
        .try_get("", "id")
}

/// Counts items found, done and failed, in the transaction that makes it so.
pub async fn count(
    txn: &impl ConnectionTrait,
    store: &Store,
    run: i64,
    found: i64,
    done: i64,
    failed: i64,
) -> Result<(), DbErr> {
    let sql = format!(
        "UPDATE {} SET total = coalesce(total, 0) + $2, done = done + $3, failed = failed + $4 WHERE id = $1",
        store.names.table("run")
    );
    txn.execute_raw(store.sql(sql, [run.into(), found.into(), done.into(), failed.into()]))
        .await?;
    Ok(())
}

/// Marks runs as finished that have no ledger row left.
pub async fn finish_quiet(store: &Store) -> Result<(), DbErr> {
    let sql = format!(
        "UPDATE {run} SET finished_at = {now} WHERE finished_at IS NULL AND NOT EXISTS (SELECT 1 FROM {ledger} l WHERE l.run = {run}.id)",
        run = store.names.table("run"),
        ledger = store.names.table("ledger"),
        now = store.dialect().now()
    );
    store.write.execute_raw(store.sql(sql, [])).await?;
    Ok(())
}

/// Takes runs away that ended before this moment, but for these, at most `limit`. Gives how many.
///
/// # Errors
/// Of the database.
pub async fn purge(store: &Store, before: i64, except: &[i64], limit: u64) -> Result<u64, DbErr> {
    let run = store.names.table("run");
    let sql = format!(
        "DELETE FROM {run} WHERE id IN (SELECT id FROM {run} WHERE finished_at < $1 AND NOT ({}) ORDER BY id LIMIT {limit})",
        store.dialect().is_among("id", 2)
    );
    let values = [before.into(), numbers(store.dialect(), except)];
    Ok(store
        .write
        .execute_raw(store.sql(sql, values))
        .await?
        .rows_affected())
}

/// How many repairs of each target go on.
///
/// # Errors
/// Of the database.
pub async fn repairs(conn: &impl ConnectionTrait, store: &Store) -> Result<BTreeMap<String, i64>, DbErr> {
    let sql = format!(
        "SELECT target, count(*) AS n FROM {} WHERE kind = 'repair' AND finished_at IS NULL AND target IS NOT NULL GROUP BY target",
        store.names.table("run")
    );
    let rows = conn.query_all_raw(store.sql(sql, [])).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("", "target")?, row.try_get("", "n")?)))
        .collect()
}

/// One run; `None` where there is none of this number.
pub async fn find(conn: &impl ConnectionTrait, store: &Store, id: i64) -> Result<Option<Run>, DbErr> {
    let sql = format!("{} WHERE id = $1", select(store));
    let row = conn.query_one_raw(store.sql(sql, [id.into()])).await?;
    row.as_ref().map(read).transpose()
}

/// Whether a rebuild of the document is under way.
pub async fn is_rebuilding(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
) -> Result<bool, DbErr> {
    let sql = format!(
        "SELECT 1 AS one FROM {} WHERE document = $1 AND kind = 'publish' AND finished_at IS NULL LIMIT 1",
        store.names.table("run")
    );
    let row = conn.query_one_raw(store.sql(sql, [document.into()])).await?;
    Ok(row.is_some())
}

/// The newest runs, at most `limit`.
pub async fn list(conn: &impl ConnectionTrait, store: &Store, limit: u64) -> Result<Vec<Run>, DbErr> {
    let sql = format!("{} ORDER BY id DESC LIMIT {limit}", select(store));
    let rows = conn.query_all_raw(store.sql(sql, [])).await?;
    rows.iter().map(read).collect()
}

fn select(store: &Store) -> String {
    format!(
        "SELECT id, kind, document, target, coalesce(total, 0) AS total, done, failed, started_at, finished_at FROM {}",
        store.names.table("run")
    )
}

fn read(row: &QueryResult) -> Result<Run, DbErr> {
    Ok(Run {
        id: row.try_get("", "id")?,
        kind: row.try_get("", "kind")?,
        document: row.try_get("", "document")?,
        target: row.try_get("", "target")?,
        total: row.try_get("", "total")?,
        done: row.try_get("", "done")?,
        failed: row.try_get("", "failed")?,
        started_at: row.try_get("", "started_at")?,
        finished_at: row.try_get("", "finished_at")?,
    })
}
