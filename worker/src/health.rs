//! What a process says of itself over HTTP: `/livez`, `/startupz`, `/readyz`, `/metrics` and `/version`. No login, so
//! nothing here holds a payload, a key, an address or a secret; it may be open to the whole cluster.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::metrics::{self, RecorderError};
use crate::shutdown::Shutdown;

/// How often what was observed is put into the histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// What the process knows of itself. Clones are the same state.
#[derive(Debug, Clone, Default)]
pub struct HealthState {
    started: Arc<AtomicBool>,
}

impl HealthState {
    /// The process has all that it needs to begin: database, tables, definitions. Stays true: a service that is down
    /// later is waited for, and no reason to take the process away.
    pub fn started(&self) {
        self.started.store(true, Ordering::Release);
    }
}

/// Why a process does not answer for itself.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The port is taken, or the address is not one of this host.
    #[error("cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Recorder(#[from] RecorderError),
}

/// The server; it ends when this is dropped. So it answers while a shutdown finishes its last batch.
#[derive(Debug)]
pub struct Health {
    /// Where it listens, with the port that was chosen where port 0 was asked for.
    pub address: SocketAddr,
    _server: AbortOnDropHandle<()>,
}

/// Listens, and records metrics from now on. `version` is the program's.
///
/// # Errors
/// The address cannot be had, or the process records its metrics elsewhere already.
pub async fn serve(
    address: SocketAddr,
    version: &'static str,
    state: HealthState,
    shutdown: &Shutdown,
) -> Result<Health, HealthError> {
    let bind = |source| HealthError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let recorded = metrics::recorder()?;
    metrics::build(version);
    let routes = routes(Answers {
        state,
        stopping: shutdown.taking().clone(),
        recorded: recorded.clone(),
        version,
    });
    let server = async move {
        tokio::select! {
            ended = axum::serve(listener, routes) => tracing::error!(?ended, "health and metrics are served no more"),
            () = upkeep(recorded) => {}
        }
    };
    tracing::info!(%address, "health and metrics");
    Ok(Health {
        address,
        _server: AbortOnDropHandle::new(tokio::spawn(server)),
    })
}

async fn upkeep(recorded: PrometheusHandle) {
    let mut every = tokio::time::interval(UPKEEP);
    loop {
        every.tick().await;
        recorded.run_upkeep();
    }
}

#[derive(Clone)]
struct Answers {
    state: HealthState,
    stopping: CancellationToken,
    recorded: PrometheusHandle,
    version: &'static str,
}

fn routes(answers: Answers) -> Router {
    Router::new()
        // That it is answered at all says it: the event loop turns. Never a dependency: an outage must not restart
        // all pods.
        .route("/livez", get("ok\n"))
        .route("/startupz", get(startupz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(rendered))
        .route("/version", get(version))
        .with_state(answers)
}

async fn startupz(State(answers): State<Answers>) -> impl IntoResponse {
    told(&answers.checks()[..1], false)
}

async fn readyz(State(answers): State<Answers>, RawQuery(query): RawQuery) -> impl IntoResponse {
    let verbose = query.is_some_and(|query| {
        query
            .split('&')
            .any(|part| part == "verbose" || part.starts_with("verbose="))
    });
    told(&answers.checks(), verbose)
}

async fn rendered(State(answers): State<Answers>) -> impl IntoResponse {
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (text, answers.recorded.render())
}

async fn version(State(answers): State<Answers>) -> String {
    format!("{}\n", answers.version)
}

/// One thing that readiness asks for: its name, whether it is so, and what else is.
type Check = (&'static str, bool, &'static str);

impl Answers {
    fn checks(&self) -> [Check; 2] {
        let started = self.state.started.load(Ordering::Acquire);
        [
            (
                "started",
                started,
                "waits for the database and its tables; the log says more",
            ),
            ("taking work", !self.stopping.is_cancelled(), "shutting down"),
        ]
    }
}

fn told(checks: &[Check], verbose: bool) -> (StatusCode, String) {
    let well = checks.iter().all(|(_, well, _)| *well);
    let mut text = String::new();
    for (name, well, otherwise) in checks.iter().filter(|(_, well, _)| verbose || !well) {
        // Writing to a String does not fail.
        let _ = match well {
            true => writeln!(text, "[+] {name}"),
            false => writeln!(text, "[-] {name}: {otherwise}"),
        };
    }
    if well {
        (StatusCode::OK, text + "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    const ANYWHERE: &str = "127.0.0.1:0";

    /// Status and body.
    async fn get(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: pubsync\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    #[tokio::test]
    async fn ready_between_the_start_and_the_shutdown_alive_all_the_time() {
        let (state, shutdown) = (HealthState::default(), Shutdown::manual());
        let health = serve(ANYWHERE.parse().unwrap(), "1.2.3", state.clone(), &shutdown)
            .await
            .unwrap();
        let at = health.address;
        let ok = (200, "ok\n".to_owned());

        assert_eq!(get(at, "/livez").await, ok);
        let (status, why) = get(at, "/readyz").await;
        assert_eq!(status, 503);
        assert!(why.starts_with("[-] started: waits"), "{why}");
        assert_eq!(get(at, "/startupz").await.0, 503);

        state.started();
        assert_eq!(get(at, "/readyz").await, ok);
        assert_eq!(get(at, "/startupz").await, ok);
        let verbose = "[+] started\n[+] taking work\nok\n".to_owned();
        assert_eq!(get(at, "/readyz?verbose").await, (200, verbose));

        shutdown.signal();
        assert_eq!(
            get(at, "/readyz").await,
            (503, "[-] taking work: shutting down\n".to_owned())
        );
        assert_eq!(get(at, "/startupz").await, ok);
        assert_eq!(get(at, "/livez").await, ok);
        assert_eq!(get(at, "/version").await, (200, "1.2.3\n".to_owned()));
        let (_, metrics) = get(at, "/metrics").await;
        assert!(
            metrics.contains(r#"pubsync_build_info{version="1.2.3"} 1"#),
            "{metrics}"
        );
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_it() {
        let taken = TcpListener::bind(ANYWHERE).await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = serve(address, "1.2.3", HealthState::default(), &Shutdown::manual())
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot listen on {address}: ")),
            "{error}"
        );
    }
}
