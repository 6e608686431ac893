//! How OpenSearch shows that it has lost something. An index with another uuid is not the one that was filled. Where a primary
//! was started again or moved, or a node was started again, the versions of deletes are forgotten: the index would
//! accept older writes to these keys.

use std::collections::BTreeMap;

use ::opensearch::http::Method;
use pubsync_schema::shape::Collection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::http::Http;
use super::place::{Place, number};
use crate::target::{Found, Loss, Seen, TargetError};

/// Of the state of the cluster, no more than what is compared.
const PARTS: &str = "metadata.indices.*.settings.index.uuid,metadata.indices.*.mappings._doc._meta.pubsync,\
    metadata.indices.*.primary_terms,metadata.indices.*.in_sync_allocations,nodes.*.ephemeral_id";

#[derive(Deserialize)]
struct Cluster {
    /// Without any index there is none.
    #[serde(default)]
    metadata: Metadata,
    /// With an id that each start of a node gives anew.
    nodes: Value,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    indices: BTreeMap<String, Described>,
}

#[derive(Deserialize)]
struct Described {
    #[serde(default)]
    settings: Value,
    #[serde(default)]
    mappings: Value,
    /// Rise whenever a primary is given to a node that did not have it, or starts again.
    #[serde(default)]
    primary_terms: Value,
    /// Change where a shard moves.
    #[serde(default)]
    in_sync_allocations: Value,
}

/// By the names of indexes.
type State = BTreeMap<String, Index>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Index {
    document: String,
    uuid: String,
    /// Another one: it has forgotten deletes. `None` while it is made: its shards have no places yet.
    engine: Option<String>,
}

/// Looks at all indexes of these collections, in one request.
pub async fn look(
    http: &Http,
    prefix: &str,
    collections: &[Collection],
    state: &str,
) -> Result<Seen, TargetError> {
    let known: State = match state {
        "" => State::new(),
        state => serde_json::from_str(state)
            .map_err(|error| http.refused(format!("the state of the last look cannot be read: {error}")))?,
    };
    let path = format!(
        "_cluster/state/metadata,nodes/{prefix}*~*?expand_wildcards=all&ignore_unavailable=true\
         &allow_no_indices=true&filter_path={PARTS}"
    );
    let reply = http.json(Method::Get, &path, None).await?;
    let cluster: Cluster = http.expect(&reply)?;
    let (mut next, mut found) = (State::new(), Vec::new());
    for collection in collections {
        compare(prefix, collection, &known, &cluster, &mut next, &mut found);
    }
    let state = serde_json::to_string(&next).map_err(|error| http.refused(error.to_string()))?;
    Ok(Seen { state, found })
}

fn compare(
    prefix: &str,
    of: &Collection,
    known: &State,
    cluster: &Cluster,
    next: &mut State,
    found: &mut Vec<Found>,
) {
    let fixed = Place::fixed(prefix, of).map(|place| place.index);
    let there = &cluster.metadata.indices;
    let names = match &fixed {
        Some(name) => vec![name],
        None => {
            let of_number = |name: &&String| has_number(name, of.number);
            let before = known.iter().filter(|(_, index)| index.document == of.document);
            let ours = there.iter().filter(|(_, index)| index.is_of(&of.document));
            let mut names: Vec<_> = before
                .map(|i| i.0)
                .chain(ours.map(|i| i.0))
                .filter(of_number)
                .collect();
            names.sort_unstable();
            names.dedup();
            names
        }
    };
    for name in names {
        let now = there.get(name).filter(|index| index.is_of(&of.document));
        let index = now.map(|index| index.index(&of.document, &cluster.nodes));
        let foreign = there.contains_key(name) && now.is_none();
        found.extend(judge(
            name,
            &of.document,
            known.get(name),
            index.as_ref(),
            foreign,
        ));
        if let Some(index) = index {
            next.insert(name.clone(), index);
        }
    }
}

fn has_number(name: &str, wanted: i64) -> bool {
    let place = Place::of_index(name);
    place.is_some_and(|place| number(name, &place.alias) == Some(wanted))
}

/// `foreign`: one stands under the name that is not ours.
fn judge(
    name: &str,
    document: &str,
    before: Option<&Index>,
    now: Option<&Index>,
    foreign: bool,
) -> Option<Found> {
    let found = |loss, why| Some(Found { loss, why });
    let all = Loss::Document(document.to_owned());
    match (before, now) {
        _ if foreign => found(
            all,
            format!("index {name} was made by another, with its own mapping"),
        ),
        (Some(_), None) => found(all, format!("index {name} is gone")),
        (Some(before), Some(now)) if before.uuid != now.uuid => {
            found(all, format!("index {name} was deleted and made again"))
        }
        (Some(before), Some(now)) if before.engine.is_some() && before.engine != now.engine => found(
            Loss::Deletes(document.to_owned()),
            format!("index {name} was started again or moved, and has forgotten deletes"),
        ),
        _ => None,
    }
}

impl Described {
    fn is_of(&self, document: &str) -> bool {
        self.mappings["_doc"]["_meta"]["pubsync"]["document"] == document
    }

    fn index(&self, document: &str, nodes: &Value) -> Index {
        let engine = format!("{}{}{nodes}", self.primary_terms, self.in_sync_allocations);
        let mut places = self.in_sync_allocations.as_object().into_iter().flatten();
        let placed = places.all(|(_, shard)| shard.as_array().is_some_and(|copies| !copies.is_empty()));
        Index {
            document: document.to_owned(),
            uuid: self.settings["index"]["uuid"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            engine: placed.then(|| format!("{:016x}", xxh3_64(engine.as_bytes()))),
        }
    }
}
