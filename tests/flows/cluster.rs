//! A Redis cluster as the target: slots that move under load, primaries that die, a replica with an older copy.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use pubsync_tests::{Database, RedisCluster, Worker, World, eventually};

const SOON: Duration = Duration::from_secs(120);
const ROOTS: u64 = 2000;

const TABLES: &str = "
    CREATE TABLE item (id bigint PRIMARY KEY, title text NOT NULL);
    INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, $ROOTS) AS n;
";
const ITEM: &str = "document: item\nroot: item\nkey: \"item:{id}\"\nbody: { id: id, title: title }\n";
const EXPECTED: &str = "SELECT 'item:' || id, json_build_object('id', id, 'title', title)::text FROM item";

/// A world whose only target is this cluster, with all documents in it, and a worker.
async fn shop(label: &str) -> (World, RedisCluster, Worker) {
    let world = World::postgres(label).await;
    let cluster = RedisCluster::start(&world).await;
    world.without_search();
    world.storage_at(&cluster.url());
    world.script(&TABLES.replace("$ROOTS", &ROOTS.to_string())).await;
    world.document("item", ITEM);
    world.pubsync(&["apply", "--yes"]).await;
    let worker = world.spawn(&["run"]);
    assert_in_sync(&world, &cluster).await;
    (world, cluster, worker)
}

async fn assert_in_sync(world: &World, cluster: &RedisCluster) {
    world.pubsync(&["wait", "--timeout", "120"]).await;
    let expected = world.expected(&[("item", EXPECTED)]).await;
    let mut snapshot = world.snapshot(&["item"]).await;
    snapshot.indexes.clear();
    let held = cluster.documents().await;
    snapshot.stores.insert("storage".to_owned(), held);
    snapshot.assert_equals(&expected);
}

/// Edits, deletes and inserts until stopped, not more than a busy machine can follow. Items below 10 it leaves alone.
async fn application(database: Database, stop: Arc<AtomicBool>) {
    let mut session = database.session().await;
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let (first, gone) = (10 + round * 7 % ROOTS, 10 + round * 13 % ROOTS);
        let sql = format!(
            "UPDATE item SET title = 'round {round}' WHERE id BETWEEN {first} AND {first} + 20; \
             DELETE FROM item WHERE id = {gone}; \
             INSERT INTO item VALUES (10 + {round} * 17 % {ROOTS}, 'again') ON CONFLICT DO NOTHING; \
             SELECT pg_sleep(0.1)"
        );
        let done = session.execute(&sql).await;
        done.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A slot that stays open holds up what is in it and nobody else; a new primary gets the functions that it lacks; nothing of
/// that is a failure.
#[tokio::test(flavor = "multi_thread")]
async fn documents_follow_slots_that_move_under_load() {
    let (world, mut cluster, worker) = shop("slots").await;
    for number in 0..3 {
        let held = cluster.node(number).keys().documents().await.len();
        assert!(held > 400, "node {number} holds {held}");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(application(world.database().clone(), stop.clone()));
    let new = cluster.join(&world).await;

    let slot = cluster.slot("item:1").await;
    let old = cluster.first_holder(slot);
    cluster.open_slot(slot, old, new).await;
    world.script("UPDATE item SET title = 'moved' WHERE id = 1").await;
    eventually("a write to the open slot", SOON, async || {
        match cluster.errors("TRYAGAIN").await {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    world
        .script("UPDATE item SET title = 'meanwhile' WHERE id = 2")
        .await;
    arrived(&cluster, "item:2", "meanwhile").await;
    assert_eq!(title(&cluster, "item:1").await.as_deref(), Some("item 1"));
    cluster.move_keys(slot, old, new).await;
    cluster.close_slot(slot, old, new).await;
    arrived(&cluster, "item:1", "moved").await;

    for slot in (0..16_384).step_by(160).filter(|other| *other != slot) {
        cluster.move_slot(slot, new).await;
    }
    stop.store(true, Ordering::Relaxed);
    load.await.expect("the application fails nowhere");
    assert_in_sync(&world, &cluster).await;
    assert!(cluster.errors("MOVED").await > 0, "nobody asked the old primary");
    assert!(!cluster.node(new).keys().documents().await.is_empty());
    assert_no_failures(&world).await;
    world.pubsync(&["verify"]).await;
    worker.stop().await;
}

async fn arrived(cluster: &RedisCluster, key: &str, wanted: &str) {
    eventually(key, SOON, async || match title(cluster, key).await {
        Some(title) if title == wanted => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// What a reader finds, on whatever node.
async fn title(cluster: &RedisCluster, key: &str) -> Option<String> {
    let document: Option<String> = cluster.get(key).await;
    let document: serde_json::Value = serde_json::from_str(&document?).expect("a document");
    Some(document["title"].as_str().expect("a title").to_owned())
}

async fn assert_no_failures(world: &World) {
    let rows = world
        .session()
        .await
        .rows("SELECT key, error FROM pubsync.failure")
        .await;
    assert_eq!(rows, Vec::<Vec<Option<String>>>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_dies_and_comes_back() {
    let (world, mut cluster, worker) = shop("primary").await;
    cluster.kill(1);
    world
        .script("UPDATE item SET title = 'changed'; DELETE FROM item WHERE id % 10 = 0")
        .await;
    let paused = eventually("the pause of the target", SOON, async || {
        let status = world.status().await;
        match status["paused"][0]["reason"].as_str() {
            Some(reason) => Ok(reason.to_owned()),
            None => Err(status.to_string()),
        }
    })
    .await;
    assert!(
        paused.starts_with("target storage at redis-cluster://"),
        "{paused}"
    );
    cluster.start_again(1).await;
    assert_in_sync(&world, &cluster).await;
    assert_no_failures(&world).await;
    world.pubsync(&["verify"]).await;
    worker.stop().await;
}

/// Replication is asynchronous: what the replica did not get is noticed, and sent again. The old primary comes back as a replica.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_over_with_an_older_copy() {
    let (world, mut cluster, worker) = shop("takeover").await;
    let replica = cluster.join_as_replica(&world, 0).await;
    let primary = cluster.node(0);
    primary.must::<()>("ACL SETUSER default -psync -sync").await;
    primary.must::<i64>("CLIENT KILL TYPE replica").await;
    cluster.linked(replica, false).await;
    world
        .script("UPDATE item SET title = 'lost' WHERE id % 2 = 0; DELETE FROM item WHERE id % 10 = 1")
        .await;
    assert_in_sync(&world, &cluster).await;
    cluster.kill(0);
    cluster.take_over(replica).await;
    eventually("what was lost", SOON, async || {
        let (held, mirror) = (cluster.documents().await, world.mirror("item").await);
        match held == mirror {
            true => Ok(()),
            false => Err(world.pubsync(&["status"]).await.stdout),
        }
    })
    .await;
    let status = world.status().await;
    assert!(
        status["targets"][0]["lost_at"].is_i64(),
        "nothing was noticed: {status}"
    );
    cluster.start_again(0).await;
    world
        .script("UPDATE item SET title = 'last' WHERE id % 3 = 0")
        .await;
    assert_in_sync(&world, &cluster).await;
    assert_no_failures(&world).await;
    world.pubsync(&["verify"]).await;
    worker.stop().await;
}
