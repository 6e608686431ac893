//! Declarations against tables, targets and what is stored.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::language::tests::catalogue::shop;

fn declaration() -> Declaration {
    Declaration::new("ladder", "ladder:{sku}", 1).captures("price", &["product_id"], &["amount"])
}

fn stored(declaration: &Declaration) -> Definition {
    Definition {
        document: declaration.document.clone(),
        number: 1,
        fingerprint: String::new(),
        yaml: declaration.text(),
        shape: declaration.shape(&["storage"]).unwrap(),
    }
}

#[test]
fn what_is_stored_is_read_back() {
    let all = declaration()
        .target("storage", Some("ladders"))
        .mapping(json!({ "sku": { "type": "keyword" } }));
    assert_eq!(Declaration::of(&stored(&all)), Some(all));
    let of_a_file = Definition {
        yaml: "document: ladder\nroot: product\n".to_owned(),
        ..stored(&declaration())
    };
    assert_eq!(Declaration::of(&of_a_file), None);
}

#[test]
fn images_hold_the_key_and_what_finds_roots() {
    let uses = declaration().uses(&shop()).unwrap();
    let names = |columns: &BTreeSet<usize>| -> Vec<&str> {
        let name = |&column: &usize| uses["price"].table.columns[column].name.as_str();
        columns.iter().map(name).collect()
    };
    assert_eq!(names(&uses["price"].carried), ["id", "product_id"]);
    assert_eq!(names(&uses["price"].watched), ["id", "product_id", "amount"]);
}

#[test]
fn a_declaration_that_cannot_be_says_why() {
    let named = |name: &str, key: &str| Declaration::new(name, key, 1);
    let cases = [
        (
            named("Ladder", "l:{a}"),
            "lower case letters, digits, - and _ make a name, it starts with a letter",
        ),
        (
            named("ladder", "ladder"),
            "the key holds no {value}, so its documents would share one key",
        ),
        (
            named("ladder", "l:{a}{b}"),
            "{a} and {b} stand side by side: put a separator between them",
        ),
        (
            named("ladder", "l:{a}").target("storge", None),
            "no target \"storge\" is configured; there are: storage",
        ),
    ];
    for (declaration, problem) in cases {
        let told = declaration.shape(&["storage"]).unwrap_err().to_string();
        assert_eq!(
            told,
            format!("document {:?}, written in Rust: {problem}", declaration.document)
        );
    }
    let cases = [
        (
            named("d", "d:{a}"),
            "it captures no table, so no change would ever reach it",
        ),
        (
            named("d", "d:{a}").captures("prices", &[], &[]),
            "no table \"prices\"",
        ),
        (
            named("d", "d:{a}").captures("price", &["product"], &[]),
            "no column \"product\" in table \"price\"",
        ),
        (
            named("d", "d:{a}").captures("log", &[], &["entry"]),
            "table \"log\" has no primary key, so name columns by which its changes find roots",
        ),
    ];
    for (declaration, problem) in cases {
        let told = declaration.uses(&shop()).unwrap_err().to_string();
        assert_eq!(told, format!("document \"d\", written in Rust: {problem}"));
    }
}

#[test]
fn what_another_program_declared_stays_until_it_is_left_out() {
    let standing = BTreeMap::from([("ladder".to_owned(), stored(&declaration()))]);
    let mut publishers = Publishers::default();
    assert_eq!(publishers.declared(&standing), [declaration()]);
    publishers.leave_out("ladder");
    assert_eq!(publishers.declared(&standing), []);

    let mut publishers = Publishers::default();
    let newer = Declaration {
        version: 2,
        ..declaration()
    };
    publishers.add(newer.clone(), Elsewhere);
    assert_eq!(publishers.declared(&standing), [newer]);
}
