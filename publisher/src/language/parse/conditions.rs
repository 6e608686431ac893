//! Entries of `match` and `where`: a column, and what it equals or how it is tested.

use crate::document::Comparison;
use crate::language::name::is_qualified;
use crate::language::problem::Report;
use crate::language::syntax::{At, Condition, Equality, Existing, Right, Test};
use crate::language::yaml::{Content, Entry, Node, Plain, Scalar};

use super::fields::{Keys, describe, get, list, map, name, parse_name, wrong};
use super::rows;

/// Of a map on the right side of `where`.
pub const TESTS: Keys = Keys {
    of: "a condition",
    known: &["not", "gt", "gte", "lt", "lte"],
};

/// Of `exists` and `missing`.
pub const EXISTING: Keys = Keys {
    of: "\"exists\" or \"missing\"",
    known: &["table", "via", "match", "where"],
};

/// Entries of `match`.
pub fn matches(node: &Node, report: &mut Report<'_>) -> Vec<Equality> {
    let Some(entries) = map(node, "\"match\"", report) else {
        return Vec::new();
    };
    if entries.is_empty() {
        report.fail::<()>(node.at, "wrong_shape", "\"match\" is empty");
    }
    let equality = |entry: &Entry| {
        let column = parse_name(&entry.key, entry.at, report);
        let equals = match_right(&entry.value, report);
        Some(Equality {
            column: column?,
            equals: equals?,
        })
    };
    entries.iter().filter_map(equality).collect()
}

fn match_right(node: &Node, report: &mut Report<'_>) -> Option<At<Right>> {
    let no_column = |report: &mut Report<'_>| {
        wrong(
            node,
            "the right side of \"match\"",
            "a column or { value: … }",
            report,
        )
    };
    let is = match &node.value {
        Content::Scalar(scalar) if scalar.meaning() == Plain::Text => Right::Name(name(node, "", report)?.is),
        Content::Scalar(_) => return constant_needs_value(node, report),
        Content::List(_) => return no_column(report),
        Content::Map(entries) => match value_of(entries) {
            Some(value) => Right::Constant(constant(value, report)?),
            None => return no_column(report),
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
    entries.iter().flat_map(|entry| filter(entry, report)).collect()
}

fn filter(Entry { key, at, value }: &Entry, report: &mut Report<'_>) -> Vec<Condition> {
    // A column of that name has a scalar, or is written in quotes of its own.
    if matches!(key.as_str(), "exists" | "missing") && !matches!(value.value, Content::Scalar(_)) {
        return existing(key, value, report);
    }
    let tests = tests(value, report);
    let Some(column) = parse_name(key, *at, report) else {
        return Vec::new();
    };
    let condition = |test| Condition::Column {
        column: column.clone(),
        test,
    };
    tests.into_iter().map(condition).collect()
}

/// What `exists` or `missing` holds: one kind of rows, or a list of them.
fn existing(key: &str, node: &Node, report: &mut Report<'_>) -> Vec<Condition> {
    let items = match &node.value {
        Content::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if items.is_empty() {
        report.fail::<()>(node.at, "wrong_shape", format!("\"{key}\" is empty"));
    }
    let condition = |item: &Node| {
        let options = map(item, &format!("\"{key}\""), report)?;
        EXISTING.check(options, report);
        let table = match get(options, "table") {
            Some(entry) => rows::table(&entry.value, "table", report),
            None => report.fail(item.at, "missing_key", format!("\"{key}\" has no \"table\"")),
        };
        let link = rows::link(options, report);
        let conditions = get(options, "where").map(|entry| filters(&entry.value, report));
        let (table, query) = table?;
        Some(Condition::Exists {
            rows: Existing {
                table,
                query,
                link,
                conditions: conditions.unwrap_or_default(),
            },
            wanted: key == "exists",
        })
    };
    items.iter().filter_map(condition).collect()
}

fn tests(node: &Node, report: &mut Report<'_>) -> Vec<At<Test>> {
    match &node.value {
        Content::Map(entries) if value_of(entries).is_none() => {
            TESTS.check(entries, report);
            if entries.is_empty() {
                report.fail::<()>(node.at, "wrong_shape", "a condition is empty");
            }
            entries.iter().filter_map(|entry| test(entry, report)).collect()
        }
        Content::List(_) => {
            let one_of = one_of(node, report).map(Test::OneOf);
            one_of.map(|is| At { at: node.at, is }).into_iter().collect()
        }
        _ => {
            let equals = right(node, report).map(Test::Equals);
            equals.map(|is| At { at: node.at, is }).into_iter().collect()
        }
    }
}

fn test(Entry { key, value, .. }: &Entry, report: &mut Report<'_>) -> Option<At<Test>> {
    let is = match key.as_str() {
        "not" => not(value, report)?,
        "gt" => Test::Compares(Comparison::Greater, compared(key, value, report)?),
        "gte" => Test::Compares(Comparison::GreaterOrEqual, compared(key, value, report)?),
        "lt" => Test::Compares(Comparison::Less, compared(key, value, report)?),
        "lte" => Test::Compares(Comparison::LessOrEqual, compared(key, value, report)?),
        _ => return None,
    };
    Some(At { at: value.at, is })
}

fn not(node: &Node, report: &mut Report<'_>) -> Option<Test> {
    if matches!(node.value, Content::List(_)) {
        return one_of(node, report).map(Test::NoneOf);
    }
    Some(match right(node, report)? {
        Right::Null => Test::NotNull,
        is => Test::NoneOf(vec![At { at: node.at, is }]),
    })
}

fn compared(key: &str, node: &Node, report: &mut Report<'_>) -> Option<Right> {
    match right(node, report)? {
        Right::Null => {
            let help = "null is tested by { column: null } and { column: { not: null } }".to_owned();
            let message = format!("nothing is greater or less than null, so \"{key}\" takes none");
            report.fail_with(node.at, "constant", message, help)
        }
        right => Some(right),
    }
}

fn one_of(node: &Node, report: &mut Report<'_>) -> Option<Vec<At<Right>>> {
    let items = list(node, "a list in \"where\"", report)?;
    if items.is_empty() {
        return report.fail(node.at, "wrong_shape", "a list in \"where\" is empty");
    }
    let rights: Vec<_> = items.iter().map(|item| entry_of_list(item, report)).collect();
    rights.into_iter().collect()
}

fn entry_of_list(node: &Node, report: &mut Report<'_>) -> Option<At<Right>> {
    match right(node, report)? {
        Right::Null => {
            let help = "null is tested by { column: null } and { column: { not: null } }".to_owned();
            report.fail_with(node.at, "constant", "a list in \"where\" cannot hold null", help)
        }
        is => Some(At { at: node.at, is }),
    }
}

/// A constant, a qualified column or `{ value: … }`.
fn right(node: &Node, report: &mut Report<'_>) -> Option<Right> {
    let scalar = match &node.value {
        Content::Scalar(Scalar { text, .. }) if is_qualified(text) => {
            return Some(Right::Name(name(node, "", report)?.is));
        }
        Content::Scalar(scalar) => scalar.clone(),
        Content::Map(entries) if value_of(entries).is_some() => constant(value_of(entries)?, report)?,
        _ => {
            return wrong(
                node,
                "the right side of a condition",
                "a constant, a qualified column or { value: … }",
                report,
            );
        }
    };
    Some(if scalar.meaning() == Plain::Null {
        Right::Null
    } else {
        Right::Constant(scalar)
    })
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
