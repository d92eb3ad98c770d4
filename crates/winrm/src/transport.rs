//! How a client authenticates, and what it encrypts.

use std::fmt;
use std::str::FromStr;

/// The way a client proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// User and password in every request, RFC 7617. Local accounts only. It encrypts nothing itself: use it with https.
    Basic,
    /// NTLMv2, local and domain accounts, with message encryption.
    Ntlm,
    /// Kerberos when a ticket can be had, NTLM otherwise: what Windows takes without being told to.
    #[default]
    Negotiate,
    /// Kerberos, with message encryption.
    Kerberos,
    /// NTLM or Kerberos, and then the password itself, for the host to act with on other hosts ([MS-CSSP]). Only for hosts that are
    /// trusted with it. With message encryption.
    CredSsp,
    /// The certificate of [`client_certificate`](crate::ClientBuilder::client_certificate), which the host has mapped to a local
    /// account. Over https only.
    Certificate,
}

impl Transport {
    const NAMES: [(Self, &'static str); 6] = [
        (Self::Basic, "basic"),
        (Self::Ntlm, "ntlm"),
        (Self::Negotiate, "negotiate"),
        (Self::Kerberos, "kerberos"),
        (Self::CredSsp, "credssp"),
        (Self::Certificate, "certificate"),
    ];

    /// Whether the transport can encrypt messages itself, without TLS.
    #[must_use]
    pub fn can_encrypt(self) -> bool {
        !matches!(self, Self::Basic | Self::Certificate)
    }
}

/// Whether messages are encrypted by the transport itself (not by TLS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// Over http: yes. Over https TLS does it. A transport that can't encrypt is refused over http.
    #[default]
    Auto,
    /// Also inside TLS. A transport that can't encrypt is refused.
    Always,
    /// Not at all: over http everything, passwords of Basic included, is readable on the way.
    Never,
}

impl Encryption {
    const NAMES: [(Self, &'static str); 3] = [(Self::Auto, "auto"), (Self::Always, "always"), (Self::Never, "never")];
}

macro_rules! named {
    ($type:ident, $what:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let name = Self::NAMES
                    .iter()
                    .find(|(value, _)| value == self)
                    .map_or("", |(_, name)| name);
                f.pad(name)
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            /// Reads the name that `Display` writes, in any case.
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::NAMES
                    .iter()
                    .find(|(_, name)| name.eq_ignore_ascii_case(text))
                    .map(|(value, _)| *value)
                    .ok_or_else(|| UnknownName::new($what, text, &Self::NAMES.map(|(_, name)| name)))
            }
        }
    };
}
pub(crate) use named;
named!(Transport, "transport");
named!(Encryption, "kind of encryption");

/// A name that isn't one of a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no {what}; there are {known}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
    known: String,
}

impl UnknownName {
    pub(crate) fn new(what: &'static str, name: &str, known: &[&str]) -> Self {
        Self {
            what,
            name: name.to_owned(),
            known: known.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for (transport, name) in Transport::NAMES {
            assert_eq!(name.to_uppercase().parse(), Ok(transport));
            assert_eq!(transport.to_string(), name);
        }
        assert_eq!("never".parse(), Ok(Encryption::Never));
        assert_eq!(
            "ssl".parse::<Transport>().unwrap_err().to_string(),
            "\"ssl\" is no transport; there are basic, ntlm, negotiate, kerberos, credssp, certificate"
        );
    }
}
