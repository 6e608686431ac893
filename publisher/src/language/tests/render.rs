//! Documents as text, so that a test can say what it expects in a few lines.

use std::fmt::Write as _;

use crate::document::{
    ColumnRef, Direction, Document, Filter, Gather, KeySegment, Operand, Piece, Recursion, Role, Source,
    Test, Value,
};

/// One line for each source: `2 scope store via 1: id = 1.store_id`.
pub fn sources(document: &Document) -> String {
    let line = |(id, source): (usize, &Source)| {
        let mut line = format!("{id} {} {}", role(&source.role), source.table.name);
        let joins: Vec<_> = source
            .joins
            .iter()
            .map(|join| {
                format!(
                    "{} = {}",
                    source.table.columns[join.column].name,
                    operand(document, &join.to)
                )
            })
            .collect();
        let filters: Vec<_> = source.filters.iter().map(|item| filter(document, item)).collect();
        for (word, items) in [("on", joins), ("where", filters)] {
            if !items.is_empty() {
                let _ = write!(line, " {word} {}", items.join(" and "));
            }
        }
        for order in &source.order {
            let _ = write!(
                line,
                " order {}{}",
                if order.descending { "-" } else { "" },
                column(document, order.column)
            );
        }
        if let Some(recursion) = &source.recursion {
            let _ = write!(line, " {}", recursive(document, source, recursion));
        }
        if let Some(limit) = source.limit {
            let _ = write!(line, " limit {limit}");
        }
        line
    };
    document
        .sources
        .iter()
        .enumerate()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

fn role(role: &Role) -> String {
    let via = |via: &Option<usize>| via.map(|via| format!(" via {via}")).unwrap_or_default();
    match role {
        Role::Root => "root".to_owned(),
        Role::Scope {
            name,
            optional,
            via: junction,
        } => {
            format!(
                "scope{} {name}{}:",
                if *optional { "?" } else { "" },
                via(junction)
            )
        }
        Role::Via { parent } => format!("via from {parent}:"),
        Role::Exists {
            parent,
            via: junction,
        } => format!("asked from {parent}{}:", via(junction)),
        Role::Lookup { parent } => format!("lookup from {parent}:"),
        Role::Node {
            parent,
            via: junction,
        } => format!("node in {parent}{}:", via(junction)),
    }
}

pub fn filters(document: &Document) -> Vec<String> {
    document
        .filters
        .iter()
        .map(|item| filter(document, item))
        .collect()
}

fn filter(document: &Document, filter: &Filter) -> String {
    let (left, test) = match filter {
        Filter::Exists { source, wanted: true } => return format!("exists {source}"),
        Filter::Exists { source, .. } => return format!("missing {source}"),
        Filter::Column { column: left, test } => (column(document, *left), test),
    };
    match test {
        Test::IsNull => format!("{left} is null"),
        Test::IsNotNull => format!("{left} is not null"),
        Test::Equals(right) => format!("{left} = {}", operand(document, right)),
        Test::OneOf(rights) => format!("{left} one of {}", operands(document, rights)),
        Test::NoneOf(rights) => format!("{left} none of {}", operands(document, rights)),
        Test::Compares(comparison, right) => {
            format!("{left} {comparison:?} {}", operand(document, right))
        }
    }
}

fn operands(document: &Document, operands: &[Operand]) -> String {
    let operands: Vec<_> = operands.iter().map(|item| operand(document, item)).collect();
    format!("({})", operands.join(", "))
}

fn operand(document: &Document, operand: &Operand) -> String {
    match operand {
        Operand::Column(right) => column(document, *right),
        Operand::Constant(constant) => format!("'{}'", constant.0),
    }
}

fn column(document: &Document, column: ColumnRef) -> String {
    format!(
        "{}.{}",
        column.source, document.sources[column.source].table.columns[column.column].name
    )
}

pub fn key(document: &Document) -> String {
    template(document, &document.key)
}

pub fn aliases(document: &Document) -> Vec<String> {
    document
        .aliases
        .iter()
        .map(|alias| template(document, alias))
        .collect()
}

fn template(document: &Document, segments: &[KeySegment]) -> String {
    let segment = |segment: &KeySegment| match segment {
        KeySegment::Literal(text) => text.clone(),
        KeySegment::Column(it) => format!("<{}>", column(document, *it)),
    };
    segments.iter().map(segment).collect()
}

/// `{id: 0.id, brand: one 1 {name: 1.name}}`
pub fn body(document: &Document) -> String {
    object(document, &document.body)
}

fn object(document: &Document, members: &[(String, Value)]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(name, it)| format!("{name}: {}", value(document, it)))
        .collect();
    format!("{{{}}}", members.join(", "))
}

fn value(document: &Document, it: &Value) -> String {
    match it {
        Value::Column(it) => column(document, *it),
        Value::Text(it) => format!("text {}", column(document, *it)),
        Value::Constant(json) => format!("value {json}"),
        Value::Object(members) => object(document, members),
        Value::One { source, body } => format!("one {source} {}", value(document, body)),
        Value::Many { source, body, gather } => {
            let gather = match gather {
                Gather::By(by) => by
                    .iter()
                    .map(|it| format!(" by {}", column(document, *it)))
                    .collect(),
                Gather::Array { flat, distinct } => {
                    let word = |is: bool, word: &'static str| if is { word } else { "" };
                    format!("{}{}", word(*flat, " flat"), word(*distinct, " distinct"))
                }
            };
            format!("many {source}{gather} {}", value(document, body))
        }
        Value::Aggregate {
            source,
            aggregate,
            column: it,
        } => format!("{} {source} {}", aggregate.keyword(), column(document, *it)),
        Value::Ancestors { source, body } => format!("ancestors {source} {}", value(document, body)),
        Value::Tree { source, body, below } => {
            format!("tree {source} {} below {below}", object(document, body))
        }
        Value::List(it) => format!("[{}]", values(document, it)),
        Value::Merge(it) => format!("merge [{}]", values(document, it)),
        Value::Sql(it) => {
            let piece = |piece: &Piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Column(it) => format!("<{}>", column(document, *it)),
            };
            format!("sql {}", it.pieces.iter().map(piece).collect::<String>())
        }
        Value::Count { source } => format!("count {source}"),
        Value::First(it) => format!("first [{}]", values(document, it)),
    }
}

/// `up by parent_id = id start 3.kind = 'x'`
fn recursive(document: &Document, source: &Source, recursion: &Recursion) -> String {
    let name = |column: usize| source.table.columns[column].name.as_str();
    let links = recursion.links.iter();
    let links: Vec<_> = links
        .map(|link| format!("{} = {}", name(link.parent), name(link.key)))
        .collect();
    let way = if recursion.direction == Direction::Up {
        "up"
    } else {
        "down"
    };
    let start: Vec<_> = recursion
        .start
        .iter()
        .map(|it| format!(" start {}", filter(document, it)))
        .collect();
    format!("{way} by {}{}", links.join(" and "), start.concat())
}

fn values(document: &Document, values: &[Value]) -> String {
    let values: Vec<_> = values.iter().map(|it| value(document, it)).collect();
    values.join(", ")
}
