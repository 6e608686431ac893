//! `demo`: the whole street in one process on embedded defaults. Every number that it prints was read from the files that
//! it leaves; nothing is told that was not done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use pubsync_publisher::handwritten::Publishers;
use pubsync_publisher::operate::verify;
use pubsync_publisher::registry::Registry;
use pubsync_publisher::workers::{self, Role};
use pubsync_schema::mirror::{self, Touched};
use pubsync_synchronizer::quiet::{self, Waited};
use pubsync_synchronizer::street::Street;
use pubsync_synchronizer::targets::local::LocalTarget;
use pubsync_worker::shutdown::Shutdown;

use crate::command::apply::apply_files;
use crate::config::Config;
use crate::fail::Fail;
use crate::shop::changes::{Change, Done};
use crate::shop::{DOCUMENTS, Shop};
use crate::terminal::duration;
use crate::wiring::{self, Wired};

/// Longest wait for one step of the story.
const PATIENCE: Duration = Duration::from_secs(120);

/// Files that a demo leaves, and that the next one may replace.
const FILES: [&str; 3] = ["shop.db", "store.db", "pubsync.yaml"];

const CONFIGURATION: &str = "\
# Written by `pubsync demo`: one process, no service. Try, from this folder:
#   pubsync run            keep going on changes that you make in shop.db
#   pubsync status
#   pubsync verify
database: sqlite:shop.db
broker: embedded
documents: documents
targets:
  storage: { kind: local, path: store.db }
";

/// One step of the story, as it happened.
#[derive(Debug, serde::Serialize)]
struct Step {
    change: &'static str,
    done: String,
    rows: u64,
    /// Documents with a new revision, by declaration: changed and deleted.
    touched: BTreeMap<String, (usize, usize)>,
    /// One key with its revision before and after.
    example: Option<Example>,
    /// From the commit until the targets had it.
    seconds: f64,
}

#[derive(Debug, serde::Serialize)]
struct Example {
    key: String,
    before: Option<i64>,
    after: i64,
    deleted: bool,
}

/// Runs the demo in a folder.
///
/// # Errors
/// Where the folder is in use, or a step does not end well.
pub async fn demo(folder: &Path, products: u32, json: bool) -> Result<(), Fail> {
    let say = |text: String| {
        if !json {
            println!("{text}");
        }
    };
    prepare(folder)?;
    let config =
        Config::load(Some(&folder.join("pubsync.yaml"))).map_err(|e| Fail::Configuration(e.to_string()))?;
    let wired = wiring::wire(config, 8).await?;
    let begun = Instant::now();
    Shop::create_tables(&wired.store.write).await?;
    let rows = Shop {
        products,
        ..Shop::default()
    }
    .fill(&wired.store.write)
    .await?;
    say(format!(
        "1. A shop in {}: {products} products, 3 stores, 2 languages, {rows} rows ({})",
        path(folder, "shop.db"),
        since(begun)
    ));

    let files = pubsync_publisher::language::load_folder(&folder.join("documents"))
        .map_err(|e| Fail::Configuration(e.to_string()))?;
    let begun = Instant::now();
    apply_files(&wired, &files).await?;
    let street = wired.street().await?;
    let shutdown = Shutdown::manual();
    workers::start(&street, &Publishers::default(), &Role::ALL.into(), &shutdown).await?;
    arrive(&street).await?;
    let counts = counts(&street).await?;
    let total: i64 = counts.values().sum();
    let list: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let rate = total as f64 / begun.elapsed().as_secs_f64();
    say(format!(
        "2. {} documents declared in YAML: applied, built and synchronized to {}: {} ({}, {rate:.0} documents/s)\n\n3. Now rows change, as any application would change them:",
        files.len(),
        path(folder, "store.db"),
        list.join(", "),
        since(begun)
    ));

    let mut steps = Vec::new();
    for change in Change::ALL {
        let step = step(&street, &wired, change).await?;
        say(told(&step));
        steps.push(step);
    }
    let equal = compare(&street).await?;
    shutdown.stop_taking();
    shutdown.finished().await;
    finish(folder, &equal, &steps, json).await
}

/// A fresh folder: what an earlier demo left is replaced, anything else is left alone and refused.
fn prepare(folder: &Path) -> Result<(), Fail> {
    let io = |what: &Path| {
        let what = what.display().to_string();
        move |e: std::io::Error| Fail::Part(format!("{what}: {e}"))
    };
    let (documents, configuration) = (folder.join("documents"), folder.join("pubsync.yaml"));
    let mut ours: BTreeSet<String> = FILES.iter().map(|f| (*f).to_owned()).collect();
    ours.extend(
        FILES
            .iter()
            .flat_map(|f| [format!("{f}-wal"), format!("{f}-shm"), format!("{f}-journal")]),
    );
    let replaced = ours.clone();
    ours.insert("documents".to_owned());
    let left = std::fs::read_to_string(&configuration).is_ok_and(|text| text == CONFIGURATION);
    let mut foreign = names(folder).map_err(io(folder))?;
    foreign.retain(|name| !left || !ours.contains(name));
    let mut others = names(&documents).map_err(io(&documents))?;
    others.retain(|name| !DOCUMENTS.iter().any(|(document, _)| document == name));
    foreign.extend(others.iter().map(|name| format!("documents/{name}")));
    if let Some(name) = foreign.first() {
        let text = format!(
            "{} holds {name}, which no demo left: name another folder with --folder",
            folder.display()
        );
        return Err(Fail::Usage(text));
    }
    std::fs::create_dir_all(&documents).map_err(io(folder))?;
    for name in &replaced {
        match std::fs::remove_file(folder.join(name)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(&folder.join(name))(e)),
            _ => {}
        }
    }
    std::fs::write(&configuration, CONFIGURATION).map_err(io(folder))?;
    for (name, text) in DOCUMENTS {
        std::fs::write(documents.join(name), text).map_err(io(&documents))?;
    }
    Ok(())
}

/// What a folder holds, sorted; nothing where there is none.
fn names(folder: &Path) -> std::io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let name =
        |entry: std::io::Result<std::fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    let mut names = entries.map(name).collect::<std::io::Result<Vec<String>>>()?;
    names.sort_unstable();
    Ok(names)
}

async fn arrive(street: &Street) -> Result<(), Fail> {
    match quiet::wait(&street.store, PATIENCE).await? {
        Waited::Synchronized => Ok(()),
        Waited::Failures(n) => Err(Fail::Part(format!("{n} failures: `pubsync failures` says why"))),
        Waited::TimedOut => Err(Fail::Part(format!(
            "not synchronized after {} s",
            PATIENCE.as_secs()
        ))),
    }
}

async fn counts(street: &Street) -> Result<BTreeMap<String, i64>, Fail> {
    let mut counts = BTreeMap::new();
    for definition in street.definitions.current().iter() {
        let (document, number) = (&definition.document, definition.number);
        let rows = mirror::counts(&street.store.read, &street.store, document, number).await?;
        counts.insert(definition.document.clone(), rows.live);
    }
    Ok(counts)
}

/// Makes a change, waits until the targets have it, and reads back what it touched.
async fn step(street: &Street, wired: &Wired, change: Change) -> Result<Step, Fail> {
    let store = &street.store;
    let mut before: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    let mut newest = 0;
    for definition in street.definitions.current().iter() {
        let rows = mirror::touched(&store.read, store, &definition.document, 0).await?;
        newest = rows.iter().map(|r| r.revision).fold(newest, i64::max);
        before.insert(
            definition.document.clone(),
            rows.into_iter().map(|r| (r.key, r.revision)).collect(),
        );
    }
    let done: Done = change.run(&wired.store.write).await?;
    let begun = Instant::now();
    arrive(street).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut touched = BTreeMap::new();
    let mut example = None;
    for (document, known) in &before {
        let rows = mirror::touched(&store.read, store, document, newest).await?;
        if rows.is_empty() {
            continue;
        }
        let deleted = rows.iter().filter(|r| r.deleted).count();
        touched.insert(document.clone(), (rows.len() - deleted, deleted));
        let root = done.example.1.to_string();
        let shown = document == done.example.0;
        let wanted = rows.iter().find(|r| shown && r.root.as_deref() == Some(&root));
        if let Some(row) = wanted
            .or(rows.first())
            .filter(|_| example.is_none() || (shown && wanted.is_some()))
        {
            example = Some(as_example(row, known));
        }
    }
    Ok(Step {
        change: change.name(),
        done: done.text,
        rows: done.rows,
        touched,
        example,
        seconds,
    })
}

fn as_example(row: &Touched, known: &BTreeMap<String, i64>) -> Example {
    Example {
        key: row.key.clone(),
        before: known.get(&row.key).copied(),
        after: row.revision,
        deleted: row.deleted,
    }
}

fn told(step: &Step) -> String {
    let mut touched = Vec::new();
    for (document, (changed, deleted)) in &step.touched {
        if *changed > 0 {
            touched.push(format!("{changed} {document}"));
        }
        if *deleted > 0 {
            touched.push(format!("{deleted} {document} deleted"));
        }
    }
    let documents = if touched.is_empty() {
        "no document".to_owned()
    } else {
        touched.join(", ")
    };
    let mut text = format!(
        "   - {}\n     {} rows → {documents}, in the store after {}",
        step.done,
        step.rows,
        duration(step.seconds)
    );
    if let Some(e) = &step.example {
        let before = e.before.map_or("new".to_owned(), |r| r.to_string());
        let deleted = if e.deleted { " (deleted)" } else { "" };
        text.push_str(&format!(
            "\n     {}: revision {before} → {}{deleted}",
            e.key, e.after
        ));
    }
    text
}

async fn compare(street: &Street) -> Result<verify::Report, Fail> {
    let registry = Registry::load(street).await?;
    let mut total = verify::Report::default();
    for compiled in registry.all().values() {
        total.add(verify::twice(street, compiled, &|_| {}).await?);
    }
    Ok(total)
}

async fn finish(folder: &Path, report: &verify::Report, steps: &[Step], json: bool) -> Result<(), Fail> {
    if json {
        let out = serde_json::json!({ "steps": steps, "verify": report });
        println!("{out}");
    } else {
        println!(
            "\n4. Verified: {} roots built anew, {} documents compared with the store: {}",
            report.roots,
            report.documents,
            if report.is_equal() {
                "equal, 0 missing, 0 stale, 0 orphaned"
            } else {
                "DIFFERENT"
            }
        );
        println!("{}", looking(folder).await?);
    }
    if report.is_equal() {
        Ok(())
    } else {
        Err(Fail::Differences("the store differs from the shop".to_owned()))
    }
}

/// How to look into the files, with one real key and one real search.
async fn looking(folder: &Path) -> Result<String, Fail> {
    let store =
        LocalTarget::new("storage", folder.join("store.db")).map_err(|e| Fail::Part(e.to_string()))?;
    let found = store.search("brand", 1).await?;
    let sample = found.first().map_or("product:…", |hit| hit.key.as_str());
    let file = path(folder, "store.db");
    Ok(format!(
        "\nLook into it:\n   sqlite3 {file} \"SELECT body FROM document WHERE key = '{sample}'\"\n   \
         sqlite3 {shop} \"SELECT key, revision, deleted_at FROM pubsync_mirror_product LIMIT 5\"\n   \
         pubsync --config {config} status      (verify, resync --all, run: the same)\n   {documents}: the YAML that this came from",
        shop = path(folder, "shop.db"),
        config = path(folder, "pubsync.yaml"),
        documents = path(folder, "documents")
    ))
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn since(begun: Instant) -> String {
    duration(begun.elapsed().as_secs_f64())
}
