//! `sync: direct` beside the queue, on a Redis that comes and goes.

use std::collections::BTreeMap;
use std::time::Duration;

use pubsync_tests::{Expected, RedisServer, World, eventually};

const SOON: Duration = Duration::from_secs(60);

const TABLES: &str = "
    CREATE TABLE stock (id bigint PRIMARY KEY, quantity integer NOT NULL);
    CREATE TABLE brand (id bigint PRIMARY KEY, name text NOT NULL);
    INSERT INTO stock SELECT n, n * 10 FROM generate_series(1, 40) AS n;
    INSERT INTO brand SELECT n, 'brand ' || n FROM generate_series(1, 40) AS n;
";
const STOCK: &str =
    "document: stock\nroot: stock\nkey: \"stock:{id}\"\nbody: { id: id, quantity: quantity }\n";
const BRAND: &str = "document: brand\nroot: brand\nkey: \"brand:{id}\"\nbody: { id: id, name: name }\n";

/// A world whose only target is this Redis.
async fn world(label: &str) -> (World, RedisServer) {
    let world = World::postgres(label).await;
    let server = RedisServer::start(&world).await;
    world.without_search();
    world.storage_at(&server.url());
    world.script(TABLES).await;
    (world, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_and_queued_side_by_side_while_redis_dies() {
    let (world, mut server) = world("direct").await;
    world.document("stock", &format!("{STOCK}sync: direct\n"));
    world.document("brand", BRAND);
    world.pubsync(&["apply", "--yes"]).await;
    let mut worker = world.spawn(&["run"]);
    changes(&world, 1).await;
    assert_in_sync(&world, &server).await;
    eventually("a first look at the target", SOON, async || {
        match world.status().await["targets"][0]["looked_at"].as_i64() {
            Some(_) => Ok(()),
            None => Err("none".to_owned()),
        }
    })
    .await;

    server.kill();
    changes(&world, 2).await;
    assert_paused(&world).await;
    changes(&world, 3).await;
    worker.assert_running();
    server.start_again().await;
    world.pubsync(&["wait", "--timeout", "60"]).await;
    // It came back empty: what changed meanwhile is there, and the rest comes when that is noticed.
    let (expected, held) = (expected(&world).await, server.keys().documents().await);
    for key in ["stock:1", "stock:2", "stock:3", "brand:1", "brand:2", "brand:3"] {
        let document = key.split(':').next().expect("a document");
        let found = held.get(key).unwrap_or_else(|| panic!("{key} is missing"));
        assert_eq!(expected[document][key].difference(&found.body), None, "{key}");
    }
    for key in ["stock:32", "brand:32", "stock:33", "brand:33"] {
        assert_eq!(held.get(key), None, "{key} was deleted meanwhile");
    }
    let all: usize = expected.values().map(BTreeMap::len).sum();
    eventually("all documents again", SOON, async || {
        match server.keys().documents().await.len() {
            held if held == all => Ok(()),
            held => Err(format!("{held} of {all}")),
        }
    })
    .await;
    assert_in_sync(&world, &server).await;

    server.save().await;
    server.kill();
    changes(&world, 4).await;
    assert_paused(&world).await;
    server.start_again().await;
    // It came back with its data: nothing but what changed is missing.
    assert_in_sync(&world, &server).await;
    eventually("the end of the pause", SOON, async || {
        let status = world.status().await;
        if status["in_sync"] == true {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
    world.pubsync(&["verify"]).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_opts_out_of_direct_sync() {
    let (world, server) = world("optout").await;
    world.configure(|config| format!("{config}sync: direct\n"));
    world.document("stock", STOCK);
    world.document("brand", &format!("{BRAND}sync: queue\n"));
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_equal(&world, &server).await;
    let before = server.keys().documents().await;

    // Nobody reads the sync queues: only what is direct can arrive.
    let worker = world.spawn(&["run", "relay", "publisher"]);
    changes(&world, 1).await;
    let expected = expected(&world).await;
    let direct = async || {
        let mut held = server.keys().documents().await;
        held.retain(|key, _| key.starts_with("stock:"));
        let wanted = &expected["stock"];
        let same = held.len() == wanted.len()
            && wanted
                .iter()
                .all(|(key, body)| held.get(key).is_some_and(|stored| stored.body == *body));
        if same { Ok(()) } else { Err(format!("{held:?}")) }
    };
    eventually("the direct document in Redis", SOON, direct).await;
    let queued = async || {
        let status = world.status().await;
        let waits: Vec<&str> = status["queues"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|queue| queue["queue"].as_str())
            .collect();
        if waits == ["sync.storage.brand"] {
            Ok(())
        } else {
            Err(status.to_string())
        }
    };
    eventually("nothing but the queued document in the ledger", SOON, queued).await;
    let mut held = server.keys().documents().await;
    held.retain(|key, _| key.starts_with("brand:"));
    assert_eq!(held.len(), 40, "no queued document has moved");
    assert!(held.iter().all(|(key, stored)| before[key] == *stored));
    world.pubsync_exits(5, &["wait", "--timeout", "1"]).await;

    let synchronizer = world.spawn(&["run", "synchronizer"]);
    assert_in_sync(&world, &server).await;
    for worker in [worker, synchronizer] {
        worker.stop().await;
    }
}

/// Edits, a move back and forth, a delete, an insert: of both documents, in one transaction each.
async fn changes(world: &World, round: u64) {
    for (table, column, value) in [
        ("stock", "quantity", round.to_string()),
        ("brand", "name", format!("'round {round}'")),
    ] {
        let gone = 30 + round;
        let sql = format!(
            "BEGIN; UPDATE {table} SET {column} = {value} WHERE id IN (1, 2, 3); \
             DELETE FROM {table} WHERE id = {gone}; INSERT INTO {table} VALUES ({round} * 100, {value}); COMMIT"
        );
        world.script(&sql).await;
    }
}

async fn expected(world: &World) -> Expected {
    world
        .expected(&[
            (
                "stock",
                "SELECT 'stock:' || id, json_build_object('id', id, 'quantity', quantity)::text FROM stock",
            ),
            (
                "brand",
                "SELECT 'brand:' || id, json_build_object('id', id, 'name', name)::text FROM brand",
            ),
        ])
        .await
}

async fn assert_in_sync(world: &World, server: &RedisServer) {
    world.pubsync(&["wait", "--timeout", "60"]).await;
    assert_equal(world, server).await;
}

async fn assert_equal(world: &World, server: &RedisServer) {
    let mut snapshot = world.snapshot(&["stock", "brand"]).await;
    snapshot.indexes.clear();
    snapshot
        .stores
        .insert("storage".to_owned(), server.keys().documents().await);
    snapshot.assert_equals(&expected(world).await);
}

/// `status` names the target and why, and `wait` does not claim that all is well.
async fn assert_paused(world: &World) {
    let reason = eventually("the pause of the target", SOON, async || {
        let status = world.status().await;
        let pauses = status["paused"].as_array().expect("a list");
        let found = pauses
            .iter()
            .find(|pause| pause["subject"] == serde_json::json!({ "target": "storage" }));
        match found.and_then(|pause| pause["reason"].as_str()) {
            Some(reason) => Ok(reason.to_owned()),
            None => Err(status.to_string()),
        }
    })
    .await;
    assert!(
        reason.starts_with("target storage at redis://127.0.0.1:"),
        "{reason}"
    );
    let status = world.pubsync(&["status"]).await.stdout;
    assert!(status.starts_with("not in sync: "), "{status}");
    assert!(status.contains("paused: target storage: "), "{status}");
    let output = world.pubsync_exits(5, &["wait", "--timeout", "1"]).await;
    assert_eq!(
        output.stderr,
        "pubsync: not synchronized after 1 s; `pubsync status` says what is on its way\n"
    );
}
