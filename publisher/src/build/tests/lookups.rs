//! Columns through foreign keys: their values, and the way back from the rows that they name.

use super::fixture::on_both;

type Image = [(&'static str, &'static str)];

const SHOP: &str = "
    CREATE TABLE country (id integer PRIMARY KEY, code text, vat numeric(4,2));
    CREATE TABLE brand (id integer PRIMARY KEY, name text, country_id integer REFERENCES country);
    CREATE TABLE product (id integer PRIMARY KEY, name text, brand_id integer REFERENCES brand,
                          maker_id integer REFERENCES brand);
    CREATE TABLE review (id integer PRIMARY KEY, product_id integer REFERENCES product, author_id integer REFERENCES brand,
                         stars integer);
    CREATE TABLE category (id integer PRIMARY KEY, name text);
    CREATE TABLE shelf (id integer PRIMARY KEY, code text);
    CREATE TABLE product_category (product_id integer REFERENCES product, category_id integer REFERENCES category,
                                   shelf_id integer REFERENCES shelf, PRIMARY KEY (product_id, category_id));
    CREATE TABLE store (id integer PRIMARY KEY, country_code text, country_id integer REFERENCES country);
    CREATE TABLE note (product_id integer, author_id integer REFERENCES brand);
    INSERT INTO country VALUES (1, 'DE', 19), (2, 'AT', 20.5);
    INSERT INTO brand VALUES (1, 'Acme', 1), (2, 'Umbrella', 2), (3, 'Zed', NULL);
    INSERT INTO product VALUES (1, 'a', 1, 2), (2, 'b', 2, 2), (3, 'c', NULL, NULL), (4, 'd', 3, 1);
    INSERT INTO review VALUES (1, 1, 3, 5), (2, 1, 2, 4), (3, 1, NULL, 3), (4, 1, 1, 2), (5, 2, 1, 1);
    INSERT INTO category VALUES (1, 'x'), (2, 'y');
    INSERT INTO shelf VALUES (1, 'S1'), (2, 'S0');
    INSERT INTO product_category VALUES (1, 1, 1), (1, 2, 2), (2, 1, NULL);
    INSERT INTO store VALUES (1, 'DE', 1), (2, 'AT', 2), (3, 'AT', 1);
    INSERT INTO note VALUES (1, 2), (1, 3), (1, 1), (1, NULL);
";

#[tokio::test]
async fn values_of_named_rows_and_null_without_one() {
    on_both(SHOP, async |db| {
        let plan = db.body("product", "a: brand_id.name
b: { text: brand_id.country.vat }
c: maker_id.country.code
d: { one: category, via: product_category, body: { n: name, s: via.shelf.code, v: root.brand_id.country.vat } }",
        )
        .await;
        let bodies: Vec<_> = db
            .documents(&plan, &["1", "2", "3", "4"])
            .await
            .into_iter()
            .map(|(_, body)| body)
            .collect();
        assert_eq!(
            bodies,
            [
                r#"{"a":"Acme","b":"19.00","c":"AT","d":{"n":"x","s":"S1","v":19.00}}"#,
                r#"{"a":"Umbrella","b":"20.50","c":"AT","d":{"n":"x","s":null,"v":20.50}}"#,
                r#"{"a":null,"b":null,"c":null,"d":null}"#,
                r#"{"a":"Zed","b":null,"c":"DE","d":null}"#,
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn rows_are_chosen_ordered_and_keyed_by_them() {
    on_both(SHOP, async |db| {
        let plan = db.body("product", r#"order: { many: review, order: ["-author_id.name"], body: stars }
where: { many: review, where: { author_id.country.code: [AT, DE] }, body: stars }
missing: { count: review, where: { author_id.country.code: null } }
own: { many: review, where: { author_id.name: product.brand_id.name }, body: stars }
outer: { many: review, where: { author_id.name: { not: parent.maker_id.name } }, body: stars }
by: { many: review, by: [author_id.country.code, author_id.name], body: stars }
limit: { many: review, order: [author_id.name], limit: 2, body: author_id.name }
via: { many: category, via: product_category, order: [via.shelf.code], body: name }
match: { many: store, match: { country_code: brand_id.country.code }, body: id }"#,
        )
        .await;
        let expected = concat!(
            r#"{"order":[5,4,2,3],"where":[4,2],"missing":2,"own":[2],"outer":[5,3,2],"by":{"AT":{"Umbrella":4},"DE":{"Acme":2}},"#,
            r#""limit":["Acme","Umbrella"],"via":["y","x"],"match":[1]}"#,
        );
        assert_eq!(db.bodies(&plan, "1").await, [expected]);
        // Without a row on the right: equal to nothing, distinct from everything but null.
        let expected = r#"{"order":[],"where":[],"missing":0,"own":[],"outer":[],"by":{},"limit":[],"via":[],"match":[]}"#;
        assert_eq!(db.bodies(&plan, "3").await, [expected]);
    })
    .await;
}

/// Rows of a table without a key have an order by all columns that are used, those of named rows too.
#[tokio::test]
async fn rows_without_a_key_are_ordered_by_what_they_name() {
    on_both(SHOP, async |db| {
        let plan = db
            .body(
                "product",
                "n: { many: note, match: { product_id: id }, body: { a: author_id.name } }",
            )
            .await;
        let body = db.bodies(&plan, "1").await.remove(0);
        db.run("DELETE FROM note; INSERT INTO note VALUES (1, 3), (1, NULL), (1, 1), (1, 2)")
            .await;
        assert_eq!(db.bodies(&plan, "1").await, [body]);
    })
    .await;
}

#[tokio::test]
async fn scopes_and_the_document_are_narrowed_by_them() {
    on_both(SHOP, async |db| {
        let text = "document: doc
root: product
where: { brand_id.country.code: [DE, AT], maker_id.name: { not: brand_id.name } }
each:
  store: { table: store, where: { country.code: DE, country.vat: { lt: root.maker_id.country.vat } } }
  also: { table: store, match: { country_id: store.country_id }, where: { country_code: { not: store.country.code } } }
key: \"doc:{id}:{store.id}:{also.id}\"
body: { vat: store.country.vat, also: also.country.code }
";
        let plan = db.written(text).await;
        let documents = db.documents(&plan, &["1", "2", "3", "4"]).await;
        let expected = [
            ("doc:1:1:3", r#"{"vat":19.00,"also":"DE"}"#),
            ("doc:1:3:3", r#"{"vat":19.00,"also":"DE"}"#),
        ];
        assert_eq!(documents, expected.map(|(key, body)| (key.to_owned(), body.to_owned())));
    })
    .await;
}

#[tokio::test]
async fn named_rows_lead_back_to_their_roots() {
    on_both(SHOP, async |db| {
        let plan = db
            .body(
                "product",
                "a: brand_id.country.code
r: { many: review, body: author_id.name }
c: { many: category, via: product_category, body: via.shelf.code }
s: { many: store, match: { country_code: maker_id.country.code }, body: id }",
            )
            .await;
        let cases: &[(&str, &Image, &[&str])] = &[
            // By the brand of 1, the maker of 4, and the author of reviews of 1 and 2.
            ("brand", &[("id", "1")], &["1", "2", "4"]),
            ("brand", &[("id", "3")], &["1", "4"]),
            ("country", &[("id", "1"), ("code", "DE")], &["1", "4"]),
            ("shelf", &[("id", "2")], &["1"]),
            ("review", &[("id", "9"), ("product_id", "3")], &["3"]),
            ("store", &[("id", "9"), ("country_code", "AT")], &["1", "2"]),
        ];
        for (table, image, roots) in cases {
            assert_eq!(db.reach(&plan, table, image).await, *roots, "{table} {image:?}");
        }
        let names = |table: &str| {
            let used = &plan.uses[table];
            let name = |&column: &usize| used.table.columns[column].name.as_str();
            (
                used.watched.iter().map(name).collect::<Vec<_>>(),
                used.carried.iter().map(name).collect::<Vec<_>>(),
            )
        };
        assert_eq!(names("brand"), (vec!["id", "name", "country_id"], vec!["id"]));
        assert_eq!(names("country"), (vec!["id", "code"], vec!["id"]));
        assert_eq!(names("product"), (vec!["id", "brand_id", "maker_id"], vec!["id"]));
        assert_eq!(
            names("review"),
            (vec!["id", "product_id", "author_id"], vec!["id", "product_id"])
        );
    })
    .await;
}
