//! The product's binary as a child process: commands that end, and workers that run.

use std::{
    fs::File,
    io::Write as _,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::eventually;

/// Longer than any `--timeout` that a test gives.
const COMMAND_DEADLINE: Duration = Duration::from_secs(600);
/// Longer than the grace that a worker gives its last batch.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(60);

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A running process; killed when it is dropped.
#[derive(Debug)]
pub struct Worker {
    name: String,
    log: PathBuf,
    child: Child,
}

/// The product: `PUBSYNC_BIN`, else `pubsync` of the build that this program is of.
#[must_use]
pub fn binary() -> PathBuf {
    let path = std::env::var_os("PUBSYNC_BIN").map_or_else(beside_the_tests, PathBuf::from);
    assert!(
        path.is_file(),
        "there is no {}: run `make test`, or `cargo build -p pubsync` first",
        path.display()
    );
    path
}

fn beside_the_tests() -> PathBuf {
    // A test is in `target/debug/deps`, a program beside the product.
    let own = std::env::current_exe().expect("the path of this program");
    let mut places = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("pubsync"));
    let first = places.next().expect("a folder");
    places
        .next()
        .filter(|second| !first.is_file() && second.is_file())
        .unwrap_or(first)
}

/// The variables of the tests are not the product's: `PUBSYNC_…` would configure it.
fn command(program: &Path, folder: &Path, config: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .arg("--config")
        .arg(config)
        .args(arguments)
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PUBSYNC_") {
            command.env_remove(name);
        }
    }
    command.env("RUST_BACKTRACE", "1").env("NO_COLOR", "1");
    command
}

/// Runs a command to its end, whatever its exit code.
pub(crate) async fn run(program: &Path, folder: &Path, config: &str, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::from(command(program, folder, config, arguments));
    let running = command.kill_on_drop(true).output();
    let Ok(done) = tokio::time::timeout(COMMAND_DEADLINE, running).await else {
        panic!(
            "pubsync {} did not end within {COMMAND_DEADLINE:?}",
            arguments.join(" ")
        );
    };
    let done = done.unwrap_or_else(|error| panic!("pubsync {}: {error}", arguments.join(" ")));
    Output {
        code: done
            .status
            .code()
            .unwrap_or_else(|| panic!("pubsync {}: {}", arguments.join(" "), done.status)),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// Runs a command on a terminal of its own (`script` of util-linux), where somebody types `answer`. Standard output is
/// all that the terminal shows.
pub(crate) fn run_on_a_terminal(folder: &Path, answer: &str, arguments: &[&str]) -> Output {
    let line = format!(
        "{} --config pubsync.yaml {}",
        binary().display(),
        arguments.join(" ")
    );
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command script");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(answer.as_bytes()).expect("a reader");
    drop(stdin);
    let done = child.wait_with_output().expect("the end of script");
    Output {
        code: done.status.code().expect("an exit code"),
        stdout: String::from_utf8_lossy(&done.stdout).replace("\r\n", "\n"),
        stderr: String::new(),
    }
}

impl Worker {
    pub(crate) fn start(program: &Path, folder: &Path, log: PathBuf, arguments: &[&str]) -> Self {
        let file = File::create(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let child = command(program, folder, "pubsync.yaml", arguments)
            .stdout(file.try_clone().expect("a second handle on the log"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("pubsync {}: {error}", arguments.join(" ")));
        Self {
            name: arguments.join(" "),
            log,
            child,
        }
    }

    /// What it wrote until now, stdout and stderr.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Runs to its end, which must be good, and gives the most memory that it ever held, in KiB.
    ///
    /// # Panics
    /// Unless it exits 0.
    pub async fn peak_memory(mut self, deadline: Duration) -> u64 {
        let (what, path) = (
            format!("the end of pubsync {}", self.name),
            format!("/proc/{}/status", self.child.id()),
        );
        let state = std::sync::Mutex::new((&mut self.child, 0));
        let probe = async || {
            let mut state = state.lock().expect("one user");
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            // The line is gone once the process waits to be reaped.
            if let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
                let number = line.trim().trim_end_matches(" kB").parse();
                state.1 = number.unwrap_or_else(|error| panic!("VmHWM {line}: {error}"));
            }
            let status = state.0.try_wait().expect("the state of a child");
            status
                .map(|status| (status, state.1))
                .ok_or_else(|| "it still runs".to_owned())
        };
        let (status, peak) = eventually(&what, deadline, probe).await;
        assert!(
            status.success(),
            "pubsync {}: {status}\n{}",
            self.name,
            self.log()
        );
        peak
    }

    /// The number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, where it did by itself.
    pub fn end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// Sends a signal by its name: `STOP`, `CONT`, `TERM`.
    ///
    /// # Panics
    /// Where there is no such process or signal.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .expect("the command kill");
        assert!(sent.success(), "kill -{name} {pid}: {sent}");
    }

    /// # Panics
    /// Where it ended by itself.
    pub fn assert_running(&mut self) {
        let status = self.end();
        assert!(
            status.is_none(),
            "pubsync {} ended by itself: {status:?}\n{}",
            self.name,
            self.log()
        );
    }

    /// Dead at once, in the middle of whatever it does.
    pub fn kill9(mut self) {
        self.assert_running();
        self.child.kill().expect("SIGKILL");
        let status = self.child.wait().expect("the status of a killed child");
        assert_eq!(
            status.signal(),
            Some(9),
            "pubsync {}: {status}\n{}",
            self.name,
            self.log()
        );
    }

    /// Asks it to end, and returns how it ended.
    pub async fn sigterm(mut self) -> ExitStatus {
        self.ask_to_end();
        self.ended(SHUTDOWN_DEADLINE).await
    }

    /// One SIGTERM.
    ///
    /// # Panics
    /// Where it ended by itself.
    pub fn ask_to_end(&mut self) {
        self.assert_running();
        self.signal("TERM");
    }

    /// Waits for its end.
    pub async fn ended(mut self, deadline: Duration) -> ExitStatus {
        let what = format!("the end of pubsync {}", self.name);
        let child = std::sync::Mutex::new(&mut self.child);
        let probe = async || {
            let status = child
                .lock()
                .expect("one user")
                .try_wait()
                .expect("the state of a child");
            status.ok_or_else(|| "it still runs".to_owned())
        };
        eventually(&what, deadline, probe).await
    }

    /// Ends it in order.
    ///
    /// # Panics
    /// Unless it exits 0 after SIGTERM.
    pub async fn stop(self) {
        let (name, log) = (self.name.clone(), self.log.clone());
        let status = self.sigterm().await;
        let log = std::fs::read_to_string(log).unwrap_or_default();
        assert!(status.success(), "pubsync {name} after SIGTERM: {status}\n{log}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
