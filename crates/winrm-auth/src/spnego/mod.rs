//! SPNEGO, RFC 4178 with [MS-SPNG]: agrees on a mechanism, and protects the agreement by a signature over the list of
//! mechanisms once the mechanism has keys.

mod acceptor;
mod initiator;
mod message;

pub use acceptor::SpnegoAcceptor;
pub use initiator::SpnegoInitiator;
pub use message::{InitToken, NegotiationState, ResponseToken};

pub use crate::der::DerError;
use crate::mechanism::Mechanism;
use crate::sealer::SealError;

/// The greatest token that is read, in bytes.
pub const MAX_TOKEN: usize = 96 * 1024;

/// Why the negotiation failed. Errors of the mechanism itself are not among these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpnegoError {
    /// A token that can't be read.
    #[error("a SPNEGO token is malformed")]
    Malformed(#[from] DerError),
    /// A token longer than [`MAX_TOKEN`]; its length in bytes.
    #[error("a SPNEGO token has {0} bytes, more than {MAX_TOKEN}")]
    TooLong(usize),
    /// The first token is neither SPNEGO nor a raw token of a mechanism.
    #[error("the token is neither SPNEGO nor one of a known mechanism")]
    UnknownToken,
    /// A field has a value that RFC 4178 doesn't know.
    #[error("the field {0} of a SPNEGO token has an unknown value")]
    UnknownValue(&'static str),
    /// The peer has refused.
    #[error("the peer rejected the negotiation")]
    Rejected,
    /// Both sides have no mechanism in common, or none could begin.
    #[error("no mechanism is possible on both sides")]
    NoCommonMechanism,
    /// The peer chose a mechanism that was not offered, or changed its choice.
    #[error("the peer chose a mechanism that was not offered")]
    NotOffered,
    /// The peer takes the negotiation as finished, but the mechanism isn't.
    #[error("the peer ended the negotiation before {0} was done")]
    Incomplete(Mechanism),
    /// A token of the mechanism is missing where one is needed.
    #[error("the peer sent no {0} token")]
    TokenMissing(Mechanism),
    /// A token of the mechanism after its end.
    #[error("the peer sent a {0} token after the last")]
    ExtraToken(Mechanism),
    /// The signature of the list of mechanisms is missing.
    #[error("the peer did not sign the list of mechanisms")]
    MicMissing,
    /// The list of mechanisms was changed on its way.
    #[error("the signature of the list of mechanisms is wrong")]
    WrongMic(#[source] SealError),
}

#[cfg(test)]
mod tests;
