//! The sets with the product's commands, as their READMEs say: with their own configuration on the real services, and in
//! one process. Only addresses are the test's own.

use std::{fs, path::PathBuf};

use pubsync_examples::{Set, Size, fill};
use pubsync_tests::{Database, World};

use crate::shop::readdressed;

const SMALL: Size = Size {
    products: 40,
    seed: 1,
};

fn folder(set: Set) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../examples/{}", set.name()))
}

/// Gives how many documents `verify` compared.
async fn built(world: &World, set: Set, config: &str) -> serde_json::Value {
    let read = |name: &str| {
        let path = folder(set).join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let addresses = fs::read_to_string(world.folder().join("pubsync.yaml")).expect("pubsync.yaml");
    world.configure(|_| readdressed(&read(config), &addresses));
    for entry in fs::read_dir(folder(set).join("documents")).expect("documents") {
        let name = entry.expect("an entry").file_name();
        let name = format!("documents/{}", name.to_str().expect("a name in UTF-8"));
        world.write(&name, &read(&name));
    }
    let db = sea_orm::Database::connect(match world.database() {
        Database::Postgres { url } => url.clone(),
        Database::Sqlite { file } => format!("sqlite:{}?mode=rwc", file.display()),
    });
    let db = db.await.expect("the database");
    set.create_tables(&db).await.expect("tables");
    fill(&db, set.tables(SMALL), |_, _| {}).await.expect("rows");
    db.close().await.expect("an end");
    world.pubsync(&["check"]).await;
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    let verified = world.pubsync(&["verify", "--json"]).await;
    serde_json::from_str(&verified.stdout).unwrap_or_else(|error| panic!("{error}: {}", verified.stdout))
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_services() {
    for set in Set::ALL {
        let world = World::postgres(set.name()).await;
        println!("{set:?}: {}", built(&world, set, "pubsync.yaml").await);
        let stored = world.redis().documents().await;
        match set {
            Set::Storefront => {
                // An index for each store, and what only the search reads is nowhere else.
                for (index, store) in [("products-de", "de"), ("products-us", "us")] {
                    let found = world.search().documents(index).await;
                    let prefix = format!("product_page:{store}:");
                    assert!(
                        !found.is_empty() && found.keys().all(|key| key.starts_with(&prefix)),
                        "{index}"
                    );
                }
                assert!(stored.keys().all(|key| !key.starts_with("product_page:")));
                assert!(stored.contains_key("product:de:de_DE:sku:P-0000001"), "an alias");
            }
            Set::Feeds => assert!(stored.contains_key("products:1-MB01:base_de")),
            Set::Projections => {
                assert!(stored.keys().any(|key| key.starts_with("offer:ONLINE:")));
                let found = world.search().documents("offer").await;
                assert!(!found.is_empty() && found.keys().all(|key| !key.starts_with("offer:ONLINE:")));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_one_process() {
    for set in Set::ALL {
        let world = World::embedded(set.name());
        println!("{set:?}: {}", built(&world, set, "pubsync.embedded.yaml").await);
        assert!(!world.local("storage.db").await.is_empty(), "{set:?}");
    }
}
