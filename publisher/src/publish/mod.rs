//! Lock, look, write (law 2): one transaction takes the consumed ledger rows away, locks the roots, compares what the
//! sources give now with the mirror, writes what differs and queues it for every target.

pub mod consumer;
mod difference;
pub mod explode;
mod queueing;

use std::sync::Arc;
use std::time::Instant;

use pubsync_schema::failure::{self, NewFailure, Stage};
use pubsync_schema::fault::{Fault, classify};
use pubsync_schema::mirror::{self, Put};
use pubsync_schema::names::Lane;
use pubsync_schema::{definition, dialect::Dialect, ledger, run};
use pubsync_synchronizer::direct::Direct;
use pubsync_synchronizer::sender::Outbound;
use pubsync_synchronizer::street::Street;
use pubsync_worker::metrics;
use sea_orm::{DatabaseTransaction, DbErr};

use crate::build::{BuildError, Built};
use crate::registry::Compiled;
use difference::Difference;

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
    /// # Errors
    /// See [`PublishError`]; then nothing has happened.
    pub async fn run(&self, compiled: &Arc<Compiled>, job: &Job) -> Result<Tally, PublishError> {
        let store = &self.street.store;
        let document = &compiled.definition.document;
        let begun = Instant::now();
        let txn = store.begin().await?;
        self.check_current(&txn, compiled).await?;
        if !job.ids.is_empty() && ledger::delete(&txn, store, &job.ids).await?.is_empty() {
            txn.rollback().await?;
            return Ok(Tally {
                duplicate: true,
                ..Tally::default()
            });
        }
        metrics::lock_wait(document, mirror::lock_roots(&txn, store, document, &job.roots)).await?;
        let known = mirror::of_roots(&txn, store, document, &job.roots).await?;
        let built = self.look(&txn, compiled, &job.roots).await?;
        let difference = difference::between(&known, built);
        let (tally, handed) = self.write(&txn, compiled, job, difference).await?;
        txn.commit().await?;
        metrics::published(document, job.roots.len(), &tally.results(), begun.elapsed());
        queueing::hand_over(self, handed).await;
        Ok(tally)
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

    /// Reads the sources in a snapshot begun after the locks are held.
    async fn look(
        &self,
        txn: &DatabaseTransaction,
        compiled: &Compiled,
        roots: &[String],
    ) -> Result<Vec<Built>, PublishError> {
        match self.street.store.dialect() {
            // The only writer: its transaction is the snapshot.
            Dialect::Sqlite => Ok(compiled.publisher.build(txn, roots).await?),
            Dialect::Postgres => {
                let snapshot = self.street.store.snapshot().await?;
                let built = compiled.publisher.build(&snapshot, roots).await?;
                snapshot.rollback().await?;
                Ok(built)
            }
        }
    }

    async fn write(
        &self,
        txn: &DatabaseTransaction,
        compiled: &Compiled,
        job: &Job,
        mut difference: Difference,
    ) -> Result<(Tally, queueing::Handed), PublishError> {
        let store = &self.street.store;
        let (document, number) = (&compiled.definition.document, compiled.definition.number);
        // Buried first: a key that moves between two roots of this batch is free when its new root takes it.
        let buried = mirror::bury(txn, store, document, number, job.changed_at, &difference.gone).await?;
        let puts: Vec<Put<'_>> = difference
            .puts
            .iter()
            .map(|d| Put {
                key: &d.key,
                root: &d.root,
                body: &d.body,
                hash: &d.hash,
            })
            .collect();
        let written = mirror::put(txn, store, document, number, job.changed_at, &puts).await?;
        drop(puts);
        if written.len() < difference.puts.len() {
            difference.conflicts(&written);
            let keys: Vec<String> = difference.conflicting.iter().map(|c| c.key.clone()).collect();
            difference.name_holders(&mirror::by_keys(txn, store, document, &keys).await?);
        }
        let failures = failures(document, job, &difference);
        let tally = Tally {
            changed: written.len(),
            unchanged: difference.unchanged,
            deleted: buried.len(),
            failed: failures.len(),
            duplicate: false,
        };
        failure::clear_roots(txn, store, document, &job.roots, &failures).await?;
        failure::record(txn, store, &failures).await?;
        let handed = queueing::queue(self, txn, compiled, job, difference.puts, &written, &buried).await?;
        if let Some(run) = job.run {
            run::count(txn, store, run, 0, job.roots.len() as i64, failures.len() as i64).await?;
        }
        Ok((tally, handed))
    }
}

fn failures(document: &str, job: &Job, difference: &Difference) -> Vec<NewFailure> {
    let failure = |root: &str, key: Option<&str>, class: &str, error: String| NewFailure {
        stage: Stage::Publish,
        document: document.to_owned(),
        root: Some(root.to_owned()),
        key: key.map(str::to_owned),
        target: None,
        class: class.to_owned(),
        error,
        payload: None,
        revision: None,
        changed_at: job.changed_at,
    };
    let conflicts = difference.conflicting.iter().map(|c| {
        let error = format!(
            "key {:?} of root {} is held by root {}: two live roots make the same key; change the key template or the data",
            c.key, c.root, c.holder
        );
        failure(&c.root, Some(&c.key), "key conflict", error)
    });
    let failed = difference
        .failed
        .iter()
        .map(|f| failure(&f.root, f.key.as_deref(), f.class, f.message.clone()));
    conflicts.chain(failed).collect()
}
