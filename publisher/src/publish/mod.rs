//! Lock, look, write (law 2): one transaction takes the consumed ledger rows away, locks the roots, compares what the
//! sources give now with the mirror, writes what differs and queues it for every target.

pub mod consumer;
pub(crate) mod difference;
pub mod explode;
mod queueing;
mod remains;
pub(crate) mod share;
mod suspect;
mod verdict;
mod writing;

use std::sync::Arc;
use std::time::Instant;

use pubsync_schema::fault::{Fault, classify};
use pubsync_schema::mirror;
use pubsync_schema::names::Lane;
use pubsync_schema::{definition, dialect::Dialect, failure, ledger};
use pubsync_synchronizer::direct::Direct;
use pubsync_synchronizer::sender::Outbound;
use pubsync_synchronizer::street::Street;
use pubsync_worker::metrics;
use sea_orm::{DatabaseTransaction, DbErr};

use crate::build::{BuildError, Built};
use crate::publisher::build_fitting;
use crate::registry::Compiled;
use writing::{Writing, Written};

/// How often a job is done again with the holders of keys that it wants. What is still held then is a failure, which is
/// queued again as soon as the holder lets go.
const ROUNDS: usize = 16;

/// What a publisher needs beside the street.
#[derive(Clone)]
pub struct Publish {
    pub street: Street,
    pub outbound: Outbound,
    pub direct: Direct,
}

/// Roots to rebuild in one transaction, and the ledger rows that ask for it.
#[derive(Debug, Clone)]
pub struct Job {
    pub roots: Vec<String>,
    pub ids: Vec<i64>,
    pub lane: Lane,
    pub changed_at: i64,
    pub run: Option<i64>,
    pub trace: Option<String>,
    /// Some of it was sent before: perhaps it is the work of failures.
    pub again: bool,
}

/// What a job came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub changed: usize,
    pub unchanged: usize,
    pub deleted: usize,
    pub failed: usize,
    /// The ledger rows were gone: another copy of the messages was quicker.
    pub duplicate: bool,
}

impl Tally {
    /// By the words of metrics and logs.
    fn results(&self) -> [(&'static str, usize); 4] {
        [
            ("changed", self.changed),
            ("unchanged", self.unchanged),
            ("deleted", self.deleted),
            ("failed", self.failed),
        ]
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A newer definition is current (law 10): load it and run again.
    #[error("document {0} has a newer definition")]
    OutOfDate(String),
    #[error("database: {0}")]
    Store(#[from] DbErr),
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl PublishError {
    /// What it asks for; `None`: newer definitions.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::OutOfDate(_) => None,
            Self::Store(error) => Some(classify(error)),
            Self::Build(error) => Some(error.fault()),
        }
    }
}

impl Publish {
    /// Runs one job to its commit, then hands on what it wrote.
    ///
    /// Where another root holds a key that the job wants, that root joins: all is put back, and done again with both
    /// locked in order and built from one snapshot. Only a holder that still has the key then is in the way.
    ///
    /// # Errors
    /// See [`PublishError`]; then nothing has happened.
    pub async fn run(&self, compiled: &Arc<Compiled>, job: &Job) -> Result<Tally, PublishError> {
        let document = &compiled.definition.document;
        let begun = Instant::now();
        let (mut roots, mut round) = (job.roots.clone(), 0);
        let most = roots.len() + 2 * self.street.settings.publisher_batch;
        loop {
            round += 1;
            let joining = round < ROUNDS && roots.len() < most;
            match self.attempt(compiled, job, &roots, joining).await? {
                None => {
                    return Ok(Tally {
                        duplicate: true,
                        ..Tally::default()
                    });
                }
                // In front, so that there is room for them whatever the others take.
                Some(Written::Held(mut holders)) => {
                    holders.sort_unstable();
                    holders.dedup();
                    roots.retain(|root| !holders.contains(root));
                    roots.splice(0..0, holders);
                }
                Some(Written::Done(tally, handed)) => {
                    metrics::published(document, roots.len(), &tally.results(), begun.elapsed());
                    queueing::hand_over(self, handed).await;
                    return Ok(tally);
                }
            }
        }
    }

    /// One transaction; `None`: its ledger rows are gone.
    async fn attempt(
        &self,
        compiled: &Arc<Compiled>,
        job: &Job,
        roots: &[String],
        joining: bool,
    ) -> Result<Option<Written>, PublishError> {
        let store = &self.street.store;
        let document = &compiled.definition.document;
        let txn = store.begin().await?;
        self.check_current(&txn, compiled).await?;
        if !job.ids.is_empty() && ledger::delete(&txn, store, &job.ids).await?.is_empty() {
            txn.rollback().await?;
            return Ok(None);
        }
        if job.again {
            failure::clear_work(&txn, store, &job.ids).await?;
        }
        let number = compiled.definition.number;
        let share = &roots[..self.share(&txn, compiled, roots).await?];
        let locks = mirror::lock_roots(&txn, store, document, number, share);
        let locked = metrics::lock_wait(document, locks).await?;
        let built = self.look(&txn, compiled, share).await?;
        compiled.weight.note(share.len(), &built);
        // Those that there was memory for. What the mirror has of another must not be compared with nothing.
        let (roots, rest) = roots.split_at(built.len());
        let known = mirror::of_roots(&txn, store, document, roots).await?;
        let writing = Writing {
            publish: self,
            txn: &txn,
            compiled,
            job,
            roots,
            locked: &locked,
            joining,
        };
        let written = writing.write(difference::between(&known, built)).await?;
        match &written {
            Written::Done(..) => {
                self.leave(&txn, compiled, job, rest).await?;
                txn.commit().await?;
            }
            Written::Held(_) => txn.rollback().await?,
        }
        Ok(Some(written))
    }

    async fn check_current(
        &self,
        txn: &DatabaseTransaction,
        compiled: &Compiled,
    ) -> Result<(), PublishError> {
        let document = &compiled.definition.document;
        match definition::hold(txn, &self.street.store, document).await? {
            Some(number) if number == compiled.definition.number => Ok(()),
            _ => Err(PublishError::OutOfDate(document.clone())),
        }
    }

    /// Reads the sources in a snapshot begun after the locks are held; of as many roots, from the first on, as there is
    /// memory for.
    async fn look(
        &self,
        txn: &DatabaseTransaction,
        compiled: &Compiled,
        roots: &[String],
    ) -> Result<Vec<Built>, PublishError> {
        match self.street.store.dialect() {
            // The only writer: its transaction is the snapshot.
            Dialect::Sqlite => Ok(build_fitting(&*compiled.publisher, txn, roots).await?),
            Dialect::Postgres => {
                let snapshot = self.street.store.snapshot().await?;
                let built = build_fitting(&*compiled.publisher, &snapshot, roots).await?;
                snapshot.rollback().await?;
                Ok(built)
            }
        }
    }
}
