//! Ends: of a worker under load, of a run that is to end by itself, of a document that is no longer wanted.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pubsync_tests::{Database, RedisServer, World, eventually};

const SOON: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(25);
const ROOTS: u64 = 200;
const ENDS: usize = 5;

const TABLES: &str = "
    CREATE TABLE brand (id bigint PRIMARY KEY, name text NOT NULL);
    CREATE TABLE item (id bigint PRIMARY KEY, title text NOT NULL, brand_id bigint NOT NULL REFERENCES brand (id));
    INSERT INTO brand SELECT n, 'brand ' || n FROM generate_series(1, 10) AS n;
    INSERT INTO item SELECT n, 'item ' || n, 1 + n % 10 FROM generate_series(1, $ROOTS) AS n;
";
const BRAND: &str = "document: brand\nroot: brand\nkey: \"brand:{id}\"\nbody: { id: id, name: name, items: { count: item } }\n";
const ITEM: &str = "document: item\nroot: item\nkey: \"item:{id}\"\nbody: { id: id, title: title, brand: { one: brand, body: name } }\n";

async fn shop(label: &str) -> World {
    let world = World::postgres(label).await;
    world.script(&TABLES.replace("$ROOTS", &ROOTS.to_string())).await;
    world.document("brand", BRAND);
    world.document("item", ITEM);
    world.pubsync(&["apply", "--yes"]).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_loses_nothing() {
    let world = shop("sigterm").await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(application(world.database().clone(), stop.clone()));
    for _ in 0..ENDS {
        let worker = world.spawn(&["run"]);
        // Something of it has been done, and more comes in all the time.
        let before = revisions(&world).await;
        eventually("progress", SOON, async || {
            if revisions(&world).await > before {
                Ok(())
            } else {
                Err("no new revision".to_owned())
            }
        })
        .await;
        let begun = Instant::now();
        worker.stop().await;
        assert!(begun.elapsed() < GRACE, "it took {:?}", begun.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    let written = load.await.expect("the application fails nowhere");
    assert!(written > 0, "there was no load");
    // The last worker ends by itself once all is done.
    world.pubsync(&["run", "--until-quiet"]).await;
    world.pubsync(&["wait", "--timeout", "1"]).await;
    assert_equal(&world).await;
    world.pubsync(&["verify"]).await;
}

/// Nothing takes what this one sends, so it never finds quiet. A signal ends it as it ends any other.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_a_run_that_waits_for_quiet() {
    let world = shop("noquiet").await;
    let relay = world.spawn(&["run", "relay", "--until-quiet"]);
    eventually("a message", SOON, async || {
        match world.broker().messages().await.is_empty() {
            true => Err("no message".to_owned()),
            false => Ok(()),
        }
    })
    .await;
    relay.stop().await;
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_equal(&world).await;
}

/// Workers end in the middle of their work. What they had finished is not in a queue any more: the ledger has a row for each
/// message that is.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_leaves_nothing_behind_that_is_finished() {
    let world = shop("finished").await;
    // No second copies: they may stay behind when the first one is done.
    world.configure(|config| config.replace("resend_after: 3", "resend_after: 600"));
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(application(world.database().clone(), stop.clone()));
    let relay = world.spawn(&["run", "relay"]);
    for _ in 0..ENDS {
        let workers = [
            world.spawn(&["run", "publisher"]),
            world.spawn(&["run", "synchronizer"]),
        ];
        let before = revisions(&world).await;
        eventually("progress", SOON, async || {
            match revisions(&world).await > before {
                true => Ok(()),
                false => Err("no new revision".to_owned()),
            }
        })
        .await;
        for worker in workers {
            let begun = Instant::now();
            worker.stop().await;
            assert!(begun.elapsed() < GRACE, "it took {:?}", begun.elapsed());
        }
    }
    stop.store(true, Ordering::Relaxed);
    load.await.expect("the application fails nowhere");
    // The relay takes no more: from here on everything stands still.
    relay.stop().await;
    let messages = world.broker().messages().await;
    let open = world
        .session()
        .await
        .rows("SELECT id::text FROM pubsync.ledger")
        .await;
    let open: HashSet<i64> = open.iter().map(|row| number(row[0].as_deref())).collect();
    let id = |body: &String| {
        let message: serde_json::Value = serde_json::from_str(body).expect("a message");
        message["id"].as_i64().expect("an id")
    };
    let finished: Vec<i64> = messages.iter().map(id).filter(|id| !open.contains(id)).collect();
    assert!(!messages.is_empty(), "the workers were done with everything");
    assert_eq!(finished, Vec::<i64>::new(), "of {} messages", messages.len());

    world.configure(|config| config.replace("resend_after: 600", "resend_after: 3"));
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_equal(&world).await;
}

/// A target that neither takes nor refuses the write under way does not keep the worker beyond its grace. The write may
/// still be done later, by a server that wakes up.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_while_a_target_hangs() {
    let world = shop("hanging").await;
    let server = RedisServer::start(&world).await;
    world.storage_at(&server.url());
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "60"]).await;
    server.signal("STOP");
    world.script("UPDATE brand SET name = 'old' WHERE id = 1").await;
    eventually("a write on its way", SOON, async || {
        let claimed = "SELECT id::text FROM pubsync.ledger WHERE target = 'storage' AND sent_at IS NOT NULL";
        match world.session().await.rows(claimed).await.is_empty() {
            true => Err("none".to_owned()),
            false => Ok(()),
        }
    })
    .await;
    let begun = Instant::now();
    worker.stop().await;
    assert!(begun.elapsed() < GRACE, "it took {:?}", begun.elapsed());
    world.script("UPDATE brand SET name = 'new' WHERE id = 1").await;
    server.signal("CONT");
    world.pubsync(&["run", "--until-quiet"]).await;
    let expected = world
        .expected(&[("brand", EXPECTED_BRAND), ("item", EXPECTED_ITEM)])
        .await;
    let mut snapshot = world.snapshot(&["brand", "item"]).await;
    snapshot
        .stores
        .insert("storage".to_owned(), server.keys().documents().await);
    snapshot.assert_equals(&expected);
}

/// Changes rows as fast as it can until stopped; returns how many transactions that were.
async fn application(database: Database, stop: Arc<AtomicBool>) -> u64 {
    let mut session = database.session().await;
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let (item, brand) = (1 + round * 7 % ROOTS, 1 + round % 10);
        let sql = format!(
            "UPDATE item SET title = 'round {round}', brand_id = {brand} WHERE id BETWEEN {item} AND {item} + 10; \
             UPDATE brand SET name = 'round {round}' WHERE id = {brand}"
        );
        session
            .execute(&sql)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }
    round
}

async fn revisions(world: &World) -> i64 {
    let rows = world
        .session()
        .await
        .rows("SELECT coalesce(max(revision), 0)::text FROM pubsync.mirror_item")
        .await;
    number(rows[0][0].as_deref())
}

fn number(text: Option<&str>) -> i64 {
    text.expect("a number").parse().expect("a number")
}

/// A second signal ends it in the middle of its work, which stays in the ledger.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_leaves_the_rest() {
    let world = shop("impatient").await;
    let mut worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "60"]).await;
    let mut holder = world.session().await;
    let hold = "BEGIN; LOCK TABLE pubsync.root_brand IN ACCESS EXCLUSIVE MODE";
    holder.execute(hold).await.expect("a lock");
    world.script("UPDATE brand SET name = 'new' WHERE id = 1").await;
    eventually("a publisher that waits for the lock", SOON, async || {
        let waiting = "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        match world.session().await.rows(waiting).await.is_empty() {
            true => Err("nobody waits".to_owned()),
            false => Ok(()),
        }
    })
    .await;
    worker.ask_to_end();
    eventually("the first signal", SOON, async || match worker.log() {
        log if log.contains("finishing what is at hand") => Ok(()),
        log => Err(log),
    })
    .await;
    let log = world.folder().join("logs");
    let status = worker.sigterm().await;
    assert_eq!(status.code(), Some(5), "{status}");
    let logs = std::fs::read_dir(log)
        .expect("logs")
        .map(|entry| entry.expect("a log").path());
    let told = "pubsync: stopped before all work was settled; the ledger has the rest\n";
    let said = |path: std::path::PathBuf| std::fs::read_to_string(path).is_ok_and(|log| log.ends_with(told));
    assert!(logs.into_iter().any(said));

    holder.execute("ROLLBACK").await.expect("an end");
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_equal(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_apply_changes_nothing() {
    let world = shop("again").await;
    world.pubsync(&["run", "--until-quiet"]).await;
    let before = (world.snapshot(&["brand", "item"]).await, catalogue(&world).await);
    let output = world.pubsync(&["apply", "--yes"]).await;
    assert_eq!(output.stdout, "unchanged: brand, item\nnothing to do\n");
    assert_eq!(world.status().await["in_sync"], true, "nothing was queued");
    world.pubsync(&["run", "--until-quiet"]).await;
    let after = (world.snapshot(&["brand", "item"]).await, catalogue(&world).await);
    assert_eq!(
        (format!("{:?}", before.0), before.1),
        (format!("{:?}", after.0), after.1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_gone_takes_its_triggers_along() {
    let world = shop("gone").await;
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "60"]).await;
    assert_eq!(triggered(&world).await, ["brand", "item"]);

    // `item` is still read for the other document.
    std::fs::remove_file(world.folder().join("documents/item.yaml")).expect("item.yaml");
    let output = world.pubsync(&["apply", "--yes"]).await;
    assert_eq!(
        output.stdout,
        "removed: item\ntriggers replaced on: item\nunchanged: brand\n\
         kept: what is left of item; `pubsync apply --remove item` takes it away\n"
    );
    assert_eq!(triggered(&world).await, ["brand", "item"]);
    world
        .script("UPDATE item SET title = 'unseen'; UPDATE item SET brand_id = 1 WHERE id < 50; UPDATE brand SET name = 'seen'")
        .await;
    world.pubsync(&["wait", "--timeout", "60"]).await;
    let brands = world.expected(&[("brand", EXPECTED_BRAND)]).await;
    let mut snapshot = world.snapshot(&["brand"]).await;
    for documents in snapshot.stores.values_mut() {
        documents.retain(|key, _| key.starts_with("brand:"));
    }
    snapshot.assert_equals(&brands);
    let output = world.pubsync_exits(2, &["publish", "item"]).await;
    assert_eq!(
        output.stderr,
        "pubsync: document \"item\" is not defined; there are: brand\n"
    );

    std::fs::remove_file(world.folder().join("documents/brand.yaml")).expect("brand.yaml");
    world.document(
        "other",
        "document: other\nroot: other\nkey: \"other:{id}\"\nbody: { id: id }\n",
    );
    world.script("CREATE TABLE other (id bigint PRIMARY KEY)").await;
    world.pubsync(&["apply", "--yes"]).await;
    assert_eq!(triggered(&world).await, ["other"]);
    world
        .script("UPDATE item SET title = 'unheard'; DELETE FROM item; DELETE FROM brand")
        .await;
    world.pubsync(&["wait", "--timeout", "60"]).await;
    assert_eq!(world.status().await["in_sync"], true);
    worker.stop().await;
}

/// Tables with triggers.
async fn triggered(world: &World) -> Vec<String> {
    let query = "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1";
    let rows = world.session().await.rows(query).await;
    rows.into_iter()
        .map(|row| row[0].clone().expect("a name"))
        .collect()
}

/// Everything in the database that has a name, and when each definition was applied.
async fn catalogue(world: &World) -> Vec<Vec<Option<String>>> {
    let query = "SELECT oid::text, relname::text FROM pg_class WHERE relnamespace::regnamespace::text IN ('public', 'pubsync') \
                 UNION ALL SELECT oid::text, tgname::text FROM pg_trigger WHERE NOT tgisinternal \
                 UNION ALL SELECT oid::text, proname::text FROM pg_proc WHERE pronamespace::regnamespace::text = 'pubsync' \
                 UNION ALL SELECT document || ' ' || number, applied_at::text FROM pubsync.definition ORDER BY 1, 2";
    world.session().await.rows(query).await
}

const EXPECTED_BRAND: &str = "SELECT 'brand:' || id, json_build_object('id', id, 'name', name, \
    'items', (SELECT count(*) FROM item WHERE brand_id = brand.id))::text FROM brand";
const EXPECTED_ITEM: &str = "SELECT 'item:' || item.id, json_build_object('id', item.id, 'title', title, 'brand', name)::text \
    FROM item JOIN brand ON brand.id = brand_id";

async fn assert_equal(world: &World) {
    let expected = world
        .expected(&[("brand", EXPECTED_BRAND), ("item", EXPECTED_ITEM)])
        .await;
    world.snapshot(&["brand", "item"]).await.assert_equals(&expected);
}
