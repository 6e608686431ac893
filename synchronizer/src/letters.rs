//! Dead letters: messages that the broker gave out so often, without an answer, that it put them aside. The truth stands in
//! the ledger, so a letter only says that its row may have no other copy on the road: it is given back, to be sent again at
//! once instead of when it is old. A letter whose row is gone was done by somebody else.

use std::time::Duration;

use pubsync_schema::ledger;
use pubsync_worker::backoff::Backoff;
use pubsync_worker::broker::{BrokerError, Delivery, Settlement};
use pubsync_worker::lanes::Lanes;
use pubsync_worker::metrics;
use sea_orm::DbErr;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::street::Street;
use crate::synchronize::{note_unreadable, settle_all};

/// Letters that are taken at once; a row each is looked for, with one statement.
const BATCH: u16 = 100;

const LINGER: Duration = Duration::from_millis(20);

const RECONNECT: Backoff = Backoff {
    first: Duration::from_millis(200),
    cap: Duration::from_secs(10),
};

/// Every message has it, whatever else is in it.
#[derive(Deserialize)]
struct Letter {
    id: i64,
}

/// Reads dead letters until stopped; a broker that has none ends it at once.
pub async fn read(street: Street, stop: CancellationToken) {
    let Some(queue) = street.broker.dead_letters().map(str::to_owned) else {
        return;
    };
    let mut attempt = 0;
    while let Err(error) = consume(&street, &queue, &mut attempt, &stop).await {
        tracing::warn!(queue, %error, "dead letters wait");
        if !RECONNECT.wait(attempt, &stop).await {
            return;
        }
        attempt += 1;
    }
}

#[derive(Debug, thiserror::Error)]
enum LetterError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("database: {0}")]
    Store(#[from] DbErr),
}

/// Deliveries that are dropped with an error go back.
async fn consume(
    street: &Street,
    queue: &str,
    attempt: &mut u32,
    stop: &CancellationToken,
) -> Result<(), LetterError> {
    let mut lanes = Lanes::new(Some(street.broker.subscribe(queue, BATCH).await?), None);
    loop {
        let batch = lanes.next_batch(BATCH.into(), LINGER);
        let Some(batch) = stop.run_until_cancelled(batch).await else {
            return Ok(());
        };
        let deliveries = batch?.1;
        metrics::consumed(queue, &deliveries);
        handle(street, queue, &deliveries).await?;
        settle_all(deliveries, Settlement::Ack);
        *attempt = 0;
    }
}

async fn handle(street: &Street, queue: &str, deliveries: &[Delivery]) -> Result<(), DbErr> {
    let mut ids = Vec::new();
    for delivery in deliveries {
        match serde_json::from_slice::<Letter>(&delivery.body) {
            Ok(letter) => ids.push(letter.id),
            Err(error) => note_unreadable(street, &delivery.body, &error.to_string()).await?,
        }
    }
    let open = ledger::give_back(&street.store, &ids).await?;
    tracing::warn!(
        letters = deliveries.len(),
        open,
        "the broker gave these messages out too often without an answer: workers ended, or the database did not answer. \
         What is open of them is sent again"
    );
    if open > 0 {
        metrics::resent(queue, open);
    }
    Ok(())
}
