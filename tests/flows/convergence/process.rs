//! One process of the product, taken apart: the test takes every step.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pubsync_publisher::{
    publish::{Job, Publish, PublishError, Tally, consumer::Consumer},
    registry::{Compiled, Registry},
    relay::Relay,
};
use pubsync_schema::{ledger, names::Lane, store::Store};
use pubsync_synchronizer::{
    definitions::Definitions,
    direct,
    gate::Breakers,
    sender,
    street::{Settings, Street},
    sweeper,
    synchronize::Synchronizer,
    target::Target,
};
use pubsync_tests::eventually;
use pubsync_worker::{broker::Broker, shutdown::Shutdown};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::scene::MINUTE;

/// What one process of the product consists of. It does nothing by itself: the test takes every step.
#[derive(Clone)]
pub struct Process {
    pub street: Street,
    pub registry: Registry,
    pub publish: Publish,
    pub relay: Relay,
}

impl Process {
    pub async fn start(
        store: Store,
        broker: Arc<dyn Broker>,
        targets: Arc<BTreeMap<String, Arc<dyn Target>>>,
    ) -> Self {
        let street = Street {
            definitions: Definitions::load(&store).await.expect("definitions"),
            store,
            broker,
            targets,
            breakers: Breakers::default(),
            settings: Settings::default(),
            // The same for all: the lease of the sweeper is no subject here.
            process: "test".into(),
        };
        let registry = Registry::load(&street).await.expect("a registry");
        Self::over(street, registry)
    }

    fn over(street: Street, registry: Registry) -> Self {
        let shutdown = Shutdown::manual();
        let mut silent = street.clone();
        // Nothing is sent by itself: every row waits in the ledger for `send_unclaimed`.
        silent.settings.outstanding = 0;
        let outbound = sender::start(&silent, &shutdown);
        let direct = direct::start(&street, &shutdown);
        shutdown.signal();
        let publish = Publish {
            street: street.clone(),
            outbound: outbound.clone(),
            direct,
        };
        let relay = Relay {
            street: street.clone(),
            registry: registry.clone(),
            outbound,
        };
        Self {
            street,
            registry,
            publish,
            relay,
        }
    }

    /// The same process with other publishers.
    pub fn with_registry(&self, registry: Registry) -> Self {
        Self::over(self.street.clone(), registry)
    }

    /// The same process under other settings.
    pub fn with(&self, edit: impl FnOnce(&mut Settings)) -> Self {
        let mut street = self.street.clone();
        edit(&mut street.settings);
        Self::over(street, self.registry.clone())
    }

    /// The same process on another broker.
    pub fn with_broker(&self, broker: Arc<dyn Broker>) -> Self {
        let street = Street {
            broker,
            ..self.street.clone()
        };
        Self::over(street, self.registry.clone())
    }

    pub fn compiled(&self, document: &str) -> Arc<Compiled> {
        self.registry
            .get(document)
            .unwrap_or_else(|| panic!("{document} is not compiled"))
    }

    pub async fn job(&self, roots: &[&str], ids: &[i64]) -> Job {
        Job {
            roots: roots.iter().map(|root| (*root).to_owned()).collect(),
            ids: ids.to_vec(),
            lane: Lane::Live,
            changed_at: self.street.store.now().await.expect("the time"),
            run: None,
            trace: None,
            again: false,
        }
    }

    /// Publishes roots, as a message that asks for them would.
    pub async fn publish(&self, document: &str, roots: &[&str]) -> Tally {
        let job = self.job(roots, &[]).await;
        self.publish
            .run(&self.compiled(document), &job)
            .await
            .unwrap_or_else(|error| panic!("{document} {roots:?}: {error}"))
    }

    /// Begins to publish roots, by this publisher.
    pub async fn begin(
        &self,
        compiled: Arc<Compiled>,
        roots: &[&str],
        ids: &[i64],
    ) -> JoinHandle<Result<Tally, PublishError>> {
        let (publish, job) = (self.publish.clone(), self.job(roots, ids).await);
        tokio::spawn(async move { publish.run(&compiled, &job).await })
    }

    /// Takes one batch out of the outbox.
    pub async fn relay(&self) -> usize {
        self.relay.once().await.expect("the relay")
    }

    /// Sends what nobody has claimed and the bound allows.
    pub async fn send(&self) -> usize {
        sender::send_unclaimed(&self.street).await.expect("the sender")
    }

    pub async fn sweep(&self) {
        sweeper::once(&self.street).await.expect("the sweeper");
    }

    /// Sees what `apply` has changed, as every process does within seconds.
    pub async fn refresh(&self) {
        let definitions = &self.street.definitions;
        definitions
            .refresh(&self.street.store)
            .await
            .expect("definitions");
        self.registry.refresh().await.expect("the registry");
    }

    /// Runs all workers until outbox and ledger are empty.
    pub async fn drain(&self) {
        self.drain_to(0).await;
    }

    /// Runs all workers until so many rows are left in outbox and ledger.
    pub async fn drain_to(&self, left: i64) {
        self.drain_within(2 * MINUTE, left).await;
    }

    /// The same, for more work than a test usually has.
    pub async fn drain_within(&self, limit: Duration, left: i64) {
        let stop = CancellationToken::new();
        let workers = self.workers(&stop);
        eventually("the end of all work", limit, async || {
            while self.relay().await + self.send().await > 0 {}
            match ledger::moving(&self.street.store, &[]).await.expect("the ledger") {
                rows if rows == left => Ok(()),
                rows => Err(format!("{rows} rows in outbox and ledger")),
            }
        })
        .await;
        ended(stop, workers).await;
    }

    /// Runs all workers until this is so.
    pub async fn work_until(&self, what: &str, probe: impl AsyncFn() -> Result<(), String>) {
        let stop = CancellationToken::new();
        let workers = self.workers(&stop);
        eventually(what, 2 * MINUTE, async || {
            while self.relay().await + self.send().await > 0 {}
            probe().await
        })
        .await;
        ended(stop, workers).await;
    }

    fn workers(&self, stop: &CancellationToken) -> JoinSet<()> {
        let mut workers = JoinSet::new();
        for definition in self.street.definitions.current().iter() {
            let queue = &definition.shape.queue;
            workers.spawn(
                Consumer {
                    publish: self.publish.clone(),
                    registry: self.registry.clone(),
                    queue: queue.clone(),
                    stop: stop.clone(),
                }
                .run(),
            );
        }
        for target in self.street.targets.values() {
            for queue in self.street.definitions.queues_of(target.name()) {
                workers.spawn(
                    Synchronizer {
                        street: self.street.clone(),
                        target: target.clone(),
                        queue,
                        stop: stop.clone(),
                    }
                    .run(),
                );
            }
        }
        workers
    }
}

async fn ended(stop: CancellationToken, mut workers: JoinSet<()>) {
    stop.cancel();
    while let Some(ended) = workers.join_next().await {
        ended.expect("a worker");
    }
}
