//! Says in the database that the broker takes no messages, so that `status` can tell. Every process watches its own
//! connection: that is where an alarm shows.

use std::time::Duration;

use pubsync_schema::pause::{self, Subject};
use pubsync_worker::backoff;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use crate::gate::PAUSE;
use crate::street::Street;

const PERIOD: Duration = Duration::from_secs(1);

/// Watches until stopped.
pub async fn watch(street: Street, stop: CancellationToken) {
    let mut noted = false;
    while backoff::wait(PERIOD, &stop).await {
        match look(&street, noted).await {
            Ok(now) => noted = now,
            Err(error) => tracing::warn!(%error, "what the broker says cannot be noted"),
        }
    }
}

/// Notes the trouble of now, or its end where it was `noted` from here. Gives whether it is noted now.
///
/// # Errors
/// Of the database.
pub async fn look(street: &Street, noted: bool) -> Result<bool, DbErr> {
    let store = &street.store;
    match street.broker.trouble() {
        Some(why) => {
            if !noted {
                tracing::warn!(why, "the broker takes no messages; waiting for it");
            }
            pause::set(&store.write, store, &Subject::Broker, &why, Some(PAUSE)).await?;
            Ok(true)
        }
        None if noted => {
            tracing::info!("the broker takes messages again");
            pause::end(&store.write, store, &Subject::Broker).await?;
            Ok(false)
        }
        None => Ok(false),
    }
}
