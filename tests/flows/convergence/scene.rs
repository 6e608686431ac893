//! A small shop, its documents, and one or more processes on its street.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pubsync_publisher::{
    handwritten::Publishers,
    language::SourceFile,
    operate::apply::{Apply, ApplyError, Report},
    operate::plan::Plan,
};
use pubsync_schema::store::Store;
use pubsync_synchronizer::{
    target::Target, targets::local::LocalTarget, targets::opensearch::OpenSearchTarget,
};
use pubsync_tests::{Database, Scratch, SearchIndexes, Services, Session, eventually};
use pubsync_worker::{broker::Broker, broker::memory::MemoryBroker};

pub use super::process::Process;

pub const MINUTE: Duration = Duration::from_secs(60);

const CONNECTIONS: u32 = 4;

const SCHEMA: &str = "
    CREATE TABLE brand (id integer PRIMARY KEY, name text);
    CREATE TABLE product (id integer PRIMARY KEY, brand_id integer REFERENCES brand (id), sku text, name text);
    CREATE TABLE offer (id integer PRIMARY KEY, product_id integer REFERENCES product (id), locale text, price numeric);";

/// One document a product, under its number; a column that can move from product to product is its key.
pub const PRODUCT: &str = "\
document: product
root: product
key: \"product:{sku}\"
body:
  name: name
  brand: { one: brand, body: name }
  offers: { many: offer, body: id }
";

/// One document an offer: a product has several.
pub const LISTING: &str = "\
document: listing
root: product
each:
  offer: { table: offer }
key: \"listing:{root.id}:{offer.locale}\"
body:
  name: root.name
  price: offer.price
";

/// A shop whose documents are published, and the process that did it.
pub struct Scene {
    pub shop: Scratch,
    pub process: Process,
}

impl Scene {
    /// On PostgreSQL, the in-process broker and the local target `local`; `data` is there from the start.
    pub async fn postgres(label: &str, documents: &[&str], data: &str) -> Self {
        Self::begin(Scratch::postgres(label).await, documents, data).await
    }

    pub async fn sqlite(label: &str, documents: &[&str], data: &str) -> Self {
        Self::begin(Scratch::sqlite(label), documents, data).await
    }

    async fn begin(shop: Scratch, documents: &[&str], data: &str) -> Self {
        let targets = BTreeMap::from([local(&shop, "local")]);
        Self::with_targets(shop, documents, data, targets).await
    }

    /// On PostgreSQL with the real OpenSearch as its only target `search`; also what readers find there.
    pub async fn searched(label: &str, documents: &[&str], data: &str) -> (Self, SearchIndexes) {
        let shop = Scratch::postgres(label).await;
        let folder = shop.folder().file_name().unwrap().to_str().unwrap().to_owned();
        let (url, prefix) = (Services::from_env().opensearch, format!("{folder}-"));
        let target: Arc<dyn Target> =
            Arc::new(OpenSearchTarget::new("search", &url.as_str().into(), &prefix).unwrap());
        let targets = BTreeMap::from([("search".to_owned(), target)]);
        let scene = Self::with_targets(shop, documents, data, targets).await;
        (scene, SearchIndexes::new(&url, &prefix))
    }

    /// With other targets.
    pub async fn with_targets(
        shop: Scratch,
        documents: &[&str],
        data: &str,
        targets: BTreeMap<String, Arc<dyn Target>>,
    ) -> Self {
        shop.script(&format!("{SCHEMA}{data}")).await;
        let store = connect(&shop, CONNECTIONS).await;
        let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new(10_000));
        let targets = Arc::new(targets);
        apply(&shop, &store, &*broker, &targets, documents).await;
        let process = Process::start(store, broker, targets).await;
        process.drain().await;
        Self { shop, process }
    }

    /// Another process, with its own view of the definitions, on the same broker and targets.
    pub async fn another_process(&self) -> Process {
        let street = &self.process.street;
        Process::start(
            street.store.clone(),
            street.broker.clone(),
            street.targets.clone(),
        )
        .await
    }

    /// `pubsync apply` with these documents, with the targets of a process.
    pub async fn apply(&self, process: &Process, documents: &[&str]) -> Report {
        let street = &process.street;
        apply(
            &self.shop,
            &street.store,
            &*street.broker,
            &street.targets,
            documents,
        )
        .await
    }

    /// `pubsync apply --remove` with these documents, and the plan of it before.
    pub async fn apply_removing(
        &self,
        process: &Process,
        documents: &[&str],
        remove: &[&str],
    ) -> Result<(Plan, Report), ApplyError> {
        let street = &process.street;
        let remove: Vec<String> = remove.iter().map(|name| (*name).to_owned()).collect();
        let (url, files) = (self.shop.url(), files(documents));
        let apply = Apply {
            store: &street.store,
            url: &url,
            broker: &*street.broker,
            targets: &street.targets,
            files: &files,
            publishers: &Publishers::default(),
        };
        let plan = apply.plan_removing(&remove).await?;
        let report = apply.run_agreed(&plan, &remove).await?;
        process.refresh().await;
        Ok((plan, report))
    }

    /// A change whose message the test plays itself: what the triggers captured is taken away.
    pub async fn uncaptured(&self, sql: &str) {
        let outbox = self.own("outbox");
        self.shop
            .script(&format!("BEGIN; {sql}; DELETE FROM {outbox}; COMMIT;"))
            .await;
    }

    /// The number that stands in the first column of the only row.
    pub async fn number(&self, sql: &str) -> i64 {
        let rows = self.shop.rows(sql).await;
        let value = rows
            .first()
            .and_then(|row| row[0].clone())
            .unwrap_or_else(|| panic!("{sql}: no value"));
        value.parse().unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Rows of an own table.
    pub async fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {}", self.own(table)))
            .await
    }

    /// An own table, quoted.
    pub fn own(&self, table: &str) -> String {
        self.shop.database().own_table(table)
    }

    /// The revision of a mirror row, tombstones included.
    pub async fn revision(&self, document: &str, key: &str) -> i64 {
        let mirror = self.own(&format!("mirror_{document}"));
        self.number(&format!("SELECT revision FROM {mirror} WHERE key = '{key}'"))
            .await
    }

    /// Live mirror rows: key and body.
    pub async fn mirror(&self, document: &str) -> Vec<(String, String)> {
        let mirror = self.own(&format!("mirror_{document}"));
        let rows = self
            .shop
            .rows(&format!(
                "SELECT key, body FROM {mirror} WHERE deleted_at IS NULL ORDER BY key"
            ))
            .await;
        let text = |row: &[Option<String>], at: usize| row[at].clone().unwrap_or_default();
        rows.iter().map(|row| (text(row, 0), text(row, 1))).collect()
    }

    /// A session with the file of a local target.
    pub async fn target(&self, name: &str) -> Session {
        let file = self.shop.folder().join(format!("{name}.db"));
        Database::Sqlite { file }.session().await
    }

    /// Open failures: stage, root, key, class.
    pub async fn failures(&self) -> Vec<[String; 4]> {
        let rows = self
            .shop
            .rows(&format!(
                "SELECT stage, root, key, class FROM {} ORDER BY stage, root, key",
                self.own("failure")
            ))
            .await;
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        rows.iter()
            .map(|row| [shown(&row[0]), shown(&row[1]), shown(&row[2]), shown(&row[3])])
            .collect()
    }

    /// The time of every failure has come.
    pub async fn failures_are_due(&self) {
        self.shop
            .script(&format!("UPDATE {} SET next_attempt = 1", self.own("failure")))
            .await;
    }

    /// Nothing is on its way, nothing failed, the mirror holds exactly this, and the target what the mirror holds.
    pub async fn assert_settled(&self, document: &str, expected: &[(&str, &str)]) {
        assert_eq!(self.failures().await, Vec::<[String; 4]>::new(), "failures");
        self.assert_shown(document, expected).await;
    }

    /// As [`Self::assert_settled`], whatever failed.
    pub async fn assert_shown(&self, document: &str, expected: &[(&str, &str)]) {
        assert_eq!(self.count("outbox").await, 0, "outbox rows");
        assert_eq!(self.count("ledger").await, 0, "ledger rows");
        let owned = |(key, body): &(&str, &str)| ((*key).to_owned(), (*body).to_owned());
        let expected: Vec<_> = expected.iter().map(owned).collect();
        assert_eq!(self.mirror(document).await, expected, "mirror of {document}");
        self.assert_target_equals_mirror(document, "local").await;
    }

    /// Keys, revisions and bodies.
    pub async fn assert_target_equals_mirror(&self, document: &str, target: &str) {
        let mirror = self.own(&format!("mirror_{document}"));
        let live = "ORDER BY key";
        let rows = self
            .shop
            .rows(&format!(
                "SELECT key, CAST(revision AS text), body FROM {mirror} WHERE deleted_at IS NULL {live}"
            ))
            .await;
        let held = format!(
            "SELECT key, CAST(revision AS text), body FROM document WHERE document = '{document}' AND NOT deleted {live}"
        );
        let held = self.target(target).await.rows(&held).await;
        // Not assert_eq!: some scenes have thousands of rows.
        assert!(
            held == rows,
            "{target} differs from the mirror of {document}: {:?} instead of {:?}",
            held.iter()
                .filter(|row| !rows.contains(row))
                .take(5)
                .collect::<Vec<_>>(),
            rows.iter()
                .filter(|row| !held.contains(row))
                .take(5)
                .collect::<Vec<_>>(),
        );
    }

    /// Waits until so many sessions wait for a lock.
    pub async fn blocked(&self, sessions: i64) {
        let probe = async || match self.waiting_for_locks().await {
            waiting if waiting >= sessions => Ok(()),
            waiting => Err(format!("{waiting} wait")),
        };
        eventually(
            &format!("{sessions} sessions that wait for a lock"),
            MINUTE,
            probe,
        )
        .await;
    }

    /// Waits until somebody waits for a lock, or until that is done which should: a broken guard shall fail at the end,
    /// with what it broke.
    pub async fn blocked_or(&self, done: impl AsyncFn() -> bool) {
        let probe = async || {
            if done().await || self.waiting_for_locks().await > 0 {
                Ok(())
            } else {
                Err("it runs".to_owned())
            }
        };
        eventually("a step that is done or waits for a lock", MINUTE, probe).await;
    }

    async fn waiting_for_locks(&self) -> i64 {
        self.number(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .await
    }

    /// Ends the sessions that wait for a lock, as if their process had been killed.
    pub async fn kill_blocked(&self) {
        let killed = self
            .number(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .await;
        assert!(killed > 0, "nobody waited");
    }
}

/// So many connections in each of the two pools.
pub async fn connect(shop: &Scratch, connections: u32) -> Store {
    Store::connect(&shop.url(), "pubsync", connections)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A local target in a file of its own.
pub fn local(shop: &Scratch, name: &str) -> (String, Arc<dyn Target>) {
    let target = LocalTarget::new(name, shop.folder().join(format!("{name}.db"))).expect("a target");
    (name.to_owned(), Arc::new(target))
}

async fn apply(
    shop: &Scratch,
    store: &Store,
    broker: &dyn Broker,
    targets: &BTreeMap<String, Arc<dyn Target>>,
    documents: &[&str],
) -> Report {
    let (url, files) = (shop.url(), files(documents));
    let apply = Apply {
        store,
        url: &url,
        broker,
        targets,
        files: &files,
        publishers: &Publishers::default(),
    };
    apply.run().await.unwrap_or_else(|error| panic!("apply: {error}"))
}

/// As they would stand in the folder of documents.
pub fn files(documents: &[&str]) -> Vec<SourceFile> {
    let file = |text: &&str| SourceFile {
        name: text.lines().next().unwrap_or_default().to_owned(),
        text: (*text).to_owned(),
    };
    documents.iter().map(file).collect()
}
