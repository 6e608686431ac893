//! Chinook in one process: SQLite, the broker inside, the local target.

use pubsync_tests::World;

use super::{dataset, sessions::Application};

const SEED: u64 = 7;
const SESSIONS: u64 = 2;
const CHANGES_OF_A_SESSION: usize = 168; // every kind four times

#[tokio::test(flavor = "multi_thread")]
async fn chinook_embedded() {
    let Some(folder) = dataset::folder() else { return };
    let world = World::embedded("chinook");
    dataset::load(&world, &folder).await;
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    dataset::assert_equal_everywhere(&world).await;

    let first = world.spawn(&["run"]);
    let mut application = Application::start(&world, SEED, SESSIONS, CHANGES_OF_A_SESSION);
    application.reached(100).await;
    // Whatever the broker held in memory is gone with it.
    first.kill9();
    let second = world.spawn(&["run"]);
    application.done().await.assert_everything_happened();
    world.pubsync(&["wait", "--timeout", "240"]).await;
    dataset::assert_equal_everywhere(&world).await;
    world.pubsync(&["verify"]).await;
    second.stop().await;
}
