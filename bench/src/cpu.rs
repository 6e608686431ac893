//! Processor time of the processes that a phase uses, from `/proc`. Services are shared: what others ask of them counts
//! too, except at PostgreSQL, whose backends name their database.

use std::collections::BTreeMap;
use std::fs;

use crate::services::NAME;

/// Ticks a second on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// A moment.
pub struct Moment {
    processes: BTreeMap<u32, (&'static str, u64)>,
    machine: u64,
}

/// What was used between a moment and now, in seconds.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Used {
    pub by: BTreeMap<&'static str, f64>,
    /// Of the whole machine: what is not in `by` was somebody else's.
    pub machine: f64,
}

impl Moment {
    pub fn now() -> Self {
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let processes = pids
            .filter_map(|pid| Some((pid, (role(pid)?, ticks(pid)?))))
            .collect();
        let machine = busy().unwrap_or(0);
        Self { processes, machine }
    }

    pub fn used(&self) -> Used {
        let now = Self::now();
        let mut by = BTreeMap::new();
        for (pid, (role, ticks)) in now.processes {
            let before = self.processes.get(&pid).map_or(0, |known| known.1);
            *by.entry(role).or_insert(0.0) += ticks.saturating_sub(before) as f64 / TICKS;
        }
        let machine = now.machine.saturating_sub(self.machine) as f64 / TICKS;
        Used { by, machine }
    }
}

fn role(pid: u32) -> Option<&'static str> {
    if pid == std::process::id() {
        return Some("pubsync");
    }
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let is = |text: &str| command.contains(text);
    match command.split(' ').next()? {
        "postgres:" if is(NAME) => Some("postgres"),
        "postgres:" if is("walwriter") || is("checkpointer") || is("background writer") => {
            Some("postgres log")
        }
        first if first.ends_with("beam.smp") => Some("rabbitmq"),
        first if first.ends_with("redis-server") => Some("redis"),
        first if first.ends_with("java") && is("opensearch") => Some("opensearch"),
        _ => None,
    }
}

/// User and system time, threads included.
fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

fn busy() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<u64> = stat
        .lines()
        .next()?
        .split_whitespace()
        .filter_map(|f| f.parse().ok())
        .collect();
    // User, nice, system, interrupts: not idle, not waiting for disks, not taken by the host.
    [0, 1, 2, 5, 6].iter().map(|&at| fields.get(at).copied()).sum()
}
