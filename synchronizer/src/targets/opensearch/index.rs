//! Indexes and their aliases: made where they are missing, given new properties where they are there, put in the place of
//! older ones, taken away.

use std::collections::BTreeMap;

use ::opensearch::http::Method;
use pubsync_schema::shape::Collection;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::http::{Http, is_forbidden};
use super::place::{self, Place};
use crate::target::TargetError;

/// How long an index remembers the version of a delete (its default is 60 s). A message older than a quarter of it is
/// applied from the mirror (law 9).
const GC_DELETES: &str = "1h";

/// Makes the place answer, with the collection's mapping. Several may run it at once. A login without the rights for it is
/// fine where the index is there.
pub async fn prepare(http: &Http, place: &Place, collection: &Collection) -> Result<(), TargetError> {
    match make(http, place, collection).await {
        Err(error) if is_forbidden(&error) && answers(http, &place.write).await? => Ok(()),
        other => other,
    }
}

async fn make(http: &Http, place: &Place, collection: &Collection) -> Result<(), TargetError> {
    if aliases(http, &place.write).await?.is_empty() {
        create(http, place, collection).await?;
    } else {
        extend(http, place, collection).await?;
    }
    if collection.filling {
        return Ok(());
    }
    show(http, std::slice::from_ref(place)).await
}

/// Asks with the rights of a writer only: a missing index shows in the answer.
async fn answers(http: &Http, alias: &str) -> Result<bool, TargetError> {
    let body = json!({ "ids": ["pubsync: no document"] });
    let reply = http
        .json(Method::Post, &format!("{alias}/_mget"), Some(body))
        .await?;
    Ok(reply.is_success() && !String::from_utf8_lossy(&reply.body).contains("index_not_found_exception"))
}

/// The indexes behind an alias.
async fn aliases(http: &Http, alias: &str) -> Result<Vec<String>, TargetError> {
    let path = format!("_alias/{alias}?expand_wildcards=all");
    let reply = http.json(Method::Get, &path, None).await?;
    match reply.status {
        200 => Ok(http
            .parse::<BTreeMap<String, Value>>(&reply)?
            .into_keys()
            .collect()),
        404 => Ok(Vec::new()),
        _ => Err(http.refused(format!("alias {alias}: {}", reply.reason()))),
    }
}

/// Makes the index with its alias for writers in one step; another may be faster.
async fn create(http: &Http, place: &Place, collection: &Collection) -> Result<(), TargetError> {
    let mut settings = match &collection.settings {
        Value::Object(settings) => settings.clone(),
        _ => Map::new(),
    };
    settings.insert("index.gc_deletes".to_owned(), json!(GC_DELETES));
    settings.insert("index.hidden".to_owned(), json!(true));
    let write = &place.write;
    let body = json!({
        "settings": settings,
        "mappings": mappings(collection),
        "aliases": { write: { "is_hidden": true } },
    });
    let reply = http.json(Method::Put, &place.index, Some(body)).await?;
    match (reply.is_success(), reply.kind().as_str()) {
        (true, _) => Ok(()),
        (_, "resource_already_exists_exception") if is_ours(http, place, collection).await? => {
            attach(http, place).await
        }
        (_, "resource_already_exists_exception") => {
            tracing::warn!(
                index = place.index,
                "taken away: another made it, with a mapping of its own"
            );
            remove(http, std::slice::from_ref(place)).await?;
            Err(http.down(format!("index {} is made anew", place.index)))
        }
        _ => Err(http.refused(format!(
            "index {} cannot be made: {}",
            place.index,
            reply.reason()
        ))),
    }
}

/// Whether we made the index, or somebody restored one that we made. Names with a number behind `~` are ours.
async fn is_ours(http: &Http, place: &Place, collection: &Collection) -> Result<bool, TargetError> {
    let path = format!(
        "{}/_mapping?filter_path=*.mappings._meta&expand_wildcards=all",
        place.index
    );
    let reply = http.json(Method::Get, &path, None).await?;
    if reply.status == 404 {
        return Ok(true);
    }
    let found: BTreeMap<String, Described> = http.expect(&reply)?;
    Ok(found
        .values()
        .any(|described| described.is_of(&collection.document)))
}

/// The index is there: with its alias where another made it just now, without where somebody took the alias away.
async fn attach(http: &Http, Place { index, write, .. }: &Place) -> Result<(), TargetError> {
    let add = json!({ "add": { "index": index, "alias": write, "is_hidden": true } });
    change(http, vec![add]).await
}

/// All changes at one moment.
async fn change(http: &Http, actions: Vec<Value>) -> Result<(), TargetError> {
    if actions.is_empty() {
        return Ok(());
    }
    let said = Value::from(actions.clone()).to_string();
    let reply = http
        .json(Method::Post, "_aliases", Some(json!({ "actions": actions })))
        .await?;
    if reply.is_success() {
        return Ok(());
    }
    Err(http.refused(format!("aliases cannot be set ({said}): {}", reply.reason())))
}

/// Puts the readers' aliases on these indexes at one moment, in the place of those with lower numbers. An alias that
/// stands on a higher one already stays there.
pub async fn show(http: &Http, places: &[Place]) -> Result<(), TargetError> {
    let mut actions = Vec::new();
    for Place { alias, index, .. } in places {
        let behind = aliases(http, alias).await?;
        let own = place::number(index, alias);
        if behind.iter().any(|other| place::number(other, alias) > own) {
            continue;
        }
        if let Some(foreign) = behind.iter().find(|other| place::number(other, alias).is_none()) {
            return Err(http.refused(format!(
                "alias {alias} stands on index {foreign}, which pubsync did not make: take the alias away, or give the \
                 document another index"
            )));
        }
        if !behind.contains(index) {
            actions.push(json!({ "add": { "index": index, "alias": alias } }));
        }
        let lower = behind.iter().filter(|other| *other != index);
        actions.extend(lower.map(|other| json!({ "remove": { "index": other, "alias": alias } })));
    }
    change(http, actions).await
}

/// Adds properties that are missing. One that stands with another type needs a new index.
async fn extend(http: &Http, place: &Place, collection: &Collection) -> Result<(), TargetError> {
    let path = format!("{}/_mapping", place.write);
    let reply = http.json(Method::Put, &path, Some(mappings(collection))).await?;
    match reply.status {
        200..300 => remember_deletes(http, place).await,
        404 => Err(http.down(format!("index {} vanished: {}", place.index, reply.reason()))),
        _ => Err(http.refused(format!(
            "the mapping of {} conflicts with index {}, which must be rebuilt: {}",
            collection.document,
            place.index,
            reply.reason()
        ))),
    }
}

/// Sets the time that deletes are remembered, where an index was made with another one.
async fn remember_deletes(http: &Http, place: &Place) -> Result<(), TargetError> {
    let path = format!("{}/_settings/index.gc_deletes?expand_wildcards=all", place.write);
    let reply = http.json(Method::Get, &path, None).await?;
    let settings: BTreeMap<String, Value> = http.expect(&reply)?;
    let stands = |index: &Value| index["settings"]["index"]["gc_deletes"] == GC_DELETES;
    if settings.values().all(stands) {
        return Ok(());
    }
    let path = format!("{}/_settings", place.write);
    let body = json!({ "index.gc_deletes": GC_DELETES });
    let reply = http.json(Method::Put, &path, Some(body)).await?;
    http.expect::<Value>(&reply).map(|_| ())
}

/// The mapping, with the name of the document by which its indexes are found.
fn mappings(collection: &Collection) -> Value {
    let mut mappings = collection.mappings();
    mappings["_meta"]["pubsync"] = json!({ "document": collection.document });
    mappings
}

#[derive(Deserialize)]
struct Described {
    mappings: Mappings,
}

#[derive(Deserialize)]
struct Mappings {
    #[serde(rename = "_meta", default)]
    meta: Value,
}

impl Described {
    fn is_of(&self, document: &str) -> bool {
        self.mappings.meta["pubsync"]["document"] == document
    }
}

/// The indexes that a collection has, with the aliases that belong to them.
pub async fn all(http: &Http, prefix: &str, of: &Collection) -> Result<Vec<Place>, TargetError> {
    let pattern = place::pattern(prefix, of);
    let path = format!("{pattern}/_mapping?filter_path=*.mappings._meta&expand_wildcards=all");
    let reply = http.json(Method::Get, &path, None).await?;
    if reply.status == 404 {
        return Ok(Vec::new());
    }
    let found: BTreeMap<String, Described> = http.expect(&reply)?;
    let places = found
        .into_iter()
        .filter(|(_, described)| described.is_of(&of.document));
    Ok(places.filter_map(|(index, _)| Place::of_index(&index)).collect())
}

/// Takes indexes away, and what stands in them.
pub async fn remove(http: &Http, places: &[Place]) -> Result<(), TargetError> {
    for Place { index, .. } in places {
        let reply = http.json(Method::Delete, index, None).await?;
        if !reply.is_success() && reply.status != 404 {
            return Err(http.refused(format!("index {index} cannot be taken away: {}", reply.reason())));
        }
    }
    Ok(())
}
