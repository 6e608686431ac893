//! The last step of `apply`, in one transaction: raises numbers, queues rebuilds and resyncs, and lets go of what is
//! declared no more (`leaving.rs`).

use pubsync_schema::definition::{self, Definition};
use pubsync_schema::ledger::{self, NewEntry};
use pubsync_schema::names::Lane;
use pubsync_schema::pause::{self, Subject};
use pubsync_schema::run;
use pubsync_schema::store::Store;
use pubsync_schema::wire::{PublishWork, Selection};
use pubsync_schema::writeset;
use pubsync_synchronizer::resync;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};

use super::apply::{Apply, ApplyError, Report};
use super::compare;
use super::moves::{self, Move};
use super::plan::{ChangeKind, DocumentChange, Plan, Standing};
use super::remains;
use super::wanted::Wanted;

impl Apply<'_> {
    /// Compares again inside the transaction, and does just that; what was `agreed` must be the same.
    pub(super) async fn define(
        &self,
        wanted: &[Wanted],
        agreed: Option<&Plan>,
        remove: &[String],
        next_index: i64,
    ) -> Result<Report, ApplyError> {
        let txn = self.store.begin().await?;
        let standing = self.standing(&txn).await?;
        let remains = remains::find(wanted, &standing, self.targets, remove)?;
        let changes = compare::documents(wanted, &standing, self.targets, &remains);
        let agreed = agreed.map(Plan::agreed);
        if agreed.is_some_and(|plan| plan.documents != changes || plan.remains != remains) {
            return Err(ApplyError::Changed);
        }
        let mut report = Report::default();
        let mut entries = Vec::new();
        for change in &changes {
            let new = wanted
                .iter()
                .find(|one| one.definition.document == change.document);
            match new {
                Some(new) => {
                    if change.change == ChangeKind::New {
                        self.stand_again(&txn, &change.document).await?;
                    }
                    let old = standing.definitions.get(&change.document);
                    let number = self.number(&txn, change, &new.definition, old).await?;
                    entries.extend(self.queue(&txn, change, &new.definition, number).await?);
                    let moved = self.write_through(&txn, &new.definition, number, &standing, next_index);
                    entries.extend(moved.await?);
                    report.note(change);
                }
                None => report.removed.push(change.document.clone()),
            }
        }
        definition::remove(&txn, self.store, &report.removed).await?;
        // Definitions first: now nobody adds work any more.
        self.leave(&txn, &remains, &standing).await?;
        report.remain(&remains);
        ledger::insert(&txn, self.store, &entries).await?;
        txn.commit().await?;
        Ok(report)
    }

    /// Stores the definition where it differs. What stood still gets a new number too, so that workers that could not
    /// compile it look again.
    async fn number(
        &self,
        txn: &DatabaseTransaction,
        change: &DocumentChange,
        new: &Definition,
        old: Option<&Definition>,
    ) -> Result<i64, DbErr> {
        match (change.change, old) {
            (ChangeKind::Unchanged, Some(old)) => Ok(old.number),
            _ => definition::raise(txn, self.store, new).await,
        }
    }

    async fn queue(
        &self,
        txn: &DatabaseTransaction,
        change: &DocumentChange,
        definition: &Definition,
        number: i64,
    ) -> Result<Vec<NewEntry>, DbErr> {
        let (store, document) = (self.store, &change.document);
        let mut entries = Vec::new();
        if change.rebuild {
            self.forget_failures(txn, document).await?;
            pause::end(txn, store, &Subject::Document(document.clone())).await?;
            entries.push(rebuild(txn, store, definition, number).await?);
        }
        for target in &change.resync {
            entries.push(
                resync::start(
                    txn,
                    store,
                    &definition.shape,
                    number,
                    target,
                    Selection::default(),
                )
                .await?,
            );
        }
        Ok(entries)
    }

    /// Stores where writes to each target go, and begins to fill indexes that take the place of others.
    async fn write_through(
        &self,
        txn: &DatabaseTransaction,
        definition: &Definition,
        number: i64,
        standing: &Standing,
        next_index: i64,
    ) -> Result<Vec<NewEntry>, ApplyError> {
        let (store, shape) = (self.store, &definition.shape);
        let mut entries = Vec::new();
        for target in shape.targets.keys() {
            let Some(wanted) = shape.collection(target) else {
                continue;
            };
            let set = standing.write_set(&definition.document, target, &wanted);
            let kind = moves::compare(&set, &wanted, self.targets.get(target).map(|target| &**target));
            if kind == Move::Nothing && set.generation > 0 {
                continue;
            }
            let mut run = None;
            if kind == Move::NewIndex {
                let fill = resync::start(txn, store, shape, number, target, Selection::default()).await?;
                run = fill.run;
                entries.push(fill);
            }
            let next = moves::begun(&set, &wanted, &kind, next_index, run);
            if writeset::raise(txn, store, &next).await?.is_none() {
                return Err(ApplyError::Changed);
            }
        }
        Ok(entries)
    }

    /// What blocked the document as a whole is answered by this definition.
    async fn forget_failures(&self, txn: &DatabaseTransaction, document: &str) -> Result<(), DbErr> {
        let sql = format!(
            "DELETE FROM {} WHERE document = $1 AND root IS NULL AND key IS NULL AND stage IN ('capture', 'publish')",
            self.store.names.table("failure")
        );
        txn.execute_raw(self.store.sql(sql, [document.into()])).await?;
        Ok(())
    }
}

/// A ledger row that asks for all roots of a document, with a run that counts them.
///
/// # Errors
/// Of the database.
pub async fn rebuild(
    txn: &impl ConnectionTrait,
    store: &Store,
    definition: &Definition,
    number: i64,
) -> Result<NewEntry, DbErr> {
    let run = run::begin(txn, store, "publish", &definition.document, None).await?;
    publish_entry(
        store,
        definition,
        number,
        &PublishWork::All { after: None },
        1,
        Some(run),
    )
    .await
}

/// A ledger row of publish work on the bulk lane, as of now.
///
/// # Errors
/// Of the database.
pub async fn publish_entry(
    store: &Store,
    definition: &Definition,
    number: i64,
    work: &PublishWork,
    items: usize,
    run: Option<i64>,
) -> Result<NewEntry, DbErr> {
    Ok(NewEntry {
        queue: store.names.publish_queue(&definition.shape.queue, Lane::Bulk),
        document: definition.document.clone(),
        target: None,
        lane: Lane::Bulk,
        payload: serde_json::to_string(work).map_err(|e| DbErr::Json(e.to_string()))?,
        items: items as i64,
        definition: number,
        run,
        changed_at: store.now().await?,
        attempts: 0,
        trace: None,
        claimed: false,
    })
}

impl Report {
    fn note(&mut self, change: &DocumentChange) {
        let list = if change.rebuild {
            &mut self.rebuilt
        } else {
            &mut self.unchanged
        };
        list.push(change.document.clone());
        let arrow = |target: &String| format!("{} → {target}", change.document);
        self.resynchronized.extend(change.resync.iter().map(arrow));
        self.reindexed.extend(change.reindex.iter().map(arrow));
    }
}
