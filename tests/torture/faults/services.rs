//! Faults of the services themselves.

use std::time::Duration;

use super::Arena;
use crate::pace;

/// The shortest alarm: the broker looks at its memory every 2.5 s.
const ALARM: Duration = Duration::from_secs(5);

impl Arena<'_> {
    /// A queue of the product with its messages; none where none is there, as just after another was deleted.
    async fn some_queue(&mut self) -> Option<String> {
        let mut queues = self.world.broker().queues().await;
        queues.retain(|(name, _)| !name.ends_with("dead"));
        // A queue that holds something loses something.
        let full: Vec<_> = queues
            .iter()
            .filter(|(_, messages)| *messages > 0)
            .cloned()
            .collect();
        let among = if full.is_empty() { queues } else { full };
        (!among.is_empty()).then(|| self.random.one_of(&among).0.clone())
    }

    pub(super) async fn queue_deleted(&mut self) -> bool {
        let Some(queue) = self.some_queue().await else {
            return false;
        };
        self.world.broker().delete_queue(&queue).await;
        true
    }

    pub(super) async fn queue_purged(&mut self) -> bool {
        let Some(queue) = self.some_queue().await else {
            return false;
        };
        self.world.broker().purge_queue(&queue).await;
        true
    }

    /// All of them at once.
    pub(super) async fn queues_deleted(&mut self) -> bool {
        self.world.broker().delete_queues().await > 0
    }

    /// With its queues, connections and rights; then there is one of the name again, empty.
    pub(super) async fn virtual_host_wiped(&mut self) {
        self.world.broker().recreate().await;
        self.secrets.admit(self.world).await;
    }

    /// The broker takes nothing from publishers for a while.
    pub(super) async fn memory_alarm(&mut self) {
        let own = self.own().clone();
        own.memory_of_rabbitmq(&["absolute", "1MB"]).await;
        pace::pause(ALARM).await;
        self.a_while().await;
        own.memory_of_rabbitmq(&["0.4"]).await;
    }

    pub(super) async fn redis_killed(&mut self) {
        self.redis.kill();
        self.a_while().await;
        self.redis.start_again().await;
    }

    /// Half of all sessions, the application's too.
    pub(super) async fn backends_terminated(&mut self) {
        self.world
            .script(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5",
            )
            .await;
    }

    /// Nobody reads or writes the table for a while.
    pub(super) async fn source_locked(&mut self) -> bool {
        self.locked("LOCK TABLE product IN ACCESS EXCLUSIVE MODE").await
    }

    /// Publishers wait for these roots.
    pub(super) async fn roots_locked(&mut self) -> bool {
        let some = "SELECT 1 FROM pubsync.root_product ORDER BY random() LIMIT 100 FOR UPDATE";
        self.locked(some).await
    }

    async fn locked(&mut self, lock: &str) -> bool {
        let mut session = self.world.session().await;
        for statement in ["BEGIN", lock] {
            let done = session.execute(statement).await;
            // A deadlock with the application is no lock.
            if done.is_err() {
                return false;
            }
        }
        self.a_while().await;
        session
            .execute("ROLLBACK")
            .await
            .unwrap_or_else(|error| panic!("{lock}: {error}"));
        true
    }
}
