//! What stays of documents, what does not count, and who says that they changed.

use pubsync_publisher::operate::{rebuild, verify};
use pubsync_synchronizer::status;

use super::scene::Scene;

const DATA: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one'), (2, NULL, 'b', 'two');";

fn document(lines: &str) -> String {
    format!(
        "document: product\nroot: product\nkey: \"product:{{id}}\"\n{lines}\nbody: {{ sku: sku, name: name }}\n"
    )
}

fn body(sku: &str, name: &str) -> String {
    format!("{{\"sku\":\"{sku}\",\"name\":\"{name}\"}}")
}

async fn assert_equal(scene: &Scene) {
    let compiled = scene.process.compiled("product");
    let report = verify::twice(&scene.process.street, &compiled, &|_| {})
        .await
        .unwrap();
    assert!(report.is_equal(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unhashed_members_change_with_others_only() {
    unhashed(Scene::postgres("unhashed", &[&document("unhashed: [name]")], DATA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unhashed_on_sqlite() {
    unhashed(Scene::sqlite("unhashed", &[&document("unhashed: [name]")], DATA).await).await;
}

async fn unhashed(scene: Scene) {
    let revision = scene.revision("product", "product:1").await;
    scene
        .shop
        .script("UPDATE product SET name = 'new' WHERE id = 1")
        .await;
    scene.process.drain().await;
    let two = body("b", "two");
    scene
        .assert_settled(
            "product",
            &[("product:1", &body("a", "one")), ("product:2", &two)],
        )
        .await;
    assert_eq!(scene.revision("product", "product:1").await, revision);
    assert_equal(&scene).await;

    scene
        .shop
        .script("UPDATE product SET sku = 'c' WHERE id = 1")
        .await;
    scene.process.drain().await;
    scene
        .assert_settled(
            "product",
            &[("product:1", &body("c", "new")), ("product:2", &two)],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_say_what_was_deleted() {
    tombstones(Scene::postgres("tombstones", &[&document("tombstone: [name]")], DATA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_on_sqlite() {
    tombstones(Scene::sqlite("tombstones", &[&document("tombstone: [name]")], DATA).await).await;
}

async fn tombstones(scene: Scene) {
    let two = body("b", "two");
    scene.shop.script("DELETE FROM product WHERE id = 1").await;
    // By a message, not from the mirror: the target must read the body of a delete as none.
    scene.process.drain().await;
    scene.assert_settled("product", &[("product:2", &two)]).await;
    let mirror = scene.own("mirror_product");
    let kept = format!("SELECT body FROM {mirror} WHERE key = 'product:1'");
    assert_eq!(
        scene.shop.rows(&kept).await,
        [[Some("{\"name\":\"one\"}".to_owned())]]
    );
    assert_equal(&scene).await;

    scene
        .shop
        .script("INSERT INTO product VALUES (1, NULL, 'a', 'again')")
        .await;
    scene.process.drain().await;
    let again = body("a", "again");
    scene
        .assert_settled("product", &[("product:1", &again), ("product:2", &two)])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vanished_is_kept() {
    kept(Scene::postgres("kept", &[&keeping()], DATA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vanished_is_kept_on_sqlite() {
    kept(Scene::sqlite("kept", &[&keeping()], DATA).await).await;
}

fn keeping() -> String {
    document("absent: keep\nwhere: { brand_id: null }\naliases: [\"sku:{sku}\"]")
}

async fn kept(scene: Scene) {
    let (one, two) = (body("a", "one"), body("b", "two"));
    let alias = |id: u32| format!("{{\"key\":\"product:{id}\"}}");
    let (to_one, to_two) = (alias(1), alias(2));
    let both = [
        ("product:1", one.as_str()),
        ("product:2", &two),
        ("sku:a", &to_one),
        ("sku:b", &to_two),
    ];
    scene.shop.script("DELETE FROM product WHERE id = 1").await;
    scene.process.drain().await;
    scene.assert_settled("product", &both).await;
    assert_equal(&scene).await;

    // A newer definition has nothing to build it from; that it looked is written all the same.
    scene
        .apply(&scene.process, &[&format!("{}# new\n", keeping())])
        .await;
    scene.process.refresh().await;
    scene.process.drain().await;
    scene.assert_settled("product", &both).await;
    let status = status::status(&scene.process.street.store).await.unwrap();
    assert_eq!(status.documents[0].behind, 0);

    // What is there and not wanted goes; what comes again under the id is a change.
    scene
        .shop
        .script(
            "INSERT INTO brand VALUES (1, 'x'); UPDATE product SET brand_id = 1 WHERE id = 2;
             INSERT INTO product VALUES (1, NULL, 'a', 'back')",
        )
        .await;
    scene.process.drain().await;
    let back = body("a", "back");
    scene
        .assert_settled("product", &[("product:1", &back), ("sku:a", &to_one)])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_captures_what_is_announced() {
    let listing = "document: listing\nroot: product\nkey: \"listing:{id}\"\nbody: { name: name }\n";
    let manual = document("capture: manual");
    let scene = Scene::postgres("manual", &[&manual, listing], DATA).await;
    let (one, two, new) = (body("a", "one"), body("b", "two"), body("a", "new"));
    scene
        .shop
        .script("UPDATE product SET name = 'new' WHERE id = 1")
        .await;
    scene.process.drain().await;
    let listed = [
        ("listing:1", "{\"name\":\"new\"}"),
        ("listing:2", "{\"name\":\"two\"}"),
    ];
    // The table has triggers, for the other document.
    scene.assert_settled("listing", &listed).await;
    scene
        .assert_settled("product", &[("product:1", &one), ("product:2", &two)])
        .await;

    scene
        .shop
        .script("SELECT pubsync.publish('product', ARRAY['1'])")
        .await;
    scene.process.drain().await;
    scene
        .assert_settled("product", &[("product:1", &new), ("product:2", &two)])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_triggers_on_sqlite() {
    let scene = Scene::sqlite("manual", &[&document("capture: manual")], DATA).await;
    let triggers = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'";
    assert_eq!(scene.number(triggers).await, 0);
    scene
        .shop
        .script("UPDATE product SET name = 'new' WHERE id = 1")
        .await;
    assert_eq!(scene.count("outbox").await, 0);
    rebuild::publish(&scene.process.street.store, &["product".to_owned()], None)
        .await
        .unwrap();
    scene.process.drain().await;
    scene
        .assert_settled(
            "product",
            &[("product:1", &body("a", "new")), ("product:2", &body("b", "two"))],
        )
        .await;
}
