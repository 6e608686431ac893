//! How long to wait before the next attempt: doubling, capped, with jitter. [`Backoff::delay`] is pure, so tests and
//! simulations can replay it.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// A schedule of waits: `first`, doubling with each attempt, never over `cap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Longest wait after the first failure.
    pub first: Duration,
    /// Longest wait at all.
    pub cap: Duration,
}

impl Backoff {
    /// The wait before attempt number `attempt`, where 0 is the first repetition: between half of the doubled
    /// time and all of it, so that workers which failed together do not come back together. The same seed gives
    /// the same wait; seed with something that differs between workers.
    pub fn delay(&self, attempt: u32, seed: u64) -> Duration {
        let factor = 2_u32.checked_pow(attempt).unwrap_or(u32::MAX);
        let full = self.first.saturating_mul(factor).min(self.cap);
        let half = full / 2;
        half + (full - half).mul_f64(fraction(seed ^ u64::from(attempt)))
    }

    /// [`Self::delay`] with a new seed.
    #[must_use]
    pub fn next(&self, attempt: u32) -> Duration {
        self.delay(attempt, seed())
    }

    /// Waits for [`Self::next`]. True when the time has passed, false when `stop` came first.
    pub async fn wait(&self, attempt: u32, stop: &CancellationToken) -> bool {
        wait(self.next(attempt), stop).await
    }
}

/// Differs between tasks and processes, those of pods too, which all have the number 1. Only for jitter: it is not secret.
#[must_use]
pub fn seed() -> u64 {
    RandomState::new().hash_one(0)
}

/// Waits for `delay`. True when the time has passed, false when `stop` came first.
pub async fn wait(delay: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = tokio::time::sleep(delay) => true,
    }
}

/// A number in `0.0..1.0`, evenly spread over seeds, neighbouring ones too.
fn fraction(seed: u64) -> f64 {
    const BITS_OF_A_FRACTION: u32 = 53;
    let bits = splitmix64(seed) >> (u64::BITS - BITS_OF_A_FRACTION);
    bits as f64 / (1_u64 << BITS_OF_A_FRACTION) as f64
}

/// One step of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn splitmix64(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Backoff = Backoff {
        first: Duration::from_secs(1),
        cap: Duration::from_secs(600),
    };

    #[test]
    fn doubles_up_to_the_cap() {
        for (attempt, full) in [
            (0, 1),
            (1, 2),
            (2, 4),
            (9, 512),
            (10, 600),
            (31, 600),
            (32, 600),
            (u32::MAX, 600),
        ] {
            let full = Duration::from_secs(full);
            for seed in 0..100 {
                let delay = RETRY.delay(attempt, seed);
                assert!(
                    full / 2 <= delay && delay <= full,
                    "attempt {attempt}, seed {seed}: {delay:?}"
                );
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_delay_and_neighbours_differ() {
        assert_eq!(RETRY.delay(5, 7), RETRY.delay(5, 7));
        let different: std::collections::HashSet<_> = (0..1000).map(|seed| RETRY.delay(5, seed)).collect();
        assert!(different.len() > 990, "only {} different delays", different.len());
    }

    #[test]
    fn jitter_is_spread_evenly() {
        let late = (0..1000)
            .filter(|seed| RETRY.delay(0, *seed) > Duration::from_millis(750))
            .count();
        assert!((400..600).contains(&late), "{late} of 1000 in the upper half");
    }

    #[test]
    fn splitmix64_gives_the_published_sequence() {
        assert_eq!(splitmix64(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn seeds_differ() {
        let seeds: std::collections::HashSet<_> = (0..100).map(|_| seed()).collect();
        assert_eq!(seeds.len(), 100);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_time_or_with_the_token() {
        let stop = CancellationToken::new();
        assert!(wait(Duration::from_millis(1), &stop).await);
        stop.cancel();
        assert!(!wait(Duration::from_secs(3600), &stop).await);
    }
}
