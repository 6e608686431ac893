//! The bench's own part of the shared services: a database, a virtual host, a Redis prefix and an index prefix.
//! Nothing else is touched.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pubsync::config::{Broker, Config, Database, TargetConfig};
use pubsync::fail::Fail;
use pubsync_schema::shape::SyncMode;
use redis::aio::MultiplexedConnection;
use reqwest::{Client, Method, StatusCode, header::CONTENT_TYPE};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};

/// Of the database, the virtual host and the Redis prefix.
pub const NAME: &str = "pubsync_bench";

const INDEXES: &str = "pubsync-bench-";

/// Names of the two targets.
pub const STORAGE: &str = "storage";
pub const SEARCH: &str = "search";

/// Where the shared services answer.
pub struct Services {
    postgres: String,
    rabbitmq: String,
    /// The management API; without it there is no own virtual host, and queues get a prefix.
    api: Option<String>,
    redis: String,
    opensearch: String,
    http: Client,
}

/// Some error, told as it is.
pub fn part(error: impl std::fmt::Display) -> Fail {
    Fail::Part(error.to_string())
}

impl Services {
    /// From the variables that `docker/services env` prints.
    pub fn from_env() -> Result<Self, Fail> {
        Ok(Self {
            postgres: address("PUBSYNC_TEST_POSTGRES")?,
            rabbitmq: address("PUBSYNC_TEST_RABBITMQ")?,
            api: address("PUBSYNC_TEST_RABBITMQ_API").ok(),
            redis: address("PUBSYNC_TEST_REDIS")?,
            opensearch: address("PUBSYNC_TEST_OPENSEARCH")?,
            http: Client::builder().no_proxy().build().map_err(part)?,
        })
    }

    /// The bench's own database.
    pub fn database(&self) -> String {
        format!("{}/{NAME}", before_path(&self.postgres))
    }

    /// As an installation would write it, with every setting at its default.
    pub fn config(&self, search: bool, sync: SyncMode) -> Config {
        let (name, broker) = match self.api {
            Some(_) => ("pubsync", format!("{}/{NAME}", before_path(&self.rabbitmq))),
            None => (NAME, self.rabbitmq.clone()),
        };
        let (url, prefix) = (self.redis.clone(), format!("{NAME}:"));
        let mut targets = BTreeMap::from([(STORAGE.to_owned(), TargetConfig::Redis { url, prefix })]);
        if search {
            let (url, prefix) = (self.opensearch.clone(), INDEXES.to_owned());
            targets.insert(SEARCH.to_owned(), TargetConfig::Opensearch { url, prefix });
        }
        Config {
            listen: None,
            name: name.to_owned(),
            database: Database::Postgres { url: self.database() },
            broker: Broker::RabbitMq { url: broker },
            documents: PathBuf::new(),
            targets,
            sync,
            inline_limit: 256 * 1024,
            max_message: 16 * 1024 * 1024,
            relay: Default::default(),
            publisher: Default::default(),
            synchronizer: Default::default(),
            keep: Default::default(),
            mounted: Default::default(),
        }
    }

    /// Makes the database, and keeps a second run out as long as what it gives lives.
    pub async fn create_database(&self) -> Result<DatabaseConnection, Fail> {
        let mut options = ConnectOptions::new(&self.postgres);
        options.max_connections(1);
        let guard = sea_orm::Database::connect(options).await?;
        let free = format!("SELECT 1 AS v WHERE pg_try_advisory_lock(hashtextextended('{NAME}', 0))");
        let free = Statement::from_string(guard.get_database_backend(), free);
        if guard.query_one_raw(free).await?.is_none() {
            return Err(part("another run of the bench is under way on these services"));
        }
        self.drop_database().await?;
        self.administer(&format!(
            "CREATE DATABASE {NAME} TEMPLATE template0 ENCODING 'UTF8'"
        ))
        .await?;
        Ok(guard)
    }

    async fn drop_database(&self) -> Result<(), Fail> {
        self.administer(&format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)"))
            .await
    }

    async fn administer(&self, sql: &str) -> Result<(), Fail> {
        let admin: DatabaseConnection = sea_orm::Database::connect(&self.postgres).await?;
        admin.execute_unprepared(sql).await?;
        Ok(admin.close().await?)
    }

    /// Broker, Redis and OpenSearch as if the bench had never run.
    pub async fn wipe(&self) -> Result<(), Fail> {
        self.forget_messages().await?;
        self.forget_keys().await?;
        self.forget_indexes().await
    }

    /// Everything away.
    pub async fn remove(&self) -> Result<(), Fail> {
        self.wipe().await?;
        if let Some(api) = &self.api {
            self.send(Method::DELETE, &format!("{api}/api/vhosts/{NAME}"), "")
                .await?;
        }
        self.drop_database().await
    }

    /// A fresh virtual host. Without the management API the caller deletes its queues.
    async fn forget_messages(&self) -> Result<(), Fail> {
        let Some(api) = &self.api else { return Ok(()) };
        let user = api
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once([':', '@']));
        let (user, _) = user.ok_or_else(|| part("PUBSYNC_TEST_RABBITMQ_API names no user"))?;
        let host = format!("{api}/api/vhosts/{NAME}");
        self.send(Method::DELETE, &host, "").await?;
        self.send(Method::PUT, &host, "").await?;
        let rights = r#"{"configure":".*","write":".*","read":".*"}"#;
        self.send(
            Method::PUT,
            &format!("{api}/api/permissions/{NAME}/{user}"),
            rights,
        )
        .await?;
        Ok(())
    }

    pub async fn redis(&self) -> Result<MultiplexedConnection, Fail> {
        let client = redis::Client::open(self.redis.as_str()).map_err(part)?;
        client.get_multiplexed_async_connection().await.map_err(part)
    }

    async fn forget_keys(&self) -> Result<(), Fail> {
        let mut connection = self.redis().await?;
        let (mut cursor, pattern) = (0_u64, format!("{NAME}:*"));
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1000);
            let (next, keys): (u64, Vec<String>) = scan.query_async(&mut connection).await.map_err(part)?;
            if !keys.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                let _: u64 = unlink
                    .arg(keys)
                    .query_async(&mut connection)
                    .await
                    .map_err(part)?;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    async fn forget_indexes(&self) -> Result<(), Fail> {
        let all = format!("{}/{INDEXES}*/_settings?expand_wildcards=all", self.opensearch);
        let text = self.send(Method::GET, &all, "").await?.unwrap_or_default();
        let found: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).unwrap_or_default();
        for index in found.keys() {
            self.send(Method::DELETE, &format!("{}/{index}", self.opensearch), "")
                .await?;
        }
        Ok(())
    }

    /// The body of a good answer; `None` for 404.
    async fn send(&self, method: Method, url: &str, body: &'static str) -> Result<Option<String>, Fail> {
        let mut request = self.http.request(method.clone(), url);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await.map_err(|e| part(e.without_url()))?;
        let status = response.status();
        let text = response.text().await.map_err(part)?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(text)),
            status => Err(part(format!("{method}: {status}: {text}"))),
        }
    }
}

fn address(variable: &str) -> Result<String, Fail> {
    std::env::var(variable).map_err(|_| {
        Fail::Usage(format!(
            "{variable} is not set: run `make bench`, or eval \"$(docker/services up)\" first"
        ))
    })
}

fn before_path(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    url[start..].find('/').map_or(url, |slash| &url[..start + slash])
}
