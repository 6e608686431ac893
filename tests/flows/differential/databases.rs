//! Databases of cases. To create one costs the server more than a whole case does, so they are emptied and used again.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use pubsync_tests::{Scratch, naive::Engine};

const EMPTY: &str = "DROP SCHEMA public CASCADE; DROP SCHEMA IF EXISTS pubsync CASCADE; CREATE SCHEMA public";

/// No case is about a server that dies: commits need not wait for the disk.
const AT_EASE: &str = "DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
END $$";

/// Databases of failed cases that may stand at a time.
const SPENT: usize = 8;

/// PostgreSQL databases that nobody uses now. SQLite's are files, made anew.
#[derive(Debug, Default)]
pub struct Databases {
    free: Mutex<Vec<Scratch>>,
    /// Of failed cases, which may still have connections.
    spent: Mutex<Vec<Scratch>>,
}

impl Databases {
    pub async fn take(&self, engine: Engine) -> Scratch {
        if engine == Engine::Sqlite {
            return Scratch::sqlite("differential");
        }
        let free = locked(&self.free).pop();
        match free {
            Some(scratch) => scratch,
            None => {
                let scratch = Scratch::postgres("differential").await;
                scratch.script(AT_EASE).await;
                scratch
            }
        }
    }

    /// For the next case.
    pub async fn give_back(&self, engine: Engine, scratch: Scratch) {
        if engine == Engine::Postgres && scratch.session().await.execute(EMPTY).await.is_ok() {
            locked(&self.free).push(scratch);
        }
    }

    /// What a failed case leaves behind.
    pub fn leave(&self, scratch: Scratch) {
        let mut spent = locked(&self.spent);
        spent.push(scratch);
        if spent.len() >= SPENT {
            take_away(spent.drain(..));
        }
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        let mut all = std::mem::take(&mut *locked(&self.free));
        all.append(&mut locked(&self.spent));
        take_away(all);
    }
}

fn locked(list: &Mutex<Vec<Scratch>>) -> MutexGuard<'_, Vec<Scratch>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// At once: the server writes everything to its disk before it takes one away, and does that for all who wait in one go.
fn take_away(databases: impl IntoIterator<Item = Scratch>) {
    thread::scope(|scope| {
        for database in databases {
            scope.spawn(move || drop(database));
        }
    });
}
