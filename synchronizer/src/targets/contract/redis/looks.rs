//! How a Redis shows that it has lost something, where a flow has no such Redis: a cluster, and narrow rights.

use pubsync_schema::health::Look;

use super::clusters::cluster;
use super::{Server, closed_port, cmd, connect, live, put, target};
use crate::target::{Found, Loss, Target};

/// What looks hand on from one to the next.
struct Looks {
    state: String,
    highest: i64,
}

impl Looks {
    fn new() -> Self {
        Self {
            state: String::new(),
            highest: 0,
        }
    }

    async fn next(&mut self, target: &dyn Target) -> Vec<Found> {
        let mark = self.highest + 1_000;
        let look = Look {
            mark,
            highest: self.highest,
            state: self.state.clone(),
            pending: String::new(),
        };
        let seen = target.look(&[], &look).await.unwrap();
        (self.state, self.highest) = (seen.state, mark);
        seen.found
    }
}

/// Each primary has a mark of its own.
#[tokio::test]
async fn one_primary_of_a_cluster_loses_all() {
    let (servers, url) = cluster().await;
    for prefix in ["", "kv:", "{shop}:"] {
        let (cluster, mut looks) = (target(&url, prefix), Looks::new());
        for _ in 0..3 {
            assert_eq!(looks.next(&cluster).await, []);
        }
        let mut lost = 0;
        for server in &servers {
            let mut connection = connect(&server.url()).await;
            cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
            let found = looks.next(&cluster).await;
            lost += found.len();
            assert!(
                found.iter().all(|found| found.loss == Loss::Everything),
                "{found:?}"
            );
            // It has a new mark by the next look.
            assert_eq!(looks.next(&cluster).await, []);
            assert_eq!(looks.next(&cluster).await, []);
        }
        // With a hash tag for a prefix all keys are in one slot; the other primaries hold nothing that could be lost.
        let all = servers.len();
        assert_eq!(lost, if prefix == "{shop}:" { 1 } else { all }, "{prefix:?}");
    }
}

/// Without the right to ask for its life a restart with the newest mark does not show; a flush does.
#[tokio::test]
async fn a_writer_without_the_right_to_info_sees_the_mark() {
    let server = Server::start(closed_port().await, &[]).await;
    let mut connection = connect(&server.url()).await;
    let rules = "on >geheim ~* -@all +ping +get +getrange +set +del +scan +fcall +function|load";
    let mut acl = cmd("ACL");
    acl.arg("SETUSER").arg("writer");
    for rule in rules.split(' ') {
        acl.arg(rule);
    }
    acl.exec_async(&mut connection).await.unwrap();
    let writer = target(&format!("redis://writer:geheim@127.0.0.1:{}", server.port), "");
    let mut looks = Looks::new();
    for _ in 0..2 {
        assert_eq!(looks.next(&writer).await, []);
    }
    live(&writer, put("product:1", 1, "{}")).await;
    cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
    let found = looks.next(&writer).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].loss, Loss::Everything);
}

/// The mark is replaced when memory is used up too.
#[tokio::test]
async fn a_look_passes_where_memory_is_used_up() {
    let server = Server::start(closed_port().await, &["--maxmemory-policy", "noeviction"]).await;
    let mut connection = connect(&server.url()).await;
    let (full, mut looks) = (target(&server.url(), ""), Looks::new());
    assert_eq!(looks.next(&full).await, []);
    let mut set = cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg(1);
    set.exec_async(&mut connection).await.unwrap();
    for _ in 0..2 {
        assert_eq!(looks.next(&full).await, []);
    }
}
