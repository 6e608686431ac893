//! Why roots have no documents, when time changes that, and what counts when bodies are compared.

use super::fixture::{Fixture, on_both, on_postgres, on_sqlite};
use crate::build::{Built, build};
use crate::plan::DocumentPlan;

/// 2999-01-01 in UTC, in microseconds.
const FAR: i64 = 32_472_144_000_000_000;

const SALES: &str = "
    CREATE TABLE season (id integer PRIMARY KEY, opens timestamp);
    CREATE TABLE sale (id integer PRIMARY KEY, season_id integer REFERENCES season (id), active boolean,
        starts timestamp, ends date, note text);
    INSERT INTO season VALUES (1, '2020-01-01 00:00:00'), (2, '2999-01-01 00:00:00');
    INSERT INTO sale VALUES
        (1, 1, true, NULL, NULL, 'always'),
        (2, 2, true, '2999-01-01 00:00:00', NULL, 'not yet'),
        (3, 1, true, '2020-01-01 00:00:00', '2999-01-01', 'now'),
        (4, NULL, true, '2020-01-01 00:00:00', '2020-01-02', 'over'),
        (5, 1, false, NULL, '2999-01-01', 'left out');
";

async fn built(db: &Fixture, plan: &DocumentPlan, roots: &[&str]) -> Vec<Built> {
    let roots: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
    build(&db.conn, plan, &roots)
        .await
        .unwrap_or_else(|error| panic!("{error:?}"))
}

/// Number of documents, next moment, whether the rows stay.
fn seen(built: &[Built]) -> Vec<(usize, Option<i64>, bool)> {
    built
        .iter()
        .map(|b| (b.documents.iter().flatten().count(), b.due, b.kept))
        .collect()
}

fn document(lines: &str) -> String {
    format!("document: doc\nroot: sale\nkey: \"doc:{{id}}\"\n{lines}\nbody: {{ note: note, id: id }}\n")
}

#[tokio::test]
async fn time_shows_and_hides() {
    on_both(SALES, async |db| {
        let text = document("visible: { from: starts, until: ends }\nwhere: { active: true }");
        let plan = db.written(&text).await;
        let built = built(db, &plan, &["1", "2", "3", "4", "5", "6"]).await;
        assert_eq!(
            seen(&built),
            [
                (1, None, false),
                (0, Some(FAR), false),
                (1, Some(FAR), false),
                (0, None, false),
                (0, Some(FAR), false),
                (0, None, false),
            ]
        );
        let watched = &plan.uses["sale"].watched;
        assert!(watched.contains(&3) && watched.contains(&4), "{watched:?}");
    })
    .await;
}

/// The moment of a row that the root names.
#[tokio::test]
async fn time_through_a_foreign_key() {
    on_both(SALES, async |db| {
        let plan = db.written(&document("visible: { from: season.opens }")).await;
        let built = built(db, &plan, &["1", "2", "4"]).await;
        assert_eq!(
            seen(&built),
            [(1, None, false), (0, Some(FAR), false), (1, None, false)]
        );
        assert_eq!(db.reach(&plan, "season", &[("id", "2")]).await, ["2"]);
    })
    .await;
}

#[tokio::test]
async fn zones_and_infinity() {
    let sql = "CREATE TABLE sale (id integer PRIMARY KEY, starts timestamptz, ends timestamptz, note text);
        INSERT INTO sale VALUES (1, '2999-01-01 02:00:00+02', NULL, ''), (2, '-infinity', 'infinity', ''),
            (3, 'infinity', NULL, ''), (4, '0044-03-15 BC', '294276-12-31 23:59:59', '');";
    on_postgres(sql, async |db| {
        let plan = db
            .written(&document("visible: { from: starts, until: ends }"))
            .await;
        let built = built(db, &plan, &["1", "2", "3", "4"]).await;
        assert_eq!(
            seen(&built),
            [
                (0, Some(FAR), false),
                (1, None, false),
                (0, None, false),
                (1, None, false)
            ]
        );
    })
    .await;
}

/// SQLite keeps anything in any column. What is no date is a failure of its root, whose rows stay.
#[tokio::test]
async fn texts_of_dates() {
    let sql = "CREATE TABLE sale (id integer PRIMARY KEY, starts datetime, note text);
        INSERT INTO sale VALUES (1, '2999-01-01T02:00:00+02:00', ''), (2, '2999-01-01T00:00:00Z', ''), (3, '2020-01-01', ''),
            (4, 'soon', ''), (5, 1700000000, ''), (6, '2020-13-41', '');";
    on_sqlite(sql, async |db| {
        let plan = db.written(&document("visible: { from: starts }")).await;
        let built = built(db, &plan, &["1", "2", "3", "4", "5", "6"]).await;
        let far = (0, Some(FAR), false);
        assert_eq!(seen(&built[..3]), [far, far, (1, None, false)]);
        for built in &built[3..] {
            let failure = built.documents[0].as_ref().unwrap_err();
            assert_eq!((failure.key.as_deref(), failure.class), (None, "value"));
            assert_eq!(
                failure.message,
                "starts holds no date, so nobody knows when it shows"
            );
        }
    })
    .await;
}

/// Only what vanished stays; what `where` leaves out goes.
#[tokio::test]
async fn absent_roots_are_kept() {
    on_both(SALES, async |db| {
        let plan = db
            .written(&document("absent: keep\nwhere: { active: true }"))
            .await;
        let built = built(db, &plan, &["1", "5", "6"]).await;
        assert_eq!(
            seen(&built),
            [(1, None, false), (0, None, false), (0, None, true)]
        );
    })
    .await;
}

#[tokio::test]
async fn unhashed_members_do_not_count() {
    on_both(SALES, async |db| {
        let hash = async |lines: &str| {
            let plan = db.written(&document(lines)).await;
            let built = built(db, &plan, &["1"]).await;
            built[0].documents[0].as_ref().unwrap().clone()
        };
        let (plain, reduced) = (hash("").await, hash("unhashed: [note]").await);
        assert_eq!(plain.body, reduced.body);
        assert_ne!(plain.hash, reduced.hash);
        db.run("UPDATE sale SET note = 'other' WHERE id = 1").await;
        assert_ne!(hash("").await.hash, plain.hash);
        let after = hash("unhashed: [note]").await;
        assert_eq!(after.hash, reduced.hash);
        assert_ne!(after.body, reduced.body);
        assert_ne!(hash("unhashed: [id]").await.hash, reduced.hash);
    })
    .await;
}
