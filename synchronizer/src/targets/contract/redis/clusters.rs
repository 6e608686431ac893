//! Redis clusters: three primaries, slots that move, nodes that die or are new.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::super::scan;
use super::{
    Case, Server, Value, closed_port, cmd, connect, exercise, from_redis_value, live, products, put, target,
};
use crate::target::{Accept, Outcome, Target, TargetError, Write};

const PRIMARIES: u16 = 3;
const SLOTS: u16 = 16_384;

/// Three primaries with a third of the slots each, and the url of all.
pub async fn cluster() -> (Vec<Server>, String) {
    let start = |_| async {
        let (port, bus) = (closed_port().await, closed_port().await.to_string());
        let options = ["--cluster-enabled", "yes", "--cluster-port", &bus];
        (Server::start(port, &options).await, bus)
    };
    let mut servers = join_all((0..PRIMARIES).map(start)).await;
    for (at, (server, _)) in servers.iter().enumerate() {
        let (first, after) = (before(at as u16), before(at as u16 + 1));
        ask(server, &format!("CLUSTER ADDSLOTSRANGE {first} {}", after - 1)).await;
        for (other, bus) in &servers[..at] {
            ask(server, &format!("CLUSTER MEET 127.0.0.1 {} {bus}", other.port)).await;
        }
    }
    for (server, _) in &mut servers {
        server.logged("Cluster state changed: ok").await;
    }
    let servers: Vec<Server> = servers.into_iter().map(|(server, _)| server).collect();
    let nodes: Vec<String> = servers
        .iter()
        .map(|server| format!("127.0.0.1:{}", server.port))
        .collect();
    (servers, format!("redis-cluster://{}", nodes.join(",")))
}

/// Slots of the primaries before this one.
fn before(at: u16) -> u16 {
    (u32::from(at) * u32::from(SLOTS) / u32::from(PRIMARIES)) as u16
}

/// Runs a command, which is its words with single blanks between them.
async fn ask(server: &Server, command: &str) -> String {
    let mut words = command.split(' ');
    let mut asked = cmd(words.next().unwrap());
    asked.arg(words.collect::<Vec<_>>());
    let mut connection = connect(&server.url()).await;
    let answer: Value = asked.query_async(&mut connection).await.unwrap();
    from_redis_value(answer).unwrap_or_default()
}

/// The slot of a key, the place of the primary that got it at first, and that of another one.
async fn place(servers: &[Server], key: &str) -> (u16, usize, usize) {
    let slot = ask(&servers[0], &format!("CLUSTER KEYSLOT {key}")).await;
    let slot: u16 = slot.parse().unwrap();
    let holds = |at: &u16| (before(*at)..before(*at + 1)).contains(&slot);
    let held = usize::from((0..PRIMARIES).find(holds).unwrap());
    (slot, held, (held + 1) % servers.len())
}

/// The first step of a move.
async fn open_slot(servers: &[Server], (slot, from, to): (u16, usize, usize)) {
    let ids = [
        ask(&servers[from], "CLUSTER MYID").await,
        ask(&servers[to], "CLUSTER MYID").await,
    ];
    ask(
        &servers[to],
        &format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[0]),
    )
    .await;
    ask(
        &servers[from],
        &format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[1]),
    )
    .await;
}

/// The rest of a move of a slot with this one key.
async fn move_on(servers: &[Server], (slot, from, to): (u16, usize, usize), key: &str) {
    let port = servers[to].port;
    ask(&servers[from], &format!("MIGRATE 127.0.0.1 {port} {key} 0 10000")).await;
    let id = ask(&servers[to], "CLUSTER MYID").await;
    let others = (0..servers.len()).filter(|at| *at != to);
    for at in [to].into_iter().chain(others) {
        ask(&servers[at], &format!("CLUSTER SETSLOT {slot} NODE {id}")).await;
    }
}

fn writes(revision: i64) -> Vec<Write> {
    (0..200)
        .map(|at| put(&format!("product:{at}"), revision, "{}"))
        .collect()
}

#[tokio::test]
async fn a_cluster_keeps_the_contract() {
    let (servers, url) = cluster().await;
    let cluster = target(&url, "kv:");
    let bad = put("t:{bad}", 1, "{}");
    exercise(Case {
        target: &cluster,
        shows_tombstones: true,
        bad,
    })
    .await;
    let single = target(&servers[0].url(), "kv:");
    let error = single
        .apply(&products(), &writes(1), Accept::Higher)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, TargetError::Refused { reason, .. } if reason.contains("redis-cluster")),
        "{error}"
    );
}

/// Key and tombstone cannot be written together while their slot is between two primaries. That concerns nobody else.
#[tokio::test]
async fn a_slot_that_moves_holds_up_its_own_keys_only() {
    let (servers, url) = cluster().await;
    let cluster = target(&url, "");
    let all = writes(1);
    cluster.apply(&products(), &all, Accept::Higher).await.unwrap();
    let moving = place(&servers, "product:7").await;
    open_slot(&servers, moving).await;
    let outcomes = cluster
        .apply(&products(), &writes(2), Accept::Higher)
        .await
        .unwrap();
    for (at, outcome) in outcomes.iter().enumerate() {
        let slot = place(&servers[..], &all[at].key).await.0;
        match outcome {
            Outcome::Retry(reason) if slot == moving.0 => assert!(reason.contains("TRYAGAIN"), "{reason}"),
            outcome => assert!(
                slot != moving.0 && *outcome == Outcome::Applied,
                "{at}: {outcome:?}"
            ),
        }
    }
    cluster.ping().await.unwrap();
    move_on(&servers, moving, "product:7").await;
    assert_eq!(live(&cluster, put("product:7", 2, "{}")).await, Outcome::Applied);
    assert_eq!(live(&cluster, put("product:7", 1, "{}")).await, Outcome::Stale);
}

/// A walk in small pages, during which a key moves from where the walk has not been to where it has been.
#[tokio::test]
async fn a_walk_begins_again_when_a_slot_moves() {
    let (servers, url) = cluster().await;
    let cluster = target(&url, "");
    let all = writes(1);
    cluster.apply(&products(), &all, Accept::Higher).await.unwrap();
    // By port, as the walk goes: from the last node to the first one.
    let mut order: Vec<usize> = (0..servers.len()).collect();
    order.sort_by_key(|at| format!("127.0.0.1:{}", servers[*at].port));
    let (first, last) = (order[0], order[order.len() - 1]);
    let mut moving = None;
    for write in &all {
        let (slot, held, _) = place(&servers, &write.key).await;
        if held == last {
            moving = Some((write.key.clone(), (slot, held, first)));
            break;
        }
    }
    let (key, moving) = moving.unwrap();

    let (mut found, mut cursor, mut moved) = (BTreeSet::new(), None, false);
    loop {
        let page = cluster.scan(&products(), cursor, 10).await.unwrap();
        found.extend(page.keys.into_iter().map(|(key, _)| key));
        cursor = page.next;
        let Some(next) = &cursor else {
            break;
        };
        let there = next.contains(&format!(":{} ", servers[last].port));
        if there && !moved {
            assert!(!found.contains(&key));
            open_slot(&servers, moving).await;
            move_on(&servers, moving, &key).await;
            moved = true;
        }
    }
    assert!(moved, "the walk never came to the last node");
    let missing: Vec<&Write> = all.iter().filter(|write| !found.contains(&write.key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // A node that is no more, as after a failover.
    let gone = Some("0123456789abcdef 127.0.0.1:1 17".to_owned());
    cluster.scan(&products(), gone, 10).await.unwrap();
}

/// Each connection may be the first to meet the new primary.
#[tokio::test]
async fn a_primary_without_functions_gets_them() {
    let (servers, url) = cluster().await;
    let cluster = target(&url, "");
    for (revision, server) in (1..).zip(&servers) {
        ask(server, "FUNCTION FLUSH").await;
        let all = writes(revision);
        let outcomes = cluster.apply(&products(), &all, Accept::Higher).await.unwrap();
        assert_eq!(outcomes, vec![Outcome::Applied; all.len()]);
    }
    assert_eq!(scan(&cluster, &products(), 100).await.len(), 200);
}

#[tokio::test]
async fn a_primary_that_is_dead_shows() {
    let (mut servers, url) = cluster().await;
    let cluster = target(&url, "");
    cluster
        .apply(&products(), &writes(1), Accept::Higher)
        .await
        .unwrap();
    cluster.ping().await.unwrap();
    servers[1].child.kill().await.unwrap();
    let error = cluster.ping().await.unwrap_err();
    assert!(matches!(error, TargetError::Down { .. }), "{error:?}");
    // Others may still send to the dead one: then its keys are to be tried again.
    match cluster.apply(&products(), &writes(2), Accept::Higher).await {
        Err(error) => assert!(matches!(error, TargetError::Down { .. }), "{error:?}"),
        Ok(outcomes) => {
            let again = |outcome: &Outcome| matches!(outcome, Outcome::Retry(_));
            assert!(outcomes.iter().any(again), "{outcomes:?}");
        }
    }
}
