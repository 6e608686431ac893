//! What a body holds: names, objects, and nodes, which are maps with a keyword.

use crate::document::Aggregate;
use crate::language::expression;
use crate::language::name::Name;
use crate::language::problem::Report;
use crate::language::syntax::{At, Gather, Member, Rows, Value};
use crate::language::yaml::{Content, Entry, Node, Plain, Span};

use super::fields::{Keys, boolean, get, list, name, names, scalar, wrong};
use super::json::json;
use super::{conditions, recursion, rows};

/// A map with one of these is a node.
pub const KEYWORDS: [&str; 16] = [
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
    "text",
    "value",
];
const OPTIONS: [&str; 11] = [
    "via", "match", "where", "order", "limit", "by", "body", "parent", "start", "distinct", "flat",
];

const ONE: Keys = keys("\"one\"", &["one", "via", "match", "where", "order", "body"]);
const MANY: Keys = keys(
    "\"many\"",
    &[
        "many", "via", "match", "where", "order", "limit", "by", "distinct", "flat", "body",
    ],
);
const COUNT: Keys = keys("\"count\"", &["count", "via", "match", "where"]);
const SUM: Keys = keys("\"sum\"", &["sum", "via", "match", "where"]);
const AVG: Keys = keys("\"avg\"", &["avg", "via", "match", "where"]);
const MIN: Keys = keys("\"min\"", &["min", "via", "match", "where"]);
const MAX: Keys = keys("\"max\"", &["max", "via", "match", "where"]);
const ANY: Keys = keys("\"any\"", &["any", "via", "match", "where"]);
const ALL: Keys = keys("\"all\"", &["all", "via", "match", "where"]);
const FIRST: Keys = keys("\"first\"", &["first"]);
const MERGE: Keys = keys("\"merge\"", &["merge"]);
const SQL: Keys = keys("\"sql\"", &["sql"]);
const ANCESTORS: Keys = keys("\"ancestors\"", &["ancestors", "parent", "match", "body"]);
const TREE: Keys = keys("\"tree\"", &["tree", "parent", "start", "where", "order", "body"]);
const TEXT: Keys = keys("\"text\"", &["text"]);
const VALUE: Keys = keys("\"value\"", &["value"]);

const fn keys(of: &'static str, known: &'static [&'static str]) -> Keys {
    Keys { of, known }
}

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
        Content::List(items) => Value::List(items.iter().filter_map(|item| value(item, report)).collect()),
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
    let is_keyword = |entry: &&Entry| KEYWORDS.contains(&entry.key.as_str());
    match entries.iter().find(is_keyword) {
        Some(keyword) => node_value(keyword, node, entries, report),
        None => Some(Value::Object(members(entries, report))),
    }
}

fn node_value(keyword: &Entry, node: &Node, entries: &[Entry], report: &mut Report<'_>) -> Option<Value> {
    let keys = node_keys(&keyword.key);
    check_options(&keys, &keyword.key, entries, report);
    match keyword.key.as_str() {
        "first" => first(&keyword.value, report),
        "merge" => merge(&keyword.value, report),
        "sql" => sql(&keyword.value, report),
        "ancestors" => recursion::ancestors(keyword, node, entries, report),
        "tree" => recursion::tree(keyword, node, entries, report),
        "text" => Some(Value::Text(name(&keyword.value, "\"text\"", report)?)),
        "value" => json(&keyword.value, report).map(Value::Constant),
        "count" => Some(Value::Count {
            rows: node_rows(keyword, entries, report)?,
        }),
        word => match Aggregate::named(word) {
            Some(named) => aggregate(named, keyword, entries, report),
            None => node_with_body(keyword, node, entries, report),
        },
    }
}

/// What a node with this keyword may hold.
pub fn node_keys(keyword: &str) -> Keys {
    match keyword {
        "one" => ONE,
        "many" => MANY,
        "count" => COUNT,
        "sum" => SUM,
        "avg" => AVG,
        "min" => MIN,
        "max" => MAX,
        "any" => ANY,
        "all" => ALL,
        "first" => FIRST,
        "merge" => MERGE,
        "sql" => SQL,
        "ancestors" => ANCESTORS,
        "tree" => TREE,
        "text" => TEXT,
        _ => VALUE,
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
    let gather = gather(entries, report);
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
        _ => Value::Many { rows, body, gather },
    })
}

fn gather(entries: &[Entry], report: &mut Report<'_>) -> Gather {
    let (flat, distinct) = (flag(entries, "flat", report), flag(entries, "distinct", report));
    let Some(by) = get(entries, "by") else {
        return Gather::Array {
            flat: flat.is_some(),
            distinct: distinct.is_some(),
        };
    };
    if let Some(at) = flat.or(distinct) {
        let option = if flat.is_some() { "flat" } else { "distinct" };
        let message = format!("\"by\" makes objects, and \"{option}\" is for arrays");
        report.fail::<()>(at, "wrong_shape", message);
    }
    Gather::By(names(&by.value, "\"by\"", report).unwrap_or_default())
}

/// Where an option stands that is true.
fn flag(entries: &[Entry], option: &str, report: &mut Report<'_>) -> Option<Span> {
    let entry = get(entries, option)?;
    let is = boolean(&entry.value, &format!("\"{option}\""), report)?;
    is.then_some(entry.at)
}

fn aggregate(
    aggregate: Aggregate,
    keyword: &Entry,
    entries: &[Entry],
    report: &mut Report<'_>,
) -> Option<Value> {
    let (name, query) = rows::table(&keyword.value, &keyword.key, report)?;
    let Some((table, column)) = name.is.split_last() else {
        let message = format!("\"{}\" takes a column with its table", keyword.key);
        let help = if query {
            format!("write {}: {{ query: {}.column }}", keyword.key, name.is)
        } else {
            format!("write {}: table.{}", keyword.key, name.is)
        };
        return report.fail_with(name.at, "wrong_shape", message, help);
    };
    let column = At {
        at: name.at,
        is: column.to_owned(),
    };
    let table = At {
        at: name.at,
        is: table,
    };
    Some(Value::Aggregate {
        rows: Rows {
            query,
            ..rows_of(Some(table), entries, report)?
        },
        aggregate,
        column,
    })
}

pub fn node_rows(keyword: &Entry, entries: &[Entry], report: &mut Report<'_>) -> Option<Rows> {
    let table = rows::table(&keyword.value, &keyword.key, report);
    let (table, query) = table.map_or((None, false), |(table, query)| (Some(table), query));
    Some(Rows {
        query,
        ..rows_of(table, entries, report)?
    })
}

/// `None`: the problem of the table is noted already; those of the options are now.
fn rows_of(table: Option<At<Name>>, entries: &[Entry], report: &mut Report<'_>) -> Option<Rows> {
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
        query: false,
        link,
        conditions,
        order,
        limit,
    })
}

fn sql(node: &Node, report: &mut Report<'_>) -> Option<Value> {
    let text = scalar(node, "\"sql\"", report)?;
    match expression::parse(&text.text) {
        Ok(is) => Some(Value::Sql(At { at: node.at, is })),
        Err(message) => report.fail(node.at, "sql", message),
    }
}

fn merge(node: &Node, report: &mut Report<'_>) -> Option<Value> {
    let items = list(node, "\"merge\"", report)?;
    if items.is_empty() {
        return report.fail(node.at, "wrong_shape", "\"merge\" is empty");
    }
    Some(Value::Merge(
        items.iter().filter_map(|item| value(item, report)).collect(),
    ))
}

fn first(node: &Node, report: &mut Report<'_>) -> Option<Value> {
    let items = list(node, "\"first\"", report)?;
    if items.is_empty() {
        return report.fail(node.at, "wrong_shape", "\"first\" is empty");
    }
    let values = items.iter().filter_map(|item| {
        let value = value(item, report)?;
        match value.is {
            Value::Object(_) | Value::List(_) => wrong(
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
