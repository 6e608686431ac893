//! Outbox, ledger and broker: what may be merged, what may be lost, and what is sent again.

use std::time::Duration;

use pubsync_publisher::publish::consumer::Received;
use pubsync_schema::{ledger, names::Lane, wire::PublishWork};
use tokio::time::timeout;

use super::scene::{MINUTE, PRODUCT, Process, Scene};
use super::stop::{self, Gate};

const THREE: &str =
    "INSERT INTO product VALUES (1, NULL, 'a', 'one'), (2, NULL, 'b', 'two'), (3, NULL, 'c', 'three');
    INSERT INTO offer VALUES (7, 1, 'de', 1);";

fn product(name: &str, offers: &str) -> String {
    format!("{{\"name\":\"{name}\",\"brand\":null,\"offers\":[{offers}]}}")
}

/// A child moves 1 → 2; something rebuilds root 2, which now shows it; the child moves on, 2 → 3. All of it is relayed at
/// once. If that were merged to 1 → 3, root 2 would keep the child for ever.
#[tokio::test(flavor = "multi_thread")]
async fn rule_6_a_child_that_moves_twice() {
    let scene = Scene::postgres("rule6", &[PRODUCT], THREE).await;
    scene.shop.script("UPDATE offer SET product_id = 2").await;
    assert_eq!(scene.process.publish("product", &["2"]).await.changed, 1);
    scene.shop.script("UPDATE offer SET product_id = 3").await;
    goes_from_two_to_three(&scene).await;
}

/// As before, but the child goes by a delete and comes back by an insert: that is not an update of one row.
#[tokio::test(flavor = "multi_thread")]
async fn rule_6_a_child_that_is_deleted_and_inserted() {
    let scene = Scene::postgres("rule6insert", &[PRODUCT], THREE).await;
    scene.shop.script("UPDATE offer SET product_id = 2").await;
    assert_eq!(scene.process.publish("product", &["2"]).await.changed, 1);
    scene.shop.script("DELETE FROM offer").await;
    scene
        .shop
        .script("INSERT INTO offer VALUES (7, 3, 'de', 1)")
        .await;
    goes_from_two_to_three(&scene).await;
}

async fn goes_from_two_to_three(scene: &Scene) {
    let captured = scene.count("outbox").await;
    let taken = scene.process.relay().await;
    assert_eq!(i64::try_from(taken), Ok(captured), "all at once");
    scene.process.drain().await;
    let (one, two, three) = (product("one", ""), product("two", ""), product("three", "7"));
    let expected = [("product:a", &*one), ("product:b", &*two), ("product:c", &*three)];
    scene.assert_settled("product", &expected).await;
}

/// A message is out; a change of another root comes. Were it merged into the row of that message, the publisher of the
/// copy that is out would delete it unread. A second copy of the message finds its row gone and loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn rule_7_a_message_that_is_out() {
    let scene = Scene::postgres("rule7", &[PRODUCT], THREE).await;
    let first = out(&scene, "UPDATE product SET name = 'ONE' WHERE id = 1").await;
    let payload = format!("SELECT payload FROM pubsync.ledger WHERE id = {first}");
    let before = scene.shop.rows(&payload).await;
    scene
        .shop
        .script("UPDATE product SET name = 'TWO' WHERE id = 2")
        .await;
    scene.process.relay().await;
    assert_eq!(scene.count("ledger").await, 2);
    assert_eq!(scene.shop.rows(&payload).await, before);

    let compiled = scene.process.compiled("product");
    let job = scene.process.job(&["1"], &[first]).await;
    let copies = [
        scene.process.publish.run(&compiled, &job).await.unwrap(),
        scene.process.publish.run(&compiled, &job).await.unwrap(),
    ];
    assert_eq!(copies.map(|copy| copy.duplicate), [false, true]);
    scene.process.drain().await;
    let (one, two, three) = (product("ONE", "7"), product("TWO", ""), product("three", ""));
    let expected = [("product:a", &*one), ("product:b", &*two), ("product:c", &*three)];
    scene.assert_settled("product", &expected).await;
}

/// Two copies of a message at once. The second one waits for the first: dies the first, then the second does the work;
/// commits the first, then the second has none.
#[tokio::test(flavor = "multi_thread")]
async fn rule_7_two_copies_at_once() {
    let scene = Scene::postgres("rule7copies", &[PRODUCT], THREE).await;
    for (killed, name) in [(true, "ONE"), (false, "one more")] {
        let id = out(
            &scene,
            &format!("UPDATE product SET name = '{name}' WHERE id = 1"),
        )
        .await;
        let compiled = scene.process.compiled("product");
        let (slow, stop) = stop::after_the_look(&compiled);
        let first = scene.process.begin(slow, &["1"], &[id]).await;
        stop.reached().await;
        let second = scene.process.begin(compiled, &["1"], &[id]).await;
        scene.blocked(1).await;
        if killed {
            first.abort();
            first.await.unwrap_err();
        } else {
            stop.open();
            first.await.unwrap().unwrap();
        }
        let second = second.await.unwrap().unwrap();
        assert_eq!((second.changed == 1, second.duplicate), (killed, !killed));
        scene.process.drain().await;
        assert_eq!(scene.mirror("product").await[0].1, product(name, "7"));
    }
    let (two, three) = (product("two", ""), product("three", ""));
    let one = product("one more", "7");
    let expected = [("product:a", &*one), ("product:b", &*two), ("product:c", &*three)];
    scene.assert_settled("product", &expected).await;
}

/// Captures and relays a change, puts its message on the road, and gives its ledger row.
async fn out(scene: &Scene, change: &str) -> i64 {
    scene.shop.script(change).await;
    scene.process.relay().await;
    assert_eq!(scene.process.send().await, 1);
    scene
        .number("SELECT max(id) FROM pubsync.ledger WHERE claimed_at IS NOT NULL")
        .await
}

const MANY: i64 = 5003;

/// One change concerns 5,003 roots. The worker dies while it cuts the message into parts, and again while it does one of
/// them: a ledger row stands for everything that is not done.
#[tokio::test(flavor = "multi_thread")]
async fn rule_8_a_message_of_many_roots() {
    let scene = Scene::postgres("rule8", &[PRODUCT], "INSERT INTO brand VALUES (1, 'old');").await;
    let insert = format!("INSERT INTO product SELECT i, 1, 's' || i, 'X' FROM generate_series(1, {MANY}) i");
    scene.uncaptured(&insert).await;
    scene.shop.script("UPDATE brand SET name = 'new'").await;
    scene.process.relay().await;
    let whole = received(&scene).await;

    let gate = Gate::close(&scene).await;
    let (publish, compiled) = (scene.process.publish.clone(), scene.process.compiled("product"));
    let cutting = {
        let whole = whole.clone();
        tokio::spawn(async move { publish.explode(&compiled, &whole).await })
    };
    scene.blocked(1).await;
    scene.kill_blocked().await;
    cutting.await.unwrap().unwrap_err();
    gate.open().await;
    assert_eq!(scene.count("ledger").await, 1, "the whole message");

    let compiled = scene.process.compiled("product");
    assert_eq!(
        scene.process.publish.explode(&compiled, &whole).await.unwrap(),
        5000
    );
    assert_eq!(
        scene.process.publish.explode(&compiled, &whole).await.unwrap(),
        0,
        "a copy"
    );
    assert_eq!(
        scene.count("ledger").await,
        51,
        "fifty parts, and what goes on from there"
    );

    let part = received(&scene).await;
    let PublishWork::Roots(roots) = &part.work else {
        panic!("{part:?}")
    };
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    let (slow, stop) = stop::after_the_look(&compiled);
    let dying = scene.process.begin(slow, &roots, &[part.id]).await;
    stop.reached().await;
    dying.abort();
    dying.await.unwrap_err();
    scene.process.drain().await;

    assert_eq!(scene.failures().await, Vec::<[String; 4]>::new());
    let new = "SELECT count(*) FROM pubsync.mirror_product WHERE deleted_at IS NULL AND body::jsonb->>'brand' = 'new'";
    assert_eq!(scene.number(new).await, MANY);
    scene.assert_target_equals_mirror("product", "local").await;
}

/// The oldest ledger row of publish work, as a consumer would receive it.
async fn received(scene: &Scene) -> Received {
    let rows = scene
        .shop
        .rows("SELECT id, payload, changed_at FROM pubsync.ledger WHERE target IS NULL ORDER BY id LIMIT 1")
        .await;
    let text = |at: usize| rows[0][at].clone().unwrap();
    Received {
        id: text(0).parse().unwrap(),
        document: "product".to_owned(),
        lane: Lane::Live,
        changed_at: text(2).parse().unwrap(),
        run: None,
        trace: None,
        work: serde_json::from_str(&text(1)).unwrap(),
    }
}

/// As many messages are out as the bound allows; then the broker loses them all. The bound must not forbid what it counts.
#[tokio::test(flavor = "multi_thread")]
async fn rule_9_everything_that_was_out_is_wiped() {
    let scene = Scene::postgres("rule9", &[PRODUCT], THREE).await;
    let process = scene.process.with(|settings| {
        settings.outstanding = 2;
        settings.resend_after = Duration::ZERO;
    });
    as_many_as_the_bound_allows(&scene, &process, "NEW").await;
    let queue = ["publish.product".to_owned()];
    process.street.broker.delete(&queue).await.unwrap();
    process.street.broker.declare(&queue).await.unwrap();
    sent_again(&scene, &process, "NEW").await;
}

/// As before, but the queue is gone and stays so: then nobody waits for the time of a message to run out.
#[tokio::test(flavor = "multi_thread")]
async fn rule_9_the_queue_is_gone() {
    let scene = Scene::postgres("rule9queue", &[PRODUCT], THREE).await;
    let process = scene.process.with(|settings| settings.outstanding = 2);
    as_many_as_the_bound_allows(&scene, &process, "NEW").await;
    let queue = ["publish.product".to_owned()];
    process.street.broker.delete(&queue).await.unwrap();
    sent_again(&scene, &process, "NEW").await;
}

async fn as_many_as_the_bound_allows(scene: &Scene, process: &Process, name: &str) {
    let mut sent = 0;
    for id in 1..=3 {
        scene
            .shop
            .script(&format!("UPDATE product SET name = '{name}' WHERE id = {id}"))
            .await;
        process.relay().await;
        sent += process.send().await;
    }
    assert_eq!(sent, 2, "the bound");
    process.sweep().await;
    assert_eq!(process.send().await, 0, "a copy of what the broker still holds");
}

async fn sent_again(scene: &Scene, process: &Process, name: &str) {
    process.sweep().await;
    assert_eq!(process.send().await, 2);
    process.drain().await;
    let (first, other) = (product(name, "7"), product(name, ""));
    let expected = [
        ("product:a", &*first),
        ("product:b", &*other),
        ("product:c", &*other),
    ];
    scene.assert_settled("product", &expected).await;
}

/// PostgreSQL plans a claim with what it knew when the ledger's pages held nothing, and then joins by loops in loops: a
/// claim that ran its parts anew for every row would not end within hours.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_takes_each_row_once_whatever_the_plan() {
    const ROWS: &str = "INSERT INTO pubsync.ledger (kind, queue, document, target, lane, payload, items, definition, changed_at) \
         SELECT 'sync', 'sync.' || i % 3, 'product', 'local', 'live', '{}', 1, 1, 1 FROM generate_series(1, 4500) i;";
    let scene = Scene::postgres("claim", &[PRODUCT], "").await;
    scene
        .shop
        .script(&format!(
            "ALTER TABLE pubsync.ledger SET (autovacuum_enabled = false); {ROWS} DELETE FROM pubsync.ledger;"
        ))
        .await;
    scene.shop.script("ANALYZE pubsync.ledger").await;
    scene.shop.script(ROWS).await;
    let first = scene.number("SELECT min(id) FROM pubsync.ledger").await;
    let mut claimed = Vec::new();
    for taken in [500, 500, 200, 0] {
        let claim = ledger::claim(&scene.process.street.store, 500, 400, &[]);
        let entries = timeout(MINUTE, claim).await.expect("in time").unwrap();
        assert_eq!(entries.len(), taken, "400 of each of three queues");
        claimed.extend(entries.into_iter().map(|entry| entry.id - first));
    }
    claimed.sort_unstable();
    assert!(claimed.into_iter().eq(0..1200), "the oldest");
}

/// A worker settles a message in a long transaction. Who marks what is sent, and who takes lost messages back, passes that
/// row by and does the others.
#[tokio::test(flavor = "multi_thread")]
async fn who_settles_slowly_holds_nobody_up() {
    let scene = Scene::postgres("slow", &[PRODUCT], THREE).await;
    let (slow, other) = (
        out(&scene, "UPDATE product SET name = 'ONE' WHERE id = 1").await,
        out(&scene, "UPDATE product SET name = 'TWO' WHERE id = 2").await,
    );
    let mut worker = scene.shop.session().await;
    worker
        .execute(&format!("BEGIN; DELETE FROM pubsync.ledger WHERE id = {slow}"))
        .await
        .unwrap();

    let store = &scene.process.street.store;
    let both = [slow, other];
    let marked = ledger::mark_sent(store, &both, Some("marked"));
    timeout(MINUTE, marked).await.expect("in time").unwrap();
    let count = "SELECT count(*) FROM pubsync.ledger WHERE epoch = 'marked'";
    assert_eq!(scene.number(count).await, 1);
    let patience = ledger::Patience { unsent: 0, sent: 0 };
    let taken = ledger::take_back(store, "publish.product", patience, None);
    assert_eq!(timeout(MINUTE, taken).await.expect("in time").unwrap(), 1);

    worker.execute("COMMIT").await.unwrap();
    assert_eq!(
        scene.number("SELECT min(id) FROM pubsync.ledger").await,
        other,
        "the one is settled, the other sent again"
    );
}
