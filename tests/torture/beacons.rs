//! Products that one session writes one after the other. So it is known at any time what must be there: they measure how long
//! a change takes, show whether `wait` tells the truth, and which changes were in the hands of a killed process.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pubsync_tests::Session;
use tokio::{sync::Mutex as Turn, time::Instant};

use crate::{
    pace,
    shop::{BEACONS, FIRST_BEACON},
    stamps::{Fate, Stamps},
    targets::{Search, Seen, Store, number_after},
    timing::Timing,
    workload::connect,
};

/// Between two changes, and between two looks at Redis.
const CHANGE: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(25);

#[derive(Debug, Default)]
struct State {
    /// By beacon: the newest number that was committed, and the newest that Redis had.
    committed: Vec<i64>,
    arrived: Vec<i64>,
    /// By beacon: what has not arrived yet, with the time of its commit.
    open: Vec<Vec<(i64, Instant)>>,
    calm: Timing,
    faults: Timing,
}

pub struct Beacons {
    url: String,
    stamps: Arc<Stamps>,
    state: Mutex<State>,
    /// Who writes.
    turn: Turn<Option<Session>>,
    /// Whether a fault is under way.
    pub under_fire: AtomicBool,
}

/// The right to change beacons.
pub struct Silence<'a>(tokio::sync::MutexGuard<'a, Option<Session>>);

pub fn key(beacon: usize) -> String {
    format!(
        "product:en:{}",
        FIRST_BEACON + i64::try_from(beacon).expect("a beacon")
    )
}

pub fn keys() -> Vec<String> {
    (0..count()).map(key).collect()
}

pub fn count() -> usize {
    usize::try_from(BEACONS).expect("some")
}

impl Beacons {
    pub fn new(url: &str, stamps: Arc<Stamps>) -> Arc<Self> {
        let state = State {
            committed: vec![0; count()],
            arrived: vec![0; count()],
            open: vec![Vec::new(); count()],
            ..State::default()
        };
        Arc::new(Self {
            url: url.to_owned(),
            stamps,
            state: Mutex::new(state),
            turn: Turn::new(None),
            under_fire: AtomicBool::new(false),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of it panics")
    }

    /// Changes one beacon after the other, until cancelled.
    pub async fn blink(self: Arc<Self>) {
        for beacon in (0..count()).cycle() {
            let mut turn = self.turn.lock().await;
            self.commit(&mut turn, beacon).await;
            drop(turn);
            pace::pause(CHANGE).await;
        }
    }

    /// Changes it until the commit was answered.
    async fn commit(&self, session: &mut Option<Session>, beacon: usize) {
        let id = FIRST_BEACON + i64::try_from(beacon).expect("a beacon");
        loop {
            let stamp = self.stamps.begin();
            let open = match session {
                Some(open) => open,
                None => session.insert(connect(&self.url).await),
            };
            self.stamps.becomes(stamp, Fate::Committing);
            let sql = format!("UPDATE product SET stamp = {stamp} WHERE id = {id}");
            if open.execute(&sql).await.is_ok() {
                self.stamps.becomes(stamp, Fate::Committed);
                let mut state = self.state();
                state.committed[beacon] = stamp;
                state.open[beacon].push((stamp, Instant::now()));
                return;
            }
            self.stamps.becomes(stamp, Fate::Unknown);
            *session = None;
        }
    }

    /// Looks at Redis, until cancelled.
    pub async fn watch(self: Arc<Self>, mut store: Store) {
        let keys = keys();
        loop {
            if let Some(seen) = store.read(&keys).await {
                self.note(&seen);
            }
            pace::pause(LOOK).await;
        }
    }

    fn note(&self, seen: &[Option<Seen>]) {
        let now = Instant::now();
        let mut state = self.state();
        for (beacon, seen) in seen.iter().enumerate() {
            let Some(stamp) = seen.as_ref().and_then(own_stamp) else {
                // Redis has lost it.
                state.arrived[beacon] = 0;
                continue;
            };
            state.arrived[beacon] = stamp;
            let (arrived, open) = std::mem::take(&mut state.open[beacon])
                .into_iter()
                .partition::<Vec<_>, _>(|(sent, _)| *sent <= stamp);
            state.open[beacon] = open;
            for (_, since) in arrived {
                let fire = self.under_fire.load(Ordering::Relaxed);
                let timing = if fire { &mut state.faults } else { &mut state.calm };
                timing.add(now.duration_since(since));
            }
        }
    }

    /// What must be there by now, by beacon.
    pub fn committed(&self) -> Vec<i64> {
        self.state().committed.clone()
    }

    /// Since when the oldest change that has not arrived is committed.
    pub fn lag(&self) -> Duration {
        let state = self.state();
        let oldest = state.open.iter().flatten().map(|(_, since)| *since).min();
        oldest.map_or(Duration::ZERO, |oldest| oldest.elapsed())
    }

    /// The beacons that Redis has an older state of.
    pub fn behind(&self, committed: &[i64]) -> Vec<usize> {
        let state = self.state();
        (0..count())
            .filter(|at| state.arrived[*at] < committed[*at])
            .collect()
    }

    /// How long it takes until Redis has what was committed, beacon by beacon for those that it lacks now; the beacons that are behind where the limit comes first.
    pub async fn converge(&self, limit: Duration) -> Result<Timing, Vec<usize>> {
        let (begun, committed, mut timing) = (Instant::now(), self.committed(), Timing::default());
        let mut behind = self.behind(&committed);
        loop {
            let now = self.behind(&committed);
            (now.len()..behind.len()).for_each(|_| timing.add(begun.elapsed()));
            behind = now;
            if behind.is_empty() {
                return Ok(timing);
            }
            if begun.elapsed() > limit {
                return Err(behind);
            }
            pace::pause(LOOK).await;
        }
    }

    /// Nobody changes a beacon while the guard lives.
    pub async fn silence(&self) -> Silence<'_> {
        Silence(self.turn.lock().await)
    }

    /// Changes each beacon once.
    pub async fn change_all(&self, silence: &mut Silence<'_>) {
        for beacon in 0..count() {
            self.commit(&mut silence.0, beacon).await;
        }
    }

    /// Changes each beacon once, and tells those that have not arrived when no other did for `calm`.
    pub async fn held_back(&self, silence: &mut Silence<'_>, calm: Duration) -> Vec<usize> {
        self.change_all(silence).await;
        let committed = self.committed();
        let (mut behind, mut since) = (self.behind(&committed), Instant::now());
        while !behind.is_empty() && since.elapsed() < calm {
            pace::pause(LOOK).await;
            let now = self.behind(&committed);
            if now.len() < behind.len() {
                (behind, since) = (now, Instant::now());
            }
        }
        behind
    }

    /// The beacons of which either target holds an older state than this. None where a target is away.
    pub async fn missing(
        &self,
        committed: &[i64],
        store: &mut Store,
        search: &Search,
    ) -> Option<Vec<String>> {
        let keys = keys();
        let places = [
            ("Redis", store.read(&keys).await?),
            ("OpenSearch", search.read("product", &keys).await?),
        ];
        let mut missing = Vec::new();
        for (place, seen) in &places {
            for (at, wanted) in committed.iter().enumerate() {
                let found = seen[at].as_ref().and_then(own_stamp);
                if found.is_none_or(|found| found < *wanted) {
                    missing.push(format!("{place}: {} has {found:?} instead of {wanted}", keys[at]));
                }
            }
        }
        Some(missing)
    }

    /// Commit to Redis, while all was well and under faults.
    pub fn timings(&self) -> (Timing, Timing) {
        let state = self.state();
        (state.calm.clone(), state.faults.clone())
    }
}

/// The product's own number stands first.
fn own_stamp(seen: &Seen) -> Option<i64> {
    number_after(&seen.text, "\"stamp\":")
}
