//! A storefront that never stops reading: it must see no revision fall, no delete undone by an older write, and nothing that
//! was not committed.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use pubsync_tests::Random;

use crate::{
    beacons, pace,
    shop::Sizes,
    stamps::{self, Stamps},
    targets::{Search, Seen, Store},
    violations::{Broken, Violations},
    windows::{OPENSEARCH, REDIS, Windows},
};

const PAGE: usize = 100;
const PAUSE: Duration = Duration::from_millis(40);

/// What one place last showed of a key.
#[derive(Debug, Clone, Copy)]
struct Last {
    revision: i64,
    gone: bool,
}

pub struct Reader {
    random: Random,
    sizes: Sizes,
    stamps: Arc<Stamps>,
    violations: Violations,
    windows: Windows,
    known: HashMap<(&'static str, String), Last>,
}

impl Reader {
    pub fn new(
        random: Random,
        sizes: Sizes,
        stamps: Arc<Stamps>,
        violations: Violations,
        windows: Windows,
    ) -> Self {
        Self {
            random,
            sizes,
            stamps,
            violations,
            windows,
            known: HashMap::new(),
        }
    }

    /// Reads until it is cancelled; `reads` counts documents.
    pub async fn run(mut self, mut store: Store, search: Search, reads: Arc<AtomicU64>) {
        for turn in 0_u64.. {
            let (document, keys) = self.choose();
            if let Some(seen) = store.read(&keys).await {
                reads.fetch_add(seen.len() as u64, Ordering::Relaxed);
                self.judge(REDIS, &keys, seen);
            }
            // Searching costs more than it shows.
            if turn % 4 == 0
                && let Some(seen) = search.read(document, &keys).await
            {
                self.judge(OPENSEARCH, &keys, seen);
            }
            pace::pause(PAUSE).await;
        }
    }

    /// Hot keys half of the time.
    fn choose(&mut self) -> (&'static str, Vec<String>) {
        let products = self.sizes.products.unsigned_abs();
        let hot = (products / 100).max(1);
        match self.random.up_to(10) {
            1..=3 => (
                "product",
                (1..=hot).map(|id| format!("product:en:{id}")).collect(),
            ),
            4..=6 => {
                let keys = (0..PAGE).map(|_| format!("product:de:{}", self.random.up_to(products)));
                ("product", keys.collect())
            }
            7 => {
                let orders = self.sizes.orders.unsigned_abs();
                let keys = (0..PAGE).map(|_| format!("order:{}", self.random.up_to(orders)));
                ("order", keys.collect())
            }
            8 => {
                let brands = self.sizes.brands.unsigned_abs();
                (
                    "brand",
                    (0..=brands).take(PAGE).map(|id| format!("brand:{id}")).collect(),
                )
            }
            9 => ("sku", (1..=PAGE).map(|n| format!("sku:a%3Ab{}", n * 7)).collect()),
            _ => ("product", beacons::keys()),
        }
    }

    fn judge(&mut self, place: &'static str, keys: &[String], seen: Vec<Option<Seen>>) {
        // What it lost counts for nothing, and neither does what was known before.
        let lost = self.windows.is_open(place);
        if lost {
            self.known.retain(|(known, _), _| *known != place);
        }
        for (key, seen) in keys.iter().zip(seen) {
            let name = (place, key.clone());
            let Some(seen) = seen else {
                if let Some(last) = self.known.get_mut(&name) {
                    last.gone = true;
                }
                continue;
            };
            for stamp in stamps::in_text(&seen.text) {
                if let Some(objection) = self.stamps.objection(stamp) {
                    self.violations
                        .add(Broken::Uncommitted, format!("{place}: {key}: {objection}"));
                }
            }
            if lost {
                continue;
            }
            let last = self.known.get(&name);
            if let Some(last) = last.filter(|last| fell(**last, seen.revision)) {
                let what = format!("{place}: {key}: {} after {last:?}", seen.revision);
                self.violations.add(Broken::Backwards, what);
            }
            let revision = last.map_or(seen.revision, |last| last.revision.max(seen.revision));
            self.known.insert(
                name,
                Last {
                    revision,
                    gone: false,
                },
            );
        }
    }
}

/// What was gone comes back with a revision above that of its delete, hence above the last one seen.
fn fell(last: Last, revision: i64) -> bool {
    revision < last.revision || last.gone && revision == last.revision
}
