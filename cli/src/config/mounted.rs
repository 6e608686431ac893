//! `${NAME}` and `${file:PATH}` in values. A file that is mounted into a pod is written anew when its secret changes, so
//! what was read is kept, to see that.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that a configuration names, with what they held when it was read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Mounted(BTreeMap<PathBuf, String>);

impl Mounted {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a file holds something else now. One that cannot be read is not changed: it is just being replaced.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        let changed = |(path, known): (&PathBuf, &String)| read(path).is_ok_and(|now| now != *known);
        self.0.iter().any(changed)
    }

    /// Reads a file and keeps what it held.
    pub(super) fn read(&mut self, path: PathBuf) -> Result<String, String> {
        let text = read(&path).map_err(|error| format!("file {} cannot be read: {error}", path.display()))?;
        self.0.insert(path, text.clone());
        Ok(text)
    }
}

/// Without the end of its last line, which editors write and passwords do not have.
fn read(path: &Path) -> std::io::Result<String> {
    let text = fs::read_to_string(path)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Replaces `${NAME}` and `${file:PATH}`; `$${` stands for `${`.
pub(super) fn expand<'a>(
    text: &str,
    variable: impl Fn(&str) -> Option<&'a str>,
    mut file: impl FnMut(&str) -> Result<String, String>,
) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        let (name, after) = after
            .split_once('}')
            .ok_or("`${` without `}`; write `$${` for the characters themselves")?;
        out.push_str(before);
        match name.strip_prefix("file:") {
            Some(path) if !path.is_empty() => out.push_str(&file(path)?),
            _ if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
                let text = "only `${NAME}` and `${file:PATH}` are understood; write `$${` for the characters themselves";
                return Err(text.to_owned());
            }
            _ => {
                let value =
                    variable(name).ok_or_else(|| format!("environment variable {name} is not set"))?;
                out.push_str(value);
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_a_change_is_seen() {
        let folder = std::env::temp_dir().join(format!("pubsync-mounted-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("password");
        fs::write(&file, "s3cret\r\n").unwrap();
        let mut mounted = Mounted::default();
        let mut expanded = |text: &str| expand(text, |_| None, |path| mounted.read(folder.join(path)));
        assert_eq!(expanded("a:${file:password}@b").unwrap(), "a:s3cret@b");
        let missing = folder.join("other").display().to_string();
        assert_eq!(
            expanded("${file:other}").unwrap_err(),
            format!("file {missing} cannot be read: No such file or directory (os error 2)")
        );
        assert!(!mounted.has_changed());
        fs::write(&file, "other").unwrap();
        assert!(mounted.has_changed());
        // Between the old and the new there may be none.
        fs::remove_file(&file).unwrap();
        assert!(!mounted.has_changed());
        fs::remove_dir(&folder).unwrap();
    }
}
