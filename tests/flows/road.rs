//! The road between workers, RabbitMQ, when it takes nothing, loses a queue, or is not there yet.

use std::time::Duration;

use pubsync_tests::proxy::{Mode, Protocol, Proxy};
use pubsync_tests::{Expected, Worker, World, eventually};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(120);

const TABLES: &str = "
    CREATE TABLE brand (id bigint PRIMARY KEY, name text NOT NULL);
    INSERT INTO brand SELECT n, 'brand ' || n FROM generate_series(1, 40) AS n;
";
const BRAND: &str = "document: brand\nroot: brand\nkey: \"brand:{id}\"\nbody: { id: id, name: name }\n";
const EXPECTED: &str = "SELECT 'brand:' || id, json_build_object('id', id, 'name', name)::text FROM brand";

/// A world whose RabbitMQ is behind a proxy, and whose only target is Redis.
async fn world(label: &str) -> (World, Proxy) {
    let world = World::postgres(label).await;
    let rabbitmq = world.services().rabbitmq.clone();
    let (login, place) = rabbitmq.rsplit_once('@').expect("a login");
    let proxy = Proxy::start(Protocol::Amqp, place).await;
    let behind = format!("{login}@{}", proxy.address());
    world.configure(|config| {
        let lines = config
            .replace(&rabbitmq, &behind)
            .lines()
            .filter(|line| !line.trim_start().starts_with("search:"))
            .map(|line| format!("{line}\n"))
            .collect::<String>();
        // The server behind the proxy hears nothing of a client that the proxy stops: it must not miss it.
        let broker = format!("broker: {behind}/{}", world.name());
        lines.replace(&broker, &format!("{broker}?heartbeat=120"))
    });
    world.script(TABLES).await;
    world.document("brand", BRAND);
    world.pubsync(&["apply", "--yes"]).await;
    (world, proxy)
}

/// Waits until the targets have what was committed, and compares.
async fn assert_in_sync(world: &World) {
    world.pubsync(&["wait", "--timeout", "120"]).await;
    let mut found = world.snapshot(&["brand"]).await;
    found.indexes.clear();
    let expected: Expected = world.expected(&[("brand", EXPECTED)]).await;
    found.assert_equals(&expected);
}

/// What `status` says of this once it has it.
async fn until_status<T>(world: &World, what: &str, find: impl Fn(&Value) -> Option<T>) -> T {
    eventually(what, SOON, async || {
        let status = world.status().await;
        find(&status).ok_or_else(|| status.to_string())
    })
    .await
}

/// Why the broker stands still.
fn trouble(status: &Value) -> Option<String> {
    let pauses = status["paused"].as_array()?;
    let of_broker = pauses.iter().find(|pause| pause["subject"] == "broker")?;
    Some(of_broker["reason"].as_str()?.to_owned())
}

/// One number of a row.
async fn count(world: &World, sql: &str) -> i64 {
    let rows = world.session().await.rows(sql).await;
    let text = rows[0][0].as_deref().expect("a number");
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

async fn metrics(worker: &Worker) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let log = worker.log();
    let (_, at) = log.split_once("health and metrics address=").expect("the address");
    let at = at.lines().next().expect("a line").trim();
    let ready = client.get(format!("http://{at}/readyz")).send().await.unwrap();
    assert_eq!(ready.status().as_u16(), 200, "ready whatever the broker does");
    let answer = client.get(format!("http://{at}/metrics")).send().await.unwrap();
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_of_the_broker_stops_the_relay() {
    let (world, proxy) = world("alarm").await;
    let worker = world.spawn(&["run", "--listen", "127.0.0.1:0"]);
    assert_in_sync(&world).await;

    proxy.set(Mode::Alarm);
    // RabbitMQ says it to those who publish only.
    world.script("UPDATE brand SET name = 'first' WHERE id = 1").await;
    let why = until_status(&world, "the pause of the broker", trouble).await;
    assert_eq!(why, "takes no messages now: memory or disk alarm");
    let text = world.pubsync(&["status"]).await.stdout;
    assert!(text.contains(&format!("paused: broker: {why}")), "{text}");
    // What was under way is taken back, and claimed no more.
    let claimed = format!(
        "SELECT count(*) FROM {} WHERE claimed_at IS NOT NULL",
        world.database().own_table("ledger")
    );
    eventually("the end of the claim", SOON, async || {
        match count(&world, &claimed).await {
            0 => Ok(()),
            claims => Err(format!("{claims} claims")),
        }
    })
    .await;
    for id in 2..=6 {
        world
            .script(&format!("UPDATE brand SET name = 'later' WHERE id = {id}"))
            .await;
    }
    eventually("the gauges", SOON, async || {
        let scrape = metrics(&worker).await;
        let has = |line: &str| scrape.lines().any(|found| found == line);
        match has("pubsync_broker_blocked 1") && has("pubsync_outbox_rows 5") {
            true => Ok(()),
            false => Err(scrape),
        }
    })
    .await;
    let outbox = format!("SELECT count(*) FROM {}", world.database().own_table("outbox"));
    assert_eq!(
        (count(&world, &outbox).await, count(&world, &claimed).await),
        (5, 0)
    );

    proxy.set(Mode::Pass);
    assert_in_sync(&world).await;
    until_status(&world, "the end of the pause", |status| {
        (status["in_sync"] == true).then_some(())
    })
    .await;
    assert_eq!(proxy.errors(), Vec::<String>::new());
    worker.stop().await;
}
