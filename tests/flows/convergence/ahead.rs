//! Targets that hold more than the mirror: they come from a later state of a database that was restored since, or whose
//! clock went back with a failover. A live change meets them, and no command helps.

use super::scene::{PRODUCT, Scene};

const ONE: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one');";
const TWO: &str = "{\"name\":\"two\",\"brand\":null,\"offers\":[]}";
const CHANGE: &str = "UPDATE product SET name = 'two'";

/// What the target holds for the only document, from the lost future.
async fn hold(scene: &Scene, revision: i64) {
    let sql = format!("UPDATE document SET revision = {revision}, body = '{{\"name\":\"lost\"}}'");
    assert_eq!(scene.target("local").await.execute(&sql).await.unwrap(), 1);
}

/// A change is refused, though the mirror has nothing newer: its row gets a revision above what the target holds.
async fn a_change_that_is_refused(scene: Scene) {
    let held = scene.process.street.store.now().await.unwrap() + 3_600_000_000;
    hold(&scene, held).await;
    scene.shop.script(CHANGE).await;
    scene.process.drain().await;
    scene.assert_settled("product", &[("product:a", TWO)]).await;
    assert!(scene.revision("product", "product:a").await > held);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_28_a_change_that_is_refused_on_postgresql() {
    a_change_that_is_refused(Scene::postgres("rule28", &[PRODUCT], ONE).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_28_a_change_that_is_refused_on_sqlite() {
    a_change_that_is_refused(Scene::sqlite("rule28", &[PRODUCT], ONE).await).await;
}

/// The publisher writes to the target itself: it must not take the refusal for success either.
#[tokio::test(flavor = "multi_thread")]
async fn rule_28_a_change_that_is_refused_in_direct_sync() {
    let direct = format!("{PRODUCT}sync: direct\n");
    a_change_that_is_refused(Scene::postgres("rule28direct", &[&direct], ONE).await).await;
}

/// The target holds the very revision of the change, with other content.
#[tokio::test(flavor = "multi_thread")]
async fn rule_28_the_same_revision_with_other_content() {
    let scene = Scene::postgres("rule28same", &[PRODUCT], ONE).await;
    scene.uncaptured(CHANGE).await;
    scene.process.publish("product", &["1"]).await;
    hold(&scene, scene.revision("product", "product:a").await).await;
    scene.process.drain().await;
    scene.assert_settled("product", &[("product:a", TWO)]).await;
}

/// Something newer was there first, which is no reason to write anything again.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_came_late_is_left_alone() {
    let scene = Scene::postgres("rule28late", &[PRODUCT], ONE).await;
    scene.uncaptured(CHANGE).await;
    scene.process.publish("product", &["1"]).await;
    scene.process.drain().await;
    let revision = scene.revision("product", "product:a").await;
    // A copy of the first message, younger than it is in truth.
    let queue = "sync.local.product";
    super::second_attempts::deliver(&scene, queue, revision - 1, 0, 0).await;
    scene.assert_settled("product", &[("product:a", TWO)]).await;
    assert_eq!(scene.revision("product", "product:a").await, revision);
}
