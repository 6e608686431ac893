//! An application that changes one item after the other at a pace, and how long its changes take to be seen.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use pubsync_tests::World;
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};

/// Changes until it is stopped.
pub struct Load {
    stamp: Arc<AtomicI64>,
    task: JoinHandle<()>,
}

/// One transaction each 100 ms, with so many changes.
const TICK: Duration = Duration::from_millis(100);

impl Load {
    /// Changes `each` items ten times a second; `set` may change more than the stamp.
    pub async fn start(world: &World, items: u32, each: u32, set: &'static str) -> Self {
        let (mut session, stamp) = (world.session().await, Arc::new(AtomicI64::new(0)));
        let counter = Arc::clone(&stamp);
        let task = tokio::spawn(async move {
            let mut ticks = interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let now = counter.fetch_add(1, Ordering::Relaxed) + 1;
                // Strides through all of them, not beside each other.
                let sql = format!(
                    "UPDATE item SET stamp = {now}{set} WHERE id IN \
                     (SELECT 1 + ({now} * {each} + n) * 7919 % {items} FROM generate_series(1::bigint, {each}) AS n)"
                );
                session.execute(&sql).await.expect("a change of the application");
            }
        });
        Self { stamp, task }
    }

    /// How many transactions it has begun.
    pub fn transactions(&self) -> i64 {
        self.stamp.load(Ordering::Relaxed)
    }

    /// The transaction that is under way may be rolled back.
    pub async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Looks at something once a second for so long.
pub async fn watch(length: Duration, mut look: impl AsyncFnMut()) {
    let mut ticks = interval(Duration::from_secs(1));
    let end = Instant::now() + length;
    while Instant::now() < end {
        ticks.tick().await;
        look().await;
    }
}

/// Of durations in milliseconds: the one that so many percent do not exceed.
pub fn percentile(durations: &[f64], percent: f64) -> f64 {
    let mut sorted = durations.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
