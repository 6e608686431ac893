//! Targets that lose everything while the product runs. Nobody asks for anything.

use std::time::Duration;

use pubsync_tests::{Expected, RedisServer, World, eventually};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(120);
const TABLES: &str = "
    CREATE TABLE brand (id bigint PRIMARY KEY, name text NOT NULL);
    INSERT INTO brand SELECT n, 'brand ' || n FROM generate_series(1, 3000) AS n;
";
const BRAND: &str = "document: brand\nroot: brand\nkey: \"brand:{id}\"\nbody: { id: id, name: name }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_redis_and_a_deleted_index_are_filled_again() {
    let world = World::postgres("lost").await;
    let server = RedisServer::start(&world).await;
    world.storage_at(&server.url());
    world.script(TABLES).await;
    world.document("brand", BRAND);
    world.pubsync(&["apply", "--yes"]).await;
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "120"]).await;
    // Twice: the first look knows nothing of what was before.
    for _ in 0..2 {
        let before = looked_at(&world).await;
        until(&world, "another look", async |now| {
            now.iter().zip(&before).all(|(now, before)| now > before)
        })
        .await;
    }
    assert!(!world.pubsync(&["status"]).await.stdout.contains("lost something"));

    server.flush().await;
    assert!(world.search().lose_everything().await > 0, "there was no index");
    world
        .script("DELETE FROM brand WHERE id % 100 = 0; UPDATE brand SET name = 'new' WHERE id % 100 = 1")
        .await;
    let expected = expected(&world).await;
    eventually("all that there was", SOON, async || {
        let held = (
            server.keys().documents().await,
            world.search().documents("brand").await,
        );
        let (held, whole) = ((held.0.len(), held.1.len()), expected["brand"].len());
        if held == (whole, whole) {
            Ok(())
        } else {
            Err(format!("{held:?} of {whole}"))
        }
    })
    .await;
    eventually("the end of the repairs", SOON, async || {
        let status = world.status().await;
        let targets = status["targets"].as_array().expect("a list");
        let repaired = |target: &Value| target["repairs"] == 0 && target["lost_at"].is_i64();
        if targets.len() == 2 && targets.iter().all(repaired) && status["in_sync"] == true {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
    let mut snapshot = world.snapshot(&["brand"]).await;
    snapshot
        .stores
        .insert("storage".to_owned(), server.keys().documents().await);
    snapshot.assert_equals(&expected);
    world.pubsync(&["verify"]).await;
    let status = world.pubsync(&["status"]).await.stdout;
    for line in [
        "(its mark is gone: it was flushed, or started empty), repaired",
        "brand~1 is gone), repaired",
    ] {
        // The first write may have made the index again before anybody looked.
        let found = status.contains(line) || status.contains("brand~1 was deleted and made again), repaired");
        assert!(found, "no {line:?} in\n{status}");
    }
    worker.stop().await;
}

/// When each target was looked at last.
async fn looked_at(world: &World) -> Vec<i64> {
    let status = world.status().await;
    let targets = status["targets"].as_array().expect("a list");
    let mut times: Vec<i64> = targets
        .iter()
        .filter_map(|target| target["looked_at"].as_i64())
        .collect();
    times.resize(2, 0);
    times
}

async fn until(world: &World, what: &str, is: impl AsyncFn(Vec<i64>) -> bool) {
    eventually(what, SOON, async || {
        let now = looked_at(world).await;
        let text = format!("{now:?}");
        if is(now).await { Ok(()) } else { Err(text) }
    })
    .await;
}

async fn expected(world: &World) -> Expected {
    let query = "SELECT 'brand:' || id, json_build_object('id', id, 'name', name)::text FROM brand";
    world.expected(&[("brand", query)]).await
}
