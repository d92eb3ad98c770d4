//! Who may log on.

use std::fmt;

use winrm_auth::{Credentials, Secret, credentials::InvalidUserName};

/// The accounts of the service.
///
/// Names are compared without regard to case, as Windows does. An account without a domain is a local one: it is found under any
/// domain that a client sends, since clients send their own machine's name, a dot or nothing. An account with a domain needs it.
#[derive(Clone, Default)]
pub struct Users {
    accounts: Vec<Credentials>,
}

impl Users {
    /// No accounts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one account a line: `[DOMAIN\]name:password`. The password is everything behind the first colon, spaces included; empty
    /// lines and lines that start with `#` are skipped.
    ///
    /// # Errors
    /// The first line that is neither, an account that stands twice; the error never holds a password.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        let mut users = Self::new();
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let error = |kind| UsersError { line: index + 1, kind };
            let (name, password) = line.split_once(':').ok_or_else(|| error(UsersErrorKind::NoColon))?;
            if password.is_empty() {
                return Err(error(UsersErrorKind::NoPassword));
            }
            let credentials = Credentials::parse(name.trim_end(), password).map_err(|reason| error(UsersErrorKind::Name(reason)))?;
            if users.accounts.iter().any(|known| same_account(known, &credentials)) {
                return Err(error(UsersErrorKind::Twice(credentials.account())));
            }
            users.accounts.push(credentials);
        }
        Ok(users)
    }

    /// Adds an account; one of the same name is replaced.
    pub fn add(&mut self, credentials: Credentials) {
        self.accounts.retain(|known| !same_account(known, &credentials));
        self.accounts.push(credentials);
    }

    /// Adds all accounts of `others`.
    pub fn extend(&mut self, others: Self) {
        for credentials in others.accounts {
            self.add(credentials);
        }
    }

    /// Whether there is no account.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The account's name as it was configured, if name and password are right. How long it takes depends on the number of accounts
    /// and the length of their passwords, not on which one is right.
    pub(crate) fn verify(&self, given: &Credentials) -> Option<String> {
        let mut found = None;
        for account in &self.accounts {
            let right = given.password == account.password;
            if right & matches(account, &given.user, given.domain.as_deref()) {
                found = Some(account.account());
            }
        }
        found
    }

    /// The account that a name means as a person writes it: `name`, `DOMAIN\\name` or `name@REALM`.
    pub(crate) fn account_named(&self, name: &str) -> Option<String> {
        let name = Credentials::parse(name, "").ok()?;
        self.find(&name.user, name.domain.as_deref()).map(|(account, _)| account)
    }

    /// The names of all accounts, in the order in which they came.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.accounts.iter().map(Credentials::account)
    }

    /// The account that this name means, with its password.
    pub(crate) fn find(&self, user: &str, domain: Option<&str>) -> Option<(String, &Secret)> {
        self.first(|account| matches(account, user, domain))
    }

    /// The same, but only an account that was given this domain.
    pub(crate) fn find_in_domain(&self, user: &str, domain: &str) -> Option<(String, &Secret)> {
        self.first(|account| account.domain.is_some() && matches(account, user, Some(domain)))
    }

    fn first(&self, condition: impl Fn(&Credentials) -> bool) -> Option<(String, &Secret)> {
        let account = self.accounts.iter().find(|account| condition(account))?;
        Some((account.account(), &account.password))
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn matches(account: &Credentials, user: &str, domain: Option<&str>) -> bool {
    same(&account.user, user)
        && match (&account.domain, domain) {
            (None, _) => true,
            (Some(own), Some(given)) => same(own, given),
            (Some(_), None) => false,
        }
}

fn same_account(one: &Credentials, other: &Credentials) -> bool {
    same(&one.account(), &other.account())
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.accounts.iter().map(Credentials::account)).finish()
    }
}

/// A line of a list of users that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct UsersError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub kind: UsersErrorKind,
}

/// What is wrong with a line of a list of users.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsersErrorKind {
    /// There is no colon in it.
    #[error("it is not of the form [DOMAIN\\]name:password")]
    NoColon,
    /// Nothing stands behind the colon.
    #[error("the password is empty")]
    NoPassword,
    /// What stands in front of the colon is no user name.
    #[error("{0}")]
    Name(InvalidUserName),
    /// The account stands in an earlier line as well.
    #[error("the account {0} stands twice")]
    Twice(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, password: &str) -> Credentials {
        Credentials::parse(name, password).unwrap()
    }

    #[test]
    fn reads_a_list_of_users() {
        let users = Users::parse("# staff\n\nalice:pass:word \r\nCORP\\bob:x\n  carol@corp.test:y").unwrap();
        assert_eq!(users.verify(&given("ALICE", "pass:word ")).as_deref(), Some("alice"));
        assert_eq!(users.verify(&given(".\\alice", "pass:word ")).as_deref(), Some("alice"));
        assert_eq!(users.verify(&given("alice", "pass:word")), None);
        assert_eq!(users.verify(&given("corp\\Bob", "x")).as_deref(), Some("CORP\\bob"));
        assert_eq!(users.verify(&given("bob", "x")), None);
        assert_eq!(users.verify(&given("OTHER\\bob", "x")), None);
        assert_eq!(users.verify(&given("carol@CORP.test", "y")).as_deref(), Some("carol@corp.test"));
        assert_eq!(format!("{users:?}"), r#"["alice", "CORP\\bob", "carol@corp.test"]"#);
    }

    #[test]
    fn says_which_line_is_wrong() {
        let error = |text: &str| Users::parse(text).unwrap_err();
        assert_eq!(
            error("a:b\nnonsense").to_string(),
            "line 2: it is not of the form [DOMAIN\\]name:password"
        );
        assert_eq!(error("#\n\nalice:").kind, UsersErrorKind::NoPassword);
        assert_eq!(error(":secret").kind, UsersErrorKind::Name(InvalidUserName::NoUser));
        assert_eq!(error("alice:a\nALICE:b").to_string(), "line 2: the account ALICE stands twice");
    }
}
