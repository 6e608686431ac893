//! Keeps the house (docs/ARCHITECTURE.md): who may import whom, where the clients of services live, sizes and names of
//! files, no sleeping, lints everywhere, links that lead somewhere.
//!
//! An exception stands in its list with its reason; one that is no longer needed fails too. A new crate gets a line in
//! [`HOUSE`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each crate and the crates of the house that it may import.
const HOUSE: [(&str, &[&str]); 9] = [
    ("schema", &[]),
    ("worker", &[]),
    ("synchronizer", &["pubsync-schema", "pubsync-worker"]),
    (
        "publisher",
        &["pubsync-synchronizer", "pubsync-schema", "pubsync-worker"],
    ),
    ("examples/generator", &[]),
    ("examples/rust-publisher", &["pubsync", "pubsync-tests"]),
    ("cli", PRODUCT),
    ("tests", EVERYTHING),
    ("bench", EVERYTHING),
];
const PRODUCT: &[&str] = &[
    "pubsync-examples",
    "pubsync-publisher",
    "pubsync-synchronizer",
    "pubsync-schema",
    "pubsync-worker",
];
const EVERYTHING: &[&str] = &[
    "pubsync",
    "pubsync-examples",
    "pubsync-publisher",
    "pubsync-synchronizer",
    "pubsync-schema",
    "pubsync-worker",
];

/// Crates that look at the product from outside: they speak to the services themselves.
const OUTSIDE: [&str; 2] = ["tests", "bench"];

/// A client of a service, the crate that may depend on it, and where in there it may be named. Metrics have their names
/// in one file, so no other crate than `worker` has the macros.
const CLIENTS: [(&str, &str, &str); 5] = [
    ("lapin", "worker", "worker/src/broker/rabbitmq"),
    ("redis", "synchronizer", "synchronizer/src/targets/redis"),
    (
        "opensearch",
        "synchronizer",
        "synchronizer/src/targets/opensearch",
    ),
    ("axum", "worker", "worker/src/health.rs"),
    ("metrics-exporter-prometheus", "worker", "worker/src"),
];

/// Clients named elsewhere, and why.
const CLIENTS_ELSEWHERE: [(&str, &str, &str); 2] = [
    (
        "redis",
        "synchronizer/src/targets/contract/redis.rs",
        "the test breaks behind the target what the target must heal",
    ),
    (
        "opensearch",
        "synchronizer/src/targets/contract/opensearch.rs",
        "the test looks behind the target",
    ),
];

const MOST_LINES: usize = 450;

/// Where time may pass, and why.
const SLEEPS: [(&str, &str); 13] = [
    (
        "cli/src/command/operate.rs",
        "--wait looks at a run until it is done",
    ),
    (
        "publisher/src/capture/lock.rs",
        "DDL locks are taken with a short timeout and tried again",
    ),
    (
        "publisher/src/operate/verify.rs",
        "differences are looked at again after what was on its way had time to arrive",
    ),
    (
        "publisher/src/relay/mod.rs",
        "the relay polls: NOTIFY would serialize all commits of the database",
    ),
    (
        "synchronizer/src/definitions.rs",
        "definitions and pauses are looked at every second",
    ),
    ("synchronizer/src/measure.rs", "the period of the gauges"),
    (
        "synchronizer/src/quiet.rs",
        "`wait` looks until outbox and ledger are empty",
    ),
    (
        "synchronizer/src/sender.rs",
        "the period in which the room of queues is measured",
    ),
    ("synchronizer/src/sweeper.rs", "the period of the sweeper"),
    ("synchronizer/src/watch.rs", "the period of the look at targets"),
    (
        "tests/harness/eventually.rs",
        "the only place of the tests where time passes",
    ),
    (
        "tests/torture/pace.rs",
        "the pace of load and readers, and the length of faults",
    ),
    ("worker/src/backoff.rs", "back-off, which a shutdown interrupts"),
];

/// Names that say nothing.
const EMPTY_NAMES: [&str; 6] = ["common", "utils", "helpers", "types", "core", "manager"];

/// A file, by its path from the root of the repository.
pub struct File {
    pub path: String,
    pub text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ stands in the repository")
        .to_owned()
}

/// Files of the repository with this ending; what builds and tools leave behind is left out.
pub fn files(ending: &str) -> Vec<File> {
    let (root, mut found) = (root(), Vec::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry of a folder").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && !path.join("CACHEDIR.TAG").exists() {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
                let path = path
                    .strip_prefix(&root)
                    .expect("below the root")
                    .to_string_lossy()
                    .into_owned();
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no {ending} below {}", root.display());
    found
}

fn manifests() -> BTreeMap<String, String> {
    let all = files("Cargo.toml").into_iter();
    all.filter_map(|file| Some((file.path.strip_suffix("/Cargo.toml")?.to_owned(), file.text)))
        .collect()
}

/// The crates that a manifest names, in any of its sections of dependencies.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let (mut inside, mut found) = (false, BTreeSet::new());
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.trim_end_matches(']').ends_with("dependencies");
        } else if inside && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            found.extend((!name.is_empty()).then(|| name.trim_matches('"').to_owned()));
        }
    }
    found
}

/// The code without what stands in comments, strings and characters.
fn code(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = 2 + hashes;
            rest.get(begin..)
                .and_then(|r| r.find(&end))
                .map_or(1, |at| begin + at + end.len())
        } else if first == '"' {
            quoted(rest, '"')
        } else if rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'') && first == '\'' {
            quoted(rest, '\'')
        } else {
            0
        };
        if skipped == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    out
}

/// The length of a string or character with its quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether the code names a crate: `lapin::…`, `::lapin::…`, and not `super::lapin::…`, `delapin::…`.
fn names_crate(code: &str, name: &str) -> bool {
    let name = format!("{}::", name.replace('-', "_"));
    code.match_indices(&name).any(|(at, _)| {
        let before = &code[..at];
        let before = before.strip_suffix("::").unwrap_or(before);
        !before.ends_with(|c: char| c == '_' || c == '>' || c.is_alphanumeric())
    })
}

fn is_outside(path: &str) -> bool {
    OUTSIDE
        .iter()
        .any(|name| path == *name || path.starts_with(&format!("{name}/")))
}

#[track_caller]
fn assert_none(what: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{what}:\n  {}", broken.join("\n  "));
}

#[test]
fn imports_follow_the_house() {
    let manifests = manifests();
    let known: BTreeSet<&str> = HOUSE.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = manifests.keys().map(String::as_str).collect();
    assert_eq!(found, known, "crates and the lines of HOUSE");
    let mut broken = Vec::new();
    for (name, allowed) in HOUSE {
        let ours = dependencies(&manifests[name]);
        let ours = ours.iter().filter(|crate_name| crate_name.starts_with("pubsync"));
        broken.extend(
            ours.filter(|crate_name| !allowed.contains(&crate_name.as_str()))
                .map(|crate_name| format!("{name} imports {crate_name}")),
        );
    }
    assert_none("cli → publisher → synchronizer → {schema, worker}", broken);
}

#[test]
fn clients_of_services_stay_in_their_place() {
    let mut broken = Vec::new();
    for (name, manifest) in manifests().iter().filter(|(name, _)| !is_outside(name)) {
        let has = dependencies(manifest);
        let strangers = CLIENTS
            .iter()
            .filter(|(client, owner, _)| has.contains(*client) && owner != name);
        broken.extend(
            strangers.map(|(client, owner, _)| format!("{name} depends on {client}, not only {owner}")),
        );
    }
    let mut unused: BTreeSet<(&str, &str)> = CLIENTS_ELSEWHERE.map(|(client, path, _)| (client, path)).into();
    let sources = files(".rs");
    for file in sources.iter().filter(|file| !is_outside(&file.path)) {
        let code = code(&file.text);
        for (client, _, place) in CLIENTS.iter().filter(|(client, ..)| names_crate(&code, client)) {
            if !file.path.starts_with(place) && !unused.remove(&(client, file.path.as_str())) {
                broken.push(format!("{} names {client}, whose place is {place}", file.path));
            }
        }
    }
    broken.extend(
        unused
            .iter()
            .map(|exception| format!("no longer needed: {exception:?}")),
    );
    assert_none("a client of a service outside its place", broken);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut broken = Vec::new();
    for file in files(".rs") {
        let lines = file.text.lines().count();
        if lines > MOST_LINES {
            broken.push(format!("{}: {lines} lines, more than {MOST_LINES}", file.path));
        }
        if !file.text.starts_with("//! ") {
            broken.push(format!(
                "{}: does not open with `//!` and what it is for",
                file.path
            ));
        }
    }
    assert_none("files", broken);
}

#[test]
fn names_say_something() {
    let is_empty =
        |name: &str| EMPTY_NAMES.contains(&name) || name.starts_with("new_") || name.starts_with("legacy_");
    let mut broken = Vec::new();
    for file in files(".rs") {
        let parts = file.path.trim_end_matches(".rs").split('/');
        broken.extend(
            parts
                .filter(|part| is_empty(part))
                .map(|part| format!("{}: {part}", file.path)),
        );
        for line in code(&file.text).lines() {
            let module = line.trim_start().trim_start_matches("pub ").strip_prefix("mod ");
            let module = module.map(|rest| rest.trim_end_matches([' ', '{', ';', '}']));
            broken.extend(
                module
                    .filter(|name| is_empty(name))
                    .map(|name| format!("{}: mod {name}", file.path)),
            );
        }
    }
    assert_none("names that say nothing", broken);
}

#[test]
fn time_passes_only_where_it_must() {
    let mut unused: BTreeSet<&str> = SLEEPS.iter().map(|(path, _)| *path).collect();
    let mut broken = Vec::new();
    // A bench makes load at a pace.
    let sources = files(".rs");
    for file in sources.iter().filter(|file| !file.path.starts_with("bench/")) {
        let code = code(&file.text);
        let sleeps = ["sleep(", "sleep_until("].iter().any(|call| code.contains(call));
        if sleeps && !unused.remove(file.path.as_str()) {
            broken.push(format!(
                "{}: await a signal, or eventually() in a test",
                file.path
            ));
        }
    }
    broken.extend(unused.iter().map(|path| format!("no longer needed: {path}")));
    assert_none("sleeping", broken);
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    let without = |manifest: &str| !manifest.contains("[lints]\nworkspace = true\n");
    let broken = manifests()
        .into_iter()
        .filter(|(_, text)| without(text))
        .map(|(name, _)| name);
    assert_none("no `[lints] workspace = true`", broken.collect());
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for file in files(".md") {
        let folder = root()
            .join(&file.path)
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default();
        for (at, _) in file.text.match_indices("](") {
            let link = file.text[at + 2..]
                .split([')', ' ', '\n', '#'])
                .next()
                .unwrap_or_default();
            let elsewhere = link.is_empty() || link.contains("://") || link.starts_with("mailto:");
            if !elsewhere && !folder.join(link).exists() {
                broken.push(format!("{}: {link}", file.path));
            }
        }
    }
    assert_none("links to files that do not exist", broken);
}

#[test]
fn no_merge_is_half_done() {
    let half_done = |file: &File| file.text.lines().any(|line| line.starts_with("<<<<<<< "));
    let broken = files(".md").into_iter().filter(half_done);
    assert_none("texts with two sides", broken.map(|file| file.path).collect());
}

/// Fails never: long functions are a question, not a mistake. Shown with `--nocapture`.
#[test]
fn long_functions_are_shown() {
    const LONG: usize = 50;
    for file in files(".rs") {
        let lines: Vec<&str> = file.text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let words = line.trim_start();
            let indent = &line[..line.len() - words.len()];
            let before_name = words.split_once("fn ").map(|(before, _)| before);
            let is_function = before_name.is_some_and(|before| {
                let mut qualifiers = before.split_whitespace();
                qualifiers.all(|word| word.starts_with("pub") || ["async", "const", "in"].contains(&word))
            }) && !words.ends_with(';');
            let end = lines[start..]
                .iter()
                .position(|line| *line == format!("{indent}}}"));
            if let (true, Some(length)) = (is_function, end)
                && length + 1 > LONG
            {
                println!(
                    "{}:{}: {} lines: {}",
                    file.path,
                    start + 1,
                    length + 1,
                    words.trim_end_matches(" {")
                );
            }
        }
    }
}

#[test]
fn the_checks_themselves_see() {
    assert_eq!(
        code("a // sleep(\n\"sleep(\\\"\" 'x' '\"' b<'a> r#\"x\"y\"# c"),
        "a \n  b<'a>  c".replace("  b", "   b")
    );
    assert!(names_crate("use ::redis::cmd;", "redis") && names_crate("(redis::cmd(", "redis"));
    assert!(!names_crate("super::redis::x, my_redis::y", "redis"));
    let manifest = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\n[dev-dependencies]\nc = \"1\"\n[lints]\nx = 1\n";
    assert_eq!(dependencies(manifest), ["b".to_owned(), "c".to_owned()].into());
}
