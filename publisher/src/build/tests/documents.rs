//! Roots, keys, failures and what is derived beside the SELECTs.

use sea_orm::ConnectionTrait as _;
use serde_json::json;

use super::draft::{by, many, object, one};
use super::fixture::{on_both, on_postgres, on_sqlite};
use crate::build::{BuildError, build};
use crate::document::{KeySegment, Value};

const LINES: &str = "
    CREATE TABLE line (shop text, number integer, note text, PRIMARY KEY (shop, number));
    CREATE TABLE part (id integer PRIMARY KEY, shop text, line integer, name text);
    INSERT INTO line VALUES ('a\"b', 1, 'x'), ('a', 2, NULL);
    INSERT INTO part VALUES (1, 'a', 2, 'p'), (2, 'a', 2, 'q'), (3, 'a', 3, 'r');
";

#[tokio::test]
async fn composite_keys_work_like_any_other() {
    on_both(LINES, async |db| {
        let mut draft = db.draft("line").await;
        let part = draft.node(0, "part", &[("shop", (0, "shop")), ("line", (0, "number"))]);
        let body = vec![
            ("note", draft.value(0, "note")),
            ("parts", draft.many(part, "name")),
        ];
        let plan = db.plan(draft.body(body)).await;
        let roots = [r#"["a","2"]"#, r#"["a\"b","1"]"#];
        assert_eq!(
            db.documents(&plan, &roots).await,
            [
                (
                    "doc:a:2".to_owned(),
                    r#"{"note":null,"parts":["p","q"]}"#.to_owned()
                ),
                ("doc:a\"b:1".to_owned(), r#"{"note":"x","parts":[]}"#.to_owned()),
            ]
        );
        assert_eq!(
            db.reach(&plan, "part", &[("id", "9"), ("shop", "a"), ("line", "2")])
                .await,
            [roots[0]]
        );
        assert_eq!(
            db.reach(&plan, "line", &[("shop", "gone"), ("number", "7")])
                .await,
            [r#"["gone","7"]"#]
        );

        for root in ["nonsense", r#"["a", "2"]"#, r#"["a"]"#] {
            let failure = db.outcomes(&plan, &[root]).await.remove(0).remove(0).unwrap_err();
            assert_eq!((failure.key.as_deref(), failure.class), (None, "root"));
            let message =
                format!("the id {root:?} is no JSON array of 2 texts without blanks, such as [\"1\",\"a\"]");
            assert_eq!(failure.message, message);
        }
    })
    .await;
}

/// What SQL writes is what the worker reads, whatever stands in a key.
#[tokio::test]
async fn composite_ids_have_one_text() {
    on_both(LINES, async |db| {
        let odd: String = (1..0x100u32)
            .filter_map(char::from_u32)
            .chain("\u{2028}🦀".chars())
            .collect();
        let insert = db.dialect.literal(&odd);
        db.run(&format!(
            "DELETE FROM line; INSERT INTO line VALUES ({insert}, 1, 'odd')"
        ))
        .await;
        let draft = db.draft("line").await;
        let body = vec![("note", draft.value(0, "note"))];
        let plan = db.plan(draft.body(body)).await;
        let root = db
            .reach(&plan, "line", &[("shop", odd.as_str()), ("number", "1")])
            .await
            .remove(0);
        assert_eq!(db.bodies(&plan, &root).await, [r#"{"note":"odd"}"#], "{root}");
    })
    .await;
}

/// More instances than one query takes.
#[tokio::test]
async fn wide_nodes_are_read_in_several_queries() {
    let rows = "CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1);
        CREATE TABLE c (id integer PRIMARY KEY, t_id integer); CREATE INDEX c_t ON c (t_id);
        INSERT INTO c WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5001) SELECT i, 1 FROM n;
        CREATE TABLE g (id integer PRIMARY KEY, c_id integer); CREATE INDEX g_c ON g (c_id);
        INSERT INTO g SELECT id, id FROM c WHERE id IN (1, 5000, 5001)";
    on_both(rows, async |db| {
        let mut draft = db.draft("t").await;
        let child = draft.node(0, "c", &[("t_id", (0, "id"))]);
        let grandchild = draft.node(child, "g", &[("c_id", (child, "id"))]);
        let body = vec![("c", many(child, draft.many(grandchild, "id")))];
        let plan = db.plan(draft.body(body)).await;
        let expected = format!("{{\"c\":[[1],{}[5000],[5001]]}}", "[],".repeat(4998));
        assert_eq!(db.bodies(&plan, "1").await, [expected]);
    })
    .await;
}

#[tokio::test]
async fn a_root_is_its_own_text() {
    on_sqlite(
        "CREATE TABLE t (code text COLLATE NOCASE PRIMARY KEY); INSERT INTO t VALUES ('ABC')",
        async |db| {
            let draft = db.draft("t").await;
            let body = vec![("code", draft.value(0, "code"))];
            let plan = db.plan(draft.body(body)).await;
            let outcomes = db.outcomes(&plan, &["abc", "ABC"]).await;
            assert_eq!((outcomes[0].len(), outcomes[1].len()), (0, 1));
        },
    )
    .await;
}

#[tokio::test]
async fn keys_are_encoded_by_what_follows() {
    on_both(
        "CREATE TABLE t (id integer PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x-y:z ü')",
        async |db| {
            let mut draft = db.draft("t").await;
            draft.document.key = vec![
                KeySegment::Literal("k-".to_owned()),
                KeySegment::Column(draft.at(0, "a")),
                KeySegment::Literal("-".to_owned()),
                KeySegment::Column(draft.at(0, "id")),
            ];
            let plan = db
                .plan(draft.body(vec![("one", Value::Constant("[1, {\"a\": 2}]".to_owned()))]))
                .await;
            let built = db.outcomes(&plan, &["1"]).await.remove(0).remove(0).unwrap();
            assert_eq!(built.key, "k-x%2Dy%3Az%20ü-1");
            assert_eq!(built.body, r#"{"one":[1, {"a": 2}]}"#);
            assert_eq!(
                built.hash,
                format!("{:032x}", xxhash_rust::xxh3::xxh3_128(built.body.as_bytes()))
            );
        },
    )
    .await;
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let rows = "CREATE TABLE t (id integer PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x'), (2, NULL)";
    on_both(rows, async |db| {
        let long = "y".repeat(super::super::MAX_BODY);
        db.run(&format!("UPDATE t SET a = '{long}' WHERE id = 2")).await;
        let draft = db.draft("t").await;
        let body = vec![("a", draft.value(0, "a"))];
        let plan = db.plan(draft.body(body)).await;
        let outcomes = db.outcomes(&plan, &["1", "2"]).await;
        assert!(outcomes[0][0].is_ok());
        let failure = outcomes[1][0].as_ref().unwrap_err();
        assert_eq!((failure.key.as_deref(), failure.class), (Some("doc:2"), "size"));
        assert_eq!(
            failure.message,
            "the body exceeds 4194304 bytes: limit its rows, or make several documents of it"
        );
    })
    .await;
}

/// The rows are read into memory, whatever becomes of them: there is a limit for them too.
#[tokio::test]
async fn rows_of_one_root_have_a_limit() {
    let rows = "CREATE TABLE t (id integer PRIMARY KEY, a text); \
                CREATE TABLE c (id integer PRIMARY KEY, t_id integer REFERENCES t (id), a text); \
                INSERT INTO t VALUES (1, 'x'), (2, 'y'); INSERT INTO c VALUES (1, 1, 'x')";
    on_both(rows, async |db| {
        let long = "y".repeat(super::super::MAX_BODY);
        db.run(&format!("INSERT INTO c VALUES (101, 2, '{long}')")).await;
        for id in 102..118 {
            db.run(&format!("INSERT INTO c SELECT {id}, 2, a FROM c WHERE id = 101")).await;
        }
        let mut draft = db.draft("t").await;
        let child = draft.node(0, "c", &[("t_id", (0, "id"))]);
        let body = vec![("texts", draft.many(child, "a"))];
        let plan = db.plan(draft.body(body)).await;
        let roots = ["1".to_owned(), "2".to_owned()];
        let together = build(&db.conn, &plan, &roots).await.unwrap_err();
        assert!(
            matches!(together, BuildError::TooMuch { roots: 2, fit: 1 }),
            "{together:?}"
        );
        assert_eq!(
            together.to_string(),
            "the rows or documents of 2 roots are more than a worker keeps in its memory; it keeps those of 1"
        );
        assert!(db.outcomes(&plan, &["1"]).await[0][0].is_ok());
        let alone = db.outcomes(&plan, &["2"]).await.remove(0).remove(0).unwrap_err();
        assert_eq!((alone.key, alone.class), (None, "size"));
        assert_eq!(
            alone.message,
            "the rows of this one doc are more than 64 MiB, and a document has 4 MiB at most: let its SELECTs read less"
        );
    })
    .await;
}

#[tokio::test]
async fn faults_of_the_definition_are_database_errors() {
    on_both("CREATE TABLE t (id integer PRIMARY KEY, a text)", async |db| {
        let draft = db.draft("t").await;
        let body = vec![("a", draft.value(0, "a"))];
        let plan = db.plan(draft.body(body)).await;
        db.conn
            .execute_unprepared("ALTER TABLE t DROP COLUMN a")
            .await
            .unwrap();
        let error = crate::build::build(&db.conn, &plan, &["1".to_owned()])
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "SELECT of root t");
    })
    .await;
}

#[tokio::test]
async fn mappings_follow_column_types() {
    let tables = "CREATE TYPE mood AS ENUM ('good', 'bad');
        CREATE TABLE t (id bigint PRIMARY KEY, name text, code varchar(5), mood mood, gid uuid, price numeric(10,2),
            seen timestamptz, born date, ok boolean, more jsonb, ratio real, tags text[], span int4range);
        CREATE TABLE c (id integer PRIMARY KEY, t_id bigint REFERENCES t, name text);";
    on_postgres(tables, async |db| {
        let mut draft = db.draft("t").await;
        let child = draft.node(0, "c", &[("t_id", (0, "id"))]);
        let keyed = draft.node(0, "c", &[("t_id", (0, "id"))]);
        let single = draft.node(0, "c", &[("t_id", (0, "id"))]);
        let columns = [
            "id", "name", "code", "mood", "gid", "price", "seen", "born", "ok", "more", "ratio", "tags",
            "span",
        ];
        let mut body: Vec<_> = columns.iter().map(|name| (*name, draft.value(0, name))).collect();
        body.push(("big", draft.text(0, "id")));
        body.push((
            "children",
            many(child, object(vec![("id", draft.value(child, "id"))])),
        ));
        body.push((
            "keyed",
            by(keyed, vec![draft.at(keyed, "id")], draft.value(keyed, "name")),
        ));
        body.push(("single", one(single, draft.value(single, "name"))));
        body.push(("n", Value::Constant("null".to_owned())));
        let text = json!({ "type": "text", "fields": { "raw": { "type": "keyword", "ignore_above": 256 } } });
        let short = json!({ "type": "keyword", "ignore_above": 256 });
        let expected = json!({
            "id": { "type": "long" }, "name": text, "code": text, "mood": { "type": "keyword" },
            "gid": { "type": "keyword" }, "price": { "type": "double" }, "seen": { "type": "date" },
            "born": { "type": "date" }, "ok": { "type": "boolean" }, "more": { "type": "flat_object" },
            "ratio": { "type": "double" }, "tags": short, "span": short, "big": short,
            "children": { "properties": { "id": { "type": "long" } } }, "keyed": { "type": "flat_object" },
            "single": text,
        });
        assert_eq!(db.plan(draft.body(body)).await.mapping, expected);
    })
    .await;
}
