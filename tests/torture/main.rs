//! Tortures the product: load on the real services, processes that die, services that fail, readers that watch, and a
//! comparison with hand-written SQL whenever all is quiet. docs/torture.md says what it does and what came of it.
//!
//! ```text
//! eval "$(docker/services up)"
//! cargo run --release -p pubsync-tests --bin torture -- --minutes 40 --rounds 10 --roots 20000 --report target/torture
//! ```

// A harness fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod beacons;
mod checker;
mod deck;
mod faults;
mod fleet;
mod metrics;
mod options;
mod pace;
mod poison;
mod reader;
mod report;
mod run;
mod shop;
mod stamps;
mod targets;
mod timing;
mod violations;
mod workload;

use crate::options::Options;

#[tokio::main]
async fn main() {
    let options = Options::from_arguments();
    let (report, violations) = run::play(options.clone()).await;
    println!("{}", report.markdown());
    if let Some(folder) = &options.report {
        report.write(folder);
    }
    assert!(violations.is_empty(), "the product broke a promise");
}
