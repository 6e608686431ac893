//! What does not fit on the road waits in the ledger, in full messages: small rows that nobody has claimed are taken out
//! and put back merged, under new ids. A row that was ever claimed is never merged.

use std::collections::BTreeMap;

use pubsync_schema::ledger::{self, Entry, NewEntry};
use pubsync_schema::store::Store;
use pubsync_schema::wire::{MAX_BYTES, MAX_ITEMS, PublishWork, TableImages};
use sea_orm::{ConnectionTrait, DbErr};

use super::images::Images;

/// Waiting rows that one relay transaction merges into.
const MERGED: u64 = 50;

/// Replaces unclaimed entries by fuller ones, together with what waits on their queues already.
///
/// # Errors
/// Of the database.
pub async fn merge(
    txn: &impl ConnectionTrait,
    store: &Store,
    entries: Vec<NewEntry>,
) -> Result<Vec<NewEntry>, DbErr> {
    let (mut out, waiting): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|e| e.claimed || changes(&e.payload).is_none());
    let mut queues: Vec<&str> = waiting.iter().map(|e| e.queue.as_str()).collect();
    queues.sort_unstable();
    queues.dedup();
    let mut old = Vec::new();
    for queue in queues {
        old.extend(
            ledger::take_small(txn, store, queue, MERGED)
                .await?
                .into_iter()
                .map(renewed),
        );
    }
    let mut groups: BTreeMap<(String, String), Vec<NewEntry>> = BTreeMap::new();
    for entry in old.into_iter().chain(waiting) {
        groups
            .entry((entry.queue.clone(), entry.document.clone()))
            .or_default()
            .push(entry);
    }
    for group in groups.into_values() {
        out.extend(together(group)?);
    }
    Ok(out)
}

/// The images of work that no walk has begun on.
fn changes(payload: &str) -> Option<Vec<TableImages>> {
    match serde_json::from_str(payload) {
        Ok(PublishWork::Changes { tables, after: None }) => Some(tables),
        _ => None,
    }
}

fn renewed(entry: Entry) -> NewEntry {
    NewEntry {
        queue: entry.queue,
        document: entry.document,
        target: entry.target,
        lane: entry.lane,
        payload: entry.payload,
        items: 1,
        definition: entry.definition,
        run: entry.run,
        changed_at: entry.changed_at,
        attempts: entry.attempts,
        trace: entry.trace,
        claimed: false,
    }
}

/// One queue and document: every image once, in messages as full as they may be.
fn together(group: Vec<NewEntry>) -> Result<Vec<NewEntry>, DbErr> {
    let Some(first) = group.first().cloned() else {
        return Ok(group);
    };
    let mut images = Images::default();
    let mut out = Vec::new();
    let mut changed_at = first.changed_at;
    for entry in group {
        let Some(tables) = changes(&entry.payload) else {
            out.push(entry);
            continue;
        };
        changed_at = changed_at.min(entry.changed_at);
        for table in tables {
            for row in table.rows {
                images.add(&table.table, &table.columns, row);
            }
        }
    }
    for tables in images.cut(MAX_ITEMS, MAX_BYTES) {
        let items = tables.iter().map(|t| t.rows.len() as i64).sum();
        let work = PublishWork::Changes { tables, after: None };
        let payload = serde_json::to_string(&work).map_err(|e| DbErr::Json(e.to_string()))?;
        out.push(NewEntry {
            payload,
            items,
            changed_at,
            ..first.clone()
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pubsync_schema::names::Lane;

    fn entry(parent: &str, changed_at: i64) -> NewEntry {
        let rows = vec![vec![Some("7".to_owned()), Some(parent.to_owned())]];
        let tables = vec![TableImages {
            table: "child".into(),
            columns: vec!["id".into(), "parent".into()],
            rows,
        }];
        let work = PublishWork::Changes { tables, after: None };
        NewEntry {
            queue: "publish.a".into(),
            document: "a".into(),
            target: None,
            lane: Lane::Live,
            payload: serde_json::to_string(&work).unwrap(),
            items: 1,
            definition: 1,
            run: None,
            changed_at,
            attempts: 0,
            trace: None,
            claimed: false,
        }
    }

    #[test]
    fn every_value_is_kept_once_and_the_oldest_change_counts() {
        let merged = together(vec![
            entry("1", 30),
            entry("2", 10),
            entry("2", 20),
            entry("3", 40),
        ])
        .unwrap();
        assert_eq!(merged.len(), 1);
        assert_eq!((merged[0].items, merged[0].changed_at), (3, 10));
        let rows = &changes(&merged[0].payload).unwrap()[0].rows;
        let parents: Vec<_> = rows.iter().map(|r| r[1].as_deref().unwrap()).collect();
        assert_eq!(parents, ["1", "2", "3"]);
    }
}
