//! Aliases: rows of their own under all laws.

use std::collections::BTreeMap;
use std::sync::Arc;

use pubsync_publisher::operate::verify;
use pubsync_schema::wire::Selection;
use pubsync_synchronizer::resync;

use super::process::Process;
use super::scene::{Scene, local};
use super::stop::WithoutAliases;

/// A product under its id; its sku leads to it, and the locale of each offer leads to its product.
const PRODUCT: &str = "\
document: product
root: product
each:
  offer: { table: offer }
key: \"product:{id}:{offer.id}\"
aliases: [\"sku:{sku}:{offer.locale}\"]
body:
  name: name
";

const DATA: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one'), (2, NULL, 'b', 'two');
    INSERT INTO offer VALUES (1, 1, 'de', 1), (2, 2, 'de', 1), (3, 2, NULL, 1);";

const ONE: &str = "{\"name\":\"one\"}";
const TWO: &str = "{\"name\":\"two\"}";

fn to(key: &str) -> String {
    format!("{{\"key\":\"{key}\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_move_and_die_with_their_documents() {
    lives(Scene::postgres("aliases", &[PRODUCT], DATA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_on_sqlite() {
    lives(Scene::sqlite("aliases", &[PRODUCT], DATA).await).await;
}

async fn lives(scene: Scene) {
    let (first, second) = (to("product:1:1"), to("product:2:2"));
    let one = [("product:1:1", ONE)];
    let two = [("product:2:2", TWO), ("product:2:3", TWO)];
    let whole = |aliases: &[(&'static str, &'static str)], mut rest: Vec<(&'static str, &'static str)>| {
        rest.extend_from_slice(aliases);
        rest
    };
    let documents = || whole(&two, one.to_vec());
    let (first, second): (&'static str, &'static str) = (first.leak(), second.leak());
    let expected = whole(&[("sku:a:de", first), ("sku:b:de", second)], documents());
    scene.assert_settled("product", &expected).await;
    assert_equal(&scene).await;

    // A rename moves it, and the document is not written again.
    let revision = scene.revision("product", "product:1:1").await;
    scene
        .shop
        .script("UPDATE product SET sku = 'c' WHERE id = 1")
        .await;
    scene.process.drain().await;
    let expected = whole(&[("sku:b:de", second), ("sku:c:de", first)], documents());
    scene.assert_settled("product", &expected).await;
    assert_eq!(scene.revision("product", "product:1:1").await, revision);

    // Two products swap their skus.
    scene
        .shop
        .script("UPDATE product SET sku = CASE sku WHEN 'b' THEN 'c' ELSE 'b' END")
        .await;
    scene.process.drain().await;
    let expected = whole(&[("sku:b:de", first), ("sku:c:de", second)], documents());
    scene.assert_settled("product", &expected).await;

    // The target loses it and gets what nobody made; a resync knows both.
    let mut held = scene.target("local").await;
    for sql in [
        "DELETE FROM document WHERE key = 'sku:b:de'",
        "UPDATE document SET key = 'sku:zz:de' WHERE key = 'sku:c:de'",
    ] {
        held.execute(sql).await.expect("a damaged target");
    }
    let report = report(&scene).await;
    let kinds: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.kind, f.keys.as_slice()))
        .collect();
    let keys = |keys: &[&str]| keys.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        kinds,
        [
            (verify::Kind::Missing, keys(&["sku:b:de", "sku:c:de"]).as_slice()),
            (verify::Kind::Orphaned, keys(&["sku:zz:de"]).as_slice())
        ]
    );
    resync_all(&scene.process, "local").await;
    scene.process.drain().await;
    scene.assert_settled("product", &expected).await;
    assert_equal(&scene).await;

    scene
        .shop
        .script("DELETE FROM offer WHERE id = 1; UPDATE product SET sku = NULL WHERE id = 2")
        .await;
    scene.process.drain().await;
    scene.assert_settled("product", &two).await;
    assert_equal(&scene).await;
}

async fn report(scene: &Scene) -> verify::Report {
    verify::twice(&scene.process.street, &scene.process.compiled("product"), &|_| {})
        .await
        .expect("a report")
}

async fn assert_equal(scene: &Scene) {
    let report = report(scene).await;
    assert!(report.is_equal(), "{report:?}");
}

async fn resync_all(process: &Process, target: &str) {
    let store = &process.street.store;
    let compiled = process.compiled("product");
    let txn = store.begin().await.expect("a transaction");
    let shape = &compiled.definition.shape;
    let entry = resync::start(
        &txn,
        store,
        shape,
        compiled.definition.number,
        target,
        Selection::default(),
    )
    .await
    .expect("a resync");
    pubsync_schema::ledger::insert(&txn, store, &[entry])
        .await
        .expect("a ledger row");
    txn.commit().await.expect("a commit");
}

/// An alias that another root holds, and one that another document of the same root holds: the documents are written, the
/// failures name both, and heal.
#[tokio::test(flavor = "multi_thread")]
async fn rule_3_an_alias_conflict_never_stops_the_document() {
    let scene = Scene::postgres("aliasconflict", &[PRODUCT], DATA).await;
    scene
        .shop
        .script(
            "UPDATE product SET sku = 'a', name = 'zwei' WHERE id = 2; UPDATE product SET name = 'eins' WHERE id = 1;
             INSERT INTO offer VALUES (4, 1, 'de', 1)",
        )
        .await;
    scene.process.drain().await;
    let mut failures = scene.failures().await;
    failures.dedup();
    assert_eq!(
        failures,
        [
            ["publish", "1", "sku:a:de", "alias conflict"],
            ["publish", "2", "sku:a:de", "alias conflict"]
        ]
    );
    let told = scene
        .shop
        .rows("SELECT error FROM pubsync.failure ORDER BY root")
        .await;
    let told: Vec<_> = told.into_iter().map(|row| row[0].clone().unwrap()).collect();
    assert!(
        told[0].contains("of \"product:1:4\" (root 1) is held by the document \"product:1:1\""),
        "{}",
        told[0]
    );
    assert!(
        told[1].contains("of \"product:2:2\" (root 2) is held by root 1"),
        "{}",
        told[1]
    );
    let (eins, zwei) = ("{\"name\":\"eins\"}", "{\"name\":\"zwei\"}");
    let documents = [
        ("product:1:1", eins),
        ("product:1:4", eins),
        ("product:2:2", zwei),
        ("product:2:3", zwei),
    ];
    let (first, second) = (to("product:1:1"), to("product:2:2"));
    let mut expected = documents.to_vec();
    expected.push(("sku:a:de", &first));
    scene.assert_shown("product", &expected).await;

    // The holder lets go: nobody waits for a next attempt.
    scene
        .shop
        .script("UPDATE product SET sku = 'n' WHERE id = 1; UPDATE offer SET locale = 'fr' WHERE id = 4")
        .await;
    scene.process.drain().await;
    let fourth = to("product:1:4");
    let mut expected = documents.to_vec();
    expected.extend([
        ("sku:a:de", second.as_str()),
        ("sku:n:de", &first),
        ("sku:n:fr", &fourth),
    ]);
    scene.assert_settled("product", &expected).await;
}

/// A target that is searched holds no aliases, and a document whose old key becomes an alias leaves it.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_without_aliases() {
    let scene = Scene::postgres("aliasless", &[PRODUCT], DATA).await;
    let street = &scene.process.street;
    let (name, inner) = local(&scene.shop, "search");
    let search: Arc<dyn pubsync_synchronizer::target::Target> = Arc::new(WithoutAliases(inner));
    let targets = BTreeMap::from([local(&scene.shop, "local"), (name, search)]);
    let process = Process::start(street.store.clone(), street.broker.clone(), Arc::new(targets)).await;
    scene.apply(&process, &[PRODUCT]).await;
    process.refresh().await;
    process.drain().await;
    assert_shown(&scene, &["product:1:1", "product:2:2", "product:2:3"]).await;

    // The key gets another form; the old one leads to the new one.
    let renamed = PRODUCT
        .replace("key: \"product:{id}:{offer.id}\"", "key: \"p:{offer.id}:{id}\"")
        .replace("sku:{sku}:{offer.locale}", "product:{id}:{offer.id}");
    scene.apply(&process, &[&renamed]).await;
    process.refresh().await;
    process.drain().await;
    assert_shown(&scene, &["p:1:1", "p:2:2", "p:3:2"]).await;
    let report = verify::twice(&process.street, &process.compiled("product"), &|_| {})
        .await
        .expect("a report");
    assert!(report.is_equal(), "{report:?}");

    // Every way into the target knows: messages sent again, and a resync.
    resync_all(&process, "search").await;
    process.drain().await;
    assert_shown(&scene, &["p:1:1", "p:2:2", "p:3:2"]).await;
    let mut held = scene.target("search").await;
    held.execute("UPDATE document SET deleted = 0 WHERE key = 'product:1:1'")
        .await
        .expect("a damaged target");
    resync_all(&process, "search").await;
    process.drain().await;
    assert_shown(&scene, &["p:1:1", "p:2:2", "p:3:2"]).await;
}

async fn assert_shown(scene: &Scene, keys: &[&str]) {
    let mut held = scene.target("search").await;
    let rows = held
        .rows("SELECT key FROM document WHERE NOT deleted ORDER BY key")
        .await;
    let found: Vec<_> = rows
        .iter()
        .map(|row| row[0].clone().unwrap_or_default())
        .collect();
    assert_eq!(found, keys);
    assert_eq!(scene.failures().await, Vec::<[String; 4]>::new());
    assert_eq!(scene.count("ledger").await, 0);
}
