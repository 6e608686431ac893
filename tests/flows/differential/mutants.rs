//! Deliberate mistakes in the product, each in a file under `tests/mutants/`. The comparison must find every one of them.

use std::{env, path::Path, process::Command};

use pubsync_tests::mutant::{Mutant, copy_of_the_tree};

/// More cases than any mutant survives.
const SEEDS: u32 = 400;

/// In the order of their names; only those whose name holds `PUBSYNC_MUTANT`.
fn mutants() -> Vec<Mutant> {
    Mutant::all("tests/mutants", &env::var("PUBSYNC_MUTANT").unwrap_or_default())
}

/// The lists cannot rot.
#[test]
fn originals_stand_in_the_source() {
    let all = mutants();
    assert!(all.len() >= 10 || env::var_os("PUBSYNC_MUTANT").is_some());
    all.iter().for_each(Mutant::assert_fits);
    Mutant::all("tests/torture/mutants", "")
        .iter()
        .for_each(Mutant::assert_fits);
}

/// Takes a copy of the tree, and for each mutant some minutes: `make mutants`.
#[test]
#[ignore = "builds the product once for each mutant"]
fn every_mutant_is_found() {
    let tree = copy_of_the_tree("mutants");
    let mut survivors = Vec::new();
    for mutant in mutants() {
        mutant.apply(&tree);
        let found = play(&tree, &tree.with_file_name("build"));
        mutant.revert(&tree);
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
