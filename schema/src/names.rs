//! What things are called in the database and at the broker.

use crate::dialect::Dialect;

/// Lane of a message: live edits, or rebuilds that must not starve them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    Live,
    Bulk,
}

impl Lane {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Bulk => "bulk",
        }
    }

    /// Reads a stored lane; anything but `bulk` is live.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text == "bulk" { Self::Bulk } else { Self::Live }
    }
}

/// Derives all names from the one that the configuration gives (`name: pubsync`): the schema of pubsync's own tables
/// (SQLite: their prefix), and the prefix of queues unless it is `pubsync`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    name: String,
    dialect: Dialect,
}

impl Names {
    #[must_use]
    pub fn new(name: &str, dialect: Dialect) -> Self {
        Self {
            name: name.to_owned(),
            dialect,
        }
    }

    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The configured name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An own table (or function), quoted and qualified: `"pubsync"."outbox"`, on SQLite `"pubsync_outbox"`.
    #[must_use]
    pub fn table(&self, table: &str) -> String {
        match self.dialect {
            Dialect::Postgres => format!("{}.{}", self.dialect.quote(&self.name), self.dialect.quote(table)),
            Dialect::Sqlite => self.dialect.quote(&format!("{}_{table}", self.name)),
        }
    }

    /// The mirror table of a document.
    #[must_use]
    pub fn mirror(&self, document: &str) -> String {
        self.table(&format!("mirror_{document}"))
    }

    /// The table whose rows are the locks of a document's roots.
    #[must_use]
    pub fn root(&self, document: &str) -> String {
        self.table(&format!("root_{document}"))
    }

    /// Publish queue of a document (or of the group that it shares).
    #[must_use]
    pub fn publish_queue(&self, queue: &str, lane: Lane) -> String {
        self.queue(format!("publish.{queue}"), lane)
    }

    /// Sync queue of a document at a target.
    #[must_use]
    pub fn sync_queue(&self, target: &str, queue: &str, lane: Lane) -> String {
        self.queue(format!("sync.{target}.{queue}"), lane)
    }

    fn queue(&self, base: String, lane: Lane) -> String {
        let base = if self.name == "pubsync" {
            base
        } else {
            format!("{}.{base}", self.name)
        };
        match lane {
            Lane::Live => base,
            Lane::Bulk => format!("{base}.bulk"),
        }
    }
}
