//! `verify --repair`: queues what heals the differences that were found. By the one road: a mirror that differs from its
//! source is rebuilt, a target that differs from the mirror gets a resync.

use std::collections::BTreeSet;

use pubsync_schema::definition;
use pubsync_schema::ledger;
use pubsync_schema::store::Store;
use pubsync_schema::wire::Selection;
use pubsync_synchronizer::resync;
use sea_orm::DbErr;

use super::define;
use super::verify::{Kind, Report};

/// Queues rebuilds and resyncs, one run each, and gives the runs. What cannot be built is no difference that could be healed.
///
/// # Errors
/// Of the database; then nothing is queued.
pub async fn repair(store: &Store, report: &Report) -> Result<Vec<i64>, DbErr> {
    let found = report.findings.iter().filter(|found| found.kind != Kind::Failed);
    let places: BTreeSet<(&str, Option<&str>)> = found
        .map(|found| (found.document.as_str(), found.target.as_deref()))
        .collect();
    let txn = store.begin().await?;
    let mut entries = Vec::new();
    for definition in definition::all(&txn, store).await? {
        let here = places
            .iter()
            .filter(|(document, _)| *document == definition.document);
        for (_, target) in here {
            let (shape, number) = (&definition.shape, definition.number);
            entries.push(match target {
                None => define::rebuild(&txn, store, &definition, number).await?,
                Some(target) => {
                    let everything = Selection::default();
                    resync::start(&txn, store, shape, number, target, everything).await?
                }
            });
        }
    }
    ledger::insert(&txn, store, &entries).await?;
    txn.commit().await?;
    Ok(entries.iter().filter_map(|entry| entry.run).collect())
}
