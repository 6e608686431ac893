//! What one test's product wrote to Redis: the keys under its prefix.

use std::time::Duration;

use redis::{AsyncConnectionConfig, AsyncTypedCommands, aio::MultiplexedConnection};

use crate::snapshot::{Documents, Stored};

const PAGE: usize = 200;

#[derive(Debug, Clone)]
pub struct RedisKeys {
    url: String,
    prefix: String,
}

impl RedisKeys {
    pub(crate) fn new(url: &str, prefix: &str) -> Self {
        Self {
            url: url.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    /// The keys of a target that has this prefix behind the test's own.
    #[must_use]
    pub fn below(&self, prefix: &str) -> Self {
        Self::new(&self.url, &format!("{}{prefix}", self.prefix))
    }

    /// Goes before every key.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url.as_str()).expect("a Redis address");
        let patient = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
        client
            .get_multiplexed_async_connection_with_config(&patient)
            .await
            .unwrap_or_else(|error| panic!("Redis: {error}"))
    }

    /// All documents under the prefix, by key without the prefix.
    pub async fn documents(&self) -> Documents {
        let mut connection = self.connection().await;
        let mut keys = self.scan(&mut connection).await;
        // Tombstones are not documents: readers see a plain miss.
        keys.retain(|key| !key[self.prefix.len()..].starts_with("t:{"));
        let mut documents = Documents::new();
        for page in keys.chunks(PAGE) {
            // Not one for all: on a node of a cluster it would have to stay in one slot.
            let mut each = redis::pipe();
            for key in page {
                each.cmd("MGET").arg(key);
            }
            let values: Vec<[Option<String>; 1]> = each
                .query_async(&mut connection)
                .await
                .unwrap_or_else(|error| panic!("MGET: {error}"));
            for (key, [value]) in page.iter().zip(values) {
                // None: deleted since the scan, or no string.
                if let Some(text) = value {
                    documents.insert(
                        key[self.prefix.len()..].to_owned(),
                        Stored::with_revision_first(key, &text),
                    );
                }
            }
        }
        documents
    }

    /// Everything under the prefix is gone, tombstones too, as after `FLUSHALL`. Returns how many keys there were.
    pub async fn lose_everything(&self) -> usize {
        self.lose(|_| true).await
    }

    /// Documents and tombstones are gone, and nobody notices: the mark is there by which a loss shows.
    pub async fn lose_documents(&self) -> usize {
        self.lose(|key| !key.starts_with("t:{}mark:")).await
    }

    async fn lose(&self, such: impl Fn(&str) -> bool) -> usize {
        let mut connection = self.connection().await;
        let mut keys = self.scan(&mut connection).await;
        keys.retain(|key| such(&key[self.prefix.len()..]));
        for page in keys.chunks(PAGE) {
            connection
                .del(page)
                .await
                .unwrap_or_else(|error| panic!("DEL: {error}"));
        }
        keys.len()
    }

    async fn scan(&self, connection: &mut MultiplexedConnection) -> Vec<String> {
        let pattern = format!("{}*", self.prefix);
        let (mut keys, mut cursor) = (std::collections::BTreeSet::new(), 0_u64);
        loop {
            let (next, page): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg(&["MATCH", &pattern, "COUNT", "1000"])
                .query_async(connection)
                .await
                .unwrap_or_else(|error| panic!("SCAN: {error}"));
            keys.extend(page);
            cursor = next;
            if cursor == 0 {
                return keys.into_iter().collect();
            }
        }
    }
}
