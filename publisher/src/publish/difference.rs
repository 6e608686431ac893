//! What the sources give against what the mirror has: pure.

mod claims;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use pubsync_schema::mirror::{self, Known};

use crate::build::{Built, BuiltDocument, DocumentFailure, Kind, pointer_hash};
use claims::Claims;

/// What must be written.
#[derive(Debug, Default)]
pub struct Difference {
    /// New or changed documents; a key stands once.
    pub puts: Vec<Changed>,
    /// New or changed aliases of documents that are in the mirror or among `puts`.
    pub aliases: Vec<Changed>,
    /// Live keys, with their roots, that the answer has not: absence means delete.
    pub gone: Vec<(String, String)>,
    /// Live rows that stay as they are.
    pub unchanged: Vec<Unchanged>,
    /// Each root with the next moment at which time alone changes it.
    pub due: Vec<(String, Option<i64>)>,
    pub failed: Vec<Unbuilt>,
    /// Keys that another live root holds, and aliases that another document holds.
    pub conflicting: Vec<Conflict>,
}

#[derive(Debug, Clone)]
pub struct Changed {
    pub root: String,
    pub document: BuiltDocument,
    /// What stands live under the key, of the same root.
    pub replaces: Option<mirror::Kind>,
}

#[derive(Debug)]
pub struct Unchanged {
    pub key: String,
    /// Of the definition that it was built with.
    pub definition: i64,
}

#[derive(Debug)]
pub struct Unbuilt {
    pub root: String,
    pub key: Option<String>,
    pub class: &'static str,
    pub message: String,
}

#[derive(Debug)]
pub struct Conflict {
    pub key: String,
    pub root: String,
    /// Of an alias: the key that it was to lead to.
    pub alias_of: Option<String>,
    pub holder: Holder,
}

/// Who has the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    Root(String),
    /// Of the same root: an alias that leads to the document with this key.
    AliasOf(String),
}

/// Compares. Failed is not absent: a key that could not be built keeps its row, and where a failure's key is unknown
/// all rows of its root stay.
pub fn between(known: &[Known], built: Vec<Built>) -> Difference {
    let mut difference = Difference::default();
    let by_key: HashMap<&str, &Known> = known.iter().map(|k| (k.key.as_str(), k)).collect();
    let claims = Claims::of(&by_key, &built);
    let mut spared = Spared::default();
    for built in built {
        if built.kept {
            spared.kept.insert(built.root.clone());
        }
        difference.due.push((built.root.clone(), built.due));
        for document in built.documents {
            match document {
                Ok(document) => difference.compare(&by_key, &claims, &built.root, document),
                Err(failure) => {
                    spared.note(&built.root, &failure);
                    difference.failed.push(Unbuilt {
                        root: built.root.clone(),
                        key: failure.key,
                        class: failure.class,
                        message: failure.message,
                    });
                }
            }
        }
    }
    for row in known.iter().filter(|k| !k.deleted) {
        let Some(root) = &row.root else { continue };
        // A key that moved to another root of this batch is buried too; its new root digs it out right after.
        if claims.keeps(&row.key, root) || spared.has(row, root) {
            continue;
        }
        if spared.kept.contains(root) {
            difference.unchanged.push(unchanged(row));
        } else {
            difference.gone.push((row.key.clone(), root.clone()));
        }
    }
    difference.gone.sort_unstable();
    difference
}

/// Rows that stay though the answer has them not.
#[derive(Default)]
struct Spared {
    roots: HashSet<String>,
    /// Roots that are gone and leave their rows behind.
    kept: HashSet<String>,
    /// Root, and hash of what leads to a document that failed.
    aliases: HashSet<(String, String)>,
}

impl Spared {
    fn note(&mut self, root: &str, failure: &DocumentFailure) {
        match &failure.key {
            None => self.roots.insert(root.to_owned()),
            Some(key) => self.aliases.insert((root.to_owned(), pointer_hash(key))),
        };
    }

    fn has(&self, row: &Known, root: &str) -> bool {
        self.roots.contains(root)
            || row.kind == mirror::Kind::Alias && self.aliases.contains(&(root.to_owned(), row.hash.clone()))
    }
}

impl Difference {
    fn compare(
        &mut self,
        known: &HashMap<&str, &Known>,
        claims: &Claims,
        root: &str,
        document: BuiltDocument,
    ) {
        let alias_of = match &document.kind {
            Kind::Document => None,
            Kind::Alias { of } if claims.lost(of, root) => return,
            Kind::Alias { of } => Some(of.clone()),
        };
        if let Some(holder) = claims.stronger(root, &document) {
            let key = document.key;
            if !self.conflicting.iter().any(|c| c.key == key && c.root == root) {
                let root = root.to_owned();
                self.conflicting.push(Conflict {
                    key,
                    root,
                    alias_of,
                    holder,
                });
            }
            return;
        }
        let row = known.get(document.key.as_str());
        let row = row.filter(|k| !k.deleted && k.root.as_deref() == Some(root));
        let kind = match alias_of {
            None => mirror::Kind::Document,
            Some(_) => mirror::Kind::Alias,
        };
        if let Some(row) = row.filter(|row| row.hash == document.hash && row.kind == kind) {
            self.unchanged.push(unchanged(row));
            return;
        }
        let changed = Changed {
            root: root.to_owned(),
            replaces: row.map(|row| row.kind),
            document,
        };
        match kind {
            mirror::Kind::Document => self.puts.push(changed),
            mirror::Kind::Alias => self.aliases.push(changed),
        }
    }

    /// Takes documents out that the mirror did not accept, and the aliases that were to lead to them. `holders`: who has
    /// the keys. Gives rows of such aliases, with their roots, that are gone: what they led to before is not there any
    /// more either.
    pub fn refuse(
        &mut self,
        written: &[(String, i64)],
        holders: &[(String, String)],
    ) -> Vec<(String, String)> {
        let refused = refused(&mut self.puts, written);
        let lost = |alias: &Changed| matches!(&alias.document.kind, Kind::Alias { of } if refused.iter().any(|r| r.document.key == *of));
        let (dangling, aliases): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.aliases).into_iter().partition(lost);
        self.aliases = aliases;
        self.conflict(refused, holders);
        dangling
            .into_iter()
            .filter(|alias| alias.replaces.is_some())
            .map(|alias| (alias.document.key, alias.root))
            .collect()
    }

    /// The same for aliases.
    pub fn refuse_aliases(&mut self, written: &[(String, i64)], holders: &[(String, String)]) {
        let refused = refused(&mut self.aliases, written);
        self.conflict(refused, holders);
    }

    fn conflict(&mut self, refused: Vec<Changed>, holders: &[(String, String)]) {
        self.conflicting.extend(refused.into_iter().map(|changed| {
            let holder = holders.iter().find(|(key, _)| *key == changed.document.key);
            Conflict {
                holder: Holder::Root(holder.map_or_else(|| "?".to_owned(), |(_, root)| root.clone())),
                root: changed.root,
                alias_of: match changed.document.kind {
                    Kind::Document => None,
                    Kind::Alias { of } => Some(of),
                },
                key: changed.document.key,
            }
        }));
    }
}

fn unchanged(row: &Known) -> Unchanged {
    Unchanged {
        key: row.key.clone(),
        definition: row.definition,
    }
}

fn refused(puts: &mut Vec<Changed>, written: &[(String, i64)]) -> Vec<Changed> {
    let written: HashSet<&str> = written.iter().map(|w| w.0.as_str()).collect();
    let (accepted, refused) = std::mem::take(puts)
        .into_iter()
        .partition(|put: &Changed| written.contains(put.document.key.as_str()));
    *puts = accepted;
    refused
}

impl Conflict {
    /// The class of the failure, and what it says.
    pub fn tell(&self) -> (&'static str, String) {
        let holder = match &self.holder {
            Holder::Root(root) => format!("root {root}"),
            Holder::AliasOf(key) => format!("the document {key:?} of the same root"),
        };
        match &self.alias_of {
            None => (
                "key conflict",
                format!(
                    "key {:?} of root {} is held by {holder}: two live roots make the same key; change the key template or \
                     the data",
                    self.key, self.root
                ),
            ),
            Some(of) => (
                "alias conflict",
                format!(
                    "alias {:?} of {of:?} (root {}) is held by {holder}: the document is there, its alias is not; change \
                     the template of the alias or the data",
                    self.key, self.root
                ),
            ),
        }
    }
}
