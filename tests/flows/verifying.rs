//! `verify` finds, counts and names what differs; `resync` heals targets, `publish` the mirror.

use std::{collections::BTreeSet, time::Duration};

use pubsync_tests::{Expected, World};
use redis::AsyncTypedCommands;
use serde_json::{Value, json};

const TABLES: &str = "
    CREATE TABLE brand (id bigint PRIMARY KEY, name text NOT NULL);
    CREATE TABLE category (id bigint PRIMARY KEY, name text NOT NULL);
    INSERT INTO brand SELECT n, 'brand ' || n FROM generate_series(1, 9) AS n;
    INSERT INTO category SELECT n, 'category ' || n FROM generate_series(1, 3) AS n;
";

async fn shop(label: &str) -> World {
    let world = World::postgres(label).await;
    world.script(TABLES).await;
    for document in ["brand", "category"] {
        world.document(
            document,
            &format!("document: {document}\nroot: {document}\nkey: \"{document}:{{id}}\"\nbody: {{ id: id, name: name }}\n"),
        );
    }
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_equal(&world).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_targets_are_found_and_healed() {
    let world = shop("damaged").await;
    let revision = |key: &'static str| {
        let world = &world;
        async move { world.mirror("brand").await[key].revision }
    };
    let mut redis = world.redis().connection().await;
    let prefix = world.redis().prefix().to_owned();
    redis.del(format!("{prefix}brand:1")).await.expect("DEL");
    // Another body behind the right revision; the right body behind an older one; what no row has ever made.
    for (key, text) in [
        (
            "brand:2",
            format!(
                "{{\"_revision\":{},\"id\":2,\"name\":\"wrong\"}}",
                revision("brand:2").await
            ),
        ),
        (
            "brand:3",
            format!(
                "{{\"_revision\":{},\"id\":3,\"name\":\"brand 3\"}}",
                revision("brand:3").await - 1
            ),
        ),
        (
            "brand:99",
            "{\"_revision\":1,\"id\":99,\"name\":\"ghost\"}".to_owned(),
        ),
    ] {
        redis.set(format!("{prefix}{key}"), text).await.expect("SET");
    }
    let search = world.search();
    search
        .take_away("brand", "brand:4", revision("brand:4").await)
        .await;
    search
        .take_away("brand", "brand:5", revision("brand:5").await)
        .await;
    let right = revision("brand:6").await;
    search
        .tamper(
            "brand",
            "brand:6",
            right,
            &format!("{{\"_revision\":{right},\"id\":6,\"name\":\"wrong\"}}"),
        )
        .await;
    search
        .tamper(
            "brand",
            "brand:98",
            1,
            "{\"_revision\":1,\"id\":98,\"name\":\"ghost\"}",
        )
        .await;

    let expected = BTreeSet::from([
        found("brand", "storage", "missing", &["brand:1"]),
        found("brand", "storage", "stale", &["brand:2", "brand:3"]),
        found("brand", "storage", "orphaned", &["brand:99"]),
        found("brand", "search", "missing", &["brand:4", "brand:5"]),
        found("brand", "search", "stale", &["brand:6"]),
        found("brand", "search", "orphaned", &["brand:98"]),
    ]);
    assert_eq!(verified(&world, &[]).await, expected);
    assert_eq!(verified(&world, &["brand"]).await, expected);
    world.pubsync(&["verify", "category"]).await;
    let output = world.pubsync_exits(1, &["verify"]).await;
    let lines: Vec<&str> = output.stdout.lines().collect();
    for line in [
        "12 roots built, 24 documents compared",
        "2 stale in storage: brand",
        "  brand:2",
        "  brand:3",
    ] {
        assert!(lines.contains(&line), "no {line:?} in\n{}", output.stdout);
    }
    assert_eq!(output.stderr, "pubsync: source, mirror and targets differ\n");

    let worker = world.spawn(&["run"]);
    let output = world.pubsync(&["resync", "--all", "--wait", "--json"]).await;
    let runs: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(
        runs["runs"].as_array().map(Vec::len),
        Some(4),
        "one for each document and target: {runs}"
    );
    world.pubsync(&["verify"]).await;
    assert_equal(&world).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_target_or_a_few_roots_are_resynchronized_alone() {
    let world = shop("narrow").await;
    world.redis().lose_documents().await;
    let revision = world.mirror("brand").await["brand:1"].revision;
    world.search().take_away("brand", "brand:1", revision).await;
    let worker = world.spawn(&["run"]);
    world
        .pubsync(&["resync", "brand", "--target", "storage", "--ids", "1,2", "--wait"])
        .await;
    let held: Vec<String> = world.redis().documents().await.into_keys().collect();
    assert_eq!(held, ["brand:1", "brand:2"]);
    world
        .pubsync(&["resync", "--all", "--target", "storage", "--wait"])
        .await;
    let expected = BTreeSet::from([found("brand", "search", "missing", &["brand:1"])]);
    assert_eq!(verified(&world, &[]).await, expected);
    world
        .pubsync(&["resync", "brand", "--since", "1d", "--wait"])
        .await;
    world.pubsync(&["verify"]).await;
    assert_equal(&world).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_behind_its_source_is_found_and_healed() {
    let world = shop("behind").await;
    world
        .script(
            "SET session_replication_role = replica;
             UPDATE brand SET name = 'changed' WHERE id IN (1, 2);
             INSERT INTO brand VALUES (50, 'new');
             DELETE FROM brand WHERE id = 3;
             RESET session_replication_role;
             ALTER TABLE category DISABLE TRIGGER USER;
             UPDATE category SET name = 'changed' WHERE id = 1;
             ALTER TABLE category ENABLE TRIGGER USER;",
        )
        .await;
    let expected = BTreeSet::from([
        found("brand", "mirror", "missing", &["brand:50"]),
        found("brand", "mirror", "stale", &["brand:1", "brand:2"]),
        found("brand", "mirror", "orphaned", &["brand:3"]),
        found("category", "mirror", "stale", &["category:1"]),
    ]);
    assert_eq!(verified(&world, &[]).await, expected);
    let dry = world.pubsync(&["publish", "--all", "--dry-run"]).await;
    // The deleted root counts: only building it finds that it is gone.
    assert_eq!(dry.stdout, "10 roots of brand\n3 roots of category\n");

    let worker = world.spawn(&["run"]);
    let before = world.mirror("brand").await;
    world.pubsync(&["publish", "--all", "--wait"]).await;
    world.pubsync(&["verify"]).await;
    assert_equal(&world).await;
    let after = world.mirror("brand").await;
    for key in ["brand:4", "brand:9"] {
        assert_eq!(before[key], after[key], "unchanged is silent");
    }
    worker.stop().await;
}

/// What is found is queued by the same command: a rebuild for the mirror, a resync for the target.
#[tokio::test(flavor = "multi_thread")]
async fn differences_are_repaired_on_demand() {
    let world = shop("repairing").await;
    world
        .script(
            "ALTER TABLE category DISABLE TRIGGER USER; UPDATE category SET name = 'changed' WHERE id = 1;
             ALTER TABLE category ENABLE TRIGGER USER;",
        )
        .await;
    let revision = world.mirror("brand").await["brand:1"].revision;
    world.search().take_away("brand", "brand:1", revision).await;
    let output = world.pubsync_exits(1, &["verify", "--repair"]).await;
    assert_eq!(
        output.stderr,
        "pubsync: source, mirror and targets differ; queued what heals them as runs 3, 4\n"
    );
    let runs = "SELECT kind, document, target FROM pubsync.run WHERE id > 2 ORDER BY id";
    let row = |row: [&str; 3]| {
        row.map(|text| (!text.is_empty()).then(|| text.to_owned()))
            .to_vec()
    };
    assert_eq!(
        world.session().await.rows(runs).await,
        [
            row(["resync", "brand", "search"]),
            row(["publish", "category", ""])
        ]
    );
    world.pubsync(&["run", "--until-quiet"]).await;
    world.pubsync(&["verify", "--repair"]).await;
    assert_equal(&world).await;
}

/// Long runs say how far they are, and do not claim more than there is.
#[tokio::test(flavor = "multi_thread")]
async fn runs_count_what_they_do() {
    let world = shop("runs").await;
    let mut session = world.session().await;
    let counts = "SELECT kind, document, target, total::text, done::text, failed::text, (finished_at IS NOT NULL)::text \
                  FROM pubsync.run ORDER BY document, id";
    let row = |document: &str, total: &str| {
        ["publish", document, "", total, total, "0", "true"]
            .map(|text| (!text.is_empty()).then(|| text.to_owned()))
    };
    // Roots, and their documents for two targets.
    let expected = vec![row("brand", "27").to_vec(), row("category", "9").to_vec()];
    assert_eq!(session.rows(counts).await, expected);
}

const FEW: u64 = 5_000;
const MANY: u64 = 50_000;

#[tokio::test(flavor = "multi_thread")]
async fn verify_streams() {
    let mut peaks = Vec::new();
    for count in [FEW, MANY] {
        let world = World::embedded("streams");
        world
            .script(&format!(
                "CREATE TABLE stock (id INTEGER PRIMARY KEY, quantity INTEGER NOT NULL); \
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
                 INSERT INTO stock SELECT i, i FROM n"
            ))
            .await;
        world.document(
            "stock",
            "document: stock\nroot: stock\nkey: \"stock:{id}\"\nbody: { id: id, quantity: quantity }\n",
        );
        world.pubsync(&["apply", "--yes"]).await;
        world.pubsync(&["run", "--until-quiet"]).await;
        let output = world.pubsync(&["verify", "--json"]).await;
        let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!(
            (&report["roots"], &report["documents"]),
            (&count.into(), &count.into())
        );
        let peak = world
            .spawn(&["verify"])
            .peak_memory(Duration::from_secs(120))
            .await;
        assert!(peak > 0, "the process was never seen");
        peaks.push(peak);
    }
    assert!(
        peaks[1] < 2 * peaks[0],
        "{FEW} documents: {} KiB, {MANY}: {} KiB",
        peaks[0],
        peaks[1]
    );
}

fn found(document: &str, place: &str, kind: &str, keys: &[&str]) -> String {
    let target = if place == "mirror" {
        Value::Null
    } else {
        place.into()
    };
    json!({ "document": document, "target": target, "kind": kind, "count": keys.len(), "keys": keys })
        .to_string()
}

/// What `verify` found; it must find something.
async fn verified(world: &World, documents: &[&str]) -> BTreeSet<String> {
    let arguments: Vec<&str> = ["verify", "--json"].iter().chain(documents).copied().collect();
    let output = world.pubsync_exits(1, &arguments).await;
    let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    findings.iter().map(Value::to_string).collect()
}

async fn assert_equal(world: &World) {
    world
        .snapshot(&["brand", "category"])
        .await
        .assert_equals(&expected(world).await);
}

async fn expected(world: &World) -> Expected {
    let query = |table: &str| {
        format!("SELECT '{table}:' || id, json_build_object('id', id, 'name', name)::text FROM {table}")
    };
    let (brand, category) = (query("brand"), query("category"));
    world
        .expected(&[("brand", &brand), ("category", &category)])
        .await
}
