//! How a command ends when it does not end well: one text for people, one number for scripts.

use pubsync_publisher::language::Problem;
use pubsync_publisher::operate::apply::ApplyError;
use pubsync_publisher::operate::verify::VerifyError;
use pubsync_schema::fault::{Fault, chain, classify};
use pubsync_schema::store::StoreError;
use pubsync_synchronizer::target::TargetError;
use pubsync_worker::broker::BrokerError;
use pubsync_worker::health::HealthError;
use sea_orm::DbErr;

/// Why a command failed. The variant is the exit code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fail {
    /// 1: it did its work, and found differences.
    #[error("{0}")]
    Differences(String),
    /// 2
    #[error("{0}")]
    Usage(String),
    /// 3: configuration or documents.
    #[error("{0}")]
    Configuration(String),
    /// 4: a service does not answer or refuses us.
    #[error("{0}")]
    Unreachable(String),
    /// 5: part of the work failed, or time ran out.
    #[error("{0}")]
    Part(String),
}

impl Fail {
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Differences(_) => 1,
            Self::Usage(_) => 2,
            Self::Configuration(_) => 3,
            Self::Unreachable(_) => 4,
            Self::Part(_) => 5,
        }
    }

    fn unreachable(what: &str, setting: &str) -> Self {
        Self::Unreachable(format!(
            "{what}; check that it runs, and `{setting}` in the configuration"
        ))
    }
}

impl From<DbErr> for Fail {
    fn from(error: DbErr) -> Self {
        let text = chain(&error);
        match classify(&error) {
            Fault::Down => Self::unreachable(&format!("database: {text}"), "database"),
            _ if matches!(error, DbErr::RecordNotFound(_)) => {
                Self::Usage(text.replace("RecordNotFound Error: ", ""))
            }
            Fault::Definition => Self::Configuration(format!(
                "database: {text}; a table is missing, or is not as pubsync knows it: run `pubsync apply` first"
            )),
            Fault::Retry | Fault::Item => Self::Part(format!("database: {text}")),
        }
    }
}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Scheme { .. } => Self::Configuration(chain(&error)),
            StoreError::Connect { .. } => Self::unreachable(&chain(&error), "database"),
        }
    }
}

impl From<BrokerError> for Fail {
    fn from(error: BrokerError) -> Self {
        Self::unreachable(&chain(&error), "broker")
    }
}

impl From<HealthError> for Fail {
    fn from(error: HealthError) -> Self {
        match error {
            HealthError::Bind { .. } => Self::Unreachable(format!("{error}; name another one with --listen")),
            HealthError::Recorder(error) => Self::Part(chain(&error)),
        }
    }
}

impl From<TargetError> for Fail {
    fn from(error: TargetError) -> Self {
        let (TargetError::Down { target, .. } | TargetError::Refused { target, .. }) = &error;
        Self::unreachable(&chain(&error), &format!("targets.{target}"))
    }
}

impl From<ApplyError> for Fail {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Documents(problems) => Self::Configuration(listed(&problems)),
            ApplyError::Handwritten(mistake) => Self::Configuration(mistake.to_string()),
            ApplyError::Store(error) => error.into(),
            ApplyError::Capture(error) => Self::Part(chain(&error)),
            ApplyError::Broker(error) => error.into(),
            ApplyError::Target(error) => error.into(),
            ApplyError::Changed | ApplyError::Leaving { .. } => Self::Part(error.to_string()),
            ApplyError::Remove(why) => Self::Usage(why),
        }
    }
}

/// Problems of documents in their long form, and how many they are.
#[must_use]
pub fn listed(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    let list: Vec<String> = problems.iter().map(|p| format!("{p:#}")).collect();
    format!("{}\n\n{count} in the documents", list.join("\n\n"))
}

impl From<VerifyError> for Fail {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Store(error) => error.into(),
            VerifyError::Target(error) => error.into(),
            VerifyError::Build(error) => Self::Part(chain(&error)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sea_orm::{ConnectionTrait as _, Database};

    use super::*;

    #[tokio::test]
    async fn what_the_database_says_is_told_with_what_to_do() {
        let db = Database::connect("sqlite::memory:").await.unwrap();
        let error = db.execute_unprepared("SELECT 1 FROM nowhere").await.unwrap_err();
        let text = chain(&error);
        assert!(text.contains("no such table: nowhere"), "{text}");
        let told = format!(
            "database: {text}; a table is missing, or is not as pubsync knows it: run `pubsync apply` first"
        );
        assert_eq!(Fail::from(error), Fail::Configuration(told));

        let error = BrokerError::Unreachable {
            address: "amqp://localhost".to_owned(),
            reason: "refused".to_owned(),
        };
        let told = "broker amqp://localhost: refused; check that it runs, and `broker` in the configuration";
        assert_eq!(Fail::from(error), Fail::Unreachable(told.to_owned()));
    }
}
