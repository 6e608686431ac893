//! What targets lose of what they had accepted. The product must notice it and send it again; until then readers see what
//! they see, which is declared.

use std::time::Duration;

use tokio::time::Instant;

use super::{Arena, wires::Service};
use crate::{
    pace,
    violations::Broken,
    windows::{OPENSEARCH, REDIS},
};

/// Everything is sent again, beside all that changes meanwhile: so many times the limit of other faults.
const REPAIR: u32 = 3;
const LOOK: Duration = Duration::from_millis(250);
/// An engine that started again has forgotten deletes only, of which there may be none.
const FORGOTTEN: Duration = Duration::from_secs(20);

impl Arena<'_> {
    /// Redis is empty.
    pub(super) async fn flushed(&mut self) {
        let since = self.now().await;
        let _window = self.windows.open(REDIS);
        self.redis.flush().await;
        if !self.repaired("storage", since, self.limit * REPAIR).await {
            self.unnoticed("that Redis was flushed");
        }
    }

    /// The index of some document is gone.
    pub(super) async fn index_deleted(&mut self) -> bool {
        let document = *self.random.one_of(&crate::shop::names());
        let Some(index) = self.world.search().indexes_of(document).await.pop() else {
            return false;
        };
        let since = self.now().await;
        let _window = self.windows.open(OPENSEARCH);
        self.world.search().lose(&index).await;
        if !self.repaired("search", since, self.limit * REPAIR).await {
            self.unnoticed(&format!("that the index {index} was deleted"));
        }
        true
    }

    /// Dead, and started again after a while.
    pub(super) async fn service_killed(&mut self, service: Service) {
        let own = self.own().clone();
        if service != Service::OpenSearch {
            own.kill(service.name()).await;
            self.a_while().await;
            return own.start().await;
        }
        let since = self.now().await;
        let _window = self.windows.open(OPENSEARCH);
        own.kill(service.name()).await;
        self.a_while().await;
        own.start().await;
        // Where there was no delete to forget, nothing is noted.
        self.repaired("search", since, FORGOTTEN).await;
    }

    fn unnoticed(&self, what: &str) {
        let what = format!(
            "{what} was not noticed and repaired within {:?}",
            self.limit * REPAIR
        );
        self.violations.add(Broken::Slow, what);
    }

    /// By the database's clock, in microseconds.
    async fn now(&self) -> i64 {
        let query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        self.world.session().await.number(query).await
    }

    /// Waits until a loss was noted since then, and everything that answers it is done.
    async fn repaired(&mut self, target: &str, since: i64, limit: Duration) -> bool {
        let query = format!(
            "SELECT 1 FROM pubsync.health h WHERE target = '{target}' AND lost_at >= {since} AND pending = '' \
             AND NOT EXISTS (SELECT 1 FROM pubsync.run r \
                             WHERE r.target = h.target AND r.kind = 'repair' AND r.finished_at IS NULL)"
        );
        let mut session = self.world.session().await;
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if !session.rows(&query).await.is_empty() {
                let whole = self.beacons.converge(limit).await.is_ok();
                self.repaired.add(begun.elapsed());
                return whole;
            }
            pace::pause(LOOK).await;
        }
        false
    }
}
