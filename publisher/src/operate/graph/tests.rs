//! One graph of two documents, in each of its forms.

use super::{Graph, graph};
use crate::language::tests::catalogue::shop;
use crate::language::{SourceFile, check};

const TARGETS: [&str; 2] = ["search", "storage"];

fn documents() -> Graph {
    let file = |name: &str, text: &str| SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let files = [
        file(
            "brand.yaml",
            "document: brand\nroot: brand\nkey: \"b:{id}\"\nbody: { name: name }\ntargets: { storage: {} }\n",
        ),
        file("product.yaml", include_str!("product.yaml")),
    ];
    let catalogue = shop();
    graph(
        &check(&files, &catalogue, &TARGETS).unwrap(),
        &catalogue,
        &TARGETS,
    )
}

#[test]
fn as_text() {
    assert_eq!(documents().text(), include_str!("product.txt"));
}

#[test]
fn as_mermaid() {
    assert_eq!(documents().mermaid(), include_str!("product.mermaid"));
}

#[test]
fn as_dot() {
    assert_eq!(documents().dot(), include_str!("product.dot"));
}

/// Names that a drawing could take for its own syntax.
#[test]
fn names_are_only_text() {
    let mut graph = documents();
    graph.tables[0].table = "a\"b\\#1".to_owned();
    assert!(
        graph.mermaid().contains("[(\"a#quot;b\\#35;1<br>"),
        "{}",
        graph.mermaid()
    );
    assert!(graph.dot().contains("label=\"a\\\"b\\\\#1\\n"), "{}", graph.dot());
}

#[test]
fn a_document_without_targets_goes_to_all_that_are_configured() {
    let graph = documents();
    let of = |name: &str| {
        let node = graph.documents.iter().find(|node| node.document == name).unwrap();
        node.targets
            .iter()
            .map(|used| used.target.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("brand"), ["storage"]);
    assert_eq!(of("product"), TARGETS);
}
