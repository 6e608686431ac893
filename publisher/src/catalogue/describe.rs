//! What SELECTs of documents answer and read, told by the database without running them: each becomes a temporary view for a
//! moment, whose columns are in the catalogue.

use std::sync::Arc;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::fault::{Fault, chain, classify};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};

use super::{Catalogue, Described, Statement, Table, postgres, sqlite};

/// Name of the view, in no schema of the application.
const VIEW: &str = "pubsync_described";

/// Adds the statements to the catalogue. What the database refuses is kept as its reason.
///
/// # Errors
/// Where the database cannot be asked.
pub async fn describe(
    conn: &DatabaseConnection,
    dialect: Dialect,
    catalogue: &mut Catalogue,
    statements: Vec<Statement>,
) -> Result<(), DbErr> {
    for statement in statements {
        let described = match one(conn, dialect, &statement).await {
            Ok(described) => Ok(described),
            Err(error) if matches!(classify(&error), Fault::Down | Fault::Retry) => return Err(error),
            Err(error) => Err(chain(&error)),
        };
        catalogue.statements.insert(statement, described);
    }
    Ok(())
}

async fn one(conn: &DatabaseConnection, dialect: Dialect, statement: &Statement) -> Result<Described, DbErr> {
    // Never committed: the view is gone with the transaction.
    let transaction = conn.begin().await?;
    let view = format!(
        "CREATE TEMPORARY VIEW {VIEW} AS SELECT * FROM ({}) q",
        statement.sql
    );
    transaction.execute_unprepared(&view).await?;
    let (columns, reads) = match dialect {
        Dialect::Postgres => (
            postgres::view(&transaction, VIEW).await?,
            postgres::reads(&transaction, VIEW).await?,
        ),
        Dialect::Sqlite => (
            sqlite::view(&transaction, VIEW).await?,
            sqlite::reads(&transaction, &statement.sql).await?,
        ),
    };
    transaction.rollback().await?;
    let table = Table {
        // Only tables of SQLite are in no schema.
        schema: (dialect == Dialect::Postgres).then(|| "pg_temp".to_owned()),
        name: statement.name.clone(),
        columns,
        primary_key: Vec::new(),
        unique: Vec::new(),
        foreign_keys: Vec::new(),
    };
    Ok(Described {
        table: Arc::new(table),
        reads,
    })
}
