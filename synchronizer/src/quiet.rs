//! `wait`: whether all that was committed before a moment has reached its targets. Not a queue's length: outbox and
//! ledger rows live until their effect is durable.

use std::time::Duration;

use pubsync_schema::pause::{self, Pause};
use pubsync_schema::store::Store;
use pubsync_schema::{failure, ledger};
use sea_orm::DbErr;

use crate::moving;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Waited {
    /// Everything has arrived.
    Synchronized,
    /// Everything has arrived, but for so many failures.
    Failures(i64),
    /// The time was over first.
    TimedOut,
}

/// Waits until no change that was committed before the call is still on its way.
///
/// # Errors
/// Of the database.
pub async fn wait(store: &Store, timeout: Duration) -> Result<Waited, DbErr> {
    let moment = store.now().await?;
    let arrive = async {
        while ledger::has_older(store, moment).await? {
            tokio::time::sleep(LOOK).await;
        }
        Ok::<(), DbErr>(())
    };
    match tokio::time::timeout(timeout, arrive).await {
        Err(_elapsed) => Ok(Waited::TimedOut),
        Ok(arrived) => {
            arrived?;
            Ok(match failure::older(&store.write, store, moment).await? {
                0 => Waited::Synchronized,
                some => Waited::Failures(some),
            })
        }
    }
}

/// A target that has taken no writes for so long is not waited for, in microseconds. Less is a slow moment.
const PATIENCE: i64 = 30_000_000;

/// Waits until outbox and ledger are empty, paused and failed work apart, and no index waits for what was done to serve. A
/// target that is down pauses its work after half a minute; nobody knows when it comes back.
///
/// # Errors
/// Of the database.
pub async fn until_quiet(store: &Store) -> Result<(), DbErr> {
    loop {
        let now = store.now().await?;
        let paused = pause::current(&store.write, store).await?;
        let paused: Vec<_> = paused.into_iter().filter(|pause| !may_end(pause, now)).collect();
        let subjects: Vec<_> = paused.iter().map(|pause| pause.subject.clone()).collect();
        if ledger::moving(store, &subjects).await? == 0 && !moving::is_due(store, &subjects).await? {
            for Pause { subject, reason, .. } in paused {
                tracing::warn!(%subject, reason, "paused, and not waited for");
            }
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether a worker wrote it, and not long ago: its target may be back at once.
fn may_end(pause: &Pause, now: i64) -> bool {
    !pause.by_hand && now.saturating_sub(pause.since) < PATIENCE
}

#[cfg(test)]
mod tests {
    use pubsync_schema::pause::Subject;

    use super::*;

    #[test]
    fn a_slow_moment_of_a_target_is_waited_for() {
        let since = 1_000_000;
        let pause = |by_hand| Pause {
            subject: Subject::Target("search".to_owned()),
            by_hand,
            reason: "no answer".to_owned(),
            since,
            until: None,
        };
        assert!(may_end(&pause(false), since + PATIENCE - 1));
        assert!(!may_end(&pause(false), since + PATIENCE));
        assert!(!may_end(&pause(true), since));
    }
}
