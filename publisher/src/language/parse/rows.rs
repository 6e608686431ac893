//! The options that say which rows: `via`, `order`, `limit`; with [`super::conditions`] `match` and `where`.

use crate::language::name::Name;
use crate::language::problem::Report;
use crate::language::syntax::{At, Hop, Link, OrderBy, Via};
use crate::language::yaml::{Content, Entry, Node};

use super::fields::{Keys, get, list, name, one_or_more_names, parse_name, text, whole_number, wrong};
use super::{conditions, queries};

pub const VIA: Keys = Keys {
    of: "\"via\"",
    known: &["table", "from", "to"],
};

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
        (None, Some(entry)) => Link::Match(conditions::matches(&entry.value, report)),
        (None, None) => Link::Inferred,
    }
}

fn via(node: &Node, report: &mut Report<'_>) -> Option<Via> {
    let Content::List(items) = &node.value else {
        return hop(node, report).map(Via::Junction);
    };
    if items.is_empty() {
        return report.fail(node.at, "wrong_shape", "\"via\" is empty");
    }
    let hops: Vec<_> = items.iter().map(|item| hop(item, report)).collect();
    hops.into_iter().collect::<Option<Vec<_>>>().map(Via::Hops)
}

fn hop(node: &Node, report: &mut Report<'_>) -> Option<Hop> {
    match &node.value {
        Content::List(_) => wrong(node, "an entry of \"via\"", "a table or a map", report),
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
            Some(Hop {
                at: node.at,
                table: name(&table.value, "\"table\"", report)?,
                from: from?,
                to: to?,
            })
        }
        Content::Scalar(_) => Some(Hop {
            at: node.at,
            table: name(node, "\"via\"", report)?,
            from: None,
            to: None,
        }),
    }
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

/// The table of a node, and whether it is a query in place of one.
pub fn table(node: &Node, keyword: &str, report: &mut Report<'_>) -> Option<(At<Name>, bool)> {
    match &node.value {
        Content::Map(entries) if get(entries, "query").is_some() => {
            let query = queries::named(node, report)?;
            Some((parse_name(&query.is, query.at, report)?, true))
        }
        _ => Some((name(node, &format!("\"{keyword}\""), report)?, false)),
    }
}
