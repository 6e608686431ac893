//! Targets that answer, and take no writes for a while: nothing is lost of what they held.

use super::Arena;

impl Arena<'_> {
    /// Every write is over its memory.
    pub(super) async fn redis_full(&mut self) {
        self.redis.must::<()>("CONFIG SET maxmemory 1").await;
        self.a_while().await;
        self.redis.must::<()>("CONFIG SET maxmemory 0").await;
    }

    /// A replica of nobody: it serves what it holds and is read only, as after a failover that clients have not followed.
    pub(super) async fn redis_read_only(&mut self) {
        self.redis.must::<()>("REPLICAOF 192.0.2.1 1").await;
        self.a_while().await;
        self.redis.must::<()>("REPLICAOF NO ONE").await;
    }

    /// It knows the functions of the guard no more.
    pub(super) async fn functions_flushed(&mut self) {
        self.redis.must::<()>("FUNCTION FLUSH").await;
    }

    /// The index of some document is blocked, as by a full disk.
    pub(super) async fn index_blocked(&mut self) -> bool {
        let document = *self.random.one_of(&crate::shop::names());
        if self.world.search().indexes_of(document).await.is_empty() {
            return false;
        }
        self.world.search().set(document, "blocks.write", "true").await;
        self.a_while().await;
        self.world.search().set(document, "blocks.write", "false").await;
        true
    }
}
