//! Law 2: locks first, then the look, then the write. Law 5: unchanged is silent.

use std::time::Duration;

use futures::future::join_all;
use pubsync_publisher::publish::Tally;
use pubsync_tests::Scratch;

use super::scene::{LISTING, PRODUCT, Process, Scene, connect};
use super::stop;

const ONE: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'X');";

fn named(name: &str) -> String {
    format!("{{\"name\":\"{name}\",\"brand\":null,\"offers\":[]}}")
}

/// The content goes X → Y → X. B has looked at Y and not yet written it; A, whose message is newer, looks at X, which is
/// what the mirror still holds. If A looked before it locked, it would find nothing to write, and B's Y would be last.
#[tokio::test(flavor = "multi_thread")]
async fn law_2_content_that_comes_back() {
    let scene = Scene::postgres("law2", &[PRODUCT], ONE).await;
    let compiled = scene.process.compiled("product");
    scene.uncaptured("UPDATE product SET name = 'Y'").await;
    let (slow, stop) = stop::after_the_look(&compiled);
    let b = scene.process.begin(slow, &["1"], &[]).await;
    stop.reached().await;

    scene.uncaptured("UPDATE product SET name = 'X'").await;
    let a = scene.process.begin(compiled, &["1"], &[]).await;
    scene.blocked_or(async || a.is_finished()).await;
    stop.open();
    b.await.unwrap().unwrap();
    a.await.unwrap().unwrap();
    scene.process.drain().await;
    scene
        .assert_settled("product", &[("product:a", &named("X"))])
        .await;
}

/// P1 has looked at `de` and `at` and writes them; P2 waits for its lock. Meanwhile the offer in `at` is withdrawn. P2
/// must see the row that P1 inserted while it waited, else it stays for ever.
#[tokio::test(flavor = "multi_thread")]
async fn rule_1_rows_that_appear_while_a_publisher_waits() {
    let data = "INSERT INTO product VALUES (1, NULL, 'a', 'X'); INSERT INTO offer VALUES (1, 1, 'de', 1);";
    let scene = Scene::postgres("rule1", &[LISTING], data).await;
    scene.uncaptured("INSERT INTO offer VALUES (2, 1, 'at', 1)").await;
    at_is_withdrawn(&scene).await;
}

/// As before, with a root that is new: its lock row appears while P2 waits, too.
#[tokio::test(flavor = "multi_thread")]
async fn rule_1_a_root_that_appears_while_a_publisher_waits() {
    let scene = Scene::postgres("rule1new", &[LISTING], "").await;
    let new = "INSERT INTO product VALUES (1, NULL, 'a', 'X'); INSERT INTO offer VALUES (1, 1, 'de', 1), (2, 1, 'at', 1);";
    scene.uncaptured(new).await;
    at_is_withdrawn(&scene).await;
}

async fn at_is_withdrawn(scene: &Scene) {
    let compiled = scene.process.compiled("listing");
    let (slow, stop) = stop::after_the_look(&compiled);
    let p1 = scene.process.begin(slow, &["1"], &[]).await;
    stop.reached().await;
    let p2 = scene.process.begin(compiled, &["1"], &[]).await;
    scene.blocked_or(async || p2.is_finished()).await;
    scene.uncaptured("DELETE FROM offer WHERE locale = 'at'").await;
    stop.open();
    p1.await.unwrap().unwrap();
    p2.await.unwrap().unwrap();
    scene.process.drain().await;
    let de = ("listing:1:de", "{\"name\":\"X\",\"price\":1}");
    scene.assert_settled("listing", &[de]).await;
}

/// Many publishers at once, each with a connection that locks and in want of one that looks. From one pool they would
/// starve each other.
#[tokio::test(flavor = "multi_thread")]
async fn rule_5_many_publishers_on_few_connections() {
    let data = "INSERT INTO product SELECT i, NULL, 's' || i, 'X' FROM generate_series(1, 24) i;";
    let scene = Scene::postgres("rule5", &[PRODUCT], data).await;
    for connections in [1, 2] {
        let name = format!("with {connections}");
        scene
            .uncaptured(&format!("UPDATE product SET name = '{name}'"))
            .await;
        let changed = publish_at_once(&scene, &scene.shop, connections).await;
        assert_eq!(changed, 24);
    }
}

async fn publish_at_once(scene: &Scene, shop: &Scratch, connections: u32) -> usize {
    let street = &scene.process.street;
    let store = connect(shop, connections).await;
    let process = Process::start(store, street.broker.clone(), street.targets.clone()).await;
    let roots: Vec<String> = (1..=24).map(|root| root.to_string()).collect();
    // Two of them meet on each root.
    let all = roots.iter().chain(&roots);
    let publishers = join_all(all.map(async |root| process.publish("product", &[root]).await));
    // Less than the 30 s after which a pool gives up.
    let tallies: Vec<Tally> = tokio::time::timeout(Duration::from_secs(25), publishers)
        .await
        .expect("publishers wait for each other's connections");
    tallies.iter().map(|tally| tally.changed).sum()
}

/// What is published again without a difference gets no revision and no ledger row, and touches no target.
#[tokio::test(flavor = "multi_thread")]
async fn law_5_unchanged_is_silent() {
    let scene = Scene::postgres("law5", &[PRODUCT], ONE).await;
    let revision = scene.revision("product", "product:a").await;
    let tally = scene.process.publish("product", &["1", "404"]).await;
    let unchanged = Tally {
        unchanged: 1,
        ..Tally::default()
    };
    assert_eq!(tally, unchanged);
    assert_eq!(scene.revision("product", "product:a").await, revision);
    // Not drained: there is nothing to drain.
    scene
        .assert_settled("product", &[("product:a", &named("X"))])
        .await;
}
