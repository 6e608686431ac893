//! The road between workers. [`Broker`] has two implementations: RabbitMQ ([`rabbitmq`]) and an in-process one
//! ([`memory`]) for embedded mode and tests; both pass the same contract suite.
//!
//! The road may lose, repeat and reorder messages: whoever uses it keeps the truth elsewhere (the ledger).

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

#[cfg(test)]
mod contract;
mod feed;
pub mod memory;
pub mod rabbitmq;

/// A message on its way out.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Identity of the message, unique within a batch; travels as the AMQP message id.
    pub id: i64,
    /// Queue it goes to, by the default exchange.
    pub queue: String,
    /// Payload, at most [`Broker::max_body`] bytes.
    pub body: Vec<u8>,
    /// W3C trace context of the change that caused the message, carried as a header.
    pub trace: Option<String>,
}

/// Largest payload that is sent unless a broker is told otherwise, in bytes: what RabbitMQ 4 takes unless it is told
/// otherwise. It refuses a larger one by closing the channel, with all its unconfirmed neighbours, and there is no way to
/// ask for its limit; so a larger one is reported as [`SendOutcome::TooLarge`] and never put on the wire.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

/// What a broker does that says `connection.blocked`.
const ALARM: &str = "takes no messages now: memory or disk alarm";

/// What became of one message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The broker has stored it.
    Confirmed,
    /// The queue does not exist: the message was returned, nothing was stored.
    Returned,
    /// The broker refused it (nack), or a bounded queue is full: nothing was stored.
    Refused,
    /// No answer in time or the channel died: it may or may not be stored.
    Unknown,
    /// Larger than [`Broker::max_body`]: not sent.
    TooLarge,
}

/// What the broker holds of one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait and are with no consumer.
    pub ready: u64,
    /// Consumers subscribed.
    pub consumers: u64,
}

/// Errors of the road itself. No variant blames a message.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BrokerError {
    /// The address does not answer, or the connection or channel was lost: connect again.
    #[error("broker {address}: {reason}")]
    Unreachable { address: String, reason: String },
    /// Login, permission or queue arguments: trying again does not help until someone changes something.
    #[error("broker {address}: {reason}")]
    Configuration { address: String, reason: String },
    /// [`Broker::close`] was called.
    #[error("broker is closed")]
    Closed,
}

#[async_trait]
pub trait Broker: Send + Sync {
    /// Identity of a broker whose messages die with the process; `None` where messages survive it. Sent ledger rows
    /// that carry another epoch count as unsent.
    fn epoch(&self) -> Option<&str>;

    /// Largest payload that it takes, in bytes.
    fn max_body(&self) -> usize;

    /// Makes sure that durable queues of these names exist, with the arguments that pubsync needs. Idempotent.
    async fn declare(&self, queues: &[String]) -> Result<(), BrokerError>;

    /// Sends a batch and waits for all confirms, one outcome a message, in order. Bounded in time.
    /// `Err` means that nothing was sent.
    async fn send(&self, batch: &[Outgoing]) -> Result<Vec<SendOutcome>, BrokerError>;

    /// Subscribes to a queue, declaring it first. At most `prefetch` deliveries are out unsettled.
    async fn subscribe(&self, queue: &str, prefetch: u16) -> Result<Subscription, BrokerError>;

    /// What the broker holds of this queue; `None` where the queue does not exist.
    async fn depth(&self, queue: &str) -> Result<Option<Depth>, BrokerError>;

    /// Deletes queues with what they hold. Absent ones are fine.
    async fn delete(&self, queues: &[String]) -> Result<(), BrokerError>;

    /// The queue of what was given out too often without an answer; `None` where the broker has no such limit.
    fn dead_letters(&self) -> Option<&str>;

    /// The broker does not take messages now (memory or disk alarm): do not claim work for sending.
    fn blocked(&self) -> bool;

    /// Why it takes no messages now, for people; `None` where all is well as far as is known.
    fn trouble(&self) -> Option<String> {
        self.blocked().then(|| ALARM.to_owned())
    }

    /// Answers when the broker can be reached and the login is right.
    async fn ping(&self) -> Result<(), BrokerError>;

    /// Closes connections. Unsettled deliveries go back to their queues.
    async fn close(&self);
}

/// A received message. It is settled exactly once, by value; dropping it puts it back.
pub struct Delivery {
    pub body: Vec<u8>,
    /// The broker has handed it out before.
    pub redelivered: bool,
    pub trace: Option<String>,
    pub(crate) tag: u64,
    pub(crate) settle: Option<mpsc::UnboundedSender<(u64, Settlement)>>,
}

/// How a delivery ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Its effect is durable.
    Ack,
    /// Somebody else shall have it.
    Requeue,
}

impl Delivery {
    /// Ends this delivery. The settlement is carried out in the background, in order; if the connection is lost
    /// before, the broker delivers again, which every consumer must bear anyway.
    pub fn settle(mut self, settlement: Settlement) {
        self.send(settlement);
    }

    fn send(&mut self, settlement: Settlement) {
        if let Some(settle) = self.settle.take() {
            // A closed receiver means that the channel is gone, and with it the claim on this delivery.
            let _ = settle.send((self.tag, settlement));
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.send(Settlement::Requeue);
    }
}

/// A stream of deliveries. Dropping it cancels the subscription; unsettled deliveries go back.
pub struct Subscription {
    pub(crate) deliveries: mpsc::Receiver<Result<Delivery, BrokerError>>,
    /// Dropped with the subscription: tells the task behind it to cancel the consumer.
    pub(crate) _cancel: tokio_util::sync::DropGuard,
}

impl Subscription {
    /// Waits for the next delivery. `Err` ends the subscription: subscribe again. Safe to drop in `select!`.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        self.deliveries.recv().await.unwrap_or(Err(BrokerError::Closed))
    }

    /// What has arrived already, without waiting for more than `linger` after the first, at most `max` deliveries.
    pub async fn more(
        &mut self,
        batch: &mut Vec<Delivery>,
        max: usize,
        linger: Duration,
    ) -> Result<(), BrokerError> {
        let deadline = tokio::time::Instant::now() + linger;
        while batch.len() < max {
            match tokio::time::timeout_at(deadline, self.deliveries.recv()).await {
                Ok(Some(delivery)) => batch.push(delivery?),
                Ok(None) => return Err(BrokerError::Closed),
                Err(_elapsed) => break,
            }
        }
        Ok(())
    }
}
