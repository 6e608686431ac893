//! What stands still, and why: rows that every process reads, so that all obey within seconds.

use std::fmt;

use sea_orm::{ConnectionTrait, DbErr};

use crate::store::Store;

/// What a pause is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Document(String),
    Target(String),
}

impl Subject {
    fn as_text(&self) -> String {
        match self {
            Self::Document(name) => format!("document:{name}"),
            Self::Target(name) => format!("target:{name}"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
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

#[derive(Debug, Clone, serde::Serialize)]
pub struct Pause {
    pub subject: Subject,
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
    let now = store.dialect().now();
    let sql = format!(
        "INSERT INTO {} AS p (subject, reason, since, until) VALUES ($1, $2, {now}, {now} + $3) \
         ON CONFLICT (subject) DO UPDATE SET reason = excluded.reason, until = excluded.until, \
         since = CASE WHEN p.until IS NULL OR p.until >= {now} THEN p.since ELSE excluded.since END",
        store.names.table("pause")
    );
    let values = [
        subject.as_text().into(),
        reason.into(),
        seconds.map(|s| s * 1_000_000).into(),
    ];
    conn.execute_raw(store.sql(sql, values)).await?;
    Ok(())
}

/// Ends a pause.
pub async fn end(conn: &impl ConnectionTrait, store: &Store, subject: &Subject) -> Result<(), DbErr> {
    let sql = format!("DELETE FROM {} WHERE subject = $1", store.names.table("pause"));
    conn.execute_raw(store.sql(sql, [subject.as_text().into()]))
        .await?;
    Ok(())
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
        let Some(subject) = Subject::parse(&subject) else {
            continue;
        };
        out.push(Pause {
            subject,
            reason: row.try_get("", "reason")?,
            since: row.try_get("", "since")?,
            until: row.try_get("", "until")?,
        });
    }
    Ok(out)
}
