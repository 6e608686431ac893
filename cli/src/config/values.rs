//! Settings that are choices: a text in the file, an enum in the program.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::redact;
use pubsync_synchronizer::targets;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// Where the sources and pubsync's own tables are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Database {
    Postgres { url: String },
    Sqlite { path: PathBuf },
}

/// What carries messages between workers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Broker {
    /// `amqp://…`.
    RabbitMq { url: String },
    /// In this process, for this process.
    Embedded,
}

/// A data store that documents are kept equal in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum TargetConfig {
    Redis {
        url: String,
        /// Goes before every key.
        #[serde(default)]
        prefix: String,
    },
    Opensearch {
        url: String,
        /// Goes before every index.
        #[serde(default)]
        prefix: String,
    },
    /// One SQLite file.
    Local { path: PathBuf },
}

impl TargetConfig {
    /// As the synchronizer builds it.
    #[must_use]
    pub fn to_parts(&self) -> targets::config::TargetConfig {
        use targets::config::TargetConfig as Parts;
        match self {
            Self::Redis { url, prefix } => Parts::Redis {
                url: url.as_str().into(),
                prefix: prefix.clone(),
            },
            Self::Opensearch { url, prefix } => Parts::OpenSearch {
                url: url.as_str().into(),
                prefix: prefix.clone(),
            },
            Self::Local { path } => Parts::Local { path: path.clone() },
        }
    }
}

impl Database {
    /// For `sea_orm::Database::connect`. A SQLite file is created where there is none.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Postgres { url } => url.clone(),
            Self::Sqlite { path } => {
                let path = path
                    .to_string_lossy()
                    .replace('%', "%25")
                    .replace('?', "%3F")
                    .replace('#', "%23");
                format!("sqlite://{path}?mode=rwc")
            }
        }
    }

    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres { .. } => Dialect::Postgres,
            Self::Sqlite { .. } => Dialect::Sqlite,
        }
    }
}

impl TryFrom<String> for Database {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres { url: text });
        }
        let Some(path) = text.strip_prefix("sqlite:") else {
            return Err("must be postgres://… or sqlite:path");
        };
        match path.strip_prefix("//").unwrap_or(path) {
            "" | ":memory:" | ":" => {
                Err("must name a file after sqlite:, because other processes open it too")
            }
            path if path.contains('?') => Err("must be a plain path after sqlite:, without parameters"),
            path => Ok(Self::Sqlite {
                path: PathBuf::from(path),
            }),
        }
    }
}

impl From<Database> for String {
    fn from(database: Database) -> Self {
        match database {
            Database::Postgres { url } => url,
            Database::Sqlite { path } => format!("sqlite:{}", path.display()),
        }
    }
}

impl TryFrom<String> for Broker {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "embedded" => Ok(Self::Embedded),
            url if url.starts_with("amqps://") => {
                Err("must be amqp://… : this build speaks no TLS to brokers; put a tunnel before it")
            }
            url if url.starts_with("amqp://") => Ok(Self::RabbitMq { url: text }),
            _ => Err("must be amqp://… or embedded"),
        }
    }
}

impl From<Broker> for String {
    fn from(broker: Broker) -> Self {
        match broker {
            Broker::RabbitMq { url } => url,
            Broker::Embedded => "embedded".to_owned(),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact::url(&String::from(self.clone())))
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact::url(&String::from(self.clone())))
    }
}

impl fmt::Debug for TargetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}",
            redact::json(serde_json::to_value(self).unwrap_or_default())
        )
    }
}

/// Where to listen.
pub fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |_| D::Error::custom("must be an IP address with a port, as in 127.0.0.1:9464");
    text.parse().map(Some).map_err(wrong)
}
