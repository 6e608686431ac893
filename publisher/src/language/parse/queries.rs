//! `queries`: SELECTs that stand in place of tables.

use crate::language::expression::{self, Expression, Piece};
use crate::language::problem::Report;
use crate::language::syntax::{At, Depends, Query};
use crate::language::yaml::{Entry, Node, Span};

use super::fields::{Keys, get, map, names, parse_name, scalar};

pub const QUERY: Keys = Keys {
    of: "a query",
    known: &["sql", "id", "depends"],
};

/// In place of a table.
pub const NAMED: Keys = Keys {
    of: "a query in place of a table",
    known: &["query"],
};

pub fn queries(node: &Node, report: &mut Report<'_>) -> Vec<Query> {
    let entries = map(node, "\"queries\"", report).unwrap_or_default();
    entries.iter().filter_map(|entry| query(entry, report)).collect()
}

fn query(Entry { key, at, value }: &Entry, report: &mut Report<'_>) -> Option<Query> {
    let good = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !good {
        let help = "letters, digits and _ make one, and it starts with no digit".to_owned();
        return report.fail_with(
            *at,
            "query_name",
            format!("\"{key}\" is no name for a query"),
            help,
        );
    }
    let options = map(value, &format!("the query \"{key}\""), report)?;
    QUERY.check(options, report);
    for needed in QUERY.known.iter().filter(|needed| get(options, needed).is_none()) {
        report.fail::<()>(
            *at,
            "missing_key",
            format!("the query \"{key}\" has no \"{needed}\""),
        );
    }
    Some(Query {
        name: At {
            at: *at,
            is: key.clone(),
        },
        sql: get(options, "sql").and_then(|entry| whole(&entry.value, report)),
        id: get(options, "id")
            .and_then(|entry| names(&entry.value, "\"id\"", report))
            .unwrap_or_default(),
        depends: get(options, "depends")
            .map(|entry| depends(&entry.value, report))
            .unwrap_or_default(),
    })
}

/// The query itself stands for no row, so no column can stand in it.
fn whole(node: &Node, report: &mut Report<'_>) -> Option<At<Expression>> {
    let sql = select(node, "\"sql\"", report)?;
    match sql
        .is
        .pieces
        .iter()
        .find(|piece| matches!(piece, Piece::Column(_)))
    {
        Some(Piece::Column(name)) => {
            let message = format!("the query stands for no row, so {{{name}}} means nothing in it");
            let help = "columns in braces belong into \"depends\"; a brace is written \"{{\"".to_owned();
            report.fail_with(node.at, "sql", message, help)
        }
        _ => Some(sql),
    }
}

fn depends(node: &Node, report: &mut Report<'_>) -> Vec<Depends> {
    let entries = map(node, "\"depends\"", report).unwrap_or_default();
    let one = |Entry { key, at, value }: &Entry| {
        let sql = select(value, &format!("\"depends\" of \"{key}\""), report);
        Some(Depends {
            table: parse_name(key, *at, report)?,
            sql: sql?,
        })
    };
    entries.iter().filter_map(one).collect()
}

fn select(node: &Node, what: &str, report: &mut Report<'_>) -> Option<At<Expression>> {
    let text = scalar(node, what, report)?;
    match expression::parse_query(&text.text) {
        Ok(is) => Some(At { at: node.at, is }),
        Err(message) => report.fail(node.at, "sql", message),
    }
}

/// `{ query: name }` in place of a table.
pub fn named(node: &Node, report: &mut Report<'_>) -> Option<At<String>> {
    let entries = map(node, "a query in place of a table", report)?;
    NAMED.check(entries, report);
    let entry = get(entries, "query")?;
    let name = scalar(&entry.value, "\"query\"", report)?;
    Some(At {
        at: at(entry),
        is: name.text.clone(),
    })
}

fn at(entry: &Entry) -> Span {
    entry.value.at
}
