//! Builds documents: runs a plan's SELECTs for a batch of roots, joins their rows in the worker, writes JSON.

mod assemble;
mod decimal;
mod gather;
pub(crate) mod json;
mod load;
#[cfg(test)]
pub(crate) mod tests;
mod value;

use pubsync_schema::fault::{Fault, classify};
use sea_orm::{ConnectionTrait, DbErr};

use crate::plan::DocumentPlan;

/// A longer body is a failure of class `size`.
pub const MAX_BODY: usize = 4 << 20;

/// What one root's documents are, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    pub root: String,
    /// Empty: the root does not exist, or `where` leaves it out. A failure is not absence.
    pub documents: Vec<Result<BuiltDocument, DocumentFailure>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltDocument {
    pub key: String,
    /// A JSON object on one line.
    pub body: String,
    /// XXH3, 128 bits, of the body: 32 hexadecimal digits.
    pub hash: String,
}

/// A document that exists and cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct DocumentFailure {
    /// `None`: it could not be told, so no row of the root may count as gone.
    pub key: Option<String>,
    /// `key`, `value`, `size` or `root` (the id is none of this document).
    pub class: &'static str,
    pub message: String,
}

/// A SELECT that the database refused: a fault of the definition, the connection, or of one root's id.
#[derive(Debug, thiserror::Error)]
#[error("SELECT of {select}")]
pub struct BuildError {
    pub select: String,
    #[source]
    pub source: DbErr,
}

impl BuildError {
    /// Who is to blame.
    #[must_use]
    pub fn fault(&self) -> Fault {
        classify(&self.source)
    }
}

/// The documents of these roots, in their order. `conn` gives all SELECTs one snapshot: a transaction that began
/// after the roots were locked.
///
/// # Errors
/// What the database answers to a SELECT; no root has an answer then.
pub async fn build(
    conn: &impl ConnectionTrait,
    plan: &DocumentPlan,
    roots: &[String],
) -> Result<Vec<Built>, BuildError> {
    let ids: Vec<Option<Vec<String>>> = roots.iter().map(|root| id_texts(plan, root)).collect();
    let loaded = load::load(conn, plan, &ids).await?;
    let documents = |(i, root): (usize, &String)| {
        let documents = match (&ids[i], &loaded.roots[i]) {
            (Some(_), Some(row)) => assemble::documents(plan, &loaded, row),
            (Some(_), None) => Vec::new(),
            (None, _) => vec![Err(no_id(plan, root))],
        };
        Built {
            root: root.clone(),
            documents,
        }
    };
    Ok(roots.iter().enumerate().map(documents).collect())
}

/// Texts of the root's id columns. One id has one text: JSON written in another way is none.
fn id_texts(plan: &DocumentPlan, root: &str) -> Option<Vec<String>> {
    let columns = plan.document.root_id.len();
    if columns == 1 {
        return Some(vec![root.to_owned()]);
    }
    let texts: Vec<String> = serde_json::from_str(root).ok()?;
    let same = serde_json::to_string(&texts).is_ok_and(|text| text == root);
    (same && texts.len() == columns).then_some(texts)
}

fn no_id(plan: &DocumentPlan, root: &str) -> DocumentFailure {
    let columns = plan.document.root_id.len();
    let message = format!("the id {root:?} is no JSON array of {columns} texts without blanks");
    DocumentFailure {
        key: None,
        class: "root",
        message,
    }
}
