//! One connection, made on demand and anew after a loss. lapin's own recovery stays off: it hangs consumers after a
//! channel error and restarts as a whole when one declaration fails.

use std::collections::HashSet;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::types::ShortString;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::super::BrokerError;
use super::endpoint::Endpoint;
use crate::breaker::{Breaker, Report, Turn};

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For a connection, from the first packet to the open virtual host.
    pub(super) connect: Duration,
    /// For the answer to one command.
    pub(super) command: Duration,
    /// For all confirms of a batch.
    pub(super) confirms: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (connect, command, confirms) = (5, 10, 30);
        Self {
            connect: Duration::from_secs(connect),
            command: Duration::from_secs(command),
            confirms: Duration::from_secs(confirms),
        }
    }
}

/// A living connection and what is known about the broker behind it.
pub(super) struct Link {
    connection: Connection,
    /// Queues declared on this connection. It dies with it, because a virtual host that is deleted takes its
    /// connections along.
    declared: Mutex<HashSet<String>>,
    /// Largest payload as far as a closed channel has told, in bytes; another node may take more.
    limit: AtomicUsize,
}

impl Link {
    pub(super) fn connected(&self) -> bool {
        self.connection.status().connected()
    }

    pub(super) fn declared(&self) -> MutexGuard<'_, HashSet<String>> {
        lock(&self.declared)
    }

    /// The broker takes no larger payload than so many bytes.
    pub(super) fn learn_limit(&self, bytes: usize) {
        self.limit.fetch_min(bytes, Ordering::Relaxed);
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }
}

/// Makes the links of one purpose.
pub(super) struct Dial {
    /// Shown by RabbitMQ in its list of connections.
    name: &'static str,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) patience: Patience,
    current: Mutex<Option<Arc<Link>>>,
    /// Held while connecting, so that a loss is followed by one connection and not by one a waiter; holds when the
    /// last attempt failed, and how.
    failed: tokio::sync::Mutex<Option<(Instant, BrokerError)>>,
    closed: CancellationToken,
    /// Whether the broker answers: shared by all links to it.
    breaker: Arc<Breaker>,
}

impl Dial {
    pub(super) fn new(
        name: &'static str,
        endpoint: Arc<Endpoint>,
        patience: Patience,
        breaker: Arc<Breaker>,
    ) -> Self {
        Self {
            name,
            endpoint,
            patience,
            current: Mutex::default(),
            failed: tokio::sync::Mutex::default(),
            closed: CancellationToken::new(),
            breaker,
        }
    }

    /// The connection, made if there is none that lives.
    pub(super) async fn link(&self) -> Result<Arc<Link>, BrokerError> {
        if let Some(link) = self.living()? {
            return Ok(link);
        }
        let asked = Instant::now();
        let mut failed = self.failed.lock().await;
        if let Some(link) = self.living()? {
            return Ok(link);
        }
        if let Some((_, error)) = failed.take_if(|(when, _)| *when >= asked) {
            // Somebody tried while this caller waited: a second try would take as long and find the same.
            *failed = Some((Instant::now(), error.clone()));
            return Err(error);
        }
        let turn = self.turn()?;
        match self.connect().await {
            Ok(link) => {
                turn.report(Report::Answered);
                let link = Arc::new(link);
                *lock(&self.current) = Some(link.clone());
                Ok(link)
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                if let Some(report) = failure(&error) {
                    turn.report(report);
                }
                Err(error)
            }
        }
    }

    /// The right to ask the broker for something.
    ///
    /// # Errors
    /// While it is left alone: with what it said last.
    pub(super) fn turn(&self) -> Result<Turn, BrokerError> {
        let refused = || {
            let why = self.breaker.trouble().unwrap_or_default();
            self.endpoint
                .unreachable(format!("{why} (left alone for a moment)"))
        };
        self.breaker.try_turn().ok_or_else(refused)
    }

    /// Largest payload as far as the connection of now has told, in bytes.
    pub(super) fn limit(&self) -> usize {
        lock(&self.current)
            .as_ref()
            .map_or(usize::MAX, |link| link.limit())
    }

    /// The broker has said on this connection that it takes no messages now.
    pub(super) fn blocked(&self) -> bool {
        lock(&self.current)
            .as_ref()
            .is_some_and(|link| link.connected() && link.connection.status().blocked())
    }

    /// A new channel on this link.
    pub(super) async fn channel(&self, link: &Link) -> Result<Channel, BrokerError> {
        self.command(link.connection.create_channel()).await
    }

    /// Runs one command with a bound in time. lapin has none: a broker that went silent, or an alarm that stops
    /// all writing, would hold the caller until the heartbeat fails, or for ever.
    pub(super) async fn command<T>(
        &self,
        command: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, BrokerError> {
        match timeout(self.patience.command, command).await {
            Ok(result) => result.map_err(|error| self.endpoint.error(&error)),
            Err(_) => Err(self
                .endpoint
                .unreachable(format!("no answer in {:?}", self.patience.command))),
        }
    }

    /// Closes the connection; no other one is made.
    pub(super) async fn close(&self) {
        self.closed.cancel();
        let current = lock(&self.current).take();
        if let Some(link) = current {
            // An error means that the connection has gone before.
            let _ = self
                .command(link.connection.close(200, ShortString::from("closed")))
                .await;
        }
    }

    fn living(&self) -> Result<Option<Arc<Link>>, BrokerError> {
        if self.closed.is_cancelled() {
            return Err(BrokerError::Closed);
        }
        Ok(lock(&self.current).clone().filter(|link| link.connected()))
    }

    async fn connect(&self) -> Result<Link, BrokerError> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.into());
        let connecting = Connection::connect_uri(self.endpoint.uri.clone(), properties);
        let connection = tokio::select! {
            () = self.closed.cancelled() => return Err(BrokerError::Closed),
            connected = timeout(self.patience.connect, connecting) => connected
                .map_err(|_| self.endpoint.unreachable(format!("no connection in {:?}", self.patience.connect)))?
                .map_err(|error| self.endpoint.error(&error))?,
        };
        tracing::debug!(connection = self.name, "connected to the broker");
        Ok(Link {
            connection,
            declared: Mutex::default(),
            limit: AtomicUsize::new(usize::MAX),
        })
    }
}

/// What the breaker hears of a connection that was not made; nothing where nobody wants one any more.
fn failure(error: &BrokerError) -> Option<Report> {
    match error {
        BrokerError::Unreachable { reason, .. } => Some(Report::Failed {
            why: reason.clone(),
            after: None,
        }),
        BrokerError::Configuration { reason, .. } => Some(Report::Refused { why: reason.clone() }),
        BrokerError::Closed => None,
    }
}

/// A panic elsewhere leaves what is behind these locks whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
