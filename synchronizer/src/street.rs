//! What every station of the street is built on. Made once, by hand, and passed down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pubsync_schema::shape::SyncMode;
use pubsync_schema::store::Store;
use pubsync_worker::broker::Broker;

use crate::definitions::Definitions;
use crate::gate::Breakers;
use crate::target::Target;

/// The collaborators of one process. Cheap to clone.
#[derive(Clone)]
pub struct Street {
    pub store: Store,
    pub broker: Arc<dyn Broker>,
    /// By their names in the configuration.
    pub targets: Arc<BTreeMap<String, Arc<dyn Target>>>,
    pub definitions: Definitions,
    /// Whether each target answers this process.
    pub breakers: Breakers,
    pub settings: Settings,
    /// Who holds leases and claims: unique for each process.
    pub process: Arc<str>,
}

/// What the configuration may change. Defaults are the documented ones.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Messages of one queue that are out at a time; more wait in the ledger, where they are merged and counted.
    pub outstanding: i64,
    /// How long a sent message may stay unsettled before it is sent again (doubling up to 15 minutes).
    pub resend_after: Duration,
    /// How long a claimed message may stay unsent: its process is gone or has lost the broker.
    pub unsent_after: Duration,
    /// Bodies over this many bytes travel as references; 0: all do.
    pub inline_limit: usize,
    /// How documents synchronize that do not say it themselves.
    pub sync: SyncMode,
    /// Publisher tasks per queue and process.
    pub publishers: usize,
    /// Synchronizer tasks per queue and process.
    pub synchronizers: usize,
    /// Outbox rows that a relay takes at once.
    pub relay_batch: u64,
    /// Roots that a publisher builds in one transaction.
    pub publisher_batch: usize,
    /// What is purged, and when.
    pub keep: Keep,
}

/// How long pubsync's own tables hold what is done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Tombstones of the mirror.
    pub tombstones: Duration,
    /// Runs that have ended.
    pub runs: Duration,
    /// Definitions that others have replaced.
    pub definitions: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Keep {
    fn default() -> Self {
        Self {
            tombstones: 7 * DAY,
            runs: 30 * DAY,
            definitions: 365 * DAY,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            outstanding: 64,
            resend_after: Duration::from_secs(60),
            unsent_after: Duration::from_secs(5),
            inline_limit: 256 * 1024,
            sync: SyncMode::Queue,
            publishers: 2,
            synchronizers: 2,
            relay_batch: 500,
            publisher_batch: 100,
            keep: Keep::default(),
        }
    }
}
