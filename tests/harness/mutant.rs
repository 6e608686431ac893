//! Deliberate mistakes in the product, each in a file: what it means, then for each edit the path, the exact text and what
//! stands there instead. They are made in a copy of the tree, never in the tree itself.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// One mistake.
#[derive(Debug)]
pub struct Mutant {
    pub name: String,
    pub meaning: String,
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
        Self {
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

    /// Whether these words stand in all that stands in the place of something.
    #[must_use]
    pub fn says(&self, words: &str) -> bool {
        self.edits.iter().all(|edit| edit.mutant.contains(words))
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

    /// Takes it back.
    pub fn revert(&self, tree: &Path) {
        for edit in &self.edits {
            fs::copy(repository().join(&edit.path), tree.join(&edit.path)).expect("the original file");
        }
    }
}

/// Copies what git knows of, as it stands now, into a folder below `target`.
#[must_use]
pub fn copy_of_the_tree(folder: &str) -> PathBuf {
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
