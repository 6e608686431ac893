//! The publisher's hot loop: receive → roots → one transaction → settle. One consumer task reads one publish queue.

use std::sync::Arc;
use std::time::Duration;

use pubsync_schema::ledger;
use pubsync_schema::names::Lane;
use pubsync_schema::pause::Subject;
use pubsync_schema::wire::{PublishMessage, PublishWork, TableImages, VERSION};
use pubsync_synchronizer::synchronize::note_unreadable;
use pubsync_worker::backoff::{self, Backoff};
use pubsync_worker::broker::{BrokerError, Delivery, Settlement};
use pubsync_worker::lanes::{LaneKind, Lanes};
use pubsync_worker::metrics;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use super::verdict::Next;
use super::{Job, Publish, PublishError};
use crate::publisher::RootPage;
use crate::registry::{Compiled, Registry};
use crate::relay::images;

/// Messages of a queue that are with a consumer unsettled.
const PREFETCH: u16 = 16;

/// How long a batch waits for company.
const LINGER: Duration = Duration::from_millis(1);

pub(super) const RETRY: Backoff = Backoff {
    first: Duration::from_millis(50),
    // A broker or database that is back is to be used again within 5 s.
    cap: Duration::from_secs(2),
};

/// A consumer of one publish queue.
pub struct Consumer {
    pub publish: Publish,
    pub registry: Registry,
    /// The document's name, or the group that documents share.
    pub queue: String,
    pub stop: CancellationToken,
}

/// A message, read.
#[derive(Debug, Clone)]
pub struct Received {
    pub id: i64,
    pub document: String,
    pub lane: Lane,
    pub changed_at: i64,
    pub run: Option<i64>,
    pub trace: Option<String>,
    pub work: PublishWork,
    /// How often it was sent before.
    pub attempt: i64,
    /// The broker has handed it out before.
    pub redelivered: bool,
    /// How often it has most likely killed its worker; its parts are begun as if they had.
    pub deaths: i64,
}

impl Received {
    /// Whoever had it before did not end it: perhaps it is what killed him.
    fn is_suspect(&self) -> bool {
        self.redelivered || self.attempt > 0
    }
}

impl Consumer {
    /// Consumes until stopped; lost connections are made again.
    pub async fn run(self) {
        let mut attempt = 0;
        while !self.stop.is_cancelled() {
            match self.consume(&mut attempt).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(queue = self.queue, %error, "publisher reconnects");
                    RETRY.wait(attempt, &self.stop).await;
                    attempt += 1;
                }
            }
        }
    }

    async fn consume(&self, attempt: &mut u32) -> Result<(), BrokerError> {
        let (street, names) = (&self.publish.street, &self.publish.street.store.names);
        let live = names.publish_queue(&self.queue, Lane::Live);
        let bulk = names.publish_queue(&self.queue, Lane::Bulk);
        let mut lanes = Lanes::new(
            Some(street.broker.subscribe(&live, PREFETCH).await?),
            Some(street.broker.subscribe(&bulk, PREFETCH).await?),
        );
        *attempt = 0;
        loop {
            let (lane, deliveries) = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                batch = lanes.next_batch(usize::from(PREFETCH) / 2, LINGER) => batch?,
            };
            let lane = if lane == LaneKind::Live {
                Lane::Live
            } else {
                Lane::Bulk
            };
            metrics::consumed(&names.publish_queue(&self.queue, lane), &deliveries);
            self.handle(lane, deliveries).await;
        }
    }

    async fn handle(&self, lane: Lane, deliveries: Vec<Delivery>) {
        let (mut batch, mut suspects) = (Vec::with_capacity(deliveries.len()), Vec::new());
        for delivery in deliveries {
            match read(&delivery, lane) {
                Ok(received) if received.is_suspect() => suspects.push((received, delivery)),
                Ok(received) => batch.push((received, delivery)),
                Err(error) => match note_unreadable(&self.publish.street, &delivery.body, &error).await {
                    Ok(()) => delivery.settle(Settlement::Ack),
                    Err(store) => {
                        tracing::error!(%store, error, "message cannot be read, and that cannot be noted")
                    }
                },
            }
        }
        batch.sort_by(|a, b| a.0.document.cmp(&b.0.document));
        while let Some((first, _)) = batch.first() {
            let document = first.document.clone();
            let rest = batch.partition_point(|m| m.0.document == document);
            let others = batch.split_off(rest);
            let (messages, deliveries): (Vec<_>, Vec<_>) =
                std::mem::replace(&mut batch, others).into_iter().unzip();
            let settlement = self.document(&document, messages).await;
            for delivery in deliveries {
                delivery.settle(settlement);
            }
        }
        for (message, delivery) in suspects {
            delivery.settle(self.suspect(message).await);
        }
    }

    /// Deals with the messages of one document until they are settled, or given back.
    pub(super) async fn document(&self, document: &str, messages: Vec<Received>) -> Settlement {
        let mut attempt = 0;
        loop {
            if let Some(settlement) = self.give_back(document, &messages).await {
                return settlement;
            }
            let Some(compiled) = self.registry.get(document) else {
                return self.undefined(document, &messages).await;
            };
            let error = match self.batch(&compiled, &messages).await {
                Ok(()) => return Settlement::Ack,
                Err(error) => error,
            };
            match self.verdict(&compiled, &messages, error, attempt).await {
                Ok(Next::Done) => return Settlement::Ack,
                Ok(Next::Again) => {}
                Err(error) => tracing::warn!(document, %error, "publisher waits for the database"),
            }
            if !RETRY.wait(attempt, &self.stop).await {
                return Settlement::Requeue;
            }
            attempt += 1;
        }
    }

    /// Work of a document that stands still goes back to the ledger, where it waits as long as it takes: the documents
    /// that share its queue go on, and no broker would keep it unsettled for so long. `None`: it does not stand still.
    pub(super) async fn give_back(&self, document: &str, messages: &[Received]) -> Option<Settlement> {
        let (street, subject) = (&self.publish.street, Subject::Document(document.to_owned()));
        if !street.definitions.is_paused(&subject) {
            return None;
        }
        // The database decides: else a message would go round between a sender that knows that the pause is over and us.
        if let Err(error) = street.definitions.refresh(&street.store).await {
            tracing::warn!(document, %error, "pauses cannot be read; going on with those known");
        }
        if !street.definitions.is_paused(&subject) {
            return None;
        }
        let ids: Vec<i64> = messages.iter().map(|m| m.id).collect();
        match ledger::give_back(&street.store, &ids).await {
            Ok(_) => Some(Settlement::Ack),
            Err(error) => {
                tracing::warn!(document, %error, "work of a paused document cannot be given back to the ledger");
                backoff::wait(RETRY.cap, &self.stop).await;
                Some(Settlement::Requeue)
            }
        }
    }

    /// A document that is declared no more has no work; one that this process cannot compile waits for one that can.
    async fn undefined(&self, document: &str, messages: &[Received]) -> Settlement {
        let street = &self.publish.street;
        if street.definitions.get(document).is_some() {
            backoff::wait(RETRY.cap, &self.stop).await;
            return Settlement::Requeue;
        }
        let ids: Vec<i64> = messages.iter().map(|m| m.id).collect();
        match ledger::delete(&street.store.write, &street.store, &ids).await {
            Ok(_) => Settlement::Ack,
            Err(error) => {
                tracing::warn!(document, %error, "work of a removed document cannot be taken away");
                Settlement::Requeue
            }
        }
    }

    /// Finds the roots of all messages at once; what is too large for a transaction is cut instead.
    pub(super) async fn batch(
        &self,
        compiled: &Arc<Compiled>,
        messages: &[Received],
    ) -> Result<(), PublishError> {
        let most = self.publish.street.settings.publisher_batch;
        let (changes, plain): (Vec<_>, Vec<_>) = messages
            .iter()
            .partition(|m| matches!(m.work, PublishWork::Changes { after: None, .. }));
        let mut jobs: Vec<Job> = Vec::new();
        if !changes.is_empty() {
            let found = self.affected(compiled, &changes, 2 * most).await?;
            if found.len() < 2 * most {
                jobs.push(job(&changes, found));
            } else {
                for message in changes {
                    self.publish.explode(compiled, message).await?;
                }
            }
        }
        for message in plain {
            match &message.work {
                PublishWork::Roots(roots) => {
                    match jobs.last_mut().filter(|j| j.roots.len() + roots.len() <= most) {
                        Some(last) => add(last, message, roots),
                        None => jobs.push(job(&[message], roots.clone())),
                    }
                }
                _ => {
                    self.publish.explode(compiled, message).await?;
                }
            }
        }
        for mut job in jobs {
            job.roots.sort_unstable();
            job.roots.dedup();
            self.publish.run(compiled, &job).await?;
        }
        Ok(())
    }

    async fn affected(
        &self,
        compiled: &Compiled,
        messages: &[&Received],
        limit: usize,
    ) -> Result<Vec<String>, DbErr> {
        let tables: Vec<TableImages> = messages
            .iter()
            .filter_map(|m| match &m.work {
                PublishWork::Changes { tables, .. } => Some(tables.iter().cloned()),
                _ => None,
            })
            .flatten()
            .collect();
        let tables = images::merge(tables);
        let snapshot = self.publish.street.store.snapshot().await?;
        let page = RootPage {
            after: None,
            limit: limit as u64,
        };
        let roots = compiled.publisher.affected(&snapshot, &tables, page).await?;
        snapshot.rollback().await?;
        Ok(roots)
    }
}

fn job(messages: &[&Received], roots: Vec<String>) -> Job {
    let first = messages.first();
    Job {
        roots,
        ids: messages.iter().map(|m| m.id).collect(),
        lane: if messages.iter().any(|m| m.lane == Lane::Live) {
            Lane::Live
        } else {
            Lane::Bulk
        },
        changed_at: messages.iter().map(|m| m.changed_at).min().unwrap_or_default(),
        run: first.and_then(|m| m.run),
        trace: first.and_then(|m| m.trace.clone()),
        again: messages.iter().any(|m| m.attempt > 0),
    }
}

fn add(job: &mut Job, message: &Received, roots: &[String]) {
    job.ids.push(message.id);
    job.again |= message.attempt > 0;
    job.changed_at = job.changed_at.min(message.changed_at);
    job.roots.extend_from_slice(roots);
}

fn read(delivery: &Delivery, lane: Lane) -> Result<Received, String> {
    let message: PublishMessage = serde_json::from_slice(&delivery.body).map_err(|e| e.to_string())?;
    if message.v != VERSION {
        return Err(format!(
            "message version {}, this pubsync reads {VERSION}",
            message.v
        ));
    }
    Ok(Received {
        id: message.id,
        document: message.document,
        lane,
        changed_at: message.changed_at,
        run: message.run,
        trace: delivery.trace.clone(),
        work: message.work,
        attempt: message.attempt,
        redelivered: delivery.redelivered,
        deaths: 0,
    })
}
