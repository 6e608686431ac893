//! A filter changes while work is on its way.

use pubsync_synchronizer::target::{Accept, Operation, Outcome, Write};

use super::scene::{PRODUCT, Scene};

const TWO: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one'), (2, NULL, 'b', 'two');";

fn only(skus: &str) -> String {
    format!("{PRODUCT}targets: {{ local: {{ only: {{ root.sku: {skus} }} }} }}\n")
}

/// A synchronizer wrote a document and was killed before it settled. Then the filter leaves the document out, and the search for
/// what the target should not hold has passed the key before it was written. The message comes again: what it meets has its
/// very revision.
async fn rule_23_applied_and_not_settled(scene: Scene) {
    let process = &scene.process;
    let street = &process.street;
    scene
        .uncaptured("UPDATE product SET name = 'new' WHERE id = 1")
        .await;
    process.publish("product", &["1"]).await;
    let set = street.definitions.write_set("product", "local").unwrap();
    let write = Write {
        key: "product:a".to_owned(),
        revision: scene.revision("product", "product:a").await,
        operation: Operation::Put("{\"name\":\"new\"}".into()),
    };
    let target = &street.targets["local"];
    let outcomes = target
        .apply(&set.serving, &[write], Accept::Higher)
        .await
        .unwrap();
    assert_eq!(outcomes, [Outcome::Applied]);

    scene.apply(process, &[&only("[b]")]).await;
    process.refresh().await;
    let ledger = scene.own("ledger");
    let walks = "payload LIKE '%resync%' OR payload LIKE '%\"all\"%'";
    scene
        .shop
        .script(&format!("DELETE FROM {ledger} WHERE {walks}"))
        .await;
    assert_eq!(scene.count("ledger").await, 1, "the message that was not settled");
    process.drain().await;
    let held = "SELECT key FROM document WHERE NOT deleted";
    assert_eq!(
        scene.target("local").await.rows(held).await,
        [[Some("product:b".to_owned())]]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_23_applied_and_not_settled_on_postgresql() {
    let scene = Scene::postgres("rule23unsettled", &[&only("[a, b]")], TWO).await;
    rule_23_applied_and_not_settled(scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_23_applied_and_not_settled_on_sqlite() {
    let scene = Scene::sqlite("rule23unsettled", &[&only("[a, b]")], TWO).await;
    rule_23_applied_and_not_settled(scene).await;
}
