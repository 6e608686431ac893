//! `apply`: makes database, broker and targets what the documents say, and queues what must be rebuilt. Again and again
//! without harm.

use std::collections::BTreeMap;

use pubsync_schema::definition::{self, Definition};
use pubsync_schema::ledger::{self, NewEntry};
use pubsync_schema::migration;
use pubsync_schema::names::Lane;
use pubsync_schema::pause::{self, Subject};
use pubsync_schema::run;
use pubsync_schema::shape::{Binding, Shape};
use pubsync_schema::store::{Store, rows_parameter};
use pubsync_schema::wire::{PublishWork, Selection};
use pubsync_synchronizer::resync;
use pubsync_synchronizer::target::{Target, TargetError};
use pubsync_worker::broker::{Broker, BrokerError};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use std::sync::Arc;

use crate::capture::{self, Capture, LockRetry};
use crate::catalogue::{self, Catalogue};
use crate::document::Document;
use crate::language::{self, Problem, SourceFile};
use crate::plan::DocumentPlan;

/// What `apply` works on.
pub struct Apply<'a> {
    pub store: &'a Store,
    /// With the password; migrations open a connection of their own.
    pub url: &'a str,
    pub broker: &'a dyn Broker,
    pub targets: &'a BTreeMap<String, Arc<dyn Target>>,
    pub files: &'a [SourceFile],
}

/// What `apply` did.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Report {
    /// Documents with a new number, which are rebuilt now.
    pub rebuilt: Vec<String>,
    /// Documents whose targets changed, as `document → target`, which are resynchronized.
    pub resynchronized: Vec<String>,
    pub unchanged: Vec<String>,
    pub removed: Vec<String>,
    pub triggers: capture::Report,
}

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("{}", .0.iter().map(|p| format!("{p:#}")).collect::<Vec<_>>().join("\n\n"))]
    Documents(Vec<Problem>),
    #[error("database: {0}")]
    Store(#[from] DbErr),
    #[error(transparent)]
    Capture(#[from] capture::Error),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Checks documents against the database, without changing anything.
///
/// # Errors
/// All problems of all documents.
pub async fn check(
    store: &Store,
    files: &[SourceFile],
    targets: &[&str],
) -> Result<(Catalogue, Vec<Document>), ApplyError> {
    let catalogue = catalogue::introspect(&store.read, store.dialect(), store.names.name()).await?;
    let documents = language::check(files, &catalogue, targets).map_err(ApplyError::Documents)?;
    Ok((catalogue, documents))
}

impl Apply<'_> {
    /// Does it. Whatever fails, a second run goes on from there.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn run(&self) -> Result<Report, ApplyError> {
        let names: Vec<&str> = self.targets.keys().map(String::as_str).collect();
        let (catalogue, documents) = check(self.store, self.files, &names).await?;
        // One document a file, in the order of the files.
        let plans: Vec<DocumentPlan> = documents
            .into_iter()
            .map(|d| DocumentPlan::new(d, &catalogue, &self.store.names))
            .collect();
        let wanted: Vec<Definition> = plans
            .iter()
            .zip(self.files)
            .map(|(plan, file)| definition(plan, &file.text, &names))
            .collect();
        migration::migrate(self.store, self.url).await?;
        for plan in &plans {
            migration::document_tables(&self.store.write, &self.store.names, &plan.document.name).await?;
        }
        self.prepare(&wanted).await?;
        if self.store.dialect() == pubsync_schema::dialect::Dialect::Postgres {
            capture::install_functions(&self.store.write, &self.store.names).await?;
        }
        // Triggers first: the rebuild must begin after the last change that they do not see.
        let triggers = capture::reconcile(
            &self.store.write,
            &self.store.names,
            &captures(&plans),
            &LockRetry::default(),
        )
        .await?;
        let report = self.define(&wanted).await?;
        Ok(Report { triggers, ..report })
    }

    /// Queues, indexes, functions.
    async fn prepare(&self, wanted: &[Definition]) -> Result<(), ApplyError> {
        let names = &self.store.names;
        let mut queues = Vec::new();
        for definition in wanted {
            for lane in [Lane::Live, Lane::Bulk] {
                queues.push(names.publish_queue(&definition.shape.queue, lane));
                let sync = |target: &String| names.sync_queue(target, &definition.shape.queue, lane);
                queues.extend(definition.shape.targets.keys().map(sync));
            }
        }
        queues.sort_unstable();
        queues.dedup();
        self.broker.declare(&queues).await?;
        for (name, target) in self.targets {
            let collections: Vec<_> = wanted.iter().filter_map(|d| d.shape.collection(name)).collect();
            target.prepare(&collections).await?;
        }
        Ok(())
    }

    /// Raises numbers and queues rebuilds and resyncs, in one transaction.
    async fn define(&self, wanted: &[Definition]) -> Result<Report, ApplyError> {
        let store = self.store;
        let txn = store.begin().await?;
        let known: BTreeMap<String, Definition> = definition::all(&txn, store)
            .await?
            .into_iter()
            .map(|d| (d.document.clone(), d))
            .collect();
        let paused: Vec<Subject> = pause::current(&txn, store)
            .await?
            .into_iter()
            .map(|p| p.subject)
            .collect();
        let mut report = Report::default();
        let mut entries = Vec::new();
        for definition in wanted {
            let document = &definition.document;
            let subject = Subject::Document(document.clone());
            let old = known.get(document);
            let stood_still = paused.contains(&subject);
            // What stood still gets a new number, so that workers that could not compile it look again.
            let equal =
                |o: &Definition| o.fingerprint == definition.fingerprint && o.shape == definition.shape;
            let same = old.is_some_and(equal) && !stood_still;
            let number = if same {
                old.map_or(1, |o| o.number)
            } else {
                definition::raise(&txn, store, definition).await?
            };
            // A document that stood still may have missed changes.
            if old.is_none_or(|o| o.fingerprint != definition.fingerprint) || stood_still {
                self.forget_failures(&txn, document).await?;
                pause::end(&txn, store, &subject).await?;
                entries.push(rebuild(&txn, store, definition, number).await?);
                report.rebuilt.push(document.clone());
            } else {
                report.unchanged.push(document.clone());
            }
            for target in gone_bindings(old, definition) {
                self.drop_target_work(&txn, document, target).await?;
            }
            for target in new_bindings(old, definition) {
                if old.is_some() {
                    entries.push(
                        resync::start(
                            &txn,
                            store,
                            &definition.shape,
                            number,
                            target,
                            Selection::default(),
                        )
                        .await?,
                    );
                    report.resynchronized.push(format!("{document} → {target}"));
                }
            }
        }
        let declared = |name: &&String| !wanted.iter().any(|d| &&d.document == name);
        report.removed = known.keys().filter(declared).cloned().collect();
        definition::remove(&txn, store, &report.removed).await?;
        self.drop_work(&txn, &report.removed).await?;
        ledger::insert(&txn, store, &entries).await?;
        txn.commit().await?;
        Ok(report)
    }

    /// What was on its way for documents that are declared no more: nobody would ever settle it.
    async fn drop_work(&self, txn: &DatabaseTransaction, removed: &[String]) -> Result<(), DbErr> {
        let (store, names) = (self.store, self.store.dialect().rows(1, 1, "n"));
        for table in ["ledger", "failure"] {
            let table = store.names.table(table);
            let sql = format!("DELETE FROM {table} WHERE document IN (SELECT c0 FROM {names})");
            let parameter = rows_parameter(removed.iter().map(|d| [Some(d.clone())]));
            txn.execute_raw(store.sql(sql, [parameter])).await?;
        }
        for document in removed {
            pause::end(txn, store, &Subject::Document(document.clone())).await?;
        }
        Ok(())
    }

    /// The same for a target that a document goes to no more: no synchronizer looks after it.
    async fn drop_target_work(
        &self,
        txn: &DatabaseTransaction,
        document: &str,
        target: &str,
    ) -> Result<(), DbErr> {
        for table in ["ledger", "failure"] {
            let table = self.store.names.table(table);
            let sql = format!("DELETE FROM {table} WHERE document = $1 AND target = $2");
            txn.execute_raw(self.store.sql(sql, [document.into(), target.into()]))
                .await?;
        }
        Ok(())
    }

    /// What blocked the document as a whole is answered by this definition.
    async fn forget_failures(&self, txn: &DatabaseTransaction, document: &str) -> Result<(), DbErr> {
        let sql = format!(
            "DELETE FROM {} WHERE document = $1 AND root IS NULL AND key IS NULL AND stage IN ('capture', 'publish')",
            self.store.names.table("failure")
        );
        txn.execute_raw(self.store.sql(sql, [document.into()])).await?;
        Ok(())
    }
}

/// A ledger row that asks for all roots of a document, with a run that counts them.
///
/// # Errors
/// Of the database.
pub async fn rebuild(
    txn: &impl ConnectionTrait,
    store: &Store,
    definition: &Definition,
    number: i64,
) -> Result<NewEntry, DbErr> {
    let run = run::begin(txn, store, "publish", &definition.document, None).await?;
    publish_entry(
        store,
        definition,
        number,
        &PublishWork::All { after: None },
        1,
        Some(run),
    )
    .await
}

/// A ledger row of publish work on the bulk lane, as of now.
///
/// # Errors
/// Of the database.
pub async fn publish_entry(
    store: &Store,
    definition: &Definition,
    number: i64,
    work: &PublishWork,
    items: usize,
    run: Option<i64>,
) -> Result<NewEntry, DbErr> {
    Ok(NewEntry {
        queue: store.names.publish_queue(&definition.shape.queue, Lane::Bulk),
        document: definition.document.clone(),
        target: None,
        lane: Lane::Bulk,
        payload: serde_json::to_string(work).map_err(|e| DbErr::Json(e.to_string()))?,
        items: items as i64,
        definition: number,
        run,
        changed_at: store.now().await?,
        attempts: 0,
        trace: None,
        claimed: false,
    })
}

/// Targets that the new definition has and the old one had not, or had under another index.
fn new_bindings<'a>(old: Option<&'a Definition>, new: &'a Definition) -> impl Iterator<Item = &'a str> {
    new.shape
        .targets
        .iter()
        .filter(move |(name, binding)| old.and_then(|o| o.shape.targets.get(*name)) != Some(binding))
        .map(|(name, _)| name.as_str())
}

/// Targets that the old definition had and the new one has not.
fn gone_bindings<'a>(old: Option<&'a Definition>, new: &'a Definition) -> impl Iterator<Item = &'a str> {
    old.into_iter()
        .flat_map(|old| old.shape.targets.keys())
        .filter(|name| !new.shape.targets.contains_key(*name))
        .map(String::as_str)
}

fn definition(plan: &DocumentPlan, yaml: &str, targets: &[&str]) -> Definition {
    let document = &plan.document;
    let bindings: BTreeMap<String, Binding> = match &document.targets {
        Some(list) => list.iter().cloned().collect(),
        None => targets
            .iter()
            .map(|name| ((*name).to_owned(), Binding::default()))
            .collect(),
    };
    Definition {
        document: document.name.clone(),
        number: 0,
        fingerprint: fingerprint(plan, yaml),
        yaml: yaml.to_owned(),
        shape: Shape {
            document: document.name.clone(),
            queue: document.queue.clone().unwrap_or_else(|| document.name.clone()),
            key: language::key_pattern(document),
            targets: bindings,
            sync: document.sync,
            inline_limit: document.inline_limit,
            mapping: plan.mapping.clone(),
        },
    }
}

/// Of everything that the result depends on: the declaration, and through the SQL the types of the columns that it uses.
fn fingerprint(plan: &DocumentPlan, yaml: &str) -> String {
    let mut text = yaml.to_owned();
    for (name, sql) in plan.statements() {
        text.push_str(&name);
        text.push_str(sql);
    }
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}

/// What to capture, merged over all documents.
fn captures(plans: &[DocumentPlan]) -> Vec<Capture> {
    let mut merged: BTreeMap<&str, Capture> = BTreeMap::new();
    for (name, used) in plans.iter().flat_map(|plan| &plan.uses) {
        let capture = merged.entry(name).or_insert_with(|| Capture {
            table: used.table.clone(),
            name: name.clone(),
            watched: Default::default(),
            carried: Default::default(),
        });
        capture.watched.extend(&used.watched);
        capture.carried.extend(&used.carried);
    }
    merged.into_values().collect()
}
