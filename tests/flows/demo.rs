//! `demo` tells a story. Its numbers must be those of the files that it leaves, counted here by SQL.

use std::{fs, path::Path};

use pubsync_tests::{Database, Session, World};
use serde_json::{Value, json};

#[tokio::test]
async fn the_story_is_what_the_files_say() {
    let world = World::embedded("demo");
    let folder = world.folder().join("shop");
    let (first, again) = (told(&world).await, told(&world).await);
    assert_eq!(
        without_times(&first),
        without_times(&again),
        "the same story in the same folder, from the beginning"
    );
    let mut files = Files::open(&folder).await;
    let steps: Vec<&Value> = again["steps"].as_array().expect("a list").iter().collect();
    let [renamed, deleted, moved, priced, stocked, rolled_back] = steps[..] else {
        panic!("{} steps", steps.len())
    };
    let active = "FROM product JOIN product_store AS sold ON sold.product_id = product.id \
                  JOIN store_locale AS spoken ON spoken.store_id = sold.store_id WHERE is_active";

    let gone = files
        .number("SELECT count(*) FROM pubsync_mirror_product WHERE deleted_at IS NOT NULL")
        .await;
    let brand = "brand_id = (SELECT id FROM brand WHERE name LIKE '% & Sons')";
    let shown = files
        .number(&format!(
            "SELECT count(*) FROM product WHERE is_active AND {brand}"
        ))
        .await;
    let documents = files
        .number(&format!("SELECT count(*) {active} AND {brand}"))
        .await;
    // The product that the next step deletes may have had the brand; the story says how many had it.
    let text = renamed["done"].as_str().expect("a text");
    let told = text
        .split("which ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let told: u64 = told.expect("a number").parse().expect("a number");
    assert!(told == shown || told == shown + 1, "{text}, but {shown} are left");
    assert_eq!(
        (&renamed["rows"], &renamed["touched"]),
        (
            &json!(1),
            &json!({ "brand": [1, 0], "product": [documents + (told - shown) * gone, 0] })
        )
    );

    let stock = files
        .number("SELECT count(*) FROM pubsync_mirror_availability WHERE deleted_at IS NOT NULL")
        .await;
    assert_eq!((gone > 0, stock), (true, 1));
    assert_eq!(
        (
            &deleted["touched"]["product"],
            &deleted["touched"]["availability"]
        ),
        (&json!([0, gone]), &json!([0, stock]))
    );
    assert_eq!(deleted["example"]["deleted"], true);
    files.assert_revision_stands(deleted).await;

    let first = files.number("SELECT min(id) FROM product WHERE is_active").await;
    let documents = files
        .number(&format!("SELECT count(*) {active} AND product.id = {first}"))
        .await;
    assert_eq!(
        (&moved["rows"], &moved["touched"]),
        (
            &json!(1),
            &json!({ "category": [2, 0], "product": [documents, 0] })
        )
    );

    let text = priced["done"].as_str().expect("a text");
    let store = text
        .split("in the store ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .expect("a store");
    let documents = files
        .number(&format!(
            "SELECT count(*) FROM store_locale WHERE store_id = (SELECT id FROM store WHERE code = '{store}')"
        ))
        .await;
    assert_eq!(
        (&priced["rows"], &priced["touched"]),
        (&json!(1), &json!({ "product": [documents, 0] }))
    );
    files.assert_revision_stands(priced).await;

    let rows = files.number("SELECT min(500, count(*)) FROM stock").await;
    assert_eq!(
        (&stocked["rows"], &stocked["touched"]),
        (&json!(rows), &json!({ "availability": [rows, 0] }))
    );
    files.assert_revision_stands(stocked).await;
    assert_eq!(
        (
            &rolled_back["rows"],
            &rolled_back["touched"],
            &rolled_back["example"]
        ),
        (&json!(0), &json!({}), &Value::Null)
    );
    let committed = files
        .number("SELECT count(*) FROM product WHERE name = 'never committed'")
        .await;
    assert_eq!(committed, 0);

    for step in [renamed, deleted, moved, priced, stocked] {
        let example = &step["example"];
        assert!(example["before"].as_i64() < example["after"].as_i64(), "{step}");
    }
    // The move and the price touch the same product: one's end is the other's beginning where they show the same key.
    if moved["example"]["key"] == priced["example"]["key"] {
        assert_eq!(moved["example"]["after"], priced["example"]["before"]);
    }
    files.assert_verified(&again["verify"]).await;
    let config = folder.join("pubsync.yaml");
    let config = config.to_str().expect("a path in UTF-8");
    let output = world.with_config(config, 0, &["verify"]).await;
    assert!(
        output.stdout.ends_with("equal: 0 missing, 0 stale, 0 orphaned\n"),
        "{}",
        output.stdout
    );
}

/// What people read names the files and a key that is there.
#[tokio::test]
async fn the_story_for_people_can_be_followed() {
    let world = World::embedded("demo");
    let output = world
        .pubsync(&["demo", "--folder", "shop", "--products", "30"])
        .await;
    for part in [
        "1. A shop in shop/shop.db: 30 products, 3 stores, 2 languages, ",
        "2. 4 documents declared in YAML: applied, built and synchronized to shop/store.db: ",
        "3. Now rows change",
        "4. Verified: ",
        "equal, 0 missing, 0 stale, 0 orphaned",
        "pubsync --config shop/pubsync.yaml status",
    ] {
        assert!(output.stdout.contains(part), "no {part:?} in\n{}", output.stdout);
    }
    let hint = "sqlite3 shop/store.db \"";
    let query = output
        .stdout
        .split(hint)
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a query");
    let store = Database::Sqlite {
        file: world.folder().join("shop/store.db"),
    };
    let rows = store.session().await.rows(query).await;
    assert_eq!(rows.len(), 1, "{query}");
}

#[tokio::test]
async fn folders_of_others_are_refused() {
    let world = World::embedded("demo");
    let mine = "database: sqlite:mine.db\nbroker: embedded\ntargets: {}\n";
    for (name, text) in [
        ("shop/notes.txt", "mine"),
        // As a demo would call them, but no demo's.
        ("shop/pubsync.yaml", mine),
        ("shop/shop.db", "mine"),
        ("shop/documents/mine.yaml", "document: mine"),
    ] {
        let file = world.folder().join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, text).expect("a file");
        let output = world.pubsync_exits(2, &["demo", "--folder", "shop"]).await;
        let name = name.strip_prefix("shop/").expect("a file in shop");
        let held = if name.starts_with("documents/") {
            "documents"
        } else {
            name
        };
        let expected =
            format!("pubsync: shop holds {held}, which no demo left: name another folder with --folder\n");
        assert_eq!((output.stdout.as_str(), output.stderr), ("", expected));
        assert_eq!(fs::read_to_string(&file).expect("it is still there"), text);
        fs::remove_dir_all(world.folder().join("shop")).expect("the folder");
    }
    // A file beside a demo's documents.
    told(&world).await;
    world.write("shop/documents/mine.yaml", "document: mine");
    let output = world.pubsync_exits(2, &["demo", "--folder", "shop"]).await;
    assert_eq!(
        output.stderr,
        "pubsync: shop holds documents/mine.yaml, which no demo left: name another folder with --folder\n"
    );
}

async fn told(world: &World) -> Value {
    let arguments = ["demo", "--folder", "shop", "--products", "50", "--json"];
    let output = world.pubsync(&arguments).await;
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stdout))
}

/// Revisions are times.
fn without_times(story: &Value) -> Value {
    let mut story = story.clone();
    for step in story["steps"].as_array_mut().expect("a list") {
        step["seconds"] = Value::Null;
        if let Some(example) = step["example"].as_object_mut() {
            example.remove("before");
            example.remove("after");
        }
    }
    story
}

/// What a demo leaves.
struct Files {
    shop: Session,
    store: Session,
}

impl Files {
    async fn open(folder: &Path) -> Self {
        let open = |name: &str| Database::Sqlite {
            file: folder.join(name),
        };
        Self {
            shop: open("shop.db").session().await,
            store: open("store.db").session().await,
        }
    }

    async fn number(&mut self, query: &str) -> u64 {
        self.shop.number(query).await
    }

    /// The step was the last to touch its example: mirror and store still have its revision.
    async fn assert_revision_stands(&mut self, step: &Value) {
        let example = &step["example"];
        let (key, after) = (
            example["key"].as_str().expect("a key"),
            example["after"].as_u64().expect("a revision"),
        );
        let document = key.split(':').next().expect("a document");
        let query = format!("SELECT revision FROM pubsync_mirror_{document} WHERE key = '{key}'");
        assert_eq!(self.number(&query).await, after, "{key}");
        let query = format!("SELECT revision FROM document WHERE key = '{key}'");
        assert_eq!(self.store.number::<u64>(&query).await, after, "{key}");
    }

    async fn assert_verified(&mut self, verify: &Value) {
        let (mut roots, mut documents) = (0, 0);
        for (document, source) in [
            ("product", "product"),
            ("category", "category"),
            ("brand", "brand"),
            ("availability", "stock"),
        ] {
            roots += self.number(&format!("SELECT count(*) FROM {source}")).await;
            let live = format!("SELECT count(*) FROM pubsync_mirror_{document} WHERE deleted_at IS NULL");
            documents += self.number(&live).await;
        }
        let stored: u64 = self
            .store
            .number("SELECT count(*) FROM document WHERE NOT deleted")
            .await;
        assert_eq!(
            verify,
            &json!({ "roots": roots, "documents": documents, "findings": [] })
        );
        assert_eq!(stored, documents);
    }
}
