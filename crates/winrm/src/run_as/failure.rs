//! Why a command could not be started as another account.

use std::fmt;

/// Why the host could not start a command as another account, or as a task: see [`Error::as_run_as`](crate::Error::as_run_as).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAsFailure {
    problem: RunAsProblem,
    code: u32,
    text: String,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunAsProblem {
    /// The host refuses the password. Windows says the same of an account that a domain doesn't know.
    WrongPassword,
    /// The password was refused before, and was not tried again.
    NotTriedAgain,
    /// The host knows no account of this name.
    UnknownAccount,
    /// Too many wrong passwords have locked the account.
    LockedOut,
    /// The account is disabled.
    Disabled,
    /// The account has expired.
    Expired,
    /// The password has expired, or has to be changed at the first logon.
    PasswordExpired,
    /// The account may not log on now, here, or without a password.
    Restricted,
    /// The account lacks the right to log on in this way.
    LogonType,
    /// The connection's account may not do what is needed for this.
    Privilege,
    /// No domain controller answers.
    NoDomainController,
    /// A service that Windows needs for it is off: Secondary Logon, or the Task Scheduler.
    ServiceOff,
    /// The directory to start in is not there, or not for this account.
    Directory,
    /// The program is not there.
    Program,
    /// PowerShell is missing, restricted, or ended at once.
    PowerShell,
    /// There is no task of this id.
    UnknownTask,
    /// The task still runs.
    TaskRuns,
    /// Something else: the text is the host's.
    Other,
}

impl RunAsFailure {
    /// `stage` is where the script came to; `code` is Windows' own.
    pub(crate) fn new(stage: &str, code: u32, text: &str) -> Self {
        // HRESULTs of Win32 codes.
        let win32 = if code & 0xFFFF_0000 == 0x8007_0000 { code & 0xFFFF } else { code };
        let problem = match (stage, win32) {
            ("compile", _) => RunAsProblem::PowerShell,
            ("task", _) => RunAsProblem::UnknownTask,
            ("busy", _) => RunAsProblem::TaskRuns,
            (_, 1326) => RunAsProblem::WrongPassword,
            ("account", _) | (_, 1317 | 1332) => RunAsProblem::UnknownAccount,
            (_, 1909) => RunAsProblem::LockedOut,
            (_, 1331) => RunAsProblem::Disabled,
            (_, 1793) => RunAsProblem::Expired,
            (_, 1330 | 1907) => RunAsProblem::PasswordExpired,
            (_, 1327..=1329) => RunAsProblem::Restricted,
            (_, 1385) => RunAsProblem::LogonType,
            ("token", _) | (_, 5 | 1314) => RunAsProblem::Privilege,
            (_, 1311 | 1355) => RunAsProblem::NoDomainController,
            (_, 1058 | 1062 | 1722) => RunAsProblem::ServiceOff,
            ("start", 267) => RunAsProblem::Directory,
            ("start", 2 | 3) => RunAsProblem::Program,
            _ => RunAsProblem::Other,
        };
        Self {
            problem,
            code,
            text: text.trim().to_owned(),
        }
    }

    pub(crate) fn not_tried_again() -> Self {
        Self {
            problem: RunAsProblem::NotTriedAgain,
            code: 1326,
            text: String::new(),
        }
    }

    pub(crate) fn power_shell(text: impl Into<String>) -> Self {
        Self {
            problem: RunAsProblem::PowerShell,
            code: 0,
            text: text.into(),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> RunAsProblem {
        self.problem
    }

    /// Windows' error code; 0 where it told none.
    #[must_use]
    pub fn code(&self) -> u32 {
        self.code
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self.problem {
            RunAsProblem::WrongPassword | RunAsProblem::NotTriedAgain => {
                "check name and password of that account before the next try: it was tried once, since more may lock the account"
            }
            RunAsProblem::UnknownAccount => {
                "DOMAIN\\NAME or NAME@REALM for an account of a domain; an account of the host itself is NAME alone"
            }
            RunAsProblem::LockedOut => "an administrator unlocks it, or Windows does after a while",
            RunAsProblem::Disabled | RunAsProblem::Expired => "an administrator has to enable it again",
            RunAsProblem::PasswordExpired => "give the account a new password, and try with that",
            RunAsProblem::Restricted => {
                "look at the account's logon hours and workstations; an account without a password can't be used so"
            }
            RunAsProblem::LogonType => {
                "another logon type may do, such as logon_type=batch or network_cleartext; or grant the right by the host's policy"
            }
            RunAsProblem::Privilege => "connect as a member of the host's Administrators, whose token is not filtered",
            RunAsProblem::NoDomainController => "the host has to reach a domain controller of that account",
            RunAsProblem::ServiceOff => "start the host's services Secondary Logon (seclogon) and Task Scheduler (Schedule)",
            RunAsProblem::Directory => "name a directory that is there, and that this account may enter",
            RunAsProblem::PowerShell => "it takes Windows PowerShell in its full language mode on the host",
            RunAsProblem::UnknownTask => "list the host's tasks: those that were removed are forgotten",
            RunAsProblem::TaskRuns => "stop it first, or force its end",
            RunAsProblem::Program | RunAsProblem::Other => return None,
        })
    }
}

impl fmt::Display for RunAsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self.problem {
            RunAsProblem::WrongPassword => "the host refuses the password, or knows no such account",
            RunAsProblem::NotTriedAgain => "its password was refused before, and was not tried again",
            RunAsProblem::UnknownAccount => "the host knows no account of this name",
            RunAsProblem::LockedOut => "the account is locked",
            RunAsProblem::Disabled => "the account is disabled",
            RunAsProblem::Expired => "the account has expired",
            RunAsProblem::PasswordExpired => "the account's password has expired, or has to be changed first",
            RunAsProblem::Restricted => "the account may not log on here, now, or without a password",
            RunAsProblem::LogonType => "the account has not the right to log on in this way",
            RunAsProblem::Privilege => "the connection's account has not the right to do this",
            RunAsProblem::NoDomainController => "no domain controller of the account can be reached",
            RunAsProblem::ServiceOff => "a service that this takes is off",
            RunAsProblem::Directory => "the directory to start in is not there, or not for this account",
            RunAsProblem::Program => "the program is not there",
            RunAsProblem::PowerShell => "PowerShell on the host can't do it",
            RunAsProblem::UnknownTask => "the host has no task of this id",
            RunAsProblem::TaskRuns => "the task still runs",
            RunAsProblem::Other => "the host says",
        };
        f.write_str(sentence)?;
        let own_words = matches!(
            self.problem,
            RunAsProblem::Other | RunAsProblem::PowerShell | RunAsProblem::Privilege | RunAsProblem::ServiceOff
        );
        if own_words && !self.text.is_empty() {
            write!(f, ": {}", self.text)?;
        }
        match self.code {
            0 => Ok(()),
            code if code > 0xFFFF => write!(f, " (0x{code:08X})"),
            code => write!(f, " (Windows error {code})"),
        }
    }
}

impl std::error::Error for RunAsFailure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_is_wrong() {
        for (stage, code, problem) in [
            ("logon", 1326, RunAsProblem::WrongPassword),
            ("register", 0x8007_052E, RunAsProblem::WrongPassword),
            ("account", 1332, RunAsProblem::UnknownAccount),
            ("logon", 1909, RunAsProblem::LockedOut),
            ("logon", 1331, RunAsProblem::Disabled),
            ("logon", 1907, RunAsProblem::PasswordExpired),
            ("logon", 1385, RunAsProblem::LogonType),
            ("start", 1314, RunAsProblem::Privilege),
            ("token", 5, RunAsProblem::Privilege),
            ("register", 0x8007_0005, RunAsProblem::Privilege),
            ("start", 267, RunAsProblem::Directory),
            ("start", 1058, RunAsProblem::ServiceOff),
            ("start", 8, RunAsProblem::Other),
        ] {
            assert_eq!(RunAsFailure::new(stage, code, "x").problem(), problem, "{stage} {code}");
        }
        assert_eq!(
            RunAsFailure::new("logon", 1326, "localised").to_string(),
            "the host refuses the password, or knows no such account (Windows error 1326)"
        );
        assert_eq!(
            RunAsFailure::new("start", 0x8004_1326, "tja").to_string(),
            "the host says: tja (0x80041326)"
        );
    }
}
