//! Documents against each other: names, indexes and keys that two of them would share.

use pubsync_schema::shape::Template;

use crate::language::SourceFile;
use crate::language::problem::Report;
use crate::language::syntax::{At, Declaration, TargetUse};
use crate::language::yaml::Span;

use super::collisions::{self, pattern};

/// Problems stand at the later of two documents, and name the file of the earlier one.
pub fn check(files: &[SourceFile], declarations: &[Option<Declaration>], reports: &mut [Report<'_>]) {
    for (i, later) in declarations.iter().enumerate() {
        for (file, earlier) in files.iter().zip(&declarations[..i]) {
            if let (Some(later), Some(earlier)) = (later, earlier) {
                pair(later, earlier, &file.name, &mut reports[i]);
            }
        }
    }
}

fn pair(later: &Declaration, earlier: &Declaration, file: &str, report: &mut Report<'_>) {
    let (Some(name), Some(other)) = (&later.name, &earlier.name) else {
        return;
    };
    if name.is == other.is {
        let message = format!("a document \"{}\" is already declared in {file}", name.is);
        report.fail::<()>(name.at, "duplicate_document", message);
        return;
    }
    let Some(target) = shared_target(later, earlier) else {
        return;
    };
    collisions::between(later, earlier, file, &target, report);
    shared_indexes(later, earlier, file, report);
}

/// ` on the target "storage"`; `None` where no target gets both.
fn shared_target(a: &Declaration, b: &Declaration) -> Option<String> {
    let named = match (&a.targets, &b.targets) {
        (None, None) => return Some(String::new()),
        (Some(uses), None) | (None, Some(uses)) => uses.first()?,
        (Some(a), Some(b)) => a
            .iter()
            .find(|used| b.iter().any(|other| other.name.is == used.name.is))?,
    };
    Some(format!(" on the target \"{}\"", named.name.is))
}

/// An index is rebuilt as a whole, so two documents cannot have one.
fn shared_indexes(later: &Declaration, earlier: &Declaration, file: &str, report: &mut Report<'_>) {
    let others = indexes(earlier);
    for Index { target, name, at } in indexes(later) {
        let same_target =
            |other: &Index<'_>| target.is_none() || other.target.is_none() || other.target == target;
        let shared = |other: &&Index<'_>| same_target(other) && name.overlaps(&other.name);
        let Some(other) = others.iter().find(shared) else {
            continue;
        };
        let message = match (name.fixed(), other.name.fixed()) {
            (Some(index), Some(_)) => {
                format!("the index \"{index}\" belongs to a document in {file} already")
            }
            _ => format!(
                "this could be an index of a document in {file}: {} and {}",
                name, other.name
            ),
        };
        report.fail::<()>(at, "duplicate_index", message);
    }
}

/// An index that a document has.
struct Index<'a> {
    /// `None`: all of them.
    target: Option<&'a str>,
    name: Template,
    at: Span,
}

fn indexes(declaration: &Declaration) -> Vec<Index<'_>> {
    let Some(At { at, is: name }) = &declaration.name else {
        return Vec::new();
    };
    let own = |target, at| Index {
        target,
        name: Template::text(name),
        at,
    };
    let Some(uses) = &declaration.targets else {
        return vec![own(None, *at)];
    };
    let index = |used: &'_ TargetUse| {
        used.index
            .as_ref()
            .map(|index| (Template(pattern(&index.is).0), index.at))
    };
    uses.iter()
        .map(|used| {
            let target = Some(used.name.is.as_str());
            match index(used) {
                Some((name, at)) => Index { target, name, at },
                None => own(target, used.name.at),
            }
        })
        .collect()
}
