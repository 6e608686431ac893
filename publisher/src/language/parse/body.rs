//! What a body holds: names, objects, and nodes, which are maps with a keyword.

use crate::language::problem::Report;
use crate::language::syntax::{At, Member, Rows, Value};
use crate::language::yaml::{Content, Entry, Node, Plain};

use super::fields::{Keys, get, list, name, names, wrong};
use super::json::json;
use super::{conditions, rows};

/// A map with one of these is a node.
const KEYWORDS: [&str; 6] = ["one", "many", "count", "first", "text", "value"];
const KEYWORDS_LATER: [&str; 10] = [
    "sum",
    "avg",
    "min",
    "max",
    "any",
    "all",
    "ancestors",
    "tree",
    "merge",
    "sql",
];
const OPTIONS: [&str; 11] = [
    "via", "match", "where", "order", "limit", "by", "body", "parent", "start", "distinct", "flat",
];

const ONE: Keys = Keys {
    of: "\"one\"",
    known: &["one", "via", "match", "where", "order", "body"],
    later: &[],
};
const MANY: Keys = Keys {
    of: "\"many\"",
    known: &["many", "via", "match", "where", "order", "limit", "by", "body"],
    later: &["distinct", "flat"],
};
const COUNT: Keys = Keys {
    of: "\"count\"",
    known: &["count", "via", "match", "where"],
    later: &["distinct"],
};
const FIRST: Keys = Keys {
    of: "\"first\"",
    known: &["first"],
    later: &[],
};
const TEXT: Keys = Keys {
    of: "\"text\"",
    known: &["text"],
    later: &[],
};
const VALUE: Keys = Keys {
    of: "\"value\"",
    known: &["value"],
    later: &[],
};

pub fn members(entries: &[Entry], report: &mut Report<'_>) -> Vec<Member> {
    entries
        .iter()
        .filter_map(|entry| {
            Some(Member {
                name: entry.key.clone(),
                value: value(&entry.value, report)?,
            })
        })
        .collect()
}

pub fn value(node: &Node, report: &mut Report<'_>) -> Option<At<Value>> {
    let is = match &node.value {
        Content::Scalar(scalar) if scalar.meaning() == Plain::Text => Value::Name(name(node, "", report)?.is),
        Content::Scalar(_) => return conditions::constant_needs_value(node, report),
        Content::List(_) => return report.not_supported(node.at, "a list in a body"),
        Content::Map(entries) => map_value(node, entries, report)?,
    };
    Some(At { at: node.at, is })
}

fn map_value(node: &Node, entries: &[Entry], report: &mut Report<'_>) -> Option<Value> {
    if let [Entry { key, value, .. }] = entries
        && key == "body"
        && let Content::Map(entries) = &value.value
    {
        return Some(Value::Object(members(entries, report)));
    }
    let is_keyword = |entry: &&Entry| {
        let key = entry.key.as_str();
        KEYWORDS.contains(&key) || KEYWORDS_LATER.contains(&key)
    };
    match entries.iter().find(is_keyword) {
        Some(keyword) => node_value(keyword, node, entries, report),
        None => Some(Value::Object(members(entries, report))),
    }
}

fn node_value(keyword: &Entry, node: &Node, entries: &[Entry], report: &mut Report<'_>) -> Option<Value> {
    let keys = match keyword.key.as_str() {
        "one" => ONE,
        "many" => MANY,
        "count" => COUNT,
        "first" => FIRST,
        "text" => TEXT,
        "value" => VALUE,
        later => return report.not_supported(keyword.at, &format!("\"{later}\"")),
    };
    check_options(&keys, &keyword.key, entries, report);
    match keyword.key.as_str() {
        "first" => first(&keyword.value, report),
        "text" => Some(Value::Text(name(&keyword.value, "\"text\"", report)?)),
        "value" => json(&keyword.value, report).map(Value::Constant),
        "count" => Some(Value::Count {
            rows: node_rows(keyword, entries, report)?,
        }),
        _ => node_with_body(keyword, node, entries, report),
    }
}

/// What is no option of the node is either a slip or a member of a plain object that needs the escape.
fn check_options(keys: &Keys, keyword: &str, entries: &[Entry], report: &mut Report<'_>) {
    let help = |key: &str| {
        if OPTIONS.contains(&key) {
            return format!("it may hold: {}", keys.known.join(", "));
        }
        format!(
            "a plain object with a member \"{keyword}\" is written {{ body: {{ {keyword}: …, {key}: … }} }}"
        )
    };
    keys.check_or(entries, help, report);
}

fn node_with_body(keyword: &Entry, node: &Node, entries: &[Entry], report: &mut Report<'_>) -> Option<Value> {
    let rows = node_rows(keyword, entries, report);
    let by = get(entries, "by")
        .and_then(|entry| names(&entry.value, "\"by\"", report))
        .unwrap_or_default();
    let Some(body) = get(entries, "body") else {
        return report.fail(
            node.at,
            "missing_key",
            format!("\"{}\" has no \"body\"", keyword.key),
        );
    };
    let body = Box::new(value(&body.value, report)?);
    let rows = rows?;
    Some(match keyword.key.as_str() {
        "one" => Value::One { rows, body },
        _ => Value::Many { rows, body, by },
    })
}

fn node_rows(keyword: &Entry, entries: &[Entry], report: &mut Report<'_>) -> Option<Rows> {
    let table = rows::table(&keyword.value, &keyword.key, report);
    let link = rows::link(entries, report);
    let conditions = get(entries, "where")
        .map(|entry| conditions::filters(&entry.value, report))
        .unwrap_or_default();
    let order = get(entries, "order")
        .map(|entry| rows::order(&entry.value, report))
        .unwrap_or_default();
    let limit = get(entries, "limit").and_then(|entry| rows::limit(&entry.value, report));
    Some(Rows {
        table: table?,
        link,
        conditions,
        order,
        limit,
    })
}

fn first(node: &Node, report: &mut Report<'_>) -> Option<Value> {
    let items = list(node, "\"first\"", report)?;
    if items.is_empty() {
        return report.fail(node.at, "wrong_shape", "\"first\" is empty");
    }
    let values = items.iter().filter_map(|item| {
        let value = value(item, report)?;
        match value.is {
            Value::Object(_) => wrong(
                item,
                "an entry of \"first\"",
                "a column, a constant or a node",
                report,
            ),
            _ => Some(value),
        }
    });
    Some(Value::First(values.collect()))
}
