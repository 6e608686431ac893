//! Keys that lead to documents.

use super::fixture::on_both;
use crate::build::{BuiltDocument, DocumentFailure, Kind};

const PRODUCTS: &str = "
    CREATE TABLE product (id integer PRIMARY KEY, sku text, ean text, price real);
    CREATE TABLE store (id integer PRIMARY KEY, code text);
    INSERT INTO product VALUES (1, 'a:b', NULL, 1.5), (2, 'c', 'e', 2.5);
    INSERT INTO store VALUES (1, 'DE'), (2, 'AT');
";

const DOCUMENT: &str = "\
document: doc
root: product
each:
  store: { table: store }
key: \"doc:{store.code}:{id}\"
aliases: [\"sku:{store.code}:{sku}\", \"ean:{store.code}:{root.ean}\"]
body: { price: price }
";

fn shown(outcome: &Result<BuiltDocument, DocumentFailure>) -> String {
    match outcome {
        Ok(built) => match &built.kind {
            Kind::Document => format!("{} {}", built.key, built.body),
            Kind::Alias { of } => format!("{} -> {of} {}", built.key, built.body),
        },
        Err(failure) => format!("{:?} {}", failure.key, failure.class),
    }
}

#[tokio::test]
async fn aliases_follow_their_document() {
    on_both(PRODUCTS, async |db| {
        let plan = db.written(DOCUMENT).await;
        let outcomes = db.outcomes(&plan, &["1", "2", "3"]).await;
        let shown: Vec<Vec<String>> = outcomes
            .iter()
            .map(|root| root.iter().map(shown).collect())
            .collect();
        assert_eq!(
            shown[0],
            [
                r#"doc:DE:1 {"price":1.5}"#,
                r#"sku:DE:a%3Ab -> doc:DE:1 {"key":"doc:DE:1"}"#,
                r#"doc:AT:1 {"price":1.5}"#,
                r#"sku:AT:a%3Ab -> doc:AT:1 {"key":"doc:AT:1"}"#,
            ],
            "a null makes no alias"
        );
        assert_eq!(shown[1].len(), 6);
        assert_eq!(shown[1][2], r#"ean:DE:e -> doc:DE:2 {"key":"doc:DE:2"}"#);
        assert_eq!(shown[2], Vec::<String>::new());
        assert!(
            plan.uses["product"].watched.contains(&2),
            "ean stands in an alias only"
        );
    })
    .await;
}

/// Its last good version stays, and what leads to it.
#[tokio::test]
async fn a_document_that_fails_has_none() {
    on_both(PRODUCTS, async |db| {
        let plan = db.written(DOCUMENT).await;
        let nan = match db.dialect {
            pubsync_schema::dialect::Dialect::Postgres => "'NaN'",
            pubsync_schema::dialect::Dialect::Sqlite => "'much'",
        };
        db.run(&format!("UPDATE product SET price = {nan} WHERE id = 2"))
            .await;
        let outcomes = db.outcomes(&plan, &["2"]).await;
        let shown: Vec<String> = outcomes[0].iter().map(shown).collect();
        assert_eq!(shown, [r#"Some("doc:DE:2") value"#, r#"Some("doc:AT:2") value"#]);
    })
    .await;
}

/// The alias is what fails, not the document.
#[tokio::test]
async fn a_value_without_a_text_fails_the_alias() {
    on_both(PRODUCTS, async |db| {
        let text = DOCUMENT
            .replace("body: { price: price }", "body: { id: id }")
            .replace("{root.ean}", "{root.price}");
        let plan = db.written(&text).await;
        let nan = match db.dialect {
            pubsync_schema::dialect::Dialect::Postgres => "'NaN'",
            pubsync_schema::dialect::Dialect::Sqlite => "'much'",
        };
        db.run(&format!(
            "UPDATE product SET price = {nan} WHERE id = 2; DELETE FROM store WHERE id = 2"
        ))
        .await;
        let outcomes = db.outcomes(&plan, &["2"]).await;
        let shown: Vec<String> = outcomes[0].iter().map(shown).collect();
        assert_eq!(
            shown,
            [
                r#"doc:DE:2 {"id":2}"#,
                r#"sku:DE:c -> doc:DE:2 {"key":"doc:DE:2"}"#,
                r#"Some("doc:DE:2") alias"#
            ]
        );
    })
    .await;
}
