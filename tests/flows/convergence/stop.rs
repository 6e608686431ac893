//! What stops a step of the product: publishers and targets that wait for the test, and a gate before the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use pubsync_publisher::build::{BuildError, Built};
use pubsync_publisher::publisher::{Publisher, RootPage, Source, Walked};
use pubsync_publisher::registry::Compiled;
use pubsync_schema::shape::Collection;
use pubsync_schema::wire::TableImages;
use pubsync_synchronizer::target::{Accept, Held, Outcome, ScanPage, Target, TargetError, Write};
use pubsync_tests::{Database, Session};
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use super::scene::Scene;

/// A place where one step waits until the test lets it go on.
#[derive(Clone, Default)]
pub struct Stop {
    reached: CancellationToken,
    opened: CancellationToken,
}

impl Stop {
    /// Waits until the step stands here.
    pub async fn reached(&self) {
        self.reached.cancelled().await;
    }

    /// Lets it go on, and all that come later.
    pub fn open(&self) {
        self.opened.cancel();
    }

    async fn pass(&self) {
        self.reached.cancel();
        self.opened.cancelled().await;
    }
}

/// The document with a publisher that has read the sources and waits before it answers: locked, looked, not written.
pub fn after_the_look(compiled: &Arc<Compiled>) -> (Arc<Compiled>, Stop) {
    let stop = Stop::default();
    let publisher = Waiting {
        inner: compiled.publisher.clone(),
        stop: stop.clone(),
    };
    (with(compiled, Arc::new(publisher)), stop)
}

/// The document with a publisher that cannot say which roots a change concerns, until it is cured.
pub fn not_affecting(compiled: &Arc<Compiled>) -> (Arc<Compiled>, Arc<AtomicBool>) {
    let cured = Arc::new(AtomicBool::new(false));
    let publisher = Failing {
        inner: compiled.publisher.clone(),
        root: None,
        cured: cured.clone(),
    };
    (with(compiled, Arc::new(publisher)), cured)
}

/// The document with a publisher that fails for every batch with this root in it, until it is cured.
pub fn not_building(compiled: &Arc<Compiled>, root: &str) -> (Arc<Compiled>, Arc<AtomicBool>) {
    let cured = Arc::new(AtomicBool::new(false));
    let publisher = Failing {
        inner: compiled.publisher.clone(),
        root: Some(root.to_owned()),
        cured: cured.clone(),
    };
    (with(compiled, Arc::new(publisher)), cured)
}

/// The document with a publisher that fails for changes of more than one row, and sees to it that its definition is no
/// longer the current one afterwards.
pub fn failing_when_changed(compiled: &Arc<Compiled>, database: &Database) -> Arc<Compiled> {
    let publisher = Outdated {
        inner: compiled.publisher.clone(),
        database: database.clone(),
    };
    with(compiled, Arc::new(publisher))
}

fn with(compiled: &Compiled, publisher: Arc<dyn Publisher>) -> Arc<Compiled> {
    Arc::new(Compiled {
        definition: compiled.definition.clone(),
        uses: compiled.uses.clone(),
        life: compiled.life.clone(),
        publisher,
        is_here: true,
        weight: Default::default(),
    })
}

struct Waiting {
    inner: Arc<dyn Publisher>,
    stop: Stop,
}

#[async_trait]
impl Publisher for Waiting {
    async fn affected(
        &self,
        source: Source<'_>,
        changes: &[TableImages],
        page: RootPage<'_>,
    ) -> Result<Vec<String>, DbErr> {
        self.inner.affected(source, changes, page).await
    }

    async fn all(&self, source: Source<'_>, from: Option<&str>, limit: u64) -> Result<Walked, DbErr> {
        self.inner.all(source, from, limit).await
    }

    async fn build(&self, source: Source<'_>, roots: &[String]) -> Result<Vec<Built>, BuildError> {
        let built = self.inner.build(source, roots).await;
        self.stop.pass().await;
        built
    }
}

struct Failing {
    inner: Arc<dyn Publisher>,
    /// Cannot be built; `None`: it is the question before that cannot be answered.
    root: Option<String>,
    cured: Arc<AtomicBool>,
}

#[async_trait]
impl Publisher for Failing {
    async fn affected(
        &self,
        source: Source<'_>,
        changes: &[TableImages],
        page: RootPage<'_>,
    ) -> Result<Vec<String>, DbErr> {
        if self.root.is_some() || self.cured.load(Ordering::SeqCst) {
            self.inner.affected(source, changes, page).await
        } else {
            Err(DbErr::Custom("this row cannot be read".to_owned()))
        }
    }

    async fn all(&self, source: Source<'_>, from: Option<&str>, limit: u64) -> Result<Walked, DbErr> {
        self.inner.all(source, from, limit).await
    }

    async fn build(&self, source: Source<'_>, roots: &[String]) -> Result<Vec<Built>, BuildError> {
        let sick = self.root.as_ref().is_some_and(|root| roots.contains(root));
        if !sick || self.cured.load(Ordering::SeqCst) {
            return self.inner.build(source, roots).await;
        }
        Err(BuildError::Select {
            select: "this root".to_owned(),
            source: DbErr::Custom("it cannot be read".to_owned()),
        })
    }
}

struct Outdated {
    inner: Arc<dyn Publisher>,
    database: Database,
}

#[async_trait]
impl Publisher for Outdated {
    async fn affected(
        &self,
        source: Source<'_>,
        changes: &[TableImages],
        page: RootPage<'_>,
    ) -> Result<Vec<String>, DbErr> {
        if changes.iter().map(|images| images.rows.len()).sum::<usize>() < 2 {
            return self.inner.affected(source, changes, page).await;
        }
        let raise = format!(
            "UPDATE {} SET number = number + 1",
            self.database.own_table("definition")
        );
        self.database
            .session()
            .await
            .execute(&raise)
            .await
            .expect("a number");
        Err(DbErr::Custom("these rows cannot be read together".to_owned()))
    }

    async fn all(&self, source: Source<'_>, from: Option<&str>, limit: u64) -> Result<Walked, DbErr> {
        self.inner.all(source, from, limit).await
    }

    async fn build(&self, source: Source<'_>, roots: &[String]) -> Result<Vec<Built>, BuildError> {
        self.inner.build(source, roots).await
    }
}

/// Where a [`SlowTarget`] waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Slow {
    /// With a page of a scan that it has read.
    Scan,
    /// With writes, which it then has no time for.
    Apply,
}

/// A target that waits for the test, once.
pub struct SlowTarget {
    pub inner: Arc<dyn Target>,
    pub at: Slow,
    pub stop: Stop,
}

#[async_trait]
impl Target for SlowTarget {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn prepare(&self, collections: &[Collection]) -> Result<(), TargetError> {
        self.inner.prepare(collections).await
    }

    async fn apply(
        &self,
        to: &Collection,
        writes: &[Write],
        accept: Accept,
    ) -> Result<Vec<Outcome>, TargetError> {
        if self.at == Slow::Apply && !self.stop.opened.is_cancelled() {
            self.stop.pass().await;
            return Ok(writes.iter().map(|_| Outcome::Retry("busy".to_owned())).collect());
        }
        self.inner.apply(to, writes, accept).await
    }

    async fn versions(&self, of: &Collection, keys: &[String]) -> Result<Vec<Option<Held>>, TargetError> {
        self.inner.versions(of, keys).await
    }

    async fn bodies(&self, of: &Collection, keys: &[String]) -> Result<Vec<Option<String>>, TargetError> {
        self.inner.bodies(of, keys).await
    }

    async fn scan(
        &self,
        of: &Collection,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<ScanPage, TargetError> {
        let page = self.inner.scan(of, cursor, limit).await;
        if self.at == Slow::Scan {
            self.stop.pass().await;
        }
        page
    }

    async fn ping(&self) -> Result<(), TargetError> {
        self.inner.ping().await
    }
}

/// Stops every transaction where it inserts its ledger rows: all else that it writes is written, nothing committed.
/// PostgreSQL only.
pub struct Gate(Session);

impl Gate {
    pub async fn close(scene: &Scene) -> Self {
        let mut session = scene.shop.session().await;
        let gate = "SELECT pg_advisory_lock(7);
            CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END $$;
            CREATE OR REPLACE TRIGGER gate BEFORE INSERT ON pubsync.ledger
                FOR EACH STATEMENT EXECUTE FUNCTION gate();";
        session.execute(gate).await.expect("a gate");
        Self(session)
    }

    pub async fn open(mut self) {
        let open = self.0.execute("SELECT pg_advisory_unlock(7)").await;
        open.expect("an open gate");
    }
}

/// A target that is searched, as OpenSearch is: aliases would be hits.
pub struct WithoutAliases(pub Arc<dyn Target>);

#[async_trait]
impl Target for WithoutAliases {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn holds_aliases(&self) -> bool {
        false
    }

    async fn prepare(&self, collections: &[Collection]) -> Result<(), TargetError> {
        self.0.prepare(collections).await
    }

    async fn apply(
        &self,
        to: &Collection,
        writes: &[Write],
        accept: Accept,
    ) -> Result<Vec<Outcome>, TargetError> {
        self.0.apply(to, writes, accept).await
    }

    async fn versions(&self, of: &Collection, keys: &[String]) -> Result<Vec<Option<Held>>, TargetError> {
        self.0.versions(of, keys).await
    }

    async fn bodies(&self, of: &Collection, keys: &[String]) -> Result<Vec<Option<String>>, TargetError> {
        self.0.bodies(of, keys).await
    }

    async fn scan(
        &self,
        of: &Collection,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<ScanPage, TargetError> {
        self.0.scan(of, cursor, limit).await
    }

    async fn ping(&self) -> Result<(), TargetError> {
        self.0.ping().await
    }
}
