//! Messages of one document that are applied together, as many as memory has room for: bodies that travel as references
//! are read from the mirror, and only then it shows how large a batch is.

use std::collections::{HashMap, HashSet};

use pubsync_schema::mirror;
use pubsync_worker::broker::{Delivery, Settlement};
use sea_orm::DbErr;

use crate::cut;
use crate::message::State;
use crate::settle::Batch;
use crate::street::Street;

/// Bytes of bodies of one batch, but for a single larger one.
pub const ROOM: usize = 8 << 20;

/// A message, read, and where it came from.
pub struct Item {
    pub id: i64,
    pub changed_at: i64,
    pub attempts: i64,
    pub states: Vec<State>,
    /// Keys that must come from the mirror's row of now.
    pub second: Vec<String>,
    pub delivery: Delivery,
}

/// Messages that may be applied together.
pub struct Group {
    /// Without states and ids.
    pub batch: Batch,
    pub items: Vec<Item>,
}

/// What is applied together.
pub struct Part {
    pub batch: Batch,
    pub second: HashSet<String>,
    pub deliveries: Vec<Delivery>,
}

impl Group {
    /// Cuts between messages. A message that is too large by itself is cut in the ledger, and comes back in halves.
    /// `late`: all bodies are read from the mirror.
    ///
    /// # Errors
    /// Of the database; the deliveries go back.
    pub async fn parts(self, street: &Street, late: bool) -> Result<Vec<Part>, DbErr> {
        let wanted = self.items.iter().flat_map(|item| {
            let all = item.states.iter().map(|state| &state.key).filter(|_| late);
            item.second.iter().chain(all)
        });
        let wanted: Vec<String> = wanted.cloned().collect();
        let sizes: HashMap<String, usize> = match wanted.is_empty() {
            true => HashMap::new(),
            false => mirror::of_keys(&street.store.write, &street.store, &self.batch.document, &wanted)
                .await?
                .into_iter()
                .collect(),
        };
        let size = |state: &State| sizes.get(&state.key).copied().unwrap_or_else(|| state.bytes());
        let mut parts: Vec<Part> = Vec::new();
        let mut held = 0;
        for item in self.items {
            let bytes: usize = item.states.iter().map(size).sum();
            if bytes > ROOM && item.states.len() > 1 {
                cut::in_halves(street, item.id).await?;
                item.delivery.settle(Settlement::Ack);
                continue;
            }
            held += bytes;
            match parts.last_mut().filter(|_| held <= ROOM) {
                Some(part) => part.add(item),
                None => {
                    held = bytes;
                    parts.push(Part::begin(&self.batch, item));
                }
            }
        }
        Ok(parts)
    }
}

impl Part {
    fn begin(batch: &Batch, item: Item) -> Self {
        let mut part = Self {
            batch: Batch {
                changed_at: item.changed_at,
                attempts: item.attempts,
                ..batch.clone()
            },
            second: HashSet::new(),
            deliveries: Vec::new(),
        };
        part.add(item);
        part
    }

    fn add(&mut self, item: Item) {
        self.batch.ids.push(item.id);
        self.batch.changed_at = self.batch.changed_at.min(item.changed_at);
        self.batch.attempts = self.batch.attempts.max(item.attempts);
        self.batch.states.extend(item.states);
        self.second.extend(item.second);
        self.deliveries.push(item.delivery);
    }
}
