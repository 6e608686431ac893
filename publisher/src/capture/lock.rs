//! Trying again when another transaction holds a table: triggers change under a lock with a short timeout, because
//! every writer that comes after a waiting lock waits behind it.

use std::future::Future;
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr};

/// How often a transaction that meets a lock is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockRetry {
    pub attempts: u32,
    /// Before the second attempt; doubles up to `longest_pause`. Writers that queued behind the lock run meanwhile.
    pub pause: Duration,
    pub longest_pause: Duration,
}

/// About two and a half minutes.
impl Default for LockRetry {
    fn default() -> Self {
        Self {
            attempts: 30,
            pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// Runs `work`, a whole transaction, until it meets no lock conflict or the attempts are used up; then the last
/// error is returned. Other errors end it at once.
///
/// # Errors
/// Those of `work`.
pub async fn with_lock_retry<T, Work, Attempt>(retry: &LockRetry, mut work: Work) -> Result<T, DbErr>
where
    Work: FnMut() -> Attempt,
    Attempt: Future<Output = Result<T, DbErr>>,
{
    let mut pause = retry.pause;
    for attempt in 1..retry.attempts {
        match work().await {
            Err(error) if is_lock_conflict(&error) => {
                tracing::debug!(attempt, error = %error, "a table is locked, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(retry.longest_pause);
            }
            settled => return settled,
        }
    }
    work().await
}

/// Lock timeout or deadlock on PostgreSQL; busy or locked on SQLite.
#[must_use]
pub fn is_lock_conflict(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))
    | DbErr::Conn(RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    // SQLite: BUSY, LOCKED, and BUSY with its extended codes RECOVERY, SNAPSHOT, TIMEOUT; LOCKED with SHAREDCACHE.
    matches!(
        code.as_deref(),
        Some("55P03" | "40P01" | "5" | "6" | "261" | "517" | "773" | "262")
    )
}
