//! Chinook after targets and broker lost what they held.

use std::time::Duration;

use pubsync_tests::{World, eventually};

use super::{dataset, sessions::Application};

const CHANGES: usize = 60;
/// The management API counts messages every five seconds.
const QUEUED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn chinook_after_losses() {
    let Some(folder) = dataset::folder() else { return };
    let world = World::postgres("losses").await;
    dataset::load(&world, &folder).await;
    world.pubsync(&["apply", "--yes"]).await;
    let relay = world.spawn(&["run", "relay"]);
    let workers = world.spawn(&["run", "publisher", "synchronizer"]);
    assert_equal_after_wait(&world).await;

    targets_lose_everything(&world).await;
    workers.stop().await;

    messages_for_targets_are_purged(&world).await;
    publish_queues_are_deleted(&world).await;
    virtual_host_is_empty_again(&world).await;
    world.pubsync(&["verify"]).await;
    relay.stop().await;
}

/// A command brings all of it back.
async fn targets_lose_everything(world: &World) {
    assert!(world.redis().lose_everything().await > 0, "Redis held nothing");
    assert!(world.search().lose_everything().await > 0, "there was no index");
    world.pubsync(&["resync", "--all", "--wait"]).await;
    dataset::assert_equal_everywhere(world).await;
}

/// Published, but no synchronizer runs: the work waits in the sync queues.
async fn messages_for_targets_are_purged(world: &World) {
    let publisher = world.spawn(&["run", "publisher"]);
    Application::start(world, 1, 2, CHANGES).done().await;
    until_queued(world, "sync.").await;
    publisher.stop().await;
    assert!(world.broker().purge_queues().await > 0, "there was no queue");
    let workers = world.spawn(&["run", "publisher", "synchronizer"]);
    assert_equal_after_wait(world).await;
    workers.stop().await;
}

/// Captured, but nobody publishes: the work waits in the publish queues.
async fn publish_queues_are_deleted(world: &World) {
    Application::start(world, 2, 2, CHANGES).done().await;
    until_queued(world, "publish.").await;
    assert!(world.broker().delete_queues().await > 0, "there was no queue");
    let workers = world.spawn(&["run", "publisher", "synchronizer"]);
    assert_equal_after_wait(world).await;
    workers.stop().await;
}

/// Everything runs, and changes come in all the time.
async fn virtual_host_is_empty_again(world: &World) {
    let publisher = world.spawn(&["run", "publisher"]);
    let synchronizer = world.spawn(&["run", "synchronizer"]);
    let mut application = Application::start(world, 3, 2, CHANGES);
    application.reached(CHANGES).await;
    world.broker().recreate().await;
    application.done().await;
    assert_equal_after_wait(world).await;
    publisher.stop().await;
    synchronizer.stop().await;
}

/// `wait` only looks: what was lost is found and sent again without any command.
async fn assert_equal_after_wait(world: &World) {
    world.pubsync(&["wait", "--timeout", "240"]).await;
    dataset::assert_equal_everywhere(world).await;
}

async fn until_queued(world: &World, prefix: &str) {
    eventually(&format!("messages in a queue {prefix}…"), QUEUED, async || {
        let queues = world.broker().queues().await;
        let queued = queues
            .iter()
            .any(|(queue, messages)| queue.starts_with(prefix) && *messages > 0);
        if queued {
            Ok(())
        } else {
            Err(format!("{queues:?}"))
        }
    })
    .await;
}
