//! A user name as people write it, taken apart, with its password.

use std::fmt;

use crate::Secret;

/// A user name, the domain it was written with, and the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The name within its domain (`alice`), or a whole user principal name (`alice@EXAMPLE.COM`).
    pub user: String,
    /// The domain or machine name in front of the backslash; `None` for a plain name and for a principal name.
    pub domain: Option<String>,
    /// The password.
    pub password: Secret,
}

impl Credentials {
    /// Takes apart `DOMAIN\user`. A principal name `user@realm` stays whole, because the host resolves its suffix
    /// itself and the suffix need not be the name of a domain; anything else is a plain name.
    ///
    /// # Errors
    /// A name without a user part (`""`, `DOMAIN\`, `@realm`), and a name with a control character.
    pub fn parse(name: &str, password: impl Into<Secret>) -> Result<Self, InvalidUserName> {
        if name.chars().any(char::is_control) {
            return Err(InvalidUserName::ControlCharacter);
        }
        let (domain, user) = match name.split_once('\\') {
            Some((domain, user)) => (Some(domain), user),
            None => (None, name),
        };
        if user.is_empty() || user.starts_with('@') {
            return Err(InvalidUserName::NoUser);
        }
        Ok(Self {
            user: user.to_owned(),
            domain: domain.filter(|d| !d.is_empty()).map(str::to_owned),
            password: password.into(),
        })
    }

    /// The name as it is written for Basic and for messages: `DOMAIN\user`, or the user alone.
    pub fn account(&self) -> String {
        match &self.domain {
            Some(domain) => format!("{domain}\\{}", self.user),
            None => self.user.clone(),
        }
    }

    /// Whether the user is a principal name (`user@realm`), which has no domain of its own.
    pub fn is_principal_name(&self) -> bool {
        self.domain.is_none() && self.user.contains('@')
    }
}

impl fmt::Display for Credentials {
    /// The account name; never the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.account())
    }
}

/// Why a text is no user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUserName {
    /// Nothing stands where the user should stand.
    #[error("the user name is empty")]
    NoUser,
    /// A line break, NUL or another control character.
    #[error("the user name contains a control character")]
    ControlCharacter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parts(name: &str) -> (Option<String>, String) {
        let credentials = Credentials::parse(name, "pw").unwrap();
        (credentials.domain, credentials.user)
    }

    #[test]
    fn the_three_ways_to_write_a_user() {
        assert_eq!(parts("alice"), (None, "alice".to_owned()));
        assert_eq!(parts(r"CORP\alice"), (Some("CORP".to_owned()), "alice".to_owned()));
        assert_eq!(parts("alice@corp.example"), (None, "alice@corp.example".to_owned()));
        assert_eq!(parts(r".\alice"), (Some(".".to_owned()), "alice".to_owned()));
        assert_eq!(parts(r"\alice"), (None, "alice".to_owned()));
    }

    #[test]
    fn a_principal_name_is_told_from_a_domain_account() {
        assert!(Credentials::parse("a@b", "").unwrap().is_principal_name());
        assert!(!Credentials::parse(r"C\a@b", "").unwrap().is_principal_name());
    }

    #[test]
    fn names_without_a_user_are_refused() {
        for name in ["", r"CORP\", "@corp", r"CORP\@x"] {
            assert_eq!(Credentials::parse(name, ""), Err(InvalidUserName::NoUser), "{name:?}");
        }
        assert_eq!(Credentials::parse("a\r\nb", ""), Err(InvalidUserName::ControlCharacter));
    }

    #[test]
    fn account_and_display_leave_the_password_out() {
        let credentials = Credentials::parse(r"CORP\alice", "hunter2").unwrap();
        assert_eq!(credentials.account(), r"CORP\alice");
        assert!(!format!("{credentials} {credentials:?}").contains("hunter2"));
    }
}
