//! Where documents end: [`Target`], with Redis, OpenSearch and the local SQLite file behind it.
//!
//! A target keeps, for every key, the highest revision that it ever accepted, deletes included, and refuses what is
//! lower. So order of arrival, duplicates and stalled workers do not matter (law 3).

use std::sync::Arc;

use async_trait::async_trait;
use pubsync_schema::health::Look;
use pubsync_schema::shape::Collection;
use serde::{Deserialize, Serialize};

/// One document's newest state, on its way to a target.
#[derive(Debug, Clone)]
pub struct Write {
    pub key: String,
    pub revision: i64,
    pub operation: Operation,
}

#[derive(Debug, Clone)]
pub enum Operation {
    /// The body: one JSON object as text, without `_revision`, without raw newlines.
    Put(Arc<str>),
    Delete,
}

/// Which revisions a write may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// Only lower ones: live work.
    Higher,
    /// Lower and equal ones: resync and repair, so that damaged content heals.
    HigherOrEqual,
}

/// What became of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    /// The target holds a newer revision (or an equal one): success.
    Stale,
    /// This item may succeed later; its neighbours are not concerned.
    Retry(String),
    /// This item will not succeed as it is; class is a short stable word, the text is the target's own.
    Failed {
        class: &'static str,
        error: String,
    },
}

/// An error of the target as a whole: no item is to blame, no attempt is burnt, the target is waited for.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("target {target} at {address}: {reason}")]
    Down {
        target: String,
        address: String,
        reason: String,
    },
    /// Login, permission, memory limit, read-only: needs a person, is probed all the same.
    #[error("target {target} at {address}: {reason}")]
    Refused {
        target: String,
        address: String,
        reason: String,
    },
}

/// What a target holds for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub revision: i64,
    /// A tombstone: readers see a miss.
    pub deleted: bool,
}

/// One page of a scan over what readers can see (no tombstones).
#[derive(Debug, Clone, Default)]
pub struct ScanPage {
    /// Key and revision; 0 where the stored value has none (not written by pubsync, or damaged).
    pub keys: Vec<(String, i64)>,
    /// Hand it back for the next page; `None` ends the scan.
    pub next: Option<String>,
}

/// What a target has lost of what it had accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// Perhaps what was applied after this mark.
    After(i64),
    Everything,
    /// All of one document.
    Document(String),
    /// What was deleted of this document lately: it would accept older writes to these keys.
    Deletes(String),
}

/// A loss, with the reason to believe in it, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub loss: Loss,
    pub why: String,
}

/// What a look at a target has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it is now, in its own words: the next look compares.
    pub state: String,
    pub found: Vec<Found>,
}

#[async_trait]
pub trait Target: Send + Sync {
    /// The name in the configuration.
    fn name(&self) -> &str;

    /// Whether aliases go there: what is read by key holds them, in what is searched they would be hits.
    fn holds_aliases(&self) -> bool {
        true
    }

    /// Whether it types the fields of documents, so that a change of their mapping concerns it.
    fn has_mapping(&self) -> bool {
        false
    }

    /// Creates what the collections need (functions, indexes, aliases, tables). Idempotent, run by several at once.
    async fn prepare(&self, collections: &[Collection]) -> Result<(), TargetError>;

    /// Applies a batch, one outcome a write, in order. A key stands at most once in a batch. Any size: the target
    /// cuts it into requests of its own best size.
    async fn apply(
        &self,
        collection: &Collection,
        writes: &[Write],
        accept: Accept,
    ) -> Result<Vec<Outcome>, TargetError>;

    /// What it holds for these keys, in order; tombstones included as far as it still remembers them.
    async fn versions(
        &self,
        collection: &Collection,
        keys: &[String],
    ) -> Result<Vec<Option<Held>>, TargetError>;

    /// The highest revisions that it has for these keys, in order, tombstones included as far as it remembers them: what
    /// refuses a write. Asked only where one was refused.
    async fn highest(
        &self,
        collection: &Collection,
        keys: &[String],
    ) -> Result<Vec<Option<i64>>, TargetError> {
        let held = self.versions(collection, keys).await?;
        Ok(held
            .into_iter()
            .map(|held| held.map(|held| held.revision))
            .collect())
    }

    /// The stored body for these keys without `_revision`, in order: for `verify` and `explain`, so that damaged
    /// content behind a right revision is found too.
    async fn bodies(
        &self,
        collection: &Collection,
        keys: &[String],
    ) -> Result<Vec<Option<String>>, TargetError>;

    /// Walks all live keys of the collection in pages of about `limit`; a key may come twice, none is left out that
    /// stood during the whole walk.
    async fn scan(
        &self,
        collection: &Collection,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<ScanPage, TargetError>;

    /// Lets readers see this collection, at one moment, in the place of the document's earlier ones. Again and again
    /// without harm.
    async fn show(&self, _collection: &Collection) -> Result<(), TargetError> {
        Ok(())
    }

    /// Takes a collection away as a whole, with all that only it holds; false where the target cannot do that and its
    /// keys must be deleted one by one. Again and again without harm.
    async fn discard(&self, _collection: &Collection) -> Result<bool, TargetError> {
        Ok(false)
    }

    /// Whether it can tell that it has lost something.
    fn can_be_watched(&self) -> bool {
        false
    }

    /// Whether what it has accepted may be gone after a failover. Then what was applied since when is noted.
    fn may_lose_writes(&self) -> bool {
        false
    }

    /// Compares what it is now with what the last look has seen, and gives it its new mark, if it is one that gets
    /// marks. A loss that was found and is in the state of this look is not found again.
    async fn look(&self, _collections: &[Collection], look: &Look) -> Result<Seen, TargetError> {
        Ok(Seen {
            state: look.state.clone(),
            found: Vec::new(),
        })
    }

    /// Answers when the target can take writes.
    async fn ping(&self) -> Result<(), TargetError>;
}
