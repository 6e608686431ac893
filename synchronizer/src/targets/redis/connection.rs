//! Connections to one Redis or a Redis cluster, in a pool. A connection that failed is dropped, never mended: the next
//! one is made anew, so a failover or a half-open peer costs one try.

use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::cluster::{ClusterClient, ClusterClientBuilder};
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use ::redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, Pipeline, RedisError, RedisResult, Value};
use deadpool::managed::{self, Metrics, RecycleResult};
use futures::{StreamExt, stream};

const CONNECT: Duration = Duration::from_secs(5);
const RESPONSE: Duration = Duration::from_secs(10);

/// More tries of the cluster client for one command, and the shortest and longest wait between two, in milliseconds: about
/// half a second in all, in which an ordinary move of a slot ends. What takes longer is the caller's.
const CLUSTER_RETRIES: u32 = 6;
const CLUSTER_WAITS: (u64, u64) = (10, 200);

/// Commands under way at once where a cluster takes them one by one.
pub const CLUSTER_WINDOW: usize = 64;

pub type Pool = managed::Pool<Manager>;

/// Makes connections; the pool calls it.
pub struct Manager {
    server: Server,
    /// Shown by `CLIENT LIST`.
    client_name: String,
}

enum Server {
    Node(Client),
    Cluster(Box<ClusterClient>),
}

impl Manager {
    /// `redis://…` is one node; `redis-cluster://[user][:password@]h1:p1,h2:p2` names some nodes of a cluster.
    pub fn new(url: &str, client_name: String) -> RedisResult<Self> {
        let server = match url.strip_prefix("redis-cluster://") {
            Some(rest) => Server::Cluster(Box::new(cluster(rest)?)),
            None => Server::Node(Client::open(url)?),
        };
        Ok(Self { server, client_name })
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self.server, Server::Cluster(_))
    }
}

fn cluster(rest: &str) -> RedisResult<ClusterClient> {
    let (login, nodes) = rest
        .rsplit_once('@')
        .map_or(("", rest), |(login, nodes)| (login, nodes));
    let at = if login.is_empty() { "" } else { "@" };
    let nodes = nodes.trim_end_matches('/').split(',');
    let infos = nodes.map(|node| format!("redis://{login}{at}{node}").into_connection_info());
    ClusterClientBuilder::new(infos.collect::<RedisResult<Vec<_>>>()?)
        .connection_timeout(CONNECT)
        .response_timeout(RESPONSE)
        .retries(CLUSTER_RETRIES)
        .min_retry_wait(CLUSTER_WAITS.0)
        .max_retry_wait(CLUSTER_WAITS.1)
        .build()
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = RedisError;

    async fn create(&self) -> RedisResult<Connection> {
        match &self.server {
            Server::Node(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT))
                    .set_response_timeout(Some(RESPONSE));
                let mut connection = client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await?;
                // A narrow ACL may forbid it; the name is only for people.
                let name = ::redis::cmd("CLIENT")
                    .arg("SETNAME")
                    .arg(&self.client_name)
                    .to_owned();
                let _ = name.exec_async(&mut connection).await;
                Ok(Connection::Node(connection))
            }
            Server::Cluster(client) => Ok(Connection::Cluster(client.get_async_connection().await?)),
        }
    }

    /// No ping: a dead connection shows with its first command, which is then run again on a new one.
    async fn recycle(&self, _: &mut Connection, _: &Metrics) -> RecycleResult<RedisError> {
        Ok(())
    }
}

/// One connection of the pool.
pub enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Runs all commands, each with its own result. On a cluster each finds the node of its key, or all go to the named
    /// one (`host:port`); a single server has one node only.
    pub async fn run(
        &mut self,
        commands: &Pipeline,
        node: Option<&str>,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        match self {
            Self::Node(connection) => commands.query_async(connection).await,
            Self::Cluster(cluster) => {
                let each = commands.cmd_iter().map(|command| {
                    let (mut cluster, to) = (cluster.clone(), node.and_then(route));
                    async move {
                        match to {
                            // It gives an error of the server as a value.
                            Some(to) => cluster
                                .route_command(command.clone(), to)
                                .await
                                .and_then(::redis::Value::extract_error),
                            None => command.query_async(&mut cluster).await,
                        }
                    }
                });
                Ok(stream::iter(each.collect::<Vec<_>>())
                    .buffered(CLUSTER_WINDOW)
                    .collect()
                    .await)
            }
        }
    }
}

fn route(node: &str) -> Option<RoutingInfo> {
    let (host, port) = node.rsplit_once(':')?;
    let to = SingleNodeRoutingInfo::ByAddress {
        host: host.to_owned(),
        port: port.parse().ok()?,
    };
    Some(RoutingInfo::SingleNode(to))
}
