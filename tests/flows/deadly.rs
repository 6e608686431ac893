//! A row that kills every process that builds it: it is found and put aside, and everything else arrives.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::Duration;

use pubsync_tests::{Worker, World, eventually};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fragile");

const LONG: Duration = Duration::from_secs(120);

const NOTES: &str = "
    CREATE TABLE label (id integer PRIMARY KEY, name text);
    CREATE TABLE note (id integer PRIMARY KEY, text text NOT NULL);
    WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 400)
    INSERT INTO note SELECT id, 'old' FROM n;";

/// Workers die of one row and are started again, as any supervisor would; another row only panics.
///
/// `dies`: the roles of the worker that dies; `stays`: those of another one beside it, which does not.
async fn killed(world: World, dies: &[&str], stays: Option<&[&str]>) {
    world.script(NOTES).await;
    world.document(
        "label",
        "document: label\nroot: label\nkey: \"label:{id}\"\nbody: { name: name }\n",
    );
    let world = world.with_program(Path::new(PROGRAM));
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    world
        .script("UPDATE note SET text = CASE id WHEN 150 THEN 'kill' WHEN 77 THEN 'panic' ELSE 'new' END")
        .await;
    let beside = stays.map(|roles| world.spawn(roles));
    let (worker, deaths) = (RefCell::new(Some(world.spawn(dies))), Cell::new(0));
    let parked = eventually("the failure of the row that kills", LONG, async || {
        if restarted(&world, &worker, dies) {
            deaths.set(deaths.get() + 1);
            assert!(deaths.get() <= 8, "it kills on and on");
        }
        settled(&world).await
    })
    .await;
    // Once with its neighbours, and three times under suspicion.
    assert!(deaths.get() >= 4, "{} deaths", deaths.get());
    let shown: Vec<[&Value; 2]> = parked.iter().map(|f| [&f["root"], &f["class"]]).collect();
    assert_eq!(shown, [["77", "build"], ["150", "kills its worker"]]);
    assert_eq!(
        parked[0]["error"],
        "SELECT of a publisher in Rust: Custom Error: the publisher panicked: this note cannot be borne"
    );
    assert_eq!(parked[1]["given_up"], "it kills its worker");
    assert_eq!(
        texts(&world).await,
        [("new".to_owned(), 398), ("old".to_owned(), 2)]
    );

    let outbox = world.database().own_table("outbox");
    world
        .script(&format!(
            "BEGIN; UPDATE note SET text = 'new' WHERE id IN (77, 150); DELETE FROM {outbox}; COMMIT;"
        ))
        .await;
    world.pubsync(&["failures", "retry", "--all"]).await;
    world.pubsync(&["wait", "--timeout", "60"]).await;
    assert_eq!(texts(&world).await, [("new".to_owned(), 400)]);
    assert_eq!(world.pubsync(&["failures"]).await.stdout, "");
    world.pubsync(&["verify"]).await;
    let worker = worker.into_inner().expect("a worker");
    worker.stop().await;
    if let Some(beside) = beside {
        beside.stop().await;
    }
}

/// Starts the worker again where it has died, and says whether it had.
fn restarted(world: &World, worker: &RefCell<Option<Worker>>, roles: &[&str]) -> bool {
    let mut worker = worker.borrow_mut();
    if worker.as_mut().is_some_and(|worker| worker.end().is_none()) {
        return false;
    }
    *worker = Some(world.spawn(roles));
    true
}

/// Nothing is on its way any more but what failed. By root.
async fn settled(world: &World) -> Result<Vec<Value>, String> {
    let status = world.status().await;
    let left = [&status["outbox_rows"], &status["ledger_rows"]];
    let output = world.pubsync(&["failures", "ls", "--all", "--json"]).await;
    let lines = output.stdout.lines().map(serde_json::from_str);
    let mut failures: Vec<Value> = lines.collect::<Result<_, _>>().expect("failures");
    failures.sort_by_key(|failure| failure["root"].as_str().map(|root| (root.len(), root.to_owned())));
    if left == [0, 0] && failures.len() == 2 {
        Ok(failures)
    } else {
        Err(format!("{left:?} on their way, {failures:?}"))
    }
}

/// How often each text stands in the mirror.
async fn texts(world: &World) -> Vec<(String, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for stored in world.mirror("note").await.into_values() {
        match stored.body.get("text") {
            Some(pubsync_tests::Json::Text(text)) => *counts.entry(text.clone()).or_insert(0) += 1,
            other => panic!("{other:?}"),
        }
    }
    counts.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_kills_its_worker() {
    let stays = ["run", "relay", "synchronizer"];
    killed(
        World::postgres("deadly").await,
        &["run", "publisher"],
        Some(&stays),
    )
    .await;
}

/// Here the messages die with the process.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_kills_its_worker_embedded() {
    killed(World::embedded("deadly"), &["run"], None).await;
}
