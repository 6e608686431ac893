//! Takes away what nobody declares any more, after a person has agreed: entries of targets, queues, tables. Each step is a
//! change of the write set, so whoever goes on after a kill finds where the removal stands, and does the step again.
//!
//! A target that is left is a filter that takes nothing: its keys go by the one road, as deletes. Only an index goes as a
//! whole, where nothing else stands in it.

use std::collections::BTreeSet;

use pubsync_schema::definition::{self, Definition};
use pubsync_schema::failure::{self, Failure};
use pubsync_schema::inventory;
use pubsync_schema::ledger::{self, NewEntry};
use pubsync_schema::names::Lane;
use pubsync_schema::pause::Subject;
use pubsync_schema::removal::{self, Removed};
use pubsync_schema::run;
use pubsync_schema::store::Store;
use pubsync_schema::wire::{Selection, SyncKey, SyncWork};
use pubsync_schema::writeset::{self, Step, WriteSet, WriteSets};
use sea_orm::DbErr;

use crate::moving::MoveError;
use crate::street::Street;
use crate::target::{Target, TargetError};

/// Whether something is left to take away.
#[must_use]
pub fn is_open(set: &WriteSet) -> bool {
    set.removal_step().is_some_and(|step| step != Step::Gone)
}

/// Takes the removal of one document from one target as far as it goes now. A target that this process does not know can
/// only lose its queues.
pub(crate) async fn advance(
    street: &Street,
    target: Option<&dyn Target>,
    mut set: WriteSet,
) -> Result<(), MoveError> {
    while let Some(step) = next(street, target, &set).await? {
        let txn = street.store.begin().await?;
        let step = match step {
            // In one transaction, so that no second run is ever begun.
            Next::Walk => {
                let (entry, run) = walk(street, &txn, &set).await?;
                ledger::insert(&txn, &street.store, &[entry]).await?;
                Step::Emptying { run: Some(run) }
            }
            Next::Step(step) => step,
        };
        let mut next = set.clone();
        if let Some(removal) = &mut next.removal {
            removal.step = step;
        }
        match writeset::raise(&txn, &street.store, &next).await? {
            Some(generation) => {
                txn.commit().await?;
                tracing::info!(
                    document = set.document,
                    target_name = set.target,
                    ?step,
                    "removal"
                );
                set = WriteSet { generation, ..next };
            }
            // `apply` has changed it meanwhile: declared again.
            None => return Ok(txn.rollback().await?),
        }
    }
    Ok(())
}

enum Next {
    /// Keys must be found and deleted one by one.
    Walk,
    Step(Step),
}

/// Does what is due, and gives the step that says so; `None` where nothing is due.
async fn next(
    street: &Street,
    target: Option<&dyn Target>,
    set: &WriteSet,
) -> Result<Option<Next>, MoveError> {
    let Some(removal) = &set.removal else {
        return Ok(None);
    };
    let next = match (removal.step, target) {
        (Step::Agreed, Some(target)) => match discard(target, set).await? {
            true => Next::Step(Step::Emptying { run: None }),
            false => Next::Walk,
        },
        (Step::Emptying { run }, Some(target)) => {
            if !is_empty(&street.store, set, run).await? {
                return Ok(None);
            }
            // Once more: work that was under way may have made an index again.
            discard(target, set).await?;
            Next::Step(Step::Empty)
        }
        (Step::Empty, _) => {
            if !sync_queues_are_gone(street, set, &removal.queue).await? {
                return Ok(None);
            }
            Next::Step(Step::Gone)
        }
        (Step::Agreed | Step::Emptying { .. }, None) | (Step::Gone, _) => return Ok(None),
    };
    Ok(Some(next))
}

/// Takes all collections away as wholes; false where the target cannot.
async fn discard(target: &dyn Target, set: &WriteSet) -> Result<bool, TargetError> {
    let mut whole = true;
    for collection in set.collections() {
        whole &= target.discard(collection).await?;
    }
    Ok(whole)
}

/// A resync in which every key is deleted: first those of the mirror, tombstones too, then those that only the target has.
async fn walk(
    street: &Street,
    txn: &sea_orm::DatabaseTransaction,
    set: &WriteSet,
) -> Result<(NewEntry, i64), DbErr> {
    let store = &street.store;
    let run = run::begin(txn, store, "removal", &set.document, Some(&set.target)).await?;
    let work = SyncWork::Resync {
        after: None,
        selection: Selection::default(),
    };
    let entry = entry(store, set, &work, Some(run), store.now().await?)?;
    Ok((entry, run))
}

fn entry(
    store: &Store,
    set: &WriteSet,
    work: &SyncWork,
    run: Option<i64>,
    changed_at: i64,
) -> Result<NewEntry, DbErr> {
    let queue = set.emptying().unwrap_or(&set.document);
    Ok(NewEntry {
        queue: store.names.sync_queue(&set.target, queue, Lane::Bulk),
        document: set.document.clone(),
        target: Some(set.target.clone()),
        lane: Lane::Bulk,
        payload: serde_json::to_string(work).map_err(|e| DbErr::Json(e.to_string()))?,
        items: 1,
        definition: 0,
        run,
        changed_at,
        attempts: 0,
        trace: None,
        claimed: false,
    })
}

/// The work that a failure stands for, of a document that is declared no more: a key that could not be deleted.
///
/// # Errors
/// Never in practice: the work is plain data.
pub fn again(street: &Street, failure: &Failure) -> Result<Option<NewEntry>, DbErr> {
    let (Some(target), Some(key)) = (&failure.target, &failure.key) else {
        return Ok(None);
    };
    let set = street.definitions.write_set(&failure.document, target);
    let Some(set) = set.filter(|set| set.emptying().is_some()) else {
        return Ok(None);
    };
    let items = vec![SyncKey {
        key: key.clone(),
        revision: 0,
    }];
    let work = SyncWork::Items { items, force: true };
    let entry = entry(&street.store, &set, &work, None, failure.first_at)?;
    Ok(Some(NewEntry {
        attempts: failure.attempts,
        ..entry
    }))
}

/// Whether the run has ended, and nothing is under way to the target or refused by it.
async fn is_empty(store: &Store, set: &WriteSet, run: Option<i64>) -> Result<bool, DbErr> {
    if let Some(run) = run
        && let Some(run) = run::find(&store.write, store, run).await?
        && run.finished_at.is_none()
    {
        return Ok(false);
    }
    let open = ledger::is_open(store, &set.document, &set.target).await?;
    Ok(!open && refused(store, set).await? == 0)
}

/// Keys that the target did not delete.
async fn refused(store: &Store, set: &WriteSet) -> Result<i64, DbErr> {
    failure::since(&store.write, store, &set.document, &set.target, 0).await
}

/// Deletes the sync queues, unless another document uses them. False while a consumer is there: it would make them again.
async fn sync_queues_are_gone(street: &Street, set: &WriteSet, queue: &str) -> Result<bool, DbErr> {
    let store = &street.store;
    let (defined, sets) = (
        definition::all(&store.write, store).await?,
        writeset::all(&store.write, store).await?,
    );
    let used = |d: &Definition| d.shape.queue == queue && d.shape.targets.contains_key(&set.target);
    let emptied = |other: &WriteSet| other.target == set.target && other.emptying() == Some(queue);
    if defined.iter().any(used) || sets.values().any(emptied) {
        return Ok(true);
    }
    let names = &store.names;
    let lanes = [Lane::Live, Lane::Bulk];
    delete(
        street,
        &lanes.map(|lane| names.sync_queue(&set.target, queue, lane)),
    )
    .await
}

/// Deletes queues that nobody consumes. False where somebody does, or the broker does not answer: later, then.
async fn delete(street: &Street, queues: &[String]) -> Result<bool, DbErr> {
    for queue in queues {
        match street.broker.depth(queue).await {
            Ok(depth) if depth.is_none_or(|depth| depth.consumers == 0) => {}
            Ok(_) => return Ok(false),
            Err(error) => {
                tracing::debug!(queue, %error, "a queue that goes cannot be looked at yet");
                return Ok(false);
            }
        }
    }
    if let Err(error) = street.broker.delete(queues).await {
        tracing::debug!(?queues, %error, "queues cannot be deleted yet");
        return Ok(false);
    }
    Ok(true)
}

/// Takes publish queues and tables of documents away that no target holds any more.
pub(crate) async fn documents(street: &Street) -> Result<(), DbErr> {
    let store = &street.store;
    let removed = agreed(store).await?;
    if removed.is_empty() {
        return Ok(());
    }
    let sets = writeset::all(&store.write, store).await?;
    let defined = definition::all(&store.write, store).await?;
    for removed in removed {
        let (document, queue) = (&removed.document, &removed.shape.queue);
        if !targets_are_done(&sets, document) {
            continue;
        }
        let shared = defined.iter().any(|d| d.shape.queue == *queue);
        let lanes = [Lane::Live, Lane::Bulk];
        let queues = lanes.map(|lane| store.names.publish_queue(queue, lane));
        if !shared && !delete(street, &queues).await? {
            continue;
        }
        drop_tables(store, document).await?;
    }
    Ok(())
}

async fn agreed(store: &Store) -> Result<Vec<Removed>, DbErr> {
    let mut all = removal::all(&store.write, store).await?;
    all.retain(|removed| removed.agreed_at.is_some());
    Ok(all)
}

fn targets_are_done(sets: &WriteSets, document: &str) -> bool {
    let mut own = sets.values().filter(|set| set.document == document);
    own.all(|set| set.removal_step() == Some(Step::Gone))
}

/// In one transaction with the note that says so: whoever declares the document again waits for it, and makes new ones.
async fn drop_tables(store: &Store, document: &str) -> Result<(), DbErr> {
    let tables = inventory::tables(&store.write, store).await?;
    let stands = tables.contains(&format!("mirror_{document}"));
    if stands && removal::is_ahead(&store.write, store, document).await? {
        tracing::debug!(document, "the clock has not reached the mirror's newest revision");
        return Ok(());
    }
    let txn = store.begin().await?;
    if !removal::end(&txn, store, document).await? {
        return txn.rollback().await;
    }
    removal::drop_tables(&txn, store, document).await?;
    txn.commit().await?;
    tracing::info!(document, "nothing of it is left");
    Ok(())
}

/// Whether [`advance`] or [`documents`] has something to do, paused targets and failed keys apart.
///
/// # Errors
/// Of the database.
pub async fn is_due(store: &Store, sets: &WriteSets, paused: &[Subject]) -> Result<bool, DbErr> {
    let waits = |set: &WriteSet| paused.contains(&Subject::Target(set.target.clone()));
    for set in sets.values().filter(|set| is_open(set) && !waits(set)) {
        if set.is_done() || refused(store, set).await? == 0 {
            return Ok(true);
        }
    }
    let removed = agreed(store).await?;
    Ok(removed
        .iter()
        .any(|removed| targets_are_done(sets, &removed.document)))
}

/// What is being taken away, for `status`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Removal {
    pub document: String,
    /// Targets that still hold some of it.
    pub targets: BTreeSet<String>,
    /// All of it goes: mirror and queues too.
    pub whole: bool,
}

impl Removal {
    /// For the first line of `status`.
    pub(crate) fn sentence(&self) -> String {
        format!("{} is being taken away", self.document)
    }
}

/// What is being taken away, by document.
///
/// # Errors
/// Of the database.
pub async fn under_way(store: &Store) -> Result<Vec<Removal>, DbErr> {
    let sets = writeset::all(&store.read, store).await?;
    let whole: BTreeSet<String> = agreed(store).await?.into_iter().map(|r| r.document).collect();
    let open = || sets.values().filter(|set| is_open(set));
    let documents: BTreeSet<&String> = open().map(|set| &set.document).chain(&whole).collect();
    let removal = |document: &String| Removal {
        document: document.clone(),
        targets: open()
            .filter(|set| set.document == *document)
            .map(|set| set.target.clone())
            .collect(),
        whole: whole.contains(document),
    };
    Ok(documents.into_iter().map(removal).collect())
}
