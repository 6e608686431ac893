//! The `targets` section of the configuration, and the one place that turns it into targets.

use std::fmt;
use std::sync::Arc;

use pubsync_schema::redact;
use serde::Deserialize;

use super::local::LocalTarget;
use super::opensearch::OpenSearchTarget;
use super::redis::RedisTarget;
use crate::target::Target;

/// One target as the configuration says it: `{ kind: redis, url: "redis://localhost:6379/0" }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum TargetConfig {
    Redis {
        /// `redis://`, or `redis-cluster://host:port,host:port` for a cluster.
        url: Address,
        /// Goes before every key.
        #[serde(default)]
        prefix: String,
    },
    OpenSearch {
        url: Address,
        /// Goes before every index and alias.
        #[serde(default)]
        prefix: String,
    },
    Local {
        /// The SQLite file; made where there is none.
        path: std::path::PathBuf,
    },
}

/// A target that cannot be built from its configuration; nothing was connected yet.
#[derive(Debug, thiserror::Error)]
#[error("target {target}: {reason}")]
pub struct InvalidTarget {
    pub target: String,
    /// Never holds a password.
    pub reason: String,
}

impl InvalidTarget {
    pub(super) fn new(target: &str, reason: impl fmt::Display) -> Self {
        Self {
            target: target.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Builds the target; it connects when it is first used. `installation` is the `name` of the configuration.
///
/// # Errors
/// Where a url or prefix cannot be used.
pub fn build(
    name: &str,
    installation: &str,
    config: &TargetConfig,
) -> Result<Arc<dyn Target>, InvalidTarget> {
    Ok(match config {
        TargetConfig::Redis { url, prefix } => Arc::new(RedisTarget::new(name, url, prefix, installation)?),
        TargetConfig::OpenSearch { url, prefix } => Arc::new(OpenSearchTarget::new(name, url, prefix)?),
        TargetConfig::Local { path } => Arc::new(LocalTarget::new(name, path)?),
    })
}

/// A url that shows itself without its password, so that it may stand in logs and errors.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// The url with its password: for the client that connects, never for people.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Address {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact::url(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<TargetConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn kinds_and_their_defaults() {
        assert_eq!(
            parse(r#"{"kind":"redis","url":"redis://h:1/0"}"#).unwrap(),
            TargetConfig::Redis {
                url: Address::from("redis://h:1/0"),
                prefix: String::new()
            }
        );
        assert_eq!(
            parse(r#"{"kind":"opensearch","url":"http://h:1","prefix":"live-"}"#).unwrap(),
            TargetConfig::OpenSearch {
                url: Address::from("http://h:1"),
                prefix: "live-".to_owned()
            }
        );
        assert_eq!(
            parse(r#"{"kind":"local","path":"store.db"}"#).unwrap(),
            TargetConfig::Local {
                path: "store.db".into()
            }
        );
    }

    #[test]
    fn unknown_keys_are_refused() {
        for json in [
            r#"{"kind":"redis","url":"redis://h","prefx":"a"}"#,
            r#"{"kind":"local","path":"a","prefix":"b"}"#,
            r#"{"kind":"local"}"#,
            r#"{"kind":"memcached","url":"x"}"#,
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn passwords_do_not_show() {
        let address = Address::from("redis://:geheim@h:1/0");
        assert_eq!(
            format!("{address} {address:?}"),
            "redis://:***@h:1/0 redis://:***@h:1/0"
        );
        let config = parse(r#"{"kind":"redis","url":"redis://:geheim@h"}"#).unwrap();
        assert!(!format!("{config:?}").contains("geheim"));
    }
}
