//! Each transaction of the workload writes a number of its own into every row. A reader that sees a number knows whether it
//! may see it: not while the transaction is open, and never when it was rolled back.

use std::sync::{Mutex, MutexGuard};

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Open,
    /// COMMIT may have been sent.
    Committing,
    Committed,
    RolledBack,
    /// The connection died over the COMMIT.
    Unknown,
}

/// All transactions by their number. Number 0 are the rows of the beginning.
#[derive(Debug)]
pub struct Stamps(Mutex<Vec<Fate>>);

impl Stamps {
    pub fn new() -> Self {
        Self(Mutex::new(vec![Fate::Committed]))
    }

    /// A transaction begins.
    pub fn begin(&self) -> i64 {
        let mut fates = self.fates();
        fates.push(Fate::Open);
        i64::try_from(fates.len() - 1).expect("fewer transactions")
    }

    pub fn becomes(&self, stamp: i64, fate: Fate) {
        let at = usize::try_from(stamp).expect("a stamp of ours");
        self.fates()[at] = fate;
    }

    /// Why nobody may have seen this number; none where it is fine. To be asked after it was seen.
    pub fn objection(&self, stamp: i64) -> Option<String> {
        let fate = usize::try_from(stamp)
            .ok()
            .and_then(|at| self.fates().get(at).copied());
        match fate {
            Some(Fate::Committing | Fate::Committed | Fate::Unknown) => None,
            Some(fate) => Some(format!("transaction {stamp} is {fate:?}")),
            None => Some(format!("there is no transaction {stamp}")),
        }
    }

    fn fates(&self) -> MutexGuard<'_, Vec<Fate>> {
        self.0.lock().expect("no holder of it panics")
    }
}

/// All numbers in a document's text. A quote inside a text has a backslash before it, so nothing else looks like a member.
pub fn in_text(text: &str) -> impl Iterator<Item = i64> {
    text.match_indices("\"stamp\":").filter_map(|(at, member)| {
        let rest = &text[at + member.len()..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    })
}
