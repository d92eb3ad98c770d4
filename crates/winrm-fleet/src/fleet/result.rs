//! What became of a host.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use winrm::{ErrorKind, MayHaveRun, Ping, Restarted, Transport};

use super::capture::Captured;
use crate::settings::goes_on_after;

/// What became of one host.
#[derive(Debug)]
#[non_exhaustive]
pub struct HostResult {
    /// The host's place in the fleet, from 0.
    pub index: usize,
    /// The host's name.
    pub host: Arc<str>,
    /// How it ended.
    pub outcome: Outcome,
    /// Standard output, as far as it came.
    pub stdout: Captured,
    /// Standard error, as far as it came.
    pub stderr: Captured,
    /// What is known of why a script did not do what was asked: see [`Listener::explain`](super::Listener::explain).
    pub explanation: Option<Trouble>,
    /// How the host was reached, or tried last; nothing when its settings did not lead so far.
    pub via: Option<Via>,
    /// When its turn came; nothing when it never did.
    pub started: Option<SystemTime>,
    /// How long it took.
    pub duration: Duration,
}

impl HostResult {
    pub(super) fn new(index: usize, host: Arc<str>, started: SystemTime, outcome: Outcome) -> Self {
        Self {
            index,
            host,
            outcome,
            stdout: Captured::default(),
            stderr: Captured::default(),
            explanation: None,
            via: None,
            started: Some(started),
            // A clock that was set back makes it zero.
            duration: started.elapsed().unwrap_or_default(),
        }
    }

    pub(super) fn not_started(index: usize, host: Arc<str>) -> Self {
        Self {
            started: None,
            duration: Duration::ZERO,
            ..Self::new(index, host, SystemTime::now(), Outcome::NotStarted)
        }
    }

    /// The outcome in one word.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match &self.outcome {
            Outcome::Ended { success: true, .. } | Outcome::Restarted(_) | Outcome::Answered(_) => Verdict::Ok,
            Outcome::Ended { .. } | Outcome::Failed(_) => Verdict::Failed,
            Outcome::Unreachable(_) => Verdict::Unreachable,
            Outcome::Cancelled(_) => Verdict::Cancelled,
            Outcome::NotStarted => Verdict::NotStarted,
        }
    }
}

/// How work on a host ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The command has run to its end.
    Ended {
        /// Its exit code, unsigned as Windows has it; `None` when the host told none.
        exit_code: Option<u32>,
        /// Whether that is one of the codes that mean success.
        success: bool,
    },
    /// The command was lost, since its host has restarted, as it [may](super::Fleet::may_restart); the host is up again. The exit code
    /// is unknown.
    Restarted(Restarted),
    /// The host has answered a ping.
    Answered(Ping),
    /// The host's settings can't be used, or the command was not run to its end although the host was reached.
    Failed(Trouble),
    /// The host can't be reached, doesn't let us in, or was lost on the way.
    Unreachable(Trouble),
    /// It was given up when the run was stopped.
    Cancelled(MayHaveRun),
    /// Its turn never came, since the run was stopped.
    NotStarted,
}

/// An [`Outcome`] in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It went well.
    Ok,
    /// The host was reached, and it did not go well there.
    Failed,
    /// The host was not reached, or lost.
    Unreachable,
    /// It was given up.
    Cancelled,
    /// It was not begun.
    NotStarted,
}

impl Verdict {
    const NAMES: [(Self, &'static str); 5] = [
        (Self::Ok, "ok"),
        (Self::Failed, "failed"),
        (Self::Unreachable, "unreachable"),
        (Self::Cancelled, "cancelled"),
        (Self::NotStarted, "not started"),
    ];

    /// The verdict of this name, as `Display` writes it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(verdict, _)| *verdict)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::NAMES.iter().find(|(verdict, _)| verdict == self).map_or("", |(_, name)| name))
    }
}

/// How a host was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Via {
    /// The service's URL.
    pub endpoint: String,
    /// As whom, where that is known.
    pub user: Option<String>,
    /// By which transport.
    pub transport: Transport,
}

/// What kept a host from its end: a sentence with all its reasons, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    kind: TroubleKind,
    message: String,
    hint: Option<String>,
    may_have_run: MayHaveRun,
    /// Whether a command's end was not heard of.
    lost: bool,
}

/// The kind of a [`Trouble`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TroubleKind {
    /// The host's settings can't be used; nothing was sent.
    Settings,
    /// The connection, or what came over it.
    Winrm(ErrorKind),
    /// The command has written more than the limit, or its output can't be kept.
    Output,
    /// What a script's listener has found out.
    Script,
    /// A fault of this program.
    Panic,
}

impl Trouble {
    /// Settings that can't be used.
    pub fn settings(message: impl Into<String>) -> Self {
        Self {
            kind: TroubleKind::Settings,
            message: message.into(),
            hint: None,
            may_have_run: MayHaveRun::No,
            lost: false,
        }
    }

    /// What a script has run into. `may_have_run` is whether it has begun.
    pub fn script(message: impl Into<String>, may_have_run: MayHaveRun) -> Self {
        Self {
            kind: TroubleKind::Script,
            may_have_run,
            ..Self::settings(message)
        }
    }

    pub(super) fn output(message: impl Into<String>) -> Self {
        Self {
            kind: TroubleKind::Output,
            may_have_run: MayHaveRun::Yes,
            ..Self::settings(message)
        }
    }

    pub(super) fn panicked() -> Self {
        Self {
            kind: TroubleKind::Panic,
            may_have_run: MayHaveRun::Unknown,
            ..Self::settings("a fault of winrm itself ended the work on this host")
        }
        .with_hint("please report it, with what stands on standard error")
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says whether the command may have run, of trouble that came after it.
    pub(super) fn of_a_command_that(mut self, may_have_run: MayHaveRun) -> Self {
        self.may_have_run = may_have_run;
        self
    }

    /// What went wrong with the ways that were tried before this one, and with this one.
    pub(super) fn after(mut self, earlier: &[(Transport, Self)], transport: Transport) -> Self {
        if !earlier.is_empty() {
            let tried: Vec<String> = earlier
                .iter()
                .map(|(transport, trouble)| format!("{transport}: {}", trouble.message))
                .collect();
            self.message = format!("{}; then {transport}: {}", tried.join("; "), self.message);
        }
        self
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> TroubleKind {
        self.kind
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the command may have run all the same.
    #[must_use]
    pub fn may_have_run(&self) -> MayHaveRun {
        self.may_have_run
    }

    /// Whether the host was not reached, or lost.
    pub(super) fn is_unreachable(&self) -> bool {
        match self.kind {
            TroubleKind::Winrm(kind) => !matches!(
                kind,
                ErrorKind::Configuration | ErrorKind::Input | ErrorKind::Deadline | ErrorKind::Fault | ErrorKind::RunAs
            ),
            _ => false,
        }
    }

    /// Whether a command was, or may have been, started, and its end was not heard of.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether another transport may get further.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.kind, TroubleKind::Winrm(kind) if goes_on_after(kind, self.may_have_run))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Trouble {}

impl From<winrm::Error> for Trouble {
    fn from(error: winrm::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // A level that only repeats the one above it tells nobody anything.
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self {
            kind: TroubleKind::Winrm(error.kind()),
            message,
            hint: error.hint().map(str::to_owned),
            may_have_run: error.may_have_run(),
            lost: error.is_lost(),
        }
    }
}

impl From<winrm::InvalidUserName> for Trouble {
    fn from(error: winrm::InvalidUserName) -> Self {
        Self::settings(error.to_string())
    }
}
