//! Write sets: where the writes of a document to a target go. Mostly to one collection; while a new index is filled, and until
//! readers have moved to it, to two.
//!
//! Each change raises the generation. Workers apply through the set that they know, and their ledger rows go only while its
//! generation is current: else somebody who knows only the old index could settle what the new one never got.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr};
use serde::{Deserialize, Serialize};

use crate::shape::Collection;
use crate::store::Store;

/// By document and target.
pub type WriteSets = BTreeMap<(String, String), WriteSet>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteSet {
    pub document: String,
    pub target: String,
    /// 0: nothing is stored, and the declaration alone says where writes go.
    pub generation: i64,
    pub serving: Collection,
    pub filling: Option<Filling>,
    /// Served before, and still written: readers may not have moved yet.
    pub leaving: Vec<Collection>,
    /// Written no more, to be taken away.
    pub retired: Vec<Collection>,
    /// The document goes to this target no more, and what the target holds of it is taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
}

/// How a document's entries at a target go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// What its queues are called by: the document's name, or that of the group that it shared.
    pub queue: String,
    pub step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A person has agreed.
    Agreed,
    /// All that was on its way must end as deletes, and so must all that the run finds. Without a run the target takes
    /// the collections away as a whole.
    Emptying { run: Option<i64> },
    /// The target holds nothing of it, or is not ours to empty. Its queues go.
    Empty,
    /// Nothing is left to do. The set stays: whoever comes late with an old message learns from it that the target is to
    /// hold nothing.
    Gone,
}

/// A collection that takes the place of the serving one when it is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filling {
    pub collection: Collection,
    /// It is complete when this run has ended.
    pub run: i64,
}

impl WriteSet {
    #[must_use]
    pub fn new(document: &str, target: &str, serving: Collection) -> Self {
        Self {
            document: document.to_owned(),
            target: target.to_owned(),
            generation: 0,
            serving,
            filling: None,
            leaving: Vec::new(),
            retired: Vec::new(),
            removal: None,
        }
    }

    /// All that a write goes to; the serving one first. Where all is taken away, the retired ones belong to it.
    pub fn collections(&self) -> impl Iterator<Item = &Collection> {
        let filling = self.filling.iter().map(|filling| &filling.collection);
        let retired = self.removal.iter().flat_map(|_| &self.retired);
        std::iter::once(&self.serving)
            .chain(filling)
            .chain(&self.leaving)
            .chain(retired)
    }

    /// This set with the target to hold nothing, at this step.
    #[must_use]
    pub fn given_up(&self, queue: &str, step: Step) -> Self {
        let mut next = self.clone();
        next.serving.nothing = true;
        next.retired
            .extend(next.filling.take().map(|filling| filling.collection));
        next.retired.append(&mut next.leaving);
        next.removal = Some(Removal {
            queue: queue.to_owned(),
            step,
        });
        next
    }

    /// What the queues are called by through which its deletes go, while they do.
    #[must_use]
    pub fn emptying(&self) -> Option<&str> {
        let removal = self.removal.as_ref()?;
        let open = matches!(removal.step, Step::Agreed | Step::Emptying { .. });
        open.then_some(removal.queue.as_str())
    }

    /// Whether all of it was taken away from the target, or left there for good.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.removal_step(), Some(Step::Empty | Step::Gone))
    }

    /// How far its removal is; `None` where the document goes to the target, or went and was left there.
    #[must_use]
    pub fn removal_step(&self) -> Option<Step> {
        self.removal.as_ref().map(|removal| removal.step)
    }

    /// Of its row in `target`.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.document, &self.target)
    }

    /// Whether a step is open: an index is filled, or one is to be taken away.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.removal.is_none() && self.has_open_step()
    }

    fn has_open_step(&self) -> bool {
        self.filling.is_some() || !self.leaving.is_empty() || !self.retired.is_empty()
    }
}

/// No document's name holds the separator.
fn name(document: &str, target: &str) -> String {
    format!("{document}@{target}")
}

/// All that are stored.
///
/// # Errors
/// Of the database; [`DbErr::Json`] where one was written by an incompatible version.
pub async fn all(conn: &impl ConnectionTrait, store: &Store) -> Result<WriteSets, DbErr> {
    let sql = format!("SELECT generation, state FROM {}", store.names.table("target"));
    let rows = conn.query_all_raw(store.sql(sql, [])).await?;
    let mut sets = WriteSets::new();
    for row in rows {
        let state: String = row.try_get("", "state")?;
        let set: WriteSet = serde_json::from_str(&state).map_err(|e| DbErr::Json(e.to_string()))?;
        let generation = row.try_get("", "generation")?;
        let key = (set.document.clone(), set.target.clone());
        sets.insert(key, WriteSet { generation, ..set });
    }
    Ok(sets)
}

/// Names and generations of all: what workers look at every second.
///
/// # Errors
/// Of the database.
pub async fn generations(conn: &impl ConnectionTrait, store: &Store) -> Result<Vec<(String, i64)>, DbErr> {
    let sql = format!("SELECT name, generation FROM {}", store.names.table("target"));
    let rows = conn.query_all_raw(store.sql(sql, [])).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("", "name")?, row.try_get("", "generation")?)))
        .collect()
}

/// Stores a set as the one after its generation, and gives the new one. `None`: another one was stored meanwhile, and
/// nothing has happened. Generations are times, so that one of a set that was taken away never comes again.
///
/// # Errors
/// Of the database.
pub async fn raise(txn: &impl ConnectionTrait, store: &Store, set: &WriteSet) -> Result<Option<i64>, DbErr> {
    let generation = store.now().await?.max(set.generation + 1);
    let next = WriteSet {
        generation,
        ..set.clone()
    };
    let state = serde_json::to_string(&next).map_err(|e| DbErr::Json(e.to_string()))?;
    let (table, now) = (store.names.table("target"), store.dialect().now());
    let name = set.name().into();
    let mut values = vec![name, generation.into(), state.into()];
    let sql = if set.generation == 0 {
        format!(
            "INSERT INTO {table} (name, generation, state, prepared_at) VALUES ($1, $2, $3, {now}) \
             ON CONFLICT (name) DO NOTHING"
        )
    } else {
        values.push(set.generation.into());
        format!(
            "UPDATE {table} SET generation = $2, state = $3, prepared_at = {now} WHERE name = $1 AND generation = $4"
        )
    };
    let done = txn.execute_raw(store.sql(sql, values)).await?;
    Ok((done.rows_affected() == 1).then_some(generation))
}

/// Whether this is the set's generation. Another one means that what was applied through it must be applied again.
///
/// # Errors
/// Of the database.
pub async fn is_current(conn: &impl ConnectionTrait, store: &Store, set: &WriteSet) -> Result<bool, DbErr> {
    let sql = format!("SELECT 1 AS one WHERE {}", current(store, 1));
    let row = conn.query_one_raw(store.sql(sql, of(set))).await?;
    Ok(row.is_some())
}

/// A condition: nothing but the generation of [`of`] stands. Takes two parameters.
pub(crate) fn current(store: &Store, first: usize) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM {} t WHERE t.name = ${first} AND t.generation <> ${})",
        store.names.table("target"),
        first + 1
    )
}

/// The parameters of [`current`].
pub(crate) fn of(set: &WriteSet) -> [sea_orm::Value; 2] {
    [set.name().into(), set.generation.into()]
}
