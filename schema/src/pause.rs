//! What stands still, and why: rows that every process reads, so that all obey within seconds. A worker's pause and a
//! person's are two rows: neither ends the other.

use std::fmt;

use sea_orm::{ConnectionTrait, DbErr, Value};

use crate::store::{Store, rows_parameter};

/// What a pause is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Document(String),
    Target(String),
    /// The road of all messages: workers note that it takes none, nobody pauses it by hand.
    Broker,
}

const BROKER: &str = "broker";

impl Subject {
    fn as_text(&self) -> String {
        match self {
            Self::Document(name) => format!("document:{name}"),
            Self::Target(name) => format!("target:{name}"),
            Self::Broker => BROKER.to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text == BROKER {
            return Some(Self::Broker);
        }
        match text.split_once(':')? {
            ("document", name) => Some(Self::Document(name.to_owned())),
            ("target", name) => Some(Self::Target(name.to_owned())),
            _ => None,
        }
    }
}

/// For people: `target storage`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_text().replacen(':', " ", 1))
    }
}

/// Goes before the subject of a person's pause, where it is stored.
const BY_HAND: &str = "by hand ";

#[derive(Debug, Clone, serde::Serialize)]
pub struct Pause {
    pub subject: Subject,
    /// A person paused it: only `unpause` ends that.
    pub by_hand: bool,
    pub reason: String,
    /// Microseconds.
    pub since: i64,
    /// `None`: until somebody ends it.
    pub until: Option<i64>,
}

/// Pauses; `seconds` is how long unless it is set again, `None` for ever.
pub async fn set(
    conn: &impl ConnectionTrait,
    store: &Store,
    subject: &Subject,
    reason: &str,
    seconds: Option<i64>,
) -> Result<(), DbErr> {
    put(conn, store, subject.as_text(), reason, seconds).await
}

/// Pauses because a person wants it, until [`end_by_hand`].
///
/// # Errors
/// Of the database.
pub async fn set_by_hand(
    conn: &impl ConnectionTrait,
    store: &Store,
    subject: &Subject,
    reason: &str,
) -> Result<(), DbErr> {
    put(
        conn,
        store,
        format!("{BY_HAND}{}", subject.as_text()),
        reason,
        None,
    )
    .await
}

async fn put(
    conn: &impl ConnectionTrait,
    store: &Store,
    subject: String,
    reason: &str,
    seconds: Option<i64>,
) -> Result<(), DbErr> {
    let now = store.dialect().now();
    let sql = format!(
        "INSERT INTO {} AS p (subject, reason, since, until) VALUES ($1, $2, {now}, {now} + $3) \
         ON CONFLICT (subject) DO UPDATE SET reason = excluded.reason, until = excluded.until, \
         since = CASE WHEN p.until IS NULL OR p.until >= {now} THEN p.since ELSE excluded.since END",
        store.names.table("pause")
    );
    let values = [
        subject.into(),
        reason.into(),
        seconds.map(|s| s * 1_000_000).into(),
    ];
    conn.execute_raw(store.sql(sql, values)).await?;
    Ok(())
}

/// Ends a worker's pause.
pub async fn end(conn: &impl ConnectionTrait, store: &Store, subject: &Subject) -> Result<(), DbErr> {
    delete(conn, store, subject.as_text()).await.map(|_ended| ())
}

/// Ends a person's pause. Gives whether there was one.
///
/// # Errors
/// Of the database.
pub async fn end_by_hand(
    conn: &impl ConnectionTrait,
    store: &Store,
    subject: &Subject,
) -> Result<bool, DbErr> {
    delete(conn, store, format!("{BY_HAND}{}", subject.as_text())).await
}

async fn delete(conn: &impl ConnectionTrait, store: &Store, subject: String) -> Result<bool, DbErr> {
    let sql = format!("DELETE FROM {} WHERE subject = $1", store.names.table("pause"));
    let done = conn.execute_raw(store.sql(sql, [subject.into()])).await?;
    Ok(done.rows_affected() > 0)
}

/// What stands still now.
pub async fn current(conn: &impl ConnectionTrait, store: &Store) -> Result<Vec<Pause>, DbErr> {
    let sql = format!(
        "SELECT subject, reason, since, until FROM {} WHERE until IS NULL OR until > {} ORDER BY subject",
        store.names.table("pause"),
        store.dialect().now()
    );
    let mut out = Vec::new();
    for row in conn.query_all_raw(store.sql(sql, [])).await? {
        let subject: String = row.try_get("", "subject")?;
        let (text, by_hand) = match subject.strip_prefix(BY_HAND) {
            Some(text) => (text, true),
            None => (&*subject, false),
        };
        let Some(subject) = Subject::parse(text) else {
            continue;
        };
        out.push(Pause {
            subject,
            by_hand,
            reason: row.try_get("", "reason")?,
            since: row.try_get("", "since")?,
            until: row.try_get("", "until")?,
        });
    }
    Ok(out)
}

/// What is paused as the one parameter that a claim leaves out: targets (`c0`) and documents (`c1`).
pub(crate) fn paused_parameter(paused: &[Subject]) -> Value {
    rows_parameter(paused.iter().filter_map(|subject| match subject {
        Subject::Target(name) => Some([Some(name.clone()), None]),
        Subject::Document(name) => Some([None, Some(name.clone())]),
        // Each process asks its own connection.
        Subject::Broker => None,
    }))
}
