//! A YAML file as plain values, with the place of each of them.

use std::collections::BTreeMap;
use std::fmt;

use figment::value::{Dict, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// The settings of a file, and line and column (from 1) of each by its path.
pub struct Places {
    pub values: Dict,
    pub at: BTreeMap<Vec<String>, (u64, u64)>,
}

/// Reads a YAML text. A member without a value counts as left out.
///
/// # Errors
/// Line and column where they are known, and what is wrong there.
pub fn read(text: &str) -> Result<Places, (Option<(u64, u64)>, String)> {
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let node: Spanned<Node> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.without_snippet();
        (error.location().map(place), message(error))
    })?;
    let Node::Map(members) = node.value else {
        return Err((None, "must be a map of settings".to_owned()));
    };
    let mut at = BTreeMap::new();
    let values = dict(members, &mut Vec::new(), &mut at);
    Ok(Places { values, at })
}

enum Node {
    Null,
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

fn dict(
    members: Vec<(Spanned<String>, Spanned<Node>)>,
    path: &mut Vec<String>,
    at: &mut BTreeMap<Vec<String>, (u64, u64)>,
) -> Dict {
    let mut out = Dict::new();
    for (name, node) in members {
        path.push(name.value.clone());
        at.insert(path.clone(), place(name.referenced));
        if let Some(value) = value(node.value, path, at) {
            out.insert(name.value, value);
        }
        path.pop();
    }
    out
}

fn value(node: Node, path: &mut Vec<String>, at: &mut BTreeMap<Vec<String>, (u64, u64)>) -> Option<Value> {
    match node {
        Node::Null => None,
        Node::Scalar(value) => Some(value),
        Node::List(items) => Some(
            items
                .into_iter()
                .filter_map(|item| value(item.value, path, at))
                .collect::<Vec<_>>()
                .into(),
        ),
        Node::Map(members) => Some(dict(members, path, at).into()),
    }
}

fn place(location: Location) -> (u64, u64) {
    (location.line(), location.column())
}

/// Without the place, which stands before it.
fn message(error: &serde_saphyr::Error) -> String {
    let text = match error {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(name), .. } => {
            format!("`{name}` stands here twice")
        }
        other => other.to_string(),
    };
    match text.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element()? {
            out.push(item);
        }
        Ok(Node::List(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut out = Vec::new();
        while let Some(member) = members.next_entry()? {
            out.push(member);
        }
        Ok(Node::Map(out))
    }
}
