//! `targets`: which of them get the document, which part of it, and in what index.

use crate::language::problem::Report;
use crate::language::syntax::{Allowed, At, TargetUse};
use crate::language::template::{self, Piece};
use crate::language::yaml::{Content, Entry, Node, Plain, Scalar};

use super::fields::{Keys, get, map, parse_name, text, wrong};
use super::json::json;

pub const TARGET: Keys = Keys {
    of: "a target",
    known: &["only", "index", "mapping", "settings", "routing"],
};

/// Leaves room for the number that follows in the name of the index (255 bytes at most).
const LONGEST_INDEX: usize = 200;

/// Members of a mapping without which documents could not be compared, or found again, or the index itself.
pub const OWN_MAPPING: [&str; 3] = ["_source", "_routing", "_meta"];

/// What may stand in a mapping beside `properties`.
pub const OF_MAPPINGS: [&str; 8] = [
    "dynamic",
    "dynamic_templates",
    "dynamic_date_formats",
    "date_detection",
    "numeric_detection",
    "_meta",
    "_source",
    "_routing",
];

/// How long deletes are remembered, on which late messages rely.
pub const OWN_SETTINGS: [&str; 2] = ["gc_deletes", "index.gc_deletes"];

pub fn targets(node: &Node, report: &mut Report<'_>) -> Option<Vec<TargetUse>> {
    let entries = map(node, "\"targets\"", report)?;
    if entries.is_empty() {
        let help = "leave \"targets\" out for all of them".to_owned();
        return report.fail_with(node.at, "wrong_shape", "\"targets\" names no target", help);
    }
    Some(entries.iter().map(|entry| target(entry, report)).collect())
}

fn target(Entry { key, at, value }: &Entry, report: &mut Report<'_>) -> TargetUse {
    let empty = matches!(&value.value, Content::Scalar(scalar) if scalar.meaning() == Plain::Null);
    let options = if empty {
        &[][..]
    } else {
        map(value, &format!("the target \"{key}\""), report).unwrap_or_default()
    };
    TARGET.check(options, report);
    let value = |key| get(options, key).map(|entry| &entry.value);
    TargetUse {
        name: At {
            at: *at,
            is: key.clone(),
        },
        index: value("index").and_then(|node| index(node, report)),
        only: value("only").map(|node| only(node, report)).unwrap_or_default(),
        mapping: value("mapping").and_then(|node| part_of_index(node, "mapping", &OWN_MAPPING, report)),
        settings: value("settings").and_then(|node| part_of_index(node, "settings", &OWN_SETTINGS, report)),
        routing: value("routing").and_then(|node| routing(node, report)),
    }
}

/// Columns and the values that pass.
fn only(node: &Node, report: &mut Report<'_>) -> Vec<Allowed> {
    let entries = map(node, "\"only\"", report).unwrap_or_default();
    if matches!(&node.value, Content::Map(entries) if entries.is_empty()) {
        report.fail::<()>(node.at, "wrong_shape", "\"only\" names no column");
    }
    entries
        .iter()
        .filter_map(|entry| allowed(entry, report))
        .collect()
}

fn allowed(Entry { key, at, value }: &Entry, report: &mut Report<'_>) -> Option<Allowed> {
    let column = parse_name(key, *at, report)?;
    let constants = match &value.value {
        Content::List(items) if items.is_empty() => {
            let message = format!("\"only\" lets no value of \"{key}\" pass");
            let help = "leave the target out instead".to_owned();
            return report.fail_with(value.at, "wrong_shape", message, help);
        }
        Content::List(items) => items.iter().map(|item| constant(item, key, report)).collect(),
        _ => vec![constant(value, key, report)],
    };
    Some(Allowed {
        column,
        constants: constants.into_iter().collect::<Option<_>>()?,
    })
}

fn constant(node: &Node, column: &str, report: &mut Report<'_>) -> Option<At<Scalar>> {
    match &node.value {
        Content::Scalar(scalar) if scalar.meaning() != Plain::Null => Some(At {
            at: node.at,
            is: scalar.clone(),
        }),
        _ => wrong(
            node,
            &format!("a value of \"{column}\" under \"only\""),
            "a constant",
            report,
        ),
    }
}

fn index(node: &Node, report: &mut Report<'_>) -> Option<At<Vec<Piece>>> {
    let text = text(node, "\"index\"", report)?;
    let pieces = match template::parse(&text.is) {
        Ok(pieces) => pieces,
        Err(message) => return report.fail(text.at, "index_name", message),
    };
    let starts = matches!(pieces.first(), Some(Piece::Literal(text))
        if text.starts_with(|c: char| c.is_lowercase() || c.is_ascii_digit()));
    let good = |c: char| (c.is_alphanumeric() && !c.is_uppercase()) || matches!(c, '_' | '-' | '.');
    let literal = |piece: &Piece| match piece {
        Piece::Literal(text) => text.chars().all(good),
        Piece::Column(_) => true,
    };
    if starts && pieces.iter().all(literal) && text.is.len() <= LONGEST_INDEX {
        return Some(At {
            at: text.at,
            is: pieces,
        });
    }
    let help =
        "lower case letters, digits, -, _ and . make one, and it starts with a letter or digit".to_owned();
    let message = format!("\"{}\" is no name for an index", text.is);
    report.fail_with(text.at, "index_name", message, help)
}

fn routing(node: &Node, report: &mut Report<'_>) -> Option<At<Vec<Piece>>> {
    let text = text(node, "\"routing\"", report)?;
    match template::parse(&text.is) {
        Ok(pieces) if pieces.iter().any(|piece| matches!(piece, Piece::Column(_))) => Some(At {
            at: text.at,
            is: pieces,
        }),
        Ok(_) => {
            let message = format!("the routing \"{}\" holds no column", text.is);
            let help = format!("columns stand in braces: \"{{{}}}\"", text.is);
            report.fail_with(text.at, "routing", message, help)
        }
        Err(message) => report.fail(text.at, "routing", message),
    }
}

/// JSON that goes into the making of an index.
fn part_of_index(
    node: &Node,
    what: &str,
    own: &[&str],
    report: &mut Report<'_>,
) -> Option<serde_json::Value> {
    let problems = report.count();
    let entries = map(node, &format!("\"{what}\""), report)?;
    for entry in entries.iter().filter(|entry| own.contains(&entry.key.as_str())) {
        let message = format!("\"{}\" under \"{what}\" is set by pubsync itself", entry.key);
        report.fail::<()>(entry.at, "index_part", message);
    }
    if what == "mapping" {
        check_mapping(node, entries, report);
    }
    let json = json(node, report)?;
    let value = serde_json::from_str(&json).ok();
    value.filter(|_| report.count() == problems)
}

/// Fields written without `properties` around them would be ignored by nobody's fault but ours.
fn check_mapping(node: &Node, entries: &[Entry], report: &mut Report<'_>) {
    if let Some(properties) = get(entries, "properties") {
        map(&properties.value, "\"properties\" of a mapping", report);
    } else if !entries
        .iter()
        .any(|entry| OF_MAPPINGS.contains(&entry.key.as_str()))
    {
        let help =
            "fields stand under \"properties\": { properties: { name: { analyzer: german } } }".to_owned();
        report.fail_with::<()>(
            node.at,
            "index_part",
            "\"mapping\" holds nothing that a mapping has",
            help,
        );
    }
}
