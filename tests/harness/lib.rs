//! What a flow test stands on: a world of its own on the shared services, the product's binary as a child process,
//! and readers of everything that the product writes.
//!
//! ```text
//! let world = World::postgres("orders").await;         // database, virtual host, prefixes, pubsync.yaml
//! world.script("CREATE TABLE …").await;
//! world.document("order", "document: order\n…");
//! world.pubsync(&["apply", "--yes"]).await;            // panics unless it exits 0
//! let publisher = world.spawn(&["run", "publisher"]);  // killed when dropped
//! world.pubsync(&["wait", "--timeout", "60"]).await;
//! world.snapshot(&["order"]).await.assert_equals(&expected);
//! ```
//!
//! Declare workers after their world: they then die first. A world takes away all that it made, also when the test
//! fails; then it shows the logs of its processes and keeps its folder.

// A harness fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod broker;
mod database;
mod eventually;
mod http;
mod json;
pub mod json_schema;
pub mod mutant;
pub mod naive;
mod opensearch;
mod process;
pub mod proxy;
mod random;
mod redis_server;
mod redis_store;
mod scratch;
mod services;
mod snapshot;
mod world;

pub use broker::{Tapped, VirtualHost};
pub use database::{Database, Session};
pub use eventually::eventually;
pub use json::Json;
pub use opensearch::SearchIndexes;
pub use process::{Output, Worker, binary};
pub use random::Random;
pub use redis_server::{RedisServer, free_port};
pub use redis_store::RedisKeys;
pub use scratch::Scratch;
pub use services::Services;
pub use snapshot::{Documents, Expected, Snapshot, Stored};
pub use world::World;
