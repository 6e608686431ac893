//! A document's file: its top level.

use super::{
    name::{Name, Piece, template},
    rows::{Condition, Rows, conditions},
    value::{Value, members},
    yaml::Node,
};

#[derive(Debug, Clone)]
pub struct Declaration {
    pub name: String,
    pub root: Name,
    /// `id`; the primary key where empty.
    pub id: Vec<String>,
    pub scopes: Vec<Scope>,
    pub key: Vec<Piece>,
    pub aliases: Vec<Vec<Piece>>,
    pub conditions: Vec<Condition>,
    pub visible: Visible,
    pub body: Vec<(String, Value)>,
    /// Members of the body that are no reason to write.
    pub unhashed: Vec<String>,
    /// Members that stay on the tombstone.
    pub tombstone: Vec<String>,
    /// `absent: keep`.
    pub keeps_absent: bool,
    /// `capture: manual`.
    pub is_manual: bool,
    /// `only` of the one target that is named; all columns must have one of their values.
    pub only: Vec<(Name, Vec<String>)>,
    pub queries: Vec<Query>,
}

#[derive(Debug, Clone)]
pub struct Scope {
    pub name: String,
    pub rows: Rows,
    pub optional: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Visible {
    pub from: Option<Name>,
    pub until: Option<Name>,
}

#[derive(Debug, Clone)]
pub struct Query {
    pub name: String,
    pub sql: String,
    pub id: Vec<String>,
}

impl Declaration {
    /// # Panics
    /// Where the text is no document.
    pub fn parse(text: &str) -> Self {
        let top = Node::parse(text);
        let texts = |key: &str| top.get(key).map(Node::texts).unwrap_or_default();
        let entries = |key: &str| top.get(key).map(Node::map).unwrap_or_default();
        let text = |key: &str| {
            top.get(key)
                .unwrap_or_else(|| panic!("no {key:?} in\n{text}"))
                .text()
        };
        let within = |key: &str| top.get("visible")?.get(key).map(|name| Name::parse(name.text()));
        Self {
            name: text("document").to_owned(),
            root: Name::parse(text("root")),
            id: texts("id"),
            scopes: entries("each")
                .iter()
                .map(|(name, node)| scope(name, node))
                .collect(),
            key: template(text("key")),
            aliases: texts("aliases").iter().map(|text| template(text)).collect(),
            conditions: top.get("where").map(conditions).unwrap_or_default(),
            visible: Visible {
                from: within("from"),
                until: within("until"),
            },
            body: members(top.get("body").expect("a body")),
            unhashed: texts("unhashed"),
            tombstone: texts("tombstone"),
            keeps_absent: texts("absent") == ["keep"],
            is_manual: texts("capture") == ["manual"],
            only: entries("targets")
                .iter()
                .flat_map(|(_, target)| target.get("only").map(Node::map).unwrap_or_default())
                .map(|(name, values)| (Name::parse(name), values.texts()))
                .collect(),
            queries: entries("queries")
                .iter()
                .map(|(name, node)| query(name, node))
                .collect(),
        }
    }
}

fn scope(name: &str, node: &Node) -> Scope {
    Scope {
        name: name.to_owned(),
        rows: Rows::read(node.get("table").expect("a table"), node),
        optional: node.get("optional").is_some_and(Node::is_true),
    }
}

fn query(name: &str, node: &Node) -> Query {
    Query {
        name: name.to_owned(),
        sql: node.get("sql").expect("SQL").text().to_owned(),
        id: node.get("id").map(Node::texts).unwrap_or_default(),
    }
}
