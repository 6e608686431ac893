//! Law 9: targets forget what they deleted, so a late message is applied from the mirror's row of now.

use pubsync_schema::ledger::{self, NewEntry};
use pubsync_schema::names::Lane;
use pubsync_synchronizer::apply;
use pubsync_synchronizer::message::{self, Envelope, State};
use pubsync_synchronizer::settle::Batch;
use pubsync_worker::broker::{Outgoing, SendOutcome};
use tokio_util::sync::CancellationToken;

use super::scene::{PRODUCT, Scene};
use super::stop::{Slow, SlowTarget, Stop};

const ONE: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one');";
const QUEUE: &str = "sync.local.product";
const PAST: &str = "{\"name\":\"past\",\"brand\":null,\"offers\":[]}";

/// A message with an older state is with a worker that stalls. The document is deleted, the target deletes it and forgets
/// that it did; then the stalled worker dies, and the message is delivered again.
#[tokio::test(flavor = "multi_thread")]
async fn law_9_a_message_that_is_delivered_again() {
    let scene = Scene::postgres("law9", &[PRODUCT], ONE).await;
    let process = &scene.process;
    scene.uncaptured("UPDATE product SET name = 'past'").await;
    process.publish("product", &["1"]).await;
    let mut stalled = process.street.broker.subscribe(QUEUE, 1).await.unwrap();
    assert_eq!(process.send().await, 1);
    let delivery = stalled.next().await.unwrap();

    scene.uncaptured("DELETE FROM product").await;
    process.publish("product", &["1"]).await;
    process.drain_to(1).await;
    forget(&scene).await;
    drop((delivery, stalled));
    process.drain().await;
    scene.assert_settled("product", &[]).await;
    let held = scene
        .target("local")
        .await
        .rows("SELECT CAST(revision AS text), CAST(deleted AS text) FROM document")
        .await;
    let tombstone = scene.revision("product", "product:a").await.to_string();
    assert_eq!(held, [[Some(tombstone), Some("1".to_owned())]]);
}

/// A message that was under way for longer than a quarter of the time that a target remembers a delete, and one that was
/// sent before: the body in it is not used.
#[tokio::test(flavor = "multi_thread")]
async fn law_9_a_message_that_is_old_or_was_sent_before() {
    let scene = Scene::postgres("law9old", &[PRODUCT], ONE).await;
    let one = "{\"name\":\"one\",\"brand\":null,\"offers\":[]}";
    let revision = scene.revision("product", "product:a").await;
    for (minutes, attempt) in [(16, 0), (0, 1)] {
        forget(&scene).await;
        deliver(&scene, QUEUE, revision - 1, minutes, attempt).await;
        scene.assert_settled("product", &[("product:a", one)]).await;
    }
}

/// The mirror's row was purged meanwhile: then the message is a delete, at the revision that it knew.
#[tokio::test(flavor = "multi_thread")]
async fn law_9_a_message_without_a_row() {
    let scene = Scene::postgres("law9purged", &[PRODUCT], ONE).await;
    let revision = scene.revision("product", "product:a").await;
    scene.shop.script("DELETE FROM pubsync.mirror_product").await;
    deliver(&scene, QUEUE, revision + 1, 0, 1).await;
    scene.assert_settled("product", &[]).await;
    let held = "SELECT CAST(revision AS text), CAST(deleted AS text) FROM document";
    let held = scene.target("local").await.rows(held).await;
    let delete = [Some((revision + 1).to_string()), Some("1".to_owned())];
    assert_eq!(held, [delete]);
}

/// The target has no time for a write. Until it is tried again, the document is deleted, and the target forgets that.
#[tokio::test(flavor = "multi_thread")]
async fn rule_26_a_write_that_is_tried_again() {
    let scene = Scene::postgres("rule26busy", &[PRODUCT], ONE).await;
    let street = scene.process.street.clone();
    scene.uncaptured("UPDATE product SET name = 'past'").await;
    scene.process.publish("product", &["1"]).await;
    let ids = vec![scene.number("SELECT id FROM pubsync.ledger").await];
    let mut batch = Batch {
        document: "product".to_owned(),
        target: "local".to_owned(),
        queue: QUEUE.to_owned(),
        lane: Lane::Live,
        ids,
        states: vec![State {
            key: "product:a".to_owned(),
            revision: scene.revision("product", "product:a").await,
            body: Some(PAST.into()),
            remains: None,
        }],
        force: false,
        changed_at: street.store.now().await.unwrap(),
        attempts: 0,
        run: None,
    };
    let stop = Stop::default();
    let busy = SlowTarget {
        inner: street.targets["local"].clone(),
        at: Slow::Apply,
        stop: stop.clone(),
    };
    let never = CancellationToken::new();
    let applying = tokio::spawn(async move { apply::apply(&street, &busy, &mut batch, &never).await });
    stop.reached().await;
    scene.uncaptured("DELETE FROM product").await;
    scene.process.publish("product", &["1"]).await;
    forget(&scene).await;
    stop.open();
    applying.await.unwrap().unwrap();
    let shown = "SELECT CAST(deleted AS text) FROM document";
    assert_eq!(
        scene.target("local").await.rows(shown).await,
        [[Some("1".to_owned())]]
    );
    scene.process.drain().await;
    scene.assert_settled("product", &[]).await;
}

/// The target holds nothing and remembers no delete.
async fn forget(scene: &Scene) {
    let forgotten = scene.target("local").await.execute("DELETE FROM document").await;
    assert!(forgotten.is_ok_and(|rows| rows > 0));
}

/// Puts a message with the past in it on the sync queue, with a ledger row, and waits until it is settled.
pub async fn deliver(scene: &Scene, queue: &str, revision: i64, minutes: i64, attempt: i64) {
    let street = &scene.process.street;
    let changed_at = street.store.now().await.unwrap() - minutes * 60_000_000;
    let entry = NewEntry {
        queue: queue.to_owned(),
        document: "product".to_owned(),
        target: Some("local".to_owned()),
        lane: Lane::Live,
        payload: "{}".to_owned(),
        items: 1,
        definition: 1,
        run: None,
        changed_at,
        attempts: attempt,
        trace: None,
        claimed: true,
    };
    let ids = ledger::insert(&street.store.write, &street.store, &[entry])
        .await
        .unwrap();
    let envelope = Envelope {
        id: ids[0],
        document: "product",
        attempt,
        changed_at,
        run: None,
    };
    let past = State {
        key: "product:a".to_owned(),
        revision,
        body: Some(PAST.into()),
        remains: None,
    };
    let body = message::items(&envelope, "local", false, &[past], 1 << 20).unwrap();
    let message = Outgoing {
        id: ids[0],
        queue: queue.to_owned(),
        body,
        trace: None,
    };
    let sent = street.broker.send(&[message]).await.unwrap();
    assert_eq!(sent, [SendOutcome::Confirmed]);
    scene.process.drain().await;
}
