//! Runs commands on the pool, heals what a new connection or loaded functions heal, and says whom an error concerns.

use std::time::Duration;

use ::redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value, from_redis_value};
use deadpool::managed::{Object, PoolError};
use pubsync_worker::backoff::Backoff;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Manager, Pool};
use super::errors::{Verdict, text, verdict};
use super::functions;
use super::nodes::{self, Primary};
use crate::target::TargetError;
use crate::targets::config::{Address, InvalidTarget};

/// Connections of one process; each carries one call at a time, so a big one delays no other.
pub const CONNECTIONS: usize = 8;

/// How often the functions are loaded for one request: somebody may flush them in between, or a primary is new.
const LOADS: u32 = 4;

/// Between two times.
const LOADING: Backoff = Backoff {
    first: Duration::from_millis(50),
    cap: Duration::from_secs(1),
};

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

    /// Runs function calls, on the named node or wherever their keys are: for each its entries, or an error that concerns
    /// this call only.
    pub async fn call(
        &self,
        calls: Pipeline,
        node: Option<&str>,
    ) -> Result<Vec<RedisResult<Vec<Value>>>, TargetError> {
        let replies = self.run(calls, node).await?.into_iter();
        let answer = |reply: RedisResult<Value>| match reply
            .and_then(|value| Ok(from_redis_value::<Vec<Value>>(value)?))
        {
            Ok(entries) => Ok(Ok(entries)),
            Err(error) => self.blame(&error).map_or(Ok(Err(error)), Err),
        };
        replies.map(answer).collect()
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

    /// The primaries of a cluster by address; else one without a name.
    pub async fn primaries(&self) -> Result<Vec<Primary>, TargetError> {
        if !self.cluster {
            return Ok(vec![Primary::default()]);
        }
        let mut slots = ::redis::pipe();
        slots.cmd("CLUSTER").arg("SLOTS");
        let answer = only(self.run(slots, None).await?).map_err(|error| self.blame_or_down(&error))?;
        match nodes::primaries(&answer) {
            Some(primaries) if !primaries.is_empty() => Ok(primaries),
            _ => Err(self.down("the cluster does not say where its slots are".to_owned())),
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
        let result = self.attempt(&commands, node).await;
        result.map_err(|error| self.blame_or_down(&error))
    }

    /// Loads the functions, in the place of older ones.
    pub async fn load(&self) -> Result<(), TargetError> {
        match self.attempt(&library(), None).await.and_then(only) {
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
        let result = with_functions(&mut connection, commands, node).await;
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

/// Runs the commands, and those again that found no functions, after these were loaded. On the same connection: on a cluster it
/// has just learnt of the primary that is new. It may have asked a node that did not know of it yet, hence the waits.
async fn with_functions(
    connection: &mut Connection,
    commands: &Pipeline,
    node: Option<&str>,
) -> RedisResult<Replies> {
    let mut replies = connection.run(commands, node).await?;
    for attempt in 0..LOADS {
        let missing = |at: &usize| matches!(&replies[*at], Err(error) if verdict(error) == Verdict::Load);
        let places: Vec<usize> = (0..replies.len()).filter(missing).collect();
        if places.is_empty() {
            break;
        }
        if attempt > 0 {
            LOADING.wait(attempt, &CancellationToken::new()).await;
        }
        connection.run(&library(), None).await.and_then(only)?;
        let each: Vec<&Cmd> = commands.cmd_iter().collect();
        let mut again = ::redis::pipe();
        again.ignore_errors();
        for at in &places {
            again.add_command(each[*at].clone());
        }
        let answers = connection.run(&again, node).await?;
        for (at, answer) in places.into_iter().zip(answers) {
            replies[at] = answer;
        }
    }
    Ok(replies)
}

/// The command that loads the functions, in the place of older ones.
fn library() -> Pipeline {
    let mut pipeline = ::redis::pipe();
    pipeline
        .cmd("FUNCTION")
        .arg("LOAD")
        .arg("REPLACE")
        .arg(functions::library())
        .ignore_errors();
    pipeline
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_a_run_and_a_history() {
        let info =
            "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n\r\n# Replication\r\nmaster_replid:def\r\n";
        assert_eq!(life(info), "abc/def");
    }
}
