//! The options that say which rows: `via`, `match`, `where`, `order`, `limit`.

use crate::language::name::{Name, is_qualified};
use crate::language::problem::Report;
use crate::language::syntax::{At, Condition, Link, OrderBy, Right, Via};
use crate::language::yaml::{Content, Entry, Node, Plain, Scalar};

use super::fields::{
    Keys, describe, get, list, map, name, one_or_more_names, parse_name, text, whole_number, wrong,
};

const VIA: Keys = Keys {
    of: "\"via\"",
    known: &["table", "from", "to"],
    later: &[],
};

/// Of `where`, instead of a plain constant.
const TESTS: [&str; 5] = ["not", "gt", "gte", "lt", "lte"];

/// `via`, `match` or neither.
pub fn link(options: &[Entry], report: &mut Report<'_>) -> Link {
    match (get(options, "via"), get(options, "match")) {
        (Some(_), Some(entry)) => {
            let help = "put further conditions into \"where\"".to_owned();
            report.fail_with::<()>(
                entry.at,
                "wrong_shape",
                "\"via\" and \"match\" exclude each other",
                help,
            );
            Link::Broken
        }
        (Some(entry), None) => via(&entry.value, report).map_or(Link::Broken, Link::Via),
        (None, Some(entry)) => Link::Match(matches(&entry.value, report)),
        (None, None) => Link::Inferred,
    }
}

fn via(node: &Node, report: &mut Report<'_>) -> Option<Via> {
    match &node.value {
        Content::List(_) => report.not_supported(node.at, "a \"via\" of several hops"),
        Content::Map(entries) => {
            VIA.check(entries, report);
            let Some(table) = get(entries, "table") else {
                return report.fail(node.at, "missing_key", "\"via\" has no \"table\"");
            };
            let mut columns = |key: &str| match get(entries, key) {
                Some(entry) => one_or_more_names(&entry.value, &format!("{key:?}"), report).map(Some),
                None => Some(None),
            };
            let (from, to) = (columns("from"), columns("to"));
            Some(Via {
                at: node.at,
                table: name(&table.value, "\"table\"", report)?,
                from: from?,
                to: to?,
            })
        }
        Content::Scalar(_) => Some(Via {
            at: node.at,
            table: name(node, "\"via\"", report)?,
            from: None,
            to: None,
        }),
    }
}

/// Entries of `match`.
fn matches(node: &Node, report: &mut Report<'_>) -> Vec<Condition> {
    let Some(entries) = map(node, "\"match\"", report) else {
        return Vec::new();
    };
    if entries.is_empty() {
        report.fail::<()>(node.at, "wrong_shape", "\"match\" is empty");
    }
    let condition = |entry: &Entry| {
        let column = parse_name(&entry.key, entry.at, report);
        let equals = match_right(&entry.value, report);
        Some(Condition {
            column: column?,
            equals: equals?,
        })
    };
    entries.iter().filter_map(condition).collect()
}

fn match_right(node: &Node, report: &mut Report<'_>) -> Option<At<Right>> {
    let is = match &node.value {
        Content::Scalar(scalar) if scalar.meaning() == Plain::Text => Right::Name(name(node, "", report)?.is),
        Content::Scalar(_) => return constant_needs_value(node, report),
        Content::List(_) => {
            return wrong(
                node,
                "the right side of \"match\"",
                "a column or { value: … }",
                report,
            );
        }
        Content::Map(entries) => match value_of(entries) {
            Some(value) => Right::Constant(constant(value, report)?),
            None => {
                return wrong(
                    node,
                    "the right side of \"match\"",
                    "a column or { value: … }",
                    report,
                );
            }
        },
    };
    match is {
        Right::Constant(scalar) if scalar.meaning() == Plain::Null => report.fail(
            node.at,
            "constant",
            "null never matches; { column: null } is a condition of \"where\"",
        ),
        is => Some(At { at: node.at, is }),
    }
}

/// Entries of `where`.
pub fn filters(node: &Node, report: &mut Report<'_>) -> Vec<Condition> {
    let entries = map(node, "\"where\"", report).unwrap_or_default();
    entries.iter().filter_map(|entry| filter(entry, report)).collect()
}

fn filter(entry: &Entry, report: &mut Report<'_>) -> Option<Condition> {
    let Entry { key, at, value } = entry;
    let is = match &value.value {
        Content::Map(_) | Content::List(_) if matches!(key.as_str(), "exists" | "missing") => {
            return report.not_supported(*at, &format!("\"{key}\""));
        }
        Content::List(_) => return report.not_supported(value.at, "a list in \"where\""),
        Content::Map(entries) => match value_of(entries) {
            Some(value) => right_constant(constant(value, report)?),
            None => return test_of_the_second_step(value, entries, report),
        },
        Content::Scalar(Scalar { text, .. }) if is_qualified(text) => {
            Right::Name(name(value, "", report)?.is)
        }
        Content::Scalar(scalar) => right_constant(scalar.clone()),
    };
    Some(Condition {
        column: parse_name(key, *at, report)?,
        equals: At { at: value.at, is },
    })
}

fn right_constant(scalar: Scalar) -> Right {
    if scalar.meaning() == Plain::Null {
        Right::Null
    } else {
        Right::Constant(scalar)
    }
}

fn test_of_the_second_step(node: &Node, entries: &[Entry], report: &mut Report<'_>) -> Option<Condition> {
    match entries.iter().find(|entry| TESTS.contains(&entry.key.as_str())) {
        Some(test) => report.not_supported(test.at, &format!("\"{}\"", test.key)),
        None => wrong(
            node,
            "the right side of \"where\"",
            "a constant, a qualified column or { value: … }",
            report,
        ),
    }
}

/// What `{ value: … }` holds.
fn value_of(entries: &[Entry]) -> Option<&Node> {
    match entries {
        [entry] if entry.key == "value" => Some(&entry.value),
        _ => None,
    }
}

fn constant(node: &Node, report: &mut Report<'_>) -> Option<Scalar> {
    match &node.value {
        Content::Scalar(scalar) => Some(scalar.clone()),
        _ => wrong(node, "a constant that meets a column", "a single value", report),
    }
}

/// Where a column stands, a constant must say that it is one.
pub fn constant_needs_value<T>(node: &Node, report: &mut Report<'_>) -> Option<T> {
    let shown = describe(node);
    let message = format!("a column is expected here, not {shown}");
    let help = format!("the constant is written {{ value: {shown} }}, a column of that name in quotes");
    report.fail_with(node.at, "wrong_shape", message, help)
}

pub fn order(node: &Node, report: &mut Report<'_>) -> Vec<OrderBy> {
    let items = list(node, "\"order\"", report).unwrap_or_default();
    items.iter().filter_map(|item| order_by(item, report)).collect()
}

fn order_by(node: &Node, report: &mut Report<'_>) -> Option<OrderBy> {
    let text = text(node, "an entry of \"order\"", report)?;
    let (descending, column) = match text.is.strip_prefix('-') {
        Some(column) => (true, column),
        None => (false, text.is.as_str()),
    };
    Some(OrderBy {
        column: parse_name(column, text.at, report)?,
        descending,
    })
}

pub fn limit(node: &Node, report: &mut Report<'_>) -> Option<u64> {
    whole_number(node, "\"limit\"", 1, report)
}

/// The table of a node; a query of the second step stands in its place.
pub fn table(node: &Node, keyword: &str, report: &mut Report<'_>) -> Option<At<Name>> {
    match &node.value {
        Content::Map(entries) if get(entries, "query").is_some() => {
            report.not_supported(node.at, "a query in place of a table")
        }
        _ => name(node, &format!("\"{keyword}\""), report),
    }
}
