//! The only place of the tests where time passes.

use std::time::Duration;

use tokio::time::Instant;

/// Between two questions: first this, then twice as long each time, up to the longest.
const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(50);

/// Asks again and again until `probe` gives a value, and returns that value.
///
/// # Panics
/// After `deadline`, with what was awaited and the last reason why it was not there.
pub async fn eventually<T, P, F>(what: &str, deadline: Duration, mut probe: P) -> T
where
    P: FnMut() -> F,
    F: Future<Output = Result<T, String>>,
{
    let end = Instant::now() + deadline;
    let mut pause = FIRST;
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(reason) if Instant::now() >= end => panic!("not within {deadline:?}: {what}: {reason}"),
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = LONGEST.min(pause * 2);
    }
}

/// What takes its time by itself, such as a delay on the wire. Not for waiting.
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}
