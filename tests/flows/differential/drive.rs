//! Plays a case: an application on one side, the parts of the product on the other, in one process and step by step.

use std::{collections::BTreeMap, sync::Arc};

use pubsync_publisher::{
    language::SourceFile,
    operate::apply::{self, Apply, ApplyError},
    plan::result_schema,
};
use pubsync_schema::store::Store;
use pubsync_tests::{
    Scratch, Session, json_schema,
    naive::{Data, Declaration, Engine, Found, Kind, Naive, Schema},
};
use pubsync_worker::broker::{Broker, memory::MemoryBroker};

use super::{
    case::Case,
    compare::{Comparison, Mirror, failures, mirror},
    databases::Databases,
    document::Document,
    history::Step,
};
use crate::convergence::process::Process;

/// How much a case was worth.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub documents: usize,
    /// Documents that `check` refused, with the reason.
    pub refused: Vec<String>,
    /// Live documents compared, over all comparisons.
    pub compared: usize,
    /// Documents that had to fail.
    pub failed: usize,
    pub statements: usize,
    /// Statements that the database refused.
    pub rejected: usize,
}

const CONNECTIONS: u32 = 3;

/// How often failures are tried again before what they leave is compared: one that succeeds may free a key.
const RETRIES: usize = 5;

struct Play {
    scratch: Scratch,
    process: Process,
    /// The application's.
    sessions: [Session; 2],
    schema: Schema,
    declarations: Vec<Declaration>,
    /// The JSON Schema of each document's body.
    results: BTreeMap<String, serde_json::Value>,
    before: BTreeMap<String, Mirror>,
    tally: Tally,
}

/// # Errors
/// The differences.
pub async fn play(databases: &Databases, case: &Case) -> Result<Tally, String> {
    let scratch = databases.take(case.engine).await;
    let mut play = Play::begin(scratch, case).await?;
    for (number, step) in case.steps.iter().enumerate() {
        play.step(step)
            .await
            .map_err(|error| format!("step {number}: {error}"))?;
    }
    let Play { scratch, tally, .. } = play;
    databases.give_back(case.engine, scratch).await;
    Ok(tally)
}

async fn run(session: &mut Session, sql: &str) -> Result<(), String> {
    session
        .execute(sql)
        .await
        .map(|_| ())
        .map_err(|error| format!("{sql}\n{error}"))
}

/// The files that the product takes.
async fn accepted(
    store: &Store,
    documents: &[Document],
    tally: &mut Tally,
) -> Result<Vec<SourceFile>, String> {
    let mut accepted = Vec::new();
    for document in documents {
        let file = SourceFile {
            name: format!("{}.yaml", document.name),
            text: document.yaml.clone(),
        };
        tally.documents += 1;
        match apply::check(store, std::slice::from_ref(&file), &[]).await {
            Ok(_) => accepted.push(file),
            Err(error @ ApplyError::Documents(_)) => tally.refused.push(error.to_string()),
            Err(error) => return Err(format!("check: {error}\n{}", file.text)),
        }
    }
    Ok(accepted)
}

async fn results(store: &Store, files: &[SourceFile]) -> Result<BTreeMap<String, serde_json::Value>, String> {
    let checked = apply::check(store, files, &[]).await;
    let (_, documents) = checked.map_err(|error| format!("check: {error}"))?;
    let result = |document| result_schema(document, store.dialect());
    Ok(documents
        .iter()
        .map(|document| (document.name.clone(), result(document)))
        .collect())
}

/// Bodies that are not what the JSON Schema of the document promises.
fn misfits(schema: &serde_json::Value, comparison: &Comparison<'_>) -> Vec<String> {
    let is_document = |found: &&Found| found.kind == Kind::Document;
    let keys = comparison
        .found
        .iter()
        .filter(is_document)
        .filter_map(|found| found.key.as_ref());
    let held = keys.filter_map(|key| Some((key, &comparison.mirror.get(key)?.body)));
    let misfit = |(key, body): (&String, &String)| {
        let problems = match serde_json::from_str(body) {
            Ok(body) => json_schema::problems(schema, &body),
            Err(error) => vec![error.to_string()],
        };
        (!problems.is_empty()).then(|| format!("{key} breaks its schema: {}\n{schema}", problems.join("; ")))
    };
    held.filter_map(misfit).collect()
}

impl Play {
    /// Tables, rows and definitions; nothing is published yet.
    async fn begin(scratch: Scratch, case: &Case) -> Result<Self, String> {
        let mut sessions = [scratch.session().await, scratch.session().await];
        if case.engine == Engine::Postgres {
            // Two sessions take turns in one task: who waits for the other would wait for ever.
            for session in &mut sessions {
                run(session, "SET lock_timeout = '40ms'").await?;
            }
        }
        let session = &mut sessions[0];
        run(session, &case.ddl).await?;
        let mut tally = Tally::default();
        for statement in &case.load {
            tally.statements += 1;
            tally.rejected += usize::from(session.execute(statement).await.is_err());
        }
        let mut schema = Schema::read(session).await;
        let store = Store::connect(&scratch.url(), "pubsync", CONNECTIONS)
            .await
            .map_err(|error| error.to_string())?;
        let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new(10_000));
        let accepted = accepted(&store, &case.documents, &mut tally).await?;
        let results = results(&store, &accepted).await?;
        let targets = BTreeMap::new();
        let apply = Apply {
            store: &store,
            url: &scratch.url(),
            broker: &*broker,
            targets: &targets,
            files: &accepted,
            publishers: &pubsync_publisher::handwritten::Publishers::default(),
        };
        apply.run().await.map_err(|error| format!("apply: {error}"))?;
        let declarations: Vec<Declaration> = accepted
            .iter()
            .map(|file| Declaration::parse(&file.text))
            .collect();
        for declaration in &declarations {
            schema.add_queries(&mut sessions[0], declaration).await;
        }
        let process = Process::start(store, broker, Arc::new(targets)).await;
        Ok(Self {
            scratch,
            process,
            sessions,
            schema,
            declarations,
            results,
            before: BTreeMap::new(),
            tally,
        })
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Transaction { statements, commit } => {
                let end = if *commit { "COMMIT" } else { "ROLLBACK" };
                self.open(0).await?;
                let mut open = true;
                for statement in statements {
                    open = open && self.statement(0, statement).await?;
                }
                if open { self.end(0, end).await } else { Ok(()) }
            }
            Step::Interleaved { sessions, turns } => self.interleaved(sessions, turns).await,
            Step::Relay => {
                self.process.relay().await;
                Ok(())
            }
            Step::Settle => self.settle().await,
        }
    }

    /// Each commits right after its last statement.
    async fn interleaved(&mut self, sessions: &[Vec<String>; 2], turns: &[usize]) -> Result<(), String> {
        let mut open = [false; 2];
        let mut next = [0; 2];
        for &turn in turns {
            let statements = &sessions[turn];
            if next[turn] == 0 {
                self.open(turn).await?;
                open[turn] = true;
            }
            if let (true, Some(statement)) = (open[turn], statements.get(next[turn])) {
                open[turn] = self.statement(turn, statement).await?;
            }
            next[turn] += 1;
            if open[turn] && next[turn] >= statements.len() {
                self.end(turn, "COMMIT").await?;
                open[turn] = false;
            }
        }
        for session in (0..2).filter(|session| open[*session]) {
            self.end(session, "ROLLBACK").await?;
        }
        Ok(())
    }

    async fn open(&mut self, session: usize) -> Result<(), String> {
        run(&mut self.sessions[session], "BEGIN").await
    }

    async fn end(&mut self, session: usize, end: &str) -> Result<(), String> {
        run(&mut self.sessions[session], end).await
    }

    /// False where the database refused it; then the transaction is over. What a savepoint did not hold is no error.
    async fn statement(&mut self, session: usize, sql: &str) -> Result<bool, String> {
        self.tally.statements += 1;
        let session = &mut self.sessions[session];
        match session.execute(sql).await {
            Ok(_) => Ok(true),
            Err(error) => {
                let code = error
                    .as_database_error()
                    .and_then(|error| error.code())
                    .unwrap_or_default();
                // Syntax and unknown names are mistakes of the generator, broken triggers one of the product.
                let expected = code.starts_with("23")
                    || matches!(
                        &*code,
                        "55P03" | "40P01" | "787" | "1299" | "1555" | "2067" | "1811"
                    );
                if !expected {
                    return Err(format!("{sql}\n{error} (code {code})"));
                }
                self.tally.rejected += 1;
                run(session, "ROLLBACK").await?;
                Ok(false)
            }
        }
    }

    /// Everything is done that can be done; then the mirror is what the rows say.
    async fn settle(&mut self) -> Result<(), String> {
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
        self.before = mirrors;
        Ok(())
    }

    async fn mirrors(&mut self) -> BTreeMap<String, Mirror> {
        let mut mirrors = BTreeMap::new();
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

    async fn differences(&mut self, mirrors: &BTreeMap<String, Mirror>) -> Result<Vec<String>, String> {
        let database = self.scratch.database().clone();
        let session = &mut self.sessions[0];
        let paused = session
            .rows(&format!("SELECT * FROM {}", database.own_table("pause")))
            .await;
        if !paused.is_empty() {
            return Ok(vec![format!("paused: {paused:?}")]);
        }
        let data = Data::read(session, &self.schema).await;
        let naive = Naive::new(&self.schema, &data);
        let (nothing, mut differences) = (Mirror::new(), Vec::new());
        for declaration in &self.declarations {
            let document = declaration.name.as_str();
            let comparison = Comparison {
                document,
                found: naive.documents(declaration),
                mirror: &mirrors[document],
                before: self.before.get(document).unwrap_or(&nothing),
                failures: failures(session, &database, document).await?,
            };
            differences.extend(misfits(&self.results[document], &comparison));
            self.tally.compared += comparison.mirror.len();
            self.tally.failed += comparison.failures.len();
            differences.extend(comparison.differences());
        }
        Ok(differences)
    }
}
