//! I7: what the product's processes take of memory and files, and of the database.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use pubsync_tests::Session;

use crate::{
    pace,
    violations::{Broken, Violations},
    workload::connect,
};

const PERIOD: Duration = Duration::from_secs(1);
/// No worker may ever hold more.
const MEMORY_MIB: u64 = 1024;
const FILES: u64 = 1000;

/// The most that was ever seen.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Most {
    /// Of one process, by role.
    pub memory_mib: BTreeMap<&'static str, u64>,
    pub files: BTreeMap<&'static str, u64>,
    /// Sessions of the product at the database.
    pub sessions: i64,
    /// Seconds that its oldest transaction had been open, those of frozen processes too.
    pub oldest_transaction: f64,
}

#[derive(Debug, Default)]
struct State {
    /// Roles by the numbers of processes that run.
    live: BTreeMap<u32, &'static str>,
    most: Most,
}

#[derive(Debug, Default)]
pub struct Bounds(Mutex<State>);

impl Bounds {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of it panics")
    }

    /// Another process.
    pub fn watch(&self, pid: u32, role: &'static str) {
        self.state().live.insert(pid, role);
    }

    pub fn most(&self) -> Most {
        self.state().most.clone()
    }

    /// Looks at all processes, until cancelled.
    pub async fn look(self: Arc<Self>, violations: Violations) {
        loop {
            self.look_once(&violations);
            pace::pause(PERIOD).await;
        }
    }

    fn look_once(&self, violations: &Violations) {
        let mut state = self.state();
        let State { live, most } = &mut *state;
        live.retain(|pid, role| {
            let Some((memory, files)) = held(*pid) else {
                return false;
            };
            for (now, limit, ever, what) in [
                (memory, MEMORY_MIB, &mut most.memory_mib, "MiB of memory"),
                (files, FILES, &mut most.files, "open files"),
            ] {
                let ever = ever.entry(*role).or_default();
                if now > limit && *ever <= limit {
                    violations.add(Broken::Unbounded, format!("a {role} has {now} {what}"));
                }
                *ever = now.max(*ever);
            }
            true
        });
    }

    fn note(&self, sessions: i64, oldest: f64) {
        let most = &mut self.state().most;
        most.sessions = most.sessions.max(sessions);
        most.oldest_transaction = most.oldest_transaction.max(oldest);
    }

    /// Asks the database for the sessions of this user, until cancelled.
    pub async fn ask(self: Arc<Self>, url: String, user: &'static str) {
        let query = "SELECT count(*), coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0)::float8 \
                     FROM pg_stat_activity WHERE usename = $1";
        loop {
            let Session::Postgres(mut connection) = connect(&url).await else {
                return;
            };
            let mut ask = async || {
                let query = sqlx::query_as::<_, (i64, f64)>(query).bind(user);
                query.fetch_one(&mut connection).await
            };
            // The database may be away.
            while let Ok((sessions, oldest)) = ask().await {
                self.note(sessions, oldest);
                pace::pause(PERIOD).await;
            }
        }
    }
}

/// MiB of memory and open files; none where the process has ended.
fn held(pid: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let memory: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    Some((memory / 1024, files as u64))
}
