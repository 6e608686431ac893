//! The sweeper: takes back claims whose messages were lost, queues failures and roots whose time has come, ends quiet
//! runs. One process at a time does it, under a lease; everything it does is safe to do twice.

use std::time::Duration;

use pubsync_schema::failure::{self, Failure, Stage};
use pubsync_schema::ledger::{self, NewEntry, Patience, QueueLoad};
use pubsync_schema::names::Lane;
use pubsync_schema::pause::{self, Pause, Subject};
use pubsync_schema::wire::{PublishWork, SyncKey, SyncWork};
use pubsync_schema::{lease, run};
use pubsync_worker::metrics;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::moving;
use crate::purge;
use crate::removing;
use crate::street::Street;

const PERIOD: Duration = Duration::from_millis(500);

/// Sweeps from one purge to the next: a minute.
const PURGE: u32 = 120;

/// Seconds that the lease outlives its holder.
const LEASE: i64 = 5;

/// Most failures that one sweep queues again.
const DUE: u64 = 500;

/// Sweeps until stopped.
pub async fn sweep(street: Street, stop: CancellationToken) {
    let mut sweeps = 0_u32;
    while stop
        .run_until_cancelled(tokio::time::sleep(PERIOD))
        .await
        .is_some()
    {
        let mut done = once(&street).await;
        sweeps = sweeps.wrapping_add(1);
        if done.is_ok() && sweeps.is_multiple_of(PURGE) {
            done = purge::once(&street).await;
        }
        if let Err(error) = done {
            tracing::warn!(%error, "sweep failed; the next one follows");
        }
    }
}

/// One sweep, if the lease is ours.
///
/// # Errors
/// Of the database.
pub async fn once(street: &Street) -> Result<(), DbErr> {
    let store = &street.store;
    if !lease::take(store, "sweeper", &street.process, LEASE).await? {
        return Ok(());
    }
    let paused = pause::current(&store.read, store).await?;
    for load in ledger::load(store).await? {
        if load.outstanding > 0 && !is_paused(&paused, load.target.as_deref()) {
            take_back(street, &load).await?;
        }
    }
    retry_failures(street).await?;
    clock::tick(street, &paused).await?;
    run::finish_quiet(store).await?;
    moving::advance(street).await
}

/// A target that is paused gets no second copies: they would only pile up.
fn is_paused(paused: &[Pause], target: Option<&str>) -> bool {
    paused
        .iter()
        .any(|p| matches!((&p.subject, target), (Subject::Target(name), Some(target)) if name == target))
}

async fn take_back(street: &Street, load: &QueueLoad) -> Result<(), DbErr> {
    let micros = |d: Duration| d.as_micros() as i64;
    let mut patience = Patience {
        unsent: micros(street.settings.unsent_after),
        sent: micros(street.settings.resend_after),
    };
    match street.broker.depth(&load.queue).await {
        // All of them wait at the broker: a copy would not help.
        Ok(Some(depth)) if depth.ready as i64 >= load.outstanding => return Ok(()),
        Ok(Some(_)) => {}
        // The queue itself is gone, and all its messages: whatever was sent is lost.
        Ok(None) => patience.sent = 0,
        Err(error) => {
            tracing::debug!(%error, "broker does not answer; sweeping waits");
            return Ok(());
        }
    }
    let taken = ledger::take_back(&street.store, &load.queue, patience, street.broker.epoch()).await?;
    if taken > 0 {
        metrics::resent(&load.queue, taken);
    }
    Ok(())
}

/// Queues failures whose next attempt is due. The rows stay until the work succeeds.
async fn retry_failures(street: &Street) -> Result<(), DbErr> {
    let store = &street.store;
    let txn = store.begin().await?;
    let due = failure::take_due(&txn, store, DUE).await?;
    let mut entries = Vec::new();
    let mut superseded = Vec::new();
    for failure in &due {
        if let Some(entry) = again(street, failure)? {
            // Changes have no root yet, so nothing but the row itself can be cleared by success.
            if failure.stage == Stage::Affected.as_str() {
                superseded.push(failure.id);
            }
            entries.push(entry);
        }
    }
    ledger::insert(&txn, store, &entries).await?;
    failure::delete(&txn, store, &superseded).await?;
    txn.commit().await
}

/// The work that a failure stands for; `None` where no worker can do anything (a broken trigger, an unreadable message).
pub fn again(street: &Street, failure: &Failure) -> Result<Option<NewEntry>, DbErr> {
    let Some(definition) = street.definitions.get(&failure.document) else {
        return removing::again(street, failure);
    };
    let json = |e: serde_json::Error| DbErr::Json(e.to_string());
    let names = &street.store.names;
    let (queue, target, payload) = match (&failure.target, &failure.key, &failure.root, &failure.payload) {
        (Some(target), Some(key), _, _) => {
            let items = vec![SyncKey {
                key: key.clone(),
                revision: 0,
            }];
            let work = SyncWork::Items { items, force: true };
            let queue = names.sync_queue(target, &definition.shape.queue, Lane::Bulk);
            (
                queue,
                Some(target.clone()),
                serde_json::to_string(&work).map_err(json)?,
            )
        }
        (None, _, Some(root), _) => {
            let work = serde_json::to_string(&PublishWork::Roots(vec![root.clone()])).map_err(json)?;
            (
                names.publish_queue(&definition.shape.queue, Lane::Bulk),
                None,
                work,
            )
        }
        (None, _, None, Some(payload)) if failure.stage == Stage::Affected.as_str() => (
            names.publish_queue(&definition.shape.queue, Lane::Bulk),
            None,
            payload.clone(),
        ),
        _ => return Ok(None),
    };
    Ok(Some(NewEntry {
        queue,
        document: failure.document.clone(),
        target,
        lane: Lane::Bulk,
        payload,
        items: 1,
        definition: definition.number,
        run: None,
        changed_at: failure.first_at,
        attempts: failure.attempts,
        trace: None,
        claimed: false,
    }))
}
