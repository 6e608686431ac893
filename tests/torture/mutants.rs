//! Breaks the product on purpose and lets the torture find it: each mutant of `tests/torture/mutants/` is built from a copy of
//! the tree and tortured until the first violation.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use pubsync_tests::mutant::{Mutant, copy_of_the_tree};

/// Enough of everything, in a hurry.
const RUN: [&str; 10] = [
    "--minutes",
    "5",
    "--rounds",
    "2",
    "--roots",
    "1000",
    "--limit",
    "90",
    "--first-only",
    "yes",
];

/// Tries those whose name holds the word.
///
/// # Panics
/// Where one is not found.
pub fn run(word: &str) {
    let tree = copy_of_the_tree("torture-mutants");
    let mut survivors = Vec::new();
    for mutant in Mutant::all("tests/torture/mutants", word) {
        mutant.apply(&tree);
        let found = build(&tree).and_then(|product| torture(&product));
        mutant.revert(&tree);
        match found {
            Ok(violation) => println!("{}: {violation}", mutant.name),
            Err(reason) => {
                println!("{} survives ({}): {reason}", mutant.name, mutant.meaning);
                survivors.push(mutant.name);
            }
        }
    }
    assert!(survivors.is_empty(), "mutants that nobody finds: {survivors:?}");
}

/// The product of the copy.
fn build(tree: &Path) -> Result<PathBuf, String> {
    let target = tree.with_file_name("build");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "-q", "--locked", "-p", "pubsync"])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .expect("cargo");
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("it does not build:\n{errors}"));
    }
    Ok(target.join("debug/pubsync"))
}

/// The first violation.
fn torture(product: &Path) -> Result<String, String> {
    let output = Command::new(env::current_exe().expect("the path of this program"))
        .args(RUN)
        .env("PUBSYNC_BIN", product)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the torture");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let violation = log.lines().find_map(|line| line.strip_prefix("VIOLATION "));
    match (violation, output.status.success()) {
        (Some(violation), _) => Ok(violation.chars().take(200).collect()),
        (None, true) => Err("nothing was violated".to_owned()),
        (None, false) => Err(format!("it failed otherwise:\n{log}")),
    }
}
