//! `check`, `plan` and `apply`: from document files to what is installed.

use std::io::IsTerminal as _;

use pubsync_publisher::handwritten::Publishers;
use pubsync_publisher::language::{self, SourceFile};
use pubsync_publisher::operate::apply::{Apply, Report};
use pubsync_publisher::operate::plan::Plan;

use super::plan::{planned, triggers};
use crate::config::Config;
use crate::fail::{Fail, listed};
use crate::terminal::{agree, print};
use crate::wiring::{self, FEW, Wired};

pub fn files(config: &Config) -> Result<Vec<SourceFile>, Fail> {
    language::load_folder(&config.documents)
        .map_err(|e| Fail::Configuration(pubsync_schema::fault::chain(&e)))
}

pub async fn check(config: Config, publishers: &Publishers, offline: bool, json: bool) -> Result<(), Fail> {
    let files = files(&config)?;
    let targets: Vec<String> = config.targets.keys().cloned().collect();
    if offline {
        return check_alone(&files, &targets, json);
    }
    match check_names(config, publishers, &files).await {
        Ok(names) => {
            let value = serde_json::json!({ "documents": names, "names_checked": true });
            print(json, &value, || {
                format!("{} documents are right: {}", names.len(), names.join(", "))
            });
            Ok(())
        }
        Err(Fail::Unreachable(why)) => Err(unreachable(&files, &targets, &why)),
        Err(other) => Err(other),
    }
}

/// Against the tables; gives the names of the documents.
async fn check_names(
    config: Config,
    publishers: &Publishers,
    files: &[SourceFile],
) -> Result<Vec<String>, Fail> {
    let wired = wiring::wire(config, FEW).await?;
    let url = wired.config.database.url();
    Ok(work(&wired, &url, publishers, files).check().await?)
}

fn check_alone(files: &[SourceFile], targets: &[String], json: bool) -> Result<(), Fail> {
    let problems = language::check_alone(files, targets);
    if !problems.is_empty() {
        let list = listed(&problems);
        return Err(Fail::Configuration(format!("{list}; {UNCHECKED}")));
    }
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let value = serde_json::json!({ "files": names, "names_checked": false });
    print(json, &value, || {
        format!(
            "{} files are right as far as they alone can tell; {UNCHECKED}",
            names.len()
        )
    });
    Ok(())
}

const UNCHECKED: &str = "names of tables and columns were not checked, which takes the database";

/// A mistake in the files is told even so; else it is the database that somebody must look after.
fn unreachable(files: &[SourceFile], targets: &[String], why: &str) -> Fail {
    let problems = language::check_alone(files, targets);
    if problems.is_empty() {
        Fail::Unreachable(format!(
            "{why}\n{} files are right as far as they alone can tell; {UNCHECKED}",
            files.len()
        ))
    } else {
        let list = listed(&problems);
        Fail::Configuration(format!("{list}; {UNCHECKED}, and that cannot be reached: {why}"))
    }
}

/// What `plan` shows, and how it ends.
pub struct Showing {
    pub sql: bool,
    /// Exit 1 where something would be done.
    pub exit_code: bool,
    /// Remains that would be taken away.
    pub remove: Vec<String>,
}

pub async fn plan(config: Config, publishers: &Publishers, showing: Showing, json: bool) -> Result<(), Fail> {
    let files = files(&config)?;
    let wired = wiring::wire(config, FEW).await?;
    let url = wired.config.database.url();
    let work = work(&wired, &url, publishers, &files);
    let plan = work.plan_removing(&showing.remove).await?;
    let plan = if showing.sql { plan } else { plan.without_sql() };
    print(json, &plan, || planned(&plan));
    if showing.exit_code && !plan.is_empty() {
        return Err(Fail::Differences("`pubsync apply` would change this".to_owned()));
    }
    Ok(())
}

pub async fn apply(
    config: Config,
    publishers: &Publishers,
    yes: bool,
    mut remove: Vec<String>,
    json: bool,
) -> Result<(), Fail> {
    if !yes && !std::io::stdin().is_terminal() {
        return Err(Fail::Usage(
            "apply asks before it changes anything: give --yes where nobody can answer".to_owned(),
        ));
    }
    let files = files(&config)?;
    let wired = wiring::wire(config, FEW).await?;
    let url = wired.config.database.url();
    let work = work(&wired, &url, publishers, &files);
    let mut plan = work.plan_removing(&remove).await?;
    let show = |plan: &Plan| {
        if !json {
            eprintln!("{}", planned(&plan.clone().without_sql()));
        }
    };
    show(&plan);
    let new = plan.new_remains();
    if !yes && !new.is_empty() {
        let question = format!(
            "Declared no more: {}. Take away what is left of it too? It cannot be undone.",
            new.join(", ")
        );
        if agree(&question)? {
            remove.extend(new);
            plan = work.plan_removing(&remove).await?;
            show(&plan);
        }
    }
    // Where nothing is to do there is nothing to ask: what a service lost by itself is made again.
    let report = if yes || plan.is_empty() {
        work.run_removing(&remove).await?
    } else if agree(&format!("Do this in {}?", wired.store.address))? {
        work.run_agreed(&plan, &remove).await?
    } else {
        return Err(Fail::Usage("nothing was changed".to_owned()));
    };
    print(json, &report, || applied(&report));
    Ok(())
}

/// Applies documents through what is wired.
///
/// # Errors
/// See [`pubsync_publisher::operate::apply::ApplyError`].
pub async fn apply_files(wired: &Wired, files: &[SourceFile]) -> Result<Report, Fail> {
    let url = wired.config.database.url();
    let publishers = Publishers::default();
    Ok(work(wired, &url, &publishers, files).run().await?)
}

pub fn work<'a>(
    wired: &'a Wired,
    url: &'a str,
    publishers: &'a Publishers,
    files: &'a [SourceFile],
) -> Apply<'a> {
    Apply {
        store: &wired.store,
        url,
        broker: &*wired.broker,
        targets: &wired.targets,
        files,
        publishers,
    }
}

fn applied(report: &Report) -> String {
    let list = |what: &str, names: &[String]| match names {
        [] => String::new(),
        names => format!("{what}: {}\n", names.join(", ")),
    };
    let done = [
        list("rebuilding", &report.rebuilt),
        list("resynchronizing", &report.resynchronized),
        list("filling a new index", &report.reindexed),
        list("removed", &report.removed),
        list("taking away what is left of", &report.leaving),
        triggers("installed on", &report.triggers.installed),
        triggers("replaced on", &report.triggers.replaced),
        triggers("removed from", &report.triggers.removed),
    ]
    .concat();
    let kept: String = report.kept.iter().map(|name| kept(name)).collect();
    let nothing = if done.is_empty() { "nothing to do" } else { "" };
    let text = format!("{done}{}{kept}{nothing}", list("unchanged", &report.unchanged));
    text.trim_end().to_owned()
}

fn kept(name: &str) -> String {
    format!("kept: what is left of {name}; `pubsync apply --remove {name}` takes it away\n")
}
