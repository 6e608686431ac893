//! The way to a target. Its breaker is asked before each request and hears what became of it; what the breaker says here, a
//! `pause` row says to all processes and to `status`. Nobody counts an attempt while it is shut.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pubsync_schema::pause::{self, Subject};
use pubsync_worker::backoff;
use pubsync_worker::breaker::{Breaker, Change, Policy, Report, Turn};
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use crate::apply::Unsettled;
use crate::street::Street;
use crate::target::{Outcome, Target, TargetError};

/// How long a pause that a worker writes lasts unless it is renewed, in seconds.
pub(crate) const PAUSE: i64 = 15;

/// Between two looks whether a person has paused the target that is waited for.
const LOOK: Duration = Duration::from_secs(1);

/// So many items speak for the target.
const MANY: usize = 5;

/// Looks from one renewal of the pause to the next.
const RENEW: u32 = 5;

/// The breakers of a process, by target. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Breakers(Arc<Mutex<HashMap<String, Arc<Breaker>>>>);

impl Breakers {
    /// That of a target, made when it is first asked for.
    #[must_use]
    pub fn of(&self, target: &str) -> Arc<Breaker> {
        // A panic elsewhere leaves the map whole.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Breaker::new(Policy::TARGET));
        all.entry(target.to_owned()).or_insert_with(made).clone()
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error(transparent)]
    Target(#[from] TargetError),
    /// It was not sent.
    #[error("target {target} is left alone: {why}")]
    Shut { target: String, why: String },
    #[error("database: {0}")]
    Store(#[from] DbErr),
}

/// One caller's way to one target.
pub struct Gate<'a> {
    pub street: &'a Street,
    pub target: &'a dyn Target,
    breaker: Arc<Breaker>,
    /// Waited for, and for the next request.
    turn: Option<Turn>,
}

impl<'a> Gate<'a> {
    #[must_use]
    pub fn new(street: &'a Street, target: &'a dyn Target) -> Self {
        Self {
            street,
            target,
            breaker: street.breakers.of(target.name()),
            turn: None,
        }
    }

    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.breaker.trouble().is_some()
    }

    /// Waits until the next request may be sent; the pause is renewed meanwhile. Gives whether time has passed.
    ///
    /// # Errors
    /// [`Unsettled::Stopped`] and [`Unsettled::Paused`] where there was something to wait for, and those of the database.
    pub async fn wait(&mut self, stop: &CancellationToken) -> Result<bool, Unsettled> {
        let name = self.target.name();
        let mut waited = false;
        loop {
            let turn = self.next_turn(stop).await?;
            waited |= turn.waited();
            // Whether anybody is there is asked with little, before all the work is done for it.
            match if turn.probes() {
                self.target.ping().await
            } else {
                Ok(())
            } {
                Ok(()) => {
                    self.turn = Some(turn);
                    return Ok(waited);
                }
                Err(error) => {
                    tracing::debug!(target_name = name, %error, "a probe has failed");
                    self.note(turn.report(failure(&error)), &error.to_string())
                        .await?;
                }
            }
        }
    }

    async fn next_turn(&self, stop: &CancellationToken) -> Result<Turn, Unsettled> {
        let (name, subject) = (self.target.name(), self.subject());
        let turn = self.breaker.turn();
        tokio::pin!(turn);
        for looks in 1_u32.. {
            let goes_on = tokio::select! {
                biased;
                turn = &mut turn => return Ok(turn),
                goes_on = backoff::wait(LOOK, stop) => goes_on,
            };
            if !goes_on {
                break;
            }
            if self.street.definitions.is_paused_by_hand(&subject) {
                return Err(Unsettled::Paused(name.to_owned()));
            }
            if looks.is_multiple_of(RENEW)
                && let Some(why) = self.breaker.trouble()
            {
                self.pause(&why).await?;
            }
        }
        Err(Unsettled::Stopped(name.to_owned()))
    }

    /// Sends a request and tells the breaker what became of it; `judge` says why an answer is as good as none.
    ///
    /// # Errors
    /// See [`GateError`].
    pub async fn send<T>(
        &mut self,
        request: impl Future<Output = Result<T, TargetError>>,
        judge: impl FnOnce(&T) -> Option<String>,
    ) -> Result<T, GateError> {
        let turn = self.turn.take().or_else(|| self.breaker.try_turn());
        let turn = turn.ok_or_else(|| GateError::Shut {
            target: self.target.name().to_owned(),
            why: self.breaker.trouble().unwrap_or_default(),
        })?;
        match request.await {
            Ok(answer) => {
                let why = judge(&answer);
                let report = match &why {
                    Some(why) => Report::Failed {
                        why: format!("target {}: {why}", self.target.name()),
                        after: None,
                    },
                    None => Report::Answered,
                };
                self.note(turn.report(report), &why.unwrap_or_default()).await?;
                Ok(answer)
            }
            Err(error) => {
                self.note(turn.report(failure(&error)), &error.to_string())
                    .await?;
                Err(error.into())
            }
        }
    }

    /// Takes the turn for other requests than those of [`Self::send`], if they may be sent now. Only their failures are told.
    pub fn try_open(&mut self) -> bool {
        self.turn = self.breaker.try_turn();
        self.turn.is_some()
    }

    /// Tells that one of them has failed.
    ///
    /// # Errors
    /// Of the database.
    pub async fn failed(&mut self, error: &TargetError) -> Result<(), DbErr> {
        match self.turn.take() {
            Some(turn) => self.note(turn.report(failure(error)), &error.to_string()).await,
            None => Ok(()),
        }
    }

    /// Says in the database what has changed.
    async fn note(&self, change: Change, why: &str) -> Result<(), DbErr> {
        let (store, name) = (&self.street.store, self.target.name());
        match change {
            Change::Nothing => Ok(()),
            Change::Opened => {
                tracing::warn!(
                    target_name = name,
                    why,
                    "target does not take writes; waiting for it"
                );
                self.pause(why).await
            }
            Change::StaysOpen => self.pause(why).await,
            Change::Closed => {
                tracing::info!(target_name = name, "target is back");
                pause::end(&store.write, store, &self.subject()).await
            }
        }
    }

    async fn pause(&self, why: &str) -> Result<(), DbErr> {
        let store = &self.street.store;
        pause::set(&store.write, store, &self.subject(), why, Some(PAUSE)).await
    }

    fn subject(&self) -> Subject {
        Subject::Target(self.target.name().to_owned())
    }
}

/// Why a target that has answered for each item takes no writes all the same: more than half of them met it too busy. Of
/// a few items it is not known whether they or the target are to blame, and one bad item shall not stop the others.
pub(crate) fn mostly_busy(outcomes: &[Outcome]) -> Option<String> {
    let busy = |outcome: &&Outcome| matches!(outcome, Outcome::Retry(_));
    if outcomes.len() < MANY || 2 * outcomes.iter().filter(busy).count() <= outcomes.len() {
        return None;
    }
    outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Retry(why) => Some(why.clone()),
        Outcome::Applied | Outcome::Stale | Outcome::Failed { .. } => None,
    })
}

fn failure(error: &TargetError) -> Report {
    let why = error.to_string();
    match error {
        TargetError::Down { .. } => Report::Failed { why, after: None },
        TargetError::Busy { .. } => Report::Failed {
            why,
            after: asked_for(error),
        },
        TargetError::Refused { .. } => Report::Refused { why },
    }
}

/// How long the target wants to be left alone; not longer than a pause stands without being renewed.
pub(crate) fn asked_for(error: &TargetError) -> Option<Duration> {
    match error {
        TargetError::Busy { after, .. } => after.map(|after| after.min(Duration::from_secs(PAUSE as u64))),
        TargetError::Down { .. } | TargetError::Refused { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_left_alone_as_long_as_it_asks_for_but_not_for_ever() {
        let busy = |after: Option<u64>| TargetError::Busy {
            target: String::new(),
            address: String::new(),
            reason: String::new(),
            after: after.map(Duration::from_secs),
        };
        for (asked, left) in [(None, None), (Some(7), Some(7)), (Some(3_600), Some(15))] {
            assert_eq!(asked_for(&busy(asked)), left.map(Duration::from_secs));
        }
    }

    #[test]
    fn a_target_is_busy_where_most_items_are_told_so() {
        let retry = || Outcome::Retry("429".to_owned());
        for (outcomes, busy) in [
            (vec![], false),
            (vec![retry(), retry(), retry(), retry()], false),
            (vec![retry(), retry(), retry(), retry(), retry()], true),
            (
                vec![
                    Outcome::Applied,
                    Outcome::Applied,
                    Outcome::Applied,
                    retry(),
                    retry(),
                    retry(),
                ],
                false,
            ),
            (
                vec![Outcome::Applied, Outcome::Stale, retry(), retry(), retry()],
                true,
            ),
        ] {
            assert_eq!(mostly_busy(&outcomes).is_some(), busy, "{outcomes:?}");
        }
    }
}
