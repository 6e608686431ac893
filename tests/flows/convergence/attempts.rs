//! How often failed work is tried again, when it is given up, and what ends the workers that try it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pubsync_publisher::operate::rebuild;
use pubsync_schema::failure::{self, Failure, Filter, NewFailure, Prospect, Stage};
use pubsync_schema::pause::{self, Subject};
use pubsync_synchronizer::retry;
use pubsync_worker::broker::memory::MemoryBroker;

use super::scene::{PRODUCT, Process, Scene};
use super::stop;

const TWO: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'old'), (2, NULL, 'b', 'old');";

fn shown(names: [&str; 2]) -> [(&'static str, String); 2] {
    let body = |name: &str| format!("{{\"name\":\"{name}\",\"brand\":null,\"offers\":[]}}");
    let [a, b] = names.map(body);
    [("product:a", a), ("product:b", b)]
}

async fn assert_settled(scene: &Scene, names: [&str; 2]) {
    let all = shown(names);
    scene
        .assert_settled("product", &all.each_ref().map(|(key, body)| (*key, &**body)))
        .await;
}

async fn both(label: &str) -> [Scene; 2] {
    [
        Scene::postgres(label, &[PRODUCT], TWO).await,
        Scene::sqlite(label, &[PRODUCT], TWO).await,
    ]
}

async fn only_failure(scene: &Scene) -> Failure {
    let store = &scene.process.street.store;
    let mut all = failure::list(&store.write, store, &Filter::default(), i64::MIN, 10)
        .await
        .unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

async fn edit(scene: &Scene, table: &str, set: &str) {
    scene
        .shop
        .script(&format!("UPDATE {} SET {set}", scene.own(table)))
        .await;
}

/// Sweeps as often as it takes to be sure that nothing is due.
async fn nothing_is_queued(scene: &Scene) {
    scene.process.sweep().await;
    assert_eq!(scene.count("ledger").await, 0);
}

/// The twelfth permanent error is the last: nothing is tried by itself any more, and the row says why. A person can have
/// it tried again, from the beginning.
#[tokio::test(flavor = "multi_thread")]
async fn after_twelve_permanent_errors_a_person_must_ask() {
    for scene in both("given_up").await {
        let (sick, cured) = stop::not_building(&scene.process.compiled("product"), "2");
        scene.process.registry.replace(sick);
        scene.shop.script("UPDATE product SET name = 'new'").await;
        scene.process.drain().await;
        let first = only_failure(&scene).await;
        assert_eq!((first.attempts, first.permanent, &first.given_up), (1, 1, &None));
        let wait = first.next_attempt.unwrap() - first.last_at;
        assert!((700_000..=1_100_000).contains(&wait), "{wait} µs");

        edit(
            &scene,
            "failure",
            "permanent = 11, attempts = 11, next_attempt = 1",
        )
        .await;
        scene.process.sweep().await;
        scene.process.drain().await;
        let last = only_failure(&scene).await;
        assert_eq!((last.attempts, last.permanent), (12, 12));
        assert_eq!(
            (last.next_attempt, last.given_up.as_deref()),
            (None, Some("12 permanent errors"))
        );
        nothing_is_queued(&scene).await;

        let store = &scene.process.street.store;
        let retried = retry::now(store, &Filter::default()).await.unwrap();
        assert_eq!((retried.queued, retried.not_retryable), (1, 0));
        scene.process.drain().await;
        let hopeless = NewFailure {
            stage: Stage::Message,
            key: None,
            target: None,
            ..refused(Prospect::Never("unreadable"))
        };
        failure::record(&store.write, store, &[hopeless]).await.unwrap();
        let of_messages = Filter {
            class: Some("busy".into()),
            ..Filter::default()
        };
        let retried = retry::now(store, &of_messages).await.unwrap();
        assert_eq!((retried.queued, retried.not_retryable), (0, 1));
        let still = failure::list(&store.write, store, &of_messages, i64::MIN, 10)
            .await
            .unwrap();
        assert_eq!(still[0].given_up.as_deref(), Some("unreadable"));
        failure::remove(&store.write, store, &of_messages).await.unwrap();
        let again = only_failure(&scene).await;
        assert_eq!((again.attempts, again.permanent, &again.given_up), (13, 1, &None));
        assert!(again.next_attempt.is_some());

        cured.store(true, Ordering::SeqCst);
        retry::now(store, &Filter::default()).await.unwrap();
        scene.process.drain().await;
        assert_settled(&scene, ["new", "new"]).await;
    }
}

fn refused(prospect: Prospect) -> NewFailure {
    NewFailure {
        stage: Stage::Sync,
        document: "product".into(),
        root: None,
        key: Some("product:a".into()),
        target: Some("local".into()),
        class: "busy".into(),
        error: "429".into(),
        payload: None,
        revision: Some(1),
        changed_at: 1,
        prospect,
    }
}

/// Transient errors count by time, and only where nothing else comes between them.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_day_of_transient_errors_a_person_must_ask() {
    for scene in both("transient").await {
        let store = &scene.process.street.store;
        let record = async |prospect| {
            let failures = [refused(prospect)];
            failure::record(&store.write, store, &failures).await.unwrap();
            only_failure(&scene).await
        };
        for _ in 0..20 {
            record(Prospect::Transient).await;
        }
        let often = record(Prospect::Transient).await;
        assert_eq!((often.attempts, often.permanent, &often.given_up), (21, 0, &None));
        let wait = often.next_attempt.unwrap() - often.last_at;
        assert!(wait <= 600_000_000, "{wait} µs");

        let day = 24 * 3_600 * 1_000_000_i64;
        let yesterday = format!("transient_since = transient_since - {}", day - 60_000_000);
        edit(&scene, "failure", &yesterday).await;
        assert_eq!(record(Prospect::Transient).await.given_up, None);
        let between = record(Prospect::Permanent).await;
        assert_eq!((between.permanent, between.transient_since), (1, None));
        record(Prospect::Transient).await;
        edit(&scene, "failure", &yesterday).await;
        edit(&scene, "failure", "transient_since = transient_since - 60000001").await;
        let over = record(Prospect::Transient).await;
        assert_eq!(
            (over.next_attempt, over.given_up.as_deref()),
            (None, Some("24 h of transient errors"))
        );
        let never = record(Prospect::Never("so")).await;
        assert_eq!(
            (never.next_attempt, never.given_up.as_deref()),
            (None, Some("so"))
        );

        // What stood at the target all the time is there: it is no failure.
        retry::now(store, &Filter::default()).await.unwrap();
        scene.process.drain().await;
        assert_settled(&scene, ["old", "old"]).await;
    }
}

/// Changes whose roots are unknown keep their row, and its count, while they are tried again; and no second copy is queued
/// while the first is under way.
#[tokio::test(flavor = "multi_thread")]
async fn changes_without_roots_count_their_attempts_too() {
    for scene in both("affected").await {
        let (sick, cured) = stop::not_affecting(&scene.process.compiled("product"));
        scene.process.registry.replace(sick);
        scene
            .shop
            .script("UPDATE product SET name = 'new' WHERE id = 2")
            .await;
        scene.process.drain().await;
        for attempts in 1..4 {
            assert_eq!(only_failure(&scene).await.attempts, attempts);
            for _copy in 0..2 {
                scene.failures_are_due().await;
                scene.process.sweep().await;
                assert_eq!(scene.count("ledger").await, 1);
            }
            scene.process.drain().await;
        }
        cured.store(true, Ordering::SeqCst);
        scene.failures_are_due().await;
        scene.process.sweep().await;
        scene.process.drain().await;
        assert_settled(&scene, ["old", "new"]).await;
    }
}

/// Neither work nor failures of what a person paused move, not even what was out already; the pause of a worker on the same
/// thing is another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_document_waits_in_the_ledger() {
    for scene in both("by_hand_document").await {
        scene.shop.script("UPDATE product SET name = 'new'").await;
        scene.process.relay().await;
        assert_eq!(scene.process.send().await, 1);
        let unbuilt = NewFailure {
            stage: Stage::Publish,
            root: Some("1".into()),
            key: None,
            target: None,
            ..refused(Prospect::Permanent)
        };
        stands_still(&scene, &Subject::Document("product".into()), unbuilt).await;
        assert_settled(&scene, ["new", "new"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_target_waits_in_the_ledger() {
    for scene in both("by_hand_target").await {
        let process = &scene.process;
        scene.uncaptured("UPDATE product SET name = 'new'").await;
        process.publish("product", &["1", "2"]).await;
        assert_eq!(process.send().await, 1);
        let target = Subject::Target("local".into());
        stands_still(&scene, &target, refused(Prospect::Permanent)).await;
        assert_settled(&scene, ["new", "new"]).await;
    }
}

/// With one message out, which is about the subject, and this failure, which is too.
async fn stands_still(scene: &Scene, subject: &Subject, failed: NewFailure) {
    let (process, store) = (&scene.process, &scene.process.street.store);
    failure::record(&store.write, store, &[failed]).await.unwrap();
    scene.failures_are_due().await;
    pause::set_by_hand(&store.write, store, subject, "inventory")
        .await
        .unwrap();
    pause::set(&store.write, store, subject, "down", None)
        .await
        .unwrap();
    pause::end(&store.write, store, subject).await.unwrap();
    let paused = pause::current(&store.write, store).await.unwrap();
    assert_eq!(paused.len(), 1, "{paused:?}");
    assert!(paused[0].by_hand && paused[0].reason == "inventory");
    process.refresh().await;
    process.sweep().await;
    let waiting = format!(
        "SELECT count(*) FROM {} WHERE claimed_at IS NULL AND attempts = 1",
        scene.own("ledger")
    );
    process
        .work_until("the return of the message", async || {
            match scene.number(&waiting).await {
                1 => Ok(()),
                rows => Err(format!("{rows} rows wait")),
            }
        })
        .await;
    assert_eq!(scene.count("ledger").await, 1, "and nothing else was queued");
    assert_eq!(process.send().await, 0, "nobody may send it");

    pause::set(&store.write, store, subject, "down", None)
        .await
        .unwrap();
    assert!(pause::end_by_hand(&store.write, store, subject).await.unwrap());
    assert!(!pause::end_by_hand(&store.write, store, subject).await.unwrap());
    let paused = pause::current(&store.write, store).await.unwrap();
    assert!(paused.len() == 1 && !paused[0].by_hand, "{paused:?}");
    pause::end(&store.write, store, subject).await.unwrap();
    process.refresh().await;
    process.sweep().await;
    process.drain().await;
}

/// Work that was begun and never ended has most likely killed its worker: it is cut into its roots, and a root that did so
/// three times is a failure. What merely waited beside it is done.
#[tokio::test(flavor = "multi_thread")]
async fn work_that_never_ended_runs_root_by_root_and_is_parked_at_last() {
    for scene in both("deaths").await {
        let store = &scene.process.street.store;
        let publish = async |roots: &[&str]| {
            let roots: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
            rebuild::publish(store, &["product".to_owned()], Some(&roots))
                .await
                .unwrap();
        };
        scene.uncaptured("UPDATE product SET name = 'new'").await;
        publish(&["1", "2"]).await;
        edit(&scene, "ledger", "begun = 1, attempts = 1").await;
        scene.process.drain().await;
        assert_settled(&scene, ["new", "new"]).await;

        scene.uncaptured("UPDATE product SET name = 'newer'").await;
        publish(&["2"]).await;
        edit(&scene, "ledger", "begun = 3, attempts = 1").await;
        publish(&["1"]).await;
        scene.process.drain().await;
        let parked = only_failure(&scene).await;
        assert_eq!(
            (parked.root.as_deref(), parked.class.as_str(), parked.next_attempt),
            (Some("2"), "kills its worker", None)
        );
        assert!(
            parked
                .error
                .starts_with("3 times a worker began this alone and died"),
            "{}",
            parked.error
        );
        let partly = shown(["newer", "new"]);
        scene
            .assert_shown("product", &partly.each_ref().map(|(key, body)| (*key, &**body)))
            .await;
        nothing_is_queued(&scene).await;

        retry::now(store, &Filter::default()).await.unwrap();
        scene.process.drain().await;
        assert_settled(&scene, ["newer", "newer"]).await;
    }
}

const SIXTY_MORE: &str = "WITH RECURSIVE n (id) AS (SELECT 3 UNION ALL SELECT id + 1 FROM n WHERE id < 62)
    INSERT INTO product SELECT id, NULL, 'sku' || id, 'old' FROM n;";

/// A broker that takes no larger messages.
fn narrow(scene: &Scene, bytes: usize) -> Process {
    let broker = MemoryBroker::with_max_body(10_000, bytes);
    scene.process.with_broker(Arc::new(broker))
}

/// What is larger than the broker takes is cut, its bodies stay behind, and what has no parts is a failure of its own, which
/// a broker that takes more heals.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_does_not_take_is_cut_or_a_failure_of_its_own() {
    for scene in both("size").await {
        let store = &scene.process.street.store;
        let narrow_one = narrow(&scene, 1_000);
        scene.shop.script(SIXTY_MORE).await;
        let long = "x".repeat(2_000);
        scene
            .shop
            .script(&format!("UPDATE product SET name = '{long}' WHERE id = 1"))
            .await;
        narrow_one.drain().await;
        assert_eq!(scene.failures().await, Vec::<[String; 4]>::new());
        assert_eq!(scene.count("mirror_product").await, 62);
        scene.assert_target_equals_mirror("product", "local").await;

        let narrowest = narrow(&scene, 100);
        scene
            .shop
            .script("UPDATE product SET name = 'new' WHERE id = 1")
            .await;
        narrowest.drain().await;
        let unbuilt = only_failure(&scene).await;
        assert_eq!(
            (unbuilt.stage.as_str(), unbuilt.class.as_str()),
            ("affected", "size")
        );
        assert!(
            unbuilt
                .error
                .contains("more than the 100 that the broker takes: raise RabbitMQ's max_message_size"),
            "{}",
            unbuilt.error
        );
        assert_eq!(unbuilt.next_attempt, None);
        assert_eq!(retry::now(store, &Filter::default()).await.unwrap().queued, 1);
        narrow_one.drain().await;
        assert_eq!(scene.failures().await, Vec::<[String; 4]>::new());

        scene
            .uncaptured("UPDATE product SET name = 'newer' WHERE id = 1")
            .await;
        narrowest.publish("product", &["1"]).await;
        narrowest.drain().await;
        assert_eq!(scene.failures().await, [["sync", "-", "product:a", "size"]]);
        assert_eq!(retry::now(store, &Filter::default()).await.unwrap().queued, 1);
        narrow_one.drain().await;
        assert_eq!(scene.failures().await, Vec::<[String; 4]>::new());
        scene.assert_target_equals_mirror("product", "local").await;
    }
}
