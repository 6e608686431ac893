//! What is wrong with a configuration, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

use figment::error::{Actual, Kind};

use pubsync_publisher::language::nearest;

/// Exit code 3. Never holds a value of the configuration: it could be a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: no such file; name another with --config, or write a first one with `pubsync init --database URL TABLE`", path.display())]
    Missing { path: PathBuf },
    #[error("{}: cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{place}: {problem}")]
    Invalid { place: Place, problem: String },
}

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// From 1; `None`: the file as a whole.
    File {
        path: PathBuf,
        line_and_column: Option<(u64, u64)>,
    },
    Environment {
        variable: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File {
                path,
                line_and_column: Some((line, column)),
            } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Self::File {
                path,
                line_and_column: None,
            } => write!(f, "{}", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
        }
    }
}

/// The setting that is meant, and what is wrong with it. `path` is where figment stood.
pub fn explain(kind: &Kind, path: &[String]) -> (Vec<String>, String) {
    let below = |name: &str| path.iter().cloned().chain([name.to_owned()]).collect::<Vec<_>>();
    match kind {
        Kind::UnknownField(name, known) => {
            let setting = if path.last() == Some(name) {
                path.to_vec()
            } else {
                below(name)
            };
            let text = format!("unknown setting `{}`; {}", setting.join("."), meant(name, known));
            (setting, text)
        }
        Kind::UnknownVariant(name, known) => (
            path.to_vec(),
            format!("`{}` cannot be `{name}`; {}", path.join("."), meant(name, known)),
        ),
        Kind::MissingField(name) => {
            let setting = below(name);
            let text = format!("`{}` is missing", setting.join("."));
            (path.to_vec(), text)
        }
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            let hint = match actual {
                Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) | Actual::Bool(_)
                    if expected.contains("string") =>
                {
                    "; write it in quotes"
                }
                _ => "",
            };
            (
                path.to_vec(),
                format!("`{}` must be {expected}{hint}", path.join(".")),
            )
        }
        Kind::Message(text) => (path.to_vec(), format!("`{}` {text}", path.join("."))),
        other => (path.to_vec(), format!("`{}`: {other}", path.join("."))),
    }
}

fn meant(wrong: &str, known: &[&str]) -> String {
    match nearest(wrong, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known are {}", known.join(", ")),
    }
}
