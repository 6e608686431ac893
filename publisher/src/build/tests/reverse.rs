//! Reverse paths: from images of changed rows to roots.

use super::draft::{equals, many, object, one};
use super::fixture::{Fixture, on_both};
use crate::document::{Operand, Test, Value};
use crate::plan::DocumentPlan;

type Image = [(&'static str, &'static str)];

const SHOP: &str = "
    CREATE TABLE brand (id integer PRIMARY KEY, name text);
    CREATE TABLE product (id integer PRIMARY KEY, name text, brand_id integer REFERENCES brand, parent_id integer);
    CREATE TABLE store (id integer PRIMARY KEY, code text);
    CREATE TABLE product_store (product_id integer, store_id integer);
    CREATE TABLE category (id integer PRIMARY KEY, name text);
    CREATE TABLE product_category (product_id integer, category_id integer, position integer);
    CREATE TABLE price (id integer PRIMARY KEY, product_id integer, store_id integer, amount numeric(10,2));
    CREATE TABLE price_tier (id integer PRIMARY KEY, price_id integer, amount numeric(10,2));
    CREATE TABLE comment (id integer PRIMARY KEY, type text, ref integer, line text);
    CREATE TABLE reply (id integer PRIMARY KEY, comment_id integer);
    CREATE TABLE slogan (id integer PRIMARY KEY, store_id integer, line text);
    INSERT INTO brand VALUES (1, 'Acme'), (2, 'Umbrella');
    INSERT INTO product VALUES (1, 'a', 1, NULL), (2, 'b', 1, 1), (3, 'c', 2, 1), (10, 'd', NULL, NULL);
    INSERT INTO store VALUES (1, 'DE'), (2, 'AT');
    INSERT INTO product_store VALUES (1, 1), (1, 2), (2, 1), (3, 2);
    INSERT INTO category VALUES (1, 'x'), (2, 'y');
    INSERT INTO product_category VALUES (1, 1, 1), (2, 1, 1), (2, 2, 2), (2, 2, 3);
    INSERT INTO price VALUES (1, 1, 1, 10), (2, 2, 1, 20), (3, 3, 2, 30);
    INSERT INTO price_tier VALUES (1, 2, 19);
    INSERT INTO comment VALUES (1, 'product', 1, 'nice'), (2, 'brand', 1, 'hm');
    INSERT INTO slogan VALUES (1, 1, 'billig');
";

async fn plan(db: &Fixture) -> DocumentPlan {
    let mut draft = db.draft("product").await;
    let store = draft.scope_via(
        "store",
        "store",
        ("product_store", &[("product_id", (0, "id"))]),
        &[("id", "store_id")],
    );
    draft.filter(store, "code", equals("DE"));
    let brand = draft.node(0, "brand", &[("id", (0, "brand_id"))]);
    let category = draft.node_via(
        "category",
        ("product_category", &[("product_id", (0, "id"))]),
        &[("id", "category_id")],
    );
    draft.order(category, &[(category - 1, "position")]);
    let price = draft.node(0, "price", &[("product_id", (0, "id"))]);
    draft.filter(
        price,
        "store_id",
        Test::Equals(Operand::Column(draft.at(store, "id"))),
    );
    let tier = draft.node(price, "price_tier", &[("price_id", (price, "id"))]);
    let comment = draft.node(0, "comment", &[("ref", (0, "id"))]);
    draft.join_constant(comment, "type", "product");
    let replied = draft.node(0, "comment", &[("ref", (0, "id"))]);
    draft.join_constant(replied, "type", "product");
    let reply = draft.node(replied, "reply", &[("comment_id", (replied, "id"))]);
    let slogan = draft.node(0, "slogan", &[("store_id", (store, "id"))]);
    let variant = draft.node(0, "product", &[("parent_id", (0, "id"))]);
    let prices = object(vec![
        ("amount", draft.value(price, "amount")),
        ("tiers", draft.many(tier, "amount")),
    ]);
    let body = vec![
        ("name", draft.value(0, "name")),
        ("brand", one(brand, draft.value(brand, "name"))),
        ("categories", draft.many(category, "name")),
        ("prices", many(price, prices)),
        ("comments", Value::Count { source: comment }),
        ("replies", many(replied, draft.many(reply, "id"))),
        ("slogans", draft.many(slogan, "line")),
        ("variants", draft.many(variant, "name")),
    ];
    db.plan(draft.body(body)).await
}

#[tokio::test]
async fn every_kind_of_source_leads_to_its_roots() {
    on_both(SHOP, async |db| {
        let plan = plan(db).await;
        let body = r#"{"name":"a","brand":"Acme","categories":["x"],"prices":[{"amount":10.00,"tiers":[]}],"comments":1,"replies":[[]],"slogans":["billig"],"variants":["b","c"]}"#;
        assert_eq!(db.bodies(&plan, "1").await, [body]);
        let cases: &[(&str, &Image, &[&str])] = &[
            // The root: itself, even when gone, and the root that it is a variant of.
            ("product", &[("id", "77")], &["77"]),
            ("product", &[("id", "2"), ("parent_id", "1")], &["1", "2"]),
            ("brand", &[("id", "1")], &["1", "2"]),
            ("brand", &[("id", "3")], &[]),
            // A scope, through its junction; `where` does not matter.
            ("store", &[("id", "2")], &["1", "3"]),
            ("product_store", &[("product_id", "2"), ("store_id", "99")], &["2"]),
            ("category", &[("id", "2")], &["2"]),
            ("product_category", &[("product_id", "3"), ("category_id", "1")], &["3"]),
            ("product_category", &[("category_id", "1")], &[]),
            ("price", &[("id", "99"), ("product_id", "3")], &["3"]),
            // Two joins up.
            ("price_tier", &[("id", "1"), ("price_id", "2")], &["2"]),
            ("comment", &[("type", "product"), ("ref", "1")], &["1"]),
            ("comment", &[("type", "brand"), ("ref", "1")], &[]),
            // Through a row of a polymorphic table, that is another's.
            ("reply", &[("id", "1"), ("comment_id", "1")], &["1"]),
            ("reply", &[("id", "1"), ("comment_id", "2")], &[]),
            // Through a scope and its junction.
            ("slogan", &[("id", "5"), ("store_id", "1")], &["1", "2"]),
        ];
        for (table, image, roots) in cases {
            assert_eq!(db.reach(&plan, table, image).await, *roots, "{table} {image:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn moved_and_deleted_rows_still_find_their_roots() {
    on_both(SHOP, async |db| {
        let plan = plan(db).await;
        // A price moved from product 1 to 3: both values are in the batch.
        db.run("UPDATE price SET product_id = 3 WHERE id = 1").await;
        let images: &[&[(&str, &str)]] = &[
            &[("id", "1"), ("product_id", "1")],
            &[("id", "1"), ("product_id", "3")],
        ];
        assert_eq!(db.reach_after(&plan, "price", images, None, 10).await, ["1", "3"]);
        // A junction row and the tier's price are gone: their own images lead on.
        db.run("DELETE FROM product_category WHERE product_id = 2; DELETE FROM price WHERE id = 2")
            .await;
        assert_eq!(
            db.reach(
                &plan,
                "product_category",
                &[("product_id", "2"), ("category_id", "1")]
            )
            .await,
            ["2"]
        );
        assert_eq!(db.reach(&plan, "price_tier", &[("price_id", "2")]).await, [""; 0]);
        assert_eq!(
            db.reach(&plan, "price", &[("id", "2"), ("product_id", "2")])
                .await,
            ["2"]
        );
    })
    .await;
}

#[tokio::test]
async fn roots_come_in_pages_ordered_bytewise() {
    on_both(SHOP, async |db| {
        let plan = plan(db).await;
        let ids = ["2", "10", "1", "B", "a", "é", "3"];
        let images: Vec<[(&str, &str); 1]> =
            ids[..3].iter().chain(&ids[6..]).map(|id| [("id", *id)]).collect();
        let images: Vec<&[(&str, &str)]> = images.iter().map(|image| &image[..]).collect();
        let mut after: Option<String> = None;
        let mut pages = Vec::new();
        loop {
            let page = db
                .reach_after(&plan, "product", &images, after.as_deref(), 3)
                .await;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            pages.push(page);
        }
        assert_eq!(pages, [vec!["1", "10", "2"], vec!["3"]]);
    })
    .await;
}

#[tokio::test]
async fn uses_tell_what_to_watch_and_what_to_carry() {
    on_both(SHOP, async |db| {
        let plan = plan(db).await;
        let names = |table: &str, carried: bool| {
            let used = &plan.uses[table];
            let columns = if carried { &used.carried } else { &used.watched };
            columns
                .iter()
                .map(|&column| used.table.columns[column].name.as_str())
                .collect::<Vec<_>>()
        };
        for (table, watched, carried) in [
            (
                "product",
                vec!["id", "name", "brand_id", "parent_id"],
                vec!["id", "parent_id"],
            ),
            ("brand", vec!["id", "name"], vec!["id"]),
            ("store", vec!["id", "code"], vec!["id"]),
            (
                "product_store",
                vec!["product_id", "store_id"],
                vec!["product_id"],
            ),
            (
                "product_category",
                vec!["product_id", "category_id", "position"],
                vec!["product_id"],
            ),
            (
                "price",
                vec!["id", "product_id", "store_id", "amount"],
                vec!["id", "product_id"],
            ),
            ("comment", vec!["id", "type", "ref"], vec!["id", "type", "ref"]),
        ] {
            assert_eq!(
                (names(table, false), names(table, true)),
                (watched, carried),
                "{table}"
            );
        }
    })
    .await;
}
