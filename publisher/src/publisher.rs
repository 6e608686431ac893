//! The two questions that make a document: which roots does a change concern, and which documents are there for these
//! roots. Both are asked for sets. The declarative publisher (a YAML file) is one implementation.

use async_trait::async_trait;
use pubsync_schema::wire::TableImages;
use sea_orm::DbErr;

use crate::build::{BuildError, Built};

/// A connection that a publisher reads sources through: a snapshot while it builds.
pub type Source<'a> = &'a sea_orm::DatabaseTransaction;

/// A page of roots, in byte order after `after`, at most `limit`.
#[derive(Debug, Clone, Copy)]
pub struct RootPage<'a> {
    pub after: Option<&'a str>,
    pub limit: u64,
}

/// A page of all roots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walked {
    pub roots: Vec<String>,
    /// What the next page is asked for with; `None` after the last one.
    pub next: Option<String>,
}

#[async_trait]
pub trait Publisher: Send + Sync {
    /// Roots whose documents may differ because rows changed as these images say. Too many is right, too few is a
    /// lost update.
    ///
    /// # Errors
    /// Of the database.
    async fn affected(
        &self,
        source: Source<'_>,
        changes: &[TableImages],
        page: RootPage<'_>,
    ) -> Result<Vec<String>, DbErr>;

    /// All roots: of the source, and of live mirror rows, together. At most `limit`, from where the page before said
    /// (`None`: from the start). The order is the publisher's own, as long as the walk finds every root that is there all the
    /// while; roots that come and go meanwhile are announced by their triggers. One that is given twice is built twice.
    ///
    /// # Errors
    /// Of the database.
    async fn all(&self, source: Source<'_>, from: Option<&str>, limit: u64) -> Result<Walked, DbErr>;

    /// The documents of these roots as of the source's snapshot. A root that is not there has none: absence means
    /// delete. What exists and cannot be built is a failure, never absent.
    ///
    /// # Errors
    /// Of the database; or of a document that no item is to blame for.
    async fn build(&self, source: Source<'_>, roots: &[String]) -> Result<Vec<Built>, BuildError>;
}
