//! The three sets at size, by hand: `make examples`. How many documents, in which time, and that they are right.

use std::time::Instant;

use pubsync_examples::{Set, Size};
use pubsync_tests::Scratch;

use super::example::Example;

/// Products of each set; `PUBSYNC_EXAMPLES_PRODUCTS` says otherwise.
const PRODUCTS: u32 = 10_000;

async fn at_size(database: Scratch, on: &str, set: Set) {
    let products =
        std::env::var("PUBSYNC_EXAMPLES_PRODUCTS").map_or(PRODUCTS, |text| text.parse().expect("a number"));
    let start = Instant::now();
    let mut example = Example::start(database, set, Size { products, seed: 1 }).await;
    let built = start.elapsed();
    let counts = example.assert_is_what_the_evaluator_says().await;
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    println!(
        "{} on {on}: {products} products, {total} documents and aliases, all equal; filled, built and stored in {:.1} s",
        set.name(),
        built.as_secs_f64()
    );
    for (document, count) in counts {
        println!("{count:>10}  {document}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; see `make examples`"]
async fn examples_at_size() {
    for set in Set::ALL {
        at_size(Scratch::sqlite("size"), "SQLite", set).await;
        at_size(Scratch::postgres("size").await, "PostgreSQL", set).await;
    }
}
