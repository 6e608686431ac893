//! Who of one answer gets each key.

use std::collections::{HashMap, HashSet};

use pubsync_schema::mirror::Known;

use super::Holder;
use crate::build::{Built, BuiltDocument, Kind};

/// Each key with the one that has it. A document claims its key for its root, an alias for the document that it leads to.
/// Where several claim a key, the one that holds it already has it, else the first.
pub struct Claims {
    keys: HashMap<String, Claim>,
    /// Documents that did not get their keys: key and root.
    lost: HashSet<(String, String)>,
}

struct Claim {
    root: String,
    alias_of: Option<String>,
    /// 2: holds it already; 1: its root does; 0: nobody, or another root.
    strength: u8,
}

impl Claims {
    pub fn of(known: &HashMap<&str, &Known>, built: &[Built]) -> Self {
        let mut claims = Self {
            keys: HashMap::new(),
            lost: HashSet::new(),
        };
        for built in built {
            for document in &built.documents {
                match document {
                    Ok(document) if document.kind == Kind::Document => {
                        claims.add(known, &document.key, &built.root, None);
                    }
                    Ok(_) => {}
                    Err(failure) => {
                        if let Some(key) = &failure.key {
                            claims.add(known, key, &built.root, None);
                        }
                    }
                }
            }
        }
        claims.note_lost(built);
        claims.add_aliases(known, built);
        claims
    }

    fn note_lost(&mut self, built: &[Built]) {
        for built in built {
            let keys = built.documents.iter().flatten();
            for document in keys.filter(|document| document.kind == Kind::Document) {
                if self.stronger(&built.root, document).is_some() {
                    self.lost.insert((document.key.clone(), built.root.clone()));
                }
            }
        }
    }

    /// An alias of a document that did not get its key would lead to another one.
    fn add_aliases(&mut self, known: &HashMap<&str, &Known>, built: &[Built]) {
        for built in built {
            for document in built.documents.iter().flatten() {
                if let Kind::Alias { of } = &document.kind
                    && !self.lost(of, &built.root)
                {
                    self.add(known, &document.key, &built.root, Some((of, &document.hash)));
                }
            }
        }
    }

    /// `alias`: the key that it leads to, and the hash of its body.
    fn add(
        &mut self,
        known: &HashMap<&str, &Known>,
        key: &str,
        root: &str,
        alias: Option<(&String, &String)>,
    ) {
        let held = known
            .get(key)
            .filter(|row| !row.deleted && row.root.as_deref() == Some(root));
        let strength = match (held, alias) {
            (None, _) => 0,
            (Some(row), Some((_, hash))) if row.hash != *hash => 1,
            (Some(_), _) => 2,
        };
        let stands = self.keys.get(key).is_some_and(|claim| {
            let document = claim.alias_of.is_none() && alias.is_some();
            document || claim.strength >= strength
        });
        if !stands {
            let claim = Claim {
                root: root.to_owned(),
                alias_of: alias.map(|(of, _)| of.clone()),
                strength,
            };
            self.keys.insert(key.to_owned(), claim);
        }
    }

    /// Who has the key of this document, or alias, in its place.
    pub fn stronger(&self, root: &str, document: &BuiltDocument) -> Option<Holder> {
        let claim = self.keys.get(&document.key)?;
        match (&document.kind, &claim.alias_of) {
            _ if claim.root != root => Some(Holder::Root(claim.root.clone())),
            (Kind::Document, None) => None,
            (Kind::Alias { of }, Some(other)) if of == other => None,
            (Kind::Alias { .. }, Some(other)) => Some(Holder::AliasOf(other.clone())),
            (Kind::Alias { .. }, None) => Some(Holder::AliasOf(document.key.clone())),
            (Kind::Document, Some(_)) => None,
        }
    }

    /// Whether the document did not get its key.
    pub fn lost(&self, key: &str, root: &str) -> bool {
        self.lost.contains(&(key.to_owned(), root.to_owned()))
    }

    /// Whether the root is the one that has the key.
    pub fn keeps(&self, key: &str, root: &str) -> bool {
        self.keys.get(key).is_some_and(|claim| claim.root == root)
    }
}
