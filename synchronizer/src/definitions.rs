//! The definitions that this process knows, kept current: they are looked at every second, and at once when a
//! transaction finds that its number is no longer the newest.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pubsync_schema::definition::{self, Definition};
use pubsync_schema::pause::{self, Subject};
use pubsync_schema::store::Store;
use pubsync_schema::writeset::{self, WriteSet, WriteSets};
use sea_orm::DbErr;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A shared view of `definition`. Cheap to clone.
#[derive(Clone)]
pub struct Definitions {
    current: Arc<watch::Sender<Arc<Vec<Definition>>>>,
    write_sets: Arc<watch::Sender<Arc<WriteSets>>>,
    paused: Arc<watch::Sender<Arc<Vec<Subject>>>>,
}

impl Definitions {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// Of the database.
    pub async fn load(store: &Store) -> Result<Self, DbErr> {
        store.now().await?;
        let found = definition::all(&store.read, store).await?;
        let write_sets = writeset::all(&store.read, store).await?;
        let paused = paused(store).await?;
        Ok(Self {
            write_sets: Arc::new(watch::Sender::new(Arc::new(write_sets))),
            current: Arc::new(watch::Sender::new(Arc::new(found))),
            paused: Arc::new(watch::Sender::new(Arc::new(paused))),
        })
    }

    /// Whether this stands still, as of the last look.
    #[must_use]
    pub fn is_paused(&self, subject: &Subject) -> bool {
        self.paused.borrow().contains(subject)
    }

    /// Waits until [`Self::is_paused`] gives this for the subject.
    pub async fn until_paused(&self, subject: &Subject, is: bool) {
        // An error means that the sender is gone; it cannot be, we hold it.
        let _ = self
            .paused
            .subscribe()
            .wait_for(|all| all.contains(subject) == is)
            .await;
    }

    #[must_use]
    pub fn current(&self) -> Arc<Vec<Definition>> {
        self.current.borrow().clone()
    }

    #[must_use]
    pub fn get(&self, document: &str) -> Option<Definition> {
        self.current
            .borrow()
            .iter()
            .find(|d| d.document == document)
            .cloned()
    }

    /// Whether aliases of the document go to the target.
    #[must_use]
    pub fn shows_aliases(&self, document: &str, target: &str) -> bool {
        self.current
            .borrow()
            .iter()
            .find(|d| d.document == document)
            .is_none_or(|d| d.shape.shows_aliases(target))
    }

    /// Where writes of a document to a target go, also where all of them are to end as deletes; `None` where it does not go
    /// there.
    #[must_use]
    pub fn write_set(&self, document: &str, target: &str) -> Option<WriteSet> {
        let key = (document.to_owned(), target.to_owned());
        let stored = self.write_sets.borrow().get(&key).cloned();
        if stored.as_ref().is_some_and(|set| set.removal.is_some()) {
            return stored;
        }
        let declared = self.get(document)?.shape.collection(target)?;
        Some(stored.unwrap_or_else(|| WriteSet::new(document, target, declared)))
    }

    /// What the queues of a target are called by: of documents that go there, and of those that are taken away from it.
    #[must_use]
    pub fn queues_of(&self, target: &str) -> BTreeSet<String> {
        let current = self.current();
        let bound = current.iter().filter(|d| d.shape.targets.contains_key(target));
        let mut queues: BTreeSet<String> = bound.map(|d| d.shape.queue.clone()).collect();
        let sets = self.write_sets();
        let of_target = sets.values().filter(|set| set.target == target);
        queues.extend(of_target.filter_map(|set| set.emptying().map(str::to_owned)));
        queues
    }

    /// All that are stored, those of documents that are declared no more too.
    #[must_use]
    pub fn write_sets(&self) -> Arc<WriteSets> {
        self.write_sets.borrow().clone()
    }

    /// Sees every change; the first value counts as seen.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Vec<Definition>>> {
        self.current.subscribe()
    }

    /// Sees every change of a write set; the first value counts as seen.
    #[must_use]
    pub fn watch_write_sets(&self) -> watch::Receiver<Arc<WriteSets>> {
        self.write_sets.subscribe()
    }

    /// Reads pauses, and definitions again where numbers differ. Gives whether they did. The store hears what the
    /// database clock says.
    pub async fn refresh(&self, store: &Store) -> Result<bool, DbErr> {
        store.now().await?;
        let known: Vec<(String, i64)> = self
            .current()
            .iter()
            .map(|d| (d.document.clone(), d.number))
            .collect();
        let paused = paused(store).await?;
        self.paused.send_if_modified(|all| {
            let differs = **all != paused;
            if differs {
                *all = Arc::new(paused);
            }
            differs
        });
        self.refresh_write_sets(store).await?;
        if definition::numbers(&store.write, store).await? == known {
            return Ok(false);
        }
        let found = definition::all(&store.write, store).await?;
        tracing::info!(documents = found.len(), "definitions changed");
        self.current.send_replace(Arc::new(found));
        Ok(true)
    }

    async fn refresh_write_sets(&self, store: &Store) -> Result<(), DbErr> {
        let mut known: Vec<(String, i64)> = self
            .write_sets()
            .values()
            .map(|set| (set.name(), set.generation))
            .collect();
        known.sort_unstable();
        let mut current = writeset::generations(&store.write, store).await?;
        current.sort_unstable();
        if current != known {
            let found = writeset::all(&store.write, store).await?;
            self.write_sets.send_replace(Arc::new(found));
        }
        Ok(())
    }

    /// Keeps them current until cancelled.
    pub async fn follow(self, store: Store, stop: CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(Duration::from_secs(1)))
            .await
            .is_some()
        {
            if let Err(error) = self.refresh(&store).await {
                tracing::warn!(%error, "definitions cannot be read; going on with those known");
            }
        }
    }
}

async fn paused(store: &Store) -> Result<Vec<Subject>, DbErr> {
    Ok(pause::current(&store.write, store)
        .await?
        .into_iter()
        .map(|p| p.subject)
        .collect())
}
