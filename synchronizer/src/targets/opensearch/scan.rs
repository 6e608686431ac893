//! A walk over all documents of some indexes, one after the other: a point in time, one slice after the other. With as many slices as shards each
//! slice is one shard, where `_seq_no` is unique; `_shard_doc` does not exist in OpenSearch 2 and `_doc` repeats
//! over shards, so a page that ends between equals would lose some. A page asked for twice is the same page.

use ::opensearch::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::http::{Http, Reply};
use crate::target::TargetError;

/// How long a walk may rest between two pages; one that is given up is forgotten after it.
const KEEP_ALIVE: &str = "5m";

/// Most hits of one page (`index.max_result_window`).
const MAX_PAGE: usize = 10_000;

/// Where a walk stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cursor {
    index: String,
    pit: String,
    slice: usize,
    slices: usize,
    after: Option<Value>,
    /// Indexes that come after this one: slices count shards of one index.
    rest: Vec<String>,
}

#[derive(Deserialize)]
struct PointInTime {
    pit_id: String,
    #[serde(rename = "_shards")]
    shards: Shards,
}

#[derive(Deserialize)]
struct Shards {
    total: usize,
    #[serde(default)]
    failed: usize,
}

#[derive(Deserialize)]
struct Found {
    pit_id: String,
    #[serde(rename = "_shards")]
    shards: Shards,
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

/// One document of a page.
#[derive(Deserialize)]
pub struct Hit {
    #[serde(rename = "_id")]
    pub id: String,
    #[serde(rename = "_version")]
    pub version: i64,
    sort: Value,
}

/// Begins a walk over what was written before now, in the last of these indexes that is there; `None` where none is.
pub async fn open(http: &Http, mut indexes: Vec<String>) -> Result<Option<Cursor>, TargetError> {
    while let Some(index) = indexes.pop() {
        if let Some(mut cursor) = open_one(http, &index).await? {
            cursor.rest = indexes;
            return Ok(Some(cursor));
        }
    }
    Ok(None)
}

async fn open_one(http: &Http, alias: &str) -> Result<Option<Cursor>, TargetError> {
    let refreshed = http
        .json(Method::Post, &format!("{alias}/_refresh"), None)
        .await?;
    if refreshed.status == 404 {
        return Ok(None);
    }
    let path =
        format!("{alias}/_search/point_in_time?keep_alive={KEEP_ALIVE}&allow_partial_pit_creation=false");
    let reply = http.json(Method::Post, &path, None).await?;
    let PointInTime { pit_id, shards } = http.expect(&reply)?;
    Ok(Some(Cursor {
        index: alias.to_owned(),
        pit: pit_id,
        slice: 0,
        slices: shards.total.max(1),
        after: None,
        rest: Vec::new(),
    }))
}

/// The next page and where the walk stands then; `None` at its end, when the point in time is given back.
///
/// A point in time that is gone (the service has restarted, the walk has rested for too long, or this very page was given
/// before and its answer was lost) is no end: the walk over this index begins again.
pub async fn page(
    http: &Http,
    mut cursor: Cursor,
    limit: usize,
) -> Result<(Vec<Hit>, Option<Cursor>), TargetError> {
    let size = limit.clamp(1, MAX_PAGE);
    let mut reply = search(http, &cursor, size).await?;
    if reply.status == 404 {
        cursor.rest.push(cursor.index);
        let Some(again) = open(http, cursor.rest).await? else {
            return Ok((Vec::new(), None));
        };
        cursor = again;
        reply = search(http, &cursor, size).await?;
    }
    let Found {
        pit_id,
        shards,
        hits: Hits { hits },
    } = http.expect(&reply)?;
    if shards.failed > 0 {
        return Err(http.down(format!("{} shards failed in a search", shards.failed)));
    }
    let (slice, after) = match hits.last() {
        Some(last) if hits.len() == size => (cursor.slice, Some(last.sort.clone())),
        _ => (cursor.slice + 1, None),
    };
    let next = Cursor {
        pit: pit_id,
        slice,
        after,
        ..cursor
    };
    if slice < next.slices {
        return Ok((hits, Some(next)));
    }
    let following = open(http, next.rest).await?;
    // A failure here is no failure of the walk: the point in time ends by itself.
    let _ = http
        .json(
            Method::Delete,
            "_search/point_in_time",
            Some(json!({ "pit_id": [next.pit] })),
        )
        .await;
    Ok((hits, following))
}

async fn search(http: &Http, cursor: &Cursor, size: usize) -> Result<Reply, TargetError> {
    let mut search = json!({
        "size": size,
        "_source": false,
        "version": true,
        "track_total_hits": false,
        "pit": { "id": cursor.pit, "keep_alive": KEEP_ALIVE },
        "sort": ["_seq_no"],
    });
    if cursor.slices > 1 {
        search["slice"] = json!({ "id": cursor.slice, "max": cursor.slices });
    }
    if let Some(after) = &cursor.after {
        search["search_after"] = after.clone();
    }
    let path = "_search?allow_partial_search_results=false";
    http.json(Method::Post, path, Some(search)).await
}
