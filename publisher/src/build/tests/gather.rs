//! Lists, `merge`, `flat` and `distinct`.

use super::fixture::on_both;

const SHOP: &str = "
    CREATE TABLE product (id integer PRIMARY KEY, name text, sku text, extra JSON, more JSON);
    CREATE TABLE size (id integer PRIMARY KEY, product_id integer REFERENCES product, width integer, height integer);
    CREATE TABLE attribute (id integer PRIMARY KEY, product_id integer REFERENCES product, name text, amount integer);
    CREATE TABLE label (id integer PRIMARY KEY, product_id integer REFERENCES product, name text, value text);
    CREATE TABLE doc (id integer PRIMARY KEY, product_id integer REFERENCES product, list JSON);
    INSERT INTO product VALUES (1, 'a', NULL, '{\"b\": 1.00, \"a\": [1 , 2]}', NULL), (2, NULL, NULL, NULL, '[]'),
        (3, 'c', 's', '[1, {\"x\": 1.0}]', '{\"a\": 1}'), (4, 'd', 's', '[]', '7');
    INSERT INTO size VALUES (1, 1, 10, 20), (2, 1, 20, 10), (3, 1, NULL, 20), (4, 1, 10, 20), (5, 3, NULL, NULL);
    INSERT INTO attribute VALUES (1, 1, 'weight', 5), (2, 1, 'length', 7), (3, 1, NULL, 9);
    INSERT INTO label VALUES (1, 1, 'colour', 'red'), (2, 1, 'weight', 'heavy');
    INSERT INTO doc VALUES (1, 1, '[1, 2]'), (2, 1, NULL), (3, 1, '[]'), (4, 1, '[2, [3]]'), (5, 4, '{\"a\": 1}');
";

async fn gives(cases: &[(&str, [&str; 2])]) {
    on_both(SHOP, async |db| {
        for (body, expected) in cases {
            let plan = db.body("product", body).await;
            let found = db.documents(&plan, &["1", "2"]).await;
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
async fn lists_leave_nulls_out() {
    gives(&[
        ("a: [name, sku, { value: 3 }]", [r#"["a",3]"#, "[3]"]),
        ("a: [sku, name, sku]", [r#"["a"]"#, "[]"]),
        ("a: []", ["[]", "[]"]),
        (
            "a: [{ count: size }, [sku], { n: sku }]",
            [r#"[4,[],{"n":null}]"#, r#"[0,[],{"n":null}]"#],
        ),
        (
            "a: { many: size, body: [width, height, parent.name] }",
            [r#"[[10,20,"a"],[20,10,"a"],[20,"a"],[10,20,"a"]]"#, "[]"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn flat_joins_and_distinct_keeps_the_first() {
    gives(&[
        (
            "a: { many: size, distinct: true, body: width }",
            ["[10,20,null]", "[]"],
        ),
        (
            "a: { many: size, distinct: true, order: [-id], body: { w: width, h: height } }",
            [r#"[{"w":10,"h":20},{"w":null,"h":20},{"w":20,"h":10}]"#, "[]"],
        ),
        (
            "a: { many: size, flat: true, body: [width, height] }",
            ["[10,20,20,10,20,10,20]", "[]"],
        ),
        (
            "a: { many: size, flat: true, distinct: true, body: [width, height] }",
            ["[10,20]", "[]"],
        ),
        (
            "a: { many: size, flat: false, distinct: false, body: width }",
            ["[10,20,null,10]", "[]"],
        ),
        // `limit` counts rows.
        (
            "a: { many: size, distinct: true, limit: 1, order: [-id], body: width }",
            ["[10]", "[]"],
        ),
        // One level only, and null is no array.
        ("a: { many: doc, flat: true, body: list }", ["[1,2,2,[3]]", "[]"]),
        (
            "a: { many: doc, flat: true, distinct: true, body: list }",
            ["[1,2,[3]]", "[]"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn merge_of_objects_and_of_arrays() {
    gives(&[
        (
            "a: { merge: [{ many: attribute, by: [name], body: amount }, { many: label, by: [name], body: value }] }",
            [r#"{"weight":"heavy","length":7,"colour":"red"}"#, "{}"],
        ),
        (
            "a: { merge: [extra, { c: id, b: sku }, { value: { c: 0 } }] }",
            [r#"{"b":null,"a":[1 , 2],"c":0}"#, r#"{"c":0,"b":null}"#],
        ),
        (
            "a: { merge: [{ many: size, body: width }, more, [name, sku]] }",
            [r#"[10,20,null,10,"a"]"#, "[]"],
        ),
        ("a: { merge: [more, more] }", ["null", "[]"]),
        ("a: { merge: [{ value: null }] }", ["null", "null"]),
    ])
    .await;
}

#[tokio::test]
async fn what_cannot_be_joined_fails_its_document_only() {
    on_both(SHOP, async |db| {
        for (body, root, message) in [
            (
                "a: { merge: [extra, more] }",
                "3",
                "\"merge\" meets an array and an object: it takes objects or arrays",
            ),
            (
                "a: { merge: [{ n: name }, extra, more] }",
                "4",
                "\"merge\" meets an object and an array and a single value: it takes objects or arrays",
            ),
            (
                "a: { merge: [more] }",
                "4",
                "\"merge\" meets a single value: it takes objects or arrays",
            ),
            (
                "a: { many: doc, flat: true, body: list }",
                "4",
                "\"flat\" joins arrays, and meets an object",
            ),
        ] {
            let plan = db.body("product", body).await;
            let found = db.outcomes(&plan, &["1", root]).await;
            assert!(found[0][0].is_ok(), "{body}");
            let failure = found[1][0].as_ref().unwrap_err();
            assert_eq!(
                (failure.class, failure.message.as_str()),
                ("value", message),
                "{body}"
            );
            assert_eq!(failure.key, Some(format!("doc:{root}")));
        }
    })
    .await;
}

#[tokio::test]
async fn members_of_merged_objects_are_mapped() {
    on_both(SHOP, async |db| {
        let mapping = |body: &'static str| async move { db.body("product", body).await.mapping["a"].clone() };
        let long = serde_json::json!({ "type": "long" });
        let found = mapping("a: { merge: [{ x: name, y: id }, { x: id }] }").await;
        assert_eq!(found["properties"]["x"], long);
        assert_eq!(found["properties"]["y"], long);
        let found = mapping("a: { merge: [{ x: name }, { many: label, by: [name], body: value }] }").await;
        assert_eq!(found["type"], "flat_object");
        assert_eq!(mapping("a: [{ value: null }, id]").await, long);
        assert_eq!(
            mapping("a: { many: size, flat: true, body: [width] }").await,
            long
        );
    })
    .await;
}
