//! Declarations to documents: looks every name up, finds the joins, types the constants.
//!
//! [`document`] goes through one declaration; what it needs for each part stands in a file of its own. Goes on after
//! a problem wherever the rest still means something, and stays silent about what only follows from a problem noted
//! before.

mod across;
mod aggregate;
mod body;
mod collisions;
mod conditions;
mod constant;
mod document;
mod exists;
mod expression;
mod hops;
mod joins;
mod key;
mod life;
mod lookups;
mod names;
mod queries;
mod recursion;
mod root;
mod scopes;
mod shapes;
mod tables;
mod targets;

use crate::catalogue::{Catalogue, Statement};
use crate::document::Document;

use super::SourceFile;
use super::parse::parse;
use super::problem::{Problem, Report};
use super::syntax::Declaration;
use tables::Tables;

/// The documents that are right by themselves, and all problems.
pub fn check<'a>(
    files: &'a [SourceFile],
    catalogue: &Catalogue,
    targets: &[&str],
) -> (Vec<(&'a SourceFile, Document)>, Vec<Problem>) {
    let (declarations, mut reports) = declarations(files);
    let tables = Tables(catalogue);
    let mut right = Vec::new();
    for ((file, declaration), report) in files.iter().zip(&declarations).zip(&mut reports) {
        let Some(declaration) = declaration else { continue };
        let document = document::check(declaration, tables, targets, report);
        right.extend(
            document
                .filter(|_| report.count() == 0)
                .map(|document| (file, document)),
        );
    }
    across::check(files, &declarations, &mut reports);
    (right, problems(reports))
}

/// Statements of these files that the database must describe before they are checked.
pub fn statements(files: &[SourceFile], catalogue: &Catalogue) -> Vec<Statement> {
    let (declarations, _) = declarations(files);
    let of = |declaration: &Declaration| queries::statements(declaration, catalogue);
    declarations.iter().flatten().flat_map(of).collect()
}

/// What the files alone can tell: names of tables and columns are not looked up.
pub fn check_alone(files: &[SourceFile], targets: &[&str]) -> Vec<Problem> {
    let (declarations, mut reports) = declarations(files);
    for (declaration, report) in declarations.iter().zip(&mut reports) {
        if let Some(declaration) = declaration {
            document::check_alone(declaration, targets, report);
            key::check_alone(declaration, report);
        }
    }
    across::check(files, &declarations, &mut reports);
    problems(reports)
}

fn declarations(files: &[SourceFile]) -> (Vec<Option<Declaration>>, Vec<Report<'_>>) {
    let parsed = files.iter().map(|file| {
        let mut report = Report::new(&file.name, &file.text);
        (parse(&file.text, &mut report), report)
    });
    parsed.unzip()
}

fn problems(reports: Vec<Report<'_>>) -> Vec<Problem> {
    reports.into_iter().flat_map(Report::into_problems).collect()
}
