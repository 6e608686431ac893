//! Rows of now, by root, by key and in pages.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::{Kind, Known, Row, written};
use crate::store::{Store, rows_parameter, texts};
use crate::wire::Selection;

/// All mirror rows of these roots, tombstones included.
pub async fn of_roots(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    roots: &[String],
) -> Result<Vec<Known>, DbErr> {
    let (mirror, dialect) = (store.names.mirror(document), store.dialect());
    let sql = dialect.among(
        &mirror,
        "key, root, kind, hash, revision, definition, deleted_at",
        "root",
        1,
        "",
    );
    let rows = conn
        .query_all_raw(store.sql(sql, [texts(dialect, roots)]))
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Known {
                key: row.try_get("", "key")?,
                root: row.try_get("", "root")?,
                kind: Kind::of(row)?,
                hash: row.try_get("", "hash")?,
                revision: row.try_get("", "revision")?,
                definition: row.try_get("", "definition")?,
                deleted: row.try_get::<Option<i64>>("", "deleted_at")?.is_some(),
            })
        })
        .collect()
}

/// Which of these keys stand live.
pub async fn live(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    keys: &[String],
) -> Result<Vec<String>, DbErr> {
    keys_where(conn, store, document, keys, "deleted_at IS NULL").await
}

/// Which of these keys stand live, with the roots that hold them.
pub async fn holders(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    keys: &[String],
) -> Result<Vec<(String, String)>, DbErr> {
    let sql = format!(
        "SELECT key, root FROM {} WHERE deleted_at IS NULL AND root IS NOT NULL AND {}",
        store.names.mirror(document),
        store.dialect().is_among("key", 1)
    );
    let rows = conn
        .query_all_raw(store.sql(sql, [texts(store.dialect(), keys)]))
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("", "key")?, row.try_get("", "root")?)))
        .collect()
}

/// Which of these keys have a row, tombstones included.
pub async fn existing(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    keys: &[String],
) -> Result<Vec<String>, DbErr> {
    keys_where(conn, store, document, keys, "true").await
}

async fn keys_where(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    keys: &[String],
    condition: &str,
) -> Result<Vec<String>, DbErr> {
    let (mirror, dialect) = (store.names.mirror(document), store.dialect());
    let sql = format!(
        "SELECT key FROM {mirror} WHERE {condition} AND {}",
        dialect.is_among("key", 1)
    );
    let rows = conn.query_all_raw(store.sql(sql, [texts(dialect, keys)])).await?;
    rows.iter().map(|row| row.try_get("", "key")).collect()
}

/// Rows of now for these keys; absent keys are left out.
pub async fn by_keys(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    keys: &[String],
) -> Result<Vec<Row>, DbErr> {
    let (mirror, dialect) = (store.names.mirror(document), store.dialect());
    let keys = distinct(keys);
    let sql = dialect.among(
        &mirror,
        "key, root, kind, body, hash, revision, deleted_at",
        "key",
        1,
        "",
    );
    let rows = conn
        .query_all_raw(store.sql(sql, [texts(dialect, &keys)]))
        .await?;
    rows.iter().map(row).collect()
}

/// Revisions of now for these keys, tombstones included; absent keys are left out.
pub async fn revisions(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    keys: &[String],
) -> Result<Vec<(String, i64)>, DbErr> {
    let (mirror, dialect) = (store.names.mirror(document), store.dialect());
    let sql = format!(
        "SELECT key, revision FROM {mirror} WHERE {}",
        dialect.is_among("key", 1)
    );
    written(conn.query_all_raw(store.sql(sql, [texts(dialect, keys)])).await?)
}

/// A page of the rows that are selected, in key order after `after`, tombstones included.
pub async fn page(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    page: &Page<'_>,
) -> Result<Vec<(String, i64)>, DbErr> {
    let mirror = store.names.mirror(document);
    let Selection {
        since,
        from_revision,
        deleted_since,
        roots,
        ..
    } = page.selection;
    let mut values: Vec<Value> = vec![page.after.unwrap_or_default().into()];
    let mut filter = String::new();
    for (column, least) in [
        ("changed_at", since),
        ("revision", from_revision),
        ("deleted_at", deleted_since),
    ] {
        if let Some(least) = least {
            values.push((*least).into());
            filter.push_str(&format!(" AND {column} >= ${}", values.len()));
        }
    }
    if let Some(roots) = roots {
        values.push(rows_parameter(roots.iter().map(|r| [Some(r.clone())])));
        let rows = store.dialect().rows(values.len(), 1, "r");
        filter.push_str(&format!(" AND root IN (SELECT c0 FROM {rows})"));
    }
    let sql = format!(
        "SELECT key, revision FROM {mirror} WHERE key > $1{filter} ORDER BY key LIMIT {}",
        page.limit
    );
    written(conn.query_all_raw(store.sql(sql, values)).await?)
}

/// Where a walk over a mirror stands.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    pub after: Option<&'a str>,
    /// `only` is left to the caller, who can read keys.
    pub selection: &'a Selection,
    pub limit: u64,
}

/// A page of rows with bodies, in key order: for `verify`. At most `limit`, and `bytes` of bodies but for the last.
pub async fn full_page(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    after: &str,
    limit: u64,
    bytes: u32,
) -> Result<Vec<Row>, DbErr> {
    let sql = format!(
        "SELECT key, root, kind, body, hash, revision, deleted_at FROM ( \
         SELECT p.*, sum(octet_length(body)) OVER (ORDER BY key ROWS UNBOUNDED PRECEDING) - octet_length(body) AS before FROM ( \
         SELECT key, root, kind, body, hash, revision, deleted_at FROM {} WHERE key > $1 ORDER BY key LIMIT {limit}) AS p) AS s \
         WHERE before < {bytes} ORDER BY key",
        store.names.mirror(document)
    );
    conn.query_all_raw(store.sql(sql, [after.into()]))
        .await?
        .iter()
        .map(row)
        .collect()
}

/// A row with a revision above a known one.
#[derive(Debug, Clone)]
pub struct Touched {
    pub key: String,
    pub root: Option<String>,
    pub revision: i64,
    pub deleted: bool,
}

/// All rows with a higher revision than this, in key order. Meant for small mirrors: it holds them all.
pub async fn touched(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    above: i64,
) -> Result<Vec<Touched>, DbErr> {
    let sql = format!(
        "SELECT key, root, revision, deleted_at FROM {} WHERE revision > $1 ORDER BY key",
        store.names.mirror(document)
    );
    let rows = conn.query_all_raw(store.sql(sql, [above.into()])).await?;
    rows.iter()
        .map(|row| {
            Ok(Touched {
                key: row.try_get("", "key")?,
                root: row.try_get("", "root")?,
                revision: row.try_get("", "revision")?,
                deleted: row.try_get::<Option<i64>>("", "deleted_at")?.is_some(),
            })
        })
        .collect()
}

/// How many rows a mirror has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub live: i64,
    pub tombstones: i64,
    /// Live rows that no publisher has compared by this definition yet.
    pub behind: i64,
}

/// Counts the rows of a document, against the number of its definition.
pub async fn counts(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    definition: i64,
) -> Result<Counts, DbErr> {
    let sql = format!(
        "SELECT count(*) AS total, count(deleted_at) AS dead, \
         count(CASE WHEN deleted_at IS NULL AND definition < $1 THEN 1 END) AS behind FROM {}",
        store.names.mirror(document)
    );
    let row = conn
        .query_one_raw(store.sql(sql, [definition.into()]))
        .await?
        .ok_or_else(|| DbErr::RecordNotFound(document.to_owned()))?;
    let (total, tombstones): (i64, i64) = (row.try_get("", "total")?, row.try_get("", "dead")?);
    Ok(Counts {
        live: total - tombstones,
        tombstones,
        behind: row.try_get("", "behind")?,
    })
}

/// Each key once, in order.
pub(super) fn distinct(keys: &[String]) -> Vec<&str> {
    let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

pub(super) fn row(row: &QueryResult) -> Result<Row, DbErr> {
    Ok(Row {
        key: row.try_get("", "key")?,
        root: row.try_get("", "root")?,
        kind: Kind::of(row)?,
        body: row.try_get("", "body")?,
        hash: row.try_get("", "hash")?,
        revision: row.try_get("", "revision")?,
        deleted: row.try_get::<Option<i64>>("", "deleted_at")?.is_some(),
    })
}
