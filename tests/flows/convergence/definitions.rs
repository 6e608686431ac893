//! Definitions and targets that change while workers run.

use std::collections::BTreeMap;
use std::sync::Arc;

use pubsync_publisher::handwritten::Publishers;
use pubsync_publisher::operate::apply::{Apply, ApplyError};
use pubsync_publisher::operate::rebuild;
use pubsync_publisher::publish::PublishError;

use super::scene::{LISTING, PRODUCT, Process, Scene, files, local};
use super::stop;

const ONE: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one');";
const TITLED: &str = "{\"title\":\"one\",\"brand\":null,\"offers\":[]}";

/// A publisher whose definition is no longer the current one puts its work back: no row of the mirror, no ledger row is
/// touched. As soon as it has the new one it does it.
#[tokio::test(flavor = "multi_thread")]
async fn law_10_a_publisher_with_an_older_definition() {
    let scene = Scene::postgres("law10", &[PRODUCT], ONE).await;
    let old = &scene.process;
    let titled = PRODUCT.replace("name: name", "title: name");
    scene.apply(old, &[&titled]).await;
    let work = scene.number("SELECT max(id) FROM pubsync.ledger").await;
    let revision = scene.revision("product", "product:a").await;

    let done = old
        .begin(old.compiled("product"), &["1"], &[work])
        .await
        .await
        .unwrap();
    assert!(matches!(done, Err(PublishError::OutOfDate(_))), "{done:?}");
    assert_eq!(scene.count("ledger").await, 1, "the work");
    assert_eq!(scene.revision("product", "product:a").await, revision);

    old.refresh().await;
    assert_eq!(old.publish("product", &["1"]).await.changed, 1);
    old.drain().await;
    scene.assert_settled("product", &[("product:a", TITLED)]).await;
}

/// A worker that runs meanwhile finds out by itself: its transaction fails, it loads the new definition and runs again.
#[tokio::test(flavor = "multi_thread")]
async fn law_10_a_worker_finds_the_new_definition() {
    let scene = Scene::postgres("law10worker", &[PRODUCT], ONE).await;
    let titled = PRODUCT.replace("name: name", "title: name");
    scene.apply(&scene.process, &[&titled]).await;
    scene.process.drain().await;
    scene.assert_settled("product", &[("product:a", TITLED)]).await;
}

/// A change of a table that only the new definition uses. A relay with the old one would route it to nobody and delete it.
#[tokio::test(flavor = "multi_thread")]
async fn law_10_a_relay_with_an_older_definition() {
    let without = PRODUCT.replace("  offers: { many: offer, body: id }\n", "");
    let scene = Scene::postgres("law10relay", &[&without], ONE).await;
    let (old, new) = (&scene.process, scene.another_process().await);
    scene.apply(&new, &[PRODUCT]).await;
    new.refresh().await;
    // The rebuild is over when the change comes, so nothing but the change brings the offer.
    new.drain().await;
    scene
        .shop
        .script("INSERT INTO offer VALUES (7, 1, 'de', 1)")
        .await;

    assert_eq!(old.relay().await, 0, "it does not know who uses the table");
    assert_eq!(scene.count("outbox").await, 1);
    assert_eq!(old.relay().await, 1, "it has looked again");
    old.drain().await;
    let offered = "{\"name\":\"one\",\"brand\":null,\"offers\":[7]}";
    scene.assert_settled("product", &[("product:a", offered)]).await;
}

/// Another process, with the target `second` beside the first.
async fn with_a_second_target(scene: &Scene) -> Process {
    let street = &scene.process.street;
    let targets = BTreeMap::from([local(&scene.shop, "local"), local(&scene.shop, "second")]);
    Process::start(street.store.clone(), street.broker.clone(), Arc::new(targets)).await
}

/// A target comes to a document whose rows are all as they were: a rebuild would find nothing to send. It gets every row,
/// tombstones too, and no row gets a new revision.
#[tokio::test(flavor = "multi_thread")]
async fn rule_22_a_second_target() {
    let scene = Scene::postgres(
        "rule22",
        &[PRODUCT],
        &format!("{ONE} INSERT INTO product VALUES (2, NULL, 'b', 'two');"),
    )
    .await;
    scene.shop.script("DELETE FROM product WHERE id = 2").await;
    scene.process.drain().await;
    let revision = scene.revision("product", "product:a").await;

    let process = with_a_second_target(&scene).await;
    let report = scene.apply(&process, &[PRODUCT]).await;
    assert_eq!(report.rebuilt, Vec::<String>::new());
    assert_eq!(report.resynchronized, ["product → second"]);
    process.refresh().await;
    process.drain().await;
    let one = "{\"name\":\"one\",\"brand\":null,\"offers\":[]}";
    scene.assert_settled("product", &[("product:a", one)]).await;
    scene.assert_target_equals_mirror("product", "second").await;
    assert_eq!(scene.revision("product", "product:a").await, revision);
    let mut second = scene.target("second").await;
    let tombstone = second
        .rows("SELECT deleted FROM document WHERE key = 'product:b'")
        .await;
    assert_eq!(tombstone, [[Some("1".to_owned())]]);

    // Were it again: nothing is new.
    let report = scene.apply(&process, &[PRODUCT]).await;
    assert_eq!(report.resynchronized, Vec::<String>::new());
    rebuild::publish(&process.street.store, &["product".to_owned()], None)
        .await
        .unwrap();
    process.drain().await;
    assert_eq!(scene.revision("product", "product:a").await, revision);
}

/// A publisher that does not know the second target has looked, and writes while `apply` adds it. `apply` waits for it, so
/// the resync begins after its commit and finds its row.
#[tokio::test(flavor = "multi_thread")]
async fn rule_22_a_publisher_is_at_work_meanwhile() {
    let scene = Scene::postgres("rule22work", &[PRODUCT], ONE).await;
    scene.uncaptured("UPDATE product SET name = 'new'").await;
    let (slow, stop) = stop::after_the_look(&scene.process.compiled("product"));
    let publisher = scene.process.begin(slow, &["1"], &[]).await;
    stop.reached().await;

    let process = with_a_second_target(&scene).await;
    let go_on = async {
        scene.blocked_or(async || scene.count("ledger").await > 0).await;
        if scene.count("ledger").await > 0 {
            // It did not wait: then let the resync be over, too.
            process.refresh().await;
            process.drain().await;
        }
        stop.open();
        publisher.await.unwrap().unwrap();
    };
    let documents = [PRODUCT];
    tokio::join!(scene.apply(&process, &documents), go_on);
    process.refresh().await;
    process.drain().await;
    let new = "{\"name\":\"new\",\"brand\":null,\"offers\":[]}";
    scene.assert_settled("product", &[("product:a", new)]).await;
    scene.assert_target_equals_mirror("product", "second").await;
}

/// Work is under way for a target when its document goes there no more. Nobody is left to do it, so `apply` takes it
/// along; else it would be waited for, for ever.
#[tokio::test(flavor = "multi_thread")]
async fn work_for_a_target_that_goes() {
    let scene = Scene::postgres("targetgoes", &[PRODUCT], ONE).await;
    let process = with_a_second_target(&scene).await;
    scene.apply(&process, &[PRODUCT]).await;
    process.refresh().await;
    process.drain().await;
    scene.uncaptured("UPDATE product SET name = 'new'").await;
    process.publish("product", &["1"]).await;
    assert_eq!(scene.count("ledger").await, 2);

    scene
        .apply(&process, &[&format!("{PRODUCT}targets: {{ local: {{}} }}\n")])
        .await;
    process.refresh().await;
    process.drain().await;
    let new = "{\"name\":\"new\",\"brand\":null,\"offers\":[]}";
    scene.assert_settled("product", &[("product:a", new)]).await;
}

/// The same for a document that is declared no more: its messages go, and its failures, which nobody could cure.
#[tokio::test(flavor = "multi_thread")]
async fn work_of_a_document_that_goes() {
    let data = format!("{ONE} INSERT INTO offer VALUES (7, 1, 'de', 1);");
    let scene = Scene::postgres("documentgoes", &[PRODUCT, LISTING], &data).await;
    let process = &scene.process;
    scene.uncaptured("UPDATE offer SET locale = NULL").await;
    process.publish("listing", &["1"]).await;
    assert_eq!(scene.failures().await, [["publish", "1", "-", "key"]]);
    scene.shop.script("UPDATE product SET name = 'new'").await;
    process.relay().await;
    assert_eq!(scene.count("ledger").await, 2, "one for each document");

    scene.apply(process, &[PRODUCT]).await;
    process.refresh().await;
    process.drain().await;
    let new = "{\"name\":\"new\",\"brand\":null,\"offers\":[7]}";
    scene.assert_shown("product", &[("product:a", new)]).await;
    assert_eq!(scene.failures().await, Vec::<[String; 4]>::new());
}

/// A batch fails, and while its messages are run alone the definition changes. That is no message's fault: all of them
/// run again by the new definition, and none ends as a failure.
#[tokio::test(flavor = "multi_thread")]
async fn law_10_a_definition_that_comes_while_messages_run_alone() {
    let data = format!("{ONE} INSERT INTO product VALUES (2, NULL, 'b', 'two');");
    let scene = Scene::postgres("law10alone", &[PRODUCT], &data).await;
    let process = &scene.process;
    let fails = stop::failing_when_changed(&process.compiled("product"), scene.shop.database());
    process.registry.replace(fails);
    for id in [1, 2] {
        scene
            .shop
            .script(&format!("UPDATE product SET name = 'new' WHERE id = {id}"))
            .await;
        process.relay().await;
        assert_eq!(process.send().await, 1);
    }
    process.drain().await;
    let new = "{\"name\":\"new\",\"brand\":null,\"offers\":[]}";
    scene
        .assert_settled("product", &[("product:a", new), ("product:b", new)])
        .await;
}

/// A person agrees to a plan, and meanwhile somebody else applies. What was agreed to is not what would be done now, so
/// nothing is; a new plan is carried out as it was shown.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_agreed_to_is_done() {
    let scene = Scene::postgres("agreed", &[PRODUCT], ONE).await;
    let street = &scene.process.street;
    let titled = PRODUCT.replace("name: name", "title: name");
    let (url, files) = (scene.shop.url(), files(&[&titled]));
    let apply = Apply {
        store: &street.store,
        url: &url,
        broker: &*street.broker,
        targets: &street.targets,
        files: &files,
        publishers: &Publishers::default(),
    };
    let shown = apply.plan().await.unwrap();
    scene.apply(&scene.process, &[PRODUCT, LISTING]).await;
    let runs = scene.count("run").await;
    let refused = apply.run_agreed(&shown, &[]).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, ApplyError::Changed), "{refused:?}");
    assert_eq!(
        refused.to_string(),
        "since the plan was made, something else has changed; nothing of it was applied. Run `pubsync apply` again"
    );
    assert_eq!(scene.count("run").await, runs);
    assert_eq!(scene.count("definition").await, 2);

    let shown = apply.plan().await.unwrap();
    let report = apply.run_agreed(&shown, &[]).await.unwrap();
    assert_eq!(
        (report.rebuilt, report.removed),
        (vec!["product".to_owned()], vec!["listing".to_owned()])
    );
    assert!(apply.plan().await.unwrap().is_empty());
}
