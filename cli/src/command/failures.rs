//! What failed: by its cause, one by one, again, or no more.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use pubsync_schema::failure::{self, Failure, Filter, Group};
use pubsync_schema::store::Store;
use pubsync_synchronizer::retry;
use serde_json::json;

use crate::config::Config;
use crate::fail::Fail;
use crate::terminal::{agree, duration, moment, print};
use crate::wiring::{self, FEW};

/// Failures that one look reads.
const PAGE: u64 = 500;

#[derive(Debug, Subcommand)]
pub(crate) enum FailuresCommand {
    /// By their causes: how many, since when, when the next attempt is
    Ls(List),
    /// Everything that is known of one: all errors, the work, attempts and times
    Show {
        #[arg(value_name = "ID")]
        id: i64,
    },
    /// Try again now, those given up too; what succeeds is a failure no more
    #[command(
        after_help = "Examples:\n  pubsync failures retry 17 18\n  pubsync failures retry --document product --target search\n  \
        pubsync failures retry --all && pubsync wait"
    )]
    Retry(Chosen),
    /// Forget failures: shows what will stay stale, and asks
    #[command(after_help = "Example: pubsync failures drop --class \"unknown document\"")]
    Drop {
        #[command(flatten)]
        chosen: Chosen,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Default, Args)]
pub(crate) struct List {
    /// Each by itself, oldest first; with --json one object a line
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    narrowed: Narrowed,
}

#[derive(Debug, Default, Args)]
pub(crate) struct Narrowed {
    /// Only of this document
    #[arg(long)]
    document: Option<String>,
    /// Only at this target
    #[arg(long)]
    target: Option<String>,
    /// Only of this class, such as "key conflict"
    #[arg(long)]
    class: Option<String>,
}

impl Narrowed {
    fn filter(self) -> Filter {
        Filter {
            document: self.document,
            target: self.target,
            class: self.class,
            ..Filter::default()
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// These, by their numbers
    #[arg(value_name = "ID", conflicts_with_all = ["all", "document", "target", "class"])]
    ids: Vec<i64>,
    #[command(flatten)]
    narrowed: Narrowed,
    /// All failures
    #[arg(long, conflicts_with_all = ["document", "target", "class"])]
    all: bool,
}

impl Chosen {
    fn filter(self) -> Result<Filter, Fail> {
        let filter = self.narrowed.filter();
        if !self.ids.is_empty() {
            return Ok(Filter {
                ids: Some(self.ids),
                ..filter
            });
        }
        if filter == Filter::default() && !self.all {
            return Err(Fail::Usage(
                "which failures? Give their numbers (`pubsync failures ls --all` shows them), --document, --target, --class, \
                 or --all"
                    .to_owned(),
            ));
        }
        Ok(filter)
    }
}

pub async fn failures(config: Config, command: Option<FailuresCommand>, json: bool) -> Result<(), Fail> {
    let wired = wiring::wire(config, FEW).await?;
    let store = &wired.store;
    match command.unwrap_or(FailuresCommand::Ls(List::default())) {
        FailuresCommand::Ls(List { all: false, narrowed }) => causes(store, &narrowed.filter(), json).await,
        FailuresCommand::Ls(List { all: true, narrowed }) => each(store, &narrowed.filter(), json).await,
        FailuresCommand::Show { id } => show(store, id, json).await,
        FailuresCommand::Retry(chosen) => again(store, &chosen.filter()?, json).await,
        FailuresCommand::Drop { chosen, yes } => drop_them(store, chosen.filter()?, yes, json).await,
    }
}

async fn causes(store: &Store, filter: &Filter, json: bool) -> Result<(), Fail> {
    let groups = failure::groups(&store.read, store, filter).await?;
    let now = store.now().await?;
    print(json, &groups, || {
        let texts: Vec<String> = groups.iter().map(|group| cause(group, now)).collect();
        texts.join("\n")
    });
    Ok(())
}

fn cause(group: &Group, now: i64) -> String {
    let mut text = format!(
        "{} × {} {}{} [{}]: {}\n    oldest {} ago, {}",
        group.count,
        group.stage,
        group.document,
        at(group.target.as_deref()),
        group.class,
        group.error,
        since(now, group.oldest),
        next(now, group.next_attempt),
    );
    if group.given_up > 0 {
        let _ = write!(text, ", {} given up", group.given_up);
    }
    let _ = write!(text, "; `pubsync failures show {}`", group.sample);
    text
}

fn at(target: Option<&str>) -> String {
    target.map_or_else(String::new, |target| format!(" at {target}"))
}

/// How long ago, for people.
fn since(now: i64, then: i64) -> String {
    duration((now - then).max(0) as f64 / 1e6)
}

fn next(now: i64, next: Option<i64>) -> String {
    match next {
        None => "no next attempt".to_owned(),
        Some(at) if at <= now => "next attempt now".to_owned(),
        Some(at) => format!("next attempt in {}", since(at, now)),
    }
}

async fn each(store: &Store, filter: &Filter, json: bool) -> Result<(), Fail> {
    let (mut after, now) = (i64::MIN, store.now().await?);
    loop {
        let page = failure::list(&store.read, store, filter, after, PAGE).await?;
        for failure in &page {
            print(json, failure, || line(failure, now));
        }
        match page.last() {
            Some(last) => after = last.id,
            None => return Ok(()),
        }
    }
}

fn line(failure: &Failure, now: i64) -> String {
    let what = failure.key.as_deref().or(failure.root.as_deref());
    let state = match &failure.given_up {
        Some(why) => format!("given up: {why}"),
        None => next(now, failure.next_attempt),
    };
    format!(
        "{} {} {} {}{} [{}], attempts: {}, {state}: {}",
        failure.id,
        failure.stage,
        failure.document,
        what.unwrap_or("-"),
        at(failure.target.as_deref()),
        failure.class,
        failure.attempts,
        failure.error
    )
}

async fn show(store: &Store, id: i64, json: bool) -> Result<(), Fail> {
    let found = failure::get(&store.read, store, id).await?;
    let failure = found.ok_or_else(|| {
        Fail::Usage(format!(
            "no failure {id}: it has succeeded since or was dropped; `pubsync failures ls --all` shows those that are open"
        ))
    })?;
    let now = store.now().await?;
    let mut whole = serde_json::to_value(&failure).unwrap_or_default();
    whole["payload"] = json!(failure.payload);
    print(json, &whole, || everything(&failure, now));
    Ok(())
}

fn everything(failure: &Failure, now: i64) -> String {
    let time = |at: i64| format!("{} ({} ago)", moment(at), since(now, at));
    let mut lines = vec![
        ("failure", failure.id.to_string()),
        ("document", failure.document.clone()),
        ("stage", failure.stage.clone()),
        ("class", failure.class.clone()),
    ];
    let options = [
        ("root", &failure.root),
        ("key", &failure.key),
        ("target", &failure.target),
    ];
    lines.extend(
        options
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?))),
    );
    lines.extend(
        failure
            .revision
            .map(|revision| ("revision", revision.to_string())),
    );
    lines.push(("error", failure.error.clone()));
    lines.push((
        "attempts",
        format!(
            "{}, {} with a permanent error",
            failure.attempts, failure.permanent
        ),
    ));
    lines.push(("changed", time(failure.changed_at)));
    lines.push(("first", time(failure.first_at)));
    lines.push(("last", time(failure.last_at)));
    lines.extend(
        failure
            .transient_since
            .map(|at| ("only transient errors since", time(at))),
    );
    lines.push((
        "next",
        match (&failure.given_up, failure.next_attempt) {
            (Some(why), _) => format!("given up: {why}; `pubsync failures retry {}`", failure.id),
            (None, Some(at)) if at > now => format!("{} (in {})", moment(at), since(at, now)),
            (None, at) => next(now, at),
        },
    ));
    lines.extend(failure.payload.clone().map(|payload| ("payload", payload)));
    let texts: Vec<String> = lines
        .iter()
        .map(|(name, text)| format!("{name:<10} {text}"))
        .collect();
    texts.join("\n")
}

async fn again(store: &Store, filter: &Filter, json: bool) -> Result<(), Fail> {
    let retried = retry::now(store, filter).await?;
    print(json, &retried, || match (retried.queued, retried.not_retryable) {
        (0, 0) => "no such failure is open".to_owned(),
        (queued, 0) => format!("{queued} queued to be tried again"),
        (queued, rest) => format!(
            "{queued} queued to be tried again; for {rest} no attempt can help: `pubsync failures` says what would"
        ),
    });
    Ok(())
}

async fn drop_them(store: &Store, filter: Filter, yes: bool, json: bool) -> Result<(), Fail> {
    if !yes && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return Err(Fail::Usage(
            "drop asks before it forgets anything: give --yes where nobody can answer".to_owned(),
        ));
    }
    let groups = failure::groups(&store.read, store, &filter).await?;
    // What fails after the question was not asked about.
    let filter = Filter {
        up_to: groups.iter().map(|group| group.last).max(),
        ..filter
    };
    let stale: Vec<String> = groups.iter().map(consequence).collect();
    if !groups.is_empty() && !yes {
        eprintln!("{}", stale.join("\n"));
        if !agree("Forget them?")? {
            return Err(Fail::Usage("nothing was changed".to_owned()));
        }
    }
    let dropped = match groups.is_empty() {
        true => 0,
        false => failure::remove(&store.write, store, &filter).await?,
    };
    print(json, &json!({ "dropped": dropped, "stale": stale }), || {
        format!("{dropped} dropped\n{}", stale.join("\n"))
            .trim_end()
            .to_owned()
    });
    Ok(())
}

/// What stays as it is once nobody tries any more.
fn consequence(group: &Group) -> String {
    let Group {
        count,
        document,
        stage,
        class,
        ..
    } = group;
    let target = group.target.as_deref().unwrap_or_default();
    let stays = match stage.as_str() {
        "sync" => format!(
            "these keys stay at {target} as they are, until they change again or `pubsync resync {document} --target {target}`"
        ),
        "publish" if class == "definition" => format!("{document} stays paused until `pubsync apply`"),
        "publish" => format!(
            "the documents of these roots stay as they were built last, until they change again or `pubsync publish {document}`"
        ),
        "affected" => {
            format!("these changes are forgotten: documents stay stale until `pubsync publish {document}`")
        }
        "capture" if class == "capture" => {
            format!("nothing is captured for {document} until `pubsync apply`")
        }
        "capture" if class == "unreadable" && document.is_empty() => {
            "what changed is forgotten: documents may be stale until `pubsync publish --all`".to_owned()
        }
        "capture" if class == "unreadable" => {
            format!("what changed is forgotten: documents may be stale until `pubsync publish {document}`")
        }
        _ => "nothing is known to be stale; `pubsync verify` tells".to_owned(),
    };
    format!(
        "{count} × {stage} {document}{} [{class}]: {stays}",
        at(group.target.as_deref())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(stage: &str, class: &str, target: Option<&str>) -> Group {
        Group {
            document: "product".into(),
            stage: stage.into(),
            target: target.map(str::to_owned),
            class: class.into(),
            error: "why".into(),
            count: 2,
            given_up: 0,
            oldest: 1_000_000,
            newest: 2_000_000,
            next_attempt: Some(9_000_000),
            sample: 7,
            last: 8,
        }
    }

    #[test]
    fn a_cause_is_one_line_and_when() {
        let mut one = group("sync", "mapping", Some("search"));
        assert_eq!(
            cause(&one, 4_000_000),
            "2 × sync product at search [mapping]: why\n    oldest 3.0 s ago, next attempt in 5.0 s; `pubsync failures show 7`"
        );
        (one.given_up, one.next_attempt) = (2, None);
        let told = cause(&one, 4_000_000);
        assert!(told.contains("no next attempt, 2 given up;"), "{told}");
    }

    #[test]
    fn each_stage_says_what_stays_stale() {
        for (stage, class, target, told) in [
            (
                "sync",
                "mapping",
                Some("search"),
                "`pubsync resync product --target search`",
            ),
            (
                "publish",
                "definition",
                None,
                "stays paused until `pubsync apply`",
            ),
            ("publish", "build", None, "`pubsync publish product`"),
            ("affected", "build", None, "these changes are forgotten"),
            ("capture", "capture", None, "nothing is captured for product"),
            (
                "capture",
                "unreadable",
                None,
                "stale until `pubsync publish product`",
            ),
            ("capture", "unknown document", None, "`pubsync verify`"),
            ("message", "unreadable", None, "`pubsync verify`"),
        ] {
            let text = consequence(&group(stage, class, target));
            assert!(text.contains(told), "{text}");
        }
    }
}
