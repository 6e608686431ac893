//! Mirror tables: the newest state of every document, tombstones included, with the revision that targets compare.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use crate::dialect::Dialect;
use crate::store::{Store, rows_parameter, texts};

/// A mirror row without its body: what a publisher compares with.
#[derive(Debug, Clone)]
pub struct Known {
    pub key: String,
    /// `None`: a tombstone that stands for an orphan of a target.
    pub root: Option<String>,
    pub hash: String,
    pub revision: i64,
    pub deleted: bool,
}

/// A mirror row with its body.
#[derive(Debug, Clone)]
pub struct Row {
    pub key: String,
    pub root: Option<String>,
    pub body: String,
    pub hash: String,
    pub revision: i64,
    pub deleted: bool,
}

/// A new state to write.
#[derive(Debug, Clone)]
pub struct Put<'a> {
    pub key: &'a str,
    pub root: &'a str,
    pub body: &'a str,
    pub hash: &'a str,
}

/// Locks the roots that will be rebuilt, in one order everywhere, making their lock rows where they are missing.
/// Every look at mirror and sources must be a statement begun after this one (law 2).
pub async fn lock_roots(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    roots: &[String],
) -> Result<(), DbErr> {
    let (table, dialect) = (store.names.root(document), store.dialect());
    let mut sorted: Vec<&str> = roots.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let list = || texts(dialect, &sorted);
    let insert = match dialect {
        Dialect::Postgres => format!(
            "INSERT INTO {table} (root, definition) SELECT c0, 0 FROM unnest($1) AS l(c0) ON CONFLICT (root) DO NOTHING"
        ),
        // `WHERE true` keeps SQLite from reading ON as a join condition.
        Dialect::Sqlite => format!(
            "INSERT INTO {table} (root, definition) SELECT value, 0 FROM json_each($1) WHERE true ON CONFLICT (root) DO NOTHING"
        ),
    };
    let made = txn
        .execute_raw(store.sql(insert, [list()]))
        .await?
        .rows_affected();
    // A root that this transaction has made is locked by that.
    if dialect == Dialect::Postgres && made < sorted.len() as u64 {
        let lock = dialect.among(&table, "root", "root", 1, dialect.for_update());
        txn.query_all_raw(store.sql(lock, [list()])).await?;
    }
    Ok(())
}

/// All mirror rows of these roots, tombstones included.
pub async fn of_roots(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    roots: &[String],
) -> Result<Vec<Known>, DbErr> {
    let (mirror, dialect) = (store.names.mirror(document), store.dialect());
    let sql = dialect.among(&mirror, "key, root, hash, revision, deleted_at", "root", 1, "");
    let rows = conn
        .query_all_raw(store.sql(sql, [texts(dialect, roots)]))
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Known {
                key: row.try_get("", "key")?,
                root: row.try_get("", "root")?,
                hash: row.try_get("", "hash")?,
                revision: row.try_get("", "revision")?,
                deleted: row.try_get::<Option<i64>>("", "deleted_at")?.is_some(),
            })
        })
        .collect()
}

/// Writes new states. The revision is computed by the statement itself: above the old one and not below the clock. A
/// key that another root holds live is not written, and not returned: a conflict. Gives key and new revision.
pub async fn put(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    definition: i64,
    changed_at: i64,
    puts: &[Put<'_>],
) -> Result<Vec<(String, i64)>, DbErr> {
    if puts.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = vec![definition.into(), changed_at.into()];
    let from = match store.dialect() {
        Dialect::Postgres => {
            // Arrays, not JSON: bodies go over as they are.
            let column =
                |pick: fn(&Put<'_>) -> String| Value::from(puts.iter().map(pick).collect::<Vec<_>>());
            values.extend([
                column(|p| p.key.to_owned()),
                column(|p| p.root.to_owned()),
                column(|p| p.body.to_owned()),
                column(|p| p.hash.to_owned()),
            ]);
            "unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS n(c0, c1, c2, c3)".to_owned()
        }
        Dialect::Sqlite => {
            let text = |t: &str| Some(t.to_owned());
            values.push(rows_parameter(
                puts.iter()
                    .map(|p| [text(p.key), text(p.root), text(p.body), text(p.hash)]),
            ));
            store.dialect().rows(3, 4, "n")
        }
    };
    let greatest = store.dialect().greatest();
    let sql = format!(
        "INSERT INTO {mirror} AS m (key, root, kind, body, hash, revision, definition, changed_at, deleted_at) \
         SELECT c0, c1, 'document', c2, c3, {now}, $1, $2, NULL FROM {from} WHERE true ORDER BY c0 {bytewise} \
         ON CONFLICT (key) DO UPDATE SET root = excluded.root, body = excluded.body, hash = excluded.hash, \
         revision = {greatest}(m.revision + 1, excluded.revision), definition = excluded.definition, \
         changed_at = excluded.changed_at, deleted_at = NULL \
         WHERE m.root = excluded.root OR m.deleted_at IS NOT NULL RETURNING key, revision",
        mirror = store.names.mirror(document),
        now = store.dialect().now(),
        bytewise = store.dialect().bytewise(),
    );
    written(txn.query_all_raw(store.sql(sql, values)).await?)
}

/// Turns live rows of these keys into tombstones, where they still belong to one of the roots. Gives key and revision.
pub async fn bury(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    definition: i64,
    changed_at: i64,
    keys: &[(String, String)],
) -> Result<Vec<(String, i64)>, DbErr> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (mirror, now) = (store.names.mirror(document), store.dialect().now());
    let greatest = store.dialect().greatest();
    let sql = format!(
        "UPDATE {mirror} SET body = '', hash = '', revision = {greatest}(revision + 1, {now}), definition = $1, changed_at = $2, \
         deleted_at = {now} WHERE deleted_at IS NULL AND EXISTS (SELECT 1 FROM {rows} WHERE n.c0 = {mirror}.key AND n.c1 = {mirror}.root) \
         AND key IN (SELECT c0 FROM {rows}) RETURNING key, revision",
        rows = store.dialect().rows(3, 2, "n"),
    );
    let parameter = rows_parameter(
        keys.iter()
            .map(|(key, root)| [Some(key.clone()), Some(root.clone())]),
    );
    written(
        txn.query_all_raw(store.sql(sql, [definition.into(), changed_at.into(), parameter]))
            .await?,
    )
}

/// Makes tombstones for keys that a target shows and the mirror does not have live: their revision is above what the
/// target holds and above what the mirror held. Keys that are live meanwhile are left alone. Gives key and revision.
pub async fn bury_orphans(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    orphans: &[(String, i64)],
) -> Result<Vec<(String, i64)>, DbErr> {
    let now = store.dialect().now();
    let greatest = store.dialect().greatest();
    let sql = format!(
        "INSERT INTO {mirror} AS m (key, root, kind, body, hash, revision, definition, changed_at, deleted_at) \
         SELECT c0, NULL, 'document', '', '', {greatest}(CAST(c1 AS bigint) + 1, {now}), 0, {now}, {now} FROM {rows} WHERE true ORDER BY c0 \
         ON CONFLICT (key) DO UPDATE SET revision = {greatest}(m.revision + 1, excluded.revision), deleted_at = excluded.deleted_at \
         WHERE m.deleted_at IS NOT NULL RETURNING key, revision",
        mirror = store.names.mirror(document),
        rows = store.dialect().rows(1, 2, "n"),
    );
    let parameter = rows_parameter(
        orphans
            .iter()
            .map(|(key, held)| [Some(key.clone()), Some(held.to_string())]),
    );
    written(txn.query_all_raw(store.sql(sql, [parameter])).await?)
}

/// Gives rows revisions above what a target holds: it came from a later state of a database that was restored since.
/// Gives key and new revision.
pub async fn raise(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    held: &[(String, i64)],
) -> Result<Vec<(String, i64)>, DbErr> {
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let mirror = store.names.mirror(document);
    let sql = format!(
        "UPDATE {mirror} SET revision = CAST(n.c1 AS bigint) + 1 FROM {rows} WHERE {mirror}.key = n.c0 \
         AND {mirror}.revision <= CAST(n.c1 AS bigint) RETURNING key, revision",
        rows = store.dialect().rows(1, 2, "n"),
    );
    let parameter = rows_parameter(
        held.iter()
            .map(|(key, held)| [Some(key.clone()), Some(held.to_string())]),
    );
    written(txn.query_all_raw(store.sql(sql, [parameter])).await?)
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
    let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.sort_unstable();
    keys.dedup();
    let sql = dialect.among(
        &mirror,
        "key, root, body, hash, revision, deleted_at",
        "key",
        1,
        "",
    );
    let rows = conn
        .query_all_raw(store.sql(sql, [texts(dialect, &keys)]))
        .await?;
    rows.iter().map(row).collect()
}

/// A page of rows in key order after `after`, tombstones included: of all roots or of these, changed since then.
pub async fn page(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    page: &Page<'_>,
) -> Result<Vec<(String, i64)>, DbErr> {
    let mirror = store.names.mirror(document);
    let mut values: Vec<Value> = vec![
        page.after.unwrap_or_default().into(),
        page.since.unwrap_or(i64::MIN).into(),
    ];
    let mut filter = String::new();
    if let Some(roots) = page.roots {
        values.push(rows_parameter(roots.iter().map(|r| [Some(r.clone())])));
        filter = format!(
            " AND root IN (SELECT c0 FROM {})",
            store.dialect().rows(3, 1, "r")
        );
    }
    let sql = format!(
        "SELECT key, revision FROM {mirror} WHERE key > $1 AND changed_at >= $2{filter} ORDER BY key LIMIT {}",
        page.limit
    );
    written(conn.query_all_raw(store.sql(sql, values)).await?)
}

/// Where a walk over a mirror stands.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    pub after: Option<&'a str>,
    /// Microseconds.
    pub since: Option<i64>,
    pub roots: Option<&'a [String]>,
    pub limit: u64,
}

/// A page of rows with bodies, in key order: for `verify`.
pub async fn full_page(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    after: &str,
    limit: u64,
) -> Result<Vec<Row>, DbErr> {
    let sql = format!(
        "SELECT key, root, body, hash, revision, deleted_at FROM {} WHERE key > $1 ORDER BY key LIMIT {limit}",
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

/// Live rows and tombstones of a document.
pub async fn counts(conn: &impl ConnectionTrait, store: &Store, document: &str) -> Result<(i64, i64), DbErr> {
    let sql = format!(
        "SELECT count(*) AS total, count(deleted_at) AS dead FROM {}",
        store.names.mirror(document)
    );
    let row = conn
        .query_one_raw(store.sql(sql, []))
        .await?
        .ok_or_else(|| DbErr::RecordNotFound(document.to_owned()))?;
    let (total, dead): (i64, i64) = (row.try_get("", "total")?, row.try_get("", "dead")?);
    Ok((total - dead, dead))
}

fn row(row: &QueryResult) -> Result<Row, DbErr> {
    Ok(Row {
        key: row.try_get("", "key")?,
        root: row.try_get("", "root")?,
        body: row.try_get("", "body")?,
        hash: row.try_get("", "hash")?,
        revision: row.try_get("", "revision")?,
        deleted: row.try_get::<Option<i64>>("", "deleted_at")?.is_some(),
    })
}

fn written(rows: Vec<QueryResult>) -> Result<Vec<(String, i64)>, DbErr> {
    rows.iter()
        .map(|row| Ok((row.try_get("", "key")?, row.try_get("", "revision")?)))
        .collect()
}
