//! `status` and `failures`: reads, prints.

use std::fmt::Write as _;

use pubsync_schema::failure;
use pubsync_synchronizer::removing::Removal;
use pubsync_synchronizer::status::{self, Status, TargetStatus};

use crate::config::Config;
use crate::fail::Fail;
use crate::terminal::{duration, print};
use crate::wiring::{self, FEW};

/// Failures that one listing shows.
const LISTED: u64 = 1000;

pub async fn status(config: Config, json: bool) -> Result<(), Fail> {
    let wired = wiring::wire(config, FEW).await?;
    let status = status::status(&wired.store).await?;
    print(json, &status, || text(&status));
    Ok(())
}

fn text(status: &Status) -> String {
    let mut out = format!("{}\n", status.sentence);
    let _ = writeln!(
        out,
        "\noutbox  {} rows, oldest {}\nledger  {} messages, oldest {}",
        status.outbox_rows,
        duration(status.outbox_oldest_age_seconds),
        status.ledger_rows,
        duration(status.ledger_oldest_age_seconds)
    );
    for queue in &status.queues {
        let _ = writeln!(
            out,
            "  {:<40} {} waiting, {} out",
            queue.queue, queue.unclaimed, queue.outstanding
        );
    }
    let _ = writeln!(
        out,
        "\n{:<24} {:>10} {:>10} {:>10}",
        "document", "definition", "documents", "tombstones"
    );
    for d in &status.documents {
        let _ = writeln!(
            out,
            "{:<24} {:>10} {:>10} {:>10}",
            d.document, d.definition, d.documents, d.tombstones
        );
    }
    for target in &status.targets {
        let _ = writeln!(out, "\n{}", target_line(target));
    }
    for pause in &status.paused {
        let _ = writeln!(out, "\npaused: {}: {}", pause.subject, pause.reason);
    }
    for group in &status.failures {
        let target = group
            .target
            .as_deref()
            .map(|t| format!(" at {t}"))
            .unwrap_or_default();
        let _ = writeln!(
            out,
            "\n{} × {} {}{target} [{}]\n  {}",
            group.count, group.document, group.stage, group.class, group.error
        );
    }
    for index in &status.indexes {
        let said = index.advice.as_deref().unwrap_or("is being filled");
        let _ = writeln!(
            out,
            "\nnew index of {} at {}: {said}",
            index.document, index.target
        );
    }
    for removal in &status.removals {
        let _ = writeln!(out, "\n{}", taken_away(removal));
    }
    for run in &status.runs {
        let _ = writeln!(
            out,
            "\nrun {} {} {}: {} of {}, {} failed",
            run.id, run.kind, run.document, run.done, run.total, run.failed
        );
    }
    out.trim_end().to_owned()
}

/// `target storage: looked at 2 s ago; lost something 3 m ago (…), 2 repairs go on`
fn target_line(target: &TargetStatus) -> String {
    let mut line = format!("target {}: ", target.health.target);
    line += &match target.looked_at_age_seconds {
        Some(age) => format!("looked at {} ago", duration(age)),
        None => "never looked at".to_owned(),
    };
    if let Some(error) = &target.health.error {
        line += &format!("; cannot be looked at: {error}");
    }
    if let Some(age) = target.lost_at_age_seconds {
        let why = target.health.loss.as_deref().unwrap_or_default();
        let repairs = match target.repairs {
            0 => "repaired".to_owned(),
            1 => "1 repair goes on".to_owned(),
            n => format!("{n} repairs go on"),
        };
        line += &format!("; lost something {} ago ({why}), {repairs}", duration(age));
    }
    line
}

fn taken_away(removal: &Removal) -> String {
    let targets: Vec<&str> = removal.targets.iter().map(String::as_str).collect();
    let what = match (targets.as_slice(), removal.whole) {
        ([], _) => "its queues and tables are left".to_owned(),
        (targets, true) => format!("from {}, then its queues and tables", targets.join(", ")),
        (targets, false) => format!("from {}", targets.join(", ")),
    };
    format!("being taken away: {}: {what}", removal.document)
}

pub async fn failures(config: Config, json: bool) -> Result<(), Fail> {
    let wired = wiring::wire(config, FEW).await?;
    let failures = failure::list(&wired.store.read, &wired.store, LISTED).await?;
    print(json, &failures, || {
        let line = |f: &failure::Failure| {
            let place = f.key.as_deref().or(f.root.as_deref()).unwrap_or("-");
            let target = f.target.as_deref().unwrap_or("mirror");
            format!(
                "{} {} {place} → {target} [{}], {} attempts: {}",
                f.stage, f.document, f.class, f.attempts, f.error
            )
        };
        failures.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}
