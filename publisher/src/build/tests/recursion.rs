//! `ancestors` and `tree`: what they give.

use super::fixture::{Fixture, on_both};

const SHOP: &str = "
    CREATE TABLE category (id integer PRIMARY KEY, name text, parent_id integer REFERENCES category, place integer,
        active boolean, shop_id integer);
    CREATE TABLE label (id integer PRIMARY KEY, category_id integer REFERENCES category, shop_id integer, name text);
    CREATE TABLE product (id integer PRIMARY KEY, category_id integer REFERENCES category, start_id integer, shop_id integer);
    CREATE TABLE product_category (product_id integer REFERENCES product, category_id integer REFERENCES category,
        PRIMARY KEY (product_id, category_id));
    INSERT INTO category VALUES (1, 'all', NULL, 1, true, 1), (2, 'tents', 1, 2, true, 1), (3, 'bags', 1, 1, true, 2),
        (4, 'light', 2, NULL, true, 1), (5, 'heavy', 2, 1, false, 1), (6, 'old', 5, 1, true, 1), (7, 'other', NULL, 0, true, 2),
        (8, 'ultra', 4, 1, true, 2);
    INSERT INTO label VALUES (1, 2, 1, 'new'), (2, 2, 2, 'hot'), (3, 8, 1, 'x'), (4, 1, 1, 'top');
    INSERT INTO product VALUES (1, 8, 4, 1), (2, 1, NULL, 2), (3, NULL, 8, 1);
    INSERT INTO product_category VALUES (1, 8), (1, 3), (2, 6), (3, 7);
";

async fn gives(root: &str, roots: &[&str], cases: &[(&str, &[&str])]) {
    on_both(SHOP, async |db| {
        for (body, expected) in cases {
            let plan = db.body(root, body).await;
            let found: Vec<_> = db
                .documents(&plan, roots)
                .await
                .into_iter()
                .map(|(_, body)| body)
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|value| format!("{{\"a\":{value}}}"))
                .collect();
            assert_eq!(found, expected, "{body}");
        }
    })
    .await;
}

#[tokio::test]
async fn ancestors_stand_top_first() {
    gives(
        "category",
        &["8", "2", "1"],
        &[
            (
                "a: { ancestors: category, parent: parent_id, body: name }",
                &[r#"["all","tents","light"]"#, r#"["all"]"#, "[]"],
            ),
            (
                "a: { ancestors: category, parent: parent_id, match: { id: id }, body: { n: name, from: parent.id } }",
                &[
                    r#"[{"n":"all","from":8},{"n":"tents","from":8},{"n":"light","from":8},{"n":"ultra","from":8}]"#,
                    r#"[{"n":"all","from":2},{"n":"tents","from":2}]"#,
                    r#"[{"n":"all","from":1}]"#,
                ],
            ),
            // Nodes for each of them, with and without values from around.
            (
                "a: { ancestors: category, parent: parent_id, body: [name, { many: label, body: name }, { many: label, where: { shop_id: root.shop_id }, body: name }] }",
                &[
                    r#"[["all",["top"],[]],["tents",["new","hot"],["hot"]],["light",[],[]]]"#,
                    r#"[["all",["top"],["top"]]]"#,
                    "[]",
                ],
            ),
        ],
    )
    .await;
    gives(
        "product",
        &["1", "2", "3"],
        &[
            (
                "a: { ancestors: category, parent: parent_id, body: name }",
                &[r#"["all","tents","light","ultra"]"#, r#"["all"]"#, "[]"],
            ),
            (
                "a: { ancestors: category, parent: parent_id, match: { id: start_id }, body: name }",
                &[r#"["all","tents","light"]"#, "[]", r#"["all","tents","light","ultra"]"#],
            ),
            // What chooses the first row does not choose those above.
            (
                "a: { ancestors: category, parent: parent_id, match: { id: start_id, name: { value: ultra } }, body: id }",
                &["[]", "[]", "[1,2,4,8]"],
            ),
            (
                "a: { many: category, via: product_category, order: [id], body: { n: name, above: { ancestors: category, parent: parent_id, body: name } } }",
                &[
                    r#"[{"n":"bags","above":["all"]},{"n":"ultra","above":["all","tents","light"]}]"#,
                    r#"[{"n":"old","above":["all","tents","heavy"]}]"#,
                    r#"[{"n":"other","above":[]}]"#,
                ],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn trees_nest_to_any_depth() {
    gives(
        "category",
        &["1", "4", "8"],
        &[
            (
                "a: { tree: category, parent: parent_id, body: { n: name } }",
                &[
                    concat!(
                        r#"[{"n":"tents","a":[{"n":"light","a":[{"n":"ultra","a":[]}]},"#,
                        r#"{"n":"heavy","a":[{"n":"old","a":[]}]}]},{"n":"bags","a":[]}]"#
                    ),
                    r#"[{"n":"ultra","a":[]}]"#,
                    "[]",
                ],
            ),
            // A row that is left out takes all below it along; nulls last.
            (
                "a: { tree: category, parent: parent_id, where: { active: true }, order: [place], body: { i: id } }",
                &[
                    r#"[{"i":3,"a":[]},{"i":2,"a":[{"i":4,"a":[{"i":8,"a":[]}]}]}]"#,
                    r#"[{"i":8,"a":[]}]"#,
                    "[]",
                ],
            ),
            (
                "a: { tree: category, parent: parent_id, where: { shop_id: parent.shop_id }, body: { i: id, of: parent.name } }",
                &[
                    concat!(
                        r#"[{"i":2,"of":"all","a":[{"i":4,"of":"all","a":[]},{"i":5,"of":"all","#,
                        r#""a":[{"i":6,"of":"all","a":[]}]}]}]"#
                    ),
                    "[]",
                    "[]",
                ],
            ),
            (
                "a: { tree: category, parent: parent_id, start: { where: { id: parent.id } }, where: { name: { not: heavy } }, body: { l: { many: label, body: name } } }",
                &[
                    concat!(
                        r#"[{"l":["top"],"a":[{"l":["new","hot"],"a":[{"l":[],"a":[{"l":["x"],"a":[]}]}]},"#,
                        r#"{"l":[],"a":[]}]}]"#
                    ),
                    r#"[{"l":[],"a":[{"l":["x"],"a":[]}]}]"#,
                    r#"[{"l":["x"],"a":[]}]"#,
                ],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn trees_start_where_they_are_told() {
    gives(
        "product",
        &["1", "2"],
        &[
            (
                "a: { tree: category, parent: parent_id, start: { where: { parent_id: null, name: all } }, where: { active: true }, body: { n: name } }",
                &[
                    r#"[{"n":"all","a":[{"n":"tents","a":[{"n":"light","a":[{"n":"ultra","a":[]}]}]},{"n":"bags","a":[]}]}]"#,
                    r#"[{"n":"all","a":[{"n":"tents","a":[{"n":"light","a":[{"n":"ultra","a":[]}]}]},{"n":"bags","a":[]}]}]"#,
                ],
            ),
            (
                "a: { tree: category, parent: parent_id, start: { where: { id: root.start_id } }, body: { n: name, up: { ancestors: category, parent: parent_id, body: id } } }",
                &[r#"[{"n":"light","up":[1,2],"a":[{"n":"ultra","up":[1,2,4],"a":[]}]}]"#, "[]"],
            ),
            // Two trees of one table, one inside the other, and the same rows in both.
            (
                "a: [{ tree: category, parent: parent_id, start: { where: { shop_id: parent.shop_id, parent_id: null } }, body: { i: id, b: { many: category, body: { c: { tree: category, parent: parent_id, body: { j: id } } } } } }]",
                &[
                    concat!(
                        r#"[[{"i":1,"b":[{"c":[{"j":4,"c":[{"j":8,"c":[]}]},{"j":5,"c":[{"j":6,"c":[]}]}]},{"c":[]}],"#,
                        r#""a":[{"i":2,"b":[{"c":[{"j":8,"c":[]}]},{"c":[{"j":6,"c":[]}]}],"a":[{"i":4,"b":[{"c":[]}],"#,
                        r#""a":[{"i":8,"b":[],"a":[]}]},{"i":5,"b":[{"c":[]}],"a":[{"i":6,"b":[],"a":[]}]}]},"#,
                        r#"{"i":3,"b":[],"a":[]}]}]]"#
                    ),
                    r#"[[{"i":7,"b":[],"a":[]}]]"#,
                ],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn scopes_reach_into_trees() {
    on_both(SHOP, async |db| {
        let text = "
document: doc
root: product
each: { shop: { table: label } }
key: \"{root.id}:{shop.id}\"
body:
  a:
    tree: category
    parent: parent_id
    start: { where: { parent_id: null } }
    where: { shop_id: shop.shop_id }
    body: { i: id, l: { many: label, where: { shop_id: shop.shop_id, name: { not: null } }, body: id } }
";
        let plan = db.written(text).await;
        let found = db.documents(&plan, &["1"]).await;
        let one = r#"{"a":[{"i":1,"l":[4],"a":[{"i":2,"l":[1],"a":[{"i":4,"l":[],"a":[]},{"i":5,"l":[],"a":[{"i":6,"l":[],"a":[]}]}]}]}]}"#;
        let two = r#"{"a":[{"i":7,"l":[],"a":[]}]}"#;
        let found: Vec<_> = found.iter().map(|(_, body)| body.as_str()).collect();
        assert_eq!(found, [one, two, one, one]);
    })
    .await;
}

#[tokio::test]
async fn rows_of_other_tables_are_looked_up_on_each_level() {
    on_both(SHOP, async |db| {
        let body = "
a: { tree: category, parent: parent_id, order: [parent_id.place, -id], where: { exists: { table: label, match: { category_id: id } } }, body: { i: id, of: parent_id.name } }
b: { ancestors: category, parent: parent_id, body: [parent_id.name] }
";
        let plan = db.body("category", body).await;
        let found: Vec<_> = db.documents(&plan, &["1", "8"]).await.into_iter().map(|(_, body)| body).collect();
        let eight = r#"{"a":[],"b":[[],["all"],["tents"]]}"#;
        assert_eq!(found, [r#"{"a":[{"i":2,"of":"all","a":[]}],"b":[]}"#, eight]);
        let all = ["1", "2", "3", "4", "5", "6", "8"];
        // Row 1 is looked up by 2 and 3, which stand in the tree of 1 and above all others.
        assert_eq!(db.reach(&plan, "category", &[("id", "1")]).await, all);
        assert_eq!(db.reach(&plan, "label", &[("id", "9"), ("category_id", "8")]).await, ["1", "2", "4"]);
        let flat = "a: { many: category, via: product_category, flat: true, distinct: true, body: { ancestors: category, parent: parent_id, body: name } }";
        let plan = db.body("product", flat).await;
        assert_eq!(db.bodies(&plan, "1").await, [r#"{"a":["all","tents","light"]}"#]);
    })
    .await;
}

#[tokio::test]
async fn composite_keys_link_rows() {
    let sql = "CREATE TABLE node (shop integer, id integer, above_shop integer, above_id integer, PRIMARY KEY (shop, id),
            FOREIGN KEY (above_id, above_shop) REFERENCES node (id, shop));
        INSERT INTO node VALUES (1, 1, NULL, NULL), (1, 2, 1, 1), (2, 2, 1, 2), (1, 3, 2, 2), (2, 1, 1, NULL)";
    // SQLite and PostgreSQL want a unique index over what is named, in the order of the constraint.
    let sql = sql.replace(
        "PRIMARY KEY (shop, id),",
        "PRIMARY KEY (shop, id), UNIQUE (id, shop),",
    );
    on_both(&sql, async |db| {
        let text = "
document: doc
root: node
key: \"{shop}:{id}\"
body:
  below: { tree: node, parent: [above_shop, above_id], body: { s: shop, i: id } }
  above: { ancestors: node, parent: [above_shop, above_id], body: [shop, id] }
";
        let plan = db.written(text).await;
        let roots = [r#"["1","2"]"#, r#"["1","3"]"#];
        let found: Vec<_> = db
            .documents(&plan, &roots)
            .await
            .into_iter()
            .map(|(_, body)| body)
            .collect();
        assert_eq!(
            found,
            [
                r#"{"below":[{"s":2,"i":2,"below":[{"s":1,"i":3,"below":[]}]}],"above":[[1,1]]}"#,
                r#"{"below":[],"above":[[1,1],[1,2],[2,2]]}"#,
            ]
        );
        let image = [("shop", "2"), ("id", "2"), ("above_shop", "1"), ("above_id", "2")];
        assert_eq!(
            db.reach(&plan, "node", &image).await,
            [r#"["1","1"]"#, r#"["1","2"]"#, r#"["1","3"]"#, r#"["2","2"]"#]
        );
    })
    .await;
}

async fn failure(db: &Fixture, root: &str, body: &str) -> String {
    let plan = db.body("category", body).await;
    let found = db.outcomes(&plan, &[root, "7"]).await;
    assert!(found[1][0].is_ok(), "its neighbour goes on");
    let failure = found[0][0].as_ref().unwrap_err();
    assert_eq!(
        (failure.class, failure.key.clone()),
        ("value", Some(format!("doc:{root}")))
    );
    failure.message.clone()
}

#[tokio::test]
async fn a_cycle_is_a_failure_that_names_it() {
    on_both(SHOP, async |db| {
        db.run(
            "UPDATE category SET parent_id = 4 WHERE id = 1; UPDATE category SET parent_id = 3 WHERE id = 3",
        )
        .await;
        let tree = "a: { tree: category, parent: parent_id, body: { i: id } }";
        assert_eq!(
            failure(db, "2", tree).await,
            "category 4 → 1 → 2 → 4 is a cycle by parent_id"
        );
        let ancestors = "a: { ancestors: category, parent: parent_id, body: id }";
        assert_eq!(
            failure(db, "8", ancestors).await,
            "category 4 → 2 → 1 → 4 is a cycle by parent_id"
        );
        assert_eq!(
            failure(db, "3", tree).await,
            "category 3 → 3 is a cycle by parent_id"
        );
        assert_eq!(
            failure(db, "3", ancestors).await,
            "category 3 → 3 is a cycle by parent_id"
        );
    })
    .await;
}

#[tokio::test]
async fn depth_has_no_limit_but_the_body() {
    let rows: Vec<String> = (2..=1000).map(|id| format!("({id}, {})", id - 1)).collect();
    let sql = format!(
        "CREATE TABLE node (id integer PRIMARY KEY, parent_id integer REFERENCES node); CREATE INDEX below ON node (parent_id);
         INSERT INTO node VALUES (1, NULL); INSERT INTO node VALUES {}",
        rows.join(", ")
    );
    super::fixture::on_sqlite(&sql, async |db| {
        let plan = db
            .body("node", "a: { tree: node, parent: parent_id, body: { i: id } }")
            .await;
        let outcomes = db.outcomes(&plan, &["1"]).await;
        let body = &outcomes[0][0].as_ref().unwrap().body;
        assert!(body.starts_with(r#"{"a":[{"i":2,"a":[{"i":3,"a":["#) && body.ends_with("]}]}]}"));
        let plan = db
            .body("node", "a: { ancestors: node, parent: parent_id, body: id }")
            .await;
        let outcomes = db.outcomes(&plan, &["1000"]).await;
        let body = &outcomes[0][0].as_ref().unwrap().body;
        assert!(body.starts_with(r#"{"a":[1,2,3,"#) && body.ends_with(",998,999]}"));
    })
    .await;
}
