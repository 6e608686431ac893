//! The database under test, as an application sees it.

use std::{fmt::Display, path::PathBuf, str::FromStr, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

/// How long an application waits for SQLite's one writer.
const BUSY: Duration = Duration::from_secs(60);

/// A database of one test.
#[derive(Debug, Clone)]
pub enum Database {
    Postgres { url: String },
    Sqlite { file: PathBuf },
}

/// One connection, as one session of an application holds it.
#[derive(Debug)]
pub enum Session {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Database {
    pub async fn session(&self) -> Session {
        match self {
            Self::Postgres { url } => Session::Postgres(
                PgConnection::connect(url)
                    .await
                    .unwrap_or_else(|error| panic!("{url}: {error}")),
            ),
            Self::Sqlite { file } => Session::Sqlite(sqlite(file, true).await),
        }
    }

    /// An own table, quoted, as the product names it under `name: pubsync`.
    #[must_use]
    pub fn own_table(&self, table: &str) -> String {
        match self {
            Self::Postgres { .. } => format!("\"pubsync\".\"{table}\""),
            Self::Sqlite { .. } => format!("\"pubsync_{table}\""),
        }
    }
}

impl Session {
    /// Runs one statement or a whole script; returns the number of rows that it changed.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn execute(&mut self, sql: &str) -> Result<u64, sqlx::Error> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Postgres(connection) => query.execute(connection).await.map(|done| done.rows_affected()),
            Self::Sqlite(connection) => query.execute(connection).await.map(|done| done.rows_affected()),
        }
    }

    /// The database's time in UTC, as its text of a timestamp.
    ///
    /// # Panics
    /// Where it does not answer.
    pub async fn now(&mut self) -> String {
        let sql = match self {
            Self::Postgres(_) => "SELECT (now() AT TIME ZONE 'UTC')::text",
            Self::Sqlite(_) => "SELECT datetime('now')",
        };
        self.rows(sql).await[0][0].clone().expect("a time")
    }

    /// The number in the first column of a query's first row.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn number<N: FromStr<Err: Display>>(&mut self, sql: &str) -> N {
        let rows = self.rows(sql).await;
        let text = rows.first().and_then(|row| row[0].clone());
        let text = text.unwrap_or_else(|| panic!("{sql}: no number"));
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The rows of a query, every column as text; null is `None`.
    pub async fn rows(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        let query = AssertSqlSafe(sql.to_owned());
        let rows = match self {
            Self::Postgres(connection) => sqlx::raw_sql(query).fetch_all(connection).await.map(|rows| {
                rows.iter()
                    .map(|row| texts(row.len(), |at| row.try_get_unchecked(at)))
                    .collect()
            }),
            Self::Sqlite(connection) => sqlx::query(query).fetch_all(connection).await.map(|rows| {
                rows.iter()
                    .map(|row: &SqliteRow| texts(row.len(), |at| row.try_get_unchecked(at)))
                    .collect()
            }),
        };
        rows.unwrap_or_else(|error| panic!("{sql}\n{error}"))
    }
}

fn texts(columns: usize, read: impl Fn(usize) -> Result<Option<String>, sqlx::Error>) -> Vec<Option<String>> {
    (0..columns)
        .map(|at| read(at).unwrap_or_else(|error| panic!("column {at}: {error}")))
        .collect()
}

pub(crate) async fn sqlite(file: &std::path::Path, create: bool) -> SqliteConnection {
    let url = format!("sqlite:{}", file.display());
    let options = SqliteConnectOptions::from_str(&url).expect("an SQLite address");
    SqliteConnection::connect_with(&options.create_if_missing(create).busy_timeout(BUSY))
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
