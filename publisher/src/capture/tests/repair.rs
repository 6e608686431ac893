//! What happened under the triggers is noticed, and rebuilt.

use std::future::Future;
use std::sync::Arc;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::fault::{Fault, classify};
use pubsync_schema::store::Store;
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::shop::{Shop, capture_of, on_postgres, on_sqlite, table};
use crate::capture::{Capture, LockRetry, reconcile};

const PRODUCT: &str = "CREATE TABLE product(id integer primary key, name text, note text)";

fn product(shop: &Shop) -> [Capture; 1] {
    let product = table(shop, "product", &["id", "name", "note"], &["id"]);
    [capture_of(product, &["name"], &["id"])]
}

async fn with_product(shop: &Shop) -> [Capture; 1] {
    shop.run(PRODUCT).await;
    let capture = product(shop);
    shop.capture(&capture).await;
    capture
}

async fn on_both<Test: Future<Output = ()>>(test: impl Fn(Arc<Shop>) -> Test) {
    on_sqlite(&test).await;
    on_postgres(&test).await;
}

/// Rule 18: another table has the name now.
#[tokio::test]
async fn a_table_swapped_by_rename_gets_the_triggers_and_rebuilds() {
    on_both(|shop| async move {
        let capture = with_product(&shop).await;
        shop.run("CREATE TABLE product_new(id integer primary key, name text, note text)")
            .await;
        shop.run("INSERT INTO product_new VALUES (1, 'new', 'x')").await;
        shop.run("ALTER TABLE product RENAME TO product_old").await;
        shop.run("ALTER TABLE product_new RENAME TO product").await;
        assert_eq!(shop.outbox().await, []);
        assert_eq!(shop.repair(&capture).await[0], "product");
        shop.assert_rebuild_of("product").await;
        shop.run("UPDATE product SET name = 'seen'").await;
        assert_eq!(shop.changes("product").await[0]["c"], json!(["name"]));
        shop.run("INSERT INTO product_old VALUES (5, 'old', 'x')").await;
        assert_eq!(shop.outbox().await, [], "it is not the product any more");
        assert_eq!(shop.repair(&capture).await, [""; 0]);
        assert_eq!(shop.capture(&capture).await.unchanged, ["product"]);
    })
    .await;
}

#[tokio::test]
async fn lost_triggers_are_set_again_and_rebuild() {
    on_both(|shop| async move {
        let capture = with_product(&shop).await;
        let losses: &[&str] = match shop.names.dialect() {
            Dialect::Postgres => &[
                "DROP TRIGGER pubsync_capture_update ON product",
                "ALTER TABLE product DISABLE TRIGGER ALL",
                // As imports do it: what came in between nobody knows.
                "ALTER TABLE product DISABLE TRIGGER ALL; ALTER TABLE product ENABLE TRIGGER ALL",
                "DROP FUNCTION pubsync.capture_public_product CASCADE",
                "DROP TABLE product; CREATE TABLE product(id integer primary key, name text, note text)",
            ],
            Dialect::Sqlite => &[
                "DROP TRIGGER pubsync_capture_product_update",
                "DROP TABLE product; CREATE TABLE product(id integer primary key, name text, note text)",
            ],
        };
        for loss in losses {
            shop.run(loss).await;
            assert_eq!(shop.repair(&capture).await, ["product"], "{loss}");
            shop.assert_rebuild_of("product").await;
            assert_eq!(shop.repair(&capture).await, [""; 0], "{loss}");
            shop.run("INSERT INTO product VALUES (1, 'a', 'x')").await;
            shop.run("UPDATE product SET name = 'b'").await;
            assert_eq!(shop.changes("product").await.len(), 2, "{loss}");
            shop.run("DELETE FROM product").await;
            shop.outbox().await;
        }
    })
    .await;
}

/// A relay that does not know the newest definition yet leaves its triggers alone.
#[tokio::test]
async fn triggers_of_a_newer_definition_stay() {
    on_both(|shop| async move {
        let older = with_product(&shop).await;
        let mut newer = older.clone();
        newer[0].watched.insert(2);
        shop.capture(&newer).await;
        assert_eq!(shop.repair(&older).await, [""; 0]);
        assert_eq!(shop.repair(&[]).await, [""; 0]);
        shop.run("INSERT INTO product VALUES (1, 'a', 'x')").await;
        shop.outbox().await;
        shop.run("UPDATE product SET note = 'y'").await;
        assert_eq!(shop.changes("product").await[0]["c"], json!(["note"]));
    })
    .await;
}

#[tokio::test]
async fn a_table_that_is_gone_rebuilds_once() {
    on_postgres(|shop| async move {
        let capture = with_product(&shop).await;
        shop.run("DROP TABLE product").await;
        assert_eq!(shop.repair(&capture).await, ["product"]);
        shop.assert_rebuild_of("product").await;
        assert_eq!(shop.repair(&capture).await, [""; 0]);
        shop.run(PRODUCT).await;
        assert_eq!(shop.repair(&capture).await, ["product"]);
        shop.outbox().await;
        shop.run("INSERT INTO product VALUES (1, 'a', 'x')").await;
        assert_eq!(shop.changes("product").await.len(), 1);
    })
    .await;
}

/// A policy that hides rows from us would withdraw their documents.
#[tokio::test]
async fn row_level_security_that_hides_rows_from_us_is_refused() {
    on_postgres(|shop| async move {
        let capture = with_product(&shop).await;
        let role = shop.role().await;
        shop.run(&format!(
            "ALTER TABLE product OWNER TO {role}; GRANT ALL ON SCHEMA pubsync, public TO {role}; \
             ALTER FUNCTION pubsync.capture_public_product OWNER TO {role}; \
             GRANT ALL ON ALL TABLES IN SCHEMA pubsync TO {role}; \
             ALTER TABLE product ENABLE ROW LEVEL SECURITY"
        ))
        .await;
        let ours = shop.connect_as(&role).await;
        let apply = || reconcile(&ours, &shop.names, &capture, &ONCE);
        apply().await.unwrap();
        shop.run("ALTER TABLE product FORCE ROW LEVEL SECURITY").await;
        let refused = apply().await.unwrap_err().to_string();
        assert_eq!(
            refused,
            format!(
                "row-level security of table public.product hides rows from role {role}: documents over them would be \
                 withdrawn. Give the role all rows (ALTER ROLE {role} BYPASSRLS, or NO FORCE ROW LEVEL SECURITY where it \
                 owns the table)"
            )
        );
        // Where it comes later, what we read fails: it does not look as if the rows were gone.
        let store = Store::connect(&shop.url_as(&role), "pubsync", 1).await.unwrap();
        let hidden = store.read.execute_unprepared("SELECT * FROM product").await.unwrap_err();
        assert_eq!(classify(&hidden), Fault::Definition, "{hidden}");
        shop.run(&format!("ALTER ROLE {role} BYPASSRLS")).await;
        apply().await.unwrap();
        shop.run("ALTER TABLE product OWNER TO postgres; ALTER FUNCTION pubsync.capture_public_product OWNER TO postgres")
            .await;
    })
    .await;
}

const ONCE: LockRetry = LockRetry {
    attempts: 1,
    pause: std::time::Duration::ZERO,
    longest_pause: std::time::Duration::ZERO,
};
