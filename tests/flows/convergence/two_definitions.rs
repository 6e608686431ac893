//! Rule 21: an older and a newer definition side by side, where there is no row, or an equal body.

use pubsync_publisher::publish::PublishError;
use pubsync_synchronizer::status;

use super::scene::{PRODUCT, Scene};
use super::stop;

const DATA: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one'), (2, NULL, 'b', 'two');";
const ONE: &str = "{\"name\":\"one\",\"brand\":null,\"offers\":[]}";

/// Keeps the first product only.
fn narrow() -> String {
    format!("{PRODUCT}where: {{ name: one }}\n")
}

/// The newer definition leaves every body as it is: its number is written to every row all the same, no row gets a new
/// revision, nothing is sent, and from the numbers one can tell when the rebuild is complete.
#[tokio::test(flavor = "multi_thread")]
async fn rule_21_numbers_are_written_where_nothing_changed() {
    numbers(Scene::postgres("rule21numbers", &[PRODUCT], DATA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_21_numbers_on_sqlite() {
    numbers(Scene::sqlite("rule21numbers", &[PRODUCT], DATA).await).await;
}

async fn numbers(scene: Scene) {
    let revision = scene.revision("product", "product:a").await;
    scene.apply(&scene.process, &[&format!("{PRODUCT}# new\n")]).await;
    assert_eq!(behind(&scene).await, 2);

    scene.process.refresh().await;
    let tally = scene.process.publish("product", &["1"]).await;
    assert_eq!((tally.changed, tally.unchanged), (0, 1));
    assert_eq!(behind(&scene).await, 1);
    assert_eq!(scene.count("ledger").await, 1, "the rebuild, and nothing sent");
    assert_eq!(scene.revision("product", "product:a").await, revision);

    scene.process.drain().await;
    assert_eq!(behind(&scene).await, 0);
    let roots = scene.own("root_product");
    let older = format!("SELECT count(*) FROM {roots} WHERE definition < 2");
    assert_eq!(scene.number(&older).await, 0, "of roots");
}

async fn behind(scene: &Scene) -> i64 {
    let status = status::status(&scene.process.street.store).await;
    status.expect("a status").documents[0].behind
}

/// The newer definition drops a root that has no row yet. A worker with the older one must not write it afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn rule_21_a_root_that_the_newer_definition_drops() {
    let scene = Scene::postgres("rule21drop", &[PRODUCT], "").await;
    let old = &scene.process;
    scene.apply(old, &[&narrow()]).await;
    let newer = scene.another_process().await;
    newer.drain().await;
    scene.uncaptured(DATA).await;
    newer.publish("product", &["1", "2"]).await;

    let late = old.begin(old.compiled("product"), &["2"], &[]).await;
    let done = late.await.unwrap();
    assert!(matches!(done, Err(PublishError::OutOfDate(_))), "{done:?}");
    newer.drain().await;
    scene.assert_settled("product", &[("product:a", ONE)]).await;
}

/// A worker with the older definition has looked when the newer one comes: that one waits, and its rebuild finds the row.
#[tokio::test(flavor = "multi_thread")]
async fn rule_21_an_older_worker_is_at_work_meanwhile() {
    let scene = Scene::postgres("rule21work", &[PRODUCT], "").await;
    scene.uncaptured(DATA).await;
    let (slow, stop) = stop::after_the_look(&scene.process.compiled("product"));
    let publisher = scene.process.begin(slow, &["2"], &[]).await;
    stop.reached().await;

    let newer = scene.another_process().await;
    let go_on = async {
        scene.blocked_or(async || scene.count("ledger").await > 0).await;
        if scene.count("ledger").await > 0 {
            // It did not wait: then let the rebuild be over, too.
            newer.refresh().await;
            newer.drain().await;
        }
        stop.open();
        publisher.await.unwrap().unwrap();
    };
    let document = narrow();
    let documents = [document.as_str()];
    tokio::join!(scene.apply(&newer, &documents), go_on);
    newer.refresh().await;
    newer.drain().await;
    scene.assert_settled("product", &[("product:a", ONE)]).await;
    assert_eq!(behind(&scene).await, 0);
}

const PRODUCTS: i64 = 60;
const TURNS: i64 = 8;

/// Two processes, each of which learns of new definitions from its own transactions only, work while rows and definitions
/// change again and again. The last definition wins, with the last content.
#[tokio::test(flavor = "multi_thread")]
async fn rule_21_definitions_alternate_under_load() {
    let data = format!(
        "INSERT INTO product SELECT n, NULL, 'k' || lpad(n::text, 3, '0'), 'p' FROM generate_series(1, {PRODUCTS}) AS n;"
    );
    let scene = Scene::postgres("rule21load", &[PRODUCT], &data).await;
    let titled = PRODUCT.replace("name: name", "title: name");
    let processes = [scene.process.clone(), scene.another_process().await];
    let over = tokio_util::sync::CancellationToken::new();
    let mut workers = tokio::task::JoinSet::new();
    for process in &processes {
        let (process, over) = (process.clone(), over.clone());
        workers.spawn(async move {
            while !over.is_cancelled() {
                process.drain().await;
            }
        });
    }
    for turn in 1..=TURNS {
        let document = if turn % 2 == 0 { PRODUCT } else { titled.as_str() };
        for part in 0..3 {
            let change = format!("UPDATE product SET name = 'v{turn}' WHERE id % 3 = {part}");
            scene.shop.script(&change).await;
            if part == turn % 3 {
                // By a process of its own, as a deployment would.
                scene.apply(&scene.another_process().await, &[document]).await;
            }
        }
    }
    over.cancel();
    while let Some(ended) = workers.join_next().await {
        ended.expect("a process");
    }
    processes[0].refresh().await;
    processes[0].drain().await;
    let body = format!("{{\"name\":\"v{TURNS}\",\"brand\":null,\"offers\":[]}}");
    let expected: Vec<String> = (1..=PRODUCTS).map(|n| format!("product:k{n:03}")).collect();
    let expected: Vec<(&str, &str)> = expected.iter().map(|k| (k.as_str(), body.as_str())).collect();
    scene.assert_settled("product", &expected).await;
    assert_eq!(behind(&scene).await, 0);
}
