//! Chinook on PostgreSQL, RabbitMQ, Redis and OpenSearch, with workers that die in the middle.

use pubsync_tests::World;

use super::{dataset, sessions::Application};

const SEED: u64 = 2026;
const SESSIONS: u64 = 4;
const CHANGES_OF_A_SESSION: usize = 126; // every kind three times

#[tokio::test(flavor = "multi_thread")]
async fn chinook_on_postgresql() {
    let Some(folder) = dataset::folder() else { return };
    let world = World::postgres("chinook").await;
    dataset::load(&world, &folder).await;
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    dataset::assert_equal_everywhere(&world).await;

    let start = |role: &str| world.spawn(&["run", role]);
    let mut relays = vec![start("relay")];
    let mut publishers = vec![start("publisher"), start("publisher"), start("publisher")];
    let mut synchronizers = vec![
        start("synchronizer"),
        start("synchronizer"),
        start("synchronizer"),
    ];

    let mut application = Application::start(&world, SEED, SESSIONS, CHANGES_OF_A_SESSION);
    for (changes, role, workers) in [
        (100, "publisher", &mut publishers),
        (200, "synchronizer", &mut synchronizers),
        (300, "relay", &mut relays),
    ] {
        application.reached(changes).await;
        workers.remove(0).kill9();
        workers.push(start(role));
    }
    application.done().await.assert_everything_happened();
    world.pubsync(&["wait", "--timeout", "240"]).await;
    dataset::assert_equal_everywhere(&world).await;
    world.pubsync(&["verify"]).await;

    for worker in publishers.into_iter().chain(synchronizers).chain(relays) {
        worker.stop().await;
    }
}
