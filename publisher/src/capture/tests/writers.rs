//! Whoever writes on PostgreSQL, and however: what commits is captured once, as it stands in the table.

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use super::shop::{Shop, capture_of, on_postgres, run, table};
use crate::capture::Capture;

const PRODUCT: &str = "CREATE TABLE product(id int primary key, name text, note text)";

fn product(shop: &Shop) -> Capture {
    let product = table(shop, "product", &["id", "name", "note"], &["id"]);
    capture_of(product, &["name"], &["id"])
}

async fn with_product(shop: &Shop) {
    shop.run(PRODUCT).await;
    shop.capture(&[product(shop)]).await;
}

/// Temporary tables and schemas of one's own can bear every name that the trigger uses.
#[tokio::test]
async fn names_of_the_session_shadow_nothing() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        let txn = shop.db.begin().await.unwrap();
        for statement in [
            "CREATE TEMP TABLE product(id int primary key, name text)",
            "CREATE TEMP TABLE outbox(id int)",
            "CREATE SCHEMA evil",
            "CREATE FUNCTION evil.to_regclass(text) RETURNS regclass LANGUAGE sql AS 'SELECT NULL::regclass'",
            "CREATE FUNCTION evil.json_object(text[], text[]) RETURNS json LANGUAGE sql AS $$ SELECT '{}'::json $$",
            "CREATE FUNCTION evil.string_agg(text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$",
            "CREATE FUNCTION evil.concat2(text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$",
            "CREATE OPERATOR evil.|| (FUNCTION = evil.concat2, LEFTARG = text, RIGHTARG = text)",
            "CREATE TYPE evil.text AS ENUM ('x')",
            "SET LOCAL search_path = pg_temp, evil, pg_catalog, public",
            "INSERT INTO product VALUES (7, 'temporary')",
            "INSERT INTO public.product VALUES (1, 'a')",
            "UPDATE public.product SET name = 'b'",
        ] {
            run(&txn, statement).await;
        }
        txn.commit().await.unwrap();
        let image = json!({"id": "1"});
        assert_eq!(
            shop.changes("product").await,
            [
                json!({"n": image}),
                json!({"o": image, "n": image, "c": ["name"]})
            ]
        );
    })
    .await;
}

/// A role that may write one table in one schema, of which policies show it some rows; it knows nothing of pubsync.
#[tokio::test]
async fn a_role_under_policies_in_another_schema_is_captured() {
    on_postgres(|shop| async move {
        shop.run(
            "CREATE SCHEMA \"Other Shop\"; CREATE TABLE \"Other Shop\".\"Prod.uct\"(\
               id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner text DEFAULT current_user, name text, \
               \"Upper\" text GENERATED ALWAYS AS (upper(name)) STORED)",
        )
        .await;
        let mut product = table(&shop, "Prod.uct", &["id", "owner", "name", "Upper"], &["id"]);
        product.schema = Some("Other Shop".to_owned());
        let capture = capture_of(product, &["Upper"], &["id", "owner", "Upper"]);
        shop.capture(std::slice::from_ref(&capture)).await;
        assert_eq!(shop.capture(&[capture]).await.unchanged, ["Prod.uct"]);
        let role = shop.role().await;
        shop.run(&format!(
            "GRANT USAGE ON SCHEMA \"Other Shop\" TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON \"Other Shop\".\"Prod.uct\" TO {role}; \
             ALTER TABLE \"Other Shop\".\"Prod.uct\" ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY own ON \"Other Shop\".\"Prod.uct\" USING (owner = current_user); \
             INSERT INTO \"Other Shop\".\"Prod.uct\"(name) VALUES ('hidden from the role')"
        ))
        .await;
        shop.outbox().await;
        let app = shop.connect_as(&role).await;
        run(
            &app,
            "INSERT INTO \"Other Shop\".\"Prod.uct\"(name) VALUES ('mine')",
        )
        .await;
        let image = |upper: &str| json!({"id": "2", "owner": role, "Upper": upper});
        assert_eq!(shop.changes("Prod.uct").await, [json!({"n": image("MINE")})]);
        run(&app, "UPDATE \"Other Shop\".\"Prod.uct\" SET name = 'Mine'").await;
        assert_eq!(shop.outbox().await, [], "what is used stays the same");
        run(&app, "UPDATE \"Other Shop\".\"Prod.uct\" SET name = 'yours'").await;
        let changed = json!({"o": image("MINE"), "n": image("YOURS"), "c": ["Upper"]});
        assert_eq!(shop.changes("Prod.uct").await, [changed]);
        run(&app, "DELETE FROM \"Other Shop\".\"Prod.uct\"").await;
        assert_eq!(shop.changes("Prod.uct").await, [json!({"o": image("YOURS")})]);
        assert!(
            app.execute_unprepared("SELECT pubsync.publish('a', '{}')")
                .await
                .is_err()
        );
    })
    .await;
}

/// What is captured is what the table holds after all triggers of the application.
#[tokio::test]
async fn triggers_of_the_application_that_write_are_captured() {
    on_postgres(|shop| async move {
        shop.run(PRODUCT).await;
        shop.run(
            "CREATE TABLE audit(id int primary key, product_id int, name text);
             CREATE FUNCTION clean() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN NEW.id := NEW.id + 100; RETURN NEW; END $$;
             CREATE TRIGGER clean BEFORE INSERT ON product FOR EACH ROW EXECUTE FUNCTION clean();
             CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN
                 UPDATE product SET name = NEW.name || '!' WHERE id = NEW.id;
                 INSERT INTO audit VALUES (NEW.id, NEW.id, NEW.name);
                 RETURN NULL;
               END $$;
             CREATE TRIGGER follow AFTER INSERT ON product FOR EACH ROW EXECUTE FUNCTION follow();
             CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN IF OLD.note = 'keep' THEN RETURN NULL; END IF; RETURN OLD; END $$;
             CREATE TRIGGER refuse BEFORE DELETE ON product FOR EACH ROW EXECUTE FUNCTION refuse();",
        )
        .await;
        let audit = table(&shop, "audit", &["id", "product_id", "name"], &["id"]);
        let audit = capture_of(audit, &["name"], &["id", "product_id"]);
        shop.capture(&[product(&shop), audit]).await;
        shop.run("INSERT INTO product VALUES (1, 'a', 'keep'), (2, 'b', 'go')")
            .await;
        let rows = shop.outbox().await;
        let of = |table: &str| {
            let rows = rows.iter().filter(|row| row.table == table);
            let changes = rows.flat_map(|row| row.changes.as_array().unwrap().clone());
            let mut changes: Vec<_> = changes.collect();
            changes.sort_by_key(ToString::to_string);
            changes
        };
        let id = |id: &str| json!({"id": id});
        let updated = |at: &str| json!({"o": id(at), "n": id(at), "c": ["name"]});
        assert_eq!(
            of("product"),
            [
                json!({"n": id("101")}),
                json!({"n": id("102")}),
                updated("101"),
                updated("102")
            ]
        );
        assert_eq!(of("audit").len(), 2);
        shop.run("DELETE FROM product").await;
        assert_eq!(shop.changes("product").await, [json!({"o": id("102")})]);
    })
    .await;
}

#[tokio::test]
async fn deferred_constraints_views_and_statements_of_several_tables_are_captured() {
    on_postgres(|shop| async move {
        shop.run(PRODUCT).await;
        shop.run(
            "CREATE TABLE image(id int primary key, product_id int REFERENCES product ON UPDATE CASCADE \
               ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED, url text);
             CREATE VIEW shown AS SELECT id, name FROM product WHERE note IS NULL",
        )
        .await;
        let image = table(&shop, "image", &["id", "product_id", "url"], &["id"]);
        let image = capture_of(image, &["url"], &["id", "product_id"]);
        shop.capture(&[product(&shop), image]).await;
        let txn = shop.db.begin().await.unwrap();
        run(&txn, "INSERT INTO image VALUES (10, 1, 'u')").await;
        run(&txn, "INSERT INTO shown VALUES (1, 'by view')").await;
        run(&txn, "SAVEPOINT s").await;
        run(&txn, "INSERT INTO product VALUES (2, 'taken back')").await;
        run(&txn, "ROLLBACK TO s").await;
        txn.commit().await.unwrap();
        let tables: Vec<_> = shop.outbox().await.into_iter().map(|row| row.table).collect();
        assert_eq!(tables, ["image", "product"]);
        shop.run("UPDATE shown SET id = 3").await;
        let moved = shop.outbox().await;
        let of_image = moved.iter().find(|row| row.table == "image").unwrap();
        let (old, new) = (
            json!({"id": "10", "product_id": "1"}),
            json!({"id": "10", "product_id": "3"}),
        );
        assert_eq!(
            of_image.changes,
            json!([{"o": old, "n": new, "c": ["product_id"]}])
        );
        shop.run(
            "WITH gone AS (DELETE FROM product RETURNING id), \
                  more AS (INSERT INTO image SELECT id + 100, NULL, 'v' FROM gone RETURNING id) \
             SELECT count(*) FROM more",
        )
        .await;
        let mut rows: Vec<_> = shop
            .outbox()
            .await
            .into_iter()
            .map(|row| (row.table, row.changes))
            .collect();
        rows.sort_by_key(|(table, changes)| (table.clone(), changes.to_string()));
        let freed = json!({"id": "10", "product_id": null});
        assert_eq!(
            rows,
            [
                (
                    "image".to_owned(),
                    json!([{"n": {"id": "103", "product_id": null}}])
                ),
                (
                    "image".to_owned(),
                    json!([{"o": new, "n": freed, "c": ["product_id"]}])
                ),
                ("product".to_owned(), json!([{"o": {"id": "3"}}])),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn copy_upserts_and_cursors_are_captured() {
    on_postgres(|shop| async move {
        with_product(&shop).await;
        shop.run("COPY product(id, name) FROM PROGRAM 'printf \"1,a\\n2,b\\n\"' WITH (FORMAT csv)")
            .await;
        assert_eq!(shop.changes("product").await.len(), 2);
        shop.run("INSERT INTO product VALUES (1, 'x'), (3, 'c') ON CONFLICT DO NOTHING")
            .await;
        assert_eq!(shop.changes("product").await, [json!({"n": {"id": "3"}})]);
        shop.run(
            "INSERT INTO product VALUES (1, 'x'), (2, 'b') ON CONFLICT (id) DO UPDATE SET name = excluded.name \
             WHERE product.name <> excluded.name",
        )
        .await;
        let changed = json!({"o": {"id": "1"}, "n": {"id": "1"}, "c": ["name"]});
        assert_eq!(shop.changes("product").await, [changed]);
        shop.run(
            "DO $$ DECLARE c CURSOR FOR SELECT * FROM product WHERE id = 2 FOR UPDATE; r record; BEGIN \
               OPEN c; FETCH c INTO r; DELETE FROM product WHERE CURRENT OF c; CLOSE c; END $$",
        )
        .await;
        assert_eq!(shop.changes("product").await, [json!({"o": {"id": "2"}})]);
    })
    .await;
}
