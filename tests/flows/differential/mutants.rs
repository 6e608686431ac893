//! Deliberate mistakes in the product, each in a file under `tests/mutants/`: what it means, then for each edit the path, the
//! exact text and what stands there instead. One build holds all of them, and makes the one that `PUBSYNC_MISTAKE` names:
//! what stands there instead asks `pubsync_schema::mistake`. The comparison must find every one of them.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

struct Mutant {
    name: String,
    meaning: String,
    edits: Vec<Edit>,
}

struct Edit {
    path: String,
    original: String,
    mutant: String,
}

/// More cases than any mutant survives.
const SEEDS: u32 = 400;

/// Cases without a mistake, so that the build itself is none.
const RIGHT: u32 = 20;

/// What mutants ask, at the end of the file.
const ASKED: &str = "schema/src/lib.rs";
const ANSWER: &str = "
/// Whether this mistake is to be made.
pub fn mistake(name: &str) -> bool {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    NAME.get_or_init(|| std::env::var(\"PUBSYNC_MISTAKE\").ok()).as_deref() == Some(name)
}
";

fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("tests/ stands in the repository")
        .to_owned()
}

/// In the order of their names; only those whose name holds `PUBSYNC_MUTANT`.
fn mutants() -> Vec<Mutant> {
    let folder = repository().join("tests/mutants");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("tests/mutants")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let wanted = env::var("PUBSYNC_MUTANT").unwrap_or_default();
    let all = paths.iter().map(|path| mutant(path));
    all.filter(|mutant| mutant.name.contains(&wanted)).collect()
}

fn mutant(path: &Path) -> Mutant {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut parts = text.split("\n=== ");
    let meaning = parts.next().unwrap_or_default().trim().to_owned();
    let edit = |part: &str| {
        let (path, rest) = part.split_once("\n--- original\n").expect("an original");
        let (original, mutant) = rest.split_once("\n--- mutant\n").expect("a mutant");
        Edit {
            path: path.trim().to_owned(),
            original: original.to_owned(),
            mutant: mutant.trim_end_matches('\n').to_owned(),
        }
    };
    Mutant {
        name: path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        meaning,
        edits: parts.map(edit).collect(),
    }
}

/// The files that mutants change, with all of them in, by path.
fn changed(mutants: &[Mutant]) -> BTreeMap<String, String> {
    let read = |path: &str| {
        let text = fs::read_to_string(repository().join(path));
        text.unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let mut files = BTreeMap::from([(ASKED.to_owned(), read(ASKED) + ANSWER)]);
    for mutant in mutants {
        assert!(!mutant.edits.is_empty(), "{} changes nothing", mutant.name);
        for edit in &mutant.edits {
            let text = files.entry(edit.path.clone()).or_insert_with(|| read(&edit.path));
            let times = text.matches(&edit.original).count();
            assert_eq!(times, 1, "{}: in {}:\n{}", mutant.name, edit.path, edit.original);
            let asks = format!("mistake(\"{}\")", mutant.name);
            assert!(edit.mutant.contains(&asks), "{} does not ask {asks}", mutant.name);
            *text = text.replacen(&edit.original, &edit.mutant, 1);
        }
    }
    files
}

/// The list cannot rot.
#[test]
fn originals_stand_in_the_source() {
    let all = mutants();
    assert!(all.len() >= 10 || env::var_os("PUBSYNC_MUTANT").is_some());
    changed(&all);
}

/// Takes a copy of the tree, and builds it: `make mutants`.
#[test]
#[ignore = "builds the product once more"]
fn every_mutant_is_found() {
    let copy = repository().join("target/mutants");
    let tree = copy.join("tree");
    let mutants = mutants();
    copy_tree(&tree, &changed(&mutants));
    let program = build(&tree, &copy.join("build"));
    let (passes, output) = play(&tree, &program, None, RIGHT);
    assert!(passes, "without a mistake it fails, too:\n{output}");
    let mut survivors = Vec::new();
    for mutant in mutants {
        match found(&tree, &program, &mutant.name) {
            Ok(line) => println!("{}: {line}", mutant.name),
            Err(reason) => {
                println!("{} survives ({}): {reason}", mutant.name, mutant.meaning);
                survivors.push(mutant.name);
            }
        }
    }
    assert!(survivors.is_empty(), "mutants that nobody finds: {survivors:?}");
}

/// What git knows of, as it stands now, but for what mutants change.
fn copy_tree(tree: &Path, changed: &BTreeMap<String, String>) {
    let listed = Command::new("git")
        .arg("ls-files")
        .current_dir(repository())
        .output();
    let listed = String::from_utf8(listed.expect("git").stdout).expect("paths");
    for path in listed.lines() {
        let (from, to) = (repository().join(path), tree.join(path));
        let text = match changed.get(path) {
            Some(text) => text.clone().into_bytes(),
            None => match fs::read(&from) {
                Ok(text) => text,
                Err(_) => continue,
            },
        };
        // What is the same keeps its time, so that it is not built again.
        if fs::read(&to).is_ok_and(|known| known == text) {
            continue;
        }
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::write(&to, text).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    }
}

/// The program of the flows.
fn build(tree: &Path, build: &Path) -> PathBuf {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--locked", "-p", "pubsync-tests", "--test", "flows"])
        .args(["--no-run", "--message-format=json-render-diagnostics"])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", build)
        .output()
        .expect("cargo");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "it does not build:\n{errors}");
    let lines = String::from_utf8_lossy(&output.stdout);
    let messages = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let programs = messages.filter_map(|message| Some(message["executable"].as_str()?.to_owned()));
    PathBuf::from(programs.last().expect("a program"))
}

/// Whether all cases pass, and what it said.
fn play(tree: &Path, program: &Path, mistake: Option<&str>, seeds: u32) -> (bool, String) {
    let mut command = Command::new(program);
    command
        .args(["differential::differential", "--exact", "--nocapture"])
        .current_dir(tree.join("tests"))
        .env("PUBSYNC_SEED", "0")
        .env("PUBSYNC_SEEDS", seeds.to_string())
        .env("PUBSYNC_BRIEFLY", "1")
        .env("RUST_BACKTRACE", "0")
        .env_remove("PUBSYNC_COLLECT");
    match mistake {
        Some(name) => command.env("PUBSYNC_MISTAKE", name),
        None => command.env_remove("PUBSYNC_MISTAKE"),
    };
    let output = command.output().expect("the program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout) + &text(&output.stderr),
    )
}

/// How it was found; the reason where it was not.
fn found(tree: &Path, program: &Path, mistake: &str) -> Result<String, String> {
    let (passes, output) = play(tree, program, Some(mistake), SEEDS);
    let mut lines = output.lines().skip_while(|line| !line.contains(" fails"));
    match (passes, lines.next()) {
        (true, _) => Err(format!("{SEEDS} seeds pass")),
        (false, None) => Err(format!("it fails otherwise:\n{output}")),
        (false, Some(seed)) => {
            let difference = lines.next().unwrap_or_default();
            let played = output.lines().rfind(|line| line.contains(" seeds: "));
            let played = played.unwrap_or_default();
            let seeds = played.split(" seeds").next().unwrap_or_default();
            Ok(format!("{seed} (after {seeds}): {difference}"))
        }
    }
}
