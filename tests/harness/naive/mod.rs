//! A second, slow and simple reading of the document language: what every document must be, from the text of its
//! declaration and the plain rows of all tables. It shares no code with the product, plans nothing and remembers
//! nothing: nested loops over rows, in the order in which the language describes its constructs.
//!
//! ```text
//! let mut session = database.session().await;
//! let schema = Schema::read(&mut session).await;
//! let data = Data::read(&mut session, &schema).await;
//! let declaration = Declaration::parse(yaml);
//! for found in Naive::new(&schema, &data).documents(&declaration) { … }
//! ```
//!
//! Declarations are taken as checked: what the product's `check` refuses makes this panic or guess. Order of text is
//! bytewise, so databases must be, too.

mod aggregate;
mod body;
mod condition;
mod constructs;
mod data;
mod declaration;
mod evaluate;
mod expression;
mod form;
mod name;
mod number;
mod query;
mod recursion;
mod rows;
mod schema;
mod select;
mod tree;
mod value;
mod write;
pub(crate) mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use constructs::CONSTRUCTS;
pub use data::{Data, Row};
pub use declaration::Declaration;
pub use evaluate::{Found, Kind, Naive, alias_body};
pub use schema::{Column, ColumnKind, Engine, Foreign, Schema, Table};

use crate::{Database, Expected, Json};

/// What must stand in the mirror for these declarations, aliases included.
///
/// # Panics
/// Where a document fails (the caller has data without failures), or two have one key.
pub async fn expected(database: &Database, declarations: &[&str]) -> Expected {
    let mut session = database.session().await;
    let mut schema = Schema::read(&mut session).await;
    let declarations: Vec<Declaration> = declarations.iter().map(|text| Declaration::parse(text)).collect();
    for declaration in &declarations {
        schema.add_queries(&mut session, declaration).await;
    }
    let data = Data::read(&mut session, &schema).await;
    let naive = Naive::new(&schema, &data);
    let mut expected = Expected::new();
    for declaration in &declarations {
        let mut bodies = BTreeMap::new();
        for found in naive.documents(declaration) {
            let Some(key) = found.key else {
                panic!("{}: root {} has no key", declaration.name, found.root)
            };
            let body = found.body.unwrap_or_else(|error| panic!("{key}: {error}"));
            let body = Json::parse(&body).unwrap_or_else(|error| panic!("{key}: {error}"));
            assert!(
                bodies.insert(key.clone(), body).is_none(),
                "two documents have the key {key}"
            );
        }
        expected.insert(declaration.name.clone(), bodies);
    }
    expected
}
