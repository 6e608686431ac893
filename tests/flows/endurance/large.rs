//! Documents of 4 MiB reach both targets; a larger one is a failure, and nobody waits for any of them.

use pubsync_tests::World;

use super::{Size, assert_equal, number, world};

/// Of the text, so that the body has a little less than 4 MiB.
const LARGEST: u32 = 4 * 1_024 * 1_024 - 1_024;

/// Ids of those that become large, and of one that becomes too large, among small ones.
const LARGE: &str = "id % 10 = 3";
const TOO_LARGE: &str = "id = 7";

/// What the process may hold at most, in MiB: a few of them, in each of the forms that a document has on its way.
const MEMORY: u64 = 512;

async fn large(size: Size) {
    let world = world("large", size, |config| config).await;
    let worker = world.spawn(&["run"]);
    world.pubsync(&["wait", "--timeout", "120"]).await;
    enlarge(&world).await;
    // Small ones change meanwhile.
    for stamp in 2..=6 {
        world
            .script(&format!(
                "UPDATE item SET stamp = {stamp} WHERE NOT ({LARGE}) AND NOT ({TOO_LARGE})"
            ))
            .await;
    }
    let waited = world.pubsync_exits(5, &["wait", "--timeout", "600"]).await;
    assert!(waited.stderr.contains("1 failures are open"), "{}", waited.stderr);
    let failures = world.pubsync(&["failures"]).await.stdout;
    assert!(failures.starts_with("1 × publish item [size]: "), "{failures}");
    let count = number(
        &world,
        "SELECT count(*) FROM pubsync.mirror_item WHERE octet_length(body) > 4000000",
    )
    .await;
    assert_eq!(count, i64::from(size.items / 10), "large documents");

    world
        .script(&format!("UPDATE item SET text = 'small' WHERE {TOO_LARGE}"))
        .await;
    world.pubsync(&["wait", "--timeout", "600"]).await;
    assert_equal(&world).await;
    let peak = worker.memory().peak / 1_024;
    println!(
        "{count} documents of 4 MiB among {}: at most {peak} MiB",
        size.items
    );
    worker.stop().await;
    assert!(peak < MEMORY, "{peak} MiB");
}

async fn enlarge(world: &World) {
    world
        .script(&format!(
            "UPDATE item SET stamp = 1, text = repeat('text ' || id || ' ', \
             CASE WHEN {TOO_LARGE} THEN {LARGEST} + 2048 ELSE {LARGEST} END / length('text ' || id || ' ')) \
             WHERE {LARGE} OR {TOO_LARGE}"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes in a debug build on a busy machine; see `make endurance`"]
async fn documents_of_four_mebibytes_pass() {
    large(Size {
        items: 100,
        bytes: 512,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make endurance`"]
async fn full_large_documents() {
    large(Size {
        items: 2_000,
        bytes: 512,
    })
    .await;
}
