//! Documents that are declared no more while something of them stands: mirror, queues, entries of targets. A row says
//! what such a document was, which nothing else knows any more, and whether a person has agreed that all of it goes.

use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use crate::definition::Definition;
use crate::dialect::Dialect;
use crate::names::Names;
use crate::shape::Shape;
use crate::store::{Store, scalar};

#[derive(Debug, Clone)]
pub struct Removed {
    pub document: String,
    /// As it was declared last.
    pub shape: Shape,
    /// When it was declared no more, in microseconds.
    pub since: i64,
    /// When a person agreed that it goes; `None`: it stays.
    pub agreed_at: Option<i64>,
}

/// Makes the table.
pub(crate) fn create(names: &Names) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (document text NOT NULL PRIMARY KEY, shape text NOT NULL, since bigint NOT NULL, \
         agreed_at bigint)",
        names.table("removal")
    )
}

/// All that stand, by name.
///
/// # Errors
/// Of the database; [`DbErr::Json`] where a shape was written by an incompatible version.
pub async fn all(conn: &impl ConnectionTrait, store: &Store) -> Result<Vec<Removed>, DbErr> {
    let sql = format!(
        "SELECT document, shape, since, agreed_at FROM {} ORDER BY document",
        store.names.table("removal")
    );
    let rows = conn.query_all_raw(store.sql(sql, [])).await?;
    rows.iter().map(read).collect()
}

/// Notes that a document is declared no more.
///
/// # Errors
/// Of the database.
pub async fn note(txn: &impl ConnectionTrait, store: &Store, was: &Definition) -> Result<(), DbErr> {
    let shape = serde_json::to_string(&was.shape).map_err(|e| DbErr::Json(e.to_string()))?;
    let sql = format!(
        "INSERT INTO {} (document, shape, since) VALUES ($1, $2, {}) ON CONFLICT (document) DO UPDATE \
         SET shape = excluded.shape, since = excluded.since, agreed_at = NULL",
        store.names.table("removal"),
        store.dialect().now()
    );
    txn.execute_raw(store.sql(sql, [was.document.as_str().into(), shape.into()]))
        .await?;
    Ok(())
}

/// Notes that all of it goes.
///
/// # Errors
/// Of the database.
pub async fn agree(txn: &impl ConnectionTrait, store: &Store, document: &str) -> Result<(), DbErr> {
    let sql = format!(
        "UPDATE {} SET agreed_at = coalesce(agreed_at, {}) WHERE document = $1",
        store.names.table("removal"),
        store.dialect().now()
    );
    txn.execute_raw(store.sql(sql, [document.into()])).await?;
    Ok(())
}

/// Takes the note away, and gives whether one stood: the document is declared again, or nothing of it is left. Of two that
/// do this at once, one waits for the other.
///
/// # Errors
/// Of the database.
pub async fn end(txn: &impl ConnectionTrait, store: &Store, document: &str) -> Result<bool, DbErr> {
    let sql = format!("DELETE FROM {} WHERE document = $1", store.names.table("removal"));
    let done = txn.execute_raw(store.sql(sql, [document.into()])).await?;
    Ok(done.rows_affected() == 1)
}

/// Whether the mirror holds a revision that the database clock has not reached. A new mirror begins at the clock, so its
/// revisions would be lower than those that targets remember.
///
/// # Errors
/// Of the database.
pub async fn is_ahead(conn: &impl ConnectionTrait, store: &Store, document: &str) -> Result<bool, DbErr> {
    let sql = format!(
        "SELECT count(*) AS v FROM (SELECT 1 FROM {} WHERE revision >= {} LIMIT 1) a",
        store.names.mirror(document),
        store.dialect().now()
    );
    Ok(scalar(conn, store.sql(sql, [])).await? > 0)
}

/// Drops the document's own tables, and all that stands of it in others. Its history stays.
///
/// # Errors
/// Of the database: on PostgreSQL also where somebody reads the tables for longer than 300 ms.
pub async fn drop_tables(txn: &impl ConnectionTrait, store: &Store, document: &str) -> Result<(), DbErr> {
    if store.dialect() == Dialect::Postgres {
        txn.execute_unprepared("SET LOCAL lock_timeout = '300ms'").await?;
    }
    for table in [store.names.mirror(document), store.names.root(document)] {
        txn.execute_unprepared(&format!("DROP TABLE IF EXISTS {table}"))
            .await?;
    }
    for table in ["ledger", "failure"] {
        let sql = format!("DELETE FROM {} WHERE document = $1", store.names.table(table));
        txn.execute_raw(store.sql(sql, [document.into()])).await?;
    }
    Ok(())
}

fn read(row: &QueryResult) -> Result<Removed, DbErr> {
    let shape: String = row.try_get("", "shape")?;
    Ok(Removed {
        document: row.try_get("", "document")?,
        shape: serde_json::from_str(&shape).map_err(|e| DbErr::Json(e.to_string()))?,
        since: row.try_get("", "since")?,
        agreed_at: row.try_get("", "agreed_at")?,
    })
}
