//! How often work was begun and never ended: the mark of what kills its worker.

use sea_orm::{ConnectionTrait, DbErr};

use super::update;
use crate::store::{Store, numbers};

/// Counts that work of this row is begun, before it is: whatever kills the worker is found by it. Gives how often it was
/// begun and never ended, this time included; `None` where the row is gone, and without `again` where it was begun before.
///
/// # Errors
/// Of the database.
pub async fn begin(store: &Store, id: i64, again: bool) -> Result<Option<i64>, DbErr> {
    let ledger = store.names.table("ledger");
    let fresh = if again { "" } else { " AND begun = 0" };
    let sql = format!("UPDATE {ledger} SET begun = begun + 1 WHERE id = $1{fresh} RETURNING begun");
    let row = store.write.query_one_raw(store.sql(sql, [id.into()])).await?;
    row.map(|row| row.try_get("", "begun")).transpose()
}

/// Takes one [`begin`] back: the worker lives.
///
/// # Errors
/// Of the database.
pub async fn not_begun(store: &Store, id: i64) -> Result<(), DbErr> {
    update(store, &[id], "begun = begun - 1", []).await.map(drop)
}

/// Marks rows as parts of work that may have killed its worker: each of them is begun alone, as if this often before.
///
/// # Errors
/// Of the database.
pub async fn suspect(
    txn: &impl ConnectionTrait,
    store: &Store,
    ids: &[i64],
    begun: i64,
) -> Result<(), DbErr> {
    let sql = format!(
        "UPDATE {} SET begun = $2, attempts = 1 WHERE {}",
        store.names.table("ledger"),
        store.dialect().is_among("id", 1)
    );
    let values = [numbers(store.dialect(), ids), begun.into()];
    txn.execute_raw(store.sql(sql, values)).await?;
    Ok(())
}
