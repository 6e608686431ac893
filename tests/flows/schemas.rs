//! The JSON Schemas of document files and of `pubsync.yaml`: what is committed is what the command prints, they take
//! every file that the product takes, and they refuse mistakes of shape.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pubsync_publisher::language::{self, SourceFile};
use pubsync_tests::World;
use pubsync_tests::json_schema::{problems, yaml};
use serde_json::Value as Json;

use crate::differential::case::Case;

/// Seeds of documents made at random.
const SEEDS: u64 = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml")
}

#[tokio::test]
async fn the_command_prints_what_is_committed() {
    let world = World::embedded("schemas");
    for (of, schema) in [
        ("document", language::json_schema()),
        ("config", pubsync::config::json_schema()),
    ] {
        // Without any configuration.
        let output = world.with_config("missing.yaml", 0, &["schema", of]).await;
        let path = format!("docs/schema/{of}.json");
        assert!(
            output.stdout == read(&root().join(&path)),
            "`pubsync schema {of} > {path}` makes it what the language is now"
        );
        assert_eq!(serde_json::from_str::<Json>(&output.stdout).unwrap(), schema);
    }
}

#[test]
fn the_examples_are_right() {
    let (document, config) = (language::json_schema(), pubsync::config::json_schema());
    let (mut documents, mut configs) = (0, 0);
    for example in in_folder(&root().join("examples")) {
        let folder = example.join("documents");
        if !folder.is_dir() {
            continue;
        }
        for (schema, folder, count) in [
            (&document, &folder, &mut documents),
            (&config, &example, &mut configs),
        ] {
            for path in in_folder(folder).iter().filter(|path| is_yaml(path)) {
                let found = problems(schema, &yaml(&read(path)));
                assert!(found.is_empty(), "{}: {}", path.display(), found.join("\n"));
                *count += 1;
            }
        }
    }
    assert!(
        documents >= 33 && configs >= 8,
        "{documents} documents, {configs} configurations"
    );
}

/// Whether the language takes the text as far as it alone can tell.
fn is_taken(text: &str) -> bool {
    let file = SourceFile {
        name: "d.yaml".to_owned(),
        text: text.to_owned(),
    };
    language::check_alone(&[file], &["storage", "search"]).is_empty()
}

#[test]
fn what_the_language_takes_is_right() {
    let schema = language::json_schema();
    let mut taken = 0;
    for seed in 0..SEEDS {
        for document in Case::of_seed(seed).documents {
            if is_taken(&document.yaml) {
                let found = problems(&schema, &yaml(&document.yaml));
                assert!(found.is_empty(), "{}\n{}", found.join("\n"), document.yaml);
                taken += 1;
            }
        }
    }
    assert!(taken > SEEDS, "{taken}");
}

const DOCUMENT: &str = "document: d\nroot: product\nkey: \"d:{id}\"\nbody: { id: id }\n";

fn with_member(value: &str) -> String {
    DOCUMENT.replace("{ id: id }", &format!("{{ id: id, x: {value} }}"))
}

/// Both agree.
#[track_caller]
fn assert_both(text: &str, right: bool) {
    assert_eq!(is_taken(text), right, "the language: {text}");
    let found = problems(&language::json_schema(), &yaml(text));
    assert_eq!(found.is_empty(), right, "the schema: {text}{}", found.join("\n"));
}

#[test]
fn mistakes_at_the_top_are_refused() {
    assert_both(DOCUMENT, true);
    for line in [
        "each: { s: { table: store, via: [product_store] }, t: { table: text, match: { a: root.id, b: { value: 1 } }, optional: true } }",
        "where: { a: 1, b: null, c: [1, x], d: { not: null, gt: 1 }, e: { value: a.b }, exists: { table: t, via: u }, missing: [{ table: { query: q } }] }",
        "where: { exists: true }",
        "targets: { storage: , search: { index: \"i-{id}\", only: { id: [1, 2] }, mapping: { dynamic: strict }, routing: \"{id}\" } }",
        "inline_limit: 0",
    ] {
        assert_both(&format!("{DOCUMENT}{line}\n"), true);
    }
    for line in [
        "zzz: 1",
        "sync: later",
        "queue: Q",
        "inline_limit: -1",
        "id: []",
        "aliases: []",
        "visible: {}",
        "visible: { form: a }",
        "absent: never",
        "capture: never",
        "each: { root: { table: store } }",
        "each: { 1s: { table: store } }",
        "each: { s: { via: store } }",
        "each: { s: { table: store, via: a, match: { b: c } } }",
        "where: { a: [] }",
        "where: { a: {} }",
        "where: { a: { gt: null } }",
        "where: { a: { above: 1 } }",
        "where: { exists: [] }",
        "where: { exists: { where: { a: 1 } } }",
        "targets: {}",
        "targets: { search: { indexx: a } }",
        "targets: { search: { index: Products } }",
        "targets: { search: { mapping: { name: { type: text } } } }",
        "targets: { search: { mapping: { _source: {} } } }",
        "targets: { search: { settings: { gc_deletes: 1s } } }",
        "targets: { search: { routing: plain } }",
        "targets: { search: { only: { id: null } } }",
        "queries: { q: { sql: SELECT 1 } }",
    ] {
        assert_both(&format!("{DOCUMENT}{line}\n"), false);
    }
    for key in ["document", "root", "key", "body"] {
        let without = |line: &&str| !line.starts_with(&format!("{key}:"));
        let text: String = DOCUMENT
            .lines()
            .filter(without)
            .map(|line| format!("{line}\n"))
            .collect();
        assert_both(&text, false);
    }
    assert_both(&DOCUMENT.replace("{ id: id }", "{}"), false);
    assert_both(&DOCUMENT.replace("{ id: id }", "{ _revision: id }"), false);
    assert_both(&DOCUMENT.replace("document: d", "document: D"), false);
}

#[test]
fn mistakes_in_the_body_are_refused() {
    for value in [
        "a.b",
        "[a, { value: 1 }]",
        "{ via: a, limit: b }",
        "{ body: { one: a, zzz: b } }",
        "{ many: t, via: { table: j, from: a, to: [b, c] }, where: { a: 1 }, order: [a, \"-b\"], limit: 1, by: [a], distinct: false, body: { a: a } }",
        "{ many: { query: q }, match: { a: b }, flat: true, body: [a] }",
        "{ max: t.a, where: { b: 1 } }",
        "{ first: [a, { one: t, body: b }, { value: 0 }] }",
        "{ merge: [{ a: b }, { many: t, by: [a], body: b }] }",
        "{ tree: t, parent: [p, q], start: { where: { a: null } }, order: [a], body: { id: id } }",
        "{ ancestors: t, parent: p, body: a }",
        "{ sql: \"lower({a})\" }",
        "{ value: null }",
    ] {
        assert_both(&with_member(value), true);
    }
    for value in [
        "1",
        "null",
        "{ one: t }",
        "{ one: t, body: a, limit: 1 }",
        "{ many: t, body: a, limit: 0 }",
        "{ many: t, body: a, zzz: 1 }",
        "{ many: t, body: a, by: [a], flat: true }",
        "{ many: t, body: a, by: [a], distinct: true }",
        "{ many: t, body: a, via: j, match: { a: b } }",
        "{ many: t, body: a, via: [] }",
        "{ many: t, body: a, via: { from: a } }",
        "{ many: t, body: a, match: {} }",
        "{ many: t, body: a, match: { a: 1 } }",
        "{ count: t, body: a }",
        "{ sum: a }",
        "{ sum: t.a, order: [a] }",
        "{ first: [] }",
        "{ first: [[a]] }",
        "{ first: [{ a: b }] }",
        "{ merge: [] }",
        "{ tree: t, parent: p, body: a }",
        "{ tree: t, body: { a: a } }",
        "{ tree: t, parent: p, start: {}, body: { a: a } }",
        "{ tree: t, parent: p, start: { where: {} }, body: { a: a } }",
        "{ tree: { query: q }, parent: p, body: { a: a } }",
        "{ ancestors: t, parent: p }",
        "{ text: 1 }",
        "{ a: { b: { one: t } } }",
    ] {
        assert_both(&with_member(value), false);
    }
}

/// Texts in quotes.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every list of keys in the parser: in `known: &[…]`, and in `keys("…", &[…])`.
fn lists_of_keys(source: &str) -> Vec<BTreeSet<String>> {
    let starts = source
        .match_indices("known: &[")
        .chain(source.match_indices("Keys = keys("))
        .map(|(at, _)| &source[at..]);
    let list = |from: &str| {
        let (_, list) = from.split_once("&[").unwrap();
        quoted(list.split_once(']').unwrap().0)
    };
    starts.map(list).filter(|keys| !keys.is_empty()).collect()
}

/// The keys of every map that holds no others; each must say what it means.
fn closed_maps(schema: &Json, found: &mut Vec<BTreeSet<String>>) {
    match schema {
        Json::Object(members) => {
            if let (Some(Json::Object(properties)), Some(Json::Bool(false))) =
                (members.get("properties"), members.get("additionalProperties"))
            {
                found.push(properties.keys().cloned().collect());
                for (key, property) in properties {
                    let said = property["description"].as_str().unwrap_or_default();
                    assert!(said.ends_with('.') && !said.contains('\n'), "{key}: {property}");
                }
            }
            members.values().for_each(|member| closed_maps(member, found));
        }
        Json::Array(items) => items.iter().for_each(|item| closed_maps(item, found)),
        _ => {}
    }
}

#[test]
fn no_key_of_the_language_is_forgotten() {
    let mut maps = Vec::new();
    closed_maps(&language::json_schema(), &mut maps);
    let mut lists = 0;
    for path in in_folder(&root().join("publisher/src/language/parse")) {
        for keys in lists_of_keys(&read(&path)) {
            assert!(maps.contains(&keys), "{}: {keys:?}", path.display());
            lists += 1;
        }
    }
    assert!(lists >= 26, "{lists}");
}

#[test]
fn every_setting_says_what_it_means() {
    let mut maps = Vec::new();
    closed_maps(&pubsync::config::json_schema(), &mut maps);
    assert_eq!(maps.len(), 8);
}

#[test]
fn mistakes_of_the_configuration_are_refused() {
    let schema = pubsync::config::json_schema();
    let right = |text: &str| problems(&schema, &yaml(text)).is_empty();
    for text in [
        "database: ${DB}",
        "relay: { batch: \"5\", resend_after: \"${N}\" }",
        "publisher:\n",
        "sync: direct",
        "targets: { a-B_1: { kind: redis, prefix: x } }",
    ] {
        assert!(right(text), "{text}");
    }
    for text in [
        "zzz: 1",
        "database: mysql://x",
        "broker: amqps://x",
        "name: My Shop",
        "name: public",
        "sync: later",
        "inline_limit: -1",
        "publisher: { batch: 0 }",
        "synchronizer: { batch: 1 }",
        "targets: { a.b: { kind: local, path: x } }",
        "targets: { a: { kind: local, url: x } }",
        "targets: { a: { kind: rediss, url: x } }",
        "targets: { a: { url: x } }",
    ] {
        assert!(!right(text), "{text}");
    }
}

/// What is built is as the schema of the document says; one without the nullable name is not.
#[tokio::test]
async fn the_schema_of_a_result_is_that_of_the_documents() {
    let world = World::embedded("result");
    world
        .script(
            "CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT, parent_id INTEGER REFERENCES category (id));
             INSERT INTO category VALUES (1, 'Outdoor', NULL), (2, NULL, 1), (3, 'Tents', 2);",
        )
        .await;
    world.document(
        "category",
        "document: category\nroot: category\nkey: \"category:{id}\"\nbody:\n  id: id\n  name: name\n  above: { ancestors: category, parent: parent_id, body: name }\n  \
         below: { tree: category, parent: parent_id, body: { id: id } }\n  size: { count: category, match: { parent_id: id } }\n",
    );
    let output = world.pubsync(&["schema", "result", "category"]).await;
    let schema: Json = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(schema["title"], "The document category");
    let short = world
        .pubsync(&["schema", "result", "category", "--json"])
        .await
        .stdout;
    assert_eq!(short.trim_end(), schema.to_string());

    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    let mirror = world.database().own_table("mirror_category");
    let rows = world
        .session()
        .await
        .rows(&format!("SELECT body FROM {mirror}"))
        .await;
    assert_eq!(rows.len(), 3);
    let body = |body: &Json| problems(&schema, body);
    for row in &rows {
        let built: Json = serde_json::from_str(row[0].as_deref().unwrap()).unwrap();
        assert_eq!(body(&built), Vec::<String>::new(), "{built}");
        for (member, wrong) in [
            ("id", Json::Null),
            ("name", 1.into()),
            ("below", Json::Null),
            ("zzz", 1.into()),
        ] {
            let mut changed = built.clone();
            changed[member] = wrong;
            assert!(!body(&changed).is_empty(), "{member}: {changed}");
        }
    }
    for (command, told) in [
        (
            &["schema", "result", "nosuch"][..],
            "no file declares a document \"nosuch\"; they declare: category",
        ),
        (
            &["schema", "result", "nosuch", "--json"],
            "no file declares a document \\\"nosuch\\\"; they declare: category",
        ),
    ] {
        let output = world.pubsync_exits(2, command).await;
        assert!(output.stderr.contains(told), "{}", output.stderr);
    }
}
