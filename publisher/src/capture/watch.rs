//! Looks after the triggers while the relay runs: one process at a time, under a lease, every few seconds.

use std::time::Duration;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::{definition, lease};
use pubsync_synchronizer::street::Street;
use pubsync_worker::backoff;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use super::{Error, LockRetry, merged, repair};
use crate::registry::Registry;

/// What nobody announces (a partition that is attached) is seen after this time at most.
const PERIOD: Duration = Duration::from_secs(2);

/// Seconds that the lease outlives its holder.
const LEASE: i64 = 10;

/// Few attempts: the next look follows soon.
const RETRY: LockRetry = LockRetry {
    attempts: 3,
    pause: Duration::from_millis(100),
    longest_pause: Duration::from_millis(400),
};

#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error(transparent)]
    Store(#[from] DbErr),
    #[error(transparent)]
    Capture(#[from] Error),
}

/// Looks until stopped.
pub async fn watch(street: Street, registry: Registry, stop: CancellationToken) {
    while backoff::wait(PERIOD, &stop).await {
        if let Err(error) = once(&street, &registry).await {
            let error = pubsync_schema::fault::chain(&error);
            tracing::warn!(
                error,
                "triggers cannot be looked after now; the next look follows"
            );
        }
    }
}

/// One look, if the lease is ours. Gives the tables that were set right.
///
/// # Errors
/// Of the database; what was set right before stays so.
pub async fn once(street: &Street, registry: &Registry) -> Result<Vec<String>, WatchError> {
    let store = &street.store;
    if !lease::take(store, "capture", &street.process, LEASE).await? {
        return Ok(Vec::new());
    }
    // What `apply` has taken away meanwhile is not missing.
    street.definitions.refresh(store).await?;
    registry.refresh().await?;
    let documents = registry.all();
    // Nor is what it is just taking away: it says so after the triggers are gone, and waits with that for the end of this look.
    // SQLite has no second writer to wait beside.
    let held = match store.dialect() {
        Dialect::Postgres => {
            let txn = store.begin().await?;
            let numbers = definition::hold_all(&txn, store).await?;
            if !registry.is_current(&numbers) {
                txn.rollback().await?;
                return Ok(Vec::new());
            }
            Some(txn)
        }
        Dialect::Sqlite => None,
    };
    let uses = documents.values().flat_map(|compiled| {
        let uses = compiled.uses.iter();
        uses.filter(|(table, _)| compiled.uses(table).is_some())
    });
    let captures = merged(uses);
    let repaired = repair(&store.write, &store.names, &captures, &RETRY).await?;
    if let Some(txn) = held {
        txn.rollback().await?;
    }
    for table in &repaired {
        tracing::warn!(
            table,
            "the table's partitions or triggers changed; its triggers are set and its documents are rebuilt"
        );
    }
    Ok(repaired)
}
