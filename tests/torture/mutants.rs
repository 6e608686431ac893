//! Breaks the product on purpose and lets the torture find it: one build holds all mistakes of `tests/torture/mutants/`. It
//! must pass without one; then each is tortured until the first violation, with the faults that its file names.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use pubsync_tests::mutant::{MISTAKE, Mutant, tree_of_mistakes};

/// Without a mistake: each of the faults several times.
const RIGHT: &str = "--minutes 2.5 --rounds 3 --roots 1000 --limit 180";
/// With one: quiet comes often, for much is seen only then.
const WRONG: &str = "--minutes 4 --rounds 12 --roots 1000 --limit 90 --first-only yes";
/// Longer than either lasts on a slow machine.
const DEADLINE: Duration = Duration::from_secs(1200);

/// The first violation.
struct Found {
    invariant: String,
    what: String,
    /// The fault that began last before it.
    fault: String,
    after: Duration,
}

/// Tries those whose name holds the word.
///
/// # Panics
/// Where one is not found, or something is found without a mistake.
pub fn run(word: &str) {
    let mutants = Mutant::all("tests/torture/mutants", word);
    let tree = tree_of_mistakes("torture-mutants", &mutants);
    let product = build(&tree);
    let logs = tree.with_file_name("logs");
    fs::create_dir_all(&logs).unwrap_or_else(|error| panic!("{}: {error}", logs.display()));
    let torture = |mutant: Option<&Mutant>, arguments: &str, faults: &str| {
        let name = mutant.map_or("without a mistake", |mutant| &mutant.name);
        eprintln!("{name}: {arguments}, {faults}");
        torture(&product, &logs, mutant, arguments, faults)
    };
    for (options, faults) in by_options(&mutants) {
        let log = format!("see {}", logs.display());
        match torture(None, &format!("{RIGHT} {options}"), &faults) {
            Ok(None) => {}
            Ok(Some(found)) => panic!(
                "without a mistake it finds {}: {}; {log}",
                found.invariant, found.what
            ),
            Err(reason) => panic!("without a mistake {reason}; {log}"),
        }
    }
    let (mut table, mut survivors) = (String::new(), Vec::new());
    for mutant in &mutants {
        let options = format!("{WRONG} {}", mutant.note("options"));
        let line = match torture(Some(mutant), &options, mutant.note("faults")) {
            Ok(Some(found)) => found.line(&mutant.name),
            other => {
                survivors.push(mutant.name.clone());
                let none = || format!("no {}", mutant.note("invariants").replace('|', ", "));
                let reason = other.err().unwrap_or_else(none);
                format!("| `{}` | **not found**: {reason} | | |\n", mutant.name)
            }
        };
        eprint!("{line}");
        table.push_str(&line);
    }
    println!("\n| mutant | invariant | last fault | seconds |\n| --- | --- | --- | --- |\n{table}");
    assert!(survivors.is_empty(), "mutants that nobody finds: {survivors:?}");
}

/// For each set of options the faults of all mutants that need it.
fn by_options(mutants: &[Mutant]) -> BTreeMap<&str, String> {
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for mutant in mutants {
        all.entry(mutant.note("options"))
            .or_default()
            .push(mutant.note("faults"));
    }
    all.into_iter()
        .map(|(options, faults)| (options, faults.join(",")))
        .collect()
}

/// The product of the copy.
fn build(tree: &Path) -> PathBuf {
    let target = tree.with_file_name("build");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "-q", "--locked", "-p", "pubsync"])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .expect("cargo");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "it does not build:\n{errors}");
    target.join("debug/pubsync")
}

/// What was violated first: without a mistake anything, else what the mutant's file names, for the rest may be the machine's.
/// A run that fails otherwise is an error.
fn torture(
    product: &Path,
    logs: &Path,
    mutant: Option<&Mutant>,
    arguments: &str,
    faults: &str,
) -> Result<Option<Found>, String> {
    let mistake = mutant.map(|mutant| mutant.name.as_str());
    let wanted = |found: &Found| {
        mutant.is_none_or(|mutant| {
            mutant
                .note("invariants")
                .split('|')
                .any(|one| one == found.invariant)
        })
    };
    let mut command = command(product, mistake, arguments, faults);
    let begun = Instant::now();
    let mut child = command.spawn().expect("the torture");
    let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        stderr
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| sender.send(line))
    });
    let path = logs.join(format!("{}.log", mistake.unwrap_or("right")));
    let mut log = fs::File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut found, mut fault) = (None, "none".to_owned());
    loop {
        match lines.recv_timeout(DEADLINE.saturating_sub(begun.elapsed())) {
            Ok(line) => {
                writeln!(log, "{line}").expect("the log");
                if let Some(violation) = line.strip_prefix("VIOLATION ") {
                    let this = Found::of(violation, &fault, begun.elapsed());
                    found = found.or_else(|| Some(this).filter(wanted));
                }
                fault = begun_fault(&line).map_or(fault, str::to_owned);
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill().expect("SIGKILL");
                child.wait().expect("its status");
                return Err(format!("it did not end within {DEADLINE:?}"));
            }
        }
    }
    let status = child.wait().expect("its status");
    match found {
        None if !status.success() => Err(format!("it failed otherwise ({status}); see {}", path.display())),
        found => Ok(found),
    }
}

fn command(product: &Path, mistake: Option<&str>, arguments: &str, faults: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("the path of this program"));
    command
        .args(arguments.split_whitespace())
        .args(["--only", faults])
        .env("PUBSYNC_BIN", product)
        .env("RUST_BACKTRACE", "0")
        .env_remove(MISTAKE)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Some(mistake) = mistake {
        command.env(MISTAKE, mistake);
    }
    command
}

/// From `   12 s name`.
fn begun_fault(line: &str) -> Option<&str> {
    let (seconds, name) = line.trim_start().split_once(" s ")?;
    seconds.parse::<u64>().is_ok().then_some(name)
}

impl Found {
    fn of(violation: &str, fault: &str, after: Duration) -> Self {
        let (invariant, what) = violation.split_once(": ").unwrap_or((violation, ""));
        Self {
            invariant: invariant.to_owned(),
            what: what.chars().take(120).collect(),
            fault: fault.to_owned(),
            after,
        }
    }

    fn line(&self, mutant: &str) -> String {
        let what = self.what.replace('|', "\\|");
        format!(
            "| `{mutant}` | {}: {what} | {} | {} |\n",
            self.invariant,
            self.fault,
            self.after.as_secs()
        )
    }
}
