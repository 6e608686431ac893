//! Keys that a target shows and the mirror does not know. They are repaired through the mirror, so that an insert of the
//! key meets the repair.

use std::sync::Arc;

use pubsync_schema::ledger;
use pubsync_schema::names::Lane;
use pubsync_schema::wire::{Selection, SyncWork};
use pubsync_synchronizer::resync::{self, Walk, WalkError};
use pubsync_synchronizer::settle::Batch;
use pubsync_synchronizer::target::{Accept, Operation, Target, Write};
use tokio::task::JoinHandle;

use super::scene::{PRODUCT, Process, Scene};
use super::stop::{Gate, Slow, SlowTarget, Stop};

const GHOST: &str = "product:ghost";
const INSERT: &str = "INSERT INTO product VALUES (1, NULL, 'ghost', 'real')";
const REAL: &str = "{\"name\":\"real\",\"brand\":null,\"offers\":[]}";

/// A scene whose target shows a key that is not ours, with this revision.
async fn haunted(label: &str, revision: i64) -> Scene {
    let scene = Scene::postgres(label, &[PRODUCT], "").await;
    let (street, definition) = (
        &scene.process.street,
        scene.process.compiled("product").definition.clone(),
    );
    let write = Write {
        key: GHOST.to_owned(),
        revision,
        operation: Operation::Put("{}".into()),
    };
    let collection = definition.shape.collection("local").unwrap();
    let local = &street.targets["local"];
    local.apply(&collection, &[write], Accept::Higher).await.unwrap();
    scene
}

/// An hour from now: the target is ahead of every clock.
async fn ahead(process: &Process) -> i64 {
    process.street.store.now().await.unwrap() + 3_600_000_000
}

/// An orphan becomes a tombstone row with a revision above what the target holds, and goes. The key comes into use: its
/// row takes the tombstone's place, with a higher revision again.
#[tokio::test(flavor = "multi_thread")]
async fn rule_30_an_orphan_becomes_a_tombstone() {
    let scene = haunted("rule30", 1).await;
    let held = ahead(&scene.process).await;
    scene
        .target("local")
        .await
        .execute(&format!("UPDATE document SET revision = {held}"))
        .await
        .unwrap();
    let store = &scene.process.street.store;
    let definition = scene.process.compiled("product").definition.clone();
    let walk = resync::start(
        &store.write,
        store,
        &definition.shape,
        definition.number,
        "local",
        Selection::default(),
    );
    ledger::insert(&store.write, store, &[walk.await.unwrap()])
        .await
        .unwrap();
    scene.process.drain().await;
    scene.assert_settled("product", &[]).await;
    let tombstone = scene.revision("product", GHOST).await;
    assert!(tombstone > held, "{tombstone} is not above {held}");
    let roots = scene.shop.rows("SELECT root FROM pubsync.mirror_product").await;
    assert_eq!(roots, [[None]]);

    scene.shop.script(INSERT).await;
    scene.process.drain().await;
    scene.assert_settled("product", &[(GHOST, REAL)]).await;
    assert!(scene.revision("product", GHOST).await > tombstone);
}

/// The database was restored, the target holds the lost future: a higher revision with other content. It refuses the row
/// of now, and a resync gives the row a revision above what it holds.
#[tokio::test(flavor = "multi_thread")]
async fn law_3_a_target_that_is_ahead() {
    let data = "INSERT INTO product VALUES (1, NULL, 'ghost', 'real')";
    let scene = Scene::postgres("ahead", &[PRODUCT], data).await;
    let held = ahead(&scene.process).await;
    let lost = format!("UPDATE document SET revision = {held}, body = '{{\"name\":\"lost\"}}'");
    scene.target("local").await.execute(&lost).await.unwrap();
    let store = &scene.process.street.store;
    let definition = scene.process.compiled("product").definition.clone();
    let (shape, number) = (&definition.shape, definition.number);
    let walk = resync::start(&store.write, store, shape, number, "local", Selection::default())
        .await
        .unwrap();
    ledger::insert(&store.write, store, &[walk]).await.unwrap();
    scene.process.drain().await;
    scene.assert_settled("product", &[(GHOST, REAL)]).await;
    assert!(scene.revision("product", GHOST).await > held);
}

/// The target was scanned, and gave the orphan; then the key comes into use and is committed; then the walk goes on.
#[tokio::test(flavor = "multi_thread")]
async fn rule_30_an_insert_after_the_scan() {
    let scene = haunted("rule30scan", 1).await;
    let stop = Stop::default();
    let target = SlowTarget {
        inner: scene.process.street.targets["local"].clone(),
        at: Slow::Scan,
        stop: stop.clone(),
    };
    let message = message(&scene).await;
    let walk = walk(&scene, Arc::new(target), message);
    stop.reached().await;
    scene.uncaptured(INSERT).await;
    assert_eq!(scene.process.publish("product", &["1"]).await.changed, 1);
    stop.open();
    walk.await.unwrap().unwrap();
    scene.process.drain().await;
    scene.assert_settled("product", &[(GHOST, REAL)]).await;
}

/// The row of the key is written and not committed when the walk wants to bury it.
#[tokio::test(flavor = "multi_thread")]
async fn rule_30_an_insert_that_is_being_written() {
    let scene = haunted("rule30first", 1).await;
    scene.uncaptured(INSERT).await;
    let message = message(&scene).await;
    let gate = Gate::close(&scene).await;
    let insert = scene
        .process
        .begin(scene.process.compiled("product"), &["1"], &[])
        .await;
    scene.blocked(1).await;
    let walk = walk(&scene, scene.process.street.targets["local"].clone(), message);
    scene.blocked(2).await;
    gate.open().await;
    insert.await.unwrap().unwrap();
    walk.await.unwrap().unwrap();
    scene.process.drain().await;
    scene.assert_settled("product", &[(GHOST, REAL)]).await;
}

/// The tombstone is written and not committed when the row of the key wants to be: it must come above it.
#[tokio::test(flavor = "multi_thread")]
async fn rule_30_an_insert_that_meets_the_tombstone() {
    let scene = haunted("rule30second", 1).await;
    scene.uncaptured(INSERT).await;
    let message = message(&scene).await;
    let gate = Gate::close(&scene).await;
    let walk = walk(&scene, scene.process.street.targets["local"].clone(), message);
    scene.blocked(1).await;
    let insert = scene
        .process
        .begin(scene.process.compiled("product"), &["1"], &[])
        .await;
    scene.blocked(2).await;
    gate.open().await;
    walk.await.unwrap().unwrap();
    let tally = insert.await.unwrap().unwrap();
    assert_eq!((tally.changed, tally.failed), (1, 0), "{tally:?}");
    scene.process.drain().await;
    scene.assert_settled("product", &[(GHOST, REAL)]).await;
}

/// The ledger row of a walk over the target, taken from the queue. It is there before a gate closes.
async fn message(scene: &Scene) -> Batch {
    let store = &scene.process.street.store;
    let mut batch = Batch {
        document: "product".to_owned(),
        target: "local".to_owned(),
        queue: store.names.sync_queue("local", "product", Lane::Bulk),
        lane: Lane::Bulk,
        ids: Vec::new(),
        states: Vec::new(),
        force: true,
        changed_at: store.now().await.unwrap(),
        run: None,
    };
    let mut entry = resync::walk_entry(&batch, 1, &SyncWork::Orphans { cursor: None }).unwrap();
    entry.claimed = true;
    batch.ids = ledger::insert(&store.write, store, &[entry]).await.unwrap();
    batch
}

/// Begins the walk.
fn walk(scene: &Scene, target: Arc<dyn Target>, batch: Batch) -> JoinHandle<Result<(), WalkError>> {
    let street = scene.process.street.clone();
    tokio::spawn(async move { resync::step(&street, &*target, batch, Walk::Target { cursor: None }).await })
}
