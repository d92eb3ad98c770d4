//! What can go wrong, and what a caller may want to know about it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use winrm_proto::Fault;

use crate::run_as::RunAsFailure;
use crate::tls::TlsFailure;

/// Something went wrong.
///
/// The text says what was tried and what came back, on this level only; [`source`](StdError::source) has the rest, and
/// [`hint`](Self::hint) what to do about it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    may_have_run: MayHaveRun,
}

/// The kind of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Settings that contradict each other or can't be used. Nothing was sent.
    Configuration,
    /// The host's name has no address.
    Resolve,
    /// No connection to the host: refused, unreachable, or not made within the connect timeout. Or the proxy makes none.
    Connect,
    /// TLS failed: most often, the certificate was not accepted. See [`Error::as_tls`].
    Tls,
    /// The host did not answer within the read timeout.
    Timeout,
    /// The command's own deadline passed; it was ended on the host.
    Deadline,
    /// The connection was lost after a request was sent, or may have been.
    Closed,
    /// The host refused the credentials (HTTP 401), or the authentication failed on this side.
    Unauthorized,
    /// The host knows who asks, and denies it (HTTP 403, or an "access denied" fault).
    Forbidden,
    /// What answers there is not a WinRM service.
    NotWinRm,
    /// A WinRM service answered with something that can't be understood, or that isn't acceptable.
    Protocol,
    /// The host answered with a fault: see [`Error::as_fault`].
    Fault,
    /// Reading the input that was given for the command failed on this side.
    Input,
    /// Files can't be copied: the host's PowerShell has ended, or the target can't be one.
    Copy,
    /// Files can't be copied since the host's PowerShell is missing, restricted, or ends at once.
    NoPowerShell,
    /// The host did not start the command as another account, or as a task: see [`Error::as_run_as`].
    RunAs,
}

/// Whether a command that ended in an error may have run on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MayHaveRun {
    /// It was not started: it can be tried again.
    No,
    /// The request to start it was sent, and its answer did not come.
    Unknown,
    /// It was started; it may have run to its end.
    Yes,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            source: None,
            may_have_run: MayHaveRun::No,
        }))
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Raises what is known about the command; it never goes back to "no".
    pub(crate) fn at_least(mut self, may_have_run: MayHaveRun) -> Self {
        let rank = |value| match value {
            MayHaveRun::No => 0,
            MayHaveRun::Unknown => 1,
            MayHaveRun::Yes => 2,
        };
        if rank(may_have_run) > rank(self.0.may_have_run) {
            self.0.may_have_run = may_have_run;
        }
        self
    }

    /// For requests that start nothing that could matter.
    pub(crate) fn not_run(mut self) -> Self {
        self.0.may_have_run = MayHaveRun::No;
        self
    }

    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do about it, as one sentence, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Whether the command may have run all the same. [`MayHaveRun::No`] for everything that is no command.
    #[must_use]
    pub fn may_have_run(&self) -> MayHaveRun {
        self.0.may_have_run
    }

    /// The host's fault, if it answered with one.
    #[must_use]
    pub fn as_fault(&self) -> Option<&Fault> {
        self.0.source.as_ref()?.downcast_ref()
    }

    /// What went wrong with TLS, if that is what failed.
    #[must_use]
    pub fn as_tls(&self) -> Option<&TlsFailure> {
        self.0.source.as_ref()?.downcast_ref()
    }

    /// Why the host did not start the command as another account, or as a task, if that is what failed.
    #[must_use]
    pub fn as_run_as(&self) -> Option<&RunAsFailure> {
        self.0.source.as_ref()?.downcast_ref()
    }

    /// Whether the host refused the credentials, or what they were used for.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unauthorized | ErrorKind::Forbidden)
    }

    /// Whether a time limit passed: the read timeout or the command's deadline.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Timeout | ErrorKind::Deadline)
    }

    /// Whether a command was started, or may have been, and its end was not heard of: the connection was lost, no answer came, or the
    /// host knew nothing of it any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let lost = matches!(
            self.0.kind,
            ErrorKind::Closed | ErrorKind::Timeout | ErrorKind::Connect | ErrorKind::Fault
        );
        lost && self.0.may_have_run != MayHaveRun::No
    }

    /// Whether no connection to the host could be made, TLS included.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Resolve | ErrorKind::Connect | ErrorKind::Tls)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("hint", &self.0.hint)
            .field("may_have_run", &self.0.may_have_run)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_what_a_caller_asks() {
        let fault = Fault::new(winrm_proto::fault::FaultCode::Receiver, "InternalError", 1460, "x");
        let error = Error::new(ErrorKind::Fault, "the host refused")
            .with_source(fault.clone())
            .with_hint("wait");
        assert_eq!(error.as_fault(), Some(&fault));
        assert_eq!((error.to_string().as_str(), error.hint()), ("the host refused", Some("wait")));
        assert_eq!(error.source().unwrap().to_string(), fault.to_string());
        assert!(Error::new(ErrorKind::Resolve, "").is_connect());
        assert!(Error::new(ErrorKind::Forbidden, "").is_auth());
        assert!(Error::new(ErrorKind::Deadline, "").is_timeout());
        assert!(!Error::new(ErrorKind::Fault, "").is_timeout());
    }

    #[test]
    fn what_may_have_run_is_never_taken_back() {
        let error = Error::new(ErrorKind::Closed, "")
            .at_least(MayHaveRun::Yes)
            .at_least(MayHaveRun::Unknown);
        assert_eq!(error.may_have_run(), MayHaveRun::Yes);
    }
}
