//! The clock of `visible` windows: queues roots whose time has come. It runs with the sweeper, under its lease. A root's
//! moment stands in `root_<document>` until a publisher has built it after that moment; only a publisher removes or moves
//! it, so whatever dies, a root whose time has come is queued again.

use pubsync_schema::definition::Definition;
use pubsync_schema::ledger::{self, NewEntry};
use pubsync_schema::mirror;
use pubsync_schema::names::Lane;
use pubsync_schema::pause::{Pause, Subject};
use pubsync_schema::wire::{MAX_ITEMS, PublishWork};
use sea_orm::DbErr;

use crate::street::Street;

/// Roots that one transaction queues.
const PAGE: u64 = 5_000;

/// From so many roots of one moment on they take the bulk lane.
const WIDE: usize = 1_000;

/// Queues all that is due, but for documents that stand still: their roots stay due. Gives how many roots that were.
///
/// # Errors
/// Of the database.
pub async fn tick(street: &Street, paused: &[Pause]) -> Result<usize, DbErr> {
    let mut queued = 0;
    for definition in street.definitions.current().iter() {
        let subject = Subject::Document(definition.document.clone());
        if paused.iter().any(|pause| pause.subject == subject) {
            continue;
        }
        loop {
            let page = page(street, definition).await?;
            queued += page;
            if (page as u64) < PAGE {
                break;
            }
        }
    }
    Ok(queued)
}

async fn page(street: &Street, definition: &Definition) -> Result<usize, DbErr> {
    let store = &street.store;
    // Nearly always there is nothing: one look, without a transaction.
    let now = store.now().await?;
    if !mirror::is_overdue(&store.read, store, &definition.document, now).await? {
        return Ok(0);
    }
    let txn = store.begin().await?;
    let due = mirror::take_due(&txn, store, &definition.document, PAGE).await?;
    let lane = if due.len() > WIDE { Lane::Bulk } else { Lane::Live };
    let mut entries = Vec::new();
    for chunk in due.chunks(MAX_ITEMS) {
        let roots = chunk.iter().map(|(root, _)| root.clone()).collect();
        entries.push(NewEntry {
            queue: store.names.publish_queue(&definition.shape.queue, lane),
            document: definition.document.clone(),
            target: None,
            lane,
            payload: serde_json::to_string(&PublishWork::Roots(roots))
                .map_err(|e| DbErr::Json(e.to_string()))?,
            items: chunk.len() as i64,
            definition: definition.number,
            run: None,
            // The change is that this moment came.
            changed_at: chunk.iter().map(|(_, due)| *due).min().unwrap_or(now),
            attempts: 0,
            trace: None,
            claimed: false,
        });
    }
    ledger::insert(&txn, store, &entries).await?;
    txn.commit().await?;
    Ok(due.len())
}
