//! The ledger: every message has a row here that lives until the message's effect is durable. The broker may lose
//! what it likes.
//!
//! A row is immutable but for where it stands: unclaimed → claimed (committed before it is sent) → sent → deleted by
//! whoever made its effect durable. The sweeper takes claims back.

mod begun;
mod open;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use crate::dialect::Dialect;
use crate::names::Lane;
use crate::pause::{Subject, paused_parameter};
use crate::store::{Store, numbers, rows_parameter};
use crate::writeset::{self, WriteSet};

pub use begun::{begin, not_begun, suspect};
pub use open::{QueueLoad, has_older, is_open, load, moving, of_runs, oldest_open};

/// A message to be. Which of publish or sync it is, `target` tells.
#[derive(Debug, Clone)]
pub struct NewEntry {
    pub queue: String,
    pub document: String,
    /// `None`: publish work.
    pub target: Option<String>,
    pub lane: Lane,
    /// JSON of `PublishWork` or `SyncWork`.
    pub payload: String,
    pub items: i64,
    pub definition: i64,
    pub run: Option<i64>,
    /// Oldest change inside.
    pub changed_at: i64,
    pub attempts: i64,
    pub trace: Option<String>,
    /// The inserting process will send it (or do it) itself, right after the commit.
    pub claimed: bool,
}

/// A row as it is taken for sending.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: i64,
    pub queue: String,
    pub document: String,
    pub target: Option<String>,
    pub lane: Lane,
    pub payload: String,
    pub definition: i64,
    pub run: Option<i64>,
    pub changed_at: i64,
    pub attempts: i64,
    pub trace: Option<String>,
}

/// Inserts rows in one statement and gives their ids, in order.
pub async fn insert(
    conn: &impl ConnectionTrait,
    store: &Store,
    entries: &[NewEntry],
) -> Result<Vec<i64>, DbErr> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let text = |v: &str| Some(v.to_owned());
    let rows = entries.iter().enumerate().map(|(i, e)| {
        [
            text(if e.target.is_some() { "sync" } else { "publish" }),
            text(&e.queue),
            text(&e.document),
            e.target.clone(),
            text(e.lane.as_str()),
            text(&e.payload),
            text(&e.items.to_string()),
            text(&e.definition.to_string()),
            e.run.map(|r| r.to_string()),
            text(&e.changed_at.to_string()),
            e.claimed.then(|| "1".to_owned()),
            text(&e.attempts.to_string()),
            e.trace.clone(),
            text(&format!("{i:09}")),
        ]
    });
    let dialect = store.dialect();
    let sql = format!(
        "INSERT INTO {ledger} (kind, queue, document, target, lane, payload, items, definition, run, changed_at, claimed_at, attempts, trace) \
         SELECT c0, c1, c2, c3, c4, c5, CAST(c6 AS bigint), CAST(c7 AS bigint), CAST(c8 AS bigint), CAST(c9 AS bigint), \
         CASE WHEN c10 IS NOT NULL THEN {now} END, CAST(c11 AS bigint), c12 FROM {rows} ORDER BY c13 RETURNING id",
        ledger = store.names.table("ledger"),
        now = dialect.now(),
        rows = dialect.rows(1, 14, "n"),
    );
    let mut ids = ids(conn.query_all_raw(store.sql(sql, [rows_parameter(rows)])).await?)?;
    // Ids are handed out in the order of the insertion; RETURNING promises no order.
    ids.sort_unstable();
    Ok(ids)
}

/// Claims up to `limit` unclaimed rows, oldest first, so that none waits for ever, with no more than `outstanding` rows of
/// a queue out at a time: that bound keeps bulk work from crowding out live edits. Gives live lanes first.
/// Work for what is paused stays. Commits by itself; the rows must be sent after that.
pub async fn claim(
    store: &Store,
    limit: u64,
    outstanding: i64,
    paused: &[Subject],
) -> Result<Vec<Entry>, DbErr> {
    let (dialect, ledger) = (store.dialect(), store.names.table("ledger"));
    let ready = format!(
        "SELECT id FROM {ledger} WHERE {} AND claimed_at IS NULL ORDER BY id LIMIT {limit}{}",
        dialect.is_picked("id", &ready(store)),
        dialect.for_update_skip_locked(),
    );
    let sql = format!(
        "UPDATE {ledger} SET claimed_at = {} WHERE {} RETURNING {COLUMNS}",
        dialect.now(),
        dialect.is_picked("id", &ready),
    );
    let values = [paused_parameter(paused), outstanding.into()];
    let rows = store.write.query_all_raw(store.sql(sql, values)).await?;
    let mut entries = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    entries.sort_unstable_by_key(|e| (e.lane, e.id));
    Ok(entries)
}

/// The unclaimed rows of each queue, oldest first, as many as the bound ($2) leaves room for; without what is paused ($1).
fn ready(store: &Store) -> String {
    let ledger = store.names.table("ledger");
    let moves = format!(
        "NOT EXISTS (SELECT 1 FROM {} WHERE p.c0 = target OR (target IS NULL AND p.c1 = document))",
        store.dialect().rows(1, 2, "p")
    );
    match store.dialect() {
        // Along the index, from queue to queue, and in each of them only so far as there is room.
        Dialect::Postgres => format!(
            "WITH RECURSIVE waiting AS ((SELECT queue FROM {ledger} WHERE claimed_at IS NULL ORDER BY queue LIMIT 1) \
             UNION ALL SELECT (SELECT l.queue FROM {ledger} l WHERE l.claimed_at IS NULL AND l.queue > w.queue ORDER BY l.queue LIMIT 1) \
             FROM waiting w WHERE w.queue IS NOT NULL) \
             SELECT r.id FROM waiting w CROSS JOIN LATERAL (SELECT id FROM {ledger} WHERE queue = w.queue AND claimed_at IS NULL AND {moves} \
             ORDER BY id LIMIT greatest($2 - (SELECT count(*) FROM {ledger} o WHERE o.queue = w.queue AND o.claimed_at IS NOT NULL), 0)) r"
        ),
        Dialect::Sqlite => format!(
            "SELECT r.id FROM (SELECT id, queue, row_number() OVER (PARTITION BY queue ORDER BY id) AS place \
             FROM {ledger} WHERE claimed_at IS NULL AND {moves}) r \
             LEFT JOIN (SELECT queue, count(*) AS n FROM {ledger} WHERE claimed_at IS NOT NULL GROUP BY queue) o ON o.queue = r.queue \
             WHERE r.place <= $2 - coalesce(o.n, 0)"
        ),
    }
}

const COLUMNS: &str =
    "id, queue, document, target, lane, payload, definition, run, changed_at, attempts, trace";

/// Takes small, never sent publish rows of a queue out of the ledger, to be merged into fuller ones with new ids: at most
/// `limit`, oldest first. Rows that were claimed are never touched, nor are walks and runs.
pub async fn take_small(
    txn: &impl ConnectionTrait,
    store: &Store,
    queue: &str,
    limit: u64,
) -> Result<Vec<Entry>, DbErr> {
    let ledger = store.names.table("ledger");
    let small = format!(
        "SELECT id FROM {ledger} WHERE queue = $1 AND claimed_at IS NULL AND kind = 'publish' \
         AND attempts = 0 AND run IS NULL AND items < $2 AND octet_length(payload) < {full} AND payload LIKE '{{\"changes\"%' ORDER BY id LIMIT {limit}{}",
        store.dialect().for_update_skip_locked(),
        full = crate::wire::MAX_BYTES / 2,
    );
    let sql = format!(
        "DELETE FROM {ledger} WHERE {} RETURNING {COLUMNS}",
        store.dialect().is_picked("id", &small)
    );
    let values = [queue.into(), (crate::wire::MAX_ITEMS as i64).into()];
    let rows = txn.query_all_raw(store.sql(sql, values)).await?;
    rows.iter().map(entry).collect()
}

/// Notes that the broker has stored these; `epoch` names an in-process broker, whose messages die with it.
pub async fn mark_sent(store: &Store, ids: &[i64], epoch: Option<&str>) -> Result<(), DbErr> {
    let set = format!("sent_at = {}, epoch = $2", store.dialect().now());
    let epoch = Value::from(epoch.map(str::to_owned));
    update(store, ids, &set, [epoch]).await.map(drop)
}

/// Gives claims back, so that the rows can be sent anew at once: for what was surely not stored.
pub async fn unclaim(store: &Store, ids: &[i64]) -> Result<(), DbErr> {
    let set = "claimed_at = NULL, sent_at = NULL";
    update(store, ids, set, []).await.map(drop)
}

/// Gives back what is not to be done now: it waits in the ledger until a sender may claim it again. The number of rows that
/// stood, and that nobody held.
///
/// # Errors
/// Of the database.
pub async fn give_back(store: &Store, ids: &[i64]) -> Result<u64, DbErr> {
    // Another copy may be out: the next one is a second attempt.
    let set = "claimed_at = NULL, sent_at = NULL, attempts = attempts + 1";
    update(store, ids, set, []).await
}

/// Changes rows that nobody holds. Who holds one is about to settle it, and may take long: what is skipped for that is at
/// worst sent twice, while waiting would hold up every other queue.
async fn update(
    store: &Store,
    ids: &[i64],
    set: &str,
    more: impl IntoIterator<Item = Value>,
) -> Result<u64, DbErr> {
    if ids.is_empty() {
        return Ok(0);
    }
    let (ledger, dialect) = (store.names.table("ledger"), store.dialect());
    let free = dialect.among(&ledger, "id", "id", 1, dialect.for_update_skip_locked());
    let sql = format!(
        "UPDATE {ledger} SET {set} WHERE {}",
        dialect.is_picked("id", &free)
    );
    let values: Vec<Value> = std::iter::once(numbers(store.dialect(), ids))
        .chain(more)
        .collect();
    let done = store.write.execute_raw(store.sql(sql, values)).await?;
    Ok(done.rows_affected())
}

/// Deletes rows whose effect is durable, or becomes so with this transaction. Gives the ids that stood: what is
/// missing was settled by somebody else.
pub async fn delete(conn: &impl ConnectionTrait, store: &Store, ids: &[i64]) -> Result<Vec<i64>, DbErr> {
    delete_where(conn, store, ids, None).await
}

/// As [`delete`], but only while the write set through which they were applied is current.
///
/// # Errors
/// Of the database.
pub async fn delete_applied(
    conn: &impl ConnectionTrait,
    store: &Store,
    ids: &[i64],
    through: &WriteSet,
) -> Result<Vec<i64>, DbErr> {
    delete_where(conn, store, ids, Some(through)).await
}

async fn delete_where(
    conn: &impl ConnectionTrait,
    store: &Store,
    ids: &[i64],
    through: Option<&WriteSet>,
) -> Result<Vec<i64>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // Locked in id order: two workers that hold copies of the same messages must not deadlock.
    let (ledger, dialect) = (store.names.table("ledger"), store.dialect());
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let these = match dialect {
        Dialect::Postgres => format!(
            "id = ANY(ARRAY({}))",
            dialect.among(&ledger, "id", "id", 1, dialect.for_update())
        ),
        Dialect::Sqlite => dialect.is_among("id", 1),
    };
    let mut values = vec![numbers(dialect, &sorted)];
    let mut condition = String::new();
    if let Some(set) = through {
        condition = format!(" AND {}", writeset::current(store, 2));
        values.extend(writeset::of(set));
    }
    let sql = format!("DELETE FROM {ledger} WHERE {these}{condition} RETURNING id");
    self::ids(conn.query_all_raw(store.sql(sql, values)).await?)
}

/// Takes one row away and gives what it asked for; `None` where it is gone.
///
/// # Errors
/// Of the database.
pub async fn take(txn: &impl ConnectionTrait, store: &Store, id: i64) -> Result<Option<Entry>, DbErr> {
    let ledger = store.names.table("ledger");
    let sql = format!("DELETE FROM {ledger} WHERE id = $1 RETURNING {COLUMNS}");
    let row = txn.query_one_raw(store.sql(sql, [id.into()])).await?;
    row.as_ref().map(entry).transpose()
}

/// How long a claim may stand, in microseconds, before the sweeper takes it back.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Claimed and not sent: whoever claimed it has died or lost the broker.
    pub unsent: i64,
    /// Sent and not settled; doubles with every attempt up to 15 minutes.
    pub sent: i64,
}

/// Takes back claims of a queue that waited too long, or that another epoch of an in-process broker holds; not those that
/// somebody settles at this moment. Gives how many.
pub async fn take_back(
    store: &Store,
    queue: &str,
    patience: Patience,
    epoch: Option<&str>,
) -> Result<u64, DbErr> {
    let (ledger, dialect, now) = (
        store.names.table("ledger"),
        store.dialect(),
        store.dialect().now(),
    );
    let waited = match dialect {
        Dialect::Postgres => "least($3 * (1::bigint << least(attempts, 10)::int), greatest($3, 900000000))",
        Dialect::Sqlite => "min($3 * (1 << min(attempts, 10)), max($3, 900000000))",
    };
    let lost = format!(
        "SELECT id FROM {ledger} WHERE queue = $1 AND claimed_at IS NOT NULL AND (\
           (sent_at IS NULL AND claimed_at < {now} - $2) OR \
           (sent_at IS NOT NULL AND sent_at < {now} - {waited}) OR \
           (sent_at IS NOT NULL AND epoch IS NOT NULL AND epoch <> coalesce($4, ''))){lock}",
        lock = dialect.for_update_skip_locked(),
    );
    let sql = format!(
        "UPDATE {ledger} SET claimed_at = NULL, sent_at = NULL, attempts = attempts + 1 WHERE {}",
        dialect.is_picked("id", &lost)
    );
    let values = [
        queue.into(),
        patience.unsent.into(),
        patience.sent.into(),
        Value::from(epoch.map(str::to_owned)),
    ];
    Ok(store
        .write
        .execute_raw(store.sql(sql, values))
        .await?
        .rows_affected())
}

fn ids(rows: Vec<QueryResult>) -> Result<Vec<i64>, DbErr> {
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

fn entry(row: &QueryResult) -> Result<Entry, DbErr> {
    Ok(Entry {
        id: row.try_get("", "id")?,
        queue: row.try_get("", "queue")?,
        document: row.try_get("", "document")?,
        target: row.try_get("", "target")?,
        lane: Lane::parse(&row.try_get::<String>("", "lane")?),
        payload: row.try_get("", "payload")?,
        definition: row.try_get("", "definition")?,
        run: row.try_get("", "run")?,
        changed_at: row.try_get("", "changed_at")?,
        attempts: row.try_get("", "attempts")?,
        trace: row.try_get("", "trace")?,
    })
}
