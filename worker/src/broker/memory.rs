//! The in-process broker, for embedded mode and tests. Same semantics as RabbitMQ, but its messages die with the
//! process: hence [`Broker::epoch`].

use std::collections::{HashMap, VecDeque};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::feed::{self, Feed};
use super::{Broker, BrokerError, Depth, MAX_BODY, Outgoing, SendOutcome, Settlement, Subscription};

/// What one queue holds at most, in bytes of payload.
pub const MAX_QUEUE_BYTES: usize = 64 * 1024 * 1024;

const ADDRESS: &str = "memory";

/// A broker inside this process. Clones are the same broker.
#[derive(Clone)]
pub struct MemoryBroker(Arc<Inner>);

struct Inner {
    epoch: String,
    capacity: usize,
    max_body: usize,
    queues: Mutex<HashMap<String, Arc<Queue>>>,
    closed: CancellationToken,
}

impl MemoryBroker {
    /// Makes an empty broker, with an epoch of its own. A queue holds at most `capacity_per_queue` messages and
    /// [`MAX_QUEUE_BYTES`], counting those that consumers have not settled yet.
    pub fn new(capacity_per_queue: usize) -> Self {
        Self::with_max_body(capacity_per_queue, MAX_BODY)
    }

    /// As [`Self::new`], for payloads of at most so many bytes.
    pub fn with_max_body(capacity_per_queue: usize, max_body: usize) -> Self {
        Self(Arc::new(Inner {
            epoch: new_epoch(),
            capacity: capacity_per_queue,
            max_body,
            queues: Mutex::default(),
            closed: CancellationToken::new(),
        }))
    }

    fn open(&self) -> Result<&Inner, BrokerError> {
        if self.0.closed.is_cancelled() {
            Err(BrokerError::Closed)
        } else {
            Ok(&self.0)
        }
    }
}

/// Differs between processes by start time and process id, and between brokers of a process by the count.
fn new_epoch() -> String {
    static BROKERS: AtomicU64 = AtomicU64::new(0);
    let count = BROKERS.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("memory-{:x}-{:x}-{count:x}", since.as_nanos(), process::id())
}

#[async_trait]
impl Broker for MemoryBroker {
    fn epoch(&self) -> Option<&str> {
        Some(&self.0.epoch)
    }

    fn max_body(&self) -> usize {
        self.0.max_body
    }

    async fn declare(&self, queues: &[String]) -> Result<(), BrokerError> {
        let inner = self.open()?;
        queues.iter().for_each(|name| drop(inner.declare(name)));
        Ok(())
    }

    async fn send(&self, batch: &[Outgoing]) -> Result<Vec<SendOutcome>, BrokerError> {
        let inner = self.open()?;
        Ok(batch.iter().map(|message| inner.send(message)).collect())
    }

    async fn subscribe(&self, queue: &str, prefetch: u16) -> Result<Subscription, BrokerError> {
        let inner = self.open()?;
        let queue = inner.declare(queue);
        queue.state().consumers += 1;
        let prefetch = prefetch.max(1);
        let (subscription, feed) = feed::subscription(prefetch);
        let consumer = Consumer {
            queue,
            unsettled: VecDeque::new(),
            prefetch: prefetch.into(),
            next_tag: 0,
        };
        tokio::spawn(consumer.run(feed, inner.closed.clone()));
        Ok(subscription)
    }

    async fn depth(&self, queue: &str) -> Result<Option<Depth>, BrokerError> {
        Ok(self.open()?.queue(queue).map(|queue| {
            let state = queue.state();
            Depth {
                ready: state.ready.len() as u64,
                consumers: state.consumers,
            }
        }))
    }

    async fn delete(&self, queues: &[String]) -> Result<(), BrokerError> {
        let inner = self.open()?;
        for name in queues {
            if let Some(queue) = lock(&inner.queues).remove(name) {
                queue.deleted.cancel();
            }
        }
        Ok(())
    }

    fn dead_letters(&self) -> Option<&str> {
        None
    }

    fn blocked(&self) -> bool {
        false
    }

    async fn ping(&self) -> Result<(), BrokerError> {
        self.open().map(|_| ())
    }

    async fn close(&self) {
        self.0.closed.cancel();
    }
}

impl Inner {
    fn queue(&self, name: &str) -> Option<Arc<Queue>> {
        lock(&self.queues).get(name).cloned()
    }

    fn declare(&self, name: &str) -> Arc<Queue> {
        lock(&self.queues)
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Queue::new(name)))
            .clone()
    }

    fn send(&self, message: &Outgoing) -> SendOutcome {
        if message.body.len() > self.max_body {
            return SendOutcome::TooLarge;
        }
        match self.queue(&message.queue) {
            None => SendOutcome::Returned,
            Some(queue) if queue.push(message, self.capacity) => SendOutcome::Confirmed,
            Some(_full) => SendOutcome::Refused,
        }
    }
}

struct Queue {
    name: String,
    state: Mutex<State>,
    /// Wakes one consumer for each message that became ready.
    arrived: Notify,
    /// The queue is no longer in the broker; a new one may have its name.
    deleted: CancellationToken,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Stored>,
    /// Messages held, ready and unsettled.
    held: usize,
    /// Bytes of the messages held.
    held_bytes: usize,
    consumers: u64,
}

struct Stored {
    body: Vec<u8>,
    trace: Option<String>,
    redelivered: bool,
}

impl Queue {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: Mutex::default(),
            arrived: Notify::new(),
            deleted: CancellationToken::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Appends a message. False where the queue is full.
    fn push(&self, message: &Outgoing, capacity: usize) -> bool {
        let mut state = self.state();
        if state.held >= capacity || state.held_bytes + message.body.len() > MAX_QUEUE_BYTES {
            return false;
        }
        state.held += 1;
        state.held_bytes += message.body.len();
        let (body, trace) = (message.body.clone(), message.trace.clone());
        state.ready.push_back(Stored {
            body,
            trace,
            redelivered: false,
        });
        self.arrived.notify_one();
        true
    }

    /// Puts a message back to the front: it is older than all that wait.
    fn put_back(&self, message: Stored) {
        self.state().ready.push_front(Stored {
            redelivered: true,
            ..message
        });
        self.arrived.notify_one();
    }

    /// Forgets a message whose effect is durable.
    fn release(&self, message: &Stored) {
        let mut state = self.state();
        state.held -= 1;
        state.held_bytes -= message.body.len();
    }

    fn pop(&self) -> Option<Stored> {
        let mut state = self.state();
        let message = state.ready.pop_front();
        if !state.ready.is_empty() {
            // A notification that finds nobody waiting is kept once only: pass it on for the rest.
            self.arrived.notify_one();
        }
        message
    }

    /// Waits for a message. Takes none when dropped before it is ready.
    async fn take(&self) -> Stored {
        loop {
            // Registered before the look, so that a message which arrives in between is not missed.
            let arrived = self.arrived.notified();
            if let Some(message) = self.pop() {
                return message;
            }
            arrived.await;
        }
    }
}

/// The task behind one subscription.
struct Consumer {
    queue: Arc<Queue>,
    /// Handed out and not settled, oldest first.
    unsettled: VecDeque<(u64, Stored)>,
    prefetch: usize,
    next_tag: u64,
}

impl Consumer {
    async fn run(mut self, mut feed: Feed, closed: CancellationToken) {
        let deleted = self.queue.deleted.clone();
        let error = loop {
            tokio::select! {
                biased;
                () = feed.dropped.cancelled() => break None,
                () = closed.cancelled() => break Some(BrokerError::Closed),
                () = deleted.cancelled() => break Some(self.queue_deleted()),
                Some((tag, settlement)) = feed.settlements.recv() => {
                    self.settle(tag, settlement);
                    if feed.abandoned() {
                        break None;
                    }
                }
                message = self.queue.take(), if self.unsettled.len() < self.prefetch => {
                    self.deliver(&feed, message);
                }
            }
        };
        while let Ok((tag, settlement)) = feed.settlements.try_recv() {
            self.settle(tag, settlement);
        }
        if let Some(error) = error {
            feed.fail(error);
        }
    }

    /// Where nobody takes the delivery it stays with the unsettled ones, which go back when the task ends.
    fn deliver(&mut self, feed: &Feed, message: Stored) {
        let tag = self.next_tag;
        self.next_tag += 1;
        feed.deliver(
            tag,
            message.body.clone(),
            message.redelivered,
            message.trace.clone(),
        );
        self.unsettled.push_back((tag, message));
    }

    fn settle(&mut self, tag: u64, settlement: Settlement) {
        let Some(position) = self.unsettled.iter().position(|(unsettled, _)| *unsettled == tag) else {
            return;
        };
        let Some((_, message)) = self.unsettled.remove(position) else {
            return;
        };
        match settlement {
            Settlement::Ack => self.queue.release(&message),
            Settlement::Requeue => self.queue.put_back(message),
        }
    }

    fn queue_deleted(&self) -> BrokerError {
        let reason = format!("the queue {} was deleted", self.queue.name);
        BrokerError::Unreachable {
            address: ADDRESS.to_owned(),
            reason,
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.queue.state().consumers -= 1;
        for (_, message) in self.unsettled.drain(..).rev() {
            self.queue.put_back(message);
        }
    }
}

/// A panic elsewhere leaves these plain collections whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "sync.shop.product";

    async fn send(broker: &MemoryBroker, size: usize) -> SendOutcome {
        let message = Outgoing {
            id: 1,
            queue: QUEUE.to_owned(),
            body: vec![b'x'; size],
            trace: None,
        };
        broker.send(&[message]).await.unwrap().remove(0)
    }

    async fn fill(broker: &MemoryBroker, size: usize, count: usize) {
        broker.declare(&[QUEUE.to_owned()]).await.unwrap();
        for _ in 0..count {
            assert_eq!(send(broker, size).await, SendOutcome::Confirmed);
        }
        assert_eq!(send(broker, size).await, SendOutcome::Refused);
    }

    /// Settlements are carried out in the background.
    async fn until_taken(broker: &MemoryBroker, size: usize) {
        let taken = async {
            while send(broker, size).await == SendOutcome::Refused {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), taken)
            .await
            .expect("the queue stays full");
    }

    #[tokio::test]
    async fn a_queue_is_bounded_by_count_unsettled_ones_included() {
        let broker = MemoryBroker::new(3);
        fill(&broker, 1, 3).await;
        let mut subscription = broker.subscribe(QUEUE, 2).await.unwrap();
        let delivery = subscription.next().await.unwrap();
        assert_eq!(
            send(&broker, 1).await,
            SendOutcome::Refused,
            "nothing is settled yet"
        );
        delivery.settle(Settlement::Ack);
        until_taken(&broker, 1).await;
        assert_eq!(send(&broker, 1).await, SendOutcome::Refused);
    }

    #[tokio::test]
    async fn a_queue_is_bounded_by_bytes() {
        let broker = MemoryBroker::new(1000);
        fill(&broker, MAX_BODY, MAX_QUEUE_BYTES / MAX_BODY).await;
        let mut subscription = broker.subscribe(QUEUE, 1).await.unwrap();
        subscription.next().await.unwrap().settle(Settlement::Ack);
        until_taken(&broker, MAX_BODY).await;
        assert_eq!(send(&broker, 1).await, SendOutcome::Refused);
    }

    #[tokio::test]
    async fn every_waiting_consumer_is_woken() {
        let broker = MemoryBroker::new(1000);
        let mut waiting = Vec::new();
        for _ in 0..10 {
            let mut subscription = broker.subscribe(QUEUE, 1).await.unwrap();
            waiting.push(tokio::spawn(async move {
                (subscription.next().await.unwrap(), subscription)
            }));
        }
        tokio::task::yield_now().await;
        let message = Outgoing {
            id: 1,
            queue: QUEUE.to_owned(),
            body: vec![],
            trace: None,
        };
        broker.send(&vec![message; 10]).await.unwrap();
        // Each holds its delivery, so each has to get one of its own.
        let mut held = Vec::new();
        for task in waiting {
            held.push(task.await.unwrap());
        }
        assert_eq!(
            broker.depth(QUEUE).await.unwrap(),
            Some(Depth {
                ready: 0,
                consumers: 10
            })
        );
    }

    #[test]
    fn every_broker_has_an_epoch_of_its_own() {
        let (one, other) = (MemoryBroker::new(1), MemoryBroker::new(1));
        assert_eq!(one.epoch(), one.clone().epoch());
        assert_ne!(one.epoch(), other.epoch());
    }
}
