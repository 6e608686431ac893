//! `exists` and `missing`: which rows pass, and the way back from the rows that they ask for.

use super::fixture::on_both;

type Image = [(&'static str, &'static str)];

const SHOP: &str = "
    CREATE TABLE brand (id integer PRIMARY KEY, name text, minimum integer);
    CREATE TABLE product (id integer PRIMARY KEY, name text, brand_id integer REFERENCES brand);
    CREATE TABLE store (id integer PRIMARY KEY, code text);
    CREATE TABLE stock (product_id integer REFERENCES product, store_id integer REFERENCES store, amount integer);
    CREATE TABLE review (id integer PRIMARY KEY, product_id integer REFERENCES product, stars integer);
    CREATE TABLE answer (id integer PRIMARY KEY, review_id integer REFERENCES review, line text);
    CREATE TABLE flag (id integer PRIMARY KEY, name text);
    CREATE TABLE review_flag (review_id integer REFERENCES review, flag_id integer REFERENCES flag);
    INSERT INTO brand VALUES (1, 'Acme', 2), (2, 'Umbrella', NULL);
    INSERT INTO product VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', NULL);
    INSERT INTO store VALUES (1, 'DE'), (2, 'AT'), (3, 'FR');
    INSERT INTO stock VALUES (1, 1, 5), (1, 2, 0), (2, 2, 1), (2, 2, 3), (3, 3, NULL);
    INSERT INTO review VALUES (1, 1, 5), (2, 1, 4), (3, 1, 3), (4, 2, 1), (5, 3, 2);
    INSERT INTO answer VALUES (1, 1, 'thanks'), (2, 3, NULL), (3, 4, 'oh');
    INSERT INTO flag VALUES (1, 'spam'), (2, 'top');
    INSERT INTO review_flag VALUES (1, 2), (2, 1), (3, 1), (3, 2), (5, 1);
";

#[tokio::test]
async fn rows_of_nodes_pass_by_other_rows() {
    on_both(SHOP, async |db| {
        let text = "\
answered: { many: review, where: { exists: { table: answer } }, body: id }
silent: { many: review, where: { missing: { table: answer, where: { line: { not: null } } } }, body: id }
spam: { many: review, where: { exists: { table: flag, via: review_flag, where: { name: spam } } }, body: id }
clean: { count: review, where: { missing: { table: flag, via: review_flag, where: { name: spam } } } }
both: { many: review, where: { exists: [{ table: answer }, { table: flag, via: review_flag, where: { name: top, via.review_id: { lt: 3 } } }] }, body: id }
other: { many: review, where: { exists: { table: review, match: { product_id: product_id }, where: { stars: { gt: root.brand.minimum } } } }, body: id }
none: { many: review, where: { missing: { table: review, match: { product_id: product_id }, where: { stars: { gt: root.brand.minimum } } } }, body: id }
deep: { many: review, where: { exists: { table: product, where: { exists: { table: stock, where: { store.code: DE, amount: { gt: 0 } } } } } }, body: id }";
        let plan = db.body("product", text).await;
        let bodies: Vec<_> = db.documents(&plan, &["1", "2", "3"]).await.into_iter().map(|(_, body)| body).collect();
        assert_eq!(
            bodies,
            [
                r#"{"answered":[1,3],"silent":[2,3],"spam":[2,3],"clean":1,"both":[1],"other":[1,2,3],"none":[],"deep":[1,2,3]}"#,
                // Nothing is greater than null, so the row is missing, and the review stays.
                r#"{"answered":[4],"silent":[],"spam":[],"clean":1,"both":[],"other":[],"none":[4],"deep":[]}"#,
                r#"{"answered":[],"silent":[5],"spam":[5],"clean":0,"both":[],"other":[],"none":[5],"deep":[]}"#,
            ]
        );
    })
    .await;
}

const PUBLISHED: &str = "document: doc
root: product
where: { exists: { table: review, where: { stars: { gt: 1 } } }, missing: { table: brand, where: { name: Umbrella } } }
each:
  store: { table: store, where: { exists: { table: stock, match: { store_id: id, product_id: root.id }, where: { amount: { not: 0 } } } } }
key: \"doc:{id}:{store.code}\"
body: { n: name, silent: { count: review, where: { missing: { table: flag, via: review_flag } } } }
";

#[tokio::test]
async fn documents_and_scopes_pass_by_other_rows() {
    on_both(SHOP, async |db| {
        let plan = db.written(PUBLISHED).await;
        let expected = [
            ("doc:1:DE", r#"{"n":"a","silent":0}"#),
            ("doc:3:FR", r#"{"n":"c","silent":0}"#),
        ];
        let documents = db.documents(&plan, &["1", "2", "3"]).await;
        assert_eq!(
            documents,
            expected.map(|(key, body)| (key.to_owned(), body.to_owned()))
        );
    })
    .await;
}

/// A row that comes, goes, moves, or starts to pass is captured and leads back, whatever its conditions say now.
#[tokio::test]
async fn rows_asked_for_lead_back_to_their_roots() {
    on_both(SHOP, async |db| {
        let plan = db.written(PUBLISHED).await;
        let cases: &[(&str, &Image, &[&str])] = &[
            ("review", &[("id", "9"), ("product_id", "2")], &["2"]),
            ("brand", &[("id", "2")], &["2"]),
            // By the product, not by the store, which would be every root.
            ("stock", &[("product_id", "3"), ("store_id", "9")], &["3"]),
            ("flag", &[("id", "1")], &["1", "3"]),
            ("review_flag", &[("review_id", "4"), ("flag_id", "1")], &["2"]),
            ("review_flag", &[("review_id", "99"), ("flag_id", "1")], &[]),
        ];
        for (table, image, roots) in cases {
            assert_eq!(db.reach(&plan, table, image).await, *roots, "{table} {image:?}");
        }
        let names = |table: &str| {
            let used = &plan.uses[table];
            let name = |&column: &usize| used.table.columns[column].name.as_str();
            let columns = [&used.watched, &used.carried];
            columns.map(|columns| columns.iter().map(name).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(names("review"), ["id product_id stars", "id product_id"]);
        assert_eq!(names("brand"), ["id name", "id"]);
        assert_eq!(names("product"), ["id name brand_id", "id"]);
        assert_eq!(
            names("stock"),
            ["product_id store_id amount", "product_id store_id"]
        );
        assert_eq!(names("review_flag"), ["review_id flag_id", "review_id"]);
    })
    .await;
}
