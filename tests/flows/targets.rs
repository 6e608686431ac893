//! What goes to which target: filters, and what leaves them.

use std::time::Duration;

use pubsync_tests::{Database, Documents, Json, Stored, World, eventually};

const MINUTE: Duration = Duration::from_secs(60);

const SCHEMA: &str = "
    CREATE TABLE store (id integer PRIMARY KEY, code text);
    CREATE TABLE product (id integer PRIMARY KEY, name text);
    CREATE TABLE product_store (product_id integer REFERENCES product (id), store_id integer REFERENCES store (id), PRIMARY KEY (product_id, store_id));
    INSERT INTO store VALUES (1, 'DE'), (2, 'AT'), (3, 'FR');
    INSERT INTO product VALUES (1, 'lamp'), (2, 'desk');
    INSERT INTO product_store VALUES (1, 1), (1, 2), (1, 3), (2, 1), (2, 3);";

/// The stores of each of the two targets.
fn document(north: &str, south: &str) -> String {
    format!(
        "document: product\nroot: product\neach: {{ store: {{ table: store, via: product_store }} }}\n\
         key: \"product:{{store.code}}:{{root.id}}\"\nbody: {{ name: name }}\n\
         targets:\n  north: {{ only: {{ store.code: {north} }} }}\n  south: {{ only: {{ store.code: {south} }} }}\n"
    )
}

/// A world with two targets of a kind, `north` and `south`.
async fn divided(world: World) -> World {
    let redis = |side: &str| match world.database() {
        Database::Postgres { .. } => format!(
            "{{ kind: redis, url: \"{}\", prefix: \"{}{side}:\" }}",
            world.services().redis,
            world.redis().prefix()
        ),
        Database::Sqlite { .. } => format!("{{ kind: local, path: {side}.db }}"),
    };
    let (north, south) = (redis("north"), redis("south"));
    world.configure(|config| {
        let (before, _) = config.split_once("targets:").expect("targets");
        format!("{before}targets:\n  north: {north}\n  south: {south}\nrelay: {{ resend_after: 3 }}\n")
    });
    world.script(SCHEMA).await;
    world.document("product", &document("[DE, AT]", "FR"));
    settle(&world).await;
    world
}

async fn settle(world: &World) {
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    world.pubsync(&["verify"]).await;
}

/// The keys that readers see, as `DE:1`.
async fn assert_keys(world: &World, north: &[&str], south: &[&str]) {
    for (side, expected) in [("north", north), ("south", south)] {
        let found = match world.database() {
            Database::Postgres { .. } => world.redis().below(&format!("{side}:")).documents().await,
            Database::Sqlite { .. } => world.local(&format!("{side}.db")).await,
        };
        let found: Vec<&str> = found
            .keys()
            .filter_map(|key| key.strip_prefix("product:"))
            .collect();
        assert_eq!(found, expected, "{side}");
    }
}

/// A store's code changes: its documents leave one target and come to the other, or to none.
async fn rule_23(world: World) {
    let world = divided(world).await;
    assert_keys(&world, &["AT:1", "DE:1", "DE:2"], &["FR:1", "FR:2"]).await;
    for (code, north, south) in [
        ("NL", &["AT:1"][..], &["FR:1", "FR:2"][..]),
        ("DE", &["AT:1", "DE:1", "DE:2"], &["FR:1", "FR:2"]),
    ] {
        world
            .script(&format!("UPDATE store SET code = '{code}' WHERE id = 1"))
            .await;
        world.pubsync(&["run", "--until-quiet"]).await;
        assert_keys(&world, north, south).await;
    }
    world
        .script("DELETE FROM product_store WHERE store_id = 3; UPDATE store SET code = 'FR' WHERE id = 1")
        .await;
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_keys(&world, &["AT:1"], &["FR:1", "FR:2"]).await;
    world.pubsync(&["verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_23_a_document_leaves_a_target_on_postgresql() {
    rule_23(World::postgres("rule23").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_23_a_document_leaves_a_target_on_sqlite() {
    rule_23(World::embedded("rule23")).await;
}

/// Another filter: what it lets in comes, what it leaves out goes, though no row has changed.
async fn another_filter(world: World) {
    let world = divided(world).await;
    world.document("product", &document("AT", "[DE, FR]"));
    settle(&world).await;
    assert_keys(&world, &["AT:1"], &["DE:1", "DE:2", "FR:1", "FR:2"]).await;
    world.document("product", &document("[DE, AT]", "FR"));
    settle(&world).await;
    assert_keys(&world, &["AT:1", "DE:1", "DE:2"], &["FR:1", "FR:2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_filter_on_postgresql() {
    another_filter(World::postgres("filter").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_filter_on_sqlite() {
    another_filter(World::embedded("filter")).await;
}

/// `resync --only` sends a part of the mirror.
#[tokio::test(flavor = "multi_thread")]
async fn a_resync_of_one_store() {
    let world = divided(World::postgres("only").await).await;
    world.redis().lose_documents().await;
    world
        .pubsync(&[
            "resync",
            "product",
            "--only",
            "store.code=DE",
            "--only",
            "root.id=2",
        ])
        .await;
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_keys(&world, &["DE:2"], &[]).await;
    world
        .pubsync(&["resync", "--all", "--only", "store.code=FR"])
        .await;
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_keys(&world, &["DE:2"], &["FR:1", "FR:2"]).await;
    let wrong = world
        .pubsync_exits(2, &["resync", "product", "--only", "store.id=1"])
        .await;
    assert!(
        wrong
            .stderr
            .contains("the keys of product hold no store.id; they hold store.code, root.id"),
        "{}",
        wrong.stderr
    );
}

fn searched(options: &str) -> String {
    format!(
        "document: product\nroot: product\nkey: \"product:{{id}}\"\nbody: {{ name: name }}\ntargets: {{ search: {options} }}\n"
    )
}

/// Another mapping: a new index is filled and takes the place of the old one, though the workers are killed again and again
/// and the source changes meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn another_mapping_takes_a_new_index() {
    let world = World::postgres("reindex").await;
    world.script(SCHEMA).await;
    world
        .script("INSERT INTO product SELECT n, 'p' || n FROM generate_series(3, 3000) AS n")
        .await;
    world.document("product", &searched("{}"));
    settle(&world).await;
    let old = world.search().indexes_of("product").await;
    let before = world.search().documents("product").await.len();
    assert_eq!((before, old.len()), (3000, 1));

    world.document(
        "product",
        &searched("{ mapping: { properties: { name: { type: keyword } } } }"),
    );
    world.pubsync(&["apply", "--yes"]).await;
    let mut made = world.search().all().await;
    made.retain(|index| !old.contains(index));
    let filling = made[0].strip_prefix(world.search().prefix()).unwrap().to_owned();
    // Not more often: whoever is at work alone in the third kill looks as if it were to blame.
    for round in 0..3 {
        let worker = world.spawn(&["run"]);
        world
            .script(&format!(
                "UPDATE product SET name = 'r{round}' WHERE id % 7 = {round}"
            ))
            .await;
        eventually(
            "some more documents in the new index",
            MINUTE,
            async || match world.search().documents(&filling).await.len() {
                some if some > round * 700 => Ok(()),
                some => Err(format!("{some} documents")),
            },
        )
        .await;
        worker.kill9();
        // Never half of them: readers see the old index until the new one is complete.
        assert_eq!(world.search().documents("product").await.len(), 3000);
    }
    let worker = world.spawn(&["run"]);
    eventually(
        "readers see the new index, and the old one is gone",
        3 * MINUTE,
        async || {
            let new = world.search().indexes_of("product").await;
            if new.len() == 1 && new != old && world.search().all().await == new {
                return Ok(());
            }
            Err(format!("{new:?}: {}", world.status().await))
        },
    )
    .await;
    // What the killed workers had in their hands is sent again after a while.
    world.pubsync(&["wait", "--timeout", "240"]).await;
    worker.stop().await;
    world.pubsync(&["verify"]).await;
    assert_eq!(world.search().documents("product").await.len(), 3000);
}

const POINTING: &str = "document: product
root: product
each: { store: { table: store, via: product_store } }
key: \"product:{store.code}:{root.id}\"
aliases: [\"name:{store.code}:{root.name}\"]
body: { name: name }
targets:
  storage: { only: { store.code: [DE, AT] } }
  south: { only: { store.code: FR } }
  search: { only: { store.code: [DE, FR] }, index: \"product-{store.code}\" }
";

/// The keys in both Redis targets, an alias with what it leads to; and those in the indexes of DE, AT and FR.
async fn assert_pointing(world: &World, storage: &[&str], south: &[&str], indexes: [&[&str]; 3]) {
    for (found, expected) in [
        (world.redis().below("storage:").documents().await, storage),
        (world.redis().below("south:").documents().await, south),
    ] {
        let shown = |(key, stored): (String, Stored)| match stored.body.get("key") {
            Some(Json::Text(to)) => format!("{key} → {to}"),
            _ => key,
        };
        assert_eq!(found.into_iter().map(shown).collect::<Vec<_>>(), expected);
    }
    for (code, expected) in ["de", "at", "fr"].into_iter().zip(indexes) {
        let found = world.search().documents(&format!("product-{code}")).await;
        assert_eq!(keys(&found), expected, "{code}");
    }
}

/// Aliases, filters and an index for each value at once: a store's code, a name and the filters themselves change.
#[tokio::test(flavor = "multi_thread")]
async fn aliases_go_with_filters_and_indexes() {
    let world = World::postgres("pointing").await;
    let url = world.services().redis.clone();
    let prefix = world.redis().prefix().to_owned();
    world.configure(|config| {
        let south = format!("south: {{ kind: redis, url: \"{url}\", prefix: \"{prefix}south:\" }}");
        let storage = format!("{prefix}storage:");
        let config = config.replacen(
            &format!("prefix: \"{prefix}\""),
            &format!("prefix: \"{storage}\""),
            1,
        );
        assert!(config.contains(&storage), "{config}");
        config.replace("targets:\n", &format!("targets:\n  {south}\n"))
    });
    world.script(SCHEMA).await;
    world.document("product", POINTING);
    settle(&world).await;
    assert_pointing(
        &world,
        &[
            "name:AT:lamp → product:AT:1",
            "name:DE:desk → product:DE:2",
            "name:DE:lamp → product:DE:1",
            "product:AT:1",
            "product:DE:1",
            "product:DE:2",
        ],
        &[
            "name:FR:desk → product:FR:2",
            "name:FR:lamp → product:FR:1",
            "product:FR:1",
            "product:FR:2",
        ],
        [
            &["product:DE:1", "product:DE:2"],
            &[],
            &["product:FR:1", "product:FR:2"],
        ],
    )
    .await;

    // The store of France goes, and the German one takes its code; a product has another name.
    world
        .script(
            "DELETE FROM product_store WHERE store_id = 3; UPDATE store SET code = 'FR2' WHERE id = 3;
             UPDATE store SET code = 'FR' WHERE id = 1; UPDATE product SET name = 'table' WHERE id = 2;",
        )
        .await;
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_pointing(
        &world,
        &["name:AT:lamp → product:AT:1", "product:AT:1"],
        &[
            "name:FR:lamp → product:FR:1",
            "name:FR:table → product:FR:2",
            "product:FR:1",
            "product:FR:2",
        ],
        [&[], &[], &["product:FR:1", "product:FR:2"]],
    )
    .await;
    world.pubsync(&["verify"]).await;

    let text = POINTING
        .replace("[DE, AT]", "[FR]")
        .replace("code: FR }", "code: AT }")
        .replace("[DE, FR]", "[AT]");
    world.document("product", &text);
    settle(&world).await;
    assert_pointing(
        &world,
        &[
            "name:FR:lamp → product:FR:1",
            "name:FR:table → product:FR:2",
            "product:FR:1",
            "product:FR:2",
        ],
        &["name:AT:lamp → product:AT:1", "product:AT:1"],
        [&[], &["product:AT:1"], &[]],
    )
    .await;
}

/// Every target takes a tree of any depth: none reads a body as a tree of values.
#[tokio::test(flavor = "multi_thread")]
async fn trees_of_many_levels() {
    let world = World::postgres("levels").await;
    world.configure(|config| {
        config.replace("targets:\n", "targets:\n  file: { kind: local, path: file.db }\n")
    });
    // A few levels below 1, 250 below 1001, 700 below 2001.
    world
        .script(
            "CREATE TABLE node (id integer PRIMARY KEY, parent_id integer REFERENCES node (id), name text);
             CREATE INDEX ON node (parent_id);
             INSERT INTO node SELECT 1000 * r + n, CASE WHEN n > 1 THEN 1000 * r + n - 1 END, 'n' || n
             FROM (VALUES (0, 3), (1, 251), (2, 701)) AS roots (r, most), generate_series(1, most) AS n;",
        )
        .await;
    world.document(
        "node",
        "document: node\nroot: node\nkey: \"node:{id}\"\nwhere: { parent_id: null }\nbody:\n  name: name\n  \
         below: { tree: node, parent: parent_id, body: { name: name } }\n",
    );
    settle(&world).await;
    world
        .script("UPDATE node SET name = 'the last' WHERE id = 2701")
        .await;
    world.pubsync(&["run", "--until-quiet"]).await;
    let last = "SELECT key FROM pubsync.mirror_node WHERE body LIKE '%the last%' AND length(body) > 700 * 20";
    let rows = world.session().await.rows(last).await;
    assert_eq!(rows, [[Some("node:2001".to_owned())]]);
    // It compares texts; readers of the tests' own would end at some depth.
    let output = world.pubsync(&["verify"]).await;
    assert_eq!(
        output.stdout,
        "955 roots built, 9 documents compared\nequal: 0 missing, 0 stale, 0 orphaned\n"
    );
}

fn keys(documents: &Documents) -> Vec<&str> {
    documents.keys().map(String::as_str).collect()
}
