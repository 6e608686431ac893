//! The shop's application: sessions that change rows at a pace, each transaction with a stamp.

mod changes;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use pubsync_tests::{Random, Session, World};
use sqlx::{Connection, PgConnection};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use self::changes::Changes;
use crate::{
    beacons::Beacons,
    pace,
    shop::Sizes,
    stamps::{Fate, Stamps},
};

const SESSIONS: u64 = 4;
/// The application pauses while changes take longer than this: a machine that is too slow for the load shall not spend the
/// whole run on a backlog.
const TOO_SLOW: Duration = Duration::from_secs(8);
/// Until the database is asked again for a connection.
const AGAIN: Duration = Duration::from_millis(200);

/// What the application did.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Tally {
    pub committed: u64,
    pub rolled_back: u64,
    /// Ended by the database: deadlocks, taken keys, terminated sessions.
    pub refused: u64,
    /// The connection died over the COMMIT.
    pub unknown: u64,
    /// Rows that committed transactions wrote.
    pub rows: u64,
    /// Committed changes by kind.
    pub kinds: BTreeMap<&'static str, u64>,
}

/// What all sessions share.
pub struct Workload {
    url: String,
    sizes: Sizes,
    stamps: Arc<Stamps>,
    beacons: Arc<Beacons>,
    /// The last id that was given to a new row.
    ids: AtomicI64,
    tally: Mutex<Tally>,
    resting: AtomicBool,
}

/// No transaction begins while it lives.
pub struct Rest<'a>(&'a AtomicBool);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Sessions at work.
pub struct Running {
    stop: CancellationToken,
    sessions: JoinSet<()>,
}

/// One transaction to be run.
struct Transaction {
    statements: Vec<(&'static str, String)>,
    stamp: i64,
    rolled_back: bool,
    /// How long it stays open after its last statement.
    open: Duration,
}

impl Workload {
    pub fn new(world: &World, sizes: Sizes, stamps: Arc<Stamps>, beacons: Arc<Beacons>) -> Arc<Self> {
        let pubsync_tests::Database::Postgres { url } = world.database() else {
            panic!("the torture runs on PostgreSQL")
        };
        Arc::new(Self {
            url: url.clone(),
            sizes,
            stamps,
            beacons,
            ids: AtomicI64::new(10_000_000),
            tally: Mutex::default(),
            resting: AtomicBool::new(false),
        })
    }

    /// The application rests.
    pub fn rest(&self) -> Rest<'_> {
        self.resting.store(true, Ordering::SeqCst);
        Rest(&self.resting)
    }

    pub fn tally(&self) -> Tally {
        self.tally.lock().expect("no holder of it panics").clone()
    }

    /// Starts sessions that together run so many transactions a second, if the database bears it.
    pub fn start(self: &Arc<Self>, random: &mut Random, transactions_per_second: f64) -> Running {
        let stop = CancellationToken::new();
        let mut sessions = JoinSet::new();
        let every = Duration::from_secs_f64(SESSIONS as f64 / transactions_per_second);
        for _ in 0..SESSIONS {
            let (workload, random, stop) = (Arc::clone(self), random.fork(), stop.clone());
            sessions.spawn(async move { workload.session(random, every, stop).await });
        }
        Running { stop, sessions }
    }

    async fn session(&self, random: Random, every: Duration, stop: CancellationToken) {
        let mut changes = Changes::new(random, self.sizes);
        let mut session = connect(&self.url).await;
        let mut next = Instant::now();
        while !stop.is_cancelled() {
            if self.resting.load(Ordering::SeqCst) || self.beacons.lag() > TOO_SLOW {
                pace::pause(AGAIN).await;
                continue;
            }
            let transaction = self.invent(&mut changes);
            if !self.run(&mut session, &transaction).await {
                session = connect(&self.url).await;
            }
            next = (next + every).max(Instant::now());
            tokio::select! {
                () = stop.cancelled() => {}
                () = pace::pause(next.duration_since(Instant::now())) => {}
            }
        }
    }

    fn invent(&self, changes: &mut Changes) -> Transaction {
        let stamp = self.stamps.begin();
        let long = changes.random.percent(1);
        let count = match changes.random.up_to(10) {
            1..=6 => changes.random.up_to(3),
            7..=9 => changes.random.up_to(12),
            _ => changes.random.up_to(50),
        };
        let statements = (0..count).map(|_| changes.next(stamp, &self.ids, long)).collect();
        Transaction {
            statements,
            stamp,
            rolled_back: changes.random.percent(5),
            open: Duration::from_millis(if long {
                1000 + changes.random.up_to(4000)
            } else {
                0
            }),
        }
    }

    /// Whether the connection is still good.
    async fn run(&self, session: &mut Session, transaction: &Transaction) -> bool {
        let written = self.write(session, transaction).await;
        let (fate, good, rows) = match written {
            Err(error) => {
                let good = is_everyday(&error) && session.execute("ROLLBACK").await.is_ok();
                (Fate::RolledBack, good, 0)
            }
            Ok(_) if transaction.rolled_back => {
                (Fate::RolledBack, session.execute("ROLLBACK").await.is_ok(), 0)
            }
            Ok(rows) => {
                self.stamps.becomes(transaction.stamp, Fate::Committing);
                match session.execute("COMMIT").await {
                    Ok(_) => (Fate::Committed, true, rows),
                    Err(error) if is_everyday(&error) => (Fate::RolledBack, true, 0),
                    Err(_) => (Fate::Unknown, false, 0),
                }
            }
        };
        self.stamps.becomes(transaction.stamp, fate);
        self.count(transaction, fate, rows);
        good
    }

    async fn write(&self, session: &mut Session, transaction: &Transaction) -> Result<u64, sqlx::Error> {
        session.execute("BEGIN").await?;
        let mut rows = 0;
        for (kind, statement) in &transaction.statements {
            rows += session.execute(statement).await.inspect_err(|error| {
                assert!(
                    is_everyday(error) || !is_answer(error),
                    "{kind}: {statement}\n{error}"
                );
            })?;
        }
        pace::pause(transaction.open).await;
        Ok(rows)
    }

    fn count(&self, transaction: &Transaction, fate: Fate, rows: u64) {
        let mut tally = self.tally.lock().expect("no holder of it panics");
        match fate {
            Fate::Committed => {
                tally.committed += 1;
                tally.rows += rows;
                for (kind, _) in &transaction.statements {
                    *tally.kinds.entry(kind).or_default() += 1;
                }
            }
            Fate::RolledBack if transaction.rolled_back => tally.rolled_back += 1,
            Fate::RolledBack => tally.refused += 1,
            Fate::Unknown | Fate::Open | Fate::Committing => tally.unknown += 1,
        }
    }
}

impl Running {
    /// Lets the sessions end their transactions.
    pub async fn stop(self) {
        self.stop.cancel();
        self.sessions.join_all().await;
    }
}

/// Connects, as often as it takes: the database may be away.
pub async fn connect(url: &str) -> Session {
    loop {
        match PgConnection::connect(url).await {
            Ok(connection) => {
                let mut session = Session::Postgres(connection);
                // Deadlocks are part of the load; nobody shall wait a second for each.
                if session.execute("SET deadlock_timeout = '100ms'").await.is_ok() {
                    return session;
                }
            }
            Err(_) => pace::pause(AGAIN).await,
        }
    }
}

/// The server answered, and the connection lives.
fn is_everyday(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return false;
    };
    error.is_unique_violation()
        || error.is_foreign_key_violation()
        || error.code().as_deref() == Some("40P01")
}

/// The server answered something that no fault explains: 57P01 to 57P03 are terminated and starting servers.
fn is_answer(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| !code.starts_with("57P"))
}
