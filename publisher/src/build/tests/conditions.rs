//! `where`: every test, with nulls on both sides.

use super::draft::Draft;
use super::fixture::{Fixture, on_both};
use crate::document::{Comparison, Constant, Operand, Test};

const CELLAR: &str = "
    CREATE TABLE rack (id integer PRIMARY KEY, best integer);
    CREATE TABLE wine (id integer PRIMARY KEY, rack_id integer, year integer, grape text, price numeric(10,2), open boolean);
    INSERT INTO rack VALUES (1, 1990), (2, NULL);
    INSERT INTO wine VALUES (1, 1, 1980, 'a', 9.50, true), (2, 1, 1990, 'b', 10, false), (3, 1, 2000, NULL, 100, true),
                            (4, 1, NULL, 'a', NULL, NULL), (5, 2, NULL, 'b', 1, true), (6, 2, 1990, 'a', 1, true);
";

fn constant(text: &str) -> Operand {
    Operand::Constant(Constant(text.to_owned()))
}

/// Ids of the wines of both racks that pass.
async fn passing(db: &Fixture, column: &str, test: impl Fn(&Draft) -> Test) -> [String; 2] {
    let mut draft = db.draft("rack").await;
    let wine = draft.node(0, "wine", &[("rack_id", (0, "id"))]);
    let test = test(&draft);
    draft.filter(wine, column, test);
    let body = vec![("wines", draft.many(wine, "id"))];
    let plan = db.plan(draft.body(body)).await;
    let documents = db.documents(&plan, &["1", "2"]).await;
    let documents: Vec<_> = documents
        .into_iter()
        .map(|(_, body)| body.replace(r#"{"wines":"#, "").replace('}', ""))
        .collect();
    documents.try_into().unwrap()
}

#[tokio::test]
async fn constants() {
    use Comparison::{Greater, GreaterOrEqual, Less, LessOrEqual};
    on_both(CELLAR, async |db| {
        let cases: Vec<(&str, Test, [&str; 2])> = vec![
            ("year", Test::IsNotNull, ["[1,2,3]", "[6]"]),
            (
                "year",
                Test::OneOf(vec![constant("1980"), constant("1990")]),
                ["[1,2]", "[6]"],
            ),
            ("year", Test::NoneOf(vec![constant("1990")]), ["[1,3,4]", "[5]"]),
            (
                "year",
                Test::NoneOf(vec![constant("1990"), constant("2000")]),
                ["[1,4]", "[5]"],
            ),
            ("grape", Test::NoneOf(vec![constant("a")]), ["[2,3]", "[5]"]),
            ("grape", Test::OneOf(vec![constant("a")]), ["[1,4]", "[6]"]),
            // Numbers, not texts: 9.50 < 10 < 100.
            ("price", Test::Compares(Greater, constant("9.5")), ["[2,3]", "[]"]),
            (
                "price",
                Test::Compares(GreaterOrEqual, constant("9.5")),
                ["[1,2,3]", "[]"],
            ),
            ("price", Test::Compares(Less, constant("10")), ["[1]", "[5,6]"]),
            (
                "price",
                Test::Compares(LessOrEqual, constant("10.0")),
                ["[1,2]", "[5,6]"],
            ),
            ("open", Test::NoneOf(vec![constant("true")]), ["[2,4]", "[]"]),
        ];
        for (column, test, expected) in cases {
            let found = passing(db, column, |_| test.clone()).await;
            assert_eq!(found, expected, "{column} {test:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn columns_of_the_enclosing_row() {
    use Comparison::{Greater, LessOrEqual};
    on_both(CELLAR, async |db| {
        let best = |draft: &Draft| Operand::Column(draft.at(0, "best"));
        let found = passing(db, "year", |draft| Test::Compares(LessOrEqual, best(draft))).await;
        assert_eq!(found, ["[1,2]", "[]"]);
        let found = passing(db, "year", |draft| Test::Compares(Greater, best(draft))).await;
        assert_eq!(found, ["[3]", "[]"]);
        // Null is distinct from 1990, and not from null.
        let found = passing(db, "year", |draft| Test::NoneOf(vec![best(draft)])).await;
        assert_eq!(found, ["[1,3,4]", "[6]"]);
        let found = passing(db, "year", |draft| {
            Test::NoneOf(vec![constant("1980"), best(draft)])
        })
        .await;
        assert_eq!(found, ["[3,4]", "[6]"]);
        // A null in the list takes nothing away from the others.
        let found = passing(db, "year", |draft| {
            Test::OneOf(vec![best(draft), constant("1990")])
        })
        .await;
        assert_eq!(found, ["[2]", "[6]"]);
    })
    .await;
}

#[tokio::test]
async fn columns_on_both_sides_are_watched() {
    on_both(CELLAR, async |db| {
        let mut draft = db.draft("rack").await;
        let wine = draft.node(0, "wine", &[("rack_id", (0, "id"))]);
        let best = Operand::Column(draft.at(0, "best"));
        draft.filter(wine, "year", Test::OneOf(vec![constant("1980"), best]));
        let body = vec![("wines", draft.many(wine, "id"))];
        let plan = db.plan(draft.body(body)).await;
        let watched = |table: &str| {
            let used = &plan.uses[table];
            let names = used
                .watched
                .iter()
                .map(|&column| used.table.columns[column].name.as_str());
            names.collect::<Vec<_>>()
        };
        assert_eq!(
            (watched("rack"), watched("wine")),
            (vec!["id", "best"], vec!["id", "rack_id", "year"])
        );
    })
    .await;
}
