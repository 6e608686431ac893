//! Connections to the one database that holds the sources and pubsync's own tables.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::{Connection as _, Executor as _, PgConnection};
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    IsolationLevel, QueryResult, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait, Value,
};

use crate::dialect::Dialect;
use crate::names::Names;
use crate::redact;

/// Our statements look up batches of keys by index, and are planned for batches that they cannot know: compiling them
/// costs up to a second where running them costs milliseconds, and a scan of the whole table is never what they want.
/// A row that a policy hides from us must be an error: a row that is not there withdraws its documents.
const SESSION: &str = "SET jit = off; SET random_page_cost = 1.1; SET row_security = off";

/// Longest wait for a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// Two pools: one for transactions that lock and write, one for snapshots that read. They are apart so that tasks
/// which hold their first connection and wait for the second cannot starve each other.
#[derive(Debug, Clone)]
pub struct Store {
    pub names: Names,
    pub write: DatabaseConnection,
    pub read: DatabaseConnection,
    /// Where it is, without the password.
    pub address: String,
    /// What the database clock said last, and when that was here.
    clock: Arc<Mutex<Option<(Instant, i64)>>>,
}

/// The database cannot be reached or refuses us.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("database {address}: {source}")]
    Connect { address: String, source: DbErr },
    #[error("database {address}: neither postgres:// nor sqlite: (fix `database` in pubsync.yaml)")]
    Scheme { address: String },
}

impl Store {
    /// Connects; `connections` bounds each of the two pools (SQLite: one writer, whatever is asked).
    ///
    /// # Errors
    /// When the database does not answer within 5 s or refuses the login.
    pub async fn connect(url: &str, name: &str, connections: u32) -> Result<Self, StoreError> {
        let address = redact::url(url);
        let dialect = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Dialect::Postgres
        } else if url.starts_with("sqlite:") {
            Dialect::Sqlite
        } else {
            return Err(StoreError::Scheme { address });
        };
        let at = |source| StoreError::Connect {
            address: address.clone(),
            source,
        };
        if dialect == Dialect::Postgres {
            // Asked once without a pool: a pool answers "timed out" where the server has said why.
            let reached = tokio::time::timeout(CONNECT, PgConnection::connect(url)).await;
            let refused = |e| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(e)));
            let connection = reached
                .map_err(|_elapsed| DbErr::Conn(RuntimeErr::Internal("no answer within 5 s".to_owned())));
            connection.and_then(|c| c.map_err(refused)).map_err(at)?;
        }
        let writers = if dialect == Dialect::Sqlite {
            1
        } else {
            connections
        };
        let write = Database::connect(options(url, dialect, writers, "pubsync"))
            .await
            .map_err(at)?;
        let read = Database::connect(options(url, dialect, connections, "pubsync/read"))
            .await
            .map_err(at)?;
        let store = Self {
            names: Names::new(name, dialect),
            write,
            read,
            address: address.clone(),
            clock: Arc::default(),
        };
        store
            .write
            .query_one_raw(store.sql("SELECT 1", []))
            .await
            .map_err(at)?;
        Ok(store)
    }

    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.names.dialect()
    }

    /// A statement with bound values.
    pub fn sql(&self, text: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement::from_sql_and_values(self.dialect().backend(), text, values)
    }

    /// A transaction that locks and writes: READ COMMITTED, on SQLite `BEGIN IMMEDIATE`.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = match self.dialect() {
            // The server's default may be another level; asked for explicitly because law 2 rests on it.
            Dialect::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::ReadCommitted),
                ..Default::default()
            },
            Dialect::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..Default::default()
            },
        };
        self.write.begin_with_options(options).await
    }

    /// A read-only snapshot on the second pool. On SQLite the look happens inside the writing transaction instead,
    /// which is lock and snapshot at once; this one serves readers that do not write (`verify`).
    pub async fn snapshot(&self) -> Result<DatabaseTransaction, DbErr> {
        match self.dialect() {
            Dialect::Postgres => {
                self.read
                    .begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly))
                    .await
            }
            Dialect::Sqlite => self.read.begin().await,
        }
    }

    /// Microseconds since 1970 by the database clock.
    pub async fn now(&self) -> Result<i64, DbErr> {
        let asked = Instant::now();
        let sql = format!("SELECT {} AS v", self.dialect().now());
        let now = scalar(&self.read, self.sql(sql, [])).await?;
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked, now));
        Ok(now)
    }

    /// What the database clock says now, or a little later: what it said last and the time since the question. `None`:
    /// it was never asked.
    #[must_use]
    pub fn estimated_now(&self) -> Option<i64> {
        let (asked, said) = (*self.clock.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(said + asked.elapsed().as_micros() as i64)
    }
}

/// The single bigint that a statement gives under the name `v`.
pub async fn scalar(conn: &impl ConnectionTrait, statement: Statement) -> Result<i64, DbErr> {
    let row: Option<QueryResult> = conn.query_one_raw(statement).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("a row with v".to_owned()))?
        .try_get("", "v")
}

/// A batch of text rows as the one JSON parameter that [`Dialect::rows`] unpacks.
pub fn rows_parameter<R, C>(rows: R) -> Value
where
    R: IntoIterator<Item = C>,
    C: IntoIterator<Item = Option<String>>,
{
    let rows: Vec<Vec<Option<String>>> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
    Value::from(serde_json::Value::from_iter(rows.into_iter().map(serde_json::Value::from)).to_string())
}

/// A list of texts as the one parameter that [`Dialect::among`] and [`Dialect::is_among`] look for.
#[must_use]
pub fn texts<T: AsRef<str>>(dialect: Dialect, list: &[T]) -> Value {
    match dialect {
        Dialect::Postgres => Value::from(list.iter().map(|t| t.as_ref().to_owned()).collect::<Vec<_>>()),
        Dialect::Sqlite => {
            Value::from(serde_json::Value::from_iter(list.iter().map(AsRef::as_ref)).to_string())
        }
    }
}

/// As [`texts`], of numbers.
#[must_use]
pub fn numbers(dialect: Dialect, list: &[i64]) -> Value {
    match dialect {
        Dialect::Postgres => Value::from(list.to_vec()),
        Dialect::Sqlite => Value::from(serde_json::Value::from(list).to_string()),
    }
}

fn options(url: &str, dialect: Dialect, connections: u32, application: &str) -> ConnectOptions {
    let url = match dialect {
        Dialect::Sqlite if !url.contains('?') => format!("{url}?mode=rwc"),
        _ => url.to_owned(),
    };
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(0)
        .connect_timeout(CONNECT)
        .acquire_timeout(Duration::from_secs(30))
        .idle_timeout(Duration::from_secs(60))
        .sqlx_logging(false)
        .test_before_acquire_if_idle_for(Duration::from_secs(30));
    match dialect {
        Dialect::Postgres => {
            options.set_application_name(application);
            options.map_sqlx_postgres_pool_opts(|pool| {
                let pool = pool.after_connect(|connection, _| {
                    Box::pin(async move {
                        connection.execute(SESSION).await?;
                        Ok(())
                    })
                });
                // A connection keeps the room of its largest message: with large documents, the idle ones held more than all
                // that worked.
                pool.after_release(|connection, _| {
                    connection.shrink_buffers();
                    Box::pin(std::future::ready(Ok(true)))
                })
            });
        }
        Dialect::Sqlite => {
            options.map_sqlx_sqlite_opts(|sqlite| {
                sqlite
                    .journal_mode(sea_orm::sqlx::sqlite::SqliteJournalMode::Wal)
                    .synchronous(sea_orm::sqlx::sqlite::SqliteSynchronous::Full)
                    .busy_timeout(Duration::from_secs(30))
            });
        }
    }
    options
}
