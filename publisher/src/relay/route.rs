//! Which documents a captured change concerns, and the ledger rows that say so. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use pubsync_schema::failure::{NewFailure, Prospect, Stage};
use pubsync_schema::ledger::NewEntry;
use pubsync_schema::names::{Lane, Names};
use pubsync_schema::outbox::{OutboxKind, OutboxRow};
use pubsync_schema::wire::{MAX_BYTES, MAX_ITEMS, PublishWork, RowChange};
use sea_orm::DbErr;

use super::images::Images;
use crate::plan::TableUse;
use crate::registry::Compiled;

/// What a batch of outbox rows comes to.
#[derive(Debug, Default)]
pub struct Routed {
    pub entries: Vec<NewEntry>,
    /// Documents that must stand still, with the reason.
    pub broken: Vec<(String, String)>,
    pub failures: Vec<NewFailure>,
}

/// What one document gets of a batch, by lane.
#[derive(Default)]
struct Share {
    images: Images,
    roots: Vec<String>,
    all: bool,
    changed_at: Option<i64>,
    trace: Option<String>,
}

impl Share {
    fn note(&mut self, row: &OutboxRow) {
        self.changed_at = Some(self.changed_at.map_or(row.at, |at| at.min(row.at)));
        if self.trace.is_none() {
            self.trace.clone_from(&row.trace);
        }
    }
}

type Shares<'a> = BTreeMap<(&'a str, Lane), Share>;

/// Routes rows to documents.
///
/// # Errors
/// [`DbErr::Json`] where work cannot be written. A row that cannot be read is a failure: the others go on.
pub fn route(
    documents: &BTreeMap<String, Arc<Compiled>>,
    names: &Names,
    rows: Vec<OutboxRow>,
) -> Result<Routed, DbErr> {
    let mut routed = Routed::default();
    let mut shares = Shares::new();
    for row in &rows {
        match &row.kind {
            OutboxKind::Rows => match changes(documents, row, &mut shares) {
                Ok(()) => {}
                Err(error) => unreadable(documents, row, &error.to_string(), &mut routed),
            },
            OutboxKind::Truncate => {
                for document in users(documents, &row.table) {
                    share(&mut shares, document, Lane::Bulk, row).all = true;
                }
            }
            OutboxKind::Publish => match serde_json::from_str(&row.changes) {
                Ok(wanted) => announced(documents, row, wanted, &mut shares, &mut routed),
                Err(error) => unreadable(documents, row, &error.to_string(), &mut routed),
            },
            OutboxKind::Broken => broken(documents, row, &mut routed),
            OutboxKind::Unreadable(why) => unreadable(documents, row, why, &mut routed),
        }
    }
    for ((document, lane), share) in shares {
        if let Some(compiled) = documents.get(document) {
            entries(compiled, names, lane, share, &mut routed.entries)?;
        }
    }
    Ok(routed)
}

fn share<'a, 's>(
    shares: &'s mut Shares<'a>,
    document: &'a str,
    lane: Lane,
    row: &OutboxRow,
) -> &'s mut Share {
    let share = shares.entry((document, lane)).or_default();
    share.note(row);
    share
}

fn users<'a>(documents: &'a BTreeMap<String, Arc<Compiled>>, table: &str) -> impl Iterator<Item = &'a str> {
    documents
        .iter()
        .filter(move |d| d.1.uses(table).is_some())
        .map(|d| d.0.as_str())
}

fn changes<'a>(
    documents: &'a BTreeMap<String, Arc<Compiled>>,
    row: &OutboxRow,
    shares: &mut Shares<'a>,
) -> Result<(), serde_json::Error> {
    let changes: Vec<RowChange> = serde_json::from_str(&row.changes)?;
    for (document, compiled) in documents {
        let Some(used) = compiled.uses(&row.table) else {
            continue;
        };
        let columns: Vec<String> = used
            .carried
            .iter()
            .map(|&c| used.table.columns[c].name.clone())
            .collect();
        for change in changes.iter().filter(|c| concerns(used, c)) {
            let share = share(shares, document, row.lane, row);
            for image in [&change.o, &change.n].into_iter().flatten() {
                let text = |name: &String| image.get(name).cloned().flatten();
                share
                    .images
                    .add(&row.table, &columns, columns.iter().map(text).collect());
            }
        }
    }
    Ok(())
}

/// Inserts and deletes always; updates where a column changed that this document watches.
fn concerns(used: &TableUse, change: &RowChange) -> bool {
    let Some(changed) = &change.c else { return true };
    changed
        .iter()
        .any(|name| used.watched.iter().any(|&c| used.table.columns[c].name == *name))
}

#[derive(serde::Deserialize)]
struct Announced {
    document: String,
    ids: Vec<String>,
}

fn announced<'a>(
    documents: &'a BTreeMap<String, Arc<Compiled>>,
    row: &OutboxRow,
    announced: Announced,
    shares: &mut Shares<'a>,
    routed: &mut Routed,
) {
    match documents.get_key_value(&announced.document) {
        Some((document, _)) => share(shares, document, row.lane, row).roots.extend(announced.ids),
        None => routed.failures.push(failure(
            row,
            &announced.document,
            "unknown document",
            format!(
                "publish() was called for document {:?}, which is not defined",
                announced.document
            ),
        )),
    }
}

/// Most bytes of a row that stay with its failure: who wrote it will know it by its beginning.
const KEPT: usize = 64 * 1024;

/// Nobody knows what such a row says, so whatever shows its table may be stale: each of these documents has a failure,
/// which ends with a rebuild. Where the row does not tell whom it concerns, the failure is of no document.
fn unreadable(documents: &BTreeMap<String, Arc<Compiled>>, row: &OutboxRow, why: &str, routed: &mut Routed) {
    #[derive(serde::Deserialize)]
    struct Named {
        document: String,
    }
    let mut concerned: Vec<&str> = users(documents, &row.table).collect();
    if let Ok(Named { document }) = serde_json::from_str(&row.changes) {
        let known = documents
            .get_key_value(&document)
            .map(|(known, _)| known.as_str());
        concerned.extend(known.filter(|known| !concerned.contains(known)));
    }
    if concerned.is_empty() {
        concerned.push("");
    }
    for document in concerned {
        let (rebuild, prospect) = match document {
            "" => (
                "`pubsync publish --all` brings everything up to date, then `pubsync failures drop`"
                    .to_owned(),
                "nobody knows which documents it concerns",
            ),
            _ => (
                format!("`pubsync failures retry` rebuilds {document}"),
                "nobody can read it, but a retry rebuilds the document",
            ),
        };
        let error = format!(
            "an outbox row of table {:?} cannot be read: {why}. A newer pubsync has written it, or something that is none; what \
             changed is not known. {rebuild}",
            row.table
        );
        tracing::error!(id = row.id, document, error, "outbox row given up");
        routed.failures.push(NewFailure {
            payload: Some(kept(&row.changes)),
            prospect: Prospect::Never(prospect),
            ..failure(row, document, "unreadable", error.replace('\0', "\u{fffd}"))
        });
    }
}

/// As much as a failure keeps. PostgreSQL has no text with a NUL.
fn kept(changes: &str) -> String {
    let end = changes.floor_char_boundary(KEPT);
    let cut = if end < changes.len() { "…" } else { "" };
    format!("{}{cut}", &changes[..end]).replace('\0', "\u{fffd}")
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Broken {
    error: String,
    operation: String,
}

fn broken(documents: &BTreeMap<String, Arc<Compiled>>, row: &OutboxRow, routed: &mut Routed) {
    let broken: Broken = serde_json::from_str(&row.changes).unwrap_or_default();
    let reason = format!(
        "table {} was changed under its trigger ({}: {}): changes since then are not captured; \
         adapt the document or the table, then `pubsync apply` (it rebuilds what was missed)",
        row.table, broken.operation, broken.error
    );
    for document in users(documents, &row.table) {
        routed
            .failures
            .push(failure(row, document, "capture", reason.clone()));
        routed.broken.push((document.to_owned(), reason.clone()));
    }
}

fn failure(row: &OutboxRow, document: &str, class: &str, error: String) -> NewFailure {
    NewFailure {
        stage: Stage::Capture,
        document: document.replace('\0', "\u{fffd}"),
        root: None,
        key: None,
        target: None,
        class: class.to_owned(),
        error,
        payload: None,
        revision: None,
        changed_at: row.at,
        prospect: Prospect::Never("no attempt can help before `pubsync apply`"),
    }
}

fn entries(
    compiled: &Compiled,
    names: &Names,
    lane: Lane,
    share: Share,
    into: &mut Vec<NewEntry>,
) -> Result<(), DbErr> {
    let mut works = Vec::new();
    if share.all {
        works.push((PublishWork::All { after: None }, 1));
    } else {
        for roots in share.roots.chunks(MAX_ITEMS) {
            works.push((PublishWork::Roots(roots.to_vec()), roots.len()));
        }
        for tables in share.images.cut(MAX_ITEMS, MAX_BYTES) {
            let items = tables.iter().map(|t| t.rows.len()).sum();
            works.push((PublishWork::Changes { tables, after: None }, items));
        }
    }
    for (work, items) in works {
        into.push(NewEntry {
            queue: names.publish_queue(&compiled.definition.shape.queue, lane),
            document: compiled.definition.document.clone(),
            target: None,
            lane,
            payload: serde_json::to_string(&work).map_err(|e| DbErr::Json(e.to_string()))?,
            items: items as i64,
            definition: compiled.definition.number,
            run: None,
            changed_at: share.changed_at.unwrap_or_default(),
            attempts: 0,
            trace: share.trace.clone(),
            claimed: false,
        });
    }
    Ok(())
}
