//! OpenSearch: an index behind an alias for each collection, or for each value of a column in its key; `_id` is the key, and the external version is the revision:
//! the engine itself refuses what is lower. The source holds `_revision` as its first member too.
//!
//! What it forgets: the version of a delete after `index.gc_deletes` (1 h here) and at a restart of the node, so
//! `versions` knows no tombstones.

mod bulk;
mod http;
mod index;
mod look;
mod place;
mod scan;
mod throttle;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use ::opensearch::http::Method;
use async_trait::async_trait;
use pubsync_schema::health::Look;
use pubsync_schema::shape::Collection;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use self::bulk::{Judged, Route};
use self::http::{Cause, Http, Reply};
use self::place::Place;
use self::throttle::{BULKS, Throttle};
use super::config::{Address, InvalidTarget};
use super::stamp;
use crate::target::{Accept, Held, Operation, Outcome, ScanPage, Seen, Target, TargetError, Write};

/// Documents of one `_mget`: without and with their bodies.
const VERSIONS: usize = 1000;
const BODIES: usize = 100;

/// One OpenSearch cluster.
pub struct OpenSearchTarget {
    name: String,
    prefix: String,
    http: Http,
    /// [`BULKS`] permits; a request that goes alone takes all of them.
    bulks: Semaphore,
    throttle: Mutex<Throttle>,
}

/// A batch with the way of each item.
struct Routed<'a> {
    writes: &'a [Write],
    routes: Vec<Route>,
}

/// What a whole bulk came to.
enum Sent {
    Items(Vec<Judged>),
    /// Refused without items: some item breaks the request.
    Whole(Outcome),
    /// Refused for its size.
    TooLarge(Outcome),
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
            throttle: Mutex::new(Throttle::FULL),
        })
    }

    /// The way of a key; `None` where it has no place.
    fn route(&self, collection: &Collection, key: &str) -> Option<Route> {
        let alias = match collection.index.fixed() {
            Some(_) => None,
            None => Some(Place::of(&self.prefix, collection, key)?.write),
        };
        let routing = match &collection.routing {
            Some(routing) => Some(routing.fill(|column| collection.value(key, column))?),
            None => None,
        };
        Some(Route { alias, routing })
    }

    /// The beginning of a path: requests over several indexes name them item by item.
    fn path(&self, collection: &Collection) -> String {
        Place::fixed(&self.prefix, collection).map_or(String::new(), |place| format!("{}/", place.write))
    }

    /// Sends one bulk; `path` as [`Self::path`] gives it.
    async fn bulk(
        &self,
        path: &str,
        batch: &Routed<'_>,
        items: &[usize],
        accept: Accept,
    ) -> Result<Sent, TargetError> {
        let lines = bulk::lines(batch.writes, &batch.routes, items, accept);
        let permit = self.bulks.acquire_many(self.throttle().permits()).await;
        let sent = self.http.lines(&format!("{path}{}", bulk::QUERY), lines).await;
        drop(permit);
        let sent = match sent {
            Ok(reply) => self.judge(&reply, items.len()),
            Err(error) => Err(error),
        };
        self.learn(&sent);
        sent
    }

    fn judge(&self, reply: &Reply, items: usize) -> Result<Sent, TargetError> {
        match reply.status {
            200..300 => {
                let judged = self.http.parse::<bulk::Reply>(reply)?.judge();
                if judged.len() == items {
                    return Ok(Sent::Items(judged));
                }
                Err(self
                    .http
                    .down(format!("{} answers for {items} items", judged.len())))
            }
            413 => Ok(Sent::TooLarge(Outcome::Failed {
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

    /// Less at once where this was too much, more where it was not.
    fn learn(&self, sent: &Result<Sent, TargetError>) {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *throttle;
        *throttle = match sent {
            Ok(Sent::Items(judged)) if judged.iter().any(Judged::is_overload) => before.narrowed(),
            Ok(Sent::Items(_)) => before.widened(),
            Ok(Sent::TooLarge(_)) | Err(TargetError::Down { .. } | TargetError::Busy { .. }) => {
                before.narrowed()
            }
            // One item breaks the request, or a person must help: its size is no matter.
            Ok(Sent::Whole(_)) | Err(TargetError::Refused { .. }) => before,
        };
    }

    fn throttle(&self) -> Throttle {
        *self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the engine has for the keys, asked in one go.
    async fn get<T>(
        &self,
        of: &Collection,
        keys: &[String],
        source: bool,
        each: impl Fn(&Document<'_>) -> T,
    ) -> Result<Vec<Option<T>>, TargetError> {
        let routes: Vec<Option<Route>> = keys.iter().map(|key| self.route(of, key)).collect();
        let wanted: Vec<_> = keys
            .iter()
            .zip(&routes)
            .filter_map(|(key, route)| Some(route.as_ref()?.document(key)))
            .collect();
        if wanted.is_empty() {
            return Ok(keys.iter().map(|_| None).collect());
        }
        let path = format!("{}_mget?_source={source}", self.path(of));
        let reply = self
            .http
            .json(Method::Post, &path, Some(json!({ "docs": wanted })))
            .await?;
        // Without its index it holds nothing; a later write makes it again.
        if reply.status == 404 {
            return Ok(keys.iter().map(|_| None).collect());
        }
        if !reply.is_success() {
            return Err(self.http.down(reply.reason()));
        }
        let mut found = Vec::with_capacity(wanted.len());
        for document in self.http.parse::<Documents<'_>>(&reply)?.docs {
            match &document.error {
                Some(cause) if cause.kind != "index_not_found_exception" => {
                    return Err(self.http.down(cause.text()));
                }
                _ => found.push(document.found.then(|| each(&document))),
            }
        }
        let mut found = found.into_iter();
        let placed = routes
            .iter()
            .map(|route| route.as_ref().and_then(|_| found.next().flatten()));
        Ok(placed.collect())
    }
}

impl OpenSearchTarget {
    /// Makes the indexes of these keys, each once: one that is gone again is an error of the target.
    async fn make(
        &self,
        of: &Collection,
        keys: impl Iterator<Item = &str>,
        made: &mut BTreeSet<Place>,
    ) -> Result<(), TargetError> {
        let places: BTreeSet<Place> = keys.filter_map(|key| Place::of(&self.prefix, of, key)).collect();
        for place in places {
            index::prepare(&self.http, &place, of).await?;
            let index = place.index.clone();
            if !made.insert(place) {
                return Err(self.http.down(format!("index {index} is gone again")));
            }
        }
        Ok(())
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
            // An index for a value is made when the first document comes; those that are there get new properties.
            let places = match Place::fixed(&self.prefix, collection) {
                Some(place) => vec![place],
                None => index::all(&self.http, &self.prefix, collection).await?,
            };
            for place in places {
                index::prepare(&self.http, &place, collection).await?;
            }
        }
        Ok(())
    }

    async fn apply(
        &self,
        to: &Collection,
        writes: &[Write],
        accept: Accept,
    ) -> Result<Vec<Outcome>, TargetError> {
        let path = self.path(to);
        let routes = writes.iter().map(|write| self.route(to, &write.key));
        let mut outcomes: Vec<Option<Outcome>> = writes
            .iter()
            .zip(routes.clone())
            .map(|(write, route)| bulk::refuse(write).or_else(|| bulk::homeless(write, route.as_ref())))
            .collect();
        let batch = Routed {
            writes,
            routes: routes.map(Option::unwrap_or_default).collect(),
        };
        let mut open = bulk::cut(
            writes,
            (0..writes.len()).filter(|at| outcomes[*at].is_none()),
            Throttle::FULL,
        );
        let mut made = BTreeSet::new();
        while let Some(items) = open.pop() {
            // What fitted when it was cut may be too much by now.
            let mut parts = bulk::cut(writes, items, self.throttle()).into_iter();
            let Some(mut items) = parts.next() else { continue };
            open.extend(parts);
            match self.bulk(&path, &batch, &items, accept).await? {
                Sent::Whole(_) | Sent::TooLarge(_) if items.len() > 1 => {
                    open.push(items.split_off(items.len() / 2));
                    open.push(items);
                }
                Sent::Whole(outcome) | Sent::TooLarge(outcome) => outcomes[items[0]] = Some(outcome),
                Sent::Items(judged) => {
                    let mut homeless = Vec::new();
                    for (at, judged) in items.into_iter().zip(judged) {
                        match judged {
                            Judged::Outcome(outcome) => outcomes[at] = Some(outcome),
                            Judged::NoIndex => homeless.push(at),
                            Judged::Refused(reason) => return Err(self.http.refused(reason)),
                        }
                    }
                    self.make(to, homeless.iter().map(|at| writes[*at].key.as_str()), &mut made)
                        .await?;
                    if !homeless.is_empty() {
                        open.push(homeless);
                    }
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

    /// An engine tells the version of a delete only where it refuses a write by it. So a key that is not there is deleted in
    /// the lowest revision: that changes nothing.
    async fn highest(&self, of: &Collection, keys: &[String]) -> Result<Vec<Option<i64>>, TargetError> {
        let held = self.versions(of, keys).await?;
        let mut highest: Vec<Option<i64>> = held.into_iter().map(|held| Some(held?.revision)).collect();
        let absent: Vec<usize> = (0..keys.len()).filter(|at| highest[*at].is_none()).collect();
        let delete = |at: &usize| Write {
            key: keys[*at].clone(),
            revision: 1,
            operation: Operation::Delete,
        };
        let routed = absent
            .iter()
            .filter_map(|at| Some((*at, self.route(of, &keys[*at])?)));
        let (places, routes): (Vec<usize>, Vec<Route>) = routed.unzip();
        let writes: Vec<Write> = places.iter().map(delete).collect();
        for items in bulk::cut(&writes, 0..writes.len(), Throttle::FULL) {
            let lines = bulk::lines(&writes, &routes, &items, Accept::Higher);
            let reply = self
                .http
                .lines(&format!("{}{}", self.path(of), bulk::QUERY), lines)
                .await?;
            let refused = self.http.expect::<bulk::Reply>(&reply)?.refused_by();
            for (at, revision) in items.into_iter().zip(refused) {
                highest[places[at]] = revision;
            }
        }
        Ok(highest)
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
        // A cursor of another version of pubsync cannot be read: the walk begins again.
        let known = cursor.and_then(|cursor| serde_json::from_str(&cursor).ok());
        let cursor = match known {
            Some(cursor) => cursor,
            None => {
                let places = match Place::fixed(&self.prefix, of) {
                    Some(place) => vec![place],
                    None => index::all(&self.http, &self.prefix, of).await?,
                };
                let indexes = places.into_iter().map(|place| place.write).collect();
                match scan::open(&self.http, indexes).await? {
                    Some(cursor) => cursor,
                    None => return Ok(ScanPage::default()),
                }
            }
        };
        let (hits, next) = scan::page(&self.http, cursor, limit).await?;
        let own = hits.into_iter().filter(|hit| of.owns(&hit.id));
        let keys = own.map(|hit| (hit.id, hit.version)).collect();
        let next = next.map(|cursor| json!(cursor).to_string());
        Ok(ScanPage { keys, next })
    }

    async fn show(&self, collection: &Collection) -> Result<(), TargetError> {
        let places = index::all(&self.http, &self.prefix, collection).await?;
        index::show(&self.http, &places).await
    }

    async fn discard(&self, collection: &Collection) -> Result<bool, TargetError> {
        let places = index::all(&self.http, &self.prefix, collection).await?;
        index::remove(&self.http, &places).await?;
        Ok(true)
    }

    fn can_be_watched(&self) -> bool {
        true
    }

    async fn look(&self, collections: &[Collection], look: &Look) -> Result<Seen, TargetError> {
        look::look(&self.http, &self.prefix, collections, &look.state).await
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
