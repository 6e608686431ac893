//! Commands that rebuild, send again, wait or compare.

use std::time::{Duration, Instant};

use pubsync_publisher::handwritten::Publishers;
use pubsync_publisher::operate::{rebuild, repair as repairing, verify as verifying};
use pubsync_publisher::registry::Registry;
use pubsync_schema::store::Store;
use pubsync_schema::wire::Selection;
use pubsync_schema::{definition, ledger, run};
use pubsync_synchronizer::quiet::{self, Waited};
use pubsync_synchronizer::resync as resyncing;

use super::{Documents, Wait};
use crate::config::Config;
use crate::fail::Fail;
use crate::terminal::{Progress, print};
use crate::wiring::{self, FEW, Wired};

/// Between two looks at a run.
const LOOK: Duration = Duration::from_millis(100);

async fn chosen(store: &Store, documents: &Documents) -> Result<Vec<String>, Fail> {
    let defined = definition::all(&store.read, store).await?;
    if documents.all {
        return Ok(defined.into_iter().map(|d| d.document).collect());
    }
    for name in &documents.names {
        rebuild::find(&defined, name)?;
    }
    Ok(documents.names.clone())
}

/// What `publish` is asked for.
pub struct Request<'a> {
    pub documents: &'a Documents,
    pub ids: Option<Vec<String>>,
    pub dry_run: bool,
}

pub async fn publish(
    config: Config,
    publishers: &Publishers,
    request: Request<'_>,
    wait: &Wait,
    json: bool,
) -> Result<(), Fail> {
    let Request {
        documents,
        ids,
        dry_run,
    } = request;
    let wired = wiring::wire(config, FEW).await?;
    let names = chosen(&wired.store, documents).await?;
    if dry_run {
        return count_roots(&wired, publishers, &names, ids.as_deref(), json).await;
    }
    let queued = rebuild::publish(&wired.store, &names, ids.as_deref()).await?;
    print(json, &queued, || {
        let line = |q: &rebuild::Queued| {
            format!(
                "run {}: {} of {}",
                q.run,
                q.roots.map_or("all roots".to_owned(), |n| format!("{n} roots")),
                q.document
            )
        };
        queued.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    let runs: Vec<i64> = queued.iter().map(|q| q.run).collect();
    finish(&wired.store, &runs, wait, "publish").await
}

async fn count_roots(
    wired: &Wired,
    publishers: &Publishers,
    names: &[String],
    ids: Option<&[String]>,
    json: bool,
) -> Result<(), Fail> {
    let street = wired.street().await?;
    let registry = Registry::load_with(&street, publishers).await?;
    let mut counts = Vec::new();
    for name in names {
        let count = match ids {
            Some(ids) => ids.len() as u64,
            None => verifying::count_roots(&street, &*compiled(&registry, name)?.publisher).await?,
        };
        counts.push(serde_json::json!({ "document": name, "roots": count }));
    }
    print(json, &counts, || {
        let line = |c: &serde_json::Value| {
            format!(
                "{} roots of {}",
                c["roots"],
                c["document"].as_str().unwrap_or_default()
            )
        };
        counts.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

fn compiled(
    registry: &Registry,
    document: &str,
) -> Result<std::sync::Arc<pubsync_publisher::registry::Compiled>, Fail> {
    let text = || {
        format!("document {document:?} cannot be used with the tables as they are now: see `pubsync check`")
    };
    registry.get(document).ok_or_else(|| Fail::Configuration(text()))
}

/// What a resync is narrowed to.
pub struct Narrowed {
    pub target: Option<String>,
    pub since: Option<String>,
    pub ids: Option<Vec<String>>,
    /// `store.code=DE`
    pub only: Vec<String>,
}

pub async fn resync(
    config: Config,
    documents: &Documents,
    selection: Narrowed,
    wait: &Wait,
    json: bool,
) -> Result<(), Fail> {
    let wired = wiring::wire(config, FEW).await?;
    let store = &wired.store;
    let names = chosen(store, documents).await?;
    let since = match &selection.since {
        Some(text) => Some(store.now().await? - parse_duration(text)?),
        None => None,
    };
    if let Some(target) = selection
        .target
        .as_ref()
        .filter(|t| !wired.targets.contains_key(*t))
    {
        let known: Vec<&str> = wired.targets.keys().map(String::as_str).collect();
        return Err(Fail::Usage(format!(
            "no target {target:?} in the configuration; there are: {}",
            known.join(", ")
        )));
    }
    let txn = store.begin().await?;
    let mut entries = Vec::new();
    for definition in definition::all(&txn, store)
        .await?
        .iter()
        .filter(|d| names.contains(&d.document))
    {
        let wanted = |name: &&String| selection.target.as_ref().is_none_or(|t| t == *name);
        for target in definition.shape.targets.keys().filter(wanted) {
            let shape = &definition.shape;
            let rows = Selection {
                since,
                roots: selection.ids.clone(),
                only: resyncing::only(shape, &selection.only).map_err(Fail::Usage)?,
                ..Selection::default()
            };
            entries.push(resyncing::start(&txn, store, shape, definition.number, target, rows).await?);
        }
    }
    ledger::insert(&txn, store, &entries).await?;
    txn.commit().await?;
    let runs: Vec<i64> = entries.iter().filter_map(|e| e.run).collect();
    print(json, &serde_json::json!({ "runs": runs }), || {
        let line = |e: &ledger::NewEntry| {
            format!(
                "run {}: {} → {}",
                e.run.unwrap_or_default(),
                e.document,
                e.target.as_deref().unwrap_or_default()
            )
        };
        entries.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    finish(store, &runs, wait, "resync").await
}

/// Waits for runs, with progress over all workers.
async fn finish(store: &Store, runs: &[i64], wait: &Wait, label: &str) -> Result<(), Fail> {
    if !wait.wait {
        return Ok(());
    }
    let progress = Progress::new(label);
    let deadline = Instant::now() + Duration::from_secs(wait.timeout);
    while ledger::of_runs(store, runs).await? > 0 {
        if Instant::now() > deadline {
            return Err(Fail::Part(format!(
                "{label} goes on after {} s; `pubsync status` shows how far it is",
                wait.timeout
            )));
        }
        let Totals { done, total, failed } = totals(store, runs).await?;
        progress.set(done + failed, total);
        tokio::time::sleep(LOOK).await;
    }
    progress.finish();
    let failed = totals(store, runs).await?.failed;
    if failed > 0 {
        return Err(Fail::Part(format!(
            "{failed} failed; `pubsync failures` says why"
        )));
    }
    Ok(())
}

/// Items of several runs.
#[derive(Default)]
struct Totals {
    done: u64,
    failed: u64,
    total: u64,
}

async fn totals(store: &Store, runs: &[i64]) -> Result<Totals, Fail> {
    let count = |n: i64| n.max(0) as u64;
    let list = run::list(&store.write, store, 1000).await?;
    let ours = list.iter().filter(|r| runs.contains(&r.id));
    Ok(ours.fold(Totals::default(), |sum, run| Totals {
        done: sum.done + count(run.done),
        failed: sum.failed + count(run.failed),
        total: sum.total + count(run.total),
    }))
}

pub async fn wait(config: Config, timeout: u64, json: bool) -> Result<(), Fail> {
    let wired = wiring::wire(config, FEW).await?;
    let waited = quiet::wait(&wired.store, Duration::from_secs(timeout)).await?;
    print(json, &waited, || match &waited {
        Waited::Synchronized => "everything committed before the call has reached its targets".to_owned(),
        Waited::Failures(_) | Waited::TimedOut => String::new(),
    });
    match waited {
        Waited::Synchronized => Ok(()),
        Waited::Failures(n) => Err(Fail::Part(format!(
            "{n} failures are open; `pubsync failures` says why"
        ))),
        Waited::TimedOut => Err(Fail::Part(format!(
            "not synchronized after {timeout} s; `pubsync status` says what is on its way"
        ))),
    }
}

pub async fn verify(
    config: Config,
    publishers: &Publishers,
    documents: &[String],
    repair: bool,
    json: bool,
) -> Result<(), Fail> {
    let wired = wiring::wire(config, FEW).await?;
    let names = chosen(
        &wired.store,
        &Documents {
            names: documents.to_vec(),
            all: documents.is_empty(),
        },
    )
    .await?;
    let street = wired.street().await?;
    let registry = Registry::load_with(&street, publishers).await?;
    let mut total = verifying::Report::default();
    for name in &names {
        let progress = Progress::new(&format!("verify {name}"));
        let report = verifying::twice(&street, &*compiled(&registry, name)?, &|done| {
            progress.set(done, 0)
        })
        .await?;
        progress.finish();
        total.add(report);
    }
    print(json, &total, || verified(&total));
    if total.is_equal() {
        return Ok(());
    }
    let differ = "source, mirror and targets differ";
    if !repair {
        return Err(Fail::Differences(differ.to_owned()));
    }
    let runs = repairing::repair(&wired.store, &total).await?;
    Err(Fail::Differences(healing(differ, &runs)))
}

/// What differs, and the runs that heal it.
fn healing(differ: &str, runs: &[i64]) -> String {
    let runs: Vec<String> = runs.iter().map(i64::to_string).collect();
    if runs.is_empty() {
        return format!("{differ}, and nothing can be queued that heals it: `pubsync failures` says why");
    }
    format!("{differ}; queued what heals them as runs {}", runs.join(", "))
}

fn verified(report: &verifying::Report) -> String {
    let mut lines = vec![format!(
        "{} roots built, {} documents compared",
        report.roots, report.documents
    )];
    for f in &report.findings {
        let place = f.target.as_deref().unwrap_or("mirror");
        let kind = format!("{:?}", f.kind).to_lowercase();
        lines.push(format!("{} {kind} in {place}: {}", f.count, f.document));
        lines.extend(f.keys.iter().map(|key| format!("  {key}")));
    }
    if report.is_equal() {
        lines.push("equal: 0 missing, 0 stale, 0 orphaned".to_owned());
    }
    lines.join("\n")
}

/// Microseconds of `30s`, `15m`, `2h`, `1d`.
fn parse_duration(text: &str) -> Result<i64, Fail> {
    let usage = || {
        Fail::Usage(format!(
            "--since {text}: write a number with s, m, h or d, such as 2h"
        ))
    };
    let unit = text.chars().last().ok_or_else(usage)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(usage()),
    };
    let number: i64 = text.trim_end_matches(unit).parse().map_err(|_| usage())?;
    number
        .checked_mul(seconds * 1_000_000)
        .filter(|n| *n >= 0)
        .ok_or_else(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_says_what_it_queued() {
        assert_eq!(
            healing("they differ", &[]),
            "they differ, and nothing can be queued that heals it: `pubsync failures` says why"
        );
        assert_eq!(
            healing("they differ", &[3, 4]),
            "they differ; queued what heals them as runs 3, 4"
        );
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("2h"), Ok(7_200_000_000));
        for wrong in ["", "2", "h", "-1s", "2w", "é"] {
            assert!(matches!(parse_duration(wrong), Err(Fail::Usage(_))), "{wrong}");
        }
    }
}
