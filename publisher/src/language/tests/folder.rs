//! Loading the folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::load_folder;

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pubsync-language-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn message(path: &Path, folder: &Folder) -> String {
    load_folder(path)
        .unwrap_err()
        .to_string()
        .replace(folder.0.to_str().unwrap(), "documents")
}

#[test]
fn yaml_files_come_by_name() {
    let folder = Folder::new("files");
    for name in ["b.yml", "a.yaml", "notes.txt", ".hidden.yaml"] {
        fs::write(folder.0.join(name), name).unwrap();
    }
    fs::create_dir(folder.0.join("folder.yaml")).unwrap();
    let files = load_folder(&folder.0).unwrap();
    assert_eq!(
        files.iter().map(|file| file.text.as_str()).collect::<Vec<_>>(),
        ["a.yaml", "b.yml"]
    );
    assert_eq!(files[0].name, folder.0.join("a.yaml").display().to_string());
}

#[test]
fn a_folder_that_gives_nothing_says_why() {
    let folder = Folder::new("nothing");
    assert_eq!(
        message(&folder.0, &folder),
        "no .yaml or .yml file is in the folder documents"
    );
    assert_eq!(
        message(&folder.0.join("none"), &folder),
        "there is no folder documents/none"
    );
    fs::write(folder.0.join("a.yaml"), [0xff, 0xfe]).unwrap();
    assert_eq!(message(&folder.0, &folder), "documents/a.yaml is not UTF-8 text");
    assert_eq!(
        message(&folder.0.join("a.yaml"), &folder),
        "documents/a.yaml is no folder"
    );
    // What ends in .yaml and is no file.
    fs::remove_file(folder.0.join("a.yaml")).unwrap();
    std::os::unix::fs::symlink("/nowhere", folder.0.join("a.yaml")).unwrap();
    assert_eq!(message(&folder.0, &folder), "cannot read documents/a.yaml");
}
