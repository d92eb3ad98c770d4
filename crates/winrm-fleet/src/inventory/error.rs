//! Why an inventory can't be read, and where.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::vault::VaultError;

/// Why an inventory can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// Nothing is there.
    #[error("there is no inventory at {}", path.display())]
    Missing {
        /// The path that was given.
        path: PathBuf,
    },
    /// A file or folder can't be read.
    #[error("{} can't be read", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is larger than any inventory.
    #[error("{} is larger than {} MiB", path.display(), limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How large it may be, in bytes.
        limit: u64,
    },
    /// A file says what no inventory (or file of variables) says.
    #[error("{0}")]
    Malformed(Box<Malformed>),
    /// A file is encrypted, and stays so.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// An executable inventory failed.
    #[error("the inventory program {} {what}", path.display())]
    Program {
        /// The program.
        path: PathBuf,
        /// What went wrong.
        what: String,
        /// What it wrote to standard error, its end.
        stderr: String,
    },
    /// A kind of inventory that isn't read here.
    #[error("{}: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
}

impl InventoryError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { path } if path.to_str().is_some_and(|path| !path.contains('/')) => Some(format!(
                "give a file, a folder or a program; a list of hosts has a comma: -i {},",
                path.display()
            )),
            Self::Missing { .. } => Some("give a file, a folder, a program, or hosts with a comma between or behind them".to_owned()),
            Self::Read { .. } => Some("check its owner and mode: ls -l".to_owned()),
            Self::TooLarge { .. } => Some("split it into several files of a folder".to_owned()),
            Self::Malformed(malformed) => malformed.hint.clone(),
            Self::Vault(error) => error.hint(),
            Self::Program { path, stderr, .. } if stderr.is_empty() => Some(format!("try it by hand: {} --list", path.display())),
            Self::Program { stderr, .. } => Some(format!("it wrote to standard error: {}", stderr.trim())),
            Self::Unsupported { path, .. } => Some(format!(
                "let Ansible write what it makes of it: ansible-inventory -i {} --list --output hosts.json",
                path.display()
            )),
        }
    }

    /// The line that is meant, with a mark below the place, where there is such a line; values of secrets are left out.
    #[must_use]
    pub fn snippet(&self) -> Option<String> {
        match self {
            Self::Malformed(malformed) => malformed.snippet(),
            _ => None,
        }
    }
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    pub(crate) path: Arc<Path>,
    /// From 1; 0 if unknown.
    pub(crate) line: u32,
    /// From 1; 0 if unknown.
    pub(crate) column: u32,
    pub(crate) what: String,
    pub(crate) hint: Option<String>,
    /// The line's text; nothing if the file was encrypted.
    pub(crate) text: Option<String>,
}

impl Malformed {
    pub(crate) fn new(path: Arc<Path>, line: u32, column: u32, what: impl Into<String>, text: Option<&str>) -> Self {
        Self {
            path,
            line,
            column,
            what: what.into(),
            hint: None,
            text: text.map(str::to_owned),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line, from 1; 0 where the format doesn't tell.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The column in characters, from 1; 0 where the format doesn't tell.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.column
    }

    /// What is wrong.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    fn snippet(&self) -> Option<String> {
        let text = self.text.as_deref().filter(|text| !text.trim().is_empty())?;
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let line = without_secrets(text);
        let mut snippet = format!("{margin} |\n{number} | {}", shortened(&line));
        if let Some(before) = usize::try_from(self.column).ok().and_then(|column| column.checked_sub(1))
            && before <= line.chars().count().min(SNIPPET_CHARACTERS)
        {
            // Tabs stay tabs, so that the mark stands below its place.
            let space: String = line
                .chars()
                .take(before)
                .map(|char| if char == '\t' { '\t' } else { ' ' })
                .collect();
            snippet.push_str(&format!("\n{margin} | {space}^"));
        }
        Some(snippet)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match (self.line, self.column) {
            (0, _) => {}
            (line, 0) => write!(f, ", line {line}")?,
            (line, column) => write!(f, ", line {line}, column {column}")?,
        }
        write!(f, ": {}", self.what)
    }
}

impl From<Malformed> for InventoryError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(Box::new(malformed))
    }
}

const SNIPPET_CHARACTERS: usize = 160;

fn shortened(line: &str) -> String {
    match line.char_indices().nth(SNIPPET_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The line up to the first value of something secret: errors end up in logs.
fn without_secrets(line: &str) -> String {
    const SECRET: [&str; 7] = ["pass", "pwd", "secret", "token", "private", "credential", "api_key"];
    let lower = line.to_ascii_lowercase();
    let Some(found) = SECRET.iter().filter_map(|word| lower.find(word)).min() else {
        return line.to_owned();
    };
    match line[found..].find(['=', ':']) {
        Some(at) => format!("{}…", &line[..=found + at]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_points_at_the_place_and_keeps_secrets() {
        let mut malformed = Malformed {
            path: Path::new("prod.ini").into(),
            line: 12,
            column: 5,
            what: "no".to_owned(),
            hint: None,
            text: Some("web1 ansible_password=topsecret x".to_owned()),
        };
        assert_eq!(malformed.snippet().unwrap(), "   |\n12 | web1 ansible_password=…\n   |     ^");
        malformed.text = Some("\tdb:\tx".to_owned());
        assert_eq!(malformed.snippet().unwrap(), "   |\n12 | \tdb:\tx\n   | \t   ^");
        malformed.column = 0;
        assert_eq!(malformed.to_string(), "prod.ini, line 12: no");
    }
}
