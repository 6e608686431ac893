//! One installation of pubsync on the bench's shop: made from nothing, wired by the product's own wiring, with all roles
//! in this process.

use std::sync::Arc;
use std::time::Duration;

use pubsync::fail::Fail;
use pubsync::wiring::{self, Wired};
use pubsync_publisher::catalogue;
use pubsync_publisher::handwritten::Publishers;
use pubsync_publisher::language::{self, SourceFile};
use pubsync_publisher::operate::apply::Apply;
use pubsync_publisher::operate::rebuild;
use pubsync_publisher::plan::DocumentPlan;
use pubsync_publisher::workers::{self, Role};
use pubsync_schema::mirror;
use pubsync_schema::names::Lane;
use pubsync_schema::shape::{Collection, SyncMode};
use pubsync_schema::store::Store;
use pubsync_synchronizer::quiet::{self, Waited};
use pubsync_synchronizer::street::Street;
use pubsync_worker::shutdown::{Ending, Shutdown};
use sea_orm::ConnectionTrait;

use crate::services::{SEARCH, STORAGE, Services, part};

pub const DOCUMENT: &str = "product";

/// As `pubsync run` has them.
const CONNECTIONS: u32 = 12;

/// Longest wait for one phase.
const PATIENCE: Duration = Duration::from_secs(600);

/// Roots that are built before the clock runs: connections are made and statements prepared.
const WARM: u32 = 1_000;

pub struct Installation {
    wired: Wired,
    pub street: Street,
    shutdown: Shutdown,
}

impl Installation {
    /// From nothing, and without a document built: whatever an earlier installation left is away.
    pub async fn create(services: &Services, search: bool) -> Result<Self, Fail> {
        services.wipe().await?;
        let wired = wiring::wire(services.config(search, SyncMode::Queue), CONNECTIONS).await?;
        let schema = wired.store.dialect().quote(wired.store.names.name());
        // Takes the triggers along, which call functions in it.
        let sql = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
        wired.store.write.execute_unprepared(&sql).await?;
        wired.broker.delete(&queues(&wired.store)).await?;
        let files = [file()];
        let apply = Apply {
            store: &wired.store,
            url: &services.database(),
            broker: &*wired.broker,
            targets: &wired.targets,
            files: &files,
            publishers: &Publishers::default(),
        };
        apply.run().await?;
        let ledger = wired.store.names.table("ledger");
        wired
            .store
            .write
            .execute_unprepared(&format!("DELETE FROM {ledger}"))
            .await?;
        Self::start(wired).await
    }

    /// The same installation with other settings.
    pub async fn restart(self, services: &Services, search: bool, sync: SyncMode) -> Result<Self, Fail> {
        self.stop().await?;
        Self::start(wiring::wire(services.config(search, sync), CONNECTIONS).await?).await
    }

    async fn start(wired: Wired) -> Result<Self, Fail> {
        let street = wired.street().await?;
        let shutdown = Shutdown::manual();
        workers::start(&street, &Publishers::default(), &Role::ALL.into(), &shutdown).await?;
        // Consumers subscribe, targets are prepared.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(Self {
            wired,
            street,
            shutdown,
        })
    }

    pub async fn stop(self) -> Result<(), Fail> {
        self.shutdown.signal();
        let ending = self.shutdown.finished().await;
        self.street.broker.close().await;
        let store = self.wired.store;
        store.read.close().await?;
        store.write.close().await?;
        match ending {
            Ending::Finished => Ok(()),
            other => Err(part(format!("the workers ended as {other:?}"))),
        }
    }

    pub fn store(&self) -> &Store {
        &self.street.store
    }

    /// Builds some documents, then forgets them.
    pub async fn warm(&self, products: u32) -> Result<(), Fail> {
        let ids: Vec<String> = (1..=products.min(WARM)).map(|id| id.to_string()).collect();
        rebuild::publish(self.store(), &[DOCUMENT.to_owned()], Some(&ids)).await?;
        self.arrive().await?;
        let names = &self.store().names;
        let sql = format!("TRUNCATE {}, {}", names.mirror(DOCUMENT), names.root(DOCUMENT));
        self.store().write.execute_unprepared(&sql).await?;
        Ok(())
    }

    /// Asks for all documents and waits until the last target has answered.
    pub async fn rebuild(&self) -> Result<(), Fail> {
        rebuild::publish(self.store(), &[DOCUMENT.to_owned()], None).await?;
        self.arrive().await
    }

    /// Waits until everything committed so far has reached its targets.
    pub async fn arrive(&self) -> Result<(), Fail> {
        match quiet::wait(self.store(), PATIENCE).await? {
            Waited::Synchronized => Ok(()),
            other => Err(part(format!("the street ended with {other:?}"))),
        }
    }

    /// A street that loses documents is no fast one: all are there, and targets hold the mirror's revisions.
    pub async fn check(&self, products: u32) -> Result<(), Fail> {
        let rows = mirror::counts(&self.store().write, self.store(), DOCUMENT, 1).await?;
        let (live, dead) = (rows.live, rows.tombstones);
        if (live, dead) != (i64::from(products), 0) {
            return Err(part(format!(
                "{live} documents and {dead} tombstones, not {products}"
            )));
        }
        let rows = mirror::full_page(
            &self.store().write,
            self.store(),
            DOCUMENT,
            "",
            u64::from(products),
            u32::MAX,
        )
        .await?;
        let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
        for (name, target) in self.street.targets.iter() {
            let held = target.versions(&self.collection(name)?, &keys).await?;
            let same = |(row, held): (&mirror::Row, &Option<_>)| {
                held.is_some_and(|h: pubsync_synchronizer::target::Held| {
                    h.revision == row.revision && !h.deleted
                })
            };
            let equal = rows.iter().zip(&held).filter(|pair| same(*pair)).count();
            if equal != rows.len() {
                return Err(part(format!(
                    "{name} holds {equal} of {} newest revisions",
                    rows.len()
                )));
            }
        }
        Ok(())
    }

    pub fn collection(&self, target: &str) -> Result<Collection, Fail> {
        let definition = self.street.definitions.get(DOCUMENT);
        let collection = definition.and_then(|d| d.shape.collection(target));
        collection.ok_or_else(|| part(format!("{DOCUMENT} does not go to {target}")))
    }

    pub async fn plan(&self) -> Result<Arc<DocumentPlan>, Fail> {
        let store = self.store();
        let catalogue = catalogue::introspect(&store.read, store.dialect(), store.names.name()).await?;
        let documents = language::check(&[file()], &catalogue, &[STORAGE, SEARCH]);
        let document = documents.ok().and_then(|documents| documents.into_iter().next());
        let document = document.ok_or_else(|| part("the document does not compile"))?;
        Ok(Arc::new(DocumentPlan::new(document, &catalogue, &store.names)))
    }
}

fn file() -> SourceFile {
    SourceFile {
        name: "product.yaml".to_owned(),
        text: include_str!("product.yaml").to_owned(),
    }
}

/// All queues that any installation of the bench has.
fn queues(store: &Store) -> Vec<String> {
    let lanes = [Lane::Live, Lane::Bulk];
    let of = |lane| {
        let sync = |target| store.names.sync_queue(target, DOCUMENT, lane);
        [
            store.names.publish_queue(DOCUMENT, lane),
            sync(STORAGE),
            sync(SEARCH),
        ]
    };
    lanes.into_iter().flat_map(of).collect()
}
