//! Column values in JSON, of every kind, and values without a JSON form.

use super::draft::Draft;
use super::fixture::{Fixture, on_postgres, on_sqlite};
use crate::document::Value;

/// All columns of `t` but the key, raw.
async fn members(db: &Fixture) -> Vec<String> {
    let draft = db.draft("t").await;
    let body: Vec<(String, Value)> = columns(&draft)
        .iter()
        .map(|name| (name.clone(), draft.value(0, name)))
        .collect();
    let plan = db
        .plan(
            draft.body(
                body.iter()
                    .map(|(name, value)| (name.as_str(), value.clone()))
                    .collect(),
            ),
        )
        .await;
    let body = db.bodies(&plan, "1").await.remove(0);
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&body).unwrap();
    // The text between names, not what a parser makes of it.
    let names: Vec<&String> = members.keys().collect();
    let mut rest = body.as_str();
    let mut texts = Vec::new();
    for (i, name) in names.iter().enumerate() {
        rest = &rest[format!("{{\"{name}\":").len()..];
        let end = names.get(i + 1).map_or(rest.len() - 1, |next| {
            rest.find(&format!(",\"{next}\":")).unwrap()
        });
        texts.push(format!("{name} {}", &rest[..end]));
        rest = &rest[end..];
    }
    texts
}

fn columns(draft: &Draft) -> Vec<String> {
    draft.document.sources[0]
        .table
        .columns
        .iter()
        .skip(1)
        .map(|column| column.name.clone())
        .collect()
}

#[tokio::test]
async fn postgres_values_are_exact() {
    let sql = r#"
        CREATE TYPE mood AS ENUM ('good', 'not "good"');
        CREATE DOMAIN amount AS numeric(12,4);
        CREATE DOMAIN fee AS amount CHECK (VALUE > 0);
        CREATE TABLE t (id integer PRIMARY KEY, a numeric, b numeric(10,2), c boolean, d bigint, e float8, f real,
            g timestamp, h timestamptz, i timestamptz, j date, k bytea, l mood, m text[], n jsonb, o json, p int4range,
            q interval, r uuid, s fee, u time, v char(4), w text, x integer[], y timestamp, z inet);
        INSERT INTO t VALUES (1, 123456789012345678901234567890.10, 19.9, false, 9007199254740993, 0.1, 1e20,
            '2024-01-02 03:04:05.120', '2024-01-02 03:04:05+02', '2024-01-02 03:04:05.000001+00', '2024-01-02',
            decode(repeat('00ff', 40), 'hex'), 'not "good"', ARRAY['a', NULL, 'b"'], '{"z": 1.00, "a": 2}',
            E'{"z" :\n 1.00, "z": "\\n"}', '[1,5)', '1 day 02:00', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 1.5, '03:04', 'ab',
            E'x\ny\t\u0001', '{{1,2},{3,4}}', '0044-03-15 00:00:00 BC', '10.0.0.1');
    "#;
    on_postgres(sql, async |db| {
        let long = "AP8A/wD/".repeat(13) + "AP8=";
        let expected = [
            "a 123456789012345678901234567890.10",
            "b 19.90",
            "c false",
            "d 9007199254740993",
            "e 0.1",
            "f 1e+20",
            "g \"2024-01-02T03:04:05.12\"",
            "h \"2024-01-02T01:04:05Z\"",
            "i \"2024-01-02T03:04:05.000001Z\"",
            "j \"2024-01-02\"",
            &format!("k \"{long}\""),
            r#"l "not \"good\"""#,
            r#"m ["a",null,"b\""]"#,
            r#"n {"a": 2, "z": 1.00}"#,
            r#"o {"z" :  1.00, "z": "\n"}"#,
            "p \"[1,5)\"",
            "q \"1 day 02:00:00\"",
            "r \"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
            "s 1.5000",
            "u \"03:04:00\"",
            "v \"ab\"",
            r#"w "x\ny\t\u0001""#,
            "x [[1,2],[3,4]]",
            "y \"-0043-03-15T00:00:00\"",
            "z \"10.0.0.1\"",
        ];
        assert_eq!(members(db).await, expected);
    })
    .await;
}

#[tokio::test]
async fn sqlite_values_follow_the_declared_type() {
    let sql = "
        CREATE TABLE t (id integer PRIMARY KEY, a NUMERIC(10,2), b DECIMAL(10,3), c BOOLEAN, d BIGINT, e REAL, f DATETIME,
            g TIMESTAMP, h DATETIME, i DATE, j JSON, k BLOB, l UUID, m VARCHAR(20), n NUMERIC, o NUMERIC(10), p BOOLEAN,
            q NUMERIC(10,2), r BLOB);
        INSERT INTO t VALUES (1, 19.9, 7, 1, 9007199254740993, 0.1, '2024-01-02 03:04:05', '2024-01-02 03:04:05.120',
            1700000000, '2024-01-02', '{\"a\" :\n 1.00}', x'00ff00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'é\"', 1.5, 3,
            false, 0.1 + 0.2, NULL);
    ";
    on_sqlite(sql, async |db| {
        let expected = [
            "a 19.90",
            "b 7.000",
            "c true",
            "d 9007199254740993",
            "e 0.1",
            "f \"2024-01-02T03:04:05\"",
            "g \"2024-01-02T03:04:05.12\"",
            "h 1700000000",
            "i \"2024-01-02\"",
            "j {\"a\" :  1.00}",
            "k \"AP8A\"",
            "l \"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
            "m \"é\\\"\"",
            "n 1.5",
            "o 3",
            "p false",
            "q 0.30",
            "r null",
        ];
        assert_eq!(members(db).await, expected);
    })
    .await;
}

/// Root 1 is fine; each other root holds one value without a JSON form.
async fn only_the_first_builds(db: &Fixture, messages: &[&str]) {
    let draft = db.draft("t").await;
    let names = columns(&draft);
    let body = names
        .iter()
        .map(|name| (name.as_str(), draft.value(0, name)))
        .collect();
    let plan = db.plan(draft.body(body)).await;
    let roots: Vec<String> = (1..=messages.len() + 1).map(|root| root.to_string()).collect();
    let outcomes = db
        .outcomes(&plan, &roots.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    assert!(outcomes[0][0].is_ok());
    for (i, message) in messages.iter().enumerate() {
        let failure = outcomes[i + 1][0].as_ref().unwrap_err();
        assert_eq!((failure.class, failure.message.as_str()), ("value", *message));
        assert_eq!(failure.key, Some(format!("doc:{}", i + 2)));
    }
}

#[tokio::test]
async fn values_without_a_form_fail_their_document_only() {
    let sql =
        "CREATE TABLE t (id integer PRIMARY KEY, a numeric, b float8, c timestamp, d timestamptz, e date);
        INSERT INTO t VALUES (1, 1, 1, '2024-01-01', '2024-01-01', '2024-01-01');
        INSERT INTO t (id, a) VALUES (2, 'NaN'); INSERT INTO t (id, b) VALUES (3, '-Infinity');
        INSERT INTO t (id, c) VALUES (4, 'infinity'); INSERT INTO t (id, d) VALUES (5, '-infinity');
        INSERT INTO t (id, e) VALUES (6, 'infinity');";
    on_postgres(sql, async |db| {
        let messages = [
            "t.a holds \"NaN\", which has no JSON form",
            "t.b holds \"-Infinity\", which has no JSON form",
            "t.c holds \"infinity\", which has no JSON form",
            "t.d holds \"-infinity\", which has no JSON form",
            "t.e holds \"infinity\", which has no JSON form",
        ];
        only_the_first_builds(db, &messages).await;
    })
    .await;
    let sql = "CREATE TABLE t (id integer PRIMARY KEY, a REAL, b JSON, c DATETIME);
        INSERT INTO t VALUES (1, 1, '[]', '2024-01-01'), (2, 9e999, NULL, NULL), (3, NULL, '{oops', NULL),
        (4, NULL, NULL, 'soon');";
    on_sqlite(sql, async |db| {
        let messages = [
            "t.a holds \"Inf\", which has no JSON form",
            "t.b holds \"{oops\", which has no JSON form",
            "t.c holds \"soon\", which has no JSON form",
        ];
        only_the_first_builds(db, &messages).await;
    })
    .await;
}

/// A key of any type leads to its root and its children, through parameters and back.
#[tokio::test]
async fn keys_of_any_type_find_their_rows() {
    for (sql_type, literal, root) in [
        ("bytea", "'\\x00ff'", "\\x00ff"),
        (
            "timestamptz",
            "'2024-01-02 03:04:05.5+02'",
            "2024-01-02 01:04:05.5+00",
        ),
        ("numeric(10,2)", "19.9", "19.90"),
        (
            "uuid",
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        ("text", "'\"\\ü,'", "\"\\ü,"),
        ("char(4)", "'ab'", "ab"),
        ("float8", "0.1", "0.1"),
        ("date", "'2024-01-02'", "2024-01-02"),
        ("boolean", "true", "true"),
        ("int[]", "'{1,2}'", "{1,2}"),
    ] {
        on_postgres(&key_tables(sql_type, literal), async |db| {
            finds_children(db, root).await
        })
        .await;
    }
    for (sql_type, literal, root) in [
        ("BLOB", "x'00ff'", "00FF"),
        ("NUMERIC(10,2)", "19.9", "19.90"),
        ("INTEGER", "7", "7"),
        ("REAL", "0.1", "0.1"),
        ("DATETIME", "'2024-01-02 03:04:05'", "2024-01-02 03:04:05"),
        ("TEXT", "'\"\\ü,'", "\"\\ü,"),
        ("BOOLEAN", "1", "1"),
    ] {
        on_sqlite(&key_tables(sql_type, literal), async |db| {
            finds_children(db, root).await
        })
        .await;
    }
}

fn key_tables(sql_type: &str, literal: &str) -> String {
    format!(
        "CREATE TABLE t (id {sql_type} PRIMARY KEY); CREATE TABLE c (id integer PRIMARY KEY, t {sql_type});
         INSERT INTO t VALUES ({literal}); INSERT INTO c VALUES (1, {literal}), (2, {literal})"
    )
}

async fn finds_children(db: &Fixture, root: &str) {
    let mut draft = db.draft("t").await;
    let child = draft.node(0, "c", &[("t", (0, "id"))]);
    let body = vec![("children", draft.many(child, "id"))];
    let plan = db.plan(draft.body(body)).await;
    assert_eq!(db.bodies(&plan, root).await, [r#"{"children":[1,2]}"#], "{root}");
    assert_eq!(db.reach(&plan, "c", &[("id", "1"), ("t", root)]).await, [root]);
    assert_eq!(db.reach(&plan, "t", &[("id", root)]).await, [root]);
}
