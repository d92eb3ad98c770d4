//! NTLMv2 by [MS-NLMP]: both sides, with extended session security.
//!
//! LM and NTLMv1 exist on neither side: the initiator refuses a challenge that would lead to them, the acceptor
//! refuses their responses.

mod acceptor;
mod av_pair;
mod crypto;
mod initiator;
mod message;
mod sealer;
mod stream;

pub use acceptor::{AcceptorIdentity, MicPolicy, NtlmAcceptor, PasswordLookup};
pub use av_pair::{AvId, AvPairs};
pub use crypto::NtHash;
pub use initiator::{NtlmEntropy, NtlmInitiator};
pub use message::{AuthenticateMessage, ChallengeMessage, Malformed, NegotiateMessage, NtlmV2Response, Version, flags};
pub use sealer::NtlmSealer;

/// The eight bytes every NTLM message begins with.
pub const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// The time of a `MsvAvTimestamp`: units of 100 nanoseconds since 1601-01-01 UTC ([MS-DTYP] 2.3.3), from the time since
/// the Unix epoch.
pub fn filetime(since_unix_epoch: std::time::Duration) -> u64 {
    const FROM_1601_TO_1970: u64 = 116_444_736_000_000_000;
    let units = u64::try_from(since_unix_epoch.as_nanos() / 100).unwrap_or(u64::MAX);
    FROM_1601_TO_1970.saturating_add(units)
}

/// Why NTLM failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NtlmError {
    /// A message that can't be read.
    #[error("an NTLM message is malformed")]
    Malformed(#[from] Malformed),
    /// The peer doesn't agree to something that is not optional here.
    #[error("the peer does not negotiate {0}")]
    NotNegotiated(&'static str),
    /// The server's challenge has no target information, so that NTLMv2 is impossible.
    #[error("the NTLM challenge has no target information, which NTLMv2 needs")]
    NoTargetInfo,
    /// A user name, domain or target name too long for a message.
    #[error("the {0} is too long for an NTLM message")]
    TooLong(&'static str),
    /// The client answered with LM or NTLMv1.
    #[error("the client answered with LM or NTLMv1; only NTLMv2 is accepted")]
    NotNtlmV2,
    /// The client authenticates as nobody.
    #[error("the client asks for an anonymous NTLM session")]
    Anonymous,
    /// No such user.
    #[error("NTLM user {0:?} is not known")]
    UnknownUser(String),
    /// The response was not made with the user's password.
    #[error("wrong NTLM password for user {0:?}")]
    WrongPassword(String),
    /// The message integrity code is wrong: a message was changed on its way.
    #[error("the integrity code over the NTLM messages is wrong")]
    WrongMic,
    /// The client sent no message integrity code.
    #[error("the client sent no integrity code over the NTLM messages")]
    MicMissing,
    /// The client sent no channel binding.
    #[error("the client sent no channel binding token")]
    BindingMissing,
    /// The client's channel binding is that of another TLS connection.
    #[error("the client's channel binding token belongs to another TLS server certificate")]
    BindingMismatch,
}

#[cfg(test)]
mod tests;
