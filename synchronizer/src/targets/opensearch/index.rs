//! The index behind an alias: made where it is missing, given new properties where it is there.

use ::opensearch::http::Method;
use pubsync_schema::shape::Collection;
use serde_json::{Value, json};

use super::http::{Http, is_forbidden};
use crate::target::TargetError;

/// How long an index remembers the version of a delete (its default is 60 s). A message older than a quarter of it is
/// applied from the mirror (law 9).
const GC_DELETES: &str = "1h";

/// Makes the alias answer, with the collection's mapping. Several may run it at once. A login without the rights for it is
/// fine where the alias is there.
pub async fn prepare(http: &Http, alias: &str, collection: &Collection) -> Result<(), TargetError> {
    match make(http, alias, collection).await {
        Err(error) if is_forbidden(&error) && answers(http, alias).await? => Ok(()),
        other => other,
    }
}

async fn make(http: &Http, alias: &str, collection: &Collection) -> Result<(), TargetError> {
    if !has_alias(http, alias).await? && create(http, alias, collection).await? {
        return Ok(());
    }
    extend(http, alias, collection).await
}

/// Asks with the rights of a writer only: a missing index shows in the answer.
async fn answers(http: &Http, alias: &str) -> Result<bool, TargetError> {
    let body = json!({ "ids": ["pubsync: no document"] });
    let reply = http
        .json(Method::Post, &format!("{alias}/_mget"), Some(body))
        .await?;
    Ok(reply.is_success() && !String::from_utf8_lossy(&reply.body).contains("index_not_found_exception"))
}

async fn has_alias(http: &Http, alias: &str) -> Result<bool, TargetError> {
    let reply = http.json(Method::Get, &format!("_alias/{alias}"), None).await?;
    match reply.status {
        200 => Ok(true),
        404 => Ok(false),
        _ => Err(http.refused(format!("alias {alias}: {}", reply.reason()))),
    }
}

/// Makes index and alias in one step; false where another was faster.
async fn create(http: &Http, alias: &str, collection: &Collection) -> Result<bool, TargetError> {
    let index = format!("{alias}-1");
    let body = json!({
        "settings": { "index.gc_deletes": GC_DELETES },
        "mappings": { "dynamic": false, "properties": properties(collection) },
        "aliases": { alias: {} },
    });
    let reply = http.json(Method::Put, &index, Some(body)).await?;
    match (reply.is_success(), reply.kind().as_str()) {
        (true, _) => Ok(true),
        (_, "resource_already_exists_exception") => attach(http, alias, &index).await.map(|()| false),
        _ => Err(http.refused(format!("index {index} cannot be made: {}", reply.reason()))),
    }
}

/// The index is there: with its alias where another made it just now, without where somebody took the alias away.
async fn attach(http: &Http, alias: &str, index: &str) -> Result<(), TargetError> {
    if has_alias(http, alias).await? {
        return Ok(());
    }
    let body = json!({ "actions": [{ "add": { "index": index, "alias": alias } }] });
    let reply = http.json(Method::Post, "_aliases", Some(body)).await?;
    if reply.is_success() {
        return Ok(());
    }
    Err(http.refused(format!(
        "alias {alias} cannot be set on {index}: {}",
        reply.reason()
    )))
}

/// Adds properties that are missing. One that stands with another type needs a new index.
async fn extend(http: &Http, alias: &str, collection: &Collection) -> Result<(), TargetError> {
    let body = json!({ "properties": properties(collection) });
    let reply = http
        .json(Method::Put, &format!("{alias}/_mapping"), Some(body))
        .await?;
    match reply.status {
        200..300 => Ok(()),
        404 => Err(http.down(format!("alias {alias} vanished: {}", reply.reason()))),
        _ => Err(http.refused(format!(
            "the mapping of {} conflicts with the index behind alias {alias}, which must be rebuilt: {}",
            collection.document,
            reply.reason()
        ))),
    }
}

fn properties(collection: &Collection) -> Value {
    match &collection.mapping {
        Value::Null => json!({}),
        mapping => mapping.clone(),
    }
}
