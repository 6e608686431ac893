//! Resync: a walk over the mirror that queues every row for a target again, then a walk over the target that finds
//! what the mirror does not know. Both go in pages that are ledger rows themselves, so they survive any kill, and both
//! only queue: targets are written by the one road.

use std::collections::HashSet;

use pubsync_schema::ledger::{self, NewEntry};
use pubsync_schema::mirror::{self, Page};
use pubsync_schema::names::Lane;
use pubsync_schema::run;
use pubsync_schema::shape::{Collection, Only, Shape};
use pubsync_schema::store::Store;
use pubsync_schema::wire::{MAX_ITEMS, Selection, SyncKey, SyncWork};
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
        selection: Selection,
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
        Walk::Mirror { after, selection } => mirror_page(street, &batch, after, selection).await?,
        Walk::Target { cursor } => target_page(street, target, &batch, cursor).await?,
    }
    Ok(())
}

async fn mirror_page(
    street: &Street,
    batch: &Batch,
    after: Option<String>,
    selection: Selection,
) -> Result<(), DbErr> {
    let store = &street.store;
    let txn = store.begin().await?;
    let Some(collection) = collection(street, batch) else {
        // The document does not go to this target any more.
        return finish(street, txn, batch, Vec::new(), None).await;
    };
    let page = Page {
        after: after.as_deref(),
        selection: &selection,
        limit: PAGE as u64,
    };
    let rows = mirror::page(&txn, store, &batch.document, &page).await?;
    let wanted = |(key, _): &(String, i64)| {
        // Where nothing is to stand, every key is deleted.
        (collection.nothing || collection.takes(key))
            && selection.only.passes(|column| collection.value(key, column))
    };
    let (last, full) = (rows.last().map(|r| r.0.clone()), rows.len() == PAGE);
    let found = rows.into_iter().filter(wanted).collect();
    let next = if full {
        Some(SyncWork::Resync {
            after: last,
            selection,
        })
    } else if selection.is_partial() {
        None
    } else {
        Some(SyncWork::Orphans { cursor: None })
    };
    finish(street, txn, batch, found, next).await
}

async fn target_page(
    street: &Street,
    target: &dyn Target,
    batch: &Batch,
    cursor: Option<String>,
) -> Result<(), WalkError> {
    let store = &street.store;
    let Some(collection) = collection(street, batch) else {
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
    let (elsewhere, mut orphans): (Vec<_>, Vec<_>) = page.keys.into_iter().partition(|k| live.contains(&k.0));
    orphans.sort_unstable();
    orphans.dedup_by(|a, b| a.0 == b.0);
    let mut found = mirror::bury_orphans(&txn, store, &batch.document, &orphans).await?;
    // Live at other targets; whoever applies them here finds that this one does not take them, and deletes.
    found.extend(elsewhere.into_iter().filter(|(key, _)| !collection.takes(key)));
    if !found.is_empty() {
        tracing::info!(
            document = batch.document,
            target_name = batch.target,
            orphans = found.len(),
            "orphans found"
        );
    }
    let next = page.next.map(|cursor| SyncWork::Orphans { cursor: Some(cursor) });
    Ok(finish(street, txn, batch, found, next).await?)
}

fn collection(street: &Street, batch: &Batch) -> Option<Collection> {
    let set = street.definitions.write_set(&batch.document, &batch.target)?;
    Some(set.serving)
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
/// transaction.
///
/// # Errors
/// Of the database.
pub async fn start(
    txn: &impl ConnectionTrait,
    store: &Store,
    shape: &Shape,
    definition: i64,
    target: &str,
    selection: Selection,
) -> Result<NewEntry, DbErr> {
    let run = run::begin(txn, store, "resync", &shape.document, Some(target)).await?;
    within(store, run, shape, definition, target, selection).await
}

/// The ledger row with which a resync begins that belongs to this run.
///
/// # Errors
/// Of the database.
pub async fn within(
    store: &Store,
    run: i64,
    shape: &Shape,
    definition: i64,
    target: &str,
    selection: Selection,
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
        run: Some(run),
    };
    walk_entry(
        &batch,
        definition,
        &SyncWork::Resync {
            after: None,
            selection,
        },
    )
}

/// Reads `store.code=DE`: columns of the key and the values that are wanted; a column named twice has two.
///
/// # Errors
/// What is wrong with a text, for people.
pub fn only(shape: &Shape, texts: &[String]) -> Result<Only, String> {
    let mut only = Only::default();
    for text in texts {
        let (column, value) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is no column and value, such as store.code=DE"))?;
        if !shape.key.columns().any(|known| known == column) {
            let columns: Vec<&str> = shape.key.columns().collect();
            return Err(format!(
                "the keys of {} hold no {column}; they hold {}",
                shape.document,
                columns.join(", ")
            ));
        }
        only.0
            .entry(column.to_owned())
            .or_default()
            .insert(value.to_owned());
    }
    Ok(only)
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
