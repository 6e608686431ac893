//! The schema changes under the triggers, and the triggers under the application.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement, TransactionTrait};
use serde_json::json;

use super::shop::{Shop, capture_of, on_postgres, run, table};
use crate::capture::{Capture, Error, LockRetry, TableName, install_functions, installed, reconcile};

const PRODUCT: &str = "CREATE TABLE product(id int primary key, name text, price numeric)";

fn product(shop: &Shop, watched: &[&str]) -> Capture {
    capture_of(
        table(shop, "product", &["id", "name", "price"], &["id"]),
        watched,
        &["id"],
    )
}

async fn with_product(shop: &Shop) {
    shop.run(PRODUCT).await;
    shop.capture(&[product(shop, &["name", "price"])]).await;
}

async fn assert_broken(shop: &Shop, operation: &str, column: &str) {
    let rows = shop.outbox().await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(
        (rows[0].kind.as_str(), rows[0].table.as_str()),
        ("broken", "product")
    );
    let error = format!("table public.product has no column {column}");
    assert_eq!(
        rows[0].changes,
        json!({"error": error, "state": "42703", "operation": operation})
    );
}

#[tokio::test]
async fn a_dropped_column_is_a_mark_and_no_error() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        shop.run("INSERT INTO product VALUES (1, 'a', 1)").await;
        shop.outbox().await;
        shop.run("ALTER TABLE product DROP COLUMN price").await;
        shop.run("UPDATE product SET name = 'x' WHERE false").await;
        assert_eq!(shop.outbox().await, []);
        shop.run("UPDATE product SET name = 'b'").await;
        assert_broken(&shop, "UPDATE", "price").await;
        shop.run("INSERT INTO product VALUES (2, 'c')").await;
        assert_broken(&shop, "INSERT", "price").await;
        shop.run("DELETE FROM product").await;
        assert_broken(&shop, "DELETE", "price").await;
        shop.run("TRUNCATE product").await;
        assert_eq!(shop.outbox().await[0].kind, "truncate");
        shop.run("ALTER TABLE product ADD COLUMN price text").await;
        shop.run("INSERT INTO product VALUES (3, 'c', 'cheap')").await;
        assert_eq!(shop.changes("product").await, [json!({"n": {"id": "3"}})]);
    })
    .await;
}

#[tokio::test]
async fn a_renamed_column_is_a_mark_also_in_the_same_transaction_and_for_the_key() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        let txn = shop.db.begin().await.unwrap();
        run(&txn, "INSERT INTO product VALUES (1, 'a', 1)").await;
        run(&txn, "ALTER TABLE product RENAME COLUMN name TO title").await;
        run(&txn, "UPDATE product SET title = 'b'").await;
        run(&txn, "ALTER TABLE product RENAME COLUMN title TO name").await;
        run(&txn, "UPDATE product SET name = 'c'").await;
        txn.commit().await.unwrap();
        let kinds: Vec<_> = shop.outbox().await.into_iter().map(|row| row.kind).collect();
        assert_eq!(kinds, ["rows", "broken", "rows"]);
        shop.run("ALTER TABLE product RENAME COLUMN id TO number").await;
        shop.run("UPDATE product SET name = 'd'").await;
        assert_broken(&shop, "UPDATE", "id").await;
    })
    .await;
}

#[tokio::test]
async fn a_column_of_another_type_is_captured_on() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        shop.run("INSERT INTO product VALUES (1, 'a', 1)").await;
        shop.run("UPDATE product SET price = 2").await;
        shop.outbox().await;
        shop.run("ALTER TABLE product ALTER price TYPE json USING to_json(price), ALTER id TYPE bigint")
            .await;
        shop.run("UPDATE product SET price = '3'").await;
        assert_eq!(shop.changes("product").await[0]["c"], json!(["price"]));
    })
    .await;
}

#[tokio::test]
async fn without_an_outbox_the_shop_goes_on() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        shop.run("INSERT INTO product VALUES (1, 'a', 1)").await;
        shop.run("DROP TABLE pubsync.outbox").await;
        shop.run("UPDATE product SET name = 'b'").await;
        shop.run("ALTER TABLE product DROP COLUMN price").await;
        shop.run("INSERT INTO product VALUES (2, 'b')").await;
        shop.run("DELETE FROM product").await;
        shop.run("TRUNCATE product").await;
        shop.run("DROP SCHEMA pubsync CASCADE").await;
        shop.run("INSERT INTO product VALUES (2, 'b')").await;
    })
    .await;
}

#[tokio::test]
async fn the_owner_without_rights_on_the_outbox_does_not_harm_the_shop() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        let role = shop.role().await;
        shop.run(&format!("GRANT USAGE ON SCHEMA pubsync TO {role}"))
            .await;
        shop.run(&format!(
            "ALTER FUNCTION pubsync.capture_public_product OWNER TO {role}"
        ))
        .await;
        shop.run("INSERT INTO product VALUES (1, 'a', 1)").await;
        assert_eq!(shop.outbox().await, []);
        shop.run("ALTER FUNCTION pubsync.capture_public_product OWNER TO postgres")
            .await;
    })
    .await;
}

/// Rule 14: the new trigger is not in place before every transaction that wrote under the old one has ended.
#[tokio::test]
async fn reconcile_waits_for_open_writers() {
    on_postgres(|shop| async move {
        shop.run(PRODUCT).await;
        shop.capture(&[product(&shop, &["name"])]).await;
        shop.run("INSERT INTO product VALUES (1, 'a', 1)").await;
        shop.outbox().await;
        let writer = shop.db.begin().await.unwrap();
        run(&writer, "UPDATE product SET price = 2").await;
        let wider = [product(&shop, &["name", "price"])];
        let impatient = LockRetry {
            attempts: 2,
            pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(1),
        };
        let locked = reconcile(&shop.db, &shop.names, &wider, &impatient)
            .await
            .unwrap_err();
        assert!(matches!(locked, Error::Locked { .. }), "{locked:?}");
        assert_eq!(
            locked.to_string(),
            "table product stayed locked by other transactions during 2 attempts; end what holds it, such as a long \
             transaction, and try again"
        );

        let patient = LockRetry {
            attempts: 1_000,
            ..impatient
        };
        let (report, ()) = tokio::join!(reconcile(&shop.db, &shop.names, &wider, &patient), async {
            until_someone_waits(&shop).await;
            run(&writer, "UPDATE product SET price = 3").await;
            assert_eq!(installed(&writer, &shop.names).await.unwrap().len(), 1);
            writer.commit().await.unwrap();
        });
        assert_eq!(report.unwrap().replaced, ["product"]);
        assert_eq!(shop.outbox().await, [], "the old trigger did not watch the price");
        shop.run("UPDATE product SET price = 4").await;
        assert_eq!(shop.changes("product").await[0]["c"], json!(["price"]));
    })
    .await;
}

async fn until_someone_waits(shop: &Shop) {
    let sql = "SELECT 1 FROM pg_locks WHERE relation = 'product'::regclass AND NOT granted \
               AND mode = 'ShareRowExclusiveLock'";
    let waiting = || Statement::from_string(shop.names.dialect().backend(), sql);
    while shop.db.query_one_raw(waiting()).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn disabled_triggers_are_replaced() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        shop.run("ALTER TABLE product DISABLE TRIGGER USER").await;
        shop.run("ALTER TABLE product ENABLE TRIGGER USER").await;
        assert_eq!(
            shop.capture(&[product(&shop, &["name", "price"])]).await.replaced,
            ["product"]
        );
        assert_eq!(
            shop.capture(&[product(&shop, &["name", "price"])])
                .await
                .unchanged,
            ["product"]
        );
    })
    .await;
}

#[tokio::test]
async fn tables_swapped_by_rename_and_dropped_tables_leave_nothing_behind() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        shop.run("ALTER TABLE product RENAME TO product_old").await;
        shop.run(PRODUCT).await;
        let report = shop.capture(&[product(&shop, &["name", "price"])]).await;
        assert_eq!(
            (report.installed, report.removed),
            (vec!["product".to_owned()], vec!["public.product_old".to_owned()])
        );
        shop.assert_rebuild_of("product").await;
        shop.run("INSERT INTO product VALUES (1, 'a', 1)").await;
        shop.run("INSERT INTO product_old VALUES (1, 'a', 1)").await;
        assert_eq!(shop.changes("product").await.len(), 1);
        shop.run("DROP TABLE product").await;
        assert_eq!(shop.capture(&[]).await.removed, Vec::<String>::new());
        let sql = "SELECT 1 FROM pg_proc WHERE pronamespace = 'pubsync'::regnamespace";
        let left = Statement::from_string(shop.names.dialect().backend(), sql);
        assert!(shop.db.query_one_raw(left).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn long_names_and_schemas_that_read_alike_do_not_collide() {
    on_postgres(|shop| async move {
        let long = "x".repeat(60);
        shop.run("CREATE SCHEMA a; CREATE SCHEMA a_b").await;
        let mut captures = Vec::new();
        for (schema, name) in [
            ("a", "b_c"),
            ("a_b", "c"),
            ("a", &format!("{long}1")),
            ("a", &format!("{long}2")),
        ] {
            shop.run(&format!("CREATE TABLE {schema}.{name}(id int primary key)"))
                .await;
            let mut table = table(&shop, name, &["id"], &["id"]);
            table.schema = Some(schema.to_owned());
            let mut capture = capture_of(table, &[], &["id"]);
            capture.name = format!("{schema}.{name}");
            captures.push(capture);
        }
        assert_eq!(shop.capture(&captures).await.installed.len(), 4);
        assert_eq!(shop.capture(&captures).await.unchanged.len(), 4);
        for capture in &captures {
            let table = TableName::of(&capture.table);
            shop.run(&format!("INSERT INTO {table} VALUES (1)")).await;
            assert_eq!(shop.changes(&capture.name).await.len(), 1);
        }
    })
    .await;
}

/// A role without rights learns what it cannot do, and the database's reason.
#[tokio::test]
async fn what_the_database_refuses_is_told() {
    on_postgres(|shop| async move {
        shop.run(PRODUCT).await;
        shop.run("CREATE TABLE other(id bigint PRIMARY KEY)").await;
        let captures = [product(&shop, &["name"])];
        let stranger = shop.connect_as(&shop.role().await).await;
        let retry = LockRetry::default();
        let told = |error: Error| pubsync_schema::fault::chain(&error);

        let refused = reconcile(&stranger, &shop.names, &captures, &retry)
            .await
            .unwrap_err();
        let refused = told(refused);
        assert!(
            refused.starts_with("the triggers of table product cannot be changed: ")
                && refused.contains("permission denied"),
            "{refused}"
        );
        let refused = told(install_functions(&stranger, &shop.names).await.unwrap_err());
        assert!(
            refused.starts_with("the functions that applications call cannot be installed: "),
            "{refused}"
        );

        // The function outlives its table.
        shop.capture(&captures).await;
        shop.run("DROP TABLE product").await;
        let refused = told(reconcile(&stranger, &shop.names, &[], &retry).await.unwrap_err());
        assert!(
            refused.starts_with("functions of removed triggers cannot be dropped: ")
                && refused.contains("permission denied"),
            "{refused}"
        );

        stranger.clone().close().await.unwrap();
        let refused = reconcile(&stranger, &shop.names, &[], &retry).await.unwrap_err();
        assert_eq!(refused.to_string(), "the installed triggers cannot be read");
    })
    .await;
}
