//! What travels in messages and stands in ledger payloads. Versioned JSON that other programs may read
//! (`docs/messages.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::shape::Only;

/// Version of the message format. Messages of another version become failures, they are not dropped.
pub const VERSION: u32 = 1;

/// Most items (roots, keys, images) in one message.
pub const MAX_ITEMS: usize = 100;

/// Most bytes in one message, bodies included, unless a single item is larger. Consumers hold dozens of messages.
pub const MAX_BYTES: usize = 256 * 1024;

/// Work for publishers: a ledger payload, and inside [`PublishMessage`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishWork {
    /// Rows changed: which roots that concerns is still to be found. `after` is the page position: roots up to it
    /// are dealt with.
    Changes {
        tables: Vec<TableImages>,
        after: Option<String>,
    },
    /// These roots.
    Roots(Vec<String>),
    /// All roots, of the source and of live mirror rows together, from this position on.
    All { after: Option<String> },
}

/// Old and new images of changed rows of one table: the values of its key and joining columns, as the database's
/// text. A set: which image is old and which new does not matter, all of them find roots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableImages {
    pub table: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl TableImages {
    /// All values that a column had or has; none where the images do not hold it.
    pub fn values<'a>(&'a self, column: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let place = self.columns.iter().position(|name| name == column);
        let value = move |row: &'a Vec<Option<String>>| row.get(place?)?.as_deref();
        self.rows.iter().filter_map(value)
    }
}

/// A message of a publish queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishMessage {
    pub v: u32,
    /// Ledger row.
    pub id: i64,
    pub document: String,
    /// How often it was sent before.
    pub attempt: i64,
    /// Oldest change inside, microseconds by the database clock.
    pub changed_at: i64,
    pub run: Option<i64>,
    pub work: PublishWork,
}

/// Work for synchronizers: a ledger payload. Bodies are not in it; they stand in the mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncWork {
    /// These keys, in the revisions that were written when the row was made. `force`: an equal revision is accepted too.
    Items { items: Vec<SyncKey>, force: bool },
    /// Mirror rows from this key on (tombstones too).
    Resync {
        after: Option<String>,
        #[serde(flatten)]
        selection: Selection,
    },
    /// What the target shows and the mirror does not know, from this scan position on.
    Orphans { cursor: Option<String> },
}

/// Which mirror rows a resync is about; all where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Changed since then, microseconds.
    pub since: Option<i64>,
    /// In this revision or a higher one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_revision: Option<i64>,
    /// Tombstones only, and only of documents that were deleted since then, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_since: Option<i64>,
    pub roots: Option<Vec<String>>,
    /// Whose keys have these values.
    #[serde(default, skip_serializing_if = "Only::is_everything")]
    pub only: Only,
}

impl Selection {
    /// Whether rows are left out.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        *self != Self::default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncKey {
    pub key: String,
    pub revision: i64,
}

/// A message of a sync queue.
#[derive(Debug, Serialize, Deserialize)]
pub struct SyncMessage<'a> {
    pub v: u32,
    pub id: i64,
    pub document: String,
    pub target: String,
    pub attempt: i64,
    pub changed_at: i64,
    pub run: Option<i64>,
    #[serde(borrow)]
    pub work: SyncBody<'a>,
}

/// Externally tagged because raw JSON inside is not possible otherwise.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncBody<'a> {
    Items {
        force: bool,
        #[serde(borrow)]
        items: Vec<SyncItem<'a>>,
    },
    Resync {
        after: Option<String>,
        #[serde(flatten)]
        selection: Selection,
    },
    Orphans {
        cursor: Option<String>,
    },
}

/// One document on its way. `put` without a body is a reference: read it from the mirror. `delete` may have one: what the
/// declaration keeps of the document that was.
#[derive(Debug, Serialize, Deserialize)]
pub struct SyncItem<'a> {
    pub key: String,
    pub revision: i64,
    pub op: SyncOp,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub body: Option<&'a RawValue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncOp {
    Put,
    Delete,
}

/// The values of a row by column, as the database's text. A number or a boolean is none: nobody would find its row.
pub type RowImage = BTreeMap<String, Option<String>>;

/// What one outbox row of kind `rows` holds: a list of these.
#[derive(Debug, Clone, Deserialize)]
pub struct RowChange {
    /// Old image; absent on insert.
    #[serde(default)]
    pub o: Option<RowImage>,
    /// New image; absent on delete.
    #[serde(default)]
    pub n: Option<RowImage>,
    /// Updates only: watched columns that changed.
    #[serde(default)]
    pub c: Option<Vec<String>>,
}
