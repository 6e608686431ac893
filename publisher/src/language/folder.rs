//! The folder of document files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::SourceFile;

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("there is no folder {}", .0.display())]
    Missing(PathBuf),
    #[error("{} is no folder", .0.display())]
    NotAFolder(PathBuf),
    #[error("no .yaml or .yml file is in the folder {}", .0.display())]
    Empty(PathBuf),
    #[error("{} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    #[error("cannot read {}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

/// All `*.yaml` and `*.yml` files of the folder itself, by name; hidden ones are left out.
///
/// # Errors
/// Where the folder is missing, holds no such file, or one cannot be read.
pub fn load_folder(folder: &Path) -> Result<Vec<SourceFile>, FolderError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| folder_error(folder, error))? {
        let path = entry.map_err(|error| folder_error(folder, error))?.path();
        if is_document(&path) {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(FolderError::Empty(folder.to_owned()));
    }
    paths.into_iter().map(load_file).collect()
}

fn is_document(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let yaml = path
        .extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml");
    yaml && !hidden && !path.is_dir()
}

fn load_file(path: PathBuf) -> Result<SourceFile, FolderError> {
    match fs::read_to_string(&path) {
        Ok(text) => Ok(SourceFile {
            name: path.display().to_string(),
            text,
        }),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(FolderError::NotText(path)),
        Err(source) => Err(FolderError::Unreadable { path, source }),
    }
}

fn folder_error(folder: &Path, source: io::Error) -> FolderError {
    match source.kind() {
        io::ErrorKind::NotFound => FolderError::Missing(folder.to_owned()),
        io::ErrorKind::NotADirectory => FolderError::NotAFolder(folder.to_owned()),
        _ => FolderError::Unreadable {
            path: folder.to_owned(),
            source,
        },
    }
}
