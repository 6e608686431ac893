//! What is known of each target itself: what it was when it was looked at last, and, for one that may lose writes, the lowest
//! revision that was applied to it between two marks. A mark is a moment that stands in the target too: what a target
//! has of it tells how far back it went.

use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use crate::store::{Store, scalar};

/// How long it is known what was applied between two marks, in microseconds. A target that went back further gets
/// everything again.
const KEPT: i64 = 3_600_000_000;

/// A look that begins.
#[derive(Debug, Clone)]
pub struct Look {
    /// The mark that the target may hold from now on.
    pub mark: i64,
    /// The highest that it may hold now.
    pub highest: i64,
    /// What the last look saw, in the target's own words; empty at first.
    pub state: String,
    /// Losses that were found and not answered yet, in JSON; empty: none.
    pub pending: String,
}

/// A target as `status` shows it. Times in microseconds.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Health {
    pub target: String,
    /// When it was looked at last and answered.
    pub looked_at: Option<i64>,
    /// Why it could not be looked at since.
    pub error: Option<String>,
    /// When it was found to have lost something, and what.
    pub lost_at: Option<i64>,
    pub loss: Option<String>,
}

/// Begins a look: opens the next interval. It is committed before the target gets its mark, so what was applied after the
/// mark is noted in this interval or a later one.
///
/// # Errors
/// Of the database.
pub async fn open(store: &Store, target: &str) -> Result<Look, DbErr> {
    let (health, applied, now) = (
        store.names.table("health"),
        store.names.table("applied"),
        store.dialect().now(),
    );
    let txn = store.begin().await?;
    let run = |sql: String| txn.execute_raw(store.sql(sql, [target.into()]));
    run(format!(
        "INSERT INTO {health} (target, opened, state, pending) VALUES ($1, 0, '', '') ON CONFLICT (target) DO NOTHING"
    ))
    .await?;
    let sql = format!(
        "SELECT opened, state, pending FROM {health} WHERE target = $1{}",
        store.dialect().for_update()
    );
    let row = txn.query_one_raw(store.sql(sql, [target.into()])).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound(format!("health of {target}")))?;
    run(format!(
        "INSERT INTO {applied} (target, opened, low) SELECT target, opened, low FROM {health} \
         WHERE target = $1 AND low IS NOT NULL"
    ))
    .await?;
    run(format!(
        "DELETE FROM {applied} WHERE target = $1 AND opened < {now} - {KEPT}"
    ))
    .await?;
    let sql = format!(
        "UPDATE {health} SET opened = {greatest}(opened + 1, {now}), low = NULL WHERE target = $1 RETURNING opened AS v",
        greatest = store.dialect().greatest()
    );
    let mark = scalar(&txn, store.sql(sql, [target.into()])).await?;
    txn.commit().await?;
    Ok(Look {
        mark,
        highest: row.try_get("", "opened")?,
        state: row.try_get("", "state")?,
        pending: row.try_get("", "pending")?,
    })
}

/// Notes that something of this revision was applied to a target. By a statement of its own, after the target has answered
/// and before the ledger row goes: whoever looks for what was applied after the row could go no more finds it.
///
/// # Errors
/// Of the database.
pub async fn applied(store: &Store, target: &str, revision: i64) -> Result<(), DbErr> {
    let sql = format!(
        "UPDATE {} SET low = $2 WHERE target = $1 AND (low IS NULL OR low > $2)",
        store.names.table("health")
    );
    store
        .write
        .execute_raw(store.sql(sql, [target.into(), revision.into()]))
        .await?;
    Ok(())
}

/// What a target may have lost that holds a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Nothing was applied after it.
    Nothing,
    /// This revision and higher ones.
    Revision(i64),
    /// It is not known any more.
    Everything,
}

/// What was applied after a mark was written.
///
/// # Errors
/// Of the database.
pub async fn since(
    conn: &impl ConnectionTrait,
    store: &Store,
    target: &str,
    mark: i64,
) -> Result<Since, DbErr> {
    if mark < store.now().await? - KEPT {
        return Ok(Since::Everything);
    }
    let sql = format!(
        "SELECT min(low) AS low FROM (SELECT low FROM {} WHERE target = $1 AND opened >= $2 \
         UNION ALL SELECT low FROM {} WHERE target = $1) AS lows",
        store.names.table("applied"),
        store.names.table("health")
    );
    let row = conn
        .query_one_raw(store.sql(sql, [target.into(), mark.into()]))
        .await?;
    let low: Option<i64> = row.map(|row| row.try_get("", "low")).transpose()?.flatten();
    Ok(low.map_or(Since::Nothing, Since::Revision))
}

/// Notes what a look saw, and what is to be answered. False: another look has begun since, and nothing was noted.
///
/// # Errors
/// Of the database.
pub async fn note(
    conn: &impl ConnectionTrait,
    store: &Store,
    target: &str,
    look: &Look,
) -> Result<bool, DbErr> {
    let sql = format!(
        "UPDATE {} SET state = $3, pending = $4, looked_at = {}, error = NULL WHERE target = $1 AND opened = $2",
        store.names.table("health"),
        store.dialect().now()
    );
    let values = [
        target.into(),
        look.mark.into(),
        look.state.as_str().into(),
        look.pending.as_str().into(),
    ];
    Ok(conn.execute_raw(store.sql(sql, values)).await?.rows_affected() == 1)
}

/// Notes for people what was lost.
///
/// # Errors
/// Of the database.
pub async fn tell(conn: &impl ConnectionTrait, store: &Store, target: &str, loss: &str) -> Result<(), DbErr> {
    let sql = format!(
        "UPDATE {} SET lost_at = {}, loss = $2 WHERE target = $1",
        store.names.table("health"),
        store.dialect().now()
    );
    conn.execute_raw(store.sql(sql, [target.into(), loss.into()]))
        .await?;
    Ok(())
}

/// Notes why a target could not be looked at.
///
/// # Errors
/// Of the database.
pub async fn fail(store: &Store, target: &str, error: &str) -> Result<(), DbErr> {
    let sql = format!(
        "UPDATE {} SET error = $2 WHERE target = $1",
        store.names.table("health")
    );
    store
        .write
        .execute_raw(store.sql(sql, [target.into(), error.into()]))
        .await?;
    Ok(())
}

/// All targets that were ever looked at.
///
/// # Errors
/// Of the database.
pub async fn all(conn: &impl ConnectionTrait, store: &Store) -> Result<Vec<Health>, DbErr> {
    let sql = format!(
        "SELECT target, looked_at, error, lost_at, loss FROM {} ORDER BY target",
        store.names.table("health")
    );
    let read = |row: &QueryResult| {
        Ok(Health {
            target: row.try_get("", "target")?,
            looked_at: row.try_get("", "looked_at")?,
            error: row.try_get("", "error")?,
            lost_at: row.try_get("", "lost_at")?,
            loss: row.try_get("", "loss")?,
        })
    };
    conn.query_all_raw(store.sql(sql, []))
        .await?
        .iter()
        .map(read)
        .collect()
}
