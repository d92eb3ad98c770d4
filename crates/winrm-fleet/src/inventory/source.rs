//! Where inventories are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Endings of files that a folder of inventories holds beside them.
pub(super) const IGNORED_EXTENSIONS: [&str; 12] = [
    ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry",
];

/// One source of hosts, as `-i` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A file, an executable program, or a folder of such.
    Path(PathBuf),
    /// Names with a comma between or behind them.
    Hosts(String),
}

impl Source {
    /// What an argument of `-i` means: a list of hosts if it has a comma and no file is called so, a path otherwise.
    /// `~` and `$NAME` in paths are replaced.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.contains(',') && !Path::new(text).exists() {
            return Self::Hosts(text.to_owned());
        }
        Self::Path(expand_path(text))
    }
}

/// What was read.
#[derive(Debug, Clone)]
pub(crate) enum SourceFile {
    File(Arc<Path>),
    Program(Arc<Path>),
    List,
}

/// Replaces `~` at the begin, `$NAME` and `${NAME}`, as a shell does; names that aren't set stay as they are.
pub(crate) fn expand_path(text: &str) -> PathBuf {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    if let Some(behind) = text.strip_prefix('~')
        && (behind.is_empty() || behind.starts_with('/'))
        && let Some(home) = std::env::var_os("HOME")
    {
        expanded.push_str(&home.to_string_lossy());
        rest = behind;
    }
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        let (name, after) = match behind.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            Some(parts) => parts,
            None => {
                let end = behind
                    .find(|char: char| !char.is_ascii_alphanumeric() && char != '_')
                    .unwrap_or(behind.len());
                behind.split_at(end)
            }
        };
        match std::env::var(name) {
            Ok(value) if !name.is_empty() => expanded.push_str(&value),
            _ => expanded.push_str(&rest[at..rest.len() - after.len()]),
        }
        rest = after;
    }
    expanded.push_str(rest);
    expanded.into()
}
