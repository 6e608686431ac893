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

/// B comes first: A still holds the key. That is a failure that says so, the holder's document stays, B's other work is
/// done, and after A has let go the next attempt heals it.
#[tokio::test(flavor = "multi_thread")]
async fn rule_2_a_key_that_its_holder_still_has() {
    let scene = passing("rule2c").await;
    let tally = scene.process.publish("product", &["2"]).await;
    assert_eq!(
        (tally.changed, tally.deleted, tally.failed),
        (0, 1, 1),
        "{tally:?}"
    );
    assert_eq!(
        scene.failures().await,
        [["publish", "2", "product:x", "key conflict"]]
    );
    scene.process.drain().await;
    let kept: Vec<_> = scene
        .mirror("product")
        .await
        .into_iter()
        .map(|row| row.0)
        .collect();
    assert_eq!(kept, ["product:x"]);
    scene.process.publish("product", &["2"]).await;
    let attempts = scene.number("SELECT attempts FROM pubsync.failure").await;
    assert_eq!(attempts, 2, "the same failure, met again");

    scene.process.publish("product", &["1"]).await;
    scene.failures_are_due().await;
    scene.process.sweep().await;
    assert_passed(&scene).await;
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
