//! Queues as pubsync needs them: quorum queues that refuse what they cannot hold and lose nothing that they drop.

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Error, ErrorKind};

use super::super::{BrokerError, Depth};
use super::endpoint::Endpoint;
use super::link::Dial;

/// Deliveries after which a message goes to the dead-letter queue. High, because a crashing worker costs a
/// delivery for each message that it held, and a backstop only: attempts are counted in the ledger.
const DELIVERY_LIMIT: i64 = 50;

const NOT_FOUND: u16 = 404;

/// Declares the queue on this channel. A queue that exists with other arguments is a configuration error, and
/// closes the channel.
pub(super) async fn declare(
    dial: &Dial,
    channel: &Channel,
    queue: &str,
    dead: &str,
) -> Result<(), BrokerError> {
    let arguments = if queue == dead {
        plain()
    } else {
        dead_lettering(dead)
    };
    let name = name(&dial.endpoint, queue)?;
    dial.command(channel.queue_declare(name, QueueDeclareOptions::durable(), arguments))
        .await
        .map(drop)
}

/// Deletes the queue; RabbitMQ does not mind if it is absent.
pub(super) async fn delete(dial: &Dial, channel: &Channel, queue: &str) -> Result<(), BrokerError> {
    let name = name(&dial.endpoint, queue)?;
    dial.command(channel.queue_delete(name, QueueDeleteOptions::default()))
        .await
        .map(drop)
}

/// Looks at the queue. Where it does not exist the broker closes the channel.
pub(super) async fn depth(dial: &Dial, channel: &Channel, queue: &str) -> Result<Option<Depth>, BrokerError> {
    let name = name(&dial.endpoint, queue)?;
    let look = channel.queue_declare(
        name,
        QueueDeclareOptions::durable().passive(),
        FieldTable::default(),
    );
    let found = async {
        match look.await {
            Ok(queue) => Ok(Some(queue)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    };
    Ok(dial.command(found).await?.map(|queue| Depth {
        ready: queue.message_count().into(),
        consumers: queue.consumer_count().into(),
    }))
}

/// A queue name as AMQP carries it, at most 255 bytes.
pub(super) fn name(endpoint: &Endpoint, queue: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(queue)
        .map_err(|_| endpoint.configuration(format!("queue name over 255 bytes: {queue}")))
}

fn plain() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

/// At-least-once dead-lettering needs the strategy, the overflow rule and an exchange: without one of them it is
/// silently at-most-once.
fn dead_lettering(dead: &str) -> FieldTable {
    let mut arguments = plain();
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(dead));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn is_not_found(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(cause) if cause.get_id() == NOT_FOUND)
}
