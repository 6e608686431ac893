//! Direct sync: a publisher hands the writes of its commit to the target in its own process. The ledger rows stand
//! until the target has answered; what does not fit the buffer, or meets a target that is down, goes the way of the
//! queue. A killed process loses nothing: the sweeper takes its claims back.

use std::collections::BTreeMap;
use std::sync::Arc;

use pubsync_schema::ledger;
use pubsync_schema::pause::Subject;
use pubsync_worker::shutdown::Shutdown;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::apply;
use crate::gate::Gate;
use crate::settle::{self, Batch};
use crate::street::Street;
use crate::target::Target;

/// Commits of publishers that wait for one target, at most; each holds at most a publisher's batch.
const BUFFER: usize = 64;

/// Bytes of documents that wait for the targets of this process, all together.
const BUFFER_BYTES: usize = 16 << 20;

/// Most keys that go to a target in one call.
const MOST: usize = 1000;

/// Buffers to the targets of this process. Cheap to clone.
#[derive(Clone)]
pub struct Direct {
    street: Street,
    buffers: Arc<BTreeMap<String, mpsc::Sender<Waiting>>>,
    /// The room for bytes; it is taken by what waits, until its target has answered.
    bytes: Arc<Semaphore>,
}

type Waiting = (Batch, OwnedSemaphorePermit);

/// Starts one applier a target. They end when the last [`Direct`] is dropped and the buffers are empty.
#[must_use]
pub fn start(street: &Street, shutdown: &Shutdown) -> Direct {
    let mut buffers = BTreeMap::new();
    for (name, target) in street.targets.iter() {
        let (sender, receiver) = mpsc::channel(BUFFER);
        shutdown.spawn(applier(street.clone(), target.clone(), receiver));
        buffers.insert(name.clone(), sender);
    }
    Direct {
        street: street.clone(),
        buffers: Arc::new(buffers),
        bytes: Arc::new(Semaphore::new(BUFFER_BYTES)),
    }
}

impl Direct {
    /// Whether this process reaches the target.
    #[must_use]
    pub fn reaches(&self, target: &str) -> bool {
        let buffer = self.buffers.get(target);
        self.bytes.available_permits() > 0 && buffer.is_some_and(|buffer| buffer.capacity() > 0)
    }

    /// Hands over the writes of a commit, whose ledger rows are claimed. A full buffer sends them to the queue.
    pub async fn hand_over(&self, batch: Batch) {
        let bytes = u32::try_from(batch.bytes().clamp(1, BUFFER_BYTES)).unwrap_or(u32::MAX);
        let held = self.bytes.clone().try_acquire_many_owned(bytes);
        let refused = match (self.buffers.get(&batch.target), held) {
            (Some(buffer), Ok(held)) => buffer.try_send((batch, held)).err().map(|e| match e {
                mpsc::error::TrySendError::Full((batch, _))
                | mpsc::error::TrySendError::Closed((batch, _)) => batch,
            }),
            _ => Some(batch),
        };
        if let Some(batch) = refused {
            to_queue(&self.street, &batch).await;
        }
    }
}

/// Frees the claims, so that any sender puts the rows on the queue.
async fn to_queue(street: &Street, batch: &Batch) {
    if let Err(error) = ledger::unclaim(&street.store, &batch.ids).await {
        tracing::warn!(%error, "direct claims could not be freed; the sweeper will");
    }
}

async fn applier(street: Street, target: Arc<dyn Target>, mut buffer: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::new();
    while buffer.recv_many(&mut waiting, BUFFER).await > 0 {
        let (batches, _held): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        for mut batch in merge(batches) {
            batch.coalesce();
            if let Err(error) = attempt(&street, &*target, &batch).await {
                tracing::debug!(
                    target_name = target.name(),
                    error,
                    "direct sync goes to the queue"
                );
                to_queue(&street, &batch).await;
            }
        }
    }
}

/// One attempt; waiting for a target is the synchronizer's work.
async fn attempt(street: &Street, target: &dyn Target, batch: &Batch) -> Result<(), String> {
    let subject = Subject::Target(batch.target.clone());
    if street.definitions.is_paused_by_hand(&subject) {
        return Err("the target is paused by hand".to_owned());
    }
    let set = street.definitions.write_set(&batch.document, &batch.target);
    let set = set.ok_or_else(|| format!("{} no longer goes to {}", batch.document, batch.target))?;
    let mut gate = Gate::new(street, target);
    // What may succeed later goes to the queue.
    let outcomes = apply::everywhere(&mut gate, &set, batch, None)
        .await
        .map_err(|e| e.to_string())?;
    let refused = apply::refused(street, target, &set, batch, &outcomes).await;
    if !refused.map_err(|e| e.to_string())?.is_superseded() {
        return Err("the target holds what the mirror does not know".to_owned());
    }
    let settled = settle::settle(street, batch, &set, &outcomes, &[]).await;
    match settled.map_err(|e| e.to_string())? {
        Some(_tally) => Ok(()),
        None => Err("the target takes writes in another way since".to_owned()),
    }
}

/// Commits of one document become one batch, up to [`MOST`] keys.
fn merge(waiting: Vec<Batch>) -> Vec<Batch> {
    let mut merged: Vec<Batch> = Vec::new();
    for batch in waiting {
        let fits = |m: &&mut Batch| {
            m.document == batch.document && m.run == batch.run && m.states.len() + batch.states.len() <= MOST
        };
        match merged.iter_mut().find(fits) {
            Some(into) => {
                into.ids.extend(batch.ids);
                into.states.extend(batch.states);
                into.changed_at = into.changed_at.min(batch.changed_at);
            }
            None => merged.push(batch),
        }
    }
    merged
}
