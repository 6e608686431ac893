//! `sum`, `avg`, `min`, `max`, `any`, `all`.

use pubsync_schema::dialect::Dialect;
use pubsync_schema::fault::{Fault, chain};

use super::fixture::{on_both, on_postgres};
use crate::build::build;

const SHOP: &str = "
    CREATE TABLE product (id integer PRIMARY KEY, name text);
    CREATE TABLE price (id integer PRIMARY KEY, product_id integer REFERENCES product, amount numeric(10,2), kind text,
        pieces integer, active boolean, since date, weight real, rate numeric(8,4));
    CREATE TABLE tag (id integer PRIMARY KEY, weight numeric(6,3));
    CREATE TABLE product_tag (product_id integer REFERENCES product, tag_id integer REFERENCES tag);
    INSERT INTO product VALUES (1, 'a'), (2, 'b'), (3, 'c');
    INSERT INTO price VALUES (1, 1, 10.10, 'net', 3, true, '2025-01-02', 0.5, 0.1),
        (2, 1, 2.40, 'gross', 4, false, '2024-12-31', 1.25, 0.2), (3, 1, NULL, 'net', NULL, NULL, NULL, NULL, NULL),
        (4, 1, 0.10, 'net', 1, true, '2025-01-01', 2, 0.25), (5, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (6, 2, -7, 'x', -7, false, '2020-02-29', -1.5, -1);
    INSERT INTO tag VALUES (1, 1.5), (2, 0.25);
    INSERT INTO product_tag VALUES (1, 1), (1, 1), (1, 2);
";

#[tokio::test]
async fn values_are_folded_with_the_scale_of_their_column() {
    on_both(SHOP, async |db| {
        for (body, expected) in [
            ("a: { sum: price.amount }", ["12.60", "-7.00", "0"]),
            ("a: { sum: price.pieces }", ["8", "-7", "0"]),
            ("a: { sum: price.rate }", ["0.5500", "-1.0000", "0"]),
            ("a: { sum: price.weight }", ["3.75", "-1.5", "0"]),
            ("a: { avg: price.amount }", ["4.2", "-7", "null"]),
            ("a: { avg: price.pieces }", ["2.666667", "-7", "null"]),
            ("a: { avg: price.rate }", ["0.1833333333", "-1", "null"]),
            ("a: { avg: price.weight }", ["1.25", "-1.5", "null"]),
            ("a: { min: price.amount }", ["0.10", "-7.00", "null"]),
            ("a: { max: price.amount }", ["10.10", "-7.00", "null"]),
            ("a: { min: price.kind }", [r#""gross""#, r#""x""#, "null"]),
            (
                "a: { max: price.since }",
                [r#""2025-01-02""#, r#""2020-02-29""#, "null"],
            ),
            ("a: { any: price.active }", ["true", "false", "false"]),
            ("a: { all: price.active }", ["false", "false", "true"]),
            // Of nothing but null.
            (
                "a: { sum: price.pieces, where: { pieces: null } }",
                ["0", "0", "0"],
            ),
            (
                "a: { avg: price.amount, where: { amount: null } }",
                ["null", "null", "null"],
            ),
            (
                "a: { any: price.active, where: { active: null } }",
                ["false", "false", "false"],
            ),
            (
                "a: { all: price.active, where: { active: null } }",
                ["true", "true", "true"],
            ),
            (
                "a: { sum: price.amount, where: { kind: net } }",
                ["10.20", "0", "0"],
            ),
            (
                "a: { sum: price.amount, match: { product_id: id, kind: { value: net } } }",
                ["10.20", "0", "0"],
            ),
            // A row for each row of the junction, as `many` gives.
            ("a: { sum: tag.weight, via: product_tag }", ["3.250", "0", "0"]),
            (
                "a: { first: [{ max: price.amount }, { value: none }] }",
                ["10.10", "-7.00", r#""none""#],
            ),
        ] {
            let plan = db.body("product", body).await;
            let found = db.documents(&plan, &["1", "2", "3"]).await;
            let found: Vec<_> = found.into_iter().map(|(_, body)| body).collect();
            assert_eq!(
                found,
                expected.map(|value| format!("{{\"a\":{value}}}")),
                "{body}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn aggregates_are_captured_and_lead_to_their_roots() {
    on_both(SHOP, async |db| {
        let plan = db
            .body("product", "a: { sum: price.amount, where: { kind: net } }")
            .await;
        let watched = |name: &str| {
            let used = &plan.uses["price"];
            used.watched.contains(&used.table.column(name).unwrap())
        };
        assert!(watched("amount") && watched("kind") && watched("product_id") && !watched("pieces"));
        assert_eq!(
            db.reach(&plan, "price", &[("id", "9"), ("product_id", "2")])
                .await,
            ["2"]
        );
        let mapping = |body: &'static str| async move {
            let plan = db.body("product", body).await;
            plan.mapping["a"]["type"].as_str().unwrap().to_owned()
        };
        assert_eq!(mapping("a: { sum: price.amount }").await, "double");
        assert_eq!(mapping("a: { sum: price.pieces }").await, "long");
        assert_eq!(mapping("a: { avg: price.pieces }").await, "double");
        assert_eq!(mapping("a: { max: price.since }").await, "date");
        assert_eq!(mapping("a: { any: price.active }").await, "boolean");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_number_fails_its_document_only() {
    let sql = "CREATE TABLE product (id integer PRIMARY KEY);
        CREATE TABLE price (id integer PRIMARY KEY, product_id integer REFERENCES product, amount numeric);
        INSERT INTO product VALUES (1), (2);
        INSERT INTO price VALUES (1, 1, 1.50), (2, 1, 2), (3, 2, 'NaN')";
    on_postgres(sql, async |db| {
        for (body, good) in [
            ("a: { sum: price.amount }", "3.50"),
            ("a: { avg: price.amount }", "1.75"),
            ("a: { max: price.amount }", "2"),
        ] {
            let plan = db.body("product", body).await;
            let found = db.outcomes(&plan, &["1", "2"]).await;
            assert_eq!(found[0][0].as_ref().unwrap().body, format!("{{\"a\":{good}}}"));
            let failure = found[1][0].as_ref().unwrap_err();
            let message = "what is made of price.amount is \"NaN\", which has no JSON form";
            assert_eq!((failure.class, failure.message.as_str()), ("value", message));
        }
    })
    .await;
}

/// PostgreSQL adds integers up in `numeric`. SQLite ends with an error, which is of that root alone: never a wrong number.
#[tokio::test]
async fn sums_beyond_64_bits() {
    let rows = "
        CREATE TABLE account (id integer PRIMARY KEY);
        CREATE TABLE entry (id integer PRIMARY KEY, account_id integer REFERENCES account, units bigint);
        INSERT INTO account VALUES (1), (2);
        INSERT INTO entry VALUES (1, 1, 9223372036854775807), (2, 1, 9223372036854775807), (3, 2, 9223372036854775806), (4, 2, 1);
    ";
    on_both(rows, async |db| {
        for (body, too_large, fits) in [
            (
                "a: { sum: entry.units }",
                "18446744073709551614",
                "9223372036854775807",
            ),
            (
                "a: { avg: entry.units }",
                "9223372036854775807",
                "4611686018427387903.5",
            ),
        ] {
            let plan = db.body("account", body).await;
            assert_eq!(
                db.bodies(&plan, "2").await,
                [format!("{{\"a\":{fits}}}")],
                "{body}"
            );
            if db.dialect == Dialect::Postgres {
                assert_eq!(
                    db.bodies(&plan, "1").await,
                    [format!("{{\"a\":{too_large}}}")],
                    "{body}"
                );
                continue;
            }
            let error = build(&db.conn, &plan, &["1".to_owned()]).await.unwrap_err();
            assert_eq!(error.fault(), Fault::Item);
            let told = chain(&error);
            assert!(
                told.starts_with("SELECT of node entry: ") && told.contains("integer overflow"),
                "{told}"
            );
        }
    })
    .await;
}
