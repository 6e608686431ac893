//! Databases of cases. To create one costs the server more than a whole case does, so they are emptied and used again.

use std::sync::{Mutex, PoisonError};

use pubsync_tests::{Scratch, naive::Engine};

const EMPTY: &str = "DROP SCHEMA public CASCADE; DROP SCHEMA IF EXISTS pubsync CASCADE; CREATE SCHEMA public";

/// No case is about a server that dies: commits need not wait for the disk.
const AT_EASE: &str = "DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
END $$";

/// PostgreSQL databases that nobody uses now. SQLite's are files, made anew.
#[derive(Debug, Default)]
pub struct Databases(Mutex<Vec<Scratch>>);

impl Databases {
    pub async fn take(&self, engine: Engine) -> Scratch {
        if engine == Engine::Sqlite {
            return Scratch::sqlite("differential");
        }
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match free {
            Some(scratch) => scratch,
            None => {
                let scratch = Scratch::postgres("differential").await;
                scratch.script(AT_EASE).await;
                scratch
            }
        }
    }

    /// For the next case. What a failed case leaves behind is not given back.
    pub async fn give_back(&self, engine: Engine, scratch: Scratch) {
        if engine == Engine::Postgres && scratch.session().await.execute(EMPTY).await.is_ok() {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(scratch);
        }
    }
}
