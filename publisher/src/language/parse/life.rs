//! When a document shows, what stays of it, and who says that it changed.

use crate::language::problem::Report;
use crate::language::suggest::did_you_mean;
use crate::language::syntax::{At, Life};
use crate::language::yaml::{Content, Entry, Node};

use super::fields::{Keys, get, list, map, name, scalar, text};

pub const VISIBLE: Keys = Keys {
    of: "\"visible\"",
    known: &["from", "until"],
};

pub fn life(entries: &[Entry], report: &mut Report<'_>) -> Life {
    let mut life = Life::default();
    if let Some(entry) = get(entries, "visible") {
        visible(&entry.value, &mut life, report);
    }
    let mut members = |key: &str| {
        get(entries, key)
            .map(|entry| members(&entry.value, key, report))
            .unwrap_or_default()
    };
    life.unhashed = members("unhashed");
    life.tombstone = members("tombstone");
    let mut is = |key: &str, words: [&str; 2]| {
        get(entries, key).and_then(|entry| one_of(&entry.value, key, words, report)) == Some(1)
    };
    life.keeps_absent = is("absent", ["delete", "keep"]);
    life.manual = is("capture", ["triggers", "manual"]);
    life
}

fn visible(node: &Node, life: &mut Life, report: &mut Report<'_>) {
    let Some(entries) = map(node, "\"visible\"", report) else {
        return;
    };
    VISIBLE.check(entries, report);
    if entries.is_empty() {
        report.fail::<()>(
            node.at,
            "wrong_shape",
            "\"visible\" has neither \"from\" nor \"until\"",
        );
    }
    let mut column = |key: &str| {
        get(entries, key).and_then(|entry| name(&entry.value, &format!("\"{key}\" of \"visible\""), report))
    };
    life.from = column("from");
    life.until = column("until");
}

fn members(node: &Node, key: &str, report: &mut Report<'_>) -> Vec<At<String>> {
    let items = list(node, &format!("\"{key}\""), report).unwrap_or_default();
    if matches!(&node.value, Content::List(items) if items.is_empty()) {
        report.fail::<()>(node.at, "wrong_shape", format!("\"{key}\" is empty"));
    }
    let what = format!("an entry of \"{key}\"");
    items
        .iter()
        .filter_map(|node| text(node, &what, report))
        .collect()
}

/// Which of the two words it is.
fn one_of(node: &Node, key: &str, words: [&str; 2], report: &mut Report<'_>) -> Option<usize> {
    let found = scalar(node, &format!("\"{key}\""), report)?;
    words.iter().position(|word| *word == found.text).or_else(|| {
        let message = format!(
            "\"{key}\" is {} or {}, not \"{}\"",
            words[0], words[1], found.text
        );
        report.fail_with(node.at, "wrong_shape", message, did_you_mean(&found.text, words))
    })
}
