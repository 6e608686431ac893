//! The third part of law 2: what differs goes into the mirror, what could not be done becomes a failure.

use std::collections::HashMap;

use pubsync_schema::failure::{self, NewFailure, Prospect, Stage};
use pubsync_schema::mirror::{self, Burial, Buried, Locked, Put};
use pubsync_schema::run;
use sea_orm::{DatabaseTransaction, DbErr};

use super::difference::{Changed, Difference};
use super::{Job, Publish, Tally, queueing, remains};
use crate::build::Kind;
use crate::registry::Compiled;

/// One transaction of a job, its roots locked and looked at.
pub struct Writing<'a> {
    pub publish: &'a Publish,
    pub txn: &'a DatabaseTransaction,
    pub compiled: &'a Compiled,
    pub job: &'a Job,
    /// Those of the job, and holders of keys that joined.
    pub roots: &'a [String],
    /// What their last builds said.
    pub locked: &'a [Locked],
    /// Whether holders of keys may join.
    pub joining: bool,
}

/// What came of writing.
pub enum Written {
    Done(Tally, queueing::Handed),
    /// These roots hold keys that the batch wants: all of it must be done again with them, for they may let go.
    Held(Vec<String>),
}

impl Writing<'_> {
    pub async fn write(&self, mut difference: Difference) -> Result<Written, DbErr> {
        // Buried first: a key that moves between two roots of this batch is free when its new root takes it.
        let mut buried = self.bury(&difference.gone).await?;
        let mut written = self.put(&difference.puts).await?;
        if written.len() < difference.puts.len() {
            let (holders, joining) = self.holders(&difference.puts, &written).await?;
            if let Some(joining) = joining {
                return Ok(Written::Held(joining));
            }
            let gone = difference.refuse(&written, &holders);
            buried.extend(self.bury(&gone).await?);
        }
        let aliases = self.put(&difference.aliases).await?;
        if aliases.len() < difference.aliases.len() {
            let (holders, joining) = self.holders(&difference.aliases, &aliases).await?;
            if let Some(joining) = joining {
                return Ok(Written::Held(joining));
            }
            difference.refuse_aliases(&aliases, &holders);
        }
        written.extend(aliases);
        self.finish(difference, &written, buried).await
    }

    async fn finish(
        &self,
        mut difference: Difference,
        written: &[(String, i64)],
        buried: Vec<Buried>,
    ) -> Result<Written, DbErr> {
        let (txn, store, job) = (self.txn, &self.publish.street.store, self.job);
        let document = &self.compiled.definition.document;
        let failures = self.failures(&difference);
        self.note(&difference).await?;
        let tally = Tally {
            changed: written.len(),
            unchanged: difference.unchanged.len(),
            deleted: buried.len(),
            failed: failures.len(),
            duplicate: false,
        };
        queueing::wake(self, written, &buried).await?;
        failure::clear_roots(txn, store, document, self.roots, &failures).await?;
        failure::record(txn, store, &failures).await?;
        let mut puts = std::mem::take(&mut difference.puts);
        puts.append(&mut difference.aliases);
        let handed = queueing::queue(self, puts, written, &buried).await?;
        if let Some(run) = job.run {
            let done = job.roots.iter().filter(|root| self.roots.contains(root)).count();
            run::count(txn, store, run, 0, done as i64, failures.len() as i64).await?;
        }
        Ok(Written::Done(tally, handed))
    }

    /// That this definition was here, also where it changed nothing: a rebuild is complete when no row has an older
    /// number. And when time alone will change a root.
    async fn note(&self, difference: &Difference) -> Result<(), DbErr> {
        let store = &self.publish.street.store;
        let (document, number) = (
            &self.compiled.definition.document,
            self.compiled.definition.number,
        );
        let unchanged = difference.unchanged.iter();
        let older = unchanged.filter(|row| row.definition < number);
        let older: Vec<String> = older.map(|row| row.key.clone()).collect();
        mirror::renumber(self.txn, store, document, number, &older).await?;
        let before: HashMap<&str, &Locked> = self.locked.iter().map(|l| (l.root.as_str(), l)).collect();
        let found = difference.due.iter().map(|(root, due)| Locked {
            root: root.clone(),
            definition: number,
            due: *due,
        });
        let changed: Vec<Locked> = found
            .filter(|found| before.get(found.root.as_str()) != Some(&found))
            .collect();
        mirror::note_roots(self.txn, store, document, &changed).await
    }

    async fn bury(&self, gone: &[(String, String)]) -> Result<Vec<Buried>, DbErr> {
        let definition = &self.compiled.definition;
        let mut remains = self.remains(gone).await?;
        let burials: Vec<Burial> = gone
            .iter()
            .map(|(key, root)| Burial {
                key: key.clone(),
                root: root.clone(),
                remains: remains.remove(key),
            })
            .collect();
        mirror::bury(
            self.txn,
            &self.publish.street.store,
            &definition.document,
            definition.number,
            self.job.changed_at,
            &burials,
        )
        .await
    }

    /// By key, what stays of these documents. Their roots are locked: the bodies are still these when they are buried.
    async fn remains(&self, gone: &[(String, String)]) -> Result<HashMap<String, String>, DbErr> {
        let members = &self.compiled.life.tombstone;
        if members.is_empty() || gone.is_empty() {
            return Ok(HashMap::new());
        }
        let keys: Vec<String> = gone.iter().map(|(key, _)| key.clone()).collect();
        let document = &self.compiled.definition.document;
        let rows = mirror::by_keys(self.txn, &self.publish.street.store, document, &keys).await?;
        let documents = rows.into_iter().filter(|row| row.kind == mirror::Kind::Document);
        Ok(documents
            .filter_map(|row| Some((row.key, remains::of(&row.body, members)?)))
            .collect())
    }

    async fn put(&self, changed: &[Changed]) -> Result<Vec<(String, i64)>, DbErr> {
        let definition = &self.compiled.definition;
        let puts: Vec<Put<'_>> = changed.iter().map(put).collect();
        mirror::put(
            self.txn,
            &self.publish.street.store,
            &definition.document,
            definition.number,
            self.job.changed_at,
            &puts,
        )
        .await
    }

    /// Who holds the keys that were not written, and the roots that join for that; `None` where none may.
    async fn holders(
        &self,
        puts: &[Changed],
        written: &[(String, i64)],
    ) -> Result<(Vec<(String, String)>, Option<Vec<String>>), DbErr> {
        let missing = |put: &&Changed| !written.iter().any(|(key, _)| *key == put.document.key);
        let missing: Vec<String> = puts
            .iter()
            .filter(missing)
            .map(|put| put.document.key.clone())
            .collect();
        let document = &self.compiled.definition.document;
        let holders = mirror::holders(self.txn, &self.publish.street.store, document, &missing).await?;
        let strangers: Vec<String> = holders
            .iter()
            .map(|(_, root)| root)
            .filter(|root| !self.roots.contains(root))
            .cloned()
            .collect();
        // Whoever is not found any more has let go since.
        let again = self.joining && (!strangers.is_empty() || holders.len() < missing.len());
        Ok((holders, again.then_some(strangers)))
    }

    fn failures(&self, difference: &Difference) -> Vec<NewFailure> {
        let failure = |root: &str, key: Option<&str>, class: &str, error: String| NewFailure {
            stage: Stage::Publish,
            document: self.compiled.definition.document.clone(),
            root: Some(root.to_owned()),
            key: key.map(str::to_owned),
            target: None,
            class: class.to_owned(),
            error,
            payload: None,
            revision: None,
            changed_at: self.job.changed_at,
            prospect: Prospect::Permanent,
        };
        let conflicts = difference.conflicting.iter().map(|conflict| {
            let (class, error) = conflict.tell();
            failure(&conflict.root, Some(&conflict.key), class, error)
        });
        let failed = difference
            .failed
            .iter()
            .map(|f| failure(&f.root, f.key.as_deref(), f.class, f.message.clone()));
        conflicts.chain(failed).collect()
    }
}

fn put(changed: &Changed) -> Put<'_> {
    Put {
        key: &changed.document.key,
        root: &changed.root,
        kind: match changed.document.kind {
            Kind::Document => mirror::Kind::Document,
            Kind::Alias { .. } => mirror::Kind::Alias,
        },
        body: &changed.document.body,
        hash: &changed.document.hash,
    }
}
