//! How large rows are, and rows only as far as there is room for them: a row's length is known without reading its body.

use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use super::Row;
use super::read::{distinct, row};
use crate::store::{Store, texts};

/// How many bytes of bodies are read.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Of one row; a larger body stays where it is.
    pub each: usize,
    /// Of all rows together, but for the last.
    pub all: usize,
}

/// As [`super::by_keys`], in key order. Where there is no room for the body of a live row it is empty, which no document is.
///
/// # Errors
/// Of the database.
pub async fn by_keys_within(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    keys: &[String],
    room: Room,
) -> Result<Vec<Row>, DbErr> {
    let dialect = store.dialect();
    let keys = distinct(keys);
    let columns = "key, root, kind, body, hash, revision, deleted_at";
    let rows = dialect.among(&store.names.mirror(document), columns, "key", 1, "");
    let size = format!(
        "CASE WHEN octet_length(body) <= {} THEN octet_length(body) ELSE 0 END",
        room.each
    );
    let sql = format!(
        "SELECT key, root, kind, hash, revision, deleted_at, \
         CASE WHEN deleted_at IS NOT NULL OR (octet_length(body) <= {each} AND before < {all}) THEN body ELSE '' END AS body \
         FROM (SELECT {columns}, sum({size}) OVER (ORDER BY key ROWS UNBOUNDED PRECEDING) - {size} AS before FROM ({rows}) AS r) AS s \
         ORDER BY key",
        each = room.each,
        all = room.all,
    );
    let rows = conn
        .query_all_raw(store.sql(sql, [texts(dialect, &keys)]))
        .await?;
    rows.iter().map(row).collect()
}

/// Bytes of the bodies under these keys; absent keys are left out.
///
/// # Errors
/// Of the database.
pub async fn of_keys(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    keys: &[String],
) -> Result<Vec<(String, usize)>, DbErr> {
    let columns = "key AS name, CAST(octet_length(body) AS bigint) AS size";
    let sql = store
        .dialect()
        .among(&store.names.mirror(document), columns, "key", 1, "");
    let keys = distinct(keys);
    sizes(
        conn.query_all_raw(store.sql(sql, [texts(store.dialect(), &keys)]))
            .await?,
    )
}

/// Bytes of the bodies of each of these roots; roots without a row are left out.
///
/// # Errors
/// Of the database.
pub async fn per_root(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    roots: &[String],
) -> Result<Vec<(String, usize)>, DbErr> {
    let rows = store.dialect().among(
        &store.names.mirror(document),
        "root, octet_length(body) AS size",
        "root",
        1,
        "",
    );
    let sql =
        format!("SELECT root AS name, CAST(sum(size) AS bigint) AS size FROM ({rows}) AS r GROUP BY root");
    sizes(
        conn.query_all_raw(store.sql(sql, [texts(store.dialect(), roots)]))
            .await?,
    )
}

fn sizes(rows: Vec<QueryResult>) -> Result<Vec<(String, usize)>, DbErr> {
    let size = |row: &QueryResult| {
        let bytes: i64 = row.try_get("", "size")?;
        Ok((
            row.try_get("", "name")?,
            usize::try_from(bytes).unwrap_or_default(),
        ))
    };
    rows.iter().map(size).collect()
}
