//! The mirror against the second reading of the language: keys, exact bodies, and failures where there must be some.

use std::collections::{BTreeMap, BTreeSet};

use pubsync_tests::{
    Database, Session,
    naive::{Found, Kind, alias_body},
};

/// A live row of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub root: String,
    pub body: String,
}

/// Live rows by key.
pub type Mirror = BTreeMap<String, Held>;

/// Root and key of what failed.
type Failures = BTreeSet<(String, Option<String>)>;

pub async fn mirror(session: &mut Session, database: &Database, document: &str) -> Mirror {
    let table = database.own_table(&format!("mirror_{document}"));
    let sql = format!("SELECT key, root, body FROM {table} WHERE deleted_at IS NULL");
    let rows = session.rows(&sql).await.into_iter();
    rows.map(|mut row| {
        let mut text = |at: usize| row[at].take().unwrap_or_default();
        let (key, root, body) = (text(0), text(1), text(2));
        (key, Held { root, body })
    })
    .collect()
}

pub async fn failures(
    session: &mut Session,
    database: &Database,
    document: &str,
) -> Result<Failures, String> {
    let table = database.own_table("failure");
    let sql = format!("SELECT root, key, stage, class, error FROM {table} WHERE document = '{document}'");
    let mut found = Failures::new();
    for row in session.rows(&sql).await {
        match &row[..] {
            [Some(root), key, Some(stage), ..] if stage == "publish" => {
                found.insert((root.clone(), key.clone()));
            }
            other => {
                return Err(format!(
                    "{document}: a failure that no document explains: {other:?}"
                ));
            }
        }
    }
    Ok(found)
}

/// What is compared.
pub struct Comparison<'a> {
    pub document: &'a str,
    pub found: Vec<Found>,
    pub mirror: &'a Mirror,
    /// When it was last compared. Nothing was built since but from the rows of now.
    pub before: &'a Mirror,
    pub failures: Failures,
}

impl Comparison<'_> {
    /// One line for each difference.
    pub fn differences(&self) -> Vec<String> {
        let mut differences = Vec::new();
        let mut claims: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
        // Roots of which a key is not known: whatever they had stays.
        let mut unknown: BTreeSet<&str> = BTreeSet::new();
        let mut expected = Failures::new();
        // Aliases of a document that failed stay as they were.
        let mut kept: BTreeSet<(&str, String)> = BTreeSet::new();
        for found in &self.found {
            match (&found.key, &found.body) {
                (Some(key), Err(_)) => {
                    kept.insert((&found.root, alias_body(key)));
                }
                (Some(_), Ok(_)) => {}
                (None, _) => {
                    unknown.insert(&found.root);
                    expected.insert((found.root.clone(), None));
                }
            }
        }
        let beaten = self.beaten();
        for found in &self.found {
            let leads_nowhere =
                found.kind == Kind::Alias && beaten.contains(&(&found.root, found.body.clone()));
            if let (Some(key), false) = (&found.key, leads_nowhere) {
                claims.entry(key).or_default().push(found);
            }
        }
        let stays = |held: &Held| {
            unknown.contains(held.root.as_str()) || kept.contains(&(held.root.as_str(), held.body.clone()))
        };
        for (key, claimants) in &claims {
            let held = self.mirror.get(*key);
            // A row that stays for another root is in the way of all of them.
            let other = |held: &&Held| claimants.iter().all(|found| found.root != held.root);
            if held.filter(other).is_some_and(stays) {
                let failed = claimants
                    .iter()
                    .map(|found| (found.root.clone(), Some((*key).to_owned())));
                expected.extend(failed);
                continue;
            }
            let wrong = match claimants.as_slice() {
                [one] => self.one(key, one, held, &mut expected),
                several => several_claim(key, several, held, &mut expected),
            };
            differences.extend(wrong.map(|wrong| format!("{key}: {wrong}")));
        }
        for (key, held) in self.mirror {
            if !claims.contains_key(key.as_str()) && !stays(held) {
                differences.push(format!("{key}: no row gives it, but it is there: {}", held.body));
            }
        }
        for (key, held) in self.before {
            if stays(held) && !self.mirror.contains_key(key) {
                differences.push(format!(
                    "{key}: its root failed, so it had to stay: {}",
                    held.body
                ));
            }
        }
        let shown = |(root, key): &(String, Option<String>)| format!("root {root}, key {key:?}");
        let missing = expected.difference(&self.failures);
        differences.extend(missing.map(|failure| format!("{} had to fail", shown(failure))));
        let extra = self.failures.difference(&expected);
        differences.extend(extra.map(|failure| format!("{} must not fail", shown(failure))));
        differences
            .into_iter()
            .map(|difference| format!("{}: {difference}", self.document))
            .collect()
    }

    /// Root and alias body of documents whose key another root holds: they are not there, and so are no aliases to them.
    fn beaten(&self) -> BTreeSet<(&str, Result<String, String>)> {
        let documents = self.found.iter().filter(|found| found.kind == Kind::Document);
        let beaten = documents.filter_map(|found| {
            let key = found.key.as_ref()?;
            let held = self.mirror.get(key)?;
            (held.root != found.root).then(|| (found.root.as_str(), Ok(alias_body(key))))
        });
        beaten.collect()
    }

    fn one(&self, key: &str, one: &Found, held: Option<&Held>, expected: &mut Failures) -> Option<String> {
        match &one.body {
            Ok(body) => wrong(one, body, held),
            Err(_) => {
                expected.insert((one.root.clone(), Some(key.to_owned())));
                let before = self.before.get(key).filter(|before| before.root == one.root);
                match (held, before) {
                    (None, None) => None,
                    (held, Some(before)) if held == Some(before) => None,
                    (held, before) => Some(format!(
                        "it failed, so it had to stay {before:?}, but is {held:?}"
                    )),
                }
            }
        }
    }
}

fn wrong(found: &Found, body: &str, held: Option<&Held>) -> Option<String> {
    match held {
        None => Some(format!("missing; it is {body}")),
        Some(held) if held.body != body => Some(format!("it is {body}\n    but there is {}", held.body)),
        Some(held) if held.root != found.root => Some(format!(
            "it is of root {}, but of {} there",
            found.root, held.root
        )),
        Some(_) => None,
    }
}

/// One of them holds the key; the others fail.
fn several_claim(
    key: &str,
    claimants: &[&Found],
    held: Option<&Held>,
    expected: &mut Failures,
) -> Option<String> {
    // A root can give an alias for several of its documents.
    let is_held = |found: &&&Found| {
        let mine = |held: &Held| found.kind == Kind::Document || found.body.as_ref() == Ok(&held.body);
        held.is_some_and(|held| held.root == found.root && mine(held))
    };
    let holder = claimants.iter().find(is_held);
    for found in claimants {
        let holds = holder.is_some_and(|holder| holder == found && holder.body.is_ok());
        if !holds {
            expected.insert((found.root.clone(), Some(key.to_owned())));
        }
    }
    match (holder, held) {
        (Some(holder), held) => {
            let body = holder.body.as_ref().ok();
            body.and_then(|body| wrong(holder, body, held))
        }
        (None, Some(held)) => Some(format!("several roots give it, none of them holds it: {held:?}")),
        // Who cannot be built may be taken for the holder.
        (None, None) if claimants.iter().any(|found| found.body.is_err()) => None,
        (None, None) => Some("several roots give it, but nobody has it".to_owned()),
    }
}
