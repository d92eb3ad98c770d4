//! Where vault passwords come from: a question, a file, a program.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use winrm::Secret;
use zeroize::Zeroizing;

use super::DEFAULT_ID;

/// The longest that a password's file, or what a program prints, may be, in bytes.
const LIMIT: u64 = 64 * 1024;

/// Asks a person; the argument is the question.
pub type AskPassword<'a> = &'a mut dyn FnMut(&str) -> io::Result<Secret>;

/// A vault id and where its password comes from: `[ID@]SOURCE` as `--vault-id` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultId {
    /// The id; [`DEFAULT_ID`] where none was given.
    pub id: Arc<str>,
    /// Where the password comes from.
    pub source: PasswordSource,
}

/// Where a vault password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordSource {
    /// A person is asked.
    Prompt,
    /// A file; if it is executable, it is run and prints the password. When its name ends in `-client` (before the extension), it is
    /// given `--vault-id ID`.
    File(PathBuf),
}

impl VaultId {
    /// Reads `[ID@]SOURCE`, with a relative file taken from `folder` and `~/` from the home directory. The source `prompt` asks.
    #[must_use]
    pub fn parse(text: &str, folder: &Path) -> Self {
        let (id, source) = match text.split_once('@') {
            Some((id, source)) => (id, source),
            None => ("", text),
        };
        let id = if id.is_empty() { DEFAULT_ID } else { id };
        let source = match source {
            "prompt" | "prompt_ask_vault_pass" => PasswordSource::Prompt,
            file => PasswordSource::File(path_of(file, folder)),
        };
        Self { id: id.into(), source }
    }

    /// A password without an id, from a file: `--vault-password-file`.
    #[must_use]
    pub fn file(file: &str, folder: &Path) -> Self {
        Self {
            id: DEFAULT_ID.into(),
            source: PasswordSource::File(path_of(file, folder)),
        }
    }

    /// A password without an id, asked for: `--ask-vault-pass`.
    #[must_use]
    pub fn prompt() -> Self {
        Self {
            id: DEFAULT_ID.into(),
            source: PasswordSource::Prompt,
        }
    }

    /// Gets the password. Blocks while a person or a program is asked.
    ///
    /// # Errors
    /// See [`PasswordSourceError`]; none of them contains a password.
    pub fn password(&self, ask: AskPassword<'_>) -> Result<Secret, PasswordSourceError> {
        let password = match &self.source {
            PasswordSource::Prompt => {
                let question = if &*self.id == DEFAULT_ID {
                    "Vault password: ".to_owned()
                } else {
                    format!("Vault password ({}): ", self.id)
                };
                ask(&question).map_err(|error| PasswordSourceError::Prompt {
                    id: self.id.clone(),
                    error: error.to_string(),
                })?
            }
            PasswordSource::File(path) => self.read_file(path)?,
        };
        if password.is_empty() {
            return Err(PasswordSourceError::Empty { from: self.from() });
        }
        Ok(password)
    }

    fn from(&self) -> String {
        match &self.source {
            PasswordSource::Prompt => "the prompt".to_owned(),
            PasswordSource::File(path) => path.display().to_string(),
        }
    }

    fn read_file(&self, path: &Path) -> Result<Secret, PasswordSourceError> {
        let unreadable = |error: io::Error| PasswordSourceError::File {
            path: path.to_owned(),
            error: error.to_string(),
        };
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        if metadata.permissions().mode() & 0o111 != 0 {
            return self.run_program(path);
        }
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let bytes = read_bounded(file).map_err(unreadable)?;
        if super::Vault::is_encrypted(&bytes) {
            return Err(PasswordSourceError::Encrypted { path: path.to_owned() });
        }
        self.secret(&bytes).map(|text| Secret::new(text.trim()))
    }

    fn run_program(&self, path: &Path) -> Result<Secret, PasswordSourceError> {
        let failed = |error: io::Error| PasswordSourceError::Program {
            path: path.to_owned(),
            error: error.to_string(),
        };
        let mut command = Command::new(path);
        let is_client = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("-client"));
        if is_client {
            command.args(["--vault-id", &self.id]);
        }
        // Standard error and input stay the terminal's: programs may ask people for something.
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
        let read = match child.stdout.take() {
            Some(stdout) => read_bounded(stdout),
            None => Ok(Zeroizing::default()),
        };
        if read.is_err() {
            // Whoever prints without end would not end by itself.
            let _ = child.kill();
        }
        let status = child.wait().map_err(failed)?;
        let bytes = read.map_err(failed)?;
        match status.code() {
            Some(0) => {}
            Some(2) if is_client => {
                return Err(PasswordSourceError::UnknownId {
                    path: path.to_owned(),
                    id: self.id.clone(),
                });
            }
            _ => {
                return Err(PasswordSourceError::Status {
                    path: path.to_owned(),
                    status,
                });
            }
        }
        self.secret(&bytes).map(|text| Secret::new(text.trim_matches(['\r', '\n'])))
    }

    fn secret<'a>(&self, bytes: &'a [u8]) -> Result<&'a str, PasswordSourceError> {
        std::str::from_utf8(bytes).map_err(|_| PasswordSourceError::NotUtf8 { from: self.from() })
    }
}

fn path_of(text: &str, folder: &Path) -> PathBuf {
    match text.strip_prefix("~/").and_then(|rest| Some((std::env::home_dir()?, rest))) {
        Some((home, rest)) => home.join(rest),
        None => folder.join(text),
    }
}

fn read_bounded(source: impl io::Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // Its whole room at once: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT as usize + 1));
    source.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(io::Error::other("it is longer than 64 KiB, which no password is"));
    }
    Ok(bytes)
}

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordSourceError {
    /// Nobody could be asked.
    #[error("the password of the vault id {id:?} can't be asked for: {error}")]
    Prompt {
        /// The vault id.
        id: Arc<str>,
        /// What the terminal said.
        error: String,
    },
    /// The file can't be read.
    #[error("the vault password file {} can't be read: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// The file is encrypted itself.
    #[error("the vault password file {} is itself encrypted", .path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// The program can't be run.
    #[error("the vault password program {} can't be run: {error}", .path.display())]
    Program {
        /// The program.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// The program did not end well.
    #[error("the vault password program {} ended with {status}", .path.display())]
    Status {
        /// The program.
        path: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// The client program has no password of this id (exit status 2).
    #[error("the vault password program {} knows no password of the vault id {id:?}", .path.display())]
    UnknownId {
        /// The program.
        path: PathBuf,
        /// The vault id.
        id: Arc<str>,
    },
    /// There is a password, and it is empty.
    #[error("the vault password from {from} is empty")]
    Empty {
        /// The file or program.
        from: String,
    },
    /// The password is no text.
    #[error("the vault password from {from} is not valid UTF-8")]
    NotUtf8 {
        /// The file or program.
        from: String,
    },
}

impl PasswordSourceError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Prompt { .. } => "where there is no terminal, give --vault-password-file FILE or --vault-id ID@FILE",
            Self::File { .. } => "--vault-password-file takes a file with the password, --vault-id takes ID@FILE",
            Self::Program { .. } => "if it is not a program, remove its executable bit: chmod -x",
            _ => return None,
        })
    }
}
