//! The relay: outbox rows → ledger rows, in one transaction that never waits for the broker. Routes by table and
//! column, keeps each image once.

mod backlog;
pub mod images;
mod route;

use std::time::Duration;

use pubsync_schema::failure;
use pubsync_schema::ledger::NewEntry;
use pubsync_schema::pause::{self, Subject};
use pubsync_schema::{definition, ledger, outbox};
use pubsync_synchronizer::message::{self, Envelope};
use pubsync_synchronizer::sender::{self, Outbound};
use pubsync_synchronizer::street::Street;
use pubsync_worker::backoff::{self, Backoff};
use pubsync_worker::broker::Outgoing;
use pubsync_worker::metrics;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use crate::registry::Registry;
use route::Routed;

/// Between two looks while there is traffic, and when there is none.
const BUSY: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_millis(15);

const RETRY: Backoff = Backoff {
    first: Duration::from_millis(100),
    // A broker or database that is back is to be used again within 5 s.
    cap: Duration::from_secs(2),
};

/// A relay role of one process.
#[derive(Clone)]
pub struct Relay {
    pub street: Street,
    pub registry: Registry,
    pub outbound: Outbound,
}

impl Relay {
    /// Moves outbox rows until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut attempt = 0;
        let mut wait = IDLE;
        while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
            match self.once().await {
                Ok(0) => {
                    attempt = 0;
                    wait = IDLE;
                }
                Ok(_) => {
                    attempt = 0;
                    wait = BUSY;
                }
                Err(error) => {
                    tracing::warn!(%error, "the relay cannot go on, and tries again");
                    wait = RETRY.next(attempt);
                    attempt += 1;
                }
            }
        }
    }

    /// Sends what nobody has claimed, until stopped.
    pub async fn send(self, stop: CancellationToken) {
        let mut attempt = 0;
        let mut wait = IDLE;
        while backoff::wait(wait, &stop).await {
            match sender::send_unclaimed(&self.street).await {
                Ok(sent) => {
                    attempt = 0;
                    wait = if sent > 0 { BUSY } else { IDLE };
                }
                Err(error) => {
                    tracing::warn!(%error, "relay cannot send; its rows wait in the ledger");
                    wait = RETRY.next(attempt);
                    attempt += 1;
                }
            }
        }
    }

    /// Takes one batch of outbox rows. Gives how many. None while the broker takes no messages: what nobody has claimed
    /// needs nobody to take it back.
    ///
    /// # Errors
    /// Of the database; then nothing has happened.
    pub async fn once(&self) -> Result<usize, DbErr> {
        let store = &self.street.store;
        if self.street.broker.blocked() || !outbox::waits(store).await? {
            return Ok(0);
        }
        let txn = store.begin().await?;
        let numbers = definition::hold_all(&txn, store).await?;
        if !self.registry.is_current(&numbers) {
            txn.rollback().await?;
            self.street.definitions.refresh(store).await?;
            self.registry.refresh().await?;
            return Ok(0);
        }
        // Those that were compared: what is held does not change.
        let documents = self.registry.all();
        let rows = outbox::take(&txn, store, self.street.settings.relay_batch).await?;
        if rows.is_empty() {
            txn.rollback().await?;
            return Ok(0);
        }
        let taken = rows.len();
        let routed = route::route(&documents, &store.names, rows)?;
        let Routed {
            mut entries,
            broken,
            failures,
        } = routed;
        // What fits on the road is claimed here and sent right after the commit; the rest waits in the ledger.
        for entry in &mut entries {
            entry.claimed = self.outbound.reserve(&entry.queue, 1);
        }
        if entries.iter().any(|entry| !entry.claimed) {
            entries = backlog::merge(&txn, store, entries).await?;
        }
        let ids = ledger::insert(&txn, store, &entries).await?;
        failure::record(&txn, store, &failures).await?;
        for (document, reason) in &broken {
            pause::set(&txn, store, &Subject::Document(document.clone()), reason, None).await?;
        }
        txn.commit().await?;
        metrics::relayed(taken, entries.len());
        let claimed = entries.into_iter().zip(ids).filter(|(entry, _)| entry.claimed);
        let messages = claimed.map(|(entry, id)| outgoing(entry, id));
        self.outbound
            .hand_over(store, messages.collect::<Result<_, _>>()?)
            .await;
        Ok(taken)
    }
}

fn outgoing(entry: NewEntry, id: i64) -> Result<Outgoing, DbErr> {
    let envelope = Envelope {
        id,
        document: &entry.document,
        attempt: 0,
        changed_at: entry.changed_at,
        run: entry.run,
    };
    let body = message::publish(&envelope, &entry.payload).map_err(|e| DbErr::Json(e.to_string()))?;
    Ok(Outgoing {
        id,
        queue: entry.queue,
        body,
        trace: entry.trace,
    })
}
