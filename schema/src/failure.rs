//! What could not be done, with the reason. A failure never stops its neighbours, and it is never dropped silently: a
//! later success of the same thing takes its row away. It is tried again with growing delays, until its limit.

mod found;

use sea_orm::{ConnectionTrait, DbErr, Value};

use crate::dialect::Dialect;
use crate::pause::{Subject, paused_parameter};
use crate::store::{Store, numbers, rows_parameter, texts};

pub use found::{Failure, Filter, Group, forgive, get, groups, list, remove};

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

/// Whether another attempt may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect {
    /// The same again, most likely: given up after 12 of them.
    Permanent,
    /// A matter of time: given up after 24 h of nothing else.
    Transient,
    /// No attempt will be made by itself; why.
    Never(&'static str),
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
    pub prospect: Prospect,
}

/// First delay before a failure is tried again, and the longest, in microseconds.
const FIRST_DELAY: i64 = 1_000_000;
const LONGEST_DELAY: i64 = 600_000_000;

/// Permanent errors after which a failure is given up.
const MOST_PERMANENT: i64 = 12;

/// Microseconds of nothing but transient errors after which a failure is given up: 24 h.
const LONGEST_TRANSIENT: i64 = 24 * 3_600 * 1_000_000;

/// Stores failures; one that stands already for the same thing is updated and its attempts counted. What has reached its
/// limit says so and has no next attempt.
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
            (f.prospect == Prospect::Transient).then(|| "1".to_owned()),
            match f.prospect {
                Prospect::Never(why) => text(why),
                Prospect::Permanent | Prospect::Transient => None,
            },
        ]
    }));
    let (table, now, n) = (
        store.names.table("failure"),
        store.dialect().now(),
        store.dialect().rows(1, 12, "n"),
    );
    let same = "f.stage = n.c0 AND f.document = n.c1 AND coalesce(f.root, '') = coalesce(n.c2, '') \
                AND coalesce(f.key, '') = coalesce(n.c3, '') AND coalesce(f.target, '') = coalesce(n.c4, '') \
                AND coalesce(f.payload, '') = coalesce(n.c7, '')";
    let over = format!(
        "CASE WHEN n.c11 IS NOT NULL THEN n.c11 \
         WHEN n.c10 IS NULL AND f.permanent + 1 >= {MOST_PERMANENT} THEN '{MOST_PERMANENT} permanent errors' \
         WHEN n.c10 IS NOT NULL AND f.transient_since <= {now} - {LONGEST_TRANSIENT} THEN '24 h of transient errors' END"
    );
    let update = format!(
        "UPDATE {table} AS f SET attempts = attempts + 1, last_at = {now}, class = n.c5, error = n.c6, work = NULL, \
         revision = CAST(n.c8 AS bigint), \
         permanent = permanent + CASE WHEN n.c10 IS NULL THEN 1 ELSE 0 END, \
         transient_since = CASE WHEN n.c10 IS NOT NULL THEN coalesce(f.transient_since, {now}) END, \
         given_up = {over}, next_attempt = CASE WHEN {over} IS NULL THEN {now} + {delay} END FROM {n} WHERE {same}",
        delay = delay(store.dialect(), "f.attempts"),
    );
    txn.execute_raw(store.sql(update, [rows.clone()])).await?;
    let insert = format!(
        "INSERT INTO {table} (stage, document, root, key, target, class, error, payload, revision, attempts, permanent, transient_since, \
         given_up, first_at, last_at, next_attempt, changed_at) \
         SELECT c0, c1, c2, c3, c4, c5, c6, c7, CAST(c8 AS bigint), 1, CASE WHEN c10 IS NULL THEN 1 ELSE 0 END, \
         CASE WHEN c10 IS NOT NULL THEN {now} END, c11, {now}, {now}, CASE WHEN c11 IS NULL THEN {now} + {delay} END, CAST(c9 AS bigint) \
         FROM {n} WHERE NOT EXISTS (SELECT 1 FROM {table} f WHERE {same})",
        delay = delay(store.dialect(), "0"),
    );
    txn.execute_raw(store.sql(insert, [rows])).await?;
    Ok(())
}

/// Microseconds until the next attempt after so many: doubling, and up to a quarter less, so that what failed together is
/// not tried again together.
fn delay(dialect: Dialect, attempts: &str) -> String {
    let (exponent, least, dice) = match dialect {
        Dialect::Postgres => (
            format!("(1::bigint << least({attempts}, 10)::int)"),
            "least",
            "floor(random() * 251)::bigint",
        ),
        Dialect::Sqlite => (
            format!("(1 << min({attempts}, 10))"),
            "min",
            "abs(random() % 251)",
        ),
    };
    format!("{least}({FIRST_DELAY} * {exponent}, {LONGEST_DELAY}) * (1000 - {dice}) / 1000")
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

/// Takes failures away whose work these ledger rows were: it is done. Those of roots and keys have their own way
/// ([`clear_roots`], [`clear_keys`]): they may stand still, and their attempts go on counting.
pub async fn clear_work(conn: &impl ConnectionTrait, store: &Store, ids: &[i64]) -> Result<(), DbErr> {
    let sql = format!(
        "DELETE FROM {} WHERE root IS NULL AND key IS NULL AND {}",
        store.names.table("failure"),
        store.dialect().is_among("work", 1)
    );
    conn.execute_raw(store.sql(sql, [numbers(store.dialect(), ids)]))
        .await?;
    Ok(())
}

/// Notes which ledger rows (second) do the work of which failures (first) again.
pub async fn set_work(txn: &impl ConnectionTrait, store: &Store, work: &[(i64, i64)]) -> Result<(), DbErr> {
    let sql = format!(
        "UPDATE {} AS f SET work = CAST(n.c1 AS bigint) FROM {} WHERE f.id = CAST(n.c0 AS bigint)",
        store.names.table("failure"),
        store.dialect().rows(1, 2, "n"),
    );
    let rows = work
        .iter()
        .map(|(failure, ledger)| [failure, ledger].map(|id| Some(id.to_string())));
    txn.execute_raw(store.sql(sql, [rows_parameter(rows)])).await?;
    Ok(())
}

/// Failures whose time has come, but for work of what is paused, and for those whose last attempt is still under way. Their
/// next attempt is moved on, so that two sweepers do not take them both.
pub async fn take_due(
    txn: &impl ConnectionTrait,
    store: &Store,
    limit: u64,
    paused: &[Subject],
) -> Result<Vec<Failure>, DbErr> {
    let (table, now, dialect) = (
        store.names.table("failure"),
        store.dialect().now(),
        store.dialect(),
    );
    let due = format!(
        "SELECT f.id FROM {table} f \
         WHERE f.next_attempt <= {now} AND NOT EXISTS (SELECT 1 FROM {ledger} l WHERE l.id = f.work) \
         AND NOT EXISTS (SELECT 1 FROM {rows} WHERE p.c0 = f.target OR (f.target IS NULL AND p.c1 = f.document)) \
         ORDER BY f.id LIMIT {limit}{lock}",
        ledger = store.names.table("ledger"),
        rows = dialect.rows(1, 2, "p"),
        lock = dialect.for_update_of_skip_locked("f"),
    );
    let sql = format!(
        "UPDATE {table} SET next_attempt = {now} + {LONGEST_DELAY} WHERE {} RETURNING {}",
        dialect.is_picked("id", &due),
        found::COLUMNS,
    );
    let rows = txn
        .query_all_raw(store.sql(sql, [paused_parameter(paused)]))
        .await?;
    rows.iter().map(found::read).collect()
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
