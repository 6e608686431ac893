//! What a trigger costs the application, for docs/adr/0001-trigger-errors.md:
//! `cargo test -p pubsync-publisher cost -- --ignored --nocapture`

use sea_orm::{ConnectionTrait, Statement};

use super::shop::{Shop, capture_of, on_postgres, table};

const COLUMNS: [&str; 9] = [
    "id",
    "brand_id",
    "sku",
    "name",
    "price",
    "is_active",
    "updated",
    "description",
    "stock",
];
const ROUNDS: usize = 7;

#[tokio::test]
#[ignore = "a measurement"]
async fn cost_of_a_statement_with_and_without_a_trigger() {
    on_postgres(|shop| async move {
        for name in ["plain", "captured"] {
            shop.run(&format!(
                "CREATE TABLE {name}(id int primary key, brand_id int, sku text, name text, price numeric(10,2), \
                 is_active bool, updated timestamptz, description text, stock int)"
            ))
            .await;
        }
        let captured = table(&shop, "captured", &COLUMNS, &["id"]);
        shop.capture(&[capture_of(captured, &COLUMNS[1..6], &COLUMNS[..2])]).await;
        for (what, statement, each) in [
            ("insert of one row", "INSERT INTO {} VALUES (i, i, 'sku', 'name', i, true, now(), repeat('x', 1000), 5)", 5_000),
            ("update of a watched column of one row", "UPDATE {} SET price = price + 1 WHERE id = i", 5_000),
            ("update of an unwatched column of one row", "UPDATE {} SET stock = i WHERE id = i", 5_000),
            ("update of no row", "UPDATE {} SET stock = i WHERE id = -i", 5_000),
            ("update of 5,000 rows", "UPDATE {} SET price = price + 1 WHERE id <= 5000", 10),
            ("delete of one row", "DELETE FROM {} WHERE id = i", 5_000),
        ] {
            let rounds = if statement.starts_with("UPDATE") { ROUNDS } else { 1 };
            let (mut plain, mut captured) = (f64::MAX, f64::MAX);
            for _ in 0..rounds {
                plain = plain.min(microseconds(&shop, &statement.replace("{}", "plain"), each).await);
                captured = captured.min(microseconds(&shop, &statement.replace("{}", "captured"), each).await);
            }
            println!("{what}: {plain:.1} µs, with trigger {captured:.1} µs, ratio {:.2}", captured / plain);
        }
    })
    .await;
}

/// Inside the server, in one transaction: without the network and without the flush of a commit.
async fn microseconds(shop: &Shop, statement: &str, each: u32) -> f64 {
    let clock = || async {
        let sql = "SELECT extract(epoch from clock_timestamp())::float8";
        let statement = Statement::from_string(shop.names.dialect().backend(), sql);
        shop.db
            .query_one_raw(statement)
            .await
            .unwrap()
            .unwrap()
            .try_get_by_index::<f64>(0)
            .unwrap()
    };
    for reset in ["TRUNCATE pubsync.outbox", "VACUUM plain", "VACUUM captured"] {
        shop.run(reset).await;
    }
    let start = clock().await;
    shop.run(&format!(
        "DO $do$ BEGIN FOR i IN 1..{each} LOOP {statement}; END LOOP; END $do$"
    ))
    .await;
    (clock().await - start) * 1e6 / f64::from(each)
}
