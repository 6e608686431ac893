//! What belongs to one test: database, virtual host, Redis prefix, index prefix, and a folder with `pubsync.yaml`.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::SystemTime,
};

use crate::{
    Database, Documents, Expected, Json, Output, RedisKeys, SearchIndexes, Services, Session, Snapshot,
    Stored, VirtualHost, Worker, database::sqlite, process,
};

static WORLDS: AtomicUsize = AtomicUsize::new(0);

/// Everything that one test may touch. Dropping it takes all of it away, also when the test fails.
#[derive(Debug)]
pub struct World {
    name: String,
    folder: PathBuf,
    database: Database,
    services: Option<Shared>,
    processes: AtomicUsize,
    /// The product, or another program with its commands.
    program: PathBuf,
}

/// The test's part of the shared services.
#[derive(Debug)]
struct Shared {
    services: Services,
    broker: VirtualHost,
    redis: RedisKeys,
    search: SearchIndexes,
}

impl World {
    /// PostgreSQL, RabbitMQ, a Redis target `storage` and an OpenSearch target `search`.
    pub async fn postgres(label: &str) -> Self {
        let services = Services::from_env();
        let name = unique(label);
        let url = services.postgres_database(&name);
        // Not the server's locale, so that every machine sorts alike.
        let create = format!("CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'");
        administer(&services, &create).await;
        let shared = Shared {
            broker: VirtualHost::create(&services.rabbitmq_api, &name).await,
            redis: RedisKeys::new(&services.redis, &format!("{name}:")),
            search: SearchIndexes::new(&services.opensearch, &format!("{name}-")),
            services,
        };
        let config = format!(
            "name: pubsync\ndatabase: {url}\nbroker: {}\ndocuments: documents\ntargets:\n  \
             storage: {{ kind: redis, url: \"{}\", prefix: \"{}\" }}\n  \
             search: {{ kind: opensearch, url: \"{}\", prefix: \"{}\" }}\nrelay: {{ resend_after: 3 }}\n",
            shared.services.virtual_host(&name),
            shared.services.redis,
            shared.redis.prefix(),
            shared.services.opensearch,
            shared.search.prefix(),
        );
        Self::in_folder(name, Database::Postgres { url }, Some(shared), &config)
    }

    /// SQLite, the broker inside the process, a local target `local`.
    #[must_use]
    pub fn embedded(label: &str) -> Self {
        let name = unique(label);
        let file = folder_of(&name).join("source.db");
        let config = "name: pubsync\ndatabase: sqlite:source.db\nbroker: embedded\ndocuments: documents\ntargets:\n  \
                      local: { kind: local, path: store.db }\nrelay: { resend_after: 3 }\n";
        Self::in_folder(name, Database::Sqlite { file }, None, config)
    }

    fn in_folder(name: String, database: Database, services: Option<Shared>, config: &str) -> Self {
        let folder = folder_of(&name);
        for part in ["documents", "logs"] {
            fs::create_dir_all(folder.join(part))
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        }
        let world = Self {
            name,
            folder,
            database,
            services,
            processes: AtomicUsize::new(0),
            program: process::binary(),
        };
        world.write("pubsync.yaml", config);
        world
    }

    /// The same world, in which commands are those of this program.
    #[must_use]
    pub fn with_program(mut self, program: &Path) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    /// The name of the database and the virtual host, and the beginning of both prefixes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    pub async fn session(&self) -> Session {
        self.database.session().await
    }

    /// Runs statements, as the application would.
    ///
    /// # Panics
    /// On any error.
    pub async fn script(&self, sql: &str) -> u64 {
        let done = self.session().await.execute(sql).await;
        done.unwrap_or_else(|error| panic!("{}\n{error}", sql.chars().take(500).collect::<String>()))
    }

    /// Writes `documents/<name>.yaml`.
    pub fn document(&self, name: &str, yaml: &str) {
        self.write(&format!("documents/{name}.yaml"), yaml);
    }

    /// Changes `pubsync.yaml`.
    pub fn configure(&self, edit: impl FnOnce(String) -> String) {
        let config = fs::read_to_string(self.folder.join("pubsync.yaml")).expect("pubsync.yaml");
        self.write("pubsync.yaml", &edit(config));
    }

    /// The target `storage` is another Redis.
    pub fn storage_at(&self, url: &str) {
        self.configure(|config| {
            let line = |line: &str| match line.trim_start().starts_with("storage:") {
                true => format!("  storage: {{ kind: redis, url: \"{url}\" }}\n"),
                false => format!("{line}\n"),
            };
            config.lines().map(line).collect()
        });
    }

    /// There is no target `search`.
    pub fn without_search(&self) {
        self.configure(|config| {
            let others = config
                .lines()
                .filter(|line| !line.trim_start().starts_with("search:"));
            others.map(|line| format!("{line}\n")).collect()
        });
    }

    /// Writes a file of the world's folder, and makes the folder that it is in.
    pub fn write(&self, path: &str, text: &str) {
        let file = self.folder.join(path);
        let made = file.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&file, text))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Runs a command.
    ///
    /// # Panics
    /// Unless it exits 0.
    pub async fn pubsync(&self, arguments: &[&str]) -> Output {
        self.pubsync_exits(0, arguments).await
    }

    /// Runs a command that must exit with `code`.
    ///
    /// # Panics
    /// With all that the command wrote, where it exits otherwise.
    pub async fn pubsync_exits(&self, code: i32, arguments: &[&str]) -> Output {
        self.with_config("pubsync.yaml", code, arguments).await
    }

    /// Runs a command on another configuration file, from the world's folder.
    ///
    /// # Panics
    /// With all that the command wrote, where it does not exit with `code`.
    pub async fn with_config(&self, config: &str, code: i32, arguments: &[&str]) -> Output {
        let output = self.command(config, arguments).await;
        if output.code != code {
            let open = if arguments.first() == Some(&"wait") {
                self.open_work(config).await
            } else {
                String::new()
            };
            panic!(
                "`pubsync {}` exited {} instead of {code}\n--- stdout\n{}\n--- stderr\n{}{open}",
                arguments.join(" "),
                output.code,
                output.stdout,
                output.stderr,
            );
        }
        output
    }

    /// Runs a command on a configuration file, whatever its exit code.
    pub async fn command(&self, config: &str, arguments: &[&str]) -> Output {
        process::run(&self.program, &self.folder, config, arguments).await
    }

    /// What is on its way, for the one who reads why a `wait` failed.
    async fn open_work(&self, config: &str) -> String {
        let status = process::run(&self.program, &self.folder, config, &["status"]).await;
        let mut text = format!("--- status\n{}", status.stdout);
        let mut session = self.session().await;
        for table in ["outbox", "ledger", "pause", "failure"] {
            let table = self.database.own_table(table);
            text.push_str(&format!("--- {table}\n"));
            for row in session.rows(&format!("SELECT * FROM {table} LIMIT 20")).await {
                text.push_str(&format!("{row:?}\n"));
            }
        }
        text
    }

    /// Runs a command where somebody sits at a terminal and types this.
    #[must_use]
    pub fn pubsync_on_a_terminal(&self, answer: &str, arguments: &[&str]) -> Output {
        process::run_on_a_terminal(&self.folder, answer, arguments)
    }

    /// Starts a worker; its log is shown when the test fails.
    pub fn spawn(&self, arguments: &[&str]) -> Worker {
        let number = self.processes.fetch_add(1, Ordering::Relaxed);
        let log = self
            .folder
            .join("logs")
            .join(format!("{number:02}-{}.log", arguments.join("-")));
        Worker::start(&self.program, &self.folder, log, arguments)
    }

    #[must_use]
    pub fn services(&self) -> &Services {
        &self.shared().services
    }

    #[must_use]
    pub fn broker(&self) -> &VirtualHost {
        &self.shared().broker
    }

    #[must_use]
    pub fn redis(&self) -> &RedisKeys {
        &self.shared().redis
    }

    #[must_use]
    pub fn search(&self) -> &SearchIndexes {
        &self.shared().search
    }

    fn shared(&self) -> &Shared {
        self.services.as_ref().expect("an embedded world has no services")
    }

    /// Reads the mirror and every target. Indexes are looked for under the documents' own names.
    pub async fn snapshot(&self, documents: &[&str]) -> Snapshot {
        let mut snapshot = Snapshot {
            mirror: BTreeMap::new(),
            stores: BTreeMap::new(),
            indexes: BTreeMap::new(),
        };
        for document in documents {
            snapshot
                .mirror
                .insert((*document).to_owned(), self.mirror(document).await);
            if let Some(shared) = &self.services {
                snapshot
                    .indexes
                    .insert((*document).to_owned(), shared.search.documents(document).await);
            }
        }
        let (store, found) = match &self.services {
            Some(shared) => ("storage", shared.redis.documents().await),
            None => ("local", self.local("store.db").await),
        };
        snapshot.stores.insert(store.to_owned(), found);
        snapshot
    }

    /// What `status --json` says.
    pub async fn status(&self) -> serde_json::Value {
        let output = self.pubsync(&["status", "--json"]).await;
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stdout))
    }

    /// What must be there: for each document a query that gives keys and bodies.
    ///
    /// # Panics
    /// Where a query gives a null or a key twice.
    pub async fn expected(&self, documents: &[(&str, &str)]) -> Expected {
        let mut session = self.session().await;
        let mut expected = Expected::new();
        for (document, query) in documents {
            let mut bodies = BTreeMap::new();
            for row in session.rows(query).await {
                let [Some(key), Some(body)] = &row[..] else {
                    panic!("{document}: a row with a null: {row:?}")
                };
                let body = Json::parse(body).unwrap_or_else(|error| panic!("{key}: {error}"));
                assert!(
                    bodies.insert(key.clone(), body).is_none(),
                    "{document}: two rows have the key {key}"
                );
            }
            expected.insert((*document).to_owned(), bodies);
        }
        expected
    }

    /// The live rows of a document's mirror.
    pub async fn mirror(&self, document: &str) -> Documents {
        let table = self.database.own_table(&format!("mirror_{document}"));
        let query = format!("SELECT key, CAST(revision AS text), body FROM {table} WHERE deleted_at IS NULL");
        stored(self.session().await.rows(&query).await)
    }

    /// The live documents of a local target's file.
    pub async fn local(&self, file: &str) -> Documents {
        let mut session = Session::Sqlite(sqlite(&self.folder.join(file), false).await);
        let query = "SELECT key, CAST(revision AS text), body FROM document WHERE NOT deleted";
        stored(session.rows(query).await)
    }
}

fn stored(rows: Vec<Vec<Option<String>>>) -> Documents {
    let entry = |row: Vec<Option<String>>| {
        let [Some(key), Some(revision), Some(body)] = &row[..] else {
            panic!("a live row with a null: {row:?}")
        };
        (key.clone(), Stored::new(key, revision, body))
    };
    rows.into_iter().map(entry).collect()
}

pub(crate) fn folder_of(name: &str) -> PathBuf {
    std::env::temp_dir().join(name)
}

/// Fits a database, a virtual host, an index and a folder.
pub(crate) fn unique(label: &str) -> String {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("a clock after 1970");
    let number = WORLDS.fetch_add(1, Ordering::Relaxed);
    format!(
        "pubsync-test-{label}-{:x}-{:x}-{number}",
        since.as_millis() & 0xff_ffff_ffff,
        std::process::id()
    )
}

pub(crate) async fn administer(services: &Services, sql: &str) {
    let server = Database::Postgres {
        url: services.postgres.clone(),
    };
    server
        .session()
        .await
        .execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
        let Some(shared) = self.services.take() else {
            return;
        };
        let drop_database = format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name);
        take_away(&self.name, async move {
            shared.broker.delete().await;
            administer(&shared.services, &drop_database).await;
            shared.redis.lose_everything().await;
            shared.search.lose_everything().await;
        });
    }
}

/// Runs what takes something away when it is dropped. Drop is not async, and the test's runtime must not be blocked on
/// itself.
///
/// # Panics
/// Where it was not taken away, unless the test panics anyway.
pub(crate) fn take_away(what: &str, cleaning: impl Future<Output = ()> + Send + 'static) {
    let cleaning = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(cleaning);
    });
    if cleaning.join().is_err() && !std::thread::panicking() {
        panic!("{what} was not taken away");
    }
}

impl World {
    fn show_logs(&self) {
        let mut out = std::io::stderr().lock();
        let _ = writeln!(out, "=== {} is kept in {}", self.name, self.folder.display());
        let mut logs: Vec<_> = fs::read_dir(self.folder.join("logs"))
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        logs.sort_by_key(fs::DirEntry::file_name);
        for log in logs {
            let text = fs::read_to_string(log.path()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(60)..];
            let _ = writeln!(
                out,
                "=== {}: last of {} lines\n{}",
                log.path().display(),
                lines.len(),
                last.join("\n")
            );
        }
    }
}
