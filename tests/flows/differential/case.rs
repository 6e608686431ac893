//! One case: everything that a seed gives, as data, so that parts can be taken away.

use std::fmt::{self, Display, Formatter};

use pubsync_tests::naive::Engine;

use super::{
    document::{Document, documents},
    features::Features,
    history::{Step, history},
    invent, model,
};
use crate::random::Random;

#[derive(Debug, Clone)]
pub struct Case {
    pub seed: u64,
    pub engine: Engine,
    pub ddl: String,
    pub documents: Vec<Document>,
    /// Rows that are there before the documents are.
    pub load: Vec<String>,
    pub steps: Vec<Step>,
    /// Workers run while the history happens, and only its end is compared.
    pub beside: bool,
    /// How many roots a publisher takes at once.
    pub batch: usize,
}

impl Case {
    /// Even seeds on PostgreSQL, odd ones on SQLite.
    pub fn of_seed(seed: u64) -> Self {
        let random = &mut Random::seeded(seed);
        let engine = if seed.is_multiple_of(2) {
            Engine::Postgres
        } else {
            Engine::Sqlite
        };
        let tables = invent::schema(random);
        let features = Features::some(random);
        let documents = documents(random, &tables, &features);
        let is_manual = |document: &&Document| document.yaml.contains("\ncapture: manual\n");
        let manual: Vec<String> = documents
            .iter()
            .filter(is_manual)
            .map(|d| d.name.clone())
            .collect();
        let (load, steps) = history(random, engine, &tables, &manual);
        let (beside, batch) = (random.percent(25), *random.one_of(&[100, 100, 3]));
        Self {
            seed,
            engine,
            ddl: model::ddl(engine, &tables),
            documents,
            load,
            steps,
            beside,
            batch,
        }
    }

    /// Whether documents go to a target; where one says so, all do.
    pub fn has_target(&self) -> bool {
        self.documents
            .iter()
            .any(|document| document.yaml.contains("\ntargets:\n"))
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "-- seed {} on {:?}, batches of {}",
            self.seed, self.engine, self.batch
        )?;
        if self.beside {
            writeln!(f, "-- workers run beside the statements")?;
        }
        writeln!(f, "{}", self.ddl)?;
        for statement in &self.load {
            writeln!(f, "{statement};")?;
        }
        for document in &self.documents {
            writeln!(f, "# documents/{}.yaml\n{}", document.name, document.yaml)?;
        }
        for step in &self.steps {
            match step {
                Step::Transaction { statements, commit } => {
                    let end = if *commit { "COMMIT" } else { "ROLLBACK" };
                    writeln!(f, "BEGIN;\n{};\n{end};", statements.join(";\n"))?;
                }
                Step::Interleaved { sessions, turns } => {
                    writeln!(f, "-- interleaved")?;
                    let mut left = sessions.each_ref().map(|session| session.iter());
                    for turn in turns {
                        writeln!(
                            f,
                            "/* session {turn} */ {};",
                            left[*turn].next().map_or("", String::as_str)
                        )?;
                    }
                    writeln!(f, "-- both committed")?;
                }
                Step::Announce { document, all } => {
                    let roots = if *all { "all roots" } else { "every second root" };
                    writeln!(f, "-- announce {roots} of {document}")?;
                }
                Step::Relay => writeln!(f, "-- relay")?,
                Step::Settle => writeln!(f, "-- settle and compare")?,
            }
        }
        Ok(())
    }
}
