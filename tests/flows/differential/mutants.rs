//! Deliberate mistakes in the product, each in a file under `tests/mutants/`: what it means, then for each edit the path, the
//! exact text and what stands there instead. One build holds all of them. The comparison must find every one.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use pubsync_tests::mutant::{MISTAKE, Mutant, tree_of_mistakes};

/// More cases than any mutant survives.
const SEEDS: u32 = 400;

/// Cases without a mistake, so that the build itself is none.
const RIGHT: u32 = 20;

/// In the order of their names; only those whose name holds `PUBSYNC_MUTANT`.
fn mutants() -> Vec<Mutant> {
    Mutant::all("tests/mutants", &env::var("PUBSYNC_MUTANT").unwrap_or_default())
}

/// The lists cannot rot.
#[test]
fn originals_stand_in_the_source() {
    let all = mutants();
    assert!(all.len() >= 10 || env::var_os("PUBSYNC_MUTANT").is_some());
    for mutant in &all {
        mutant.assert_fits();
        mutant.assert_asks();
    }
    for mutant in Mutant::all("tests/torture/mutants", "") {
        mutant.assert_fits();
        mutant.assert_asks();
        for note in ["faults", "invariants"] {
            assert_ne!(mutant.note(note), "", "{}: {note}?", mutant.name);
        }
    }
}

/// Takes a copy of the tree, and builds it: `make mutants`.
#[test]
#[ignore = "builds the product once more"]
fn every_mutant_is_found() {
    let mutants = mutants();
    let tree = tree_of_mistakes("mutants", &mutants);
    let program = build(&tree, &tree.with_file_name("build"));
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
    let mut programs = messages.filter_map(|message| Some(message["executable"].as_str()?.to_owned()));
    PathBuf::from(programs.next_back().expect("a program"))
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
        Some(name) => command.env(MISTAKE, name),
        None => command.env_remove(MISTAKE),
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
