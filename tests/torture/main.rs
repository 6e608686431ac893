//! Tortures the product: load on the real services, processes that die, services that fail, readers that watch, and a
//! comparison with hand-written SQL whenever all is quiet. docs/torture.md says what it does and what came of it.
//!
//! ```text
//! export PUBSYNC_SERVICES_SET=1; eval "$(docker/services up)"
//! cargo run --release -p pubsync-tests --bin torture -- --minutes 40 --rounds 10 --roots 20000 --report target/torture
//! ```

// A harness fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod beacons;
mod bounds;
mod checker;
mod deck;
mod faults;
mod fleet;
mod metrics;
mod mutants;
mod options;
mod own;
mod pace;
mod poison;
mod reader;
mod report;
mod run;
mod secrets;
mod shop;
mod stamps;
mod targets;
mod timing;
mod violations;
mod windows;
mod workload;

use crate::options::Options;

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq("mutants").is_some() {
        return mutants::run(&arguments.next().unwrap_or_default());
    }
    let options = Options::from_arguments(arguments);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (report, violations) = runtime.block_on(run::play(options.clone()));
    println!("{}", report.markdown());
    if let Some(folder) = &options.report {
        report.write(folder);
    }
    assert!(violations.is_empty(), "the product broke a promise");
}
