//! The shop fills, keeps its sums under random changes, and is the same for the same seed.

use std::collections::HashMap;
use std::path::PathBuf;

use sea_orm::{ConnectOptions, Database, Statement};

use super::changes::Change;
use super::*;

const SHOP: Shop = Shop {
    products: 600,
    seed: 7,
};

/// A SQLite file that goes away with it.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn sqlite(name: &str) -> (DatabaseConnection, File) {
    let path = std::env::temp_dir().join(format!("pubsync-shop-{name}-{}.db", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let url = format!("sqlite://{}?mode=rwc", path.display());
    (Database::connect(url).await.unwrap(), File(path))
}

async fn number(db: &DatabaseConnection, sql: &str) -> i64 {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_one_raw(statement)
        .await
        .unwrap()
        .unwrap()
        .try_get_by(0)
        .unwrap()
}

async fn text(db: &DatabaseConnection, sql: &str) -> String {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_one_raw(statement)
        .await
        .unwrap()
        .unwrap()
        .try_get_by(0)
        .unwrap()
}

/// The whole story on a filled shop, the same on both databases.
async fn story(db: &DatabaseConnection) {
    Shop::create_tables(db).await.unwrap();
    let rows = SHOP.fill(db).await.unwrap();
    let mut counted = 0;
    for table in tables::all(SHOP) {
        counted += number(db, &format!("SELECT count(*) FROM {}", table.name)).await;
    }
    assert_eq!(rows, u64::try_from(counted).unwrap());
    assert_eq!(number(db, "SELECT count(*) FROM price").await, 8 * 600);
    assert_eq!(number(db, "SELECT count(*) FROM image").await, 5 * 600);
    let length = number(db, "SELECT CAST(avg(length(description)) AS bigint) FROM product").await;
    assert!((450..=550).contains(&length), "{length}");

    let prices = "SELECT CAST(CAST(sum(amount) * 100 AS integer) AS bigint) FROM price WHERE product_id = 1";
    let before = (
        number(db, prices).await,
        text(db, "SELECT name FROM product WHERE id = 1").await,
    );
    let mut said = Vec::new();
    for change in Change::ALL {
        let done = change.run(db).await.unwrap();
        said.push(format!("{}: {} ({})", change.name(), done.text, done.rows));
    }
    assert_eq!(
        said,
        [
            "rename a brand: renamed the brand Castell to Castell & Sons, which 57 products show (1)",
            "delete a product: deleted the product SKU-0000600 and its 19 rows in other tables (20)",
            "move a product to another category: moved the product SKU-0000001 from the category Workshop: Care & repair to \
             Outdoor: New (1)",
            "change a price: raised the net price of the product SKU-0000001 in the store DE by 1.00 EUR (1)",
            "update 500 stock rows in one statement: updated 500 stock rows in one statement (500)",
            "change all products and roll back: renamed 599 products and rolled back (0)",
        ]
    );
    assert_eq!(
        number(db, "SELECT count(*) FROM brand WHERE name LIKE '% & Sons'").await,
        1
    );
    assert_eq!(
        number(db, "SELECT count(*) FROM price WHERE product_id = 600").await,
        0
    );
    assert_eq!(number(db, prices).await, before.0 + 100);
    assert_eq!(text(db, "SELECT name FROM product WHERE id = 1").await, before.1);
    for change in Change::ALL {
        change.run(db).await.unwrap();
    }
    db.execute_unprepared("INSERT INTO product (sku, name) VALUES ('NEW', 'New')")
        .await
        .unwrap();
}

#[tokio::test]
async fn the_story_runs_on_sqlite() {
    let (db, _file) = sqlite("story").await;
    story(&db).await;
}

#[tokio::test]
async fn the_story_runs_on_postgres() {
    let Ok(url) = std::env::var("PUBSYNC_TEST_POSTGRES") else {
        eprintln!("skipped: PUBSYNC_TEST_POSTGRES is not set (see docker/services)");
        return;
    };
    let schema = format!("shop_{}", std::process::id());
    let admin = Database::connect(&url).await.unwrap();
    admin
        .execute_unprepared(&format!("CREATE SCHEMA {schema}"))
        .await
        .unwrap();
    let mut options = ConnectOptions::new(url);
    options.set_schema_search_path(schema.clone());
    let db = Database::connect(options).await.unwrap();
    let told = tokio::spawn(async move { story(&db).await }).await;
    admin
        .execute_unprepared(&format!("DROP SCHEMA {schema} CASCADE"))
        .await
        .unwrap();
    told.unwrap();
}

#[tokio::test]
async fn the_example_data_takes_every_change() {
    let (db, _file) = sqlite("example").await;
    Shop::create_tables(&db).await.unwrap();
    db.execute_unprepared(include_str!("../../../examples/shop/data.sql"))
        .await
        .unwrap();
    assert_eq!(number(&db, "SELECT count(*) FROM product").await, 20);
    for change in Change::ALL {
        change.run(&db).await.unwrap();
    }
}

#[tokio::test]
async fn a_change_without_rows_is_an_error() {
    let (db, _file) = sqlite("empty").await;
    Shop::create_tables(&db).await.unwrap();
    for change in Change::ALL {
        let told = change.run(&db).await.map_err(crate::fail::Fail::from).err();
        let expected = "the shop has no row for this change: fill it first".to_owned();
        assert_eq!(told, Some(crate::fail::Fail::Usage(expected)), "{change:?}");
    }
}

/// Run by hand: `cargo test --release -p pubsync --lib shop -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn filling_the_demo_shop_takes_about_a_second() {
    let (db, _file) = sqlite("timing").await;
    Shop::create_tables(&db).await.unwrap();
    let start = std::time::Instant::now();
    let rows = Shop::default().fill(&db).await.unwrap();
    eprintln!("{rows} rows in {:?}", start.elapsed());
}

#[test]
fn same_seed_same_rows_and_other_seed_other_rows() {
    let rows = |seed| {
        let shop = Shop { products: 50, seed };
        tables::all(shop)
            .into_iter()
            .map(|table| (table.name, table.rows.collect()))
            .collect::<HashMap<_, Vec<_>>>()
    };
    assert_eq!(rows(1), rows(1));
    assert_ne!(rows(1)["product"], rows(2)["product"]);
    assert_eq!(rows(1)["image"], rows(2)["image"]);
}

#[test]
fn all_documents_of_the_example_are_here() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop/documents");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, DOCUMENTS.map(|(name, _)| name));
}
