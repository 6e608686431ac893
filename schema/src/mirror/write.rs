//! New states of mirror rows. Every statement computes revisions itself: above the old one, and not below the clock.

use sea_orm::{ConnectionTrait, DbErr, Value};

use super::{Kind, written};
use crate::dialect::Dialect;
use crate::store::{Store, rows_parameter, texts};

/// Bytes of bodies that one statement writes, but for a single larger one: until it is sent, it has them once as parameters
/// and once as a message.
const STATEMENT: usize = 4 << 20;

/// A new state to write.
#[derive(Debug, Clone)]
pub struct Put<'a> {
    pub key: &'a str,
    pub root: &'a str,
    pub kind: Kind,
    pub body: &'a str,
    pub hash: &'a str,
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
    // Rows are locked in one order, by all statements together too.
    let mut ordered: Vec<&Put<'_>> = puts.iter().collect();
    ordered.sort_unstable_by_key(|put| put.key);
    let (mut rest, mut written) = (ordered.as_slice(), Vec::with_capacity(puts.len()));
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |put: &&&Put<'_>| {
            bytes += put.body.len();
            bytes <= STATEMENT
        };
        let (some, others) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        written.extend(put_together(txn, store, document, definition, changed_at, some).await?);
        rest = others;
    }
    Ok(written)
}

async fn put_together(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    definition: i64,
    changed_at: i64,
    puts: &[&Put<'_>],
) -> Result<Vec<(String, i64)>, DbErr> {
    let mut values: Vec<Value> = vec![definition.into(), changed_at.into()];
    let from = match store.dialect() {
        Dialect::Postgres => {
            // Arrays, not JSON: bodies go over as they are.
            let column =
                |pick: fn(&&Put<'_>) -> String| Value::from(puts.iter().map(pick).collect::<Vec<_>>());
            values.extend([
                column(|p| p.key.to_owned()),
                column(|p| p.root.to_owned()),
                column(|p| p.kind.as_str().to_owned()),
                column(|p| p.body.to_owned()),
                column(|p| p.hash.to_owned()),
            ]);
            "unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) AS n(c0, c1, c2, c3, c4)"
                .to_owned()
        }
        Dialect::Sqlite => {
            let text = |t: &str| Some(t.to_owned());
            values
                .push(rows_parameter(puts.iter().map(|p| {
                    [p.key, p.root, p.kind.as_str(), p.body, p.hash].map(text)
                })));
            store.dialect().rows(3, 5, "n")
        }
    };
    let greatest = store.dialect().greatest();
    let sql = format!(
        "INSERT INTO {mirror} AS m (key, root, kind, body, hash, revision, definition, changed_at, deleted_at) \
         SELECT c0, c1, c2, c3, c4, {now}, $1, $2, NULL FROM {from} WHERE true ORDER BY c0 {bytewise} \
         ON CONFLICT (key) DO UPDATE SET root = excluded.root, kind = excluded.kind, body = excluded.body, hash = excluded.hash, \
         revision = {greatest}(m.revision + 1, excluded.revision), definition = excluded.definition, \
         changed_at = excluded.changed_at, deleted_at = NULL \
         WHERE m.root = excluded.root OR m.deleted_at IS NOT NULL RETURNING key, revision",
        mirror = store.names.mirror(document),
        now = store.dialect().now(),
        bytewise = store.dialect().bytewise(),
    );
    written(txn.query_all_raw(store.sql(sql, values)).await?)
}

/// A row that was live and is a tombstone now.
#[derive(Debug, Clone)]
pub struct Buried {
    pub key: String,
    pub revision: i64,
    pub kind: Kind,
    /// What stays on the tombstone.
    pub remains: Option<String>,
}

/// A row to bury, where it still belongs to the root.
#[derive(Debug, Clone)]
pub struct Burial {
    pub key: String,
    pub root: String,
    /// A JSON object that stays on the tombstone.
    pub remains: Option<String>,
}

/// Turns live rows into tombstones, where they still belong to their roots.
pub async fn bury(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    definition: i64,
    changed_at: i64,
    burials: &[Burial],
) -> Result<Vec<Buried>, DbErr> {
    if burials.is_empty() {
        return Ok(Vec::new());
    }
    let (mirror, now) = (store.names.mirror(document), store.dialect().now());
    let greatest = store.dialect().greatest();
    let sql = format!(
        "UPDATE {mirror} SET body = coalesce(n.c2, ''), hash = '', revision = {greatest}(revision + 1, {now}), definition = $1, \
         changed_at = $2, deleted_at = {now} FROM {rows} WHERE deleted_at IS NULL AND key = n.c0 AND root = n.c1 \
         RETURNING key, revision, kind, body",
        rows = store.dialect().rows(3, 3, "n"),
    );
    let parameter = rows_parameter(
        burials
            .iter()
            .map(|b| [Some(b.key.clone()), Some(b.root.clone()), b.remains.clone()]),
    );
    let rows = txn
        .query_all_raw(store.sql(sql, [definition.into(), changed_at.into(), parameter]))
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Buried {
                key: row.try_get("", "key")?,
                revision: row.try_get("", "revision")?,
                kind: Kind::of(row)?,
                remains: row
                    .try_get::<Option<String>>("", "body")?
                    .filter(|body| !body.is_empty()),
            })
        })
        .collect()
}

/// Notes that rows are, as they stand, what this definition makes: nothing else of them changes.
pub async fn renumber(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    definition: i64,
    keys: &[String],
) -> Result<(), DbErr> {
    if keys.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE {} SET definition = $1 WHERE definition < $1 AND {}",
        store.names.mirror(document),
        store.dialect().is_among("key", 2)
    );
    let keys = texts(store.dialect(), keys);
    txn.execute_raw(store.sql(sql, [definition.into(), keys])).await?;
    Ok(())
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

/// Takes the oldest tombstones away that are older than this moment, at most `limit`. Gives how many.
///
/// # Errors
/// Of the database.
pub async fn purge(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    before: i64,
    limit: u64,
) -> Result<u64, DbErr> {
    let mirror = store.names.mirror(document);
    // The condition stands twice: a row that came to life since the inner look is left alone.
    let sql = format!(
        "DELETE FROM {mirror} WHERE deleted_at < $1 AND key IN \
         (SELECT key FROM {mirror} WHERE deleted_at < $1 ORDER BY deleted_at LIMIT {limit})"
    );
    Ok(conn
        .execute_raw(store.sql(sql, [before.into()]))
        .await?
        .rows_affected())
}
