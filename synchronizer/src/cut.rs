//! A message that is larger than the broker takes is cut in two; one that has no parts is a failure of its own. Neither
//! is ever put on the wire, where it would take its neighbours along.

use pubsync_schema::failure::{self, NewFailure, Prospect, Stage};
use pubsync_schema::ledger::{self, Entry, NewEntry};
use pubsync_schema::wire::{PublishWork, SyncBody, SyncMessage, SyncWork, TableImages};
use pubsync_worker::broker::Outgoing;
use sea_orm::DbErr;
use serde::Serialize;

use crate::street::Street;

/// Takes the row of this message away and puts its halves in its place, or notes that it has none.
///
/// # Errors
/// Of the database; then nothing has happened.
pub async fn cut(street: &Street, message: &Outgoing) -> Result<(), DbErr> {
    let store = &street.store;
    if message.body.len() > street.broker.max_body() && carries_bodies(&message.body) {
        // It was made before the broker told its limit: made again, its bodies stay behind.
        return ledger::unclaim(store, &[message.id]).await;
    }
    let txn = store.begin().await?;
    let Some(entry) = ledger::take(&txn, store, message.id).await? else {
        return txn.rollback().await;
    };
    let json = |e: serde_json::Error| DbErr::Json(e.to_string());
    match halves(&entry).map_err(json)? {
        Some(halves) => {
            ledger::insert(&txn, store, &halves.map(|half| part(&entry, half))).await?;
        }
        None => {
            let failure = too_large(street, &entry, message.body.len()).map_err(json)?;
            tracing::error!(
                id = entry.id,
                document = entry.document,
                error = failure.error,
                "message given up"
            );
            failure::record(&txn, store, &[failure]).await?;
        }
    }
    txn.commit().await
}

/// Whether a message would be smaller without the bodies in it, which the mirror has too.
fn carries_bodies(message: &[u8]) -> bool {
    let sync = serde_json::from_slice::<SyncMessage<'_>>(message);
    sync.is_ok_and(|sync| match sync.work {
        SyncBody::Items { items, .. } => items.iter().any(|item| item.body.is_some()),
        SyncBody::Resync { .. } | SyncBody::Orphans { .. } => false,
    })
}

/// Takes a row of several items away and puts its halves in its place: it is too large to be worked on as a whole.
///
/// # Errors
/// Of the database; then nothing has happened.
pub async fn in_halves(street: &Street, id: i64) -> Result<(), DbErr> {
    let store = &street.store;
    let txn = store.begin().await?;
    let entry = ledger::take(&txn, store, id).await?;
    let Some(entry) = entry else {
        return txn.rollback().await;
    };
    let Some(halves) = halves(&entry).map_err(|e| DbErr::Json(e.to_string()))? else {
        return txn.rollback().await;
    };
    ledger::insert(&txn, store, &halves.map(|half| part(&entry, half))).await?;
    txn.commit().await
}

/// A payload and how many items it has.
type Half = (String, usize);

/// Of the work of a row; `None` where it has one item, or is a walk.
fn halves(entry: &Entry) -> Result<Option<[Half; 2]>, serde_json::Error> {
    fn pair<T: Serialize>(
        first: (T, usize),
        second: (T, usize),
    ) -> Result<Option<[Half; 2]>, serde_json::Error> {
        let text = |(work, items): (T, usize)| Ok((serde_json::to_string(&work)?, items));
        Ok(Some([text(first)?, text(second)?]))
    }
    if entry.target.is_some() {
        return match serde_json::from_str(&entry.payload)? {
            SyncWork::Items { mut items, force } if items.len() > 1 => {
                let rest = items.split_off(items.len() / 2);
                let (first, second) = (items.len(), rest.len());
                let work = |items| SyncWork::Items { items, force };
                pair((work(items), first), (work(rest), second))
            }
            _ => Ok(None),
        };
    }
    match serde_json::from_str(&entry.payload)? {
        PublishWork::Roots(mut roots) if roots.len() > 1 => {
            let rest = roots.split_off(roots.len() / 2);
            let (first, second) = (roots.len(), rest.len());
            pair(
                (PublishWork::Roots(roots), first),
                (PublishWork::Roots(rest), second),
            )
        }
        PublishWork::Changes { tables, after } if count(&tables) > 1 => {
            let half = count(&tables) / 2;
            let (first, second) = split(tables, half);
            let items = (count(&first), count(&second));
            let work = |tables| PublishWork::Changes {
                tables,
                after: after.clone(),
            };
            pair((work(first), items.0), (work(second), items.1))
        }
        _ => Ok(None),
    }
}

fn count(tables: &[TableImages]) -> usize {
    tables.iter().map(|table| table.rows.len()).sum()
}

/// The first so many images, and the rest.
fn split(tables: Vec<TableImages>, most: usize) -> (Vec<TableImages>, Vec<TableImages>) {
    let (mut first, mut second, mut room) = (Vec::new(), Vec::new(), most);
    for mut table in tables {
        let rest = table.rows.split_off(room.min(table.rows.len()));
        room -= table.rows.len();
        if !rest.is_empty() {
            second.push(TableImages {
                rows: rest,
                table: table.table.clone(),
                columns: table.columns.clone(),
            });
        }
        if !table.rows.is_empty() {
            first.push(table);
        }
    }
    (first, second)
}

fn part(entry: &Entry, (payload, items): Half) -> NewEntry {
    NewEntry {
        queue: entry.queue.clone(),
        document: entry.document.clone(),
        target: entry.target.clone(),
        lane: entry.lane,
        payload,
        items: items as i64,
        definition: entry.definition,
        run: entry.run,
        changed_at: entry.changed_at,
        attempts: entry.attempts,
        trace: entry.trace.clone(),
        claimed: false,
    }
}

/// With all that another attempt needs.
fn too_large(street: &Street, entry: &Entry, bytes: usize) -> Result<NewFailure, serde_json::Error> {
    let (mut root, mut key, mut revision, mut payload, mut stage) =
        (None, None, None, Some(entry.payload.clone()), Stage::Message);
    if entry.target.is_some() {
        if let SyncWork::Items { items, .. } = serde_json::from_str(&entry.payload)?
            && let Some(item) = items.into_iter().next()
        {
            (stage, key, revision, payload) = (Stage::Sync, Some(item.key), Some(item.revision), None);
        }
    } else {
        match serde_json::from_str(&entry.payload)? {
            PublishWork::Roots(roots) if !roots.is_empty() => {
                (stage, root, payload) = (Stage::Publish, roots.into_iter().next(), None);
            }
            _ => stage = Stage::Affected,
        }
    }
    Ok(NewFailure {
        stage,
        document: entry.document.clone(),
        root,
        key,
        target: entry.target.clone(),
        class: "size".to_owned(),
        error: format!(
            "its message has {bytes} bytes, more than the {} that the broker takes: raise RabbitMQ's max_message_size and \
             `max_message` in pubsync.yaml, or make these values smaller; then `pubsync failures retry`",
            street.broker.max_body()
        ),
        payload,
        revision,
        changed_at: entry.changed_at,
        prospect: Prospect::Never("its message is larger than the broker takes"),
    })
}

#[cfg(test)]
mod tests {
    use pubsync_schema::names::Lane;
    use pubsync_schema::wire::SyncKey;

    use super::*;

    fn entry(target: Option<&str>, payload: String) -> Entry {
        Entry {
            id: 1,
            queue: "q".into(),
            document: "product".into(),
            target: target.map(str::to_owned),
            lane: Lane::Live,
            payload,
            definition: 1,
            run: None,
            changed_at: 1,
            attempts: 0,
            trace: None,
        }
    }

    fn images(table: &str, rows: std::ops::Range<u32>) -> TableImages {
        TableImages {
            table: table.into(),
            columns: vec!["id".into()],
            rows: rows.map(|id| vec![Some(id.to_string())]).collect(),
        }
    }

    fn publish(work: &PublishWork) -> Option<[(PublishWork, usize); 2]> {
        let halves = halves(&entry(None, serde_json::to_string(work).unwrap())).unwrap();
        halves.map(|halves| halves.map(|(text, items)| (serde_json::from_str(&text).unwrap(), items)))
    }

    #[test]
    fn work_is_cut_between_its_items() {
        let roots = |ids: &[&str]| PublishWork::Roots(ids.iter().map(|id| (*id).to_owned()).collect());
        let cut = publish(&roots(&["1", "2", "3"]));
        assert_eq!(cut, Some([(roots(&["1"]), 1), (roots(&["2", "3"]), 2)]));
        assert_eq!(publish(&roots(&["1"])), None);
        assert_eq!(publish(&PublishWork::All { after: None }), None);

        let changes = |tables| PublishWork::Changes {
            tables,
            after: Some("7".into()),
        };
        let cut = publish(&changes(vec![images("a", 0..1), images("b", 1..5)]));
        let first = changes(vec![images("a", 0..1), images("b", 1..2)]);
        assert_eq!(cut, Some([(first, 2), (changes(vec![images("b", 2..5)]), 3)]));
        let cut = publish(&changes(vec![images("a", 0..1), images("b", 1..2)]));
        let (first, second) = (changes(vec![images("a", 0..1)]), changes(vec![images("b", 1..2)]));
        assert_eq!(cut, Some([(first, 1), (second, 1)]));
        assert_eq!(publish(&changes(vec![images("a", 0..1)])), None);
    }

    #[test]
    fn keys_of_a_target_are_cut_too_and_a_walk_is_not() {
        let work = |keys: &[&str]| SyncWork::Items {
            items: keys
                .iter()
                .map(|key| SyncKey {
                    key: (*key).to_owned(),
                    revision: 1,
                })
                .collect(),
            force: true,
        };
        let cut = |work: &SyncWork| halves(&entry(Some("t"), serde_json::to_string(work).unwrap())).unwrap();
        let found = cut(&work(&["a", "b"])).unwrap();
        let found = found.map(|(text, items)| (serde_json::from_str::<SyncWork>(&text).unwrap(), items));
        assert_eq!(found, [(work(&["a"]), 1), (work(&["b"]), 1)]);
        assert_eq!(cut(&work(&["a"])), None);
        assert_eq!(cut(&SyncWork::Orphans { cursor: None }), None);
    }
}
