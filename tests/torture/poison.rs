//! Documents that cannot be built for a while: their failures are exactly those that are open, and when they are mended
//! nothing remains of them.

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

/// A price without a JSON form.
pub async fn add(world: &World) {
    world
        .script(&format!(
            "UPDATE product SET price = 'NaN' WHERE id >= {FIRST_POISON} AND id < {}",
            end()
        ))
        .await;
}

/// Mends all.
pub async fn heal(world: &World) {
    world
        .script(&format!(
            "UPDATE product SET price = 1 WHERE id >= {FIRST_POISON} AND id < {}",
            end()
        ))
        .await;
}

/// I5 with poison: these failures are open, with their reason, and no others.
pub async fn check(world: &World, violations: &Violations) {
    let query = format!(
        "SELECT root, document || ' ' || stage || ' ' || class, error FROM pubsync.failure \
         WHERE (stage, class, payload) IS DISTINCT FROM ('message', 'unreadable', '{NO_MESSAGE}')"
    );
    let rows = world.session().await.rows(&query).await;
    let mut roots = BTreeSet::new();
    for row in rows {
        let [root, what, error] = &row[..] else {
            panic!("three columns: {row:?}")
        };
        let fits = what.as_deref() == Some("product publish value")
            && error.as_deref().is_some_and(|error| error.contains("NaN"));
        if fits {
            roots.extend(root.clone());
        } else {
            violations.add(Broken::Unquiet, format!("a failure that nobody seeded: {row:?}"));
        }
    }
    let seeded: BTreeSet<String> = (FIRST_POISON..end()).map(|id| id.to_string()).collect();
    if roots != seeded {
        let what = format!("failures of {roots:?} instead of {seeded:?}");
        violations.add(Broken::Unquiet, what);
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

fn end() -> i64 {
    FIRST_POISON + POISONS
}
