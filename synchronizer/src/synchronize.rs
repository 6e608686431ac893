//! The synchronizer: messages of a sync queue → coalesce → apply → settle. One consumer task reads one queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pubsync_schema::failure::{self, NewFailure, Prospect, Stage};
use pubsync_schema::ledger;
use pubsync_schema::names::Lane;
use pubsync_schema::pause::Subject;
use pubsync_schema::wire::{SyncBody, SyncItem, SyncMessage, SyncOp, VERSION};
use pubsync_worker::backoff::{self, Backoff};
use pubsync_worker::broker::{BrokerError, Delivery, Settlement};
use pubsync_worker::lanes::{LaneKind, Lanes};
use pubsync_worker::metrics;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use crate::apply::{self, Unsettled};
use crate::gate::Gate;
use crate::message::State;
use crate::parts::{Group, Item, Part};
use crate::resync::{self, WalkError};
use crate::settle::Batch;
use crate::street::Street;
use crate::target::Target;

/// Messages of a queue that are with a consumer unsettled. Those of rebuilds are mostly full, those of edits hold little.
pub const PREFETCH: u16 = 32;
pub const BULK_PREFETCH: u16 = 8;

/// Messages that go into one batch; each holds at most 100 items and 256 KiB.
const BATCH: usize = 16;

/// How long a batch waits for company.
const LINGER: Duration = Duration::from_millis(1);

/// Messages older than this by the database clock are applied from the mirror's row of now: a quarter of the shortest time
/// that a target remembers a delete (OpenSearch, 1 h), in microseconds.
const FRESH: i64 = 15 * 60 * 1_000_000;

const RECONNECT: Backoff = Backoff {
    first: Duration::from_millis(100),
    // What came back is to work again within 5 s.
    cap: Duration::from_secs(2),
};

/// A consumer of one sync queue.
pub struct Synchronizer {
    pub street: Street,
    pub target: Arc<dyn Target>,
    /// The document's name, or the group that documents share.
    pub queue: String,
    /// First signal: finish the batch, then end.
    pub stop: CancellationToken,
}

impl Synchronizer {
    /// Consumes until stopped; lost connections are made again.
    pub async fn run(self) {
        let mut attempt = 0;
        while !self.stop.is_cancelled() {
            match self.consume(&mut attempt).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(queue = self.queue, %error, "synchronizer reconnects");
                    RECONNECT.wait(attempt, &self.stop).await;
                    attempt += 1;
                }
            }
        }
    }

    async fn consume(&self, attempt: &mut u32) -> Result<(), BrokerError> {
        let names = &self.street.store.names;
        let live = names.sync_queue(self.target.name(), &self.queue, Lane::Live);
        let bulk = names.sync_queue(self.target.name(), &self.queue, Lane::Bulk);
        let mut lanes = Lanes::new(
            Some(self.street.broker.subscribe(&live, PREFETCH).await?),
            Some(self.street.broker.subscribe(&bulk, BULK_PREFETCH).await?),
        );
        *attempt = 0;
        let mut failed = 0;
        loop {
            let batch = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                batch = lanes.next_batch(BATCH, LINGER) => batch?,
            };
            let (lane, queue) = match batch.0 {
                LaneKind::Live => (Lane::Live, &live),
                LaneKind::Bulk => (Lane::Bulk, &bulk),
            };
            metrics::consumed(queue, &batch.1);
            if self.handle(lane, queue, batch.1).await {
                failed = 0;
            } else {
                self.recover(&mut failed).await;
            }
        }
    }

    /// Waits until the database answers, and longer the more batches in a row went back: each return is one more delivery,
    /// and the broker puts aside what was delivered too often.
    async fn recover(&self, failed: &mut u32) {
        loop {
            let delay = RECONNECT.next(*failed);
            *failed = failed.saturating_add(1);
            if !backoff::wait(delay, &self.stop).await || self.street.store.now().await.is_ok() {
                return;
            }
        }
    }

    /// Handles a batch and settles its deliveries. What fails stays with the ledger, and with the broker. False: some went
    /// back.
    async fn handle(&self, lane: Lane, queue: &str, deliveries: Vec<Delivery>) -> bool {
        let mut done = true;
        let mut groups: BTreeMap<(String, bool), Group> = BTreeMap::new();
        let paused = self.is_paused_by_hand().await;
        for delivery in deliveries {
            match Received::read(&delivery) {
                Ok(received) if paused => self.give_back(&[received.header.id], vec![delivery]).await,
                Ok(received) => self.sort(&mut groups, lane, queue, received, delivery).await,
                Err(error) => self.unreadable(delivery, &error).await,
            }
        }
        for group in groups.into_values() {
            let late = self.is_late(&group.batch);
            match group.parts(&self.street, late).await {
                Ok(parts) => {
                    for part in parts {
                        done &= self.part(queue, part).await;
                    }
                }
                Err(error) => {
                    // Dropped deliveries have gone back.
                    tracing::warn!(queue, %error, "sizes cannot be read; the batch goes back");
                    done = false;
                }
            }
        }
        done
    }

    /// False: it went back.
    async fn part(&self, queue: &str, mut part: Part) -> bool {
        match self.work(&mut part).await {
            Ok(()) => settle_all(part.deliveries, Settlement::Ack),
            Err(Unsettled::Paused(_) | Unsettled::Grown(_)) => {
                self.give_back(&part.batch.ids, part.deliveries).await;
            }
            Err(error) => {
                tracing::warn!(queue, %error, "batch goes back");
                settle_all(part.deliveries, Settlement::Requeue);
                return false;
            }
        }
        true
    }

    fn is_late(&self, batch: &Batch) -> bool {
        let now = self.street.store.estimated_now();
        now.is_none_or(|now| now - batch.changed_at > FRESH)
    }

    /// Asked of the database before anything is given back for it: else a message would go round between a sender that
    /// knows that the pause is over and us.
    async fn is_paused_by_hand(&self) -> bool {
        let (definitions, subject) = (
            &self.street.definitions,
            Subject::Target(self.target.name().to_owned()),
        );
        if !definitions.is_paused_by_hand(&subject) {
            return false;
        }
        if let Err(error) = definitions.refresh(&self.street.store).await {
            tracing::warn!(%error, "pauses cannot be read; going on with those known");
        }
        definitions.is_paused_by_hand(&subject)
    }

    /// To the ledger. There it waits as long as it takes, which a broker would not keep it unsettled for; what has grown is
    /// measured when it comes again.
    async fn give_back(&self, ids: &[i64], deliveries: Vec<Delivery>) {
        match ledger::give_back(&self.street.store, ids).await {
            Ok(_) => settle_all(deliveries, Settlement::Ack),
            Err(error) => {
                tracing::warn!(%error, "work cannot be given back to the ledger");
                backoff::wait(RECONNECT.cap, &self.stop).await;
                settle_all(deliveries, Settlement::Requeue);
            }
        }
    }

    async fn work(&self, part: &mut Part) -> Result<(), Unsettled> {
        let (batch, second) = (&mut part.batch, &part.second);
        batch.coalesce();
        // Asked here and not when it was read: the batch before may have waited for the target for hours.
        let late = self.is_late(batch);
        batch
            .renew(&self.street, |state| late || second.contains(&state.key))
            .await?;
        match apply::apply(&self.street, &*self.target, batch, &self.stop).await {
            Err(Unsettled::Unbound(_)) => self.unbound(&part.batch).await,
            other => other.map(|_tally| ()),
        }
    }

    /// Work of a document that does not go to this target: perhaps not yet known here, else no longer wanted.
    async fn unbound(&self, batch: &Batch) -> Result<(), Unsettled> {
        let street = &self.street;
        street.definitions.refresh(&street.store).await?;
        let definition = street.definitions.get(&batch.document);
        if definition.is_some_and(|d| d.shape.targets.contains_key(&batch.target)) {
            return Err(Unsettled::Unbound(batch.target.clone()));
        }
        ledger::delete(&street.store.write, &street.store, &batch.ids).await?;
        Ok(())
    }

    /// Puts items where they are applied together; walks are done at once.
    async fn sort(
        &self,
        groups: &mut BTreeMap<(String, bool), Group>,
        lane: Lane,
        queue: &str,
        received: Received,
        delivery: Delivery,
    ) {
        let header = received.header;
        match received.work {
            Work::Items {
                force,
                states,
                second,
            } => {
                let group = groups
                    .entry((header.document.clone(), force))
                    .or_insert_with(|| Group {
                        batch: self.batch(lane, queue, &header, force),
                        items: Vec::new(),
                    });
                group.batch.changed_at = group.batch.changed_at.min(header.changed_at);
                group.items.push(Item {
                    id: header.id,
                    changed_at: header.changed_at,
                    attempts: header.attempts,
                    states,
                    second,
                    delivery,
                });
            }
            Work::Walk(walk) => {
                let batch = Batch {
                    ids: vec![header.id],
                    ..self.batch(lane, queue, &header, true)
                };
                self.walk(batch, walk, delivery).await;
            }
        }
    }

    /// A walk does not wait for its target here, where it would be handed out again and again: it waits in the ledger,
    /// until the pause of the target has ended.
    async fn walk(&self, batch: Batch, walk: resync::Walk, delivery: Delivery) {
        let (ids, mut gate) = (batch.ids.clone(), Gate::new(&self.street, &*self.target));
        if !gate.try_open() {
            return self.give_back(&ids, vec![delivery]).await;
        }
        let noted = match resync::step(&self.street, &*self.target, batch, walk).await {
            Ok(()) => return delivery.settle(Settlement::Ack),
            Err(error) => {
                tracing::warn!(%error, "walk waits");
                match &error {
                    WalkError::Target(error) => gate.failed(error).await,
                    WalkError::Store(_) => Ok(()),
                }
            }
        };
        if noted.is_ok() && gate.is_shut() {
            return self.give_back(&ids, vec![delivery]).await;
        }
        backoff::wait(RECONNECT.cap, &self.stop).await;
        delivery.settle(Settlement::Requeue);
    }

    fn batch(&self, lane: Lane, queue: &str, header: &Header, force: bool) -> Batch {
        Batch {
            document: header.document.clone(),
            target: self.target.name().to_owned(),
            queue: queue.to_owned(),
            lane,
            ids: Vec::new(),
            states: Vec::new(),
            force,
            changed_at: header.changed_at,
            run: header.run,
            attempts: header.attempts,
        }
    }

    async fn unreadable(&self, delivery: Delivery, error: &str) {
        match note_unreadable(&self.street, &delivery.body, error).await {
            Ok(()) => delivery.settle(Settlement::Ack),
            Err(store) => {
                tracing::error!(%store, error, "message cannot be read, and that cannot be noted");
                delivery.settle(Settlement::Requeue);
            }
        }
    }
}

/// Notes a message that nobody can read as a failure, with its beginning.
///
/// # Errors
/// Of the database.
pub async fn note_unreadable(street: &Street, body: &[u8], error: &str) -> Result<(), DbErr> {
    tracing::error!(error, bytes = body.len(), "message cannot be read");
    let failure = NewFailure {
        stage: Stage::Message,
        document: String::new(),
        root: None,
        key: None,
        target: None,
        class: "unreadable".to_owned(),
        error: error.to_owned(),
        payload: Some(String::from_utf8_lossy(&body[..body.len().min(4096)]).replace('\0', "\u{fffd}")),
        revision: None,
        changed_at: street.store.now().await?,
        prospect: Prospect::Never("nobody can read it: look at its payload, then drop it"),
    };
    failure::record(&street.store.write, &street.store, &[failure]).await
}

pub(crate) fn settle_all(deliveries: Vec<Delivery>, settlement: Settlement) {
    for delivery in deliveries {
        delivery.settle(settlement);
    }
}

struct Header {
    id: i64,
    document: String,
    changed_at: i64,
    run: Option<i64>,
    attempts: i64,
}

struct Received {
    header: Header,
    work: Work,
}

enum Work {
    Items {
        force: bool,
        states: Vec<State>,
        second: Vec<String>,
    },
    Walk(resync::Walk),
}

impl Received {
    fn read(delivery: &Delivery) -> Result<Self, String> {
        let message: SyncMessage<'_> = serde_json::from_slice(&delivery.body).map_err(|e| e.to_string())?;
        if message.v != VERSION {
            return Err(format!(
                "message version {}, this pubsync reads {VERSION}",
                message.v
            ));
        }
        let second = message.attempt > 0 || delivery.redelivered;
        let header = Header {
            id: message.id,
            document: message.document,
            changed_at: message.changed_at,
            run: message.run,
            attempts: message.attempt,
        };
        let work = match message.work {
            SyncBody::Items { force, items } => {
                let keys = items
                    .iter()
                    .filter(|i| second || is_reference(i))
                    .map(|i| i.key.clone())
                    .collect();
                Work::Items {
                    force,
                    states: items.into_iter().map(state).collect(),
                    second: keys,
                }
            }
            SyncBody::Resync { after, selection } => Work::Walk(resync::Walk::Mirror { after, selection }),
            SyncBody::Orphans { cursor } => Work::Walk(resync::Walk::Target { cursor }),
        };
        Ok(Self { header, work })
    }
}

fn is_reference(item: &SyncItem<'_>) -> bool {
    item.op == SyncOp::Put && item.body.is_none()
}

fn state(item: SyncItem<'_>) -> State {
    let text = item.body.map(|body| body.get());
    let (body, remains) = match item.op {
        SyncOp::Put => (text.map(Arc::from), None),
        SyncOp::Delete => (None, text.map(str::to_owned)),
    };
    State {
        key: item.key,
        revision: item.revision,
        body,
        remains,
    }
}
