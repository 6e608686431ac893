//! A Redis of one test's own, to be killed and started again.

use std::{
    fs::File,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use redis::{AsyncConnectionConfig, FromRedisValue};

use crate::{RedisKeys, Scratch, World, eventually};

/// Below the ports that Linux gives to outgoing connections.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;
const START: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(60);

/// A `redis-server`; killed when it is dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    folder: PathBuf,
    /// Whether it keeps what it acknowledged.
    durable: bool,
    /// More of them, for every start.
    options: Vec<String>,
    /// What it asks its clients for.
    password: Option<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts on a free port, with its files in the world's folder. It keeps nothing by itself.
    pub async fn start(world: &World) -> Self {
        Self::start_in(world.folder().join("redis"), false, None, Vec::new()).await
    }

    /// As [`Self::start`], for a test without a world.
    pub async fn start_beside(shop: &Scratch) -> Self {
        Self::start_in(shop.folder().join("redis"), false, None, Vec::new()).await
    }

    /// One that keeps all that it acknowledged (`appendfsync always`), for those who know its password.
    pub async fn start_durable(world: &World, password: &str) -> Self {
        let password = Some(password.to_owned());
        Self::start_in(world.folder().join("redis"), true, password, Vec::new()).await
    }

    /// A node of a cluster that it does not know yet. It keeps all that it acknowledged.
    pub(crate) async fn start_node(world: &World, number: usize) -> Self {
        let options = [
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &free_port().to_string(),
            // Nobody is to be thought dead because the machine is slow: who is dead is told.
            "--cluster-node-timeout",
            "60000",
        ];
        let folder = world.folder().join(format!("redis-{number}"));
        Self::start_in(folder, true, None, options.map(str::to_owned).to_vec()).await
    }

    async fn start_in(
        folder: PathBuf,
        durable: bool,
        password: Option<String>,
        options: Vec<String>,
    ) -> Self {
        std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut server = Self {
            port: free_port(),
            folder,
            durable,
            options,
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

    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The port of the other nodes of its cluster.
    pub(crate) fn bus(&self) -> &str {
        &self.options[3]
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

    /// Sends it a signal by its name: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let pid = self.process.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        let sent = sent.expect("the command kill");
        assert!(sent.success(), "kill -{name} {pid}: {sent}");
    }

    /// It loses all that it holds, and runs on.
    pub async fn flush(&self) {
        self.must::<()>("FLUSHALL").await;
    }

    /// From now on it asks for this password; who was connected with the old one is not any more.
    ///
    /// # Panics
    /// On an error.
    pub async fn change_password(&mut self, password: &str) {
        self.must::<()>(&format!("CONFIG SET requirepass {password}"))
            .await;
        self.password = Some(password.to_owned());
        self.must::<i64>("CLIENT KILL TYPE normal").await;
    }

    /// Writes its data to the file that the next start reads.
    pub async fn save(&self) {
        self.must::<()>("SAVE").await;
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
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn();
        self.process = Some(process.unwrap_or_else(|error| panic!("redis-server: {error}")));
        eventually("an answer of redis-server", START, async || {
            self.ask::<String>("PING").await
        })
        .await;
    }

    /// The answer to a command, which is its words with single blanks between them.
    ///
    /// # Errors
    /// Where it does not answer, or answers with an error.
    pub async fn ask<T: FromRedisValue>(&self, command: &str) -> Result<T, String> {
        let client = redis::Client::open(self.url()).map_err(|error| error.to_string())?;
        // FLUSHALL and SAVE take their time where there is much to lose or to write.
        let patient = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER));
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&patient)
            .await
            .map_err(|error| error.to_string())?;
        let mut words = command.split(' ');
        let mut asked = redis::cmd(words.next().expect("a command"));
        asked.arg(words.collect::<Vec<_>>());
        let answer: redis::RedisResult<T> = asked.query_async(&mut connection).await;
        answer.map_err(|error| error.to_string())
    }

    /// As [`Self::ask`].
    ///
    /// # Panics
    /// On an error.
    pub async fn must<T: FromRedisValue>(&self, command: &str) -> T {
        let answer = self.ask(command).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
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
