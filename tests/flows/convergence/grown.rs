//! Documents that have become large since somebody measured them: there is no memory for all of them together.

use pubsync_publisher::operate::verify;
use pubsync_schema::names::Lane;
use pubsync_synchronizer::apply::{self, Unsettled};
use pubsync_synchronizer::message::State;
use pubsync_synchronizer::settle::Batch;
use tokio_util::sync::CancellationToken;

use super::scene::{PRODUCT, Scene};
use super::stop::{Slow, SlowTarget, Stop};

const PRODUCTS: usize = 12;

/// Rows of all of them are more than a build keeps, and bodies of half of them more than it gives.
const LARGE: usize = 3 << 20;

/// In the order of their keys.
const NUMBERS: [&str; PRODUCTS] = [
    "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12",
];

fn roots() -> Vec<String> {
    (1..=PRODUCTS).map(|number| number.to_string()).collect()
}

fn small() -> String {
    let row = |number: &&str| format!("({number}, NULL, 'p{number}', 'one')");
    let rows: Vec<String> = NUMBERS.iter().map(row).collect();
    format!("INSERT INTO product VALUES {};", rows.join(", "))
}

async fn grow(scene: &Scene) {
    let large = "x".repeat(LARGE);
    scene
        .uncaptured(&format!("UPDATE product SET name = '{large}'"))
        .await;
}

async fn assert_all_are_large(scene: &Scene, numbers: impl IntoIterator<Item = &str>) {
    let body = format!(
        "{{\"name\":\"{}\",\"brand\":null,\"offers\":[]}}",
        "x".repeat(LARGE)
    );
    let key = |number: &str| format!("product:p{number}");
    let keys: Vec<String> = numbers.into_iter().map(key).collect();
    let expected: Vec<_> = keys.iter().map(|key| (key.as_str(), body.as_str())).collect();
    scene.assert_settled("product", &expected).await;
}

/// The publisher knows only how large the documents were. It writes as many as there was memory for, the rest stays as it
/// is and goes back to the ledger; `verify` takes as many steps. The first product takes the key of the last one, for which
/// there was no memory: it is built before the others then.
async fn for_a_publisher(scene: Scene) {
    let process = &scene.process;
    let roots = roots();
    let all: Vec<&str> = roots.iter().map(String::as_str).collect();
    grow(&scene).await;
    let moves = "UPDATE product SET sku = 'p13' WHERE id = 9; UPDATE product SET sku = 'p09' WHERE id = 1";
    scene.uncaptured(moves).await;
    let tally = process.publish("product", &all).await;
    assert!(
        tally.changed > 0 && tally.changed < PRODUCTS && tally.failed == 0,
        "{tally:?}"
    );
    assert_eq!(scene.mirror("product").await.len(), PRODUCTS, "all are there");
    process.drain().await;
    let (_, others) = NUMBERS.split_first().unwrap();
    assert_all_are_large(&scene, others.iter().copied().chain(["13"])).await;
    let verified = verify::document(&process.street, &process.compiled("product"), &|_| {}).await;
    let report = verified.unwrap();
    assert!(report.is_equal(), "{:?}", report.findings);
    assert_eq!(
        (report.roots, report.documents),
        (PRODUCTS as u64, PRODUCTS as u64)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_publisher_on_postgres() {
    for_a_publisher(Scene::postgres("grownpublisher", &[PRODUCT], &small()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_publisher_on_sqlite() {
    for_a_publisher(Scene::sqlite("grownpublisher", &[PRODUCT], &small()).await).await;
}

/// A batch waits for its target with small documents. When it reads what the mirror has now, they are large: it goes back
/// to the ledger, and comes again in parts.
#[tokio::test(flavor = "multi_thread")]
async fn for_a_synchronizer() {
    let scene = Scene::postgres("grownsynchronizer", &[PRODUCT], &small()).await;
    let street = scene.process.street.clone();
    let mut states = Vec::new();
    for number in NUMBERS {
        let key = format!("product:p{number}");
        states.push(State {
            revision: scene.revision("product", &key).await + 1,
            key,
            body: Some("{\"name\":\"past\"}".into()),
            remains: None,
        });
    }
    let mut batch = Batch {
        document: "product".to_owned(),
        target: "local".to_owned(),
        queue: "sync.local.product".to_owned(),
        lane: Lane::Live,
        ids: Vec::new(),
        states,
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
    grow(&scene).await;
    for root in roots() {
        scene.process.publish("product", &[&root]).await;
    }
    stop.open();
    let ended = applying.await.unwrap();
    assert!(
        matches!(&ended, Err(Unsettled::Grown(document)) if document == "product"),
        "{ended:?}"
    );
    scene.process.drain().await;
    assert_all_are_large(&scene, NUMBERS).await;
}
