//! Locks of roots.

use sea_orm::{ConnectionTrait, DbErr};

use crate::dialect::Dialect;
use crate::store::{Store, texts};

/// Locks the roots that will be rebuilt, in one order everywhere, making their lock rows where they are missing.
/// Every look at mirror and sources must be a statement begun after this one (law 2).
pub async fn lock_roots(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    roots: &[String],
) -> Result<(), DbErr> {
    let (table, dialect) = (store.names.root(document), store.dialect());
    let mut sorted: Vec<&str> = roots.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let list = || texts(dialect, &sorted);
    let insert = match dialect {
        Dialect::Postgres => format!(
            "INSERT INTO {table} (root, definition) SELECT c0, 0 FROM unnest($1) AS l(c0) ON CONFLICT (root) DO NOTHING"
        ),
        // `WHERE true` keeps SQLite from reading ON as a join condition.
        Dialect::Sqlite => format!(
            "INSERT INTO {table} (root, definition) SELECT value, 0 FROM json_each($1) WHERE true ON CONFLICT (root) DO NOTHING"
        ),
    };
    let made = txn
        .execute_raw(store.sql(insert, [list()]))
        .await?
        .rows_affected();
    // A root that this transaction has made is locked by that.
    if dialect == Dialect::Postgres && made < sorted.len() as u64 {
        let lock = dialect.among(&table, "root", "root", 1, dialect.for_update());
        txn.query_all_raw(store.sql(lock, [list()])).await?;
    }
    Ok(())
}
