//! A Redis of one test's own, to be killed and started again.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use crate::{RedisKeys, Scratch, World, eventually};

/// Below the ports that Linux gives to outgoing connections.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;
const START: Duration = Duration::from_secs(20);

/// A `redis-server`; killed when it is dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    folder: PathBuf,
    /// Whether it keeps what it acknowledged.
    durable: bool,
    /// What it asks its clients for.
    password: Option<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts on a free port, with its files in the world's folder. It keeps nothing by itself.
    pub async fn start(world: &World) -> Self {
        Self::start_in(world.folder(), false, None).await
    }

    /// As [`Self::start`], for a test without a world.
    pub async fn start_beside(shop: &Scratch) -> Self {
        Self::start_in(shop.folder(), false, None).await
    }

    /// One that keeps all that it acknowledged (`appendfsync always`), for those who know its password.
    pub async fn start_durable(world: &World, password: &str) -> Self {
        Self::start_in(world.folder(), true, Some(password.to_owned())).await
    }

    async fn start_in(folder: &Path, durable: bool, password: Option<String>) -> Self {
        let folder = folder.join("redis");
        std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut server = Self {
            port: free_port(),
            folder,
            durable,
            password,
            process: None,
        };
        server.start_again().await;
        server
    }

    #[must_use]
    pub fn url(&self) -> String {
        let login = self.password.as_ref().map(|password| format!(":{password}@"));
        format!("redis://{}127.0.0.1:{}/0", login.unwrap_or_default(), self.port)
    }

    /// Everything in it.
    #[must_use]
    pub fn keys(&self) -> RedisKeys {
        RedisKeys::new(&self.url(), "")
    }

    /// Dead at once; what it held comes back only where it is durable, or after [`Self::save`].
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("SIGKILL");
        process.wait().expect("the status of a killed child");
    }

    /// It loses all that it holds, and runs on.
    pub async fn flush(&self) {
        self.ask("FLUSHALL")
            .await
            .unwrap_or_else(|error| panic!("FLUSHALL: {error}"));
    }

    /// Writes its data to the file that the next start reads.
    pub async fn save(&self) {
        self.ask("SAVE")
            .await
            .unwrap_or_else(|error| panic!("SAVE: {error}"));
    }

    /// Starts it on the same port and waits until it answers.
    ///
    /// # Panics
    /// Where it runs already or does not answer.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let log = File::create(self.folder.join("redis.log")).expect("a log");
        let process = Command::new("redis-server")
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                if self.durable { "yes" } else { "no" },
                "--appendfsync",
                "always",
            ])
            .args(
                self.password
                    .iter()
                    .flat_map(|password| ["--requirepass", password]),
            )
            .arg("--dir")
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn();
        self.process = Some(process.unwrap_or_else(|error| panic!("redis-server: {error}")));
        eventually("an answer of redis-server", START, async || {
            self.ask("PING").await
        })
        .await;
    }

    async fn ask(&self, command: &str) -> Result<(), String> {
        let client = redis::Client::open(self.url()).map_err(|error| error.to_string())?;
        let mut connection = client
            .get_multiplexed_async_connection()
            .await
            .map_err(|error| error.to_string())?;
        let answer: redis::RedisResult<String> = redis::cmd(command).query_async(&mut connection).await;
        answer.map(drop).map_err(|error| error.to_string())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A port that nobody listens on, below those that the system gives to outgoing connections: it stays free while
/// its service is down.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 1000).expect("less than 1000");
    let free = (0..PORTS).find_map(|_| {
        let next = own
            .wrapping_mul(37)
            .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + next % PORTS;
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    });
    free.expect("a free port")
}
