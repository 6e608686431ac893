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
        }
    }

    /// All that a write goes to; the serving one first.
    pub fn collections(&self) -> impl Iterator<Item = &Collection> {
        let filling = self.filling.iter().map(|filling| &filling.collection);
        std::iter::once(&self.serving).chain(filling).chain(&self.leaving)
    }

    /// Of its row in `target`.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.document, &self.target)
    }

    /// Whether a step is open: an index is filled, or one is to be taken away.
    #[must_use]
    pub fn is_moving(&self) -> bool {
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

/// Takes a set away.
///
/// # Errors
/// Of the database.
pub async fn remove(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    target: &str,
) -> Result<(), DbErr> {
    let sql = format!("DELETE FROM {} WHERE name = $1", store.names.table("target"));
    txn.execute_raw(store.sql(sql, [name(document, target).into()]))
        .await?;
    Ok(())
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
