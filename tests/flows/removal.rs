//! `apply --remove` on the real services: entries, index, queues and tables of what is declared no more.

use std::collections::BTreeMap;
use std::time::Duration;

use pubsync_tests::{World, eventually};

const MINUTE: Duration = Duration::from_secs(60);

const TABLES: &str = "
    CREATE TABLE brand (id bigint PRIMARY KEY, name text NOT NULL);
    CREATE TABLE item (id bigint PRIMARY KEY, title text NOT NULL);
    INSERT INTO brand SELECT n, 'brand ' || n FROM generate_series(1, 3) AS n;
    INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, 1200) AS n;";
const BRAND: &str = "document: brand\nroot: brand\nkey: \"brand:{id}\"\nbody: { name: name }\n";
const ITEM: &str =
    "document: item\nroot: item\nkey: \"item:{id}\"\naliases: [\"title:{title}\"]\nbody: { title: title }\n";

async fn shop(label: &str) -> World {
    let world = World::postgres(label).await;
    world.script(TABLES).await;
    world.document("brand", BRAND);
    world.document("item", ITEM);
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    world
}

fn undeclare(world: &World, document: &str) {
    let file = world.folder().join(format!("documents/{document}.yaml"));
    std::fs::remove_file(file).expect("a document");
}

/// What readers of both targets find: keys of Redis by the word that they begin with, and indexes.
async fn shown(world: &World) -> (BTreeMap<String, usize>, usize) {
    let mut keys = BTreeMap::new();
    for key in world.redis().documents().await.keys() {
        let word = key.split(':').next().unwrap_or_default().to_owned();
        *keys.entry(word).or_default() += 1;
    }
    (keys, world.search().all().await.len())
}

/// Tables and queues with this in their names.
async fn named(world: &World, part: &str) -> Vec<String> {
    let query = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'pubsync' ORDER BY 1";
    let tables = world.session().await.rows(query).await;
    let tables = tables.into_iter().filter_map(|row| row[0].clone());
    let queues = world.broker().queues().await;
    let all = tables.chain(queues.into_iter().map(|(name, _)| name));
    all.filter(|name| name.contains(part)).collect()
}

fn before() -> (BTreeMap<String, usize>, usize) {
    let keys = [("brand", 3), ("item", 1200), ("title", 1200)];
    (keys.map(|(word, count)| (word.to_owned(), count)).into(), 2)
}

fn after() -> (BTreeMap<String, usize>, usize) {
    (BTreeMap::from([("brand".to_owned(), 3)]), 1)
}

/// Killed whenever it has got a step further.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_goes_with_all_that_it_left_while_workers_are_killed() {
    let world = shop("removal").await;
    undeclare(&world, "item");
    let plan = world.pubsync(&["plan"]).await.stdout;
    let stays = "- item: declared no more\n! item: left behind: 2400 live keys at targets search, storage; its mirror; its queues\n    \
                 stays; --remove item takes it away\n";
    assert!(plan.contains(stays), "{plan}");
    world.pubsync(&["apply", "--yes"]).await;
    let plan = world.pubsync(&["plan", "--exit-code"]).await.stdout;
    assert!(
        plan.starts_with("! item: left behind") && plan.ends_with("nothing to do: brand stand as declared\n"),
        "{plan}"
    );
    assert_eq!(shown(&world).await, before());

    let plan = world
        .pubsync_exits(1, &["plan", "--exit-code", "--remove", "item"])
        .await
        .stdout;
    assert!(
        plan.contains("! item: to take away: 2400 live keys") && plan.ends_with(", 1 to take away\n"),
        "{plan}"
    );
    let output = world
        .pubsync(&["apply", "--yes", "--remove", "item"])
        .await
        .stdout;
    assert_eq!(output, "taking away what is left of: item\nunchanged: brand\n");
    let status = world.pubsync(&["status"]).await.stdout;
    assert!(
        status.starts_with("not in sync: item is being taken away\n"),
        "{status}"
    );
    assert!(
        status.contains("being taken away: item: from search, storage, then its queues and tables"),
        "{status}"
    );

    let mut lives = 0;
    while state(&world).await.0 > 0 {
        lives += 1;
        let (was, worker) = (state(&world).await, world.spawn(&["run"]));
        eventually("a step of the removal", MINUTE, async || {
            match state(&world).await {
                now if now != was => Ok(()),
                now => Err(format!("{now:?}")),
            }
        })
        .await;
        worker.kill9();
    }
    assert!(lives > 1, "{lives} lives");
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_eq!(shown(&world).await, after());
    assert_eq!(named(&world, "item").await, Vec::<String>::new());
    world.pubsync(&["verify"]).await;
    assert_eq!(world.status().await["in_sync"], true);
    let output = world
        .pubsync(&["apply", "--yes", "--remove", "item"])
        .await
        .stdout;
    assert_eq!(output, "unchanged: brand\nnothing to do\n");

    world.document("item", ITEM);
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_eq!(shown(&world).await, before());
    world.pubsync(&["verify"]).await;
}

/// Whether something is left to take away; and how far it is, in messages too.
async fn state(world: &World) -> (i64, Option<String>) {
    let sql = "SELECT (SELECT count(*) FROM pubsync.removal)::text, \
               (SELECT string_agg(state, ' ' ORDER BY name) FROM pubsync.target) || (SELECT count(*) FROM pubsync.ledger)::text";
    let rows = world.session().await.rows(sql).await;
    let number = rows[0][0].as_deref().and_then(|text| text.parse().ok());
    (number.expect("a number"), rows[0][1].clone())
}

/// A person is asked for what goes, apart from what is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_for_the_data() {
    let world = shop("removalasked").await;
    world.document("brand", &format!("{BRAND}targets: {{ storage: {{}} }}\n"));
    let question =
        "Declared no more: brand@search. Take away what is left of it too? It cannot be undone. [y/N]";
    let output = world.pubsync_on_a_terminal("y\nn\n", &["apply"]);
    assert!(
        output.stdout.contains(question) && output.code == 2,
        "{}",
        output.stdout
    );
    assert!(
        output
            .stdout
            .contains("! brand@search: to take away: up to 3 keys; its queue"),
        "{}",
        output.stdout
    );
    let output = world.pubsync_on_a_terminal("n\ny\n", &["apply"]);
    assert!(
        output.stdout.contains("kept: what is left of brand@search;"),
        "{}",
        output.stdout
    );
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_eq!(shown(&world).await, before());

    // He has changed his mind. It is asked once only.
    let output = world.pubsync_on_a_terminal("y\n", &["apply", "--remove", "brand@search"]);
    assert!(
        output
            .stdout
            .contains("taking away what is left of: brand@search"),
        "{}",
        output.stdout
    );
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_eq!(
        world.search().all().await,
        world.search().indexes_of("item").await
    );
    assert_eq!(shown(&world).await.0, before().0);
    assert_eq!(named(&world, "sync.search.brand").await, Vec::<String>::new());
    world.pubsync(&["verify"]).await;
}
