//! Signatures and encryption with extended session security, [MS-NLMP] 3.4.

use std::fmt;

use subtle::ConstantTimeEq as _;

use super::crypto::{Direction, Key, sealing_key, signing_key};
use super::message::flags;
use super::stream::{MacKey, Rc4};
use crate::sealer::{SealError, SealLayout};

const SIGNATURE: usize = 16;

/// The keys and sequence numbers of one connection.
#[derive(Clone)]
pub struct NtlmSealer {
    outgoing: Half,
    incoming: Half,
    flags: u32,
    broken: bool,
}

/// One direction.
#[derive(Clone)]
struct Half {
    cipher: Rc4,
    mac: MacKey,
    /// The number of the next message; `None` after the last.
    sequence: Option<u32>,
}

impl Half {
    fn new(session_key: &Key, direction: Direction) -> Self {
        Self {
            cipher: Rc4::new(&sealing_key(session_key, direction)),
            mac: MacKey::new(&signing_key(session_key, direction)),
            sequence: Some(0),
        }
    }

    /// `NTLMSSP_MESSAGE_SIGNATURE` with extended session security, [MS-NLMP] 2.2.2.9.2, from the HMAC.
    fn signature(&mut self, flags: u32, sequence: u32, code: [u8; 16]) -> [u8; SIGNATURE] {
        let [mut checksum @ .., _, _, _, _, _, _, _, _] = code;
        if flags & flags::KEY_EXCHANGE != 0 {
            self.cipher.apply(&mut checksum);
        }
        let mut signature = [0; SIGNATURE];
        signature[0] = 1;
        signature[4..12].copy_from_slice(&checksum);
        signature[12..].copy_from_slice(&sequence.to_le_bytes());
        signature
    }
}

impl NtlmSealer {
    pub(super) fn new(session_key: &Key, ours: Direction, flags: u32) -> Self {
        let theirs = match ours {
            Direction::ToServer => Direction::ToClient,
            Direction::ToClient => Direction::ToServer,
        };
        Self {
            outgoing: Half::new(session_key, ours),
            incoming: Half::new(session_key, theirs),
            flags,
            broken: false,
        }
    }

    pub(crate) fn layout(&self, _length: usize) -> Result<SealLayout, SealError> {
        self.demand_encryption()?;
        Ok(SealLayout {
            signature: SIGNATURE,
            padding: 0,
        })
    }

    /// Encrypts `data` where it stands and fills the 16 bytes of `signature`.
    ///
    /// # Errors
    /// A signature of another length, no encryption agreed on, no sequence numbers left.
    pub fn seal_in_place(&mut self, signature: &mut [u8], data: &mut [u8]) -> Result<(), SealError> {
        self.demand_encryption()?;
        let signature = signature_field(signature)?;
        let sequence = self.outgoing.sequence.ok_or(SealError::Exhausted)?;
        let half = &mut self.outgoing;
        let code = half.mac.seal(&mut half.cipher, sequence, data);
        *signature = half.signature(self.flags, sequence, code);
        half.sequence = sequence.checked_add(1);
        Ok(())
    }

    /// Decrypts `data` where it stands and checks its signature of 16 bytes.
    ///
    /// # Errors
    /// See [`SealError`]. After a wrong signature `data` is of no use, and nothing further can be opened.
    pub fn unseal_in_place(&mut self, signature: &[u8], data: &mut [u8]) -> Result<(), SealError> {
        self.demand_encryption()?;
        self.check(signature, |half, sequence| half.mac.open(&mut half.cipher, sequence, data))
    }

    /// The signature of a message that is sent in clear text.
    ///
    /// # Errors
    /// No signatures agreed on, or no sequence numbers left.
    pub fn sign(&mut self, message: &[u8]) -> Result<[u8; 16], SealError> {
        self.demand_signatures()?;
        let half = &mut self.outgoing;
        let sequence = half.sequence.ok_or(SealError::Exhausted)?;
        let code = half.mac.code(sequence, message);
        half.sequence = sequence.checked_add(1);
        Ok(half.signature(self.flags, sequence, code))
    }

    /// Checks the signature of a message that was sent in clear text.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn verify(&mut self, message: &[u8], signature: &[u8]) -> Result<(), SealError> {
        self.demand_signatures()?;
        self.check(signature, |half, sequence| half.mac.code(sequence, message))
    }

    /// Signs SPNEGO's list of mechanisms. The key stream is then where it was before, so that the first message is
    /// sealed with its begin ([MS-SPNG] 3.3.5.1), but the sequence number is used up.
    pub(crate) fn sign_mechanism_list(&mut self, list: &[u8]) -> Result<[u8; 16], SealError> {
        let cipher = self.outgoing.cipher.clone();
        let signature = self.sign(list);
        self.outgoing.cipher = cipher;
        signature
    }

    /// The counterpart of [`sign_mechanism_list`](Self::sign_mechanism_list).
    pub(crate) fn verify_mechanism_list(&mut self, list: &[u8], signature: &[u8]) -> Result<(), SealError> {
        let cipher = self.incoming.cipher.clone();
        let result = self.verify(list, signature);
        self.incoming.cipher = cipher;
        result
    }

    fn check(&mut self, signature: &[u8], code: impl FnOnce(&mut Half, u32) -> [u8; 16]) -> Result<(), SealError> {
        if self.broken {
            return Err(SealError::Broken);
        }
        let signature: &[u8; SIGNATURE] = signature.try_into().map_err(|_| SealError::Length {
            expected: SIGNATURE,
            found: signature.len(),
        })?;
        let half = &mut self.incoming;
        let expected = half.sequence.ok_or(SealError::Exhausted)?;
        let [v0, v1, v2, v3, .., s0, s1, s2, s3] = *signature;
        let version = u32::from_le_bytes([v0, v1, v2, v3]);
        let found = u32::from_le_bytes([s0, s1, s2, s3]);
        // Whatever is wrong: the key stream can't be in step with the peer's any more.
        self.broken = true;
        if version != 1 {
            return Err(SealError::Version(version));
        }
        if found != expected {
            return Err(SealError::Sequence { expected, found });
        }
        let code = code(half, expected);
        if !bool::from(half.signature(self.flags, expected, code).ct_eq(signature)) {
            return Err(SealError::Checksum);
        }
        self.broken = false;
        half.sequence = expected.checked_add(1);
        Ok(())
    }

    fn demand_encryption(&self) -> Result<(), SealError> {
        if self.flags & flags::SEAL != 0 {
            Ok(())
        } else {
            Err(SealError::NotNegotiated("encryption"))
        }
    }

    pub(crate) fn can_sign(&self) -> bool {
        self.flags & (flags::SIGN | flags::SEAL) != 0
    }

    fn demand_signatures(&self) -> Result<(), SealError> {
        if self.can_sign() {
            Ok(())
        } else {
            Err(SealError::NotNegotiated("signatures"))
        }
    }
}

fn signature_field(field: &mut [u8]) -> Result<&mut [u8; SIGNATURE], SealError> {
    let found = field.len();
    field.try_into().map_err(|_| SealError::Length {
        expected: SIGNATURE,
        found,
    })
}

impl fmt::Debug for NtlmSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NtlmSealer")
            .field("sent", &self.outgoing.sequence)
            .field("received", &self.incoming.sequence)
            .finish_non_exhaustive()
    }
}
