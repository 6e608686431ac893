//! How one document meets one target: which of its keys go there, and to what index.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::KeyPart;
use super::key::{overlap, steps};

/// What a document says of one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Binding {
    /// OpenSearch: alias; the document's name where left out. Columns in it stand in every key.
    pub index: Option<Template>,
    /// Whether the target holds aliases. To one that does not, an alias is a key that is not there.
    pub aliases: bool,
    pub only: Only,
    /// OpenSearch: merged over the derived mapping.
    pub mapping: Option<Value>,
    /// OpenSearch: of new indexes.
    pub settings: Option<Value>,
    /// OpenSearch: the routing value of every document. Columns in it stand in every key.
    pub routing: Option<Template>,
}

/// Which keys go to a target: those that have one of these values in each of these columns, which stand in every key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Only(pub BTreeMap<String, BTreeSet<String>>);

/// A text with columns in it: the name of an index, `product-{locale.code}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(pub Vec<KeyPart>);

impl Only {
    /// Whether everything passes.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key with these values passes. `value` gives the value of a column, `None` where the key has none.
    #[must_use]
    pub fn passes(&self, value: impl Fn(&str) -> Option<String>) -> bool {
        let passes = |(column, wanted): (&String, &BTreeSet<String>)| {
            value(column).is_some_and(|value| wanted.contains(&value))
        };
        self.0.iter().all(passes)
    }
}

impl Template {
    /// A text without columns.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(vec![KeyPart::Literal(text.to_owned())])
    }

    /// The text, where it has no columns.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [KeyPart::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether both can give one text.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        overlap(steps(&self.0, |_, _| None), steps(&other.0, |_, _| None))
    }

    /// The text with these values of its columns; `None` where one has none.
    pub fn fill(&self, value: impl Fn(&str) -> Option<String>) -> Option<String> {
        self.0
            .iter()
            .map(|part| match part {
                KeyPart::Literal(text) => Some(text.clone()),
                KeyPart::Value(column) => value(column),
            })
            .collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            KeyPart::Literal(text) => f.write_str(text),
            KeyPart::Value(column) => write!(f, "{{{column}}}"),
        })
    }
}

/// Maps member by member, the later one wins. A field of another type replaces the whole field: what else was said of
/// it belongs to its old type.
pub(super) fn merge(into: &mut Value, over: &Value) {
    let kind = |of: &Value| of.get("type").and_then(Value::as_str).map(str::to_owned);
    let retyped = |into: &Value| kind(over).is_some() && kind(into) != kind(over);
    match (into, over) {
        (Value::Object(members), Value::Object(others)) if !retyped(&Value::Object(members.clone())) => {
            for (name, other) in others {
                merge(members.entry(name.clone()).or_insert(Value::Null), other);
            }
        }
        (into, over) => *into = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mapping_is_merged_member_by_member() {
        let derived = json!({ "dynamic": false, "properties": {
            "id": { "type": "long" },
            "type": { "type": "text", "fields": { "raw": { "type": "keyword", "ignore_above": 256 } } },
            "name": { "type": "text", "fields": { "raw": { "type": "keyword", "ignore_above": 256 } } },
            "brand": { "properties": { "id": { "type": "long" } } },
        }});
        let over = json!({ "_meta": { "owner": "search" }, "properties": {
            "type": { "type": "keyword" },
            "name": { "analyzer": "german", "fields": { "raw": { "ignore_above": 64 } } },
            "brand": { "properties": { "rank": { "type": "integer" } } },
        }});
        let expected = json!({ "_meta": { "owner": "search" }, "dynamic": false, "properties": {
            "id": { "type": "long" },
            "type": { "type": "keyword" },
            "name": { "type": "text", "analyzer": "german", "fields": { "raw": { "type": "keyword", "ignore_above": 64 } } },
            "brand": { "properties": { "id": { "type": "long" }, "rank": { "type": "integer" } } },
        }});
        let mut merged = derived;
        merge(&mut merged, &over);
        assert_eq!(merged, expected);
    }
}
