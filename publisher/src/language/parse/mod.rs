//! Text to a [`Declaration`]: knows every construct and every keyword, no table. Goes on after a problem, so that one
//! run finds them all.
//!
//! One more top-level key: [`document`]. One more construct in a body: [`body`] and [`super::syntax::Value`]. One more
//! option of a node: [`rows`].

pub(super) mod body;
pub(super) mod conditions;
pub(super) mod document;
pub(super) mod fields;
mod json;
pub(super) mod life;
pub(super) mod queries;
pub(super) mod recursion;
pub(super) mod rows;
pub(super) mod targets;

pub use body::KEYWORDS;
pub use document::{LONGEST_NAME, is_document_name};

use super::problem::Report;
use super::syntax::Declaration;
use super::yaml;

/// `None` where the text is no YAML map at all; all problems go into the report.
pub fn parse(text: &str, report: &mut Report<'_>) -> Option<Declaration> {
    let (tree, faults) = yaml::parse(text);
    for fault in faults {
        report.fail::<()>(fault.at, "yaml", fault.message);
    }
    document::declaration(&tree?, report)
}
