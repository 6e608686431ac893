//! `{ sql: … }`.

use super::fixture::{Fixture, on_both, on_postgres, on_sqlite};
use crate::operate::expressions::problems;

const SHOP: &str = "
    CREATE TABLE product (id integer PRIMARY KEY, sku text, price numeric(10,2), pieces integer, extra JSON);
    CREATE TABLE store (id integer PRIMARY KEY, code text);
    CREATE TABLE product_text (id integer PRIMARY KEY, product_id integer UNIQUE, name text);
    CREATE TABLE tag (id integer PRIMARY KEY, name text);
    CREATE TABLE product_tag (product_id integer REFERENCES product, tag_id integer REFERENCES tag, place integer);
    INSERT INTO product VALUES (1, 'A\"b', 19.90, 3, '{\"x\": [1, 2.50]}'), (2, NULL, 5, NULL, NULL), (3, 'c', 0, 0, '[]');
    INSERT INTO store VALUES (1, 'DE'), (2, 'AT');
    INSERT INTO product_text VALUES (1, 1, 'Tent');
    INSERT INTO tag VALUES (1, 'New'), (2, 'SALE');
    INSERT INTO product_tag VALUES (1, 1, 7), (1, 2, 8), (2, 2, 9);
";

async fn bodies(db: &Fixture, body: &str) -> Vec<String> {
    let plan = db.body("product", body).await;
    let found = db.documents(&plan, &["1", "2", "3"]).await;
    found.into_iter().map(|(_, body)| body).collect()
}

#[tokio::test]
async fn expressions_give_json_of_their_value() {
    on_both(SHOP, async |db| {
        for (text, expected) in [
            ("lower({sku})", [r#""a\"b""#, "null", r#""c""#]),
            (
                "coalesce({sku}, 'none {{x}}')",
                [r#""A\"b""#, r#""none {x}""#, r#""c""#],
            ),
            ("{pieces} * 2 + {root.id}", ["7", "null", "3"]),
            (
                "CASE WHEN {price} > 9 THEN 'dear' ELSE 'cheap' END",
                [r#""dear""#, r#""cheap""#, r#""cheap""#],
            ),
            ("round({price} * 0.25, 3)", ["4.975", "1.250", "0.000"]),
            ("'a'", [r#""a""#, r#""a""#, r#""a""#]),
            ("length({sku}) + length({sku})", ["6", "null", "2"]),
        ] {
            let found = bodies(db, &format!("a: {{ sql: \"{}\" }}", text.replace('"', "\\\""))).await;
            let expected = expected.map(|value| match db.dialect {
                // Its numbers are floats, without a scale.
                pubsync_schema::dialect::Dialect::Sqlite => {
                    value.replace("1.250", "1.25").replace("0.000", "0.0")
                }
                pubsync_schema::dialect::Dialect::Postgres => value.to_owned(),
            });
            assert_eq!(
                found,
                expected.map(|value| format!("{{\"a\":{value}}}")),
                "{text}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn types_have_the_form_of_columns() {
    on_postgres(SHOP, async |db| {
        for (text, expected) in [
            ("{extra} -> 'x'", r#"[1, 2.50]"#),
            (
                "timestamptz '2024-01-02 03:04:05.5+02'",
                r#""2024-01-02T01:04:05.5Z""#,
            ),
            ("timestamp '2024-01-02 03:04:05'", r#""2024-01-02T03:04:05""#),
            ("'\\\\x00ff'::bytea", r#""AP8=""#),
            ("{pieces} > 2", "true"),
            ("ARRAY[{sku}, 'é']", r#"["A\"b","é"]"#),
            ("({extra} #>> '{{x,1}}')::numeric", "2.50"),
        ] {
            let found = bodies(db, &format!("a: {{ sql: \"{text}\" }}")).await;
            assert_eq!(found[0], format!("{{\"a\":{expected}}}"), "{text}");
        }
    })
    .await;
    on_sqlite(SHOP, async |db| {
        for (text, expected) in [
            ("json_object('a', {pieces})", r#"{"a":3}"#),
            ("json({extra})", r#"{"x":[1,2.50]}"#),
            ("x'00ff'", r#""AP8=""#),
            ("{pieces} > 2", "1"),
            ("{price} + 0.1", "20.0"),
        ] {
            let found = bodies(db, &format!("a: {{ sql: \"{text}\" }}")).await;
            assert_eq!(found[0], format!("{{\"a\":{expected}}}"), "{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn expressions_stand_in_nodes_and_over_scopes() {
    on_both(SHOP, async |db| {
        let text = "
document: doc
root: product
each:
  store: { table: store }
  text: { table: product_text, match: { product_id: root.id }, optional: true }
key: \"{store.code}:{root.id}\"
body:
  text: { sql: \"coalesce({text.name}, 'none')\" }
  slug: { sql: \"coalesce({text.name}, {sku}, 'x') || '-' || {store.code}\" }
  tags:
    many: tag
    via: product_tag
    order: [via.place]
    body: { sql: \"lower({name}) || {via.place} || coalesce({parent.sku}, '')\" }
";
        let plan = db.written(text).await;
        let found = db.documents(&plan, &["1", "2", "3"]).await;
        let found: Vec<_> = found.iter().map(|(key, body)| format!("{key} {body}")).collect();
        assert_eq!(
            found,
            [
                r#"DE:1 {"text":"Tent","slug":"Tent-DE","tags":["new7A\"b","sale8A\"b"]}"#,
                r#"AT:1 {"text":"Tent","slug":"Tent-AT","tags":["new7A\"b","sale8A\"b"]}"#,
                r#"DE:2 {"text":"none","slug":"x-DE","tags":["sale9"]}"#,
                r#"AT:2 {"text":"none","slug":"x-AT","tags":["sale9"]}"#,
                r#"DE:3 {"text":"none","slug":"c-DE","tags":[]}"#,
                r#"AT:3 {"text":"none","slug":"c-AT","tags":[]}"#,
            ]
        );
        let watched = |table: &str| {
            let used = &plan.uses[table];
            let names = used
                .watched
                .iter()
                .map(|column| used.table.columns[*column].name.as_str());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(watched("product"), "id sku");
        assert_eq!(watched("product_text"), "id product_id name");
        assert_eq!(watched("tag"), "id name");
        assert_eq!(watched("product_tag"), "product_id tag_id place");
    })
    .await;
}

#[tokio::test]
async fn one_value_for_one_row() {
    let failure = async |db: &Fixture, text: &str| {
        let plan = db.body("product", &format!("a: {{ sql: \"{text}\" }}")).await;
        let found = db.outcomes(&plan, &["1", "2"]).await;
        let failure = found[1][0].as_ref().unwrap_err();
        (failure.class, failure.message.clone())
    };
    on_postgres(SHOP, async |db| {
        let message = "expression generate_series(1, {id}) gives 2 values for one row";
        assert_eq!(
            failure(db, "generate_series(1, {id})").await,
            ("value", message.to_owned())
        );
    })
    .await;
    on_sqlite(SHOP, async |db| {
        let message = "expression sum({id}) gives 0 values for one row";
        assert_eq!(failure(db, "sum({id})").await, ("value", message.to_owned()));
    })
    .await;
}

#[tokio::test]
async fn wrong_expressions_are_told_with_their_place() {
    on_both(SHOP, async |db| {
        let told = async |text: &str| {
            let (file, document, catalogue) = db
                .checked(&format!(
                    "document: doc\nroot: product\nkey: \"{{id}}\"\nbody:\n  a: {{ sql: \"{text}\" }}\n"
                ))
                .await;
            let found = problems(&db.conn, &db.names(), &catalogue, &[(&file, document)])
                .await
                .unwrap();
            found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_eq!(told("lower({sku})").await, "");
        let place = "doc.yaml:5:13: the database refuses the expression: ";
        let (lower, bare, syntax) = match db.dialect {
            pubsync_schema::dialect::Dialect::Postgres => (
                "function lowr(text) does not exist",
                "column \"sku\" does not exist",
                "syntax error at or near \")\"",
            ),
            pubsync_schema::dialect::Dialect::Sqlite => (
                "no such function: lowr",
                "no such column: sku",
                "near \")\": syntax error",
            ),
        };
        for (text, reason) in [("lowr({sku})", lower), ("lower(sku)", bare), ("{sku} ||", syntax)] {
            let told = told(text).await;
            assert!(told.starts_with(place) && told.contains(reason), "{told}");
        }
    })
    .await;
}
