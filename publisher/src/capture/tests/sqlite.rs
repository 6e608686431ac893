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
async fn replace_captures_the_rows_that_it_takes_away() {
    on_sqlite(|shop| async move {
        shop.run(
            "CREATE TABLE item(id INTEGER PRIMARY KEY, sku TEXT COLLATE NOCASE UNIQUE, a INT, b INT, UNIQUE (a, b))",
        )
        .await;
        let mut item = table(&shop, "item", &["id", "sku", "a", "b"], &["id"]);
        item.unique = vec![vec![1], vec![2, 3]];
        shop.capture(&[capture_of(item, &["sku"], &["id"])]).await;
        let (old, new) = (
            |id: &str| json!({"o": {"id": id}}),
            |id: &str| json!({"n": {"id": id}}),
        );
        for recursive in [false, true] {
            shop.run(&format!("PRAGMA recursive_triggers = {recursive}"))
                .await;
            shop.run("DELETE FROM item").await;
            shop.run("INSERT INTO item VALUES (1, 'a', 1, 1), (2, 'b', 1, 2), (3, 'c', 1, 3), (4, 'd', NULL, 4)")
                .await;
            shop.outbox().await;
            // By one statement the rows 1 (its id), 2 (its sku) and 3 (its pair) go.
            shop.run("REPLACE INTO item VALUES (1, 'B', 1, 3)").await;
            let mut changes = shop.changes("item").await;
            changes.sort_by_key(ToString::to_string);
            changes.dedup();
            assert_eq!(changes, [new("1"), old("1"), old("2"), old("3")]);
            shop.run("UPDATE OR REPLACE item SET sku = 'D', a = NULL, b = 4 WHERE id = 1")
                .await;
            let changes = shop.changes("item").await;
            assert_eq!(changes[0], old("4"));
            assert!(changes.contains(&json!({"o": {"id": "1"}, "n": {"id": "1"}, "c": ["sku"]})));
            shop.run("UPDATE item SET sku = 'D', a = 9").await;
            assert_eq!(shop.outbox().await, [], "a row does not take its own place");
        }
        shop.run("INSERT INTO item VALUES (7, 'x', 7, 7)").await;
        assert_eq!(shop.changes("item").await, [new("7")]);
        shop.run("INSERT INTO item VALUES (7, 'y', 8, 8) ON CONFLICT (id) DO UPDATE SET sku = excluded.sku")
            .await;
        let changes = shop.changes("item").await;
        assert_eq!(changes, [old("7"), json!({"o": {"id": "7"}, "n": {"id": "7"}, "c": ["sku"]})]);
    })
    .await;
}

#[tokio::test]
async fn tables_without_rowid_and_generated_columns() {
    on_sqlite(|shop| async move {
        shop.run(
            "CREATE TABLE item(a TEXT, b INT, name TEXT, upper_name TEXT AS (upper(name)), \
             label TEXT AS (a || b) STORED, PRIMARY KEY (a, b)) WITHOUT ROWID",
        )
        .await;
        let item = table(
            &shop,
            "item",
            &["a", "b", "name", "upper_name", "label"],
            &["a", "b"],
        );
        shop.capture(&[capture_of(item, &["upper_name"], &["a", "b", "label"])])
            .await;
        shop.run("INSERT INTO item(a, b, name) VALUES ('x', 1, 'n')")
            .await;
        let image = json!({"a": "x", "b": "1", "label": "x1"});
        assert_eq!(shop.changes("item").await, [json!({"n": image})]);
        shop.run("UPDATE item SET name = 'N'").await;
        assert_eq!(shop.outbox().await, [], "what is used is the same");
        shop.run("UPDATE item SET name = 'm'").await;
        assert_eq!(
            shop.changes("item").await,
            [json!({"o": image, "n": image, "c": ["upper_name"]})]
        );
        shop.run("REPLACE INTO item(a, b, name) VALUES ('x', 1, 'q')")
            .await;
        assert_eq!(
            shop.changes("item").await,
            [json!({"o": image}), json!({"n": image})]
        );
    })
    .await;
}
