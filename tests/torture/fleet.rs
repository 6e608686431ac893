//! The product's processes, several of each role, each replaced when it dies, as an orchestrator does.

use std::{os::unix::process::ExitStatusExt, sync::Arc, time::Duration};

use pubsync_tests::{Random, Worker, World, eventually};

use crate::{
    bounds::Bounds,
    metrics::Metrics,
    secrets::Secrets,
    violations::{Broken, Violations},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Relay,
    Publisher,
    Synchronizer,
}

pub const ROLES: [Role; 3] = [Role::Relay, Role::Publisher, Role::Synchronizer];
const PODS_OF_A_ROLE: usize = 2;
const METRICS_PORT: u16 = 29_464;
/// A process that has just been started must have found database and definitions within.
const BEGINNING: Duration = Duration::from_secs(300);
const CONCURRENCY: &str = "2";

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Publisher => "publisher",
            Self::Synchronizer => "synchronizer",
        }
    }
}

struct Pod {
    role: Role,
    worker: Worker,
}

/// A process that was taken out of the fleet; its replacement waits for the end of it.
pub struct Victim(Pod);

/// Those who look at each process.
#[derive(Clone)]
pub struct Watchers {
    pub metrics: Arc<Metrics>,
    pub bounds: Arc<Bounds>,
    pub secrets: Secrets,
}

pub struct Fleet<'a> {
    world: &'a World,
    watchers: Watchers,
    violations: Violations,
    random: Random,
    pods: Vec<Pod>,
    started: u32,
}

impl<'a> Fleet<'a> {
    /// Starts all processes.
    pub fn start(world: &'a World, watchers: Watchers, violations: Violations, random: Random) -> Self {
        let mut fleet = Self {
            world,
            watchers,
            violations,
            random,
            pods: Vec::new(),
            started: 0,
        };
        for role in ROLES {
            (0..PODS_OF_A_ROLE).for_each(|_| fleet.spawn(role));
        }
        fleet
    }

    fn spawn(&mut self, role: Role) {
        let listen = format!("{}:{METRICS_PORT}", self.address());
        let arguments = [
            "run",
            role.name(),
            "--concurrency",
            CONCURRENCY,
            "--listen",
            &listen,
        ];
        let worker = self.world.spawn(&arguments);
        self.watchers.metrics.watch(self.started, listen.clone());
        self.watchers.bounds.watch(worker.id(), role.name());
        self.started += 1;
        self.pods.push(Pod { role, worker });
    }

    /// An address of its own for each process, so that nobody else has the port.
    fn address(&self) -> String {
        let run = std::process::id() % 60_000;
        format!(
            "127.{}.{}.{}",
            1 + self.started % 250,
            1 + run / 250,
            1 + run % 250
        )
    }

    /// Replaces those that ended by themselves, which is a violation.
    pub fn look_after(&mut self) {
        let mut ended = Vec::new();
        for (at, pod) in self.pods.iter_mut().enumerate() {
            if let Some(status) = pod.worker.end() {
                let log = pod.worker.log();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                let what = format!("a {} ended by itself: {status}: {last:?}", pod.role.name());
                self.violations.add(Broken::Process, what);
                ended.push(at);
            }
        }
        for at in ended.into_iter().rev() {
            let pod = self.pods.remove(at);
            self.judge(&pod.worker);
            self.spawn(pod.role);
        }
    }

    /// One of this role.
    fn take(&mut self, role: Role) -> Pod {
        self.look_after();
        let ours: Vec<usize> = (0..self.pods.len())
            .filter(|at| self.pods[*at].role == role)
            .collect();
        self.pods.remove(*self.random.one_of(&ours))
    }

    /// Stops one of this role where it stands (SIGSTOP).
    pub fn freeze(&mut self, role: Role) -> Victim {
        let pod = self.take(role);
        pod.worker.signal("STOP");
        Victim(pod)
    }

    /// It goes on where it stood.
    pub fn thaw(&mut self, victim: Victim) {
        victim.0.worker.signal("CONT");
        self.pods.push(victim.0);
    }

    /// Dead at once; another one starts.
    pub fn kill(&mut self, victim: Victim) {
        let role = victim.0.role;
        self.judge(&victim.0.worker);
        victim.0.worker.kill9();
        self.spawn(role);
    }

    /// One of this role is dead at once; another one starts.
    pub fn kill_one(&mut self, role: Role) {
        let pod = self.take(role);
        self.kill(Victim(pod));
    }

    /// Ends one in order, which must be well, and starts another.
    pub async fn replace_one(&mut self, role: Role) {
        let pod = self.take(role);
        self.end(pod).await;
        self.spawn(role);
    }

    /// How many of this role there are.
    pub fn count(&self, role: Role) -> usize {
        self.pods.iter().filter(|pod| pod.role == role).count()
    }

    /// Starts as many of this role, or ends them in order, until there are so many.
    pub async fn scale(&mut self, role: Role, count: usize) {
        (self.count(role)..count).for_each(|_| self.spawn(role));
        for _ in count..self.count(role) {
            let pod = self.take(role);
            self.end(pod).await;
        }
    }

    /// Waits until all of this role are at work.
    pub async fn begun(&mut self, role: Role) {
        self.look_after();
        for pod in self.pods.iter().filter(|pod| pod.role == role) {
            begun(&pod.worker).await;
        }
    }

    async fn end(&self, pod: Pod) {
        // Before that it is not in its hands how a signal ends it.
        begun(&pod.worker).await;
        self.judge(&pod.worker);
        let log = pod.worker.log();
        let status = pod.worker.sigterm().await;
        if status.code() != Some(0) {
            let (signal, last) = (status.signal(), log.lines().rev().take(5).collect::<Vec<_>>());
            let what = format!(
                "a {} after SIGTERM: {status} {signal:?}: {last:?}",
                pod.role.name()
            );
            self.violations.add(Broken::Process, what);
        }
    }

    /// What a process wrote.
    fn judge(&self, worker: &Worker) {
        let log = worker.log();
        for line in log.lines().filter(|line| line.contains("panicked at")) {
            self.violations.add(Broken::Process, line);
        }
        self.watchers.secrets.look("a log", &log, &self.violations);
    }

    /// How many were started.
    pub fn started(&self) -> u32 {
        self.started
    }

    /// Ends all in order.
    pub async fn stop(mut self) {
        self.look_after();
        for pod in std::mem::take(&mut self.pods) {
            self.end(pod).await;
        }
    }
}

async fn begun(worker: &Worker) {
    let begun = async || {
        let log = worker.log();
        log.contains("running roles").then_some(()).ok_or(log)
    };
    eventually("the beginning of a process", BEGINNING, begun).await;
}
