//! Faults of the network, at the moments that matter.

use std::time::Duration;

use pubsync_tests::{
    World,
    proxy::{At, Mode, Protocol, Proxy, Rule, Side, Then},
};

use super::{Arena, Fault};
use crate::pace;

/// How long a frame is waited for; some are rare, such as those of a new connection.
const MET: Duration = Duration::from_secs(10);
const SOME: Duration = Duration::from_secs(4);
/// How long a service answers so. Longer than the product tries at once.
const STORM: Duration = Duration::from_secs(9);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Postgres,
    RabbitMq,
    Redis,
    OpenSearch,
}

impl Service {
    /// As `docker/services` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::RabbitMq => "rabbitmq",
            Self::Redis => "redis",
            Self::OpenSearch => "opensearch",
        }
    }
}

const fn wire(service: Service, side: Side, frame: &'static str, at: At, then: Then) -> Fault {
    Fault::Wire(
        service,
        Rule {
            side,
            frame,
            at,
            then,
        },
    )
}

use At::{After, Answer, Before, Half};
use Service::{OpenSearch, Postgres, RabbitMq, Redis};
use Side::{Client, Server};
use Then::{Delay, Finish, Hole, RefuseItems, Reset, Status};

/// Faults at frames, by the names of the report.
pub(super) const WIRES: &[(&str, Fault)] = &[
    (
        "PostgreSQL: COMMIT not sent, RST",
        wire(Postgres, Client, "Q COMMIT", Before, Reset),
    ),
    (
        "PostgreSQL: COMMIT sent, answer lost",
        wire(Postgres, Client, "Q COMMIT", Answer, Reset),
    ),
    (
        "PostgreSQL: half a COMMIT, FIN",
        wire(Postgres, Client, "Q COMMIT", Half, Finish),
    ),
    (
        "PostgreSQL: COMMIT into a black hole",
        wire(Postgres, Client, "Q COMMIT", After, Hole(SOME)),
    ),
    ("PostgreSQL: half a row", wire(Postgres, Server, "D", Half, Reset)),
    (
        "PostgreSQL: statement without answer",
        wire(Postgres, Client, "B", Answer, Finish),
    ),
    (
        "RabbitMQ: publish not sent",
        wire(RabbitMq, Client, "basic.publish", Before, Reset),
    ),
    (
        "RabbitMQ: half a body",
        wire(RabbitMq, Client, "content body", Half, Reset),
    ),
    (
        "RabbitMQ: publish sent, FIN",
        wire(RabbitMq, Client, "content body", After, Finish),
    ),
    (
        "RabbitMQ: confirm lost",
        wire(RabbitMq, Server, "basic.ack", Before, Reset),
    ),
    (
        "RabbitMQ: confirm into a black hole",
        wire(RabbitMq, Server, "basic.ack", Before, Hole(SOME)),
    ),
    (
        "RabbitMQ: half a delivery",
        wire(RabbitMq, Server, "basic.deliver", Half, Reset),
    ),
    (
        "RabbitMQ: delivered, RST",
        wire(RabbitMq, Server, "content body", After, Reset),
    ),
    (
        "RabbitMQ: acknowledgement lost",
        wire(RabbitMq, Client, "basic.ack", Before, Reset),
    ),
    (
        "RabbitMQ: acknowledged, FIN",
        wire(RabbitMq, Client, "basic.ack", After, Finish),
    ),
    (
        "Redis: call not sent",
        wire(Redis, Client, "FCALL", Before, Reset),
    ),
    ("Redis: half a call", wire(Redis, Client, "FCALL", Half, Finish)),
    (
        "Redis: call applied, answer lost",
        wire(Redis, Client, "FCALL", Answer, Reset),
    ),
    (
        "Redis: answer late",
        wire(Redis, Client, "FCALL", Before, Delay(SOME)),
    ),
    (
        "Redis: answer into a black hole",
        wire(Redis, Client, "FCALL", Answer, Hole(SOME)),
    ),
    (
        "OpenSearch: bulk not sent",
        wire(OpenSearch, Client, "POST _bulk", Before, Reset),
    ),
    (
        "OpenSearch: half a bulk",
        wire(OpenSearch, Client, "POST _bulk", Half, Reset),
    ),
    (
        "OpenSearch: bulk applied, answer lost",
        wire(OpenSearch, Client, "POST _bulk", Answer, Reset),
    ),
    (
        "OpenSearch: bulk applied, 503",
        wire(OpenSearch, Client, "POST _bulk", Answer, Status(503)),
    ),
    (
        "OpenSearch: 429",
        wire(OpenSearch, Client, "POST _bulk", Before, Status(429)),
    ),
    (
        "OpenSearch: 429 for each item",
        wire(OpenSearch, Client, "POST _bulk", Before, RefuseItems),
    ),
    (
        "OpenSearch: 503",
        wire(OpenSearch, Client, "POST _bulk", Before, Status(503)),
    ),
    (
        "OpenSearch: bulk late",
        wire(OpenSearch, Client, "POST _bulk", Before, Delay(SOME)),
    ),
    ("PostgreSQL unreachable", Fault::Cut(Postgres, Mode::Refuse)),
    ("RabbitMQ unreachable", Fault::Cut(RabbitMq, Mode::Refuse)),
    ("Redis unreachable", Fault::Cut(Redis, Mode::Refuse)),
    ("OpenSearch unreachable", Fault::Cut(OpenSearch, Mode::Refuse)),
    ("PostgreSQL silent", Fault::Cut(Postgres, Mode::Hole)),
    ("RabbitMQ silent", Fault::Cut(RabbitMq, Mode::Hole)),
    ("Redis silent", Fault::Cut(Redis, Mode::Hole)),
    ("OpenSearch silent", Fault::Cut(OpenSearch, Mode::Hole)),
];

/// A proxy before each service.
pub struct Wires {
    postgres: Proxy,
    rabbitmq: Proxy,
    redis: Proxy,
    opensearch: Proxy,
}

impl Wires {
    /// Starts them, and has the workers' configuration name them instead of the services.
    pub async fn start(world: &World, redis: &str) -> Self {
        let services = world.services();
        let addresses = [
            &services.postgres,
            &services.rabbitmq,
            redis,
            &services.opensearch,
        ]
        .map(authority);
        let wires = Self {
            postgres: Proxy::start(Protocol::Postgres, addresses[0]).await,
            rabbitmq: Proxy::start(Protocol::Amqp, addresses[1]).await,
            redis: Proxy::start(Protocol::Resp, addresses[2]).await,
            opensearch: Proxy::start(Protocol::Http, addresses[3]).await,
        };
        world.configure(|mut config| {
            for (address, proxy) in addresses.iter().zip(wires.all()) {
                config = config.replace(address, &proxy.address());
            }
            config
        });
        wires
    }

    fn all(&self) -> [&Proxy; 4] {
        [&self.postgres, &self.rabbitmq, &self.redis, &self.opensearch]
    }

    fn of(&self, service: Service) -> &Proxy {
        match service {
            Service::Postgres => &self.postgres,
            Service::RabbitMq => &self.rabbitmq,
            Service::Redis => &self.redis,
            Service::OpenSearch => &self.opensearch,
        }
    }

    /// What came by that no framer understood.
    pub fn errors(&self) -> Vec<String> {
        self.all().iter().flat_map(|proxy| proxy.errors()).collect()
    }

    /// So many times, on whatever connections it meets; a storm of answers lasts. Returns whether it met one.
    pub async fn cut_at(&self, service: Service, rule: Rule, times: usize) -> bool {
        let storm = rule.at == Before && matches!(rule.then, Status(_) | RefuseItems);
        let times = if storm { usize::MAX } else { times };
        let mut armed = self.of(service).arm(rule, times);
        let met = tokio::time::timeout(MET, armed.fired()).await.is_ok();
        match rule.then {
            Hole(length) | Delay(length) if met => pace::pause(length).await,
            _ if met && storm => pace::pause(STORM).await,
            _ => {}
        }
        met
    }
}

/// Host and port.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    host.rsplit('@').next().unwrap_or_default()
}

impl Arena<'_> {
    pub(super) async fn cut_off(&mut self, service: Service, mode: Mode) -> bool {
        self.wires.of(service).set(mode);
        self.a_while().await;
        self.wires.of(service).set(Mode::Pass);
        true
    }
}
