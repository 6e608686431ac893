//! The three sets at size, by hand: `make examples`. How many documents, in which time and memory, and that they are
//! right.

use std::{fs, time::Instant};

use pubsync_examples::{Set, Size};
use pubsync_tests::Scratch;

use super::example::Example;

/// Products of each set; `PUBSYNC_EXAMPLES_PRODUCTS` says otherwise.
const PRODUCTS: u32 = 10_000;

async fn at_size(database: Scratch, on: &str, set: Set) {
    let products =
        std::env::var("PUBSYNC_EXAMPLES_PRODUCTS").map_or(PRODUCTS, |text| text.parse().expect("a number"));
    let mut example = Example::start(database, set, Size { products, seed: 1 }).await;
    let (took, tables) = (&example.took, example.schema.tables.values());
    let rows: usize = tables.map(|table| example.data.rows(table).len()).sum();
    println!(
        "{} on {on}: {products} products, {rows} rows; filled in {:.1} s, applied in {:.1} s, built in {:.1} s",
        set.name(),
        took.fill.as_secs_f64(),
        took.apply.as_secs_f64(),
        took.build.as_secs_f64(),
    );
    println!("{:>10}  MiB with all rows, at most", memory());
    let start = Instant::now();
    let counts = example.assert_is_what_the_evaluator_says().await;
    example.assert_storage_equals_mirror().await;
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    println!(
        "{total:>10}  documents and aliases, all equal; evaluated and compared in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    for (document, count) in counts {
        println!("{count:>10}  {document}");
    }
}

/// The most that this process has held so far.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.expect("a number of KiB") / 1_024
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make examples`"]
async fn feeds_on_postgresql() {
    at_size(Scratch::postgres("size").await, "PostgreSQL", Set::Feeds).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make examples`"]
async fn feeds_on_sqlite() {
    at_size(Scratch::sqlite("size"), "SQLite", Set::Feeds).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make examples`"]
async fn projections_on_postgresql() {
    at_size(Scratch::postgres("size").await, "PostgreSQL", Set::Projections).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make examples`"]
async fn projections_on_sqlite() {
    at_size(Scratch::sqlite("size"), "SQLite", Set::Projections).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make examples`"]
async fn storefront_on_postgresql() {
    at_size(Scratch::postgres("size").await, "PostgreSQL", Set::Storefront).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make examples`"]
async fn storefront_on_sqlite() {
    at_size(Scratch::sqlite("size"), "SQLite", Set::Storefront).await;
}
