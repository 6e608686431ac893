//! A circuit breaker: what does not answer is left alone, and asked by one request at a time until it answers again.
//!
//! [`Circuit`] is the table of states, a function of values; [`Breaker`] is what the tasks of a process share. Nobody
//! counts attempts while it is open: work waits for its [`Turn`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backoff::Backoff;

/// When a circuit opens, and when it is probed.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// So many requests are looked at, the last ones; half of them failed: it opens.
    pub window: usize,
    /// Older ones are forgotten. So where little is asked, one failure opens it, and where much is asked, a few do not.
    pub span: Duration,
    /// From opening to the first probe, and from one that failed to the next.
    pub probes: Backoff,
}

impl Policy {
    /// Half of the last 20 requests of 10 s; probes after 1 s, then up to 5 s apart. Not longer: what came back is to
    /// work again within 10 s.
    pub const TARGET: Self = Self {
        window: 20,
        span: Duration::from_secs(10),
        probes: Backoff {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(5),
        },
    };

    /// As for targets, with shorter waits: messages flow within 5 s after a broker is back.
    pub const BROKER: Self = Self {
        probes: Backoff {
            first: Duration::from_millis(500),
            cap: Duration::from_secs(2),
        },
        ..Self::TARGET
    };
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It was answered; what the answer says of single items is no matter of the circuit.
    Answered,
    /// It was not, or with "not now"; `after`: not before then.
    Failed { why: String, after: Option<Duration> },
    /// Login, read-only, out of memory: another request would be answered alike. Opens at once.
    Refused { why: String },
}

/// What a report has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Nothing,
    Opened,
    /// A probe has failed.
    StaysOpen,
    Closed,
}

/// What a circuit says to one who wants to send a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Go,
    /// It is the one that is let through.
    Probe,
    /// Ask again then; `None`: when the probe that is under way has ended.
    Wait(Option<Duration>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        probe_at: Instant,
    },
    /// Half open: one request is under way.
    Probing,
}

/// The table: requests and reports to states.
#[derive(Debug)]
pub struct Circuit {
    policy: Policy,
    state: State,
    /// When a request ended, and whether it failed; the last ones.
    recent: VecDeque<(Instant, bool)>,
    /// Probes that failed since it opened.
    probes: u32,
}

impl Circuit {
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            state: State::Closed,
            recent: VecDeque::new(),
            probes: 0,
        }
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// May a request be sent now? Where it is a probe, nobody else gets one until it is reported or abandoned.
    pub fn ask(&mut self, now: Instant) -> Answer {
        match self.state {
            State::Closed => Answer::Go,
            State::Probing => Answer::Wait(None),
            State::Open { probe_at } if now < probe_at => Answer::Wait(Some(probe_at - now)),
            State::Open { .. } => {
                self.state = State::Probing;
                Answer::Probe
            }
        }
    }

    /// What became of a request; `probe`: it was the one that was let through. Requests that were under way when the
    /// circuit opened tell nothing new. `seed` differs between processes.
    pub fn report(&mut self, now: Instant, probe: bool, report: &Report, seed: u64) -> Change {
        match (self.state, probe, report) {
            (State::Probing, true, Report::Answered) => {
                self.state = State::Closed;
                self.recent.clear();
                Change::Closed
            }
            (State::Probing, true, failed) => {
                self.probes = self.probes.saturating_add(1);
                self.open(now, failed, seed);
                Change::StaysOpen
            }
            (State::Closed, _, report) => {
                self.remember(now, *report != Report::Answered);
                let opens = match report {
                    // What was answered before may be forgotten by now; that is no reason.
                    Report::Answered => false,
                    Report::Failed { .. } => self.half_failed(),
                    Report::Refused { .. } => true,
                };
                if !opens {
                    return Change::Nothing;
                }
                self.probes = 0;
                self.open(now, report, seed);
                Change::Opened
            }
            (State::Open { .. }, _, _) | (State::Probing, false, _) => Change::Nothing,
        }
    }

    /// The probe ended without an answer, because nobody wanted it any more: the next one may go.
    pub fn abandon(&mut self, now: Instant) {
        if self.state == State::Probing {
            self.state = State::Open { probe_at: now };
        }
    }

    fn open(&mut self, now: Instant, report: &Report, seed: u64) {
        let asked = match report {
            Report::Failed { after, .. } => after.unwrap_or_default(),
            Report::Answered | Report::Refused { .. } => Duration::ZERO,
        };
        let delay = self.policy.probes.delay(self.probes, seed).max(asked);
        self.state = State::Open {
            probe_at: now + delay,
        };
    }

    fn remember(&mut self, now: Instant, failed: bool) {
        let (span, window) = (self.policy.span, self.policy.window);
        self.recent.push_back((now, failed));
        while self.recent.len() > window || self.recent.front().is_some_and(|(then, _)| now - *then > span) {
            self.recent.pop_front();
        }
    }

    fn half_failed(&self) -> bool {
        let failed = self.recent.iter().filter(|(_, failed)| *failed).count();
        failed > 0 && 2 * failed >= self.recent.len()
    }
}

/// A circuit that tasks share.
#[derive(Debug)]
pub struct Breaker {
    inner: Mutex<Inner>,
    /// Held by the one who waits for the next probe, so that all get their turn in the order in which they came.
    first: tokio::sync::Mutex<()>,
    /// A probe has ended.
    ended: Notify,
    seed: u64,
}

#[derive(Debug)]
struct Inner {
    circuit: Circuit,
    /// The last failure.
    why: String,
}

impl Breaker {
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            inner: Mutex::new(Inner {
                circuit: Circuit::new(policy),
                why: String::new(),
            }),
            first: tokio::sync::Mutex::default(),
            ended: Notify::new(),
            seed: crate::backoff::seed(),
        }
    }

    /// Why nothing but probes is let through now; `None`: it is closed.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let inner = self.lock();
        (!inner.circuit.is_closed()).then(|| inner.why.clone())
    }

    /// Waits until a request may be sent. Those who wait are let through in the order in which they came.
    pub async fn turn(self: &Arc<Self>) -> Turn {
        if let Some(turn) = self.try_turn() {
            return turn;
        }
        let _first = self.first.lock().await;
        loop {
            match self.ask() {
                Ok(mut turn) => {
                    turn.waited = true;
                    return turn;
                }
                // An earlier end than the time's only makes us ask once more.
                Err(Some(delay)) => drop(tokio::time::timeout(delay, self.ended.notified()).await),
                Err(None) => self.ended.notified().await,
            }
        }
    }

    /// As [`Self::turn`], now or not at all.
    pub fn try_turn(self: &Arc<Self>) -> Option<Turn> {
        self.ask().ok()
    }

    fn ask(self: &Arc<Self>) -> Result<Turn, Option<Duration>> {
        let answer = self.lock().circuit.ask(Instant::now());
        let turn = |probes| Turn {
            breaker: self.clone(),
            probes,
            waited: false,
        };
        match answer {
            Answer::Go => Ok(turn(false)),
            Answer::Probe => Ok(turn(true)),
            Answer::Wait(delay) => Err(delay),
        }
    }

    fn report(&self, probe: bool, report: Report) -> Change {
        let change = {
            let mut inner = self.lock();
            let change = inner.circuit.report(Instant::now(), probe, &report, self.seed);
            match (change, report) {
                (
                    Change::Opened | Change::StaysOpen,
                    Report::Failed { why, .. } | Report::Refused { why },
                ) => {
                    inner.why = why;
                }
                (Change::Opened | Change::StaysOpen, Report::Answered)
                | (Change::Nothing | Change::Closed, _) => {}
            }
            change
        };
        self.ended.notify_one();
        change
    }

    /// A panic elsewhere leaves the table whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to send one request. Dropped without a report, it leaves no trace.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    breaker: Arc<Breaker>,
    probes: bool,
    waited: bool,
}

impl Turn {
    /// It is the only one that is let through.
    #[must_use]
    pub fn probes(&self) -> bool {
        self.probes
    }

    /// Time has passed since it was asked for.
    #[must_use]
    pub fn waited(&self) -> bool {
        self.waited
    }

    pub fn report(mut self, report: Report) -> Change {
        let probe = std::mem::take(&mut self.probes);
        self.breaker.report(probe, report)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.probes {
            self.breaker.lock().circuit.abandon(Instant::now());
            self.breaker.ended.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
