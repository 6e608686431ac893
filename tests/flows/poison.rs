//! Of a thousand rows some cannot be built and some are refused by one target: these are failures with their reasons, all
//! others arrive, and once the causes are gone `failures retry` brings the rest.

use pubsync_tests::World;
use serde_json::{Value, json};

const ROWS: usize = 1000;

/// Each hundredth row has no key, and each hundredth a date that is none.
const TABLE: &str = "
    CREATE TABLE article (id integer PRIMARY KEY, sku text, name text NOT NULL, released text);
    INSERT INTO article SELECT n, 'a' || n, 'article ' || n, '2026-01-01' FROM generate_series(1, 1000) AS n;";
const SPOIL: &str = "UPDATE article SET name = 'new ' || id,
    sku = CASE WHEN id % 100 = 3 THEN NULL ELSE sku END,
    released = CASE WHEN id % 100 = 7 THEN 'soon' ELSE '2026-02-02' END";

const DOCUMENT: &str = "\
document: article
root: article
key: \"article:{sku}\"
body: { name: name, released: released }
targets:
  storage: {}
  search:
    mapping: { properties: { released: { type: date } } }
";

const EXPECTED: &str =
    "SELECT 'article:' || sku, json_build_object('name', name, 'released', released)::text FROM article";

#[tokio::test(flavor = "multi_thread")]
async fn poison_stays_alone_and_is_healed() {
    let world = World::postgres("poison").await;
    world.script(TABLE).await;
    world.document("article", DOCUMENT);
    world.pubsync(&["apply", "--yes"]).await;
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "60"]).await;

    world.script(SPOIL).await;
    let waited = world.pubsync_exits(5, &["wait", "--timeout", "120"]).await;
    assert!(waited.stderr.contains("failures are open"), "{}", waited.stderr);
    assert_failures(&world).await;
    assert_others_arrived(&world).await;

    // The causes go away without a change that pubsync could see.
    world
        .script("BEGIN; UPDATE article SET sku = 'a' || id WHERE sku IS NULL; DELETE FROM pubsync.outbox; COMMIT;")
        .await;
    let lenient = json!({ "properties": { "released": { "type": "date", "ignore_malformed": true } } });
    world.search().put_mapping("article", &lenient.to_string()).await;
    let retried = world.pubsync(&["failures", "retry", "--all", "--json"]).await;
    let retried: Value = serde_json::from_str(&retried.stdout).expect("what was queued");
    assert_eq!(retried["not_retryable"], 0, "{retried}");
    world.pubsync(&["wait", "--timeout", "120"]).await;
    assert_eq!(world.pubsync(&["failures"]).await.stdout, "");
    let expected = world.expected(&[("article", EXPECTED)]).await;
    assert_eq!(expected["article"].len(), ROWS);
    world.snapshot(&["article"]).await.assert_equals(&expected);
    world.pubsync(&["verify"]).await;
    worker.stop().await;
}

/// Exactly the spoilt rows, each with what is wrong with it.
async fn assert_failures(world: &World) {
    let groups = world.pubsync(&["failures", "--json"]).await;
    let mut groups: Vec<Value> = serde_json::from_str(&groups.stdout).expect("groups");
    groups.sort_by_key(|group| group["stage"].to_string());
    let causes: Vec<_> = groups
        .iter()
        .map(|g| json!([g["stage"], g["class"], g["target"], g["count"]]))
        .collect();
    assert_eq!(
        causes,
        [
            json!(["publish", "key", null, 10]),
            json!(["sync", "mapping", "search", 10])
        ]
    );
    let error = groups[1]["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("failed to parse field [released] of type [date]"),
        "{error}"
    );
    let all = world.pubsync(&["failures", "ls", "--all", "--json"]).await;
    let lines = all.stdout.lines().map(serde_json::from_str);
    let all: Vec<Value> = lines.collect::<Result<_, _>>().expect("failures");
    let of = |stage: &str, column: &str| {
        let own = all.iter().filter(|f| f["stage"] == stage);
        let mut names: Vec<String> = own
            .map(|f| f[column].as_str().unwrap_or_default().to_owned())
            .collect();
        names.sort_by_key(|name| (name.len(), name.clone()));
        names
    };
    let spoilt = |rest: usize, before: &str| {
        (0..10)
            .map(|hundred| format!("{before}{}", hundred * 100 + rest))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("publish", "root"), spoilt(3, ""));
    assert_eq!(of("sync", "key"), spoilt(7, "article:a"));
}

/// What could not be built stays as it was, everywhere; what one target refused stays as it was there.
async fn assert_others_arrived(world: &World) {
    let old = "json_build_object('name', 'article ' || id, 'released', '2026-01-01')::text";
    let mirror = format!(
        "SELECT 'article:a' || id, CASE WHEN sku IS NULL THEN {old} \
         ELSE json_build_object('name', name, 'released', released)::text END FROM article"
    );
    let search = format!(
        "SELECT 'article:a' || id, CASE WHEN sku IS NULL OR released = 'soon' THEN {old} \
         ELSE json_build_object('name', name, 'released', released)::text END FROM article"
    );
    let expected = world.expected(&[("article", &mirror)]).await;
    let searched = world.expected(&[("article", &search)]).await;
    let snapshot = world.snapshot(&["article"]).await;
    let bodies = |documents: &pubsync_tests::Documents| {
        let body = |(key, stored): (&String, &pubsync_tests::Stored)| (key.clone(), stored.body.clone());
        documents
            .iter()
            .map(body)
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    assert!(
        bodies(&snapshot.mirror["article"]) == expected["article"],
        "mirror"
    );
    assert!(
        bodies(&snapshot.stores["storage"]) == expected["article"],
        "storage"
    );
    assert!(
        bodies(&snapshot.indexes["article"]) == searched["article"],
        "search"
    );
}
