//! What a publisher wrote, as ledger rows for every target: claimed by this process where it will send or apply them
//! itself right after the commit, else left for any sender.

use std::collections::HashMap;
use std::ops::Range;

use pubsync_schema::ledger::{self, NewEntry};
use pubsync_schema::names::Lane;
use pubsync_schema::run;
use pubsync_schema::shape::{Shape, SyncMode};
use pubsync_schema::wire::{MAX_BYTES, MAX_ITEMS, SyncKey, SyncWork};
use pubsync_synchronizer::message::{self, Envelope, State};
use pubsync_synchronizer::sender::inline_limit;
use pubsync_synchronizer::settle::Batch;
use pubsync_worker::broker::Outgoing;
use sea_orm::{DatabaseTransaction, DbErr};

use super::difference::Changed;
use super::{Job, Publish};
use crate::registry::Compiled;

/// What this process does itself after the commit.
#[derive(Default)]
pub struct Handed {
    messages: Vec<Outgoing>,
    direct: Vec<Batch>,
}

/// How the rows of one target go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    Send,
    Wait,
}

/// Inserts the ledger rows of all targets in one statement.
pub async fn queue(
    publish: &Publish,
    txn: &DatabaseTransaction,
    compiled: &Compiled,
    job: &Job,
    puts: Vec<Changed>,
    written: &[(String, i64)],
    buried: &[(String, i64)],
) -> Result<Handed, DbErr> {
    let shape = &compiled.definition.shape;
    let states = states(puts, written, buried);
    let (packs, packed) = packs(shape, states);
    let mut entries = Vec::new();
    let mut plan = Vec::new();
    for (target, range) in packed {
        let packs = &packs[range.clone()];
        let queue = publish
            .street
            .store
            .names
            .sync_queue(target, &shape.queue, job.lane);
        let way = way(publish, shape, target, &queue, job, packs.len());
        for (i, pack) in range.zip(packs) {
            entries.push(entry(compiled, job, target, &queue, pack, way)?);
            plan.push((target, queue.clone(), i, way));
        }
    }
    if let Some(run) = job.run {
        // Whoever settles them counts them as done: they are work of the run too.
        let items = entries.iter().map(|e| e.items).sum();
        run::count(txn, &publish.street.store, run, items, 0, 0).await?;
    }
    let ids = ledger::insert(txn, &publish.street.store, &entries).await?;
    let mut handed = Handed::default();
    for ((target, queue, pack, way), id) in plan.into_iter().zip(ids) {
        let Some(states) = packs.get(pack) else { continue };
        match way {
            Way::Wait => {}
            Way::Direct => handed
                .direct
                .push(batch(compiled, job, target, queue, id, states.clone())),
            Way::Send => handed
                .messages
                .push(outgoing(publish, compiled, job, target, queue, id, states)?),
        }
    }
    Ok(handed)
}

/// After the commit. Whatever is not taken here is taken back by the sweeper.
pub async fn hand_over(publish: &Publish, handed: Handed) {
    for message in handed.messages {
        publish.outbound.hand_over(message);
    }
    for batch in handed.direct {
        publish.direct.hand_over(batch).await;
    }
}

fn way(publish: &Publish, shape: &Shape, target: &str, queue: &str, job: &Job, messages: usize) -> Way {
    let mode = shape.sync.unwrap_or(publish.street.settings.sync);
    // Rebuilds take the queue also where sync is direct: it is the queue that keeps them from starving live edits.
    if mode == SyncMode::Direct && job.lane == Lane::Live && publish.direct.reaches(target) {
        Way::Direct
    } else if publish.outbound.reserve(queue, messages as i64) {
        Way::Send
    } else {
        Way::Wait
    }
}

/// New states in key order of writing, tombstones first.
fn states(puts: Vec<Changed>, written: &[(String, i64)], buried: &[(String, i64)]) -> Vec<State> {
    let revisions: HashMap<&str, i64> = written
        .iter()
        .map(|(key, revision)| (key.as_str(), *revision))
        .collect();
    let dug_out = |key: &str| revisions.contains_key(key);
    let mut states: Vec<State> = buried
        .iter()
        .filter(|(key, _)| !dug_out(key))
        .map(|(key, revision)| State {
            key: key.clone(),
            revision: *revision,
            body: None,
        })
        .collect();
    states.extend(puts.into_iter().filter_map(|put| {
        let revision = *revisions.get(put.key.as_str())?;
        Some(State {
            key: put.key,
            revision,
            body: Some(put.body),
        })
    }));
    states
}

/// What each target gets, as messages that targets without a filter share: they stand first.
fn packs(shape: &Shape, states: Vec<State>) -> (Vec<Vec<State>>, Vec<(&String, Range<usize>)>) {
    let mut of_targets = Vec::new();
    let mut filtered = Vec::new();
    for target in shape.targets.keys() {
        let narrow = shape.collection(target).filter(|c| !c.only.is_everything());
        filtered.push((
            target,
            narrow.map(|collection| {
                let taken = states.iter().filter(|state| collection.takes(&state.key));
                pack(taken.cloned().collect())
            }),
        ));
    }
    let mut all = pack(states);
    let shared = 0..all.len();
    for (target, own) in filtered {
        let from = all.len();
        all.extend(own.iter().flatten().cloned());
        of_targets.push((
            target,
            if own.is_some() {
                from..all.len()
            } else {
                shared.clone()
            },
        ));
    }
    (all, of_targets)
}

/// Cuts into messages of at most 100 items and 1 MiB; a larger body travels alone.
fn pack(states: Vec<State>) -> Vec<Vec<State>> {
    let mut packs: Vec<Vec<State>> = Vec::new();
    let mut bytes = 0;
    for state in states {
        let size = state.body.as_ref().map_or(0, String::len) + state.key.len();
        match packs.last_mut() {
            Some(pack) if pack.len() < MAX_ITEMS && bytes + size <= MAX_BYTES => {
                bytes += size;
                pack.push(state);
            }
            _ => {
                bytes = size;
                packs.push(vec![state]);
            }
        }
    }
    packs
}

fn entry(
    compiled: &Compiled,
    job: &Job,
    target: &str,
    queue: &str,
    pack: &[State],
    way: Way,
) -> Result<NewEntry, DbErr> {
    let items = pack
        .iter()
        .map(|s| SyncKey {
            key: s.key.clone(),
            revision: s.revision,
        })
        .collect();
    let work = SyncWork::Items { items, force: false };
    Ok(NewEntry {
        queue: queue.to_owned(),
        document: compiled.definition.document.clone(),
        target: Some(target.to_owned()),
        lane: job.lane,
        payload: serde_json::to_string(&work).map_err(|e| DbErr::Json(e.to_string()))?,
        items: pack.len() as i64,
        definition: compiled.definition.number,
        run: job.run,
        changed_at: job.changed_at,
        attempts: 0,
        trace: job.trace.clone(),
        claimed: way != Way::Wait,
    })
}

fn batch(compiled: &Compiled, job: &Job, target: &str, queue: String, id: i64, states: Vec<State>) -> Batch {
    Batch {
        document: compiled.definition.document.clone(),
        target: target.to_owned(),
        queue,
        lane: job.lane,
        ids: vec![id],
        states,
        force: false,
        changed_at: job.changed_at,
        run: job.run,
    }
}

fn outgoing(
    publish: &Publish,
    compiled: &Compiled,
    job: &Job,
    target: &str,
    queue: String,
    id: i64,
    states: &[State],
) -> Result<Outgoing, DbErr> {
    let document = &compiled.definition.document;
    let envelope = Envelope {
        id,
        document,
        attempt: 0,
        changed_at: job.changed_at,
        run: job.run,
    };
    let limit = inline_limit(&publish.street, document);
    let body =
        message::items(&envelope, target, false, states, limit).map_err(|e| DbErr::Json(e.to_string()))?;
    Ok(Outgoing {
        id,
        queue,
        body,
        trace: job.trace.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_are_bounded_by_count_and_bytes() {
        let small = |i: usize| State {
            key: i.to_string(),
            revision: 1,
            body: Some("{}".into()),
        };
        assert_eq!(
            pack((0..250).map(small).collect())
                .iter()
                .map(Vec::len)
                .collect::<Vec<_>>(),
            [100, 100, 50]
        );
        let large = |i: usize| State {
            key: i.to_string(),
            revision: 1,
            body: Some("x".repeat(600 * 1024)),
        };
        assert_eq!(pack((0..3).map(large).collect()).len(), 3);
        assert!(pack(Vec::new()).is_empty());
    }
}
