//! The sets under `examples/` with generated rows, on PostgreSQL and SQLite. All documents are built and compared with
//! the naive evaluator, byte by byte; then every column and every row of every table changes, and exactly those
//! documents get a new revision that the evaluator sees change.

mod changes;
mod commands;
mod example;
mod observed;
mod size;
mod statements;

use pubsync_examples::{Set, Size};
use pubsync_tests::Scratch;

use example::Example;

/// Enough that every column shows somewhere, and little enough for a debug build.
fn small(set: Set) -> Size {
    let products = match set {
        Set::Storefront => 12,
        Set::Feeds | Set::Projections => 40,
    };
    Size { products, seed: 1 }
}

/// Builds, compares, changes everything, compares after each change.
async fn follows_every_change(database: Scratch, set: Set) {
    let mut example = Example::start(database, set, small(set)).await;
    example.assert_is_what_the_evaluator_says().await;
    changes::all(&mut example).await;
    example.assert_storage_equals_mirror().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storefront_on_postgresql() {
    follows_every_change(Scratch::postgres("storefront").await, Set::Storefront).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storefront_on_sqlite() {
    follows_every_change(Scratch::sqlite("storefront"), Set::Storefront).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_on_postgresql() {
    follows_every_change(Scratch::postgres("feeds").await, Set::Feeds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_on_sqlite() {
    follows_every_change(Scratch::sqlite("feeds"), Set::Feeds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn projections_on_postgresql() {
    follows_every_change(Scratch::postgres("projections").await, Set::Projections).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn projections_on_sqlite() {
    follows_every_change(Scratch::sqlite("projections"), Set::Projections).await;
}
