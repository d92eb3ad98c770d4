//! The ways to authenticate, by the names that inventories give them.

use std::fmt;

/// A way to authenticate, as `ansible_winrm_transport` and `--transport` name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Basic authentication; over http only where message encryption is `never`.
    Basic,
    /// Basic authentication that may go in clear text: the name says so.
    Plaintext,
    /// Over https a client certificate, where there is one, and Basic authentication otherwise.
    Ssl,
    /// A client certificate.
    Certificate,
    /// NTLM.
    Ntlm,
    /// Kerberos where a ticket can be had, NTLM otherwise.
    Negotiate,
    /// Kerberos.
    Kerberos,
    /// CredSSP.
    Credssp,
}

impl Method {
    const NAMES: [(Self, &'static str); 8] = [
        (Self::Basic, "basic"),
        (Self::Plaintext, "plaintext"),
        (Self::Ssl, "ssl"),
        (Self::Certificate, "certificate"),
        (Self::Ntlm, "ntlm"),
        (Self::Negotiate, "negotiate"),
        (Self::Kerberos, "kerberos"),
        (Self::Credssp, "credssp"),
    ];

    /// The way of this name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let named = Self::NAMES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
        named.map(|(method, _)| *method)
    }

    /// All names, with commas.
    pub(super) fn names() -> String {
        Self::NAMES.map(|(_, name)| name).join(", ")
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|(method, _)| method == self);
        f.write_str(named.map_or("", |(_, name)| name))
    }
}
