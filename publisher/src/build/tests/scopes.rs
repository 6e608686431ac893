//! `each`: one document per combination.

use super::draft::{by, equals, many, object};
use super::fixture::on_both;
use crate::document::{Filter, KeySegment, Operand, Test, Value};

const SHOP: &str = "
    CREATE TABLE product (id integer PRIMARY KEY, sku text, is_active boolean, home_store integer);
    CREATE TABLE store (id integer PRIMARY KEY, code text);
    CREATE TABLE locale (id integer PRIMARY KEY, code text);
    CREATE TABLE product_store (product_id integer, store_id integer);
    CREATE TABLE store_locale (store_id integer, locale_id integer, PRIMARY KEY (store_id, locale_id));
    CREATE TABLE product_text (product_id integer, locale_id integer, name text, PRIMARY KEY (product_id, locale_id));
    CREATE TABLE price (id integer PRIMARY KEY, product_id integer, store_id integer, amount numeric(10,2));
    CREATE TABLE discount (id integer PRIMARY KEY, price_id integer, locale_id integer, text text);
    CREATE TABLE unit (id integer PRIMARY KEY, locale_id integer, name text);
    INSERT INTO product VALUES (1, 's1', true, 2), (2, 's2', false, 1), (3, 's3', true, 1), (4, 's4', true, 1);
    INSERT INTO store VALUES (1, 'DE'), (2, 'AT');
    INSERT INTO locale VALUES (1, 'de'), (2, 'en');
    INSERT INTO product_store VALUES (1, 1), (1, 2), (1, 1), (2, 1), (3, 2);
    INSERT INTO store_locale VALUES (1, 1), (1, 2), (2, 1);
    INSERT INTO product_text VALUES (1, 1, 'eins'), (3, 2, 'three');
    INSERT INTO price VALUES (1, 1, 1, 10), (2, 1, 2, 11.5), (3, 1, 1, 12), (4, 3, 1, 1);
    INSERT INTO discount VALUES (1, 1, 1, 'billig'), (2, 1, 2, 'cheap'), (3, 2, 2, 'unseen');
    INSERT INTO unit VALUES (1, 1, 'Stück'), (2, 2, 'piece');
";

#[tokio::test]
async fn one_document_per_combination() {
    on_both(SHOP, async |db| {
        let mut draft = db.draft("product").await;
        draft.filter(0, "is_active", equals("true"));
        let store = draft.scope_via("store", "store", ("product_store", &[("product_id", (0, "id"))]), &[("id", "store_id")]);
        let locale =
            draft.scope_via("locale", "locale", ("store_locale", &[("store_id", (store, "id"))]), &[("id", "locale_id")]);
        let text = draft.scope("text", "product_text", &[("product_id", (0, "id")), ("locale_id", (locale, "id"))]);
        draft.optional(text);
        let price = draft.node(0, "price", &[("product_id", (0, "id"))]);
        draft.filter(price, "store_id", Test::Equals(Operand::Column(draft.at(store, "id"))));
        let discount = draft.node(price, "discount", &[("price_id", (price, "id")), ("locale_id", (locale, "id"))]);
        let unit = draft.node(0, "unit", &[("locale_id", (locale, "id"))]);
        let prices = object(vec![("amount", draft.value(price, "amount")), ("why", draft.many(discount, "text"))]);
        let body = vec![
            ("at", object(vec![("store", draft.value(store, "code")), ("locale", draft.value(locale, "code"))])),
            ("name", Value::First(vec![draft.value(text, "name"), draft.value(0, "sku")])),
            ("prices", many(price, prices)),
            ("units", draft.many(unit, "name")),
        ];
        let plan = db.plan(draft.body(body)).await;
        // Product 2 is not active, product 4 is in no store.
        let mut documents = db.documents(&plan, &["1", "2", "3", "4"]).await;
        documents.sort();
        let expected = [
            ("doc:1:1:1", r#"{"at":{"store":"DE","locale":"de"},"name":"eins","prices":[{"amount":10.00,"why":["billig"]},{"amount":12.00,"why":[]}],"units":["Stück"]}"#),
            ("doc:1:1:2", r#"{"at":{"store":"DE","locale":"en"},"name":"s1","prices":[{"amount":10.00,"why":["cheap"]},{"amount":12.00,"why":[]}],"units":["piece"]}"#),
            ("doc:1:2:1", r#"{"at":{"store":"AT","locale":"de"},"name":"eins","prices":[{"amount":11.50,"why":[]}],"units":["Stück"]}"#),
            ("doc:3:2:1", r#"{"at":{"store":"AT","locale":"de"},"name":"s3","prices":[],"units":["Stück"]}"#),
        ];
        assert_eq!(documents, expected.map(|(key, body)| (key.to_owned(), body.to_owned())));
    })
    .await;
}

#[tokio::test]
async fn a_scope_without_joins_takes_every_row() {
    on_both(SHOP, async |db| {
        let mut draft = db.draft("product").await;
        let locale = draft.scope("locale", "locale", &[]);
        let store = draft.scope("store", "store", &[("id", (0, "home_store"))]);
        draft.filter(locale, "code", equals("en"));
        let price = draft.node(
            0,
            "price",
            &[("product_id", (0, "id")), ("store_id", (store, "id"))],
        );
        let unit = draft.node(0, "unit", &[("locale_id", (locale, "id"))]);
        let body = vec![
            ("locale", draft.value(locale, "code")),
            ("units", Value::Count { source: unit }),
            ("store", draft.value(store, "code")),
            (
                "prices",
                by(price, vec![draft.at(price, "id")], draft.value(price, "amount")),
            ),
        ];
        let plan = db.plan(draft.body(body)).await;
        assert_eq!(
            db.documents(&plan, &["1", "3"]).await,
            [
                (
                    "doc:1:2:2".to_owned(),
                    r#"{"locale":"en","units":1,"store":"AT","prices":{"2":11.50}}"#.to_owned()
                ),
                (
                    "doc:3:2:1".to_owned(),
                    r#"{"locale":"en","units":1,"store":"DE","prices":{"4":1.00}}"#.to_owned()
                ),
            ]
        );
        // Every root: a change of the scope, or of what hangs on it alone. Those that only the mirror knows, too.
        let mirror = db.mirror().await;
        db.run(&format!(
            "INSERT INTO {mirror} VALUES ('5', NULL), ('6', CURRENT_TIMESTAMP)"
        ))
        .await;
        assert!(plan.reverse["locale"].reaches_all);
        assert_eq!(
            db.reach(&plan, "locale", &[("id", "77")]).await,
            ["1", "2", "3", "4", "5"]
        );
        assert_eq!(db.reach_after(&plan, "locale", &[], None, 10).await, [""; 0]);
        assert!(plan.reverse["unit"].reaches_all && !plan.reverse["price"].reaches_all);
        let every = db.reach(&plan, "unit", &[("id", "1"), ("locale_id", "9")]).await;
        assert_eq!(every.len(), 5);
    })
    .await;
}

#[tokio::test]
async fn what_hangs_on_a_missing_row_is_missing() {
    on_both(SHOP, async |db| {
        let mut draft = db.draft("product").await;
        let text = draft.scope("text", "product_text", &[("product_id", (0, "id"))]);
        draft.optional(text);
        draft.filter(text, "name", equals("eins"));
        let later = draft.scope("locale", "locale", &[("id", (text, "locale_id"))]);
        draft.optional(later);
        let unit = draft.node(0, "unit", &[("locale_id", (text, "locale_id"))]);
        // A node that asks whether the scope's row is there.
        let price = draft.node(0, "price", &[("product_id", (0, "id"))]);
        let absent = draft.at(text, "name");
        draft.document.sources[price].filters.push(Filter::Column {
            column: absent,
            test: Test::IsNull,
        });
        let body = vec![
            ("name", draft.value(text, "name")),
            ("locale", draft.value(later, "code")),
            ("units", draft.many(unit, "name")),
            ("prices", Value::Count { source: price }),
        ];
        let plan = db.plan(draft.body(body)).await;
        let bodies: Vec<String> = db
            .documents(&plan, &["1", "3"])
            .await
            .into_iter()
            .map(|(_, body)| body)
            .collect();
        let expected = [
            r#"{"name":"eins","locale":"de","units":["Stück"],"prices":0}"#,
            r#"{"name":null,"locale":null,"units":[],"prices":1}"#,
        ];
        assert_eq!(bodies, expected);
    })
    .await;
}

#[tokio::test]
async fn keys_that_cannot_be_are_failures() {
    on_both(SHOP, async |db| {
        // Both stores of product 1 give one key; a missing text puts a null into another.
        let mut draft = db.draft("product").await;
        draft.scope_via(
            "store",
            "store",
            ("product_store", &[("product_id", (0, "id"))]),
            &[("id", "store_id")],
        );
        draft.document.key.truncate(3);
        let body = vec![("sku", draft.value(0, "sku"))];
        let plan = db.plan(draft.body(body)).await;
        let failure = db.outcomes(&plan, &["1"]).await.remove(0).remove(0).unwrap_err();
        assert_eq!((failure.key.as_deref(), failure.class), (Some("doc:1"), "key"));

        let mut draft = db.draft("product").await;
        let text = draft.scope("text", "product_text", &[("product_id", (0, "id"))]);
        draft.optional(text);
        draft
            .document
            .key
            .push(KeySegment::Column(draft.at(text, "name")));
        let body = vec![("sku", draft.value(0, "sku"))];
        let plan = db.plan(draft.body(body)).await;
        let outcomes = db.outcomes(&plan, &["1", "2"]).await;
        assert_eq!(outcomes[0][0].as_ref().unwrap().key, "doc:1eins");
        let failure = outcomes[1][0].as_ref().unwrap_err();
        assert_eq!((failure.key.as_deref(), failure.class), (None, "key"));
        assert_eq!(
            failure.message,
            "product_text.name is null, but stands in the key"
        );
    })
    .await;
}
