//! `plan`: what `apply` would change, and why. Looks at everything, changes nothing.

use std::collections::BTreeMap;

use pubsync_schema::definition::{self, Definition};
use pubsync_schema::inventory;
use pubsync_schema::pause::{self, Pause};
use pubsync_schema::removal::{self, Removed};
use pubsync_schema::shape::Collection;
use pubsync_schema::writeset::{self, WriteSet, WriteSets};
use sea_orm::ConnectionTrait;
use serde::Serialize;

use super::apply::{Apply, ApplyError};
use super::compare;
use super::remains::{self, Fate, Remains};
use super::wanted::{self, Wanted};
use crate::capture;

/// All that differs between what is declared and what stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Migrations of pubsync's own tables that have not run.
    pub migrations: Vec<String>,
    /// Tables of documents that are made, by their bare names.
    pub tables: Vec<String>,
    /// Queues that no document needed before.
    pub queues: Vec<String>,
    pub triggers: Vec<capture::Change>,
    /// Every document that is declared, in the order of their files, and then those that no longer are.
    pub documents: Vec<DocumentChange>,
    /// What stands of documents that are declared no more, and of those that go to a target no more.
    pub remains: Vec<Remains>,
}

/// What becomes of one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DocumentChange {
    pub document: String,
    /// The file that declares it; none where it is declared no more.
    pub file: Option<String>,
    pub change: ChangeKind,
    /// Built again from the source, as a whole.
    pub rebuild: bool,
    pub why: Vec<Why>,
    /// Lines of the declaration that differ from what stands, as a unified diff.
    pub diff: Option<String>,
    /// Targets that get all rows of the mirror again.
    pub resync: Vec<String>,
    /// Targets where a new index is filled, and then takes the place of the one that serves.
    pub reindex: Vec<String>,
    /// Targets that it goes to no more; [`Plan::remains`] says what becomes of what they hold.
    pub left: Vec<String>,
    /// Fields of the index mapping, where the document goes to a target that has one.
    pub mapping: Vec<FieldChange>,
    /// All SELECTs and reverse paths, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<Statement>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    New,
    /// It gets a new number.
    Changed,
    /// It is declared no more.
    Removed,
    Unchanged,
}

/// Why a document is built again, or gets a new number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Why {
    /// Nothing of it stands yet.
    New,
    /// Its declaration says something else.
    Declaration,
    /// A column that it uses has another type.
    ColumnType { column: String, was: String, is: String },
    /// It uses other columns than before, though its declaration is the same.
    Columns,
    /// It stood still, and may have missed changes.
    Paused { because: String },
    /// This version of pubsync reads it by other SQL.
    Statements,
    /// The configuration has other targets than before.
    Targets,
    /// This version of pubsync keeps it in another form.
    Form,
}

/// A field of an index mapping, by its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    pub field: String,
    /// The mapping that stands.
    pub was: Option<String>,
    pub is: Option<String>,
}

/// A statement, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    pub name: String,
    pub sql: String,
}

impl From<(String, &str)> for Statement {
    fn from((name, sql): (String, &str)) -> Self {
        Self {
            name,
            sql: sql.to_owned(),
        }
    }
}

impl Plan {
    /// Whether `apply` would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.migrations.is_empty()
            && self.tables.is_empty()
            && self.queues.is_empty()
            && self.triggers.is_empty()
            && self.documents.iter().all(DocumentChange::is_nothing)
            && !self.remains.iter().any(Remains::is_to_do)
    }

    /// Names of what is declared no more since the last `apply`, and would stay.
    #[must_use]
    pub fn new_remains(&self) -> Vec<String> {
        let new = |remains: &&Remains| remains.fresh && remains.fate == Fate::Stays;
        let names = self
            .remains
            .iter()
            .filter(new)
            .map(|remains| remains.name.clone());
        names.collect()
    }

    /// What of the plan a person agrees to: numbers of rows change all the time.
    #[must_use]
    pub(super) fn agreed(&self) -> Self {
        let mut plan = self.clone();
        plan.remains.iter_mut().for_each(|remains| remains.live = 0);
        plan
    }

    /// Leaves the SQL of triggers and documents out.
    #[must_use]
    pub fn without_sql(mut self) -> Self {
        self.triggers.iter_mut().for_each(|change| change.sql.clear());
        self.documents
            .iter_mut()
            .for_each(|change| change.statements.clear());
        self
    }
}

impl DocumentChange {
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.change == ChangeKind::Unchanged
            && self.resync.is_empty()
            && self.reindex.is_empty()
            && self.left.is_empty()
    }
}

/// What stands, of what a plan compares.
#[derive(Default)]
pub(super) struct Standing {
    pub definitions: BTreeMap<String, Definition>,
    /// Of documents.
    pub pauses: Vec<Pause>,
    pub write_sets: WriteSets,
    /// Documents that are declared no more.
    pub removed: BTreeMap<String, Removed>,
}

impl Standing {
    /// Where writes of a document to a target go now; as it is `wanted` where it does not go there yet.
    pub fn write_set(&self, document: &str, target: &str, wanted: &Collection) -> WriteSet {
        let stored = self.write_sets.get(&(document.to_owned(), target.to_owned()));
        let declared = || {
            let old = self.definitions.get(document)?;
            old.shape.collection(target)
        };
        stored
            .cloned()
            .unwrap_or_else(|| WriteSet::new(document, target, declared().unwrap_or_else(|| wanted.clone())))
    }
}

impl Apply<'_> {
    /// Finds out what [`Apply::run`] would do.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn plan(&self) -> Result<Plan, ApplyError> {
        self.plan_removing(&[]).await
    }

    /// As [`Apply::plan`], with these remains taken away: `product`, `product@search`.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn plan_removing(&self, remove: &[String]) -> Result<Plan, ApplyError> {
        let wanted = self.wanted().await?;
        let mut plan = self.compare(&wanted, remove).await?;
        remains::count(self.store, &mut plan.remains).await?;
        Ok(plan)
    }

    pub(super) async fn compare(&self, wanted: &[Wanted], remove: &[String]) -> Result<Plan, ApplyError> {
        let (store, conn) = (self.store, &self.store.read);
        let tables = inventory::tables(conn, store).await?;
        let standing = self.standing_if_any().await?;
        let documents = wanted.iter().map(|one| one.definition.document.as_str());
        let mut queues = wanted::queues(&store.names, wanted.iter().map(|one| &one.definition.shape));
        let stood = wanted::queues(&store.names, standing.definitions.values().map(|d| &d.shape));
        queues.retain(|queue| !stood.contains(queue));
        let captures = wanted::captures(wanted);
        let remains = remains::find(wanted, &standing, self.targets, remove)?;
        Ok(Plan {
            migrations: inventory::pending_migrations(conn, store, &tables).await?,
            tables: inventory::missing_document_tables(&tables, documents),
            queues,
            triggers: capture::plan(conn, &store.names, &captures).await?,
            documents: compare::documents(wanted, &standing, self.targets, &remains),
            remains,
        })
    }

    /// None before the migrations that they need.
    async fn write_sets(
        &self,
        conn: &impl ConnectionTrait,
    ) -> Result<(WriteSets, BTreeMap<String, Removed>), ApplyError> {
        let tables = inventory::tables(conn, self.store).await?;
        let pending = inventory::pending_migrations(conn, self.store, &tables).await?;
        if !pending.is_empty() {
            return Ok((WriteSets::new(), BTreeMap::new()));
        }
        let removed = removal::all(conn, self.store).await?;
        let by_name = |removed: Removed| (removed.document.clone(), removed);
        let removed = removed.into_iter().map(by_name).collect();
        Ok((writeset::all(conn, self.store).await?, removed))
    }

    /// Before the first `apply` nothing stands.
    pub(super) async fn standing_if_any(&self) -> Result<Standing, ApplyError> {
        let tables = inventory::tables(&self.store.read, self.store).await?;
        if tables.contains("definition") && tables.contains("pause") {
            self.standing(&self.store.read).await
        } else {
            Ok(Standing::default())
        }
    }

    pub(super) async fn standing(&self, conn: &impl ConnectionTrait) -> Result<Standing, ApplyError> {
        let definitions = definition::all(conn, self.store).await?;
        let by_name = |d: Definition| (d.document.clone(), d);
        let (write_sets, removed) = self.write_sets(conn).await?;
        Ok(Standing {
            definitions: definitions.into_iter().map(by_name).collect(),
            pauses: pause::current(conn, self.store).await?,
            write_sets,
            removed,
        })
    }
}
