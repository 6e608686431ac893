//! One row in a hundred cannot be built and one document in a hundred is refused by OpenSearch: how much later the others
//! arrive for that. Rounds with and without poison follow each other, since no two minutes of a machine are alike.

use std::time::{Duration, Instant};

use pubsync_tests::{Session, World};
use redis::AsyncTypedCommands;
use serde_json::Value;

use super::{
    load::{Load, percentile},
    number,
};

const LATE: Duration = Duration::from_secs(120);

/// Probes are items above these; the load changes those.
const ITEMS: u32 = 5_000;
const PROBES: u32 = 50;

/// Times the 99th percentile without poison.
const BOUND: f64 = 1.1;

/// Items that change in one transaction; there are ten a second.
const EACH: u32 = 20;

const DOCUMENT: &str = "\
document: item
root: item
key: \"item:{sku}\"
body: { stamp: stamp, released: released }
targets:
  storage: {}
  search:
    mapping: { properties: { released: { type: date } } }
";

/// Of a round with poison: what else a change sets.
const SPOIL: &str = ", sku = CASE WHEN id % 100 = 3 THEN NULL ELSE sku END, \
                     released = CASE WHEN id % 100 = 7 THEN 'soon' ELSE released END";

/// What nobody sees, and what is a change as any other.
const MEND: &str = "BEGIN; UPDATE item SET sku = 'a' || id WHERE sku IS NULL; DELETE FROM pubsync.outbox; COMMIT; \
                    UPDATE item SET released = '2026-01-01' WHERE released = 'soon';";

/// From commit to target, in milliseconds.
#[derive(Debug, Default)]
struct Delays {
    redis: Vec<f64>,
    search: Vec<f64>,
}

async fn prepared() -> World {
    let world = World::postgres("poisoned").await;
    world
        .script(&format!(
            "CREATE TABLE item (id bigint PRIMARY KEY, sku text, stamp bigint NOT NULL, released text NOT NULL); \
             INSERT INTO item SELECT n, 'a' || n, 0, '2026-01-01' FROM generate_series(1, {}) AS n; ANALYZE item;",
            ITEMS + PROBES
        ))
        .await;
    world.document("item", DOCUMENT);
    world.pubsync(&["apply", "--yes"]).await;
    world
}

/// One change after the other, each until both targets show it.
async fn probe(world: &World, session: &mut Session, stamp: &mut i64, changes: u32, delays: &mut Delays) {
    let mut redis = world.redis().connection().await;
    for change in 0..changes {
        *stamp += 1;
        let id = ITEMS + 1 + change % PROBES;
        session
            .execute(&format!("UPDATE item SET stamp = {stamp} WHERE id = {id}"))
            .await
            .expect("a change of a probe");
        let (committed, shown) = (Instant::now(), format!("\"stamp\":{stamp},"));
        let (key, document) = (
            format!("{}item:a{id}", world.redis().prefix()),
            format!("item:a{id}"),
        );
        let (mut there, mut searched) = (None, None);
        while there.is_none() || searched.is_none() {
            assert!(committed.elapsed() < LATE, "{document} does not arrive");
            if there.is_none() {
                let text = redis.get(&key).await.expect("GET");
                there = text
                    .filter(|text| text.contains(&shown))
                    .map(|_| committed.elapsed());
            }
            if searched.is_none() {
                let text = world.search().get("item", &document).await;
                searched = text
                    .filter(|text| text.contains(&shown))
                    .map(|_| committed.elapsed());
            }
        }
        let milliseconds = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64() * 1_000.0;
        delays.redis.push(milliseconds(there));
        delays.search.push(milliseconds(searched));
    }
}

/// What failed is exactly what was spoilt.
async fn assert_failures(world: &World) {
    let failures = world.pubsync(&["failures", "--json"]).await.stdout;
    let groups: Vec<Value> = serde_json::from_str(&failures).expect("groups");
    for (stage, class, spoilt) in [
        ("publish", "key", "sku IS NULL"),
        ("sync", "mapping", "released = 'soon' AND sku IS NOT NULL"),
    ] {
        let count = groups
            .iter()
            .filter(|group| group["stage"] == stage && group["class"] == class);
        let count: i64 = count
            .map(|group| group["count"].as_i64().unwrap_or_default())
            .sum();
        let rows = number(world, &format!("SELECT count(*) FROM item WHERE {spoilt}")).await;
        assert!(rows > 0, "nothing was spoilt: {spoilt}");
        assert_eq!(count, rows, "{stage} {class}: {failures}");
    }
    assert_eq!(groups.len(), 2, "{failures}");
}

/// The causes go; a retry mends what nobody has seen change.
async fn mend(world: &World) {
    world.script(MEND).await;
    world.pubsync(&["failures", "retry", "--all"]).await;
    world.pubsync(&["wait", "--timeout", "300"]).await;
    assert_eq!(world.pubsync(&["failures"]).await.stdout, "");
}

async fn rounds(rounds: u32, changes: u32) -> (Delays, Delays) {
    let world = prepared().await;
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "300"]).await;
    let mut session = world.session().await;
    let (mut clean, mut poisoned, mut stamp) = (Delays::default(), Delays::default(), 1_000_000);
    // One round to warm up.
    probe(
        &world,
        &mut session,
        &mut stamp,
        changes / 4,
        &mut Delays::default(),
    )
    .await;
    for _ in 0..rounds {
        let load = Load::start(&world, ITEMS, EACH, "").await;
        probe(&world, &mut session, &mut stamp, changes, &mut clean).await;
        load.stop().await;
        world.pubsync(&["wait", "--timeout", "300"]).await;
        let load = Load::start(&world, ITEMS, EACH, SPOIL).await;
        probe(&world, &mut session, &mut stamp, changes, &mut poisoned).await;
        load.stop().await;
        world.pubsync_exits(5, &["wait", "--timeout", "300"]).await;
        assert_failures(&world).await;
        mend(&world).await;
    }
    world.pubsync(&["verify"]).await;
    worker.stop().await;
    (clean, poisoned)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make endurance`"]
async fn full_poison() {
    let (clean, poisoned) = rounds(8, 250).await;
    for (target, clean, poisoned) in [
        ("Redis", &clean.redis, &poisoned.redis),
        ("OpenSearch", &clean.search, &poisoned.search),
    ] {
        let of = |percent: f64| (percentile(clean, percent), percentile(poisoned, percent));
        let ((a50, b50), (a99, b99)) = (of(50.0), of(99.0));
        println!(
            "poison, {} changes each: to {target} p50 {a50:.1} → {b50:.1} ms, p99 {a99:.1} → {b99:.1} ms: ratio {:.3}",
            clean.len(),
            b99 / a99
        );
        assert!(b99 < a99 * BOUND, "poison delays the others");
    }
}
