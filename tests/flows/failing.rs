//! The commands about what failed and what stands still.

use pubsync_tests::World;
use serde_json::{Value, json};

const TABLE: &str = "CREATE TABLE brand (id bigint PRIMARY KEY, name text NOT NULL); INSERT INTO brand VALUES (1, 'Alder'), (2, 'Birch');";
const BRAND: &str = "document: brand\nroot: brand\nkey: \"brand:{name}\"\nbody: { id: id }\n";

async fn shop() -> World {
    let world = World::embedded("failing");
    world.script(TABLE).await;
    world.document("brand", BRAND);
    world.pubsync(&["apply", "--yes"]).await;
    work(&world).await;
    world
}

async fn work(world: &World) {
    world.pubsync(&["run", "--until-quiet"]).await;
}

async fn fail(world: &World) {
    world.script("UPDATE brand SET name = 'Alder' WHERE id = 2").await;
    work(world).await;
}

/// A change that no trigger saw.
async fn mend(world: &World) {
    let outbox = world.database().own_table("outbox");
    world
        .script(&format!(
            "BEGIN; UPDATE brand SET name = 'Beech' WHERE id = 2; DELETE FROM {outbox}; COMMIT;"
        ))
        .await;
}

async fn keys(world: &World) -> Vec<String> {
    world.mirror("brand").await.into_keys().collect()
}

async fn told(world: &World, code: i32, arguments: &[&str], part: &str) {
    let output = world.pubsync_exits(code, arguments).await;
    let text = format!("{}{}", output.stdout, output.stderr);
    assert!(text.contains(part), "{arguments:?}: no {part:?} in: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_listed_shown_and_tried_again() {
    let world = shop().await;
    told(
        &world,
        0,
        &["failures", "retry", "--all"],
        "no such failure is open",
    )
    .await;
    fail(&world).await;
    let groups = world.pubsync(&["failures", "ls", "--json"]).await;
    let groups: Value = serde_json::from_str(&groups.stdout).expect("groups");
    let group = &groups[0];
    assert_eq!(
        json!([
            group["document"],
            group["stage"],
            group["class"],
            group["count"],
            group["given_up"]
        ]),
        json!(["brand", "publish", "key conflict", 1, 0])
    );
    let id = group["sample"].to_string();
    let shown = world.pubsync(&["failures", "show", &id]).await.stdout;
    for line in [
        "document   brand\n",
        "root       2\n",
        "key        brand:Alder\n",
        "error      key \"brand:Alder\" of root 2 is held by root 1: two live roots",
        "with a permanent error\nchanged    20",
        " UTC (",
    ] {
        assert!(shown.contains(line), "no {line:?} in\n{shown}");
    }
    let all = world.pubsync(&["failures", "ls", "--all"]).await.stdout;
    let begins = format!("{id} publish brand brand:Alder [key conflict], attempts: ");
    assert!(all.starts_with(&begins), "{all}");
    told(
        &world,
        2,
        &["failures", "show", "999"],
        "no failure 999: it has succeeded since",
    )
    .await;
    told(
        &world,
        2,
        &["failures", "retry"],
        "which failures? Give their numbers",
    )
    .await;
    told(&world, 0, &["failures", "ls", "--document", "other"], "").await;
    told(
        &world,
        0,
        &["failures", "retry", "--class", "mapping"],
        "no such failure is open",
    )
    .await;

    mend(&world).await;
    told(
        &world,
        0,
        &["failures", "retry", &id],
        "1 queued to be tried again",
    )
    .await;
    work(&world).await;
    assert_eq!(world.pubsync(&["failures"]).await.stdout, "");
    assert_eq!(keys(&world).await, ["brand:Alder", "brand:Beech"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_asks_and_says_what_stays_stale() {
    let world = shop().await;
    fail(&world).await;
    let stale = "1 × publish brand [key conflict]: the documents of these roots stay as they were built last, until they change \
                 again or `pubsync publish brand`";
    told(
        &world,
        2,
        &["failures", "drop", "--all"],
        "give --yes where nobody can answer",
    )
    .await;
    let no = world.pubsync_on_a_terminal("n\n", &["failures", "drop", "--document", "brand"]);
    assert!(no.code == 2 && no.stdout.contains(stale), "{no:?}");
    assert!(no.stdout.contains("nothing was changed"), "{no:?}");
    assert_ne!(world.pubsync(&["failures"]).await.stdout, "");
    let dropped = world.pubsync(&["failures", "drop", "--all", "--yes"]).await;
    assert_eq!(dropped.stdout, format!("1 dropped\n{stale}\n"));
    assert_eq!(world.pubsync(&["failures"]).await.stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_pauses_and_unpauses() {
    let world = shop().await;
    let pause = [
        "pause",
        "--document",
        "brand",
        "--target",
        "local",
        "--reason",
        "stock-taking",
    ];
    told(
        &world,
        2,
        &["pause", "--document", "brnd", "--reason", "x"],
        "no document \"brnd\"; there are: brand",
    )
    .await;
    told(
        &world,
        2,
        &["pause", "--target", "store", "--reason", "x"],
        "no target \"store\"; there are: local",
    )
    .await;
    told(
        &world,
        2,
        &["pause", "--document", "brand", "--reason", " "],
        "--reason: say why",
    )
    .await;
    told(&world, 2, &["pause", "--reason", "x"], "--document").await;
    let both = "paused by hand: document brand: stock-taking\npaused by hand: target local: stock-taking\n";
    assert_eq!(world.pubsync(&pause).await.stdout, both);

    world.script("UPDATE brand SET name = 'Cedar' WHERE id = 2").await;
    work(&world).await;
    assert_eq!(keys(&world).await, ["brand:Alder", "brand:Birch"]);
    told(
        &world,
        0,
        &["status"],
        "paused by hand: document brand: stock-taking",
    )
    .await;
    told(&world, 0, &["plan"], "nothing to do").await;

    let unpause = ["unpause", "--document", "brand", "--target", "local"];
    assert_eq!(
        world.pubsync(&unpause).await.stdout,
        "document brand goes on\ntarget local goes on\n"
    );
    work(&world).await;
    assert_eq!(keys(&world).await, ["brand:Alder", "brand:Cedar"]);
    world.pubsync(&["verify"]).await;
    told(
        &world,
        0,
        &unpause,
        "document brand was not paused by hand\ntarget local was not paused by hand",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_row_that_is_no_json_is_shown_dropped_and_mended() {
    let world = shop().await;
    let outbox = world.database().own_table("outbox");
    let nonsense = format!(
        "INSERT INTO {outbox} (kind, table_name, changes, lane, at) VALUES ('rows', 'brand', 'no json', 'live', 1)"
    );
    world.script(&nonsense).await;
    world.script("UPDATE brand SET name = 'Beech' WHERE id = 2").await;
    work(&world).await;
    assert_eq!(
        keys(&world).await,
        ["brand:Alder", "brand:Beech"],
        "the others go on"
    );
    let groups = world.pubsync(&["failures", "ls", "--json"]).await;
    let groups: Value = serde_json::from_str(&groups.stdout).expect("groups");
    let id = groups[0]["sample"].to_string();
    let shown = world.pubsync(&["failures", "show", &id]).await.stdout;
    for line in [
        "stage      capture\nclass      unreadable\n",
        "an outbox row of table \"brand\" cannot be read: expected ident",
        "`pubsync failures retry` rebuilds brand\n",
        "given up: nobody can read it, but a retry rebuilds the document",
        "no json",
    ] {
        assert!(shown.contains(line), "no {line:?} in\n{shown}");
    }
    let stale = "1 × capture brand [unreadable]: what changed is forgotten: documents may be stale until `pubsync publish brand`";
    told(&world, 0, &["failures", "drop", &id, "--yes"], stale).await;

    mend(&world).await;
    world.script(&nonsense).await;
    world.script("UPDATE brand SET name = 'Ash' WHERE id = 1").await;
    work(&world).await;
    told(
        &world,
        0,
        &["failures", "retry", "--class", "unreadable"],
        "1 queued",
    )
    .await;
    work(&world).await;
    assert_eq!(world.pubsync(&["failures"]).await.stdout, "");
    assert_eq!(keys(&world).await, ["brand:Ash", "brand:Beech"]);
}
