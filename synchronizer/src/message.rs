//! Ledger rows to messages. A sync row holds keys only; bodies come from the mirror when the message is made, so every
//! sending carries the row of now.

use std::collections::HashMap;
use std::sync::Arc;

use pubsync_schema::ledger::Entry;
use pubsync_schema::mirror::{self, Room};
use pubsync_schema::store::Store;
use pubsync_schema::wire::{MAX_BYTES, SyncBody, SyncItem, SyncKey, SyncMessage, SyncOp, SyncWork, VERSION};
use pubsync_worker::broker::Outgoing;
use sea_orm::DbErr;
use serde::Serialize;
use serde_json::value::RawValue;

/// A document's newest state, as publishers have it in memory and the mirror has it stored.
#[derive(Debug, Clone)]
pub struct State {
    pub key: String,
    pub revision: i64,
    /// `None`: a tombstone. Empty: what the mirror has now, which was not read. All who hold the state share it.
    pub body: Option<Arc<str>>,
    /// What a tombstone tells of the document that it was.
    pub remains: Option<String>,
}

impl State {
    /// To a target without `aliases` an alias is a tombstone: its key may have been a document's before.
    #[must_use]
    pub fn of(row: &mirror::Row, aliases: bool) -> Self {
        Self {
            key: row.key.clone(),
            revision: row.revision,
            body: row.shown(aliases).map(Arc::from),
            remains: row.remains().map(str::to_owned),
        }
    }

    /// Of body and key.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let text = self.body.as_deref().or(self.remains.as_deref());
        text.map_or(0, str::len) + self.key.len()
    }
}

/// What a message says of its ledger row.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    pub id: i64,
    pub document: &'a str,
    pub attempt: i64,
    pub changed_at: i64,
    pub run: Option<i64>,
}

#[derive(Serialize)]
struct Publish<'a> {
    v: u32,
    id: i64,
    document: &'a str,
    attempt: i64,
    changed_at: i64,
    run: Option<i64>,
    work: &'a RawValue,
}

/// A message of publish work; the payload goes over as it stands in the ledger.
///
/// # Errors
/// Where the payload is not JSON.
pub fn publish(envelope: &Envelope<'_>, payload: &str) -> Result<Vec<u8>, serde_json::Error> {
    let work: &RawValue = serde_json::from_str(payload)?;
    let Envelope {
        id,
        document,
        attempt,
        changed_at,
        run,
    } = *envelope;
    serde_json::to_vec(&Publish {
        v: VERSION,
        id,
        document,
        attempt,
        changed_at,
        run,
        work,
    })
}

/// A message of sync items. Bodies over the limit, and those that would make the message larger than 256 KiB, travel
/// as references.
///
/// # Errors
/// Where a body is not JSON.
pub fn items(
    envelope: &Envelope<'_>,
    target: &str,
    force: bool,
    states: &[State],
    inline_limit: usize,
) -> Result<Vec<u8>, serde_json::Error> {
    write(envelope, target, force, states, Some(inline_limit))
}

/// As [`items`], and of references only where it would be larger than so many bytes otherwise: the broker takes no more.
/// What a tombstone tells is left out then.
///
/// # Errors
/// As [`items`].
pub fn items_within(
    envelope: &Envelope<'_>,
    target: &str,
    force: bool,
    states: &[State],
    limits: Limits,
) -> Result<Vec<u8>, serde_json::Error> {
    let message = write(envelope, target, force, states, Some(limits.inline))?;
    if message.len() <= limits.message {
        return Ok(message);
    }
    write(envelope, target, force, states, None)
}

/// In bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A larger body travels as a reference.
    pub inline: usize,
    /// A larger message is not taken by the broker.
    pub message: usize,
}

/// `inline_limit`: `None` leaves out all that the mirror has too.
fn write(
    envelope: &Envelope<'_>,
    target: &str,
    force: bool,
    states: &[State],
    inline_limit: Option<usize>,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut room = MAX_BYTES;
    let mut list = Vec::with_capacity(states.len());
    for state in states {
        let size = state.body.as_ref().map_or(0, |body| body.len());
        let body = match &state.body {
            // Too large to be read when the message was made.
            Some(body) if body.is_empty() => None,
            Some(body)
                if inline_limit.is_some_and(|limit| size <= limit) && (size <= room || list.is_empty()) =>
            {
                room = room.saturating_sub(size);
                Some(serde_json::from_str::<&RawValue>(body)?)
            }
            Some(_) => None,
            // As large as its author wants it, unless no broker takes it.
            None => match &state.remains {
                Some(remains) if inline_limit.is_some() => Some(serde_json::from_str::<&RawValue>(remains)?),
                _ => None,
            },
        };
        let op = if state.body.is_some() {
            SyncOp::Put
        } else {
            SyncOp::Delete
        };
        list.push(SyncItem {
            key: state.key.clone(),
            revision: state.revision,
            op,
            body,
        });
    }
    serde_json::to_vec(&message(envelope, target, SyncBody::Items { force, items: list }))
}

fn message<'a>(envelope: &Envelope<'_>, target: &str, work: SyncBody<'a>) -> SyncMessage<'a> {
    SyncMessage {
        v: VERSION,
        id: envelope.id,
        document: envelope.document.to_owned(),
        target: target.to_owned(),
        attempt: envelope.attempt,
        changed_at: envelope.changed_at,
        run: envelope.run,
        work,
    }
}

/// A ledger row whose message cannot be made.
#[derive(Debug)]
pub struct Unmakeable {
    pub entry: Entry,
    pub error: String,
}

/// Makes the messages of these rows: one mirror query a document, whatever the number of rows. Of each document no more
/// than `room` bytes of bodies are read; the others travel as references.
///
/// # Errors
/// Of the database.
pub async fn compose(
    store: &Store,
    entries: Vec<Entry>,
    room: usize,
    limits: impl Fn(&str) -> Limits,
    shows_aliases: impl Fn(&str, &str) -> bool,
) -> Result<(Vec<Outgoing>, Vec<Unmakeable>), DbErr> {
    let mut wanted: HashMap<&str, Vec<String>> = HashMap::new();
    let works: Vec<Option<Result<SyncWork, serde_json::Error>>> = entries
        .iter()
        .map(|e| e.target.is_some().then(|| serde_json::from_str(&e.payload)))
        .collect();
    for (entry, work) in entries.iter().zip(&works) {
        if let Some(Ok(SyncWork::Items { items, .. })) = work {
            wanted
                .entry(&entry.document)
                .or_default()
                .extend(items.iter().map(|i| i.key.clone()));
        }
    }
    let mut rows: HashMap<(String, String), mirror::Row> = HashMap::new();
    for (document, keys) in wanted {
        let room = Room {
            each: limits(document).inline,
            all: room,
        };
        for row in mirror::by_keys_within(&store.write, store, document, &keys, room).await? {
            rows.insert((document.to_owned(), row.key.clone()), row);
        }
    }
    let (mut out, mut unmakeable) = (Vec::with_capacity(entries.len()), Vec::new());
    for (entry, work) in entries.into_iter().zip(works) {
        let made = match work {
            None => publish(&envelope(&entry), &entry.payload),
            Some(Err(error)) => Err(error),
            Some(Ok(work)) => {
                let aliases = shows_aliases(&entry.document, entry.target.as_deref().unwrap_or_default());
                sync(&entry, work, &rows, aliases, limits(&entry.document))
            }
        };
        match made {
            Ok(body) => out.push(Outgoing {
                id: entry.id,
                queue: entry.queue,
                body,
                trace: entry.trace,
            }),
            Err(error) => unmakeable.push(Unmakeable {
                error: error.to_string(),
                entry,
            }),
        }
    }
    Ok((out, unmakeable))
}

fn envelope(entry: &Entry) -> Envelope<'_> {
    Envelope {
        id: entry.id,
        document: &entry.document,
        attempt: entry.attempts,
        changed_at: entry.changed_at,
        run: entry.run,
    }
}

fn sync(
    entry: &Entry,
    work: SyncWork,
    rows: &HashMap<(String, String), mirror::Row>,
    aliases: bool,
    limits: Limits,
) -> Result<Vec<u8>, serde_json::Error> {
    let target = entry.target.as_deref().unwrap_or_default();
    match work {
        SyncWork::Items { items: keys, force } => {
            let states: Vec<State> = keys
                .into_iter()
                .map(|key| {
                    let row = rows.get(&(entry.document.clone(), key.key.clone()));
                    state_of_now(row.map(|row| State::of(row, aliases)), key)
                })
                .collect();
            items_within(&envelope(entry), target, force, &states, limits)
        }
        SyncWork::Resync { after, selection } => serde_json::to_vec(&message(
            &envelope(entry),
            target,
            SyncBody::Resync { after, selection },
        )),
        SyncWork::Orphans { cursor } => {
            serde_json::to_vec(&message(&envelope(entry), target, SyncBody::Orphans { cursor }))
        }
    }
}

/// The state of now under a key; none means that the key was buried and purged: a delete at the revision that the message
/// knew.
#[must_use]
pub fn state_of_now(found: Option<State>, known: SyncKey) -> State {
    found.unwrap_or(State {
        key: known.key,
        revision: known.revision,
        body: None,
        remains: None,
    })
}
