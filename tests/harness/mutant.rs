//! Deliberate mistakes in the product, each in a file: what it means, perhaps notes (`faults: …`), then for each edit the path,
//! the exact text and what stands there instead. They are made in a copy of the tree, never in the tree itself: one build
//! holds all of them, and makes the one that a variable names; what stands there instead asks `mistake("its name")`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The variable that names the mistake. Not `PUBSYNC_…`: those are the product's settings.
pub const MISTAKE: &str = "MISTAKE";

/// The crates that have something to ask, each for itself: one of them knows no other.
const ASKED: [&str; 2] = ["schema/src/lib.rs", "worker/src/lib.rs"];
const ANSWER: &str = "
/// Whether this mistake is to be made.
pub fn mistake(name: &str) -> bool {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    NAME.get_or_init(|| std::env::var(\"MISTAKE\").ok()).as_deref() == Some(name)
}
";

/// One mistake.
#[derive(Debug)]
pub struct Mutant {
    pub name: String,
    pub meaning: String,
    notes: BTreeMap<String, String>,
    edits: Vec<Edit>,
}

#[derive(Debug)]
struct Edit {
    path: String,
    original: String,
    mutant: String,
}

fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("tests/ stands in the repository")
        .to_owned()
}

impl Mutant {
    /// Those of a folder of the repository whose name holds the word, in the order of their names.
    #[must_use]
    pub fn all(folder: &str, word: &str) -> Vec<Self> {
        let entries =
            fs::read_dir(repository().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        let all = paths.iter().map(|path| Self::read(path));
        all.filter(|mutant| mutant.name.contains(word)).collect()
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut parts = text.split("\n=== ");
        let mut lines = parts.next().unwrap_or_default().lines();
        let meaning = lines.next().unwrap_or_default().to_owned();
        let note = |line: &str| {
            line.split_once(": ")
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
        };
        let notes = lines.filter_map(note).collect();
        let edit = |part: &str| {
            let (path, rest) = part.split_once("\n--- original\n").expect("an original");
            let (original, mutant) = rest.split_once("\n--- mutant\n").expect("a mutant");
            Edit {
                path: path.trim().to_owned(),
                original: original.to_owned(),
                mutant: mutant.trim_end_matches('\n').to_owned(),
            }
        };
        Self {
            name: path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            meaning,
            notes,
            edits: parts.map(edit).collect(),
        }
    }

    /// The list cannot rot.
    ///
    /// # Panics
    /// Where an original does not stand exactly once in the source.
    pub fn assert_fits(&self) {
        assert!(!self.edits.is_empty(), "{} changes nothing", self.name);
        for edit in &self.edits {
            let text = fs::read_to_string(repository().join(&edit.path)).unwrap_or_default();
            let times = text.matches(&edit.original).count();
            assert_eq!(times, 1, "{}: in {}:\n{}", self.name, edit.path, edit.original);
        }
    }

    /// Whether it is a mistake only where it is asked for.
    ///
    /// # Panics
    /// Where it never asks.
    pub fn assert_asks(&self) {
        let question = format!("mistake(\"{}\")", self.name);
        let asks = self.edits.iter().any(|edit| edit.mutant.contains(&question));
        assert!(asks, "{} does not ask {question}", self.name);
    }

    /// What its file says after this word; nothing where it says nothing.
    #[must_use]
    pub fn note(&self, word: &str) -> &str {
        self.notes.get(word).map_or("", String::as_str)
    }

    /// Makes the mistake in a copy of the tree, beside others that stand there.
    ///
    /// # Panics
    /// Where an original does not stand exactly once there.
    pub fn apply(&self, tree: &Path) {
        for edit in &self.edits {
            let path = tree.join(&edit.path);
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let times = text.matches(&edit.original).count();
            assert_eq!(times, 1, "{}: in {}:\n{}", self.name, edit.path, edit.original);
            fs::write(path, text.replacen(&edit.original, &edit.mutant, 1)).expect("the mutant");
        }
    }
}

/// A copy of the tree, in a folder below `target`, in which all these mistakes can be made.
#[must_use]
pub fn tree_of_mistakes(folder: &str, mutants: &[Mutant]) -> PathBuf {
    let tree = copy_of_the_tree(folder);
    for mutant in mutants {
        mutant.apply(&tree);
    }
    for asked in ASKED.map(|path| tree.join(path)) {
        let text = fs::read_to_string(&asked).unwrap_or_else(|error| panic!("{}: {error}", asked.display()));
        fs::write(asked, text + ANSWER).expect("what is asked");
    }
    tree
}

/// Copies what git knows of, as it stands now, into a folder below `target`.
fn copy_of_the_tree(folder: &str) -> PathBuf {
    let tree = repository().join("target").join(folder).join("tree");
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
    tree
}
