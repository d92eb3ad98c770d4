//! Errors on their way to Python, where `winrm._failure` chooses the class: that of pywinrm for the same trouble.

use std::error::Error as StdError;
use std::io;
use std::path::Path;

use pyo3::prelude::*;
use winrm::{Error, ErrorKind};
use winrm_auth::kerberos::KerberosError;

/// What Python is told of an error.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: &'static str,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// With all that caused it.
    pub(crate) fn of(kind: &'static str, error: &dyn StdError) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Some texts hold that of their cause already.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self::new(kind, message)
    }

    pub(crate) fn of_file(file: &Path, error: &io::Error) -> Self {
        Self::new("tls", format!("{} can't be read: {error}", file.display()))
    }

    /// The same with what it is about in front.
    pub(crate) fn about(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The exception for it. Without `winrm._failure`, whatever keeps that from being imported.
    pub(crate) fn raised(&self, py: Python<'_>) -> PyErr {
        let arguments = (self.kind, self.message.as_str(), self.hint.as_deref());
        let made = py
            .import("winrm._failure")
            .and_then(|module| module.getattr("error")?.call1(arguments));
        made.map_or_else(|error| error, PyErr::from_value)
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let source = error.source();
        let kind = match error.kind() {
            ErrorKind::Configuration | ErrorKind::Input => "configuration",
            ErrorKind::Connect if timed_out(source) => "connect-timeout",
            ErrorKind::Resolve | ErrorKind::Connect => "connect",
            ErrorKind::Tls => "tls",
            ErrorKind::Timeout | ErrorKind::Deadline => "timeout",
            ErrorKind::Closed | ErrorKind::NotWinRm => "closed",
            ErrorKind::Unauthorized => match source {
                None => "unauthorized",
                Some(source) if is_kerberos(source) => "kerberos",
                Some(_) => "authentication",
            },
            _ => "protocol",
        };
        Self {
            hint: error.hint().map(str::to_owned),
            ..Self::of(kind, error)
        }
    }
}

fn is_kerberos(source: &(dyn StdError + 'static)) -> bool {
    source.is::<KerberosError>() || matches!(source.downcast_ref(), Some(winrm_auth::Error::Kerberos(_)))
}

fn timed_out(source: Option<&(dyn StdError + 'static)>) -> bool {
    source
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}
