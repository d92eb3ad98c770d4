//! Authentication for Windows Remote Management: token machines and message encryption for both sides, without I/O.
//!
//! This crate turns credentials and the opaque tokens of a peer into the next token, and, once a mechanism has
//! finished, into a [`SecurityContext`] whose [`Sealer`] encrypts messages. It opens no socket, reads no clock and
//! draws no random numbers: nonces, times and keys are arguments, so that every conversation can be replayed in a test. The
//! one exception is the TLS inside CredSSP: OpenSSL draws its own random numbers there, and none of that can be replayed.
//!
//! | module | what it knows |
//! |---|---|
//! | [`secret`], [`credentials`] | who authenticates, and a password that can't be printed |
//! | [`certificate`] | client certificates and their keys, from PEM and PFX |
//! | [`challenge`] | `WWW-Authenticate` and `Authorization` header values |
//! | [`basic`] | the Basic scheme of RFC 7617 |
//! | [`mechanism`], [`sealer`] | what all token machines have in common, and what they end in |
//! | [`ntlm`], [`spnego`] | NTLMv2, and the choice between it and Kerberos |
//! | [`credssp`] | delegation of credentials: NTLM or Kerberos, and then the password, inside a TLS of its own |
//! | [`kerberos`], [`kinit`] | Kerberos by the system's library, and tickets by its `kinit`: these two block |
//! | [`sealed_body`] | HTTP bodies with an encrypted message |
//! | [`channel_binding`] | `tls-server-end-point` of RFC 5929 |

pub mod basic;
pub mod certificate;
pub mod challenge;
pub mod channel_binding;
pub mod credentials;
pub mod credssp;
mod der;
pub mod kerberos;
pub mod kinit;
pub mod mechanism;
pub mod ntlm;
pub mod sealed_body;
pub mod sealer;
pub mod secret;
pub mod spnego;

pub use certificate::{CertificateError, ClientCertificate};
pub use challenge::{Authorization, Challenge, Scheme};
pub use channel_binding::ChannelBinding;
pub use credentials::Credentials;
pub use mechanism::{ChannelBindingPolicy, Error, Mechanism, Peer, SecurityContext, Step, TokenMachine};
pub use sealer::{SealError, SealLayout, Sealer};
pub use secret::Secret;
