//! Which rows a node or a scope takes: table, `via`, `match`, `where`, `order`, `limit`.

use super::{
    name::Name,
    yaml::{Node, Scalar},
};

#[derive(Debug, Clone)]
pub struct Rows {
    pub from: From,
    pub link: Link,
    pub conditions: Vec<Condition>,
    /// With whether it is descending.
    pub order: Vec<(Name, bool)>,
    pub limit: Option<usize>,
}

#[derive(Debug, Clone)]
pub enum From {
    Table(Name),
    Query(String),
}

#[derive(Debug, Clone)]
pub enum Link {
    Inferred,
    /// One junction with a foreign key to each side.
    Junction(Hop),
    /// Each follows one foreign key in either direction.
    Hops(Vec<Hop>),
    Match(Vec<(Name, Operand)>),
}

#[derive(Debug, Clone)]
pub struct Hop {
    pub table: Name,
    /// Its columns that name the row before.
    pub from: Option<Vec<String>>,
    /// Its columns that name the row after.
    pub to: Option<Vec<String>>,
}

#[derive(Debug, Clone)]
pub enum Operand {
    Column(Name),
    Constant(Scalar),
}

#[derive(Debug, Clone)]
pub enum Condition {
    Column {
        column: Name,
        test: Test,
    },
    /// All of these rows exist.
    Exist(Vec<Rows>),
    /// None of these rows exists.
    Miss(Vec<Rows>),
}

#[derive(Debug, Clone)]
pub enum Test {
    Equal(Operand),
    OneOf(Vec<Operand>),
    Not(Box<Test>),
    /// All of these hold: `gt`, `gte`, `lt`, `lte`, `not`.
    Compare(Vec<(String, Operand)>),
}

impl Rows {
    /// `table`: what stands at the keyword; `options`: the map around it.
    pub fn read(table: &Node, options: &Node) -> Self {
        let from = match table.get_in_map("query") {
            Some(query) => From::Query(query.text().to_owned()),
            None => From::Table(Name::parse(table.text())),
        };
        Self::of(from, options)
    }

    pub fn of(from: From, options: &Node) -> Self {
        let order = options.get("order").map(Node::list).unwrap_or_default();
        Self {
            from,
            link: link(options),
            conditions: options.get("where").map(conditions).unwrap_or_default(),
            order: order.iter().map(|item| order_by(item.text())).collect(),
            limit: options
                .get("limit")
                .map(|limit| limit.text().parse().expect("a limit")),
        }
    }
}

impl Node {
    /// As [`Node::get`]; none where this is no map.
    fn get_in_map(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(_) => self.get(key),
            _ => None,
        }
    }
}

fn link(options: &Node) -> Link {
    match (options.get("via"), options.get("match")) {
        (Some(Node::List(hops)), _) => Link::Hops(hops.iter().map(hop).collect()),
        (Some(node), _) => Link::Junction(hop(node)),
        (_, Some(node)) => Link::Match(
            node.map()
                .iter()
                .map(|(column, right)| (Name::parse(column), matched(right)))
                .collect(),
        ),
        (None, None) => Link::Inferred,
    }
}

fn hop(node: &Node) -> Hop {
    match node {
        Node::Map(_) => Hop {
            table: Name::parse(node.get("table").expect("a table").text()),
            from: node.get("from").map(Node::texts),
            to: node.get("to").map(Node::texts),
        },
        name => Hop {
            table: Name::parse(name.text()),
            from: None,
            to: None,
        },
    }
}

/// The right side of `match`: bare text is a column.
fn matched(node: &Node) -> Operand {
    match node.get_in_map("value") {
        Some(constant) => Operand::Constant(constant.scalar().clone()),
        None => Operand::Column(Name::parse(node.text())),
    }
}

fn order_by(text: &str) -> (Name, bool) {
    match text.strip_prefix('-') {
        Some(column) => (Name::parse(column), true),
        None => (Name::parse(text), false),
    }
}

pub fn conditions(node: &Node) -> Vec<Condition> {
    node.map()
        .iter()
        .map(|(key, value)| condition(key, value))
        .collect()
}

fn condition(key: &str, value: &Node) -> Condition {
    let rows = |node: &Node| Rows::read(node.get("table").expect("a table"), node);
    let all = |value: &Node| match value {
        Node::List(items) => items.iter().map(rows).collect(),
        one => vec![rows(one)],
    };
    match (key, value) {
        ("exists", Node::Map(_) | Node::List(_)) => Condition::Exist(all(value)),
        ("missing", Node::Map(_) | Node::List(_)) => Condition::Miss(all(value)),
        (column, value) => Condition::Column {
            column: Name::parse(column),
            test: test(value),
        },
    }
}

fn test(node: &Node) -> Test {
    match node {
        Node::Scalar(_) => Test::Equal(compared(node)),
        Node::List(items) => Test::OneOf(items.iter().map(compared).collect()),
        Node::Map(entries) => match entries.as_slice() {
            [(key, _)] if key == "value" => Test::Equal(compared(node)),
            [(key, inner)] if key == "not" => Test::Not(Box::new(test(inner))),
            tests => Test::Compare(
                tests
                    .iter()
                    .map(|(key, value)| (key.clone(), compared(value)))
                    .collect(),
            ),
        },
    }
}

/// The right side of `where`: bare text is a constant, a qualified name a column.
fn compared(node: &Node) -> Operand {
    match node.get_in_map("value") {
        Some(constant) => Operand::Constant(constant.scalar().clone()),
        None if Name::is_qualified(node.text()) => Operand::Column(Name::parse(node.text())),
        None => Operand::Constant(node.scalar().clone()),
    }
}
