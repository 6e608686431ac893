//! What pubsync's own tables need no more is taken away, and nothing before its time.

use std::time::Duration;

use pubsync_synchronizer::purge;

use super::scene::{PRODUCT, Process, Scene};

const DATA: &str = "INSERT INTO product SELECT n, NULL, 'p' || n, 'one' FROM generate_series(1, 4) AS n;";

/// A process that keeps nothing.
fn forgetful(scene: &Scene) -> Process {
    scene.process.with(|settings| {
        settings.keep.tombstones = Duration::ZERO;
        settings.keep.runs = Duration::ZERO;
        settings.keep.definitions = Duration::ZERO;
    })
}

async fn delete(scene: &Scene, id: i64) {
    scene
        .uncaptured(&format!("DELETE FROM product WHERE id = {id}"))
        .await;
    scene.process.publish("product", &[&id.to_string()]).await;
}

/// Keys of tombstones.
async fn tombstones(scene: &Scene) -> Vec<String> {
    let mirror = scene.own("mirror_product");
    let rows = scene
        .shop
        .rows(&format!(
            "SELECT key FROM {mirror} WHERE deleted_at IS NOT NULL ORDER BY key"
        ))
        .await;
    rows.into_iter().filter_map(|mut row| row.remove(0)).collect()
}

/// A tombstone stays while work of its document is open that is as old, and while a failure is.
async fn rule_29(scene: Scene) {
    let forgetful = forgetful(&scene);
    delete(&scene, 1).await;
    purge::once(&forgetful.street).await.unwrap();
    assert_eq!(
        tombstones(&scene).await,
        ["product:p1"],
        "its message is still on its way"
    );
    scene.process.drain().await;

    let failure = scene.own("failure");
    scene
        .shop
        .script(&format!(
            "INSERT INTO {failure} (stage, document, class, error, first_at, last_at, changed_at) \
             VALUES ('sync', 'product', 'test', 'test', 1, 1, 1)"
        ))
        .await;
    purge::once(&forgetful.street).await.unwrap();
    assert_eq!(tombstones(&scene).await, ["product:p1"], "a failure is as old");
    scene.shop.script(&format!("DELETE FROM {failure}")).await;

    purge::once(&scene.process.street).await.unwrap();
    assert_eq!(tombstones(&scene).await, ["product:p1"], "not a week old");
    purge::once(&forgetful.street).await.unwrap();
    assert_eq!(tombstones(&scene).await, Vec::<String>::new());
    assert_eq!(
        scene.mirror("product").await.len(),
        3,
        "live rows are never purged"
    );

    // The key comes into use again: the target still remembers the delete, and the clock is above it.
    scene
        .shop
        .script("INSERT INTO product VALUES (1, NULL, 'p1', 'again')")
        .await;
    scene.process.drain().await;
    assert_eq!(scene.mirror("product").await.len(), 4);
    scene.assert_target_equals_mirror("product", "local").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_29_a_tombstone_that_is_still_needed_on_postgresql() {
    rule_29(Scene::postgres("rule29", &[PRODUCT], DATA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_29_a_tombstone_that_is_still_needed_on_sqlite() {
    let data = "INSERT INTO product VALUES (1, NULL, 'p1', 'one'), (2, NULL, 'p2', 'one'), (3, NULL, 'p3', 'one'), \
                (4, NULL, 'p4', 'one');";
    rule_29(Scene::sqlite("rule29", &[PRODUCT], data).await).await;
}

/// Runs that have ended, and definitions that were replaced. Numbers go on from the newest one.
#[tokio::test(flavor = "multi_thread")]
async fn runs_and_definitions_are_purged() {
    let scene = Scene::postgres("purgedruns", &[PRODUCT], DATA).await;
    let forgetful = forgetful(&scene);
    for name in ["title", "label", "caption"] {
        scene
            .apply(
                &scene.process,
                &[&PRODUCT.replace("  name: name", &format!("  {name}: name"))],
            )
            .await;
    }
    scene.process.refresh().await;
    assert_eq!(
        (scene.count("run").await, scene.count("definition_history").await),
        (4, 3)
    );
    scene.process.sweep().await;
    purge::once(&forgetful.street).await.unwrap();
    assert_eq!(scene.count("run").await, 3, "three rebuilds have not ended");
    assert_eq!(scene.count("definition_history").await, 1);

    scene.process.drain().await;
    scene.process.sweep().await;
    purge::once(&scene.process.street).await.unwrap();
    assert_eq!(scene.count("run").await, 3, "not a month old");
    purge::once(&forgetful.street).await.unwrap();
    assert_eq!(scene.count("run").await, 0);
    scene.apply(&scene.process, &[PRODUCT]).await;
    let definition = scene.own("definition");
    assert_eq!(scene.number(&format!("SELECT number FROM {definition}")).await, 5);
}
