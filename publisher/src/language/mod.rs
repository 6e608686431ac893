//! The document language: YAML files to checked [`Document`]s.
//!
//! A text goes through four steps, and a problem in one does not keep the others from finding theirs: [`yaml`] makes
//! a tree of nodes with their places, [`parse`] knows the constructs, [`check()`] looks every name up in the
//! catalogue and finds the joins, and documents are then held against each other. What the constructs mean is in
//! docs/documents.md.

mod check;
mod expression;
mod folder;
mod json_schema;
mod name;
mod parse;
mod problem;
mod suggest;
mod syntax;
mod template;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests;
mod yaml;

use pubsync_schema::shape::{KeyPart, KeyPattern};

use crate::catalogue::{Catalogue, Statement};
use crate::document::{ColumnRef, Document, KeySegment, Role, Source};

pub use folder::{FolderError, load_folder};
pub use json_schema::json_schema;
pub(crate) use name::quoted_where_needed;
pub use parse::is_document_name;
pub(crate) use parse::{KEYWORDS, LONGEST_NAME};
pub use problem::Problem;
pub use suggest::nearest;

/// A document file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// As problems show it: `documents/product.yaml`.
    pub name: String,
    pub text: String,
}

/// Checks all documents together. `targets` are the names of the configured targets.
///
/// # Errors
/// All problems of all files, in the order of the files and their lines.
pub fn check<T: AsRef<str>>(
    files: &[SourceFile],
    catalogue: &Catalogue,
    targets: &[T],
) -> Result<Vec<Document>, Vec<Problem>> {
    let (right, problems) = check_each(files, catalogue, targets);
    if problems.is_empty() {
        Ok(right.into_iter().map(|(_, document)| document).collect())
    } else {
        Err(problems)
    }
}

/// As [`check()`], for those who have more to say about what is right: each document that is right by itself, with its
/// file, and the problems of all files.
pub fn check_each<'a, T: AsRef<str>>(
    files: &'a [SourceFile],
    catalogue: &Catalogue,
    targets: &[T],
) -> (Vec<(&'a SourceFile, Document)>, Vec<Problem>) {
    let targets: Vec<&str> = targets.iter().map(AsRef::as_ref).collect();
    check::check(files, catalogue, &targets)
}

/// As [`check`], without a database: what the files alone can tell. Shapes, keywords, key templates, targets, and what
/// two documents would share; no name of a table or column.
#[must_use]
pub fn check_alone<T: AsRef<str>>(files: &[SourceFile], targets: &[T]) -> Vec<Problem> {
    let targets: Vec<&str> = targets.iter().map(AsRef::as_ref).collect();
    check::check_alone(files, &targets)
}

/// SELECTs in these files of which only the database knows what they answer: [`crate::catalogue::describe`] asks it, and
/// then [`check()`] can tell.
#[must_use]
pub fn statements(files: &[SourceFile], catalogue: &Catalogue) -> Vec<Statement> {
    check::statements(files, catalogue)
}

/// The document's key template with names in place of its columns.
#[must_use]
pub fn key_pattern(document: &Document) -> KeyPattern {
    pattern(document, &document.key)
}

/// A key template with the names of its placeholders, whatever they are.
///
/// # Errors
/// What is wrong with the template.
pub fn template_pattern(text: &str) -> Result<KeyPattern, String> {
    let part = |piece: &template::Piece| match piece {
        template::Piece::Literal(text) => KeyPart::Literal(text.clone()),
        template::Piece::Column(name) => KeyPart::Value(name.to_string()),
    };
    let pieces = template::parse(text)?;
    Ok(KeyPattern(pieces.iter().map(part).collect()))
}

/// The same of its aliases.
#[must_use]
pub fn alias_patterns(document: &Document) -> Vec<KeyPattern> {
    document
        .aliases
        .iter()
        .map(|alias| pattern(document, alias))
        .collect()
}

fn pattern(document: &Document, template: &[KeySegment]) -> KeyPattern {
    let part = |segment: &KeySegment| match segment {
        KeySegment::Literal(text) => KeyPart::Literal(text.clone()),
        KeySegment::Column(column) => KeyPart::Value(qualified(&document.sources, *column)),
    };
    KeyPattern(template.iter().map(part).collect())
}

/// A column as a template, or any place at the top of a document, reaches it: `root.id`, `store.code`.
fn qualified(sources: &[Source], column: ColumnRef) -> String {
    let Source { table, role, .. } = &sources[column.source];
    let qualifier = match role {
        Role::Root => "root",
        Role::Scope { name, .. } => name,
        Role::Via { .. } | Role::Lookup { .. } | Role::Exists { .. } | Role::Node { .. } => &table.name,
    };
    let column = name::quoted_where_needed(&table.columns[column.column].name);
    format!("{}.{column}", name::quoted_where_needed(qualifier))
}
