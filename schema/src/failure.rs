//! What could not be done, with the reason. A failure never stops its neighbours, and it is never dropped silently: a
//! later success of the same thing takes its row away.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use crate::store::{Store, numbers, rows_parameter, texts};

/// Where on the street it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The trigger could not capture.
    Capture,
    /// Which roots a change concerns could not be found; the changes are kept.
    Affected,
    /// A document could not be built or written to the mirror.
    Publish,
    /// A target refused it.
    Sync,
    /// A message could not be read.
    Message,
}

impl Stage {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Affected => "affected",
            Self::Publish => "publish",
            Self::Sync => "sync",
            Self::Message => "message",
        }
    }
}

#[derive(Debug, Clone)]
pub struct NewFailure {
    pub stage: Stage,
    pub document: String,
    pub root: Option<String>,
    pub key: Option<String>,
    pub target: Option<String>,
    /// A short stable word: what `failures` groups by.
    pub class: String,
    /// The whole chain of errors.
    pub error: String,
    /// Work to do again where neither root nor key says it.
    pub payload: Option<String>,
    pub revision: Option<i64>,
    /// Oldest change that waits for this.
    pub changed_at: i64,
}

/// A stored failure.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Failure {
    pub id: i64,
    pub stage: String,
    pub document: String,
    pub root: Option<String>,
    pub key: Option<String>,
    pub target: Option<String>,
    pub class: String,
    pub error: String,
    pub attempts: i64,
    pub first_at: i64,
    pub last_at: i64,
    pub next_attempt: Option<i64>,
    #[serde(skip)]
    pub payload: Option<String>,
}

/// First delay before a failure is tried again, and the longest, in microseconds.
const FIRST_DELAY: i64 = 10_000_000;
const LONGEST_DELAY: i64 = 600_000_000;

/// Stores failures; one that stands already for the same thing is updated and its attempts counted.
pub async fn record(txn: &impl ConnectionTrait, store: &Store, failures: &[NewFailure]) -> Result<(), DbErr> {
    if failures.is_empty() {
        return Ok(());
    }
    let text = |t: &str| Some(t.to_owned());
    let rows = rows_parameter(failures.iter().map(|f| {
        [
            text(f.stage.as_str()),
            text(&f.document),
            f.root.clone(),
            f.key.clone(),
            f.target.clone(),
            text(&f.class),
            text(&f.error),
            f.payload.clone(),
            f.revision.map(|r| r.to_string()),
            text(&f.changed_at.to_string()),
        ]
    }));
    let (table, now, n) = (
        store.names.table("failure"),
        store.dialect().now(),
        store.dialect().rows(1, 10, "n"),
    );
    let same = "f.stage = n.c0 AND f.document = n.c1 AND coalesce(f.root, '') = coalesce(n.c2, '') \
                AND coalesce(f.key, '') = coalesce(n.c3, '') AND coalesce(f.target, '') = coalesce(n.c4, '') \
                AND coalesce(f.payload, '') = coalesce(n.c7, '')";
    let (exponent, least) = match store.dialect() {
        crate::dialect::Dialect::Postgres => ("(1::bigint << least(f.attempts, 10)::int)", "least"),
        crate::dialect::Dialect::Sqlite => ("(1 << min(f.attempts, 10))", "min"),
    };
    let update = format!(
        "UPDATE {table} AS f SET attempts = attempts + 1, last_at = {now}, class = n.c5, error = n.c6, \
         next_attempt = {now} + {least}({FIRST_DELAY} * {exponent}, {LONGEST_DELAY}) FROM {n} WHERE {same}"
    );
    txn.execute_raw(store.sql(update, [rows.clone()])).await?;
    let insert = format!(
        "INSERT INTO {table} (stage, document, root, key, target, class, error, payload, revision, attempts, first_at, last_at, next_attempt, changed_at) \
         SELECT c0, c1, c2, c3, c4, c5, c6, c7, CAST(c8 AS bigint), 1, {now}, {now}, {now} + {FIRST_DELAY}, CAST(c9 AS bigint) FROM {n} \
         WHERE NOT EXISTS (SELECT 1 FROM {table} f WHERE {same})"
    );
    txn.execute_raw(store.sql(insert, [rows])).await?;
    Ok(())
}

/// Takes publish failures of these roots away, for they have been built; but for those that stand still, as root and key:
/// their attempts go on counting. One look at a table that is nearly always empty.
pub async fn clear_roots(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    roots: &[String],
    still: &[NewFailure],
) -> Result<(), DbErr> {
    let (table, dialect) = (store.names.table("failure"), store.dialect());
    let sql = format!(
        "DELETE FROM {table} WHERE stage = 'publish' AND document = $1 AND root IN (SELECT c0 FROM {roots}) \
         AND NOT EXISTS (SELECT 1 FROM {still} WHERE s.c0 = {table}.root AND coalesce(s.c1, '') = coalesce({table}.key, ''))",
        roots = dialect.rows(2, 1, "r"),
        still = dialect.rows(3, 2, "s"),
    );
    let roots = rows_parameter(roots.iter().map(|r| [Some(r.clone())]));
    let still = rows_parameter(still.iter().map(|f| [f.root.clone(), f.key.clone()]));
    txn.execute_raw(store.sql(sql, [document.into(), roots, still]))
        .await?;
    Ok(())
}

/// Roots that could not be written because another one held one of these keys.
pub async fn waiting_for(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    keys: &[String],
) -> Result<Vec<String>, DbErr> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT DISTINCT root FROM {} WHERE stage = 'publish' AND document = $1 AND root IS NOT NULL \
         AND class IN ('key conflict', 'alias conflict') AND {} ORDER BY root",
        store.names.table("failure"),
        store.dialect().is_among("key", 2)
    );
    let keys = texts(store.dialect(), keys);
    txn.query_all_raw(store.sql(sql, [document.into(), keys]))
        .await?
        .iter()
        .map(|row| row.try_get("", "root"))
        .collect()
}

/// Takes sync failures of these keys away: the target has them.
pub async fn clear_keys(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    target: &str,
    keys: &[String],
) -> Result<(), DbErr> {
    let sql = format!(
        "DELETE FROM {} WHERE stage = 'sync' AND document = $1 AND target = $2 AND {}",
        store.names.table("failure"),
        store.dialect().is_among("key", 3)
    );
    let keys = texts(store.dialect(), keys);
    conn.execute_raw(store.sql(sql, [document.into(), target.into(), keys]))
        .await?;
    Ok(())
}

/// Takes these failures away.
pub async fn delete(conn: &impl ConnectionTrait, store: &Store, ids: &[i64]) -> Result<(), DbErr> {
    let sql = format!(
        "DELETE FROM {} WHERE {}",
        store.names.table("failure"),
        store.dialect().is_among("id", 1)
    );
    conn.execute_raw(store.sql(sql, [numbers(store.dialect(), ids)]))
        .await?;
    Ok(())
}

/// Failures whose time has come; their next attempt is moved on, so that two sweepers do not take them both.
pub async fn take_due(txn: &impl ConnectionTrait, store: &Store, limit: u64) -> Result<Vec<Failure>, DbErr> {
    let (table, now) = (store.names.table("failure"), store.dialect().now());
    let due = format!(
        "SELECT id FROM {table} WHERE next_attempt IS NOT NULL AND next_attempt <= {now} ORDER BY id LIMIT {limit}{lock}",
        lock = store.dialect().for_update_skip_locked(),
    );
    let sql = format!(
        "UPDATE {table} SET next_attempt = {now} + {LONGEST_DELAY} WHERE {} RETURNING {COLUMNS}",
        store.dialect().is_picked("id", &due)
    );
    txn.query_all_raw(store.sql(sql, []))
        .await?
        .iter()
        .map(read)
        .collect()
}

/// All failures, oldest first, at most `limit`.
pub async fn list(conn: &impl ConnectionTrait, store: &Store, limit: u64) -> Result<Vec<Failure>, DbErr> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {} ORDER BY id LIMIT {limit}",
        store.names.table("failure")
    );
    conn.query_all_raw(store.sql(sql, []))
        .await?
        .iter()
        .map(read)
        .collect()
}

/// How many failures wait on a change older than this moment.
pub async fn older(conn: &impl ConnectionTrait, store: &Store, moment: i64) -> Result<i64, DbErr> {
    let sql = format!(
        "SELECT count(*) AS v FROM {} WHERE changed_at <= $1",
        store.names.table("failure")
    );
    crate::store::scalar(conn, store.sql(sql, [Value::from(moment)])).await
}

/// How many keys a target has refused since a moment, and still refuses.
///
/// # Errors
/// Of the database.
pub async fn since(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    target: &str,
    moment: i64,
) -> Result<i64, DbErr> {
    let sql = format!(
        "SELECT count(*) AS v FROM {} WHERE document = $1 AND target = $2 AND first_at >= $3",
        store.names.table("failure")
    );
    let values = [document.into(), target.into(), moment.into()];
    crate::store::scalar(conn, store.sql(sql, values)).await
}

const COLUMNS: &str = "id, stage, document, root, key, target, class, error, payload, attempts, first_at, last_at, next_attempt";

fn read(row: &QueryResult) -> Result<Failure, DbErr> {
    Ok(Failure {
        id: row.try_get("", "id")?,
        stage: row.try_get("", "stage")?,
        document: row.try_get("", "document")?,
        root: row.try_get("", "root")?,
        key: row.try_get("", "key")?,
        target: row.try_get("", "target")?,
        class: row.try_get("", "class")?,
        error: row.try_get("", "error")?,
        attempts: row.try_get("", "attempts")?,
        first_at: row.try_get("", "first_at")?,
        last_at: row.try_get("", "last_at")?,
        next_attempt: row.try_get("", "next_attempt")?,
        payload: row.try_get("", "payload")?,
    })
}
