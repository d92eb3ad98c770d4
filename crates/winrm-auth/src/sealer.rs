//! Encryption and signatures of messages after an authentication, the same interface for every mechanism.

use std::ops::Range;

use crate::{credssp, kerberos, ntlm};

/// Encrypts outgoing and decrypts incoming messages of one connection, each direction in its own order.
///
/// A sealed message is a signature followed by the sealed bytes, which are as long as the plain text plus padding. CredSSP is
/// different: its messages are TLS records.
#[derive(Debug)]
#[non_exhaustive]
pub enum Sealer {
    /// [MS-NLMP] 3.4.
    Ntlm(Box<ntlm::NtlmSealer>),
    /// RFC 4121 section 4.2.
    Kerberos(Box<kerberos::KerberosSealer>),
    /// [MS-WSMV] 2.2.9.1.3.
    CredSsp(Box<credssp::CredSspSealer>),
}

/// How many bytes a sealed message has beside the plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealLayout {
    /// Bytes of signature in front of the data.
    pub signature: usize,
    /// Bytes of padding behind the data; zero for NTLM and for Kerberos with AES.
    pub padding: usize,
}

impl Sealer {
    /// The layout of the next message to be sealed, for a plain text of `length` bytes.
    ///
    /// # Errors
    /// [`SealError::NotNegotiated`] if the context has no encryption; [`SealError::Records`] for CredSSP.
    pub fn layout(&self, length: usize) -> Result<SealLayout, SealError> {
        match self {
            Self::Ntlm(sealer) => sealer.layout(length),
            Self::Kerberos(sealer) => sealer.layout(length),
            Self::CredSsp(_) => Err(SealError::Records),
        }
    }

    /// Encrypts `data` where it stands and fills `signature` and `padding`, which have to be as long as
    /// [`layout`](Self::layout) says.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal_in_place(&mut self, signature: &mut [u8], data: &mut [u8], padding: &mut [u8]) -> Result<(), SealError> {
        match self {
            Self::Ntlm(sealer) => {
                if !padding.is_empty() {
                    return Err(SealError::Length {
                        expected: 0,
                        found: padding.len(),
                    });
                }
                sealer.seal_in_place(signature, data)
            }
            Self::Kerberos(sealer) => sealer.seal_in_place(signature, data, padding),
            Self::CredSsp(_) => Err(SealError::Records),
        }
    }

    /// Checks and decrypts a sealed message (`signature_length` bytes of signature, then the sealed bytes) where it
    /// stands, and tells where in `message` the plain text is. For CredSSP the length says nothing: the records know theirs.
    ///
    /// # Errors
    /// See [`SealError`]. Any error means that the connection can't be used further.
    pub fn unseal_in_place(&mut self, signature_length: usize, message: &mut [u8]) -> Result<Range<usize>, SealError> {
        let length = message.len();
        let (signature, data) = message.split_at_mut_checked(signature_length).ok_or(SealError::Length {
            expected: signature_length,
            found: length,
        })?;
        match self {
            Self::Ntlm(sealer) => {
                sealer.unseal_in_place(signature, data)?;
                Ok(signature_length..length)
            }
            Self::Kerberos(sealer) => sealer.unseal_in_place(message),
            Self::CredSsp(sealer) => sealer.unseal_in_place(message),
        }
    }

    /// The same for a message whose signature has the length that the mechanism gives it.
    pub(crate) fn unseal(&mut self, message: &mut [u8]) -> Result<Range<usize>, SealError> {
        let signature = match self {
            Self::Ntlm(_) => self.layout(0)?.signature,
            Self::Kerberos(_) | Self::CredSsp(_) => 0,
        };
        self.unseal_in_place(signature, message)
    }

    /// Seals a copy of `plain`: signature, sealed bytes and padding in one; for CredSSP as many records as it takes.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal(&mut self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        if let Self::CredSsp(sealer) = self {
            let mut records = Vec::with_capacity(plain.len() + 64);
            for piece in plain.chunks(credssp::CredSspSealer::RECORD) {
                sealer.seal_record(piece, &mut records)?;
            }
            return Ok(records);
        }
        let layout = self.layout(plain.len())?;
        let mut message = vec![0; layout.signature + plain.len() + layout.padding];
        let (signature, rest) = message.split_at_mut(layout.signature);
        let (data, padding) = rest.split_at_mut(plain.len());
        data.copy_from_slice(plain);
        self.seal_in_place(signature, data, padding)?;
        Ok(message)
    }

    /// The signature of `message`, which itself is sent in clear text.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        match self {
            Self::Ntlm(sealer) => sealer.sign(message).map(Vec::from),
            Self::Kerberos(sealer) => sealer.sign(message),
            Self::CredSsp(_) => Err(SealError::NotNegotiated("signatures")),
        }
    }

    /// Checks the signature of a message that was sent in clear text.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn verify(&mut self, message: &[u8], signature: &[u8]) -> Result<(), SealError> {
        match self {
            Self::Ntlm(sealer) => sealer.verify(message, signature),
            Self::Kerberos(sealer) => sealer.verify(message, signature),
            Self::CredSsp(_) => Err(SealError::NotNegotiated("signatures")),
        }
    }

    /// Signs SPNEGO's list of mechanisms.
    pub(crate) fn sign_mechanism_list(&mut self, list: &[u8]) -> Result<Vec<u8>, SealError> {
        match self {
            Self::Ntlm(sealer) => sealer.sign_mechanism_list(list).map(Vec::from),
            Self::Kerberos(sealer) => sealer.sign(list),
            Self::CredSsp(_) => Err(SealError::NotNegotiated("signatures")),
        }
    }

    /// Checks the peer's signature of SPNEGO's list of mechanisms.
    pub(crate) fn verify_mechanism_list(&mut self, list: &[u8], signature: &[u8]) -> Result<(), SealError> {
        match self {
            Self::Ntlm(sealer) => sealer.verify_mechanism_list(list, signature),
            Self::Kerberos(sealer) => sealer.verify(list, signature),
            Self::CredSsp(_) => Err(SealError::NotNegotiated("signatures")),
        }
    }
}

/// Why a message can't be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The authentication agreed on no encryption, or on no signatures.
    #[error("the authentication did not negotiate message {0}")]
    NotNegotiated(&'static str),
    /// A signature or padding of another length.
    #[error("the signature or padding of a sealed message has {found} bytes, not {expected}")]
    Length {
        /// The length it has to have, in bytes.
        expected: usize,
        /// The length it has.
        found: usize,
    },
    /// The signature's version isn't 1.
    #[error("the signature of a sealed message has version {0}, not 1")]
    Version(u32),
    /// A message was lost, repeated, or overtaken.
    #[error("a sealed message has sequence number {found} where {expected} should follow")]
    Sequence {
        /// The number that should follow.
        expected: u32,
        /// The number in the signature.
        found: u32,
    },
    /// The message or its signature was changed, or sealed with other keys.
    #[error("the signature of a sealed message is wrong")]
    Checksum,
    /// All sequence numbers were used.
    #[error("no sequence numbers are left on this connection")]
    Exhausted,
    /// The Kerberos library refuses the message.
    #[error("the Kerberos library refuses a sealed message")]
    Kerberos(#[source] winrm_gssapi::Error),
    /// TLS refuses the message; OpenSSL's reason.
    #[error("TLS refuses a sealed message: {0}")]
    Tls(String),
    /// A message that is a TLS record has no room for one in place.
    #[error("messages of CredSSP are TLS records, which are not sealed in place")]
    Records,
    /// A TLS record without content.
    #[error("a sealed message is empty")]
    Empty,
    /// An earlier message could not be opened.
    #[error("an earlier sealed message was refused")]
    Broken,
}
