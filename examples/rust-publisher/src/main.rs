//! pubsync with one document more, which YAML cannot say: what a product costs from which quantity on. A row of
//! `price_break` that is no cheaper than the one before it is left out, and each step ends where the next begins.

use std::process::ExitCode;

use pubsync::{
    App, BuildError, Built, BuiltDocument, DbErr, Declaration, Publisher, RootPage, Source, TableImages,
    Walked, async_trait, key_value, select_of, walk,
};
use serde_json::{Value, json};

struct PriceLadder;

#[tokio::main]
async fn main() -> ExitCode {
    let declaration = Declaration::new("price_ladder", "price_ladder:{sku}", 1)
        .captures("product", &["id"], &["sku"])
        .captures("price_break", &["product_id"], &["from_quantity", "cents"]);
    App::new().publisher(declaration, PriceLadder).run().await
}

#[async_trait]
impl Publisher for PriceLadder {
    async fn affected(
        &self,
        _: Source<'_>,
        changes: &[TableImages],
        page: RootPage<'_>,
    ) -> Result<Vec<String>, DbErr> {
        let column = |table: &str| if table == "product" { "id" } else { "product_id" };
        let roots = changes
            .iter()
            .flat_map(|images| images.values(column(&images.table)));
        Ok(page.of(roots.map(str::to_owned)))
    }

    async fn all(&self, source: Source<'_>, from: Option<&str>, limit: u64) -> Result<Walked, DbErr> {
        walk(
            source,
            from,
            limit,
            "SELECT CAST(id AS text) AS root FROM product",
        )
        .await
    }

    async fn build(&self, source: Source<'_>, roots: &[String]) -> Result<Vec<Built>, BuildError> {
        let sql = "SELECT r.root, p.sku, b.from_quantity, b.cents FROM {roots} r \
                   JOIN product p ON p.id = CAST(r.root AS integer) \
                   LEFT JOIN price_break b ON b.product_id = p.id ORDER BY r.root, b.from_quantity";
        let rows: Vec<(String, String, Option<i64>, Option<i64>)> = select_of(source, roots, sql).await?;
        let products = rows.chunk_by(|a, b| a.0 == b.0).map(|rows| {
            let breaks: Vec<(i64, i64)> = rows.iter().filter_map(|row| row.2.zip(row.3)).collect();
            let body = json!({ "sku": rows[0].1, "steps": ladder(&breaks) });
            let key = format!("price_ladder:{}", key_value(&rows[0].1));
            Built::new(&rows[0].0, vec![Ok(BuiltDocument::new(key, body.to_string()))])
        });
        Ok(products.collect())
    }
}

/// Quantities and cents, the smallest quantity first.
fn ladder(breaks: &[(i64, i64)]) -> Vec<Value> {
    let mut steps: Vec<(i64, i64)> = Vec::new();
    for &(from, cents) in breaks {
        if steps.last().is_none_or(|&(_, before)| cents < before) {
            steps.push((from, cents));
        }
    }
    let end = |at: usize| steps.get(at + 1).map(|(next, _)| next - 1);
    let step =
        |(at, (from, cents)): (usize, &(i64, i64))| json!({ "from": from, "to": end(at), "cents": cents });
    steps.iter().enumerate().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_is_no_cheaper_is_none() {
        assert_eq!(
            json!(ladder(&[(1, 1000), (10, 900), (20, 900), (30, 950), (50, 700)])),
            json!([
                { "from": 1, "to": 9, "cents": 1000 },
                { "from": 10, "to": 49, "cents": 900 },
                { "from": 50, "to": null, "cents": 700 },
            ])
        );
        assert_eq!(ladder(&[]), Vec::<Value>::new());
    }
}
