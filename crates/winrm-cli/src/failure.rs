//! What ends the program: a sentence, what stands behind it, a hint, and the exit status.

use std::error::Error;
use std::process::ExitCode;

use crate::printer;
use crate::tls_hint::tls_hint;

/// A failure that a person reads.
#[derive(Debug)]
pub(crate) struct Failure {
    status: Status,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    lost: bool,
}

/// The program's own exit statuses; a command's own status is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Usage and configuration.
    Configuration = 1,
    /// The host was reached, and the command failed there without an exit code.
    Failed = 2,
    /// The host can't be reached, or doesn't let us in.
    Unreachable = 4,
    /// The command's deadline passed; the number is that of timeout(1).
    Deadline = 124,
    /// Ended by Ctrl-C.
    Interrupted = 130,
    /// The reader of our output has gone.
    BrokenPipe = 141,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

impl Failure {
    pub(crate) fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            lost: false,
        }
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new(Status::Configuration, message)
    }

    /// Adds an error and all that stands behind it.
    pub(crate) fn because(mut self, error: impl Error) -> Self {
        self.causes.push(error.to_string());
        let mut source = error.source();
        while let Some(error) = source {
            self.causes.push(error.to_string());
            source = error.source();
        }
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The sentence with all that stands behind it, and the hint.
    pub(crate) fn into_parts(self) -> (String, Option<String>) {
        (self.text(), self.hint)
    }

    fn text(&self) -> String {
        let mut text = self.message.clone();
        for cause in &self.causes {
            // A level that only repeats the one above it tells nobody anything.
            if !text.ends_with(cause) {
                text.push_str(": ");
                text.push_str(cause);
            }
        }
        text
    }

    /// Says whom it is about before all else.
    pub(crate) fn about(mut self, prefix: &str) -> Self {
        self.message.insert_str(0, prefix);
        self
    }

    pub(crate) fn is_unreachable(&self) -> bool {
        self.status == Status::Unreachable
    }

    /// Whether a command was, or may have been, started, and its end was not heard of.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Prints the failure on standard error.
    pub(crate) fn report(self) -> ExitCode {
        printer::error(&self.text(), self.hint.as_deref());
        self.status.into()
    }
}

impl From<winrm::Error> for Failure {
    fn from(error: winrm::Error) -> Self {
        use winrm::ErrorKind as Kind;
        let status = match error.kind() {
            Kind::Configuration | Kind::Input => Status::Configuration,
            Kind::Deadline => Status::Deadline,
            Kind::Fault | Kind::Copy | Kind::NoPowerShell | Kind::RunAs => Status::Failed,
            _ => Status::Unreachable,
        };
        let mut failure = Self::new(status, error.to_string());
        failure.lost = error.is_lost();
        failure.hint = error.as_tls().and_then(tls_hint).or_else(|| error.hint().map(str::to_owned));
        let mut source = error.source();
        while let Some(cause) = source {
            failure.causes.push(cause.to_string());
            source = cause.source();
        }
        failure
    }
}
