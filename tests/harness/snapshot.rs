//! All documents as they stand in the mirror and in every target, and how they differ from what was expected.

use std::{collections::BTreeMap, fmt::Write};

use crate::Json;

const SHOWN_DIFFERENCES: usize = 20;

/// Stored documents by key.
pub type Documents = BTreeMap<String, Stored>;
/// The documents that must be there: by document, then by key.
pub type Expected = BTreeMap<String, BTreeMap<String, Json>>;

/// A document as it is stored: its body without `_revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub revision: i64,
    pub body: Json,
}

impl Stored {
    /// Reads text whose first member must be `_revision`.
    pub(crate) fn with_revision_first(key: &str, text: &str) -> Self {
        let mut members = Json::members(text).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert!(
            members.first().is_some_and(|first| first.0 == "_revision"),
            "{key} does not begin with _revision: {text}"
        );
        let revision = members.remove(0).1.get().parse();
        Self {
            revision: revision.unwrap_or_else(|error| panic!("{key}: _revision: {error}: {text}")),
            body: Json::object(members).unwrap_or_else(|error| panic!("{key}: {error}")),
        }
    }

    pub(crate) fn new(key: &str, revision: &str, body: &str) -> Self {
        let revision = revision
            .parse()
            .unwrap_or_else(|error| panic!("{key}: revision {revision}: {error}"));
        Self {
            revision,
            body: Json::parse(body).unwrap_or_else(|error| panic!("{key}: {error}")),
        }
    }
}

/// What stood in the mirror and in the targets at one time. Nothing else was running, else it is a blurred picture.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Live rows, by document.
    pub mirror: BTreeMap<String, Documents>,
    /// Key-value stores by name; they hold all documents in one space of keys.
    pub stores: BTreeMap<String, Documents>,
    /// The index of each document, where there is OpenSearch.
    pub indexes: BTreeMap<String, Documents>,
}

impl Snapshot {
    /// # Panics
    /// Unless the mirror holds exactly the expected documents, and every target exactly the mirror's, with its revisions.
    #[track_caller]
    pub fn assert_equals(&self, expected: &Expected) {
        let differences = self.differences(expected);
        if differences.is_empty() {
            return;
        }
        let mut report = format!("{} differences", differences.len());
        for difference in differences.iter().take(SHOWN_DIFFERENCES) {
            let _ = write!(report, "\n  {difference}");
        }
        panic!("{report}");
    }

    /// One line for each document that is missing, too many or not as expected, in each place.
    #[must_use]
    pub fn differences(&self, expected: &Expected) -> Vec<String> {
        let mut found = Vec::new();
        for (document, expected) in expected {
            compare(
                &format!("mirror of {document}"),
                expected,
                &self.mirror[document],
                None,
                &mut found,
            );
            if let Some(index) = self.indexes.get(document) {
                compare(
                    &format!("index {document}"),
                    expected,
                    index,
                    self.mirror.get(document),
                    &mut found,
                );
            }
        }
        let all = expected
            .values()
            .flatten()
            .map(|(key, body)| (key.clone(), body.clone()))
            .collect();
        let rows: Documents = self
            .mirror
            .values()
            .flatten()
            .map(|(key, row)| (key.clone(), row.clone()))
            .collect();
        for (store, documents) in &self.stores {
            compare(store, &all, documents, Some(&rows), &mut found);
        }
        found
    }
}

fn compare(
    place: &str,
    expected: &BTreeMap<String, Json>,
    found: &Documents,
    mirror: Option<&Documents>,
    differences: &mut Vec<String>,
) {
    for (key, body) in expected {
        let Some(stored) = found.get(key) else {
            differences.push(format!("{place}: {key} is missing"));
            continue;
        };
        if let Some(difference) = body.difference(&stored.body) {
            differences.push(format!("{place}: {key}: {difference}"));
        } else if let Some(row) = mirror.and_then(|mirror| mirror.get(key))
            && row.revision != stored.revision
        {
            differences.push(format!(
                "{place}: {key} has revision {}, the mirror {}",
                stored.revision, row.revision
            ));
        }
    }
    let orphans = found.keys().filter(|key| !expected.contains_key(*key));
    differences.extend(orphans.map(|key| format!("{place}: {key} should not be there")));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Documents, Expected, Snapshot, Stored};
    use crate::Json;

    fn one(key: &str, revision: i64, body: &str) -> Documents {
        Documents::from([(
            key.to_owned(),
            Stored {
                revision,
                body: Json::parse(body).unwrap(),
            },
        )])
    }

    fn differences(mirror: Documents, store: Documents, index: Documents) -> Vec<String> {
        let of = |documents| BTreeMap::from([("order".to_owned(), documents)]);
        let snapshot = Snapshot {
            mirror: of(mirror),
            stores: of(store),
            indexes: of(index),
        };
        let body = Json::parse(r#"{"total":19.90}"#).unwrap();
        snapshot.differences(&Expected::from([(
            "order".to_owned(),
            BTreeMap::from([("order:1".to_owned(), body)]),
        )]))
    }

    #[test]
    fn equal_places_have_no_differences() {
        let same = || one("order:1", 7, r#"{"total":19.9}"#);
        assert_eq!(differences(same(), same(), same()), Vec::<String>::new());
    }

    #[test]
    fn every_place_and_the_revisions_are_compared() {
        let same = || one("order:1", 7, r#"{"total":19.9}"#);
        let stale = one("order:1", 6, r#"{"total":19.9}"#);
        let wrong = one("order:1", 7, r#"{"total":20}"#);
        let orphan = one("order:2", 7, r#"{"total":19.9}"#);
        assert_eq!(
            differences(wrong, same(), same()),
            ["mirror of order: order:1: $.total is 20 instead of 19.9"]
        );
        assert_eq!(
            differences(same(), stale, same()),
            ["order: order:1 has revision 6, the mirror 7"]
        );
        assert_eq!(
            differences(same(), same(), orphan),
            [
                "index order: order:1 is missing",
                "index order: order:2 should not be there"
            ]
        );
    }
}
