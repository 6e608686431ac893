//! Sessions of the application that run [`Changes`] at the same time.

use std::{collections::BTreeMap, sync::Arc};

use pubsync_tests::{Database, Session, World};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::changes::{Change, Changes, KINDS};

/// Sessions at work.
pub struct Application {
    finished: watch::Receiver<usize>,
    sessions: JoinHandle<Tally>,
}

/// What became of the changes.
#[derive(Debug, Default)]
pub struct Tally {
    /// Rows that committed changes wrote, by kind.
    pub rows: BTreeMap<&'static str, u64>,
    pub committed: usize,
    pub rolled_back: usize,
    /// Ended by the database, hence rolled back too.
    pub refused: usize,
}

impl Application {
    /// Starts `sessions` sessions with `changes` changes each.
    pub fn start(world: &World, seed: u64, sessions: u64, changes: usize) -> Self {
        let (sender, finished) = watch::channel(0);
        let (sender, database) = (Arc::new(sender), world.database().clone());
        let mut running = JoinSet::new();
        for session in 0..sessions {
            running.spawn(one_session(
                database.clone(),
                Changes::seeded(seed, session),
                changes,
                Arc::clone(&sender),
            ));
        }
        let sessions = tokio::spawn(async move {
            let mut all = Tally::default();
            for tally in running.join_all().await {
                all.add(tally);
            }
            all
        });
        Self { finished, sessions }
    }

    /// Waits until so many changes have ended.
    pub async fn reached(&mut self, changes: usize) {
        self.finished
            .wait_for(|finished| *finished >= changes)
            .await
            .expect("the sessions are at work");
    }

    /// Waits for the end of all sessions.
    pub async fn done(self) -> Tally {
        self.sessions.await.expect("no session fails")
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        for (kind, rows) in other.rows {
            *self.rows.entry(kind).or_default() += rows;
        }
        self.committed += other.committed;
        self.rolled_back += other.rolled_back;
        self.refused += other.refused;
    }

    /// # Panics
    /// Where a kind of change never wrote a row, so that the test would prove less than it says.
    pub fn assert_everything_happened(&self) {
        let idle: Vec<&str> = KINDS
            .iter()
            .map(|(kind, _)| *kind)
            .filter(|kind| self.rows.get(kind).is_none_or(|rows| *rows == 0))
            .collect();
        assert!(idle.is_empty(), "these changes wrote nothing: {idle:?}");
        assert!(self.rolled_back > 0, "no change was rolled back");
        assert!(
            self.refused * 5 < self.committed,
            "too much was refused: {self:?}"
        );
    }
}

async fn one_session(
    database: Database,
    changes: Changes,
    count: usize,
    finished: Arc<watch::Sender<usize>>,
) -> Tally {
    let mut session = database.session().await;
    let mut tally = Tally::default();
    for change in changes.take(count) {
        match run(&mut session, &change).await {
            Ok(_) if change.rolled_back => tally.rolled_back += 1,
            Ok(rows) => {
                tally.committed += 1;
                *tally.rows.entry(change.kind).or_default() += rows;
            }
            Err(error) => {
                assert!(is_everyday(&error), "{change:#?}\n{error}");
                tally.refused += 1;
            }
        }
        finished.send_modify(|finished| *finished += 1);
    }
    tally
}

/// What a concurrent application must live with: rows that another one took or needs, deadlocks.
fn is_everyday(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.is_unique_violation()
            || error.is_foreign_key_violation()
            || error.code().as_deref() == Some("40P01")
    })
}

/// Runs the transaction; after an error it is rolled back.
async fn run(session: &mut Session, change: &Change) -> Result<u64, sqlx::Error> {
    session.execute(begin(session)).await?;
    let mut rows = 0;
    for statement in &change.statements {
        match session.execute(&spelled(session, statement)).await {
            Ok(written) => rows += written,
            Err(error) => {
                session.execute("ROLLBACK").await?;
                return Err(error);
            }
        }
    }
    session
        .execute(if change.rolled_back { "ROLLBACK" } else { "COMMIT" })
        .await?;
    Ok(rows)
}

fn begin(session: &Session) -> &'static str {
    match session {
        Session::Postgres(_) => "BEGIN",
        // A deferred transaction that reads first could not wait for the writer.
        Session::Sqlite(_) => "BEGIN IMMEDIATE",
    }
}

/// SQLite ignores case, so its names are PostgreSQL's without underscores.
fn spelled(session: &Session, statement: &str) -> String {
    match session {
        Session::Postgres(_) => statement.to_owned(),
        Session::Sqlite(_) => statement.replace('_', ""),
    }
}
