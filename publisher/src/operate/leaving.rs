//! What `apply` does with what is declared no more, in the transaction that takes definitions away. It only notes that
//! something goes; the sweeper takes it away, step by step.

use pubsync_schema::migration;
use pubsync_schema::pause::{self, Subject};
use pubsync_schema::removal;
use pubsync_schema::writeset::{self, Step, WriteSet};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};

use super::apply::{Apply, ApplyError, Report};
use super::plan::Standing;
use super::remains::{AtTarget, Fate, Remains};

impl Apply<'_> {
    /// A document that is new, or declared again: whoever is taking its tables away has done so, or does it no more.
    pub(super) async fn stand_again(&self, txn: &DatabaseTransaction, document: &str) -> Result<(), DbErr> {
        removal::end(txn, self.store, document).await?;
        migration::document_tables(txn, &self.store.names, document).await
    }

    pub(super) async fn leave(
        &self,
        txn: &DatabaseTransaction,
        all: &[Remains],
        standing: &Standing,
    ) -> Result<(), ApplyError> {
        for remains in all {
            if remains.whole {
                self.note(txn, remains, standing).await?;
            }
            for (target, at) in &remains.targets {
                match remains.fate {
                    Fate::Stays if remains.fresh => {
                        self.leave_as_it_is(txn, remains, target, standing).await?
                    }
                    Fate::Stays => {}
                    Fate::Goes => self.give_up(txn, remains, target, at, standing).await?,
                    Fate::Going if *at == AtTarget::Unknown => {
                        self.give_up(txn, remains, target, at, standing).await?;
                    }
                    Fate::Going => {}
                }
            }
        }
        Ok(())
    }

    /// Of a document as a whole. Work of its publishers goes: nobody would ever settle it.
    async fn note(
        &self,
        txn: &DatabaseTransaction,
        remains: &Remains,
        standing: &Standing,
    ) -> Result<(), DbErr> {
        let (store, document) = (self.store, &remains.document);
        if let (true, Some(was)) = (remains.fresh, standing.definitions.get(document)) {
            removal::note(txn, store, was).await?;
            let (ledger, failure) = (store.names.table("ledger"), store.names.table("failure"));
            for sql in [
                format!("DELETE FROM {ledger} WHERE document = $1 AND target IS NULL"),
                format!("DELETE FROM {failure} WHERE document = $1 AND target IS NULL"),
            ] {
                txn.execute_raw(store.sql(sql, [document.into()])).await?;
            }
            pause::end(txn, store, &Subject::Document(document.clone())).await?;
        }
        if remains.fate == Fate::Goes {
            removal::agree(txn, store, document).await?;
        }
        Ok(())
    }

    /// The target keeps what it holds. An index that was being filled is never complete, and must not serve.
    async fn leave_as_it_is(
        &self,
        txn: &DatabaseTransaction,
        remains: &Remains,
        target: &str,
        standing: &Standing,
    ) -> Result<(), ApplyError> {
        let key = (remains.document.clone(), target.to_owned());
        let set = standing.write_sets.get(&key);
        if set.is_some_and(|set| set.removal.is_some()) {
            // It is being taken away since an earlier time, and goes on.
            return Ok(());
        }
        self.drop_target_work(txn, "ledger", remains, target).await?;
        self.drop_target_work(txn, "failure", remains, target).await?;
        let Some((set, filling)) = set.and_then(|set| Some((set, set.filling.as_ref()?))) else {
            return Ok(());
        };
        let mut next = set.clone();
        next.retired.push(filling.collection.clone());
        next.filling = None;
        self.raise(txn, &next).await
    }

    /// The target is to hold nothing. What is on its way there stays in the ledger and ends as deletes: whoever has applied
    /// it already, and not settled, is not forgotten.
    async fn give_up(
        &self,
        txn: &DatabaseTransaction,
        remains: &Remains,
        target: &str,
        at: &AtTarget,
        standing: &Standing,
    ) -> Result<(), ApplyError> {
        let document = &remains.document;
        let key = (document.clone(), target.to_owned());
        let set = standing.write_sets.get(&key).cloned();
        if *at == AtTarget::Holds && set.as_ref().is_some_and(|set| set.removal.is_some()) {
            // It is being taken away since an earlier time, and goes on.
            return Ok(());
        }
        self.drop_target_work(txn, "failure", remains, target).await?;
        let step = match at {
            AtTarget::Holds => Step::Agreed,
            AtTarget::Unknown | AtTarget::LeftTo(_) => {
                self.drop_target_work(txn, "ledger", remains, target).await?;
                Step::Empty
            }
        };
        let declared = || {
            let old = standing.definitions.get(document).map(|old| &old.shape);
            let shape = old.or(standing.removed.get(document).map(|old| &old.shape))?;
            Some(WriteSet::new(document, target, shape.collection(target)?))
        };
        match set.or_else(declared) {
            Some(set) => self.raise(txn, &set.given_up(&remains.queue, step)).await,
            None => Ok(()),
        }
    }

    async fn raise(&self, txn: &DatabaseTransaction, next: &WriteSet) -> Result<(), ApplyError> {
        match writeset::raise(txn, self.store, next).await? {
            Some(_) => Ok(()),
            None => Err(ApplyError::Changed),
        }
    }

    async fn drop_target_work(
        &self,
        txn: &DatabaseTransaction,
        table: &str,
        remains: &Remains,
        target: &str,
    ) -> Result<(), DbErr> {
        let table = self.store.names.table(table);
        let sql = format!("DELETE FROM {table} WHERE document = $1 AND target = $2");
        let values = [remains.document.as_str().into(), target.into()];
        txn.execute_raw(self.store.sql(sql, values)).await?;
        Ok(())
    }
}

impl Report {
    pub(super) fn remain(&mut self, all: &[Remains]) {
        let named = |fate: Fate| {
            let of_fate = all.iter().filter(move |remains| remains.fate == fate);
            of_fate.map(|remains| remains.name.clone()).collect()
        };
        self.leaving = named(Fate::Goes);
        self.kept = named(Fate::Stays);
    }
}
