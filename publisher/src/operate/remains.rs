//! What stands though nobody declares it any more: of documents as a whole, and of targets that a document has left. Pure,
//! but for the numbers of rows; `plan` shows it, `apply` carries the same out.

use std::collections::{BTreeMap, BTreeSet};

use pubsync_schema::inventory;
use pubsync_schema::mirror;
use pubsync_schema::shape::{Collection, Shape};
use pubsync_schema::store::Store;
use pubsync_schema::writeset::WriteSet;
use sea_orm::DbErr;
use serde::Serialize;

use super::apply::ApplyError;
use super::compare::Targets;
use super::plan::Standing;
use super::wanted::Wanted;

/// A document that is declared no more, or a target that one has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remains {
    /// As `--remove` takes it: `product`, `product@search`.
    pub name: String,
    pub document: String,
    /// The mirror, queues and all targets; else one target.
    pub whole: bool,
    pub fate: Fate,
    /// What becomes of the entries at each target, if they go.
    pub targets: BTreeMap<String, AtTarget>,
    /// Live rows of the mirror.
    pub live: i64,
    /// Declared until now.
    #[serde(skip)]
    pub(super) fresh: bool,
    /// What its queues are called by.
    #[serde(skip)]
    pub(super) queue: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// Nobody has asked for its removal.
    Stays,
    /// It is taken away with this `apply`.
    Goes,
    /// It is being taken away since an earlier one.
    Going,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AtTarget {
    /// They are deleted.
    Holds,
    /// They stay: the target is configured no more, and nobody knows where it is.
    Unknown,
    /// They belong to this document now, whose resync deletes what it does not have.
    LeftTo(String),
}

impl Remains {
    /// Whether `apply` would do something.
    pub(super) fn is_to_do(&self) -> bool {
        let unknown = || self.targets.values().any(|at| *at == AtTarget::Unknown);
        self.fate == Fate::Goes || self.fate == Fate::Going && unknown()
    }

    /// Whether this document takes over what goes at the target.
    pub(super) fn is_left_to(&self, document: &str, target: &str) -> bool {
        let heir = |at: &AtTarget| matches!(at, AtTarget::LeftTo(heir) if heir == document);
        self.fate == Fate::Goes && self.targets.get(target).is_some_and(heir)
    }
}

/// All remains, by name; those named in `remove` go.
///
/// # Errors
/// [`ApplyError::Remove`] where `remove` names what is declared or never was; [`ApplyError::Leaving`] where a declared
/// document meets what is just leaving.
pub(super) fn find(
    wanted: &[Wanted],
    standing: &Standing,
    targets: &Targets,
    remove: &[String],
) -> Result<Vec<Remains>, ApplyError> {
    let search = Search {
        wanted,
        standing,
        targets,
        remove,
    };
    let mut all = search.documents()?;
    all.extend(search.left()?);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    for name in remove {
        search.check(name, &all)?;
    }
    Ok(all)
}

/// Counts the live rows of each.
///
/// # Errors
/// Of the database.
pub(super) async fn count(store: &Store, all: &mut [Remains]) -> Result<(), DbErr> {
    if all.is_empty() {
        return Ok(());
    }
    let tables = inventory::tables(&store.read, store).await?;
    for remains in all {
        if tables.contains(&format!("mirror_{}", remains.document)) {
            let counts = mirror::counts(&store.read, store, &remains.document, 0).await?;
            remains.live = counts.live;
        }
    }
    Ok(())
}

struct Search<'a> {
    wanted: &'a [Wanted],
    standing: &'a Standing,
    targets: &'a Targets,
    remove: &'a [String],
}

impl Search<'_> {
    fn declared(&self, document: &str) -> Option<&Shape> {
        let definitions = self.wanted.iter().map(|one| &one.definition);
        let mut own = definitions.filter(|definition| definition.document == document);
        own.next().map(|definition| &definition.shape)
    }

    /// Documents that are declared no more.
    fn documents(&self) -> Result<Vec<Remains>, ApplyError> {
        let fresh = self.standing.definitions.values();
        let fresh = fresh.map(|definition| (&definition.document, &definition.shape, true, false));
        let older = self.standing.removed.values();
        let older = older.map(|old| (&old.document, &old.shape, false, old.agreed_at.is_some()));
        let gone = fresh
            .chain(older)
            .filter(|(document, ..)| self.declared(document).is_none());
        gone.map(|(document, shape, fresh, agreed)| {
            Ok(Remains {
                name: document.clone(),
                document: document.clone(),
                whole: true,
                fate: self.fate(document, agreed),
                targets: self.at_targets(shape, |_| true)?,
                live: 0,
                fresh,
                queue: shape.queue.clone(),
            })
        })
        .collect()
    }

    /// Targets that declared documents have left.
    fn left(&self) -> Result<Vec<Remains>, ApplyError> {
        let mut all = Vec::new();
        for Wanted { definition: new, .. } in self.wanted {
            let old = self.standing.definitions.get(&new.document);
            let shape = old.map_or(&new.shape, |old| &old.shape);
            let bound = |target: &str| new.shape.targets.contains_key(target);
            for (target, at) in self.at_targets(shape, |target| !bound(target))? {
                let set = self.set(&new.document, &target);
                let name = format!("{}@{target}", new.document);
                all.push(Remains {
                    fate: self.fate(&name, set.is_some_and(|set| set.removal.is_some())),
                    name,
                    document: new.document.clone(),
                    whole: false,
                    live: 0,
                    fresh: old.is_some_and(|old| old.shape.targets.contains_key(&target)),
                    queue: shape.queue.clone(),
                    targets: BTreeMap::from([(target, at)]),
                });
            }
        }
        Ok(all)
    }

    fn fate(&self, name: &str, agreed: bool) -> Fate {
        match agreed {
            true => Fate::Going,
            false if self.remove.iter().any(|asked| asked == name) => Fate::Goes,
            false => Fate::Stays,
        }
    }

    fn set(&self, document: &str, target: &str) -> Option<&WriteSet> {
        let key = (document.to_owned(), target.to_owned());
        self.standing.write_sets.get(&key)
    }

    /// What stands at those targets of a document.
    fn at_targets(
        &self,
        shape: &Shape,
        which: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, AtTarget>, ApplyError> {
        let sets = self.standing.write_sets.values();
        let stored = sets.filter(|set| set.document == shape.document);
        let mut names: BTreeSet<&str> = stored.map(|set| set.target.as_str()).collect();
        names.extend(shape.targets.keys().map(String::as_str));
        let mut found = BTreeMap::new();
        for target in names.into_iter().filter(|target| which(target)) {
            let set = self.set(&shape.document, target);
            if set.is_some_and(WriteSet::is_done) {
                continue;
            }
            let collection = match set {
                Some(set) => Some(set.serving.clone()),
                None => shape.collection(target),
            };
            let heir = collection.and_then(|collection| self.heir(target, &collection));
            if let Some(new) = &heir
                && set.is_some_and(|set| set.emptying().is_some())
            {
                return Err(ApplyError::Leaving {
                    new: new.clone(),
                    old: shape.document.clone(),
                    target: target.to_owned(),
                });
            }
            let at = match heir {
                _ if !self.targets.contains_key(target) => AtTarget::Unknown,
                Some(heir) => AtTarget::LeftTo(heir),
                None => AtTarget::Holds,
            };
            found.insert(target.to_owned(), at);
        }
        Ok(found)
    }

    /// The declared document whose keys could be those of a collection that another one leaves behind; in a target with
    /// indexes, whose index it could be.
    fn heir(&self, target: &str, left: &Collection) -> Option<String> {
        let typed = self
            .targets
            .get(target)
            .is_some_and(|target| target.has_mapping());
        let meets = |of: &Collection| {
            let mut keys = of.patterns().flat_map(|a| left.patterns().map(move |b| (a, b)));
            match typed {
                true => of.index.overlaps(&left.index),
                false => keys.any(|(a, b)| a.collides(b)),
            }
        };
        let others = self.wanted.iter().map(|one| &one.definition.shape);
        let mut heirs = others.filter(|shape| shape.document != left.document);
        let heir = heirs.find(|shape| shape.collection(target).is_some_and(|of| meets(&of)));
        heir.map(|shape| shape.document.clone())
    }

    fn check(&self, name: &str, all: &[Remains]) -> Result<(), ApplyError> {
        if all.iter().any(|remains| remains.name == name) {
            return Ok(());
        }
        let (document, target) = match name.split_once('@') {
            Some((document, target)) => (document, Some(target)),
            None => (name, None),
        };
        let mut sets = self.standing.write_sets.values();
        let is_it = |set: &WriteSet| set.document == document && target.is_none_or(|t| set.target == t);
        let shape = self.declared(document);
        let why = match (shape, target) {
            (Some(_), None) => {
                format!("document {name:?} is declared: take its file away, or its name out of --remove")
            }
            (Some(shape), Some(target)) if shape.targets.contains_key(target) => format!(
                "document {document:?} goes to target {target}: take it out of its `targets`, or {name:?} out of --remove"
            ),
            // It was taken away before.
            _ if sets.any(|set| is_it(set) && set.is_done()) => return Ok(()),
            _ => {
                let names: Vec<&str> = all.iter().map(|remains| remains.name.as_str()).collect();
                let there = match names.is_empty() {
                    true => "all that stands is declared".to_owned(),
                    false => format!("there are: {}", names.join(", ")),
                };
                format!("--remove {name}: nothing of this name is left behind; {there}")
            }
        };
        Err(ApplyError::Remove(why))
    }
}
