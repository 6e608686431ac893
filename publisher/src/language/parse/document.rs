//! The top level of a file: `document`, `root`, `each`, `key`, `body`, `targets` and the rest.

use pubsync_schema::shape::SyncMode;

use crate::language::name::Name;
use crate::language::problem::Report;
use crate::language::suggest::did_you_mean;
use crate::language::syntax::{At, Declaration, Member, Scope};
use crate::language::template::{self, Piece};
use crate::language::yaml::{Content, Entry, Node, Span};

use super::fields::{Keys, boolean, get, list, map, name, names, scalar, text, whole_number};
use super::rows;
use super::targets::targets;
use super::{body, conditions, life, queries};

pub const DOCUMENT: Keys = Keys {
    of: "a document",
    known: &[
        "document",
        "root",
        "id",
        "each",
        "queries",
        "key",
        "aliases",
        "where",
        "visible",
        "body",
        "targets",
        "sync",
        "queue",
        "inline_limit",
        "unhashed",
        "tombstone",
        "absent",
        "capture",
    ],
};

pub const SCOPE: Keys = Keys {
    of: "a scope",
    known: &["table", "via", "match", "where", "optional"],
};

/// Words that reach rows by themselves.
pub const RESERVED: [&str; 3] = ["root", "via", "parent"];

/// Leaves room for the prefix of `mirror_<document>` in the 63 bytes of a PostgreSQL name.
pub const LONGEST_NAME: usize = 48;

pub fn declaration(tree: &Node, report: &mut Report<'_>) -> Option<Declaration> {
    let entries = map(tree, "a document", report)?;
    DOCUMENT.check(entries, report);
    Some(Declaration {
        name: required(entries, "document", tree.at, report)
            .and_then(|node| document_name(node, "document", report)),
        root: required(entries, "root", tree.at, report).and_then(|node| name(node, "\"root\"", report)),
        id: get(entries, "id").and_then(|entry| id(&entry.value, report)),
        scopes: get(entries, "each")
            .map(|entry| scopes(&entry.value, report))
            .unwrap_or_default(),
        key: required(entries, "key", tree.at, report).and_then(|node| key(node, "\"key\"", report)),
        aliases: get(entries, "aliases")
            .map(|entry| aliases(&entry.value, report))
            .unwrap_or_default(),
        queries: get(entries, "queries")
            .map(|entry| queries::queries(&entry.value, report))
            .unwrap_or_default(),
        conditions: get(entries, "where")
            .map(|entry| conditions::filters(&entry.value, report))
            .unwrap_or_default(),
        body: required(entries, "body", tree.at, report)
            .map(|node| whole_body(node, report))
            .unwrap_or_default(),
        targets: get(entries, "targets").and_then(|entry| targets(&entry.value, report)),
        sync: get(entries, "sync").and_then(|entry| sync(&entry.value, report)),
        queue: get(entries, "queue")
            .and_then(|entry| document_name(&entry.value, "queue", report))
            .map(|name| name.is),
        inline_limit: get(entries, "inline_limit")
            .and_then(|entry| whole_number(&entry.value, "\"inline_limit\"", 0, report))
            .and_then(|bytes| usize::try_from(bytes).ok()),
        life: life::life(entries, report),
    })
}

fn required<'a>(entries: &'a [Entry], key: &str, at: Span, report: &mut Report<'_>) -> Option<&'a Node> {
    match get(entries, key) {
        Some(entry) => Some(&entry.value),
        // A slip in the key itself is noted already.
        None if entries
            .iter()
            .any(|entry| DOCUMENT.takes_for(&entry.key) == Some(key)) =>
        {
            None
        }
        None => report.fail(at, "missing_key", format!("the document has no \"{key}\"")),
    }
}

/// Whether a document can be called so: its name stands in those of tables and queues.
#[must_use]
pub fn is_document_name(name: &str) -> bool {
    has_good_letters(name) && name.len() <= LONGEST_NAME
}

fn has_good_letters(name: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(good)
}

/// Also of queues, which are named the same way.
fn document_name(node: &Node, key: &str, report: &mut Report<'_>) -> Option<At<String>> {
    let name = text(node, &format!("\"{key}\""), report)?;
    if !has_good_letters(&name.is) {
        let message = format!("\"{}\" is no name for a {key}", name.is);
        let help = "lower case letters, digits, - and _ make one, and it starts with a letter".to_owned();
        return report.fail_with(name.at, "document_name", message, help);
    }
    if name.is.len() > LONGEST_NAME {
        let message = format!(
            "the name \"{}\" is longer than {LONGEST_NAME} characters",
            name.is
        );
        return report.fail(name.at, "document_name", message);
    }
    Some(name)
}

fn id(node: &Node, report: &mut Report<'_>) -> Option<At<Vec<At<Name>>>> {
    Some(At {
        at: node.at,
        is: names(node, "\"id\"", report)?,
    })
}

fn scopes(node: &Node, report: &mut Report<'_>) -> Vec<Scope> {
    let entries = map(node, "\"each\"", report).unwrap_or_default();
    entries.iter().filter_map(|entry| scope(entry, report)).collect()
}

fn scope(entry: &Entry, report: &mut Report<'_>) -> Option<Scope> {
    let Entry { key, at, value } = entry;
    if RESERVED.contains(&key.as_str()) {
        let message = format!("a scope cannot be called \"{key}\"");
        return report.fail_with(
            *at,
            "scope_name",
            message,
            "root, via and parent are taken".to_owned(),
        );
    }
    let good = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !good {
        let help = "letters, digits and _ make one, and it starts with no digit".to_owned();
        return report.fail_with(
            *at,
            "scope_name",
            format!("\"{key}\" is no name for a scope"),
            help,
        );
    }
    let problems = report.count();
    let options = map(value, &format!("the scope \"{key}\""), report).unwrap_or_default();
    SCOPE.check(options, report);
    let table = match get(options, "table") {
        Some(entry) => match rows::table(&entry.value, "table", report) {
            Some((named, true)) => report.fail(named.at, "wrong_shape", "a scope takes a table, not a query"),
            table => table.map(|(named, _)| named),
        },
        None if matches!(value.value, Content::Map(_)) => report.fail(
            *at,
            "missing_key",
            format!("the scope \"{key}\" has no \"table\""),
        ),
        None => None,
    };
    let link = rows::link(options, report);
    let conditions = get(options, "where")
        .map(|entry| conditions::filters(&entry.value, report))
        .unwrap_or_default();
    let optional = get(options, "optional").and_then(|entry| boolean(&entry.value, "\"optional\"", report));
    Some(Scope {
        name: At {
            at: *at,
            is: key.clone(),
        },
        table,
        link,
        conditions,
        optional: optional.unwrap_or_default(),
        whole: report.count() == problems,
    })
}

/// Of a key or an alias.
fn key(node: &Node, what: &str, report: &mut Report<'_>) -> Option<At<Vec<Piece>>> {
    let text = text(node, what, report)?;
    match template::parse(&text.is) {
        Ok(is) => Some(At { at: text.at, is }),
        Err(message) => report.fail(text.at, "key_template", message),
    }
}

fn aliases(node: &Node, report: &mut Report<'_>) -> Vec<At<Vec<Piece>>> {
    let items = list(node, "\"aliases\"", report).unwrap_or_default();
    if matches!(&node.value, Content::List(items) if items.is_empty()) {
        report.fail::<()>(node.at, "wrong_shape", "\"aliases\" is empty");
    }
    items
        .iter()
        .filter_map(|node| key(node, "an entry of \"aliases\"", report))
        .collect()
}

/// Always an object, so no keyword means anything here.
fn whole_body(node: &Node, report: &mut Report<'_>) -> Vec<Member> {
    let entries = map(node, "\"body\" of a document", report).unwrap_or_default();
    if matches!(&node.value, Content::Map(entries) if entries.is_empty()) {
        report.fail::<()>(node.at, "empty_body", "the body is empty");
    }
    for entry in entries.iter().filter(|entry| entry.key == "_revision") {
        let message = "the body cannot have a member \"_revision\": Redis adds one to every document";
        report.fail::<()>(entry.at, "revision_member", message);
    }
    body::members(entries, report)
}

fn sync(node: &Node, report: &mut Report<'_>) -> Option<SyncMode> {
    match scalar(node, "\"sync\"", report)?.text.as_str() {
        "queue" => Some(SyncMode::Queue),
        "direct" => Some(SyncMode::Direct),
        other => {
            let help = did_you_mean(other, ["queue", "direct"]);
            report.fail_with(
                node.at,
                "wrong_shape",
                format!("\"sync\" is queue or direct, not \"{other}\""),
                help,
            )
        }
    }
}
