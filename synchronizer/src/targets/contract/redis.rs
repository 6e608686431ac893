//! What only Redis shows: functions, memory, replicas, restarts, clusters. The services of `make test` are shared; what
//! breaks a server runs on one of its own.

mod clusters;
mod looks;

use std::path::PathBuf;
use std::process::Stdio;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, Value, cmd, from_redis_value};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::suite::{Case, exercise};
use super::{assert_names, body, cleaned, closed_port, delete, live, products, put, service, unique};
use crate::target::{Accept, Held, Outcome, Target, TargetError};
use crate::targets::config::Address;
use crate::targets::redis::RedisTarget;

fn target(url: &str, prefix: &str) -> RedisTarget {
    RedisTarget::new("storage", &Address::from(url), prefix, "test").unwrap()
}

async fn connect(url: &str) -> MultiplexedConnection {
    Client::open(url)
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap()
}

/// The shared Redis with a prefix of its own: the target, a plain connection and the prefix.
async fn with_redis<F: Future<Output = ()>>(
    test: impl FnOnce(RedisTarget, MultiplexedConnection, String) -> F,
) {
    let (url, prefix) = (service("PUBSYNC_TEST_REDIS"), unique());
    let connection = connect(&url).await;
    let clean = async {
        let mut connection = connection.clone();
        let keys: Vec<String> = cmd("KEYS")
            .arg(format!("{prefix}*"))
            .query_async(&mut connection)
            .await
            .unwrap();
        if !keys.is_empty() {
            cmd("DEL").arg(keys).exec_async(&mut connection).await.unwrap();
        }
    };
    cleaned(
        test(target(&url, &prefix), connection.clone(), prefix.clone()),
        clean,
    )
    .await;
}

/// A server of this test only, in a folder of its own; both go with it.
struct Server {
    folder: PathBuf,
    port: u16,
    log: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Server {
    async fn start(port: u16, options: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(unique());
        std::fs::create_dir(&folder).unwrap();
        let mut child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--dir"])
            .arg(&folder)
            .args(options)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut server = Self {
            folder,
            port,
            log,
            child,
        };
        server.logged("Ready to accept connections").await;
        server
    }

    /// Waits until the server has logged this.
    async fn logged(&mut self, text: &str) {
        while let Some(line) = self.log.next_line().await.unwrap() {
            if line.contains(text) {
                return;
            }
        }
        panic!("the server ended before it logged {text:?}");
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn redis_keeps_the_contract() {
    with_redis(|target, mut connection, prefix| async move {
        let list = format!("{prefix}product:bad");
        cmd("LPUSH")
            .arg(&list)
            .arg(1)
            .exec_async(&mut connection)
            .await
            .unwrap();
        let bad = put("product:bad", 1, "{}");
        exercise(Case {
            target: &target,
            shows_tombstones: true,
            bad,
        })
        .await;
        let outcome = live(&target, delete("product:bad", 1)).await;
        assert!(
            matches!(
                outcome,
                Outcome::Failed {
                    class: "wrong_type",
                    ..
                }
            ),
            "{outcome:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn documents_stand_as_plain_json_and_tombstones_die() {
    with_redis(|target, mut connection, prefix| async move {
        live(&target, put("product:1", 7, r#"{"a":1}"#)).await;
        let stored: String = cmd("GET")
            .arg(format!("{prefix}product:1"))
            .query_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(stored, r#"{"_revision":7,"a":1}"#);
        live(&target, delete("product:1", 8)).await;
        let tombstone = format!("{prefix}t:{{{prefix}product:1}}");
        let seconds: i64 = cmd("TTL")
            .arg(&tombstone)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert!((345_500..=345_600).contains(&seconds), "{seconds}");
        live(&target, put("product:1", 9, "{}")).await;
        let left: i64 = cmd("EXISTS")
            .arg(&tombstone)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(left, 0, "a put removes the tombstone");
    })
    .await;
}

#[tokio::test]
async fn a_foreign_value_is_overwritten_but_not_past_a_tombstone() {
    with_redis(|target, mut connection, prefix| async move {
        let stored = format!("{prefix}product:1");
        cmd("SET")
            .arg(&stored)
            .arg("theirs")
            .exec_async(&mut connection)
            .await
            .unwrap();
        let key = ["product:1".to_owned()];
        let held = target.versions(&products(), &key).await.unwrap();
        assert_eq!(
            held,
            [Some(Held {
                revision: 0,
                deleted: false
            })]
        );
        assert_eq!(
            target.scan(&products(), None, 100_000).await.unwrap().keys,
            [("product:1".to_owned(), 0)]
        );
        assert_eq!(body(&target, "product:1").await.as_deref(), Some("theirs"));
        assert_eq!(live(&target, put("product:1", 3, "{}")).await, Outcome::Applied);
        live(&target, delete("product:1", 9)).await;
        cmd("SET")
            .arg(&stored)
            .arg(r#"{"_revision":2}"#)
            .exec_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(live(&target, put("product:1", 5, "{}")).await, Outcome::Stale);
        assert_eq!(live(&target, put("product:1", 10, "{}")).await, Outcome::Applied);
    })
    .await;
}

#[tokio::test]
async fn flushed_functions_are_loaded_again() {
    let server = Server::start(closed_port().await, &[]).await;
    let (target, mut connection) = (target(&server.url(), ""), connect(&server.url()).await);
    for revision in 1..5 {
        cmd("FUNCTION")
            .arg("FLUSH")
            .exec_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(
            live(&target, put("product:1", revision, "{}")).await,
            Outcome::Applied
        );
    }
}

#[tokio::test]
async fn a_wrong_password_and_a_closed_port_name_target_and_address_only() {
    let url = service("PUBSYNC_TEST_REDIS");
    let host = url.rsplit('@').next().unwrap();
    let wrong = target(&format!("redis://:geheim@{host}"), "");
    for error in [
        wrong.ping().await.unwrap_err(),
        wrong.prepare(&[]).await.unwrap_err(),
    ] {
        assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
        assert_names(&error, "storage", host, "geheim");
    }
    let host = format!("127.0.0.1:{}", closed_port().await);
    let nobody = target(&format!("redis://:geheim@{host}/0"), "");
    let error = nobody
        .apply(&products(), &[put("product:1", 1, "{}")], Accept::Higher)
        .await
        .unwrap_err();
    assert!(matches!(error, TargetError::Down { .. }), "{error:?}");
    assert_names(&error, "storage", &host, "geheim");
    let Err(error) = RedisTarget::new("storage", &Address::from("http://:geheim@h"), "", "test") else {
        panic!("an http url was taken")
    };
    assert!(!error.to_string().contains("geheim"), "{error}");
}

#[tokio::test]
async fn out_of_memory_refuses_puts_and_lets_deletes_pass() {
    let server = Server::start(closed_port().await, &["--maxmemory-policy", "noeviction"]).await;
    let (target, mut connection) = (target(&server.url(), ""), connect(&server.url()).await);
    for key in ["product:1", "product:2"] {
        live(&target, put(key, 1, "{}")).await;
    }
    cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg(1)
        .exec_async(&mut connection)
        .await
        .unwrap();
    let refused = |result: Result<(), TargetError>| match result {
        Err(TargetError::Refused { reason, .. }) => assert!(reason.contains("OOM"), "{reason}"),
        other => panic!("{other:?}"),
    };
    refused(
        target
            .apply(&products(), &[put("product:1", 2, "{}")], Accept::Higher)
            .await
            .map(|_| ()),
    );
    refused(target.ping().await);
    assert_eq!(live(&target, delete("product:1", 2)).await, Outcome::Applied);
    // In a mixed batch the deletes were first.
    let mixed = [put("product:3", 1, "{}"), delete("product:2", 2)];
    refused(
        target
            .apply(&products(), &mixed, Accept::Higher)
            .await
            .map(|_| ()),
    );
    assert_eq!(body(&target, "product:2").await, None);
    cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg(0)
        .exec_async(&mut connection)
        .await
        .unwrap();
    target.ping().await.unwrap();
    assert_eq!(live(&target, put("product:1", 1, "{}")).await, Outcome::Stale);
}

#[tokio::test]
async fn a_writer_without_the_right_to_load_functions_works_where_they_are() {
    let server = Server::start(closed_port().await, &[]).await;
    let mut connection = connect(&server.url()).await;
    let mut acl = cmd("ACL");
    acl.arg("SETUSER")
        .arg("writer")
        .arg("on")
        .arg(">geheim")
        .arg("resetchannels")
        .arg("~product:*")
        .arg("~t:*");
    for rule in [
        "-@all",
        "+ping",
        "+get",
        "+getrange",
        "+set",
        "+del",
        "+scan",
        "+fcall",
    ] {
        acl.arg(rule);
    }
    acl.exec_async(&mut connection).await.unwrap();
    let host = format!("127.0.0.1:{}", server.port);
    let writer = target(&format!("redis://writer:geheim@{host}"), "");
    for error in [
        writer.prepare(&[]).await.unwrap_err(),
        writer.ping().await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, TargetError::Refused { reason, .. } if reason.contains("NOPERM")),
            "{error}"
        );
        assert_names(&error, "storage", &host, "geheim");
    }
    target(&server.url(), "").prepare(&[]).await.unwrap();
    let bad = put("t:{bad}", 1, "{}");
    let others = ["~products:*"];
    cmd("ACL")
        .arg("SETUSER")
        .arg("writer")
        .arg(&others)
        .exec_async(&mut connection)
        .await
        .unwrap();
    exercise(Case {
        target: &writer,
        shows_tombstones: true,
        bad,
    })
    .await;
}

#[tokio::test]
async fn a_replica_is_refused_and_a_restart_heals() {
    let mut server = Server::start(closed_port().await, &[]).await;
    let (target, mut connection) = (target(&server.url(), ""), connect(&server.url()).await);
    assert_eq!(live(&target, put("product:1", 1, "{}")).await, Outcome::Applied);
    let port = closed_port().await;
    cmd("REPLICAOF")
        .arg("127.0.0.1")
        .arg(port)
        .exec_async(&mut connection)
        .await
        .unwrap();
    let error = target.ping().await.unwrap_err();
    assert!(
        matches!(&error, TargetError::Refused { reason, .. } if reason.contains("READONLY")),
        "{error}"
    );
    cmd("REPLICAOF")
        .arg("NO")
        .arg("ONE")
        .exec_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(live(&target, put("product:1", 2, "{}")).await, Outcome::Applied);

    // Empty, without functions, and all connections in the pool are dead.
    let busy = (0..4)
        .map(|at| live(&target, put(&format!("product:busy-{at}"), 1, "{}")))
        .collect::<Vec<_>>();
    futures::future::join_all(busy).await;
    server.child.kill().await.unwrap();
    let mut server = Server::start(server.port, &[]).await;
    assert_eq!(live(&target, put("product:1", 1, "{}")).await, Outcome::Applied);

    server.child.kill().await.unwrap();
    let error = target.ping().await.unwrap_err();
    assert!(matches!(error, TargetError::Down { .. }), "{error:?}");
}
