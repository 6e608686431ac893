//! Documents as they are declared against documents as they stand. Pure: `plan` shows the outcome, `apply` carries the
//! same out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pubsync_schema::definition::Definition;
use pubsync_schema::pause::Subject;
use pubsync_schema::shape::Shape;
use pubsync_synchronizer::target::Target;
use serde_json::Value as Json;

use super::lines;
use super::moves::{self, Move};
use super::plan::{ChangeKind, DocumentChange, FieldChange, Standing, Why};
use super::remains::Remains;
use super::wanted::Wanted;

pub(super) type Targets = BTreeMap<String, Arc<dyn Target>>;

/// What becomes of every document that is declared or stands.
pub(super) fn documents(
    wanted: &[Wanted],
    standing: &Standing,
    targets: &Targets,
    remains: &[Remains],
) -> Vec<DocumentChange> {
    let declared = |name: &String| wanted.iter().any(|one| one.definition.document == *name);
    let removed = standing.definitions.keys().filter(|name| !declared(name));
    let kept = wanted.iter().map(|one| {
        let mut change = declared_document(one, standing, targets);
        let heir = |target: &String| remains.iter().any(|r| r.is_left_to(&change.document, target));
        let new: Vec<String> = one.definition.shape.targets.keys().cloned().collect();
        let inherited: Vec<String> = new.into_iter().filter(heir).collect();
        change.resync.extend(inherited);
        change.resync.sort_unstable();
        change.resync.dedup();
        // Filling an index is a resync.
        change.resync.retain(|target| !change.reindex.contains(target));
        change
    });
    kept.chain(removed.map(|name| removed_document(name))).collect()
}

fn removed_document(name: &str) -> DocumentChange {
    DocumentChange {
        document: name.to_owned(),
        file: None,
        change: ChangeKind::Removed,
        rebuild: false,
        why: Vec::new(),
        diff: None,
        resync: Vec::new(),
        reindex: Vec::new(),
        left: Vec::new(),
        mapping: Vec::new(),
        statements: Vec::new(),
    }
}

fn declared_document(wanted: &Wanted, standing: &Standing, targets: &Targets) -> DocumentChange {
    let new = &wanted.definition;
    let old = standing.definitions.get(&new.document);
    let subject = Subject::Document(new.document.clone());
    let pause = standing.pauses.iter().find(|pause| pause.subject == subject);
    let paused = pause.map(|pause| Why::Paused {
        because: pause.reason.clone(),
    });
    let why: Vec<Why> = match old {
        None => vec![Why::New],
        Some(old) => difference(old, new).into_iter().chain(paused).collect(),
    };
    let change = match (old, why.is_empty()) {
        (None, _) => ChangeKind::New,
        (Some(_), true) => ChangeKind::Unchanged,
        (Some(_), false) => ChangeKind::Changed,
    };
    let reindex: Vec<String> = moves(new, standing, targets)
        .filter(|(_, kind)| *kind == Move::NewIndex)
        .map(|(target, _)| target.clone())
        .collect();
    let resync = match old {
        Some(old) => joined(old, new),
        // It was declared before: what was on its way is gone, and the targets may be half emptied.
        None if standing.removed.contains_key(&new.document) => new.shape.targets.keys().cloned().collect(),
        None => Vec::new(),
    };
    DocumentChange {
        document: new.document.clone(),
        file: Some(wanted.file.clone()),
        change,
        // What stood still may have missed changes.
        rebuild: old.is_none_or(|old| old.fingerprint != new.fingerprint) || pause.is_some(),
        why,
        diff: old.and_then(|old| lines::diff(&old.yaml, &new.yaml)),
        resync,
        reindex,
        left: old.map(|old| left(old, new)).unwrap_or_default(),
        mapping: old
            .filter(|_| has_mapping(&new.shape, targets))
            .map(|old| fields(&old.shape.mapping, &new.shape.mapping))
            .unwrap_or_default(),
        statements: wanted.statements.clone(),
    }
}

/// What becomes of the document at each of its targets.
fn moves<'a>(
    new: &'a Definition,
    standing: &'a Standing,
    targets: &'a Targets,
) -> impl Iterator<Item = (&'a String, Move)> {
    new.shape.targets.keys().filter_map(|name| {
        let wanted = new.shape.collection(name)?;
        let set = standing.write_set(&new.document, name, &wanted);
        let target = targets.get(name).map(|target| &**target);
        Some((name, moves::compare(&set, &wanted, target)))
    })
}

/// Why the definition that stands is not this one. Empty where it is.
fn difference(old: &Definition, new: &Definition) -> Vec<Why> {
    let mut why = Vec::new();
    if old.yaml != new.yaml {
        why.push(Why::Declaration);
    } else if old.fingerprint != new.fingerprint {
        why.extend(column_types(&old.shape, &new.shape));
        if why.is_empty() && old.shape.columns != new.shape.columns {
            why.push(Why::Columns);
        }
        if why.is_empty() {
            why.push(Why::Statements);
        }
    }
    if why.is_empty() && old.shape.targets != new.shape.targets {
        why.push(Why::Targets);
    }
    if why.is_empty() && old.shape != new.shape {
        why.push(Why::Form);
    }
    why
}

fn column_types<'a>(old: &'a Shape, new: &'a Shape) -> impl Iterator<Item = Why> {
    new.columns.iter().filter_map(|(column, is)| {
        let was = old.columns.get(column).filter(|was| *was != is)?;
        Some(Why::ColumnType {
            column: column.clone(),
            was: was.clone(),
            is: is.clone(),
        })
    })
}

/// Targets that the new definition has and the old one had not, or had under another index.
fn joined(old: &Definition, new: &Definition) -> Vec<String> {
    let bindings = new.shape.targets.iter();
    bindings
        .filter(|(name, binding)| old.shape.targets.get(*name) != Some(*binding))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Targets that the old definition had and the new one has not.
fn left(old: &Definition, new: &Definition) -> Vec<String> {
    let names = old.shape.targets.keys();
    names
        .filter(|name| !new.shape.targets.contains_key(*name))
        .cloned()
        .collect()
}

fn has_mapping(shape: &Shape, targets: &Targets) -> bool {
    let mut bound = shape.targets.keys().filter_map(|name| targets.get(name));
    bound.any(|target| target.has_mapping())
}

/// Fields that differ between two `properties` objects, by their paths.
fn fields(old: &Json, new: &Json) -> Vec<FieldChange> {
    let (mut was, mut is) = (BTreeMap::new(), BTreeMap::new());
    flatten(old, "", &mut was);
    flatten(new, "", &mut is);
    let all: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let changed = |field: &&String| was.get(*field) != is.get(*field);
    all.into_iter()
        .filter(changed)
        .map(|field| FieldChange {
            field: field.clone(),
            was: was.get(field).cloned(),
            is: is.get(field).cloned(),
        })
        .collect()
}

fn flatten(properties: &Json, above: &str, into: &mut BTreeMap<String, String>) {
    for (name, field) in properties.as_object().into_iter().flatten() {
        let path = format!("{above}{name}");
        match field.get("properties") {
            Some(inside) => flatten(inside, &format!("{path}."), into),
            None => {
                let kind = field.get("type").and_then(Json::as_str).map(str::to_owned);
                into.insert(path, kind.unwrap_or_else(|| field.to_string()));
            }
        }
    }
}
