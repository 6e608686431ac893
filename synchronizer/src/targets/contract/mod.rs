//! What every target must do, run on all of them: Redis, OpenSearch and SQLite for real. `make test` starts the services and
//! names them in the environment. What only one target can show stands in its own file.

mod local;
mod opensearch;
mod redis;
mod suite;

use std::sync::atomic::{AtomicU32, Ordering};

use pubsync_schema::shape::{Collection, KeyPart, KeyPattern, Template};

use crate::target::{Accept, Operation, Outcome, Target, TargetError, Write};

/// The address of a service.
fn service(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `make test`, which starts it"))
}

/// Different for each test of each run, so that all may share a service.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
    format!(
        "test-{}-{since}-{}-",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Runs the test, cleans up whether it passed or not, and only then lets it fail.
async fn cleaned(test: impl Future<Output = ()>, clean: impl Future<Output = ()>) {
    use futures::FutureExt;
    let result = std::panic::AssertUnwindSafe(test).catch_unwind().await;
    clean.await;
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// Keys `product:<id>`, in an index shared with [`variants`].
fn products() -> Collection {
    collection(
        "product",
        vec![KeyPart::Literal("product:".to_owned()), value("root.id")],
    )
}

/// Keys `product:<id>:<variant>`: the same prefix, another document.
fn variants() -> Collection {
    let colon = KeyPart::Literal(":".to_owned());
    collection(
        "variant",
        vec![
            KeyPart::Literal("product:".to_owned()),
            value("root.id"),
            colon,
            value("root.variant"),
        ],
    )
}

fn value(column: &str) -> KeyPart {
    KeyPart::Value(column.to_owned())
}

fn collection(document: &str, key: Vec<KeyPart>) -> Collection {
    let mapping = serde_json::json!({ "price": { "type": "double" }, "name": { "type": "text" } });
    Collection {
        index: Template::text("product"),
        derived: mapping,
        ..Collection::new(document, KeyPattern(key))
    }
}

fn put(key: &str, revision: i64, body: &str) -> Write {
    Write {
        key: key.to_owned(),
        revision,
        operation: Operation::Put(body.into()),
    }
}

fn delete(key: &str, revision: i64) -> Write {
    Write {
        key: key.to_owned(),
        revision,
        operation: Operation::Delete,
    }
}

/// One write to products, live.
async fn live(target: &dyn Target, write: Write) -> Outcome {
    one(target, write, Accept::Higher).await
}

async fn one(target: &dyn Target, write: Write, accept: Accept) -> Outcome {
    let outcomes = target.apply(&products(), &[write], accept).await.unwrap();
    assert_eq!(outcomes.len(), 1);
    outcomes.into_iter().next().unwrap()
}

async fn body(target: &dyn Target, key: &str) -> Option<String> {
    target
        .bodies(&products(), &[key.to_owned()])
        .await
        .unwrap()
        .remove(0)
}

/// All pages of a scan, each key once.
async fn scan(target: &dyn Target, of: &Collection, limit: usize) -> std::collections::BTreeMap<String, i64> {
    let (mut keys, mut cursor) = (std::collections::BTreeMap::new(), None);
    loop {
        let page = target.scan(of, cursor, limit).await.unwrap();
        keys.extend(page.keys);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return keys,
        }
    }
}

/// A refusal names target and address, and no password.
fn assert_names(error: &TargetError, target: &str, address: &str, password: &str) {
    let (text, debug) = (error.to_string(), format!("{error:?}"));
    assert!(text.contains(target) && text.contains(address), "{text}");
    assert!(!text.contains(password) && !debug.contains(password), "{text}");
}

/// A port where nobody listens.
async fn closed_port() -> u16 {
    tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
