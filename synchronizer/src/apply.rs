//! Applies a batch to its target until the target has answered: a target that is down is waited for, and burns
//! nothing.

use std::collections::HashMap;
use std::time::Duration;

use pubsync_schema::mirror;
use pubsync_schema::shape::Collection;
use pubsync_schema::writeset::WriteSet;
use pubsync_worker::backoff::Backoff;
use pubsync_worker::metrics;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use crate::gate::{self, Gate, GateError};
use crate::settle::{self, Batch, Tally};
use crate::street::Street;
use crate::target::{Accept, Held, Outcome, Target, TargetError};

/// How often items that may succeed later are tried again at once: meanwhile they hold up all that is behind them.
const RETRIES: u32 = 2;

const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(200),
    cap: Duration::from_secs(10),
};

/// Why a batch ended without being settled. Its ledger rows stand.
#[derive(Debug, thiserror::Error)]
pub enum Unsettled {
    #[error("stopped while target {0} was waited for")]
    Stopped(String),
    #[error("target {0} is paused by hand")]
    Paused(String),
    #[error("no longer a document of target {0}")]
    Unbound(String),
    /// While it waited. From the ledger it comes again in parts that fit.
    #[error("documents of {0} have become too large to be applied together")]
    Grown(String),
    #[error("database: {0}")]
    Store(#[from] DbErr),
}

/// Why writes did not come to their outcomes.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Gate(#[from] GateError),
    /// While it was waited for.
    #[error(transparent)]
    Unsettled(#[from] Unsettled),
    #[error("database: {0}")]
    Store(#[from] DbErr),
}

impl From<TargetError> for ApplyError {
    fn from(error: TargetError) -> Self {
        Self::Gate(error.into())
    }
}

/// Applies and settles. While the target is down a pause row says so, and the rows of now are read again afterwards.
///
/// # Errors
/// See [`Unsettled`].
pub async fn apply(
    street: &Street,
    target: &dyn Target,
    batch: &mut Batch,
    stop: &CancellationToken,
) -> Result<Tally, Unsettled> {
    let mut set = write_set(street, batch)?;
    let mut gate = Gate::new(street, target);
    for attempt in 0_u32.. {
        if gate.wait(stop).await? || attempt > 0 {
            batch.renew(street, |_| true).await?;
        }
        let error = match attempt_all(&mut gate, &set, batch, stop).await {
            Ok((outcomes, ahead)) => {
                if let Some(tally) = settle::settle(street, batch, &set, &outcomes, &ahead).await? {
                    return Ok(tally);
                }
                set = again(street, target, batch, &set).await?;
                continue;
            }
            Err(ApplyError::Store(error) | ApplyError::Gate(GateError::Store(error))) => {
                return Err(error.into());
            }
            Err(ApplyError::Unsettled(error)) => return Err(error),
            Err(ApplyError::Gate(GateError::Shut { .. })) => continue,
            Err(ApplyError::Gate(GateError::Target(error))) => error,
        };
        // Others are answered: it is left alone by this batch only.
        if !gate.is_shut() {
            tracing::warn!(target_name = batch.target, %error, "target does not take a batch; trying again");
            let least = gate::asked_for(&error).unwrap_or_default();
            let delay = BACKOFF.next(attempt).max(least);
            if !pubsync_worker::backoff::wait(delay, stop).await {
                break;
            }
        }
    }
    Err(Unsettled::Stopped(target.name().to_owned()))
}

/// Outcomes of all, and the keys of which the target holds more than the mirror.
async fn attempt_all(
    gate: &mut Gate<'_>,
    set: &WriteSet,
    batch: &Batch,
    stop: &CancellationToken,
) -> Result<(Vec<Outcome>, Vec<(String, i64)>), ApplyError> {
    let (street, target) = (gate.street, gate.target);
    let mut outcomes = everywhere(gate, set, batch, Some(stop)).await?;
    let Refused { ahead, same } = refused(street, target, set, batch, &outcomes).await?;
    if !same.is_empty() {
        let mut again = batch.part(&same, true);
        again.renew(street, |_| true).await?;
        let answers = everywhere(gate, set, &again, Some(stop)).await?;
        for (place, outcome) in same.into_iter().zip(answers) {
            outcomes[place] = outcome;
        }
    }
    Ok((outcomes, ahead))
}

/// The set of now, for a batch that was applied through an older one.
async fn again(
    street: &Street,
    target: &dyn Target,
    batch: &mut Batch,
    older: &WriteSet,
) -> Result<WriteSet, Unsettled> {
    street.definitions.refresh(&street.store).await?;
    let set = write_set(street, batch)?;
    if let Err(error) = undo(target, older, &set).await {
        tracing::warn!(target_name = batch.target, %error, "the target is not tidied up; applying all the same");
    }
    batch.renew(street, |_| true).await?;
    Ok(set)
}

/// Through an older set, indexes may have been made that are no more.
async fn undo(target: &dyn Target, older: &WriteSet, set: &WriteSet) -> Result<(), TargetError> {
    let stands: Vec<Collection> = match set.removal {
        Some(_) => Vec::new(),
        None => set.collections().cloned().collect(),
    };
    for gone in older.collections() {
        if stands.iter().all(|collection| collection.number != gone.number) {
            target.discard(gone).await?;
        }
    }
    Ok(())
}

/// Applies to all collections of the set. What one of them refuses is refused. Without `stop` nothing is waited for.
///
/// # Errors
/// Of the target, and of the database where items are tried again.
pub async fn everywhere(
    gate: &mut Gate<'_>,
    set: &WriteSet,
    batch: &Batch,
    stop: Option<&CancellationToken>,
) -> Result<Vec<Outcome>, ApplyError> {
    let mut worst: Option<Vec<Outcome>> = None;
    for collection in set.collections() {
        // Where nothing is to stand, what was on its way is done when the whole is taken away; once more, for somebody
        // may have made it again.
        if set.removal.is_some() && gate.target.discard(collection).await? {
            worst.get_or_insert_with(|| vec![Outcome::Applied; batch.states.len()]);
            continue;
        }
        let outcomes = patiently(gate, collection, batch, stop).await?;
        worst = Some(match worst {
            Some(known) => known
                .into_iter()
                .zip(outcomes)
                .map(|(a, b)| worse(a, b))
                .collect(),
            None => outcomes,
        });
    }
    Ok(worst.unwrap_or_default())
}

/// The one that leaves more to do.
fn worse(a: Outcome, b: Outcome) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Stale => 0,
        Outcome::Applied => 1,
        Outcome::Failed { .. } => 2,
        Outcome::Retry(_) => 3,
    };
    if rank(&b) > rank(&a) { b } else { a }
}

/// Applies, and tries again after a pause what may succeed later: those items only, from the mirror's rows of then, and only
/// so often, where it is not the target that is waited for. What is still open then gets a ledger row of its own.
async fn patiently(
    gate: &mut Gate<'_>,
    collection: &Collection,
    batch: &Batch,
    stop: Option<&CancellationToken>,
) -> Result<Vec<Outcome>, ApplyError> {
    let mut outcomes = once(gate, collection, batch).await?;
    let mut attempt = 0;
    while let Some(stop) = stop {
        let open: Vec<usize> = (0..outcomes.len())
            .filter(|&i| matches!(outcomes[i], Outcome::Retry(_)))
            .collect();
        if open.is_empty() {
            break;
        }
        if gate.is_shut() {
            gate.wait(stop).await?;
        } else if attempt < RETRIES {
            if !BACKOFF.wait(attempt, stop).await {
                break;
            }
            attempt += 1;
        } else {
            break;
        }
        let mut again = batch.part(&open, false);
        again.renew(gate.street, |_| true).await?;
        let answers = once(gate, collection, &again).await?;
        for (place, outcome) in open.into_iter().zip(answers) {
            outcomes[place] = outcome;
        }
    }
    Ok(outcomes)
}

async fn once(
    gate: &mut Gate<'_>,
    collection: &Collection,
    batch: &Batch,
) -> Result<Vec<Outcome>, GateError> {
    // What a filter leaves out is deleted, though it stands there in this very revision.
    let left_out = || batch.states.iter().any(|state| !collection.takes(&state.key));
    let accept = if batch.force || left_out() {
        Accept::HigherOrEqual
    } else {
        Accept::Higher
    };
    let (writes, target) = (batch.writes(collection), gate.target);
    let request = metrics::target_batch(target.name(), target.apply(collection, &writes, accept));
    gate.send(request, |outcomes| gate::mostly_busy(outcomes)).await
}

/// What a target refused though the mirror has nothing newer.
#[derive(Debug, Default)]
pub struct Refused {
    /// Keys of which it holds a higher revision than the mirror, with it: it comes from a later state of a database that was
    /// restored since.
    ahead: Vec<(String, i64)>,
    /// Places of those that it holds in the mirror's revision. They are most likely equal, and are applied once more.
    same: Vec<usize>,
}

impl Refused {
    /// Whether all that was refused is older than what the mirror and the target have.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.ahead.is_empty() && self.same.is_empty()
    }
}

/// Compares what was refused with the mirror's rows of now. Mostly something newer is on its way, or was there first.
///
/// # Errors
/// Of database and target.
pub async fn refused(
    street: &Street,
    target: &dyn Target,
    set: &WriteSet,
    batch: &Batch,
    outcomes: &[Outcome],
) -> Result<Refused, ApplyError> {
    let stale = (0..batch.states.len()).filter(|&at| outcomes[at] == Outcome::Stale);
    let places: Vec<usize> = stale.collect();
    if places.is_empty() {
        return Ok(Refused::default());
    }
    let keys: Vec<String> = places.iter().map(|&at| batch.states[at].key.clone()).collect();
    if set.removal.is_some() {
        return left_behind(target, set, batch, &places, keys).await;
    }
    let store = &street.store;
    // First the target: what the mirror has afterwards is not older than what it had before.
    let held = target.highest(&set.serving, &keys).await?;
    let rows = mirror::revisions(&store.write, store, &batch.document, &keys).await?;
    let rows: HashMap<String, i64> = rows.into_iter().collect();
    let mut refused = Refused::default();
    for ((place, key), held) in places.into_iter().zip(keys).zip(held) {
        let (Some(row), Some(held)) = (rows.get(&key), held) else {
            continue;
        };
        if held > *row {
            refused.ahead.push((key, held));
        } else if held == *row && batch.states[place].revision == *row && !batch.force {
            refused.same.push(place);
        }
    }
    Ok(refused)
}

/// As [`refused`], where all is to end as deletes: the mirror may be gone already, and a target that is to hold nothing need
/// not remember it at a higher revision; what is emptied already may belong to another document now.
async fn left_behind(
    target: &dyn Target,
    set: &WriteSet,
    batch: &Batch,
    places: &[usize],
    keys: Vec<String>,
) -> Result<Refused, ApplyError> {
    let mut refused = Refused::default();
    if !batch.force || set.is_done() {
        return Ok(refused);
    }
    let held = target.versions(&set.serving, &keys).await?;
    for ((place, key), held) in places.iter().zip(keys).zip(held) {
        let ahead = |held: &Held| !held.deleted && held.revision > batch.states[*place].revision;
        refused
            .ahead
            .extend(held.filter(ahead).map(|held| (key, held.revision)));
    }
    Ok(refused)
}

fn write_set(street: &Street, batch: &Batch) -> Result<WriteSet, Unsettled> {
    street
        .definitions
        .write_set(&batch.document, &batch.target)
        .ok_or_else(|| Unsettled::Unbound(batch.target.clone()))
}
