//! What should be there, what is there, and how the two moved.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::example::Declared;

/// Of one document: key → what must stand there.
pub type Bodies = BTreeMap<String, Body>;
/// By the document's name. What did not change is shared.
pub type Documents = BTreeMap<String, Rc<Bodies>>;
/// By the document's name. What did not change is shared.
pub type Mirror = BTreeMap<String, Rc<Rows>>;

/// What the evaluator says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub root: String,
    /// Without what does not count as a change.
    pub text: String,
}

/// The mirror of one document.
#[derive(Debug, Default)]
pub struct Rows {
    /// Of all revisions: another one means that a row changed.
    pub fingerprint: Vec<Option<String>>,
    pub by_key: BTreeMap<String, MirrorRow>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorRow {
    pub revision: i64,
    /// `None`: a tombstone.
    pub body: Option<String>,
}

/// From the text of key, revision and body.
pub fn mirror_row(row: Vec<Option<String>>) -> (String, MirrorRow) {
    let [Some(key), Some(revision), body] = &row[..] else {
        panic!("a row with a null: {row:?}")
    };
    let row = MirrorRow {
        revision: revision.parse().expect("a revision"),
        body: body.clone(),
    };
    (key.clone(), row)
}

/// A document's name and a key of it.
pub type Key = (String, String);

/// What changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// New, gone, or with another body: must have a new revision.
    pub bodies: BTreeSet<Key>,
    /// As it was, but of another row: may have one.
    pub roots: BTreeSet<Key>,
}

/// What the evaluator sees change.
pub fn expected_changes(before: &Documents, after: &Documents) -> Changes {
    let mut changes = Changes::default();
    for (document, after) in after {
        let before = &before[document];
        if Rc::ptr_eq(before, after) {
            continue;
        }
        for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let name = || (document.clone(), key.clone());
            match (before.get(key), after.get(key)) {
                (Some(before), Some(after)) if before == after => {}
                (Some(before), Some(after)) if before.text == after.text => {
                    changes.roots.insert(name());
                }
                _ => {
                    changes.bodies.insert(name());
                }
            }
        }
    }
    changes
}

/// Keys whose revision is another one.
pub fn new_revisions(before: &Mirror, after: &Mirror) -> BTreeSet<Key> {
    let mut changed = BTreeSet::new();
    for (document, after) in after {
        let before = &before[document];
        if Rc::ptr_eq(before, after) {
            continue;
        }
        let revision = |rows: &Rows, key: &String| rows.by_key.get(key).map(|row| row.revision);
        // Rows of a mirror never go, so those of `after` are all.
        let keys = after
            .by_key
            .keys()
            .filter(|key| revision(before, key) != revision(after, key));
        changed.extend(keys.map(|key| (document.clone(), key.clone())));
    }
    changed
}

impl Declared {
    /// The body without the members under `unhashed`.
    pub fn hashed(&self, body: &str) -> String {
        if self.unhashed.is_empty() {
            return body.to_owned();
        }
        // Raw values keep every digit and blank of what stays.
        let members: Members = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        let kept = members
            .0
            .into_iter()
            .filter(|(name, _)| !self.unhashed.contains(name));
        kept.map(|(name, value)| format!("{name}:{value}\n")).collect()
    }

    /// All live rows are these, byte by byte, and there are no others.
    pub fn assert_equal(&self, what: &str, expected: &Bodies, mirror: &Rows) {
        let live = mirror
            .by_key
            .iter()
            .filter_map(|(key, row)| Some((key, row.body.as_deref()?)));
        let live: BTreeMap<&String, String> = live.map(|(key, body)| (key, self.hashed(body))).collect();
        let mut wrong = Vec::new();
        for (key, body) in expected {
            match live.get(key) {
                None => wrong.push(format!("{key} is missing")),
                Some(found) if *found != body.text => {
                    wrong.push(format!("{key}\n  mirror:    {found}\n  evaluator: {}", body.text));
                }
                Some(_) => {}
            }
        }
        let strange = live.keys().filter(|key| !expected.contains_key(**key));
        wrong.extend(strange.map(|key| format!("{key} should not be there")));
        let count = wrong.len();
        wrong.truncate(5);
        assert!(
            wrong.is_empty(),
            "{what}: {count} of {} keys of {} are wrong:\n{}",
            expected.len(),
            self.name,
            wrong.join("\n")
        );
    }
}

/// A JSON object in its own order.
struct Members(Vec<(String, String)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) =
                    map.next_entry::<String, Box<serde_json::value::RawValue>>()?
                {
                    members.push((name, value.get().to_owned()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
