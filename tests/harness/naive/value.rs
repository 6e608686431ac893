//! What a member of the body holds, as the text says it.

use super::{
    name::Name,
    rows::{Condition, From, Rows, conditions},
    write::Out,
    yaml::Node,
};

#[derive(Debug, Clone)]
pub enum Value {
    Column(Name),
    Text(Name),
    Constant(Out),
    Object(Vec<(String, Value)>),
    One {
        rows: Rows,
        body: Box<Value>,
    },
    Many {
        rows: Rows,
        body: Box<Value>,
        by: Vec<Name>,
        distinct: bool,
        flat: bool,
    },
    Count(Rows),
    Aggregate {
        function: Function,
        rows: Rows,
        column: Name,
    },
    First(Vec<Value>),
    List(Vec<Value>),
    Merge(Vec<Value>),
    Sql(String),
    Ancestors {
        rows: Rows,
        parent: Vec<String>,
        body: Box<Value>,
    },
    Tree {
        rows: Rows,
        parent: Vec<String>,
        body: Vec<(String, Value)>,
        start: Option<Vec<Condition>>,
        /// The member that holds the tree, and the children in each of its rows.
        member: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Sum,
    Avg,
    Min,
    Max,
    Any,
    All,
}

const KEYWORDS: [&str; 16] = [
    "one",
    "many",
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "any",
    "all",
    "ancestors",
    "tree",
    "first",
    "merge",
    "sql",
    "value",
    "text",
];

pub fn members(node: &Node) -> Vec<(String, Value)> {
    node.map()
        .iter()
        .map(|(name, node)| (name.clone(), value(node, name)))
        .collect()
}

fn value(node: &Node, member: &str) -> Value {
    match node {
        Node::Scalar(scalar) => Value::Column(Name::parse(&scalar.text)),
        Node::List(_) => Value::List(all(node, member)),
        Node::Map(entries) => match entries.as_slice() {
            [(key, inner @ Node::Map(_))] if key == "body" => Value::Object(members(inner)),
            entries => match entries.iter().find(|(key, _)| KEYWORDS.contains(&key.as_str())) {
                Some((keyword, inner)) => construct(keyword, inner, node, member),
                None => Value::Object(members(node)),
            },
        },
    }
}

fn all(node: &Node, member: &str) -> Vec<Value> {
    node.list().iter().map(|item| value(item, member)).collect()
}

fn construct(keyword: &str, inner: &Node, node: &Node, member: &str) -> Value {
    let body = || Box::new(value(node.get("body").expect("a body"), member));
    let parent = || node.get("parent").map(Node::texts).unwrap_or_default();
    let flag = |key: &str| node.get(key).is_some_and(Node::is_true);
    let rows = || Rows::read(inner, node);
    match keyword {
        "one" => Value::One {
            rows: rows(),
            body: body(),
        },
        "many" => Value::Many {
            rows: rows(),
            body: body(),
            by: (node.get("by").map(Node::texts).unwrap_or_default().iter())
                .map(|name| Name::parse(name))
                .collect(),
            distinct: flag("distinct"),
            flat: flag("flat"),
        },
        "count" => Value::Count(rows()),
        "ancestors" => Value::Ancestors {
            rows: rows(),
            parent: parent(),
            body: body(),
        },
        "tree" => Value::Tree {
            rows: rows(),
            parent: parent(),
            body: members(node.get("body").expect("a body")),
            start: node
                .get("start")
                .map(|start| conditions(start.get("where").expect("where"))),
            member: member.to_owned(),
        },
        "first" => Value::First(all(inner, member)),
        "merge" => Value::Merge(all(inner, member)),
        "sql" => Value::Sql(inner.text().to_owned()),
        "text" => Value::Text(Name::parse(inner.text())),
        "value" => Value::Constant(constant(inner)),
        function => aggregate(function, inner, node),
    }
}

fn aggregate(function: &str, inner: &Node, node: &Node) -> Value {
    let function = match function {
        "sum" => Function::Sum,
        "avg" => Function::Avg,
        "min" => Function::Min,
        "max" => Function::Max,
        "any" => Function::Any,
        _ => Function::All,
    };
    // `t.x`: the table, then its column; of a query the same in `{ query: q.x }`.
    let (name, is_query) = match inner {
        Node::Map(_) => (Name::parse(inner.get("query").expect("a query").text()), true),
        text => (Name::parse(text.text()), false),
    };
    let column = Name(vec![name.column().to_owned()]);
    let from = if is_query {
        From::Query(name.path().join("."))
    } else {
        From::Table(Name(name.path().to_vec()))
    };
    let rows = Rows::of(from, node);
    Value::Aggregate {
        function,
        rows,
        column,
    }
}

fn constant(node: &Node) -> Out {
    match node {
        Node::Scalar(scalar) if scalar.is_null() => Out::Null,
        Node::Scalar(scalar) if scalar.is_bare() => Out::Text(scalar.text.clone()),
        Node::Scalar(scalar) => Out::string(&scalar.text),
        Node::List(items) => Out::Array(items.iter().map(constant).collect()),
        Node::Map(entries) => Out::Object(
            entries
                .iter()
                .map(|(name, node)| (name.clone(), constant(node)))
                .collect(),
        ),
    }
}
