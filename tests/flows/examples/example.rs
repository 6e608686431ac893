//! One example: its database, a process of the product over it, and the evaluator beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use pubsync_examples::{Set, Size};
use pubsync_publisher::{language::SourceFile, operate::apply::Apply};
use pubsync_schema::store::Store;
use pubsync_synchronizer::{target::Target, targets::local::LocalTarget};
use pubsync_tests::{
    Database, Scratch, Session,
    naive::{Data, Declaration, Naive, Schema},
};
use pubsync_worker::broker::{Broker, memory::MemoryBroker};

use super::observed::{Bodies, Body, Documents, Mirror, Rows, mirror_row};
use crate::convergence::process::Process;

const CONNECTIONS: u32 = 4;
/// For the first build, at any size.
const HOUR: Duration = Duration::from_secs(3_600);
/// The targets that the examples' configuration names.
const TARGETS: [&str; 2] = ["storage", "search"];

/// A document of the example, as the evaluator reads it.
pub struct Declared {
    pub name: String,
    pub declaration: Declaration,
    /// `absent: keep`: documents of rows that are gone stay.
    pub keeps: bool,
    /// Members that do not count as a change.
    pub unhashed: Vec<String>,
    /// All that could be a table's name.
    words: BTreeSet<String>,
}

/// What a change may touch.
#[derive(Clone, Copy)]
pub enum About<'a> {
    Everything,
    /// Rows of this table only. Documents that do not name it are not evaluated again, which is most of the time; each
    /// row that goes for good is [`Self::Everything`], and would show what that overlooked.
    Table(&'a str),
}

/// How long the beginning took.
pub struct Took {
    pub fill: Duration,
    /// Tables of our own, triggers, and the walk over all roots queued.
    pub apply: Duration,
    /// Until every document is built and in its targets.
    pub build: Duration,
}

/// An example whose documents are built.
pub struct Example {
    pub set: Set,
    pub took: Took,
    pub schema: Schema,
    /// The rows that the evaluator saw last.
    pub data: Data,
    pub declared: Vec<Declared>,
    pub session: Session,
    process: Process,
    database: Scratch,
}

impl Example {
    /// Fills the database, applies the documents of the set, and publishes them all.
    pub async fn start(database: Scratch, set: Set, size: Size) -> Self {
        let start = Instant::now();
        let url = database.url();
        let db = sea_orm::Database::connect(match database.database() {
            Database::Postgres { .. } => url.clone(),
            Database::Sqlite { .. } => format!("{url}?mode=rwc"),
        });
        let db = db.await.expect("the database");
        set.create_tables(&db).await.expect("tables");
        pubsync_examples::fill(&db, set.tables(size), |_, _| {})
            .await
            .expect("rows");
        db.close().await.expect("an end");
        let fill = start.elapsed();

        let files = documents(set);
        let process = applied(&database, &files).await;
        let apply = start.elapsed() - fill;
        process.drain_within(HOUR, 0).await;
        let build = start.elapsed() - fill - apply;
        let mut session = database.session().await;
        if let Session::Sqlite(_) = session {
            session
                .execute("PRAGMA foreign_keys = ON")
                .await
                .expect("foreign keys");
        }
        let schema = Schema::read(&mut session).await;
        Self {
            set,
            took: Took { fill, apply, build },
            data: Data::read(&mut session, &schema).await,
            schema,
            declared: files.iter().map(declared).collect(),
            session,
            process,
            database,
        }
    }

    /// Runs the whole street until nothing is left.
    pub async fn drain(&self) {
        self.process.drain().await;
    }

    /// What the evaluator says of the rows as they are. `before` gives what stays of rows that are gone, and what is
    /// not evaluated again.
    pub async fn expected(&mut self, before: Option<&Documents>, about: About<'_>) -> Documents {
        let now = self.session.now().await;
        match about {
            About::Everything => self.data = Data::read(&mut self.session, &self.schema).await,
            About::Table(name) => {
                let table = self.schema.table(name);
                self.data.read_again(&mut self.session, &self.schema, table).await;
            }
        }
        let naive = Naive::new(&self.schema, &self.data).at(&now);
        let mut documents = Documents::new();
        for declared in &self.declared {
            let before = before.map(|before| &before[&declared.name]);
            let now = match (before, about) {
                (Some(before), About::Table(table)) if !declared.words.contains(table) => before.clone(),
                _ => Rc::new(bodies(declared, &naive, before.filter(|_| declared.keeps))),
            };
            documents.insert(declared.name.clone(), now);
        }
        documents
    }

    /// Revisions and live bodies of all mirrors; `before` gives those without a new revision.
    pub async fn mirror(&mut self, before: Option<&Mirror>) -> Mirror {
        let mut mirror = Mirror::new();
        for declared in &self.declared {
            let before = before.map(|before| &before[&declared.name]);
            let rows = rows_of(
                &mut self.session,
                self.database.database(),
                &declared.name,
                before,
            )
            .await;
            mirror.insert(declared.name.clone(), rows);
        }
        mirror
    }

    /// Builds are right: keys and bodies are those of the evaluator, and nothing failed. One document after the other,
    /// so that only one is in memory. Gives their numbers.
    pub async fn assert_is_what_the_evaluator_says(&mut self) -> Vec<(String, usize)> {
        self.assert_nothing_failed("the first build").await;
        let now = self.session.now().await;
        let naive = Naive::new(&self.schema, &self.data).at(&now);
        let mut counts = Vec::new();
        for declared in &self.declared {
            let mirror = rows_of(&mut self.session, self.database.database(), &declared.name, None).await;
            let expected = bodies(declared, &naive, None);
            assert!(!expected.is_empty(), "no document of {}", declared.name);
            declared.assert_equal("the first build", &expected, &mirror);
            counts.push((declared.name.clone(), expected.len()));
        }
        counts
    }

    /// Documents that may have changed are what they must be.
    pub fn assert_equal(&self, what: &str, (before, expected): (&Documents, &Documents), mirror: &Mirror) {
        for declared in &self.declared {
            let name = &declared.name;
            if !Rc::ptr_eq(&before[name], &expected[name]) {
                declared.assert_equal(what, &expected[name], &mirror[name]);
            }
        }
    }

    pub async fn assert_nothing_failed(&mut self, what: &str) {
        let table = self.database.database().own_table("failure");
        let failures = self
            .session
            .rows(&format!("SELECT document, root, key, class, error FROM {table}"))
            .await;
        assert!(failures.is_empty(), "{what}: {failures:?}");
    }

    /// What the storage holds of each document is what the mirror holds.
    pub async fn assert_storage_equals_mirror(&mut self) {
        let file = self.database.folder().join("storage.db");
        let mut storage = Database::Sqlite { file }.session().await;
        for definition in self.process.street.definitions.current().iter() {
            if !definition.shape.targets.contains_key("storage") {
                continue;
            }
            let name = &definition.document;
            let query = format!("SELECT key, body FROM document WHERE document = '{name}' AND NOT deleted");
            let held: BTreeSet<_> = storage.rows(&query).await.into_iter().collect();
            let mirror = rows_of(&mut self.session, self.database.database(), name, None).await;
            let live = mirror.by_key.iter().filter(|(_, row)| row.body.is_some());
            let live: BTreeSet<_> = live
                .map(|(key, row)| vec![Some(key.clone()), row.body.clone()])
                .collect();
            // Not assert_eq!: there are thousands of them.
            assert!(held == live, "the storage differs from the mirror of {name}");
        }
    }
}

async fn rows_of(
    session: &mut Session,
    database: &Database,
    document: &str,
    before: Option<&Rc<Rows>>,
) -> Rc<Rows> {
    let table = database.own_table(&format!("mirror_{document}"));
    // Remainders, because the sum of all would not fit a number of SQLite.
    let look = format!(
        "SELECT CAST(count(*) AS text), CAST(max(revision) AS text), CAST(sum(revision % 1000003) AS text) FROM {table}"
    );
    let fingerprint = session.rows(&look).await.remove(0);
    if let Some(before) = before.filter(|before| before.fingerprint == fingerprint) {
        return before.clone();
    }
    let body = "CASE WHEN deleted_at IS NULL THEN body END";
    let rows = session
        .rows(&format!(
            "SELECT key, CAST(revision AS text), {body} FROM {table}"
        ))
        .await;
    Rc::new(Rows {
        fingerprint,
        by_key: rows.into_iter().map(mirror_row).collect(),
    })
}

fn bodies(declared: &Declared, naive: &Naive<'_>, before: Option<&Rc<Bodies>>) -> Bodies {
    let mut bodies = Bodies::new();
    for found in naive.documents(&declared.declaration) {
        let key = found
            .key
            .unwrap_or_else(|| panic!("{}: root {} has no key", declared.name, found.root));
        let body = found.body.unwrap_or_else(|error| panic!("{key}: {error}"));
        let body = Body {
            root: found.root,
            text: declared.hashed(&body),
        };
        let twice = bodies.insert(key.clone(), body);
        assert!(
            twice.is_none(),
            "two documents of {} have the key {key}",
            declared.name
        );
    }
    for (key, body) in before.into_iter().flat_map(|before| before.iter()) {
        bodies.entry(key.clone()).or_insert_with(|| body.clone());
    }
    bodies
}

/// The files of `examples/<set>/documents`, in the order of their names.
fn documents(set: Set) -> Vec<SourceFile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../examples/{}/documents", set.name()));
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let file = |path: &PathBuf| SourceFile {
        name: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        text: fs::read_to_string(path).expect("a document"),
    };
    paths.iter().map(file).collect()
}

fn declared(file: &SourceFile) -> Declared {
    let declaration = Declaration::parse(&file.text);
    let line = |start: &str| file.text.lines().find_map(|line| line.strip_prefix(start));
    let unhashed = line("unhashed: [").and_then(|rest| rest.split(']').next());
    Declared {
        name: declaration.name.clone(),
        keeps: line("absent: keep").is_some(),
        unhashed: unhashed
            .into_iter()
            .flat_map(|names| names.split(',').map(|name| name.trim().to_owned()))
            .collect(),
        declaration,
        words: file
            .text
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map(str::to_owned)
            .collect(),
    }
}

async fn applied(database: &Scratch, files: &[SourceFile]) -> Process {
    let store = Store::connect(&database.url(), "pubsync", CONNECTIONS)
        .await
        .expect("the store");
    let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new(10_000));
    let target = |name: &str| -> (String, Arc<dyn Target>) {
        let file = database.folder().join(format!("{name}.db"));
        (
            name.to_owned(),
            Arc::new(LocalTarget::new(name, file).expect("a target")),
        )
    };
    let targets: Arc<BTreeMap<_, _>> = Arc::new(TARGETS.map(target).into());
    let apply = Apply {
        store: &store,
        url: &database.url(),
        broker: &*broker,
        targets: &targets,
        publishers: &pubsync_publisher::handwritten::Publishers::default(),
        files,
    };
    apply.run().await.unwrap_or_else(|error| panic!("{error}"));
    Process::start(store, broker, targets).await
}
