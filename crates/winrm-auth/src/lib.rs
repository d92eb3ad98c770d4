//! Authentication for Windows Remote Management: token machines and message encryption for both sides, without I/O.
//!
//! This crate turns credentials and the opaque tokens of a peer into the next token, and, once a mechanism has
//! finished, into a [`SecurityContext`] whose [`Sealer`] encrypts messages. It opens no socket, reads no clock and
//! draws no random numbers: nonces, times and keys are arguments, so that every conversation can be replayed in a test.
//!
//! | module | what it knows |
//! |---|---|
//! | [`secret`], [`credentials`] | who authenticates, and a password that can't be printed |
//! | [`challenge`] | `WWW-Authenticate` and `Authorization` header values |
//! | [`basic`] | the Basic scheme of RFC 7617 |
//! | [`mechanism`], [`sealer`] | what all token machines have in common, and what they end in |
//! | [`ntlm`] | NTLMv2 |
//! | [`sealed_body`] | HTTP bodies with an encrypted message |
//! | [`channel_binding`] | `tls-server-end-point` of RFC 5929 |

pub mod basic;
pub mod challenge;
pub mod channel_binding;
pub mod credentials;
#[allow(dead_code, reason = "the writing half waits for SPNEGO")]
mod der;
pub mod mechanism;
pub mod ntlm;
pub mod sealed_body;
#[allow(dead_code, reason = "the signature of the mechanism list waits for SPNEGO")]
pub mod sealer;
pub mod secret;

pub use challenge::{Authorization, Challenge, Scheme};
pub use channel_binding::ChannelBinding;
pub use credentials::Credentials;
pub use mechanism::{ChannelBindingPolicy, Error, Mechanism, Peer, SecurityContext, Step, TokenMachine};
pub use sealer::{SealError, SealLayout, Sealer};
pub use secret::Secret;
