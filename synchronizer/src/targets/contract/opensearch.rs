//! What only OpenSearch shows: indexes, mappings, shards, and replies that refuse a whole request.

mod indexes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::opensearch::OpenSearch;
use ::opensearch::http::Method;
use ::opensearch::http::headers::HeaderMap;
use ::opensearch::http::request::JsonBody;
use ::opensearch::http::transport::Transport;
use pubsync_schema::shape::Template;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::suite::{Case, exercise};
use super::{assert_names, body, cleaned, closed_port, delete, live, products, put, scan, service, unique};
use crate::target::{Accept, Outcome, Target, TargetError};
use crate::targets::config::Address;
use crate::targets::opensearch::OpenSearchTarget;

fn target(url: &str, prefix: &str) -> OpenSearchTarget {
    OpenSearchTarget::new("search", &Address::from(url), prefix).unwrap()
}

/// A plain request to the real service; its JSON.
async fn ask(method: Method, path: &str, body: Option<Value>) -> Value {
    let client = OpenSearch::new(Transport::single_node(&service("PUBSYNC_TEST_OPENSEARCH")).unwrap());
    let body = body.map(JsonBody::new);
    let reply = client
        .transport()
        .send(method, path, HeaderMap::new(), None::<&()>, body, None)
        .await
        .unwrap();
    reply.json().await.unwrap()
}

/// The real service with a prefix of its own: the target, and the alias of products.
async fn with_index<F: Future<Output = ()>>(test: impl FnOnce(OpenSearchTarget, String) -> F) {
    let (url, prefix) = (service("PUBSYNC_TEST_OPENSEARCH"), unique());
    let alias = format!("{prefix}product");
    let clean = async {
        ask(Method::Delete, &format!("{prefix}*?expand_wildcards=all"), None).await;
    };
    cleaned(test(target(&url, &prefix), alias), clean).await;
}

#[tokio::test]
async fn opensearch_keeps_the_contract() {
    with_index(|target, _| async move {
        let bad = put("product:bad", 1, r#"{"price":"dear"}"#);
        exercise(Case {
            target: &target,
            shows_tombstones: false,
            bad,
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_scan_walks_all_shards() {
    with_index(|target, alias| async move {
        let mut sharded = products();
        sharded.settings = json!({ "index": { "number_of_shards": 3 } });
        target.prepare(&[sharded]).await.unwrap();
        let settings = ask(Method::Get, &format!("{alias}/_settings"), None).await;
        assert_eq!(
            settings[format!("{alias}~1")]["settings"]["index"]["number_of_shards"],
            "3"
        );
        let writes: Vec<_> = (0..100)
            .map(|at| put(&format!("product:{at}"), at + 1, "{}"))
            .collect();
        target.apply(&products(), &writes, Accept::Higher).await.unwrap();
        for limit in [1, 7, 1000] {
            let keys = scan(&target, &products(), limit).await;
            assert_eq!(
                keys,
                writes
                    .iter()
                    .map(|write| (write.key.clone(), write.revision))
                    .collect()
            );
        }
        // A page asked for twice is the same page: the answer may have been lost.
        let first = target.scan(&products(), None, 10).await.unwrap();
        let again = target.scan(&products(), first.next.clone(), 10).await.unwrap();
        assert_eq!(
            target.scan(&products(), first.next, 10).await.unwrap().keys,
            again.keys
        );
    })
    .await;
}

/// The service has restarted, the walk has rested for too long, or the answer with the last page was lost: whoever holds an
/// old cursor comes to the end all the same.
#[tokio::test]
async fn a_scan_outlives_its_point_in_time() {
    with_index(|target, _| async move {
        target.prepare(&[products()]).await.unwrap();
        let writes: Vec<_> = (0..25)
            .map(|at| put(&format!("product:{at}"), at + 1, "{}"))
            .collect();
        target.apply(&products(), &writes, Accept::Higher).await.unwrap();
        let page = async |cursor| target.scan(&products(), cursor, 10).await.unwrap();
        let second = page(page(None).await.next).await;
        // Gives the point in time back.
        assert_eq!(page(second.next.clone()).await.next, None);
        let (mut cursor, mut keys) = (second.next, BTreeSet::new());
        for _ in 0..3 {
            let again = page(cursor).await;
            keys.extend(again.keys.into_iter().map(|(key, _)| key));
            cursor = again.next;
        }
        assert_eq!((keys.len(), cursor), (25, None));
        // Of another version of pubsync.
        assert_eq!(page(Some("{}".to_owned())).await.keys.len(), 10);
    })
    .await;
}

#[tokio::test]
async fn an_index_has_the_mapping_and_keeps_what_it_has() {
    with_index(|target, alias| async move {
        target.prepare(&[products()]).await.unwrap();
        let index = format!("{alias}~1");
        let settings = ask(Method::Get, &format!("{alias}/_settings"), None).await;
        assert_eq!(settings[&index]["settings"]["index"]["gc_deletes"], "1h");
        let mapping =
            async || ask(Method::Get, &format!("{alias}/_mapping"), None).await[&index]["mappings"].clone();
        assert_eq!(
            mapping().await,
            json!({ "dynamic": "false", "_meta": { "pubsync": { "document": "product" } }, "properties": products().derived })
        );

        let mut more = products();
        more.derived = json!({ "colour": { "type": "keyword" } });
        target.prepare(&[more.clone()]).await.unwrap();
        assert_eq!(mapping().await["properties"]["colour"]["type"], "keyword");
        assert_eq!(mapping().await["properties"]["price"]["type"], "double");

        more.derived = json!({ "colour": { "type": "long" } });
        let error = target.prepare(&[more]).await.unwrap_err();
        let TargetError::Refused { reason, .. } = &error else {
            panic!("{error:?}")
        };
        assert!(
            reason.contains("conflicts") && reason.contains("colour"),
            "{reason}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_index_in_the_place_of_the_alias_is_refused() {
    with_index(|target, alias| async move {
        ask(Method::Put, &alias, None).await;
        let error = target.prepare(&[products()]).await.unwrap_err();
        assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
        assert_names(&error, "search", &alias, "password");
    })
    .await;
}

#[tokio::test]
async fn an_index_deleted_under_us_is_made_again() {
    with_index(|target, alias| async move {
        target.prepare(&[products()]).await.unwrap();
        live(&target, put("product:1", 5, "{}")).await;
        for write in [delete("product:2", 5), put("product:1", 6, r#"{"n":6}"#)] {
            ask(Method::Delete, &format!("{alias}~1"), None).await;
            assert_eq!(body(&target, "product:1").await, None);
            assert_eq!(scan(&target, &products(), 10).await.len(), 0);
            assert_eq!(live(&target, write).await, Outcome::Applied);
            assert!(
                ask(Method::Get, &format!("_alias/{alias}"), None).await[format!("{alias}~1")].is_object()
            );
        }
        assert_eq!(body(&target, "product:1").await.as_deref(), Some(r#"{"n":6}"#));
    })
    .await;
}

#[tokio::test]
async fn an_index_block_refuses_the_target_and_a_long_id_only_itself() {
    with_index(|target, alias| async move {
        target.prepare(&[products()]).await.unwrap();
        let long = format!("product:{}", "x".repeat(505));
        let writes = [put("product:1", 1, "{}"), put(&long, 1, "{}")];
        let outcomes = target.apply(&products(), &writes, Accept::Higher).await.unwrap();
        assert!(
            matches!(
                outcomes[1],
                Outcome::Failed {
                    class: "id_too_long",
                    ..
                }
            ),
            "{outcomes:?}"
        );
        assert_eq!(outcomes[0], Outcome::Applied);
        let settings = format!("{alias}/_settings");
        let block = |on: bool| ask(Method::Put, &settings, Some(json!({ "index.blocks.write": on })));
        block(true).await;
        let error = target
            .apply(&products(), &[put("product:1", 2, "{}")], Accept::Higher)
            .await
            .unwrap_err();
        assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
        block(false).await;
        assert_eq!(live(&target, put("product:1", 2, "{}")).await, Outcome::Applied);
    })
    .await;
}

/// A server that answers by the first line of the request with a status and a body, and counts.
async fn answering(answer: fn(&str) -> (&'static str, &'static str)) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (host, count) = (
        listener.local_addr().unwrap().to_string(),
        Arc::new(AtomicUsize::new(0)),
    );
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 1 << 16];
            let length = stream.read(&mut request).await.unwrap_or(0);
            counted.fetch_add(1, Ordering::Relaxed);
            let request = String::from_utf8_lossy(&request[..length]);
            let (status, body) = answer(request.lines().next().unwrap_or_default());
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    (host, count)
}

#[tokio::test]
async fn a_writer_without_the_right_to_make_indexes_works_where_they_are() {
    const GONE: &str = r#"{"docs":[{"error":{"type":"index_not_found_exception"}}]}"#;
    let (host, _) = answering(|line| match line {
        line if line.contains("there~1~write/_mget") => ("200 OK", r#"{"docs":[{"found":false}]}"#),
        line if line.contains("gone~1~write/_mget") => ("200 OK", GONE),
        _ => ("403 Forbidden", "{}"),
    })
    .await;
    let writer = target(&format!("http://{host}"), "");
    writer.ping().await.unwrap();
    let mut collection = products();
    collection.index = Template::text("there");
    writer.prepare(&[collection.clone()]).await.unwrap();
    collection.index = Template::text("gone");
    let error = writer.prepare(&[collection]).await.unwrap_err();
    assert!(
        matches!(&error, TargetError::Refused { reason, .. } if reason.contains("403")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_wrong_password_and_a_closed_port_name_target_and_address_only() {
    let (host, _) = answering(|_| ("401 Unauthorized", "{}")).await;
    let error = target(&format!("http://anna:geheim@{host}"), "")
        .ping()
        .await
        .unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
    assert_names(&error, "search", &host, "geheim");

    let host = format!("127.0.0.1:{}", closed_port().await);
    let nobody = target(&format!("http://anna:geheim@{host}"), "");
    let error = nobody
        .apply(&products(), &[put("product:1", 1, "{}")], Accept::Higher)
        .await
        .unwrap_err();
    assert!(matches!(error, TargetError::Down { .. }), "{error:?}");
    assert_names(&error, "search", &host, "geheim");
}

#[tokio::test]
async fn too_much_is_halved_and_overload_is_waited_for() {
    let (host, count) = answering(|_| ("413 Payload Too Large", "{}")).await;
    let writes: Vec<_> = (0..4).map(|at| put(&format!("product:{at}"), 1, "{}")).collect();
    let outcomes = target(&format!("http://{host}"), "")
        .apply(&products(), &writes, Accept::Higher)
        .await
        .unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(
        outcome,
        Outcome::Failed {
            class: "too_large",
            ..
        }
    )));
    assert_eq!(count.load(Ordering::Relaxed), 7);

    let (host, _) = answering(|_| ("429 Too Many Requests\r\nretry-after: 7", "{}")).await;
    let error = target(&format!("http://{host}"), "")
        .apply(&products(), &writes, Accept::Higher)
        .await
        .unwrap_err();
    let asked = std::time::Duration::from_secs(7);
    assert!(
        matches!(error, TargetError::Busy { after: Some(after), .. } if after == asked),
        "{error:?}"
    );
}
