//! Rows that no trigger saw go, and tables that are emptied: "all roots" are those of the source and those of the mirror.

use pubsync_publisher::operate::rebuild;

use super::scene::{PRODUCT, Scene};

const TWO: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one'), (2, NULL, 'b', 'two');";
const ONE: &str = "{\"name\":\"one\",\"brand\":null,\"offers\":[]}";

/// An emptied table has no roots to walk over.
#[tokio::test(flavor = "multi_thread")]
async fn rule_17_a_truncated_table() {
    let scene = Scene::postgres("rule17", &[PRODUCT], TWO).await;
    scene.shop.script("TRUNCATE product CASCADE").await;
    scene.process.drain().await;
    scene.assert_settled("product", &[]).await;
    let tombstones = "SELECT count(*) FROM pubsync.mirror_product WHERE deleted_at IS NOT NULL";
    assert_eq!(scene.number(tombstones).await, 2);
}

/// A table emptied and filled again in one transaction: what is not in it any more goes, the rest stays.
#[tokio::test(flavor = "multi_thread")]
async fn rule_17_a_table_loaded_anew() {
    let scene = Scene::postgres("rule17anew", &[PRODUCT], TWO).await;
    let anew = "BEGIN; TRUNCATE product CASCADE; INSERT INTO product VALUES (1, NULL, 'a', 'one'); COMMIT;";
    scene.shop.script(anew).await;
    scene.process.drain().await;
    scene.assert_settled("product", &[("product:a", ONE)]).await;
}

/// A row that went unseen by its triggers (switched off, or not there) is visited by nobody but `publish --all`.
#[tokio::test(flavor = "multi_thread")]
async fn rule_17_a_delete_that_was_missed() {
    missed_delete(Scene::postgres("rule17missed", &[PRODUCT], TWO).await).await;
}

/// The same on SQLite.
#[tokio::test(flavor = "multi_thread")]
async fn rule_17_on_sqlite() {
    missed_delete(Scene::sqlite("rule17", &[PRODUCT], TWO).await).await;
}

async fn missed_delete(scene: Scene) {
    scene.uncaptured("DELETE FROM product WHERE id = 2").await;
    scene.process.drain().await;
    assert_eq!(scene.mirror("product").await.len(), 2, "nobody saw it");
    rebuild::publish(&scene.process.street.store, &["product".to_owned()], None)
        .await
        .unwrap();
    scene.process.drain().await;
    scene.assert_settled("product", &[("product:a", ONE)]).await;
}
