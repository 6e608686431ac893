//! What a publisher wrote, as ledger rows for every target: claimed by this process where it will send or apply them
//! itself right after the commit, else left for any sender.

use std::collections::{BTreeMap, HashMap, HashSet};

use pubsync_schema::ledger::{self, NewEntry};
use pubsync_schema::mirror::{self, Buried};
use pubsync_schema::names::Lane;
use pubsync_schema::pause::Subject;
use pubsync_schema::shape::{Shape, SyncMode};
use pubsync_schema::wire::{MAX_BYTES, MAX_ITEMS, PublishWork, SyncKey, SyncWork};
use pubsync_schema::{failure, run};
use pubsync_synchronizer::message::{self, Envelope, State};
use pubsync_synchronizer::sender::limits;
use pubsync_synchronizer::settle::Batch;
use pubsync_worker::broker::Outgoing;
use sea_orm::DbErr;

use super::difference::Changed;
use super::writing::Writing;
use super::{Job, Publish};
use crate::build::Kind;
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

/// Queues what waits for keys that this transaction has freed: it need not wait for its next attempt.
pub async fn wake(writing: &Writing<'_>, written: &[(String, i64)], buried: &[Buried]) -> Result<(), DbErr> {
    let Writing {
        publish,
        txn,
        compiled,
        job,
        ..
    } = writing;
    let (store, definition) = (&publish.street.store, &compiled.definition);
    let taken: HashSet<&str> = written.iter().map(|(key, _)| key.as_str()).collect();
    let freed: Vec<String> = buried
        .iter()
        .map(|buried| buried.key.as_str())
        .filter(|key| !taken.contains(key))
        .map(str::to_owned)
        .collect();
    let roots = failure::waiting_for(*txn, store, &definition.document, &freed).await?;
    let entries = again(publish, compiled, job, roots, None)?;
    ledger::insert(*txn, store, &entries).await?;
    Ok(())
}

/// Ledger rows that ask for these roots.
pub fn again(
    publish: &Publish,
    compiled: &Compiled,
    job: &Job,
    roots: Vec<String>,
    run: Option<i64>,
) -> Result<Vec<NewEntry>, DbErr> {
    let (names, definition) = (&publish.street.store.names, &compiled.definition);
    let entry = |chunk: &[String]| {
        let work = PublishWork::Roots(chunk.to_vec());
        Ok(NewEntry {
            queue: names.publish_queue(&definition.shape.queue, job.lane),
            document: definition.document.clone(),
            target: None,
            lane: job.lane,
            payload: serde_json::to_string(&work).map_err(|e| DbErr::Json(e.to_string()))?,
            items: chunk.len() as i64,
            definition: definition.number,
            run,
            changed_at: job.changed_at,
            attempts: 0,
            trace: job.trace.clone(),
            claimed: false,
        })
    };
    roots.chunks(MAX_ITEMS).map(entry).collect()
}

/// Inserts the ledger rows of all targets in one statement.
pub async fn queue(
    writing: &Writing<'_>,
    puts: Vec<Changed>,
    written: &[(String, i64)],
    buried: &[Buried],
) -> Result<Handed, DbErr> {
    let Writing {
        publish,
        txn,
        compiled,
        job,
        ..
    } = *writing;
    let shape = &compiled.definition.shape;
    let packs = Packs::of(shape, puts, written, buried);
    let mut entries = Vec::new();
    let mut plan = Vec::new();
    for target in shape.targets.keys() {
        let queue = publish
            .street
            .store
            .names
            .sync_queue(target, &shape.queue, job.lane);
        let packs = packs.to(shape, target);
        let way = way(publish, shape, target, &queue, job, packs.len());
        for pack in packs {
            entries.push(entry(compiled, job, target, &queue, pack, way)?);
            plan.push((target, queue.clone(), pack, way));
        }
    }
    if let Some(run) = job.run {
        // Whoever settles them counts them as done: they are work of the run too.
        let items = entries.iter().map(|e| e.items).sum();
        run::count(txn, &publish.street.store, run, items, 0, 0).await?;
    }
    let ids = ledger::insert(txn, &publish.street.store, &entries).await?;
    let mut handed = Handed::default();
    for ((target, queue, states, way), id) in plan.into_iter().zip(ids) {
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
    publish
        .outbound
        .hand_over(&publish.street.store, handed.messages)
        .await;
    for batch in handed.direct {
        publish.direct.hand_over(batch).await;
    }
}

fn way(publish: &Publish, shape: &Shape, target: &str, queue: &str, job: &Job, messages: usize) -> Way {
    let subject = Subject::Target(target.to_owned());
    if publish.street.definitions.is_paused_by_hand(&subject) {
        return Way::Wait;
    }
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

/// New states, cut into messages: for targets that hold aliases, for those that do not, and for those that take only some
/// keys.
struct Packs {
    whole: Vec<Vec<State>>,
    /// `None`: the same.
    documents: Option<Vec<Vec<State>>>,
    /// By target.
    narrowed: BTreeMap<String, Vec<Vec<State>>>,
}

impl Packs {
    fn of(shape: &Shape, puts: Vec<Changed>, written: &[(String, i64)], buried: &[Buried]) -> Self {
        let mut packs = Self::shared(shape, puts, written, buried);
        for target in shape.targets.keys() {
            let narrow = shape.collection(target).filter(|c| !c.only.is_everything());
            if let Some(collection) = narrow {
                let states = packs.to(shape, target).iter().flatten();
                let taken = states.filter(|state| collection.takes(&state.key)).cloned();
                let taken = pack(taken.collect());
                packs.narrowed.insert(target.clone(), taken);
            }
        }
        packs
    }

    fn shared(shape: &Shape, puts: Vec<Changed>, written: &[(String, i64)], buried: &[Buried]) -> Self {
        let some = |aliases: bool| shape.targets.values().any(|binding| binding.aliases == aliases);
        let alias = |put: &Changed| put.document.kind != Kind::Document;
        let aliases = buried.iter().any(|b| b.kind == mirror::Kind::Alias) || puts.iter().any(alias);
        if !aliases || !some(false) {
            return Self {
                whole: pack(states(puts, written, buried, true)),
                documents: None,
                narrowed: BTreeMap::new(),
            };
        }
        let whole = if some(true) {
            pack(states(puts.clone(), written, buried, true))
        } else {
            Vec::new()
        };
        Self {
            whole,
            documents: Some(pack(states(puts, written, buried, false))),
            narrowed: BTreeMap::new(),
        }
    }

    fn to(&self, shape: &Shape, target: &str) -> &[Vec<State>] {
        if let Some(narrowed) = self.narrowed.get(target) {
            return narrowed;
        }
        match &self.documents {
            Some(documents) if !shape.shows_aliases(target) => documents,
            _ => &self.whole,
        }
    }
}

/// New states in key order of writing, tombstones first. Without `aliases`, a document whose key became an alias is gone.
fn states(puts: Vec<Changed>, written: &[(String, i64)], buried: &[Buried], aliases: bool) -> Vec<State> {
    let revisions: HashMap<&str, i64> = written
        .iter()
        .map(|(key, revision)| (key.as_str(), *revision))
        .collect();
    let dug_out = |key: &str| revisions.contains_key(key);
    let mut states: Vec<State> = buried
        .iter()
        .filter(|buried| !dug_out(&buried.key) && (aliases || buried.kind == mirror::Kind::Document))
        .map(|buried| State {
            key: buried.key.clone(),
            revision: buried.revision,
            body: None,
            remains: buried.remains.clone(),
        })
        .collect();
    // A key that was another root's document, and is an alias now, was buried on the way.
    let moved: HashSet<&str> = buried
        .iter()
        .filter(|buried| buried.kind == mirror::Kind::Document)
        .map(|buried| buried.key.as_str())
        .collect();
    let was_document = |put: &Changed| {
        put.replaces == Some(mirror::Kind::Document) || moved.contains(put.document.key.as_str())
    };
    states.extend(puts.into_iter().filter_map(|put| {
        let revision = *revisions.get(put.document.key.as_str())?;
        let shown = aliases || put.document.kind == Kind::Document;
        (shown || was_document(&put)).then(|| State {
            key: put.document.key,
            revision,
            body: shown.then(|| put.document.body.into()),
            remains: None,
        })
    }));
    states
}

/// Cuts into messages of at most 100 items and 256 KiB; a larger body travels alone.
fn pack(states: Vec<State>) -> Vec<Vec<State>> {
    let mut packs: Vec<Vec<State>> = Vec::new();
    let mut bytes = 0;
    for state in states {
        let size = state.bytes();
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
        attempts: 0,
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
    let limits = limits(&publish.street, document);
    let body = message::items_within(&envelope, target, false, states, limits)
        .map_err(|e| DbErr::Json(e.to_string()))?;
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
            remains: None,
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
            body: Some("x".repeat(600 * 1024).into()),
            remains: None,
        };
        assert_eq!(pack((0..3).map(large).collect()).len(), 3);
        assert!(pack(Vec::new()).is_empty());
    }
}
