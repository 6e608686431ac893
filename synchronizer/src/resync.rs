//! Resync: a walk over the mirror that queues every row for a target again, then a walk over the target that finds
//! what the mirror does not know. Both go in pages that are ledger rows themselves, so they survive any kill, and both
//! only queue: targets are written by the one road.

use std::collections::HashSet;

use pubsync_schema::ledger::{self, NewEntry};
use pubsync_schema::mirror::{self, Page};
use pubsync_schema::names::Lane;
use pubsync_schema::run;
use pubsync_schema::shape::Shape;
use pubsync_schema::store::Store;
use pubsync_schema::wire::{MAX_ITEMS, SyncKey, SyncWork};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};

use crate::settle::{Batch, sync_entry};
use crate::street::Street;
use crate::target::{Target, TargetError};

/// Mirror rows, or target keys, of one page.
const PAGE: usize = 2000;

/// Where a walk stands.
#[derive(Debug, Clone)]
pub enum Walk {
    Mirror {
        after: Option<String>,
        since: Option<i64>,
        roots: Option<Vec<String>>,
    },
    Target {
        cursor: Option<String>,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    #[error("database: {0}")]
    Store(#[from] DbErr),
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Queues one page and the next step, in one transaction with the end of this one.
///
/// # Errors
/// Of database or target; then nothing has happened.
pub async fn step(street: &Street, target: &dyn Target, batch: Batch, walk: Walk) -> Result<(), WalkError> {
    match walk {
        Walk::Mirror { after, since, roots } => mirror_page(street, &batch, after, since, roots).await?,
        Walk::Target { cursor } => target_page(street, target, &batch, cursor).await?,
    }
    Ok(())
}

async fn mirror_page(
    street: &Street,
    batch: &Batch,
    after: Option<String>,
    since: Option<i64>,
    roots: Option<Vec<String>>,
) -> Result<(), DbErr> {
    let store = &street.store;
    let txn = store.begin().await?;
    let page = Page {
        after: after.as_deref(),
        since,
        roots: roots.as_deref(),
        limit: PAGE as u64,
    };
    let rows = mirror::page(&txn, store, &batch.document, &page).await?;
    let partial = since.is_some() || roots.is_some();
    let next = if rows.len() == PAGE {
        Some(SyncWork::Resync {
            after: rows.last().map(|r| r.0.clone()),
            since,
            roots,
        })
    } else if partial {
        None
    } else {
        Some(SyncWork::Orphans { cursor: None })
    };
    finish(street, txn, batch, rows, next).await
}

async fn target_page(
    street: &Street,
    target: &dyn Target,
    batch: &Batch,
    cursor: Option<String>,
) -> Result<(), WalkError> {
    let store = &street.store;
    let Some(collection) = street
        .definitions
        .get(&batch.document)
        .and_then(|d| d.shape.collection(&batch.target))
    else {
        // The document does not go to this target any more: nothing to compare with.
        let txn = store.begin().await?;
        return Ok(finish(street, txn, batch, Vec::new(), None).await?);
    };
    let page = target.scan(&collection, cursor, PAGE).await?;
    let keys: Vec<String> = page.keys.iter().map(|k| k.0.clone()).collect();
    let txn = store.begin().await?;
    let live: HashSet<String> = mirror::live(&txn, store, &batch.document, &keys)
        .await?
        .into_iter()
        .collect();
    let mut orphans: Vec<(String, i64)> = page.keys.into_iter().filter(|k| !live.contains(&k.0)).collect();
    orphans.sort_unstable();
    orphans.dedup_by(|a, b| a.0 == b.0);
    let buried = mirror::bury_orphans(&txn, store, &batch.document, &orphans).await?;
    if !buried.is_empty() {
        tracing::info!(
            document = batch.document,
            target_name = batch.target,
            orphans = buried.len(),
            "orphans found"
        );
    }
    let next = page.next.map(|cursor| SyncWork::Orphans { cursor: Some(cursor) });
    Ok(finish(street, txn, batch, buried, next).await?)
}

/// Ends this step and queues what it found, all or nothing.
async fn finish(
    street: &Street,
    txn: DatabaseTransaction,
    batch: &Batch,
    found: Vec<(String, i64)>,
    next: Option<SyncWork>,
) -> Result<(), DbErr> {
    let store = &street.store;
    if ledger::delete(&txn, store, &batch.ids).await?.is_empty() {
        // Another copy of this message has done the step.
        return txn.rollback().await;
    }
    let definition = street.definitions.get(&batch.document).map_or(0, |d| d.number);
    let count = found.len() as i64;
    let keys: Vec<SyncKey> = found
        .into_iter()
        .map(|(key, revision)| SyncKey { key, revision })
        .collect();
    let mut entries = Vec::new();
    for chunk in keys.chunks(MAX_ITEMS) {
        entries.push(sync_entry(batch, definition, chunk.to_vec(), true)?);
    }
    if let Some(work) = next {
        entries.push(walk_entry(batch, definition, &work)?);
    }
    ledger::insert(&txn, store, &entries).await?;
    if let Some(run) = batch.run {
        run::count(&txn, store, run, count, 0, 0).await?;
    }
    txn.commit().await
}

/// Begins a resync of one document to one target: makes its run, and gives the ledger row to insert in the same
/// transaction. `since`: only rows changed since then (microseconds); `roots`: only these.
///
/// # Errors
/// Of the database.
pub async fn start(
    txn: &impl ConnectionTrait,
    store: &Store,
    shape: &Shape,
    definition: i64,
    target: &str,
    since: Option<i64>,
    roots: Option<Vec<String>>,
) -> Result<NewEntry, DbErr> {
    let batch = Batch {
        document: shape.document.clone(),
        target: target.to_owned(),
        queue: store.names.sync_queue(target, &shape.queue, Lane::Bulk),
        lane: Lane::Bulk,
        ids: Vec::new(),
        states: Vec::new(),
        force: true,
        changed_at: store.now().await?,
        run: Some(run::begin(txn, store, "resync", &shape.document, Some(target)).await?),
    };
    walk_entry(
        &batch,
        definition,
        &SyncWork::Resync {
            after: None,
            since,
            roots,
        },
    )
}

/// A ledger row that asks for a step of a walk.
///
/// # Errors
/// Never in practice: the work is plain data.
pub fn walk_entry(batch: &Batch, definition: i64, work: &SyncWork) -> Result<NewEntry, DbErr> {
    let entry = sync_entry(batch, definition, Vec::new(), true)?;
    let payload = serde_json::to_string(work).map_err(|e| DbErr::Json(e.to_string()))?;
    Ok(NewEntry {
        payload,
        items: 1,
        ..entry
    })
}
