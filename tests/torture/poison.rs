//! Documents that cannot be built for a while: their failures are exactly those that are open, and when they are mended
//! nothing remains of them. Some are seen when they are built; of the others the SELECT of the whole batch fails.

use std::collections::BTreeSet;

use pubsync_tests::World;

use crate::{
    shop::{FIRST_POISON, POISONS},
    violations::{Broken, Violations},
};

/// Bytes that are no message, in base64.
pub const UNREADABLE: &str = "bm8gbWVzc2FnZQ==";
/// What of them stands in the failure.
const NO_MESSAGE: &str = "no message";

/// A price without a JSON form, and a sum of weights that is none.
pub async fn add(world: &World) {
    spoil(world, "'NaN'", "1e308").await;
}

/// Mends all.
pub async fn heal(world: &World) {
    spoil(world, "1", "1.5").await;
}

async fn spoil(world: &World, price: &str, weight: &str) {
    let (middle, end) = (FIRST_POISON + POISONS, FIRST_POISON + 2 * POISONS);
    for sql in [
        format!("UPDATE product SET price = {price} WHERE id >= {FIRST_POISON} AND id < {middle}"),
        format!("UPDATE stock SET weight = {weight} WHERE product_id >= {middle} AND product_id < {end}"),
    ] {
        world.script(&sql).await;
    }
}

/// I5 with poison: these failures are open, with their reason, and no others.
pub async fn check(world: &World, violations: &Violations) {
    let query = format!(
        "SELECT root, document || ' ' || stage || ' ' || class, error FROM pubsync.failure \
         WHERE (stage, class, payload) IS DISTINCT FROM ('message', 'unreadable', '{NO_MESSAGE}')"
    );
    let rows = world.session().await.rows(&query).await;
    let (mut values, mut sums) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        let [root, what, error] = &row[..] else {
            panic!("three columns: {row:?}")
        };
        let says = |word: &str| error.as_deref().is_some_and(|error| error.contains(word));
        match what.as_deref() {
            Some("product publish value") if says("NaN") => values.extend(root.clone()),
            Some("product publish build") if says("out of range") => sums.extend(root.clone()),
            _ => violations.add(Broken::Unquiet, format!("a failure that nobody seeded: {row:?}")),
        }
    }
    for (found, first) in [(values, FIRST_POISON), (sums, FIRST_POISON + POISONS)] {
        let seeded: BTreeSet<String> = (first..first + POISONS).map(|id| id.to_string()).collect();
        if found != seeded {
            let what = format!("failures of {found:?} instead of {seeded:?}");
            violations.add(Broken::Unquiet, what);
        }
    }
}

/// Forgets the messages that nobody could read, as a person does who has seen them.
pub async fn forget(world: &World, config: &str) {
    let query = "SELECT 1 FROM pubsync.failure WHERE stage = 'message'";
    if !world.session().await.rows(query).await.is_empty() {
        let drop = ["failures", "drop", "--class", "unreadable", "--yes"];
        world.with_config(config, 0, &drop).await;
    }
}
