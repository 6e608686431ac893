//! Durations and what is said of them.

use std::time::Duration;

/// Durations in the order in which they came.
#[derive(Debug, Default, Clone)]
pub struct Timing(Vec<Duration>);

/// In milliseconds.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary {
    pub count: usize,
    pub p50: u128,
    pub p99: u128,
    pub max: u128,
}

impl Timing {
    pub fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// Zero where there is none.
    pub fn longest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }

    pub fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// None where there is nothing to say.
    pub fn summary(&self) -> Option<Summary> {
        let mut sorted = self.0.clone();
        sorted.sort();
        let at = |percent: usize| sorted.get((sorted.len() * percent / 100).min(sorted.len() - 1));
        let last = sorted.last()?;
        Some(Summary {
            count: sorted.len(),
            p50: at(50)?.as_millis(),
            p99: at(99)?.as_millis(),
            max: last.as_millis(),
        })
    }
}
