//! An OpenSearch that lost something: an index that was deleted or made by another, and one that forgot deletes.

use std::sync::Arc;

use pubsync_schema::shape::Collection;
use pubsync_synchronizer::target::{Accept, Operation, Target, Write};
use pubsync_synchronizer::watch;
use pubsync_tests::SearchIndexes;

use super::scene::{Process, Scene};

const PRODUCT: &str = "\
document: product
root: product
key: \"product:{id}\"
body: { name: name }
targets: { search: { mapping: { properties: { name: { type: keyword } } } } }
";
const DATA: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one'), (2, NULL, 'b', 'two');";

/// A scene on the real OpenSearch that was looked at once.
struct Search {
    scene: Scene,
    indexes: SearchIndexes,
}

impl Search {
    async fn begin(label: &str) -> Self {
        let (scene, indexes) = Scene::searched(label, &[PRODUCT], DATA).await;
        let search = Self { scene, indexes };
        search.look().await;
        search
    }

    fn process(&self) -> &Process {
        &self.scene.process
    }

    fn target(&self) -> Arc<dyn Target> {
        self.process().street.targets["search"].clone()
    }

    fn collection(&self) -> Collection {
        let compiled = self.process().compiled("product");
        compiled.definition.shape.collection("search").unwrap()
    }

    async fn look(&self) {
        watch::once(&self.process().street, &*self.target())
            .await
            .unwrap();
    }

    async fn change(&self, sql: &str) {
        self.scene.uncaptured(sql).await;
        self.process().publish("product", &["1", "2"]).await;
    }

    async fn repairs(&self) -> i64 {
        let run = self.scene.own("run");
        self.scene
            .number(&format!("SELECT count(*) FROM {run} WHERE kind = 'repair'"))
            .await
    }

    /// What readers find is what the mirror has, in the mapping that is declared.
    async fn assert_whole(&self) {
        let found = self.indexes.documents("product").await;
        let found: Vec<_> = found
            .into_iter()
            .map(|(key, stored)| (key, stored.body.to_string()))
            .collect();
        let mirror = self.scene.mirror("product").await.into_iter();
        let mirror: Vec<_> = mirror.map(|(key, body)| (key, body.replace(':', ": "))).collect();
        assert_eq!(
            found,
            mirror
                .iter()
                .map(|(key, body)| (key.clone(), body.clone()))
                .collect::<Vec<_>>()
        );
        assert_eq!(self.indexes.mapping("product", "name").await, "keyword");
        assert_eq!(self.scene.count("ledger").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_deleted_is_made_again_and_filled() {
    let search = Search::begin("lostindex").await;
    search.indexes.lose_everything().await;
    // The next write makes index and alias again, with this document alone.
    search
        .change("UPDATE product SET name = 'three' WHERE id = 1")
        .await;
    search.process().drain().await;
    assert_eq!(search.indexes.documents("product").await.len(), 1);
    search.look().await;
    search.process().drain().await;
    search.assert_whole().await;

    // Nothing is written meanwhile.
    search.look().await;
    search.indexes.lose_everything().await;
    search.look().await;
    search.process().drain().await;
    search.assert_whole().await;
    search.look().await;
    search.look().await;
    assert_eq!(search.repairs().await, 2);
    search.indexes.lose_everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_another_made_is_taken_away_and_made_again() {
    let search = Search::begin("foreignindex").await;
    let index = search.indexes.indexes_of("product").await.remove(0);
    search.indexes.lose_everything().await;
    let name = index.strip_prefix(search.indexes.prefix()).unwrap();
    search
        .indexes
        .tamper(name, "theirs", 1, "{\"_revision\":1,\"name\":\"guessed\"}")
        .await;
    // Once to take it away, once to make it anew.
    for _ in 0..2 {
        search.look().await;
    }
    search.process().drain().await;
    search.assert_whole().await;
    search.indexes.lose_everything().await;
}

/// A write stalls past a delete. The engine starts again and forgets the delete, then the write arrives. It is the first
/// attempt of a young message, so nothing holds it back.
#[tokio::test(flavor = "multi_thread")]
async fn rule_26_a_write_that_stalls_past_a_delete_and_a_restart() {
    let search = Search::begin("rule26").await;
    let collection = search.collection();
    let stalled = Write {
        key: "product:1".to_owned(),
        revision: search.scene.revision("product", "product:1").await + 1,
        operation: Operation::Put("{\"name\":\"past\"}".into()),
    };
    search.change("DELETE FROM product WHERE id = 1").await;
    search.process().drain().await;
    assert!(search.scene.revision("product", "product:1").await > stalled.revision);
    search.look().await;

    search.indexes.restart("product").await;
    let target = search.target();
    target
        .apply(&collection, &[stalled], Accept::Higher)
        .await
        .unwrap();
    let risen = search.indexes.documents("product").await;
    assert!(
        risen.contains_key("product:1"),
        "the engine has remembered the delete"
    );

    search.look().await;
    search.process().drain().await;
    search.assert_whole().await;
    assert_eq!(search.repairs().await, 1);
    search.look().await;
    assert_eq!(search.repairs().await, 1);
    search.indexes.lose_everything().await;
}

/// The write arrives after the tombstones were sent again: it is refused.
#[tokio::test(flavor = "multi_thread")]
async fn rule_26_tombstones_are_remembered_again() {
    let search = Search::begin("rule26late").await;
    let collection = search.collection();
    let revision = search.scene.revision("product", "product:1").await + 1;
    search.change("DELETE FROM product WHERE id = 1").await;
    search.process().drain().await;
    search.look().await;
    search.indexes.restart("product").await;
    search.look().await;
    search.process().drain().await;
    let stalled = Write {
        key: "product:1".to_owned(),
        revision,
        operation: Operation::Put("{\"name\":\"past\"}".into()),
    };
    search
        .target()
        .apply(&collection, &[stalled], Accept::Higher)
        .await
        .unwrap();
    search.assert_whole().await;
    search.indexes.lose_everything().await;
}

/// Indexes of older versions, or those whose settings somebody changed.
#[tokio::test(flavor = "multi_thread")]
async fn rule_26_deletes_are_remembered_for_an_hour_in_every_index() {
    let search = Search::begin("gcdeletes").await;
    assert_eq!(search.indexes.setting("product", "gc_deletes").await, "1h");
    search.indexes.set("product", "gc_deletes", "60s").await;
    let collection = search.collection();
    search.target().prepare(&[collection]).await.unwrap();
    assert_eq!(search.indexes.setting("product", "gc_deletes").await, "1h");
    search.indexes.lose_everything().await;
}

/// The lost future has deleted the document. What refuses the write is a delete that readers do not see.
#[tokio::test(flavor = "multi_thread")]
async fn rule_28_a_delete_of_a_lost_future() {
    let search = Search::begin("rule28delete").await;
    let held = search.process().street.store.now().await.unwrap() + 3_600_000_000;
    search.indexes.take_away("product", "product:1", held).await;
    search
        .change("UPDATE product SET name = 'three' WHERE id = 1")
        .await;
    search.process().drain().await;
    search.assert_whole().await;
    assert!(search.scene.revision("product", "product:1").await > held);
    search.indexes.lose_everything().await;
}
