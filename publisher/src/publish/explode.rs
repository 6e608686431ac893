//! Work that does not fit one transaction is cut first: one transaction takes its ledger row away and puts rows of at
//! most one batch in its place, and where more may follow, a row that goes on from there. So whatever dies, nothing of
//! the rest is lost, and a fan-out of any size is walked in pages.

use pubsync_schema::ledger::{self, NewEntry};
use pubsync_schema::names::Lane;
use pubsync_schema::wire::{MAX_ITEMS, PublishWork};
use pubsync_schema::{failure, run};
use sea_orm::DbErr;

use super::consumer::Received;
use super::{Publish, PublishError};
use crate::publisher::RootPage;
use crate::registry::Compiled;

/// Roots of one page.
pub const PAGE: u64 = 5_000;

/// Roots of each further page of what changes reach. Every page finds all roots anew to know which come next, so there
/// must be few: a million roots are 21 pages.
const WIDE_PAGE: u64 = 50_000;

/// From so many roots on, a change is a rebuild and takes the bulk lane.
const WIDE: usize = 1_000;

impl Publish {
    /// Replaces a message by what it amounts to. Gives how many roots that were.
    ///
    /// # Errors
    /// See [`PublishError`]; then nothing has happened.
    pub async fn explode(&self, compiled: &Compiled, message: &Received) -> Result<usize, PublishError> {
        let store = &self.street.store;
        let snapshot = store.snapshot().await?;
        let (roots, next) = match &message.work {
            PublishWork::Roots(roots) => (roots.clone(), None),
            PublishWork::All { after } => {
                let walked = compiled.publisher.all(&snapshot, after.as_deref(), PAGE).await?;
                let next = walked.next.map(|after| PublishWork::All { after: Some(after) });
                (walked.roots, next)
            }
            PublishWork::Changes { tables, after } => {
                let page = RootPage {
                    after: after.as_deref(),
                    limit: if after.is_none() { PAGE } else { WIDE_PAGE },
                };
                let roots = compiled.publisher.affected(&snapshot, tables, page).await?;
                let next = follows(&roots, page.limit).map(|after| PublishWork::Changes {
                    tables: tables.clone(),
                    after: Some(after),
                });
                (roots, next)
            }
        };
        snapshot.rollback().await?;
        // A failing message of many roots is bisected at once: each root alone.
        let size = if matches!(message.work, PublishWork::Roots(_)) {
            1
        } else {
            MAX_ITEMS
        };
        let wide = roots.len() > WIDE || next.is_some();
        let lane = if wide { Lane::Bulk } else { message.lane };
        let mut entries = Vec::new();
        for chunk in roots.chunks(size) {
            entries.push(entry(
                self,
                compiled,
                message,
                lane,
                &PublishWork::Roots(chunk.to_vec()),
                chunk.len(),
            )?);
        }
        if let Some(work) = next {
            entries.push(entry(self, compiled, message, Lane::Bulk, &work, 1)?);
        }
        let txn = store.begin().await?;
        self.check_current(&txn, compiled).await?;
        if ledger::delete(&txn, store, &[message.id]).await?.is_empty() {
            txn.rollback().await?;
            return Ok(0);
        }
        failure::clear_work(&txn, store, &[message.id]).await?;
        let ids = ledger::insert(&txn, store, &entries).await?;
        self.mark(&txn, message, &ids).await?;
        if let (Some(run), false) = (message.run, matches!(message.work, PublishWork::Roots(_))) {
            run::count(&txn, store, run, roots.len() as i64, 0, 0).await?;
        }
        txn.commit().await?;
        Ok(roots.len())
    }
}

/// Where the next page begins; `None` after the last.
fn follows(roots: &[String], limit: u64) -> Option<String> {
    if roots.len() as u64 == limit {
        roots.last().cloned()
    } else {
        None
    }
}

fn entry(
    publish: &Publish,
    compiled: &Compiled,
    message: &Received,
    lane: Lane,
    work: &PublishWork,
    items: usize,
) -> Result<NewEntry, DbErr> {
    let definition = &compiled.definition;
    Ok(NewEntry {
        queue: publish
            .street
            .store
            .names
            .publish_queue(&definition.shape.queue, lane),
        document: definition.document.clone(),
        target: None,
        lane,
        payload: serde_json::to_string(work).map_err(|e| DbErr::Json(e.to_string()))?,
        items: items as i64,
        definition: definition.number,
        run: message.run,
        changed_at: message.changed_at,
        attempts: 0,
        trace: message.trace.clone(),
        claimed: false,
    })
}
