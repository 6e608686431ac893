//! A plan as people read it.

use std::fmt::Write as _;

use pubsync_publisher::capture;
use pubsync_publisher::operate::plan::{ChangeKind, DocumentChange, FieldChange, Plan, Statement, Why};
use pubsync_publisher::operate::remains::{AtTarget, Fate, Remains};

/// So many names of one list are shown; `--json` has all.
const SHOWN: usize = 12;

/// `triggers installed on: product, brand`, with its line end; empty without tables.
pub fn triggers(what: &str, tables: &[String]) -> String {
    match tables {
        [] => String::new(),
        tables => format!("triggers {what}: {}\n", list(tables)),
    }
}

fn list(names: &[String]) -> String {
    match names.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}

/// The whole plan; `nothing to do` where it is empty.
#[must_use]
pub fn planned(plan: &Plan) -> String {
    if plan.is_empty() {
        let names: Vec<&str> = plan.documents.iter().map(|d| d.document.as_str()).collect();
        let statements: String = plan.documents.iter().map(document).collect();
        let remains: String = plan.remains.iter().map(remains).collect();
        return format!(
            "{statements}{remains}nothing to do: {} stand as declared",
            names.join(", ")
        );
    }
    let mut out = String::new();
    for (what, names) in [
        ("migrations", &plan.migrations),
        ("new tables", &plan.tables),
        ("new queues", &plan.queues),
    ] {
        if !names.is_empty() {
            let _ = writeln!(out, "{what}: {}", list(names));
        }
    }
    for (kind, what) in [
        (capture::ChangeKind::Install, "to install on"),
        (capture::ChangeKind::Replace, "to replace on"),
        (capture::ChangeKind::Remove, "to remove from"),
    ] {
        let of_kind = plan.triggers.iter().filter(|change| change.kind == kind);
        let tables: Vec<String> = of_kind.map(|change| change.table.clone()).collect();
        out.push_str(&triggers(what, &tables));
    }
    for change in &plan.triggers {
        change.sql.iter().for_each(|sql| statement(&mut out, sql));
    }
    plan.documents
        .iter()
        .for_each(|change| out.push_str(&document(change)));
    plan.remains.iter().for_each(|r| out.push_str(&remains(r)));
    out.push_str(&summary(plan));
    out
}

fn document(change: &DocumentChange) -> String {
    let mut out = String::new();
    if change.is_nothing() && change.statements.is_empty() {
        return out;
    }
    let (sign, fate) = match (change.change, change.rebuild) {
        (ChangeKind::New, _) => ('+', "new, to build"),
        (ChangeKind::Removed, _) => ('-', "declared no more"),
        (ChangeKind::Changed, true) => ('~', "to rebuild"),
        (ChangeKind::Changed, false) => ('~', "changed, nothing to rebuild"),
        (ChangeKind::Unchanged, _) => ('=', "unchanged"),
    };
    let file = change
        .file
        .as_ref()
        .map(|file| format!(" ({file})"))
        .unwrap_or_default();
    let _ = writeln!(out, "{sign} {}{file}: {fate}", change.document);
    for why in change.why.iter().filter(|why| **why != Why::New) {
        let _ = writeln!(out, "    because {}", because(why));
    }
    for line in change.diff.iter().flat_map(|diff| diff.lines()) {
        let _ = writeln!(out, "    {line}");
    }
    for change in &change.mapping {
        let _ = writeln!(out, "    index mapping: {}", field(change));
    }
    for target in &change.resync {
        let _ = writeln!(out, "    target {target}: joins, gets all documents (resync)");
    }
    for target in &change.reindex {
        let _ = writeln!(
            out,
            "    target {target}: a new index is filled, then takes the place of the old one"
        );
    }
    for target in &change.left {
        let _ = writeln!(out, "    target {target}: left");
    }
    for Statement { name, sql } in &change.statements {
        let _ = writeln!(out, "    -- {name}");
        statement(&mut out, sql);
    }
    out
}

/// What was left behind, and what becomes of it.
fn remains(of: &Remains) -> String {
    let Remains { name, live, .. } = of;
    let targets: Vec<&str> = of.targets.keys().map(String::as_str).collect();
    let at = match targets.as_slice() {
        [] => "no target".to_owned(),
        targets => format!("targets {}", targets.join(", ")),
    };
    let what = match of.whole {
        true => format!("{live} live keys at {at}; its mirror; its queues"),
        false => format!("up to {live} keys; its queue"),
    };
    let mut out = match of.fate {
        Fate::Stays => format!("! {name}: left behind: {what}\n    stays; --remove {name} takes it away\n"),
        Fate::Goes => format!("! {name}: to take away: {what}\n"),
        Fate::Going => format!("! {name}: is being taken away: {what}\n"),
    };
    for (target, at) in &of.targets {
        let said = match (at, of.fate) {
            (AtTarget::Unknown, _) => "is configured no more: what it holds stays there".to_owned(),
            (AtTarget::LeftTo(heir), Fate::Stays | Fate::Goes) => {
                format!("these are keys of {heir} now, whose resync deletes what it does not have")
            }
            _ => continue,
        };
        let _ = writeln!(out, "    target {target}: {said}");
    }
    out
}

fn because(why: &Why) -> String {
    match why {
        Why::New => "nothing of it stands yet".to_owned(),
        Why::Declaration => "its declaration changed".to_owned(),
        Why::ColumnType { column, was, is } => format!("column {column} is {is}, was {was}"),
        Why::Columns => "it uses other columns than before".to_owned(),
        Why::Paused { because } => format!("it is paused and may have missed changes: {because}"),
        Why::Statements => "this version of pubsync reads it by other statements".to_owned(),
        Why::Targets => "the configuration has other targets than before".to_owned(),
        Why::Form => "this version of pubsync keeps its definition in another form".to_owned(),
    }
}

fn field(change: &FieldChange) -> String {
    let FieldChange { field, was, is } = change;
    match (was, is) {
        (Some(was), Some(is)) => format!("{field} is {is}, was {was}"),
        (None, Some(is)) => format!("{field} ({is}) is new"),
        (_, None) => format!("{field} is no longer filled"),
    }
}

fn statement(out: &mut String, sql: &str) {
    for line in sql.lines() {
        let _ = writeln!(out, "    {line}");
    }
}

fn summary(plan: &Plan) -> String {
    let count = |keep: fn(&DocumentChange) -> bool| plan.documents.iter().filter(|d| keep(d)).count();
    let resyncs: usize = plan.documents.iter().map(|d| d.resync.len()).sum();
    let goes = plan.remains.iter().filter(|r| r.fate == Fate::Goes).count();
    let indexes: usize = plan.documents.iter().map(|d| d.reindex.len()).sum();
    [
        (plan.triggers.len(), "tables with other triggers"),
        (count(|d| d.rebuild), "documents to build"),
        (resyncs, "resyncs"),
        (indexes, "new indexes"),
        (count(|d| d.change == ChangeKind::Removed), "documents removed"),
    ]
    .iter()
    .chain((goes > 0).then_some(&(goes, "to take away")))
    .map(|(number, what)| format!("{number} {what}"))
    .collect::<Vec<_>>()
    .join(", ")
}
