//! Applies a batch to its target until the target has answered: a target that is down is waited for, and burns
//! nothing.

use std::time::Duration;

use pubsync_schema::pause::{self, Subject};
use pubsync_schema::shape::Collection;
use pubsync_schema::writeset::WriteSet;
use pubsync_worker::backoff::Backoff;
use pubsync_worker::metrics;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use crate::settle::{self, Batch, Tally};
use crate::street::Street;
use crate::target::{Accept, Held, Outcome, Target, TargetError, Write};

/// How long a pause that a worker writes lasts unless it is renewed, in seconds.
const PAUSE: i64 = 15;

/// How often items that may succeed later are tried again at once.
const RETRIES: u32 = 5;

const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(200),
    cap: Duration::from_secs(10),
};

/// Why a batch ended without being settled. Its ledger rows stand.
#[derive(Debug, thiserror::Error)]
pub enum Unsettled {
    #[error("stopped while target {0} was waited for")]
    Stopped(String),
    #[error("no longer a document of target {0}")]
    Unbound(String),
    #[error("database: {0}")]
    Store(#[from] DbErr),
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
    let mut attempt = 0;
    loop {
        match everywhere(target, &set, batch, stop).await {
            Ok(outcomes) => {
                if attempt > 0 {
                    let subject = Subject::Target(batch.target.clone());
                    pause::end(&street.store.write, &street.store, &subject).await?;
                    tracing::info!(target_name = batch.target, "target is back");
                }
                let ahead = if batch.force {
                    ahead(target, &set, batch, &outcomes).await
                } else {
                    Ok(Vec::new())
                };
                if let Ok(ahead) = ahead {
                    if let Some(tally) = settle::settle(street, batch, &set, &outcomes, &ahead).await? {
                        return Ok(tally);
                    }
                    set = again(street, target, batch, &set).await?;
                    continue;
                }
                // The target went away in between: once more, from the rows of now.
            }
            Err(error) => note_down(street, &batch.target, &error).await?,
        }
        wait_until_up(street, target, &mut attempt, stop).await?;
        batch.renew(street, |_| true).await?;
    }
}

/// The set of now, for a batch that was applied through an older one. What stands there of the same revision may be what
/// the new set leaves out, so equal revisions are accepted.
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
    batch.force = true;
    batch.renew(street, |_| true).await?;
    Ok(set)
}

/// Through an older set, indexes may have been made that are no more, and readers' aliases set on them.
async fn undo(target: &dyn Target, older: &WriteSet, set: &WriteSet) -> Result<(), TargetError> {
    let stands: Vec<Collection> = match set.removal {
        Some(_) => Vec::new(),
        None => set.collections().cloned().collect(),
    };
    target.prepare(&stands).await?;
    for gone in older.collections() {
        if stands.iter().all(|collection| collection.number != gone.number) {
            target.discard(gone).await?;
        }
    }
    Ok(())
}

/// Applies to all collections of the set. What one of them refuses is refused.
///
/// # Errors
/// Of the target.
pub async fn everywhere(
    target: &dyn Target,
    set: &WriteSet,
    batch: &Batch,
    stop: &CancellationToken,
) -> Result<Vec<Outcome>, TargetError> {
    let mut worst: Option<Vec<Outcome>> = None;
    for collection in set.collections() {
        // Where nothing is to stand, what was on its way is done when the whole is taken away; once more, for somebody
        // may have made it again.
        if set.removal.is_some() && target.discard(collection).await? {
            worst.get_or_insert_with(|| vec![Outcome::Applied; batch.states.len()]);
            continue;
        }
        let writes = batch.writes(collection);
        // What a filter leaves out is deleted, though it stands there in this very revision.
        let left_out = || batch.states.iter().any(|state| !collection.takes(&state.key));
        let accept = if batch.force || left_out() {
            Accept::HigherOrEqual
        } else {
            Accept::Higher
        };
        let outcomes = patiently(target, collection, &writes, accept, stop).await?;
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

/// Applies, and tries again after a pause what may succeed later: those items only, and only so often. What is still
/// open then gets a ledger row of its own.
async fn patiently(
    target: &dyn Target,
    collection: &Collection,
    writes: &[Write],
    accept: Accept,
    stop: &CancellationToken,
) -> Result<Vec<Outcome>, TargetError> {
    let name = target.name();
    let mut outcomes = metrics::target_batch(name, target.apply(collection, writes, accept)).await?;
    for attempt in 0..RETRIES {
        let open: Vec<usize> = (0..outcomes.len())
            .filter(|&i| matches!(outcomes[i], Outcome::Retry(_)))
            .collect();
        let seed = u64::from(std::process::id());
        if open.is_empty() || !pubsync_worker::backoff::wait(BACKOFF.delay(attempt, seed), stop).await {
            break;
        }
        let again: Vec<Write> = open.iter().map(|&i| writes[i].clone()).collect();
        let answers = metrics::target_batch(name, target.apply(collection, &again, accept)).await?;
        for (place, outcome) in open.into_iter().zip(answers) {
            outcomes[place] = outcome;
        }
    }
    Ok(outcomes)
}

/// Keys that were refused because the target holds a higher revision than the batch, with that revision. A live batch does
/// not ask: something newer is on its way then. A forced one carries the rows of now.
async fn ahead(
    target: &dyn Target,
    set: &WriteSet,
    batch: &Batch,
    outcomes: &[Outcome],
) -> Result<Vec<(String, i64)>, TargetError> {
    let stale = batch
        .states
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| **outcome == Outcome::Stale);
    let (keys, known): (Vec<String>, Vec<i64>) = stale
        .map(|(state, _)| (state.key.clone(), state.revision))
        .unzip();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let held = target.versions(&set.serving, &keys).await?;
    let higher = |((key, known), held): ((String, i64), Option<Held>)| {
        // A target that is to hold nothing need not remember it at a higher revision; and what is emptied already may belong
        // to another document now.
        let done = |held: &Held| set.removal.is_some() && (held.deleted || set.is_done());
        held.filter(|held| held.revision > known && !done(held))
            .map(|held| (key, held.revision))
    };
    Ok(keys.into_iter().zip(known).zip(held).filter_map(higher).collect())
}

fn write_set(street: &Street, batch: &Batch) -> Result<WriteSet, Unsettled> {
    street
        .definitions
        .write_set(&batch.document, &batch.target)
        .ok_or_else(|| Unsettled::Unbound(batch.target.clone()))
}

/// Says in the database that the target does not take writes, so that nobody hammers it and `status` can tell.
pub async fn note_down(street: &Street, name: &str, error: &TargetError) -> Result<(), DbErr> {
    tracing::warn!(target_name = name, %error, "target does not take writes; waiting for it");
    pause::set(
        &street.store.write,
        &street.store,
        &Subject::Target(name.to_owned()),
        &error.to_string(),
        Some(PAUSE),
    )
    .await
}

async fn wait_until_up(
    street: &Street,
    target: &dyn Target,
    attempt: &mut u32,
    stop: &CancellationToken,
) -> Result<(), Unsettled> {
    loop {
        *attempt += 1;
        let seed = u64::from(std::process::id()) ^ u64::from(*attempt);
        if !pubsync_worker::backoff::wait(BACKOFF.delay(*attempt, seed), stop).await {
            return Err(Unsettled::Stopped(target.name().to_owned()));
        }
        match target.ping().await {
            Ok(()) => return Ok(()),
            Err(error) => note_down(street, target.name(), &error).await?,
        }
    }
}
