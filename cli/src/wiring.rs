//! Builds every collaborator by hand, in one place, from the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pubsync_schema::store::Store;
use pubsync_synchronizer::definitions::Definitions;
use pubsync_synchronizer::gate::Breakers;
use pubsync_synchronizer::street::{Keep, Settings, Street};
use pubsync_synchronizer::target::Target;
use pubsync_synchronizer::targets;
use pubsync_worker::broker::Broker;
use pubsync_worker::broker::memory::MemoryBroker;
use pubsync_worker::broker::rabbitmq::RabbitMq;

use crate::config::{self, Config};
use crate::fail::Fail;

/// Messages that a queue of the in-process broker holds.
const EMBEDDED_QUEUE: usize = 10_000;

/// Connections of each of the two pools of a one-shot command.
pub const FEW: u32 = 4;

/// What a command works with. Targets and RabbitMQ connect when they are first used.
pub struct Wired {
    pub config: Config,
    pub store: Store,
    pub broker: Arc<dyn Broker>,
    pub targets: Arc<BTreeMap<String, Arc<dyn Target>>>,
}

/// Connects to the database and builds the rest.
///
/// # Errors
/// Where the database cannot be reached, or a URL cannot be used.
pub async fn wire(config: Config, connections: u32) -> Result<Wired, Fail> {
    let broker = broker(&config)?;
    let targets = Arc::new(build_targets(&config)?);
    let store = Store::connect(&config.database.url(), &config.name, connections).await?;
    Ok(Wired {
        config,
        store,
        broker,
        targets,
    })
}

fn broker(config: &Config) -> Result<Arc<dyn Broker>, Fail> {
    Ok(match &config.broker {
        config::Broker::Embedded => Arc::new(MemoryBroker::with_max_body(EMBEDDED_QUEUE, config.max_message)),
        config::Broker::RabbitMq { url } => {
            let dead = if config.name == "pubsync" {
                "dead".to_owned()
            } else {
                format!("{}.dead", config.name)
            };
            let broker = RabbitMq::new(url, &dead).map_err(|e| Fail::Configuration(e.to_string()))?;
            Arc::new(broker.with_max_body(config.max_message))
        }
    })
}

fn build_targets(config: &Config) -> Result<BTreeMap<String, Arc<dyn Target>>, Fail> {
    let mut built = BTreeMap::new();
    for (name, target) in &config.targets {
        let target = targets::config::build(name, &config.name, &target.to_parts());
        built.insert(
            name.clone(),
            target.map_err(|e| Fail::Configuration(e.to_string()))?,
        );
    }
    Ok(built)
}

impl Wired {
    /// The street, with the definitions of now.
    ///
    /// # Errors
    /// Of the database; a missing table means that `apply` has not run.
    pub async fn street(&self) -> Result<Street, Fail> {
        Ok(Street {
            definitions: Definitions::load(&self.store).await?,
            store: self.store.clone(),
            broker: self.broker.clone(),
            targets: self.targets.clone(),
            breakers: Breakers::default(),
            settings: settings(&self.config),
            process: process().into(),
        })
    }
}

fn settings(config: &Config) -> Settings {
    let resend_after = Duration::from_secs(config.relay.resend_after);
    Settings {
        resend_after,
        unsent_after: resend_after.min(Duration::from_secs(5)),
        inline_limit: config.inline_limit,
        sync: config.sync,
        publishers: config.publisher.concurrency,
        synchronizers: config.synchronizer.concurrency,
        relay_batch: config.relay.batch as u64,
        publisher_batch: config.publisher.batch,
        keep: keep(&config.keep),
        ..Settings::default()
    }
}

fn keep(config: &config::KeepConfig) -> Keep {
    let days = |days: u64| Duration::from_secs(days.saturating_mul(24 * 3600));
    Keep {
        tombstones: days(config.tombstones),
        runs: days(config.runs),
        definitions: days(config.definitions),
    }
}

/// Unique for this process on this host and others: leases compare it.
fn process() -> String {
    let started = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}/{}/{started}", host.trim(), std::process::id())
}
