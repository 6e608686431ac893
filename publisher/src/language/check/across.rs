//! Documents against each other: names, indexes and keys that two of them would share.

use crate::language::SourceFile;
use crate::language::problem::Report;
use crate::language::syntax::{At, Declaration};
use crate::language::yaml::Span;

use super::collisions;

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
    for (target, index, at) in indexes(later) {
        let same = |(other_target, other_index, _): &(Option<&str>, &str, _)| {
            *other_index == index && (target.is_none() || other_target.is_none() || *other_target == target)
        };
        if indexes(earlier).iter().any(same) {
            let message = format!("the index \"{index}\" belongs to a document in {file} already");
            report.fail::<()>(at, "duplicate_index", message);
        }
    }
}

/// Target (`None`: all of them), index and where it is said.
fn indexes(declaration: &Declaration) -> Vec<(Option<&str>, &str, Span)> {
    let Some(At { at, is: name }) = &declaration.name else {
        return Vec::new();
    };
    let Some(uses) = &declaration.targets else {
        return vec![(None, name, *at)];
    };
    uses.iter()
        .map(|used| match &used.index {
            Some(index) => (Some(used.name.is.as_str()), index.is.as_str(), index.at),
            None => (Some(used.name.is.as_str()), name.as_str(), used.name.at),
        })
        .collect()
}
