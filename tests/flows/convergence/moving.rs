//! An index takes the place of another while work goes on.

use pubsync_publisher::operate::rebuild;
use pubsync_schema::names::Lane;
use pubsync_schema::run;
use pubsync_schema::writeset::{self, Step, WriteSet};
use pubsync_synchronizer::apply;
use pubsync_synchronizer::message::State;
use pubsync_synchronizer::settle::Batch;
use pubsync_synchronizer::status;
use pubsync_synchronizer::target::{Accept, Operation, Write};
use pubsync_tests::SearchIndexes;
use tokio_util::sync::CancellationToken;

use super::removal::finish;
use super::scene::{Process, Scene};

const DATA: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one'), (2, NULL, 'b', 'two');";

fn product(options: &str) -> String {
    format!(
        "document: product\nroot: product\nkey: \"product:{{id}}\"\nbody: {{ name: name }}\ntargets: {{ search: {options} }}\n"
    )
}

const KEYWORD: &str = "{ mapping: { properties: { name: { type: keyword } } } }";

/// A scene on the real OpenSearch, what readers of its target see, and its only write set.
struct Search {
    scene: Scene,
    indexes: SearchIndexes,
}

impl Search {
    async fn begin(label: &str) -> Self {
        let (scene, indexes) = Scene::searched(label, &[&product("{}")], DATA).await;
        Self { scene, indexes }
    }

    fn process(&self) -> &Process {
        &self.scene.process
    }

    async fn set(&self) -> WriteSet {
        let store = &self.process().street.store;
        let sets = writeset::all(&store.write, store).await.unwrap();
        sets.into_values().next().unwrap()
    }

    /// `apply` with other options of the target; the process has seen it.
    async fn apply(&self, options: &str) {
        let process = self.process();
        self.scene.apply(process, &[&product(options)]).await;
        process.refresh().await;
    }

    /// Names by key, as readers find them.
    async fn names(&self) -> Vec<(String, String)> {
        let found = self.indexes.documents("product").await;
        found
            .into_iter()
            .map(|(key, stored)| (key, stored.body.to_string()))
            .collect()
    }

    async fn assert_names(&self, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(key, name)| (format!("product:{key}"), format!("{{\"name\": \"{name}\"}}")))
            .collect();
        assert_eq!(self.names().await, expected);
    }

    /// The move has ended: one index, which serves and holds what the mirror has.
    async fn assert_moved(&self, old: &[String], expected: &[(&str, &str)]) {
        for _ in 0..2 {
            self.process().sweep().await;
        }
        let set = self.set().await;
        assert!(!set.is_moving(), "{set:?}");
        let serving = self.indexes.indexes_of("product").await;
        assert_eq!(self.indexes.all().await, serving);
        assert!(serving.len() == 1 && !old.contains(&serving[0]), "{serving:?}");
        self.assert_names(expected).await;
        assert_eq!(self.scene.count("ledger").await, 0);
        assert_eq!(self.scene.failures().await, Vec::<[String; 4]>::new());
    }

    /// The batch of the only ledger row, as a synchronizer would have read it from its message.
    async fn batch(&self, key: &str, name: &str) -> Batch {
        let ledger = self.scene.own("ledger");
        let id = self.scene.number(&format!("SELECT id FROM {ledger}")).await;
        Batch {
            document: "product".to_owned(),
            target: "search".to_owned(),
            queue: "sync.search.product".to_owned(),
            lane: Lane::Live,
            ids: vec![id],
            states: vec![State {
                key: key.to_owned(),
                revision: self.scene.revision("product", key).await,
                body: Some(format!("{{\"name\":\"{name}\"}}").into()),
                remains: None,
            }],
            force: false,
            changed_at: self.process().street.store.now().await.unwrap(),
            attempts: 0,
            run: None,
        }
    }

    async fn synchronize(&self, process: &Process, key: &str, name: &str) {
        self.synchronize_of_run(process, key, name, None).await;
    }

    async fn synchronize_of_run(&self, process: &Process, key: &str, name: &str, run: Option<i64>) {
        let mut batch = self.batch(key, name).await;
        batch.run = run;
        let target = process.street.targets["search"].clone();
        apply::apply(&process.street, &*target, &mut batch, &CancellationToken::new())
            .await
            .unwrap();
    }

    async fn change(&self, name: &str) {
        self.scene
            .uncaptured(&format!("UPDATE product SET name = '{name}' WHERE id = 1"))
            .await;
        self.process().publish("product", &["1"]).await;
    }
}

/// A new index was filled. Then a change comes, and a synchronizer that knows only the old index writes it there and settles.
#[tokio::test(flavor = "multi_thread")]
async fn rule_25_whoever_knows_only_the_old_index_does_not_settle() {
    let search = Search::begin("rule25").await;
    let old = search.indexes.indexes_of("product").await;
    let late = search.scene.another_process().await;
    search.apply(KEYWORD).await;
    search.process().drain().await;
    assert!(search.set().await.filling.is_some());

    search.change("three").await;
    search.synchronize(&late, "product:1", "three").await;
    // Readers did not see the new index while it was filled.
    assert_eq!(search.indexes.indexes_of("product").await, old);
    search.assert_moved(&old, &[("1", "three"), ("2", "two")]).await;
    search.indexes.lose_everything().await;
}

/// The same with work of a run, which is settled in another way.
#[tokio::test(flavor = "multi_thread")]
async fn rule_25_nor_does_he_settle_work_of_a_run() {
    let search = Search::begin("rule25run").await;
    let old = search.indexes.indexes_of("product").await;
    let late = search.scene.another_process().await;
    search.apply(KEYWORD).await;
    search.process().drain().await;

    search.change("three").await;
    let store = &late.street.store;
    let run = run::begin(&store.write, store, "resync", "product", Some("search"));
    let run = run.await.unwrap();
    search
        .synchronize_of_run(&late, "product:1", "three", Some(run))
        .await;
    search.assert_moved(&old, &[("1", "three"), ("2", "two")]).await;
    search.indexes.lose_everything().await;
}

/// What a rebuild is still to write may not fit the new index.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_filled_waits_for_a_rebuild() {
    let search = Search::begin("rebuildmove").await;
    let old = search.indexes.indexes_of("product").await;
    search.apply(KEYWORD).await;
    search.process().drain().await;
    let store = &search.process().street.store;
    rebuild::publish(store, &["product".to_owned()], None)
        .await
        .unwrap();
    for _ in 0..2 {
        search.process().sweep().await;
    }
    assert!(search.set().await.filling.is_some());
    assert_eq!(search.indexes.indexes_of("product").await, old);
    search.process().drain().await;
    search.assert_moved(&old, &[("1", "one"), ("2", "two")]).await;
    search.indexes.lose_everything().await;
}

/// The same after readers have moved: the late one writes to an index that is gone, and does not bring it back.
#[tokio::test(flavor = "multi_thread")]
async fn rule_25_an_index_that_was_taken_away_stays_away() {
    let search = Search::begin("rule25gone").await;
    let old = search.indexes.indexes_of("product").await;
    let late = search.scene.another_process().await;
    search.apply(KEYWORD).await;
    search.process().drain().await;
    search.assert_moved(&old, &[("1", "one"), ("2", "two")]).await;
    let new = search.indexes.indexes_of("product").await;

    search.change("three").await;
    search.synchronize(&late, "product:1", "three").await;
    search.assert_names(&[("1", "three"), ("2", "two")]).await;
    assert_eq!(search.indexes.indexes_of("product").await, new);
    assert_eq!(search.indexes.all().await, new);
    search.indexes.lose_everything().await;
}

/// Killed between any two steps of the move: whoever sweeps next goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_goes_on_after_a_kill() {
    let search = Search::begin("killedmove").await;
    let old = search.indexes.indexes_of("product").await;
    search.apply(KEYWORD).await;
    search.process().drain().await;
    let (store, target) = (
        &search.process().street.store,
        &search.process().street.targets["search"],
    );
    // The new one serves in the write set, and readers still see the old one.
    let mut set = search.set().await;
    set.leaving.push(std::mem::replace(
        &mut set.serving,
        set.filling.take().unwrap().collection,
    ));
    set.serving.filling = false;
    set.generation = writeset::raise(&store.write, store, &set).await.unwrap().unwrap();
    search.process().refresh().await;
    search.change("three").await;
    search.process().drain().await;
    search.assert_names(&[("1", "three"), ("2", "two")]).await;
    assert_eq!(search.indexes.indexes_of("product").await, old);
    // Readers see the new one, and that is not noted.
    target.show(&set.serving).await.unwrap();
    search.assert_names(&[("1", "three"), ("2", "two")]).await;
    search.assert_moved(&old, &[("1", "three"), ("2", "two")]).await;
    search.indexes.lose_everything().await;
}

/// What the new mapping refuses would be missing: the old index serves until it is mended.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_refuses_documents_does_not_serve() {
    let search = Search::begin("refusing").await;
    let old = search.indexes.indexes_of("product").await;
    search
        .apply("{ mapping: { properties: { name: { type: long } } } }")
        .await;
    search.process().drain().await;
    search.process().sweep().await;
    search.process().sweep().await;
    assert_eq!(search.indexes.indexes_of("product").await, old);
    assert_eq!(search.scene.failures().await.len(), 2);
    let status = status::status(&search.process().street.store).await.unwrap();
    let [unready] = status.indexes.as_slice() else {
        panic!("{:?}", status.indexes);
    };
    assert_eq!((unready.target.as_str(), unready.refused), ("search", 2));
    assert!(
        unready
            .advice
            .as_ref()
            .is_some_and(|text| text.contains("the old index serves on"))
    );
    assert!(
        status
            .sentence
            .ends_with("the new index of product at search is not shown"),
        "{}",
        status.sentence
    );
    search.assert_names(&[("1", "one"), ("2", "two")]).await;

    search.apply(KEYWORD).await;
    search.process().drain().await;
    search.assert_moved(&old, &[("1", "one"), ("2", "two")]).await;
    search.indexes.lose_everything().await;
}

/// A document that is declared no more while its new index is filled: what is half filled never serves.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_a_removed_document_is_not_moved() {
    let search = Search::begin("removedmove").await;
    let old = search.indexes.indexes_of("product").await;
    search.apply(KEYWORD).await;
    search.scene.apply(search.process(), &[]).await;
    search.process().refresh().await;
    for _ in 0..2 {
        search.process().sweep().await;
    }
    assert_eq!(search.indexes.indexes_of("product").await, old);
    assert_eq!(search.indexes.all().await, old);
    search.assert_names(&[("1", "one"), ("2", "two")]).await;
    search.indexes.lose_everything().await;
}

/// The index of a removed document goes as a whole. A synchronizer that held a message makes it again, and takes it away.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_removed_stays_away() {
    let search = Search::begin("removedindex").await;
    let late = search.scene.another_process().await;
    search.change("three").await;
    let mut held = search.batch("product:1", "three").await;
    let mut again = held.clone();
    let process = search.process();
    search
        .scene
        .apply_removing(process, &[], &["product"])
        .await
        .unwrap();
    finish(process).await;
    assert_eq!(search.indexes.all().await, Vec::<String>::new());
    for (process, batch) in [(&late, &mut held), (process, &mut again)] {
        let target = process.street.targets["search"].clone();
        apply::apply(&process.street, &*target, batch, &CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(search.indexes.all().await, Vec::<String>::new());
    }
}

/// The index is gone, and what was on its way is not. Somebody who knew only the index writes once more, which makes it again,
/// and dies.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_the_dead_made_again_goes() {
    let search = Search::begin("deadindex").await;
    let process = search.process();
    let old = search.set().await;
    search.change("three").await;
    let write = Write {
        key: "product:1".to_owned(),
        revision: search.scene.revision("product", "product:1").await,
        operation: Operation::Put("{\"name\":\"three\"}".into()),
    };
    search
        .scene
        .apply_removing(process, &[], &["product"])
        .await
        .unwrap();
    process.sweep().await;
    assert_eq!(
        search.set().await.removal_step(),
        Some(Step::Emptying { run: None })
    );
    assert_eq!(search.indexes.all().await, Vec::<String>::new());
    let target = &process.street.targets["search"];
    target
        .apply(&old.serving, &[write], Accept::Higher)
        .await
        .unwrap();
    assert_eq!(search.indexes.all().await.len(), 1);
    // What was on its way is lost with its message: nobody else comes across the index.
    let ledger = search.scene.own("ledger");
    search.scene.shop.script(&format!("DELETE FROM {ledger}")).await;
    finish(process).await;
    assert_eq!(search.indexes.all().await, Vec::<String>::new());
}

/// Declared again before anybody has taken the index away, and after. Whoever still knows the old index cannot meet the new
/// one: neither by what he writes, nor by what he takes away.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_declared_again_is_another_one() {
    let search = Search::begin("anotherindex").await;
    let process = search.process();
    for finished in [false, true] {
        let old = search.indexes.indexes_of("product").await;
        let late = search.scene.another_process().await;
        search.change(if finished { "four" } else { "three" }).await;
        let mut held = search.batch("product:1", "past").await;
        search
            .scene
            .apply_removing(process, &[], &["product"])
            .await
            .unwrap();
        let between = search.scene.another_process().await;
        if finished {
            finish(process).await;
        }
        search.apply("{}").await;
        finish(process).await;
        let name = if finished { "four" } else { "three" };
        let new = search.indexes.indexes_of("product").await;
        for process in [&late, &between] {
            let target = process.street.targets["search"].clone();
            apply::apply(&process.street, &*target, &mut held, &CancellationToken::new())
                .await
                .unwrap();
            search.assert_names(&[("1", name), ("2", "two")]).await;
            assert_eq!(search.indexes.all().await, new);
        }
        assert!(new.len() == 1 && old != new, "{old:?} {new:?}");
    }
    search.indexes.lose_everything().await;
}
