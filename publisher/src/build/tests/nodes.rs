//! Constructs of the body.

use sea_orm::{ConnectionTrait, Statement};

use super::draft::{by, equals, many, object, one};
use super::fixture::{on_both, on_sqlite};
use crate::document::{Constant, Operand, Test, Value};

const MUSIC: &str = "
    CREATE TABLE artist (id integer PRIMARY KEY, name text NOT NULL, mentor_id integer REFERENCES artist);
    CREATE TABLE album (id integer PRIMARY KEY, artist_id integer REFERENCES artist, title text, year integer);
    CREATE TABLE track (id integer PRIMARY KEY, album_id integer REFERENCES album, title text, price numeric(10,2));
    CREATE TABLE tag (id integer PRIMARY KEY, name text);
    CREATE TABLE album_tag (id integer PRIMARY KEY, album_id integer REFERENCES album, tag_id integer REFERENCES tag,
                            position integer);
    CREATE TABLE note (album_id integer, line text);
    INSERT INTO artist VALUES (1, 'Ada', NULL), (2, 'Bob', 1), (3, 'Cy', 2);
    INSERT INTO album VALUES (1, 1, 'One', 1970), (2, 1, 'Two', NULL), (3, 1, 'Three', 1960), (4, 2, 'Four', 1980),
                             (5, NULL, 'Lost', 1990), (6, 1, 'Six', 1970);
    INSERT INTO track VALUES (1, 1, 'a', 19.90), (2, 1, 'b', 1), (3, 2, 'c', NULL), (4, 4, 'd', 0.5);
    INSERT INTO tag VALUES (1, 'rock'), (2, 'jazz');
    INSERT INTO album_tag VALUES (1, 1, 2, 1), (2, 1, 1, 2), (3, 1, 2, 3), (4, 4, 1, 1);
    INSERT INTO note VALUES (1, 'z'), (1, 'a'), (1, 'a');
";

#[tokio::test]
async fn nodes_nest_to_any_depth() {
    on_both(MUSIC, async |db| {
        let mut draft = db.draft("artist").await;
        let album = draft.node(0, "album", &[("artist_id", (0, "id"))]);
        let track = draft.node(album, "track", &[("album_id", (album, "id"))]);
        // `parent.x` two levels down, and a plain object between.
        let price = object(vec![("price", draft.value(track, "price")), ("year", draft.value(album, "year"))]);
        let tracks = many(track, object(vec![("title", draft.value(track, "title")), ("more", price)]));
        let body = vec![
            ("name", draft.value(0, "name")),
            ("albums", many(album, object(vec![("title", draft.value(album, "title")), ("tracks", tracks)]))),
        ];
        let plan = db.plan(draft.body(body)).await;
        let documents = db.documents(&plan, &["2", "1", "3", "9"]).await;
        let expected = [
            ("doc:2", r#"{"name":"Bob","albums":[{"title":"Four","tracks":[{"title":"d","more":{"price":0.50,"year":1980}}]}]}"#),
            (
                "doc:1",
                concat!(
                    r#"{"name":"Ada","albums":[{"title":"One","tracks":[{"title":"a","more":{"price":19.90,"year":1970}},"#,
                    r#"{"title":"b","more":{"price":1.00,"year":1970}}]},"#,
                    r#"{"title":"Two","tracks":[{"title":"c","more":{"price":null,"year":null}}]},"#,
                    r#"{"title":"Three","tracks":[]},{"title":"Six","tracks":[]}]}"#,
                ),
            ),
            ("doc:3", r#"{"name":"Cy","albums":[]}"#),
        ];
        assert_eq!(documents, expected.map(|(key, body)| (key.to_owned(), body.to_owned())));
    })
    .await;
}

#[tokio::test]
async fn order_puts_nulls_last_and_ties_by_key() {
    on_both(MUSIC, async |db| {
        for (order, titles) in [
            (vec![], r#"["One","Two","Three","Six"]"#),
            (vec!["year"], r#"["Three","One","Six","Two"]"#),
            (vec!["-year"], r#"["One","Six","Three","Two"]"#),
            (vec!["-year", "-id"], r#"["Six","One","Three","Two"]"#),
        ] {
            let mut draft = db.draft("artist").await;
            let album = draft.node(0, "album", &[("artist_id", (0, "id"))]);
            draft.order(
                album,
                &order.iter().map(|column| (album, *column)).collect::<Vec<_>>(),
            );
            let document = vec![("albums", draft.many(album, "title"))];
            let plan = db.plan(draft.body(document)).await;
            assert_eq!(
                db.bodies(&plan, "1").await,
                [format!(r#"{{"albums":{titles}}}"#)],
                "{order:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn limit_is_per_enclosing_row() {
    on_both(MUSIC, async |db| {
        let mut draft = db.draft("artist").await;
        let album = draft.node(0, "album", &[("artist_id", (0, "id"))]);
        draft.order(album, &[(album, "-year")]);
        draft.limit(album, 2);
        let counted = draft.node(0, "album", &[("artist_id", (0, "id"))]);
        draft.limit(counted, 3);
        let all = draft.node(0, "album", &[("artist_id", (0, "id"))]);
        let seventies = draft.node(0, "album", &[("artist_id", (0, "id"))]);
        draft.filter(seventies, "year", equals("1970"));
        let undated = draft.node(0, "album", &[("artist_id", (0, "id"))]);
        draft.filter(undated, "year", Test::IsNull);
        let body = vec![
            ("albums", draft.many(album, "title")),
            ("some", Value::Count { source: counted }),
            ("all", Value::Count { source: all }),
            ("seventies", Value::Count { source: seventies }),
            ("undated", Value::Count { source: undated }),
        ];
        let plan = db.plan(draft.body(body)).await;
        let bodies: Vec<String> = db
            .documents(&plan, &["1", "2", "3"])
            .await
            .into_iter()
            .map(|(_, body)| body)
            .collect();
        let expected = [
            r#"{"albums":["One","Six"],"some":3,"all":4,"seventies":2,"undated":1}"#,
            r#"{"albums":["Four"],"some":1,"all":1,"seventies":0,"undated":0}"#,
            r#"{"albums":[],"some":0,"all":0,"seventies":0,"undated":0}"#,
        ];
        assert_eq!(bodies, expected);
    })
    .await;
}

#[tokio::test]
async fn junction_rows_count_each() {
    on_both(MUSIC, async |db| {
        let mut draft = db.draft("album").await;
        let joins: &[_] = &[("album_id", (0, "id"))];
        let tag = draft.node_via("tag", ("album_tag", joins), &[("id", "tag_id")]);
        let junction = tag - 1;
        draft.order(tag, &[(junction, "-position")]);
        let plain = draft.node_via("tag", ("album_tag", joins), &[("id", "tag_id")]);
        let number = draft.node_via("tag", ("album_tag", joins), &[("id", "tag_id")]);
        let entry = object(vec![
            ("name", draft.value(tag, "name")),
            ("place", draft.value(junction, "position")),
        ]);
        let body = vec![
            ("tags", many(tag, entry)),
            ("plain", draft.many(plain, "name")),
            ("number", Value::Count { source: number }),
        ];
        let plan = db.plan(draft.body(body)).await;
        assert_eq!(
            db.bodies(&plan, "1").await,
            [concat!(
                r#"{"tags":[{"name":"jazz","place":3},{"name":"rock","place":2},{"name":"jazz","place":1}],"#,
                r#""plain":["rock","jazz","jazz"],"number":3}"#
            )]
        );
        assert_eq!(
            db.bodies(&plan, "2").await,
            [r#"{"tags":[],"plain":[],"number":0}"#]
        );
    })
    .await;
}

#[tokio::test]
async fn to_one_follows_keys_and_itself() {
    on_both(MUSIC, async |db| {
        let mut draft = db.draft("artist").await;
        let mentor = draft.node(0, "artist", &[("id", (0, "mentor_id"))]);
        let above = draft.node(mentor, "artist", &[("id", (mentor, "mentor_id"))]);
        let pupils = draft.node(0, "artist", &[("mentor_id", (0, "id"))]);
        let latest = draft.node(0, "album", &[("artist_id", (0, "id"))]);
        draft.order(latest, &[(latest, "-year")]);
        draft.limit(latest, 1);
        let mentor_body = object(vec![
            ("name", draft.value(mentor, "name")),
            ("mentor", one(above, draft.value(above, "name"))),
        ]);
        let fallback = vec![
            one(latest, draft.value(latest, "title")),
            draft.value(0, "mentor_id"),
            Value::Constant("{\"none\":true}".to_owned()),
        ];
        let body = vec![
            ("mentor", one(mentor, mentor_body)),
            ("pupils", draft.many(pupils, "name")),
            ("latest", one(latest, draft.value(latest, "title"))),
            ("first", Value::First(fallback)),
        ];
        let plan = db.plan(draft.body(body)).await;
        let bodies: Vec<String> = db
            .documents(&plan, &["1", "3"])
            .await
            .into_iter()
            .map(|(_, body)| body)
            .collect();
        let expected = [
            r#"{"mentor":null,"pupils":["Bob"],"latest":"One","first":"One"}"#,
            r#"{"mentor":{"name":"Bob","mentor":"Ada"},"pupils":[],"latest":null,"first":2}"#,
        ];
        assert_eq!(bodies, expected);
    })
    .await;
}

#[tokio::test]
async fn by_makes_nested_objects() {
    let rows = "CREATE TABLE product (id integer PRIMARY KEY);
        CREATE TABLE price (id integer PRIMARY KEY, product_id integer, currency text, gross boolean, amount numeric(10,2));
        INSERT INTO product VALUES (1), (2);
        INSERT INTO price VALUES (1, 1, 'EUR', true, 1), (2, 1, 'CHF', false, 2), (3, 1, 'EUR', false, 3),
            (4, 1, NULL, true, 4), (5, 1, 'CHF', NULL, 5), (6, 1, 'EUR', true, 6), (7, 1, 'USD', NULL, 7);";
    on_both(rows, async |db| {
        let mut draft = db.draft("product").await;
        let nested = draft.node(0, "price", &[("product_id", (0, "id"))]);
        let flat = draft.node(0, "price", &[("product_id", (0, "id"))]);
        let keys = vec![draft.at(nested, "currency"), draft.at(nested, "gross")];
        let body = vec![
            ("nested", by(nested, keys, draft.value(nested, "amount"))),
            ("flat", by(flat, vec![draft.at(flat, "amount")], draft.value(flat, "currency"))),
        ];
        let plan = db.plan(draft.body(body)).await;
        assert_eq!(
            db.bodies(&plan, "1").await,
            [concat!(
                r#"{"nested":{"EUR":{"true":6.00,"false":3.00},"CHF":{"false":2.00}},"flat":{"1.00":"EUR","2.00":"CHF","#,
                r#""3.00":"EUR","4.00":null,"5.00":"CHF","6.00":"EUR","7.00":"USD"}}"#
            )]
        );
        assert_eq!(db.bodies(&plan, "2").await, [r#"{"nested":{},"flat":{}}"#]);
    })
    .await;
}

#[tokio::test]
async fn rows_without_a_key_are_ordered_by_what_is_used() {
    on_both(MUSIC, async |db| {
        let mut draft = db.draft("album").await;
        let note = draft.node(0, "note", &[("album_id", (0, "id"))]);
        let joined = draft.node(0, "note", &[("album_id", (0, "id"))]);
        draft.filter(
            joined,
            "line",
            Test::Equals(Operand::Column(draft.at(0, "title"))),
        );
        let body = vec![
            ("notes", draft.many(note, "line")),
            ("same", Value::Count { source: joined }),
        ];
        let plan = db.plan(draft.body(body)).await;
        assert_eq!(
            db.bodies(&plan, "1").await,
            [r#"{"notes":["a","a","z"],"same":0}"#]
        );
    })
    .await;
}

const VIEWS: &str = "
    CREATE TABLE product (id integer PRIMARY KEY, view_id integer);
    CREATE TABLE content (product_id integer, attribute_id integer, view_id integer, content text,
        PRIMARY KEY (product_id, attribute_id, view_id));
    CREATE INDEX content_by_view ON content (view_id);
";

/// What a filter or a second column compares stands in an index too. Nearly every row has that value.
#[tokio::test]
async fn rows_are_found_by_what_joins_them() {
    on_sqlite(VIEWS, async |db| {
        let mut draft = db.draft("product").await;
        let filtered = draft.node(0, "content", &[("product_id", (0, "id"))]);
        let view = Test::Equals(Operand::Constant(Constant("0".to_owned())));
        draft.filter(filtered, "view_id", view);
        let both = draft.node(
            0,
            "content",
            &[("view_id", (0, "view_id")), ("product_id", (0, "id"))],
        );
        let body = vec![
            ("filtered", draft.many(filtered, "content")),
            ("both", draft.many(both, "content")),
        ];
        let plan = db.plan(draft.body(body)).await;
        for node in [filtered, both] {
            let sql = &plan.steps[node].as_ref().unwrap().sql;
            let explain = Statement::from_sql_and_values(
                db.conn.get_database_backend(),
                format!("EXPLAIN QUERY PLAN {sql}"),
                ["[]".into()],
            );
            let rows = db.conn.query_all_raw(explain).await.unwrap();
            let lines: Vec<String> = rows
                .iter()
                .map(|row| row.try_get("", "detail").unwrap())
                .collect();
            assert!(
                lines.iter().any(|line| line.contains("(product_id=?)")),
                "{lines:#?}"
            );
        }
    })
    .await;
}
