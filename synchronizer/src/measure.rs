//! The gauges: how much waits in outbox and ledger, since when, what failed and what is paused. Every relay process
//! measures by itself, without a lease: the gauges of a process that lost one would stand still for ever.

use std::time::Duration;

use pubsync_schema::pause::Subject;
use pubsync_schema::{ledger, outbox};
use pubsync_worker::metrics::{self, Backlog};
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use crate::status;
use crate::street::Street;

/// Autoscalers and alerts look every 15 s or so; counting a large outbox costs the database something.
const PERIOD: Duration = Duration::from_secs(5);

/// Measures until stopped.
pub async fn measure(street: Street, stop: CancellationToken) {
    let mut before = Backlog::default();
    loop {
        match look(&street).await {
            Ok(now) => {
                metrics::backlog(&before, &now);
                before = now;
            }
            Err(error) => tracing::debug!(%error, "gauges cannot be measured now"),
        }
        let again = stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await;
        if again.is_none() {
            return;
        }
    }
}

async fn look(street: &Street) -> Result<Backlog, DbErr> {
    let store = &street.store;
    let now = store.now().await?;
    let age = |oldest: i64| (now - oldest).max(0) as f64 / 1e6;
    let (rows, oldest) = outbox::load(store).await?;
    let mut backlog = Backlog {
        outbox: (rows, oldest.map_or(0.0, age)),
        blocked: street.broker.blocked(),
        troubled: street.broker.trouble().is_some(),
        ..Backlog::default()
    };
    for load in ledger::load(store).await? {
        let queue = backlog.ledger.entry(load.queue).or_default();
        *queue = (queue.0 + load.rows, queue.1.max(age(load.oldest_changed_at)));
    }
    for group in status::failure_groups(store).await? {
        let labels = (group.document, group.stage, group.class);
        *backlog.failures.entry(labels).or_default() += group.count;
    }
    for target in street.targets.keys() {
        let paused = street.definitions.is_paused(&Subject::Target(target.clone()));
        backlog.paused.insert(target.clone(), paused);
    }
    Ok(backlog)
}
