//! CredSSP, [MS-CSSP]: both sides, versions 2 to 6. A TLS of its own, inside it NTLM or Kerberos by way of SPNEGO, and in the end the
//! user's password, for the host to act with on other hosts.
//!
//! | leg | client | server |
//! |---|---|---|
//! | 1, 2 | TLS handshake | TLS handshake |
//! | 3… | token of SPNEGO | token of SPNEGO |
//! | last but one | last token, if there is one; proof of the server's key, sealed | last token; proof, sealed |
//! | last | name and password, sealed | |
//!
//! The certificate of the inner TLS is made by the host for itself and proves nothing. What tells a host from somebody in between is
//! the proof: its public key, sealed by the authentication, which only who knows the user (or has the service's key) can seal. The
//! password leaves the client after the server's proof was checked, and not before. Before version 5 the proof is the key itself, and
//! its first byte plus one as the answer; that one can be tricked (CVE-2018-0886), which is what a minimum version is for.
//!
//! OpenSSL draws random numbers of its own for the TLS; the nonce of the proof is an argument, as everywhere in this crate.

mod acceptor;
mod initiator;
mod message;
mod proof;
mod sealer;
mod status;
mod tls;

pub use acceptor::CredSspAcceptor;
pub use initiator::CredSspInitiator;
pub use message::{MAX_MESSAGE, TsRequest};
pub use sealer::CredSspSealer;
pub use status::NtStatus;
pub use tls::{AcceptorTls, InitiatorTls, InnerTlsVersion};

pub use crate::der::DerError;
use crate::sealer::SealError;

/// The newest version that is spoken here; what a newer peer speaks with us.
pub const NEWEST_VERSION: u32 = 6;

/// The oldest version that there is.
pub const OLDEST_VERSION: u32 = 2;

/// The version that two sides agree on.
#[derive(Clone, Copy, Debug)]
struct Versions {
    minimum: u32,
    agreed: Option<u32>,
}

impl Versions {
    const fn new(minimum: u32) -> Self {
        Self { minimum, agreed: None }
    }

    /// Takes note of what the peer says of itself in each of its messages.
    fn meet(&mut self, peer: u32) -> Result<u32, CredSspError> {
        if peer < OLDEST_VERSION {
            return Err(CredSspError::Field("version"));
        }
        let lower = peer.min(NEWEST_VERSION);
        if lower < self.minimum {
            return Err(CredSspError::VersionTooOld {
                peer,
                minimum: self.minimum,
            });
        }
        match self.agreed.replace(lower) {
            Some(agreed) if agreed != lower => Err(CredSspError::VersionChanged { from: agreed, to: lower }),
            _ => Ok(lower),
        }
    }
}

/// Why CredSSP failed. Errors of NTLM, Kerberos and SPNEGO inside it are not among these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredSspError {
    /// The inner TLS failed; OpenSSL's reason.
    #[error("the TLS inside CredSSP failed: {0}")]
    Tls(String),
    /// The peer has ended the inner TLS, or sent a part of it.
    #[error("the TLS inside CredSSP was cut off")]
    Closed,
    /// The certificate of the inner TLS is missing or has no key that can be bound to.
    #[error("the TLS inside CredSSP has no server key")]
    NoKey,
    /// A message that can't be read.
    #[error("a CredSSP message is malformed")]
    Malformed(#[from] DerError),
    /// A message longer than [`MAX_MESSAGE`]; its length in bytes, as far as it was read.
    #[error("a CredSSP message has {0} bytes, and at most {MAX_MESSAGE} are read")]
    TooLong(usize),
    /// A field has a value that it can't have.
    #[error("the field {0} of a CredSSP message has no valid value")]
    Field(&'static str),
    /// A field is missing that has to be there at this point.
    #[error("the peer sent no {0}")]
    Missing(&'static str),
    /// A field that has no place at this point.
    #[error("the peer sent a {0} where none belongs")]
    Unexpected(&'static str),
    /// The peer is older than is accepted here.
    #[error("the peer speaks CredSSP version {peer} at most, and at least {minimum} is asked for")]
    VersionTooOld {
        /// The peer's version.
        peer: u32,
        /// What was asked for.
        minimum: u32,
    },
    /// The peer says another version than before.
    #[error("the peer changed its CredSSP version from {from} to {to}")]
    VersionChanged {
        /// What was agreed.
        from: u32,
        /// What it says now.
        to: u32,
    },
    /// The sealed key isn't that of this TLS connection.
    #[error("the peer vouches for another TLS key than the one in use: somebody sits in between")]
    KeyMismatch,
    /// The peer's sealed key can't be opened: it is not who authenticated.
    #[error("the peer's proof of its TLS key can't be opened")]
    Proof(#[source] SealError),
    /// The sealed credentials can't be opened.
    #[error("the delegated credentials can't be opened")]
    Delegated(#[source] SealError),
    /// What is sent can't be sealed.
    #[error("a CredSSP message can't be sealed")]
    Seal(#[source] SealError),
    /// Smart card or Remote Credential Guard; the value of `credType`.
    #[error("credentials of type {0} are not supported, only passwords (1)")]
    CredentialType(i64),
    /// The server has refused, and says why.
    #[error("the host refused: {0}")]
    Refused(NtStatus),
}

impl CredSspError {
    /// What a person can do about it, in one sentence; `None` where nothing better is known than the error itself.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Tls(_) => "both sides need the same TLS inside CredSSP: 1.2, or 1.0 with Windows Server 2008, which has to be asked for",
            Self::VersionTooOld { .. } => {
                "install the host's updates (CVE-2018-0886), or lower the minimum version of CredSSP knowing that it can be tricked"
            }
            Self::KeyMismatch | Self::Proof(_) => {
                "the password was not sent; something between here and the host ends the TLS inside CredSSP, or attacks"
            }
            Self::Refused(status) => return status.hint(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
