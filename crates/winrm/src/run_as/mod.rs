//! Commands as another account than the one that has connected.

mod failure;
mod trial;

use std::fmt;
use std::str::FromStr;

use winrm_auth::Secret;

use crate::error::Error;
use crate::launch::Launch;
use crate::run::Plan;

pub use failure::{RunAsFailure, RunAsProblem};
pub(crate) use trial::{Trial, Turn};

/// The script that starts a command as another account, and its code.
const SCRIPT: &str = include_str!("run_as.ps1");
const CODE: &str = include_str!("run_as.cs");

/// Another account for a command, which it is logged on to on the host: see [`Command::run_as`](crate::Command::run_as).
///
/// A logon of its own has none of the limits of a remote one: it reaches other hosts with its own password, decrypts what is the account's,
/// and may do what Windows forbids to network logons. An administrator's token is the elevated one.
///
/// A password that a host has refused is not tried again by this value and its clones: a second try may lock the account. Where the account
/// is a domain's, hosts that are asked at the same time wait for the first one's answer.
#[derive(Clone)]
pub struct RunAs {
    account: String,
    service: Option<Service>,
    password: Option<Secret>,
    logon: LogonType,
    profile: bool,
    network_only: bool,
    trial: Trial,
}

/// How Windows logs the account on; the names are those of Ansible's `logon_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogonType {
    /// As at the console. The account needs the right to log on locally, which domain controllers give to administrators only.
    #[default]
    Interactive,
    /// As a scheduled task is. The account needs the right to log on as a batch job.
    Batch,
    /// As over the network: without the password for other hosts.
    Network,
    /// As over the network, with the password for other hosts.
    NetworkCleartext,
    /// The connection's own account here, and the given one for other hosts: the password is not checked by this host.
    NewCredentials,
    /// As a service is.
    Service,
    /// As when a console is unlocked.
    Unlock,
}

impl LogonType {
    const ALL: [(Self, &'static str, u32); 7] = [
        (Self::Interactive, "interactive", 2),
        (Self::Batch, "batch", 4),
        (Self::Network, "network", 3),
        (Self::NetworkCleartext, "network_cleartext", 8),
        (Self::NewCredentials, "new_credentials", 9),
        (Self::Service, "service", 5),
        (Self::Unlock, "unlock", 7),
    ];

    /// Windows' own number, LOGON32_LOGON_….
    fn number(self) -> u32 {
        Self::ALL.iter().find(|known| known.0 == self).map_or(2, |known| known.2)
    }
}

impl fmt::Display for LogonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::ALL.iter().find(|known| known.0 == *self).map_or("", |known| known.1))
    }
}

impl FromStr for LogonType {
    type Err = InvalidRunAsFlag;

    fn from_str(text: &str) -> Result<Self, InvalidRunAsFlag> {
        let known = Self::ALL.iter().find(|known| known.1.eq_ignore_ascii_case(text));
        known
            .map(|known| known.0)
            .ok_or_else(|| InvalidRunAsFlag::LogonType(text.to_owned()))
    }
}

/// Flags for a logon that can't be read; the names are Ansible's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRunAsFlag {
    /// A word without a value.
    #[error("{0:?} is not NAME=VALUE; the names are logon_type and logon_flags")]
    NoValue(String),
    /// A name that nobody knows.
    #[error("{0:?} is no flag; there are logon_type and logon_flags")]
    Name(String),
    /// A logon type that there isn't.
    #[error("{0:?} is no logon type; there are interactive, batch, network, network_cleartext, new_credentials, service and unlock")]
    LogonType(String),
    /// A logon flag that there isn't.
    #[error("{0:?} is no logon flag; there are none, with_profile and netcredentials_only")]
    LogonFlag(String),
    /// A quote that isn't closed.
    #[error("a quote is not closed in {0:?}")]
    Quote(String),
}

/// The accounts of services, which have no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    System,
    Local,
    Network,
}

impl Service {
    /// Each with its SID, Windows' name for it, and what else people call it.
    const ALL: [(Self, &'static str, &'static str, &'static [&'static str]); 3] = [
        (Self::System, "S-1-5-18", "SYSTEM", &["SYSTEM", "LOCALSYSTEM"]),
        (Self::Local, "S-1-5-19", "LOCAL SERVICE", &["LOCALSERVICE", "LOCAL SERVICE"]),
        (Self::Network, "S-1-5-20", "NETWORK SERVICE", &["NETWORKSERVICE", "NETWORK SERVICE"]),
    ];

    fn find(account: &str) -> Option<Self> {
        let upper = account.to_ascii_uppercase();
        let name = upper.strip_prefix("NT AUTHORITY\\").unwrap_or(&upper);
        let known = Self::ALL.iter().find(|known| known.1 == name || known.3.contains(&name));
        known.map(|known| known.0)
    }

    pub(crate) fn sid(self) -> &'static str {
        Self::ALL.iter().find(|known| known.0 == self).map_or("", |known| known.1)
    }
}

impl RunAs {
    /// An account by its name (NAME, DOMAIN\NAME, .\NAME, NAME@REALM) and its password. For the accounts of services, the password is
    /// not looked at.
    pub fn new(account: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::named(account.into(), Some(password.into()))
    }

    /// An account of services by its name: `SYSTEM`, `NT AUTHORITY\LocalService`, `NetworkService`; `None` for any other.
    #[must_use]
    pub fn service(account: &str) -> Option<Self> {
        Service::find(account).map(|_| Self::named(account.to_owned(), None))
    }

    /// The system itself, which may do anything on the host.
    #[must_use]
    pub fn system() -> Self {
        Self::named("SYSTEM".to_owned(), None)
    }

    fn named(account: String, password: Option<Secret>) -> Self {
        Self {
            service: Service::find(&account),
            account,
            password,
            logon: LogonType::default(),
            profile: true,
            network_only: false,
            trial: Trial::default(),
        }
    }

    /// How Windows logs it on.
    #[must_use]
    pub fn logon_type(mut self, logon: LogonType) -> Self {
        self.logon = logon;
        self
    }

    /// Whether the account's profile (registry hive, variables) is loaded; it is by default.
    #[must_use]
    pub fn profile(mut self, profile: bool) -> Self {
        self.profile = profile;
        self
    }

    /// Whether the account is used on other hosts only; goes with [`LogonType::NewCredentials`].
    #[must_use]
    pub fn network_credentials_only(mut self, only: bool) -> Self {
        self.network_only = only;
        self
    }

    /// Sets what a text says as Ansible's `become_flags` do: `logon_type=new_credentials logon_flags=netcredentials_only`.
    ///
    /// # Errors
    /// [`InvalidRunAsFlag`] for what it doesn't know.
    pub fn flags(mut self, text: &str) -> Result<Self, InvalidRunAsFlag> {
        for word in words(text)? {
            let (name, value) = word.split_once('=').ok_or_else(|| InvalidRunAsFlag::NoValue(word.clone()))?;
            match name.to_ascii_lowercase().as_str() {
                "logon_type" => self.logon = value.parse()?,
                "logon_flags" => {
                    (self.profile, self.network_only) = (false, false);
                    for flag in value.split(',').filter(|flag| !flag.is_empty()) {
                        match flag.to_ascii_lowercase().as_str() {
                            "none" => {}
                            "with_profile" => self.profile = true,
                            "netcredentials_only" => self.network_only = true,
                            _ => return Err(InvalidRunAsFlag::LogonFlag(flag.to_owned())),
                        }
                    }
                }
                _ => return Err(InvalidRunAsFlag::Name(name.to_owned())),
            }
        }
        Ok(self)
    }

    /// The account's name, as it was given.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Whether the name is that of a domain's account: the same one, wherever it logs on.
    #[must_use]
    pub fn is_of_domain(&self) -> bool {
        let domain = self.account.split_once('\\').map(|(domain, _)| domain);
        self.service.is_none() && (domain.is_some_and(|domain| domain != ".") || self.account.contains('@'))
    }

    /// Shares what comes to be known of the password with `other`, where both are the same account of a domain and have the same password.
    /// Tells whether they are.
    pub fn share_trial(&mut self, other: &Self) -> bool {
        let same = self.is_of_domain() && self.account.eq_ignore_ascii_case(&other.account) && self.password == other.password;
        if same {
            self.trial = other.trial.clone();
        }
        same
    }

    pub(crate) fn trial(&self) -> &Trial {
        &self.trial
    }

    pub(crate) fn service_sid(&self) -> Option<&'static str> {
        self.service.map(Service::sid)
    }

    /// The account's password, if it has one.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// How it is logged on: the type, whether the profile is loaded, and whether it is for other hosts only.
    #[must_use]
    pub fn logon(&self) -> (LogonType, bool, bool) {
        (self.logon, self.profile, self.network_only)
    }

    /// Puts the script in front of what the plan would start.
    pub(crate) fn launch(&self, plan: &mut Plan) -> Result<Launch, Error> {
        let mark = Launch::new_mark();
        let mut fields = Vec::new();
        let (logon, flags) = (
            self.logon.number().to_string(),
            (u32::from(self.profile) | u32::from(self.network_only) << 1).to_string(),
        );
        let line = Launch::line(plan);
        let directory = plan.options.0.working_directory.take().unwrap_or_default();
        let password = self.password.as_ref().map_or("", Secret::expose);
        fields.extend([
            &self.account,
            self.service_sid().unwrap_or_default(),
            password,
            &logon,
            &flags,
            &line,
            &directory,
        ]);
        let variables: Vec<String> = plan
            .options
            .0
            .environment
            .drain(..)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        fields.extend(variables.iter().map(String::as_str));
        let script = Launch::script(SCRIPT, &mark).replace("SOURCE", CODE);
        let what = format!("the command could not be started as {}", self.account);
        Launch::new(mark, &script, &fields, what, self.clone())
    }
}

impl fmt::Debug for RunAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunAs")
            .field("account", &self.account)
            .field("logon", &self.logon)
            .field("profile", &self.profile)
            .field("network_only", &self.network_only)
            .finish_non_exhaustive()
    }
}

/// Words that white space separates; quotes keep it.
fn words(text: &str) -> Result<Vec<String>, InvalidRunAsFlag> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in text.chars() {
        match quote {
            Some(open) if character == open => quote = None,
            None if character == '"' || character == '\'' => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            None if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err(InvalidRunAsFlag::Quote(text.to_owned()));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_many_names() {
        for (name, sid) in [
            ("SYSTEM", Some("S-1-5-18")),
            ("system", Some("S-1-5-18")),
            ("LocalSystem", Some("S-1-5-18")),
            ("NT AUTHORITY\\SYSTEM", Some("S-1-5-18")),
            ("nt authority\\LocalService", Some("S-1-5-19")),
            ("NT AUTHORITY\\LOCAL SERVICE", Some("S-1-5-19")),
            ("NetworkService", Some("S-1-5-20")),
            ("S-1-5-20", Some("S-1-5-20")),
            ("CORP\\system", None),
            ("alice", None),
        ] {
            assert_eq!(RunAs::service(name).and_then(|account| account.service_sid()), sid, "{name}");
        }
    }

    #[test]
    fn flags_are_ansibles() {
        let read = |text: &str| {
            RunAs::new("alice", "x")
                .flags(text)
                .map(|read| (read.logon, read.profile, read.network_only))
        };
        assert_eq!(read(""), Ok((LogonType::Interactive, true, false)));
        assert_eq!(
            read("logon_type=new_credentials logon_flags=netcredentials_only"),
            Ok((LogonType::NewCredentials, false, true))
        );
        assert_eq!(read("LOGON_FLAGS="), Ok((LogonType::Interactive, false, false)));
        assert_eq!(
            read("logon_flags='with_profile,NETCREDENTIALS_ONLY' logon_type=\"Batch\""),
            Ok((LogonType::Batch, true, true))
        );
        assert_eq!(read("logon_type"), Err(InvalidRunAsFlag::NoValue("logon_type".to_owned())));
        assert_eq!(read("logon_type=x"), Err(InvalidRunAsFlag::LogonType("x".to_owned())));
        assert_eq!(read("logon_flags=x"), Err(InvalidRunAsFlag::LogonFlag("x".to_owned())));
        assert_eq!(read("a=b"), Err(InvalidRunAsFlag::Name("a".to_owned())));
        assert_eq!(read("a='b"), Err(InvalidRunAsFlag::Quote("a='b".to_owned())));
    }

    #[test]
    fn a_password_is_not_shown_and_domains_are_told_from_hosts() {
        let account = RunAs::new("CORP\\alice", "geheim");
        assert!(!format!("{account:?}").contains("geheim"));
        for (name, is_of_domain) in [
            ("CORP\\a", true),
            ("a@corp", true),
            (".\\a", false),
            ("a", false),
            ("NT AUTHORITY\\SYSTEM", false),
        ] {
            assert_eq!(RunAs::new(name, "x").is_of_domain(), is_of_domain, "{name}");
        }
    }
}
