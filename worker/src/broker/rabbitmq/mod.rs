//! RabbitMQ, through lapin: quorum queues, publisher confirms in batches, `mandatory` and persistent messages.
//!
//! Publishing and consuming have a connection each, since an alarm stops everything on a connection that publishes.
//! Nothing connects before it is used, and what is lost is made anew by the next call. Retrying is the caller's: it
//! knows what it waits for.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{ALARM, Broker, BrokerError, Depth, Outgoing, SendOutcome, Subscription};
use crate::breaker::{Breaker, Policy};
use endpoint::Endpoint;
use link::{Dial, Link, Patience};
use publish::Publisher;

mod consume;
mod endpoint;
mod errors;
mod link;
mod publish;
mod queues;
#[cfg(test)]
mod tests;

/// Header of a message that carries the W3C trace context.
const TRACE_HEADER: &str = "traceparent";

/// A RabbitMQ virtual host.
pub struct RabbitMq {
    /// Name of the dead-letter queue.
    dead: String,
    publishing: Arc<Dial>,
    consuming: Arc<Dial>,
    publisher: Publisher,
    breaker: Arc<Breaker>,
    /// The tasks behind subscriptions.
    subscriptions: TaskTracker,
    closed: CancellationToken,
}

impl RabbitMq {
    /// Takes the address, `amqp://user:password@host:port/vhost`, and the name of the queue for dead letters, and
    /// connects to nothing yet. A URL that does not parse is a [`BrokerError::Configuration`].
    pub fn new(url: &str, dead: &str) -> Result<Self, BrokerError> {
        Self::with_patience(url, dead, Patience::default())
    }

    /// The same, for payloads of at most so many bytes instead of [`MAX_BODY`](super::MAX_BODY): what the broker's
    /// `max_message_size` says.
    #[must_use]
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.publisher.max_body = bytes;
        self
    }

    fn with_patience(url: &str, dead: &str, patience: Patience) -> Result<Self, BrokerError> {
        let endpoint = Arc::new(Endpoint::parse(url)?);
        let breaker = Arc::new(Breaker::new(Policy::BROKER));
        let dial = |name| Arc::new(Dial::new(name, endpoint.clone(), patience, breaker.clone()));
        let publishing = dial("pubsync/publish");
        Ok(Self {
            dead: dead.to_owned(),
            consuming: dial("pubsync/consume"),
            publisher: Publisher::new(publishing.clone())?,
            publishing,
            breaker,
            subscriptions: TaskTracker::new(),
            closed: CancellationToken::new(),
        })
    }

    /// For commands that are neither: on the publishing connection, unless an alarm has stopped it.
    async fn commands(&self) -> Result<(&Dial, Arc<Link>), BrokerError> {
        let dial = if self.publishing.blocked() {
            &self.consuming
        } else {
            &self.publishing
        };
        Ok((dial, dial.link().await?))
    }
}

#[async_trait]
impl Broker for RabbitMq {
    fn epoch(&self) -> Option<&str> {
        None
    }

    fn max_body(&self) -> usize {
        self.publisher.max_body.min(self.publishing.limit())
    }

    async fn declare(&self, queues: &[String]) -> Result<(), BrokerError> {
        let (dial, link) = self.commands().await?;
        let all = std::iter::once(&self.dead).chain(queues);
        let unknown: Vec<&String> = all.filter(|queue| !link.declared().contains(*queue)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let channel = dial.channel(&link).await?;
        for queue in unknown {
            queues::declare(dial, &channel, queue, &self.dead).await?;
            link.declared().insert(queue.clone());
        }
        Ok(())
    }

    async fn send(&self, batch: &[Outgoing]) -> Result<Vec<SendOutcome>, BrokerError> {
        self.publisher.send(batch).await
    }

    async fn subscribe(&self, queue: &str, prefetch: u16) -> Result<Subscription, BrokerError> {
        let (dial, closed) = (self.consuming.clone(), self.closed.clone());
        let (subscription, task) = consume::subscribe(dial, queue, &self.dead, prefetch, closed).await?;
        self.subscriptions.spawn(task);
        Ok(subscription)
    }

    async fn depth(&self, queue: &str) -> Result<Option<Depth>, BrokerError> {
        let (dial, link) = self.commands().await?;
        // A channel to throw away: the broker closes it where the queue is absent.
        let channel = dial.channel(&link).await?;
        queues::depth(dial, &channel, queue).await
    }

    async fn delete(&self, queues: &[String]) -> Result<(), BrokerError> {
        let (dial, link) = self.commands().await?;
        let channel = dial.channel(&link).await?;
        for queue in queues {
            link.declared().remove(queue);
            queues::delete(dial, &channel, queue).await?;
        }
        Ok(())
    }

    fn dead_letters(&self) -> Option<&str> {
        Some(&self.dead)
    }

    fn blocked(&self) -> bool {
        self.publishing.blocked()
    }

    fn trouble(&self) -> Option<String> {
        match self.blocked() {
            true => Some(ALARM.to_owned()),
            false => self.breaker.trouble(),
        }
    }

    async fn ping(&self) -> Result<(), BrokerError> {
        let (dial, link) = self.commands().await?;
        dial.channel(&link).await.map(drop)
    }

    async fn close(&self) {
        self.closed.cancel();
        self.publisher.close();
        self.subscriptions.close();
        self.subscriptions.wait().await;
        self.publishing.close().await;
        self.consuming.close().await;
    }
}
