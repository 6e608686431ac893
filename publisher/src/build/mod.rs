//! Builds documents: runs a plan's SELECTs for a batch of roots, joins their rows in the worker, writes JSON.

mod assemble;
mod decimal;
mod expression;
mod gather;
pub(crate) mod json;
mod load;
mod reading;
mod recursion;
mod standing;
#[cfg(test)]
pub(crate) mod tests;
mod value;

use pubsync_schema::fault::{Fault, classify};
use sea_orm::{ConnectionTrait, DbErr, StreamTrait};

use crate::hash::hash;
use crate::plan::DocumentPlan;

/// A longer body is a failure of class `size`.
pub const MAX_BODY: usize = 4 << 20;

/// Bytes of bodies that are built together: of more roots than one, a build answers with no more than twice as many.
pub const ROOM: usize = 8 << 20;

/// What one root's documents are, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    pub root: String,
    /// Aliases too. Empty: the root does not exist, or `where` leaves it out. A failure is not absence.
    pub documents: Vec<Result<BuiltDocument, DocumentFailure>>,
    /// The next moment at which time alone changes this answer, in microseconds of the database clock.
    pub due: Option<i64>,
    /// The root is gone, and its documents stay as they are (`absent: keep`).
    pub kept: bool,
}

impl Built {
    /// What a root has at any time.
    #[must_use]
    pub fn new(root: impl Into<String>, documents: Vec<Result<BuiltDocument, DocumentFailure>>) -> Self {
        Self {
            root: root.into(),
            documents,
            due: None,
            kept: false,
        }
    }

    /// Of all bodies.
    pub(crate) fn bytes(&self) -> usize {
        self.documents.iter().flatten().map(|d| d.body.len()).sum()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltDocument {
    pub key: String,
    pub kind: Kind,
    /// A JSON object on one line.
    pub body: String,
    /// XXH3, 128 bits, of what counts of the body: 32 hexadecimal digits.
    pub hash: String,
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Document,
    /// Leads to the key of a document of the same root.
    Alias {
        of: String,
    },
}

impl BuiltDocument {
    /// `body`: a JSON object on one line.
    #[must_use]
    pub fn new(key: String, body: String) -> Self {
        let (kind, hash) = (Kind::Document, hash(body.as_bytes()));
        Self {
            key,
            kind,
            body,
            hash,
        }
    }

    /// Only this part of the body counts when it is compared.
    #[must_use]
    pub fn compared_by(self, part: &[u8]) -> Self {
        Self {
            hash: hash(part),
            ..self
        }
    }

    /// A key that leads to the document with the key `of`.
    #[must_use]
    pub fn alias(key: String, of: &str) -> Self {
        let body = pointer(of);
        Self {
            key,
            hash: hash(body.as_bytes()),
            kind: Kind::Alias { of: of.to_owned() },
            body,
        }
    }
}

/// The hash of the body of an alias that leads to this key.
#[must_use]
pub fn pointer_hash(of: &str) -> String {
    hash(pointer(of).as_bytes())
}

fn pointer(of: &str) -> String {
    let mut body = b"{\"key\":".to_vec();
    json::write_string(&mut body, of);
    body.push(b'}');
    String::from_utf8_lossy(&body).into_owned()
}

/// A document that exists and cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct DocumentFailure {
    /// `None`: it could not be told, so no row of the root may count as gone. Aliases of a document whose key is named
    /// here stay, too.
    pub key: Option<String>,
    /// `key`, `alias`, `value`, `size` or `root` (the id is none of this document).
    pub class: &'static str,
    pub message: String,
}

/// Why roots have no answer.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A SELECT that the database refused: a fault of the definition, the connection, or of one root's id.
    #[error("SELECT of {select}")]
    Select {
        select: String,
        #[source]
        source: DbErr,
    },
    /// There is no memory for so many roots together. Fewer are asked for then, so a publisher in Rust may answer so, too.
    #[error(
        "the rows or documents of {roots} roots are more than a worker keeps in its memory; it keeps those of {fit}"
    )]
    TooMuch { roots: usize, fit: usize },
}

impl BuildError {
    /// Who is to blame.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Select { source, .. } => classify(source),
            Self::TooMuch { .. } => Fault::Item,
        }
    }
}

/// The documents of these roots, in their order. `conn` gives all SELECTs one snapshot: a transaction that began
/// after the roots were locked.
///
/// # Errors
/// What the database answers to a SELECT, or of several roots [`BuildError::TooMuch`]; no root has an answer then.
pub async fn build(
    conn: &(impl ConnectionTrait + StreamTrait),
    plan: &DocumentPlan,
    roots: &[String],
) -> Result<Vec<Built>, BuildError> {
    let ids: Vec<Option<Vec<String>>> = roots.iter().map(|root| id_texts(plan, root)).collect();
    let loaded = match (load::load(conn, plan, &ids).await, roots) {
        (Err(BuildError::TooMuch { .. }), [root]) => {
            return Ok(vec![Built::new(root.as_str(), vec![Err(too_much(plan))])]);
        }
        (loaded, _) => loaded?,
    };
    let documents = |i: usize, root: &String| {
        let standing = &loaded.standing[i];
        let documents = match (&ids[i], &loaded.roots[i]) {
            (None, _) => vec![Err(no_id(plan, root))],
            (Some(_), _) if standing.unreadable => vec![Err(no_moment(plan))],
            (Some(_), Some(row)) => assemble::documents(plan, &loaded, row),
            (Some(_), None) => Vec::new(),
        };
        Built {
            due: standing.due,
            kept: plan.document.life.keeps_absent && ids[i].is_some() && !standing.exists,
            ..Built::new(root.as_str(), documents)
        }
    };
    let (mut all, mut bytes) = (Vec::with_capacity(roots.len()), 0);
    for (i, root) in roots.iter().enumerate() {
        let built = documents(i, root);
        bytes += built.bytes();
        if bytes > 2 * ROOM && i > 0 {
            return Err(BuildError::TooMuch {
                roots: roots.len(),
                fit: i,
            });
        }
        all.push(built);
    }
    Ok(all)
}

/// Only SQLite keeps in a column of dates what is none.
fn no_moment(plan: &DocumentPlan) -> DocumentFailure {
    let life = &plan.document.life;
    let names: Vec<&str> = [life.from, life.until]
        .into_iter()
        .flatten()
        .map(|column| plan.document.column_of(column).name.as_str())
        .collect();
    DocumentFailure {
        key: None,
        class: "value",
        message: format!(
            "{} holds no date, so nobody knows when it shows",
            names.join(" or ")
        ),
    }
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

fn too_much(plan: &DocumentPlan) -> DocumentFailure {
    DocumentFailure {
        key: None,
        class: "size",
        message: format!(
            "the rows of this one {} are more than {} MiB, and a document has {} MiB at most: let its SELECTs read less",
            plan.document.name,
            reading::ALONE >> 20,
            MAX_BODY >> 20
        ),
    }
}

fn no_id(plan: &DocumentPlan, root: &str) -> DocumentFailure {
    let columns = plan.document.root_id.len();
    let message =
        format!("the id {root:?} is no JSON array of {columns} texts without blanks, such as [\"1\",\"a\"]");
    DocumentFailure {
        key: None,
        class: "root",
        message,
    }
}
