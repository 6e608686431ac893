//! Mirror tables: the newest state of every document, tombstones included, with the revision that targets compare.

mod locks;
mod read;
mod size;
mod write;

use sea_orm::{DbErr, QueryResult};

pub use locks::{Locked, is_overdue, lock_roots, note_roots, take_due};
pub use read::{
    Counts, Page, Touched, by_keys, counts, existing, full_page, holders, live, of_roots, page, revisions,
    touched,
};
pub use size::{Room, by_keys_within, of_keys, per_root};
pub use write::{Burial, Buried, Put, bury, bury_orphans, purge, put, raise, renumber};

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Document,
    /// Leads to the key of a document: its body is `{"key":"…"}`.
    Alias,
}

impl Kind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Alias => "alias",
        }
    }

    fn of(row: &QueryResult) -> Result<Self, DbErr> {
        match row.try_get::<String>("", "kind")?.as_str() {
            "document" => Ok(Self::Document),
            "alias" => Ok(Self::Alias),
            other => Err(DbErr::Type(format!("{other:?} is no kind of a mirror row"))),
        }
    }
}

/// A mirror row without its body: what a publisher compares with.
#[derive(Debug, Clone)]
pub struct Known {
    pub key: String,
    /// `None`: a tombstone that stands for an orphan of a target.
    pub root: Option<String>,
    pub kind: Kind,
    pub hash: String,
    pub revision: i64,
    /// Number of the definition that it was built with.
    pub definition: i64,
    pub deleted: bool,
}

/// A mirror row with its body.
#[derive(Debug, Clone)]
pub struct Row {
    pub key: String,
    pub root: Option<String>,
    pub kind: Kind,
    pub body: String,
    pub hash: String,
    pub revision: i64,
    pub deleted: bool,
}

impl Row {
    /// What stays on a tombstone.
    #[must_use]
    pub fn remains(&self) -> Option<&str> {
        let remains = self.deleted && !self.body.is_empty();
        remains.then_some(self.body.as_str())
    }

    /// The body that readers of a target see, which holds `aliases` or not; `None`: the key is not there.
    #[must_use]
    pub fn shown(&self, aliases: bool) -> Option<&str> {
        let live = !self.deleted && (aliases || self.kind == Kind::Document);
        live.then_some(self.body.as_str())
    }

    /// There was no [`Room`] for its body.
    #[must_use]
    pub fn is_left_out(&self) -> bool {
        !self.deleted && self.body.is_empty()
    }
}

fn written(rows: Vec<QueryResult>) -> Result<Vec<(String, i64)>, DbErr> {
    rows.iter()
        .map(|row| Ok((row.try_get("", "key")?, row.try_get("", "revision")?)))
        .collect()
}
