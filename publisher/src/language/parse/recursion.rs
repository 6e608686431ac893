//! `ancestors` and `tree`: rows that hang on rows of the same table.

use crate::language::name::Name;
use crate::language::problem::Report;
use crate::language::syntax::{At, Condition, Rows, Value};
use crate::language::yaml::{Content, Entry, Node};

use super::body::{node_rows, value};
use super::conditions;
use super::fields::{Keys, get, map, one_or_more_names};

pub const START: Keys = Keys {
    of: "\"start\"",
    known: &["where"],
};

pub fn ancestors(keyword: &Entry, node: &Node, entries: &[Entry], report: &mut Report<'_>) -> Option<Value> {
    let rows = table_rows(keyword, entries, report);
    let parent = parent(keyword, node, entries, report);
    let body = body(keyword, node, entries, report).and_then(|body| value(body, report));
    Some(Value::Ancestors {
        rows: rows?,
        parent: parent?,
        body: Box::new(body?),
    })
}

pub fn tree(keyword: &Entry, node: &Node, entries: &[Entry], report: &mut Report<'_>) -> Option<Value> {
    let rows = table_rows(keyword, entries, report);
    let parent = parent(keyword, node, entries, report);
    let start = get(entries, "start").map(|entry| start(&entry.value, report));
    let body = body(keyword, node, entries, report).and_then(|body| {
        let at = body.at;
        match value(body, report)?.is {
            Value::Object(members) => Some(members),
            _ => {
                let message =
                    "\"body\" of \"tree\" must be an object: each row gets a member with its rows below";
                report.fail(at, "wrong_shape", message)
            }
        }
    });
    let start = match start {
        Some(conditions) => Some(conditions?),
        None => None,
    };
    Some(Value::Tree {
        rows: rows?,
        parent: parent?,
        start,
        body: body?,
    })
}

/// A query has no rows that name each other by a key.
fn table_rows(keyword: &Entry, entries: &[Entry], report: &mut Report<'_>) -> Option<Rows> {
    let rows = node_rows(keyword, entries, report)?;
    if rows.query {
        let message = format!("\"{}\" takes a table, not a query", keyword.key);
        return report.fail(rows.table.at, "wrong_shape", message);
    }
    Some(rows)
}

fn parent(
    keyword: &Entry,
    node: &Node,
    entries: &[Entry],
    report: &mut Report<'_>,
) -> Option<At<Vec<At<Name>>>> {
    let Some(entry) = get(entries, "parent") else {
        let message = format!("\"{}\" has no \"parent\"", keyword.key);
        let help = "it is the column that names the row above, or a list of these".to_owned();
        return report.fail_with(node.at, "missing_key", message, help);
    };
    Some(At {
        at: entry.value.at,
        is: one_or_more_names(&entry.value, "\"parent\"", report)?,
    })
}

fn body<'a>(keyword: &Entry, node: &Node, entries: &'a [Entry], report: &mut Report<'_>) -> Option<&'a Node> {
    match get(entries, "body") {
        Some(entry) => Some(&entry.value),
        None => report.fail(
            node.at,
            "missing_key",
            format!("\"{}\" has no \"body\"", keyword.key),
        ),
    }
}

fn start(node: &Node, report: &mut Report<'_>) -> Option<Vec<Condition>> {
    let entries = map(node, "\"start\"", report)?;
    START.check(entries, report);
    match get(entries, "where") {
        Some(entry) if matches!(&entry.value.value, Content::Map(entries) if entries.is_empty()) => {
            report.fail(entry.value.at, "wrong_shape", "\"where\" of \"start\" is empty")
        }
        Some(entry) => Some(conditions::filters(&entry.value, report)),
        None => report.fail(node.at, "missing_key", "\"start\" has no \"where\""),
    }
}
