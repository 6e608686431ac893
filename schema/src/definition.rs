//! Definitions: each document as a numbered row. Workers run the newest and check, in every transaction, that it
//! still is (law 10).

use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use crate::shape::Shape;
use crate::store::{Store, rows_parameter};

#[derive(Debug, Clone)]
pub struct Definition {
    pub document: String,
    pub number: i64,
    /// Of everything that the result depends on; equal means: nothing to rebuild.
    pub fingerprint: String,
    pub yaml: String,
    pub shape: Shape,
}

/// All current definitions.
///
/// # Errors
/// Of the database; [`DbErr::Json`] where a shape was written by an incompatible version.
pub async fn all(conn: &impl ConnectionTrait, store: &Store) -> Result<Vec<Definition>, DbErr> {
    let sql = format!(
        "SELECT document, number, fingerprint, yaml, shape FROM {} ORDER BY document",
        store.names.table("definition")
    );
    conn.query_all_raw(store.sql(sql, []))
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Document names and numbers: what workers look at every second or two.
pub async fn numbers(conn: &impl ConnectionTrait, store: &Store) -> Result<Vec<(String, i64)>, DbErr> {
    let sql = format!(
        "SELECT document, number FROM {} ORDER BY document",
        store.names.table("definition")
    );
    pairs(conn.query_all_raw(store.sql(sql, [])).await?)
}

/// As [`numbers`], and keeps them from changing until the transaction ends.
pub async fn hold_all(txn: &impl ConnectionTrait, store: &Store) -> Result<Vec<(String, i64)>, DbErr> {
    let sql = format!(
        "SELECT document, number FROM {} ORDER BY document{}",
        store.names.table("definition"),
        store.dialect().for_share()
    );
    pairs(txn.query_all_raw(store.sql(sql, [])).await?)
}

/// The current number of one document, kept from changing until the transaction ends; `None` where it is gone.
pub async fn hold(txn: &impl ConnectionTrait, store: &Store, document: &str) -> Result<Option<i64>, DbErr> {
    let sql = format!(
        "SELECT number FROM {} WHERE document = $1{}",
        store.names.table("definition"),
        store.dialect().for_share()
    );
    let row = txn.query_one_raw(store.sql(sql, [document.into()])).await?;
    row.map(|row| row.try_get("", "number")).transpose()
}

/// Stores a definition as the document's newest, keeping the old one in the history. Gives its number.
pub async fn raise(txn: &impl ConnectionTrait, store: &Store, definition: &Definition) -> Result<i64, DbErr> {
    let (table, history) = (
        store.names.table("definition"),
        store.names.table("definition_history"),
    );
    let now = store.dialect().now();
    txn.execute_raw(store.sql(
        format!("INSERT INTO {history} (document, number, yaml, applied_at) SELECT document, number, yaml, applied_at FROM {table} WHERE document = $1"),
        [definition.document.as_str().into()],
    ))
    .await?;
    let shape = serde_json::to_string(&definition.shape).map_err(|e| DbErr::Json(e.to_string()))?;
    let sql = format!(
        "INSERT INTO {table} AS d (document, number, fingerprint, yaml, shape, applied_at) VALUES ($1, \
         (SELECT coalesce(max(number), 0) + 1 FROM {history} WHERE document = $1), $2, $3, $4, {now}) \
         ON CONFLICT (document) DO UPDATE SET number = d.number + 1, fingerprint = excluded.fingerprint, yaml = excluded.yaml, \
         shape = excluded.shape, applied_at = excluded.applied_at RETURNING number"
    );
    let values = [
        definition.document.as_str().into(),
        definition.fingerprint.as_str().into(),
        definition.yaml.as_str().into(),
        shape.into(),
    ];
    let row = txn.query_one_raw(store.sql(sql, values)).await?;
    row.ok_or_else(|| DbErr::RecordNotInserted)?.try_get("", "number")
}

/// Takes documents away that are declared no more; their history stays.
pub async fn remove(txn: &impl ConnectionTrait, store: &Store, documents: &[String]) -> Result<(), DbErr> {
    let (table, history) = (
        store.names.table("definition"),
        store.names.table("definition_history"),
    );
    let names = store.dialect().rows(1, 1, "n");
    for sql in [
        format!(
            "INSERT INTO {history} (document, number, yaml, applied_at) SELECT document, number, yaml, applied_at FROM {table} \
             WHERE document IN (SELECT c0 FROM {names})"
        ),
        format!("DELETE FROM {table} WHERE document IN (SELECT c0 FROM {names})"),
    ] {
        txn.execute_raw(store.sql(sql, [rows_parameter(documents.iter().map(|d| [Some(d.clone())]))]))
            .await?;
    }
    Ok(())
}

/// Takes older definitions out of the history that were applied before this moment, at most `limit`; the newest one of each
/// document stays, since numbers go on from it. Gives how many.
///
/// # Errors
/// Of the database.
pub async fn purge(store: &Store, before: i64, limit: u64) -> Result<u64, DbErr> {
    let history = store.names.table("definition_history");
    let sql = format!(
        "DELETE FROM {history} WHERE id IN (SELECT h.id FROM {history} h WHERE h.applied_at < $1 AND EXISTS \
         (SELECT 1 FROM {history} n WHERE n.document = h.document AND n.number > h.number) ORDER BY h.id LIMIT {limit})"
    );
    Ok(store
        .write
        .execute_raw(store.sql(sql, [before.into()]))
        .await?
        .rows_affected())
}

fn read(row: &QueryResult) -> Result<Definition, DbErr> {
    let shape: String = row.try_get("", "shape")?;
    Ok(Definition {
        document: row.try_get("", "document")?,
        number: row.try_get("", "number")?,
        fingerprint: row.try_get("", "fingerprint")?,
        yaml: row.try_get("", "yaml")?,
        shape: serde_json::from_str(&shape).map_err(|e| DbErr::Json(e.to_string()))?,
    })
}

fn pairs(rows: Vec<QueryResult>) -> Result<Vec<(String, i64)>, DbErr> {
    rows.iter()
        .map(|row| Ok((row.try_get("", "document")?, row.try_get("", "number")?)))
        .collect()
}
