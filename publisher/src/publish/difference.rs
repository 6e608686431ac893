//! What the sources give against what the mirror has: pure.

use std::collections::{HashMap, HashSet};

use pubsync_schema::mirror::{Known, Row};

use crate::build::Built;

/// What must be written.
#[derive(Debug, Default)]
pub struct Difference {
    /// New or changed documents; a key stands once.
    pub puts: Vec<Changed>,
    /// Live keys, with their roots, that the answer has not: absence means delete.
    pub gone: Vec<(String, String)>,
    pub unchanged: usize,
    pub failed: Vec<Unbuilt>,
    /// Keys that another live root holds.
    pub conflicting: Vec<Conflict>,
}

#[derive(Debug)]
pub struct Changed {
    pub key: String,
    pub root: String,
    pub body: String,
    pub hash: String,
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
    pub holder: String,
}

/// Compares. Failed is not absent: a key that could not be built keeps its row, and where a failure's key is unknown
/// all rows of its root stay.
pub fn between(known: &[Known], built: Vec<Built>) -> Difference {
    let mut difference = Difference::default();
    let by_key: HashMap<&str, &Known> = known.iter().map(|k| (k.key.as_str(), k)).collect();
    let mut spared_roots = HashSet::new();
    let answered = owners(&by_key, &built);
    for built in built {
        for document in built.documents {
            match document {
                Ok(document) => {
                    if let Some(owner) = answered.get(&document.key).filter(|owner| **owner != built.root) {
                        let (key, root, holder) = (document.key, built.root.clone(), owner.clone());
                        difference.conflicting.push(Conflict { key, root, holder });
                        continue;
                    }
                    let same = by_key.get(document.key.as_str()).is_some_and(|k| {
                        !k.deleted && k.hash == document.hash && k.root.as_deref() == Some(&built.root)
                    });
                    if same {
                        difference.unchanged += 1;
                    } else {
                        let (key, root) = (document.key, built.root.clone());
                        difference.puts.push(Changed {
                            key,
                            root,
                            body: document.body,
                            hash: document.hash,
                        });
                    }
                }
                Err(failure) => {
                    if failure.key.is_none() {
                        spared_roots.insert(built.root.clone());
                    }
                    let (key, class, message) = (failure.key, failure.class, failure.message);
                    difference.failed.push(Unbuilt {
                        root: built.root.clone(),
                        key,
                        class,
                        message,
                    });
                }
            }
        }
    }
    for row in known.iter().filter(|k| !k.deleted) {
        let Some(root) = &row.root else { continue };
        // A key that moved to another root of this batch is buried too; its new root digs it out right after.
        let kept = answered.get(&row.key).is_some_and(|owner| owner == root);
        if !kept && !spared_roots.contains(root) {
            difference.gone.push((row.key.clone(), root.clone()));
        }
    }
    difference.gone.sort_unstable();
    difference
}

/// Key → the root of this answer that has it. Where two have it, the one that holds it already; else the first.
fn owners(known: &HashMap<&str, &Known>, built: &[Built]) -> HashMap<String, String> {
    let mut owners: HashMap<String, String> = HashMap::new();
    for built in built {
        let keys = built.documents.iter().filter_map(|document| match document {
            Ok(document) => Some(&document.key),
            Err(failure) => failure.key.as_ref(),
        });
        for key in keys {
            let holds = known
                .get(key.as_str())
                .is_some_and(|k| !k.deleted && k.root.as_deref() == Some(&built.root));
            if holds || !owners.contains_key(key) {
                owners.insert(key.clone(), built.root.clone());
            }
        }
    }
    owners
}

impl Difference {
    /// Takes out of `puts` what the mirror did not accept.
    pub fn conflicts(&mut self, written: &[(String, i64)]) {
        let written: HashSet<&str> = written.iter().map(|w| w.0.as_str()).collect();
        let (accepted, refused) = std::mem::take(&mut self.puts)
            .into_iter()
            .partition(|p| written.contains(p.key.as_str()));
        self.puts = accepted;
        let conflict = |c: Changed| Conflict {
            key: c.key,
            root: c.root,
            holder: String::new(),
        };
        self.conflicting
            .extend::<Vec<Conflict>>(Vec::from_iter(refused).into_iter().map(conflict).collect());
    }

    /// Fills in who holds conflicting keys.
    pub fn name_holders(&mut self, rows: &[Row]) {
        for conflict in self.conflicting.iter_mut().filter(|c| c.holder.is_empty()) {
            let row = rows.iter().find(|r| r.key == conflict.key);
            conflict.holder = row.and_then(|r| r.root.clone()).unwrap_or_else(|| "?".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{BuiltDocument, DocumentFailure};

    fn known(key: &str, root: &str, hash: &str, deleted: bool) -> Known {
        Known {
            key: key.into(),
            root: Some(root.into()),
            hash: hash.into(),
            revision: 1,
            deleted,
        }
    }

    fn doc(key: &str, hash: &str) -> Result<BuiltDocument, DocumentFailure> {
        Ok(BuiltDocument {
            key: key.into(),
            body: "{}".into(),
            hash: hash.into(),
        })
    }

    fn fail(key: Option<&str>) -> Result<BuiltDocument, DocumentFailure> {
        Err(DocumentFailure {
            key: key.map(str::to_owned),
            class: "value",
            message: "NaN".into(),
        })
    }

    #[test]
    fn unchanged_is_silent_absent_is_deleted_new_is_written() {
        let before = [
            known("a", "1", "h", false),
            known("b", "1", "h", false),
            known("c", "2", "h", true),
        ];
        let after = vec![
            Built {
                root: "1".into(),
                documents: vec![doc("a", "h"), doc("n", "h")],
            },
            Built {
                root: "2".into(),
                documents: vec![doc("c", "h")],
            },
        ];
        let d = between(&before, after);
        assert_eq!(d.unchanged, 1);
        assert_eq!(d.gone, [("b".to_owned(), "1".to_owned())]);
        let keys: Vec<_> = d.puts.iter().map(|p| p.key.as_str()).collect();
        assert_eq!(keys, ["n", "c"], "a tombstone with the old hash is dug out again");
    }

    #[test]
    fn failed_is_not_absent() {
        let before = [
            known("a", "1", "h", false),
            known("b", "1", "h", false),
            known("c", "2", "h", false),
        ];
        let after = vec![
            Built {
                root: "1".into(),
                documents: vec![fail(Some("a"))],
            },
            Built {
                root: "2".into(),
                documents: vec![fail(None)],
            },
        ];
        let d = between(&before, after);
        assert_eq!(
            d.gone,
            [("b".to_owned(), "1".to_owned())],
            "a and c keep their rows"
        );
        assert_eq!(d.failed.len(), 2);
    }

    #[test]
    fn a_key_that_moves_within_the_batch_is_buried_and_written() {
        let before = [known("x", "1", "h", false)];
        let after = vec![
            Built {
                root: "1".into(),
                documents: vec![],
            },
            Built {
                root: "2".into(),
                documents: vec![doc("x", "h")],
            },
        ];
        let d = between(&before, after);
        assert_eq!(d.gone, [("x".to_owned(), "1".to_owned())]);
        assert_eq!(d.puts.len(), 1);
        assert_eq!(d.puts[0].root, "2");
    }

    #[test]
    fn the_holder_of_a_key_keeps_it() {
        let after = vec![
            Built {
                root: "1".into(),
                documents: vec![doc("x", "h")],
            },
            Built {
                root: "2".into(),
                documents: vec![doc("x", "g")],
            },
        ];
        let d = between(&[known("x", "2", "g", false)], after);
        assert_eq!((d.puts.len(), d.gone.len(), d.unchanged), (0, 0, 1));
        assert_eq!(
            (d.conflicting[0].root.as_str(), d.conflicting[0].holder.as_str()),
            ("1", "2")
        );
    }

    #[test]
    fn one_key_of_two_roots_is_a_conflict_of_the_second() {
        let after = vec![
            Built {
                root: "1".into(),
                documents: vec![doc("x", "h")],
            },
            Built {
                root: "2".into(),
                documents: vec![doc("x", "g")],
            },
        ];
        let d = between(&[], after);
        assert_eq!(d.puts.len(), 1);
        assert_eq!(
            (d.conflicting[0].root.as_str(), d.conflicting[0].holder.as_str()),
            ("2", "1")
        );
    }
}
