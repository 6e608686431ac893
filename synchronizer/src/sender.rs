//! Puts ledger rows on the road: those that this process has just inserted and claimed, and (in the relay) any that
//! nobody has claimed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pubsync_schema::failure::{self, NewFailure, Prospect, Stage};
use pubsync_schema::ledger::{self, Entry};
use pubsync_schema::pause;
use pubsync_schema::store::Store;
use pubsync_worker::broker::{Broker, BrokerError, Outgoing, SendOutcome};
use pubsync_worker::metrics;
use pubsync_worker::shutdown::Shutdown;
use sea_orm::DbErr;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::cut;
use crate::message::{self, Limits, Unmakeable};
use crate::street::Street;

/// Messages sent and awaited together.
const WINDOW: usize = 500;

/// Bytes of messages that were handed over and are not sent yet. What finds no room goes back to the ledger.
const BUFFER: usize = 16 << 20;

/// Bytes of rows whose messages are made and sent together (they hold keys, some thousand of them), and bytes of bodies
/// that are read for them: what finds no room in these travels as a reference.
const SLICE: usize = 96 * 1024;
const BODIES: usize = 16 << 20;

/// Where publishers hand in what they have inserted as claimed. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    broker: Arc<dyn Broker>,
    fresh: mpsc::Sender<Fresh>,
    /// The room for bytes; it is taken by what waits, until it is sent.
    bytes: Arc<Semaphore>,
    room: Arc<Mutex<HashMap<String, i64>>>,
    outstanding: i64,
}

/// A message that waits to be sent, and the room that it takes.
struct Fresh {
    message: Outgoing,
    held: OwnedSemaphorePermit,
}

impl Outbound {
    /// Whether so many more messages may be out on this queue; if so they are counted as out. What does not fit is
    /// inserted unclaimed and waits in the ledger, and so is all while the broker takes nothing.
    #[must_use]
    pub fn reserve(&self, queue: &str, messages: i64) -> bool {
        let full = self.fresh.capacity() < usize::try_from(messages).unwrap_or(usize::MAX);
        if self.broker.blocked() || full || self.bytes.available_permits() == 0 {
            return false;
        }
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let out = room.entry(queue.to_owned()).or_insert(0);
        let fits = *out + messages <= self.outstanding;
        if fits {
            *out += messages;
        }
        fits
    }

    /// Hands claimed rows over, after their transaction has committed. What the buffer has no room for is free again, for
    /// any sender.
    pub async fn hand_over(&self, store: &Store, messages: Vec<Outgoing>) {
        let mut back = Vec::new();
        for message in messages {
            let (id, bytes) = (message.id, message.body.len().clamp(1, BUFFER));
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let held = self.bytes.clone().try_acquire_many_owned(bytes);
            let taken = held.is_ok_and(|held| self.fresh.try_send(Fresh { message, held }).is_ok());
            if !taken {
                back.push(id);
            }
        }
        if let Err(error) = ledger::unclaim(store, &back).await {
            tracing::warn!(%error, "what the sender has no room for waits for the sweeper");
        }
    }
}

/// Starts the sender of this process.
#[must_use]
pub fn start(street: &Street, shutdown: &Shutdown) -> Outbound {
    let (fresh, receiver) = mpsc::channel(2 * WINDOW);
    let room = Arc::new(Mutex::new(HashMap::new()));
    let outbound = Outbound {
        broker: street.broker.clone(),
        fresh,
        bytes: Arc::new(Semaphore::new(BUFFER)),
        room: room.clone(),
        outstanding: street.settings.outstanding,
    };
    shutdown.spawn(send_fresh(street.clone(), receiver));
    shutdown.spawn(measure_room(street.clone(), room, shutdown.taking().clone()));
    outbound
}

/// Sends what publishers hand over until the last of them is gone.
async fn send_fresh(street: Street, mut fresh: mpsc::Receiver<Fresh>) {
    let mut received = Vec::with_capacity(WINDOW);
    while fresh.recv_many(&mut received, WINDOW).await > 0 {
        let waiting = received.drain(..).map(|fresh| (fresh.message, fresh.held));
        let (window, held): (Vec<_>, Vec<_>) = waiting.unzip();
        if let Err(error) = send(&street, &window).await {
            tracing::warn!(%error, messages = window.len(), "could not send; the relay will");
        }
        drop(held);
    }
}

/// Reads how many messages of each queue are out, over all processes.
async fn measure_room(street: Street, room: Arc<Mutex<HashMap<String, i64>>>, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(Duration::from_millis(250)))
        .await
        .is_some()
    {
        match ledger::load(&street.store).await {
            Ok(load) => {
                let fresh = load.into_iter().fold(HashMap::new(), |mut by_queue, l| {
                    *by_queue.entry(l.queue).or_insert(0) += l.outstanding;
                    by_queue
                });
                *room.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
            }
            Err(error) => tracing::warn!(%error, "ledger load cannot be read"),
        }
    }
}

/// Why a window was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("ledger: {0}")]
    Ledger(#[from] DbErr),
}

/// Sends claimed rows and notes what became of each.
async fn send(street: &Street, window: &[Outgoing]) -> Result<(), SendError> {
    let outcomes = match metrics::confirm(street.broker.send(window)).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            metrics::unsent(window.iter().map(|m| m.queue.as_str()));
            ledger::unclaim(&street.store, &window.iter().map(|m| m.id).collect::<Vec<_>>()).await?;
            return Err(error.into());
        }
    };
    metrics::sent(window.iter().map(|m| m.queue.as_str()).zip(&outcomes));
    let (mut sent, mut back, mut large, mut absent) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (message, outcome) in window.iter().zip(outcomes) {
        match outcome {
            SendOutcome::Confirmed => sent.push(message.id),
            SendOutcome::Returned => {
                absent.push(message.queue.clone());
                back.push(message.id);
            }
            SendOutcome::Refused => back.push(message.id),
            // It may have arrived: the claim stands until the sweeper finds it too old.
            SendOutcome::Unknown => {}
            SendOutcome::TooLarge => large.push(message),
        }
    }
    ledger::mark_sent(&street.store, &sent, street.broker.epoch()).await?;
    if !absent.is_empty() {
        absent.sort_unstable();
        absent.dedup();
        street.broker.declare(&absent).await?;
    }
    ledger::unclaim(&street.store, &back).await?;
    for message in large {
        cut::cut(street, message).await?;
    }
    Ok(())
}

/// A row of which no message can be made ends as a failure that keeps it.
async fn give_up(street: &Street, unmakeable: Unmakeable) -> Result<(), DbErr> {
    let Unmakeable { entry, error } = unmakeable;
    tracing::error!(
        id = entry.id,
        document = entry.document,
        error,
        "message given up"
    );
    let txn = street.store.begin().await?;
    if !ledger::delete(&txn, &street.store, &[entry.id]).await?.is_empty() {
        let failure = NewFailure {
            stage: Stage::Message,
            document: entry.document,
            root: None,
            key: None,
            target: None,
            class: "payload".to_owned(),
            error,
            payload: Some(entry.payload),
            revision: None,
            changed_at: entry.changed_at,
            prospect: Prospect::Never("no message can be made of it"),
        };
        failure::record(&txn, &street.store, &[failure]).await?;
    }
    txn.commit().await
}

/// Claims unclaimed rows of any queue and sends them. Gives how many were claimed.
///
/// # Errors
/// Of broker and ledger; then nothing is lost, the rows are free again or will be taken back.
pub async fn send_unclaimed(street: &Street) -> Result<usize, SendError> {
    if street.broker.blocked() {
        return Ok(0);
    }
    let paused = pause::current(&street.store.read, &street.store).await?;
    let paused: Vec<_> = paused.into_iter().map(|p| p.subject).collect();
    let (limit, outstanding) = (WINDOW as u64, street.settings.outstanding);
    let entries = ledger::claim(&street.store, limit, outstanding, &paused).await?;
    let claimed = entries.len();
    if claimed == 0 {
        return Ok(0);
    }
    let mut entries = entries.into_iter().peekable();
    while entries.peek().is_some() {
        let (mut slice, mut bytes) = (Vec::new(), 0);
        let fits = |bytes: usize, entry: &Entry| bytes == 0 || bytes + entry.payload.len() <= SLICE;
        while let Some(entry) = entries.next_if(|entry| fits(bytes, entry)) {
            bytes += entry.payload.len();
            slice.push(entry);
        }
        if let Err(error) = send_slice(street, slice).await {
            let rest: Vec<i64> = entries.map(|entry| entry.id).collect();
            ledger::unclaim(&street.store, &rest).await?;
            return Err(error);
        }
    }
    Ok(claimed)
}

async fn send_slice(street: &Street, entries: Vec<Entry>) -> Result<(), SendError> {
    let limits = |document: &str| limits(street, document);
    let aliases = |document: &str, target: &str| street.definitions.shows_aliases(document, target);
    let (window, unmakeable) = message::compose(&street.store, entries, BODIES, limits, aliases).await?;
    for unmakeable in unmakeable {
        give_up(street, unmakeable).await?;
    }
    send(street, &window).await
}

/// How large messages of this document may be, and bodies in them.
#[must_use]
pub fn limits(street: &Street, document: &str) -> Limits {
    let own = street
        .definitions
        .get(document)
        .and_then(|d| d.shape.inline_limit);
    Limits {
        inline: own.unwrap_or(street.settings.inline_limit),
        message: street.broker.max_body(),
    }
}
