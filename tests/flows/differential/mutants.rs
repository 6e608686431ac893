//! Deliberate mistakes in the product, each in a file under `tests/mutants/`: what it means, then for each edit the path, the
//! exact text and what stands there instead. The comparison must find every one of them.

use std::{
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

/// The list cannot rot.
#[test]
fn originals_stand_in_the_source() {
    let all = mutants();
    assert!(all.len() >= 10 || env::var_os("PUBSYNC_MUTANT").is_some());
    for mutant in all {
        assert!(!mutant.edits.is_empty(), "{} changes nothing", mutant.name);
        for edit in mutant.edits {
            let text = fs::read_to_string(repository().join(&edit.path)).unwrap_or_default();
            let times = text.matches(&edit.original).count();
            assert_eq!(times, 1, "{}: in {}:\n{}", mutant.name, edit.path, edit.original);
        }
    }
}

/// Takes a copy of the tree, and for each mutant some minutes: `make mutants`.
#[test]
#[ignore = "builds the product once for each mutant"]
fn every_mutant_is_found() {
    let copy = repository().join("target/mutants");
    let tree = copy.join("tree");
    copy_tree(&tree);
    let mut survivors = Vec::new();
    for mutant in mutants() {
        for edit in &mutant.edits {
            replace(&tree.join(&edit.path), &edit.original, &edit.mutant);
        }
        let found = play(&tree, &copy.join("build"));
        for edit in &mutant.edits {
            fs::copy(repository().join(&edit.path), tree.join(&edit.path)).expect("the original file");
        }
        match found {
            Ok(line) => println!("{}: {line}", mutant.name),
            Err(reason) => {
                println!("{} survives ({}): {reason}", mutant.name, mutant.meaning);
                survivors.push(mutant.name);
            }
        }
    }
    assert!(survivors.is_empty(), "mutants that nobody finds: {survivors:?}");
}

/// What git knows of, as it stands now.
fn copy_tree(tree: &Path) {
    let listed = Command::new("git")
        .arg("ls-files")
        .current_dir(repository())
        .output();
    let listed = String::from_utf8(listed.expect("git").stdout).expect("paths");
    for path in listed.lines() {
        let (from, to) = (repository().join(path), tree.join(path));
        let Ok(text) = fs::read(&from) else { continue };
        // What is the same keeps its time, so that it is not built again.
        if fs::read(&to).is_ok_and(|known| known == text) {
            continue;
        }
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::write(&to, text).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    }
}

fn replace(path: &Path, original: &str, mutant: &str) {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::write(path, text.replacen(original, mutant, 1)).expect("the mutant");
}

/// How it was found; the reason where it was not.
fn play(tree: &Path, build: &Path) -> Result<String, String> {
    let cargo = |arguments: &[&str]| {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["test", "-q", "--locked", "-p", "pubsync-tests", "--test", "flows"])
            .args(arguments)
            .current_dir(tree)
            .env("CARGO_TARGET_DIR", build)
            .env("PUBSYNC_SEED", "0")
            .env("PUBSYNC_SEEDS", SEEDS.to_string())
            .env("PUBSYNC_BRIEFLY", "1")
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("cargo");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.success(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (builds, _, errors) = cargo(&["--no-run"]);
    if !builds {
        return Err(format!("it does not build:\n{errors}"));
    }
    let (passes, output, errors) = cargo(&["differential::differential", "--", "--nocapture"]);
    let mut lines = output.lines().skip_while(|line| !line.contains(" fails"));
    match (passes, lines.next()) {
        (true, _) => Err(format!("{SEEDS} seeds pass")),
        (false, None) => Err(format!("it fails otherwise:\n{output}\n{errors}")),
        (false, Some(seed)) => {
            let difference = lines.next().unwrap_or_default();
            let played = output
                .lines()
                .find(|line| line.contains(" seeds: "))
                .unwrap_or_default();
            let seeds = played.split(" seeds").next().unwrap_or_default();
            Ok(format!("{seed} (after {seeds}): {difference}"))
        }
    }
}
