//! What is declared no more takes its entries, queues and tables along, once somebody has agreed.

use std::{collections::BTreeMap, sync::Arc};

use pubsync_publisher::operate::remains::{AtTarget, Fate};
use pubsync_schema::{
    failure::{self, NewFailure, Stage},
    inventory, pause,
    writeset::Step,
};
use pubsync_synchronizer::{moving, status};
use pubsync_tests::eventually;
use pubsync_worker::broker::memory::MemoryBroker;

use self::late::{apply_late, held_batch};
use super::scene::{LISTING, MINUTE, PRODUCT, Process, Scene, connect};

mod late;
mod targets;

const DATA: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one'), (2, NULL, 'b', 'two');
    INSERT INTO offer VALUES (1, 1, 'de', 1), (2, 1, 'at', 2), (3, 2, 'de', 3);";

const LISTINGS: [(&str, &str); 3] = [
    ("listing:1:at", "{\"name\":\"one\",\"price\":2}"),
    ("listing:1:de", "{\"name\":\"one\",\"price\":1}"),
    ("listing:2:de", "{\"name\":\"two\",\"price\":3}"),
];

/// Everything that is left to do is done.
pub async fn finish(process: &Process) {
    eventually("the end of the removal", MINUTE, async || {
        process.refresh().await;
        process.drain().await;
        process.sweep().await;
        match moving::is_due(&process.street.store, &[]).await.unwrap() {
            false => Ok(()),
            true => Err("something is left".to_owned()),
        }
    })
    .await;
}

/// Keys that readers of a local target find.
async fn keys(scene: &Scene, target: &str) -> Vec<String> {
    let sql = "SELECT key FROM document WHERE NOT deleted ORDER BY key";
    let rows = scene.target(target).await.rows(sql).await;
    rows.into_iter().map(|row| row[0].clone().unwrap()).collect()
}

async fn step(scene: &Scene, document: &str, target: &str) -> Option<Step> {
    let street = &scene.process.street;
    street.definitions.refresh(&street.store).await.unwrap();
    let sets = street.definitions.write_sets();
    sets[&(document.to_owned(), target.to_owned())].removal_step()
}

/// No table, row or queue is left of the document.
async fn assert_nothing_is_left(scene: &Scene, document: &str) {
    let street = &scene.process.street;
    let tables = inventory::tables(&street.store.read, &street.store)
        .await
        .unwrap();
    let own: Vec<_> = tables
        .iter()
        .filter(|table| table.ends_with(&format!("_{document}")))
        .collect();
    assert!(own.is_empty(), "{own:?}");
    for table in ["ledger", "failure", "removal", "definition"] {
        let table = scene.own(table);
        let sql = format!("SELECT count(*) FROM {table} WHERE document = '{document}'");
        assert_eq!(scene.number(&sql).await, 0, "{table}");
    }
    assert_eq!(status::status(&street.store).await.unwrap().removals, []);
}

/// As [`assert_nothing_is_left`], at the broker too.
async fn assert_gone(scene: &Scene, document: &str) {
    assert_nothing_is_left(scene, document).await;
    let broker = &scene.process.street.broker;
    for queue in ["publish.", "sync.local.", "sync.other."].map(|queue| format!("{queue}{document}")) {
        for queue in [queue.clone(), format!("{queue}.bulk")] {
            assert_eq!(broker.depth(&queue).await.unwrap(), None, "{queue}");
        }
    }
}

async fn a_removed_document(scene: Scene) {
    let process = &scene.process;
    let all = [
        "listing:1:at",
        "listing:1:de",
        "listing:2:de",
        "product:a",
        "product:b",
    ];
    assert_eq!(keys(&scene, "local").await, all);
    // Without a word nothing of it goes, and nobody does anything.
    let (plan, report) = scene.apply_removing(process, &[PRODUCT], &[]).await.unwrap();
    assert_eq!((plan.remains[0].fate, plan.remains[0].live), (Fate::Stays, 3));
    assert_eq!(
        (report.kept, report.leaving),
        (vec!["listing".to_owned()], vec![])
    );
    finish(process).await;
    assert_eq!(keys(&scene, "local").await, all);
    assert_eq!(scene.mirror("listing").await.len(), 3);

    // A key that the mirror does not know.
    let mirror = scene.own("mirror_listing");
    scene
        .shop
        .script(&format!("DELETE FROM {mirror} WHERE key = 'listing:1:at'"))
        .await;
    let (plan, report) = scene
        .apply_removing(process, &[PRODUCT], &["listing"])
        .await
        .unwrap();
    assert_eq!(plan.remains[0].fate, Fate::Goes);
    assert_eq!(
        plan.remains[0].targets,
        BTreeMap::from([("local".to_owned(), AtTarget::Holds)])
    );
    assert_eq!(
        (report.kept, report.leaving),
        (vec![], vec!["listing".to_owned()])
    );
    let status = status::status(&process.street.store).await.unwrap();
    assert_eq!(status.sentence, "not in sync: listing is being taken away");
    finish(process).await;
    assert_eq!(keys(&scene, "local").await, ["product:a", "product:b"]);
    assert_gone(&scene, "listing").await;

    // The other document goes on, and a second `apply` has nothing to do.
    let (plan, _) = scene
        .apply_removing(process, &[PRODUCT], &["listing"])
        .await
        .unwrap();
    assert!(plan.is_empty() && plan.remains.is_empty(), "{plan:?}");
    scene.shop.script("UPDATE product SET name = 'new' WHERE id = 1; DELETE FROM offer WHERE product_id = 2; DELETE FROM product WHERE id = 2").await;
    process.drain().await;
    let new = "{\"name\":\"new\",\"brand\":null,\"offers\":[1,2]}";
    scene.assert_settled("product", &[("product:a", new)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_document_on_postgresql() {
    a_removed_document(Scene::postgres("removed", &[PRODUCT, LISTING], DATA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_document_on_sqlite() {
    a_removed_document(Scene::sqlite("removed", &[PRODUCT, LISTING], DATA).await).await;
}

/// Processes that die after every single thing that they do, each with a broker of its own that dies with it.
async fn killed_all_the_time(scene: Scene) {
    scene
        .apply_removing(&scene.process, &[PRODUCT], &["listing"])
        .await
        .unwrap();
    let street = &scene.process.street;
    let mut lives = 0;
    while moving::is_due(&street.store, &[]).await.unwrap() {
        lives += 1;
        assert!(lives < 200, "{:?}", step(&scene, "listing", "local").await);
        let (store, broker) = (connect(&scene.shop, 2).await, Arc::new(MemoryBroker::new(100)));
        let process = Process::start(store, broker, street.targets.clone()).await;
        process.sweep().await;
        match lives % 3 {
            0 => process.drain().await,
            1 => drop(process.send().await),
            _ => {}
        }
    }
    assert!(lives > 3, "it took {lives} lives");
    assert_eq!(keys(&scene, "local").await, ["product:a", "product:b"]);
    assert_nothing_is_left(&scene, "listing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_goes_on_after_kills_on_postgresql() {
    killed_all_the_time(Scene::postgres("killedremoval", &[PRODUCT, LISTING], DATA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_goes_on_after_kills_on_sqlite() {
    killed_all_the_time(Scene::sqlite("killedremoval", &[PRODUCT, LISTING], DATA).await).await;
}

/// Declared again at every point of its removal, by a definition that leaves a row out. Somebody who does not know it yet
/// deletes what the new one has written.
async fn declared_again(scene: Scene) {
    let less = LISTING.replace("root: product\n", "root: product\nwhere: { name: one }\n");
    for sweeps in 0..6 {
        scene
            .apply_removing(&scene.process, &[PRODUCT], &["listing"])
            .await
            .unwrap();
        let late = scene.another_process().await;
        for _ in 0..sweeps {
            scene.process.sweep().await;
            scene.process.refresh().await;
            scene.process.drain().await;
        }
        scene
            .apply_removing(&scene.process, &[PRODUCT, &less], &[])
            .await
            .unwrap();
        scene.process.drain().await;
        // What he deletes has the very revision that he must put again.
        let mut batch = held_batch(&scene, "listing:1:de").await;
        apply_late(&late, &mut batch).await;
        finish(&scene.process).await;
        scene.assert_settled("listing", &LISTINGS[..2]).await;
        assert_eq!(step(&scene, "listing", "local").await, None);
        let status = status::status(&scene.process.street.store).await.unwrap();
        assert_eq!(status.removals, []);

        scene
            .apply_removing(&scene.process, &[PRODUCT, LISTING], &[])
            .await
            .unwrap();
        finish(&scene.process).await;
        scene.assert_settled("listing", &LISTINGS).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_declared_again_wins_on_postgresql() {
    declared_again(Scene::postgres("declaredagain", &[PRODUCT, LISTING], DATA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_declared_again_wins_on_sqlite() {
    declared_again(Scene::sqlite("declaredagain", &[PRODUCT, LISTING], DATA).await).await;
}

/// Its work was dropped when it was declared no more; its mirror stood, and says that nothing has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_stayed_behind_is_sent_again() {
    let scene = Scene::postgres("stayedbehind", &[PRODUCT, LISTING], DATA).await;
    scene.shop.script("UPDATE offer SET price = 9 WHERE id = 3").await;
    scene.process.relay().await;
    scene.process.publish("listing", &["2"]).await;
    scene
        .apply_removing(&scene.process, &[PRODUCT], &[])
        .await
        .unwrap();
    assert_eq!(scene.count("ledger").await, 0);
    scene
        .apply_removing(&scene.process, &[PRODUCT, LISTING], &[])
        .await
        .unwrap();
    scene.process.drain().await;
    let nine = ("listing:2:de", "{\"name\":\"two\",\"price\":9}");
    scene
        .assert_settled("listing", &[LISTINGS[0], LISTINGS[1], nine])
        .await;
}

/// Nothing is dropped while somebody consumes: he would make the queue again. Nor before the clock has reached the newest
/// revision: a document that is declared again begins with the clock.
#[tokio::test(flavor = "multi_thread")]
async fn tables_and_queues_go_last() {
    let scene = Scene::postgres("golast", &[PRODUCT, LISTING], DATA).await;
    let process = &scene.process;
    scene
        .apply_removing(process, &[PRODUCT], &["listing"])
        .await
        .unwrap();
    let reader = process
        .street
        .broker
        .subscribe("sync.local.listing", 1)
        .await
        .unwrap();
    for _ in 0..5 {
        process.drain().await;
        process.sweep().await;
        process.refresh().await;
    }
    assert_eq!(step(&scene, "listing", "local").await, Some(Step::Empty));
    drop(reader);
    let mirror = scene.own("mirror_listing");
    let ahead = format!("UPDATE {mirror} SET revision = revision + 3600000000 WHERE key = 'listing:1:de'");
    scene.shop.script(&ahead).await;
    eventually("queues that are gone", MINUTE, async || {
        process.sweep().await;
        match step(&scene, "listing", "local").await {
            Some(Step::Gone) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    process.sweep().await;
    assert_eq!(scene.count("removal").await, 1);
    scene
        .shop
        .script(&format!("UPDATE {mirror} SET revision = 1"))
        .await;
    finish(process).await;
    assert_gone(&scene, "listing").await;
}

/// A target that is down is waited for, like for any other work, and `run --until-quiet` does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_down_is_waited_for() {
    let scene = Scene::postgres("removaldown", &[PRODUCT, LISTING], DATA).await;
    let process = &scene.process;
    let store = &process.street.store;
    scene
        .apply_removing(process, &[PRODUCT], &["listing"])
        .await
        .unwrap();
    let subject = pause::Subject::Target("local".to_owned());
    assert!(moving::is_due(store, &[]).await.unwrap());
    assert!(!moving::is_due(store, &[subject]).await.unwrap());
    finish(process).await;
    assert_gone(&scene, "listing").await;
}

/// A key that the target does not delete is a failure, and tried again; the rest waits for it, and `run --until-quiet` does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_deleted_is_tried_again() {
    let scene = Scene::postgres("undeletable", &[PRODUCT, LISTING], DATA).await;
    let process = &scene.process;
    let store = &process.street.store;
    scene
        .apply_removing(process, &[PRODUCT], &["listing"])
        .await
        .unwrap();
    process.sweep().await;
    process.refresh().await;
    process.drain().await;
    let failure = NewFailure {
        stage: Stage::Sync,
        document: "listing".to_owned(),
        root: None,
        key: Some("listing:1:de".to_owned()),
        target: Some("local".to_owned()),
        class: "refused".to_owned(),
        error: "no".to_owned(),
        payload: None,
        revision: None,
        changed_at: 1,
    };
    failure::record(&store.write, store, &[failure]).await.unwrap();
    for _ in 0..3 {
        process.sweep().await;
    }
    let emptying = step(&scene, "listing", "local").await;
    assert!(matches!(emptying, Some(Step::Emptying { .. })), "{emptying:?}");
    assert!(!moving::is_due(store, &[]).await.unwrap());
    scene.failures_are_due().await;
    process.sweep().await;
    assert_eq!(scene.count("ledger").await, 1, "it is tried again");
    finish(process).await;
    assert_gone(&scene, "listing").await;
}
