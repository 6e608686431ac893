//! OpenSearch: one index behind an alias for each collection, `_id` is the key, and the external version is the revision:
//! the engine itself refuses what is lower. The source holds `_revision` as its first member too.
//!
//! What it forgets: the version of a delete after `index.gc_deletes` (1 h here) and at a restart of the node, so
//! `versions` knows no tombstones.

mod bulk;
mod http;
mod index;
mod scan;

use ::opensearch::http::Method;
use async_trait::async_trait;
use pubsync_schema::shape::Collection;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use self::bulk::Judged;
use self::http::{Cause, Http};
use super::config::{Address, InvalidTarget};
use super::stamp;
use crate::target::{Accept, Held, Outcome, ScanPage, Target, TargetError, Write};

/// Bulk requests under way at once: more only fill the engine's queues.
const BULKS: usize = 2;

/// Documents of one `_mget`: without and with their bodies.
const VERSIONS: usize = 1000;
const BODIES: usize = 100;

/// One OpenSearch cluster.
pub struct OpenSearchTarget {
    name: String,
    prefix: String,
    http: Http,
    bulks: Semaphore,
}

/// What a whole bulk came to.
enum Sent {
    Items(Vec<Judged>),
    /// Refused without items: some item breaks the request, or it is too large.
    Whole(Outcome),
}

#[derive(Deserialize)]
struct Documents<'a> {
    #[serde(borrow)]
    docs: Vec<Document<'a>>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(default)]
    found: bool,
    #[serde(rename = "_version", default)]
    version: i64,
    #[serde(rename = "_source", borrow)]
    source: Option<&'a RawValue>,
    error: Option<Cause>,
}

impl OpenSearchTarget {
    /// Connects when it is first used. `url`: `http://[user:password@]host:port`; `prefix` goes before every alias.
    ///
    /// # Errors
    /// Where the url cannot be used.
    pub fn new(name: &str, url: &Address, prefix: &str) -> Result<Self, InvalidTarget> {
        let http = Http::new(name, url)?;
        Ok(Self {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            http,
            bulks: Semaphore::new(BULKS),
        })
    }

    fn alias(&self, collection: &Collection) -> String {
        format!("{}{}", self.prefix, collection.index)
    }

    /// Sends one bulk.
    async fn bulk(
        &self,
        alias: &str,
        writes: &[Write],
        items: &[usize],
        accept: Accept,
    ) -> Result<Sent, TargetError> {
        let lines = bulk::lines(writes, items, accept);
        let permit = self.bulks.acquire().await;
        let reply = self
            .http
            .lines(&format!("{alias}/{}", bulk::QUERY), lines)
            .await?;
        drop(permit);
        match reply.status {
            200..300 => {
                let judged = self.http.parse::<bulk::Reply>(&reply)?.judge();
                if judged.len() == items.len() {
                    return Ok(Sent::Items(judged));
                }
                Err(self
                    .http
                    .down(format!("{} answers for {} items", judged.len(), items.len())))
            }
            413 => Ok(Sent::Whole(Outcome::Failed {
                class: "too_large",
                error: reply.reason(),
            })),
            400 => Ok(Sent::Whole(Outcome::Failed {
                class: bulk::class(&reply.kind()),
                error: reply.reason(),
            })),
            _ => Err(self.http.down(reply.reason())),
        }
    }

    /// What the engine has for the keys, asked in one go.
    async fn get<T>(
        &self,
        of: &Collection,
        keys: &[String],
        source: bool,
        each: impl Fn(&Document<'_>) -> T,
    ) -> Result<Vec<Option<T>>, TargetError> {
        let path = format!("{}/_mget?_source={source}", self.alias(of));
        let reply = self
            .http
            .json(Method::Post, &path, Some(json!({ "ids": keys })))
            .await?;
        // Without its index it holds nothing; a later write makes it again.
        if reply.status == 404 {
            return Ok(keys.iter().map(|_| None).collect());
        }
        if !reply.is_success() {
            return Err(self.http.down(reply.reason()));
        }
        let mut out = Vec::with_capacity(keys.len());
        for document in self.http.parse::<Documents<'_>>(&reply)?.docs {
            match &document.error {
                Some(cause) if cause.kind != "index_not_found_exception" => {
                    return Err(self.http.down(cause.text()));
                }
                _ => out.push(document.found.then(|| each(&document))),
            }
        }
        Ok(out)
    }
}

#[async_trait]
impl Target for OpenSearchTarget {
    fn name(&self) -> &str {
        &self.name
    }

    fn holds_aliases(&self) -> bool {
        false
    }

    fn has_mapping(&self) -> bool {
        true
    }

    async fn prepare(&self, collections: &[Collection]) -> Result<(), TargetError> {
        for collection in collections {
            index::prepare(&self.http, &self.alias(collection), collection).await?;
        }
        Ok(())
    }

    async fn apply(
        &self,
        to: &Collection,
        writes: &[Write],
        accept: Accept,
    ) -> Result<Vec<Outcome>, TargetError> {
        let alias = self.alias(to);
        let mut outcomes: Vec<Option<Outcome>> = writes.iter().map(bulk::refuse).collect();
        let mut open = bulk::cut(writes, (0..writes.len()).filter(|at| outcomes[*at].is_none()));
        let mut prepared = false;
        while let Some(mut items) = open.pop() {
            match self.bulk(&alias, writes, &items, accept).await? {
                Sent::Whole(_) if items.len() > 1 => {
                    open.push(items.split_off(items.len() / 2));
                    open.push(items);
                }
                Sent::Whole(outcome) => outcomes[items[0]] = Some(outcome),
                Sent::Items(judged) => {
                    let mut homeless = Vec::new();
                    for (at, judged) in items.into_iter().zip(judged) {
                        match judged {
                            Judged::Outcome(outcome) => outcomes[at] = Some(outcome),
                            Judged::NoIndex => homeless.push(at),
                            Judged::Refused(reason) => return Err(self.http.refused(reason)),
                        }
                    }
                    if homeless.is_empty() {
                        continue;
                    }
                    if prepared {
                        return Err(self.http.down(format!("alias {alias} is gone again")));
                    }
                    prepared = true;
                    self.prepare(std::slice::from_ref(to)).await?;
                    open.push(homeless);
                }
            }
        }
        let missing = || Outcome::Retry("OpenSearch gave no answer for this key".to_owned());
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(missing))
            .collect())
    }

    /// The version that the engine guards with, not the `_revision` in the source.
    async fn versions(&self, of: &Collection, keys: &[String]) -> Result<Vec<Option<Held>>, TargetError> {
        let mut out = Vec::with_capacity(keys.len());
        for keys in keys.chunks(VERSIONS) {
            let held = |document: &Document<'_>| Held {
                revision: document.version,
                deleted: false,
            };
            out.extend(self.get(of, keys, false, held).await?);
        }
        Ok(out)
    }

    async fn bodies(&self, of: &Collection, keys: &[String]) -> Result<Vec<Option<String>>, TargetError> {
        let mut out = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BODIES) {
            let body = |document: &Document<'_>| document.source.map(|source| stamp::strip(source.get()));
            out.extend(
                self.get(of, keys, true, body)
                    .await?
                    .into_iter()
                    .map(Option::flatten),
            );
        }
        Ok(out)
    }

    async fn scan(
        &self,
        of: &Collection,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<ScanPage, TargetError> {
        let cursor = match cursor {
            Some(cursor) => serde_json::from_str(&cursor).map_err(|error| {
                self.http
                    .down(format!("the cursor of the scan cannot be read: {error}"))
            })?,
            None => match scan::open(&self.http, &self.alias(of)).await? {
                Some(cursor) => cursor,
                None => return Ok(ScanPage::default()),
            },
        };
        let (hits, next) = scan::page(&self.http, cursor, limit).await?;
        let own = hits.into_iter().filter(|hit| of.owns(&hit.id));
        let keys = own.map(|hit| (hit.id, hit.version)).collect();
        let next = next.map(|cursor| json!(cursor).to_string());
        Ok(ScanPage { keys, next })
    }

    async fn ping(&self) -> Result<(), TargetError> {
        match self.http.json(Method::Get, "", None).await {
            Ok(reply) if reply.is_success() => Ok(()),
            Ok(reply) => Err(self.http.down(reply.reason())),
            // Logged in, and the rights of a writer end at its own indexes.
            Err(error) if http::is_forbidden(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
