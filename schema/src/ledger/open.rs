//! Questions about what is open, for `status`, `wait` and back-pressure.

use sea_orm::{ConnectionTrait, DbErr};

use crate::pause::{Subject, paused_parameter};
use crate::store::{Store, numbers, scalar};

/// How a queue stands in the ledger.
#[derive(Debug, Clone, serde::Serialize)]
pub struct QueueLoad {
    pub queue: String,
    pub document: String,
    pub target: Option<String>,
    pub rows: i64,
    pub unclaimed: i64,
    pub outstanding: i64,
    pub oldest_changed_at: i64,
    /// Oldest claim or send.
    pub oldest_out: Option<i64>,
}

/// Load per queue, for the sweeper, `status` and back-pressure.
pub async fn load(store: &Store) -> Result<Vec<QueueLoad>, DbErr> {
    let sql = format!(
        "SELECT queue, document, target, count(*) AS total, count(*) - count(claimed_at) AS unclaimed, count(claimed_at) AS outstanding, \
         min(changed_at) AS oldest, min(coalesce(sent_at, claimed_at)) AS oldest_out \
         FROM {} GROUP BY queue, document, target ORDER BY queue",
        store.names.table("ledger")
    );
    let rows = store.read.query_all_raw(store.sql(sql, [])).await?;
    rows.iter()
        .map(|r| {
            Ok(QueueLoad {
                queue: r.try_get("", "queue")?,
                document: r.try_get("", "document")?,
                target: r.try_get("", "target")?,
                rows: r.try_get("", "total")?,
                unclaimed: r.try_get("", "unclaimed")?,
                outstanding: r.try_get("", "outstanding")?,
                oldest_changed_at: r.try_get("", "oldest")?,
                oldest_out: r.try_get("", "oldest_out")?,
            })
        })
        .collect()
}

/// Whether a committed outbox or ledger row has a change of this moment or older. Clocks may tick in milliseconds
/// (SQLite), so a change made right before the question carries the same moment.
pub async fn has_older(store: &Store, moment: i64) -> Result<bool, DbErr> {
    let sql = format!(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM {} WHERE at <= $1) OR EXISTS (SELECT 1 FROM {} WHERE changed_at <= $1) \
         THEN 1 ELSE 0 END AS v",
        store.names.table("outbox"),
        store.names.table("ledger")
    );
    // The writing pool: on SQLite it sees what its own process has just committed, without a stale reader between.
    let v: i32 = match store.write.query_one_raw(store.sql(sql, [moment.into()])).await? {
        Some(row) => row.try_get("", "v")?,
        None => 0,
    };
    Ok(v != 0)
}

/// The oldest change that a ledger or failure row of a document waits on; `None`: there is no such row.
///
/// # Errors
/// Of the database.
pub async fn oldest_open(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
) -> Result<Option<i64>, DbErr> {
    let sql = format!(
        "SELECT min(oldest) AS oldest FROM (SELECT min(changed_at) AS oldest FROM {} WHERE document = $1 \
         UNION ALL SELECT min(changed_at) FROM {} WHERE document = $1) AS open_work",
        store.names.table("ledger"),
        store.names.table("failure")
    );
    let row = conn.query_one_raw(store.sql(sql, [document.into()])).await?;
    Ok(row.map(|row| row.try_get("", "oldest")).transpose()?.flatten())
}

/// Whether work of the document for the target is open.
///
/// # Errors
/// Of the database.
pub async fn is_open(store: &Store, document: &str, target: &str) -> Result<bool, DbErr> {
    let sql = format!(
        "SELECT count(*) AS v FROM (SELECT 1 FROM {} WHERE document = $1 AND target = $2 LIMIT 1) o",
        store.names.table("ledger")
    );
    Ok(scalar(&store.write, store.sql(sql, [document.into(), target.into()])).await? > 0)
}

/// Rows that still belong to these runs.
pub async fn of_runs(store: &Store, runs: &[i64]) -> Result<i64, DbErr> {
    let sql = format!(
        "SELECT count(*) AS v FROM {} WHERE {}",
        store.names.table("ledger"),
        store.dialect().is_among("run", 1)
    );
    scalar(&store.write, store.sql(sql, [numbers(store.dialect(), runs)])).await
}

/// Rows in outbox and ledger that move by themselves: what is paused is left out.
pub async fn moving(store: &Store, paused: &[Subject]) -> Result<i64, DbErr> {
    let sql = format!(
        "SELECT (SELECT count(*) FROM {}) + (SELECT count(*) FROM {} \
         WHERE NOT EXISTS (SELECT 1 FROM {rows} WHERE p.c0 = target OR (target IS NULL AND p.c1 = document))) AS v",
        store.names.table("outbox"),
        store.names.table("ledger"),
        rows = store.dialect().rows(1, 2, "p"),
    );
    scalar(&store.write, store.sql(sql, [paused_parameter(paused)])).await
}
