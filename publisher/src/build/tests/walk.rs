//! All roots, in pages: none is left out, and none is given twice.

use std::collections::BTreeSet;

use pubsync_schema::dialect::Dialect;

use super::fixture::{Fixture, on_both, on_postgres, on_sqlite};
use crate::plan::{AllRoots, DocumentPlan, Position};

async fn plan(db: &Fixture, id: &str, key: &str) -> DocumentPlan {
    db.written(&format!(
        "document: doc\nroot: t\n{id}key: \"doc:{key}\"\nbody: {{ name: name }}\n"
    ))
    .await
}

fn is_by_key(plan: &DocumentPlan) -> bool {
    matches!(plan.all_roots, AllRoots::ByKey { .. })
}

/// Walks with pages of every size, and gives the roots in order.
async fn walked(db: &Fixture, id: &str, key: &str) -> Vec<String> {
    let whole: Vec<String> = db.all_roots(plan(db, id, key).await, 1_000).await.concat();
    for limit in 1..=whole.len() as u64 + 1 {
        let pages = db.all_roots(plan(db, id, key).await, limit).await;
        assert!(
            pages.iter().all(|page| page.len() as u64 <= limit),
            "{limit}: {pages:?}"
        );
        let found: BTreeSet<String> = pages.concat().into_iter().collect();
        let expected: BTreeSet<String> = whole.iter().cloned().collect();
        assert_eq!(found, expected, "pages of {limit}");
        assert_eq!(
            pages.concat().len(),
            whole.len(),
            "pages of {limit} give no root twice"
        );
    }
    whole
}

#[tokio::test]
async fn numbers_are_walked_as_numbers_and_the_mirror_after_them() {
    let rows = "CREATE TABLE t (id integer PRIMARY KEY, name text);
        INSERT INTO t VALUES (1, 'a'), (2, 'b'), (10, 'c'), (-5, 'd'), (2000000000, 'e')";
    on_both(rows, async |db| {
        let mirror = db.mirror().await;
        db.run(&format!(
            "INSERT INTO {mirror} VALUES ('2', NULL), ('3', NULL), ('30', NULL), ('30', NULL), ('01', NULL), \
             ('99999999999999999999', NULL), ('no number', NULL), ('4', CURRENT_TIMESTAMP), (NULL, NULL)"
        ))
        .await;
        let plan = plan(db, "", "{id}").await;
        assert!(is_by_key(&plan));
        let source = ["-5", "1", "2", "10", "2000000000"];
        let only_there = ["01", "3", "30", "99999999999999999999", "no number"];
        assert_eq!(
            walked(db, "", "{id}").await,
            [&source[..], &only_there[..]].concat()
        );
        let pages = db.all_roots(plan, 5).await;
        assert_eq!(
            pages.iter().map(Vec::len).collect::<Vec<_>>(),
            [5, 5, 0],
            "{pages:?}"
        );
        db.run("DELETE FROM t").await;
        let left = walked(db, "", "{id}").await;
        assert_eq!(
            left,
            ["01", "2", "3", "30", "99999999999999999999", "no number"],
            "an emptied table has the roots of its mirror"
        );
    })
    .await;
}

#[tokio::test]
async fn composite_keys_are_walked_in_the_order_of_their_index() {
    let rows = r#"CREATE TABLE t (shop text, number integer, name text, PRIMARY KEY (number, shop));
        INSERT INTO t VALUES ('b', 2, ''), ('a"\b', 10, ''), ('B', 2, ''), ('', 3, ''), ('é', 2, '')"#;
    on_both(rows, async |db| {
        let mirror = db.mirror().await;
        db.run(&format!(
            r#"INSERT INTO {mirror} VALUES ('["2","b"]', NULL), ('["2","c"]', NULL), ('["x","c"]', NULL), ('2', NULL), ('[', NULL),
               ('["2"]', NULL), ('["2","b","c"]', NULL)"#
        ))
        .await;
        let mut found = walked(db, "", "{shop}:{number}").await;
        found.sort();
        let mut expected = [
            r#"["2","b"]"#,
            r#"["10","a\"\\b"]"#,
            r#"["2","B"]"#,
            r#"["3",""]"#,
            r#"["2","é"]"#,
            r#"["2","c"]"#,
            r#"["x","c"]"#,
            "2",
            "[",
            r#"["2"]"#,
            r#"["2","b","c"]"#,
        ];
        expected.sort_unstable();
        assert_eq!(found, expected);
        // Written in another order than the index has.
        let other = plan(db, "id: [shop, number]\n", "{shop}:{number}").await;
        assert_eq!(is_by_key(&other), db.dialect == Dialect::Postgres);
        let ids = walked(db, "id: [shop, number]\n", "{shop}:{number}").await;
        assert!(ids.contains(&r#"["b","2"]"#.to_owned()), "{ids:?}");
    })
    .await;
}

/// Texts that are equal to their column but not as bytes.
#[tokio::test]
async fn the_mirrors_root_of_another_spelling_is_visited() {
    let texts = |collation: &str| {
        format!(
            "CREATE TABLE t (id text {collation} PRIMARY KEY, name text);
             INSERT INTO t VALUES ('a', ''), ('B', ''), ('c:d', ''), ('', '')"
        )
    };
    let check = async |db: &Fixture| {
        let mirror = db.mirror().await;
        db.run(&format!(
            "INSERT INTO {mirror} VALUES ('A', NULL), ('B', NULL), ('b', NULL)"
        ))
        .await;
        assert!(is_by_key(&plan(db, "", "{id}").await));
        let mut found = walked(db, "", "{id}").await;
        found.sort();
        assert_eq!(found, ["", "A", "B", "a", "b", "c:d"]);
    };
    on_sqlite(&texts("COLLATE NOCASE"), check).await;
    let nocase =
        "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);";
    on_postgres(&format!("{nocase}{}", texts("COLLATE nocase")), check).await;
}

#[tokio::test]
async fn keys_of_other_types_are_walked() {
    let rows = "CREATE TABLE t (id uuid PRIMARY KEY, at timestamptz NOT NULL, price numeric NOT NULL, code char(3) NOT NULL,
            tag text NOT NULL, name text, UNIQUE (at, price), UNIQUE (tag), UNIQUE (code, at));
        INSERT INTO t SELECT ('00000000-0000-0000-0000-00000000000' || i)::uuid, '2026-01-01 00:00:00+02'::timestamptz + i * '1.5 ms'::interval,
            i * 1.50, 'x' || i, 'T' || i FROM generate_series(0, 6) i";
    on_postgres(rows, async |db| {
        let mirror = db.mirror().await;
        db.run(&format!(
            "INSERT INTO {mirror} VALUES ('00000000-0000-0000-0000-000000000001', NULL), ('no uuid', NULL)"
        ))
        .await;
        assert_eq!(walked(db, "", "{id}").await.len(), 8);
        for (id, by_key) in [
            ("id: [at, price]\n", true),
            ("id: [price, at]\n", true),
            ("id: [tag]\n", false),
            ("id: [code, at]\n", false),
        ] {
            assert_eq!(is_by_key(&plan(db, id, "{id}").await), by_key, "{id}");
            db.run(&format!("DELETE FROM {mirror}")).await;
            assert_eq!(walked(db, id, "{id}").await.len(), 7, "{id}");
        }
    })
    .await;
}

/// Where SQLite would compare in another way than it keeps, ids are sorted.
#[tokio::test]
async fn columns_of_any_type_are_sorted_on_sqlite() {
    for (declared, by_key) in [
        ("INTEGER", true),
        ("VARCHAR(9)", true),
        ("", false),
        ("BLOB", false),
        ("NUMERIC(5,2)", false),
    ] {
        let rows = format!(
            "CREATE TABLE t (id {declared} PRIMARY KEY, name text);
             INSERT INTO t VALUES (1, ''), ('2', ''), (10, ''), (NULL, '')"
        );
        let rows = if declared == "INTEGER" {
            rows.replace(", (NULL, '')", "")
        } else {
            rows
        };
        on_sqlite(&rows, async |db| {
            db.mirror().await;
            assert_eq!(is_by_key(&plan(db, "", "{id}").await), by_key, "{declared}");
            assert_eq!(walked(db, "", "{id}").await.len(), 3, "{declared}");
        })
        .await;
    }
}

#[test]
fn positions_travel_as_text() {
    for position in [
        Position::Source("a:b".to_owned()),
        Position::Mirror(Some(String::new())),
        Position::Mirror(None),
        Position::Sorted("5".to_owned()),
    ] {
        assert_eq!(Position::parse(&position.to_text()), Some(position));
    }
    assert_eq!(Position::parse("5"), None);
}
