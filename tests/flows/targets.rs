//! What goes to which target: filters, and what leaves them.

use std::time::Duration;

use pubsync_tests::{Database, World, eventually};

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
    for round in 0..4 {
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
    world.pubsync(&["run", "--until-quiet"]).await;
    world.pubsync(&["verify"]).await;
    let new = world.search().indexes_of("product").await;
    assert!(new.len() == 1 && new != old, "{new:?}");
    assert_eq!(world.search().all().await, new);
    assert_eq!(world.search().documents("product").await.len(), 3000);
}
