//! What must hold when all is quiet: the documents that hand-written SQL gives stand in the mirror and in both targets, at one
//! revision, nothing else does, and no work is left. None of the product's code decides it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use pubsync_tests::{Documents, Expected, RedisKeys, World};

use crate::{
    pace,
    shop::{self, Version},
    violations::{Broken, Violations},
};

/// The management API counts messages every five seconds.
const COUNTED: u32 = 60;

/// Remembers every key that ever was, to ask for the tombstones of those that died.
pub struct Checker {
    store: RedisKeys,
    violations: Violations,
    ever: BTreeMap<&'static str, BTreeSet<String>>,
    /// Documents compared, over all rounds.
    pub compared: usize,
}

impl Checker {
    pub fn new(store: RedisKeys, violations: Violations) -> Self {
        Self {
            store,
            violations,
            ever: BTreeMap::new(),
            compared: 0,
        }
    }

    /// I1, I2, I3 and I5, right after `wait` has returned.
    pub async fn check(&mut self, world: &World, version: Version) {
        let expected = shop::expected(world, version).await;
        let mirror = tombstoned_mirror(world).await;
        let snapshot = world.snapshot(&shop::names()).await;
        let stored = self.store.documents().await;
        for (document, expected) in &expected {
            self.compared += expected.len() * 3;
            let live = &snapshot.mirror[document];
            let dead = &mirror[document.as_str()];
            self.compare("mirror", expected, live, live, dead);
            self.compare("OpenSearch", expected, &snapshot.indexes[document], live, dead);
            let prefix = format!("{document}:");
            let ours = stored.iter().filter(|(key, _)| key.starts_with(&prefix));
            let ours = ours.map(|(key, stored)| (key.clone(), stored.clone())).collect();
            self.compare("Redis", expected, &ours, live, dead);
        }
        self.tombstones(&expected, &mirror);
        self.unknown(&stored);
        self.quiet(world).await;
    }

    fn compare(
        &self,
        place: &str,
        expected: &BTreeMap<String, pubsync_tests::Json>,
        found: &Documents,
        mirror: &Documents,
        dead: &BTreeSet<String>,
    ) {
        for (key, body) in expected {
            let Some(stored) = found.get(key) else {
                self.violations.add(Broken::Lost, format!("{place}: {key}"));
                continue;
            };
            let revision = mirror.get(key).map(|row| row.revision);
            if let Some(difference) = body.difference(&stored.body) {
                self.violations.add(
                    Broken::Stale,
                    format!("{place}: {key} at {}: {difference}", stored.revision),
                );
            } else if revision != Some(stored.revision) {
                let what = format!("{place}: {key} is {} in the mirror {revision:?}", stored.revision);
                self.violations.add(Broken::Stale, what);
            }
        }
        for (key, stored) in found.iter().filter(|(key, _)| !expected.contains_key(*key)) {
            let broken = if dead.contains(key) {
                Broken::Resurrected
            } else {
                Broken::Orphaned
            };
            self.violations
                .add(broken, format!("{place}: {key} at {}", stored.revision));
        }
    }

    fn tombstones(&mut self, expected: &Expected, mirror: &BTreeMap<&'static str, BTreeSet<String>>) {
        for document in shop::names() {
            let now = &expected[document];
            let ever = self.ever.entry(document).or_default();
            for key in ever.iter().filter(|key| !now.contains_key(*key)) {
                if !mirror[document].contains(key) {
                    self.violations.add(Broken::Untombed, key.clone());
                }
            }
            ever.extend(now.keys().cloned());
        }
    }

    /// Keys of no document at all.
    fn unknown(&self, stored: &Documents) {
        let names = shop::names();
        for key in stored.keys() {
            if !names.iter().any(|name| key.starts_with(&format!("{name}:"))) {
                self.violations.add(Broken::Orphaned, format!("Redis: {key}"));
            }
        }
    }

    /// I5, but for failures: nothing is on its way.
    async fn quiet(&self, world: &World) {
        for table in ["outbox", "ledger", "failure"] {
            let table = world.database().own_table(table);
            let query = format!("SELECT to_jsonb(t)::text FROM {table} t LIMIT 5");
            for row in world.session().await.rows(&query).await {
                self.violations.add(Broken::Unquiet, format!("{table}: {row:?}"));
            }
        }
        let mut left = Vec::new();
        for _ in 0..COUNTED {
            left = world.broker().queues().await;
            left.retain(|(_, messages)| *messages > 0);
            if left.is_empty() {
                return;
            }
            pace::pause(Duration::from_millis(500)).await;
        }
        self.violations.add(Broken::Unquiet, format!("queues: {left:?}"));
    }
}

/// The keys of the mirror's tombstones, by document.
async fn tombstoned_mirror(world: &World) -> BTreeMap<&'static str, BTreeSet<String>> {
    let (mut session, mut found) = (world.session().await, BTreeMap::new());
    for document in shop::names() {
        let table = world.database().own_table(&format!("mirror_{document}"));
        let rows = session
            .rows(&format!("SELECT key FROM {table} WHERE deleted_at IS NOT NULL"))
            .await;
        let keys = rows
            .into_iter()
            .filter_map(|row| row.into_iter().next().flatten());
        found.insert(document, keys.collect());
    }
    found
}
