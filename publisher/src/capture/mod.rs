//! Capture: generated triggers that write every committed change of a source table into the outbox, in the
//! application's own transaction.
//!
//! Rules that the generated SQL keeps (docs/convergence.md):
//! - only rows whose watched columns differ as *text* are captured, with old and new image of the carried columns;
//! - one outbox row holds at most [`CHANGES_PER_ROW`] changes;
//! - a trigger does not fail the application's statement because a column was dropped or renamed under it: the
//!   outbox gets a row of kind `broken` (docs/adr/0001-trigger-errors.md);
//! - triggers change only under a lock that waits for open writers, so nothing commits uncaptured behind `apply`;
//! - triggers that were lost, and partitions that came or went, are noticed ([`repair`]): the triggers are set, and
//!   the outbox gets a row of kind `truncate`, which rebuilds the documents over the table.
//!
//! SQL text stands in `postgres` and `sqlite`; to support another database, add its module and its arms below.

mod lock;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::names::Names;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use crate::catalogue::Table;
use crate::plan::TableUse;
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
    #[error(
        "table {table} stayed locked by other transactions during {attempts} attempts; end what holds it, such as a \
         long transaction, and try again"
    )]
    Locked {
        table: String,
        attempts: u32,
        #[source]
        source: DbErr,
    },
    #[error(
        "table {table} has the partition {partition}, which is a foreign table: what is written there fires no trigger \
         here, so documents over {table} would grow stale; detach the partition, or leave the table out of the documents"
    )]
    Foreign { table: String, partition: String },
    #[error(
        "row-level security of table {table} hides rows from role {role}: documents over them would be withdrawn. Give \
         the role all rows (ALTER ROLE {role} BYPASSRLS, or NO FORCE ROW LEVEL SECURITY where it owns the table)"
    )]
    RowSecurity { table: String, role: String },
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
    for step in steps.iter().filter(|step| step.kind != StepKind::Keep) {
        change(db, &step.table, &step.statements, retry).await?;
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
    let change = |step: Step| {
        let kind = match step.kind {
            StepKind::Keep => return None,
            StepKind::Install => ChangeKind::Install,
            StepKind::Replace => ChangeKind::Replace,
            StepKind::Remove | StepKind::RemovePart => ChangeKind::Remove,
        };
        Some(Change {
            kind,
            table: step.table,
            sql: step.statements,
        })
    };
    Ok(steps.into_iter().filter_map(change).collect())
}

/// Sets right what happened under the triggers since they were made: partitions came or went, another table has the
/// name now, triggers were dropped or switched off. What could not be seen meanwhile is asked for as a rebuild of the documents
/// over the table, in the transaction that sets the triggers. `captures` are those of the definitions in force. Gives the tables.
///
/// # Errors
/// As [`reconcile`].
pub async fn repair(
    db: &DatabaseConnection,
    names: &Names,
    captures: &[Capture],
    retry: &LockRetry,
) -> Result<Vec<String>, Error> {
    match names.dialect() {
        Dialect::Postgres => postgres::repair(db, names, captures, retry).await,
        Dialect::Sqlite => sqlite::repair(db, names, captures, retry).await,
    }
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

/// What one table needs.
struct Step {
    kind: StepKind,
    /// As reports name it.
    table: String,
    /// In order, in one transaction.
    statements: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StepKind {
    Install,
    Replace,
    Keep,
    Remove,
    /// Of a partition, whose table is told already.
    RemovePart,
}

async fn steps<C: ConnectionTrait>(db: &C, names: &Names, captures: &[Capture]) -> Result<Vec<Step>, Error> {
    match names.dialect() {
        Dialect::Postgres => postgres::steps(db, names, captures).await,
        Dialect::Sqlite => sqlite::steps(db, names, captures).await.map_err(Error::Read),
    }
}

fn report(steps: &[Step]) -> Report {
    let mut report = Report::default();
    for step in steps {
        let table = step.table.clone();
        match step.kind {
            StepKind::Install => report.installed.push(table),
            StepKind::Replace => report.replaced.push(table),
            StepKind::Keep => report.unchanged.push(table),
            StepKind::Remove => report.removed.push(table),
            StepKind::RemovePart => {}
        }
    }
    report
}

async fn change(
    db: &DatabaseConnection,
    table: &str,
    statements: &[String],
    retry: &LockRetry,
) -> Result<(), Error> {
    with_lock_retry(retry, || async {
        let txn = begin(db).await?;
        execute_all(&txn, statements).await?;
        txn.commit().await
    })
    .await
    .map_err(|source| Error::of_change(table, retry, source))
}

/// READ COMMITTED whatever the server's default is: under a lock the catalogue of now is asked for.
async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = match db.get_database_backend() {
        DbBackend::Sqlite => TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        },
        _ => TransactionOptions {
            isolation_level: Some(IsolationLevel::ReadCommitted),
            ..TransactionOptions::default()
        },
    };
    db.begin_with_options(options).await
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

/// What to capture, merged over all documents.
pub fn merged<'a>(uses: impl IntoIterator<Item = (&'a String, &'a TableUse)>) -> Vec<Capture> {
    let mut merged: BTreeMap<&str, Capture> = BTreeMap::new();
    for (name, used) in uses {
        let capture = merged.entry(name).or_insert_with(|| Capture {
            table: used.table.clone(),
            name: name.clone(),
            watched: BTreeSet::new(),
            carried: BTreeSet::new(),
        });
        capture.watched.extend(&used.watched);
        capture.carried.extend(&used.carried);
    }
    merged.into_values().collect()
}

impl Error {
    fn of_change(table: &str, retry: &LockRetry, source: DbErr) -> Self {
        let table = table.to_owned();
        match is_lock_conflict(&source) {
            true => Self::Locked {
                table,
                attempts: retry.attempts,
                source,
            },
            false => Self::Change { table, source },
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
