//! What all token machines have in common: they take the peer's token and give the next one, until they are done.

use std::fmt;

use crate::sealer::Sealer;
use crate::{ChannelBinding, Credentials, credssp, kerberos, ntlm, spnego};

/// One side of one authentication: an initiator or an acceptor of NTLM, Kerberos, SPNEGO or CredSSP.
///
/// A machine is `Send`, so that one that may block (Kerberos asks the KDC) can be moved off the async threads.
pub trait TokenMachine: Send {
    /// Takes the peer's token and gives the next step. An initiator is started with an empty `input`.
    ///
    /// # Errors
    /// What the mechanism has against the token; [`Error::OutOfTurn`] if the machine was done, or failed, before.
    /// After an error the machine is of no further use.
    fn step(&mut self, input: &[u8]) -> Result<Step, Error>;

    /// The mechanism whose tokens these are. For SPNEGO, and CredSSP around it: the one chosen or tried so far.
    fn mechanism(&self) -> Mechanism;

    /// After a step that failed: a last token that tells the peer why, where the mechanism has one.
    fn farewell(&mut self) -> Option<Vec<u8>> {
        None
    }
}

/// What follows from a token.
#[derive(Debug)]
pub enum Step {
    /// Send this token and wait for another.
    Continue(Vec<u8>),
    /// The authentication has succeeded on this side.
    Done {
        /// A last token that the peer still has to get.
        token: Option<Vec<u8>>,
        /// What was agreed.
        context: SecurityContext,
    },
}

/// The result of an authentication.
#[derive(Debug)]
#[non_exhaustive]
pub struct SecurityContext {
    /// The mechanism that was used; for CredSSP, the one inside.
    pub mechanism: Mechanism,
    /// Encrypts and decrypts the messages of the connection.
    pub sealer: Sealer,
    /// Who authenticated; known to acceptors only.
    pub peer: Option<Peer>,
    /// Whether both sides agreed on a channel binding: for an initiator, that it sent one.
    pub channel_bound: bool,
    /// What became of the client's ticket; Kerberos only.
    pub delegation: kerberos::Delegation,
    /// The name and password that a client has handed over, not checked; acceptors of CredSSP only.
    pub delegated_credentials: Option<Box<Credentials>>,
}

impl SecurityContext {
    pub(crate) fn new(mechanism: Mechanism, sealer: Sealer, peer: Option<Peer>, channel_bound: bool) -> Self {
        Self {
            mechanism,
            sealer,
            peer,
            channel_bound,
            delegation: kerberos::Delegation::None,
            delegated_credentials: None,
        }
    }
}

/// An authenticated user, as the mechanism names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The user name; for Kerberos the principal without its realm.
    pub user: String,
    /// The domain as the client sent it, or the realm; `None` where the client sent none.
    pub domain: Option<String>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) => write!(f, "{domain}\\{}", self.user),
            None => f.write_str(&self.user),
        }
    }
}

/// A mechanism that SPNEGO can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// [MS-NLMP].
    Ntlm,
    /// RFC 4121.
    Kerberos,
}

impl Mechanism {
    /// The content bytes of the mechanism's object identifier: 1.3.6.1.4.1.311.2.2.10 and 1.2.840.113554.1.2.2.
    pub const fn object_identifier(self) -> &'static [u8] {
        match self {
            Self::Ntlm => &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a],
            Self::Kerberos => &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02],
        }
    }

    /// The mechanism of these content bytes. Kerberos has a second identifier, 1.2.840.48018.1.2.2, which Windows
    /// 2000 sent by mistake and everyone sends since ([MS-SPNG] 1.9).
    pub fn from_object_identifier(identifier: &[u8]) -> Option<Self> {
        const KERBEROS_OF_WINDOWS_2000: &[u8] = &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02];
        if identifier == KERBEROS_OF_WINDOWS_2000 {
            return Some(Self::Kerberos);
        }
        [Self::Ntlm, Self::Kerberos]
            .into_iter()
            .find(|mechanism| mechanism.object_identifier() == identifier)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ntlm => "NTLM",
            Self::Kerberos => "Kerberos",
        })
    }
}

/// What an acceptor does with the channel binding of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ChannelBindingPolicy {
    /// Takes any binding and none: for connections without TLS.
    #[default]
    Ignore,
    /// Takes clients without a binding, refuses those with another than this one.
    IfPresent(ChannelBinding),
    /// Refuses all clients but those with this binding.
    Required(ChannelBinding),
}

/// Why an authentication failed on this side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// NTLM has failed.
    #[error("NTLM authentication failed")]
    Ntlm(#[from] ntlm::NtlmError),
    /// Kerberos has failed.
    #[error(transparent)]
    Kerberos(#[from] kerberos::KerberosError),
    /// The negotiation of the mechanism has failed.
    #[error("the negotiation of the authentication failed")]
    Spnego(#[from] spnego::SpnegoError),
    /// CredSSP has failed.
    #[error("the delegation of credentials (CredSSP) failed")]
    CredSsp(#[from] credssp::CredSspError),
    /// A token before the first, after the last, or after a failure.
    #[error("a token was given to an authentication that expects none")]
    OutOfTurn,
}
