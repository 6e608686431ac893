//! `wait` is not the length of a queue: it returns when the targets have it, and not before.

use std::time::Duration;

use pubsync_tests::{RedisServer, World, eventually};
use redis::AsyncTypedCommands;

const SOON: Duration = Duration::from_secs(60);
const ROUNDS: u64 = 50;
/// As many rows as keep the workers busy for longer than a command takes to start.
const ROWS: usize = 400;
const LATE: &str = "pubsync: not synchronized after 1 s; `pubsync status` says what is on its way\n";

async fn world(label: &str) -> World {
    let world = World::postgres(label).await;
    world.without_search();
    world
        .script("CREATE TABLE stock (id bigint PRIMARY KEY, quantity bigint NOT NULL); INSERT INTO stock VALUES (1, 0)")
        .await;
    world.document(
        "stock",
        "document: stock\nroot: stock\nkey: \"stock:{id}\"\nbody: { id: id, quantity: quantity }\n",
    );
    world
}

fn point_at(world: &World, url: &str) {
    let shared = world.services().redis.clone();
    world.configure(|config| config.replace(&shared, url));
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_knows_what_no_worker_has_taken() {
    let world = world("untaken").await;
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    world.pubsync(&["wait", "--timeout", "1"]).await;
    world.script("UPDATE stock SET quantity = 1").await;
    let output = world.pubsync_exits(5, &["wait", "--timeout", "1"]).await;
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", LATE));
    let status = world.status().await;
    assert_eq!(
        (&status["outbox_rows"], &status["sentence"]),
        (
            &1.into(),
            &"not in sync: 1 captured changes wait for a relay".into()
        )
    );
    // What is not committed is not waited for.
    world.pubsync(&["run", "--until-quiet"]).await;
    let mut session = world.session().await;
    session.execute("BEGIN").await.expect("BEGIN");
    session
        .execute("UPDATE stock SET quantity = 2")
        .await
        .expect("UPDATE");
    world.pubsync(&["wait", "--timeout", "1"]).await;
    session.execute("COMMIT").await.expect("COMMIT");
    world.pubsync_exits(5, &["wait", "--timeout", "1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_knows_what_no_queue_holds() {
    let world = world("unqueued").await;
    let mut server = RedisServer::start(&world).await;
    point_at(&world, &server.url());
    world.pubsync(&["apply", "--yes"]).await;
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "60"]).await;
    server.kill();
    world.script("UPDATE stock SET quantity = 1").await;
    eventually("the row of the target in the ledger", SOON, async || {
        let status = world.status().await;
        let waits = status["queues"]
            .as_array()
            .is_some_and(|queues| queues.len() == 1 && queues[0]["queue"] == "sync.storage.stock");
        if waits { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    // Without a consumer all messages are ready, so that purging takes all of them.
    worker.stop().await;
    world.broker().purge_queues().await;
    let output = world.pubsync_exits(5, &["wait", "--timeout", "1"]).await;
    assert_eq!(output.stderr, LATE);
    server.start_again().await;
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "60"]).await;
    let held = server.keys().below(world.redis().prefix()).documents().await;
    assert_eq!(held.len(), 1);
    world.pubsync(&["verify"]).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn right_after_wait_the_target_has_it() {
    let world = world("fresh").await;
    world
        .script(&format!(
            "INSERT INTO stock SELECT n, 0 FROM generate_series(2, {ROWS}) AS n"
        ))
        .await;
    world.pubsync(&["apply", "--yes"]).await;
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "60"]).await;
    let mut redis = world.redis().connection().await;
    let prefix = world.redis().prefix();
    let keys: Vec<String> = (1..=ROWS).map(|id| format!("{prefix}stock:{id}")).collect();
    for round in 1..=ROUNDS {
        world
            .script(&format!("UPDATE stock SET quantity = {round}"))
            .await;
        world.pubsync(&["wait", "--timeout", "60"]).await;
        let held = redis.mget(&keys).await.expect("MGET");
        let old = held
            .iter()
            .flatten()
            .filter(|text| !text.ends_with(&format!(",\"quantity\":{round}}}")));
        assert_eq!(
            (held.iter().flatten().count(), old.count()),
            (ROWS, 0),
            "round {round}"
        );
    }
    // Also after a change that changes nothing, and after a delete.
    world
        .script("UPDATE stock SET quantity = quantity; DELETE FROM stock")
        .await;
    world.pubsync(&["wait", "--timeout", "60"]).await;
    let held = redis.mget(&keys).await.expect("MGET");
    assert_eq!(held.iter().flatten().count(), 0);
    worker.stop().await;
}
