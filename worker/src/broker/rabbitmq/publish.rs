//! Sending with confirms, a window at a time, over pooled channels.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use futures::stream::{self, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::time::{Instant, timeout_at};

use super::super::{ALARM, BrokerError, MAX_BODY, Outgoing, SendOutcome};
use super::link::{Dial, Link};
use super::{TRACE_HEADER, queues};

/// Batches under way at a time; further ones wait for a channel.
const CHANNELS: usize = 16;

/// Messages of a batch that wait at a time for being written to the socket. More gain nothing, and each is a copy
/// of its payload.
const UNWRITTEN: usize = 16;

const PERSISTENT: u8 = 2;

pub(super) struct Publisher {
    dial: Arc<Dial>,
    channels: Pool<ConfirmChannels>,
    /// Largest payload, in bytes.
    pub(super) max_body: usize,
}

impl Publisher {
    pub(super) fn new(dial: Arc<Dial>) -> Result<Self, BrokerError> {
        let channels = Pool::builder(ConfirmChannels(dial.clone()))
            .max_size(CHANNELS)
            .wait_timeout(Some(dial.patience.confirms))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| dial.endpoint.configuration(error))?;
        Ok(Self {
            dial,
            channels,
            max_body: MAX_BODY,
        })
    }

    /// See [`Broker::send`](super::Broker::send).
    pub(super) async fn send(&self, batch: &[Outgoing]) -> Result<Vec<SendOutcome>, BrokerError> {
        if self.dial.blocked() {
            return Err(self
                .dial
                .endpoint
                .unreachable(ALARM));
        }
        let mut routes = Vec::with_capacity(batch.len());
        for message in batch {
            routes.push(queues::name(&self.dial.endpoint, &message.queue)?);
        }
        let lease = Lease::new(
            self.channels
                .get()
                .await
                .map_err(|error| self.no_channel(error))?,
        );
        let deadline = Instant::now() + self.dial.patience.confirms;
        let outcomes = publish(lease.channel(), batch, routes, self.max_body, deadline).await;
        if outcomes.contains(&SendOutcome::Returned) {
            lease.link().declared().clear();
        }
        if !outcomes.contains(&SendOutcome::Unknown) {
            lease.give_back();
        }
        Ok(outcomes)
    }

    /// Batches that wait for a channel fail with [`BrokerError::Closed`].
    pub(super) fn close(&self) {
        self.channels.close();
    }

    /// Channels that the pool keeps.
    #[cfg(test)]
    pub(super) fn pooled(&self) -> usize {
        self.channels.status().size
    }

    fn no_channel(&self, error: PoolError<BrokerError>) -> BrokerError {
        match error {
            PoolError::Backend(error) => error,
            PoolError::Closed => BrokerError::Closed,
            PoolError::Timeout(_) => self.dial.endpoint.unreachable("all channels wait for confirms"),
            other => self.dial.endpoint.unreachable(other),
        }
    }
}

/// Publishes all that fit and waits for their confirms until the deadline.
async fn publish(
    channel: &Channel,
    batch: &[Outgoing],
    routes: Vec<ShortString>,
    max_body: usize,
    deadline: Instant,
) -> Vec<SendOutcome> {
    let unsent = |message: &Outgoing| match message.body.len() > max_body {
        true => SendOutcome::TooLarge,
        false => SendOutcome::Unknown,
    };
    let mut outcomes: Vec<_> = batch.iter().map(unsent).collect();
    let messages = batch.iter().zip(routes).enumerate();
    let fitting = messages.filter(|(_, (message, _))| message.body.len() <= max_body);
    let confirms = write(channel, fitting, deadline).await;
    // A returned message rides on whichever confirm lapin handles next, so the ids of the whole batch are gathered
    // before any confirm is believed.
    let mut returned = Vec::new();
    for (index, confirm) in confirms {
        outcomes[index] = match timeout_at(deadline, confirm).await {
            Ok(Ok(confirmation)) => {
                let outcome = stored(&confirmation);
                returned.extend(
                    confirmation
                        .take_message()
                        .and_then(|message| id(&message.delivery.properties)),
                );
                outcome
            }
            Ok(Err(_channel_gone)) => SendOutcome::Unknown,
            Err(_late) => SendOutcome::Unknown,
        };
    }
    let places: HashMap<i64, usize> = batch
        .iter()
        .enumerate()
        .map(|(index, message)| (message.id, index))
        .collect();
    for index in returned.iter().filter_map(|id| places.get(id)) {
        outcomes[*index] = SendOutcome::Returned;
    }
    outcomes
}

/// Puts the messages on the wire. Ends early at the deadline or with the channel: what has no confirm then may or
/// may not have been written.
async fn write<'a>(
    channel: &Channel,
    messages: impl Iterator<Item = (usize, (&'a Outgoing, ShortString))>,
    deadline: Instant,
) -> Vec<(usize, PublisherConfirm)> {
    let unwritten: Vec<_> = messages
        .map(|(index, (message, route))| write_one(channel, index, message, route))
        .collect();
    let mut confirms = Vec::with_capacity(unwritten.len());
    let mut writing = stream::iter(unwritten).buffered(UNWRITTEN);
    while let Ok(Some(Ok(written))) = timeout_at(deadline, writing.next()).await {
        confirms.push(written);
    }
    confirms
}

async fn write_one(
    channel: &Channel,
    index: usize,
    message: &Outgoing,
    route: ShortString,
) -> lapin::Result<(usize, PublisherConfirm)> {
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let confirm = channel
        .basic_publish("".into(), route, options, &message.body, properties(message))
        .await?;
    Ok((index, confirm))
}

fn properties(message: &Outgoing) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(message.id.to_string().into());
    let Some(trace) = &message.trace else {
        return properties;
    };
    let mut headers = FieldTable::default();
    headers.insert(TRACE_HEADER.into(), AMQPValue::LongString(trace.as_str().into()));
    properties.with_headers(headers)
}

fn id(properties: &BasicProperties) -> Option<i64> {
    properties.message_id().as_ref()?.as_str().parse().ok()
}

fn stored(confirmation: &Confirmation) -> SendOutcome {
    match confirmation {
        Confirmation::Ack(_) => SendOutcome::Confirmed,
        Confirmation::Nack(_) => SendOutcome::Refused,
        Confirmation::NotRequested => SendOutcome::Unknown,
    }
}

/// Makes the channels of the pool. A channel serves one batch at a time, because the returned messages of a channel
/// cannot be told apart by batch.
struct ConfirmChannels(Arc<Dial>);

struct ConfirmChannel {
    channel: Channel,
    link: Arc<Link>,
}

impl managed::Manager for ConfirmChannels {
    type Type = ConfirmChannel;
    type Error = BrokerError;

    async fn create(&self) -> Result<ConfirmChannel, BrokerError> {
        let link = self.0.link().await?;
        let channel = self.0.channel(&link).await?;
        self.0
            .command(channel.confirm_select(ConfirmSelectOptions::default()))
            .await?;
        Ok(ConfirmChannel { channel, link })
    }

    async fn recycle(&self, pooled: &mut ConfirmChannel, _: &Metrics) -> RecycleResult<BrokerError> {
        if pooled.channel.status().connected() && pooled.link.connected() {
            Ok(())
        } else {
            Err(RecycleError::message("the channel is gone"))
        }
    }
}

/// A channel taken from the pool. It goes back only when every message was answered; otherwise, also when the
/// caller stops waiting, it is closed, so that late confirms and returns meet no other batch.
struct Lease(Option<Object<ConfirmChannels>>, Channel, Arc<Link>);

impl Lease {
    fn new(pooled: Object<ConfirmChannels>) -> Self {
        let (channel, link) = (pooled.channel.clone(), pooled.link.clone());
        Self(Some(pooled), channel, link)
    }

    fn channel(&self) -> &Channel {
        &self.1
    }

    fn link(&self) -> &Link {
        &self.2
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // lapin closes a channel when its last handle is dropped.
        drop(self.0.take().map(Object::take));
    }
}
