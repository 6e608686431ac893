//! A proxy between the product and one of its services that knows the frames of the protocol: it cuts, delays, swallows or
//! answers at a chosen frame, so that a test meets the moments that matter ("COMMIT sent, answer lost").
//!
//! ```text
//! let proxy = Proxy::start(Protocol::Postgres, "127.0.0.1:5432").await;   // point the product at proxy.address()
//! let armed = proxy.arm(Rule::new(Side::Client, "Q COMMIT", At::Answer, Then::Reset), 1);
//! armed.fired().await;                                                    // disarmed when dropped
//! ```

mod answer;
mod connection;
mod frames;
mod rules;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

pub use frames::{Frame, Frames, Protocol, Side};
pub use rules::{Armed, At, Rule, Then};

use self::rules::Rules;

/// What happens to all connections alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What comes is passed on, but for what rules say.
    Pass,
    /// Nothing moves in either direction; when it ends, everything goes on.
    Hole,
    /// New connections are closed at once, others at their next frame.
    Refuse,
    /// AMQP only: a memory alarm. As RabbitMQ does, whoever publishes is told `connection.blocked` and not read any more;
    /// when it ends, `connection.unblocked`, and everything goes on.
    Alarm,
}

/// Shared by all connections.
#[derive(Debug)]
struct Shared {
    protocol: Protocol,
    upstream: String,
    rules: Rules,
    mode: watch::Sender<Mode>,
    /// What no framer understood.
    errors: Mutex<Vec<String>>,
}

/// A listening proxy; it and its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port, and connects each client to `upstream` (host and port).
    pub async fn start(protocol: Protocol, upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            protocol,
            upstream: upstream.to_owned(),
            rules: Rules::default(),
            mode: watch::Sender::new(Mode::Pass),
            errors: Mutex::default(),
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            listening,
        }
    }

    /// Host and port to connect to.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The rule holds for the next so many frames that it fits, on any connection.
    #[must_use]
    pub fn arm(&self, rule: Rule, times: usize) -> Armed {
        self.shared.rules.arm(rule, times)
    }

    pub fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// What came by that was no frame of the protocol: the proxy's own mistake, or that of a peer.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.shared.errors().clone()
    }
}

impl Shared {
    fn errors(&self) -> MutexGuard<'_, Vec<String>> {
        self.errors.lock().expect("no holder of it panics")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Its connections end with it.
async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        if *shared.mode.borrow() == Mode::Refuse {
            drop(client);
            continue;
        }
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // Where the service is down, the client is told by the end of its connection.
            if let Ok(server) = TcpStream::connect(&shared.upstream).await {
                connection::run(shared, client, server).await;
            }
        });
    }
}
