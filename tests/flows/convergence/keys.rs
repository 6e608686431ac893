//! Keys that pass from root to root, and keys that cannot be built.

use super::scene::{LISTING, PRODUCT, Scene};
use super::stop::{self, Gate};

const TWO: &str = "INSERT INTO product VALUES (1, NULL, 'x', 'one'), (2, NULL, 'z', 'two');";

/// The sku `x` passes from product 1 (A) to product 2 (B).
const PASSES: &str = "UPDATE product SET sku = 'y' WHERE id = 1; UPDATE product SET sku = 'x' WHERE id = 2;";

async fn passing(label: &str) -> Scene {
    let scene = Scene::postgres(label, &[PRODUCT], TWO).await;
    scene.uncaptured(PASSES).await;
    // As after a failover to a server whose clock is behind: whatever the clock says, it is less.
    scene
        .shop
        .script("UPDATE pubsync.mirror_product SET revision = revision + 3600000000 WHERE key = 'product:x'")
        .await;
    scene
}

async fn assert_passed(scene: &Scene) {
    scene.process.drain().await;
    let (one, two) = (
        "{\"name\":\"one\",\"brand\":null,\"offers\":[]}",
        "{\"name\":\"two\",\"brand\":null,\"offers\":[]}",
    );
    scene
        .assert_settled("product", &[("product:x", two), ("product:y", one)])
        .await;
}

/// B has looked; A buries the key, with a revision above B's clock; then B writes. A guard that only compares revisions would write nothing, and B's work would be gone.
#[tokio::test(flavor = "multi_thread")]
async fn rule_2_a_key_that_its_holder_gave_up_since_the_look() {
    let scene = passing("rule2a").await;
    let compiled = scene.process.compiled("product");
    let (slow, stop) = stop::after_the_look(&compiled);
    let b = scene.process.begin(slow, &["2"], &[]).await;
    stop.reached().await;
    scene.process.publish("product", &["1"]).await;
    let tombstone = scene.revision("product", "product:x").await;
    stop.open();
    let tally = b.await.unwrap().unwrap();
    assert_eq!((tally.changed, tally.failed), (1, 0), "{tally:?}");
    assert!(scene.revision("product", "product:x").await > tombstone);
    assert_passed(&scene).await;
}

/// A has buried the key and not committed; B's write waits for it, and must find the tombstone when it wakes.
#[tokio::test(flavor = "multi_thread")]
async fn rule_2_a_key_that_its_holder_is_giving_up() {
    let scene = passing("rule2b").await;
    let (gate, compiled) = (Gate::close(&scene).await, scene.process.compiled("product"));
    let a = scene.process.begin(compiled.clone(), &["1"], &[]).await;
    scene.blocked(1).await;
    let b = scene.process.begin(compiled, &["2"], &[]).await;
    scene.blocked(2).await;
    gate.open().await;
    a.await.unwrap().unwrap();
    let tally = b.await.unwrap().unwrap();
    assert_eq!((tally.changed, tally.failed), (1, 0), "{tally:?}");
    assert_passed(&scene).await;
}

/// B comes first: A still holds the key. It joins the batch, lets go, and both are written at once.
#[tokio::test(flavor = "multi_thread")]
async fn rule_3_a_key_that_its_holder_gives_up_as_it_is_asked() {
    let scene = passing("rule3holder").await;
    let tombstone = scene.revision("product", "product:x").await;
    let tally = scene.process.publish("product", &["2"]).await;
    assert_eq!(
        (tally.changed, tally.deleted, tally.failed),
        (2, 2, 0),
        "{tally:?}"
    );
    assert!(scene.revision("product", "product:x").await > tombstone);
    assert_passed(&scene).await;
}

/// A and B swap their keys: each waits for the other to let go. In one batch, and each in its own.
#[tokio::test(flavor = "multi_thread")]
async fn rule_3_swapped_keys() {
    swapped(Scene::postgres("rule3swap", &[PRODUCT], TWO).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_3_swapped_keys_on_sqlite() {
    swapped(Scene::sqlite("rule3swap", &[PRODUCT], TWO).await).await;
}

async fn swapped(scene: Scene) {
    let swap = "UPDATE product SET sku = CASE sku WHEN 'x' THEN 'z' ELSE 'x' END";
    let (one, two) = (
        "{\"name\":\"one\",\"brand\":null,\"offers\":[]}",
        "{\"name\":\"two\",\"brand\":null,\"offers\":[]}",
    );
    scene.uncaptured(swap).await;
    let tally = scene.process.publish("product", &["1", "2"]).await;
    assert_eq!((tally.changed, tally.failed), (2, 0), "{tally:?}");
    scene.process.drain().await;
    scene
        .assert_settled("product", &[("product:x", two), ("product:z", one)])
        .await;

    scene.uncaptured(swap).await;
    let tally = scene.process.publish("product", &["1"]).await;
    assert_eq!((tally.changed, tally.failed), (2, 0), "{tally:?}");
    let tally = scene.process.publish("product", &["2"]).await;
    assert_eq!((tally.changed, tally.unchanged), (0, 1), "{tally:?}");
    scene.process.drain().await;
    scene
        .assert_settled("product", &[("product:x", one), ("product:z", two)])
        .await;
}

/// Both swap at the same moment, each in its own transaction: whoever comes second sees what the first has done.
#[tokio::test(flavor = "multi_thread")]
async fn rule_3_swapped_keys_at_once() {
    let scene = Scene::postgres("rule3once", &[PRODUCT], TWO).await;
    scene
        .uncaptured("UPDATE product SET sku = CASE sku WHEN 'x' THEN 'z' ELSE 'x' END")
        .await;
    let compiled = scene.process.compiled("product");
    let (first, stop_first) = stop::after_the_look(&compiled);
    let (second, stop_second) = stop::after_the_look(&compiled);
    let a = scene.process.begin(first, &["1"], &[]).await;
    let b = scene.process.begin(second, &["2"], &[]).await;
    stop_first.reached().await;
    stop_second.reached().await;
    stop_first.open();
    stop_second.open();
    // One of the two may be the victim of a deadlock: its message runs again.
    let _ = (a.await.unwrap(), b.await.unwrap());
    scene.process.publish("product", &["1"]).await;
    scene.process.publish("product", &["2"]).await;
    scene.process.drain().await;
    let keys: Vec<_> = scene.mirror("product").await;
    assert_eq!(keys.len(), 2, "{keys:?}");
    let (one, two) = (
        "{\"name\":\"one\",\"brand\":null,\"offers\":[]}",
        "{\"name\":\"two\",\"brand\":null,\"offers\":[]}",
    );
    scene
        .assert_settled("product", &[("product:x", two), ("product:z", one)])
        .await;
}

/// Keys go round a circle of forty roots, more than may join one batch: who does not get its key is woken as soon as it
/// is free, and no failure waits for its next attempt.
#[tokio::test(flavor = "multi_thread")]
async fn rule_3_a_long_circle() {
    let data = "INSERT INTO product SELECT n, NULL, 'k' || n, 'p' || n FROM generate_series(1, 40) AS n;";
    let scene = Scene::postgres("rule3circle", &[PRODUCT], data).await;
    scene
        .uncaptured("UPDATE product SET sku = 'k' || (id % 40 + 1)")
        .await;
    // Sixteen roots come together, then the last of them waits for the next sixteen.
    for root in ["1", "17", "33"] {
        scene.process.publish("product", &[root]).await;
    }
    scene.process.drain().await;
    let expected: Vec<(String, String)> = (1..=40)
        .map(|id| {
            let body = format!("{{\"name\":\"p{id}\",\"brand\":null,\"offers\":[]}}");
            (format!("product:k{}", id % 40 + 1), body)
        })
        .collect();
    let mut expected: Vec<(&str, &str)> = expected.iter().map(|(k, b)| (k.as_str(), b.as_str())).collect();
    expected.sort_unstable();
    scene.assert_settled("product", &expected).await;
}

/// The catalogue is imported anew: the same skus under other ids. The new rows may be published before the old ones
/// are known to be gone.
#[tokio::test(flavor = "multi_thread")]
async fn rule_3_the_same_sku_under_a_new_id() {
    let scene = Scene::postgres("rule3import", &[PRODUCT], TWO).await;
    scene
        .uncaptured(
            "DELETE FROM product; INSERT INTO product VALUES (11, NULL, 'x', 'one'), (12, NULL, 'z', 'two');",
        )
        .await;
    let tally = scene.process.publish("product", &["11", "12"]).await;
    assert_eq!((tally.changed, tally.failed), (2, 0), "{tally:?}");
    scene.process.publish("product", &["1", "2"]).await;
    scene.process.drain().await;
    let (one, two) = (
        "{\"name\":\"one\",\"brand\":null,\"offers\":[]}",
        "{\"name\":\"two\",\"brand\":null,\"offers\":[]}",
    );
    scene
        .assert_settled("product", &[("product:x", one), ("product:z", two)])
        .await;
}

/// Two live roots with one key: the holder keeps it, the failure names both, its attempts are counted, and as soon as
/// one lets go it heals, without its next attempt having come.
#[tokio::test(flavor = "multi_thread")]
async fn rule_3_a_true_conflict() {
    conflict(Scene::postgres("rule3true", &[PRODUCT], TWO).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_3_a_true_conflict_on_sqlite() {
    conflict(Scene::sqlite("rule3true", &[PRODUCT], TWO).await).await;
}

async fn conflict(scene: Scene) {
    let (one, two) = (
        "{\"name\":\"one\",\"brand\":null,\"offers\":[]}",
        "{\"name\":\"two\",\"brand\":null,\"offers\":[]}",
    );
    scene
        .shop
        .script("UPDATE product SET sku = 'x' WHERE id = 2")
        .await;
    scene.process.drain().await;
    assert_eq!(
        scene.failures().await,
        [["publish", "2", "product:x", "key conflict"]]
    );
    let failure = scene.own("failure");
    let told = scene.shop.rows(&format!("SELECT error FROM {failure}")).await;
    let told = told[0][0].clone().unwrap();
    assert!(told.contains("of root 2 is held by root 1"), "{told}");
    scene.assert_shown("product", &[("product:x", one)]).await;

    scene.process.publish("product", &["2"]).await;
    let attempts = scene.number(&format!("SELECT attempts FROM {failure}")).await;
    assert_eq!(attempts, 2, "the same failure, met again");

    scene
        .shop
        .script("UPDATE product SET sku = 'y' WHERE id = 1")
        .await;
    scene.process.drain().await;
    scene
        .assert_settled("product", &[("product:x", two), ("product:y", one)])
        .await;
}

const LISTED: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'X');
    INSERT INTO offer VALUES (1, 1, 'at', 1), (2, 1, 'ch', 1), (3, 1, 'de', 1);";

fn priced(price: u32) -> String {
    format!("{{\"name\":\"X\",\"price\":{price}}}")
}

/// One of three keys of a root is null, so nobody can say which of its rows is meant: all of them stay, the one whose offer
/// is gone too, and what could be built is written. When the key is there again, the truth is.
#[tokio::test(flavor = "multi_thread")]
async fn rule_4_a_root_with_a_key_unknown_keeps_all_its_rows() {
    unknown_key(Scene::postgres("rule4", &[LISTING], LISTED).await).await;
}

/// The same on SQLite.
#[tokio::test(flavor = "multi_thread")]
async fn rule_4_on_sqlite() {
    unknown_key(Scene::sqlite("rule4", &[LISTING], LISTED).await).await;
}

async fn unknown_key(scene: Scene) {
    scene
        .shop
        .script(
            "UPDATE offer SET locale = NULL WHERE locale = 'at'; UPDATE offer SET price = 2 WHERE locale = 'de';
             DELETE FROM offer WHERE locale = 'ch';",
        )
        .await;
    scene.process.drain().await;
    assert_eq!(scene.failures().await, [["publish", "1", "-", "key"]]);
    let (at, ch) = (("listing:1:at", &*priced(1)), ("listing:1:ch", &*priced(1)));
    let de = ("listing:1:de", &*priced(2));
    scene.assert_shown("listing", &[at, ch, de]).await;

    scene
        .shop
        .script("UPDATE offer SET locale = 'at' WHERE locale IS NULL")
        .await;
    scene.process.drain().await;
    scene.assert_settled("listing", &[at, de]).await;
}

/// A document whose key is known cannot be built (NaN is no JSON number): its row stays as it was, and only its row.
#[tokio::test(flavor = "multi_thread")]
async fn rule_4_a_key_that_cannot_be_built_keeps_its_row() {
    let scene = Scene::postgres("rule4value", &[LISTING], LISTED).await;
    let change = "UPDATE offer SET price = 'NaN' WHERE locale = 'at'; DELETE FROM offer WHERE locale = 'ch';";
    scene.shop.script(change).await;
    scene.process.drain().await;
    assert_eq!(
        scene.failures().await,
        [["publish", "1", "listing:1:at", "value"]]
    );
    let de = ("listing:1:de", &*priced(1));
    scene
        .assert_shown("listing", &[("listing:1:at", &priced(1)), de])
        .await;

    scene
        .shop
        .script("UPDATE offer SET price = 3 WHERE locale = 'at'")
        .await;
    scene.process.drain().await;
    scene
        .assert_settled("listing", &[("listing:1:at", &priced(3)), de])
        .await;
}
