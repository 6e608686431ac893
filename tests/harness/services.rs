//! The addresses of the real services, which `make test` starts and exports.

/// Where the shared services answer; URLs with user and password.
#[derive(Debug, Clone)]
pub struct Services {
    /// A database whose user may create others.
    pub postgres: String,
    /// The AMQP address without a virtual host.
    pub rabbitmq: String,
    /// The management API, with an administrator's name and password.
    pub rabbitmq_api: String,
    pub redis: String,
    pub opensearch: String,
}

impl Services {
    /// # Panics
    /// Where a variable is missing.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            postgres: address("PUBSYNC_TEST_POSTGRES"),
            rabbitmq: before_path(&address("PUBSYNC_TEST_RABBITMQ")),
            rabbitmq_api: address("PUBSYNC_TEST_RABBITMQ_API"),
            redis: address("PUBSYNC_TEST_REDIS"),
            opensearch: address("PUBSYNC_TEST_OPENSEARCH"),
        }
    }

    /// The address of another database of the same server.
    #[must_use]
    pub fn postgres_database(&self, database: &str) -> String {
        format!("{}/{database}", before_path(&self.postgres))
    }

    /// The AMQP address of a virtual host whose name needs no encoding.
    #[must_use]
    pub fn virtual_host(&self, name: &str) -> String {
        format!("{}/{name}", self.rabbitmq)
    }
}

fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: run `make test`, or `eval \"$(docker/services up)\"` before `cargo test`"
        )
    })
}

fn before_path(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    match url[start..].find('/') {
        Some(slash) => url[..start + slash].to_owned(),
        None => url.to_owned(),
    }
}
