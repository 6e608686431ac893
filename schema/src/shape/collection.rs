//! What a target sees of a document. All that belongs to one target is told by the key alone: columns that a filter,
//! an index or a routing names stand in every key, so a row that moves to another value moves to another key, and the
//! old key is deleted where it was.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::binding::merge;
use super::{KeyPattern, Only, Template};

/// A document as one target holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    pub document: String,
    pub key: KeyPattern,
    /// Of the keys of aliases; empty where the target holds none.
    pub aliases: Vec<KeyPattern>,
    /// OpenSearch alias.
    pub index: Template,
    pub only: Only,
    /// OpenSearch: properties that follow from column types.
    pub derived: Value,
    /// OpenSearch: what the document says of the mapping, merged over it; null where nothing is said.
    pub mapping: Value,
    /// OpenSearch: the `settings` of an index; null where nothing is said.
    pub settings: Value,
    pub routing: Option<Template>,
    /// OpenSearch: of the indexes behind the aliases. A higher one takes the place of a lower one.
    pub number: i64,
    /// OpenSearch: readers do not see it yet.
    pub filling: bool,
    /// The target shall hold none of its keys: what is there is deleted.
    #[serde(default)]
    pub nothing: bool,
}

impl Collection {
    /// With all keys in one index of the document's name.
    #[must_use]
    pub fn new(document: &str, key: KeyPattern) -> Self {
        Self {
            document: document.to_owned(),
            key,
            aliases: Vec::new(),
            index: Template::text(document),
            only: Only::default(),
            derived: Value::Null,
            mapping: Value::Null,
            settings: Value::Null,
            routing: None,
            number: 1,
            filling: false,
            nothing: false,
        }
    }

    /// Whether the target shall hold this key; where not, the key is deleted there. A key of another template than
    /// today's, which can only be a tombstone's, is taken so that its delete arrives.
    #[must_use]
    pub fn takes(&self, key: &str) -> bool {
        !self.nothing && self.takes_some(key)
    }

    fn takes_some(&self, key: &str) -> bool {
        self.only.is_everything() || !self.owns(key) || self.only.passes(|column| self.value(key, column))
    }

    /// Whether a key of the target is this document's, or leads to one.
    #[must_use]
    pub fn owns(&self, key: &str) -> bool {
        self.patterns().any(|pattern| pattern.matches(key))
    }

    /// What all keys of this document begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        let mut common = self.key.prefix();
        for alias in &self.aliases {
            let same = common
                .char_indices()
                .zip(alias.prefix().chars())
                .take_while(|((_, a), b)| a == b)
                .map(|((at, a), _)| at + a.len_utf8())
                .last()
                .unwrap_or(0);
            common = &common[..same];
        }
        common
    }

    /// The mapping of an index: what follows from column types, and what the document says over it.
    #[must_use]
    pub fn mappings(&self) -> Value {
        let derived = match &self.derived {
            Value::Null => json!({}),
            properties => properties.clone(),
        };
        let mut mappings = json!({ "dynamic": false, "properties": derived });
        if !self.mapping.is_null() {
            merge(&mut mappings, &self.mapping);
        }
        mappings
    }

    /// The value that a column has in a key, or in an alias.
    #[must_use]
    pub fn value(&self, key: &str, column: &str) -> Option<String> {
        self.patterns().find_map(|pattern| pattern.value(key, column))
    }

    /// Of its keys, those of aliases too.
    pub fn patterns(&self) -> impl Iterator<Item = &KeyPattern> {
        std::iter::once(&self.key).chain(&self.aliases)
    }
}

#[cfg(test)]
mod tests {
    use super::super::KeyPart;
    use super::*;

    #[test]
    fn a_filter_reads_the_key() {
        let literal = |text: &str| KeyPart::Literal(text.to_owned());
        let value = |column: &str| KeyPart::Value(column.to_owned());
        let mut collection = Collection::new(
            "product",
            KeyPattern(vec![
                literal("product:"),
                value("store.code"),
                literal(":"),
                value("root.id"),
            ]),
        );
        assert!(collection.takes("product:FR:1"));
        let only = |column: &str, values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            Only([(column.to_owned(), values)].into())
        };
        collection.only = only("store.code", &["DE", "A T"]);
        assert!(collection.takes("product:DE:1") && collection.takes("product:A%20T:1"));
        assert!(!collection.takes("product:FR:1") && !collection.takes("product:de:1"));
        assert!(
            collection.takes("old:FR:1"),
            "a delete of a key of another template arrives"
        );
        collection.only.0.extend(only("root.id", &["1"]).0);
        assert!(collection.takes("product:DE:1") && !collection.takes("product:DE:2"));
        collection.nothing = true;
        assert!(!collection.takes("product:DE:1") && !collection.takes("old:FR:1"));
    }
}
