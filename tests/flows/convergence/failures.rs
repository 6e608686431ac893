//! What fails keeps its work, and harms no neighbour.

use std::sync::atomic::Ordering;

use pubsync_publisher::operate::rebuild;

use super::scene::{PRODUCT, Scene};
use super::stop;

const THREE: &str =
    "INSERT INTO product VALUES (1, NULL, 'a', 'old'), (2, NULL, 'b', 'old'), (3, NULL, 'c', 'old');";

fn shown(names: [&str; 3]) -> [(&'static str, String); 3] {
    let body = |name: &str| format!("{{\"name\":\"{name}\",\"brand\":null,\"offers\":[]}}");
    let [a, b, c] = names.map(body);
    [("product:a", a), ("product:b", b), ("product:c", c)]
}

/// One root of a message fails, and with it the whole batch. The message is cut into its roots: the neighbours are
/// written, and the ledger has a row for every part until that part is done. The sick root is tried again until it is
/// cured.
#[tokio::test(flavor = "multi_thread")]
async fn rule_8_one_root_of_a_message_fails() {
    let scene = Scene::postgres("rule8root", &[PRODUCT], THREE).await;
    scene.uncaptured("UPDATE product SET name = 'new'").await;
    let (sick, cured) = stop::not_building(&scene.process.compiled("product"), "2");
    scene.process.registry.replace(sick);
    let roots = ["1", "2", "3"].map(str::to_owned);
    rebuild::publish(&scene.process.street.store, &["product".to_owned()], Some(&roots))
        .await
        .unwrap();
    assert_eq!(scene.count("ledger").await, 1, "one message");
    scene.process.drain().await;
    assert_eq!(scene.failures().await, [["publish", "2", "-", "build"]]);
    let partly = shown(["new", "old", "new"]);
    scene
        .assert_shown("product", &partly.each_ref().map(|(key, body)| (*key, &**body)))
        .await;

    scene.failures_are_due().await;
    scene.process.sweep().await;
    scene.process.drain().await;
    assert_eq!(scene.failures().await, [["publish", "2", "-", "build"]]);

    cured.store(true, Ordering::SeqCst);
    scene.failures_are_due().await;
    scene.process.sweep().await;
    scene.process.drain().await;
    let all = shown(["new", "new", "new"]);
    scene
        .assert_settled("product", &all.each_ref().map(|(key, body)| (*key, &**body)))
        .await;
}

/// Nobody can say which roots a change concerns. There is no root to note a failure for, so the failure keeps the change
/// itself, and the change is tried again, as often as it takes.
#[tokio::test(flavor = "multi_thread")]
async fn rule_13_a_failure_before_any_root_is_known() {
    let scene = Scene::postgres("rule13", &[PRODUCT], THREE).await;
    let (sick, cured) = stop::not_affecting(&scene.process.compiled("product"));
    scene.process.registry.replace(sick);
    scene
        .shop
        .script("UPDATE product SET name = 'new' WHERE id = 2")
        .await;
    for _attempt in 0..2 {
        scene.process.drain().await;
        assert_eq!(scene.failures().await, [["affected", "-", "-", "build"]]);
        let kept = "SELECT count(*) FROM pubsync.failure WHERE payload LIKE '%product%'";
        assert_eq!(scene.number(kept).await, 1, "the change itself");
        scene.failures_are_due().await;
        scene.process.sweep().await;
    }
    cured.store(true, Ordering::SeqCst);
    scene.process.drain().await;
    let all = shown(["old", "new", "old"]);
    scene
        .assert_settled("product", &all.each_ref().map(|(key, body)| (*key, &**body)))
        .await;
}

/// A root whose key has a null is tried again, and fails again. Its failure stands, with what it counted and the change that
/// waits for it: else it would never be given up, and `wait` would say that all has arrived.
#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_fails_again_keeps_its_failure() {
    let scene = Scene::postgres("failsagain", &[PRODUCT], THREE).await;
    scene
        .shop
        .script("UPDATE product SET sku = NULL WHERE id = 2")
        .await;
    let mut first = None;
    for attempt in 1..=3 {
        scene.process.drain().await;
        assert_eq!(scene.failures().await, [["publish", "2", "-", "key"]]);
        let attempts = "SELECT attempts FROM pubsync.failure";
        assert_eq!(scene.number(attempts).await, attempt);
        let changed_at = scene.number("SELECT changed_at FROM pubsync.failure").await;
        assert_eq!(changed_at, *first.get_or_insert(changed_at));
        scene.failures_are_due().await;
        scene.process.sweep().await;
        let queued = scene.number("SELECT changed_at FROM pubsync.ledger").await;
        assert_eq!(queued, changed_at, "the change that waits");
    }
    scene
        .shop
        .script("UPDATE product SET sku = 'b' WHERE id = 2")
        .await;
    scene.process.drain().await;
    assert_eq!(scene.failures().await, Vec::<[String; 4]>::new());
}
