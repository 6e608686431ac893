//! All passwords change while workers run, and stand in mounted files: nobody starts anything, and nothing is lost.

use std::time::Duration;

use pubsync_tests::{RedisServer, World, eventually};

const SOON: Duration = Duration::from_secs(90);
const TABLE: &str =
    "CREATE TABLE brand (id bigint PRIMARY KEY, name text NOT NULL); INSERT INTO brand VALUES (1, 'Alder');";
const BRAND: &str = "document: brand\nroot: brand\nkey: \"brand:{id}\"\nbody: { id: id, name: name }\n";

/// Of PostgreSQL, RabbitMQ and Redis.
const FILES: [&str; 3] = ["postgres", "rabbitmq", "redis"];

#[tokio::test(flavor = "multi_thread")]
async fn passwords_change_while_workers_run() {
    let world = World::postgres("rotation").await;
    world.script(TABLE).await;
    world.document("brand", BRAND);
    world.pubsync(&["apply", "--yes"]).await;
    let mut server = RedisServer::start_durable(&world, "redis-1").await;
    world.storage_at(&server.url());
    let role = world.name().to_owned();
    world
        .script(&format!(
            "CREATE ROLE \"{role}\" LOGIN SUPERUSER PASSWORD 'postgres-1'"
        ))
        .await;
    world.broker().admit(&role, "rabbitmq-1").await;
    write(&world, 1);
    world.configure(|config| {
        config
            .replace(
                "//postgres:postgres@",
                &format!("//{role}:${{file:secrets/postgres}}@"),
            )
            .replace(
                "//pubsync:pubsync@",
                &format!("//{role}:${{file:secrets/rabbitmq}}@"),
            )
            .replace(":redis-1@", ":${file:secrets/redis}@")
    });
    let mut worker = world.spawn(&["run"]);
    arrives(&world, &server, "Alder").await;

    // First at the services: what stood is closed, and what is new is refused.
    world.broker().admit(&role, "rabbitmq-2").await;
    server.change_password("redis-2").await;
    world
        .script(&format!("ALTER ROLE \"{role}\" PASSWORD 'postgres-2'"))
        .await;
    world
        .script(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
        ))
        .await;
    world.script("UPDATE brand SET name = 'Birch'").await;
    eventually("a refused login", SOON, async || {
        let log = worker.log();
        if log.contains("password authentication failed") {
            return Ok(());
        }
        Err(log)
    })
    .await;
    write(&world, 2);
    arrives(&world, &server, "Birch").await;
    worker.assert_running();

    // Now the files first, one after the other.
    write(&world, 3);
    world.broker().admit(&role, "rabbitmq-3").await;
    server.change_password("redis-3").await;
    world
        .script(&format!("ALTER ROLE \"{role}\" PASSWORD 'postgres-3'"))
        .await;
    world.script("UPDATE brand SET name = 'Cedar'").await;
    arrives(&world, &server, "Cedar").await;
    assert_eq!(world.pubsync(&["failures"]).await.stdout, "");
    assert!(!worker.log().contains("redis-2"), "a password in the log");
    worker.stop().await;
    world.script(&format!("DROP ROLE \"{role}\"")).await;
    world.broker().dismiss(&role).await;
}

/// The passwords of this round, in their files.
fn write(world: &World, round: u32) {
    for file in FILES {
        world.write(&format!("secrets/{file}"), &format!("{file}-{round}\n"));
    }
}

async fn arrives(world: &World, server: &RedisServer, name: &str) {
    eventually("the change", SOON, async || {
        match server.ask::<Option<String>>("GET brand:1").await? {
            Some(text) if text.contains(name) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    eventually("the change, in the index", SOON, async || {
        match world.search().get("brand", "brand:1").await {
            Some(text) if text.contains(name) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}
