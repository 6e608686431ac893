//! The mirror against the second reading of the language: keys, exact bodies, revisions, tombstones, and failures where there
//! must be some.

use std::collections::{BTreeMap, BTreeSet};

use pubsync_tests::naive::{Declaration, Found, Kind, alias_body};

use super::rows::{Failures, Held, Live, Mirror, hashed, remains};

/// Of which roots a document without triggers was announced; one with triggers is always built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announced {
    All,
    Roots(BTreeSet<String>),
}

/// What is compared.
pub struct Comparison<'a> {
    pub declaration: &'a Declaration,
    pub found: Vec<Found>,
    /// Ids of all rows of the root's table.
    pub roots: BTreeSet<String>,
    pub announced: Announced,
    pub mirror: &'a Mirror,
    /// When it was last compared.
    pub before: &'a Mirror,
    /// Nothing was built since then but from the rows of now.
    pub is_exact: bool,
    pub failures: Failures,
    pub failed_before: bool,
}

/// What the second reading says in sum.
struct Expected<'a> {
    claims: BTreeMap<&'a str, Vec<&'a Found>>,
    /// Roots of which a key is not known: whatever they had stays.
    unknown: BTreeSet<&'a str>,
    /// Root and body of aliases of a document that failed: they stay as they were.
    kept: BTreeSet<(&'a str, String)>,
    failures: Failures,
}

/// How often something was seen that a construct is there for.
#[derive(Debug, Clone, Default)]
pub struct Sights(pub BTreeMap<&'static str, usize>);

impl Sights {
    pub fn add(&mut self, sight: &'static str, times: usize) {
        if times > 0 {
            *self.0.entry(sight).or_default() += times;
        }
    }
}

impl Comparison<'_> {
    /// One line for each difference.
    pub fn differences(&self, sights: &mut Sights) -> Vec<String> {
        let mut differences = Vec::new();
        let mut expected = self.expected();
        for (key, claimants) in &expected.claims {
            let held = self.mirror.live.get(*key);
            // A row that stays for another root is in the way of all of them.
            let other = |held: &&Held| claimants.iter().all(|found| found.root != held.root);
            if held.filter(other).is_some_and(|held| self.stays(&expected, held)) {
                let failed = claimants
                    .iter()
                    .map(|found| (found.root.clone(), Some((*key).to_owned())));
                expected.failures.extend(failed);
                continue;
            }
            let wrong = match claimants.as_slice() {
                [one] => self.one(key, one, held, &mut expected.failures),
                several => self.several_claim(key, several, held, &mut expected.failures),
            };
            differences.extend(wrong.map(|wrong| format!("{key}: {wrong}")));
        }
        differences.extend(self.unclaimed(&expected, sights));
        let shown = |(root, key): &(String, Option<String>)| format!("root {root}, key {key:?}");
        let missing = expected.failures.difference(&self.failures);
        differences.extend(missing.map(|failure| format!("{} had to fail", shown(failure))));
        let extra = self.failures.difference(&expected.failures);
        differences.extend(extra.map(|failure| format!("{} must not fail", shown(failure))));
        if self.is_exact && self.failures.is_empty() && !self.failed_before {
            differences.extend(self.history(sights));
        }
        let live = self.mirror.live.iter();
        let behind = live.filter(|(_, held)| !self.is_announced(&held.root));
        let behind: usize = behind.map(|(key, held)| self.differs(key, held)).sum();
        sights.add("documents that nobody announced, behind", behind);
        differences
            .into_iter()
            .map(|difference| format!("{}: {difference}", self.declaration.name))
            .collect()
    }

    /// Whether it cannot be said what is built: a root that was not announced joins one that wants its key.
    pub fn is_open(&self) -> bool {
        let Announced::Roots(roots) = &self.announced else {
            return false;
        };
        let mut keys = BTreeSet::new();
        let fails = |found: &Found| found.key.is_none() || found.body.is_err();
        let wants = |found: &Found| {
            let key = found.key.as_ref();
            let holder = key.and_then(|key| self.before.live.get(key));
            holder.is_some_and(|held| held.root != found.root)
        };
        let own = self.found.iter().filter(|found| roots.contains(&found.root));
        let mut own = own.filter(|found| fails(found) || wants(found) || !keys.insert(&found.key));
        self.failed_before || !self.failures.is_empty() || own.next().is_some()
    }

    fn is_announced(&self, root: &str) -> bool {
        match &self.announced {
            Announced::All => true,
            Announced::Roots(roots) => roots.contains(root),
        }
    }

    fn expected(&self) -> Expected<'_> {
        let mut expected = Expected {
            claims: BTreeMap::new(),
            unknown: BTreeSet::new(),
            kept: BTreeSet::new(),
            failures: Failures::new(),
        };
        let announced = || self.found.iter().filter(|found| self.is_announced(&found.root));
        for found in announced() {
            match (&found.key, &found.body) {
                (Some(key), Err(_)) => {
                    expected.kept.insert((&found.root, alias_body(key)));
                }
                (Some(_), Ok(_)) => {}
                (None, _) => {
                    expected.unknown.insert(&found.root);
                    expected.failures.insert((found.root.clone(), None));
                }
            }
        }
        let beaten = self.beaten();
        for found in announced() {
            let leads_nowhere =
                found.kind == Kind::Alias && beaten.contains(&(&found.root, found.body.clone()));
            if let (Some(key), false) = (&found.key, leads_nowhere) {
                expected.claims.entry(key).or_default().push(found);
            }
        }
        expected
    }

    /// Whether nothing is said of a row but that it stays as it is.
    fn stays(&self, expected: &Expected<'_>, held: &Held) -> bool {
        let is_gone = self.declaration.keeps_absent && !self.roots.contains(&held.root);
        expected.unknown.contains(held.root.as_str())
            || expected.kept.contains(&(held.root.as_str(), held.body.clone()))
            || is_gone
            || !self.is_announced(&held.root)
    }

    /// Rows that nothing gives.
    fn unclaimed(&self, expected: &Expected<'_>, sights: &mut Sights) -> Vec<String> {
        let mut differences = Vec::new();
        for (key, held) in &self.mirror.live {
            if expected.claims.contains_key(key.as_str()) {
                continue;
            }
            if !self.stays(expected, held) {
                differences.push(format!("{key}: no row gives it, but it is there: {}", held.body));
            } else if self.is_exact && self.before.live.get(key) != Some(held) {
                differences.push(format!("{key}: it had to stay as it was, but is {held:?}"));
            }
        }
        for (key, held) in &self.before.live {
            if !self.stays(expected, held) {
                continue;
            }
            let is_gone = self.declaration.keeps_absent && !self.roots.contains(&held.root);
            sights.add("documents of vanished roots that stay", usize::from(is_gone));
            if self.is_exact && !self.mirror.live.contains_key(key) {
                differences.push(format!("{key}: it had to stay: {}", held.body));
            }
        }
        differences
    }

    /// Root and alias body of documents whose key another root holds: they are not there, and so are no aliases to them.
    fn beaten(&self) -> BTreeSet<(&str, Result<String, String>)> {
        let documents = self.found.iter().filter(|found| found.kind == Kind::Document);
        let beaten = documents.filter_map(|found| {
            let key = found.key.as_ref()?;
            let held = self.mirror.live.get(key)?;
            (held.root != found.root).then(|| (found.root.as_str(), Ok(alias_body(key))))
        });
        beaten.collect()
    }

    fn one(&self, key: &str, one: &Found, held: Option<&Held>, expected: &mut Failures) -> Option<String> {
        match &one.body {
            Ok(body) => self.wrong(key, one, body, held),
            Err(_) => {
                expected.insert((one.root.clone(), Some(key.to_owned())));
                let before = self.before.live.get(key).filter(|before| before.root == one.root);
                let stayed = match (held, before) {
                    (None, None) => true,
                    (Some(held), Some(before)) if self.is_exact => held == before,
                    (Some(held), _) => !self.is_exact && held.root == one.root,
                    (None, Some(_)) => !self.is_exact,
                };
                (!stayed).then(|| format!("it failed, so it had to stay {before:?}, but is {held:?}"))
            }
        }
    }

    fn wrong(&self, key: &str, found: &Found, body: &str, held: Option<&Held>) -> Option<String> {
        let Some(held) = held else {
            return Some(format!("missing; it is {body}"));
        };
        if held.root != found.root {
            let (root, other) = (&found.root, &held.root);
            return Some(format!("it is of root {root}, but of {other} there"));
        }
        if held.body == body || self.is_old_but_equal(key, found, body, held) {
            return None;
        }
        Some(format!("it is {body}\n    but there is {}", held.body))
    }

    /// Only members changed that are no reason to write.
    fn is_old_but_equal(&self, key: &str, found: &Found, body: &str, held: &Held) -> bool {
        let declaration = self.declaration;
        let stood = || {
            let before = self.before.live.get(key);
            before.is_some_and(|before| before.body == held.body && before.root == held.root)
        };
        found.kind == Kind::Document
            && !declaration.unhashed.is_empty()
            && hashed(declaration, body) == hashed(declaration, &held.body)
            && (!self.is_exact || stood())
    }

    /// One of them holds the key; the others fail.
    fn several_claim(
        &self,
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
                body.and_then(|body| self.wrong(key, holder, body, held))
            }
            (None, Some(held)) => Some(format!("several roots give it, none of them holds it: {held:?}")),
            // Who cannot be built may be taken for the holder.
            (None, None) if claimants.iter().any(|found| found.body.is_err()) => None,
            (None, None) => Some("several roots give it, but nobody has it".to_owned()),
        }
    }

    /// Against what stood before: what is equal is not written again, what is changed has a higher revision, and what is
    /// gone leaves what it must.
    fn history(&self, sights: &mut Sights) -> Vec<String> {
        let mut differences = Vec::new();
        for (key, before) in &self.before.live {
            match self.mirror.live.get(key) {
                Some(held) if held.root != before.root => {}
                Some(held) if held.body == before.body => {
                    if held.revision != before.revision {
                        differences.push(format!("{key}: nothing changed, but its revision is {held:?}"));
                    }
                    sights.add("unhashed members that did not count", self.differs(key, held));
                }
                Some(held) => {
                    let counts = self.declaration.unhashed.is_empty()
                        || hashed(self.declaration, &held.body) != hashed(self.declaration, &before.body);
                    if !counts || held.revision <= before.revision {
                        differences.push(format!("{key}: of {before:?} became {held:?}"));
                    }
                }
                None => {
                    let remains = remains(self.declaration, &before.body);
                    let grave = self.mirror.graves.get(key);
                    sights.add("tombstones that hold something", usize::from(!remains.is_empty()));
                    if grave != Some(&remains) {
                        differences.push(format!("{key}: on its tombstone is {grave:?}, not {remains:?}"));
                    }
                }
            }
        }
        differences
    }

    /// 1 where the body is not what the rows say.
    fn differs(&self, key: &str, held: &Held) -> usize {
        let is_it = |found: &&Found| found.key.as_deref() == Some(key) && found.root == held.root;
        let found = self.found.iter().find(is_it);
        usize::from(found.is_some_and(|found| found.body.as_ref() != Ok(&held.body)))
    }
}

/// What a target shows against the mirror: what passes the filter, and nothing else. `before`: what it showed when it was
/// last compared.
pub fn shelf(
    comparison: &Comparison<'_>,
    shown: &BTreeMap<String, String>,
    before: &BTreeMap<String, String>,
    sights: &mut Sights,
) -> Vec<String> {
    let mut goes: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for found in &comparison.found {
        if let Some(key) = &found.key {
            goes.insert((key, &found.root), found.goes);
        }
    }
    let mut differences = Vec::new();
    let live: &Live = &comparison.mirror.live;
    for (key, held) in live {
        let goes = match goes.get(&(key.as_str(), held.root.as_str())) {
            Some(goes) => *goes,
            // What is not evaluated stays where it was.
            None if comparison.is_exact => before.contains_key(key),
            None => shown.contains_key(key),
        };
        sights.add("documents that a filter leaves out", usize::from(!goes));
        let there = shown.get(key);
        if there != Some(&held.body).filter(|_| goes) {
            differences.push(format!(
                "{key}: passes the filter: {goes}; it is {}\n    but the target shows {there:?}",
                held.body
            ));
        }
    }
    let extra = shown.keys().filter(|key| !live.contains_key(*key));
    differences.extend(extra.map(|key| format!("{key}: gone, but the target shows it")));
    differences
        .into_iter()
        .map(|difference| format!("{}: target: {difference}", comparison.declaration.name))
        .collect()
}
