//! The local target: one SQLite file, key-value plus full-text search. It serves embedded mode, demos and small shops;
//! the guard stands in the SQL, so several processes may share the file. Tombstones are kept for good.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pubsync_schema::shape::Collection;
use serde_json::value::RawValue;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{FromRow, Row, Sqlite, Transaction};
use tokio::sync::Mutex;

use super::config::InvalidTarget;
use crate::target::{Accept, Held, Operation, Outcome, ScanPage, Target, TargetError, Write};

const CONNECTIONS: u32 = 4;
const BUSY: Duration = Duration::from_secs(5);

/// The full-text rows have the ids of their documents. Immediate: a transaction that takes the write lock later fails
/// instead of waiting.
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS document (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        document TEXT NOT NULL,
        revision INTEGER NOT NULL,
        deleted INTEGER NOT NULL,
        body TEXT
    );
    CREATE VIRTUAL TABLE IF NOT EXISTS document_text
        USING fts5(text, tokenize = 'unicode61 remove_diacritics 2');
    COMMIT;
";

/// The guard. No row comes back where the revision is refused.
const WRITE: &str = "
    INSERT INTO document (key, document, revision, deleted, body) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (key) DO UPDATE
        SET document = excluded.document, revision = excluded.revision,
            deleted = excluded.deleted, body = excluded.body
        WHERE excluded.revision > document.revision OR (?6 AND excluded.revision = document.revision)
    RETURNING id";

/// One SQLite file.
pub struct LocalTarget {
    name: String,
    path: String,
    pool: SqlitePool,
    /// Writers of this process queue here: SQLite lets them try again and again, and somebody may never get his turn.
    writing: Mutex<()>,
}

/// A live document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub key: String,
    pub revision: i64,
    /// JSON, without `_revision`.
    pub body: String,
}

impl<'r> FromRow<'r, SqliteRow> for Stored {
    fn from_row(row: &'r SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            key: row.try_get("key")?,
            revision: row.try_get("revision")?,
            body: row.try_get("body")?,
        })
    }
}

impl LocalTarget {
    /// Opens the file when it is first used, and makes it where there is none.
    ///
    /// # Errors
    /// Where the path is empty.
    pub fn new(name: &str, path: impl AsRef<Path>) -> Result<Self, InvalidTarget> {
        let path = path.as_ref();
        if path.as_os_str().is_empty() {
            return Err(InvalidTarget::new(name, "the path is empty"));
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY);
        // The switch to WAL does not wait for others that do the same.
        let making = Arc::new(Mutex::new(()));
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            // Without these the pool starts no task of its own, and can be made outside of a runtime.
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let making = Arc::clone(&making);
                Box::pin(async move {
                    let _alone = making.lock().await;
                    make_tables(connection).await
                })
            })
            .connect_lazy_with(options);
        Ok(Self {
            name: name.to_owned(),
            path: path.display().to_string(),
            pool,
            writing: Mutex::new(()),
        })
    }

    /// The live document with this key.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn get(&self, key: &str) -> Result<Option<Stored>, TargetError> {
        let sql = "SELECT key, revision, body FROM document WHERE key = ? AND deleted = 0";
        sqlx::query_as(sql)
            .bind(key)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.blame(&error))
    }

    /// Live documents that hold words beginning with each of the text's words, best first.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn search(&self, text: &str, limit: usize) -> Result<Vec<Stored>, TargetError> {
        let words = text
            .split_whitespace()
            .map(|word| format!("\"{}\"*", word.replace('"', "\"\"")));
        let query = words.collect::<Vec<_>>().join(" ");
        if query.is_empty() {
            return Ok(Vec::new());
        }
        let sql = "
            SELECT key, revision, body FROM document_text JOIN document ON document.id = document_text.rowid
            WHERE document_text MATCH ? AND deleted = 0 ORDER BY rank LIMIT ?";
        let rows = sqlx::query_as(sql)
            .bind(query)
            .bind(count(limit))
            .fetch_all(&self.pool)
            .await;
        rows.map_err(|error| self.blame(&error))
    }

    /// Ends all connections and folds the log into the file; the target is of no use afterwards.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn write_all(
        &self,
        document: &str,
        writes: &[Write],
        accept: Accept,
    ) -> Result<Vec<Outcome>, sqlx::Error> {
        let _alone = self.writing.lock().await;
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let mut outcomes = Vec::with_capacity(writes.len());
        for write in writes {
            outcomes.push(write_one(&mut transaction, document, write, accept).await?);
        }
        transaction.commit().await?;
        Ok(outcomes)
    }

    fn blame(&self, error: &sqlx::Error) -> TargetError {
        let (target, address, reason) = (self.name.clone(), self.path.clone(), error.to_string());
        let code = error
            .as_database_error()
            .and_then(|error| error.code()?.parse::<u32>().ok());
        // Extended codes hold the primary one in their low byte.
        match code.map(|code| code & 0xff) {
            // BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, PROTOCOL, SCHEMA; or no code: pool closed, worker gone.
            Some(5 | 6 | 7 | 9 | 10 | 15 | 17) | None => TargetError::Down {
                target,
                address,
                reason,
            },
            // ERROR, PERM, READONLY, CORRUPT, FULL, CANTOPEN, NOTADB and the rest need a person.
            Some(_) => TargetError::Refused {
                target,
                address,
                reason,
            },
        }
    }
}

async fn make_tables(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let there = "SELECT 1 FROM sqlite_master WHERE name = 'document_text'";
    if sqlx::query(there)
        .fetch_optional(&mut *connection)
        .await?
        .is_none()
    {
        sqlx::raw_sql(SCHEMA).execute(connection).await?;
    }
    Ok(())
}

async fn write_one(
    transaction: &mut Transaction<'static, Sqlite>,
    document: &str,
    write: &Write,
    accept: Accept,
) -> Result<Outcome, sqlx::Error> {
    let (body, text) = match &write.operation {
        Operation::Delete => (None, None),
        Operation::Put(body) => match words(body) {
            Ok(words) => (Some(&**body), Some(words)),
            Err(error) => return Ok(Outcome::Failed { class: "body", error }),
        },
    };
    let id: Option<i64> = sqlx::query_scalar(WRITE)
        .bind(&write.key)
        .bind(document)
        .bind(write.revision)
        .bind(body.is_none())
        .bind(body)
        .bind(accept == Accept::HigherOrEqual)
        .fetch_optional(&mut **transaction)
        .await?;
    let Some(id) = id else { return Ok(Outcome::Stale) };
    sqlx::query("DELETE FROM document_text WHERE rowid = ?")
        .bind(id)
        .execute(&mut **transaction)
        .await?;
    if let Some(text) = text {
        let sql = "INSERT INTO document_text (rowid, text) VALUES (?, ?)";
        sqlx::query(sql)
            .bind(id)
            .bind(text)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(Outcome::Applied)
}

/// All strings of a body that name no member, for the full-text index. Read without a tree of values, which would end
/// at some depth: a body may be nested as deep as it is long.
fn words(body: &str) -> Result<String, String> {
    let checked: &RawValue = serde_json::from_str(body).map_err(|error| error.to_string())?;
    if !checked.get().starts_with('{') {
        return Err("the body is no JSON object".to_owned());
    }
    let (mut words, mut rest) = (String::new(), checked.get());
    while let Some(begin) = rest.find('"') {
        let mut strings = serde_json::Deserializer::from_str(&rest[begin..]).into_iter::<String>();
        let Some(Ok(word)) = strings.next() else { break };
        rest = &rest[begin + strings.byte_offset()..];
        if !rest.trim_start().starts_with(':') {
            words.push_str(&word);
            words.push('\n');
        }
    }
    Ok(words)
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[async_trait]
impl Target for LocalTarget {
    fn name(&self) -> &str {
        &self.name
    }

    /// Every connection makes what is missing when it opens.
    async fn prepare(&self, _collections: &[Collection]) -> Result<(), TargetError> {
        self.pool
            .acquire()
            .await
            .map(|_| ())
            .map_err(|error| self.blame(&error))
    }

    async fn apply(
        &self,
        to: &Collection,
        writes: &[Write],
        accept: Accept,
    ) -> Result<Vec<Outcome>, TargetError> {
        self.write_all(&to.document, writes, accept)
            .await
            .map_err(|error| self.blame(&error))
    }

    async fn versions(&self, _: &Collection, keys: &[String]) -> Result<Vec<Option<Held>>, TargetError> {
        let sql = "SELECT key, revision, deleted FROM document WHERE key IN (SELECT value FROM json_each(?))";
        let rows = sqlx::query_as(sql)
            .bind(serde_json::json!(keys).to_string())
            .fetch_all(&self.pool)
            .await;
        let rows: Vec<(String, i64, bool)> = rows.map_err(|error| self.blame(&error))?;
        let held: HashMap<_, _> = rows
            .into_iter()
            .map(|(key, revision, deleted)| (key, Held { revision, deleted }))
            .collect();
        Ok(keys.iter().map(|key| held.get(key).copied()).collect())
    }

    async fn bodies(&self, _: &Collection, keys: &[String]) -> Result<Vec<Option<String>>, TargetError> {
        let sql = "
            SELECT key, revision, body FROM document
            WHERE deleted = 0 AND key IN (SELECT value FROM json_each(?))";
        let rows = sqlx::query_as(sql)
            .bind(serde_json::json!(keys).to_string())
            .fetch_all(&self.pool)
            .await;
        let rows: Vec<Stored> = rows.map_err(|error| self.blame(&error))?;
        let mut bodies: HashMap<_, _> = rows.into_iter().map(|row| (row.key, row.body)).collect();
        Ok(keys.iter().map(|key| bodies.remove(key)).collect())
    }

    /// In key order; the cursor is the last key that was looked at.
    async fn scan(
        &self,
        of: &Collection,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<ScanPage, TargetError> {
        let (prefix, limit) = (of.prefix(), limit.max(1));
        let sql = "
            SELECT key, revision FROM document
            WHERE key > ? AND key >= ? AND deleted = 0 ORDER BY key LIMIT ?";
        let after = cursor.unwrap_or_default();
        let rows = sqlx::query_as(sql)
            .bind(after)
            .bind(prefix)
            .bind(count(limit))
            .fetch_all(&self.pool)
            .await;
        let rows: Vec<(String, i64)> = rows.map_err(|error| self.blame(&error))?;
        let last = rows
            .last()
            .filter(|(key, _)| rows.len() == limit && key.starts_with(prefix));
        let next = last.map(|(key, _)| key.clone());
        let keys = rows.into_iter().filter(|(key, _)| of.owns(key)).collect();
        Ok(ScanPage { keys, next })
    }

    /// Takes the write lock and gives it back.
    async fn ping(&self) -> Result<(), TargetError> {
        let begun = self.pool.begin_with("BEGIN IMMEDIATE").await;
        let transaction = begun.map_err(|error| self.blame(&error))?;
        transaction.rollback().await.map_err(|error| self.blame(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_strings_that_name_no_member() {
        let body = r#"{"a":"b","c" : ["d\u00e9","",{"e":"f \"g\":"}],"h":1.0e999,"i":null,"j":"k\\"}"#;
        assert_eq!(words(body).as_deref(), Ok("b\ndé\n\nf \"g\":\nk\\\n"));
        assert_eq!(words("{}").as_deref(), Ok(""));
        assert_eq!(words("[]"), Err("the body is no JSON object".to_owned()));
        for broken in ["", "{", "{\"a\"}", "{} {}", "{\"a\":\"\\x\"}"] {
            assert!(words(broken).is_err(), "{broken}");
        }
        let deep = format!("{{\"a\":{}\"x\"{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(words(&deep).as_deref(), Ok("x\n"));
    }
}
