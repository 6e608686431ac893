//! Moments that chance meets too rarely: each is what one guard of the product is for. Products that nothing else changes, the
//! probes, go through it; what must be there of them is looked at as everything else is.

use std::time::Duration;

use pubsync_tests::{
    Session,
    proxy::{At, Rule, Side, Then},
};
use tokio::time::Instant;

use super::{Arena, Fault, wires::Service};
use crate::{
    fleet::{PODS_OF_A_ROLE, Role},
    pace,
    shop::{FIRST_PROBE, PROBE_KEY, PROBES},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A transaction that has its place in the outbox commits after others that came later (no last id).
    CommittedLate,
    /// A change is taken back while a publisher waits for the locks of its roots (lock, look, write).
    ThereAndBack,
    /// Messages go to a queue that is not there, while nobody listens who would make it (`mandatory`).
    QueueMissing,
    /// A write reaches Redis after newer ones and after deletes of the same keys (guard, tombstones).
    Overtaken,
    /// Of a bulk some items are refused, longer than they are tried at once (outcomes by item).
    ItemsRefused,
}

pub(super) const MOMENTS: &[(&str, Fault)] = &[
    (
        "PostgreSQL: committed after later ones",
        Fault::Probe(Moment::CommittedLate),
    ),
    (
        "PostgreSQL: there and back, roots locked",
        Fault::Probe(Moment::ThereAndBack),
    ),
    (
        "RabbitMQ: queue missing, nobody listens",
        Fault::Probe(Moment::QueueMissing),
    ),
    ("Redis: writes overtaken", Fault::Probe(Moment::Overtaken)),
    (
        "OpenSearch: 429 for some items",
        Fault::Probe(Moment::ItemsRefused),
    ),
];

/// How long a moment is waited for.
const MET: Duration = Duration::from_secs(15);
/// How long a publisher waits for locks before it looks again: a moment between two looks is none.
const LOCKED: Duration = Duration::from_secs(4);
const TRIES: usize = 5;
/// Others commit meanwhile.
const LATE: Duration = Duration::from_secs(3);
/// Shorter than the product waits for an answer of Redis.
const HELD_UP: Duration = Duration::from_secs(8);
/// Longer than items are tried again at once.
const REFUSED: Duration = Duration::from_secs(20);

/// Changes the probes with these ids.
fn counted(by: i64, ids: &str) -> String {
    format!("UPDATE stock SET amount = amount + {by} WHERE product_id IN ({ids})")
}

fn ids() -> impl Iterator<Item = i64> {
    FIRST_PROBE..FIRST_PROBE + PROBES
}

fn all() -> String {
    ids().map(|id| id.to_string()).collect::<Vec<_>>().join(",")
}

impl Arena<'_> {
    pub(super) async fn probe(&mut self, moment: Moment) -> bool {
        self.make_probes().await;
        match moment {
            Moment::CommittedLate => self.committed_late().await,
            Moment::ThereAndBack => self.there_and_back().await,
            Moment::QueueMissing => self.queue_missing().await,
            Moment::Overtaken => self.overtaken().await,
            Moment::ItemsRefused => self.items_refused().await,
        }
    }

    /// Those that were deleted by an earlier one.
    async fn make_probes(&self) {
        let end = FIRST_PROBE + PROBES - 1;
        self.world
            .script(&format!(
                "INSERT INTO product SELECT n, 'PROBE-' || n, 0, 1, n, '', 0 FROM generate_series({FIRST_PROBE}, {end}) AS n \
                 ON CONFLICT DO NOTHING; \
                 INSERT INTO stock SELECT id * 2, id, 10 FROM product WHERE id BETWEEN {FIRST_PROBE} AND {end} \
                 ON CONFLICT DO NOTHING"
            ))
            .await;
    }

    async fn committed_late(&self) -> bool {
        let mut late = self.world.session().await;
        for statement in ["BEGIN".to_owned(), counted(1, &all())] {
            self.must(&mut late, &statement).await;
        }
        // What arrives was taken from the outbox, and every relay has taken some of it.
        pace::pause(LATE).await;
        let others = self.beacons.converge(self.limit).await.is_ok();
        self.must(&mut late, "COMMIT").await;
        others
    }

    /// One publisher waits with the change, others with its end: whoever looked before the locks came has seen another state
    /// than the one it writes over. Where those come too late, all of it is done again.
    async fn there_and_back(&self) -> bool {
        let (mut holder, mut application) = (self.world.session().await, self.world.session().await);
        let roots = ids().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
        let lock =
            format!("SELECT 1 FROM pubsync.root_product WHERE root IN ({roots}) ORDER BY root FOR UPDATE");
        let pid = holder.rows("SELECT pg_backend_pid()").await[0][0].clone();
        let pid = pid.expect("a number");
        for _ in 0..TRIES {
            for statement in ["BEGIN", &lock] {
                self.must(&mut holder, statement).await;
            }
            self.must(&mut application, &counted(1, &all())).await;
            let waits = self.wait_behind(&pid, 1, MET).await;
            // Each on its own: some go to publishers that do not wait yet.
            for id in ids() {
                self.must(&mut application, &counted(-1, &id.to_string())).await;
            }
            let met = waits && self.wait_behind(&pid, 2, LOCKED).await;
            self.must(&mut holder, "ROLLBACK").await;
            if met {
                return true;
            }
        }
        false
    }

    /// Whether so many sessions wait for this one, or for those that do, before it has lasted too long. A transaction sees
    /// the sessions as they were when it first asked, so the one that is waited for cannot ask itself.
    async fn wait_behind(&self, pid: &str, sessions: usize, limit: Duration) -> bool {
        let query = format!(
            "WITH RECURSIVE behind (pid) AS (SELECT {pid} UNION \
             SELECT a.pid FROM behind b, pg_stat_activity a WHERE a.datname = current_database() \
             AND a.wait_event_type = 'Lock' AND b.pid = ANY(pg_blocking_pids(a.pid))) SELECT pid::text FROM behind"
        );
        let (mut observer, begun) = (self.world.session().await, Instant::now());
        while begun.elapsed() < limit {
            if observer.rows(&query).await.len() > sessions {
                return true;
            }
            pace::pause(Duration::from_millis(25)).await;
        }
        false
    }

    /// The queue is one that is empty, so nothing is lost with it but what is sent to it while it is not there.
    async fn queue_missing(&mut self) -> bool {
        let queues = self.world.broker().queues().await;
        let Some((queue, _)) = queues
            .into_iter()
            .find(|(name, _)| name == "publish.product.bulk")
        else {
            return false;
        };
        // What has no row here is done.
        let open = format!("SELECT 1 FROM pubsync.ledger WHERE queue = '{queue}' HAVING count(*) = 0");
        if !self.comes(&open).await {
            return false;
        }
        let frozen: Vec<_> = (0..PODS_OF_A_ROLE)
            .map(|_| self.fleet.freeze(Role::Publisher))
            .collect();
        self.world.broker().delete_queue(&queue).await;
        let counted = counted(1, &all());
        self.world
            .script(&format!(
                "BEGIN; SET LOCAL pubsync.lane = 'bulk'; {counted}; COMMIT"
            ))
            .await;
        let sent = format!("SELECT 1 FROM pubsync.ledger WHERE queue = '{queue}' AND sent_at IS NOT NULL");
        let met = self.comes(&sent).await;
        for victim in frozen {
            self.fleet.thaw(victim);
        }
        met
    }

    /// Whether the query gives a row before too long.
    async fn comes(&self, query: &str) -> bool {
        let (mut session, begun) = (self.world.session().await, Instant::now());
        while begun.elapsed() < MET {
            if !session.rows(query).await.is_empty() {
                return true;
            }
            pace::pause(Duration::from_millis(25)).await;
        }
        false
    }

    async fn overtaken(&mut self) -> bool {
        let held = Rule::new(Side::Client, "FCALL", At::Before, Then::Delay(HELD_UP)).holding(PROBE_KEY);
        let mut armed = self.wires.of(Service::Redis).arm(held, 1);
        self.world.script(&counted(1, &all())).await;
        if tokio::time::timeout(MET, armed.fired()).await.is_err() {
            return false;
        }
        let fired = Instant::now();
        let mut application = self.world.session().await;
        for id in ids() {
            let newer = match id % 2 {
                0 => format!("DELETE FROM product WHERE id = {id}"),
                _ => counted(1, &id.to_string()),
            };
            self.must(&mut application, &newer).await;
        }
        pace::pause(HELD_UP.saturating_sub(fired.elapsed())).await;
        true
    }

    async fn items_refused(&mut self) -> bool {
        let refused = Rule::new(Side::Client, "POST _bulk", At::Before, Then::RefuseItems).holding(PROBE_KEY);
        let mut armed = self.wires.of(Service::OpenSearch).arm(refused, usize::MAX);
        self.world.script(&counted(1, &all())).await;
        if tokio::time::timeout(MET, armed.fired()).await.is_err() {
            return false;
        }
        pace::pause(REFUSED).await;
        true
    }

    async fn must(&self, session: &mut Session, statement: &str) {
        let done = session.execute(statement).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}
