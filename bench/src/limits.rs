//! What the services and the worker's own code can do alone: the same rows, sizes and batches as on the street, as many
//! side by side as the street has consumers, and nothing else going on.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::future::join_all;
use pubsync::fail::Fail;
use pubsync_publisher::build::build;
use pubsync_publisher::plan::DocumentPlan;
use pubsync_schema::migration;
use pubsync_schema::mirror::{self, Put, Row};
use pubsync_schema::shape::{Collection, Template};
use pubsync_schema::store::Store;
use pubsync_synchronizer::message::{self, Envelope, State};
use pubsync_synchronizer::target::{Accept, Operation, Outcome, Target, Write};
use pubsync_worker::broker::{Broker, Outgoing, SendOutcome};

use crate::installation::{DOCUMENT, Installation};
use crate::report::Figure;
use crate::select::select;
use crate::services::{SEARCH, STORAGE, part};

/// Names a queue, and with the round a mirror table, an index and the beginning of keys.
const OWN: &str = "limit";

/// Roots of a publisher's transaction, items of a message.
const BATCH: usize = 100;

/// Documents of a synchronizer's batch, when some messages have come together.
const WRITES: usize = 500;

/// Messages of one call of the sender.
const PACKED: usize = 16;
const SINGLE: usize = 500;

/// What the limits are measured with.
pub struct Limits {
    store: Store,
    broker: Arc<dyn Broker>,
    plan: Arc<DocumentPlan>,
    rows: Arc<Vec<Row>>,
    storage: Arc<dyn Target>,
    search: Arc<dyn Target>,
    collection: Collection,
    abreast: usize,
}

impl Limits {
    /// Takes the documents of an installation; its targets must be both.
    pub async fn of(installation: &Installation, products: u32) -> Result<Self, Fail> {
        let store = installation.store().clone();
        let rows =
            mirror::full_page(&store.read, &store, DOCUMENT, "", u64::from(products), u32::MAX).await?;
        let target = |name: &str| installation.street.targets.get(name).cloned();
        let missing = || part("a target is missing");
        Ok(Self {
            broker: installation.street.broker.clone(),
            plan: installation.plan().await?,
            rows: Arc::new(rows),
            storage: target(STORAGE).ok_or_else(missing)?,
            search: target(SEARCH).ok_or_else(missing)?,
            collection: installation.collection(SEARCH)?,
            abreast: installation.street.settings.publishers,
            store,
        })
    }

    /// Bytes of a body on average.
    pub fn body(&self) -> f64 {
        let bytes: usize = self.rows.iter().map(|row| row.body.len()).sum();
        bytes as f64 / self.rows.len().max(1) as f64
    }

    /// All of them, one after the other; of some rounds the best.
    pub async fn measure(&self, rounds: u32) -> Result<Vec<Figure>, Fail> {
        let mut best = self.round(1).await?.to_vec();
        for round in 2..=rounds {
            for (best, figure) in best.iter_mut().zip(self.round(round).await?) {
                if figure.seconds < best.seconds {
                    *best = figure;
                }
            }
        }
        let assembling = best[1].seconds - best[0].seconds;
        if assembling > 0.0 {
            let how = "the difference of the two above";
            best.insert(2, Figure::new("assemble", self.rows.len(), assembling, how));
        }
        Ok(best)
    }

    async fn round(&self, round: u32) -> Result<[Figure; 7], Fail> {
        let own = format!("{OWN}{round}");
        Ok([
            self.selects().await?,
            self.builds().await?,
            self.upserts(&own).await?,
            self.packed().await?,
            self.singles().await?,
            self.writes(&own, "redis", &self.storage, "guarded writes")
                .await?,
            self.writes(&own, "opensearch", &self.search, "_bulk with external versions")
                .await?,
        ])
    }

    async fn selects(&self) -> Result<Figure, Fail> {
        let (store, plan, rows) = (self.store.clone(), self.plan.clone(), self.rows.clone());
        let run = move |range: std::ops::Range<usize>| {
            let (store, plan, roots) = (store.clone(), plan.clone(), roots(&rows[range]));
            async move {
                let snapshot = store.snapshot().await?;
                select(&snapshot, &plan, &roots).await?;
                Ok(snapshot.rollback().await?)
            }
        };
        self.figure(
            "select",
            "the plan's SELECTs alone, 100 roots a snapshot",
            BATCH,
            run,
        )
        .await
    }

    async fn builds(&self) -> Result<Figure, Fail> {
        let (store, plan, rows) = (self.store.clone(), self.plan.clone(), self.rows.clone());
        let run = move |range: std::ops::Range<usize>| {
            let (store, plan, roots) = (store.clone(), plan.clone(), roots(&rows[range]));
            async move {
                let snapshot = store.snapshot().await?;
                let built = build(&snapshot, &plan, &roots).await.map_err(part)?;
                snapshot.rollback().await?;
                match built.iter().all(|b| b.documents.len() == 1) {
                    true => Ok(()),
                    false => Err(part("a root has no document")),
                }
            }
        };
        self.figure(
            "build",
            "SELECTs and assembling, 100 roots a snapshot",
            BATCH,
            run,
        )
        .await
    }

    async fn upserts(&self, own: &str) -> Result<Figure, Fail> {
        migration::document_tables(&self.store.write, &self.store.names, own).await?;
        let own: Arc<str> = own.into();
        let (store, rows) = (self.store.clone(), self.rows.clone());
        let run = move |range: std::ops::Range<usize>| {
            let (store, rows, own) = (store.clone(), rows.clone(), own.clone());
            async move {
                let puts: Vec<Put<'_>> = rows[range].iter().map(put).collect();
                let txn = store.begin().await?;
                let written = mirror::put(&txn, &store, &own, 1, 0, &puts).await?;
                txn.commit().await?;
                match written.len() == puts.len() {
                    true => Ok(()),
                    false => Err(part("a row was not written")),
                }
            }
        };
        self.figure(
            "upsert",
            "mirror upsert, 100 a transaction, with commit",
            BATCH,
            run,
        )
        .await
    }

    async fn packed(&self) -> Result<Figure, Fail> {
        let messages = self
            .rows
            .chunks(BATCH)
            .enumerate()
            .map(|(i, rows)| self.message(i, rows));
        self.publish(
            "publish packed",
            "messages of 100 items, confirmed",
            messages.collect(),
            PACKED,
        )
        .await
    }

    async fn singles(&self) -> Result<Figure, Fail> {
        let messages = self
            .rows
            .chunks(1)
            .enumerate()
            .map(|(i, rows)| self.message(i, rows));
        self.publish(
            "publish single",
            "messages of one item, confirmed",
            messages.collect(),
            SINGLE,
        )
        .await
    }

    /// The street's sender is one task: one window after the other.
    async fn publish(
        &self,
        name: &'static str,
        how: &'static str,
        messages: Result<Vec<Outgoing>, Fail>,
        window: usize,
    ) -> Result<Figure, Fail> {
        let (messages, queue) = (messages?, [self.queue()]);
        self.broker.declare(&queue).await?;
        let begun = Instant::now();
        for window in messages.chunks(window) {
            let outcomes = self.broker.send(window).await?;
            if outcomes.iter().any(|outcome| *outcome != SendOutcome::Confirmed) {
                return Err(part(format!("{name}: not all messages were confirmed")));
            }
        }
        let figure = Figure::new(name, self.rows.len(), begun.elapsed().as_secs_f64(), how);
        self.broker.delete(&queue).await?;
        Ok(figure)
    }

    fn queue(&self) -> String {
        format!("{}.{OWN}", self.store.names.name())
    }

    fn message(&self, number: usize, rows: &[Row]) -> Result<Outgoing, Fail> {
        let state = |row: &Row| State {
            key: row.key.clone(),
            revision: row.revision,
            body: Some(row.body.as_str().into()),
            remains: None,
        };
        let envelope = Envelope {
            id: number as i64,
            document: DOCUMENT,
            attempt: 0,
            changed_at: 0,
            run: None,
        };
        let states: Vec<State> = rows.iter().map(state).collect();
        Ok(Outgoing {
            id: number as i64,
            queue: self.queue(),
            body: message::items(&envelope, STORAGE, false, &states, usize::MAX).map_err(part)?,
            trace: None,
        })
    }

    async fn writes(
        &self,
        own: &str,
        name: &'static str,
        target: &Arc<dyn Target>,
        how: &'static str,
    ) -> Result<Figure, Fail> {
        let collection = Collection {
            document: own.to_owned(),
            index: Template::text(own),
            ..self.collection.clone()
        };
        target.prepare(std::slice::from_ref(&collection)).await?;
        let (target, rows, own) = (target.clone(), self.rows.clone(), own.to_owned());
        let run = move |range: std::ops::Range<usize>| {
            let (target, collection) = (target.clone(), collection.clone());
            let writes: Vec<Write> = rows[range].iter().map(|row| write(&own, row)).collect();
            async move {
                let outcomes = target.apply(&collection, &writes, Accept::Higher).await?;
                match outcomes.iter().all(|outcome| *outcome == Outcome::Applied) {
                    true => Ok(()),
                    false => Err(part("a write was not applied")),
                }
            }
        };
        self.figure(name, &format!("{how}, 500 a batch"), WRITES, run)
            .await
    }

    async fn figure<F, W>(&self, name: &'static str, how: &str, size: usize, run: F) -> Result<Figure, Fail>
    where
        F: Fn(std::ops::Range<usize>) -> W + Clone + Send + 'static,
        W: Future<Output = Result<(), Fail>> + Send,
    {
        let all = self.rows.len();
        let ranges: Vec<_> = (0..all)
            .step_by(size)
            .map(|at| at..(at + size).min(all))
            .collect();
        let seconds = side_by_side(ranges, self.abreast, run).await?;
        Ok(Figure::new(name, all, seconds, how))
    }
}

fn roots(rows: &[Row]) -> Vec<String> {
    rows.iter().filter_map(|row| row.root.clone()).collect()
}

fn put(row: &Row) -> Put<'_> {
    Put {
        key: &row.key,
        root: row.root.as_deref().unwrap_or_default(),
        kind: row.kind,
        body: &row.body,
        hash: &row.hash,
    }
}

fn write(own: &str, row: &Row) -> Write {
    Write {
        key: format!("{own}:{}", row.key),
        revision: row.revision,
        operation: Operation::Put(row.body.as_str().into()),
    }
}

/// Runs a job on every part, `abreast` at a time. Gives seconds.
async fn side_by_side<T, F, W>(parts: Vec<T>, abreast: usize, run: F) -> Result<f64, Fail>
where
    T: Send + 'static,
    F: Fn(T) -> W + Clone + Send + 'static,
    W: Future<Output = Result<(), Fail>> + Send,
{
    let open = Arc::new(Mutex::new(parts.into_iter()));
    let begun = Instant::now();
    let workers = (0..abreast).map(|_| {
        let (open, run) = (open.clone(), run.clone());
        tokio::spawn(async move {
            loop {
                let next = open.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(part) = next else {
                    return Ok::<(), Fail>(());
                };
                run(part).await?;
            }
        })
    });
    for worker in join_all(workers).await {
        worker.map_err(part)??;
    }
    Ok(begun.elapsed().as_secs_f64())
}
