//! A target in memory: revisions and bodies by document and key.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use pubsync_schema::shape::Collection;
use pubsync_synchronizer::target::{Accept, Held, Operation, Outcome, ScanPage, Target, TargetError, Write};

use super::life::TARGET;

/// By document and key; a tombstone has no body.
type Stored = BTreeMap<(String, String), (i64, Option<String>)>;

#[derive(Debug, Default)]
pub struct Shelf(Mutex<Stored>);

impl Shelf {
    /// What readers of a document see: bodies by key.
    pub fn shown(&self, document: &str) -> BTreeMap<String, String> {
        let stored = self.stored();
        let own = stored.iter().filter(|((name, _), _)| name == document);
        own.filter_map(|((_, key), (_, body))| Some((key.clone(), body.clone()?)))
            .collect()
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of<T>(
        &self,
        collection: &Collection,
        keys: &[String],
        read: impl Fn(&(i64, Option<String>)) -> Option<T>,
    ) -> Vec<Option<T>> {
        let stored = self.stored();
        let at = |key: &String| read(stored.get(&(collection.document.clone(), key.clone()))?);
        keys.iter().map(at).collect()
    }
}

#[async_trait]
impl Target for Shelf {
    fn name(&self) -> &str {
        TARGET
    }

    async fn prepare(&self, _collections: &[Collection]) -> Result<(), TargetError> {
        Ok(())
    }

    async fn apply(
        &self,
        collection: &Collection,
        writes: &[Write],
        accept: Accept,
    ) -> Result<Vec<Outcome>, TargetError> {
        let mut stored = self.stored();
        let write = |write: &Write| {
            let key = (collection.document.clone(), write.key.clone());
            let newest = stored.get(&key).map_or(i64::MIN, |(revision, _)| *revision);
            let equal = accept == Accept::HigherOrEqual && write.revision == newest;
            if write.revision <= newest && !equal {
                return Outcome::Stale;
            }
            let body = match &write.operation {
                Operation::Put(body) => Some(body.to_string()),
                Operation::Delete => None,
            };
            stored.insert(key, (write.revision, body));
            Outcome::Applied
        };
        Ok(writes.iter().map(write).collect())
    }

    async fn versions(
        &self,
        collection: &Collection,
        keys: &[String],
    ) -> Result<Vec<Option<Held>>, TargetError> {
        let held = |(revision, body): &(i64, Option<String>)| {
            Some(Held {
                revision: *revision,
                deleted: body.is_none(),
            })
        };
        Ok(self.of(collection, keys, held))
    }

    async fn bodies(
        &self,
        collection: &Collection,
        keys: &[String],
    ) -> Result<Vec<Option<String>>, TargetError> {
        Ok(self.of(collection, keys, |(_, body)| body.clone()))
    }

    async fn scan(
        &self,
        collection: &Collection,
        _cursor: Option<String>,
        _limit: usize,
    ) -> Result<ScanPage, TargetError> {
        let stored = self.stored();
        let live = stored
            .iter()
            .filter(|((name, _), (_, body))| *name == collection.document && body.is_some());
        Ok(ScanPage {
            keys: live
                .map(|((_, key), (revision, _))| (key.clone(), *revision))
                .collect(),
            next: None,
        })
    }

    async fn ping(&self) -> Result<(), TargetError> {
        Ok(())
    }
}
