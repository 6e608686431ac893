//! Failed work again: the sweeper queues what is due, a person what he has chosen. Both take the ordinary road.

use pubsync_schema::definition::{self, Definition};
use pubsync_schema::failure::{self, Failure, Filter, Stage};
use pubsync_schema::ledger::{self, NewEntry};
use pubsync_schema::names::{Lane, Names};
use pubsync_schema::store::Store;
use pubsync_schema::wire::{PublishWork, SyncKey, SyncWork};
use pubsync_schema::writeset::{self, WriteSet};
use sea_orm::{ConnectionTrait, DbErr};

/// Failures that one transaction queues.
const PAGE: u64 = 500;

/// What was queued again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Retried {
    pub queued: u64,
    /// No worker can do anything about these: a broken trigger, a message that cannot be read.
    pub not_retryable: u64,
}

/// Queues all failures that the filter names, at once, those given up too. The rows stay until the work succeeds.
///
/// # Errors
/// Of the database.
pub async fn now(store: &Store, filter: &Filter) -> Result<Retried, DbErr> {
    let definitions = definition::all(&store.write, store).await?;
    let sets = writeset::all(&store.write, store).await?;
    let of = |failure: &Failure| {
        let definition = definitions.iter().find(|d| d.document == failure.document);
        let target = failure.target.clone().unwrap_or_default();
        road(definition, sets.get(&(failure.document.clone(), target)))
    };
    let (mut retried, mut after) = (Retried::default(), i64::MIN);
    loop {
        let txn = store.begin().await?;
        let page = failure::list(&txn, store, filter, after, PAGE).await?;
        let queued = queue(&txn, store, &page, of).await?;
        // What no attempt can help goes on saying so.
        failure::forgive(&txn, store, &queued).await?;
        txn.commit().await?;
        retried.queued += queued.len() as u64;
        retried.not_retryable += (page.len() - queued.len()) as u64;
        match page.last() {
            Some(last) => after = last.id,
            None => return Ok(retried),
        }
    }
}

/// Where work of a document goes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Road {
    /// The document's name, or the group that documents share.
    queue: String,
    /// Of the definition; 0: declared no more, and only deletes are under way.
    number: i64,
}

/// By the definition; without one, what is being taken away from a target still goes there. `None`: nobody would do it.
#[must_use]
pub fn road(definition: Option<&Definition>, set: Option<&WriteSet>) -> Option<Road> {
    match definition {
        Some(definition) => Some(Road {
            queue: definition.shape.queue.clone(),
            number: definition.number,
        }),
        None => Some(Road {
            queue: set?.emptying()?.to_owned(),
            number: 0,
        }),
    }
}

/// Queues the work of failures, and gives the ids of those that have some.
///
/// # Errors
/// Of the database.
pub async fn queue(
    txn: &impl ConnectionTrait,
    store: &Store,
    failures: &[Failure],
    road: impl Fn(&Failure) -> Option<Road>,
) -> Result<Vec<i64>, DbErr> {
    let (mut entries, mut of) = (Vec::new(), Vec::new());
    for failure in failures {
        let Some(road) = road(failure) else {
            continue;
        };
        if let Some(entry) = again(&store.names, &road, failure)? {
            entries.push(entry);
            of.push(failure.id);
        }
    }
    if entries.is_empty() {
        return Ok(of);
    }
    let ids = ledger::insert(txn, store, &entries).await?;
    let work: Vec<(i64, i64)> = of.iter().copied().zip(ids).collect();
    failure::set_work(txn, store, &work).await?;
    Ok(of)
}

/// The work that a failure stands for; `None` where no worker can do anything.
fn again(names: &Names, road: &Road, failure: &Failure) -> Result<Option<NewEntry>, DbErr> {
    let json = |e: serde_json::Error| DbErr::Json(e.to_string());
    let group = &road.queue;
    let (target, payload) = match (&failure.target, &failure.key, &failure.root, &failure.payload) {
        (Some(target), Some(key), _, _) => {
            let items = vec![SyncKey {
                key: key.clone(),
                revision: failure.revision.unwrap_or_default(),
            }];
            let work = SyncWork::Items { items, force: true };
            (Some(target), serde_json::to_string(&work).map_err(json)?)
        }
        (None, _, Some(root), _) => {
            let work = PublishWork::Roots(vec![root.clone()]);
            (None, serde_json::to_string(&work).map_err(json)?)
        }
        (None, _, None, Some(payload)) if failure.stage == Stage::Affected.as_str() => {
            (None, payload.clone())
        }
        // What an outbox row said that nobody could read: whatever changed is in what is built now.
        (None, _, None, Some(_)) if failure.stage == Stage::Capture.as_str() => {
            let work = PublishWork::All { after: None };
            (None, serde_json::to_string(&work).map_err(json)?)
        }
        _ => return Ok(None),
    };
    Ok(Some(NewEntry {
        queue: match target {
            Some(target) => names.sync_queue(target, group, Lane::Bulk),
            None => names.publish_queue(group, Lane::Bulk),
        },
        document: failure.document.clone(),
        target: target.cloned(),
        lane: Lane::Bulk,
        payload,
        items: 1,
        definition: road.number,
        run: None,
        changed_at: failure.changed_at,
        attempts: failure.attempts,
        trace: None,
        claimed: false,
    }))
}
