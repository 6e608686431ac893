//! `publish`: rebuild documents from the source, on the bulk lane.

use pubsync_schema::definition::{self, Definition};
use pubsync_schema::store::Store;
use pubsync_schema::wire::{MAX_ITEMS, PublishWork};
use pubsync_schema::{ledger, run};
use sea_orm::DbErr;

use super::define;

/// What was queued.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Queued {
    pub document: String,
    pub run: i64,
    /// `None`: all, counted while they are found.
    pub roots: Option<usize>,
}

/// Queues a rebuild of these documents: of all roots, or of these ids.
///
/// # Errors
/// Of the database; [`DbErr::RecordNotFound`] names a document that is not defined.
pub async fn publish(
    store: &Store,
    documents: &[String],
    ids: Option<&[String]>,
) -> Result<Vec<Queued>, DbErr> {
    let txn = store.begin().await?;
    let defined = definition::all(&txn, store).await?;
    let mut queued = Vec::new();
    let mut entries = Vec::new();
    for document in documents {
        let definition = find(&defined, document)?;
        match ids {
            None => {
                let entry = define::rebuild(&txn, store, definition, definition.number).await?;
                queued.push(Queued {
                    document: document.clone(),
                    run: entry.run.unwrap_or_default(),
                    roots: None,
                });
                entries.push(entry);
            }
            Some(ids) => {
                let run = run::begin(&txn, store, "publish", document, None).await?;
                run::count(&txn, store, run, ids.len() as i64, 0, 0).await?;
                for chunk in ids.chunks(MAX_ITEMS) {
                    let work = PublishWork::Roots(chunk.to_vec());
                    entries.push(
                        define::publish_entry(
                            store,
                            definition,
                            definition.number,
                            &work,
                            chunk.len(),
                            Some(run),
                        )
                        .await?,
                    );
                }
                queued.push(Queued {
                    document: document.clone(),
                    run,
                    roots: Some(ids.len()),
                });
            }
        }
    }
    ledger::insert(&txn, store, &entries).await?;
    txn.commit().await?;
    Ok(queued)
}

/// A definition by its document's name.
///
/// # Errors
/// [`DbErr::RecordNotFound`] with the names that there are.
pub fn find<'a>(defined: &'a [Definition], document: &str) -> Result<&'a Definition, DbErr> {
    defined.iter().find(|d| d.document == document).ok_or_else(|| {
        let names: Vec<&str> = defined.iter().map(|d| d.document.as_str()).collect();
        DbErr::RecordNotFound(format!(
            "document {document:?} is not defined; there are: {}",
            names.join(", ")
        ))
    })
}
