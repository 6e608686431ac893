//! One `_bulk` request: its lines, and what became of each item.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use tokio_util::bytes::Bytes;

use super::http::Cause;
use super::throttle::Throttle;
use crate::target::{Accept, Operation, Outcome, Write};
use crate::targets::stamp;

/// Size of one request.
pub const MAX_DOCUMENTS: usize = 500;
pub const MAX_BYTES: usize = 8 << 20;

/// Longest `_id` in bytes; a longer one refuses the whole request.
const MAX_ID: usize = 512;

/// Only what is judged is sent back.
pub const QUERY: &str =
    "_bulk?require_alias=true&filter_path=items.*.status,items.*.error.type,items.*.error.reason";

/// Where one item goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// `None`: to the index in the path of the request.
    pub alias: Option<String>,
    pub routing: Option<String>,
}

/// Goes along with deletes that are among themselves: a versioned delete makes a missing index, with guessed mapping and in
/// the place of the alias, even under `require_alias`. An update in the same request asks for the alias for all of them.
/// It changes nothing: there is no such document, and no member to set.
fn guard(alias: Option<&str>) -> String {
    let mut update = json!({ "_id": "pubsync: no document" });
    if let Some(alias) = alias {
        update["_index"] = json!(alias);
    }
    format!("{}\n{}\n", json!({ "update": update }), r#"{"doc":{}}"#)
}

/// What became of an item.
#[derive(Debug, PartialEq, Eq)]
pub enum Judged {
    Outcome(Outcome),
    /// The alias is gone: this is no success of a delete.
    NoIndex,
    /// The target as a whole refuses: login, index block.
    Refused(String),
}

impl Judged {
    /// The engine has too much to do, or no room for it.
    pub fn is_overload(&self) -> bool {
        matches!(self, Self::Outcome(Outcome::Retry(_)))
    }
}

/// What is refused before it is sent.
pub fn refuse(write: &Write) -> Option<Outcome> {
    let failed = |class, error: &str| {
        Some(Outcome::Failed {
            class,
            error: error.to_owned(),
        })
    };
    if write.key.len() > MAX_ID {
        return failed("id_too_long", "the key is over 512 bytes, the limit of _id");
    }
    if write.key.is_empty() {
        return failed("key", "the key is empty");
    }
    if !(0..=stamp::MAX_REVISION).contains(&write.revision) {
        return failed("revision", "the revision is not between 0 and 2^53 - 1");
    }
    match &write.operation {
        Operation::Put(body) if !body.trim_start().starts_with('{') => {
            failed("body", "the body is no JSON object")
        }
        Operation::Put(body) if body.contains(['\n', '\r']) => failed("body", "the body holds a raw newline"),
        _ => None,
    }
}

/// What becomes of a write whose key has no place: a delete has nothing to do, as documents of another key template
/// stand in other indexes.
pub fn homeless(write: &Write, route: Option<&Route>) -> Option<Outcome> {
    match (&write.operation, route) {
        (_, Some(_)) => None,
        (Operation::Delete, None) => Some(Outcome::Applied),
        (Operation::Put(_), None) => Some(Outcome::Failed {
            class: "index_name",
            error: "the key gives no name of an index, or one over 255 bytes".to_owned(),
        }),
    }
}

/// Cuts the batch into requests by count and bytes; the items are places in the batch.
pub fn cut(writes: &[Write], open: impl IntoIterator<Item = usize>, throttle: Throttle) -> Vec<Vec<usize>> {
    let (most, bound) = (throttle.documents, throttle.bytes());
    let mut requests: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for at in open {
        let size = size(&writes[at]);
        match requests.last_mut() {
            Some(last) if last.len() < most && bytes + size <= bound => last.push(at),
            _ => {
                requests.push(vec![at]);
                bytes = 0;
            }
        }
        bytes += size;
    }
    requests
}

fn size(write: &Write) -> usize {
    let body = match &write.operation {
        Operation::Put(body) => body.len() + 32,
        Operation::Delete => 0,
    };
    body + write.key.len() + 90
}

/// The lines of one request; `routes` go with `writes`.
pub fn lines(writes: &[Write], routes: &[Route], items: &[usize], accept: Accept) -> Bytes {
    let version_type = match accept {
        Accept::Higher => "external",
        Accept::HigherOrEqual => "external_gte",
    };
    let mut out = Vec::with_capacity(items.iter().map(|at| size(&writes[*at])).sum());
    for at in items {
        let Write {
            key,
            revision,
            operation,
        } = &writes[*at];
        let verb = match operation {
            Operation::Put(_) => "index",
            Operation::Delete => "delete",
        };
        let id = serde_json::Value::from(key.as_str());
        let route = routes[*at].members();
        let action = format!(
            r#"{{"{verb}":{{"_id":{id},{route}"version":{revision},"version_type":"{version_type}"}}}}"#
        );
        out.extend_from_slice(action.as_bytes());
        out.push(b'\n');
        if let Operation::Put(body) = operation {
            stamp::write(body, *revision, &mut out);
            out.push(b'\n');
        }
    }
    let mut only_deletes: BTreeMap<Option<&str>, bool> = BTreeMap::new();
    for at in items {
        let delete = matches!(writes[*at].operation, Operation::Delete);
        *only_deletes.entry(routes[*at].alias.as_deref()).or_insert(true) &= delete;
    }
    for (alias, _) in only_deletes.into_iter().filter(|(_, only)| *only) {
        out.extend_from_slice(guard(alias).as_bytes());
    }
    Bytes::from(out)
}

impl Route {
    /// What `_mget` asks for.
    pub fn document(&self, key: &str) -> serde_json::Value {
        let mut document = json!({ "_id": key });
        if let Some(alias) = &self.alias {
            document["_index"] = json!(alias);
        }
        if let Some(routing) = &self.routing {
            document["routing"] = json!(routing);
        }
        document
    }

    /// As they stand in an action, each with its comma.
    fn members(&self) -> String {
        let member = |name: &str, value: &Option<String>| {
            let value = value
                .as_ref()
                .map(|value| format!("\"{name}\":{},", json!(value)));
            value.unwrap_or_default()
        };
        member("_index", &self.alias) + &member("routing", &self.routing)
    }
}

/// The reply; without items where the request failed as a whole.
#[derive(Debug, Deserialize)]
pub struct Reply {
    #[serde(default)]
    items: Vec<Item>,
}

impl Reply {
    /// What became of the items, in the order of the request.
    pub fn judge(&self) -> Vec<Judged> {
        self.items.iter().filter_map(Item::judge).collect()
    }

    /// The versions that deletes were refused by, in the order of the request; `None` where one was not.
    pub fn refused_by(&self) -> Vec<Option<i64>> {
        let deletes = self.items.iter().filter_map(|item| match item {
            Item::Delete(answer) => Some(answer),
            _ => None,
        });
        let version = |answer: &Answer| {
            let reason = answer.error.as_ref()?.reason.as_deref()?;
            let (_, rest) = reason.split_once("current version [")?;
            rest.split_once(']')?.0.parse().ok()
        };
        deletes.map(version).collect()
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Item {
    Index(Answer),
    Delete(Answer),
    /// The guard's.
    Update(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct Answer {
    status: u16,
    error: Option<Cause>,
}

impl Item {
    /// What the item's status and error mean; `None` for the guard.
    fn judge(&self) -> Option<Judged> {
        let (answer, delete) = match self {
            Self::Index(answer) => (answer, false),
            Self::Delete(answer) => (answer, true),
            Self::Update(_) => return None,
        };
        let kind = answer.error.as_ref().map_or("", |cause| cause.kind.as_str());
        let text = || {
            answer
                .error
                .as_ref()
                .map_or_else(|| answer.status.to_string(), Cause::text)
        };
        let failed = |class| Judged::Outcome(Outcome::Failed { class, error: text() });
        Some(match answer.status {
            200..300 => Judged::Outcome(Outcome::Applied),
            409 => Judged::Outcome(Outcome::Stale),
            404 if kind == "index_not_found_exception" => Judged::NoIndex,
            // The delete of an absent id is remembered all the same.
            404 if delete => Judged::Outcome(Outcome::Applied),
            // The disk is full, or a person has closed the index: 403, and 429 where the engine set the block itself.
            _ if kind == "cluster_block_exception" => Judged::Refused(text()),
            401 | 403 => Judged::Refused(text()),
            408 | 429 | 500.. => Judged::Outcome(Outcome::Retry(text())),
            413 => failed("too_large"),
            _ => failed(class(kind)),
        })
    }
}

/// The class of a failure, from the type of its error.
pub fn class(kind: &str) -> &'static str {
    match kind {
        "mapper_parsing_exception"
        | "strict_dynamic_mapping_exception"
        | "document_parsing_exception"
        | "parsing_exception"
        | "mapper_exception" => "mapping",
        "illegal_argument_exception"
        | "action_request_validation_exception"
        | "max_bytes_length_exceeded_exception" => "argument",
        "routing_missing_exception" => "routing",
        _ => "rejected",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(item: &str) -> Judged {
        serde_json::from_str::<Item>(item).unwrap().judge().unwrap()
    }

    #[test]
    fn every_status_has_its_meaning() {
        let outcome = Judged::Outcome;
        assert_eq!(judged(r#"{"index":{"status":201}}"#), outcome(Outcome::Applied));
        assert_eq!(judged(r#"{"delete":{"status":404}}"#), outcome(Outcome::Applied));
        let gone = r#"{"status":404,"error":{"type":"index_not_found_exception","reason":"no such index"}}"#;
        assert_eq!(judged(&format!(r#"{{"delete":{gone}}}"#)), Judged::NoIndex);
        assert_eq!(judged(&format!(r#"{{"index":{gone}}}"#)), Judged::NoIndex);
        assert_eq!(
            judged(r#"{"index":{"status":409,"error":{"type":"v"}}}"#),
            outcome(Outcome::Stale)
        );
        for (status, kind) in [
            (408, "timeout"),
            (429, "rejected_execution_exception"),
            (429, "circuit_breaking_exception"),
            (500, "i_o_exception"),
            (503, "unavailable_shards_exception"),
            (504, "process_cluster_event_timeout_exception"),
        ] {
            let item = format!(r#"{{"index":{{"status":{status},"error":{{"type":"{kind}"}}}}}}"#);
            assert!(
                matches!(judged(&item), Judged::Outcome(Outcome::Retry(_))),
                "{item}"
            );
        }
        for status in [403, 429, 503] {
            let kind = "cluster_block_exception";
            let block = format!(
                r#"{{"index":{{"status":{status},"error":{{"type":"{kind}","reason":"read-only"}}}}}}"#
            );
            assert_eq!(judged(&block), Judged::Refused(format!("{kind}: read-only")));
        }
        for status in [401, 403] {
            let item =
                format!(r#"{{"index":{{"status":{status},"error":{{"type":"security_exception"}}}}}}"#);
            assert!(matches!(judged(&item), Judged::Refused(_)), "{item}");
        }
        for (status, kind, class) in [
            (400, "strict_dynamic_mapping_exception", "mapping"),
            (400, "document_parsing_exception", "mapping"),
            (400, "illegal_argument_exception", "argument"),
            (400, "routing_missing_exception", "routing"),
            (400, "unheard_of", "rejected"),
            (404, "resource_not_found_exception", "rejected"),
            (413, "whatever", "too_large"),
        ] {
            let item = format!(r#"{{"index":{{"status":{status},"error":{{"type":"{kind}"}}}}}}"#);
            let error = format!("{kind}: ");
            assert_eq!(judged(&item), outcome(Outcome::Failed { class, error }), "{item}");
        }
        let bad =
            r#"{"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"no date"}}}"#;
        let error = "mapper_parsing_exception: no date".to_owned();
        assert_eq!(
            judged(bad),
            outcome(Outcome::Failed {
                class: "mapping",
                error
            })
        );
    }

    #[test]
    fn requests_are_cut_by_count_and_bytes() {
        let write = |bytes: usize| Write {
            key: "k".to_owned(),
            revision: 1,
            operation: Operation::Put(format!("{{\"a\":\"{}\"}}", "x".repeat(bytes)).into()),
        };
        let sizes = |writes: &[Write]| {
            cut(writes, 0..writes.len(), Throttle::FULL)
                .iter()
                .map(Vec::len)
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(&vec![write(1); 1001]), [500, 500, 1]);
        assert_eq!(sizes(&vec![write(3 << 20); 3]), [2, 1]);
        assert_eq!(sizes(&[write(9 << 20), write(1)]), [1, 1]);
        assert_eq!(sizes(&[]), [0; 0]);
    }

    #[test]
    fn lines_hold_versions_and_the_revision() {
        let writes = [
            Write {
                key: "a\"b".to_owned(),
                revision: 3,
                operation: Operation::Put("{\"x\":1}".into()),
            },
            Write {
                key: "c".to_owned(),
                revision: 4,
                operation: Operation::Delete,
            },
        ];
        let here = vec![Route::default(); 2];
        let text = lines(&writes, &here, &[0, 1], Accept::HigherOrEqual);
        let expected = concat!(
            r#"{"index":{"_id":"a\"b","version":3,"version_type":"external_gte"}}"#,
            "\n",
            r#"{"_revision":3,"x":1}"#,
            "\n",
            r#"{"delete":{"_id":"c","version":4,"version_type":"external_gte"}}"#,
            "\n"
        );
        assert_eq!(text, expected);
        let deletes = lines(&writes, &here, &[1], Accept::Higher);
        let here = guard(None);
        assert!(deletes.ends_with(here.as_bytes()) && !text.ends_with(here.as_bytes()));
    }

    #[test]
    fn each_index_that_only_loses_documents_is_guarded() {
        let write = |operation: Operation| Write {
            key: "k".to_owned(),
            revision: 3,
            operation,
        };
        let writes = [
            write(Operation::Delete),
            write(Operation::Put("{}".into())),
            write(Operation::Delete),
        ];
        let to = |alias: &str| Route {
            alias: Some(alias.to_owned()),
            routing: Some("DE".to_owned()),
        };
        let text = lines(&writes, &[to("a"), to("b"), to("b")], &[0, 1, 2], Accept::Higher);
        let text = String::from_utf8(text.to_vec()).unwrap();
        let first =
            r#"{"delete":{"_id":"k","_index":"a","routing":"DE","version":3,"version_type":"external"}}"#;
        assert_eq!(text.lines().next(), Some(first));
        assert!(
            text.ends_with(&guard(Some("a"))) && text.matches("update").count() == 1,
            "{text}"
        );
    }

    #[test]
    fn the_answer_of_the_guard_is_left_out() {
        let json = r#"{"items":[{"delete":{"status":200}},{"update":{"status":404}}]}"#;
        let reply: Reply = serde_json::from_str(json).unwrap();
        assert_eq!(reply.judge(), [Judged::Outcome(Outcome::Applied)]);
    }
}
