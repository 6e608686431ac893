//! What goes wrong while pubsync runs: it is said, it stays where it is, and it heals once the cause is gone.

use std::time::Duration;

use pubsync_tests::{Expected, Worker, World, eventually};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);

const TABLES: &str = "
    CREATE TABLE brand (id bigint PRIMARY KEY, name text NOT NULL, logo text);
    CREATE TABLE category (id bigint PRIMARY KEY, name text NOT NULL);
    INSERT INTO brand VALUES (1, 'Alder', 'a.svg'), (2, 'Birch', 'b.svg'), (3, 'Cedar', 'c.svg');
    INSERT INTO category VALUES (1, 'Boots'), (2, 'Tents');
";
const CATEGORY: &str =
    "document: category\nroot: category\nkey: \"category:{id}\"\nbody: { id: id, name: name }\n";
const EXPECTED_CATEGORY: &str =
    "SELECT 'category:' || id, json_build_object('id', id, 'name', name)::text FROM category";

/// A document whose key is a name, so that two roots can make the same.
const BY_NAME: &str = "document: brand\nroot: brand\nkey: \"brand:{name}\"\nbody: { id: id, name: name }\n";
const EXPECTED_BY_NAME: &str =
    "SELECT 'brand:' || name, json_build_object('id', id, 'name', name)::text FROM brand";

/// A world with this document of the brands and one of the categories, in sync, and what keeps it so.
async fn running(label: &str, brand: &str) -> (World, Worker) {
    let world = World::postgres(label).await;
    world.script(TABLES).await;
    world.document("brand", brand);
    world.document("category", CATEGORY);
    world.pubsync(&["apply", "--yes"]).await;
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "60"]).await;
    (world, worker)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_live_roots_with_one_key() {
    let (world, worker) = running("conflict", BY_NAME).await;

    world.script("UPDATE brand SET name = 'Alder' WHERE id = 2").await;
    world
        .script(
            "UPDATE brand SET name = 'Cypress' WHERE id = 3; UPDATE category SET name = 'Shoes' WHERE id = 1",
        )
        .await;
    assert_conflict(&world).await;
    // Others go on; the holder keeps its key, and nobody else's document stands under it.
    let expected = expected(&world, &format!("{EXPECTED_BY_NAME} WHERE id <> 2")).await;
    world
        .snapshot(&["brand", "category"])
        .await
        .assert_equals(&expected);

    // The root that failed changes: at once.
    world.script("UPDATE brand SET name = 'Beech' WHERE id = 2").await;
    assert_healed(&world).await;

    // The root that holds the key gives it up: the other is tried again by itself.
    world.script("UPDATE brand SET name = 'Alder' WHERE id = 2").await;
    assert_conflict(&world).await;
    world.script("UPDATE brand SET name = 'Ash' WHERE id = 1").await;
    eventually("the end of the failure", SOON, async || {
        nothing_failed(&world).await
    })
    .await;
    assert_healed(&world).await;
    world.pubsync(&["verify"]).await;
    worker.stop().await;
}

/// Of the roots 1 (holds the key) and 2.
async fn assert_conflict(world: &World) {
    let output = world
        .pubsync_exits(
            5,
            &["publish", "brand", "--ids", "2", "--wait", "--timeout", "60"],
        )
        .await;
    let told = "pubsync: 1 failed; `pubsync failures` says why\n";
    assert!(output.stderr.ends_with(told), "{}", output.stderr);
    let told = "1 failures are open; `pubsync failures` says why";
    let output = world.pubsync_exits(5, &["wait", "--timeout", "60"]).await;
    assert_eq!(output.stderr, format!("pubsync: {told}\n"));

    let output = world.pubsync(&["failures", "ls", "--all", "--json"]).await;
    let failure: Value = serde_json::from_str(&output.stdout).expect("one failure");
    assert_eq!(
        (
            &failure["stage"],
            &failure["document"],
            &failure["root"],
            &failure["key"],
            &failure["class"]
        ),
        (
            &"publish".into(),
            &"brand".into(),
            &"2".into(),
            &"brand:Alder".into(),
            &"key conflict".into()
        )
    );
    let error = "key \"brand:Alder\" of root 2 is held by root 1: two live roots make the same key; change the key \
                 template or the data";
    assert_eq!(failure["error"], error);
    let output = world.pubsync(&["failures"]).await;
    let cause = "1 × publish brand [key conflict]: key \"…\" of root … is held by root #: two live roots make the same key; \
                 change the key template or the data\n    oldest ";
    assert!(output.stdout.starts_with(cause), "{}", output.stdout);
    let shown = format!("; `pubsync failures show {}`\n", failure["id"]);
    assert!(output.stdout.ends_with(&shown), "{}", output.stdout);
    let status = world.status().await;
    assert_eq!(
        (&status["in_sync"], &status["sentence"]),
        (&false.into(), &"not in sync: 1 failures are open".into())
    );
}

async fn nothing_failed(world: &World) -> Result<(), String> {
    let status = world.status().await;
    match status["failures"].as_array().map(Vec::len) {
        Some(0) => Ok(()),
        _ => Err(status["failures"].to_string()),
    }
}

async fn assert_healed(world: &World) {
    world.pubsync(&["wait", "--timeout", "60"]).await;
    let output = world.pubsync(&["failures"]).await;
    assert_eq!(output.stdout, "");
    let expected = expected(world, EXPECTED_BY_NAME).await;
    world
        .snapshot(&["brand", "category"])
        .await
        .assert_equals(&expected);
}

async fn expected(world: &World, brand: &str) -> Expected {
    world
        .expected(&[("brand", brand), ("category", EXPECTED_CATEGORY)])
        .await
}

const WITH_LOGO: &str =
    "document: brand\nroot: brand\nkey: \"brand:{id}\"\nbody: { id: id, name: name, logo: logo }\n";
const WITHOUT_LOGO: &str =
    "document: brand\nroot: brand\nkey: \"brand:{id}\"\nbody: { id: id, name: name }\n";
const EXPECTED_WITH_LOGO: &str =
    "SELECT 'brand:' || id, json_build_object('id', id, 'name', name, 'logo', logo)::text FROM brand";
const EXPECTED_WITHOUT_LOGO: &str =
    "SELECT 'brand:' || id, json_build_object('id', id, 'name', name)::text FROM brand";

#[tokio::test(flavor = "multi_thread")]
async fn a_column_dropped_under_a_live_trigger() {
    let (world, worker) = running("dropped", WITH_LOGO).await;
    let before = expected(&world, EXPECTED_WITH_LOGO).await;
    world
        .snapshot(&["brand", "category"])
        .await
        .assert_equals(&before);

    world.script("ALTER TABLE brand DROP COLUMN logo").await;
    let changed = world.script("UPDATE brand SET name = name || '!'").await;
    assert_eq!(changed, 3, "the application's statement succeeds");
    let reason = eventually("the pause of the document", SOON, async || {
        paused(&world, "brand").await
    })
    .await;
    assert_eq!(
        reason,
        "table brand was changed under its trigger (UPDATE: table public.brand has no column logo): changes since then are not captured; \
         adapt the document or the table, then `pubsync apply` (it rebuilds what was missed)"
    );
    let status = world.pubsync(&["status"]).await.stdout;
    assert!(status.contains("paused: document brand: "), "{status}");
    assert!(status.contains(&reason), "{status}");
    let output = world.pubsync_exits(5, &["wait", "--timeout", "1"]).await;
    assert!(output.stderr.contains("`pubsync "), "{}", output.stderr);

    others_go_on(&world, "Hiking", &before).await;
    // Also for workers that start now and cannot understand the paused document.
    worker.stop().await;
    let worker = world.spawn(&["run"]);
    paused_because(
        &world,
        "brand.yaml:4:35: no column \"logo\" in table \"brand\": the definition and the tables do not fit; adapt the \
         document or the tables, then `pubsync apply` (it rebuilds what was missed)",
    )
    .await;
    others_go_on(&world, "Biking", &before).await;

    world.document("brand", WITHOUT_LOGO);
    world.pubsync(&["apply", "--yes"]).await;
    assert_in_sync(&world, EXPECTED_WITHOUT_LOGO).await;
    world.script("UPDATE brand SET name = name || '?'").await;
    assert_in_sync(&world, EXPECTED_WITHOUT_LOGO).await;
    worker.stop().await;
}

/// Somebody puts the column back instead: the document is as it was, its number too.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_column_comes_back() {
    let (world, worker) = running("regretted", WITH_LOGO).await;
    // Nobody writes to the table, so it is the publisher that meets the change.
    world.script("ALTER TABLE brand DROP COLUMN logo").await;
    world.pubsync(&["publish", "brand", "--ids", "1"]).await;
    paused_because(
        &world,
        ": the definition and the database do not fit; fix either, then `pubsync apply`",
    )
    .await;
    world.script("UPDATE brand SET name = name || '!'").await;
    worker.stop().await;
    let worker = world.spawn(&["run"]);
    world
        .script("UPDATE category SET name = 'Caps' WHERE id = 2")
        .await;
    eventually("a change of the other document", SOON, async || {
        arrived(&world, "category:2", "Caps").await
    })
    .await;

    world
        .script("ALTER TABLE brand ADD COLUMN logo text; UPDATE brand SET logo = 'new.svg'")
        .await;
    world.pubsync(&["apply", "--yes"]).await;
    assert_in_sync(&world, EXPECTED_WITH_LOGO).await;
    world.script("UPDATE brand SET logo = 'newer.svg'").await;
    assert_in_sync(&world, EXPECTED_WITH_LOGO).await;
    worker.stop().await;
}

/// The reason, as `status` gives it.
async fn paused(world: &World, document: &str) -> Result<String, String> {
    let status = world.status().await;
    let subject = serde_json::json!({ "document": document });
    let pauses = status["paused"].as_array().expect("a list");
    let found = pauses.iter().find(|pause| pause["subject"] == subject);
    match found.and_then(|pause| pause["reason"].as_str()) {
        Some(reason) => Ok(reason.to_owned()),
        None => Err(status.to_string()),
    }
}

/// Until `status` gives a reason that ends so.
async fn paused_because(world: &World, end: &str) {
    eventually("the reason of the pause", SOON, async || {
        match paused(world, "brand").await {
            Ok(reason) if reason.ends_with(end) => Ok(()),
            Ok(reason) | Err(reason) => Err(reason),
        }
    })
    .await;
}

/// The other document follows its table, the paused one stands as it was.
async fn others_go_on(world: &World, name: &str, before: &Expected) {
    let sql = format!("UPDATE category SET name = '{name}' WHERE id = 2");
    world.script(&sql).await;
    eventually("a change of the other document", SOON, async || {
        arrived(world, "category:2", name).await
    })
    .await;
    let mut expected = world.expected(&[("category", EXPECTED_CATEGORY)]).await;
    expected.insert("brand".to_owned(), before["brand"].clone());
    let search = async || {
        let found = world
            .snapshot(&["brand", "category"])
            .await
            .differences(&expected);
        if found.is_empty() {
            Ok(())
        } else {
            Err(found.join("\n"))
        }
    };
    eventually("the same in the index", SOON, search).await;
}

/// In Redis.
async fn arrived(world: &World, key: &str, name: &str) -> Result<(), String> {
    let documents = world.redis().documents().await;
    let found = documents
        .get(key)
        .and_then(|document| document.body.get("name"))
        .cloned();
    match found {
        Some(pubsync_tests::Json::Text(text)) if text == name => Ok(()),
        other => Err(format!("{key} has the name {other:?}")),
    }
}

async fn assert_in_sync(world: &World, brand: &str) {
    world.pubsync(&["wait", "--timeout", "60"]).await;
    let expected = expected(world, brand).await;
    world
        .snapshot(&["brand", "category"])
        .await
        .assert_equals(&expected);
    let status = world.status().await;
    assert_eq!(status["in_sync"], true, "{status}");
    world.pubsync(&["verify"]).await;
}

/// The broker counts deliveries, and puts aside what came too often: what goes back does so ever more slowly.
#[tokio::test(flavor = "multi_thread")]
async fn work_that_cannot_be_read_goes_back_ever_more_slowly() {
    let world = World::postgres("goesback").await;
    world.configure(|config| format!("{config}inline_limit: 0\n"));
    world.script(TABLES).await;
    world.document("category", CATEGORY);
    world.pubsync(&["apply", "--yes"]).await;
    let others = world.spawn(&["run", "relay", "publisher"]);
    eventually("a message for the target", SOON, async || {
        let sent = "SELECT 1 FROM pubsync.ledger WHERE queue LIKE 'sync.storage.%' AND sent_at IS NOT NULL";
        let rows = world.session().await.rows(sent).await;
        (!rows.is_empty())
            .then_some(())
            .ok_or_else(|| "none was sent".to_owned())
    })
    .await;
    world
        .script("ALTER TABLE pubsync.mirror_category RENAME TO hidden")
        .await;
    let synchronizer = world.spawn(&["run", "synchronizer", "--concurrency", "1"]);
    let times = eventually("its seventh return", SOON * 2, async || {
        let log = synchronizer.log();
        let ours = |line: &&str| line.contains("goes back") && line.contains("sync.storage.category");
        let times: Vec<u64> = log.lines().filter(ours).map(microseconds).collect();
        if times.len() < 7 { Err(log) } else { Ok(times) }
    })
    .await;
    // Doublings of 100 ms up to 2 s, of which jitter takes at most a half.
    let waited = times[6] - times[5];
    assert!(
        waited > 900_000,
        "{waited} microseconds before the seventh: {times:?}"
    );
    world
        .script("ALTER TABLE pubsync.hidden RENAME TO mirror_category")
        .await;
    world.pubsync(&["wait", "--timeout", "120"]).await;
    synchronizer.stop().await;
    others.stop().await;
}

/// Of the day, from the time with which a line of a log begins.
fn microseconds(line: &str) -> u64 {
    let time = line.split(['T', 'Z']).nth(1).expect("a time");
    let parts = time
        .split([':', '.'])
        .map(|part| part.parse::<u64>().expect("a number"));
    let [hours, minutes, seconds, micros] = parts.collect::<Vec<_>>()[..] else {
        panic!("no time: {line}")
    };
    ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros
}
