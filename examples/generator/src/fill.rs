//! Rows into a database: INSERTs of many rows, in one transaction, with one batch in memory.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement, TransactionTrait,
};

use crate::rows::Table;

/// Rows of one INSERT. SQLite takes 500 in one compound statement by default.
const BATCH: usize = 500;

/// Fills empty tables. `said` hears of each table, with its rows, when it is done. Gives the number of all rows.
///
/// # Errors
/// What the database says; then the tables are as before.
pub async fn fill(
    db: &DatabaseConnection,
    tables: Vec<Table>,
    mut said: impl FnMut(&str, u64),
) -> Result<u64, DbErr> {
    let transaction = db.begin().await?;
    let mut rows = 0;
    for table in tables {
        let name = table.name;
        let inserted = insert(&transaction, table).await?;
        said(name, inserted);
        rows += inserted;
    }
    if db.get_database_backend() == DbBackend::Postgres {
        go_on_counting(&transaction).await?;
    }
    transaction.commit().await?;
    Ok(rows)
}

async fn insert(transaction: &DatabaseTransaction, table: Table) -> Result<u64, DbErr> {
    let mut rows = table.rows;
    let mut count = 0;
    loop {
        let batch: Vec<String> = rows.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(count);
        }
        count += batch.len() as u64;
        let sql = format!(
            "INSERT INTO {} ({}) VALUES\n{}",
            table.name,
            table.columns,
            batch.join(",\n")
        );
        transaction.execute_unprepared(&sql).await?;
    }
}

/// The rows brought their ids along: identity columns go on behind them.
async fn go_on_counting(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    let identities = "SELECT format('SELECT setval(pg_get_serial_sequence(%L, %L), max(%I)) FROM %I', table_name, \
                      column_name, column_name, table_name) FROM information_schema.columns \
                      WHERE is_identity = 'YES' AND table_schema = current_schema()";
    let statement = |sql: &str| Statement::from_string(DbBackend::Postgres, sql);
    for row in transaction.query_all_raw(statement(identities)).await? {
        let set: String = row.try_get_by(0)?;
        transaction.query_one_raw(statement(&set)).await?;
    }
    Ok(())
}
