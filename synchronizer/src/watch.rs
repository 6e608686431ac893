//! Looks whether targets have lost what they had accepted, and sends it again. One process at a time does it, under a lease;
//! a look that comes late notes nothing, and what it does to a target is harmless.
//!
//! A loss is answered in three steps, each of which a kill may end; the next look goes on from there. First the loss is
//! noted, and the write sets are raised: what was applied before can be settled no more, so it is applied again by
//! whoever holds it. Then the target gets a new mark, so that it can lose things again. Then a repair is queued.

use std::collections::BTreeSet;
use std::time::Duration;

use pubsync_schema::definition::Definition;
use pubsync_schema::health::{self, Look, Since};
use pubsync_schema::store::Store;
use pubsync_schema::wire::Selection;
use pubsync_schema::writeset::{self, WriteSet};
use pubsync_schema::{lease, ledger, run};
use sea_orm::{DatabaseTransaction, DbErr};
use tokio_util::sync::CancellationToken;

use crate::resync;
use crate::street::Street;
use crate::target::{Found, Loss, Target, TargetError};

const PERIOD: Duration = Duration::from_secs(2);

/// Seconds that the lease outlives its holder: longer than a target takes to answer.
const LEASE: i64 = 15;

/// How long a target remembers deletes that may forget them all at once, in microseconds. No message is applied from its
/// own body that is older than a quarter of it.
const REMEMBERED: i64 = 3_600_000_000;

/// Looks until stopped, at once for the first time: what is lost before a target has its first mark is not noticed.
pub async fn watch(street: Street, stop: CancellationToken) {
    loop {
        match lease::take(&street.store, "watch", &street.process, LEASE).await {
            Ok(true) => all(&street).await,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "targets are not looked at; the next look follows"),
        }
        if stop
            .run_until_cancelled(tokio::time::sleep(PERIOD))
            .await
            .is_none()
        {
            return;
        }
    }
}

/// Looks at all targets. One that does not answer delays no other.
async fn all(street: &Street) {
    let each = street.targets.values().map(|target| async {
        if let Err(error) = once(street, &**target).await {
            tracing::warn!(target_name = target.name(), %error, "target is not looked at; the next look follows");
        }
    });
    futures::future::join_all(each).await;
}

/// Why a look came to no end.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error("database: {0}")]
    Store(#[from] DbErr),
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Looks at one target, and answers what it has lost.
///
/// # Errors
/// Of the database. That the target does not answer is noted.
pub async fn once(street: &Street, target: &dyn Target) -> Result<(), DbErr> {
    if !target.can_be_watched() {
        return Ok(());
    }
    match look(street, target).await {
        Ok(()) => Ok(()),
        Err(LookError::Store(error)) => Err(error),
        Err(LookError::Target(error)) => health::fail(&street.store, target.name(), &error.to_string()).await,
    }
}

async fn look(street: &Street, target: &dyn Target) -> Result<(), LookError> {
    let store = &street.store;
    let mut look = health::open(store, target.name()).await?;
    street.definitions.refresh(store).await?;
    let collections: Vec<_> = write_sets(street, target)
        .iter()
        .flat_map(|(_, set)| set.collections().cloned().collect::<Vec<_>>())
        .collect();
    let seen = target.look(&collections, &look).await?;
    look.state = seen.state;
    if !seen.found.is_empty() {
        if !note_loss(street, target, &mut look, seen.found).await? {
            return Ok(());
        }
        look.state = target.look(&collections, &look).await?.state;
    }
    if look.pending.is_empty() {
        health::note(&store.write, store, target.name(), &look).await?;
        return Ok(());
    }
    repair(street, target, look).await
}

/// The documents that go to a target, and where. What is being taken away from it is not looked after.
fn write_sets(street: &Street, target: &dyn Target) -> Vec<(Definition, WriteSet)> {
    let definitions = street.definitions.current();
    let set = |definition: &Definition| {
        let set = street
            .definitions
            .write_set(&definition.document, target.name())?;
        set.removal.is_none().then(|| (definition.clone(), set))
    };
    definitions.iter().filter_map(set).collect()
}

/// The first step. False: something else has changed meanwhile, and the next look finds the loss again.
async fn note_loss(
    street: &Street,
    target: &dyn Target,
    look: &mut Look,
    found: Vec<Found>,
) -> Result<bool, LookError> {
    let store = &street.store;
    let mut pending = read(&look.pending)?;
    for new in found {
        tracing::warn!(target_name = target.name(), loss = ?new.loss, why = new.why, "the target has lost something");
        if !pending.contains(&new) {
            pending.push(new);
        }
    }
    look.pending = serde_json::to_string(&pending).map_err(|error| DbErr::Json(error.to_string()))?;
    let why: BTreeSet<&str> = pending.iter().map(|found| found.why.as_str()).collect();
    let why = why.into_iter().collect::<Vec<_>>().join("; ");
    let txn = store.begin().await?;
    if !health::note(&txn, store, target.name(), look).await? {
        txn.rollback().await?;
        return Ok(false);
    }
    health::tell(&txn, store, target.name(), &why).await?;
    for (_, set) in write_sets(street, target) {
        let concerned = pending.iter().any(|found| match &found.loss {
            Loss::After(_) | Loss::Everything => true,
            Loss::Document(document) => *document == set.document,
            Loss::Deletes(_) => false,
        });
        if concerned && writeset::raise(&txn, store, &set).await?.is_none() {
            txn.rollback().await?;
            return Ok(false);
        }
    }
    txn.commit().await?;
    Ok(true)
}

fn read(pending: &str) -> Result<Vec<Found>, DbErr> {
    if pending.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(pending).map_err(|error| DbErr::Json(error.to_string()))
}

/// The last step: what is missing is there again, empty, and a run fills it.
async fn repair(street: &Street, target: &dyn Target, mut look: Look) -> Result<(), LookError> {
    let store = &street.store;
    let losses: Vec<Loss> = read(&look.pending)?.into_iter().map(|found| found.loss).collect();
    street.definitions.refresh(store).await?;
    let sets = write_sets(street, target);
    for (_, set) in &sets {
        if losses.contains(&Loss::Document(set.document.clone())) {
            let collections: Vec<_> = set.collections().cloned().collect();
            target.prepare(&collections).await?;
        }
    }
    let txn = store.begin().await?;
    look.pending.clear();
    if !health::note(&txn, store, target.name(), &look).await? {
        txn.rollback().await?;
        return Ok(());
    }
    for (definition, set) in &sets {
        let rows = missing(&txn, store, set, &losses).await?;
        if !rows.is_empty() && !queue(&txn, store, definition, set, rows).await? {
            txn.rollback().await?;
            return Ok(());
        }
    }
    Ok(txn.commit().await?)
}

/// Which rows of a document are to be sent again.
async fn missing(
    txn: &DatabaseTransaction,
    store: &Store,
    set: &WriteSet,
    losses: &[Loss],
) -> Result<Vec<Selection>, DbErr> {
    let mut rows = Vec::new();
    for loss in losses {
        let selection = match loss {
            Loss::Everything => Selection::default(),
            Loss::Document(document) if *document == set.document => Selection::default(),
            Loss::After(mark) => match health::since(txn, store, &set.target, *mark).await? {
                Since::Nothing => continue,
                Since::Everything => Selection::default(),
                Since::Revision(revision) => Selection {
                    from_revision: Some(revision),
                    ..Selection::default()
                },
            },
            Loss::Deletes(document) if *document == set.document => Selection {
                deleted_since: Some(store.now().await? - REMEMBERED),
                ..Selection::default()
            },
            Loss::Document(_) | Loss::Deletes(_) => continue,
        };
        if !selection.is_partial() {
            return Ok(vec![selection]);
        }
        if !rows.contains(&selection) {
            rows.push(selection);
        }
    }
    Ok(rows)
}

/// Queues the walks over these rows, as one run. False: the write set has changed meanwhile.
async fn queue(
    txn: &DatabaseTransaction,
    store: &Store,
    definition: &Definition,
    set: &WriteSet,
    rows: Vec<Selection>,
) -> Result<bool, DbErr> {
    let shape = &definition.shape;
    let run = run::begin(txn, store, "repair", &set.document, Some(&set.target)).await?;
    // A new index that is being filled is complete when this run is: the older one has walked past what was lost.
    if let (Some(filling), [all]) = (&set.filling, &rows[..])
        && !all.is_partial()
    {
        let mut next = set.clone();
        next.filling = Some(writeset::Filling {
            run,
            ..filling.clone()
        });
        if writeset::raise(txn, store, &next).await?.is_none() {
            return Ok(false);
        }
    }
    let mut entries = Vec::new();
    for selection in rows {
        entries.push(resync::within(store, run, shape, definition.number, &set.target, selection).await?);
    }
    tracing::info!(
        document = set.document,
        target_name = set.target,
        run,
        "what was lost is sent again"
    );
    ledger::insert(txn, store, &entries).await?;
    Ok(true)
}
