//! `status`: where everything stands, from the database alone. Its first sentence answers the question.

use pubsync_schema::health::{self, Health};
use pubsync_schema::ledger::{self, QueueLoad};
use pubsync_schema::pause::{self, Pause};
use pubsync_schema::run::{self, Run};
use pubsync_schema::store::Store;
use pubsync_schema::{definition, mirror, outbox};
use sea_orm::{ConnectionTrait, DbErr};

use crate::moving::{self, Unready};
use crate::removing::{self, Removal};

/// Everything at a glance.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Status {
    /// Nothing on its way, nothing failed, nothing paused.
    pub in_sync: bool,
    pub sentence: String,
    pub outbox_rows: i64,
    /// Seconds since the oldest captured change that no relay has taken.
    pub outbox_oldest_age_seconds: f64,
    pub ledger_rows: i64,
    pub ledger_oldest_age_seconds: f64,
    pub queues: Vec<QueueLoad>,
    pub failures: Vec<FailureGroup>,
    pub paused: Vec<Pause>,
    pub documents: Vec<DocumentStatus>,
    /// Those that go on.
    pub runs: Vec<Run>,
    /// Indexes that are filled, and do not serve yet.
    pub indexes: Vec<Unready>,
    /// What is being taken away.
    pub removals: Vec<Removal>,
    /// Those that are looked at.
    pub targets: Vec<TargetStatus>,
}

/// A target itself: whether it is looked at, and what it has lost.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TargetStatus {
    #[serde(flatten)]
    pub health: Health,
    /// Seconds since the last look that it answered.
    pub looked_at_age_seconds: Option<f64>,
    /// Seconds since it was found to have lost something.
    pub lost_at_age_seconds: Option<f64>,
    /// Runs that send again what it has lost, and go on.
    pub repairs: i64,
}

/// Failures with one cause.
#[derive(Debug, Clone, serde::Serialize)]
pub struct FailureGroup {
    pub stage: String,
    pub document: String,
    pub target: Option<String>,
    pub class: String,
    pub count: i64,
    /// One of them.
    pub error: String,
}

#[derive(Debug, Clone, serde::Serialize)]
pub struct DocumentStatus {
    pub document: String,
    pub definition: i64,
    /// Live rows of the mirror.
    pub documents: i64,
    pub tombstones: i64,
    /// Live rows that were built with an older definition: the rebuild has not come to them, or they cannot be built.
    pub behind: i64,
}

/// Looks.
///
/// # Errors
/// Of the database.
pub async fn status(store: &Store) -> Result<Status, DbErr> {
    let now = store.now().await?;
    let age = |oldest: i64| {
        if oldest == 0 {
            0.0
        } else {
            (now - oldest).max(0) as f64 / 1e6
        }
    };
    let (outbox_rows, oldest) = outbox::load(store).await?;
    let queues = ledger::load(store).await?;
    let ledger_rows = queues.iter().map(|q| q.rows).sum();
    let ledger_oldest = queues.iter().map(|q| q.oldest_changed_at).min().unwrap_or(0);
    let failures = failure_groups(store).await?;
    let paused = pause::current(&store.read, store).await?;
    let mut documents = Vec::new();
    for definition in definition::all(&store.read, store).await? {
        let number = definition.number;
        let rows = mirror::counts(&store.read, store, &definition.document, number).await?;
        documents.push(DocumentStatus {
            document: definition.document,
            definition: definition.number,
            documents: rows.live,
            tombstones: rows.tombstones,
            behind: rows.behind,
        });
    }
    let runs = run::list(&store.read, store, 50)
        .await?
        .into_iter()
        .filter(|r| r.finished_at.is_none())
        .collect();
    let targets = target_statuses(store, now).await?;
    let failed: i64 = failures.iter().map(|f| f.count).sum();
    let removals = removing::under_way(store).await?;
    let indexes = moving::unready(store).await?;
    let mut why = reasons(outbox_rows, ledger_rows, failed, &paused);
    why.extend(removals.iter().map(Removal::sentence));
    why.extend(indexes.iter().filter_map(Unready::reason));
    Ok(Status {
        in_sync: why.is_empty(),
        sentence: sentence(&why),
        outbox_rows,
        outbox_oldest_age_seconds: age(oldest.unwrap_or(0)),
        ledger_rows,
        ledger_oldest_age_seconds: age(ledger_oldest),
        queues,
        failures,
        paused,
        documents,
        runs,
        indexes,
        removals,
        targets,
    })
}

async fn target_statuses(store: &Store, now: i64) -> Result<Vec<TargetStatus>, DbErr> {
    let repairs = run::repairs(&store.read, store).await?;
    let age = |at: i64| (now - at).max(0) as f64 / 1e6;
    let health = health::all(&store.read, store).await?;
    let status = |health: Health| TargetStatus {
        looked_at_age_seconds: health.looked_at.map(age),
        lost_at_age_seconds: health.lost_at.map(age),
        repairs: repairs.get(&health.target).copied().unwrap_or_default(),
        health,
    };
    Ok(health.into_iter().map(status).collect())
}

fn reasons(outbox: i64, ledger: i64, failed: i64, paused: &[Pause]) -> Vec<String> {
    let mut why = Vec::new();
    if outbox > 0 {
        why.push(format!("{outbox} captured changes wait for a relay"));
    }
    if ledger > 0 {
        why.push(format!("{ledger} messages are on their way"));
    }
    if failed > 0 {
        why.push(format!("{failed} failures are open"));
    }
    if !paused.is_empty() {
        why.push(format!("{} paused", paused.len()));
    }
    why
}

fn sentence(why: &[String]) -> String {
    if why.is_empty() {
        "in sync: nothing waits, nothing failed".to_owned()
    } else {
        format!("not in sync: {}", why.join(", "))
    }
}

/// What failed, by its cause.
pub(crate) async fn failure_groups(store: &Store) -> Result<Vec<FailureGroup>, DbErr> {
    let rows = failure_group_rows(store).await?;
    rows.iter()
        .map(|row| {
            Ok(FailureGroup {
                stage: row.try_get("", "stage")?,
                document: row.try_get("", "document")?,
                target: row.try_get("", "target")?,
                class: row.try_get("", "class")?,
                count: row.try_get("", "n")?,
                error: row.try_get("", "error")?,
            })
        })
        .collect()
}

async fn failure_group_rows(store: &Store) -> Result<Vec<sea_orm::QueryResult>, DbErr> {
    let sql = format!(
        "SELECT stage, document, target, class, count(*) AS n, min(error) AS error FROM {} GROUP BY stage, document, target, class \
         ORDER BY n DESC",
        store.names.table("failure")
    );
    store.read.query_all_raw(store.sql(sql, [])).await
}
