//! What is done to the product and its services.
//!
//! To add a fault: a variant, its line in [`FAULTS`], its arm in [`Arena::inflict`].

mod echoes;
mod losses;
mod probes;
mod refusals;
mod rollout;
mod services;
mod wires;

use std::{sync::Arc, time::Duration};

use pubsync_tests::{
    Output, Random, RedisServer, Tapped, World,
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
    own::OwnServices,
    pace,
    secrets::Secrets,
    shop::Version,
    timing::Timing,
    violations::{Broken, Violations},
    windows::Windows,
    workload::Workload,
};

/// No arrival for so long, or for twice as long as all need on this machine: what is still open is in the hands of the
/// frozen process.
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
    ServiceKilled(Service),
    MemoryAlarm,
    QueuesDeleted,
    VirtualHostWiped,
    Flushed,
    RedisFull,
    RedisReadOnly,
    FunctionsFlushed,
    IndexDeleted,
    IndexBlocked,
    RolledOut,
    PasswordsChanged,
    Scaled(Role),
    ResyncInterrupted,
    Echoed,
    Unreadable,
    /// At a frame on the way to a service.
    Wire(Service, Rule),
    /// All connections to a service.
    Cut(Service, Mode),
    /// The probes, at a moment of their own.
    Probe(Moment),
}

impl Fault {
    /// Whether it hurts all who use the services.
    pub fn needs_own_services(self) -> bool {
        matches!(self, Self::ServiceKilled(_) | Self::MemoryAlarm)
    }

    /// What it measures would mean nothing with another fault at the same time; nor may `wait` be asked while a
    /// target is empty.
    pub fn is_alone(self) -> bool {
        self.loses() || matches!(self, Self::KillHolding(_) | Self::Probe(_))
    }

    /// Whether a target loses what it had accepted.
    pub fn loses(self) -> bool {
        matches!(
            self,
            Self::Flushed | Self::IndexDeleted | Self::ServiceKilled(Service::OpenSearch)
        )
    }

    /// The service on whose wire it happens, where it is nothing but a rule.
    pub fn wire(self) -> Option<Service> {
        match self {
            Self::Wire(service, _) => Some(service),
            _ => None,
        }
    }
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
    ("RabbitMQ: all queues deleted", Fault::QueuesDeleted),
    ("RabbitMQ: virtual host wiped", Fault::VirtualHostWiped),
    ("RabbitMQ: memory alarm", Fault::MemoryAlarm),
    (
        "RabbitMQ: kill -9, started again",
        Fault::ServiceKilled(Service::RabbitMq),
    ),
    ("RabbitMQ: messages once more", Fault::Echoed),
    ("RabbitMQ: unreadable messages", Fault::Unreadable),
    ("Redis: kill -9, started with its data", Fault::RedisKilled),
    ("Redis: FLUSHALL", Fault::Flushed),
    ("Redis: out of memory", Fault::RedisFull),
    ("Redis: read only", Fault::RedisReadOnly),
    ("Redis: functions flushed", Fault::FunctionsFlushed),
    ("OpenSearch: index deleted", Fault::IndexDeleted),
    ("OpenSearch: index blocked", Fault::IndexBlocked),
    (
        "OpenSearch: kill -9, started again",
        Fault::ServiceKilled(Service::OpenSearch),
    ),
    (
        "PostgreSQL: kill -9, started again",
        Fault::ServiceKilled(Service::Postgres),
    ),
    ("PostgreSQL: backends terminated", Fault::BackendsTerminated),
    ("PostgreSQL: source table locked", Fault::SourceLocked),
    ("PostgreSQL: root rows locked", Fault::RootsLocked),
    ("rolling deploy of another definition", Fault::RolledOut),
    ("passwords changed", Fault::PasswordsChanged),
    ("publishers 2, 5, 1, 2", Fault::Scaled(Role::Publisher)),
    ("synchronizers 2, 5, 1, 2", Fault::Scaled(Role::Synchronizer)),
    ("SIGTERM of all in a resync", Fault::ResyncInterrupted),
];

/// Where the faults happen.
pub struct Arena<'a> {
    pub world: &'a World,
    pub fleet: Fleet<'a>,
    pub redis: RedisServer,
    pub wires: Arc<Wires>,
    /// The set of services that may be killed; there are no such faults where there is none.
    pub own: Option<OwnServices>,
    pub workload: Arc<Workload>,
    pub windows: Windows,
    pub secrets: Secrets,
    /// What of the documents is applied.
    pub version: Version,
    /// The configuration of commands.
    pub direct: &'static str,
    /// Messages of a while ago, and how many were sent again.
    pub remembered: Vec<Tapped>,
    pub echoes: u64,
    pub beacons: &'a Beacons,
    pub random: Random,
    pub violations: Violations,
    /// From the kill of a process to the arrival of what it held.
    pub reprocessed: Timing,
    /// From the loss of what a target held to the end of its repair.
    pub repaired: Timing,
    /// How long a fault lasts that has no length of its own.
    pub usual: Duration,
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
            Fault::ServiceKilled(service) => self.service_killed(service).await,
            Fault::MemoryAlarm => self.memory_alarm().await,
            Fault::QueuesDeleted => return self.queues_deleted().await,
            Fault::VirtualHostWiped => self.virtual_host_wiped().await,
            Fault::Flushed => self.flushed().await,
            Fault::RedisFull => self.redis_full().await,
            Fault::RedisReadOnly => self.redis_read_only().await,
            Fault::FunctionsFlushed => self.functions_flushed().await,
            Fault::IndexDeleted => return self.index_deleted().await,
            Fault::IndexBlocked => return self.index_blocked().await,
            Fault::RolledOut => self.rolled_out().await,
            Fault::PasswordsChanged => self.secrets.change(self.world).await,
            Fault::Scaled(role) => self.scaled(role).await,
            Fault::ResyncInterrupted => return self.resync_interrupted().await,
            Fault::Echoed => return self.echoed().await,
            Fault::Unreadable => return self.unreadable().await,
            Fault::Wire(service, rule) => {
                let times = 1 + self.random.below(3);
                return self.wires.cut_at(service, rule, times).await;
            }
            Fault::Cut(service, mode) => return self.cut_off(service, mode).await,
            Fault::Probe(moment) => return self.probe(moment).await,
        }
        true
    }

    /// Between a tenth of the usual length of a fault and all of it; four times as long now and then.
    async fn a_while(&mut self) {
        let times = if self.random.one_in(8) { 4 } else { 1 };
        let tenths = times * u32::try_from(self.random.up_to(10)).expect("at most 10");
        pace::pause(self.usual * tenths / 10).await;
    }

    async fn command(&self, arguments: &[&str]) -> Output {
        self.world.command(self.direct, arguments).await
    }

    fn own(&self) -> &OwnServices {
        self.own
            .as_ref()
            .expect("the deck has such faults only where there are own services")
    }

    /// Frozen first: every beacon changes once, and what the others do not bring is in its hands. Then it dies. Whether it
    /// held anything.
    async fn kill_holding(&mut self, role: Role) -> bool {
        let _rest = self.workload.rest();
        let mut silence = self.beacons.silence().await;
        self.fleet.begun(role).await;
        let mut usual = Duration::ZERO;
        // First what is on its way, then what every beacon takes when nobody is frozen.
        for change in [false, true] {
            if change {
                self.beacons.change_all(&mut silence).await;
            }
            match self.beacons.converge(self.limit).await {
                Ok(timing) => usual = timing.longest(),
                Err(_) => self.late(&format!("before the kill of a {}", role.name())),
            }
        }
        let victim = self.fleet.freeze(role);
        let held = self.beacons.held_back(&mut silence, HELD.max(usual * 2)).await;
        self.fleet.kill(victim);
        match self.beacons.converge(self.limit).await {
            // Where most have not arrived, nobody knows what was held.
            Ok(timing) if held.len() * 4 <= beacons::count() * 3 => self.reprocessed.extend(&timing),
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
