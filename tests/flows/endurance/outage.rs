//! A target that does not take writes for a while, under load: no attempt is burnt, no memory is filled, and everything
//! arrives afterwards.

use std::time::{Duration, Instant};

use pubsync_tests::{
    World,
    proxy::{Armed, At, Mode, Protocol, Proxy, Rule, Side, Then},
};

use super::{
    Size, assert_equal,
    load::{Load, watch},
    number, world,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nobody listens where Redis was.
    RedisDown,
    /// OpenSearch answers 429 to every `_bulk`.
    TooManyRequests,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    size: Size,
    /// Items that change in one transaction; there are ten a second.
    each: u32,
    length: Duration,
    /// What a process may hold more after the outage than before it, in MiB.
    growth: u64,
}

const SMALL: Plan = Plan {
    size: Size {
        items: 500,
        bytes: 1_024,
    },
    each: 5,
    length: Duration::from_secs(10),
    growth: 64,
};

const FULL: Plan = Plan {
    size: Size {
        items: 20_000,
        bytes: 2_048,
    },
    each: 30,
    length: Duration::from_secs(60),
    growth: 32,
};

/// What stands between the product and the target.
struct Outage {
    kind: Kind,
    proxy: Proxy,
    armed: Option<Armed>,
}

impl Outage {
    async fn prepare(kind: Kind, upstream: &str) -> Self {
        let protocol = match kind {
            Kind::RedisDown => Protocol::Resp,
            Kind::TooManyRequests => Protocol::Http,
        };
        Self {
            kind,
            proxy: Proxy::start(protocol, upstream).await,
            armed: None,
        }
    }

    fn begin(&mut self) {
        match self.kind {
            Kind::RedisDown => self.proxy.set(Mode::Refuse),
            Kind::TooManyRequests => {
                let rule = Rule::new(Side::Client, "POST _bulk", At::Before, Then::Status(429));
                self.armed = Some(self.proxy.arm(rule, usize::MAX));
            }
        }
    }

    fn end(&mut self) {
        self.proxy.set(Mode::Pass);
        if let Some(armed) = self.armed.take() {
            assert!(armed.count() > 0, "nothing was answered with 429");
        }
    }
}

/// Host and port of a URL.
pub(super) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?']).next().unwrap_or(rest);
    rest.rsplit('@').next().unwrap_or(rest)
}

struct Seen {
    /// Items a second into both targets, when all of them change at once.
    throughput: f64,
    /// Documents that waited for the target when it came back.
    backlog: i64,
    /// From then until everything was there.
    converged: Duration,
    /// MiB before the outage and at its end.
    memory: (u64, u64),
}

async fn outage(kind: Kind, plan: Plan) -> Seen {
    let services = pubsync_tests::Services::from_env();
    let (url, target) = match kind {
        Kind::RedisDown => (services.redis, "storage"),
        Kind::TooManyRequests => (services.opensearch, "search"),
    };
    let upstream = authority(&url).to_owned();
    let mut outage = Outage::prepare(kind, &upstream).await;
    let address = outage.proxy.address();
    let through = url.replace(&upstream, &address);
    // What was sent is not sent again so soon that a slow machine could meet it.
    let configure = |config: String| {
        config
            .replace(&url, &through)
            .replace("resend_after: 3", "resend_after: 60")
    };
    let world = world("outage", plan.size, configure).await;
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "600"]).await;
    let begun = Instant::now();
    world.script("UPDATE item SET stamp = stamp + 1").await;
    world.pubsync(&["wait", "--timeout", "600"]).await;
    let throughput = f64::from(plan.size.items) / begun.elapsed().as_secs_f64();

    let load = Load::start(&world, plan.size.items, plan.each, "").await;
    watch(plan.length / 4, async || {}).await;
    let before = worker.memory().now;
    outage.begin();
    let mut during = 0;
    watch(plan.length, async || during = during.max(worker.memory().now)).await;
    let after = worker.memory().now;
    assert_nothing_burnt(&world, target).await;
    let transactions = load.transactions();
    load.stop().await;
    let backlog = number(
        &world,
        &format!("SELECT coalesce(sum(items), 0)::bigint FROM pubsync.ledger WHERE target = '{target}'"),
    )
    .await;
    assert!(backlog > 0, "nothing waited for {target}");
    outage.end();
    let begun = Instant::now();
    world.pubsync(&["wait", "--timeout", "600"]).await;
    let converged = begun.elapsed();
    println!("{transactions} transactions; at most {during} KiB while it was away");
    assert_eq!(world.pubsync(&["failures"]).await.stdout, "");
    assert_equal(&world).await;
    assert!(outage.proxy.errors().is_empty(), "{:?}", outage.proxy.errors());
    worker.stop().await;
    let memory = (before / 1_024, after.max(during) / 1_024);
    let (least, most) = memory;
    assert!(most <= least + plan.growth, "{least} MiB became {most} MiB");
    Seen {
        throughput,
        backlog,
        converged,
        memory,
    }
}

/// What waits was not tried in vain: no second copies of it, and nothing that failed.
async fn assert_nothing_burnt(world: &World, target: &str) {
    let failures = number(world, "SELECT count(*) FROM pubsync.failure").await;
    let attempts = format!("SELECT coalesce(max(attempts), 0) FROM pubsync.ledger WHERE target = '{target}'");
    assert_eq!(
        (failures, number(world, &attempts).await),
        (0, 0),
        "failures and attempts"
    );
    let status = world.status().await;
    let paused = status["paused"].to_string();
    assert!(
        paused.contains(target),
        "{target} is not known to be away: {status}"
    );
}

async fn measure(kind: Kind) {
    let seen = outage(kind, FULL).await;
    let bound = seen.backlog as f64 / seen.throughput + 10.0;
    println!(
        "{kind:?} for {} s: {:.0} items/s into both targets; {} documents waited; all there after {:.1} s (at most {bound:.1}); \
         memory {} → {} MiB; no attempt counted",
        FULL.length.as_secs(),
        seen.throughput,
        seen.backlog,
        seen.converged.as_secs_f64(),
        seen.memory.0,
        seen.memory.1,
    );
    assert!(seen.converged.as_secs_f64() <= bound, "too slow");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes in a debug build on a busy machine; see `make endurance`"]
async fn redis_is_down_for_a_while() {
    outage(Kind::RedisDown, SMALL).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes in a debug build on a busy machine; see `make endurance`"]
async fn opensearch_has_too_many_requests_for_a_while() {
    outage(Kind::TooManyRequests, SMALL).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make endurance`"]
async fn full_redis_is_down() {
    measure(Kind::RedisDown).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make endurance`"]
async fn full_opensearch_has_too_many_requests() {
    measure(Kind::TooManyRequests).await;
}
