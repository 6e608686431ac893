//! What holds on every database.

use std::future::Future;
use std::sync::Arc;

use pubsync_schema::dialect::Dialect;
use sea_orm::TransactionTrait;
use serde_json::json;

use super::shop::{Shop, capture_of, on_postgres, on_sqlite, run, table};
use crate::capture::{Capture, ChangeKind, Report, installed, plan};

async fn on_both<Test: Future<Output = ()>>(test: impl Fn(Arc<Shop>) -> Test) {
    on_sqlite(&test).await;
    on_postgres(&test).await;
}

const PRODUCT: &str =
    "CREATE TABLE product(id int primary key, brand_id int, name text, price numeric(10,2), note text)";

fn product(shop: &Shop) -> Capture {
    let table = table(
        shop,
        "product",
        &["id", "brand_id", "name", "price", "note"],
        &["id"],
    );
    capture_of(table, &["id", "brand_id", "name", "price"], &["id", "brand_id"])
}

async fn with_product(shop: &Shop) {
    shop.run(PRODUCT).await;
    shop.capture(&[product(shop)]).await;
}

#[tokio::test]
async fn insert_update_and_delete_give_images_and_changed_columns() {
    on_both(|shop| async move {
        with_product(&shop).await;
        shop.run("INSERT INTO product VALUES (1, 7, 'a', 1.50, 'x')")
            .await;
        assert_eq!(
            shop.changes("product").await,
            [json!({"n": {"id": "1", "brand_id": "7"}})]
        );
        shop.run("UPDATE product SET name = 'b', price = 2.50").await;
        let image = json!({"id": "1", "brand_id": "7"});
        assert_eq!(
            shop.changes("product").await,
            [json!({"o": image, "n": image, "c": ["name", "price"]})]
        );
        shop.run("UPDATE product SET brand_id = NULL").await;
        let moved = json!({"o": image, "n": {"id": "1", "brand_id": null}, "c": ["brand_id"]});
        assert_eq!(shop.changes("product").await, [moved]);
        shop.run("DELETE FROM product").await;
        assert_eq!(
            shop.changes("product").await,
            [json!({"o": {"id": "1", "brand_id": null}})]
        );
    })
    .await;
}

#[tokio::test]
async fn only_watched_columns_that_differ_are_captured() {
    on_both(|shop| async move {
        with_product(&shop).await;
        shop.run("INSERT INTO product VALUES (1, 7, 'a', 1, 'x'), (2, 7, 'b', 1, 'x')")
            .await;
        shop.outbox().await;
        shop.run("UPDATE product SET note = 'y'").await;
        shop.run("UPDATE product SET name = name, price = price").await;
        shop.run("UPDATE product SET name = 'q' WHERE false").await;
        shop.run("DELETE FROM product WHERE false").await;
        assert_eq!(shop.outbox().await, []);
        shop.run("UPDATE product SET name = 'b'").await;
        let image = json!({"id": "1", "brand_id": "7"});
        assert_eq!(
            shop.changes("product").await,
            [json!({"o": image, "n": image, "c": ["name"]})]
        );
    })
    .await;
}

#[tokio::test]
async fn a_key_change_keeps_the_old_and_the_new_key() {
    on_both(|shop| async move {
        with_product(&shop).await;
        shop.run("INSERT INTO product VALUES (1, 7, 'a', 1, 'x')").await;
        shop.outbox().await;
        shop.run("UPDATE product SET id = 2").await;
        let (old, new) = (
            json!({"id": "1", "brand_id": "7"}),
            json!({"id": "2", "brand_id": "7"}),
        );
        let mut changes = shop.changes("product").await;
        changes.sort_by_key(ToString::to_string);
        match shop.names.dialect() {
            // A statement trigger cannot pair the two.
            Dialect::Postgres => assert_eq!(changes, [json!({"n": new}), json!({"o": old})]),
            Dialect::Sqlite => assert_eq!(changes, [json!({"o": old, "n": new, "c": ["id"]})]),
        }
    })
    .await;
}

#[tokio::test]
async fn an_upsert_is_an_insert_or_an_update() {
    on_both(|shop| async move {
        with_product(&shop).await;
        shop.run("INSERT INTO product VALUES (1, 7, 'a', 1, 'x')").await;
        shop.outbox().await;
        shop.run(
            "INSERT INTO product VALUES (1, 7, 'b', 1, 'x'), (2, 8, 'c', 1, 'x') \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        )
        .await;
        let mut changes = shop.changes("product").await;
        changes.sort_by_key(ToString::to_string);
        let image = json!({"id": "1", "brand_id": "7"});
        let inserted = json!({"n": {"id": "2", "brand_id": "8"}});
        if shop.names.dialect() == Dialect::Sqlite {
            // It might have been a REPLACE.
            let met = changes.iter().position(|change| *change == json!({"o": image}));
            changes.remove(met.unwrap());
        }
        assert_eq!(
            changes,
            [inserted, json!({"o": image, "n": image, "c": ["name"]})]
        );
    })
    .await;
}

#[tokio::test]
async fn cascades_are_captured() {
    on_both(|shop| async move {
        shop.run(PRODUCT).await;
        shop.run(
            "CREATE TABLE image(id int primary key, product_id int references product(id) on delete cascade, url text)",
        )
        .await;
        let image = table(&shop, "image", &["id", "product_id", "url"], &["id"]);
        shop.capture(&[capture_of(image, &["url"], &["id", "product_id"])]).await;
        shop.run("INSERT INTO product VALUES (1, 7, 'a', 1, 'x')").await;
        shop.run("INSERT INTO image VALUES (10, 1, 'u'), (11, 1, 'v')").await;
        shop.outbox().await;
        shop.run("DELETE FROM product").await;
        let old = |id: &str| json!({"o": {"id": id, "product_id": "1"}});
        assert_eq!(shop.changes("image").await, [old("10"), old("11")]);
    })
    .await;
}

#[tokio::test]
async fn a_rollback_leaves_nothing() {
    on_both(|shop| async move {
        with_product(&shop).await;
        let txn = shop.db.begin().await.unwrap();
        run(&txn, "INSERT INTO product VALUES (1, 7, 'a', 1, 'x')").await;
        txn.rollback().await.unwrap();
        assert_eq!(shop.outbox().await, []);
    })
    .await;
}

#[tokio::test]
async fn odd_names_and_texts_survive() {
    on_both(|shop| async move {
        let odd = [
            "Order",
            "group",
            "found",
            "tg_op",
            "a \"b\" 'c' \\d, $capture0$",
            "ключ",
            "lost",
        ];
        let columns: Vec<_> = odd
            .iter()
            .map(|name| format!("{} text", Dialect::Sqlite.quote(name)))
            .collect();
        let name = "Select \"Ü\" $capture0$ 'x' \\y";
        let quoted = Dialect::Sqlite.quote(name);
        shop.run(&format!(
            "CREATE TABLE {quoted} ({}, primary key (\"Order\", \"ключ\"))",
            columns.join(", ")
        ))
        .await;
        let capture = capture_of(table(&shop, name, &odd, &["Order", "ключ"]), &odd, &odd);
        shop.capture(std::slice::from_ref(&capture)).await;
        let text = "it''s \"quoted\" \\ \n\t {} 🦀 日本";
        shop.run(&format!(
            "INSERT INTO {quoted} (\"Order\", \"ключ\", \"group\") VALUES ('{text}', '', NULL)"
        ))
        .await;
        let changes = shop.changes(name).await;
        assert_eq!(changes[0]["n"]["Order"], text.replace("''", "'"));
        assert_eq!(changes[0]["n"].as_object().unwrap().len(), odd.len());
        shop.run(&format!(
            "UPDATE {quoted} SET \"group\" = 'g', {} = 'x'",
            Dialect::Sqlite.quote(odd[4])
        ))
        .await;
        assert_eq!(shop.changes(name).await[0]["c"], json!(["group", odd[4]]));
        shop.run(&format!("DELETE FROM {quoted}")).await;
        assert_eq!(shop.changes(name).await[0]["o"][odd[4]], "x");
        assert_eq!(shop.capture(&[capture]).await.unchanged, [name]);
    })
    .await;
}

#[tokio::test]
async fn reconcile_is_idempotent_and_follows_the_documents() {
    on_both(|shop| async move {
        shop.run(PRODUCT).await;
        shop.run("CREATE TABLE brand(id int primary key, name text)")
            .await;
        let brand = capture_of(
            table(&shop, "brand", &["id", "name"], &["id"]),
            &["name"],
            &["id"],
        );
        let both = [product(&shop), brand];
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let first = Report {
            installed: names(&["product", "brand"]),
            ..Report::default()
        };
        let planned = plan(&shop.db, &shop.names, &both).await.unwrap();
        let kinds: Vec<_> = planned
            .iter()
            .map(|change| (change.table.as_str(), change.kind))
            .collect();
        assert_eq!(
            kinds,
            [("product", ChangeKind::Install), ("brand", ChangeKind::Install)]
        );
        assert_eq!(shop.capture(&both).await, first);
        let fingerprints = installed(&shop.db, &shop.names).await.unwrap();
        assert_eq!(fingerprints.len(), 2);
        assert_eq!(
            shop.capture(&both).await,
            Report {
                unchanged: names(&["product", "brand"]),
                ..Report::default()
            }
        );
        assert_eq!(installed(&shop.db, &shop.names).await.unwrap(), fingerprints);

        assert_eq!(plan(&shop.db, &shop.names, &both).await.unwrap(), []);

        let mut wider = both[0].clone();
        wider.watched.insert(4);
        let planned = plan(&shop.db, &shop.names, &[wider.clone()]).await.unwrap();
        let kinds: Vec<_> = planned.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Replace, ChangeKind::Remove]);
        assert!(planned[0].sql.concat().contains("product"), "{planned:?}");
        assert!(planned[1].sql.concat().contains("DROP TRIGGER"), "{planned:?}");
        let report = shop.capture(&[wider]).await;
        assert_eq!(report.replaced, names(&["product"]));
        assert_eq!(report.removed.len(), 1, "{report:?}");
        shop.run("INSERT INTO brand VALUES (1, 'b')").await;
        assert_eq!(shop.outbox().await, []);
        shop.run("INSERT INTO product VALUES (1, 7, 'a', 1, 'x')").await;
        shop.outbox().await;
        shop.run("UPDATE product SET note = 'y'").await;
        assert_eq!(shop.changes("product").await[0]["c"], json!(["note"]));

        assert_eq!(shop.capture(&[]).await.removed.len(), 1);
        assert!(installed(&shop.db, &shop.names).await.unwrap().is_empty());
        shop.run("DELETE FROM product").await;
        assert_eq!(shop.outbox().await, []);
    })
    .await;
}

#[tokio::test]
async fn a_trigger_that_was_dropped_is_installed_again() {
    on_both(|shop| async move {
        with_product(&shop).await;
        shop.run(match shop.names.dialect() {
            Dialect::Postgres => "DROP TRIGGER pubsync_capture_update ON product",
            Dialect::Sqlite => "DROP TRIGGER pubsync_capture_product_update",
        })
        .await;
        assert_eq!(shop.capture(&[product(&shop)]).await.replaced, ["product"]);
        shop.assert_rebuild_of("product").await;
        shop.run("INSERT INTO product VALUES (1, 7, 'a', 1, 'x')").await;
        shop.run("UPDATE product SET name = 'b'").await;
        assert_eq!(shop.changes("product").await.len(), 2);
    })
    .await;
}
