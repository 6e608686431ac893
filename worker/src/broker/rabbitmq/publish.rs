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
use super::errors::{self, Verdict};
use super::link::{Dial, Link};
use super::{TRACE_HEADER, queues};
use crate::breaker::{Report, Turn};

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

/// What goes out together.
struct Window<'a> {
    batch: &'a [Outgoing],
    routes: Vec<ShortString>,
    /// All confirms are in by then.
    deadline: Instant,
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
            return Err(self.dial.endpoint.unreachable(ALARM));
        }
        let mut routes = Vec::with_capacity(batch.len());
        for message in batch {
            routes.push(queues::name(&self.dial.endpoint, &message.queue)?);
        }
        let mut lease = self.lease().await?;
        let mut turn = Some(self.dial.turn()?);
        let window = Window {
            batch,
            routes,
            deadline: Instant::now() + self.dial.patience.confirms,
        };
        let mut outcomes = vec![SendOutcome::Unknown; batch.len()];
        let mut parts = vec![(0..batch.len()).collect::<Vec<usize>>()];
        while let Some(part) = parts.pop() {
            let (again, lives) = self
                .publish(&lease, turn.take(), &window, &part, &mut outcomes)
                .await;
            parts.extend(again);
            if lives {
                lease.give_back();
            } else {
                drop(lease);
            }
            if parts.is_empty() {
                break;
            }
            lease = match self.lease().await {
                Ok(lease) => lease,
                // What is open keeps its unknown outcome.
                Err(_lost) => break,
            };
        }
        Ok(outcomes)
    }

    async fn lease(&self) -> Result<Lease, BrokerError> {
        let pooled = self.channels.get().await;
        Ok(Lease::new(pooled.map_err(|error| self.no_channel(error))?))
    }

    /// Publishes a part of the batch, places in it, and notes its outcomes. Gives the parts that are to be published again, on
    /// a new channel: those that died with a message that was too large for the broker. And whether this channel lives on.
    async fn publish(
        &self,
        lease: &Lease,
        turn: Option<Turn>,
        window: &Window<'_>,
        part: &[usize],
        outcomes: &mut [SendOutcome],
    ) -> (Vec<Vec<usize>>, bool) {
        let most = self.max_body.min(lease.link().limit());
        let messages = part
            .iter()
            .map(|&at| (&window.batch[at], window.routes[at].clone()));
        let published = publish(lease.channel(), messages.collect(), most, window.deadline).await;
        let mut open = Vec::new();
        for (&at, outcome) in part.iter().zip(published.outcomes) {
            if outcome == SendOutcome::Unknown {
                open.push(at);
            }
            outcomes[at] = outcome;
        }
        if part.iter().any(|&at| outcomes[at] == SendOutcome::Returned) {
            lease.link().declared().clear();
        }
        let lives = open.is_empty();
        let silent = !lives && open.len() == part.len() && published.too_large.is_none();
        match turn {
            // An alarm is no failure, and is told otherwise.
            Some(turn) if silent && self.dial.blocked() => drop(turn),
            Some(turn) if silent => drop(turn.report(Report::Failed {
                why: "messages are not confirmed".to_owned(),
                after: None,
            })),
            Some(turn) => drop(turn.report(Report::Answered)),
            None => {}
        }
        match published.too_large {
            Some(told) => {
                let size = |at: usize| window.batch[at].body.len();
                let learn = |limit| lease.link().learn_limit(limit);
                (suspects(told, size, open, outcomes, learn), lives)
            }
            None => (Vec::new(), lives),
        }
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

/// A channel was closed by a message that was too large: which of those that are unanswered? All of them again where the
/// broker has named its limit, since the larger ones stay behind now; else in halves, until it is alone.
fn suspects(
    told: Option<usize>,
    size: impl Fn(usize) -> usize,
    mut open: Vec<usize>,
    outcomes: &mut [SendOutcome],
    mut learn: impl FnMut(usize),
) -> Vec<Vec<usize>> {
    if let Some(limit) = told.filter(|limit| open.iter().any(|&at| size(at) > *limit)) {
        learn(limit);
        return vec![open];
    }
    match open[..] {
        [] => Vec::new(),
        [alone] => {
            learn(size(alone).saturating_sub(1));
            outcomes[alone] = SendOutcome::TooLarge;
            Vec::new()
        }
        _ => {
            let rest = open.split_off(open.len() / 2);
            vec![rest, open]
        }
    }
}

/// What became of messages, in their order.
struct Published {
    outcomes: Vec<SendOutcome>,
    /// One of them was larger than the broker takes, and has closed the channel; with the limit where it was named.
    too_large: Option<Option<usize>>,
}

/// Publishes all that fit and waits for their confirms until the deadline.
async fn publish(
    channel: &Channel,
    messages: Vec<(&Outgoing, ShortString)>,
    most: usize,
    deadline: Instant,
) -> Published {
    let unsent = |message: &Outgoing| match message.body.len() > most {
        true => SendOutcome::TooLarge,
        false => SendOutcome::Unknown,
    };
    let mut outcomes: Vec<_> = messages.iter().map(|(message, _)| unsent(message)).collect();
    let places: HashMap<i64, usize> = messages
        .iter()
        .enumerate()
        .map(|(index, (message, _))| (message.id, index))
        .collect();
    let fitting = messages
        .into_iter()
        .enumerate()
        .filter(|(_, (message, _))| message.body.len() <= most);
    let confirms = write(channel, fitting, deadline).await;
    // A returned message rides on whichever confirm lapin handles next, so the ids of the whole batch are gathered
    // before any confirm is believed.
    let (mut returned, mut too_large) = (Vec::new(), None);
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
            Ok(Err(channel_gone)) => {
                if errors::verdict(&channel_gone) == Verdict::TooLarge {
                    too_large = Some(errors::limit(&channel_gone));
                }
                SendOutcome::Unknown
            }
            Err(_late) => SendOutcome::Unknown,
        };
    }
    for index in returned.iter().filter_map(|id| places.get(id)) {
        outcomes[*index] = SendOutcome::Returned;
    }
    Published { outcomes, too_large }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as [`Publisher::send`] does, to a broker that takes nothing over `limit` and closes the channel at the first
    /// such message. Gives the outcomes, how many channels were closed, and what was learnt.
    fn sent(sizes: &[usize], limit: usize, tells: bool) -> (Vec<SendOutcome>, usize, usize) {
        let mut outcomes = vec![SendOutcome::Unknown; sizes.len()];
        let mut parts = vec![(0..sizes.len()).collect::<Vec<_>>()];
        let (mut closed, mut learnt) = (0, usize::MAX);
        while let Some(part) = parts.pop() {
            let (mut open, mut dead) = (Vec::new(), false);
            for at in part {
                if sizes[at] > learnt {
                    outcomes[at] = SendOutcome::TooLarge;
                } else {
                    // All that is behind it dies too, and what is before it is not confirmed yet.
                    dead |= sizes[at] > limit;
                    open.push(at);
                }
            }
            if dead {
                closed += 1;
                let told = tells.then_some(limit);
                let learn = |most: usize| learnt = learnt.min(most);
                parts.extend(suspects(told, |at| sizes[at], open, &mut outcomes, learn));
            } else {
                open.iter().for_each(|&at| outcomes[at] = SendOutcome::Confirmed);
            }
        }
        (outcomes, closed, learnt)
    }

    #[test]
    fn what_is_too_large_for_the_broker_is_found_alone() {
        let mut sizes: Vec<usize> = (0..500).map(|at| at % 90).collect();
        for (at, size) in [(17, 200), (18, 101), (400, 150)] {
            sizes[at] = size;
        }
        for tells in [true, false] {
            let (outcomes, closed, learnt) = sent(&sizes, 100, tells);
            for (at, outcome) in outcomes.iter().enumerate() {
                let expected = match sizes[at] > 100 {
                    true => SendOutcome::TooLarge,
                    false => SendOutcome::Confirmed,
                };
                assert_eq!(*outcome, expected, "{at} of {} bytes", sizes[at]);
            }
            assert_eq!(learnt, 100, "{tells}");
            let most = if tells { 1 } else { 30 };
            assert!(closed <= most, "{closed} channels");
        }
        // A limit that explains nothing is not believed.
        let (outcomes, closed, _) = sent(&[5, 300, 5], 100, true);
        assert_eq!((outcomes[0].clone(), closed), (SendOutcome::Confirmed, 1));
        let mut none = [SendOutcome::Unknown, SendOutcome::Unknown];
        let parts = suspects(Some(900), |_| 5, vec![0, 1], &mut none, |_| {});
        assert_eq!(parts, [vec![1], vec![0]]);
    }
}
