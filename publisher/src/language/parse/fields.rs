//! Readers of the shapes that a tree has: maps with known keys, lists, names, numbers.

use crate::language::name::Name;
use crate::language::problem::Report;
use crate::language::suggest::nearest;
use crate::language::syntax::At;
use crate::language::yaml::{Content, Entry, Node, Plain, Scalar, Span};

/// The keys that a map may hold.
pub struct Keys {
    /// What the map is, for messages: `a document`.
    pub of: &'static str,
    pub known: &'static [&'static str],
}

impl Keys {
    /// The known key that an unknown one is taken for.
    pub fn takes_for(&self, key: &str) -> Option<&'static str> {
        nearest(key, self.known.iter().copied()).filter(|_| !self.known.contains(&key))
    }

    /// Notes keys that are unknown.
    pub fn check(&self, entries: &[Entry], report: &mut Report<'_>) {
        let help = format!("it may hold: {}", self.known.join(", "));
        self.check_or(entries, |_| help.clone(), report);
    }

    /// The same, with what to do about a key that is not near any other.
    pub fn check_or(&self, entries: &[Entry], help: impl Fn(&str) -> String, report: &mut Report<'_>) {
        for Entry { key, at, .. } in entries {
            if !self.known.contains(&key.as_str()) {
                let meant = self
                    .takes_for(key)
                    .map(|near| format!("did you mean \"{near}\"?"));
                let help = meant.unwrap_or_else(|| help(key));
                report.fail_with::<()>(
                    *at,
                    "unknown_key",
                    format!("unknown key \"{key}\" in {}", self.of),
                    help,
                );
            }
        }
    }
}

pub fn get<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.key == key)
}

pub fn map<'a>(node: &'a Node, what: &str, report: &mut Report<'_>) -> Option<&'a [Entry]> {
    match &node.value {
        Content::Map(entries) => Some(entries),
        _ => wrong(node, what, "a map", report),
    }
}

pub fn list<'a>(node: &'a Node, what: &str, report: &mut Report<'_>) -> Option<&'a [Node]> {
    match &node.value {
        Content::List(items) => Some(items),
        _ => wrong(node, what, "a list", report),
    }
}

pub fn scalar<'a>(node: &'a Node, what: &str, report: &mut Report<'_>) -> Option<&'a Scalar> {
    match &node.value {
        Content::Scalar(scalar) if scalar.meaning() != Plain::Null => Some(scalar),
        _ => wrong(node, what, "text", report),
    }
}

/// Text that is no plain number, boolean or null.
pub fn text(node: &Node, what: &str, report: &mut Report<'_>) -> Option<At<String>> {
    match &node.value {
        Content::Scalar(scalar) if scalar.meaning() == Plain::Text => Some(At {
            at: node.at,
            is: scalar.text.clone(),
        }),
        _ => wrong(node, what, "text", report),
    }
}

pub fn boolean(node: &Node, what: &str, report: &mut Report<'_>) -> Option<bool> {
    match &node.value {
        Content::Scalar(scalar) if scalar.meaning() == Plain::Boolean => Some(scalar.text == "true"),
        _ => wrong(node, what, "true or false", report),
    }
}

/// A whole number from `least` on.
pub fn whole_number(node: &Node, what: &str, least: u64, report: &mut Report<'_>) -> Option<u64> {
    let number = match &node.value {
        Content::Scalar(Scalar { text, plain: true }) => text.parse().ok(),
        _ => None,
    };
    match number {
        // What a database and a file size can hold.
        Some(number) if number >= least && i64::try_from(number).is_ok() => Some(number),
        _ => wrong(node, what, &format!("a whole number from {least} on"), report),
    }
}

/// The name of a column or a table.
pub fn name(node: &Node, what: &str, report: &mut Report<'_>) -> Option<At<Name>> {
    match &node.value {
        Content::Scalar(scalar) if scalar.meaning() == Plain::Text => {
            parse_name(&scalar.text, node.at, report)
        }
        _ => wrong(node, what, "a name", report),
    }
}

/// A list of names.
pub fn names(node: &Node, what: &str, report: &mut Report<'_>) -> Option<Vec<At<Name>>> {
    let items = list(node, what, report)?;
    if items.is_empty() {
        return report.fail(node.at, "wrong_shape", format!("{what} is empty"));
    }
    let item = format!("an entry of {what}");
    Some(
        items
            .iter()
            .filter_map(|node| name(node, &item, report))
            .collect(),
    )
}

/// A name, or a list of names.
pub fn one_or_more_names(node: &Node, what: &str, report: &mut Report<'_>) -> Option<Vec<At<Name>>> {
    match &node.value {
        Content::List(_) => names(node, what, report),
        _ => name(node, what, report).map(|name| vec![name]),
    }
}

pub fn parse_name(text: &str, at: Span, report: &mut Report<'_>) -> Option<At<Name>> {
    match Name::parse(text) {
        Ok(is) => Some(At { at, is }),
        Err(message) => report.fail(at, "wrong_name", message),
    }
}

/// `"limit" must be …, not …`.
pub fn wrong<T>(node: &Node, what: &str, expected: &str, report: &mut Report<'_>) -> Option<T> {
    report.fail(
        node.at,
        "wrong_shape",
        format!("{what} must be {expected}, not {}", describe(node)),
    )
}

pub fn describe(node: &Node) -> String {
    match &node.value {
        Content::Map(_) => "a map".to_owned(),
        Content::List(_) => "a list".to_owned(),
        Content::Scalar(scalar) => match scalar.meaning() {
            Plain::Null => "null".to_owned(),
            Plain::Text => format!("\"{}\"", scalar.text),
            Plain::Boolean | Plain::Number => scalar.text.clone(),
        },
    }
}
