//! A person lets a document or a target stand still, and go on.

use std::collections::BTreeSet;

use clap::Args;
use pubsync_schema::definition;
use pubsync_schema::pause::{self, Pause, Subject};
use pubsync_schema::store::Store;

use crate::config::Config;
use crate::fail::Fail;
use crate::terminal::print;
use crate::wiring::{self, FEW, Wired};

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    subjects: Subjects,
    /// Why, for those who look at `status`
    #[arg(long)]
    reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct UnpauseArgs {
    #[command(flatten)]
    subjects: Subjects,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Subjects {
    /// This document: no more of it is built; may be given again
    #[arg(long, value_name = "DOCUMENT")]
    document: Vec<String>,
    /// This target: nothing is written there; may be given again
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
}

impl Subjects {
    /// Those that exist.
    async fn found(&self, wired: &Wired) -> Result<Vec<Subject>, Fail> {
        let defined = definition::all(&wired.store.read, &wired.store).await?;
        let defined: BTreeSet<&str> = defined.iter().map(|d| d.document.as_str()).collect();
        let targets: BTreeSet<&str> = wired.targets.keys().map(String::as_str).collect();
        known("document", &self.document, &defined)?;
        known("target", &self.target, &targets)?;
        let documents = self.document.iter().cloned().map(Subject::Document);
        Ok(documents
            .chain(self.target.iter().cloned().map(Subject::Target))
            .collect())
    }
}

fn known(kind: &str, asked: &[String], there: &BTreeSet<&str>) -> Result<(), Fail> {
    match asked.iter().find(|name| !there.contains(name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let there: Vec<&str> = there.iter().copied().collect();
            Err(Fail::Usage(format!(
                "no {kind} {name:?}; there are: {}",
                there.join(", ")
            )))
        }
    }
}

pub async fn pause(config: Config, arguments: PauseArgs, json: bool) -> Result<(), Fail> {
    let reason = arguments.reason.trim();
    if reason.is_empty() {
        return Err(Fail::Usage(
            "--reason: say why, for those who look at `pubsync status`".to_owned(),
        ));
    }
    let wired = wiring::wire(config, FEW).await?;
    let subjects = arguments.subjects.found(&wired).await?;
    let txn = wired.store.begin().await?;
    for subject in &subjects {
        pause::set_by_hand(&txn, &wired.store, subject, reason).await?;
    }
    txn.commit().await?;
    tell(&wired.store, &subjects, json, |subject| {
        format!("{subject} goes on")
    })
    .await
}

pub async fn unpause(config: Config, arguments: UnpauseArgs, json: bool) -> Result<(), Fail> {
    let wired = wiring::wire(config, FEW).await?;
    let subjects = arguments.subjects.found(&wired).await?;
    let txn = wired.store.begin().await?;
    let mut ended = Vec::new();
    for subject in &subjects {
        ended.push(pause::end_by_hand(&txn, &wired.store, subject).await?);
    }
    txn.commit().await?;
    let of = |subject: &Subject| {
        subjects
            .iter()
            .position(|s| s == subject)
            .is_some_and(|at| ended[at])
    };
    tell(&wired.store, &subjects, json, |subject| match of(subject) {
        true => format!("{subject} goes on"),
        false => format!("{subject} was not paused by hand"),
    })
    .await
}

/// How the subjects stand now; `moving` tells of one that does not stand still.
async fn tell(
    store: &Store,
    subjects: &[Subject],
    json: bool,
    moving: impl Fn(&Subject) -> String,
) -> Result<(), Fail> {
    let mut paused = pause::current(&store.write, store).await?;
    paused.retain(|pause| subjects.contains(&pause.subject));
    print(json, &serde_json::json!({ "paused": paused }), || {
        let mut lines: Vec<String> = subjects
            .iter()
            .filter(|subject| !paused.iter().any(|p| p.subject == **subject && p.by_hand))
            .map(&moving)
            .collect();
        lines.extend(paused.iter().map(paused_line));
        lines.join("\n")
    });
    Ok(())
}

/// One line of what stands still, and who wants it.
pub(super) fn paused_line(pause: &Pause) -> String {
    let by = if pause.by_hand { " by hand" } else { "" };
    format!("paused{by}: {}: {}", pause.subject, pause.reason)
}
