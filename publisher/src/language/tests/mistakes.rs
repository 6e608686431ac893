//! What each mistake is told. The cases stand in text files: after `### what it is` the document, after `---` its
//! problems. `### body: what it is` leaves only the body to the case: it stands in a document over `product` from
//! line 5 on, two columns in.

use super::catalogue::sqlite;
use super::*;
use crate::catalogue::Catalogue;

#[test]
fn of_syntax() {
    check_cases(include_str!("mistakes_of_syntax.txt"));
}

#[test]
fn of_names() {
    check_cases(include_str!("mistakes_of_names.txt"));
}

#[test]
fn of_joins() {
    check_cases(include_str!("mistakes_of_joins.txt"));
}

#[test]
fn of_targets() {
    check_cases(include_str!("mistakes_of_targets.txt"));
}

#[test]
fn of_documents() {
    check_cases(include_str!("mistakes_of_documents.txt"));
}

#[test]
fn of_values() {
    check_cases(include_str!("mistakes_of_values.txt"));
}

#[test]
fn of_rows() {
    check_cases(include_str!("mistakes_of_rows.txt"));
}

/// Whatever the files alone can tell, the whole check tells too; and of a right document they tell nothing.
#[test]
fn without_a_database_nothing_else_is_told() {
    let mut told = 0;
    for cases in [
        include_str!("mistakes_of_syntax.txt"),
        include_str!("mistakes_of_names.txt"),
        include_str!("mistakes_of_joins.txt"),
        include_str!("mistakes_of_documents.txt"),
        include_str!("mistakes_of_values.txt"),
        include_str!("mistakes_of_rows.txt"),
    ] {
        for case in cases.split("### ").skip(1) {
            let (title, rest) = case.split_once('\n').unwrap();
            let (text, _) = rest.split_once("---\n").unwrap();
            let files = files(&[&product(text), text]);
            let all = check(&files, &shop(), &TARGETS).err().unwrap_or_default();
            let alone = check_alone(&files, &TARGETS);
            told += alone.len();
            let more: Vec<_> = alone.iter().filter(|problem| !all.contains(problem)).collect();
            assert!(more.is_empty(), "### {title}: {more:?}");
        }
    }
    assert!(told > 100, "{told}");
    let right = files(&[include_str!("product.yaml")]);
    assert_eq!(check_alone(&right, &TARGETS), []);
}

#[test]
fn what_files_alone_can_tell() {
    let texts = [
        "document: a\nroot: nowhere\nkye: \"a:{id}\"\nbody: { x: nothing }\n",
        "document: b\nroot: nowhere\nkey: \"b\"\nbody: { x: { one: nowhere } }\ntargets: { storge: {} }\n",
        "document: b\nroot: nowhere\nkey: \"c:{a}{b}\"\nbody: {\n",
    ];
    let alone = check_alone(&files(&texts), &TARGETS);
    let told: Vec<_> = alone.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "a.yaml:3:1: unknown key \"kye\" in a document; did you mean \"key\"?",
            "b.yaml:3:6: the key holds no column of the root, so its documents would share one key",
            "b.yaml:4:12: \"one\" has no \"body\"",
            "b.yaml:5:12: no target \"storge\" is configured; did you mean \"storage\"?",
            "c.yaml:4:7: this is no YAML: unclosed bracket '{'",
        ]
    );
}

fn check_cases(cases: &str) {
    for case in cases.split("### ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let (text, expected) = rest.split_once("---\n").unwrap();
        let text = if title.starts_with("body: ") {
            product(text)
        } else {
            text.to_owned()
        };
        let found = documents(&[&text]).err().unwrap_or_default().join("\n");
        assert_eq!(found, expected.trim_end(), "### {title}");
    }
}

#[test]
fn documents_against_each_other() {
    let same = product("id: id");
    let found = documents(&[&same, &same]).unwrap_err();
    assert_eq!(
        found,
        ["b.yaml:1:11: a document \"d\" is already declared in a.yaml"]
    );

    let named = |name: &str, rest: &str| {
        format!("document: {name}\nroot: product\nkey: \"x:{{id}}\"\n{rest}body: {{ id: id }}\n")
    };
    let help = "let their keys begin with different text, such as the names of the documents";
    let found = documents(&[
        &named("a", ""),
        &named("b", "targets: { search: { index: a } }\n"),
    ])
    .unwrap_err();
    assert_eq!(
        found,
        [
            format!(
                "b.yaml:3:6: \"b\" and \"a\" (a.yaml) could make the same key on the target \"search\"; {help}"
            ),
            "b.yaml:4:29: the index \"a\" belongs to a document in a.yaml already".to_owned(),
        ]
    );
    let found = documents(&[&named("a", ""), &named("b", "")]).unwrap_err();
    assert_eq!(
        found,
        [format!(
            "b.yaml:3:6: \"b\" and \"a\" (a.yaml) could make the same key; {help}"
        )]
    );
}

#[test]
fn aliases_against_other_documents() {
    let text = |name: &str, aliases: &str| {
        format!("document: {name}\nroot: product\nkey: \"{name}:{{id}}\"\n{aliases}body: {{ id: id }}\n")
    };
    let help = "let their keys begin with different text, such as the names of the documents";
    let alias = |template: &str| format!("aliases: [\"{template}\"]\n");
    let found = |a: &str, b: &str| documents(&[&text("a", a), &text("b", b)]).unwrap_err();
    assert_eq!(
        found("", &alias("a:{sku}")),
        [format!(
            "b.yaml:4:11: an alias of \"b\" and \"a\" (a.yaml) could make the same key; {help}"
        )]
    );
    assert_eq!(
        found(&alias("b:{sku}"), ""),
        [format!(
            "b.yaml:3:6: \"b\" and an alias of \"a\" (a.yaml) could make the same key; {help}"
        )]
    );
    assert_eq!(
        found(&alias("c:{sku}"), &alias("c:{id}")),
        [format!(
            "b.yaml:4:11: an alias of \"b\" and an alias of \"a\" (a.yaml) could make the same key; {help}"
        )]
    );
}

#[test]
fn problems_of_all_files_come_together_and_in_order() {
    let found = documents(&[
        &product("b: nmae\na: &x { one: bran, body: id }\nc: *x\nd: { one: brand }\nd: id"),
        "document: [",
        "document: e",
        &product("a: id\nb: idd").replace("\"d:", "\"e:"),
        &product("a: id").replace("document: d", "document: f"),
    ]);
    assert_eq!(
        found.unwrap_err(),
        [
            "a.yaml:5:6: no column \"nmae\" in table \"product\"; did you mean \"name\"?",
            "a.yaml:6:16: no table \"bran\"; did you mean \"brand\"?",
            "a.yaml:8:6: \"one\" has no \"body\"",
            "a.yaml:9:3: \"d\" stands here a second time; the first is in line 8",
            "b.yaml:1:11: this is no YAML: unclosed bracket '['",
            "c.yaml:1:1: the document has no \"root\"",
            "c.yaml:1:1: the document has no \"key\"",
            "c.yaml:1:1: the document has no \"body\"",
            "d.yaml:1:11: a document \"d\" is already declared in a.yaml",
            "d.yaml:6:6: no column \"idd\" in table \"product\"; did you mean \"id\"?",
            "e.yaml:3:6: \"f\" and \"d\" (a.yaml) could make the same key; let their keys begin with different text, such as the names of the documents",
        ]
    );
}

#[test]
fn the_long_form_shows_the_line() {
    let text = product("größe: nmae   \nx:\t{ one: review, body: id }");
    let problems = check(&files(&[&text]), &shop(), &TARGETS).unwrap_err();
    assert_eq!(
        format!("{:#}", problems[0]),
        "\
a.yaml:5:10: no column \"nmae\" in table \"product\"
  |
5 |   größe: nmae
  |          ^
  = did you mean \"name\"?"
    );
    assert!(
        format!("{:#}", problems[1]).contains("\n6 |   x:\t{ one: review, body: id }\n  |     \t       ^\n")
    );
    assert_eq!(
        (problems[0].line, problems[0].column, problems[0].code),
        (5, 10, "unknown_column")
    );
}

/// SQLite takes these for parameters; on PostgreSQL they are operators.
#[test]
fn parameters_on_sqlite() {
    let text = format!(
        "{}\nqueries:\n  q: {{ sql: 'SELECT :id AS id', id: [id], depends: {{ product: 'SELECT @x' }} }}\n",
        product("a: { sql: '{sku} ?| {sku}' }").trim_end()
    );
    let told = |catalogue: &Catalogue| {
        let problems = check(&files(&[&text]), catalogue, &TARGETS).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&sqlite("product: id int pk, sku text")),
        [
            "a.yaml:5:13: an expression holds no \"?\": a parameter would be null",
            "a.yaml:7:13: the query holds no \":\": a parameter would be null",
        ]
    );
    assert_eq!(
        told(&shop()),
        ["a.yaml:7:13: the database was not asked what the query answers"]
    );
}

#[test]
fn a_text_that_ends_anywhere_or_lacks_a_letter_is_no_panic() {
    let text = include_str!("product.yaml");
    for (i, c) in text.char_indices() {
        for broken in [
            text[..i].to_owned(),
            format!("{}{}", &text[..i], &text[i + c.len_utf8()..]),
        ] {
            let found = check(&files(&[&broken]), &shop(), &TARGETS);
            found.unwrap_or_else(|problems| panic_free(&problems));
        }
    }
}

/// Writes them in their long form.
fn panic_free(problems: &[Problem]) -> Vec<Document> {
    assert!(!problems.is_empty());
    problems
        .iter()
        .for_each(|problem| assert!(!format!("{problem:#}").is_empty()));
    Vec::new()
}
