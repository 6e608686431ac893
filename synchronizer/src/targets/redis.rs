//! Redis: a key holds the document as JSON text with `_revision` as its first member. One function call compares and
//! sets; what was deleted leaves a tombstone key with a time to live. Needs Redis 7 (functions).
//!
//! ACL of a writer: `+ping +get +getrange +scan +fcall`, and what the functions call: `+set +del`; `prepare` wants
//! `+function|load` too, unless the functions are there already, the look for losses `+info`, and a cluster
//! `+cluster|slots +asking`.

mod calls;
mod client;
mod connection;
mod errors;
mod functions;
mod keys;
mod look;
mod nodes;

use ::redis::Value;
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use pubsync_schema::health::Look;
use pubsync_schema::shape::Collection;

use self::calls::Call;
use self::client::{CONNECTIONS, Client};
use self::connection::CLUSTER_WINDOW;
use self::errors::{Verdict, by_code, text, verdict};
use self::keys::Keys;
use self::nodes::Primary;
use super::config::{Address, InvalidTarget};
use super::stamp;
use crate::target::{Accept, Held, Outcome, ScanPage, Seen, Target, TargetError, Write};

/// Keys of one pipeline of reads.
const VERSIONS: usize = 1000;
const BODIES: usize = 100;

/// One Redis, or one Redis cluster.
pub struct RedisTarget {
    name: String,
    keys: Keys,
    client: Client,
}

impl RedisTarget {
    /// Connects when it is first used. `url`: `redis://[user][:password@]host:port/db`, or
    /// `redis-cluster://[user][:password@]h1:p1,h2:p2`; `prefix` goes before every key; `installation` shows in
    /// `CLIENT LIST`.
    ///
    /// # Errors
    /// Where url or prefix cannot be used.
    pub fn new(name: &str, url: &Address, prefix: &str, installation: &str) -> Result<Self, InvalidTarget> {
        let keys = Keys::new(prefix).map_err(|reason| InvalidTarget::new(name, reason))?;
        let client = Client::new(name, url, installation)?;
        Ok(Self {
            name: name.to_owned(),
            keys,
            client,
        })
    }

    /// Runs calls and gives an outcome for each of their items. A call that fails for a reason not in the table is halved
    /// until the item that it hurts on is alone.
    async fn send(
        &self,
        calls: Vec<Call>,
        writes: &[Write],
        accept: Accept,
    ) -> Result<Vec<(usize, Outcome)>, TargetError> {
        let mut outcomes = Vec::new();
        let mut open = vec![calls];
        while let Some(calls) = open.pop() {
            let mut pipeline = ::redis::pipe();
            for call in &calls {
                pipeline.add_command(calls::command(call, writes, &self.keys, accept));
            }
            let answers = self.client.call(pipeline, None).await?;
            for (mut call, answer) in calls.into_iter().zip(answers) {
                match answer {
                    Ok(replies) => {
                        for (at, reply) in call.items.iter().zip(replies) {
                            outcomes.push((*at, self.outcome(&reply)?));
                        }
                    }
                    Err(error) if call.items.len() > 1 && verdict(&error) == Verdict::Unknown => {
                        let items = call.items.split_off(call.items.len() / 2);
                        open.push(vec![Call {
                            items,
                            ..call.clone()
                        }]);
                        open.push(vec![call]);
                    }
                    Err(error) => {
                        let reason = text(&error);
                        outcomes.extend(call.items.iter().map(|at| (*at, Outcome::Retry(reason.clone()))));
                    }
                }
            }
        }
        Ok(outcomes)
    }

    /// One entry of a function's answer (functions.lua says which there are).
    fn outcome(&self, entry: &Value) -> Result<Outcome, TargetError> {
        let text = match entry {
            Value::Int(1) => return Ok(Outcome::Applied),
            Value::Int(_) => return Ok(Outcome::Stale),
            Value::BulkString(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("unexpected answer {other:?}"),
        };
        let (code, detail) = text.split_once(' ').unwrap_or((&text, ""));
        match by_code(code, detail) {
            Verdict::Item(class) => Ok(Outcome::Failed { class, error: text }),
            Verdict::Retry | Verdict::Unknown | Verdict::Load => Ok(Outcome::Retry(text)),
            Verdict::Down => Err(self.client.down(text)),
            Verdict::Refused | Verdict::Reconnect => Err(self.client.refused(text)),
        }
    }
}

#[async_trait]
impl Target for RedisTarget {
    fn name(&self) -> &str {
        &self.name
    }

    async fn prepare(&self, _collections: &[Collection]) -> Result<(), TargetError> {
        // A writer that may not load functions is fine where they are there.
        match self.client.load().await {
            Err(TargetError::Refused { reason, .. }) if reason.contains("NOPERM") => self.ping().await,
            other => other,
        }
    }

    async fn apply(
        &self,
        _: &Collection,
        writes: &[Write],
        accept: Accept,
    ) -> Result<Vec<Outcome>, TargetError> {
        let mut outcomes: Vec<Option<Outcome>> = writes.iter().map(calls::refuse).collect();
        let (open, cluster) = (
            (0..writes.len()).filter(|at| outcomes[*at].is_none()),
            self.client.is_cluster(),
        );
        let (deletes, puts): (Vec<Call>, Vec<Call>) = calls::plan(writes, open, &self.keys, cluster)
            .into_iter()
            .partition(|call| call.deletes);
        for calls in [deletes, puts] {
            let running = calls::pipelines(calls, CLUSTER_WINDOW, cluster)
                .into_iter()
                .map(|calls| self.send(calls, writes, accept))
                .collect::<Vec<_>>();
            let done: Vec<_> = stream::iter(running)
                .buffer_unordered(CONNECTIONS)
                .try_collect()
                .await?;
            for (at, outcome) in done.into_iter().flatten() {
                outcomes[at] = Some(outcome);
            }
        }
        let missing = || Outcome::Retry("Redis gave no answer for this key".to_owned());
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(missing))
            .collect())
    }

    async fn versions(&self, _: &Collection, keys: &[String]) -> Result<Vec<Option<Held>>, TargetError> {
        let mut held = Vec::with_capacity(keys.len());
        for keys in keys.chunks(VERSIONS) {
            let mut pipeline = ::redis::pipe();
            for key in keys {
                pipeline
                    .cmd("GETRANGE")
                    .arg(self.keys.stored(key))
                    .arg(0)
                    .arg(stamp::HEAD - 1);
                pipeline.cmd("GET").arg(self.keys.tombstone(key));
            }
            let values = self.client.read(pipeline).await?;
            held.extend(
                values
                    .chunks(2)
                    .map(|pair| holds(pair[0].as_deref(), pair[1].as_deref())),
            );
        }
        Ok(held)
    }

    async fn bodies(&self, _: &Collection, keys: &[String]) -> Result<Vec<Option<String>>, TargetError> {
        let mut bodies = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BODIES) {
            let mut pipeline = ::redis::pipe();
            for key in keys {
                pipeline.cmd("GET").arg(self.keys.stored(key));
            }
            let text = |stored: Vec<u8>| stamp::strip(&String::from_utf8_lossy(&stored));
            bodies.extend(
                self.client
                    .read(pipeline)
                    .await?
                    .into_iter()
                    .map(|stored| stored.map(text)),
            );
        }
        Ok(bodies)
    }

    /// The cursor is `<distribution of slots> <node> <cursor of SCAN>`. A page may be empty. A walk begins again where a slot
    /// has moved meanwhile, or another node has taken the place of one: keys may have gone where it has been. Only what
    /// moves in a slot that is still open between two nodes when the walk ends may be left out.
    async fn scan(
        &self,
        of: &Collection,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<ScanPage, TargetError> {
        let primaries = self.client.primaries().await?;
        let distribution = nodes::distribution(&primaries);
        let begun = cursor.as_deref().and_then(|cursor| {
            let (known, place) = cursor.split_once(' ')?;
            place.split_once(' ').filter(|_| known == distribution)
        });
        let (node, at) = begun.unwrap_or((&primaries[0].address, "0"));
        let glob = self.keys.glob(of.prefix());
        let (next, found) = self.client.scan(node, at, &glob, limit.max(1)).await?;
        let names = found.into_iter().filter_map(|name| String::from_utf8(name).ok());
        let keys = names.filter_map(|name| Some(self.keys.key(&name)?.to_owned()));
        let keys: Vec<String> = keys.filter(|key| of.owns(key)).collect();
        let mut heads = ::redis::pipe();
        for key in &keys {
            heads
                .cmd("GETRANGE")
                .arg(self.keys.stored(key))
                .arg(0)
                .arg(stamp::HEAD - 1);
        }
        let heads = self.client.read(heads).await?;
        let revisions = heads
            .iter()
            .map(|head| head.as_deref().and_then(stamp::revision).unwrap_or(0));
        let following = primaries.iter().find(|other| other.address.as_str() > node);
        let next = match (next.as_str(), following) {
            ("0", Some(following)) => Some(format!("{distribution} {} 0", following.address)),
            // The end, unless something has moved since the last page.
            ("0", None) => {
                let now = self.client.primaries().await?;
                let other = nodes::distribution(&now) != distribution;
                other.then(|| format!("{} {} 0", nodes::distribution(&now), now[0].address))
            }
            (next, _) => Some(format!("{distribution} {node} {next}")),
        };
        Ok(ScanPage {
            keys: keys.into_iter().zip(revisions).collect(),
            next,
        })
    }

    fn can_be_watched(&self) -> bool {
        true
    }

    fn may_lose_writes(&self) -> bool {
        true
    }

    async fn look(&self, _: &[Collection], look: &Look) -> Result<Seen, TargetError> {
        look::look(&self.client, &self.keys, look).await
    }

    /// A put of nothing on each primary: fails where a put would, out of memory and read-only included.
    async fn ping(&self) -> Result<(), TargetError> {
        let put = |primary: Primary| async move {
            let mut pipeline = ::redis::pipe();
            pipeline.cmd("FCALL").arg(functions::put()).arg(0).arg(0);
            let answers = self.client.call(pipeline, Some(&primary.address)).await?;
            let wrong = answers.into_iter().find_map(Result::err);
            wrong.map_or(Ok(()), |error| Err(self.client.down(text(&error))))
        };
        let primaries = self.client.primaries().await?.into_iter();
        let pings = primaries.map(put).collect::<Vec<_>>();
        stream::iter(pings)
            .buffer_unordered(CONNECTIONS)
            .try_collect()
            .await
    }
}

/// The live document counts before its tombstone: readers see it.
fn holds(head: Option<&[u8]>, tombstone: Option<&[u8]>) -> Option<Held> {
    let buried = tombstone.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    match (head.filter(|head| !head.is_empty()), buried) {
        (Some(head), _) => Some(Held {
            revision: stamp::revision(head).unwrap_or(0),
            deleted: false,
        }),
        (None, Some(revision)) => Some(Held {
            revision,
            deleted: true,
        }),
        (None, None) => None,
    }
}
