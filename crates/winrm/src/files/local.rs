//! Files and folders of this machine, as sources and as what a target folder holds already.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::event::FileError;
use super::filter::{Filter, Pattern, is_pattern};
use super::time;
use winrm_proto::copy::FailureCode;

/// Something here.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) path: PathBuf,
    /// The path below the source folder, `/` between its names; the name for a source that is a file.
    pub(super) below: String,
    pub(super) kind: LocalKind,
    pub(super) size: u64,
    pub(super) modified: i64,
    pub(super) accessed: i64,
    pub(super) read_only: bool,
}

#[derive(Debug, Clone)]
pub(super) enum LocalKind {
    File,
    Folder,
    /// Not copied, for this reason.
    LeftOut(&'static str),
    Failed(FileError),
}

impl Local {
    pub(super) fn new(path: PathBuf, below: String, metadata: &Metadata) -> Self {
        let kind = if metadata.is_file() {
            LocalKind::File
        } else if metadata.is_dir() {
            LocalKind::Folder
        } else {
            LocalKind::LeftOut("it is neither a file nor a folder")
        };
        Self {
            path,
            below,
            kind,
            size: if metadata.is_file() { metadata.len() } else { 0 },
            modified: time::modified(metadata),
            accessed: time::accessed(metadata),
            read_only: metadata.permissions().mode() & 0o222 == 0,
        }
    }

    fn other(path: PathBuf, below: String, kind: LocalKind) -> Self {
        Self {
            path,
            below,
            kind,
            size: 0,
            modified: 0,
            accessed: 0,
            read_only: false,
        }
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self.kind, LocalKind::File)
    }

    pub(super) fn is_folder(&self) -> bool {
        matches!(self.kind, LocalKind::Folder)
    }
}

/// All that is below a folder, folders before what is in them. Links to files count as files; links to folders are left out, so
/// that there are no loops.
pub(super) fn walk(root: &Path, filter: &Filter) -> io::Result<Vec<Local>> {
    let mut found = Vec::new();
    let mut waiting = vec![(root.to_owned(), String::new())];
    let mut first = true;
    while let Some((folder, below)) = waiting.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if first => return Err(error),
            Err(error) => {
                found.push(Local::other(folder, below, LocalKind::Failed(FileError::local(&error))));
                continue;
            }
        };
        first = false;
        let mut here = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                let below = join(&below, &name.to_string_lossy());
                let error = FileError::new(FailureCode::Other, "its name is not UTF-8");
                here.push(Local::other(entry.path(), below, LocalKind::Failed(error)));
                continue;
            };
            here.extend(look(&entry, join(&below, name), filter));
        }
        here.sort_by(|a, b| a.below.cmp(&b.below));
        for entry in here.iter().rev().filter(|entry| entry.is_folder()) {
            waiting.push((entry.path.clone(), entry.below.clone()));
        }
        found.extend(here);
    }
    Ok(found)
}

fn look(entry: &fs::DirEntry, below: String, filter: &Filter) -> Option<Local> {
    let path = entry.path();
    let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(_) if filter.skips_file(&below) => return None,
        Err(_) if link => return Some(Local::other(path, below, LocalKind::LeftOut("it is a link that leads nowhere"))),
        Err(error) => return Some(Local::other(path, below, LocalKind::Failed(FileError::local(&error)))),
    };
    let skipped = if metadata.is_dir() {
        filter.skips_folder(&below)
    } else {
        filter.skips_file(&below)
    };
    if skipped {
        return None;
    }
    if link && metadata.is_dir() {
        return Some(Local::other(path, below, LocalKind::LeftOut("it is a link to a folder")));
    }
    Some(Local::new(path, below, &metadata))
}

fn join(below: &str, name: &str) -> String {
    if below.is_empty() {
        name.to_owned()
    } else {
        format!("{below}/{name}")
    }
}

/// What a source means: itself if there is such a file, otherwise what its wildcards match.
pub(super) fn expand(source: &Path) -> io::Result<Vec<PathBuf>> {
    if fs::symlink_metadata(source).is_ok() {
        return Ok(vec![source.to_owned()]);
    }
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    if !source.to_str().is_some_and(is_pattern) {
        return Err(missing());
    }
    let mut found = vec![PathBuf::new()];
    for component in source.components() {
        let text = component.as_os_str().to_str().unwrap_or_default();
        if !is_pattern(text) {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        }
        let pattern = Pattern::new(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut matched = Vec::new();
        for folder in found {
            let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            let Ok(entries) = fs::read_dir(listed) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let fits = name
                    .to_str()
                    .is_some_and(|name| pattern.matches(name) && (!name.starts_with('.') || text.starts_with('.')));
                if fits {
                    matched.push(folder.join(&name));
                }
            }
        }
        matched.sort();
        found = matched;
    }
    found.retain(|path| fs::symlink_metadata(path).is_ok());
    if found.is_empty() { Err(missing()) } else { Ok(found) }
}

/// Runs what waits for this machine's disk where nobody else waits for it.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_and_loops_are_not() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("b/empty")).unwrap();
        fs::write(at("b/x.txt"), "x").unwrap();
        fs::write(at("a.txt"), "aa").unwrap();
        std::os::unix::fs::symlink("a.txt", at("link")).unwrap();
        std::os::unix::fs::symlink(root.path(), at("b/loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("dead")).unwrap();
        let found = walk(root.path(), &Filter::default()).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|entry| (entry.below.as_str(), entry.is_file(), entry.size))
            .collect();
        assert_eq!(
            names,
            [
                ("a.txt", true, 2),
                ("b", false, 0),
                ("dead", false, 0),
                ("link", true, 2),
                ("b/empty", false, 0),
                ("b/loop", false, 0),
                ("b/x.txt", true, 1)
            ]
        );
        assert!(matches!(found[5].kind, LocalKind::LeftOut(_)) && matches!(found[2].kind, LocalKind::LeftOut(_)));
        assert!(walk(&at("none"), &Filter::default()).is_err());
    }

    #[test]
    fn wildcards_are_for_those_whose_shell_left_them() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["one.txt", "two.txt", ".hidden.txt", "three.log", "a[1]"] {
            fs::write(at(name), "").unwrap();
        }
        assert_eq!(expand(&at("*.txt")).unwrap(), [at("one.txt"), at("two.txt")]);
        assert_eq!(expand(&at("a[1]")).unwrap(), [at("a[1]")]);
        assert!(expand(&at("*.c")).is_err() && expand(&at("none")).is_err());
    }
}
