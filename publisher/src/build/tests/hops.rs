//! `via` of several hops: one entry for each path, and the way back from every row on it.

use super::fixture::on_both;

type Image = [(&'static str, &'static str)];

const SHOP: &str = "
    CREATE TABLE brand (id integer PRIMARY KEY, name text);
    CREATE TABLE product (id integer PRIMARY KEY, name text, brand_id integer REFERENCES brand);
    CREATE TABLE store (id integer PRIMARY KEY, code text);
    CREATE TABLE product_store (product_id integer REFERENCES product, store_id integer REFERENCES store, rank integer,
                                PRIMARY KEY (product_id, store_id));
    CREATE TABLE locale (id integer PRIMARY KEY, code text);
    CREATE TABLE store_locale (store_id integer REFERENCES store, locale_id integer REFERENCES locale, first boolean,
                               PRIMARY KEY (store_id, locale_id));
    INSERT INTO brand VALUES (1, 'Acme'), (2, 'Umbrella');
    INSERT INTO product VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 2), (4, 'd', NULL);
    INSERT INTO store VALUES (1, 'DE'), (2, 'AT'), (3, 'CH');
    INSERT INTO product_store VALUES (1, 2, 1), (1, 1, 2), (1, 3, 3), (2, 2, 1), (3, 3, 1);
    INSERT INTO locale VALUES (1, 'de'), (2, 'fr'), (3, 'it');
    INSERT INTO store_locale VALUES (3, 2, true), (1, 1, true), (2, 1, false), (3, 1, false), (2, 3, false);
";

#[tokio::test]
async fn one_entry_for_each_path() {
    on_both(SHOP, async |db| {
        // Without an order by the locale's key, then by the junctions' keys, the last junction first.
        let text = "\
all: { many: locale, via: [product_store, store, store_locale], body: { l: code, s: via.store_id } }
count: { count: locale, via: [product_store, store, store_locale] }
first: { many: locale, via: [product_store, store, store_locale], where: { via.first: true, via.store.code: { not: AT } }, order: [-code], body: code }
limit: { many: locale, via: [product_store, store, store_locale], order: [-via.store_id], limit: 2, body: code }
one: { one: locale, via: [product_store, store, store_locale], order: [-code, -via.store_id], body: { l: code, s: via.store_id } }
siblings: { many: product, via: [brand], body: { n: name, b: via.name } }
none: { one: product, via: [{ table: product_store }, store, { table: product_store }], order: [-id], body: name }";
        let plan = db.body("product", text).await;
        let bodies: Vec<_> = db.documents(&plan, &["1", "4", "2"]).await.into_iter().map(|(_, body)| body).collect();
        assert_eq!(
            bodies,
            [
                concat!(
                    r#"{"all":[{"l":"de","s":1},{"l":"de","s":2},{"l":"de","s":3},{"l":"fr","s":3},{"l":"it","s":2}],"count":5,"first":["fr","de"],"#,
                    r#""limit":["de","fr"],"one":{"l":"it","s":2},"siblings":[{"n":"a","b":"Acme"},{"n":"b","b":"Acme"}],"none":"c"}"#
                ),
                r#"{"all":[],"count":0,"first":[],"limit":[],"one":null,"siblings":[],"none":null}"#,
                concat!(
                    r#"{"all":[{"l":"de","s":2},{"l":"it","s":2}],"count":2,"first":[],"limit":["de","it"],"one":{"l":"it","s":2},"#,
                    r#""siblings":[{"n":"a","b":"Acme"},{"n":"b","b":"Acme"}],"none":"b"}"#
                ),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn scopes_and_conditions_go_through_hops() {
    on_both(SHOP, async |db| {
        let text = "document: doc
root: product
where: { exists: { table: locale, via: [product_store, store, store_locale], where: { code: fr } } }
each: { l: { table: locale, via: [product_store, store, store_locale] } }
key: \"doc:{id}:{l.code}\"
body: { id: id }
";
        let plan = db.written(text).await;
        // Several paths to one locale are one document.
        let keys: Vec<_> = db
            .documents(&plan, &["1", "2", "3"])
            .await
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys, ["doc:1:de", "doc:1:fr", "doc:1:it", "doc:3:de", "doc:3:fr"]);
    })
    .await;
}

#[tokio::test]
async fn every_hop_leads_back() {
    on_both(SHOP, async |db| {
        let text = "\
all: { many: locale, via: [product_store, store, store_locale], body: code }
siblings: { many: product, via: [brand], body: name }";
        let plan = db.body("product", text).await;
        let cases: &[(&str, &Image, &[&str])] = &[
            ("product_store", &[("product_id", "4"), ("store_id", "9")], &["4"]),
            ("store", &[("id", "3")], &["1", "3"]),
            (
                "store_locale",
                &[("store_id", "2"), ("locale_id", "9")],
                &["1", "2"],
            ),
            ("locale", &[("id", "2"), ("code", "xx")], &["1", "3"]),
            ("brand", &[("id", "1")], &["1", "2"]),
            // A product that left the brand 2 for the brand 1: siblings there and here.
            ("product", &[("id", "9"), ("brand_id", "1")], &["1", "2", "9"]),
            ("product", &[("id", "9"), ("brand_id", "2")], &["3", "9"]),
        ];
        for (table, image, roots) in cases {
            assert_eq!(db.reach(&plan, table, image).await, *roots, "{table} {image:?}");
        }
    })
    .await;
}
