//! Leases: who runs a singleton task, until when.

use sea_orm::{ConnectionTrait, DbErr};

use crate::store::Store;

/// Takes or renews a lease for so many seconds. True where it is ours now.
pub async fn take(store: &Store, name: &str, holder: &str, seconds: i64) -> Result<bool, DbErr> {
    let now = store.dialect().now();
    let sql = format!(
        "INSERT INTO {} AS l (name, holder, until) VALUES ($1, $2, {now} + $3) ON CONFLICT (name) DO UPDATE \
         SET holder = excluded.holder, until = excluded.until WHERE l.holder = excluded.holder OR l.until < {now}",
        store.names.table("lease")
    );
    let values = [name.into(), holder.into(), (seconds * 1_000_000).into()];
    Ok(store
        .write
        .execute_raw(store.sql(sql, values))
        .await?
        .rows_affected()
        == 1)
}
