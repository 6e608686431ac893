//! The configuration: `pubsync.yaml`, with `PUBSYNC_…` environment variables over it.
//!
//! [`Config::load`] reads both, puts `${NAME}` in, and gives checked types or one error with its place. It opens
//! no connection. To add a setting: a field with its default here; file, environment and errors then know it.

mod error;
mod json_schema;
mod layers;
mod mounted;
mod number;
mod places;
#[cfg(test)]
mod tests;
mod values;

pub use mounted::Mounted;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use pubsync_schema::shape::SyncMode;
use serde::{Deserialize, Serialize};

pub use error::{ConfigError, Place};
pub use json_schema::json_schema;
pub use layers::Environment;
pub use values::{Broker, Database, TargetConfig};

/// What `pubsync.yaml` says, checked. Paths are already relative to the working directory.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The schema of pubsync's own tables, and the prefix of its queues unless it is `pubsync` (default).
    #[serde(default = "default_name")]
    pub name: String,
    /// `postgres://…`, or `sqlite:path`. Sources and pubsync's own tables share it.
    pub database: Database,
    /// `amqp://…`, or `embedded`.
    pub broker: Broker,
    /// Folder of document files. Default `documents`.
    #[serde(default = "default_documents")]
    pub documents: PathBuf,
    /// By the name that documents use.
    pub targets: BTreeMap<String, TargetConfig>,
    /// How writes reach targets where a document does not say: `queue` (default) or `direct`.
    #[serde(default = "default_sync")]
    pub sync: SyncMode,
    /// Bytes. A larger body travels as a reference and is read from the mirror; 0: all of them. Default 262144.
    #[serde(default = "default_inline_limit", deserialize_with = "number::any")]
    pub inline_limit: usize,
    /// Bytes. The largest message that the broker takes: RabbitMQ's `max_message_size`. Default 16777216.
    #[serde(default = "default_max_message", deserialize_with = "number::positive")]
    pub max_message: usize,
    /// Where `run` serves health and metrics, without login: `127.0.0.1:9464`, in a pod `0.0.0.0:9464`. Left out: nowhere.
    #[serde(
        default,
        deserialize_with = "values::address",
        skip_serializing_if = "Option::is_none"
    )]
    pub listen: Option<SocketAddr>,
    #[serde(default)]
    pub relay: RelayConfig,
    #[serde(default)]
    pub publisher: PublisherConfig,
    #[serde(default)]
    pub synchronizer: SynchronizerConfig,
    #[serde(default)]
    pub keep: KeepConfig,
    /// What `${file:PATH}` read. No setting.
    #[serde(skip)]
    pub mounted: Mounted,
}

/// Outbox to queues, and the sweeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// Outbox rows that one transaction takes. Default 500.
    #[serde(deserialize_with = "number::positive")]
    pub batch: usize,
    /// Seconds after which a message that was sent and not settled is sent again. Default 60.
    #[serde(deserialize_with = "number::positive")]
    pub resend_after: u64,
}

/// Changes to mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublisherConfig {
    /// Batches that one process works on at a time; each holds two database connections. Default 4.
    #[serde(deserialize_with = "number::positive")]
    pub concurrency: usize,
    /// Roots that one transaction rebuilds. Default 100.
    #[serde(deserialize_with = "number::positive")]
    pub batch: usize,
}

/// Mirror to targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SynchronizerConfig {
    /// Batches that one process works on at a time. Default 4.
    #[serde(deserialize_with = "number::positive")]
    pub concurrency: usize,
}

/// How long pubsync's own tables hold what is done with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeepConfig {
    /// Days that a mirror holds the tombstone of a document. Default 7.
    #[serde(deserialize_with = "number::positive")]
    pub tombstones: u64,
    /// Days that runs are held that have ended. Default 30.
    #[serde(deserialize_with = "number::positive")]
    pub runs: u64,
    /// Days that definitions are held which others have replaced. Default 365.
    #[serde(deserialize_with = "number::positive")]
    pub definitions: u64,
}

impl Config {
    /// The file that is read where no other is named.
    pub const FILE: &str = "pubsync.yaml";

    /// Reads `path`, else the file that `PUBSYNC_CONFIG` names, else `pubsync.yaml`, and the environment over it.
    ///
    /// # Errors
    /// The file is missing or unreadable, or a setting is wrong; says where.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(path, &Environment::of_process())
    }

    /// The file that [`Self::load`] reads.
    #[must_use]
    pub fn path(path: Option<&Path>) -> PathBuf {
        let environment = Environment::of_process();
        let named = path.or(environment.config_file());
        named.unwrap_or(Path::new(Self::FILE)).to_owned()
    }

    /// As [`Self::load`], with these environment variables and no others.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with(path: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let path = path
            .or(environment.config_file())
            .unwrap_or(Path::new(Self::FILE));
        let mut config = layers::read(path, environment)?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// For people and logs: passwords are `***`.
    #[must_use]
    pub fn redacted(&self) -> serde_json::Value {
        pubsync_schema::redact::json(serde_json::to_value(self).unwrap_or_default())
    }

    /// Relative paths are relative to the configuration file, wherever they were written.
    fn resolve_paths(&mut self, base: &Path) {
        self.documents = base.join(&self.documents);
        if let Database::Sqlite { path } = &mut self.database {
            *path = base.join(&*path);
        }
        for target in self.targets.values_mut() {
            if let TargetConfig::Local { path } = target {
                *path = base.join(&*path);
            }
        }
    }

    /// What single values cannot tell: the setting that is wrong, and why.
    fn check(&self) -> Result<(), (Vec<String>, String)> {
        let wrong_name = |name: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(plain) || name.len() > 30
        };
        if wrong_name(&self.name) {
            let text =
                "must be lower-case letters, digits and _, start with a letter, and have at most 30 of them";
            return Err((vec!["name".into()], text.into()));
        }
        if matches!(self.name.as_str(), "public" | "information_schema") || self.name.starts_with("pg_") {
            let text = "must be a schema of pubsync's own";
            return Err((vec!["name".into()], text.into()));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        match self
            .targets
            .keys()
            .find(|name| name.is_empty() || !name.chars().all(plain))
        {
            Some(name) => {
                let text = "must be a name of letters, digits, _ and -";
                Err((vec!["targets".into(), name.clone()], text.into()))
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config {}", self.redacted())
    }
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            batch: 500,
            resend_after: 60,
        }
    }
}

impl Default for PublisherConfig {
    fn default() -> Self {
        Self {
            concurrency: 4,
            batch: 100,
        }
    }
}

impl Default for SynchronizerConfig {
    fn default() -> Self {
        Self { concurrency: 4 }
    }
}

impl Default for KeepConfig {
    fn default() -> Self {
        Self {
            tombstones: 7,
            runs: 30,
            definitions: 365,
        }
    }
}

fn default_name() -> String {
    "pubsync".to_owned()
}

fn default_documents() -> PathBuf {
    PathBuf::from("documents")
}

fn default_sync() -> SyncMode {
    SyncMode::Queue
}

fn default_max_message() -> usize {
    pubsync_worker::broker::MAX_BODY
}

fn default_inline_limit() -> usize {
    262_144
}
