//! Plays a case: an application on one side, the parts of the product on the other, in one process and step by step.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pubsync_publisher::{
    handwritten::Publishers,
    language::SourceFile,
    operate::{
        apply::{self, Apply, ApplyError},
        rebuild,
    },
    plan::result_schema,
    workers::{self, Role},
};
use pubsync_schema::store::Store;
use pubsync_synchronizer::{street::Street, target::Target};
use pubsync_tests::{
    Database, Scratch, Session,
    naive::{Data, Declaration, Engine, Naive, Schema},
};
use pubsync_worker::{
    broker::{Broker, memory::MemoryBroker},
    shutdown::{Ending, Shutdown},
};

use super::{
    case::Case,
    compare::{Announced, Sights},
    databases::Databases,
    document::Document,
    history::Step,
    life::TARGET,
    rows::Mirror,
    shelf::Shelf,
};
use crate::convergence::process::Process;

/// How much a case was worth.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub documents: usize,
    /// Cases whose workers ran beside the statements.
    pub beside: usize,
    /// Documents that `check` refused, with the reason.
    pub refused: Vec<String>,
    /// Live documents compared, over all comparisons.
    pub compared: usize,
    /// Documents that had to fail.
    pub failed: usize,
    pub statements: usize,
    /// Statements that the database refused.
    pub rejected: usize,
    /// Bodies compared in documents that use a construct.
    pub constructs: BTreeMap<&'static str, usize>,
    pub sights: Sights,
}

const CONNECTIONS: u32 = 4;

/// Processes whose workers run beside the statements.
const PROCESSES: usize = 2;

pub(super) struct Play {
    pub scratch: Scratch,
    pub process: Process,
    /// The application's.
    pub sessions: [Session; 2],
    pub schema: Schema,
    pub declarations: Vec<Declaration>,
    /// The JSON Schema of each document's body.
    pub results: BTreeMap<String, serde_json::Value>,
    pub shelf: Option<Arc<Shelf>>,
    /// Workers that run beside the statements; then only the end is compared.
    beside: Option<Shutdown>,
    /// By document: what was there when it was last compared.
    pub before: BTreeMap<String, Mirror>,
    pub shown: BTreeMap<String, BTreeMap<String, String>>,
    /// Documents that had failures then.
    pub failed: BTreeSet<String>,
    /// Nothing was built since then.
    pub is_exact: bool,
    /// Documents without triggers, with what was announced since then.
    pub announced: BTreeMap<String, Announced>,
    pub tally: Tally,
}

/// # Errors
/// The differences.
pub async fn play(databases: &Databases, case: &Case) -> Result<Tally, String> {
    let scratch = databases.take(case.engine).await;
    let mut play = Play::begin(scratch, case).await?;
    let played = play.steps(case).await;
    let Play { scratch, tally, .. } = play;
    match played {
        Ok(()) => databases.give_back(case.engine, scratch).await,
        Err(difference) => {
            databases.leave(scratch);
            return Err(difference);
        }
    }
    Ok(tally)
}

async fn run(session: &mut Session, sql: &str) -> Result<(), String> {
    session
        .execute(sql)
        .await
        .map(|_| ())
        .map_err(|error| format!("{sql}\n{error}"))
}

/// What the product takes.
struct Accepted {
    files: Vec<SourceFile>,
    /// The JSON Schema of each document's body.
    results: BTreeMap<String, serde_json::Value>,
}

/// The files that the product takes. To look at the database is dear: it is done once where nothing is refused.
async fn accepted(
    store: &Store,
    documents: &[Document],
    targets: &[&str],
    tally: &mut Tally,
) -> Result<Accepted, String> {
    let file = |document: &Document| SourceFile {
        name: format!("{}.yaml", document.name),
        text: document.yaml.clone(),
    };
    let mut files: Vec<SourceFile> = documents.iter().map(file).collect();
    tally.documents += files.len();
    let mut checked = apply::check(store, &files, targets).await;
    if let Err(ApplyError::Documents(_)) = checked {
        let mut taken = Vec::new();
        for file in files {
            match apply::check(store, std::slice::from_ref(&file), targets).await {
                Ok(_) => taken.push(file),
                Err(error @ ApplyError::Documents(_)) => tally.refused.push(error.to_string()),
                Err(error) => return Err(format!("check: {error}\n{}", file.text)),
            }
        }
        files = taken;
        checked = apply::check(store, &files, targets).await;
    }
    let (_, documents) = checked.map_err(|error| format!("check: {error}"))?;
    let result = |document| result_schema(document, store.dialect());
    let results = documents
        .iter()
        .map(|document| (document.name.clone(), result(document)))
        .collect();
    Ok(Accepted { files, results })
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
        let shelf = case.has_target().then(Arc::<Shelf>::default);
        let target = |shelf: &Arc<Shelf>| (TARGET.to_owned(), shelf.clone() as Arc<dyn Target>);
        let targets: BTreeMap<String, Arc<dyn Target>> = shelf.iter().map(target).collect();
        let names: Vec<&str> = targets.keys().map(String::as_str).collect();
        let Accepted { files, results } = accepted(&store, &case.documents, &names, &mut tally).await?;
        let apply = Apply {
            store: &store,
            url: &scratch.url(),
            broker: &*broker,
            targets: &targets,
            files: &files,
            publishers: &Publishers::default(),
        };
        apply.run().await.map_err(|error| format!("apply: {error}"))?;
        let declarations: Vec<Declaration> =
            files.iter().map(|file| Declaration::parse(&file.text)).collect();
        for declaration in &declarations {
            schema.add_queries(&mut sessions[0], declaration).await;
        }
        let process = Process::start(store, broker, Arc::new(targets)).await;
        let process = process.with(|settings| settings.publisher_batch = case.batch);
        Ok(Self {
            scratch,
            process,
            sessions,
            schema,
            declarations,
            results,
            shelf,
            beside: None,
            before: BTreeMap::new(),
            shown: BTreeMap::new(),
            failed: BTreeSet::new(),
            // Nothing was there before the first comparison.
            is_exact: true,
            announced: BTreeMap::new(),
            tally,
        })
    }

    async fn steps(&mut self, case: &Case) -> Result<(), String> {
        let at = |number: usize| move |error: String| format!("step {number}: {error}");
        for (number, step) in case.steps.iter().enumerate() {
            let is_last = number + 1 == case.steps.len();
            if is_last {
                self.stop_beside().await.map_err(at(number))?;
            }
            self.step(step).await.map_err(at(number))?;
            // The first comparison is of what `apply` builds.
            if number == 0 && case.beside && !is_last {
                self.begin_beside().await?;
            }
        }
        Ok(())
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
            Step::Announce { document, all } => self.announce(document, *all).await,
            // Workers beside the statements do that by themselves.
            Step::Relay | Step::Settle if self.beside.is_some() => Ok(()),
            Step::Relay => {
                self.process.relay().await;
                Ok(())
            }
            Step::Settle => self.settle().await,
        }
    }

    /// Starts whole processes.
    async fn begin_beside(&mut self) -> Result<(), String> {
        let shutdown = Shutdown::manual();
        for number in 0..PROCESSES {
            let street = Street {
                process: format!("beside {number}").into(),
                ..self.process.street.clone()
            };
            let roles = BTreeSet::from(Role::ALL);
            let started = workers::start(&street, &Publishers::default(), &roles, &shutdown).await;
            started.map_err(|error| format!("workers: {error}"))?;
        }
        (self.beside, self.is_exact) = (Some(shutdown), false);
        self.tally.beside += 1;
        Ok(())
    }

    async fn stop_beside(&mut self) -> Result<(), String> {
        let Some(shutdown) = self.beside.take() else {
            return Ok(());
        };
        shutdown.signal();
        match shutdown.finished().await {
            Ending::Finished => {}
            ending => return Err(format!("workers ended as {ending:?}")),
        }
        // Who sweeps keeps its turn for a while, and would sweep alone.
        let lease = self.scratch.database().own_table("lease");
        run(&mut self.sessions[0], &format!("DELETE FROM {lease}")).await
    }

    /// By the application's own call where there is one.
    async fn announce(&mut self, document: &str, all: bool) -> Result<(), String> {
        let declared = self
            .declarations
            .iter()
            .find(|declared| declared.name == document);
        let Some(declaration) = declared.cloned() else {
            return Ok(());
        };
        let store = &self.process.street.store;
        if all {
            let queued = rebuild::publish(store, &[document.to_owned()], None).await;
            queued.map_err(|error| error.to_string())?;
            self.announced.insert(document.to_owned(), Announced::All);
            return Ok(());
        }
        let data = Data::read(&mut self.sessions[0], &self.schema).await;
        let roots = Naive::new(&self.schema, &data).roots(&declaration);
        let some: Vec<String> = roots.into_iter().step_by(2).collect();
        match self.scratch.database() {
            Database::Postgres { .. } => {
                let quoted = some.iter().map(|root| format!("'{}'", root.replace('\'', "''")));
                let list = quoted.collect::<Vec<_>>().join(", ");
                let call = format!("SELECT pubsync.publish('{document}', ARRAY[{list}]::text[])");
                run(&mut self.sessions[0], &call).await?;
            }
            Database::Sqlite { .. } => {
                let queued = rebuild::publish(store, &[document.to_owned()], Some(&some)).await;
                queued.map_err(|error| error.to_string())?;
            }
        }
        let known = self.announced.entry(document.to_owned());
        if let Announced::Roots(roots) = known.or_insert_with(|| Announced::Roots(BTreeSet::new())) {
            roots.extend(some);
        }
        Ok(())
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
}
