//! Both targets as a reader knows them: plain clients that come back after an outage.

use std::{collections::BTreeMap, time::Duration};

use redis::{AsyncConnectionConfig, AsyncTypedCommands, aio::MultiplexedConnection};
use reqwest::Client;
use serde_json::Value;

const ANSWER: Duration = Duration::from_secs(10);

/// A Redis that may be away.
pub struct Store {
    url: String,
    prefix: String,
    connection: Option<MultiplexedConnection>,
}

/// OpenSearch that may be away.
#[derive(Clone)]
pub struct Search {
    url: String,
    prefix: String,
    client: Client,
}

/// A document as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub revision: i64,
    pub text: String,
}

impl Store {
    pub fn new(url: &str, prefix: &str) -> Self {
        Self {
            url: url.to_owned(),
            prefix: prefix.to_owned(),
            connection: None,
        }
    }

    /// The documents of these keys; none where Redis is away.
    pub async fn read(&mut self, keys: &[String]) -> Option<Vec<Option<Seen>>> {
        let names: Vec<String> = keys.iter().map(|key| format!("{}{key}", self.prefix)).collect();
        if self.connection.is_none() {
            let client = redis::Client::open(self.url.as_str()).expect("a Redis address");
            let patient = AsyncConnectionConfig::new()
                .set_response_timeout(Some(ANSWER))
                .set_connection_timeout(Some(ANSWER));
            self.connection = client
                .get_multiplexed_async_connection_with_config(&patient)
                .await
                .ok();
        }
        match self.connection.as_mut()?.mget(&names).await {
            Ok(values) => Some(values.into_iter().map(|value| value.map(seen)).collect()),
            Err(_) => {
                self.connection = None;
                None
            }
        }
    }
}

/// The text begins with its revision.
fn seen(text: String) -> Seen {
    let revision = number_after(&text, "{\"_revision\":");
    Seen {
        revision: revision.unwrap_or_else(|| panic!("no _revision in front: {text}")),
        text,
    }
}

/// The first number that stands behind this.
pub fn number_after(text: &str, what: &str) -> Option<i64> {
    let rest = &text[text.find(what)? + what.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

impl Search {
    pub fn new(url: &str, prefix: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            prefix: prefix.to_owned(),
            client: Client::builder()
                .timeout(ANSWER)
                .no_proxy()
                .build()
                .expect("an HTTP client"),
        }
    }

    /// The documents with these keys, refreshed or not; none where OpenSearch is away or the index is not there.
    pub async fn read(&self, document: &str, keys: &[String]) -> Option<Vec<Option<Seen>>> {
        let url = format!("{}/{}{document}/_mget", self.url, self.prefix);
        let body = serde_json::json!({ "ids": keys }).to_string();
        let request = self.client.post(url).header("content-type", "application/json");
        let text = request.body(body).send().await.ok()?.error_for_status().ok()?;
        let answer: Value = serde_json::from_str(&text.text().await.ok()?).ok()?;
        let mut found = BTreeMap::new();
        for hit in answer["docs"].as_array()? {
            if let (Some(id), Some(revision)) = (hit["_id"].as_str(), hit["_version"].as_i64()) {
                let text = hit["_source"].to_string();
                found.insert(id.to_owned(), Seen { revision, text });
            }
        }
        Some(keys.iter().map(|key| found.get(key).cloned()).collect())
    }
}
