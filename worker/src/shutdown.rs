//! Stopping in two steps. First nothing more is taken, and what is at hand is finished and settled; a second signal,
//! or the deadline, drops the work where it stands, and everything unsettled goes back.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// From the first signal to the end: under the 30 s after which Kubernetes kills.
pub const DEADLINE: Duration = Duration::from_secs(25);

/// How the tasks of a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All of them finished by themselves.
    Finished,
    /// Some were dropped by the second signal or the deadline.
    Aborted,
    /// At least one panicked.
    Panicked,
}

/// The shutdown of a process and the tasks that it waits for. Clones are the same shutdown.
#[derive(Clone)]
pub struct Shutdown {
    taking: CancellationToken,
    abort: CancellationToken,
    deadline: Duration,
    tasks: TaskTracker,
    panicked: Arc<AtomicBool>,
    anew: Arc<AtomicBool>,
}

impl Shutdown {
    /// Reacts to SIGTERM and SIGINT. Needs a running tokio runtime; fails where signals cannot be had.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::manual();
        let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(shutdown.clone().listen(signals));
        Ok(shutdown)
    }

    /// Reacts to no signals: for tests and for use inside another program.
    pub fn manual() -> Self {
        Self {
            taking: CancellationToken::new(),
            abort: CancellationToken::new(),
            deadline: DEADLINE,
            tasks: TaskTracker::new(),
            panicked: Arc::default(),
            anew: Arc::default(),
        }
    }

    /// Replaces [`DEADLINE`].
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Cancelled with the first signal: take nothing more, finish and settle what is at hand.
    pub fn taking(&self) -> &CancellationToken {
        &self.taking
    }

    /// Cancelled with the second signal or at the deadline: leave everything.
    pub fn abort(&self) -> &CancellationToken {
        &self.abort
    }

    /// Nothing more is taken; what is at hand is finished. Once more does nothing: only a second signal aborts.
    pub fn stop_taking(&self) {
        self.taking.cancel();
    }

    /// As a signal does: the first call stops the taking, the second aborts.
    pub fn signal(&self) {
        if self.taking.is_cancelled() {
            self.abort.cancel()
        } else {
            self.taking.cancel()
        }
    }

    /// As the first signal does, and the process is to begin anew when all has ended. A signal that comes meanwhile takes
    /// that back, and does no more.
    pub fn begin_anew(&self) {
        if !self.taking.is_cancelled() {
            self.anew.store(true, Ordering::SeqCst);
            self.stop_taking();
        }
    }

    /// Whether the process is to begin anew.
    #[must_use]
    pub fn begins_anew(&self) -> bool {
        self.anew.load(Ordering::SeqCst)
    }

    /// Runs a task that [`Shutdown::finished`] waits for. The task watches [`Shutdown::taking`] itself; the abort
    /// drops it at its next await. A panic stops the taking of the whole process: a worker that lost a part shall
    /// be started anew.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let watch = PanicWatch(self.clone());
        let abort = self.abort.clone();
        self.tasks.spawn(async move {
            let _watch = watch;
            abort.run_until_cancelled_owned(task).await;
        });
    }

    /// Waits until all tasks have ended. The deadline runs from the first signal.
    pub async fn finished(&self) -> Ending {
        self.tasks.close();
        tokio::select! {
            biased;
            () = self.tasks.wait() => {}
            () = self.overdue() => self.abort.cancel(),
        }
        self.tasks.wait().await;
        if self.panicked.load(Ordering::SeqCst) {
            Ending::Panicked
        } else if self.abort.is_cancelled() {
            Ending::Aborted
        } else {
            Ending::Finished
        }
    }

    async fn overdue(&self) {
        self.taking.cancelled().await;
        if tokio::time::timeout(self.deadline, self.abort.cancelled())
            .await
            .is_err()
        {
            tracing::warn!(deadline = ?self.deadline, "shutdown deadline passed: leaving unfinished work");
        }
    }

    async fn listen(self, (mut terminate, mut interrupt): (Signal, Signal)) {
        for step in ["finishing what is at hand", "leaving unfinished work"] {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal = name, "{step}");
            if !self.anew.swap(false, Ordering::SeqCst) {
                self.signal();
            }
        }
    }
}

struct PanicWatch(Shutdown);

impl Drop for PanicWatch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.panicked.store(true, Ordering::SeqCst);
            self.0.stop_taking();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn the_first_signal_lets_work_finish() {
        let shutdown = Shutdown::manual();
        let (settled, was_settled) = oneshot::channel();
        let taking = shutdown.taking().clone();
        shutdown.spawn(async move {
            taking.cancelled().await;
            tokio::task::yield_now().await;
            settled.send(()).unwrap();
        });
        shutdown.signal();
        assert!(!shutdown.abort().is_cancelled());
        assert_eq!(shutdown.finished().await, Ending::Finished);
        was_settled.await.unwrap();
    }

    #[tokio::test]
    async fn the_second_signal_drops_the_work() {
        let shutdown = Shutdown::manual();
        let (_never, unfinished) = oneshot::channel::<()>();
        let (held, dropped) = oneshot::channel::<()>();
        shutdown.spawn(async move {
            let _held = held;
            let _ = unfinished.await;
        });
        shutdown.signal();
        shutdown.signal();
        assert_eq!(shutdown.finished().await, Ending::Aborted);
        dropped.await.unwrap_err();
    }

    #[tokio::test]
    async fn the_deadline_runs_from_the_first_signal() {
        let shutdown = Shutdown::manual().with_deadline(Duration::from_millis(1));
        shutdown.spawn(std::future::pending());
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.finished().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "ends without a signal");
        shutdown.signal();
        assert_eq!(waiting.await.unwrap(), Ending::Aborted);
    }

    #[tokio::test]
    async fn a_panic_stops_the_others() {
        let shutdown = Shutdown::manual();
        let taking = shutdown.taking().clone();
        shutdown.spawn(async move { taking.cancelled().await });
        shutdown.spawn(async { panic!("planted") });
        assert_eq!(shutdown.finished().await, Ending::Panicked);
    }

    #[tokio::test]
    async fn beginning_anew_lets_work_finish_and_comes_after_no_signal() {
        let shutdown = Shutdown::manual();
        let taking = shutdown.taking().clone();
        shutdown.spawn(async move { taking.cancelled().await });
        shutdown.begin_anew();
        assert_eq!(shutdown.finished().await, Ending::Finished);
        assert!(shutdown.begins_anew());

        let stopping = Shutdown::manual();
        stopping.signal();
        stopping.begin_anew();
        assert!(!stopping.begins_anew());
    }

    #[tokio::test]
    async fn tasks_that_end_by_themselves_need_no_signal() {
        let shutdown = Shutdown::manual();
        shutdown.spawn(async {});
        assert_eq!(shutdown.finished().await, Ending::Finished);
        assert!(!shutdown.taking().is_cancelled());
    }

    /// In a process of its own: once tokio has seen to a signal, it no longer ends the process, and a hanging test
    /// run could not be stopped.
    #[tokio::test]
    async fn signals_arrive() {
        const CHILD: &str = "PUBSYNC_TEST_SIGNALS_CHILD";
        if std::env::var_os(CHILD).is_some() {
            return signal_myself_twice().await;
        }
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "shutdown::tests::signals_arrive"])
            .env(CHILD, "1")
            .kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(30), child.output()).await;
        let output = output.expect("the signals did not arrive").unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    async fn signal_myself_twice() {
        let shutdown = Shutdown::on_signals().unwrap();
        let kill = || async {
            let kill = format!("kill -TERM {}", std::process::id());
            tokio::process::Command::new("sh")
                .args(["-c", &kill])
                .status()
                .await
                .unwrap()
        };
        assert!(kill().await.success());
        shutdown.taking().cancelled().await;
        assert!(!shutdown.abort().is_cancelled());
        assert!(kill().await.success());
        shutdown.abort().cancelled().await;
    }
}
