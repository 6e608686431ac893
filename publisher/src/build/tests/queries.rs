//! `queries`: rows of SELECTs, what the checker is told about them, and the way back from what they depend on.

use super::fixture::{Fixture, on_both};
use crate::catalogue::{describe, introspect};
use crate::language::{SourceFile, check, statements};

type Image = [(&'static str, &'static str)];

const SHOP: &str = "
    CREATE TABLE product (id integer PRIMARY KEY, name text);
    CREATE TABLE store (id integer PRIMARY KEY, code text);
    CREATE TABLE orders (id integer PRIMARY KEY, store_id integer REFERENCES store);
    CREATE TABLE order_line (id integer PRIMARY KEY, order_id integer REFERENCES orders,
                             product_id integer REFERENCES product, amount numeric(10,2));
    CREATE TABLE keyless (product_id integer, note text);
    INSERT INTO product VALUES (1, 'a'), (2, 'b'), (3, 'c');
    INSERT INTO store VALUES (1, 'DE'), (2, 'AT');
    INSERT INTO orders VALUES (1, 1), (2, 1), (3, 2);
    INSERT INTO order_line VALUES (1, 1, 1, 1.50), (2, 2, 1, 2), (3, 2, 2, 10), (4, 3, 1, 5);
    INSERT INTO keyless VALUES (1, 'x'), (3, 'y');
";

const HEAD: &str = "document: doc
root: product
key: \"doc:{id}\"
queries:
  sold:
    sql: \"SELECT l.product_id, o.store_id, CAST(sum(l.amount) AS numeric(10,2)) AS amount, CAST(count(*) AS integer) AS lines
           FROM order_line l JOIN orders o ON o.id = l.order_id GROUP BY l.product_id, o.store_id\"
    id: [product_id, store_id]
    depends:
      order_line: SELECT {product_id}, store_id FROM orders WHERE id = {order_id}
      orders: SELECT product_id, {store_id} FROM order_line WHERE order_id = {id}
  noted:
    sql: SELECT note, product_id FROM keyless
    id: [product_id]
    depends: { keyless: 'SELECT {product_id}' }
";

#[tokio::test]
async fn rows_of_queries_are_rows() {
    on_both(SHOP, async |db| {
        let body = "body:
  sold: { many: { query: sold }, match: { product_id: id }, order: [-amount], body: { store: store_id, amount: amount, lines: lines } }
  best: { one: { query: sold }, match: { product_id: id }, order: [-amount], body: { one: store, match: { id: store_id }, body: code } }
  stores: { count: { query: sold }, match: { product_id: id }, where: { amount: { gt: 3.5 } } }
  lines: { sum: { query: sold.lines }, match: { product_id: id } }
  by: { many: { query: sold }, match: { product_id: id, store_id: { value: 1 } }, by: [store_id], body: amount }
  noted: { many: keyless, match: { product_id: id }, where: { exists: { table: { query: sold }, match: { product_id: product_id } } }, body: note }
  notes: { many: { query: noted }, match: { product_id: id }, body: note }
";
        let plan = db.written(&format!("{HEAD}{body}")).await;
        let bodies: Vec<_> = db.documents(&plan, &["1", "3"]).await.into_iter().map(|(_, body)| body).collect();
        let amounts = bodies.iter().map(|body| body.replace("5.00", "5").replace("3.50", "3.5"));
        assert_eq!(
            amounts.collect::<Vec<_>>(),
            [
                concat!(
                    r#"{"sold":[{"store":2,"amount":5,"lines":1},{"store":1,"amount":3.5,"lines":2}],"best":"AT","stores":1,"lines":3,"#,
                    r#""by":{"1":3.5},"noted":["x"],"notes":["x"]}"#
                ),
                r#"{"sold":[],"best":null,"stores":0,"lines":0,"by":{},"noted":[],"notes":["y"]}"#,
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn what_a_query_depends_on_leads_back() {
    on_both(SHOP, async |db| {
        let body = "body:
  sold: { many: { query: sold }, match: { product_id: id }, body: { a: amount, s: { one: store, match: { id: store_id }, body: code } } }
  notes: { many: { query: noted }, match: { product_id: id }, body: note }
";
        let plan = db.written(&format!("{HEAD}{body}")).await;
        let cases: &[(&str, &Image, &[&str])] = &[
            ("order_line", &[("id", "9"), ("order_id", "1"), ("product_id", "3")], &["3"]),
            // Of an order that is not there, no id.
            ("order_line", &[("id", "9"), ("order_id", "99"), ("product_id", "3")], &[]),
            ("orders", &[("id", "2"), ("store_id", "99")], &["1", "2"]),
            ("keyless", &[("product_id", "3")], &["3"]),
            // Through the query's rows.
            ("store", &[("id", "2")], &["1"]),
        ];
        for (table, image, roots) in cases {
            assert_eq!(db.reach(&plan, table, image).await, *roots, "{table} {image:?}");
        }
        // Every column may matter to a query.
        let names = |table: &str| {
            let used = &plan.uses[table];
            let name = |&column: &usize| used.table.columns[column].name.as_str();
            [&used.watched, &used.carried].map(|columns| columns.iter().map(name).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(names("order_line"), ["id order_id product_id amount", "id order_id product_id"]);
        assert_eq!(names("keyless"), ["product_id note", "product_id"]);
        assert!(plan.uses.keys().all(|table| !table.contains("sold")));
    })
    .await;
}

/// Ids that meet several sources: the path goes through one of them, over its part of the id.
#[tokio::test]
async fn a_match_may_meet_scopes() {
    on_both(SHOP, async |db| {
        let rest = "each: { s: { table: store } }
body: { amount: { one: { query: sold }, match: { product_id: id, store_id: s.id }, body: lines } }
";
        let text = HEAD.replace("doc:{id}", "doc:{id}:{s.code}");
        let plan = db.written(&format!("{text}{rest}")).await;
        let found = db.documents(&plan, &["1", "2"]).await;
        let expected = [("doc:1:DE", 2), ("doc:1:AT", 1), ("doc:2:DE", 1)];
        let mut expected: Vec<_> = expected
            .iter()
            .map(|(key, lines)| ((*key).to_owned(), format!("{{\"amount\":{lines}}}")))
            .collect();
        expected.push(("doc:2:AT".to_owned(), r#"{"amount":null}"#.to_owned()));
        assert_eq!(found, expected);
        let image: &Image = &[("id", "9"), ("order_id", "3"), ("product_id", "2")];
        assert_eq!(db.reach(&plan, "order_line", image).await, ["2"]);
    })
    .await;
}

async fn problems(db: &Fixture, text: &str) -> Vec<String> {
    let mut catalogue = introspect(&db.conn, db.dialect, "pubsync").await.unwrap();
    let files = [SourceFile {
        name: "doc.yaml".to_owned(),
        text: text.to_owned(),
    }];
    let statements = statements(&files, &catalogue);
    describe(&db.conn, db.dialect, &mut catalogue, statements)
        .await
        .unwrap();
    let problems = check(&files, &catalogue, &["storage"]).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn mistakes_are_told() {
    on_both(SHOP, async |db| {
        let text = "document: doc
root: product
key: \"doc:{id}\"
queries:
  a: { sql: SELECT product_id FROM orders JOIN order_line ON TRUE, id: [product], depends: { orders: 'SELECT {id}', lines: SELECT 1 } }
  b: { sql: SELECT note FROM keyless, id: [note], depends: { keyless: 'SELECT {product_id}, {nt}' } }
  c: { sql: SELECT note FROM keyless, id: [note, x.y], depends: { keyless: 'SELECT {note}' } }
  d: { sql: SELECT note FROM keyless, id: [note], depends: {} }
  e: { sql: 'SELECT note, product_id FROM keyless', id: [note], depends: { keyless: 'SELECT {note}' } }
body:
  a: { many: { query: e }, body: note }
  b: { many: { query: e }, match: { product_id: id }, body: note }
  c: { many: { query: e }, match: { note: name }, where: { nte: 1 }, body: nt }
  d: { many: { query: f }, match: { note: name }, body: note }
  e: { many: { query: a }, match: { product_id: id }, body: product_id }
";
        assert_eq!(
            problems(db, text).await,
            [
                r#"doc.yaml:5:13: the query reads "order_line", which is not in its "depends"; its changes would not be noticed: say which ids a row of it touches"#,
                r#"doc.yaml:5:73: no column "product" in table "query a"; did you mean "product_id"?"#,
                r#"doc.yaml:5:117: no table "lines""#,
                r#"doc.yaml:6:71: no column "nt" in table "keyless"; columns in braces are of the row that changed"#,
                r#"doc.yaml:7:50: "x.y" cannot stand here: "id" takes columns of the query"#,
                r#"doc.yaml:7:76: the SELECT of "keyless" answers 1 columns, and "id" has 2"#,
                r#"doc.yaml:8:3: "depends" of the query "d" names no table"#,
                r#"doc.yaml:8:13: the query reads "keyless", which is not in its "depends"; its changes would not be noticed: say which ids a row of it touches"#,
                r#"doc.yaml:11:23: the query "e" needs a "match" over its id"#,
                r#"doc.yaml:12:37: "match" of a query is over its id, and "product_id" is not in it; put it into "where", or into "id" and all of "depends""#,
                r#"doc.yaml:13:60: no column "nte" in table "query e"; did you mean "note"?"#,
                r#"doc.yaml:13:76: no column "nt" in table "query e""#,
                r#"doc.yaml:14:23: no query "f""#,
            ]
        );
        let text = HEAD.replace("SELECT note, product_id FROM", "SELECT nte FROM") + "body: { id: id }\n";
        let refused = problems(db, &text).await;
        assert!(
            refused[0].starts_with("doc.yaml:13:10: the database refuses the query: ") && refused[0].contains("nte"),
            "{refused:?}"
        );
        // Nothing is left of the views that asked.
        assert_eq!(problems(db, &text).await, refused);
    })
    .await;
}
