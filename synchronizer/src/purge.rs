//! Takes away what pubsync's own tables need no more, in bounded batches: old tombstones of mirrors, runs that have ended,
//! definitions that others have replaced.

use std::time::Duration;

use pubsync_schema::store::Store;
use pubsync_schema::writeset::{self, Step, WriteSet};
use pubsync_schema::{definition, lease, ledger, mirror, run};
use sea_orm::DbErr;

use crate::street::Street;

/// Rows that one statement takes away, and statements of one purge on one mirror: what is left waits for the next one.
const ROWS: u64 = 1000;
const BATCHES: usize = 20;

/// Seconds that the lease outlives its holder.
const LEASE: i64 = 60;

/// One purge, if the lease is ours.
///
/// # Errors
/// Of the database.
pub async fn once(street: &Street) -> Result<(), DbErr> {
    let store = &street.store;
    if !lease::take(store, "purge", &street.process, LEASE).await? {
        return Ok(());
    }
    let (now, keep) = (store.now().await?, &street.settings.keep);
    for definition in street.definitions.current().iter() {
        let before = now - micros(keep.tombstones);
        let gone = tombstones(store, &definition.document, before).await?;
        if gone > 0 {
            tracing::info!(document = definition.document, gone, "old tombstones purged");
        }
    }
    let sets = writeset::all(&store.read, store).await?;
    let asked_for: Vec<i64> = sets.values().flat_map(awaited).collect();
    run::purge(store, now - micros(keep.runs), &asked_for, ROWS).await?;
    definition::purge(store, now - micros(keep.definitions), ROWS).await?;
    Ok(())
}

/// Runs whose end something waits for: a new index, and one that is emptied.
fn awaited(set: &WriteSet) -> impl Iterator<Item = i64> {
    let emptying = match set.removal.as_ref().map(|removal| removal.step) {
        Some(Step::Emptying { run }) => run,
        _ => None,
    };
    let filling = set.filling.as_ref().map(|filling| filling.run);
    filling.into_iter().chain(emptying)
}

/// A tombstone goes only when it is older than all that is open of its document: what comes late then meets no row, and
/// is a delete at the revision that it knows.
async fn tombstones(store: &Store, document: &str, before: i64) -> Result<u64, DbErr> {
    let mut all = 0;
    for _ in 0..BATCHES {
        let open = ledger::oldest_open(&store.write, store, document).await?;
        let before = open.map_or(before, |open| open.min(before));
        let gone = mirror::purge(&store.write, store, document, before, ROWS).await?;
        all += gone;
        if gone < ROWS {
            break;
        }
    }
    Ok(all)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
