//! Very much work waits: a worker takes it in parts, and its memory is that of a small backlog.

use std::time::{Duration, Instant};

use pubsync_tests::World;

use super::{Size, assert_equal, number, world};

const LONG: Duration = Duration::from_secs(3_600);

/// Where the work waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Changes that no relay has taken.
    Outbox,
    /// Documents that are built, for targets that were paused.
    Ledger,
}

/// The most memory of a worker that does it, in MiB.
async fn peak(world: &World, place: Place, items: u32) -> u64 {
    if place == Place::Ledger {
        let paused = [
            "pause",
            "--target",
            "storage",
            "--target",
            "search",
            "--reason",
            "a backlog",
        ];
        world.pubsync(&paused).await;
    }
    world
        .script(&format!("UPDATE item SET stamp = stamp + 1 WHERE id <= {items}"))
        .await;
    if place == Place::Ledger {
        world.spawn(&["run", "--until-quiet"]).peak_memory(LONG).await;
        let waiting = "SELECT sum(items)::bigint FROM pubsync.ledger WHERE target IS NOT NULL";
        assert_eq!(number(world, waiting).await, 2 * i64::from(items));
        world
            .pubsync(&["unpause", "--target", "storage", "--target", "search"])
            .await;
    }
    let begun = Instant::now();
    let peak = world.spawn(&["run", "--until-quiet"]).peak_memory(LONG).await / 1_024;
    println!(
        "{place:?}: {items} items took {:.1} s and at most {peak} MiB",
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(number(world, "SELECT count(*) FROM pubsync.ledger").await, 0);
    peak
}

/// `growth`: what the whole backlog may take more than a small one, in MiB.
async fn backlog(place: Place, size: Size, small: u32, growth: u64) {
    let world = world("backlog", size, |config| config).await;
    world.spawn(&["run", "--until-quiet"]).peak_memory(LONG).await;
    println!("{place:?}: {:.0} MiB of documents", size.mib());
    let least = peak(&world, place, small).await;
    let most = peak(&world, place, size.items).await;
    assert!(
        most <= least + growth,
        "{place:?}: {small} items took {least} MiB, {} took {most} MiB",
        size.items
    );
    world.pubsync(&["wait", "--timeout", "60"]).await;
    if size.items <= 10_000 {
        assert_equal(&world).await;
    } else {
        world.pubsync(&["verify"]).await;
    }
}

const SMALL: Size = Size {
    items: 6_000,
    bytes: 16 * 1_024,
};

const FULL: Size = Size {
    items: 65_536,
    bytes: 16 * 1_024,
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes in a debug build on a busy machine; see `make endurance`"]
async fn a_backlog_does_not_move_the_memory() {
    backlog(Place::Ledger, SMALL, 1_000, 48).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make endurance`"]
async fn full_outbox() {
    backlog(Place::Outbox, FULL, 2_000, 48).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make endurance`"]
async fn full_ledger() {
    backlog(Place::Ledger, FULL, 2_000, 48).await;
}
