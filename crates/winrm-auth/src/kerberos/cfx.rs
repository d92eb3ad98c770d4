//! Messages of RFC 4121 with AES, encrypted here with the keys that the library hands out.
//!
//! The library can do this too, at about 200 MB/s: its SHA-1 doesn't use the processor's instructions for it. The
//! encryption types are those of RFC 3962 (AES with SHA-1) and RFC 8009 (AES with SHA-2).

use std::ops::Range;

use aes::cipher::{Array, Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use aes::{Aes128, Aes256};
use cbc::{Decryptor, Encryptor};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384};
use subtle::ConstantTimeEq as _;
use winrm_gssapi::ContextKeys;
use zeroize::Zeroizing;

use crate::SealError;

/// Bytes of a token's header, of a confounder, and of a block.
const BLOCK: usize = 16;
/// Data are hashed and encrypted in pieces that stay in the processor's first cache; whole blocks.
const PIECE: usize = 8 * 1024;

const SENT_BY_ACCEPTOR: u8 = 1;
const SEALED: u8 = 2;
const ACCEPTOR_SUBKEY: u8 = 4;

/// One side of an RFC 4121 context.
pub(super) struct Cfx {
    outgoing: Direction,
    incoming: Direction,
    /// The bytes a header of each direction begins with, but for the token's kind.
    acceptor_subkey: u8,
    mac: usize,
}

struct Direction {
    /// `SENT_BY_ACCEPTOR` or nothing.
    sender: u8,
    sequence: u64,
    cipher: Cipher,
    /// Keyed with Ki, for messages.
    integrity: Hash,
    /// Keyed with Kc, for signatures of clear text.
    checksum: Hash,
    /// Keyed for confounders.
    confounder: Hash,
    /// RFC 8009: what is hashed is the cipher text.
    mac_of_cipher_text: bool,
}

impl Cfx {
    /// `None` if the keys are of no supported type.
    pub(super) fn new(keys: &ContextKeys) -> Option<Self> {
        let profile = Profile::new(keys.encryption_type, &keys.key)?;
        // RFC 4121 section 2: seal 22 and sign 23 for the acceptor, 24 and 25 for the initiator. Confounders have to
        // be unpredictable and never repeated. Instead of random numbers, which this crate doesn't draw, they are a
        // keyed function of the sequence number, with a key of its own from the numbers that RFC 3961 section 7.5.1
        // leaves to applications.
        let direction = |sender, seal, sign, confounder, sequence| {
            Some(Direction {
                sender,
                sequence,
                cipher: profile.cipher(&profile.derive(seal, ENCRYPTION))?,
                integrity: profile.hash(&profile.derive(seal, INTEGRITY))?,
                checksum: profile.hash(&profile.derive(sign, CHECKSUM))?,
                confounder: profile.hash(&profile.derive(confounder, CHECKSUM))?,
                mac_of_cipher_text: profile.sha2(),
            })
        };
        let (send, receive) = (keys.send_sequence, keys.receive_sequence);
        let (outgoing, incoming) = if keys.initiator {
            (
                direction(0, 24, 25, 1024, send)?,
                direction(SENT_BY_ACCEPTOR, 22, 23, 1025, receive)?,
            )
        } else {
            (
                direction(SENT_BY_ACCEPTOR, 22, 23, 1025, send)?,
                direction(0, 24, 25, 1024, receive)?,
            )
        };
        let acceptor_subkey = if keys.acceptor_subkey { ACCEPTOR_SUBKEY } else { 0 };
        Some(Self {
            outgoing,
            incoming,
            acceptor_subkey,
            mac: profile.mac_length(),
        })
    }

    /// Bytes in front of the data: header, end of the cipher text, checksum, confounder.
    pub(super) fn signature_length(&self) -> usize {
        3 * BLOCK + self.mac
    }

    /// The `HEADER | DATA` of `gss_wrap_iov`: a token rotated such that what is longer than the data stands in front.
    pub(super) fn seal(&mut self, signature: &mut [u8], data: &mut [u8]) -> Result<(), SealError> {
        let expected = self.signature_length();
        let mac_length = self.mac;
        if signature.len() != expected {
            return Err(SealError::Length {
                expected,
                found: signature.len(),
            });
        }
        let direction = &mut self.outgoing;
        let sequence = direction.sequence;
        direction.sequence = sequence.checked_add(1).ok_or(SealError::Exhausted)?;
        let header = wrap_header(direction.sender | self.acceptor_subkey, sequence, 0);

        let mut confounder = direction.confounder(sequence);
        let mut mac = direction.integrity.clone();
        let mut iv = [0; BLOCK];
        let after = direction.mac_of_cipher_text;
        if after {
            mac.update(&iv);
        } else {
            mac.update(&confounder);
        }

        // The last two blocks, of which the second may be incomplete, are encrypted apart: their cipher texts change
        // places (CBC-CS3). They hold the end of the data and the copy of the header, and the confounder if there are
        // no data.
        let mut tail = [0; 2 * BLOCK];
        let in_tail = if data.is_empty() { BLOCK } else { (data.len() - 1) % BLOCK + 1 };
        let tail = &mut tail[..in_tail + BLOCK];
        let (body, rest) = data.split_at_mut(data.len().saturating_sub(in_tail));
        tail[in_tail..].copy_from_slice(&header);
        if rest.is_empty() {
            tail[..BLOCK].copy_from_slice(&confounder);
        } else {
            tail[..in_tail].copy_from_slice(rest);
            direction.cipher.encrypt(&mut iv, &mut confounder);
            if after {
                mac.update(&confounder);
            }
        }
        for piece in body.chunks_mut(PIECE) {
            if after {
                direction.cipher.encrypt(&mut iv, piece);
                mac.update(piece);
            } else {
                mac.update(piece);
                direction.cipher.encrypt(&mut iv, piece);
            }
        }
        if !after {
            mac.update(if rest.is_empty() { &tail[BLOCK..] } else { tail });
        }
        direction.cipher.encrypt_tail(&iv, tail);
        if after {
            mac.update(tail);
        }

        // In order the token is header, confounder, data, end, checksum; rotated by the last two of them it is:
        let (sealed_end, end) = tail.split_at(in_tail);
        if rest.is_empty() {
            confounder.copy_from_slice(sealed_end);
        } else {
            rest.copy_from_slice(sealed_end);
        }
        let rotation = BLOCK + mac_length;
        signature[..BLOCK].copy_from_slice(&wrap_header(header[2], sequence, rotation as u16));
        signature[BLOCK..2 * BLOCK].copy_from_slice(end);
        signature[2 * BLOCK..2 * BLOCK + mac_length].copy_from_slice(&mac.finish()[..mac_length]);
        signature[2 * BLOCK + mac_length..].copy_from_slice(&confounder);
        Ok(())
    }

    /// Opens a whole token, rotated or not, and tells where its data are.
    pub(super) fn open(&mut self, token: &mut [u8]) -> Result<Range<usize>, SealError> {
        let shortest = 3 * BLOCK + self.mac;
        let length = token.len();
        let too_short = SealError::Length {
            expected: shortest,
            found: length,
        };
        if length < shortest {
            return Err(too_short);
        }
        let Some((header, rotated)) = token.split_first_chunk_mut::<BLOCK>() else {
            return Err(too_short);
        };
        let direction = &mut self.incoming;
        let [0x05, 0x04, flags, 0xff, ec1, ec2, rrc1, rrc2, sequence @ ..] = *header else {
            return Err(malformed("it does not begin as RFC 4121 has it"));
        };
        if flags & SEALED == 0 {
            return Err(malformed("it is signed but not encrypted"));
        }
        if flags & SENT_BY_ACCEPTOR != direction.sender {
            return Err(malformed("it was sent by this side"));
        }
        if flags & ACCEPTOR_SUBKEY != self.acceptor_subkey {
            return Err(malformed("it has another key"));
        }
        let rotation = usize::from(u16::from_be_bytes([rrc1, rrc2])) % rotated.len();
        rotated.rotate_left(rotation);
        let filler = usize::from(u16::from_be_bytes([ec1, ec2]));
        let (text, checksum) = rotated.split_at_mut(rotated.len() - self.mac);
        let plain = (text.len() - 2 * BLOCK)
            .checked_sub(filler)
            .ok_or_else(|| malformed("its filler is longer than it is"))?;

        let mut mac = direction.integrity.clone();
        let after = direction.mac_of_cipher_text;
        let mut iv = [0; BLOCK];
        if after {
            mac.update(&iv);
        }
        let in_last = (text.len() - 1) % BLOCK + 1;
        let (body, tail) = text.split_at_mut(text.len() - BLOCK - in_last);
        for piece in body.chunks_mut(PIECE) {
            if after {
                mac.update(piece);
                direction.cipher.decrypt(&mut iv, piece);
            } else {
                direction.cipher.decrypt(&mut iv, piece);
                mac.update(piece);
            }
        }
        if after {
            mac.update(tail);
        }
        direction.cipher.decrypt_tail(&iv, tail);
        if !after {
            mac.update(tail);
        }
        if !bool::from(mac.finish()[..self.mac].ct_eq(checksum)) {
            return Err(SealError::Checksum);
        }

        // The encrypted copy of the header counts; all but the rotation has to be the same outside.
        let mut outside = *header;
        outside[6..8].fill(0);
        if text[text.len() - BLOCK..] != outside {
            return Err(SealError::Checksum);
        }
        let found = u64::from_be_bytes(sequence);
        if found != direction.sequence {
            return Err(out_of_sequence(direction.sequence, found));
        }
        direction.sequence = found.checked_add(1).ok_or(SealError::Exhausted)?;
        Ok(2 * BLOCK..2 * BLOCK + plain)
    }

    /// The `MIC` token of RFC 4121 section 4.2.6.1.
    pub(super) fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        let direction = &mut self.outgoing;
        let sequence = direction.sequence;
        direction.sequence = sequence.checked_add(1).ok_or(SealError::Exhausted)?;
        let mut token = mic_header(direction.sender | self.acceptor_subkey, sequence).to_vec();
        token.extend_from_slice(&direction.mic(message, &token)[..self.mac]);
        Ok(token)
    }

    /// Checks a `MIC` token.
    pub(super) fn verify(&mut self, message: &[u8], token: &[u8]) -> Result<(), SealError> {
        let direction = &mut self.incoming;
        let expected = BLOCK + self.mac;
        if token.len() != expected {
            return Err(SealError::Length {
                expected,
                found: token.len(),
            });
        }
        let (header, checksum) = token.split_at(BLOCK);
        let [0x04, 0x04, flags, 0xff, 0xff, 0xff, 0xff, 0xff, ..] = *header else {
            return Err(malformed("it does not begin as a signature of RFC 4121"));
        };
        if flags & (SENT_BY_ACCEPTOR | ACCEPTOR_SUBKEY) != direction.sender | self.acceptor_subkey {
            return Err(malformed("it was sent by this side, or has another key"));
        }
        if !bool::from(direction.mic(message, header)[..self.mac].ct_eq(checksum)) {
            return Err(SealError::Checksum);
        }
        let mut sequence = [0; 8];
        sequence.copy_from_slice(&header[8..]);
        let found = u64::from_be_bytes(sequence);
        if found != direction.sequence {
            return Err(out_of_sequence(direction.sequence, found));
        }
        direction.sequence = found.checked_add(1).ok_or(SealError::Exhausted)?;
        Ok(())
    }
}

impl std::fmt::Debug for Cfx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cfx").finish_non_exhaustive()
    }
}

impl Direction {
    fn confounder(&self, sequence: u64) -> [u8; BLOCK] {
        let mut mac = self.confounder.clone();
        mac.update(&sequence.to_be_bytes());
        let mut confounder = [0; BLOCK];
        confounder.copy_from_slice(&mac.finish()[..BLOCK]);
        confounder
    }

    fn mic(&self, message: &[u8], header: &[u8]) -> [u8; 48] {
        let mut mac = self.checksum.clone();
        mac.update(message);
        mac.update(header);
        mac.finish()
    }
}

fn malformed(what: &'static str) -> SealError {
    SealError::Kerberos(winrm_gssapi::Error::State(what))
}

/// The error has room for the low half of the numbers, which is enough to see how far they are apart.
fn out_of_sequence(expected: u64, found: u64) -> SealError {
    SealError::Sequence {
        expected: expected as u32,
        found: found as u32,
    }
}

/// RFC 4121 section 4.2.6.2, with EC = 0.
fn wrap_header(flags: u8, sequence: u64, rotation: u16) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    header[..4].copy_from_slice(&[0x05, 0x04, flags | SEALED, 0xff]);
    header[6..8].copy_from_slice(&rotation.to_be_bytes());
    header[8..].copy_from_slice(&sequence.to_be_bytes());
    header
}

/// RFC 4121 section 4.2.6.1.
fn mic_header(flags: u8, sequence: u64) -> [u8; BLOCK] {
    let mut header = [0xff; BLOCK];
    header[..3].copy_from_slice(&[0x04, 0x04, flags]);
    header[8..].copy_from_slice(&sequence.to_be_bytes());
    header
}

/// The last byte of a derivation constant, RFC 3961 section 5.3 and RFC 8009 section 5.
const CHECKSUM: u8 = 0x99;
const ENCRYPTION: u8 = 0xaa;
const INTEGRITY: u8 = 0x55;

/// An encryption type and a key of it.
enum Profile<'k> {
    Aes128Sha1(&'k [u8]),
    Aes256Sha1(&'k [u8]),
    Aes128Sha256(&'k [u8]),
    Aes256Sha384(&'k [u8]),
}

impl<'k> Profile<'k> {
    fn new(encryption_type: u32, key: &'k [u8]) -> Option<Self> {
        match (encryption_type, key.len()) {
            (17, 16) => Some(Self::Aes128Sha1(key)),
            (18, 32) => Some(Self::Aes256Sha1(key)),
            (19, 16) => Some(Self::Aes128Sha256(key)),
            (20, 32) => Some(Self::Aes256Sha384(key)),
            _ => None,
        }
    }

    fn sha2(&self) -> bool {
        matches!(self, Self::Aes128Sha256(_) | Self::Aes256Sha384(_))
    }

    fn mac_length(&self) -> usize {
        match self {
            Self::Aes128Sha1(_) | Self::Aes256Sha1(_) => 12,
            Self::Aes128Sha256(_) => 16,
            Self::Aes256Sha384(_) => 24,
        }
    }

    /// The key for one purpose.
    fn derive(&self, usage: u32, purpose: u8) -> Zeroizing<Vec<u8>> {
        let mut constant = [0; 5];
        constant[..4].copy_from_slice(&usage.to_be_bytes());
        constant[4] = purpose;
        match *self {
            Self::Aes128Sha1(key) | Self::Aes256Sha1(key) => derive_by_cipher(key, &constant),
            Self::Aes128Sha256(key) => derive_by_hmac(Hash::sha256(key), &constant, 16),
            Self::Aes256Sha384(key) => derive_by_hmac(Hash::sha384(key), &constant, if purpose == ENCRYPTION { 32 } else { 24 }),
        }
    }

    fn cipher(&self, key: &[u8]) -> Option<Cipher> {
        Cipher::new(key)
    }

    fn hash(&self, key: &[u8]) -> Option<Hash> {
        match self {
            Self::Aes128Sha1(_) | Self::Aes256Sha1(_) => Hash::sha1(key),
            Self::Aes128Sha256(_) => Hash::sha256(key),
            Self::Aes256Sha384(_) => Hash::sha384(key),
        }
    }
}

/// `DK` of RFC 3961 section 5.1: the constant, folded to a block, encrypted again and again.
fn derive_by_cipher(key: &[u8], constant: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut derived = Zeroizing::new(Vec::with_capacity(key.len()));
    let mut block = fold(constant);
    if let Some(cipher) = Cipher::new(key) {
        while derived.len() < key.len() {
            cipher.encrypt(&mut [0; BLOCK], &mut block);
            derived.extend_from_slice(&block);
        }
    }
    derived
}

/// `KDF-HMAC-SHA2` of RFC 8009 section 3, for one output of the hash.
fn derive_by_hmac(mac: Option<Hash>, label: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let Some(mut mac) = mac else { return Zeroizing::default() };
    mac.update(&[0, 0, 0, 1]);
    mac.update(label);
    mac.update(&[0]);
    mac.update(&(length as u32 * 8).to_be_bytes());
    Zeroizing::new(mac.finish()[..length].to_vec())
}

/// `n-fold` of RFC 3961 section 5.1 to 128 bits: copies of the input, each rotated right by 13 bits more than the one
/// before, added up as 128-bit numbers in ones' complement.
fn fold(input: &[u8]) -> [u8; BLOCK] {
    let bits = input.len() * 8;
    // As many copies as make up whole blocks.
    let copies = (1..).find(|copies| (copies * input.len()).is_multiple_of(BLOCK)).unwrap_or(BLOCK);
    let bit = |copy: usize, at: usize| {
        let at = (at + bits * 13 - (copy * 13) % bits) % bits;
        input[at / 8] >> (7 - at % 8) & 1
    };
    let mut sum = 0_u128;
    let mut stream = (0..copies).flat_map(|copy| (0..bits).map(move |at| bit(copy, at)));
    for _ in 0..copies * input.len() / BLOCK {
        let number = stream.by_ref().take(128).fold(0_u128, |number, bit| number << 1 | u128::from(bit));
        let (added, carried) = sum.overflowing_add(number);
        sum = added + u128::from(carried);
    }
    sum.to_be_bytes()
}

/// AES in CBC mode, of either key length.
enum Cipher {
    Aes128(Box<Aes128>),
    Aes256(Box<Aes256>),
}

impl Cipher {
    fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Aes128::new_from_slice(key).ok().map(|cipher| Self::Aes128(cipher.into())),
            32 => Aes256::new_from_slice(key).ok().map(|cipher| Self::Aes256(cipher.into())),
            _ => None,
        }
    }

    /// Encrypts whole blocks; `iv` is the block before them and becomes the last one.
    fn encrypt(&self, iv: &mut [u8; BLOCK], blocks: &mut [u8]) {
        match self {
            Self::Aes128(cipher) => encrypt(&**cipher, iv, blocks),
            Self::Aes256(cipher) => encrypt(&**cipher, iv, blocks),
        }
    }

    /// The reverse of [`encrypt`](Self::encrypt).
    fn decrypt(&self, iv: &mut [u8; BLOCK], blocks: &mut [u8]) {
        match self {
            Self::Aes128(cipher) => decrypt(&**cipher, iv, blocks),
            Self::Aes256(cipher) => decrypt(&**cipher, iv, blocks),
        }
    }

    /// Encrypts a block and a second one that may be incomplete, and swaps them (CBC-CS3).
    fn encrypt_tail(&self, iv: &[u8; BLOCK], tail: &mut [u8]) {
        let mut blocks = [0; 2 * BLOCK];
        blocks[..tail.len()].copy_from_slice(tail);
        self.encrypt(&mut iv.clone(), &mut blocks);
        let (first, second) = blocks.split_at(BLOCK);
        let short = tail.len() - BLOCK;
        tail[..BLOCK].copy_from_slice(second);
        tail[BLOCK..].copy_from_slice(&first[..short]);
    }

    /// The reverse of [`encrypt_tail`](Self::encrypt_tail).
    fn decrypt_tail(&self, iv: &[u8; BLOCK], tail: &mut [u8]) {
        let (second, first) = tail.split_at_mut(BLOCK);
        // The second block's plain text was padded with zeroes, so that its end shows the missing end of the first.
        let mut middle = [0; BLOCK];
        middle.copy_from_slice(second);
        self.decrypt(&mut [0; BLOCK], &mut middle);
        let mut head = middle;
        head[..first.len()].copy_from_slice(first);
        for (end, middle) in first.iter_mut().zip(middle) {
            *end ^= middle;
        }
        self.decrypt(&mut iv.clone(), &mut head);
        second.copy_from_slice(&head);
    }
}

fn encrypt<C: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>>(cipher: &C, iv: &mut [u8; BLOCK], bytes: &mut [u8]) {
    let (blocks, _) = Block::<C>::slice_as_chunks_mut(bytes);
    Encryptor::<&C>::inner_iv_init(cipher, &Array(*iv)).encrypt_blocks(blocks);
    if let Some(last) = blocks.last() {
        iv.copy_from_slice(last);
    }
}

fn decrypt<C: BlockCipherDecrypt<BlockSize = aes::cipher::consts::U16>>(cipher: &C, iv: &mut [u8; BLOCK], bytes: &mut [u8]) {
    let (blocks, _) = Block::<C>::slice_as_chunks_mut(bytes);
    let before = Array(*iv);
    if let Some(last) = blocks.last() {
        iv.copy_from_slice(last);
    }
    Decryptor::<&C>::inner_iv_init(cipher, &before).decrypt_blocks(blocks);
}

/// A keyed hash.
#[derive(Clone)]
enum Hash {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Box<Hmac<Sha384>>),
}

impl Hash {
    fn sha1(key: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(key).ok().map(Self::Sha1)
    }

    fn sha256(key: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(key).ok().map(Self::Sha256)
    }

    fn sha384(key: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(key).ok().map(|mac| Self::Sha384(Box::new(mac)))
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(mac) => mac.update(bytes),
            Self::Sha256(mac) => mac.update(bytes),
            Self::Sha384(mac) => mac.update(bytes),
        }
    }

    /// The result; shorter ones are followed by zeroes.
    fn finish(self) -> [u8; 48] {
        let mut result = [0; 48];
        match self {
            Self::Sha1(mac) => result[..20].copy_from_slice(&mac.finalize().into_bytes()),
            Self::Sha256(mac) => result[..32].copy_from_slice(&mac.finalize().into_bytes()),
            Self::Sha384(mac) => result.copy_from_slice(&mac.finalize().into_bytes()),
        }
        result
    }
}

#[cfg(test)]
#[path = "cfx_tests.rs"]
mod tests;
