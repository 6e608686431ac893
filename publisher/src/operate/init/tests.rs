//! Every draft of every table passes `check`, and says what is there.

use super::*;
use crate::language::tests::catalogue::{postgres, shop, sqlite};
use crate::language::{SourceFile, check};

/// All problems that `check` has with drafts of all tables that have an identity, together.
fn problems(catalogue: &Catalogue) -> Vec<String> {
    let drafts: Vec<Draft> = catalogue
        .tables
        .iter()
        .filter(|(_, table)| identity(table).is_some())
        .map(|(name, _)| draft(catalogue, name).unwrap())
        .collect();
    assert!(!drafts.is_empty());
    let file = |draft: &Draft| SourceFile {
        name: draft.document.clone(),
        text: draft.yaml.clone(),
    };
    let files: Vec<_> = drafts.iter().map(file).collect();
    let found = check(&files, catalogue, &["storage"]).err().unwrap_or_default();
    found.iter().map(|problem| format!("{problem:#}")).collect()
}

#[test]
fn drafts_of_a_shop_pass() {
    assert_eq!(problems(&shop()), Vec::<String>::new());
}

/// Names that need quotes, that are words of the language or of YAML, that meet each other.
#[test]
fn drafts_with_strange_names_pass() {
    let text = "true: null int pk, a b text, c.d text, _revision int
         big order: id int pk, big_order text, first int? -> first, one int? -> first, photo bytea
         first: id int pk, many text, count int, body text, value text, all bool, photo bytea
         9lives: id int pk, first_id int -> first, first text
         pair: a int -> first, b int -> first, sort int, pk(a b)
         nothing: photo bytea pk";
    for catalogue in [postgres(text), sqlite(text)] {
        assert_eq!(problems(&catalogue), Vec::<String>::new());
    }
}

#[test]
fn a_draft_has_columns_named_rows_naming_rows_and_junctions() {
    let draft = draft(&shop(), "product").unwrap();
    assert_eq!(draft.document, "product");
    assert_eq!(draft.yaml, include_str!("product.yaml"));
}

#[test]
fn other_identities_and_schemas() {
    let feed = draft(&shop(), "feed").unwrap().yaml;
    assert!(feed.contains("\nid: [sku]\nkey: \"feed:{sku}\"\n"), "{feed}");
    let line = draft(&shop(), "line").unwrap().yaml;
    assert!(line.contains("\nkey: \"line:{order_id}:{number}\"\n"), "{line}");
    let invoice = draft(&shop(), "sales.invoice").unwrap();
    assert_eq!(invoice.document, "sales_invoice");
    assert!(
        invoice.yaml.contains("\nroot: sales.invoice\n"),
        "{}",
        invoice.yaml
    );
}

#[test]
fn what_cannot_be_drafted_says_why() {
    assert_eq!(
        draft(&shop(), "log").unwrap_err().to_string(),
        "table \"log\" has neither a primary key nor a unique index without nulls, so its rows have no identity"
    );
    let unknown = draft(&postgres("a: id int pk"), "b").unwrap_err();
    assert_eq!(unknown.to_string(), "no table \"b\"; there are: a");
}

#[test]
fn root_tables_are_no_junctions_and_no_details() {
    assert_eq!(
        root_tables(&shop()),
        [
            "address", "brand", "category", "country", "employee", "feed", "line", "locale", "odd",
            "product", "store"
        ]
    );
}

#[test]
fn names_of_documents() {
    for (table, document) in [
        ("Big Order", "big_order"),
        ("9lives", "d9lives"),
        ("größe", "gr__e"),
    ] {
        assert_eq!(document_name(table), document);
    }
    assert_eq!(document_name(&"x".repeat(60)).len(), LONGEST_NAME);
}
