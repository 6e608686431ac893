//! The publisher's hot loop: receive → roots → one transaction → settle. One consumer task reads one publish queue.

use std::sync::Arc;
use std::time::Duration;

use pubsync_schema::failure::{self, NewFailure, Stage};
use pubsync_schema::fault::{Fault, chain};
use pubsync_schema::names::Lane;
use pubsync_schema::pause::{self, Subject};
use pubsync_schema::wire::{PublishMessage, PublishWork, TableImages, VERSION};
use pubsync_schema::{ledger, run};
use pubsync_synchronizer::synchronize::note_unreadable;
use pubsync_worker::backoff::{self, Backoff};
use pubsync_worker::broker::{BrokerError, Delivery, Settlement};
use pubsync_worker::lanes::{LaneKind, Lanes};
use pubsync_worker::metrics;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use super::{Job, Publish, PublishError};
use crate::publisher::RootPage;
use crate::registry::{Compiled, Registry};
use crate::relay::images;

/// Messages of a queue that are with a consumer unsettled.
const PREFETCH: u16 = 16;

/// How long a batch waits for company.
const LINGER: Duration = Duration::from_millis(1);

const RETRY: Backoff = Backoff {
    first: Duration::from_millis(50),
    cap: Duration::from_secs(5),
};

/// Attempts of a batch that meets deadlocks and the like before its messages are run alone.
const ATTEMPTS: u32 = 8;

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
                    backoff::wait(RETRY.delay(attempt, u64::from(std::process::id())), &self.stop).await;
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
        let mut batch = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match read(&delivery, lane) {
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
    }

    /// Deals with the messages of one document until they are settled, or given back.
    async fn document(&self, document: &str, messages: Vec<Received>) -> Settlement {
        let subject = Subject::Document(document.to_owned());
        let definitions = &self.publish.street.definitions;
        let mut attempt = 0;
        loop {
            if definitions.is_paused(&subject) {
                tokio::select! {
                    () = self.stop.cancelled() => return Settlement::Requeue,
                    () = definitions.until_paused(&subject, false) => {}
                }
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
            if !backoff::wait(RETRY.delay(attempt, u64::from(std::process::id())), &self.stop).await {
                return Settlement::Requeue;
            }
            attempt += 1;
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
    async fn batch(&self, compiled: &Arc<Compiled>, messages: &[Received]) -> Result<(), PublishError> {
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

    /// What an error asks for. A failing batch is run message by message, a failing message root by root; a root that
    /// fails alone becomes a failure, and its neighbours have gone on.
    async fn verdict(
        &self,
        compiled: &Arc<Compiled>,
        messages: &[Received],
        error: PublishError,
        attempt: u32,
    ) -> Result<Next, DbErr> {
        let document = &compiled.definition.document;
        let Some(fault) = error.fault() else {
            self.look_again().await?;
            return Ok(Next::Again);
        };
        match fault {
            Fault::Retry if attempt < ATTEMPTS => Ok(Next::Again),
            Fault::Down => {
                tracing::warn!(document, %error, "database does not answer; waiting");
                Ok(Next::Again)
            }
            Fault::Definition => {
                self.stand_still(document, &error).await?;
                Ok(Next::Again)
            }
            Fault::Retry | Fault::Item => self.alone(compiled, messages, error).await,
        }
    }

    /// Loads the newest definitions (law 10).
    async fn look_again(&self) -> Result<(), DbErr> {
        let street = &self.publish.street;
        street.definitions.refresh(&street.store).await?;
        self.registry.refresh().await
    }

    async fn stand_still(&self, document: &str, error: &PublishError) -> Result<(), DbErr> {
        let street = &self.publish.street;
        let reason = format!(
            "{}: the definition and the database do not fit; fix either, then `pubsync apply`",
            chain(error)
        );
        tracing::error!(document, reason, "document paused");
        let txn = street.store.begin().await?;
        pause::set(
            &txn,
            &street.store,
            &Subject::Document(document.to_owned()),
            &reason,
            None,
        )
        .await?;
        let failure = NewFailure {
            stage: Stage::Publish,
            document: document.to_owned(),
            root: None,
            key: None,
            target: None,
            class: "definition".to_owned(),
            error: reason,
            payload: None,
            revision: None,
            changed_at: street.store.now().await?,
        };
        failure::record(&txn, &street.store, &[failure]).await?;
        txn.commit().await?;
        street.definitions.refresh(&street.store).await?;
        Ok(())
    }

    async fn alone(
        &self,
        compiled: &Arc<Compiled>,
        messages: &[Received],
        error: PublishError,
    ) -> Result<Next, DbErr> {
        if let [message] = messages {
            return self.bisect(compiled, message, &error).await;
        }
        let mut next = Next::Done;
        for message in messages {
            let Err(own) = self.batch(compiled, std::slice::from_ref(message)).await else {
                continue;
            };
            if own.fault().is_none() {
                self.look_again().await?;
            }
            // What no item is to blame for is met by the whole batch again; what is settled by then is a duplicate.
            if own.fault() != Some(Fault::Item) || self.bisect(compiled, message, &own).await? == Next::Again
            {
                next = Next::Again;
            }
        }
        Ok(next)
    }

    /// A failing message becomes messages of its parts; one that has no parts becomes a failure.
    async fn bisect(
        &self,
        compiled: &Compiled,
        message: &Received,
        error: &PublishError,
    ) -> Result<Next, DbErr> {
        let single = matches!(&message.work, PublishWork::Roots(roots) if roots.len() <= 1);
        if !single {
            match self.publish.explode(compiled, message).await {
                Ok(_) => return Ok(Next::Done),
                Err(own) if own.fault() == Some(Fault::Item) => {}
                Err(PublishError::Store(error)) => return Err(error),
                Err(_) => return Ok(Next::Again),
            }
        }
        self.give_up(compiled, message, &message.work, error).await?;
        Ok(Next::Done)
    }

    /// The last part of a message: its ledger row ends as a failure, in one transaction.
    async fn give_up(
        &self,
        compiled: &Compiled,
        message: &Received,
        work: &PublishWork,
        error: &PublishError,
    ) -> Result<(), DbErr> {
        let store = &self.publish.street.store;
        let (stage, root, payload) = match work {
            PublishWork::Roots(roots) => (Stage::Publish, roots.first().cloned(), None),
            other => {
                let payload = serde_json::to_string(other).map_err(|e| DbErr::Json(e.to_string()))?;
                (Stage::Affected, None, Some(payload))
            }
        };
        metrics::publish_given_up(&compiled.definition.document, root.as_deref(), error);
        let txn = store.begin().await?;
        if !ledger::delete(&txn, store, &[message.id]).await?.is_empty() {
            let failure = NewFailure {
                stage,
                document: compiled.definition.document.clone(),
                root,
                key: None,
                target: None,
                class: "build".to_owned(),
                error: chain(error),
                payload,
                revision: None,
                changed_at: message.changed_at,
            };
            failure::record(&txn, store, &[failure]).await?;
            if let Some(run) = message.run {
                run::count(&txn, store, run, 0, 0, 1).await?;
            }
        }
        txn.commit().await
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Done,
    Again,
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
    }
}

fn add(job: &mut Job, message: &Received, roots: &[String]) {
    job.ids.push(message.id);
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
    })
}
