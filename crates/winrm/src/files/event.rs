//! What a copy tells while it runs, and at its end.

use std::fmt;
use std::io;
use std::sync::Arc;

use winrm_proto::copy::FailureCode;

/// What happens during a copy. Files are told apart by their index, since several may be under way.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CopyEvent {
    /// It is known what has to be copied.
    Planned {
        /// Files to copy.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// A file begins.
    Started {
        /// Which one.
        index: u32,
        /// The target's path.
        name: String,
        /// The size in bytes, where it is known.
        size: Option<u64>,
        /// How many of them are there from an earlier try.
        offset: u64,
    },
    /// Bytes of a file went over.
    Advanced {
        /// Which one.
        index: u32,
        /// How many more.
        bytes: u64,
    },
    /// Nothing more happens to a file.
    Finished {
        /// Which one, if it was started.
        index: Option<u32>,
        /// What became of it.
        report: FileReport,
    },
    /// Something that a person may want to know.
    Note(String),
    /// The copy goes another way than it should, and can do less there: a person wants to know.
    Fallback(String),
}

/// What became of a file or folder.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FileReport {
    /// Where it comes from; empty for what was removed.
    pub source: String,
    /// Where it goes.
    pub target: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of the file, where it is known: of what was copied, and of all with `checksum`.
    pub sha256: Option<[u8; 32]>,
    /// How many bytes were there from an earlier try, and were not sent again.
    pub resumed_at: u64,
    /// What became of it.
    pub outcome: FileOutcome,
}

impl FileReport {
    pub(super) fn new(source: impl Into<String>, target: impl Into<String>, size: u64, outcome: FileOutcome) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            size,
            sha256: None,
            resumed_at: 0,
            outcome,
        }
    }

    /// The SHA-256 in lower-case hexadecimal.
    #[must_use]
    pub fn sha256_hex(&self) -> Option<String> {
        self.sha256.map(|hash| super::hash::hex(&hash))
    }
}

/// What became of a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileOutcome {
    /// It was copied; with `dry_run`, it would be.
    Copied,
    /// The target is the same already.
    Unchanged,
    /// It was removed, since the source has none; with `dry_run`, it would be.
    Removed,
    /// It was left out, for this reason.
    LeftOut(&'static str),
    /// It could not be copied or removed.
    Failed(FileError),
}

/// Why a file could not be copied. The other files go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    code: FailureCode,
    message: String,
    hint: Option<&'static str>,
}

impl FileError {
    pub(super) fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// What the host says. What it says in its own words stands behind the sentence.
    pub(super) fn of_host(code: FailureCode, message: &str) -> Self {
        let (sentence, hint) = match code {
            FailureCode::NotFound => ("the host has no such file or folder", None),
            FailureCode::Denied => ("the host denies it", Some("the account needs the right to it on the host")),
            FailureCode::InUse => (
                "it is open in another program on the host",
                Some("end that program, or copy to another name"),
            ),
            FailureCode::DiskFull => ("the host's disk is full", None),
            FailureCode::IsFolder => (
                "a folder is there where a file is meant",
                Some("a separator behind DEST puts the file into it"),
            ),
            FailureCode::ReadOnly => (
                "the file there is read-only",
                Some("--preserve replaces read-only files, since it takes over whether they are"),
            ),
            FailureCode::TooLong => ("the path is too long for the host", None),
            FailureCode::Damaged => ("the bytes that arrived are not those that were sent", Some("try again")),
            FailureCode::Changed => ("it changed while it was copied", Some("try again")),
            FailureCode::PartGone => (
                "the part that was written is gone from the host",
                Some("did its antivirus take it away?"),
            ),
            FailureCode::PartTaken => ("another copy of the same file took over", None),
            _ => ("it failed on the host", None),
        };
        let own = matches!(
            code,
            FailureCode::IsFolder
                | FailureCode::ReadOnly
                | FailureCode::Damaged
                | FailureCode::Changed
                | FailureCode::PartGone
                | FailureCode::PartTaken
        );
        // It is the host's, and may be anything.
        let words: String = message.chars().filter(|c| !c.is_control()).take(500).collect();
        Self {
            code,
            message: if own || words.is_empty() {
                sentence.to_owned()
            } else {
                format!("{sentence}: {words}")
            },
            hint,
        }
    }

    /// What this machine says.
    pub(super) fn local(error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::NotFound => FailureCode::NotFound,
            io::ErrorKind::PermissionDenied => FailureCode::Denied,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FailureCode::DiskFull,
            io::ErrorKind::IsADirectory => FailureCode::IsFolder,
            io::ErrorKind::WouldBlock => FailureCode::InUse,
            _ => FailureCode::Other,
        };
        let sentence = match code {
            FailureCode::NotFound => "there is no such file here",
            FailureCode::Denied => "no right to it here",
            FailureCode::DiskFull => "the disk here is full",
            FailureCode::IsFolder => "a folder is here where a file is meant",
            FailureCode::InUse => "another copy is writing it here",
            _ => "it failed here",
        };
        if error.raw_os_error().is_none() && error.get_ref().is_none() {
            return Self::new(code, sentence);
        }
        Self::new(code, format!("{sentence}: {error}"))
    }

    /// The kind of failure.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        self.code
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        self.hint
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FileError {}

/// What a whole copy did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopySummary {
    /// Files that were copied; with `dry_run`, that would be.
    pub copied: u64,
    /// The bytes of those files.
    pub bytes: u64,
    /// Of those bytes, the ones that were there from an earlier try.
    pub resumed: u64,
    /// Files that were the same already.
    pub unchanged: u64,
    /// Files and folders that were removed.
    pub removed: u64,
    /// What was left out.
    pub left_out: u64,
    /// What failed.
    pub failed: u64,
}

impl CopySummary {
    pub(super) fn count(&mut self, report: &FileReport) {
        match report.outcome {
            FileOutcome::Copied => {
                self.copied += 1;
                self.bytes += report.size;
                self.resumed += report.resumed_at;
            }
            FileOutcome::Unchanged => self.unchanged += 1,
            FileOutcome::Removed => self.removed += 1,
            FileOutcome::LeftOut(_) => self.left_out += 1,
            FileOutcome::Failed(_) => self.failed += 1,
        }
    }
}

/// Who listens.
pub(super) type Listener = Arc<dyn Fn(CopyEvent) + Send + Sync>;
