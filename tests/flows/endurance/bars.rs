//! How soon it works again: after the broker's port opens, and how long a process takes to end when it is asked to.

use std::time::{Duration, Instant};

use pubsync_tests::{
    Services, World,
    proxy::{Mode, Protocol, Proxy},
};
use redis::AsyncTypedCommands;

use super::{
    Size, assert_equal,
    load::{Load, percentile, watch},
    outage::authority,
    world,
};

const SIZE: Size = Size {
    items: 2_000,
    bytes: 1_024,
};
/// Items that change in one transaction; there are ten a second.
const EACH: u32 = 10;
const ROUNDS: u32 = 10;
/// The broker is away for so long at first, and for so much more in each round: probes come ever more rarely.
const AWAY: Duration = Duration::from_secs(3);
/// What is asked for.
const BACK: Duration = Duration::from_secs(5);
const END: Duration = Duration::from_secs(25);
const LATE: Duration = Duration::from_secs(120);

/// Changes an item that the load leaves alone, and waits until Redis shows it.
async fn arrival(world: &World, stamp: u32) -> Duration {
    let (begun, id) = (Instant::now(), SIZE.items + 1);
    world
        .script(&format!("UPDATE item SET stamp = -{stamp} WHERE id = {id}"))
        .await;
    let key = format!("{}item:{id}", world.redis().prefix());
    let (mut redis, shown) = (world.redis().connection().await, format!("\"stamp\":-{stamp},"));
    while !redis
        .get(&key)
        .await
        .expect("GET")
        .is_some_and(|text| text.contains(&shown))
    {
        assert!(begun.elapsed() < LATE, "the change does not arrive");
    }
    begun.elapsed()
}

/// Prints what was measured; the longest must be below the bar.
fn judge(what: &str, durations: &[Duration], bar: Duration) {
    let milliseconds: Vec<f64> = durations.iter().map(|d| d.as_secs_f64() * 1_000.0).collect();
    let longest = durations.iter().max().copied().unwrap_or_default();
    println!(
        "{what}: {} times, p50 {:.0} ms, longest {} ms (at most {} s)",
        durations.len(),
        percentile(&milliseconds, 50.0),
        longest.as_millis(),
        bar.as_secs()
    );
    assert!(longest < bar, "too slow");
}

async fn prepared(label: &str, configure: impl FnOnce(String) -> String) -> World {
    let world = world(label, SIZE, configure).await;
    world
        .script(&format!(
            "INSERT INTO item VALUES ({}, 0, 'probe')",
            SIZE.items + 1
        ))
        .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make endurance`"]
async fn full_broker_comes_back() {
    let url = Services::from_env().rabbitmq;
    let upstream = authority(&url).to_owned();
    let proxy = Proxy::start(Protocol::Amqp, &upstream).await;
    let address = proxy.address();
    let world = prepared("back", |config| config.replace(&upstream, &address)).await;
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "300"]).await;
    let load = Load::start(&world, SIZE.items, EACH, "").await;
    let mut back = Vec::new();
    for round in 1..=ROUNDS {
        proxy.set(Mode::Refuse);
        watch(AWAY * round, async || {}).await;
        proxy.set(Mode::Pass);
        back.push(arrival(&world, round).await);
    }
    load.stop().await;
    world.pubsync(&["wait", "--timeout", "300"]).await;
    assert_equal(&world).await;
    worker.stop().await;
    judge("the broker's port opens → a change is in Redis", &back, BACK);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make endurance`"]
async fn full_sigterm() {
    let world = prepared("ending", |config| config).await;
    let mut ended = Vec::new();
    let load = Load::start(&world, SIZE.items, EACH * 10, "").await;
    for round in 1..=ROUNDS {
        let worker = world.spawn(&["run"]);
        arrival(&world, round).await;
        let begun = Instant::now();
        let status = worker.sigterm().await;
        ended.push(begun.elapsed());
        assert_eq!(status.code(), Some(0));
    }
    load.stop().await;
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_equal(&world).await;
    judge("SIGTERM under load → the end of the process", &ended, END);
}
