//! The road between workers, RabbitMQ, when it takes nothing, loses a queue, or is not there yet.

use std::time::Duration;

use pubsync_tests::proxy::{At, Mode, Protocol, Proxy, Rule, Side, Then};
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
    world.without_search();
    world.configure(|config| {
        // The server behind the proxy hears nothing of a client that the proxy stops: it must not miss it.
        let broker = format!("broker: {behind}/{}", world.name());
        let config = config.replace(&rabbitmq, &behind);
        config.replace(&broker, &format!("{broker}?heartbeat=120"))
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
    world.session().await.number(sql).await
}

async fn metrics(worker: &Worker) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let log = worker.log();
    let (_, at) = log
        .split_once("health and metrics address=")
        .expect("the address");
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

/// Whatever is up first: a worker says what it waits for, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn the_order_in_which_services_start_does_not_matter() {
    let world = World::postgres("order").await;
    world.script(TABLES).await;
    world.document("brand", BRAND);
    world.pubsync(&["apply", "--yes"]).await;
    let services = world.services().clone();
    let place = |url: &str| {
        let rest = url.split_once("://").expect("a scheme").1;
        let rest = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        rest.split('/').next().expect("a place").to_owned()
    };
    let mut proxies = Vec::new();
    for (protocol, url) in [
        (Protocol::Postgres, &services.postgres),
        (Protocol::Amqp, &services.rabbitmq),
        (Protocol::Resp, &services.redis),
        (Protocol::Http, &services.opensearch),
    ] {
        let proxy = Proxy::start(protocol, &place(url)).await;
        proxy.set(Mode::Refuse);
        world.configure(|config| config.replace(&place(url), &proxy.address()));
        proxies.push(proxy);
    }
    let [postgres, rabbitmq, redis, opensearch] = &proxies[..] else {
        panic!("four services")
    };

    let worker = world.spawn(&["run"]);
    eventually("the database in the log", SOON, async || {
        let (log, address) = (worker.log(), postgres.address());
        let told = log
            .lines()
            .any(|line| line.contains("waiting: ") && line.contains(&address));
        if told { Ok(()) } else { Err(log) }
    })
    .await;
    postgres.set(Mode::Pass);
    // Each of the others by its address, in what `status` says.
    for (subject, address) in [
        (serde_json::json!("broker"), "no address"),
        (serde_json::json!({ "target": "storage" }), &redis.address()),
        (serde_json::json!({ "target": "search" }), &opensearch.address()),
    ] {
        let pause = until_status(&world, &format!("the pause of {subject}"), |status| {
            let mut pauses = status["paused"].as_array()?.iter();
            pauses.find(|pause| pause["subject"] == subject).cloned()
        })
        .await;
        let reason = pause["reason"].as_str().expect("a reason");
        assert!(subject == "broker" || reason.contains(address), "{reason}");
        assert!(pause["since"].as_i64().is_some_and(|since| since > 0), "{pause}");
    }
    assert!(worker.log().contains(&rabbitmq.address()), "{}", worker.log());
    world.script("UPDATE brand SET name = 'early' WHERE id = 1").await;
    for proxy in [opensearch, redis, rabbitmq] {
        proxy.set(Mode::Pass);
    }
    world.pubsync(&["wait", "--timeout", "120"]).await;
    let expected: Expected = world.expected(&[("brand", EXPECTED)]).await;
    world.snapshot(&["brand"]).await.assert_equals(&expected);
    worker.stop().await;
}

/// OpenSearch has too much to do: it is left alone, nothing is counted as an attempt, and all arrives afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_has_too_much_to_do_is_left_alone() {
    let world = World::postgres("busy").await;
    let url = world.services().opensearch.clone();
    let place = url.split_once("://").expect("a scheme").1.to_owned();
    let proxy = Proxy::start(Protocol::Http, &place).await;
    world.configure(|config| {
        let behind = config.replace(&place, &proxy.address());
        // A slow machine shall not take a message for lost.
        behind.replace("resend_after: 3", "resend_after: 600")
    });
    world.script(TABLES).await;
    world.document("brand", BRAND);
    world.pubsync(&["apply", "--yes"]).await;
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "120"]).await;
    let subject = serde_json::json!({ "target": "search" });
    for (then, told) in [
        (Then::Status(429), "429"),
        (Then::RefuseItems, "rejected_execution_exception"),
    ] {
        let busy = proxy.arm(
            Rule::new(Side::Client, "POST _bulk", At::Before, then),
            usize::MAX,
        );
        world.script("UPDATE brand SET name = name || '!'").await;
        let reason = until_status(&world, "the pause of the target", |status| {
            let mut pauses = status["paused"].as_array()?.iter();
            let pause = pauses.find(|pause| pause["subject"] == subject)?;
            Some(pause["reason"].as_str()?.to_owned())
        })
        .await;
        assert!(reason.contains(told), "{reason}");
        // It is asked again and again.
        let asked = busy.count();
        eventually("three more probes", SOON, async || match busy.count() {
            count if count >= asked + 3 => Ok(()),
            count => Err(format!("{count}")),
        })
        .await;
        let ledger = world.database().own_table("ledger");
        let attempts = count(
            &world,
            &format!("SELECT coalesce(max(attempts), 0) FROM {ledger}"),
        )
        .await;
        assert_eq!(attempts, 0, "an attempt was counted");
        drop(busy);
        world.pubsync(&["wait", "--timeout", "120"]).await;
    }
    let expected: Expected = world.expected(&[("brand", EXPECTED)]).await;
    world.snapshot(&["brand"]).await.assert_equals(&expected);
    until_status(&world, "the end of the pause", |status| {
        (status["in_sync"] == true && status["failures"] == serde_json::json!([])).then_some(())
    })
    .await;
    worker.stop().await;
}
