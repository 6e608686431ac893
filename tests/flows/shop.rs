//! `examples/shop` works as its README says, on PostgreSQL and on SQLite.

use std::{fs, path::Path};

use pubsync_tests::{Database, Documents, Json, World};

/// The files of the example; only addresses are the test's own.
async fn shop(world: &World, config: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop");
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let addresses = fs::read_to_string(world.folder().join("pubsync.yaml")).expect("pubsync.yaml");
    world.configure(|_| readdressed(&read(config), &addresses));
    for entry in fs::read_dir(folder.join("documents")).expect("documents") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("a name in UTF-8");
        world.write(&format!("documents/{name}"), &read(&format!("documents/{name}")));
    }
    let schema = match world.database() {
        Database::Postgres { .. } => "schema.postgres.sql",
        Database::Sqlite { .. } => "schema.sqlite.sql",
    };
    world.script(&read(schema)).await;
    world.script(&read("data.sql")).await;
    world.pubsync(&["check"]).await;
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    world.pubsync(&["wait", "--timeout", "1"]).await;
    world.pubsync(&["verify"]).await;
}

/// The example's configuration with the world's lines for the same settings.
pub fn readdressed(example: &str, world: &str) -> String {
    let setting = |line: &str| line.split_once(": ").map(|(name, _)| name.to_owned());
    let line = |line: &str| {
        let own = world
            .lines()
            .find(|own| setting(own).is_some() && setting(own) == setting(line));
        format!("{}\n", own.unwrap_or(line))
    };
    example.lines().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_on_postgresql() {
    let world = World::postgres("shop").await;
    shop(&world, "pubsync.yaml").await;
    let stored = world.redis().documents().await;
    assert_documents(&world, &stored).await;
    let found: Vec<String> = world.search().documents("product").await.into_keys().collect();
    let mut products = stored.clone();
    products.retain(|key, _| key.starts_with("product:"));
    assert_eq!(found, products.keys().cloned().collect::<Vec<_>>());

    let worker = world.spawn(&["run"]);
    a_product_is_deleted(&world).await;
    world.pubsync(&["wait", "--timeout", "60"]).await;
    assert_documents(&world, &world.redis().documents().await).await;
    world.pubsync(&["verify"]).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_in_one_process() {
    let world = World::embedded("shop");
    shop(&world, "pubsync.embedded.yaml").await;
    assert_documents(&world, &world.local("store.db").await).await;

    let worker = world.spawn(&["run"]);
    world
        .script("UPDATE brand SET name = 'Nordkamm 1923' WHERE id = 1")
        .await;
    a_product_is_deleted(&world).await;
    world.pubsync(&["wait", "--timeout", "60"]).await;
    let stored = world.local("store.db").await;
    assert_documents(&world, &stored).await;
    assert_eq!(
        stored["brand:1"].body.get("name"),
        Some(&Json::Text("Nordkamm 1923".to_owned()))
    );
    world.pubsync(&["verify"]).await;
    worker.stop().await;
}

/// As the README has it: its documents go, its brand counts one less.
async fn a_product_is_deleted(world: &World) {
    world
        .script(match world.database() {
            Database::Postgres { .. } => "DELETE FROM product WHERE sku = 'TENT-4'",
            // SQLite looks at foreign keys only where it is told to.
            Database::Sqlite { .. } => "PRAGMA foreign_keys = ON; DELETE FROM product WHERE sku = 'TENT-4'",
        })
        .await;
}

/// The keys that must be there, by statements of their own, and of each document the part that is easily counted.
async fn assert_documents(world: &World, stored: &Documents) {
    let mut session = world.session().await;
    let rows = session
        .rows(
            "SELECT 'product:' || store.code || ':' || locale.code || ':' || product.id, 'sku', sku FROM product \
             JOIN product_store AS sold ON sold.product_id = product.id JOIN store ON store.id = sold.store_id \
             JOIN store_locale AS spoken ON spoken.store_id = store.id JOIN locale ON locale.id = spoken.locale_id \
             WHERE is_active \
             UNION ALL SELECT 'category:' || id, 'name', name FROM category \
             UNION ALL SELECT 'brand:' || id, 'name', name FROM brand \
             UNION ALL SELECT 'availability:' || product_id, 'sku', (SELECT sku FROM product WHERE id = product_id) FROM stock",
        )
        .await;
    let mut keys: Vec<String> = Vec::new();
    for row in rows {
        let [Some(key), Some(member), Some(value)] = &row[..] else {
            panic!("{row:?}")
        };
        let found = stored.get(key).unwrap_or_else(|| panic!("{key} is missing"));
        assert_eq!(found.body.get(member), Some(&Json::Text(value.clone())), "{key}");
        keys.push(key.clone());
    }
    keys.sort_unstable();
    assert_eq!(stored.keys().cloned().collect::<Vec<_>>(), keys);
    let counts = session
        .rows("SELECT id, (SELECT count(*) FROM product WHERE brand_id = brand.id AND is_active) FROM brand")
        .await;
    for row in counts {
        let [Some(id), Some(count)] = &row[..] else {
            panic!("{row:?}")
        };
        let found = stored[&format!("brand:{id}")].body.get("products");
        assert_eq!(found.cloned(), Json::parse(count).ok(), "brand:{id}");
    }
}
