//! What only PostgreSQL has: statements of many rows, lanes, roles, settings.

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use super::shop::{Shop, capture_of, on_postgres, run, table};
use crate::capture::{Capture, install_functions};
use crate::catalogue::ColumnKind;

const PRODUCT: &str =
    "CREATE TABLE product(id int primary key, brand_id int, name text, price numeric, extra json, note text)";

fn product(shop: &Shop) -> Capture {
    let table = table(
        shop,
        "product",
        &["id", "brand_id", "name", "price", "extra", "note"],
        &["id"],
    );
    capture_of(table, &["name", "price", "extra"], &["id", "brand_id"])
}

async fn with_product(shop: &Shop) {
    shop.run(PRODUCT).await;
    shop.capture(&[product(shop)]).await;
}

#[tokio::test]
async fn a_statement_of_2500_rows_is_three_outbox_rows() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        for statement in [
            "INSERT INTO product SELECT i, 1, 'a', 1 FROM generate_series(1, 2500) i",
            "UPDATE product SET name = 'b'",
            "DELETE FROM product",
        ] {
            shop.run(statement).await;
            let rows = shop.outbox().await;
            let sizes: Vec<_> = rows
                .iter()
                .map(|row| row.changes.as_array().unwrap().len())
                .collect();
            assert_eq!(sizes.iter().sum::<usize>(), 2500, "{statement}");
            assert_eq!(
                sizes.iter().filter(|&&size| size == 1000).count(),
                2,
                "{statement}: {sizes:?}"
            );
            assert!(rows.iter().all(|row| row.lane == "live"), "{statement}");
        }
    })
    .await;
}

#[tokio::test]
async fn more_than_10000_changes_or_the_setting_take_the_bulk_lane() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        shop.run("INSERT INTO product SELECT i, 1, 'a', 1 FROM generate_series(1, 10001) i")
            .await;
        let rows = shop.outbox().await;
        assert_eq!(
            (rows.len(), rows.iter().filter(|row| row.lane == "bulk").count()),
            (11, 11)
        );
        shop.run("UPDATE product SET name = 'b' WHERE id <= 10000").await;
        assert!(shop.outbox().await.iter().all(|row| row.lane == "live"));

        let txn = shop.db.begin().await.unwrap();
        run(&txn, "SET LOCAL pubsync.lane = 'bulk'").await;
        run(&txn, "SET LOCAL pubsync.traceparent = '00-abc-def-01'").await;
        run(&txn, "UPDATE product SET name = 'c' WHERE id = 1").await;
        run(&txn, "TRUNCATE product").await;
        txn.commit().await.unwrap();
        let rows = shop.outbox().await;
        assert_eq!(rows.len(), 2);
        assert!(
            rows.iter()
                .all(|row| row.lane == "bulk" && row.trace.as_deref() == Some("00-abc-def-01")),
            "{rows:?}"
        );
        // The pool gives the session that had the settings, which are empty texts now.
        shop.run("INSERT INTO product VALUES (1)").await;
        let row = shop.outbox().await.remove(0);
        assert_eq!((row.lane.as_str(), row.trace), ("live", None));
    })
    .await;
}

#[tokio::test]
async fn equality_is_that_of_text() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        shop.run("INSERT INTO product VALUES (1, 7, 'a', 19.9, '{\"a\": 1}')")
            .await;
        shop.outbox().await;
        shop.run("UPDATE product SET price = 19.90").await;
        assert_eq!(shop.changes("product").await[0]["c"], json!(["price"]));
        shop.run("UPDATE product SET extra = '{\"a\":1}'").await;
        assert_eq!(shop.changes("product").await[0]["c"], json!(["extra"]));
        shop.run("UPDATE product SET extra = '{\"a\":1}', price = 19.90")
            .await;
        assert_eq!(shop.outbox().await, []);
        shop.run(
            "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        )
        .await;
        shop.run("ALTER TABLE product ALTER name TYPE text COLLATE nocase")
            .await;
        shop.run("UPDATE product SET name = 'A' WHERE name = 'a'").await;
        assert_eq!(shop.changes("product").await[0]["c"], json!(["name"]));
    })
    .await;
}

#[tokio::test]
async fn rows_without_a_primary_key_are_what_they_hold() {
    on_postgres(|shop| async move {
        shop.run("CREATE TABLE tag(product_id int, tag text, note text)")
            .await;
        let tag = table(&shop, "tag", &["product_id", "tag", "note"], &[]);
        shop.capture(&[capture_of(tag, &["tag"], &["product_id"])]).await;
        shop.run("INSERT INTO tag VALUES (1, 'a'), (1, 'a'), (2, 'b')")
            .await;
        assert_eq!(shop.changes("tag").await.len(), 3);
        shop.run("UPDATE tag SET note = 'x'").await;
        assert_eq!(shop.outbox().await, []);
        shop.run("UPDATE tag SET product_id = 3 WHERE product_id = 1")
            .await;
        let (old, new) = (
            json!({"o": {"product_id": "1"}}),
            json!({"n": {"product_id": "3"}}),
        );
        assert_eq!(shop.changes("tag").await, [old.clone(), old, new.clone(), new]);
        shop.run("DELETE FROM tag WHERE product_id = 2").await;
        assert_eq!(shop.changes("tag").await, [json!({"o": {"product_id": "2"}})]);
    })
    .await;
}

#[tokio::test]
async fn keys_that_swap_in_one_statement_stay_paired() {
    on_postgres(|shop| async move {
        shop.run("CREATE TABLE link(a int, b int, name text, primary key (a, b) deferrable)")
            .await;
        let link = table(&shop, "link", &["a", "b", "name"], &["a", "b"]);
        shop.capture(&[capture_of(link, &["name"], &["a", "b"])]).await;
        shop.run("INSERT INTO link VALUES (1, 2, 'x'), (2, 1, 'y'), (3, 3, 'z')")
            .await;
        shop.outbox().await;
        shop.run("UPDATE link SET a = b, b = a").await;
        let mut changes = shop.changes("link").await;
        changes.sort_by_key(ToString::to_string);
        let key = |a: &str, b: &str| json!({"a": a, "b": b});
        let swapped = |a, b| json!({"o": key(a, b), "n": key(a, b), "c": ["name"]});
        assert_eq!(changes, [swapped("1", "2"), swapped("2", "1")]);
    })
    .await;
}

#[tokio::test]
async fn merge_and_data_modifying_ctes_are_captured() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        shop.run("INSERT INTO product VALUES (1, 7, 'a'), (2, 7, 'b')")
            .await;
        shop.outbox().await;
        shop.run(
            "MERGE INTO product p USING (VALUES (1, 'x'), (2, NULL), (3, 'z')) AS s(id, name) ON p.id = s.id \
             WHEN MATCHED AND s.name IS NULL THEN DELETE \
             WHEN MATCHED THEN UPDATE SET name = s.name \
             WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)",
        )
        .await;
        assert_eq!(shop.changes("product").await.len(), 3);
        shop.run("WITH gone AS (DELETE FROM product RETURNING id) SELECT count(*) FROM gone")
            .await;
        assert_eq!(shop.changes("product").await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn truncate_is_captured_also_by_cascade() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        shop.run("CREATE TABLE image(id int primary key, product_id int references product)")
            .await;
        let image = capture_of(
            table(&shop, "image", &["id", "product_id"], &["id"]),
            &[],
            &["id", "product_id"],
        );
        shop.capture(&[product(&shop), image]).await;
        shop.run("TRUNCATE product CASCADE").await;
        let rows = shop.outbox().await;
        let tables: Vec<_> = rows
            .iter()
            .map(|row| (row.kind.as_str(), row.table.as_str(), &row.changes))
            .collect();
        assert_eq!(
            tables,
            [
                ("truncate", "product", &json!([])),
                ("truncate", "image", &json!([]))
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn statements_without_rows_write_nothing() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        shop.run("INSERT INTO product SELECT 1 WHERE false").await;
        shop.run("UPDATE product SET name = 'x'").await;
        shop.run("DELETE FROM product").await;
        assert_eq!(shop.outbox().await, []);
    })
    .await;
}

#[tokio::test]
async fn replicas_and_roles_without_rights_are_captured() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        let txn = shop.db.begin().await.unwrap();
        run(&txn, "SET LOCAL session_replication_role = replica").await;
        run(&txn, "INSERT INTO product VALUES (1)").await;
        txn.commit().await.unwrap();
        assert_eq!(shop.changes("product").await.len(), 1);

        let role = shop.role().await;
        shop.run(&format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON product TO {role}"
        ))
        .await;
        // Else it could put the function on a table of its own and forge changes.
        run(&shop.db, &format!(
            "DO $do$ BEGIN ASSERT NOT has_function_privilege('{role}', 'pubsync.capture_public_product()', 'EXECUTE'); END $do$"
        ))
        .await;
        let app = shop.connect_as(&role).await;
        for statement in [
            "INSERT INTO product VALUES (2)",
            "UPDATE product SET name = 'x'",
            "DELETE FROM product",
        ] {
            run(&app, statement).await;
            assert_eq!(shop.outbox().await.len(), 1, "{statement}");
        }
        run(&app, "TRUNCATE product").await;
        assert_eq!(shop.outbox().await[0].kind, "truncate");
        assert!(
            app.execute_unprepared("SELECT * FROM pubsync.outbox")
                .await
                .is_err()
        );
    })
    .await;
}

#[tokio::test]
async fn settings_of_the_session_do_not_change_what_is_captured() {
    on_postgres(|shop| async move {
        shop.run("CREATE TABLE odd(\"a\\b\" timestamptz, f float8, b bytea, i interval, d date, primary key (f))").await;
        let mut odd = table(&shop, "odd", &["a\\b", "f", "b", "i", "d"], &["f"]);
        let kinds =
            [ColumnKind::TimestampTz, ColumnKind::Float, ColumnKind::Bytes, ColumnKind::Other, ColumnKind::Date];
        for (column, kind) in odd.columns.iter_mut().zip(kinds) {
            column.kind = kind;
        }
        let all = ["a\\b", "f", "b", "i", "d"];
        shop.capture(&[capture_of(odd, &all, &all)]).await;
        let txn = shop.db.begin().await.unwrap();
        for setting in [
            "timezone = 'Asia/Tokyo'",
            "datestyle = 'German'",
            "intervalstyle = 'iso_8601'",
            "bytea_output = 'escape'",
            "extra_float_digits = -10",
            "standard_conforming_strings = off",
            "search_path = ''",
            "plpgsql.extra_errors = 'all'",
            "array_nulls = off",
            "enable_hashjoin = off",
        ] {
            run(&txn, &format!("SET LOCAL {setting}")).await;
        }
        run(&txn, "INSERT INTO public.odd VALUES ('2026-01-02 03:04:05+00', 0.1, 'a', '1 day', '2026-01-02')").await;
        run(&txn, "UPDATE public.odd SET f = 0.1::float8 + 3e-17").await;
        txn.commit().await.unwrap();
        let changes = shop.changes("odd").await;
        let image = |f: &str| {
            json!({"a\\b": "2026-01-02 03:04:05+00", "f": f, "b": "\\x61", "i": "1 day", "d": "2026-01-02"})
        };
        assert_eq!(changes[0], json!({"n": image("0.1")}));
        assert_eq!(changes.len(), 3, "{changes:?}");
        assert!(changes.contains(&json!({"n": image("0.10000000000000003")})), "{changes:?}");
    })
    .await;
}

#[tokio::test]
async fn publish_announces_ids_in_the_callers_transaction() {
    on_postgres(|shop| async move {
        install_functions(&shop.db, &shop.names).await.unwrap();
        install_functions(&shop.db, &shop.names).await.unwrap();
        let role = shop.role().await;
        shop.run(&format!("GRANT USAGE ON SCHEMA pubsync TO {role}"))
            .await;
        let app = shop.connect_as(&role).await;
        run(
            &app,
            "SELECT pubsync.publish('product', ARRAY['1', NULL, 'it''s'])",
        )
        .await;
        run(&app, "SELECT pubsync.publish('product', '{}')").await;
        let rows = shop.outbox().await;
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].kind.as_str(), rows[0].lane.as_str()),
            ("publish", "live")
        );
        assert_eq!(
            rows[0].changes,
            json!({"document": "product", "ids": ["1", "it's"]})
        );
        run(
            &app,
            "SELECT pubsync.publish('product', array_agg(i::text)) FROM generate_series(1, 2500) i",
        )
        .await;
        assert_eq!(shop.outbox().await.len(), 3);
        assert!(
            app.execute_unprepared("SELECT pubsync.publish(NULL, '{1}')")
                .await
                .is_err()
        );
    })
    .await;
}
