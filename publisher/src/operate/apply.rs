//! `apply`: makes database, broker and targets what the documents say, and queues what must be rebuilt. Again and again
//! without harm.

use std::collections::BTreeMap;
use std::sync::Arc;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::migration;
use pubsync_schema::store::Store;
use pubsync_synchronizer::target::{Target, TargetError};
use pubsync_worker::broker::{Broker, BrokerError};
use sea_orm::DbErr;

use super::expressions;
use super::moves::{self, Move};
use super::plan::Plan;
use super::wanted::{self, Wanted};
use crate::capture::{self, LockRetry};
use crate::catalogue::{self, Catalogue};
use crate::document::Document;
use crate::handwritten::{Mistake, Publishers};
use crate::language::{self, Problem, SourceFile};

/// What `apply` works on.
pub struct Apply<'a> {
    pub store: &'a Store,
    /// With the password; migrations open a connection of their own.
    pub url: &'a str,
    pub broker: &'a dyn Broker,
    pub targets: &'a BTreeMap<String, Arc<dyn Target>>,
    pub files: &'a [SourceFile],
    /// Those that this program brings along.
    pub publishers: &'a Publishers,
}

/// What `apply` did.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Report {
    /// Documents with a new number, which are rebuilt now.
    pub rebuilt: Vec<String>,
    /// Documents whose targets changed, as `document → target`, which are resynchronized.
    pub resynchronized: Vec<String>,
    /// Where a new index is filled, as `document → target`.
    pub reindexed: Vec<String>,
    pub unchanged: Vec<String>,
    pub removed: Vec<String>,
    /// What is taken away now, as `document` or `document@target`.
    pub leaving: Vec<String>,
    /// What stays of documents, or at targets, though it is declared no more.
    pub kept: Vec<String>,
    pub triggers: capture::Report,
}

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("{}", .0.iter().map(|p| format!("{p:#}")).collect::<Vec<_>>().join("\n\n"))]
    Documents(Vec<Problem>),
    #[error(transparent)]
    Handwritten(#[from] Mistake),
    #[error("database: {0}")]
    Store(#[from] DbErr),
    #[error(transparent)]
    Capture(#[from] capture::Error),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Target(#[from] TargetError),
    /// What was shown is no longer what would be done.
    #[error(
        "since the plan was made, something else has changed; nothing of it was applied. Run `pubsync apply` again"
    )]
    Changed,
    /// What `--remove` named cannot be taken away.
    #[error("{0}")]
    Remove(String),
    /// Two documents would meet in a place that one of them is just leaving.
    #[error(
        "document {new:?} would write keys that document {old:?} still has at target {target}, which is being emptied. Run \
         `pubsync apply` again when `pubsync status` shows {old:?} no more"
    )]
    Leaving {
        new: String,
        old: String,
        target: String,
    },
}

/// Checks documents against the database, without changing anything.
///
/// # Errors
/// All problems of all documents.
pub async fn check(
    store: &Store,
    files: &[SourceFile],
    targets: &[&str],
) -> Result<(Catalogue, Vec<Document>), ApplyError> {
    let mut catalogue = catalogue::introspect(&store.read, store.dialect(), store.names.name()).await?;
    let statements = language::statements(files, &catalogue);
    catalogue::describe(&store.write, store.dialect(), &mut catalogue, statements).await?;
    let (right, mut problems) = language::check_each(files, &catalogue, targets);
    problems.extend(expressions::problems(&store.read, &store.names, &catalogue, &right).await?);
    if problems.is_empty() {
        let documents = right.into_iter().map(|(_, document)| document).collect();
        return Ok((catalogue, documents));
    }
    let file = |problem: &Problem| files.iter().position(|file| file.name == problem.file);
    problems.sort_by_key(|problem| (file(problem), problem.line, problem.column));
    Err(ApplyError::Documents(problems))
}

impl Apply<'_> {
    /// Checks all documents, those of this program too, without changing anything. Gives their names.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn check(&self) -> Result<Vec<String>, ApplyError> {
        let wanted = self.wanted().await?;
        Ok(wanted.into_iter().map(|one| one.definition.document).collect())
    }

    /// Does what [`Apply::plan`] says at this moment. Whatever fails, a second run goes on from there.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn run(&self) -> Result<Report, ApplyError> {
        self.run_removing(&[]).await
    }

    /// As [`Apply::run`], and takes these remains away: `product`, `product@search`.
    ///
    /// # Errors
    /// See [`ApplyError`]; [`ApplyError::Remove`] before anything has changed.
    pub async fn run_removing(&self, remove: &[String]) -> Result<Report, ApplyError> {
        let wanted = self.wanted().await?;
        self.compare(&wanted, remove).await?;
        self.carry_out(&wanted, None, remove).await
    }

    /// Does what a person has agreed to, and nothing else.
    ///
    /// # Errors
    /// See [`ApplyError`]; [`ApplyError::Changed`] where the plan is no longer what would be done.
    pub async fn run_agreed(&self, agreed: &Plan, remove: &[String]) -> Result<Report, ApplyError> {
        let wanted = self.wanted().await?;
        if self.compare(&wanted, remove).await? != agreed.agreed() {
            return Err(ApplyError::Changed);
        }
        self.carry_out(&wanted, Some(agreed), remove).await
    }

    pub(super) async fn wanted(&self) -> Result<Vec<Wanted>, ApplyError> {
        let targets: Vec<&str> = self.targets.keys().map(String::as_str).collect();
        let (catalogue, documents) = check(self.store, self.files, &targets).await?;
        let names = &self.store.names;
        let mut all = wanted::wanted(documents, self.files, &catalogue, names, self.targets);
        let standing = self.standing_if_any().await?;
        let declarations = self.publishers.declared(&standing.definitions);
        all.extend(wanted::handwritten(
            &declarations,
            &catalogue,
            self.targets,
            &all,
        )?);
        Ok(all)
    }

    async fn carry_out(
        &self,
        wanted: &[Wanted],
        agreed: Option<&Plan>,
        remove: &[String],
    ) -> Result<Report, ApplyError> {
        let (conn, names) = (&self.store.write, &self.store.names);
        migration::migrate(self.store, self.url).await?;
        for one in wanted {
            migration::document_tables(conn, names, &one.definition.document).await?;
        }
        // Numbers of indexes only grow: no index that was given up has the number of a new one.
        // In microseconds: two moves within one second must not meet in one index.
        let next_index = self.store.now().await?;
        self.prepare(wanted, next_index).await?;
        if self.store.dialect() == Dialect::Postgres {
            capture::install_functions(conn, names).await?;
        }
        // Triggers first: the rebuild must begin after the last change that they do not see.
        let captures = wanted::captures(wanted);
        let triggers = capture::reconcile(conn, names, &captures, &LockRetry::default()).await?;
        let report = self.define(wanted, agreed, remove, next_index).await?;
        if !triggers.removed.is_empty() || !triggers.replaced.is_empty() {
            // A relay that looked after the triggers in between knew only the definitions of before, and has set them again.
            capture::reconcile(conn, names, &captures, &LockRetry::default()).await?;
        }
        Ok(Report { triggers, ..report })
    }

    /// Queues, indexes, functions. A new index is made before anybody is told to write to it, so that a mapping that the
    /// target refuses changes nothing.
    async fn prepare(&self, wanted: &[Wanted], next_index: i64) -> Result<(), ApplyError> {
        let shapes = || wanted.iter().map(|one| &one.definition.shape);
        let queues = wanted::queues(&self.store.names, shapes());
        self.broker.declare(&queues).await?;
        let standing = self.standing(&self.store.write).await?;
        for (name, target) in self.targets {
            let mut collections = Vec::new();
            for shape in shapes() {
                let Some(wanted) = shape.collection(name) else {
                    continue;
                };
                let set = standing.write_set(&shape.document, name, &wanted);
                let kind = moves::compare(&set, &wanted, Some(&**target));
                if kind == Move::NewIndex {
                    collections.push(moves::filling(&wanted, next_index));
                }
                let next = moves::begun(&set, &wanted, &kind, next_index, None);
                collections.extend(next.collections().cloned());
            }
            target.prepare(&collections).await?;
        }
        Ok(())
    }
}
