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
mod joins;
mod key;
mod lookups;
mod names;
mod root;
mod scopes;
mod shapes;
mod tables;

use crate::catalogue::Catalogue;
use crate::document::Document;

use super::SourceFile;
use super::parse::parse;
use super::problem::{Problem, Report};
use tables::Tables;

pub fn check(
    files: &[SourceFile],
    catalogue: &Catalogue,
    targets: &[&str],
) -> Result<Vec<Document>, Vec<Problem>> {
    let mut reports: Vec<_> = files
        .iter()
        .map(|file| Report::new(&file.name, &file.text))
        .collect();
    let declarations: Vec<_> = files
        .iter()
        .zip(&mut reports)
        .map(|(file, report)| parse(&file.text, report))
        .collect();
    let tables = Tables(catalogue);
    let documents: Vec<_> = declarations
        .iter()
        .zip(&mut reports)
        .filter_map(|(declaration, report)| document::check(declaration.as_ref()?, tables, targets, report))
        .collect();
    across::check(files, &declarations, &mut reports);
    let problems: Vec<_> = reports.into_iter().flat_map(Report::into_problems).collect();
    if problems.is_empty() {
        Ok(documents)
    } else {
        Err(problems)
    }
}
