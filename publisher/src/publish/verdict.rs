//! What a failing batch comes to: again, a pause of its document, or failures of the roots to blame.

use std::sync::Arc;

use pubsync_schema::failure::{self, NewFailure, Prospect, Stage};
use pubsync_schema::fault::{Fault, chain};
use pubsync_schema::pause::{self, Subject};
use pubsync_schema::wire::PublishWork;
use pubsync_schema::{ledger, run};
use pubsync_worker::metrics;
use sea_orm::DbErr;

use super::PublishError;
use super::consumer::{Consumer, Received};
use crate::registry::Compiled;

/// Attempts of a batch that meets deadlocks and the like before its messages are run alone.
const ATTEMPTS: u32 = 8;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Done,
    Again,
}

/// Why a message is given up.
pub(super) struct Blame {
    pub class: &'static str,
    pub error: String,
    pub prospect: Prospect,
}

impl Blame {
    fn of(error: &PublishError) -> Self {
        let (class, prospect) = match error.fault() {
            Some(Fault::Retry) => ("busy", Prospect::Transient),
            _ => ("build", Prospect::Permanent),
        };
        Self {
            class,
            error: chain(error),
            prospect,
        }
    }
}

impl Consumer {
    /// What an error asks for. A failing batch is run message by message, a failing message root by root; a root that
    /// fails alone becomes a failure, and its neighbours have gone on.
    pub(super) async fn verdict(
        &self,
        compiled: &Arc<Compiled>,
        messages: &[Received],
        error: PublishError,
        attempt: u32,
    ) -> Result<Next, DbErr> {
        let document = &compiled.definition.document;
        let Some(fault) = error.fault() else {
            self.look_again().await?;
            return Ok(Next::Again);
        };
        match fault {
            Fault::Retry if attempt < ATTEMPTS => Ok(Next::Again),
            Fault::Down => {
                tracing::warn!(document, %error, "database does not answer; waiting");
                Ok(Next::Again)
            }
            Fault::Definition => {
                self.stand_still(document, &error).await?;
                Ok(Next::Again)
            }
            Fault::Retry | Fault::Item => self.alone(compiled, messages, error).await,
        }
    }

    /// Loads the newest definitions (law 10).
    async fn look_again(&self) -> Result<(), DbErr> {
        let street = &self.publish.street;
        street.definitions.refresh(&street.store).await?;
        self.registry.refresh().await
    }

    async fn stand_still(&self, document: &str, error: &PublishError) -> Result<(), DbErr> {
        let street = &self.publish.street;
        let reason = format!(
            "{}: the definition and the database do not fit; fix either, then `pubsync apply`",
            chain(error)
        );
        tracing::error!(document, reason, "document paused");
        let txn = street.store.begin().await?;
        pause::set(
            &txn,
            &street.store,
            &Subject::Document(document.to_owned()),
            &reason,
            None,
        )
        .await?;
        let failure = NewFailure {
            stage: Stage::Publish,
            document: document.to_owned(),
            root: None,
            key: None,
            target: None,
            class: "definition".to_owned(),
            error: reason,
            payload: None,
            revision: None,
            changed_at: street.store.now().await?,
            prospect: Prospect::Never("the definition and the database must fit first: `pubsync apply`"),
        };
        failure::record(&txn, &street.store, &[failure]).await?;
        txn.commit().await?;
        street.definitions.refresh(&street.store).await?;
        Ok(())
    }

    async fn alone(
        &self,
        compiled: &Arc<Compiled>,
        messages: &[Received],
        error: PublishError,
    ) -> Result<Next, DbErr> {
        if let [message] = messages {
            return self.bisect(compiled, message, &error).await;
        }
        let mut next = Next::Done;
        for message in messages {
            let Err(own) = self.batch(compiled, std::slice::from_ref(message)).await else {
                continue;
            };
            if own.fault().is_none() {
                self.look_again().await?;
            }
            // What no item is to blame for is met by the whole batch again; what is settled by then is a duplicate.
            if own.fault() != Some(Fault::Item) || self.bisect(compiled, message, &own).await? == Next::Again
            {
                next = Next::Again;
            }
        }
        Ok(next)
    }

    /// A failing message becomes messages of its parts; one that has no parts becomes a failure.
    async fn bisect(
        &self,
        compiled: &Compiled,
        message: &Received,
        error: &PublishError,
    ) -> Result<Next, DbErr> {
        let single = matches!(&message.work, PublishWork::Roots(roots) if roots.len() <= 1);
        if !single {
            match self.publish.explode(compiled, message).await {
                Ok(_) => return Ok(Next::Done),
                Err(own) if own.fault() == Some(Fault::Item) => {}
                Err(PublishError::Store(error)) => return Err(error),
                Err(_) => return Ok(Next::Again),
            }
        }
        self.give_up(compiled, message, Blame::of(error)).await?;
        Ok(Next::Done)
    }

    /// The last part of a message: its ledger row ends as a failure, in one transaction.
    pub(super) async fn give_up(
        &self,
        compiled: &Compiled,
        message: &Received,
        blame: Blame,
    ) -> Result<(), DbErr> {
        let store = &self.publish.street.store;
        let (stage, root, payload) = match &message.work {
            PublishWork::Roots(roots) => (Stage::Publish, roots.first().cloned(), None),
            other => {
                let payload = serde_json::to_string(other).map_err(|e| DbErr::Json(e.to_string()))?;
                (Stage::Affected, None, Some(payload))
            }
        };
        metrics::publish_given_up(&compiled.definition.document, root.as_deref(), &blame.error);
        let txn = store.begin().await?;
        if !ledger::delete(&txn, store, &[message.id]).await?.is_empty() {
            let failure = NewFailure {
                stage,
                document: compiled.definition.document.clone(),
                root,
                key: None,
                target: None,
                class: blame.class.to_owned(),
                error: blame.error,
                payload,
                revision: None,
                changed_at: message.changed_at,
                prospect: blame.prospect,
            };
            failure::record(&txn, store, &[failure]).await?;
            if let Some(run) = message.run {
                run::count(&txn, store, run, 0, 0, 1).await?;
            }
        }
        txn.commit().await
    }
}
