//! What must not happen, collected from all who watch.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// Examples that are kept of each kind.
const KEPT: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// It should be there and is not (I1 to I3).
    Lost,
    /// Another content or revision than it should have (I1 to I3).
    Stale,
    /// It should not be there, and never was a document as far as the mirror knows (I2, I3).
    Orphaned,
    /// It was deleted and is there (I2, I3).
    Resurrected,
    /// A reader saw a revision fall, or come back after its delete (I4).
    Backwards,
    /// A reader saw what was not committed (I4).
    Uncommitted,
    /// A dead document without a tombstone (I1).
    Untombed,
    /// Outbox, ledger, queues or failures are not as they must be at quiet (I5).
    Unquiet,
    /// `wait` returned before what it promised (I5).
    WaitLied,
    /// Not converged within the limit after a fault (I6).
    Slow,
    /// A process ended by itself, panicked, or did not end well after SIGTERM (I8, I9).
    Process,
    /// A process took more memory or files than it may (I7).
    Unbounded,
    /// A password stands where everybody reads it (I9).
    Told,
}

impl Broken {
    pub const ALL: [Self; 13] = [
        Self::Lost,
        Self::Stale,
        Self::Orphaned,
        Self::Resurrected,
        Self::Backwards,
        Self::Uncommitted,
        Self::Untombed,
        Self::Unquiet,
        Self::WaitLied,
        Self::Slow,
        Self::Process,
        Self::Unbounded,
        Self::Told,
    ];
}

/// Shared by all who watch.
#[derive(Debug, Clone, Default)]
pub struct Violations(Arc<Mutex<All>>);

/// How many of each kind, and the first of them.
pub type All = BTreeMap<Broken, (u64, Vec<String>)>;

impl Violations {
    pub fn add(&self, broken: Broken, what: impl Into<String>) {
        let what = what.into();
        eprintln!("VIOLATION {broken:?}: {what}");
        let mut all = self.0.lock().expect("no holder of it panics");
        let entry = all.entry(broken).or_default();
        entry.0 += 1;
        if entry.1.len() < KEPT {
            entry.1.push(what);
        }
    }

    pub fn all(&self) -> All {
        self.0.lock().expect("no holder of it panics").clone()
    }

    pub fn count(&self, broken: Broken) -> u64 {
        self.all().get(&broken).map_or(0, |(count, _)| *count)
    }

    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }
}
