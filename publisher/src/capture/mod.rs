//! Capture: generated triggers that write every committed change of a source table into the outbox, in the
//! application's own transaction.
//!
//! Rules that the generated SQL keeps (docs/convergence.md):
//! - only rows whose watched columns differ as *text* are captured, with old and new image of the carried columns;
//! - one outbox row holds at most [`CHANGES_PER_ROW`] changes;
//! - a trigger does not fail the application's statement because a column was dropped or renamed under it: the
//!   outbox gets a row of kind `broken` (docs/adr/0001-trigger-errors.md);
//! - triggers change only under a lock that waits for open writers, so nothing commits uncaptured behind `apply`.
//!
//! SQL text stands in `postgres` and `sqlite`; to support another database, add its module and its arms below.

mod lock;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::names::Names;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};

use crate::catalogue::Table;
pub use lock::{LockRetry, is_lock_conflict, with_lock_retry};

/// Most changes that one outbox row holds (PostgreSQL; SQLite writes one row a change).
pub const CHANGES_PER_ROW: usize = 1_000;

/// A statement with more captured changes than this takes the bulk lane by itself (PostgreSQL).
pub const BULK_FROM_CHANGES: usize = 10_000;

/// What to capture of one source table, merged over all documents that use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    pub table: Arc<Table>,
    /// The table's name in the catalogue; what outbox rows carry as `table_name`.
    pub name: String,
    /// Columns whose change matters; indexes into the table's columns. Carried columns count as watched.
    pub watched: BTreeSet<usize>,
    /// Columns that old and new images hold as text: the key, and columns that join.
    pub carried: BTreeSet<usize>,
}

/// A table by its place in the database, not by its name in documents.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// `None` on SQLite.
    pub schema: Option<String>,
    pub table: String,
}

/// What [`reconcile`] would do to the triggers of one table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// Catalogue name; of a table that no document needs `schema.table`.
    pub table: String,
    pub kind: ChangeKind,
    /// The statements, in one transaction.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sql: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Install,
    Replace,
    Remove,
}

/// What [`reconcile`] did. Catalogue names; tables that no document needs as `schema.table`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    pub installed: Vec<String>,
    pub replaced: Vec<String>,
    pub removed: Vec<String>,
    pub unchanged: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the installed triggers cannot be read")]
    Read(#[source] DbErr),
    #[error("the functions that applications call cannot be installed")]
    Functions(#[source] DbErr),
    #[error("functions of removed triggers cannot be dropped")]
    Sweep(#[source] DbErr),
    #[error("the triggers of table {table} cannot be changed")]
    Change {
        table: String,
        #[source]
        source: DbErr,
    },
    #[error("table {table} stayed locked by other transactions during {attempts} attempts")]
    Locked {
        table: String,
        attempts: u32,
        #[source]
        source: DbErr,
    },
}

/// Makes the installed triggers those that `captures` need: installs what is missing, replaces what differs, removes
/// what no document needs any more. One transaction a table, retried while others hold the table. A second run
/// changes nothing. An empty slice removes all.
///
/// # Errors
/// Ends at the first table that cannot be changed; tables before it are done, and a later run goes on.
pub async fn reconcile(
    db: &DatabaseConnection,
    names: &Names,
    captures: &[Capture],
    retry: &LockRetry,
) -> Result<Report, Error> {
    let steps = steps(db, names, captures).await?;
    for step in &steps {
        match step {
            Step::Keep(_) => {}
            Step::Install(capture) | Step::Replace(capture) => {
                let script = script(names, capture);
                change(db, &capture.name, &script.statements, retry).await?;
            }
            Step::Remove(table) => change(db, &table.to_string(), &removal(names, table), retry).await?,
        }
    }
    if names.dialect() == Dialect::Postgres {
        postgres::drop_unused_functions(db, names)
            .await
            .map_err(Error::Sweep)?;
    }
    Ok(report(&steps))
}

/// What [`reconcile`] would change, table by table. What stays as it is stands nowhere.
///
/// # Errors
/// [`Error::Read`].
pub async fn plan<C: ConnectionTrait>(
    db: &C,
    names: &Names,
    captures: &[Capture],
) -> Result<Vec<Change>, Error> {
    let steps = steps(db, names, captures).await?;
    let change = |step| match step {
        Step::Install(capture) => Some(Change::of(ChangeKind::Install, names, capture)),
        Step::Replace(capture) => Some(Change::of(ChangeKind::Replace, names, capture)),
        Step::Keep(_) => None,
        Step::Remove(table) => Some(Change {
            table: table.to_string(),
            kind: ChangeKind::Remove,
            sql: removal(names, &table),
        }),
    };
    Ok(steps.into_iter().filter_map(change).collect())
}

/// Installs (or replaces) the triggers of one table in the caller's transaction. On PostgreSQL it first takes SHARE
/// ROW EXCLUSIVE with a short lock timeout, so it may fail with a lock conflict: run the whole transaction under
/// [`with_lock_retry`]. On SQLite begin the transaction IMMEDIATE.
///
/// # Errors
/// What the database says; [`is_lock_conflict`] tells which errors are worth another attempt.
pub async fn install(txn: &DatabaseTransaction, names: &Names, capture: &Capture) -> Result<(), DbErr> {
    execute_all(txn, &script(names, capture).statements).await
}

/// Fingerprint of the generated text by table, for all tables with capture triggers. The fingerprint is empty where
/// the triggers are incomplete, disabled or not as they were generated.
///
/// # Errors
/// [`Error::Read`].
pub async fn installed<C: ConnectionTrait>(
    db: &C,
    names: &Names,
) -> Result<BTreeMap<TableName, String>, Error> {
    match names.dialect() {
        Dialect::Postgres => postgres::installed(db, names).await,
        Dialect::Sqlite => sqlite::installed(db, names).await,
    }
    .map_err(Error::Read)
}

/// Creates what applications call themselves: `publish(document text, ids text[])`, which announces root ids in the
/// caller's transaction. SQLite has no stored functions; there an application inserts the outbox row itself.
///
/// # Errors
/// [`Error::Functions`].
pub async fn install_functions<C: ConnectionTrait>(db: &C, names: &Names) -> Result<(), Error> {
    match names.dialect() {
        Dialect::Postgres => {
            db.execute_unprepared(&postgres::publish_function(names))
                .await
                .map_err(Error::Functions)?;
        }
        Dialect::Sqlite => {}
    }
    Ok(())
}

/// All that captures one table.
struct Script {
    /// Of the whole generated text.
    fingerprint: String,
    /// In order, in one transaction; they also replace an older version.
    statements: Vec<String>,
}

enum Step<'a> {
    Install(&'a Capture),
    Replace(&'a Capture),
    Keep(&'a Capture),
    Remove(TableName),
}

async fn steps<'a, C: ConnectionTrait>(
    db: &C,
    names: &Names,
    captures: &'a [Capture],
) -> Result<Vec<Step<'a>>, Error> {
    let mut present = installed(db, names).await?;
    let mut steps: Vec<_> = captures
        .iter()
        .map(|capture| match present.remove(&TableName::of(&capture.table)) {
            None => Step::Install(capture),
            Some(fingerprint) if fingerprint == script(names, capture).fingerprint => Step::Keep(capture),
            Some(_) => Step::Replace(capture),
        })
        .collect();
    steps.extend(present.into_keys().map(Step::Remove));
    Ok(steps)
}

fn report(steps: &[Step<'_>]) -> Report {
    let mut report = Report::default();
    for step in steps {
        match step {
            Step::Install(capture) => report.installed.push(capture.name.clone()),
            Step::Replace(capture) => report.replaced.push(capture.name.clone()),
            Step::Keep(capture) => report.unchanged.push(capture.name.clone()),
            Step::Remove(table) => report.removed.push(table.to_string()),
        }
    }
    report
}

fn script(names: &Names, capture: &Capture) -> Script {
    match names.dialect() {
        Dialect::Postgres => postgres::script(names, capture),
        Dialect::Sqlite => sqlite::script(names, capture),
    }
}

fn removal(names: &Names, table: &TableName) -> Vec<String> {
    match names.dialect() {
        Dialect::Postgres => postgres::removal(names, table),
        Dialect::Sqlite => sqlite::removal(names, table),
    }
}

async fn change(
    db: &DatabaseConnection,
    table: &str,
    statements: &[String],
    retry: &LockRetry,
) -> Result<(), Error> {
    with_lock_retry(retry, || async {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let txn = db.begin_with_options(immediate).await?;
        execute_all(&txn, statements).await?;
        txn.commit().await
    })
    .await
    .map_err(|source| match is_lock_conflict(&source) {
        true => Error::Locked {
            table: table.to_owned(),
            attempts: retry.attempts,
            source,
        },
        false => Error::Change {
            table: table.to_owned(),
            source,
        },
    })
}

async fn execute_all(txn: &DatabaseTransaction, statements: &[String]) -> Result<(), DbErr> {
    for statement in statements {
        txn.execute_unprepared(statement).await?;
    }
    Ok(())
}

/// Rows of a catalogue query as texts; every column must be text and not null.
async fn texts<C: ConnectionTrait>(
    db: &C,
    names: &Names,
    sql: &str,
    values: Vec<sea_orm::Value>,
    columns: usize,
) -> Result<Vec<Vec<String>>, DbErr> {
    let statement = Statement::from_sql_and_values(names.dialect().backend(), sql, values);
    let rows = db.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| (0..columns).map(|column| row.try_get_by_index(column)).collect())
        .collect()
}

impl Change {
    fn of(kind: ChangeKind, names: &Names, capture: &Capture) -> Self {
        Self {
            table: capture.name.clone(),
            kind,
            sql: script(names, capture).statements,
        }
    }
}

impl Capture {
    /// Columns whose change is captured.
    fn compared(&self) -> BTreeSet<usize> {
        self.watched.union(&self.carried).copied().collect()
    }

    /// All columns that the triggers name.
    fn used(&self) -> BTreeSet<usize> {
        self.compared()
            .into_iter()
            .chain(self.table.primary_key.iter().copied())
            .collect()
    }

    fn column(&self, index: usize) -> &str {
        &self.table.columns[index].name
    }
}

impl TableName {
    #[must_use]
    pub fn of(table: &Table) -> Self {
        Self {
            schema: table.schema.clone(),
            table: table.name.clone(),
        }
    }

    /// Quoted, for SQL.
    fn quoted(&self, dialect: Dialect) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", dialect.quote(schema), dialect.quote(&self.table)),
            None => dialect.quote(&self.table),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.table),
            None => f.write_str(&self.table),
        }
    }
}

fn fingerprint(text: &str) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}
