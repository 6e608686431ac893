//! The task behind one subscription: it owns a channel, forwards deliveries and carries out settlements.

use std::sync::Arc;

use futures::{StreamExt, future};
use lapin::message;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Consumer};
use tokio_util::sync::CancellationToken;

use super::super::feed::{self, Feed};
use super::super::{BrokerError, Settlement, Subscription};
use super::link::{Dial, Link};
use super::{TRACE_HEADER, queues};

/// Settlements that are written to the socket together.
const SETTLEMENTS: usize = 256;

/// Declares the queue and consumes it on a channel of its own.
pub(super) async fn subscribe(
    dial: Arc<Dial>,
    queue: &str,
    dead: &str,
    prefetch: u16,
    closed: CancellationToken,
) -> Result<(Subscription, impl Future<Output = ()> + use<>), BrokerError> {
    // To AMQP, 0 is no bound.
    let prefetch = prefetch.max(1);
    let link = dial.link().await?;
    let channel = dial.channel(&link).await?;
    queues::declare(&dial, &channel, dead, dead).await?;
    queues::declare(&dial, &channel, queue, dead).await?;
    dial.command(channel.basic_qos(prefetch, BasicQosOptions::default()))
        .await?;
    let name = queues::name(&dial.endpoint, queue)?;
    let consume = channel.basic_consume(
        name,
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let consumer = dial.command(consume).await?;
    let (subscription, feed) = feed::subscription(prefetch);
    let serving = Serving {
        dial,
        _link: link,
        channel,
        closed,
        queue: queue.to_owned(),
    };
    Ok((subscription, serving.run(consumer, feed)))
}

struct Serving {
    dial: Arc<Dial>,
    /// The connection lives as long as somebody consumes from it.
    _link: Arc<Link>,
    channel: Channel,
    closed: CancellationToken,
    queue: String,
}

impl Serving {
    async fn run(self, mut consumer: Consumer, mut feed: Feed) {
        let error = self.serve(&mut consumer, &mut feed).await;
        match &error {
            None | Some(BrokerError::Closed) => self.finish(&consumer, &mut feed).await,
            Some(_lost) => {}
        }
        if let Some(error) = error {
            feed.fail(error);
        }
        // Dropping the last handle closes the channel, which puts back what is unsettled.
    }

    /// Until the consumer leaves (`None`), or something ends the subscription.
    async fn serve(&self, consumer: &mut Consumer, feed: &mut Feed) -> Option<BrokerError> {
        let mut settlements = Vec::with_capacity(SETTLEMENTS);
        loop {
            tokio::select! {
                biased;
                () = feed.dropped.cancelled() => return None,
                () = self.closed.cancelled() => return Some(BrokerError::Closed),
                _ = feed.settlements.recv_many(&mut settlements, SETTLEMENTS) => {
                    if feed.abandoned() {
                        settlements.retain(|(_, settlement)| *settlement == Settlement::Ack);
                    }
                    if let Err(error) = self.settle(&mut settlements).await {
                        return Some(error);
                    }
                }
                delivery = consumer.next() => match delivery {
                    Some(Ok(delivery)) => forward(feed, delivery),
                    Some(Err(error)) => return Some(self.dial.endpoint.unreachable(error)),
                    None => return Some(self.cancelled()),
                },
            }
        }
    }

    /// Carries out settlements in order. One frame a delivery: lapin writes what is queued in one go, and
    /// settlements out of order make "all up to this one" rarely right.
    async fn settle(&self, settlements: &mut Vec<(u64, Settlement)>) -> Result<(), BrokerError> {
        let frames = settlements.drain(..).map(|(tag, settlement)| async move {
            match settlement {
                Settlement::Ack => self.channel.basic_ack(tag, BasicAckOptions::default()).await,
                Settlement::Requeue => {
                    let options = BasicNackOptions {
                        multiple: false,
                        requeue: true,
                    };
                    self.channel.basic_nack(tag, options).await
                }
            }
        });
        let written = self.dial.command(future::try_join_all(frames)).await;
        written
            .map(drop)
            .map_err(|error| self.dial.endpoint.unreachable(error))
    }

    /// Acknowledges what the consumer has finished, takes no more, closes; what remains goes back with the channel.
    ///
    /// In this order: a quorum queue has at most 32 commands of a channel under way (`quorum_commands_soft_limit`),
    /// and RabbitMQ forgets further acknowledgements when the channel closes. The cancel is answered after all
    /// commands before it, and lets the rest go out.
    async fn finish(&self, consumer: &Consumer, feed: &mut Feed) {
        let _ = self.acknowledge_finished(feed).await;
        let _ = self
            .dial
            .command(
                self.channel
                    .basic_cancel(consumer.tag(), BasicCancelOptions::default()),
            )
            .await;
        let _ = self.acknowledge_finished(feed).await;
        let _ = self
            .dial
            .command(self.channel.close(200, "unsubscribed".into()))
            .await;
    }

    async fn acknowledge_finished(&self, feed: &mut Feed) -> Result<(), BrokerError> {
        let mut finished = Vec::new();
        while let Ok((tag, settlement)) = feed.settlements.try_recv() {
            if settlement == Settlement::Ack {
                finished.push((tag, settlement));
            }
        }
        self.settle(&mut finished).await
    }

    /// lapin ends the stream without an error when the broker cancels the consumer.
    fn cancelled(&self) -> BrokerError {
        let reason = format!(
            "the broker cancelled the consumer of {}: queue deleted or moved",
            self.queue
        );
        self.dial.endpoint.unreachable(reason)
    }
}

/// Where nobody takes the delivery it stays unsettled, and goes back with the channel.
fn forward(feed: &Feed, delivery: message::Delivery) {
    let redelivered = delivery.redelivered || was_delivered(&delivery.properties);
    let trace = trace(&delivery.properties);
    feed.deliver(delivery.delivery_tag, delivery.data, redelivered, trace);
}

fn was_delivered(properties: &BasicProperties) -> bool {
    header(properties, "x-delivery-count")
        .and_then(AMQPValue::as_long_long_int)
        .is_some_and(|count| count > 0)
}

fn trace(properties: &BasicProperties) -> Option<String> {
    match header(properties, TRACE_HEADER)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}
