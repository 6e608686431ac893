//! Rule 24: time alone shows and hides documents.

use pubsync_publisher::operate::verify;
use pubsync_synchronizer::clock;
use pubsync_tests::eventually;

use super::scene::{MINUTE, Scene};
use super::stop;

const SALE: &str = "\
document: product
root: product
key: \"product:{id}\"
visible: { from: starts, until: ends }
body: { name: name }
";

/// One product that will be shown some day.
const DATA: &str =
    "ALTER TABLE product ADD COLUMN starts timestamp; ALTER TABLE product ADD COLUMN ends timestamp;
    INSERT INTO product VALUES (1, NULL, 'a', 'one', '2999-01-01 00:00:00', NULL);";

/// 2999-01-01 in UTC, in microseconds.
const FAR: i64 = 32_472_144_000_000_000;

const SHOWN: [(&str, &str); 1] = [("product:1", "{\"name\":\"one\"}")];

async fn due(scene: &Scene) -> Option<i64> {
    let roots = scene.own("root_product");
    let rows = scene
        .shop
        .rows(&format!("SELECT CAST(due AS text) FROM {roots}"))
        .await;
    rows[0][0].as_ref().map(|text| text.parse().expect("a moment"))
}

/// As if time had come to a moment of the product: its row says so, and so does what its last build noted.
async fn time_comes(scene: &Scene, sql: &str) {
    scene.uncaptured(sql).await;
    let roots = scene.own("root_product");
    scene
        .shop
        .script(&format!("UPDATE {roots} SET due = coalesce(queued_at, 0) + 1"))
        .await;
}

async fn sweep(scene: &Scene) {
    scene.process.sweep().await;
    scene.process.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_24_a_window_opens_and_closes() {
    opens_and_closes(Scene::postgres("rule24", &[SALE], DATA).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_24_on_sqlite() {
    opens_and_closes(Scene::sqlite("rule24", &[SALE], DATA).await).await;
}

async fn opens_and_closes(scene: Scene) {
    scene.assert_settled("product", &[]).await;
    assert_eq!(due(&scene).await, Some(FAR), "of a root without a row");
    sweep(&scene).await;
    scene.assert_settled("product", &[]).await;

    time_comes(
        &scene,
        "UPDATE product SET starts = '2020-01-01 00:00:00', ends = '2999-01-01 00:00:00'",
    )
    .await;
    sweep(&scene).await;
    scene.assert_settled("product", &SHOWN).await;
    assert_eq!(due(&scene).await, Some(FAR), "the end");

    time_comes(&scene, "UPDATE product SET ends = '2020-01-02 00:00:00'").await;
    sweep(&scene).await;
    scene.assert_settled("product", &[]).await;
    assert_eq!(due(&scene).await, None);

    // A change of the window is a change like any other.
    scene.shop.script("UPDATE product SET ends = NULL").await;
    scene.process.drain().await;
    scene.assert_settled("product", &SHOWN).await;
    scene.shop.script("DELETE FROM product").await;
    scene.process.drain().await;
    scene.assert_settled("product", &[]).await;
    assert_eq!(due(&scene).await, None, "of a root that is gone");
}

/// Real time: nobody touches the row, and it appears and goes.
#[tokio::test(flavor = "multi_thread")]
async fn rule_24_real_time() {
    let window = "UPDATE product SET starts = now() AT TIME ZONE 'UTC' + interval '1 second', \
                  ends = now() AT TIME ZONE 'UTC' + interval '3 seconds'";
    real_time(Scene::postgres("rule24time", &[SALE], DATA).await, window).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_24_real_time_on_sqlite() {
    let window = "UPDATE product SET starts = strftime('%Y-%m-%d %H:%M:%f', 'now', '+1 second'), \
                  ends = strftime('%Y-%m-%d %H:%M:%f', 'now', '+3 seconds')";
    real_time(Scene::sqlite("rule24time", &[SALE], DATA).await, window).await;
}

async fn real_time(scene: Scene, window: &str) {
    scene.shop.script(window).await;
    scene.process.drain().await;
    let moment = due(&scene).await;
    for (rows, what) in [(1, "the document appears"), (0, "the document goes")] {
        eventually(what, MINUTE, async || {
            sweep(&scene).await;
            match scene.mirror("product").await.len() {
                found if found == rows => Ok(()),
                found => Err(format!("{found} rows")),
            }
        })
        .await;
        assert_ne!(due(&scene).await, moment);
    }
    scene.assert_settled("product", &[]).await;
}

/// A publisher has looked before the window opens and writes after that: what it notes is the moment that it had not seen,
/// so the next tick finds it, though the moment is past.
#[tokio::test(flavor = "multi_thread")]
async fn rule_24_a_look_before_the_moment_and_a_write_after_it() {
    let scene = Scene::postgres("rule24look", &[SALE], DATA).await;
    scene
        .uncaptured("UPDATE product SET starts = now() AT TIME ZONE 'UTC' + interval '1 second'")
        .await;
    let (slow, stop) = stop::after_the_look(&scene.process.compiled("product"));
    let publisher = scene.process.begin(slow, &["1"], &[]).await;
    stop.reached().await;
    eventually("the window opens", MINUTE, async || {
        let open = "SELECT count(*) FROM product WHERE starts + interval '10 ms' < clock_timestamp() AT TIME ZONE 'UTC'";
        match scene.number(open).await {
            1 => Ok(()),
            _ => Err("closed".to_owned()),
        }
    })
    .await;
    scene.process.sweep().await;
    assert_eq!(scene.count("ledger").await, 0, "somebody is at it");
    stop.open();
    publisher.await.unwrap().unwrap();
    sweep(&scene).await;
    scene.assert_settled("product", &SHOWN).await;
}

/// The message is lost with its ledger row; the moment is not, for only a build removes it. Until then the root is not
/// queued again and again.
#[tokio::test(flavor = "multi_thread")]
async fn rule_24_only_a_build_removes_the_moment() {
    let scene = Scene::postgres("rule24lost", &[SALE], DATA).await;
    time_comes(&scene, "UPDATE product SET starts = NULL").await;
    let street = &scene.process.street;
    assert_eq!(clock::tick(street, &[]).await.unwrap(), 1);
    scene.shop.script("DELETE FROM pubsync.ledger").await;
    assert_eq!(due(&scene).await, Some(1));
    assert_eq!(clock::tick(street, &[]).await.unwrap(), 0, "queued already");

    scene
        .shop
        .script("UPDATE pubsync.root_product SET queued_at = queued_at - 3600000000")
        .await;
    assert_eq!(clock::tick(street, &[]).await.unwrap(), 1);
    scene.process.drain().await;
    scene.assert_settled("product", &SHOWN).await;
}

/// What `verify` finds because a moment has just come is no difference: it waits for the clock, and looks again.
#[tokio::test(flavor = "multi_thread")]
async fn rule_24_verify_waits_for_the_clock() {
    let scene = Scene::postgres("rule24verify", &[SALE], DATA).await;
    time_comes(&scene, "UPDATE product SET starts = NULL").await;
    let (street, compiled) = (&scene.process.street, scene.process.compiled("product"));
    let first = verify::document(street, &compiled, &|_| {}).await.unwrap();
    assert!(!first.is_equal(), "the moment has come");
    let clock = async {
        sweep(&scene).await;
    };
    let (report, ()) = tokio::join!(verify::twice(street, &compiled, &|_| {}), clock);
    let report = report.unwrap();
    assert!(report.is_equal(), "{report:?}");
    scene.assert_settled("product", &SHOWN).await;
}
