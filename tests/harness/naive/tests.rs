//! Each construct once, against bodies written by hand.

use std::collections::BTreeMap;

use super::{Data, Declaration, Found, Naive, Schema};
use crate::Scratch;

const SHOP: &str = "
    CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT);
    CREATE TABLE brand (id INTEGER PRIMARY KEY, name TEXT, country_code TEXT REFERENCES country (code));
    CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT, rank INTEGER, parent_id INTEGER REFERENCES category (id));
    CREATE TABLE product (id INTEGER PRIMARY KEY, sku TEXT, brand_id INTEGER REFERENCES brand (id),
        category_id INTEGER REFERENCES category (id), price NUMERIC(10,2), sold BOOLEAN, seen DATETIME, extra JSON);
    CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE product_tag (product_id INTEGER REFERENCES product (id), tag_id INTEGER REFERENCES tag (id),
        place INTEGER, PRIMARY KEY (product_id, tag_id));
    CREATE TABLE offer (id INTEGER PRIMARY KEY, product_id INTEGER REFERENCES product (id), currency TEXT,
        amount NUMERIC(10,2), count INTEGER, open BOOLEAN);
    INSERT INTO country VALUES ('DE', 'Germany');
    INSERT INTO brand VALUES (1, 'Nord', 'DE'), (2, 'Süd', NULL);
    INSERT INTO category VALUES (1, 'Outdoor', 1, NULL), (2, 'Tents', 2, 1), (3, 'Maps', 1, 1), (4, 'Big', 1, 2),
        (8, 'round', 1, 9), (9, 'and round', 1, 8);
    INSERT INTO product VALUES (1, 'A:1', 1, 4, 19.9, 1, '2024-01-02 03:04:05.120', '{\"a\": 1.00}'),
        (2, 'B', 2, NULL, NULL, 0, NULL, NULL), (3, NULL, NULL, 8, 5, NULL, NULL, NULL);
    INSERT INTO tag VALUES (1, 'new'), (2, 'old'), (3, 'new');
    INSERT INTO product_tag VALUES (1, 1, 2), (1, 2, 1), (1, 3, NULL), (2, 1, 1);
    INSERT INTO offer VALUES (1, 1, 'EUR', 10, 2, 1), (2, 1, 'CHF', 0.125, 3, 0), (3, 1, NULL, 7, NULL, NULL),
        (4, 1, 'EUR', 12.5, 1, 1);";

/// Key → body, `!` before what failed.
async fn documents(declaration: &str) -> BTreeMap<String, String> {
    let shop = Scratch::sqlite("naive");
    shop.script(SHOP).await;
    let mut session = shop.session().await;
    let mut schema = Schema::read(&mut session).await;
    let declaration = Declaration::parse(declaration);
    schema.add_queries(&mut session, &declaration).await;
    let data = Data::read(&mut session, &schema).await;
    let found = Naive::new(&schema, &data)
        .at("2024-06-01 00:00:00")
        .documents(&declaration);
    let entry = |found: Found| {
        let key = found.key.unwrap_or_else(|| format!("root {}", found.root));
        (key, found.body.unwrap_or_else(|error| format!("!{error}")))
    };
    found.into_iter().map(entry).collect()
}

/// What one member of product 1 is.
async fn member(value: &str) -> String {
    let yaml = format!("document: d\nroot: product\nkey: \"d:{{id}}\"\nbody:\n  m: {value}\n");
    documents(&yaml).await["d:1"].clone()
}

#[tokio::test]
async fn values_and_nodes() {
    for (value, json) in [
        ("price", "19.90"),
        ("{ text: id }", "\"1\""),
        ("seen", "\"2024-01-02T03:04:05.12\""),
        ("extra", "{\"a\": 1.00}"),
        (
            "{ value: [1, x, null, true, \"2\"] }",
            "[1,\"x\",null,true,\"2\"]",
        ),
        (
            "{ a: sold, b: { body: { first: id } } }",
            "{\"a\":true,\"b\":{\"first\":1}}",
        ),
        ("brand.country.name", "\"Germany\""),
        ("{ one: brand, body: name }", "\"Nord\""),
        (
            "{ many: offer, body: id, order: [\"-currency\", \"-id\"] }",
            "[4,1,2,3]",
        ),
        (
            "{ many: offer, body: amount, by: [currency] }",
            "{\"EUR\":12.50,\"CHF\":0.13}",
        ),
        (
            "{ many: tag, via: product_tag, order: [via.place], body: name }",
            "[\"old\",\"new\",\"new\"]",
        ),
        (
            "{ many: tag, via: product_tag, distinct: true, body: name }",
            "[\"new\",\"old\"]",
        ),
        ("{ many: country, via: [brand], body: name }", "[\"Germany\"]"),
        ("{ count: offer, where: { currency: EUR } }", "2"),
        ("{ count: offer, where: { currency: { not: EUR } } }", "2"),
        (
            "{ count: offer, where: { currency: [EUR, CHF], amount: { gte: 10, lt: 12.5 } } }",
            "1",
        ),
        ("{ sum: offer.amount }", "29.63"),
        ("{ avg: offer.count }", "2"),
        ("{ avg: offer.amount }", "7.4075"),
        ("{ sum: offer.amount, where: { currency: XXX } }", "0"),
        ("{ max: offer.currency }", "\"EUR\""),
        ("{ any: offer.open }", "true"),
        ("{ all: offer.open }", "false"),
        ("{ first: [category.parent_id, id] }", "2"),
        (
            "[brand.name, sku, { one: tag, match: { id: { value: 7 } }, body: id }]",
            "[\"Nord\",\"A:1\"]",
        ),
        ("{ merge: [{ a: id, b: id }, extra] }", "{\"a\":1.00,\"b\":1}"),
        (
            "{ ancestors: category, parent: parent_id, body: name }",
            "[\"Outdoor\",\"Tents\",\"Big\"]",
        ),
        ("{ sql: \"lower({sku}) || '-' || ({id} + 2) * 3\" }", "\"a:1-9\""),
    ] {
        assert_eq!(member(value).await, format!("{{\"m\":{json}}}"), "{value}");
    }
}

#[tokio::test]
async fn trees_and_cycles() {
    let yaml = "document: d\nroot: category\nkey: \"c:{name}\"\nbody:\n  id: id\n  \
                below: { tree: category, parent: parent_id, order: [rank], body: { id: id } }\n";
    let found = documents(yaml).await;
    let maps = "{\"id\":3,\"below\":[]}";
    let tents = "{\"id\":2,\"below\":[{\"id\":4,\"below\":[]}]}";
    assert_eq!(
        found["c:Outdoor"],
        format!("{{\"id\":1,\"below\":[{maps},{tents}]}}")
    );
    assert_eq!(found["c:round"], "!a cycle of category");
    assert!(found.contains_key("c:and%20round"));
}

#[tokio::test]
async fn scopes_keys_aliases_and_time() {
    let yaml = "document: d\nroot: product\neach:\n  brand: { table: brand, where: { exists: { table: country, \
                match: { code: country_code } } } }\n  offer: { table: offer, where: { open: true }, optional: true }\n\
                key: \"d:{sku}:{brand.name}\"\naliases: [\"offer:{offer.id}\"]\nbody: { id: offer.id }\n";
    let found = documents(yaml).await;
    assert_eq!(
        found["d:A%3A1:Nord"],
        "!several combinations of scope rows give this key"
    );
    assert_eq!(
        found.len(),
        1,
        "it has no alias, and brand 2 no country: {found:?}"
    );
    let yaml = yaml.replace("brand.name}\"", "offer.id}\"");
    let found = documents(&yaml).await;
    assert_eq!(found["offer:4"], "{\"key\":\"d:A%3A1:4\"}");

    let yaml = "document: d\nroot: product\nkey: \"d-{sku}\"\nvisible: { until: seen }\nbody: { id: id }\n";
    let found = documents(yaml).await;
    let keys: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(keys, ["d-B", "root 3"], "product 1 was until January");
}

#[tokio::test]
async fn queries_are_tables() {
    let yaml = "document: d\nroot: product\nkey: \"d:{id}\"\nqueries:\n  totals:\n    sql: SELECT product_id, \
                count AS n FROM offer WHERE currency = 'CHF'\n    id: [product_id]\nbody:\n  \
                m: { one: { query: totals }, match: { product_id: id }, body: n }\n  \
                s: { sum: { query: totals.n }, match: { product_id: id } }\n";
    let found = documents(yaml).await;
    assert_eq!(
        (found["d:1"].as_str(), found["d:2"].as_str()),
        ("{\"m\":3,\"s\":3}", "{\"m\":null,\"s\":0}")
    );
}

#[tokio::test]
async fn a_filter_says_what_goes_to_the_target() {
    let shop = Scratch::sqlite("naive");
    shop.script(SHOP).await;
    let mut session = shop.session().await;
    let schema = Schema::read(&mut session).await;
    let data = Data::read(&mut session, &schema).await;
    let declaration = Declaration::parse(
        "document: d\nroot: product\nkey: \"d:{id}:{root.brand.name}\"\n\
         targets:\n  shelf: { only: { root.id: [1, 3] } }\nbody:\n  m: id\n",
    );
    let found = Naive::new(&schema, &data).documents(&declaration);
    let goes: Vec<(&str, bool)> = found.iter().map(|one| (one.root.as_str(), one.goes)).collect();
    assert_eq!(goes, [("1", true), ("2", false), ("3", true)]);
}

#[test]
fn moments_are_equal_however_they_are_written() {
    let kind = super::ColumnKind::Timestamp;
    let compare = |a: &str, b: &str| super::form::compare(&kind, a, b);
    assert!(compare("2190-01-12 23:59:59.12", "2190-01-12T23:59:59.120").is_eq());
    assert!(compare("2190-01-12 23:59:50", "2190-01-12 23:59:50.0").is_eq());
    assert!(compare("2190-01-12 23:59:59", "2190-01-12 23:59:59.1").is_lt());
}

#[test]
fn constructs_are_told_apart() {
    let declaration = Declaration::parse(
        "document: d\nroot: product\nkey: \"d:{id}\"\nvisible: { from: brand.since }\n\
         where: { price: { gt: 1, lte: root.id }, brand.name: x }\nbody:\n  m: { many: offer, body: parent.id }\n",
    );
    let constructs: Vec<&str> = declaration.constructs().into_iter().collect();
    assert_eq!(
        constructs,
        [
            "column",
            "lookup in visible",
            "lookup left in where",
            "many",
            "parent. in a value",
            "visible: from",
            "where: a column on the right",
            "where: equal",
            "where: gt, gte, lt, lte",
            "where: several tests",
        ]
    );
}
