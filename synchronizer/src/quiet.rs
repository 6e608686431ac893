//! `wait`: whether all that was committed before a moment has reached its targets. Not a queue's length: outbox and
//! ledger rows live until their effect is durable.

use std::time::Duration;

use pubsync_schema::store::Store;
use pubsync_schema::{failure, ledger, pause};
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

/// Waits until outbox and ledger are empty, paused and failed work apart, and no index waits for what was done to serve.
///
/// # Errors
/// Of the database.
pub async fn until_quiet(store: &Store) -> Result<(), DbErr> {
    loop {
        let paused: Vec<_> = pause::current(&store.write, store)
            .await?
            .into_iter()
            .map(|p| p.subject)
            .collect();
        if ledger::moving(store, &paused).await? == 0 && !moving::is_due(store, &paused).await? {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}
