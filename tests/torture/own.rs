//! The set of services that belongs to the torture alone, so that it may kill them.

use std::{env, fs::File, path::Path, process::Stdio};

use tokio::process::Command;

/// `up` waits two minutes for a service, which may be too short on a machine under load; it is asked so often again.
const PATIENCE: usize = 4;

/// `docker/services` on a set of its own.
#[derive(Debug, Clone)]
pub struct OwnServices {
    set: String,
}

/// Nobody else tortures the set while this lives.
pub struct Alone(#[expect(dead_code, reason = "the lock is held while the file is open")] File);

impl OwnServices {
    /// None on the set of all tests.
    pub fn from_env() -> Option<Self> {
        let set = env::var("PUBSYNC_TEST_SERVICES_SET").ok()?;
        (set != "0").then_some(Self { set })
    }

    /// Waits until no other torture uses the set.
    pub fn alone(&self) -> Alone {
        let path = env::temp_dir().join(format!("pubsync-torture-{}.lock", self.set));
        let file = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if file.try_lock().is_err() {
            eprintln!(
                "another torture uses the services of set {}: waiting for its end",
                self.set
            );
            file.lock()
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        Alone(file)
    }

    /// Dead at once, with all its processes.
    pub async fn kill(&self, service: &str) {
        self.run(&["kill", service]).await;
    }

    /// Starts what does not run, and waits until it answers.
    pub async fn start(&self) {
        for _ in 0..PATIENCE {
            if self.try_to_run(&["up"]).await.is_ok() {
                return;
            }
        }
        self.run(&["up"]).await;
    }

    /// RabbitMQ believes that it has so much memory: `absolute 1MB` raises its alarm, `0.4` ends it.
    pub async fn memory_of_rabbitmq(&self, limit: &[&str]) {
        let mut arguments = vec!["rabbitmqctl", "set_vm_memory_high_watermark"];
        arguments.extend(limit);
        self.run(&arguments).await;
    }

    async fn run(&self, arguments: &[&str]) {
        let done = self.try_to_run(arguments).await;
        done.unwrap_or_else(|error| panic!("docker/services {}: {error}", arguments.join(" ")));
    }

    async fn try_to_run(&self, arguments: &[&str]) -> Result<(), String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/services");
        let done = Command::new(&script)
            .args(arguments)
            .env("PUBSYNC_SERVICES_SET", &self.set)
            .stdin(Stdio::null())
            .output()
            .await;
        let done = done.unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        if done.status.success() {
            return Ok(());
        }
        Err(format!(
            "{}\n{}",
            done.status,
            String::from_utf8_lossy(&done.stderr)
        ))
    }
}
