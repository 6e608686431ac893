//! Starts the roles of a process on a street, and keeps their consumers fitting to the definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pubsync_synchronizer::apply::Unsettled;
use pubsync_synchronizer::gate::Gate;
use pubsync_synchronizer::street::Street;
use pubsync_synchronizer::synchronize::Synchronizer;
use pubsync_synchronizer::target::Target;
use pubsync_synchronizer::{direct, letters, measure, road, sender, sweeper, watch};
use pubsync_worker::backoff::Backoff;
use pubsync_worker::shutdown::Shutdown;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use crate::capture;
use crate::handwritten::Publishers;
use crate::publish::Publish;
use crate::publish::consumer::Consumer;
use crate::registry::Registry;
use crate::relay::Relay;

/// A role of a process; all of them scale by starting more processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Relay,
    Publisher,
    Synchronizer,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Relay, Self::Publisher, Self::Synchronizer];
}

const PREPARE: Backoff = Backoff {
    first: Duration::from_millis(200),
    cap: Duration::from_secs(10),
};

/// Starts the roles; they end with the shutdown. `publishers` are those that this program brings along.
///
/// # Errors
/// Of the database, at the first look at the definitions.
pub async fn start(
    street: &Street,
    publishers: &Publishers,
    roles: &BTreeSet<Role>,
    shutdown: &Shutdown,
) -> Result<(), DbErr> {
    shutdown.spawn(
        street
            .definitions
            .clone()
            .follow(street.store.clone(), shutdown.taking().clone()),
    );
    shutdown.spawn(road::watch(street.clone(), shutdown.taking().clone()));
    let needs_registry = roles.contains(&Role::Relay) || roles.contains(&Role::Publisher);
    if needs_registry {
        let registry = Registry::load_with(street, publishers).await?;
        shutdown.spawn(follow(
            registry.clone(),
            street.clone(),
            shutdown.taking().clone(),
        ));
        let outbound = sender::start(street, shutdown);
        if roles.contains(&Role::Relay) {
            let relay = Relay {
                street: street.clone(),
                registry: registry.clone(),
                outbound: outbound.clone(),
            };
            shutdown.spawn(relay.clone().send(shutdown.taking().clone()));
            shutdown.spawn(relay.run(shutdown.taking().clone()));
            shutdown.spawn(sweeper::sweep(street.clone(), shutdown.taking().clone()));
            shutdown.spawn(letters::read(street.clone(), shutdown.taking().clone()));
            shutdown.spawn(watch::watch(street.clone(), shutdown.taking().clone()));
            shutdown.spawn(capture::watch::watch(
                street.clone(),
                registry.clone(),
                shutdown.taking().clone(),
            ));
            shutdown.spawn(measure::measure(street.clone(), shutdown.taking().clone()));
        }
        if roles.contains(&Role::Publisher) {
            let direct = direct::start(street, shutdown);
            let publish = Publish {
                street: street.clone(),
                outbound,
                direct,
            };
            shutdown.spawn(publishing(publish, registry, shutdown.clone()));
        }
    }
    if roles.contains(&Role::Synchronizer) {
        for target in street.targets.values() {
            shutdown.spawn(synchronizers(street.clone(), target.clone(), shutdown.clone()));
        }
    }
    Ok(())
}

/// Compiles definitions as they change.
async fn follow(registry: Registry, street: Street, stop: CancellationToken) {
    let mut changes = street.definitions.watch();
    while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
        changes.mark_unchanged();
        if let Err(error) = registry.refresh().await {
            tracing::warn!(%error, "definitions cannot be compiled now; the next transaction tries again");
        }
    }
}

/// Keeps consumers for every publish queue that the definitions name.
async fn publishing(publish: Publish, registry: Registry, shutdown: Shutdown) {
    let street = publish.street.clone();
    let spawn = |queue: &str, stop: CancellationToken| {
        let (publish, registry, queue) = (publish.clone(), registry.clone(), queue.to_owned());
        shutdown.spawn(
            Consumer {
                publish,
                registry,
                queue,
                stop,
            }
            .run(),
        );
    };
    let queues = || {
        let current = street.definitions.current();
        current.iter().map(|d| d.shape.queue.clone()).collect()
    };
    keep(&street, &shutdown, street.settings.publishers, queues, spawn).await;
}

/// Keeps consumers for every sync queue of a target.
async fn synchronizers(street: Street, target: Arc<dyn Target>, shutdown: Shutdown) {
    let name = target.name().to_owned();
    if !prepare(&street, &*target, shutdown.taking()).await {
        return;
    }
    let spawn = |queue: &str, stop: CancellationToken| {
        let synchronizer = Synchronizer {
            street: street.clone(),
            target: target.clone(),
            queue: queue.to_owned(),
            stop,
        };
        shutdown.spawn(synchronizer.run());
    };
    let queues = || street.definitions.queues_of(&name);
    keep(&street, &shutdown, street.settings.synchronizers, queues, spawn).await;
}

/// Starts consumers for queues that come and stops those of queues that go.
async fn keep(
    street: &Street,
    shutdown: &Shutdown,
    consumers: usize,
    queues: impl Fn() -> BTreeSet<String>,
    spawn: impl Fn(&str, CancellationToken),
) {
    let mut changes = street.definitions.watch();
    let mut moves = street.definitions.watch_write_sets();
    let mut running: BTreeMap<String, CancellationToken> = BTreeMap::new();
    loop {
        let wanted = queues();
        running.retain(|queue, stop| {
            let stays = wanted.contains(queue);
            if !stays {
                stop.cancel();
            }
            stays
        });
        for queue in wanted {
            running.entry(queue).or_insert_with_key(|queue| {
                let stop = shutdown.taking().child_token();
                for _ in 0..consumers {
                    spawn(queue, stop.clone());
                }
                stop
            });
        }
        let changed = async {
            tokio::select! {
                changed = changes.changed() => changed,
                changed = moves.changed() => changed,
            }
        };
        match shutdown.taking().run_until_cancelled(changed).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return,
        }
    }
}

/// Waits until the target is up and has what its collections need. False where the shutdown came first.
async fn prepare(street: &Street, target: &dyn Target, stop: &CancellationToken) -> bool {
    let mut attempt = 0;
    loop {
        let collections: Vec<_> = street
            .definitions
            .current()
            .iter()
            .filter_map(|d| street.definitions.write_set(&d.document, target.name()))
            .flat_map(|set| set.collections().cloned().collect::<Vec<_>>())
            .collect();
        let mut gate = Gate::new(street, target);
        match gate.wait(stop).await {
            Ok(_waited) => match gate.send(target.prepare(&collections), |()| None).await {
                Ok(()) => return true,
                Err(error) => tracing::warn!(%error, "a target cannot be prepared"),
            },
            Err(Unsettled::Stopped(_)) => return false,
            Err(error) => tracing::warn!(%error, "a target is not prepared"),
        }
        // The breaker waits for one that is left alone.
        if !PREPARE.wait(attempt, stop).await {
            return false;
        }
        attempt += 1;
    }
}
