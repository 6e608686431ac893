//! What a run was and what came of it, for people and for machines.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, process::Command, time::Duration};

use crate::{
    bounds::Most,
    metrics::Metrics,
    options::Options,
    timing::{Summary, Timing},
    violations::{Broken, Violations},
    workload::Tally,
};

#[derive(Debug, serde::Serialize)]
pub struct Report {
    command: String,
    commit: String,
    build: &'static str,
    options: Options,
    seconds: u64,
    rounds: u32,
    workload: Tally,
    /// Processes that were started.
    processes: u32,
    /// Faults by kind, with the time from their end to the arrival of all that was committed by then.
    faults: BTreeMap<&'static str, (u64, Option<Summary>)>,
    /// From the kill of a frozen process to the arrival of each change that it held.
    killed_to_reprocessed: Option<Summary>,
    /// From the loss of what a target held to the end of its repair.
    lost_to_repaired: Option<Summary>,
    /// From commit to Redis.
    calm: Option<Summary>,
    under_faults: Option<Summary>,
    /// From the end of load and faults to the return of `wait`.
    to_quiet: Option<Summary>,
    messages: u64,
    redelivered: u64,
    resent: u64,
    stale_writes: u64,
    applied_writes: u64,
    unchanged: u64,
    published: u64,
    compared: usize,
    reads: u64,
    waits_checked: u64,
    /// Messages that were published once more.
    echoes: u64,
    most: Most,
    broken: BTreeMap<Broken, u64>,
    examples: BTreeMap<Broken, Vec<String>>,
}

/// What the run collected.
pub struct Collected {
    pub options: Options,
    pub commit: String,
    pub lasted: Duration,
    pub rounds: u32,
    pub workload: Tally,
    pub processes: u32,
    pub faults: BTreeMap<&'static str, (u64, Timing)>,
    pub reprocessed: Timing,
    pub repaired: Timing,
    pub calm: Timing,
    pub under_faults: Timing,
    pub to_quiet: Timing,
    pub compared: usize,
    pub reads: u64,
    pub waits_checked: u64,
    pub echoes: u64,
    pub most: Most,
}

impl Report {
    pub fn new(collected: Collected, metrics: &Metrics, violations: &Violations) -> Self {
        let all = violations.all();
        let faults = collected.faults.into_iter();
        Self {
            command: std::env::args().collect::<Vec<_>>().join(" "),
            commit: collected.commit,
            build: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
            options: collected.options,
            seconds: collected.lasted.as_secs(),
            rounds: collected.rounds,
            workload: collected.workload,
            processes: collected.processes,
            faults: faults
                .map(|(name, (count, timing))| (name, (count, timing.summary())))
                .collect(),
            killed_to_reprocessed: collected.reprocessed.summary(),
            lost_to_repaired: collected.repaired.summary(),
            calm: collected.calm.summary(),
            under_faults: collected.under_faults.summary(),
            to_quiet: collected.to_quiet.summary(),
            messages: metrics.sum("pubsync_messages_consumed_total", &[]),
            redelivered: metrics.sum("pubsync_messages_consumed_total", &["redelivered=\"true\""]),
            resent: metrics.sum("pubsync_ledger_resent_total", &[]),
            stale_writes: metrics.sum("pubsync_writes_total", &["outcome=\"stale\""]),
            applied_writes: metrics.sum("pubsync_writes_total", &["outcome=\"applied\""]),
            unchanged: metrics.sum("pubsync_documents_published_total", &["result=\"unchanged\""]),
            published: metrics.sum("pubsync_documents_published_total", &[]),
            compared: collected.compared,
            reads: collected.reads,
            waits_checked: collected.waits_checked,
            echoes: collected.echoes,
            most: collected.most,
            broken: Broken::ALL
                .iter()
                .map(|kind| (*kind, violations.count(*kind)))
                .collect(),
            examples: all
                .into_iter()
                .map(|(kind, (_, examples))| (kind, examples))
                .collect(),
        }
    }

    /// Writes both forms into the folder.
    pub fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let json = serde_json::to_string_pretty(self).expect("a report");
        for (name, text) in [("torture.json", json), ("torture.md", self.markdown())] {
            let path = folder.join(name);
            fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }

    pub fn markdown(&self) -> String {
        let mut text = String::new();
        self.head(&mut text);
        self.counts(&mut text);
        self.times(&mut text);
        self.bounds(&mut text);
        for (kind, examples) in &self.examples {
            let _ = writeln!(text, "\n### {kind:?}\n");
            examples.iter().for_each(|example| {
                let _ = writeln!(text, "- {}", example.replace('\n', " "));
            });
        }
        text
    }

    fn head(&self, text: &mut String) {
        let options = &self.options;
        let _ = writeln!(text, "| | |\n| --- | --- |");
        let rows = [
            ("command", format!("`{}`", self.command)),
            ("commit", format!("{} ({} build)", self.commit, self.build)),
            ("seed", options.seed.to_string()),
            (
                "lasted",
                format!(
                    "{} s, {} rounds, {} roots",
                    self.seconds, self.rounds, options.roots
                ),
            ),
            (
                "transactions",
                format!(
                    "{} committed with {} rows, {} rolled back, {} refused, {} of unknown fate",
                    self.workload.committed,
                    self.workload.rows,
                    self.workload.rolled_back,
                    self.workload.refused,
                    self.workload.unknown
                ),
            ),
            ("processes started", self.processes.to_string()),
            (
                "faults",
                self.faults
                    .values()
                    .map(|(count, _)| count)
                    .sum::<u64>()
                    .to_string(),
            ),
        ];
        for (name, value) in rows {
            let _ = writeln!(text, "| {name} | {value} |");
        }
    }

    fn counts(&self, text: &mut String) {
        let _ = writeln!(text, "\n| must not happen | times |\n| --- | --- |");
        for (kind, count) in &self.broken {
            let _ = writeln!(text, "| {kind:?} | {count} |");
        }
        let _ = writeln!(text, "\n| work | |\n| --- | --- |");
        let rows = [
            ("documents compared at quiet", self.compared as u64),
            ("documents read meanwhile", self.reads),
            ("`wait`s checked under fire", self.waits_checked),
            ("messages consumed", self.messages),
            ("of them delivered again", self.redelivered),
            ("messages sent again", self.resent),
            ("copies of messages that nobody sent", self.echoes),
            ("documents built", self.published),
            ("of them unchanged", self.unchanged),
            ("writes applied", self.applied_writes),
            ("writes refused as older", self.stale_writes),
        ];
        for (name, value) in rows {
            let _ = writeln!(text, "| {name} | {value} |");
        }
    }

    fn bounds(&self, text: &mut String) {
        let Most {
            memory_mib,
            files,
            sessions,
            oldest_transaction,
        } = &self.most;
        let _ = writeln!(text, "\n| the most | |\n| --- | --- |");
        for (role, most) in memory_mib {
            let files = files.get(role).copied().unwrap_or_default();
            let _ = writeln!(text, "| a {role} | {most} MiB, {files} open files |");
        }
        let _ = writeln!(text, "| sessions at the database | {sessions} |");
        let _ = writeln!(
            text,
            "| oldest transaction, frozen ones too | {oldest_transaction:.1} s |"
        );
    }

    fn times(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "\n| milliseconds | times | p50 | p99 | max |\n| --- | --- | --- | --- | --- |"
        );
        let rows = [
            ("commit → Redis, calm", &self.calm),
            ("commit → Redis, under faults", &self.under_faults),
            ("kill → processed again", &self.killed_to_reprocessed),
            ("target lost everything → filled again", &self.lost_to_repaired),
            ("end of load → quiet", &self.to_quiet),
        ];
        for (name, summary) in rows {
            row(
                text,
                name,
                summary.as_ref().map_or(0, |s| s.count as u64),
                summary.as_ref(),
            );
        }
        let _ = writeln!(
            text,
            "\n| fault → converged, milliseconds | times | p50 | p99 | max |\n| --- | --- | --- | --- | --- |"
        );
        for (name, (count, summary)) in &self.faults {
            row(text, name, *count, summary.as_ref());
        }
    }
}

fn row(text: &mut String, name: &str, count: u64, summary: Option<&Summary>) {
    let _ = match summary {
        Some(s) => writeln!(text, "| {name} | {count} | {} | {} | {} |", s.p50, s.p99, s.max),
        None => writeln!(text, "| {name} | {count} | – | – | – |"),
    };
}

/// What is built.
pub fn commit() -> String {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .output();
    let known = output.ok().filter(|output| output.status.success());
    known.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
