//! `verify`: source against mirror against every target, in pages, without holding more than a page. What differs is
//! looked at a second time after the street was quiet, so that work in flight is no difference.

use std::collections::{BTreeMap, BTreeSet};

use pubsync_schema::mirror;
use pubsync_schema::shape::Collection;
use pubsync_schema::store::Store;
use pubsync_synchronizer::street::Street;
use pubsync_synchronizer::target::{Target, TargetError};
use sea_orm::{DatabaseTransaction, DbErr};

use crate::build::{BuildError, Built};
use crate::publish::difference;
use crate::publisher::{Walked, build_fitting};
use crate::registry::Compiled;

/// Roots, mirror rows or keys of one page.
const PAGE: u64 = 500;

/// Of bodies in a page of the mirror; the target has as much under the same keys, or differs.
const PAGE_BYTES: u32 = 8 << 20;

/// Most keys that a report names for one document, target and kind; all are counted.
const NAMED: usize = 100;

/// How two stations differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Should be there and is not.
    Missing,
    /// Is there with other content, or an older revision.
    Stale,
    /// Is there and should not be.
    Orphaned,
    /// The target holds a higher revision than the mirror.
    Ahead,
    /// Cannot be built; `failures` says why.
    Failed,
}

/// Differences of one kind between two stations.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Finding {
    pub document: String,
    /// `None`: between source and mirror.
    pub target: Option<String>,
    pub kind: Kind,
    pub count: u64,
    /// Some of the keys.
    pub keys: Vec<String>,
}

/// What `verify` saw.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Report {
    pub roots: u64,
    pub documents: u64,
    pub findings: Vec<Finding>,
}

impl Report {
    /// Takes what was seen of another document in.
    pub fn add(&mut self, other: Self) {
        self.roots += other.roots;
        self.documents += other.documents;
        self.findings.extend(other.findings);
    }

    /// Whether source, mirror and targets are equal.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.findings.is_empty()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("database: {0}")]
    Store(#[from] DbErr),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Compares one document everywhere. `progress` hears of every page: roots and rows so far.
///
/// # Errors
/// Where a station cannot be read.
pub async fn document(
    street: &Street,
    compiled: &Compiled,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Report, VerifyError> {
    let mut report = Report::default();
    let mut findings = Findings::default();
    source(street, compiled, &mut report, &mut findings, progress).await?;
    for name in compiled.definition.shape.targets.keys() {
        let (Some(target), Some(collection)) = (
            street.targets.get(name),
            street
                .definitions
                .write_set(&compiled.definition.document, name)
                .map(|set| set.serving),
        ) else {
            continue;
        };
        against_mirror(
            street,
            &**target,
            &collection,
            &mut report,
            &mut findings,
            progress,
        )
        .await?;
        orphans(street, &**target, &collection, &mut findings).await?;
    }
    report.findings = findings.into_list(&compiled.definition.document);
    Ok(report)
}

/// All roots, source and mirror, built anew and compared.
async fn source(
    street: &Street,
    compiled: &Compiled,
    report: &mut Report,
    findings: &mut Findings,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), VerifyError> {
    let store = &street.store;
    let document = &compiled.definition.document;
    let mut from: Option<String> = None;
    loop {
        // One snapshot for both sides: what a publisher commits meanwhile is seen on both or on neither.
        let snapshot = store.snapshot().await?;
        let Walked { roots, next } = compiled.publisher.all(&snapshot, from.as_deref(), PAGE).await?;
        let mut left = roots.as_slice();
        while !left.is_empty() {
            let built = build_fitting(&*compiled.publisher, &snapshot, left).await?;
            let (here, rest) = left.split_at(built.len());
            let known = mirror::of_roots(&snapshot, store, document, here).await?;
            compare(&snapshot, store, document, (&known, built), findings).await?;
            left = rest;
        }
        snapshot.rollback().await?;
        report.roots += roots.len() as u64;
        progress(report.roots + report.documents);
        if next.is_none() {
            return Ok(());
        }
        from = next;
    }
}

/// By the eyes of a publisher: what it would write is missing or stale, what it would bury orphaned.
async fn compare(
    snapshot: &DatabaseTransaction,
    store: &Store,
    document: &str,
    (known, built): (&[mirror::Known], Vec<Built>),
    findings: &mut Findings,
) -> Result<(), DbErr> {
    let difference = difference::between(known, built);
    let written = || difference.puts.iter().chain(&difference.aliases);
    let new: Vec<String> = written()
        .filter(|put| put.replaces.is_none())
        .map(|put| put.document.key.clone())
        .collect();
    let holders: BTreeMap<String, String> = match new.is_empty() {
        true => BTreeMap::new(),
        false => mirror::holders(snapshot, store, document, &new)
            .await?
            .into_iter()
            .collect(),
    };
    for put in written() {
        let key = &put.document.key;
        let kind = match holders.get_key_value(key) {
            _ if put.replaces.is_some() => Kind::Stale,
            None => Kind::Missing,
            Some((key, root)) if difference.gone.contains(&(key.clone(), root.clone())) => Kind::Stale,
            // Another root holds the key: `failures` names both.
            Some(_) => Kind::Failed,
        };
        findings.add(None, kind, key);
    }
    let moved = |key: &String| written().any(|put| put.document.key == *key);
    for (key, _) in difference.gone.iter().filter(|(key, _)| !moved(key)) {
        findings.add(None, Kind::Orphaned, key);
    }
    for conflict in &difference.conflicting {
        findings.add(None, Kind::Failed, &conflict.key);
    }
    for failed in &difference.failed {
        findings.add(None, Kind::Failed, failed.key.as_deref().unwrap_or(&failed.root));
    }
    Ok(())
}

/// Every mirror row against what the target holds for its key.
async fn against_mirror(
    street: &Street,
    target: &dyn Target,
    collection: &Collection,
    report: &mut Report,
    findings: &mut Findings,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), VerifyError> {
    let mut after = String::new();
    let aliases = street
        .definitions
        .shows_aliases(&collection.document, target.name());
    loop {
        let rows = mirror::full_page(
            &street.store.read,
            &street.store,
            &collection.document,
            &after,
            PAGE,
            PAGE_BYTES,
        )
        .await?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after.clone_from(&last.key);
        let keys: Vec<String> = rows.iter().map(|r| r.key.clone()).collect();
        let versions = target.versions(collection, &keys).await?;
        let bodies = target.bodies(collection, &keys).await?;
        for ((row, held), body) in rows.iter().zip(versions).zip(bodies) {
            let held = held.filter(|h| !h.deleted).map(|h| h.revision);
            let shown = row.shown(aliases).filter(|_| collection.takes(&row.key));
            report.documents += u64::from(shown.is_some());
            if let Some(kind) = against_target(row.revision, shown, held, body.as_deref()) {
                findings.add(Some(target.name()), kind, &row.key);
            }
        }
        progress(report.roots + report.documents);
    }
}

/// `shown`: what readers of the target should see; `held` and `body`: what it has.
fn against_target(revision: i64, shown: Option<&str>, held: Option<i64>, body: Option<&str>) -> Option<Kind> {
    match (shown, held) {
        (None, None) => None,
        (None, Some(_)) => Some(Kind::Orphaned),
        (Some(_), None) => Some(Kind::Missing),
        (Some(_), Some(held)) if held > revision => Some(Kind::Ahead),
        (Some(_), Some(held)) if held < revision => Some(Kind::Stale),
        (Some(_), Some(_)) => (body != shown).then_some(Kind::Stale),
    }
}

/// What the target shows and the mirror has no row for. Rows that are buried were seen by [`against_mirror`].
async fn orphans(
    street: &Street,
    target: &dyn Target,
    collection: &Collection,
    findings: &mut Findings,
) -> Result<(), VerifyError> {
    let mut cursor = None;
    loop {
        let page = target.scan(collection, cursor, PAGE as usize).await?;
        let keys: Vec<String> = page.keys.into_iter().map(|k| k.0).collect();
        let known = mirror::existing(&street.store.read, &street.store, &collection.document, &keys).await?;
        let known: BTreeSet<String> = known.into_iter().collect();
        for key in keys.iter().filter(|k| !known.contains(*k)) {
            findings.add(Some(target.name()), Kind::Orphaned, key);
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(()),
        }
    }
}

/// Counts all, names some.
#[derive(Default)]
struct Findings {
    found: BTreeMap<(Option<String>, Kind), (u64, BTreeSet<String>)>,
}

impl Findings {
    fn add(&mut self, target: Option<&str>, kind: Kind, key: &str) {
        let entry = self.found.entry((target.map(str::to_owned), kind)).or_default();
        if entry.1.len() < NAMED {
            // A scan may give a key twice.
            if entry.1.insert(key.to_owned()) {
                entry.0 += 1;
            }
        } else if !entry.1.contains(key) {
            entry.0 += 1;
        }
    }

    fn into_list(self, document: &str) -> Vec<Finding> {
        let finding =
            |((target, kind), (count, keys)): ((Option<String>, Kind), (u64, BTreeSet<String>))| Finding {
                document: document.to_owned(),
                target,
                kind,
                count,
                keys: keys.into_iter().collect(),
            };
        self.found.into_iter().map(finding).collect()
    }
}

/// How often the second look asks whether the street is quiet, and how long it waits for that.
const SETTLE: std::time::Duration = std::time::Duration::from_millis(50);
const SETTLES: u32 = 200;

/// As [`document`], and where it finds differences a second time after what was on its way has arrived.
///
/// # Errors
/// Where a station cannot be read.
pub async fn twice(
    street: &Street,
    compiled: &Compiled,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Report, VerifyError> {
    let first = document(street, compiled, progress).await?;
    if first.is_equal() {
        return Ok(first);
    }
    let moment = street.store.now().await?;
    for _ in 0..SETTLES {
        // What is queued for its time is in the ledger only after the clock has seen it.
        let document = &compiled.definition.document;
        let overdue = mirror::is_overdue(&street.store.read, &street.store, document, moment).await?;
        if !overdue && !pubsync_schema::ledger::has_older(&street.store, moment).await? {
            break;
        }
        tokio::time::sleep(SETTLE).await;
    }
    document(street, compiled, progress).await
}

/// Roots of one page that is only counted.
const COUNT_PAGE: u64 = 10_000;

/// How many roots a rebuild of everything would have.
///
/// # Errors
/// Of the database.
pub async fn count_roots(street: &Street, publisher: &dyn crate::publisher::Publisher) -> Result<u64, DbErr> {
    let snapshot = street.store.snapshot().await?;
    let (mut count, mut from): (u64, Option<String>) = (0, None);
    loop {
        let walked = publisher.all(&snapshot, from.as_deref(), COUNT_PAGE).await?;
        count += walked.roots.len() as u64;
        if walked.next.is_none() {
            snapshot.rollback().await?;
            return Ok(count);
        }
        from = walked.next;
    }
}
