//! `ancestors` and `tree`: which roots a change reaches.
//!
//! Beside chosen cases there is a random history of changes: whatever a change makes of any document, its images must
//! reach the document's root, whether they are looked up after each change or only after several.

use std::collections::BTreeSet;

use super::fixture::{Fixture, on_both};
use crate::catalogue::texts;
use crate::plan::DocumentPlan;

/// Without constraints, so that rows may hang in the air.
const SHOP: &str = "
    CREATE TABLE category (id integer PRIMARY KEY, name text, parent_id integer, shop_id integer, active boolean);
    CREATE TABLE label (id integer PRIMARY KEY, category_id integer, name text);
    CREATE TABLE product (id integer PRIMARY KEY, category_id integer, start_id integer);
    CREATE TABLE place (id integer PRIMARY KEY, product_id integer, category_id integer);
    INSERT INTO category VALUES (1, 'a', NULL, 1, true), (2, 'b', 1, 1, true), (3, 'c', 1, 2, true), (4, 'd', 2, 1, true),
        (5, 'e', 4, 1, true), (6, 'f', NULL, 2, true), (7, 'g', 6, 1, false), (8, 'h', 7, 1, true);
    INSERT INTO label VALUES (1, 2, 'x'), (2, 5, 'y'), (3, 8, 'z');
    INSERT INTO product VALUES (1, 5, 2), (2, 3, 1), (3, 8, 6), (4, NULL, 7), (5, 4, NULL);
    INSERT INTO place VALUES (1, 1, 4), (2, 2, 5), (3, 2, 6), (4, 5, 8);
";

const OF_CATEGORIES: &str = "
below: { tree: category, parent: parent_id, where: { active: true }, body: { n: name, l: { many: label, match: { category_id: id }, body: name } } }
some:
  tree: category
  parent: parent_id
  start: { where: { parent_id: parent.id, missing: { table: label, match: { category_id: id }, where: { name: x } } } }
  where: { exists: { table: category, match: { id: parent_id, shop_id: parent.shop_id } } }
  body: { i: id }
above: { ancestors: category, parent: parent_id, match: { id: parent_id }, body: [name, { count: label, match: { category_id: id } }] }
";

const OF_PRODUCTS: &str = "
above: { ancestors: category, parent: parent_id, match: { id: category_id, shop_id: { value: 1 } }, body: [name, { count: label, match: { category_id: id } }] }
below:
  tree: category
  parent: parent_id
  start: { where: { id: root.start_id, shop_id: 1 } }
  body: { n: name, l: { many: label, match: { category_id: id }, body: name } }
places:
  many: place
  match: { product_id: id }
  body:
    up: { ancestors: category, parent: parent_id, match: { id: category_id }, body: { n: name, l: { many: label, match: { category_id: id }, body: name } } }
    down: { tree: category, parent: parent_id, start: { where: { parent_id: parent.category_id } }, body: { n: name } }
";

#[tokio::test]
async fn of_a_tree_what_is_above_and_of_ancestors_what_is_below() {
    on_both(SHOP, async |db| {
        let body = "below: { tree: category, parent: parent_id, body: { n: name } }";
        let tree = db.body("category", body).await;
        let image = [("id", "5"), ("parent_id", "4")];
        // Itself, as a root, and all whose tree it is in.
        assert_eq!(db.reach(&tree, "category", &image).await, ["1", "2", "4", "5"]);
        let moved: &[&[(&str, &str)]] = &[
            &[("id", "4"), ("parent_id", "2")],
            &[("id", "4"), ("parent_id", "7")],
        ];
        assert_eq!(
            db.reach_after(&tree, "category", moved, None, 99).await,
            ["1", "2", "4", "6", "7"]
        );
        let above =
            "above: { ancestors: category, parent: parent_id, match: { id: category_id }, body: name }";
        let above = db.body("product", above).await;
        assert_eq!(
            db.reach(&above, "category", &[("id", "1")]).await,
            ["1", "2", "5"]
        );
        assert_eq!(
            db.reach(&above, "category", &[("id", "5"), ("parent_id", "4")])
                .await,
            ["1"]
        );
        // What chooses the first row does not choose those above, nor what hangs on them.
        let body = "above: { ancestors: category, parent: parent_id, match: { id: category_id, name: { value: e } }, \
                    body: { l: { many: label, match: { category_id: id }, body: name } } }";
        let chosen = db.body("product", body).await;
        assert_eq!(db.reach(&chosen, "category", &[("id", "1"), ("name", "a")]).await, ["1"]);
        assert_eq!(db.reach(&chosen, "label", &[("id", "1"), ("category_id", "2")]).await, ["1"]);
        // It is gone, and so is what hung on it.
        db.run("DELETE FROM category WHERE id IN (2, 4)").await;
        assert_eq!(
            db.reach(&above, "category", &[("id", "2"), ("parent_id", "1")])
                .await,
            [""; 0]
        );
        assert_eq!(
            db.reach(&above, "category", &[("id", "4"), ("parent_id", "2")])
                .await,
            ["1", "5"]
        );
        let carried = |plan: &DocumentPlan, table: &str| {
            let used = &plan.uses[table];
            let names = used
                .carried
                .iter()
                .map(|column| used.table.columns[*column].name.as_str());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(carried(&tree, "category"), "id parent_id");
        assert_eq!(carried(&above, "category"), "id parent_id");
    })
    .await;
}

#[tokio::test]
async fn a_cycle_ends() {
    on_both(SHOP, async |db| {
        db.run("UPDATE category SET parent_id = 5 WHERE id = 1").await;
        let tree = db
            .body(
                "category",
                "t: { tree: category, parent: parent_id, body: { n: name } }",
            )
            .await;
        let reached = db
            .reach(&tree, "category", &[("id", "3"), ("parent_id", "1")])
            .await;
        assert_eq!(reached, ["1", "2", "3", "4", "5"]);
        let above =
            "above: { ancestors: category, parent: parent_id, match: { id: category_id }, body: name }";
        let above = db.body("product", above).await;
        assert_eq!(
            db.reach(&above, "category", &[("id", "1"), ("parent_id", "5")])
                .await,
            ["1", "2", "5"]
        );
    })
    .await;
}

#[tokio::test]
async fn trees_that_start_alike_for_all_reach_all() {
    on_both(SHOP, async |db| {
        db.mirror().await;
        let body = "t: { tree: category, parent: parent_id, start: { where: { parent_id: null } }, body: { n: name } }";
        let plan = db.body("product", body).await;
        assert!(plan.reverse["category"].reaches_all);
        assert_eq!(db.reach(&plan, "category", &[("id", "5"), ("parent_id", "4")]).await, ["1", "2", "3", "4", "5"]);
    })
    .await;
}

/// Names of any collation, in any case.
#[tokio::test]
async fn keys_of_text_lead_on() {
    let sql = "CREATE TABLE node (code varchar(20) COLLATE {} PRIMARY KEY, above varchar(20) COLLATE {}, amount numeric(6,2));
        CREATE TABLE page (id integer PRIMARY KEY, node varchar(20) COLLATE {});
        INSERT INTO node VALUES ('a', NULL, 1), ('B''', 'a', 2), ('c', 'B''', 3);
        INSERT INTO page VALUES (1, 'c'), (2, 'a')";
    let test = async |db: &Fixture| {
        let body = "up: { ancestors: node, parent: above, match: { code: node }, body: code }
down: { tree: node, parent: above, start: { where: { code: parent.node } }, body: { c: code } }";
        let plan = db.body("page", body).await;
        let first = r#"{"up":["a","B'","c"],"down":[{"c":"c","down":[]}]}"#;
        assert_eq!(db.bodies(&plan, "1").await, [first]);
        assert_eq!(
            db.reach(&plan, "node", &[("code", "B'"), ("above", "a")]).await,
            ["1", "2"]
        );
        assert_eq!(
            db.reach(&plan, "node", &[("code", "c"), ("above", "B'")]).await,
            ["1", "2"]
        );
    };
    super::fixture::on_postgres(&sql.replace("{}", "\"C\""), test).await;
    super::fixture::on_sqlite(&sql.replace("{}", "NOCASE"), test).await;
}

#[tokio::test]
async fn whatever_changes_is_reached() {
    on_both(SHOP, async |db| {
        let plans = [
            db.body("category", OF_CATEGORIES).await,
            db.body("product", OF_PRODUCTS).await,
        ];
        let mut history = History { db, seed: 20_250_615 };
        let mut changed = 0;
        for round in 0..40 {
            let before = [state(db, &plans[0]).await, state(db, &plans[1]).await];
            let mut images = Vec::new();
            for _ in 0..=round % 3 {
                images.extend(history.change().await);
            }
            for (plan, before) in plans.iter().zip(before) {
                let after = state(db, plan).await;
                let differ: BTreeSet<&String> = before
                    .difference(&after)
                    .chain(after.difference(&before))
                    .map(|(root, _)| root)
                    .collect();
                let mut reached = BTreeSet::new();
                for (table, image) in &images {
                    if plan.uses.contains_key(*table) {
                        let image: Vec<(&str, &str)> =
                            image.iter().map(|(name, text)| (*name, text.as_str())).collect();
                        reached.extend(db.reach(plan, table, &image).await);
                    }
                }
                changed += differ.len();
                let missed: Vec<_> = differ
                    .into_iter()
                    .filter(|root| !reached.contains(*root))
                    .collect();
                assert!(
                    missed.is_empty(),
                    "round {round}: {images:?} changed {missed:?} unnoticed"
                );
            }
        }
        assert!(changed > 100, "the history says nothing: {changed}");
    })
    .await;
}

/// All that the roots of a document give, cycles included.
async fn state(db: &Fixture, plan: &DocumentPlan) -> BTreeSet<(String, String)> {
    let table = &plan.document.sources[0].table.name;
    let ids = texts(
        &db.conn,
        &format!("SELECT CAST(id AS text) FROM {table}"),
        vec![],
        1,
    )
    .await
    .unwrap();
    let ids: Vec<String> = ids.into_iter().flatten().flatten().collect();
    let roots: Vec<&str> = ids.iter().map(String::as_str).collect();
    let outcomes = db.outcomes(plan, &roots).await;
    let shown = |(root, outcome): (&String, Vec<Result<_, _>>)| (root.clone(), format!("{outcome:?}"));
    ids.iter().zip(outcomes).map(shown).collect()
}

/// A table, and columns and values of one of its rows.
type Image = (&'static str, Vec<(&'static str, String)>);

struct History<'a> {
    db: &'a Fixture,
    seed: u64,
}

impl History<'_> {
    fn pick(&mut self, below: u64) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    /// Changes one row; its images before and after.
    async fn change(&mut self) -> Vec<Image> {
        let (id, other, new) = (self.pick(10) + 1, self.pick(10) + 1, self.pick(1_000_000) + 100);
        let (table, sql, after) = match self.pick(12) {
            0..=3 => (
                "category",
                format!("UPDATE category SET parent_id = {other} WHERE id = {id}"),
                id,
            ),
            4 => (
                "category",
                format!("UPDATE category SET parent_id = NULL WHERE id = {id}"),
                id,
            ),
            5 => ("category", format!("DELETE FROM category WHERE id = {id}"), id),
            6 => {
                let row = format!("{id}, 'n{new}', {other}, {}, true", self.pick(2) + 1);
                (
                    "category",
                    format!("INSERT INTO category VALUES ({row}) ON CONFLICT DO NOTHING"),
                    id,
                )
            }
            7 => (
                "category",
                format!(
                    "UPDATE category SET name = 'n{new}', shop_id = 1, active = NOT active WHERE id = {id}"
                ),
                id,
            ),
            8 => (
                "category",
                format!("UPDATE category SET id = {new} WHERE id = {id}"),
                new,
            ),
            9 => (
                "label",
                format!("UPDATE label SET category_id = {other}, name = 'n{new}' WHERE id = {id}"),
                id,
            ),
            10 => (
                "product",
                format!(
                    "UPDATE product SET category_id = {other}, start_id = {} WHERE id = {id}",
                    self.pick(10)
                ),
                id,
            ),
            _ => (
                "place",
                format!(
                    "UPDATE place SET category_id = {other}, product_id = {} WHERE id = {id}",
                    self.pick(5) + 1
                ),
                id,
            ),
        };
        let mut images = self.row(table, id).await;
        self.db.run(&sql).await;
        images.extend(self.row(table, after).await);
        images
    }

    async fn row(&self, table: &'static str, id: u64) -> Vec<Image> {
        let columns: &[&'static str] = match table {
            "category" => &["id", "parent_id", "shop_id"],
            "label" => &["id", "category_id"],
            "product" => &["id", "category_id", "start_id"],
            _ => &["id", "product_id", "category_id"],
        };
        let list: Vec<String> = columns
            .iter()
            .map(|column| format!("CAST({column} AS text)"))
            .collect();
        let sql = format!("SELECT {} FROM {table} WHERE id = {id}", list.join(", "));
        let rows = texts(&self.db.conn, &sql, vec![], columns.len()).await.unwrap();
        let image = |row: Vec<Option<String>>| {
            let values = columns
                .iter()
                .zip(row)
                .filter_map(|(name, text)| Some((*name, text?)));
            (table, values.collect())
        };
        rows.into_iter().map(image).collect()
    }
}
