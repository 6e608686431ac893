//! Everything is done that can be done; then mirror and target are what the rows say.

use std::collections::BTreeMap;

use pubsync_tests::{
    json_schema,
    naive::{Data, Declaration, Kind, Naive},
};

use super::{
    compare::{Announced, Comparison, shelf},
    drive::Play,
    rows::{Mirror, failures, mirror},
};

/// How often failures are tried again before what they leave is compared: one that succeeds may free a key.
const RETRIES: usize = 5;

/// Mirrors by document.
type Mirrors = BTreeMap<String, Mirror>;

impl Play {
    pub async fn settle(&mut self) -> Result<(), String> {
        self.process.drain().await;
        let mut mirrors = self.mirrors().await;
        for _ in 0..RETRIES {
            if !self.retry_failures().await {
                break;
            }
            let again = self.mirrors().await;
            let same = again == mirrors;
            mirrors = again;
            if same {
                break;
            }
        }
        let differences = self.differences(&mirrors).await?;
        if !differences.is_empty() {
            return Err(differences.join("\n"));
        }
        if let Some(shelf) = &self.shelf {
            let shown = |name: &String| (name.clone(), shelf.shown(name));
            self.shown = mirrors.keys().map(shown).collect();
        }
        (self.before, self.is_exact) = (mirrors, true);
        Ok(())
    }

    async fn mirrors(&mut self) -> Mirrors {
        let mut mirrors = Mirrors::new();
        for declaration in &self.declarations {
            let name = &declaration.name;
            let found = mirror(&mut self.sessions[0], self.scratch.database(), name).await;
            mirrors.insert(name.clone(), found);
        }
        mirrors
    }

    /// False where there are none.
    async fn retry_failures(&mut self) -> bool {
        let table = self.scratch.database().own_table("failure");
        let due = format!("UPDATE {table} SET next_attempt = 1");
        let failures = self.sessions[0].execute(&due).await;
        if failures.unwrap_or_else(|error| panic!("{due}: {error}")) == 0 {
            return false;
        }
        self.process.sweep().await;
        self.process.drain().await;
        true
    }

    async fn differences(&mut self, mirrors: &Mirrors) -> Result<Vec<String>, String> {
        let database = self.scratch.database().clone();
        let session = &mut self.sessions[0];
        let paused = session
            .rows(&format!("SELECT * FROM {}", database.own_table("pause")))
            .await;
        if !paused.is_empty() {
            return Ok(vec![format!("paused: {paused:?}")]);
        }
        let now = session.now().await;
        let data = Data::read(session, &self.schema).await;
        let naive = Naive::new(&self.schema, &data).at(&now);
        let (nothing, mut differences) = (Mirror::default(), Vec::new());
        for declaration in &self.declarations {
            let document = declaration.name.as_str();
            let failures = failures(session, &database, document).await?;
            let has_failed = !failures.is_empty();
            let announced = match self.announced.remove(document) {
                Some(announced) => announced,
                None if declaration.is_manual && self.before.contains_key(document) => {
                    Announced::Roots(Default::default())
                }
                None => Announced::All,
            };
            let comparison = Comparison {
                declaration,
                found: naive.documents(declaration),
                roots: naive.roots(declaration).into_iter().collect(),
                announced,
                mirror: &mirrors[document],
                before: self.before.get(document).unwrap_or(&nothing),
                is_exact: self.is_exact,
                failures,
                failed_before: self.failed.contains(document),
            };
            differences.extend(misfits(&self.results[document], &comparison));
            let tally = &mut self.tally;
            if comparison.is_open() {
                tally.sights.add("comparisons left out", 1);
            } else {
                let live = comparison.mirror.live.len();
                tally.compared += live;
                tally.failed += comparison.failures.len();
                for construct in declaration.constructs() {
                    *tally.constructs.entry(construct).or_default() += live;
                }
                differences.extend(comparison.differences(&mut tally.sights));
            }
            if let Some(target) = &self.shelf {
                let (shown, nothing) = (target.shown(document), BTreeMap::new());
                let before = self.shown.get(document).unwrap_or(&nothing);
                differences.extend(shelf(&comparison, &shown, before, &mut tally.sights));
            }
            if self.before.is_empty() {
                let hidden = hidden(&naive, declaration, comparison.found.len());
                tally.sights.add("documents outside of their time", hidden);
            }
            if has_failed {
                self.failed.insert(document.to_owned());
            } else {
                self.failed.remove(document);
            }
        }
        Ok(differences)
    }
}

/// What time alone hides.
fn hidden(naive: &Naive<'_>, declaration: &Declaration, shown: usize) -> usize {
    if declaration.visible.from.is_none() && declaration.visible.until.is_none() {
        return 0;
    }
    let mut open = declaration.clone();
    open.visible = Default::default();
    naive.documents(&open).len() - shown
}

/// Bodies that are not what the JSON Schema of the document promises.
fn misfits(schema: &serde_json::Value, comparison: &Comparison<'_>) -> Vec<String> {
    let found = comparison.found.iter();
    let keys = found.filter_map(|found| found.key.as_ref().filter(|_| found.kind == Kind::Document));
    let held = keys.filter_map(|key| Some((key, &comparison.mirror.live.get(key)?.body)));
    let misfit = |(key, body): (&String, &String)| {
        let problems = match serde_json::from_str(body) {
            Ok(body) => json_schema::problems(schema, &body),
            Err(error) => vec![error.to_string()],
        };
        (!problems.is_empty()).then(|| format!("{key} breaks its schema: {}\n{schema}", problems.join("; ")))
    };
    held.filter_map(misfit).collect()
}
