//! What only SQLite has.

use sea_orm::ConnectionTrait;
use serde_json::json;

use super::shop::{Shop, capture_of, on_sqlite, table};
use crate::capture::Capture;

fn item(shop: &Shop) -> Capture {
    capture_of(
        table(shop, "item", &["id", "name", "price"], &["id"]),
        &["name", "price"],
        &["id"],
    )
}

async fn with_item(shop: &Shop) {
    shop.run("CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, price NUMERIC, blob BLOB)")
        .await;
    shop.capture(&[item(shop)]).await;
}

#[tokio::test]
async fn equality_is_that_of_bytes_and_storage_classes() {
    on_sqlite(|shop| async move {
        shop.run("CREATE TABLE item(id, name TEXT COLLATE NOCASE, price)")
            .await;
        shop.capture(&[capture_of(
            table(&shop, "item", &["id", "name", "price"], &[]),
            &["name", "price"],
            &["id"],
        )])
        .await;
        shop.run("INSERT INTO item VALUES (x'00ff', 'a', 1)").await;
        assert_eq!(shop.changes("item").await, [json!({"n": {"id": "\\x00ff"}})]);
        let cases = [
            ("name = 'A'", json!(["name"])),
            ("price = 1.0", json!(["price"])),
            ("price = '1.0'", json!(["price"])),
            ("price = '1.00'", json!(["price"])),
            ("price = x'312e3030'", json!(["price"])),
            ("price = 0.1", json!(["price"])),
            ("price = 0.1 + 1e-17", json!(["price"])),
        ];
        for (set, changed) in cases {
            shop.run(&format!("UPDATE item SET {set}")).await;
            assert_eq!(shop.changes("item").await[0]["c"], changed, "{set}");
        }
        shop.run("UPDATE item SET price = price, name = 'A'").await;
        assert_eq!(shop.outbox().await, []);
    })
    .await;
}

#[tokio::test]
async fn a_delete_of_all_rows_is_captured_row_by_row() {
    on_sqlite(|shop| async move {
        with_item(&shop).await;
        shop.run("INSERT INTO item(id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')")
            .await;
        shop.outbox().await;
        shop.run("DELETE FROM item").await;
        assert_eq!(shop.outbox().await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_captured_column_cannot_be_dropped() {
    on_sqlite(|shop| async move {
        with_item(&shop).await;
        let refused = shop
            .db
            .execute_unprepared("ALTER TABLE item DROP COLUMN price")
            .await
            .unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("error in trigger pubsync_capture_item_"),
            "{refused}"
        );
        shop.run("ALTER TABLE item DROP COLUMN blob").await;
        shop.run("INSERT INTO item(id, name) VALUES (1, 'a')").await;
        assert_eq!(shop.changes("item").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_renamed_column_is_captured_under_its_old_name_until_the_next_reconcile() {
    on_sqlite(|shop| async move {
        with_item(&shop).await;
        shop.run("ALTER TABLE item RENAME COLUMN price TO amount").await;
        shop.run("INSERT INTO item(id, amount) VALUES (1, 1)").await;
        shop.outbox().await;
        shop.run("UPDATE item SET amount = 2").await;
        assert_eq!(shop.changes("item").await[0]["c"], json!(["price"]));
        let renamed = table(&shop, "item", &["id", "name", "amount"], &["id"]);
        let capture = capture_of(renamed, &["name", "amount"], &["id"]);
        assert_eq!(
            shop.capture(std::slice::from_ref(&capture)).await.replaced,
            ["item"]
        );
        shop.run("UPDATE item SET amount = 3").await;
        assert_eq!(shop.changes("item").await[0]["c"], json!(["amount"]));
        assert_eq!(shop.capture(&[capture]).await.unchanged, ["item"]);
    })
    .await;
}

/// SQLite fires no delete trigger for rows that REPLACE replaces, unless the session asks for it.
#[tokio::test]
async fn replace_gives_the_new_row_and_the_old_one_only_with_recursive_triggers() {
    on_sqlite(|shop| async move {
        with_item(&shop).await;
        shop.run("INSERT INTO item(id, name) VALUES (1, 'a')").await;
        shop.outbox().await;
        shop.run("REPLACE INTO item(id, name) VALUES (1, 'b')").await;
        assert_eq!(shop.changes("item").await, [json!({"n": {"id": "1"}})]);
        shop.run("PRAGMA recursive_triggers = ON").await;
        shop.run("REPLACE INTO item(id, name) VALUES (1, 'c')").await;
        assert_eq!(
            shop.changes("item").await,
            [json!({"o": {"id": "1"}}), json!({"n": {"id": "1"}})]
        );
    })
    .await;
}
