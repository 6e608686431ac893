//! The only place of the tests where time passes.

use std::time::Duration;

use tokio::time::Instant;

/// Between two looks at first, and at last: most of what is awaited is there soon, the rest takes long.
const POLL: Duration = Duration::from_millis(2);
const LAST_POLL: Duration = Duration::from_millis(50);

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
    let mut wait = POLL;
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(reason) if Instant::now() >= end => panic!("not within {deadline:?}: {what}: {reason}"),
            Err(_) => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LAST_POLL);
            }
        }
    }
}
