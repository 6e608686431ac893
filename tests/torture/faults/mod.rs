//! What is done to the product and its services.
//!
//! To add a fault: a variant, its line in [`FAULTS`], its arm in [`Arena::inflict`].

mod probes;
mod services;
mod wires;

use std::time::Duration;

use pubsync_tests::{
    Random, RedisServer, World,
    proxy::{Mode, Rule},
};

pub use self::wires::Wires;
use self::{
    probes::{MOMENTS, Moment},
    wires::{Service, WIRES},
};

use crate::{
    beacons::{self, Beacons},
    fleet::{Fleet, Role},
    pace,
    timing::Timing,
    violations::{Broken, Violations},
};

/// No arrival for so long: what is still open is in the hands of the frozen process.
const HELD: Duration = Duration::from_millis(1200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Kill(Role),
    /// Killed while it holds changes that nobody else has.
    KillHolding(Role),
    Freeze(Role),
    Replace(Role),
    ConnectionsClosed,
    QueueDeleted,
    QueuePurged,
    RedisKilled,
    BackendsTerminated,
    SourceLocked,
    RootsLocked,
    /// At a frame on the way to a service.
    Wire(Service, Rule),
    /// All connections to a service.
    Cut(Service, Mode),
    /// The probes, at a moment of their own.
    Probe(Moment),
}

/// All faults by the names of the report.
pub fn all() -> impl Iterator<Item = (&'static str, Fault)> {
    FAULTS.iter().chain(WIRES).chain(MOMENTS).copied()
}

const FAULTS: &[(&str, Fault)] = &[
    ("kill -9 relay", Fault::Kill(Role::Relay)),
    ("kill -9 publisher", Fault::Kill(Role::Publisher)),
    ("kill -9 synchronizer", Fault::Kill(Role::Synchronizer)),
    (
        "kill -9 publisher that holds changes",
        Fault::KillHolding(Role::Publisher),
    ),
    (
        "kill -9 synchronizer that holds changes",
        Fault::KillHolding(Role::Synchronizer),
    ),
    ("SIGSTOP, SIGCONT relay", Fault::Freeze(Role::Relay)),
    ("SIGSTOP, SIGCONT publisher", Fault::Freeze(Role::Publisher)),
    ("SIGSTOP, SIGCONT synchronizer", Fault::Freeze(Role::Synchronizer)),
    ("SIGTERM relay", Fault::Replace(Role::Relay)),
    ("SIGTERM publisher", Fault::Replace(Role::Publisher)),
    ("SIGTERM synchronizer", Fault::Replace(Role::Synchronizer)),
    ("RabbitMQ: connections closed", Fault::ConnectionsClosed),
    ("RabbitMQ: queue deleted", Fault::QueueDeleted),
    ("RabbitMQ: queue purged", Fault::QueuePurged),
    ("Redis: kill -9, started with its data", Fault::RedisKilled),
    ("PostgreSQL: backends terminated", Fault::BackendsTerminated),
    ("PostgreSQL: source table locked", Fault::SourceLocked),
    ("PostgreSQL: root rows locked", Fault::RootsLocked),
];

/// Where the faults happen.
pub struct Arena<'a> {
    pub world: &'a World,
    pub fleet: Fleet<'a>,
    pub redis: RedisServer,
    pub wires: Wires,
    pub beacons: &'a Beacons,
    pub random: Random,
    pub violations: Violations,
    /// From the kill of a process to the arrival of what it held.
    pub reprocessed: Timing,
    /// The longest that a fault lasts.
    pub longest: Duration,
    /// Within which everything must have arrived after a fault.
    pub limit: Duration,
}

impl Arena<'_> {
    /// Does it, and returns when the fault itself is over: whether there was anything that it could be done to.
    pub async fn inflict(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Kill(role) => self.fleet.kill_one(role),
            Fault::KillHolding(role) => return self.kill_holding(role).await,
            Fault::Freeze(role) => {
                let victim = self.fleet.freeze(role);
                self.a_while().await;
                self.fleet.thaw(victim);
            }
            Fault::Replace(role) => self.fleet.replace_one(role).await,
            Fault::ConnectionsClosed => return self.world.broker().close_connections().await > 0,
            Fault::QueueDeleted => return self.queue_deleted().await,
            Fault::QueuePurged => return self.queue_purged().await,
            Fault::RedisKilled => self.redis_killed().await,
            Fault::BackendsTerminated => self.backends_terminated().await,
            Fault::SourceLocked => return self.source_locked().await,
            Fault::RootsLocked => return self.roots_locked().await,
            Fault::Wire(service, rule) => return self.cut_at(service, rule).await,
            Fault::Cut(service, mode) => return self.cut_off(service, mode).await,
            Fault::Probe(moment) => return self.probe(moment).await,
        }
        true
    }

    /// Between a tenth of the longest and the longest.
    async fn a_while(&mut self) {
        let tenths = u32::try_from(self.random.up_to(10)).expect("at most 10");
        pace::pause(self.longest * tenths / 10).await;
    }

    /// Frozen first: every beacon changes once, and what the others do not bring is in its hands. Then it dies. Whether it
    /// held anything.
    async fn kill_holding(&mut self, role: Role) -> bool {
        let mut silence = self.beacons.silence().await;
        if self.beacons.converge(self.limit).await.is_err() {
            self.late(&format!("before the kill of a {}", role.name()));
        }
        let victim = self.fleet.freeze(role);
        let held = self.beacons.held_back(&mut silence, HELD).await;
        self.fleet.kill(victim);
        match self.beacons.converge(self.limit).await {
            // Where most have not arrived, the machine is slow, and nobody knows what was held.
            Ok(timing) if held.len() * 2 < beacons::count() => self.reprocessed.extend(&timing),
            Ok(_) => {}
            Err(_) => self.late(&format!("after the kill of a {}", role.name())),
        }
        !held.is_empty()
    }

    fn late(&self, when: &str) {
        let what = format!("{when}: not everything arrived within {:?}", self.limit);
        self.violations.add(Broken::Slow, what);
    }
}
