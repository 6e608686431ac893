//! A Redis cluster of one test's own: three primaries at first, whose slots can be moved and whose nodes can be killed.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;

use crate::{Documents, RedisServer, World, eventually};

const PRIMARIES: usize = 3;
const SLOTS: usize = 16_384;
const SOON: Duration = Duration::from_secs(120);

/// Keys that are moved at once.
const PAGE: usize = 100;

/// Its nodes; they die when it is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    /// What the nodes call themselves.
    ids: Vec<String>,
}

impl RedisCluster {
    /// Three primaries with a third of the slots each.
    pub async fn start(world: &World) -> Self {
        let nodes = join_all((0..PRIMARIES).map(|number| RedisServer::start_node(world, number))).await;
        let mut cluster = Self {
            nodes,
            ids: Vec::new(),
        };
        for (number, node) in cluster.nodes.iter().enumerate() {
            let (from, to) = (slots_before(number), slots_before(number + 1) - 1);
            node.must::<()>(&format!("CLUSTER ADDSLOTSRANGE {from} {to}"))
                .await;
            node.must::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))
                .await;
            cluster.ids.push(node.must("CLUSTER MYID").await);
        }
        for number in 1..PRIMARIES {
            cluster.meet(number).await;
        }
        cluster.agreed().await;
        cluster
    }

    /// What is configured as `url` of a target.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes = self.nodes.iter().take(PRIMARIES);
        let nodes: Vec<String> = nodes.map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }

    /// A node by its number.
    #[must_use]
    pub fn node(&self, number: usize) -> &RedisServer {
        &self.nodes[number]
    }

    /// One more node without slots; its number.
    pub async fn join(&mut self, world: &World) -> usize {
        let number = self.nodes.len();
        let node = RedisServer::start_node(world, number).await;
        self.ids.push(node.must("CLUSTER MYID").await);
        self.nodes.push(node);
        self.meet(number).await;
        self.agreed().await;
        number
    }

    /// One more node, which copies all that a primary does; its number.
    pub async fn join_as_replica(&mut self, world: &World, primary: usize) -> usize {
        let number = self.join(world).await;
        let node = &self.nodes[number];
        node.must::<()>(&format!("CLUSTER REPLICATE {}", self.ids[primary]))
            .await;
        self.linked(number, true).await;
        number
    }

    /// Until a replica has its link to its primary, or has lost it.
    pub async fn linked(&self, replica: usize, up: bool) {
        let line = format!("master_link_status:{}", if up { "up" } else { "down" });
        eventually(&line, SOON, async || {
            let info: String = self.nodes[replica].ask("INFO replication").await?;
            if info.contains(&line) { Ok(()) } else { Err(info) }
        })
        .await;
    }

    /// A replica takes the slots of its primary, dead or alive, without asking anybody.
    pub async fn take_over(&self, replica: usize) {
        let node = &self.nodes[replica];
        node.must::<()>("CLUSTER FAILOVER TAKEOVER").await;
        eventually("a promoted replica", SOON, async || {
            let info: String = node.ask("INFO replication").await?;
            if info.contains("role:master") {
                Ok(())
            } else {
                Err(info)
            }
        })
        .await;
    }

    /// All documents by key, from all primaries.
    ///
    /// # Panics
    /// Where two of them hold the same one.
    pub async fn documents(&self) -> Documents {
        let mut documents = Documents::new();
        for node in self.nodes.iter().filter(|node| node.runs()) {
            let info: String = node.must("INFO replication").await;
            if info.contains("role:master") {
                for (key, stored) in node.keys().documents().await {
                    assert!(
                        documents.insert(key.clone(), stored).is_none(),
                        "{key} stands twice"
                    );
                }
            }
        }
        documents
    }

    /// What a reader finds under a key, on whatever node it stands.
    pub async fn get(&self, key: &str) -> Option<String> {
        for node in self.nodes.iter().filter(|node| node.runs()) {
            // The others say where it is.
            if let Ok(Some(text)) = node.ask(&format!("GET {key}")).await {
                return Some(text);
            }
        }
        None
    }

    /// The slot of a key.
    pub async fn slot(&self, key: &str) -> u16 {
        self.nodes[0].must(&format!("CLUSTER KEYSLOT {key}")).await
    }

    /// The primary that got a slot at first.
    #[must_use]
    pub fn first_holder(&self, slot: u16) -> usize {
        (0..PRIMARIES)
            .rfind(|number| slots_before(*number) <= usize::from(slot))
            .expect("the first one begins at 0")
    }

    /// Moves a slot with all its keys from its first primary to another one.
    pub async fn move_slot(&self, slot: u16, to: usize) {
        let from = self.first_holder(slot);
        self.open_slot(slot, from, to).await;
        self.move_keys(slot, from, to).await;
        self.close_slot(slot, from, to).await;
    }

    /// The first step: new keys of the slot go to the other primary.
    pub async fn open_slot(&self, slot: u16, from: usize, to: usize) {
        let (importing, migrating) = (&self.ids[from], &self.ids[to]);
        self.nodes[to]
            .must::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {importing}"))
            .await;
        self.nodes[from]
            .must::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {migrating}"))
            .await;
    }

    /// The second one, until nothing is left.
    pub async fn move_keys(&self, slot: u16, from: usize, to: usize) {
        loop {
            let query = format!("CLUSTER GETKEYSINSLOT {slot} {PAGE}");
            let keys: Vec<String> = self.nodes[from].must(&query).await;
            if keys.is_empty() {
                return;
            }
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            self.move_some(&keys, from, to).await;
        }
    }

    /// These keys only, which hold no blanks.
    pub async fn move_some(&self, keys: &[&str], from: usize, to: usize) {
        let port = self.nodes[to].port();
        let mut migrate = redis::cmd("MIGRATE");
        migrate
            .arg("127.0.0.1")
            .arg(port)
            .arg("")
            .arg(0)
            .arg(10_000)
            .arg("KEYS")
            .arg(keys);
        let mut connection = self.nodes[from].keys().connection().await;
        let moved: String = migrate
            .query_async(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("MIGRATE {keys:?}: {error}"));
        assert!(["OK", "NOKEY"].contains(&moved.as_str()), "{moved}");
    }

    /// The last one: everybody knows whose slot it is.
    pub async fn close_slot(&self, slot: u16, from: usize, to: usize) {
        let done = format!("CLUSTER SETSLOT {slot} NODE {}", self.ids[to]);
        let others = (0..self.nodes.len()).filter(|number| *number != from && *number != to);
        for number in [to, from].into_iter().chain(others) {
            self.nodes[number].must::<()>(&done).await;
        }
    }

    /// How often the nodes have answered with this error, as `TRYAGAIN`.
    pub async fn errors(&self, code: &str) -> u64 {
        let name = format!("errorstat_{code}:count=");
        let mut count = 0;
        for node in &self.nodes {
            let info: String = node.must("INFO errorstats").await;
            let found = info.lines().find_map(|line| line.strip_prefix(&name));
            count += found.map_or(0, |number| number.trim().parse().expect("a count"));
        }
        count
    }

    pub fn kill(&mut self, number: usize) {
        self.nodes[number].kill();
    }

    /// On the same port, with its data; until it serves its slots, or copies its primary.
    pub async fn start_again(&mut self, number: usize) {
        self.nodes[number].start_again().await;
        self.agreed().await;
    }

    async fn meet(&self, number: usize) {
        let node = &self.nodes[number];
        self.nodes[0]
            .must::<()>(&format!("CLUSTER MEET 127.0.0.1 {} {}", node.port(), node.bus()))
            .await;
    }

    /// Until all nodes know each other, serve, and say the same of whose the slots are.
    async fn agreed(&self) {
        let (ok, all) = (
            "cluster_state:ok",
            format!("cluster_known_nodes:{}", self.nodes.len()),
        );
        eventually("a cluster that serves", SOON, async || {
            let mut holders = Vec::new();
            for node in &self.nodes {
                let info: String = node.ask("CLUSTER INFO").await?;
                let nodes: String = node.ask("CLUSTER NODES").await?;
                if !info.contains(ok) || !info.contains(&all) || nodes.contains("handshake") {
                    return Err(format!("{info}\n{nodes}"));
                }
                holders.push(slots_by_holder(&nodes));
            }
            match holders.iter().all(|known| *known == holders[0]) {
                true => Ok(()),
                false => Err(format!("{holders:?}")),
            }
        })
        .await;
    }
}

/// From the answer of CLUSTER NODES.
fn slots_by_holder(nodes: &str) -> BTreeMap<String, Vec<String>> {
    let line = |line: &str| {
        // id, address, flags, primary, ping, pong, epoch, link, slots; in brackets those that are open
        let mut fields = line.split_whitespace().map(str::to_owned);
        let id = fields.next()?;
        let slots: Vec<String> = fields.skip(7).filter(|slots| !slots.starts_with('[')).collect();
        (!slots.is_empty()).then_some((id, slots))
    };
    nodes.lines().filter_map(line).collect()
}

/// Slots of the primaries before this one.
fn slots_before(number: usize) -> usize {
    number * SLOTS / PRIMARIES
}
