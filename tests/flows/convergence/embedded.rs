//! One process with SQLite and the broker inside: its messages die with it, its ledger does not.

use std::sync::Arc;

use pubsync_worker::broker::{Broker, memory::MemoryBroker};

use super::scene::{PRODUCT, Process, Scene, connect};

const ONE: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one');";

/// Messages are out when the process dies. The next one has a broker of its own: rows that another one was sent through
/// count as unsent, at once, though their time has not run out and the queues are there.
#[tokio::test(flavor = "multi_thread")]
async fn rule_10_the_process_starts_again() {
    let scene = Scene::sqlite("rule10", &[PRODUCT], ONE).await;
    scene.shop.script("UPDATE product SET name = 'new'").await;
    scene.process.relay().await;
    assert_eq!(scene.process.send().await, 1);

    let broker = MemoryBroker::new(100);
    broker.declare(&["publish.product".to_owned()]).await.unwrap();
    let store = connect(&scene.shop, 2).await;
    let again = Process::start(store, Arc::new(broker), scene.process.street.targets.clone()).await;
    assert_eq!(again.send().await, 0, "it counts as sent");
    again.sweep().await;
    assert_eq!(again.send().await, 1);
    again.sweep().await;
    assert_eq!(again.send().await, 0, "this broker still holds it");
    again.drain().await;
    let new = "{\"name\":\"new\",\"brand\":null,\"offers\":[]}";
    scene.assert_settled("product", &[("product:a", new)]).await;
}
