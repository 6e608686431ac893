//! What the broker has put aside, because it was given out so often without an answer, is sent again at once.

use std::time::Duration;

use pubsync_tests::{Tapped, World, eventually};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);
const TABLE: &str =
    "CREATE TABLE brand (id bigint PRIMARY KEY, name text NOT NULL); INSERT INTO brand VALUES (1, 'Alder');";
const BRAND: &str = "document: brand\nroot: brand\nkey: \"brand:{id}\"\nbody: { id: id, name: name }\n";

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_sent_again() {
    let world = World::postgres("letters").await;
    // Whatever comes back within a minute comes back because of the letter.
    world.configure(|config| config.replace("resend_after: 3", "resend_after: 3600"));
    world.script(TABLE).await;
    world.document("brand", BRAND);
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;

    // A row whose work is done, and what is no message.
    for payload in ["eyJ2IjoxLCJpZCI6MX0=", "bm90aGluZw=="] {
        let letter = Tapped {
            queue: "dead".to_owned(),
            properties: serde_json::json!({ "delivery_mode": 2 }),
            payload: payload.to_owned(),
        };
        world.broker().publish(&letter).await;
    }
    let relay = world.spawn(&["run", "relay"]);
    world.script("UPDATE brand SET name = 'Birch'").await;
    eventually("the message, handed out too often", SOON, async || {
        // Each look hands it out once.
        let (handed, again) = (world.broker().messages().await, attempts(&world).await);
        if again > 0 {
            return Ok(());
        }
        Err(format!("{handed:?}"))
    })
    .await;
    let workers = world.spawn(&["run", "publisher", "synchronizer"]);
    eventually("the change", SOON, async || {
        match world.redis().documents().await.get("brand:1") {
            Some(stored) if format!("{:?}", stored.body).contains("Birch") => Ok(()),
            other => Err(format!("{other:?}, {}", world.status().await)),
        }
    })
    .await;
    eventually("no letters", SOON, async || {
        let queues = world.broker().queues().await;
        match queues.iter().find(|(name, _)| name == "dead") {
            Some((_, 0)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let failures = world.pubsync(&["failures", "ls", "--json"]).await.stdout;
    let failures: Value = serde_json::from_str(&failures).expect("groups");
    assert_eq!(
        (failures.as_array().map(Vec::len), &failures[0]["class"]),
        (Some(1), &Value::from("unreadable"))
    );
    relay.stop().await;
    workers.stop().await;
}

/// How often the open messages were given back; 0 where none is open.
async fn attempts(world: &World) -> i64 {
    let sql = "SELECT coalesce(max(attempts), 0) FROM pubsync.ledger";
    world.session().await.number(sql).await
}
