//! Runs commands on the pool, heals what a new connection or loaded functions heal, and says whom an error concerns.

use ::redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value, from_redis_value};
use deadpool::managed::{Object, PoolError};

use super::connection::{Manager, Pool};
use super::errors::{Verdict, text, verdict};
use super::functions;
use crate::target::TargetError;
use crate::targets::config::{Address, InvalidTarget};

/// Connections of one process; each carries one call at a time, so a big one delays no other.
pub const CONNECTIONS: usize = 8;

/// How often the functions are loaded for one request: somebody may flush them in between.
const LOADS: usize = 3;

/// Each command's own result, in order.
type Replies = Vec<RedisResult<Value>>;

/// Answer of SCAN: the next cursor and stored names, which need not be UTF-8 where others write too.
pub type Found = (String, Vec<Vec<u8>>);

/// One Redis or cluster, under the target's name.
pub struct Client {
    target: String,
    address: Address,
    pool: Pool,
    cluster: bool,
}

impl Client {
    pub fn new(target: &str, address: &Address, installation: &str) -> Result<Self, InvalidTarget> {
        // The error's detail could hold a part of the url; its category does not.
        let manager = Manager::new(address.reveal(), format!("pubsync/{installation}")).map_err(|error| {
            let reason = format!("the url {address} cannot be used: {}", error.category());
            InvalidTarget::new(target, reason)
        })?;
        let cluster = manager.is_cluster();
        let pool = Pool::builder(manager).max_size(CONNECTIONS).build();
        let pool = pool.map_err(|error| InvalidTarget::new(target, error))?;
        Ok(Self {
            target: target.to_owned(),
            address: address.clone(),
            pool,
            cluster,
        })
    }

    pub fn is_cluster(&self) -> bool {
        self.cluster
    }

    /// Runs a pipeline of one function call; its entries, or an error that concerns this call only.
    pub async fn call(&self, pipeline: Pipeline) -> Result<RedisResult<Vec<Value>>, TargetError> {
        let reply = only(self.run(pipeline, None).await?);
        match reply.and_then(|value| Ok(from_redis_value::<Vec<Value>>(value)?)) {
            Ok(entries) => Ok(Ok(entries)),
            Err(error) => self.blame(&error).map_or(Ok(Err(error)), Err),
        }
    }

    /// Reads with one command a key; a value of another type counts as nothing there.
    pub async fn read(&self, commands: Pipeline) -> Result<Vec<Option<Vec<u8>>>, TargetError> {
        let mut values = Vec::with_capacity(commands.len());
        for reply in self.run(commands, None).await? {
            match reply.and_then(|value| Ok(from_redis_value(value)?)) {
                Ok(value) => values.push(value),
                Err(error) if matches!(verdict(&error), Verdict::Item(_)) => values.push(None),
                Err(error) => return Err(self.blame_or_down(&error)),
            }
        }
        Ok(values)
    }

    /// The nodes a scan walks: the primaries of a cluster, in a fixed order; else one without a name.
    pub async fn nodes(&self) -> Result<Vec<String>, TargetError> {
        let nodes = self.primaries().await?;
        Ok(nodes.into_iter().map(|(address, _)| address).collect())
    }

    /// The primaries of a cluster by address, each with a slot that it has; else one without a name.
    pub async fn primaries(&self) -> Result<Vec<(String, Option<u16>)>, TargetError> {
        if !self.cluster {
            return Ok(vec![(String::new(), None)]);
        }
        let mut pipeline = ::redis::pipe();
        pipeline.cmd("CLUSTER").arg("NODES");
        let answer = self
            .read(pipeline)
            .await?
            .into_iter()
            .flatten()
            .next()
            .unwrap_or_default();
        let mut nodes = primaries(&String::from_utf8_lossy(&answer));
        nodes.sort();
        if nodes.is_empty() {
            Err(self.down("the cluster names no primaries".to_owned()))
        } else {
            Ok(nodes)
        }
    }

    /// One SCAN on one node: the node's next cursor and the names it gave.
    pub async fn scan(
        &self,
        node: &str,
        cursor: &str,
        glob: &str,
        count: usize,
    ) -> Result<Found, TargetError> {
        let mut scan = ::redis::pipe();
        scan.cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(glob)
            .arg("COUNT")
            .arg(count);
        let reply = only(self.run(scan, Some(node)).await?);
        let found = reply.and_then(|value| Ok(from_redis_value(value)?));
        found.map_err(|error| self.blame_or_down(&error))
    }

    /// What a node is, the same until it is started again or another takes its place; `None` where we may not ask, or do
    /// not know whom. And the answer to a call on it; without a name of a node, on that of its key.
    pub async fn identify(&self, node: &str, call: Cmd) -> Result<(Option<String>, Value), TargetError> {
        let mut pipeline = ::redis::pipe();
        if self.cluster && node.is_empty() {
            pipeline.add_command(call);
            let answer = only(self.run(pipeline, None).await?);
            return Ok((None, answer.map_err(|error| self.blame_or_down(&error))?));
        }
        pipeline.cmd("INFO").arg("server").arg("replication");
        pipeline.add_command(call);
        let mut replies = self.run(pipeline, Some(node)).await?.into_iter();
        let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
        let (info, answer) = (next(), next());
        let life = match info.and_then(|value| Ok(from_redis_value::<String>(value)?)) {
            Ok(info) => Some(life(&info)),
            Err(error) if error.code() == Some("NOPERM") => None,
            Err(error) => return Err(self.blame_or_down(&error)),
        };
        Ok((life, answer.map_err(|error| self.blame_or_down(&error))?))
    }

    /// Runs the commands, on the named node or wherever their keys are. They may run twice.
    async fn run(&self, mut commands: Pipeline, node: Option<&str>) -> Result<Replies, TargetError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        commands.ignore_errors();
        let mut result = self.attempt(&commands, node).await;
        for _ in 0..LOADS {
            if !met(&result, |error| verdict(error) == Verdict::Load) {
                break;
            }
            self.load().await?;
            result = self.attempt(&commands, node).await;
        }
        result.map_err(|error| self.blame_or_down(&error))
    }

    /// Loads the functions, in the place of older ones.
    pub async fn load(&self) -> Result<(), TargetError> {
        let mut pipeline = ::redis::pipe();
        pipeline
            .cmd("FUNCTION")
            .arg("LOAD")
            .arg("REPLACE")
            .arg(functions::library())
            .ignore_errors();
        match self.attempt(&pipeline, None).await.and_then(only) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.blame(&error).unwrap_or_else(|| self.refused(text(&error)))),
        }
    }

    /// One try, and one more where the connection led to no server or to a replica.
    async fn attempt(&self, commands: &Pipeline, node: Option<&str>) -> RedisResult<Replies> {
        let first = self.once(commands, node).await;
        if met(&first, |error| verdict(error) == Verdict::Reconnect) {
            return self.once(commands, node).await;
        }
        first
    }

    /// One try on one connection. Where it may be broken it is dropped, and with it those that rest in the pool: they lead
    /// to the same server.
    async fn once(&self, commands: &Pipeline, node: Option<&str>) -> RedisResult<Replies> {
        let mut connection = self.pool.get().await.map_err(pool_error)?;
        let result = connection.run(commands, node).await;
        if met(&result, |error| {
            error.is_io_error() || verdict(error) == Verdict::Reconnect
        }) {
            drop(Object::take(connection));
            self.pool.retain(|_, _| false);
        }
        result
    }

    /// The error of the target as a whole, if it is one.
    fn blame(&self, error: &RedisError) -> Option<TargetError> {
        match verdict(error) {
            Verdict::Retry if !self.cluster => Some(self.refused(format!(
                "{} (a cluster wants redis-cluster:// in the url)",
                text(error)
            ))),
            Verdict::Item(_) | Verdict::Retry | Verdict::Unknown => None,
            Verdict::Down | Verdict::Load => Some(self.down(text(error))),
            Verdict::Reconnect if error.is_io_error() => Some(self.down(text(error))),
            Verdict::Refused | Verdict::Reconnect => Some(self.refused(text(error))),
        }
    }

    fn blame_or_down(&self, error: &RedisError) -> TargetError {
        self.blame(error).unwrap_or_else(|| self.down(text(error)))
    }

    pub fn down(&self, reason: String) -> TargetError {
        TargetError::Down {
            target: self.target.clone(),
            address: self.address.to_string(),
            reason,
        }
    }

    pub fn refused(&self, reason: String) -> TargetError {
        TargetError::Refused {
            target: self.target.clone(),
            address: self.address.to_string(),
            reason,
        }
    }
}

/// Whether the whole, or one of its replies, is such an error.
fn met(result: &RedisResult<Replies>, such: impl Fn(&RedisError) -> bool) -> bool {
    match result {
        Ok(replies) => replies.iter().any(|reply| reply.as_ref().is_err_and(&such)),
        Err(error) => such(error),
    }
}

/// The reply to the only command.
fn only(replies: Replies) -> RedisResult<Value> {
    replies.into_iter().next().unwrap_or(Ok(Value::Nil))
}

fn pool_error(error: PoolError<RedisError>) -> RedisError {
    match error {
        PoolError::Backend(error) => error,
        other => (
            ErrorKind::Client,
            "no connection from the pool",
            other.to_string(),
        )
            .into(),
    }
}

/// The run and the replication history in the answer of INFO.
fn life(info: &str) -> String {
    let line = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
    };
    format!("{}/{}", line("run_id:").trim(), line("master_replid:").trim())
}

/// The addresses of all primaries with slots in the answer of CLUSTER NODES, each with its first slot. One that is down
/// stays in: without its keys a scan would not be whole.
fn primaries(nodes: &str) -> Vec<(String, Option<u16>)> {
    let mut out = Vec::new();
    for line in nodes.lines() {
        // id, host:port@bus[,hostname], flags, primary, ping, pong, epoch, link, slots…
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [_, address, flags, _, _, _, _, _, slots @ ..] = &fields[..]
            && flags.split(',').any(|flag| flag == "master")
            // Slots that come or go stand in brackets.
            && let Some(first) = slots.iter().find_map(|range| range.split('-').next()?.parse().ok())
        {
            out.push((
                address.split(['@', ',']).next().unwrap_or(address).to_owned(),
                Some(first),
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primaries_are_those_with_slots() {
        let nodes = "\
a 10.0.0.1:6379@16379,host myself,master - 0 0 1 connected 0-100 200
b 10.0.0.2:6379@16379 slave a 0 0 1 connected
c 10.0.0.3:6379@16379 master,fail - 0 0 2 disconnected 101-199
d 10.0.0.4:6379@16379 master,fail - 0 0 2 disconnected
";
        let primary = |address: &str, slot| (address.to_owned(), Some(slot));
        assert_eq!(
            primaries(nodes),
            [primary("10.0.0.1:6379", 0), primary("10.0.0.3:6379", 101)]
        );
    }

    #[test]
    fn a_life_is_a_run_and_a_history() {
        let info =
            "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n\r\n# Replication\r\nmaster_replid:def\r\n";
        assert_eq!(life(info), "abc/def");
    }
}
