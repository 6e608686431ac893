//! Work that may kill its worker: a root that makes it crash, or take all memory. What was delivered before is run alone,
//! and that it is begun is committed before it is. Who was begun and has not ended is to blame: work of several roots is
//! then cut into its roots, and a root that has killed its worker three times becomes a failure (law 6).

use pubsync_schema::failure::Prospect;
use pubsync_schema::ledger;
use pubsync_schema::wire::PublishWork;
use pubsync_worker::backoff;
use pubsync_worker::broker::Settlement;
use sea_orm::{DatabaseTransaction, DbErr};
use tokio::sync::Mutex;

use super::Publish;
use super::consumer::{Consumer, RETRY, Received};
use super::verdict::Blame;

/// Deaths after which work is a failure.
const DEATHS: i64 = 3;

/// A process dies as a whole: of what ran in it at that moment everything would be blamed. So what was begun before, and
/// never ended, is alone in the process too.
static ALONE: Mutex<()> = Mutex::const_new(());

impl Consumer {
    /// Deals with a message that was delivered before.
    pub(super) async fn suspect(&self, message: Received) -> Settlement {
        // What is not done now is not begun either.
        let these = std::slice::from_ref(&message);
        if let Some(settlement) = self.give_back(&message.document, these).await {
            return settlement;
        }
        match self.begin(message).await {
            Ok(settlement) => settlement,
            Err(error) => {
                tracing::warn!(%error, "publisher waits for the database");
                backoff::wait(RETRY.cap, &self.stop).await;
                Settlement::Requeue
            }
        }
    }

    async fn begin(&self, mut message: Received) -> Result<Settlement, DbErr> {
        let store = &self.publish.street.store;
        if ledger::begin(store, message.id, false).await?.is_some() {
            return Ok(self.run_alone(message).await);
        }
        let _alone = ALONE.lock().await;
        let Some(begun) = ledger::begin(store, message.id, true).await? else {
            // Another copy was quicker.
            return Ok(Settlement::Ack);
        };
        let deaths = begun - 1;
        tracing::warn!(
            id = message.id,
            document = message.document,
            deaths,
            "work that was begun and did not end runs alone"
        );
        if let Some(compiled) = self.registry.get(&message.document) {
            if deaths >= DEATHS {
                self.give_up(&compiled, &message, killer(deaths)).await?;
                return Ok(Settlement::Ack);
            }
            message.deaths = deaths;
            // Where its parts cannot be found, that is what fails, and has its own way.
            if has_parts(&message.work) && self.publish.explode(&compiled, &message).await.is_ok() {
                return Ok(Settlement::Ack);
            }
        }
        Ok(self.run_alone(message).await)
    }

    /// Whatever this comes to, the worker lives: only what never returns counts.
    async fn run_alone(&self, message: Received) -> Settlement {
        let (id, document) = (message.id, message.document.clone());
        let settlement = self.document(&document, vec![message]).await;
        if settlement == Settlement::Requeue
            && let Err(error) = ledger::not_begun(&self.publish.street.store, id).await
        {
            tracing::warn!(%error, "work that was begun and not ended counts as a death");
        }
        settlement
    }
}

impl Publish {
    /// Parts of work that has killed its worker are suspects from their first delivery on.
    pub(super) async fn mark(
        &self,
        txn: &DatabaseTransaction,
        message: &Received,
        parts: &[i64],
    ) -> Result<(), DbErr> {
        if message.deaths == 0 {
            return Ok(());
        }
        ledger::suspect(txn, &self.street.store, parts, message.deaths).await
    }
}

fn has_parts(work: &PublishWork) -> bool {
    match work {
        PublishWork::Roots(roots) => roots.len() > 1,
        PublishWork::Changes { .. } | PublishWork::All { .. } => true,
    }
}

fn killer(deaths: i64) -> Blame {
    Blame {
        class: "kills its worker",
        error: format!(
            "{deaths} times a worker began this alone and died before it ended (a crash, no memory, or a kill); the workers' \
             logs and the system's say more. Mend the cause, then `pubsync failures retry`"
        ),
        prospect: Prospect::Never("it kills its worker"),
    }
}
