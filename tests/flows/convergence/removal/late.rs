//! Work that is late: it was read or applied before, and meets a removal when it goes on.

use pubsync_schema::{ledger, names::Lane, writeset::Step};
use pubsync_synchronizer::{
    apply,
    message::State,
    settle::Batch,
    target::{Accept, Operation, Outcome, Write},
};
use tokio_util::sync::CancellationToken;

use super::super::scene::{LISTING, PRODUCT, Process, Scene};
use super::{DATA, LISTINGS, assert_gone, finish, keys, step};

/// A batch as a synchronizer read it before it stalled.
pub async fn held_batch(scene: &Scene, key: &str) -> Batch {
    Batch {
        document: "listing".to_owned(),
        target: "local".to_owned(),
        queue: "sync.local.listing".to_owned(),
        lane: Lane::Live,
        ids: vec![1],
        states: vec![State {
            key: key.to_owned(),
            revision: scene.revision("listing", key).await,
            body: Some("{\"name\":\"past\"}".into()),
            remains: None,
        }],
        force: false,
        changed_at: scene.process.street.store.now().await.unwrap(),
        attempts: 0,
        run: None,
    }
}

pub async fn apply_late(process: &Process, batch: &mut Batch) {
    let target = process.street.targets["local"].clone();
    apply::apply(&process.street, &*target, batch, &CancellationToken::new())
        .await
        .unwrap();
}

/// A synchronizer stalled with a message in its hand. When it goes on nothing is left of the document, and the target has
/// forgotten the delete.
async fn a_stalled_synchronizer(scene: Scene) {
    let late = scene.another_process().await;
    let mut batch = held_batch(&scene, "listing:1:de").await;
    // A key that the target does not even show is remembered as deleted too.
    let lost = "DELETE FROM document WHERE key = 'listing:2:de'";
    assert_eq!(scene.target("local").await.execute(lost).await.unwrap(), 1);
    scene
        .apply_removing(&scene.process, &[PRODUCT], &["listing"])
        .await
        .unwrap();
    finish(&scene.process).await;
    assert_gone(&scene, "listing").await;
    let forgotten = scene
        .target("local")
        .await
        .execute("DELETE FROM document WHERE deleted")
        .await;
    assert_eq!(forgotten.unwrap(), 3, "tombstones");

    apply_late(&late, &mut batch).await;
    assert_eq!(keys(&scene, "local").await, ["product:a", "product:b"]);
    // So does one that has heard of the removal, and then meets the message again.
    let mut batch = Batch {
        states: vec![State {
            body: Some("{}".into()),
            ..batch.states[0].clone()
        }],
        ..batch
    };
    apply_late(&scene.process, &mut batch).await;
    assert_eq!(keys(&scene, "local").await, ["product:a", "product:b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_synchronizer_brings_nothing_back_on_postgresql() {
    a_stalled_synchronizer(Scene::postgres("stalled", &[PRODUCT, LISTING], DATA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_synchronizer_brings_nothing_back_on_sqlite() {
    a_stalled_synchronizer(Scene::sqlite("stalled", &[PRODUCT, LISTING], DATA).await).await;
}

/// A synchronizer applies a message when the walk has passed its key and the target has forgotten the delete, and is killed
/// before it settles. Its message stands in the ledger, and the removal waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_waits_for_work_that_is_not_settled() {
    let scene = Scene::postgres("unsettled", &[PRODUCT, LISTING], DATA).await;
    let process = &scene.process;
    let street = &process.street;
    let set = street.definitions.write_set("listing", "local").unwrap();
    scene.uncaptured("UPDATE offer SET price = 9 WHERE id = 3").await;
    process.publish("listing", &["2"]).await;
    let ledger = scene.own("ledger");
    let now = street.store.now().await.unwrap();
    let out = format!("UPDATE {ledger} SET claimed_at = {now}, sent_at = {now}");
    scene.shop.script(&out).await;
    let write = Write {
        key: "listing:2:de".to_owned(),
        revision: scene.revision("listing", "listing:2:de").await,
        operation: Operation::Put("{}".into()),
    };

    scene
        .apply_removing(process, &[PRODUCT], &["listing"])
        .await
        .unwrap();
    for _ in 0..4 {
        process.sweep().await;
        process.refresh().await;
        process.drain_to(1).await;
    }
    let emptying = step(&scene, "listing", "local").await;
    assert!(matches!(emptying, Some(Step::Emptying { .. })), "{emptying:?}");
    let forgotten = scene
        .target("local")
        .await
        .execute("DELETE FROM document WHERE deleted")
        .await;
    assert_eq!(forgotten.unwrap(), 3, "tombstones");
    let target = &street.targets["local"];
    let outcomes = target
        .apply(&set.serving, &[write], Accept::Higher)
        .await
        .unwrap();
    assert_eq!(outcomes, [Outcome::Applied]);

    let ids = [scene.number(&format!("SELECT id FROM {ledger}")).await];
    ledger::unclaim(&street.store, &ids).await.unwrap();
    finish(process).await;
    assert_gone(&scene, "listing").await;
    assert_eq!(keys(&scene, "local").await, ["product:a", "product:b"]);
}

/// The tables are dropped when `apply` has seen that they stand, and before it has stored the definition.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_go_at_the_last_moment_are_made_again() {
    let scene = Scene::postgres("lastmoment", &[PRODUCT, LISTING], DATA).await;
    let process = &scene.process;
    scene.apply_removing(process, &[PRODUCT], &[]).await.unwrap();
    let drop = "CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN DROP TABLE pubsync.mirror_listing, pubsync.root_listing; RETURN NULL; END $$; \
                CREATE TRIGGER gone BEFORE DELETE ON pubsync.removal FOR EACH STATEMENT EXECUTE FUNCTION gone()";
    scene.shop.script(drop).await;
    scene
        .apply_removing(process, &[PRODUCT, LISTING], &[])
        .await
        .unwrap();
    finish(process).await;
    scene.assert_settled("listing", &LISTINGS).await;
}
