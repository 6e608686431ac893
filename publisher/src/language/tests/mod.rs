//! The language from its text to checked documents: what each construct becomes, and what each mistake is told.

pub(crate) mod catalogue;
mod constructs;
mod folder;
mod mistakes;
mod render;
mod rows;
mod spans;
mod targets;
mod top_level;
mod values;

use super::{Problem, SourceFile, check, check_alone, key_pattern};
use crate::document::Document;
use catalogue::shop;

const TARGETS: [&str; 2] = ["storage", "search"];

fn files(texts: &[&str]) -> Vec<SourceFile> {
    let names = ["a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml"];
    let file = |(name, text): (&&str, &&str)| SourceFile {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    names.iter().zip(texts).map(file).collect()
}

/// The documents, or all problems in their short form.
fn documents(texts: &[&str]) -> Result<Vec<Document>, Vec<String>> {
    let short = |problems: Vec<Problem>| problems.iter().map(Problem::to_string).collect();
    check(&files(texts), &shop(), &TARGETS).map_err(short)
}

/// A document over `product` with these lines of its body.
fn product(body: &str) -> String {
    document("product", body)
}

fn document(root: &str, body: &str) -> String {
    format!(
        "document: d\nroot: {root}\nkey: \"d:{{id}}\"\nbody:\n{}",
        indented(body)
    )
}

fn indented(text: &str) -> String {
    text.trim_matches('\n')
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect()
}

/// The one document that a text gives.
fn good(text: &str) -> Document {
    match documents(&[text]) {
        Ok(documents) => documents
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("no document")),
        Err(problems) => panic!("{}\n{text}", problems.join("\n")),
    }
}
