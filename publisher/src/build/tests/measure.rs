//! What a document costs. Run with `--ignored --nocapture`.

use std::time::Instant;

use super::draft::{by, many, object, one};
use super::fixture::{Fixture, on_postgres, on_sqlite};
use crate::build::build;
use crate::plan::DocumentPlan;

const ROOTS: usize = 500;

const TABLES: &str = "
    CREATE TABLE brand (id integer PRIMARY KEY, name text, logo text);
    CREATE TABLE product (id integer PRIMARY KEY, sku text, name text, description text, brand_id integer, created timestamp);
    CREATE TABLE price (id integer PRIMARY KEY, product_id integer, currency text, amount numeric(10,2));
    CREATE TABLE image (id integer PRIMARY KEY, product_id integer, url text, position integer);
    CREATE INDEX price_product ON price (product_id);
    CREATE INDEX image_product ON image (product_id);
";

async fn fill(db: &Fixture) -> DocumentPlan {
    db.run("INSERT INTO brand SELECT value, 'Brand ' || value, 'https://cdn.example/brands/' || value FROM numbers WHERE value <= 50").await;
    db.run(
        "INSERT INTO product SELECT value, 'SKU-' || value, 'Product number ' || value, \
         'A description that goes on and on about the product, its makers, its colours and why somebody needs it, and about \
          the care that went into the packaging, which is made of paper. A description that goes on and on about it. ' || \
          'Once more: a description that goes on and on about the product, its makers, its colours and why somebody needs \
          it, and about the care that went into the packaging, which is made of paper, as is the invoice, and the stamps; \
          it ends here, where the reader may already have bought it, or have gone to bed, or both, in any order at all.', \
         value % 50 + 1, '2024-01-02 03:04:05' FROM numbers",
    )
    .await;
    db.run("INSERT INTO price SELECT value * 4 + k, value, 'CUR' || k, value + 0.5 FROM numbers CROSS JOIN (SELECT 0 AS k UNION SELECT 1 UNION SELECT 2 UNION SELECT 3) x").await;
    db.run("INSERT INTO image SELECT value * 6 + k, value, 'https://cdn.example/products/large/' || value || '/' || k || '.jpg?quality=80&width=1200', 6 - k FROM numbers CROSS JOIN (SELECT 0 AS k UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5) x").await;
    db.run("ANALYZE").await;
    let mut draft = db.draft("product").await;
    let brand = draft.node(0, "brand", &[("id", (0, "brand_id"))]);
    let price = draft.node(0, "price", &[("product_id", (0, "id"))]);
    let image = draft.node(0, "image", &[("product_id", (0, "id"))]);
    draft.order(image, &[(image, "position")]);
    let mut body: Vec<_> = ["id", "sku", "name", "description", "created"]
        .iter()
        .map(|name| (*name, draft.value(0, name)))
        .collect();
    body.push((
        "brand",
        one(
            brand,
            object(vec![
                ("name", draft.value(brand, "name")),
                ("logo", draft.value(brand, "logo")),
            ]),
        ),
    ));
    body.push((
        "prices",
        by(
            price,
            vec![draft.at(price, "currency")],
            draft.value(price, "amount"),
        ),
    ));
    let entry = object(vec![
        ("url", draft.value(image, "url")),
        ("position", draft.value(image, "position")),
        ("id", draft.value(image, "id")),
    ]);
    body.push(("images", many(image, entry)));
    db.plan(draft.body(body)).await
}

async fn measure(db: &Fixture) {
    let plan = fill(db).await;
    let roots: Vec<String> = (1..=ROOTS).map(|root| root.to_string()).collect();
    let mut best = u128::MAX;
    let mut bytes = 0;
    for _ in 0..20 {
        let start = Instant::now();
        let built = build(&db.conn, &plan, &roots).await.unwrap();
        best = best.min(start.elapsed().as_micros());
        bytes = built
            .iter()
            .flat_map(|built| &built.documents)
            .map(|document| document.as_ref().unwrap().body.len())
            .sum();
    }
    println!(
        "{:?}: {} µs a document of {} bytes",
        db.dialect,
        best / ROOTS as u128,
        bytes / ROOTS
    );
}

#[tokio::test]
#[ignore = "a measurement"]
async fn documents_of_four_tables() {
    let numbers = "CREATE TABLE numbers AS WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 5000) SELECT value FROM n;";
    let sql = format!("{TABLES} {numbers}");
    on_sqlite(&sql, measure).await;
    on_postgres(&sql, measure).await;
}
