//! From what a target answered to what stands in the database: ledger rows away, failures noted, what is still open in
//! a row of its own.

use std::collections::HashMap;

use pubsync_schema::failure::{self, NewFailure, Prospect, Stage};
use pubsync_schema::ledger::{self, NewEntry};
use pubsync_schema::names::Lane;
use pubsync_schema::shape::Collection;
use pubsync_schema::wire::{SyncKey, SyncWork};
use pubsync_schema::writeset::{self, Step, WriteSet};
use pubsync_schema::{health, mirror, run};
use pubsync_worker::metrics;
use sea_orm::DbErr;

use crate::apply::Unsettled;
use crate::message::{State, state_of_now};
use crate::parts;
use crate::street::Street;
use crate::target::{Operation, Outcome, Write};

/// A batch of writes to one target, and the ledger rows that ask for them.
#[derive(Debug, Clone)]
pub struct Batch {
    pub document: String,
    pub target: String,
    pub queue: String,
    pub lane: Lane,
    /// Ledger rows that are settled together.
    pub ids: Vec<i64>,
    pub states: Vec<State>,
    pub force: bool,
    pub changed_at: i64,
    pub run: Option<i64>,
    /// How often the most tried of its messages was sent before.
    pub attempts: i64,
}

/// Rounds after which what may succeed later waits as a failure, with growing delays: a round takes some seconds.
const ROUNDS: i64 = 10;

/// Of the mirror's rows of now, for a batch whose rows were measured before: twice what that allows.
const ROOM: mirror::Room = mirror::Room {
    each: i64::MAX as usize,
    all: 2 * parts::ROOM,
};

impl Batch {
    /// Keeps the newest revision of each key: targets get a key once in a batch.
    pub fn coalesce(&mut self) {
        let mut newest: HashMap<String, State> = HashMap::with_capacity(self.states.len());
        for state in self.states.drain(..) {
            match newest.get(&state.key) {
                Some(known) if known.revision >= state.revision => {}
                _ => {
                    newest.insert(state.key.clone(), state);
                }
            }
        }
        self.states = newest.into_values().collect();
        self.states.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    }

    /// Replaces what these keys held by the mirror's rows of now: a second attempt never brings the past back (law 9).
    ///
    /// # Errors
    /// Of the database, or [`Unsettled::Grown`]: then nothing is renewed.
    pub async fn renew(&mut self, street: &Street, only: impl Fn(&State) -> bool) -> Result<(), Unsettled> {
        let keys: Vec<String> = self
            .states
            .iter()
            .filter(|s| only(s))
            .map(|s| s.key.clone())
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let set = street.definitions.write_set(&self.document, &self.target);
        // Then the mirror may be gone too, and all that is late is a delete.
        let rows = if set.is_some_and(|set| set.removal_step() == Some(Step::Gone)) {
            Vec::new()
        } else {
            mirror::by_keys_within(&street.store.write, &street.store, &self.document, &keys, ROOM).await?
        };
        let aliases = street.definitions.shows_aliases(&self.document, &self.target);
        if rows.iter().any(mirror::Row::is_left_out) {
            return Err(Unsettled::Grown(self.document.clone()));
        }
        // Row by row: none of them stays beside its state.
        let rows = rows.into_iter().map(|row| State::of(&row, aliases));
        let found: HashMap<String, State> = rows.map(|state| (state.key.clone(), state)).collect();
        for state in self.states.iter_mut().filter(|s| only(s)) {
            let known = SyncKey {
                key: state.key.clone(),
                revision: state.revision,
            };
            *state = state_of_now(found.get(&state.key).cloned(), known);
        }
        Ok(())
    }

    /// Bytes of its bodies and keys.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.states.iter().map(State::bytes).sum()
    }

    /// Some of its keys, as a batch that asks for nothing in the ledger.
    #[must_use]
    pub fn part(&self, places: &[usize], force: bool) -> Self {
        Self {
            ids: Vec::new(),
            states: places.iter().map(|at| self.states[*at].clone()).collect(),
            force: self.force || force,
            document: self.document.clone(),
            target: self.target.clone(),
            queue: self.queue.clone(),
            ..*self
        }
    }

    /// What goes to the target. A key that the target does not take is deleted there, whatever was asked for: all
    /// writes come through here, so a filter that changed holds for work that is under way too.
    #[must_use]
    pub fn writes(&self, collection: &Collection) -> Vec<Write> {
        self.states
            .iter()
            .map(|state| Write {
                key: state.key.clone(),
                revision: state.revision,
                operation: match &state.body {
                    Some(body) if collection.takes(&state.key) => Operation::Put(body.clone()),
                    _ => Operation::Delete,
                },
            })
            .collect()
    }
}

/// What a settled batch amounts to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub applied: usize,
    pub stale: usize,
    pub retry: usize,
    pub failed: usize,
}

impl Tally {
    /// By the words of metrics and logs.
    fn outcomes(&self) -> [(&'static str, usize); 4] {
        [
            ("applied", self.applied),
            ("stale", self.stale),
            ("retry", self.retry),
            ("failed", self.failed),
        ]
    }
}

/// Makes the outcomes of a batch durable, in one transaction: its ledger rows go; what may succeed later gets a row of
/// its own with a new id; what was refused becomes a failure.
///
/// `ahead`: keys of which the target holds a higher revision than the mirror, with it. They get revisions above that and
/// are sent again.
///
/// `through`: the write set that the batch was applied through. `None` as the answer: it is no longer current, nothing is
/// settled, and the batch must be applied again.
///
/// # Errors
/// Of the database; then nothing is settled.
pub async fn settle(
    street: &Street,
    batch: &Batch,
    through: &WriteSet,
    outcomes: &[Outcome],
    ahead: &[(String, i64)],
) -> Result<Option<Tally>, DbErr> {
    let store = &street.store;
    note_applied(street, batch, outcomes).await?;
    let mut tally = Tally::default();
    let (mut open, mut failures, mut well) = (Vec::new(), Vec::new(), Vec::new());
    for (state, outcome) in batch.states.iter().zip(outcomes) {
        match outcome {
            Outcome::Applied => {
                tally.applied += 1;
                well.push(state.key.clone());
            }
            Outcome::Stale => {
                tally.stale += 1;
                well.push(state.key.clone());
            }
            Outcome::Retry(error) if batch.attempts >= ROUNDS => {
                tally.failed += 1;
                failures.push(refused(batch, state, "busy", error, Prospect::Transient));
            }
            Outcome::Retry(error) => {
                tally.retry += 1;
                tracing::debug!(key = state.key, error, "to be tried again");
                open.push(SyncKey {
                    key: state.key.clone(),
                    revision: state.revision,
                });
            }
            Outcome::Failed { class, error } => {
                tally.failed += 1;
                failures.push(refused(batch, state, class, error, Prospect::Permanent));
            }
        }
    }
    let simple = ahead.is_empty() && open.is_empty() && failures.is_empty() && batch.run.is_none();
    if simple {
        let gone = ledger::delete_applied(&store.write, store, &batch.ids, through).await?;
        if gone.is_empty() && !writeset::is_current(&store.write, store, through).await? {
            return Ok(None);
        }
        failure::clear_keys(&store.write, store, &batch.document, &batch.target, &well).await?;
        tell(batch, &tally);
        return Ok(Some(tally));
    }
    let txn = store.begin().await?;
    let stood = !ledger::delete_applied(&txn, store, &batch.ids, through)
        .await?
        .is_empty();
    if !stood && !writeset::is_current(&txn, store, through).await? {
        txn.rollback().await?;
        return Ok(None);
    }
    failure::clear_keys(&txn, store, &batch.document, &batch.target, &well).await?;
    failure::record(&txn, store, &failures).await?;
    if stood {
        let raised = mirror::raise(&txn, store, &batch.document, ahead).await?;
        open.extend(
            raised
                .into_iter()
                .map(|(key, revision)| SyncKey { key, revision }),
        );
        // Where no row stood, another copy of the messages has settled them, with an open row of its own.
        if !open.is_empty() {
            let entry = again(street, batch, open, tally.retry > 0)?;
            ledger::insert(&txn, store, &[entry]).await?;
        }
        if let Some(run) = batch.run {
            run::count(&txn, store, run, 0, well.len() as i64, tally.failed as i64).await?;
        }
    }
    txn.commit().await?;
    tell(batch, &tally);
    Ok(Some(tally))
}

/// A target that loses writes at a failover gets those again that it had accepted since: the lowest of their revisions is
/// noted before the ledger rows go.
async fn note_applied(street: &Street, batch: &Batch, outcomes: &[Outcome]) -> Result<(), DbErr> {
    let target = street.targets.get(&batch.target);
    if !target.is_some_and(|target| target.may_lose_writes()) {
        return Ok(());
    }
    let applied = batch.states.iter().zip(outcomes);
    let applied = applied.filter(|(_, outcome)| **outcome == Outcome::Applied);
    match applied.map(|(state, _)| state.revision).min() {
        Some(lowest) => health::applied(&street.store, &batch.target, lowest).await,
        None => Ok(()),
    }
}

fn tell(batch: &Batch, tally: &Tally) {
    // No change is behind a run: a rebuild or a resync, which takes its time.
    let arrived = tally.applied + tally.stale > 0 && batch.run.is_none();
    let changed_at = arrived.then_some(batch.changed_at);
    metrics::written(&batch.target, &batch.document, &tally.outcomes(), changed_at);
}

fn refused(batch: &Batch, state: &State, class: &str, error: &str, prospect: Prospect) -> NewFailure {
    tracing::warn!(
        target_name = batch.target,
        document = batch.document,
        key = state.key,
        class,
        error,
        "refused"
    );
    NewFailure {
        stage: Stage::Sync,
        document: batch.document.clone(),
        root: None,
        key: Some(state.key.clone()),
        target: Some(batch.target.clone()),
        class: class.to_owned(),
        error: error.to_owned(),
        payload: None,
        revision: Some(state.revision),
        changed_at: batch.changed_at,
        prospect,
    }
}

/// Claimed and sent by nobody it `waits` until the sweeper takes it back, who counts the attempt: sent at once it would be
/// back at once, and hold up what is beside it.
fn again(street: &Street, batch: &Batch, open: Vec<SyncKey>, waits: bool) -> Result<NewEntry, DbErr> {
    let definition = street.definitions.get(&batch.document).map_or(0, |d| d.number);
    let entry = sync_entry(batch, definition, open, batch.force)?;
    Ok(NewEntry {
        attempts: batch.attempts + i64::from(!waits),
        claimed: waits,
        ..entry
    })
}

/// A ledger row that asks for these keys.
///
/// # Errors
/// Never in practice: the work is plain data.
pub fn sync_entry(
    batch: &Batch,
    definition: i64,
    keys: Vec<SyncKey>,
    force: bool,
) -> Result<NewEntry, DbErr> {
    let items = keys.len() as i64;
    let payload = serde_json::to_string(&SyncWork::Items { items: keys, force })
        .map_err(|e| DbErr::Json(e.to_string()))?;
    Ok(NewEntry {
        queue: batch.queue.clone(),
        document: batch.document.clone(),
        target: Some(batch.target.clone()),
        lane: batch.lane,
        payload,
        items,
        definition,
        run: batch.run,
        changed_at: batch.changed_at,
        attempts: 0,
        trace: None,
        claimed: false,
    })
}
