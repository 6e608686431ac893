//! Tables that change as a whole without a word: another one takes the name, partitions come and go.

use pubsync_publisher::capture::{self, LockRetry, watch};
use pubsync_schema::definition;
use pubsync_tests::eventually;

use super::scene::{MINUTE, PRODUCT, Scene};

const ONE: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one'), (2, NULL, 'b', 'two');";

const STOCK: &str = "\
document: stock
root: stock
key: \"stock:{id}\"
body:
  amount: amount
";

const PARTITIONS: &str = "
    CREATE TABLE stock (id integer PRIMARY KEY, amount integer) PARTITION BY RANGE (id);
    CREATE TABLE stock_low PARTITION OF stock FOR VALUES FROM (0) TO (10);
    CREATE TABLE stock_high (amount integer, id integer NOT NULL PRIMARY KEY);
    INSERT INTO stock VALUES (1, 10);
    INSERT INTO stock_high VALUES (200, 20), (210, 21);";

async fn look(scene: &Scene) {
    let process = &scene.process;
    watch::once(&process.street, &process.registry)
        .await
        .expect("the look");
    process.drain().await;
}

/// A table is loaded beside the real one and takes its name: nothing fires.
#[tokio::test(flavor = "multi_thread")]
async fn rule_18_a_table_swapped_by_rename() {
    swapped(
        Scene::postgres("rule18", &[PRODUCT], ONE).await,
        "ALTER TABLE offer DROP CONSTRAINT offer_product_id_fkey;",
    )
    .await;
}

/// The same on SQLite, where a trigger follows its table.
#[tokio::test(flavor = "multi_thread")]
async fn rule_18_on_sqlite() {
    swapped(
        Scene::sqlite("rule18", &[PRODUCT], ONE).await,
        "PRAGMA legacy_alter_table = ON;",
    )
    .await;
}

async fn swapped(scene: Scene, before: &str) {
    let swap = format!(
        "{before}
         CREATE TABLE product_new (id integer PRIMARY KEY, brand_id integer REFERENCES brand (id), sku text, name text);
         INSERT INTO product_new VALUES (1, NULL, 'a', 'new one'), (3, NULL, 'c', 'three');
         ALTER TABLE product RENAME TO product_old;
         ALTER TABLE product_new RENAME TO product;"
    );
    scene.shop.script(&swap).await;
    look(&scene).await;
    let body = |name: &str| format!("{{\"name\":\"{name}\",\"brand\":null,\"offers\":[]}}");
    let (one, three) = (body("new one"), body("three"));
    scene
        .assert_settled("product", &[("product:a", &one), ("product:c", &three)])
        .await;
    scene
        .shop
        .script("UPDATE product SET name = 'seen' WHERE id = 3")
        .await;
    scene.process.drain().await;
    let three = body("seen");
    scene
        .assert_settled("product", &[("product:a", &one), ("product:c", &three)])
        .await;
}

/// Attached partitions bring rows that nobody inserted, detached ones take theirs along.
#[tokio::test(flavor = "multi_thread")]
async fn rule_18_partitions_that_come_and_go() {
    let scene = Scene::postgres("rule18part", &[STOCK], PARTITIONS).await;
    let attach = "ALTER TABLE stock ATTACH PARTITION stock_high FOR VALUES FROM (20) TO (30)";
    scene.shop.script(attach).await;
    look(&scene).await;
    let amount = |amount: i64| format!("{{\"amount\":{amount}}}");
    let (ten, many, more) = (amount(10), amount(200), amount(210));
    scene
        .assert_settled(
            "stock",
            &[("stock:1", &ten), ("stock:20", &many), ("stock:21", &more)],
        )
        .await;
    // Written to by its own name.
    let direct = "UPDATE stock_high SET amount = 5 WHERE id = 20; DELETE FROM stock_high WHERE id = 21";
    scene.shop.script(direct).await;
    scene.process.drain().await;
    let five = amount(5);
    scene
        .assert_settled("stock", &[("stock:1", &ten), ("stock:20", &five)])
        .await;
    scene
        .shop
        .script("ALTER TABLE stock DETACH PARTITION stock_high")
        .await;
    look(&scene).await;
    scene.assert_settled("stock", &[("stock:1", &ten)]).await;
    scene.shop.script("DROP TABLE stock_low").await;
    look(&scene).await;
    scene.assert_settled("stock", &[]).await;
}

/// `apply` has taken a document's triggers away, and says next that the document is gone. Who looks in between waits, and does not
/// set them again.
#[tokio::test(flavor = "multi_thread")]
async fn triggers_that_are_taken_away_stay_away() {
    let scene = Scene::postgres("takenaway", &[PRODUCT], ONE).await;
    let (street, registry) = (scene.process.street.clone(), scene.process.registry.clone());
    let store = street.store.clone();
    let apply = store.begin().await.unwrap();
    definition::remove(&apply, &store, &["product".to_owned()])
        .await
        .unwrap();
    capture::reconcile(&store.write, &store.names, &[], &LockRetry::default())
        .await
        .unwrap();
    let looking = tokio::spawn(async move { watch::once(&street, &registry).await });
    eventually("the look waits, or has ended", MINUTE, async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND wait_event_type = 'Lock' AND query LIKE '%FOR SHARE%'";
        let ended = looking.is_finished() || scene.number(waiting).await > 0;
        if ended { Ok(()) } else { Err("it runs".to_owned()) }
    })
    .await;
    apply.commit().await.unwrap();
    looking.await.unwrap().unwrap();
    let installed = capture::installed(&store.write, &store.names).await.unwrap();
    assert!(installed.is_empty(), "{installed:?}");
}
