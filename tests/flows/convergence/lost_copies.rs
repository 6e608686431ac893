//! A Redis that lost something: flushed, started empty, or gone back to an older copy. It is noticed by a mark in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use pubsync_schema::names::Lane;
use pubsync_synchronizer::apply;
use pubsync_synchronizer::gate::Gate;
use pubsync_synchronizer::message::State;
use pubsync_synchronizer::settle::{self, Batch};
use pubsync_synchronizer::target::Target;
use pubsync_synchronizer::targets::redis::RedisTarget;
use pubsync_synchronizer::watch;
use pubsync_tests::{RedisServer, Scratch};
use tokio_util::sync::CancellationToken;

use super::scene::{Process, Scene};

const PRODUCT: &str = "document: product\nroot: product\nkey: \"product:{id}\"\nbody: { name: name }\n";
const DATA: &str = "INSERT INTO product SELECT n, NULL, NULL, 'old' FROM generate_series(1, 9) AS n;";

/// A scene whose only target is a Redis of its own; documents 1 to 9 stand in it, and the mark was set after them.
struct Storage {
    scene: Scene,
    server: RedisServer,
}

impl Storage {
    async fn begin(label: &str) -> Self {
        let shop = Scratch::postgres(label).await;
        let server = RedisServer::start_beside(&shop).await;
        let target: Arc<dyn Target> =
            Arc::new(RedisTarget::new("storage", &server.url().as_str().into(), "", "test").unwrap());
        let targets = BTreeMap::from([("storage".to_owned(), target)]);
        let storage = Self {
            scene: Scene::with_targets(shop, &[PRODUCT], DATA, targets).await,
            server,
        };
        // The first look gives it a mark, the second begins an interval in which nothing was applied.
        storage.look().await;
        storage.look().await;
        storage.assert_equal().await;
        storage
    }

    fn process(&self) -> &Process {
        &self.scene.process
    }

    fn target(&self) -> Arc<dyn Target> {
        self.process().street.targets["storage"].clone()
    }

    async fn look(&self) {
        watch::once(&self.process().street, &*self.target())
            .await
            .unwrap();
    }

    /// A change that is published, and not yet applied.
    async fn change(&self, sql: &str, root: &str) {
        self.scene.uncaptured(sql).await;
        self.process().publish("product", &[root]).await;
    }

    /// Killed, and there again with its last copy.
    async fn go_back(&mut self) {
        self.server.kill();
        self.server.start_again().await;
    }

    /// What Redis holds is what the mirror does, revisions included.
    async fn assert_equal(&self) {
        assert_eq!(self.held().await, self.mirror().await);
    }

    async fn held(&self) -> Vec<(String, i64)> {
        let held = self.server.keys().documents().await.into_iter();
        held.map(|(key, stored)| (key, stored.revision)).collect()
    }

    async fn mirror(&self) -> Vec<(String, i64)> {
        let mirror = self.scene.own("mirror_product");
        let sql =
            format!("SELECT key, CAST(revision AS text) FROM {mirror} WHERE deleted_at IS NULL ORDER BY key");
        let row =
            |row: &Vec<Option<String>>| (row[0].clone().unwrap(), row[1].as_ref().unwrap().parse().unwrap());
        self.scene.shop.rows(&sql).await.iter().map(row).collect()
    }

    /// How many rows the repairs have sent again, one number each.
    async fn repairs(&self) -> Vec<i64> {
        let run = self.scene.own("run");
        let sql = format!("SELECT CAST(total AS text) FROM {run} WHERE kind = 'repair' ORDER BY id");
        let number = |row: &Vec<Option<String>>| row[0].as_ref().unwrap().parse().unwrap();
        self.scene.shop.rows(&sql).await.iter().map(number).collect()
    }
}

/// What is lost is what was applied since, not what changed since: a backlog that was drained just before the failover. A
/// delete that was lost is repeated, and what was not lost is left alone.
#[tokio::test(flavor = "multi_thread")]
async fn rule_27_a_copy_from_before_a_backlog_was_applied() {
    let mut storage = Storage::begin("rule27").await;
    storage
        .change("UPDATE product SET name = 'new' WHERE id = 1", "1")
        .await;
    storage.change("DELETE FROM product WHERE id = 2", "2").await;
    // These marks are younger than the changes.
    storage.look().await;
    storage.server.save().await;
    storage.process().drain().await;
    storage.look().await;
    storage
        .change("INSERT INTO product VALUES (10, NULL, NULL, 'new')", "10")
        .await;
    storage.process().drain().await;
    storage.assert_equal().await;

    storage.go_back().await;
    assert_ne!(storage.held().await, storage.mirror().await, "nothing was lost");
    storage.look().await;
    storage.process().drain().await;
    storage.assert_equal().await;
    assert_eq!(storage.repairs().await, [3]);
    // Found once, and repaired once.
    storage.look().await;
    storage.look().await;
    assert_eq!(storage.repairs().await, [3]);
}

/// The copy holds the newest mark: what came after it is gone all the same, and another run of the server tells.
#[tokio::test(flavor = "multi_thread")]
async fn rule_27_a_copy_with_the_newest_mark() {
    let mut storage = Storage::begin("rule27new").await;
    storage.server.save().await;
    storage
        .change("UPDATE product SET name = 'new' WHERE id = 1", "1")
        .await;
    storage.process().drain().await;
    storage.go_back().await;
    storage.look().await;
    storage.process().drain().await;
    storage.assert_equal().await;
    assert_eq!(storage.repairs().await, [1]);
}

/// Nothing was applied since: a failover in peace sends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_loss_sends_nothing() {
    let mut storage = Storage::begin("rule27peace").await;
    storage.server.save().await;
    storage.go_back().await;
    storage.look().await;
    storage.process().drain().await;
    storage.assert_equal().await;
    assert_eq!(storage.repairs().await, Vec::<i64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_27_a_flush_and_an_empty_start() {
    let mut storage = Storage::begin("rule27flush").await;
    storage.change("DELETE FROM product WHERE id = 2", "2").await;
    storage.process().drain().await;
    storage.server.flush().await;
    storage.look().await;
    storage.process().drain().await;
    storage.assert_equal().await;
    // Tombstones too: an older write to a deleted key must be refused again.
    let held = storage.target();
    let collection = storage
        .process()
        .compiled("product")
        .definition
        .shape
        .collection("storage");
    let held = held
        .versions(&collection.unwrap(), &["product:2".to_owned()])
        .await
        .unwrap();
    let tombstone = storage.scene.revision("product", "product:2").await;
    assert_eq!(
        held[0].map(|held| (held.revision, held.deleted)),
        Some((tombstone, true))
    );

    storage.go_back().await;
    assert_eq!(storage.held().await, []);
    storage.look().await;
    storage.process().drain().await;
    storage.assert_equal().await;
    assert_eq!(storage.repairs().await, [9, 9]);
}

/// A second flush while the first one is repaired.
#[tokio::test(flavor = "multi_thread")]
async fn rule_27_a_flush_in_the_middle_of_the_repair() {
    let storage = Storage::begin("rule27twice").await;
    storage.server.flush().await;
    storage.look().await;
    storage.server.flush().await;
    storage.look().await;
    storage.process().drain().await;
    storage.server.flush().await;
    storage.look().await;
    storage.process().drain().await;
    storage.assert_equal().await;
    assert_eq!(storage.repairs().await, [9, 9, 9]);
}

/// A batch is applied, then its worker stalls; Redis goes back, that is noticed and repaired; then the worker settles. What
/// it had applied is gone, and nobody else knows of it.
#[tokio::test(flavor = "multi_thread")]
async fn rule_27_what_was_applied_before_the_loss_is_not_settled_after_it() {
    let mut storage = Storage::begin("rule27late").await;
    let street = storage.process().street.clone();
    storage.server.save().await;
    storage
        .change("UPDATE product SET name = 'new' WHERE id = 1", "1")
        .await;
    let ledger = storage.scene.own("ledger");
    let mut batch = Batch {
        document: "product".to_owned(),
        target: "storage".to_owned(),
        queue: "sync.storage.product".to_owned(),
        lane: Lane::Live,
        ids: vec![storage.scene.number(&format!("SELECT id FROM {ledger}")).await],
        states: vec![State {
            key: "product:1".to_owned(),
            revision: storage.scene.revision("product", "product:1").await,
            body: Some("{\"name\":\"new\"}".into()),
            remains: None,
        }],
        force: false,
        changed_at: street.store.now().await.unwrap(),
        attempts: 0,
        run: None,
    };
    let (target, stop) = (storage.target(), CancellationToken::new());
    let set = street.definitions.write_set("product", "storage").unwrap();
    let outcomes = apply::everywhere(&mut Gate::new(&street, &*target), &set, &batch, Some(&stop))
        .await
        .unwrap();
    storage.assert_equal().await;
    storage.go_back().await;
    storage.look().await;
    assert_eq!(
        storage.repairs().await,
        Vec::<i64>::new(),
        "nothing else was applied"
    );

    let settled = settle::settle(&street, &batch, &set, &outcomes, &[])
        .await
        .unwrap();
    assert!(settled.is_none(), "settled, and lost");
    apply::apply(&street, &*target, &mut batch, &stop).await.unwrap();
    storage.assert_equal().await;
    assert_eq!(storage.scene.count("ledger").await, 0);
}

/// The process that looks dies after it found the loss: whoever looks next repairs it, though the mark is new.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_is_queued_by_the_next_look() {
    let storage = Storage::begin("rule27killed").await;
    let health = storage.scene.own("health");
    storage.server.flush().await;
    storage.look().await;
    // As it stood between the first step and the last one.
    let (ledger, run) = (storage.scene.own("ledger"), storage.scene.own("run"));
    storage
        .scene
        .shop
        .script(&format!(
            "DELETE FROM {ledger}; DELETE FROM {run}; \
             UPDATE {health} SET pending = '[{{\"loss\":\"everything\",\"why\":\"flushed\"}}]'"
        ))
        .await;
    storage.look().await;
    storage.process().drain().await;
    storage.assert_equal().await;
    assert_eq!(storage.repairs().await, [9]);
}

/// The database was restored to an earlier state: Redis holds a mark of the lost future, and documents of it.
#[tokio::test(flavor = "multi_thread")]
async fn rule_28_a_mark_of_a_lost_future() {
    let storage = Storage::begin("rule28mark").await;
    let (mirror, health) = (storage.scene.own("mirror_product"), storage.scene.own("health"));
    let shop = &storage.scene.shop;
    shop.script(&format!(
        "CREATE TABLE past AS SELECT * FROM {mirror}; CREATE TABLE past_health AS SELECT * FROM {health}"
    ))
    .await;
    storage
        .change("UPDATE product SET name = 'lost' WHERE id = 1", "1")
        .await;
    storage
        .change("INSERT INTO product VALUES (10, NULL, NULL, 'lost')", "10")
        .await;
    storage.process().drain().await;
    storage.look().await;
    storage
        .scene
        .uncaptured("UPDATE product SET name = 'old' WHERE id = 1; DELETE FROM product WHERE id = 10")
        .await;
    shop.script(&format!(
        "DELETE FROM {mirror}; INSERT INTO {mirror} SELECT * FROM past; \
         DELETE FROM {health}; INSERT INTO {health} SELECT * FROM past_health"
    ))
    .await;
    assert_ne!(storage.held().await, storage.mirror().await);
    storage.look().await;
    storage.process().drain().await;
    storage.assert_equal().await;
    let one = &storage.server.keys().documents().await["product:1"];
    assert_eq!(one.body.to_string(), "{\"name\": \"old\"}");
}

/// What a look found too late, because another one has begun meanwhile, is not noted.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_comes_late_notes_nothing() {
    let storage = Storage::begin("latelook").await;
    let store = &storage.process().street.store;
    let late = pubsync_schema::health::open(store, "storage").await.unwrap();
    storage.look().await;
    let noted = pubsync_schema::health::note(&store.write, store, "storage", &late)
        .await
        .unwrap();
    assert!(!noted);
    // Its mark is older than the one that stands, so it was not written either.
    let seen = storage.target().look(&[], &late).await.unwrap();
    assert_eq!(seen.found.len(), 1, "a mark that it cannot know");
    storage.look().await;
    assert_eq!(storage.repairs().await, Vec::<i64>::new());
}
