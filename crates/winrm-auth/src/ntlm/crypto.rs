//! Hashes and keys of NTLMv2, [MS-NLMP] 3.3.2 and 3.4.5.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md4::Md4;
use md5::{Digest as _, Md5};
use zeroize::{Zeroize as _, Zeroizing};

use crate::Secret;

/// A key of 16 bytes, overwritten when dropped.
pub(super) type Key = Zeroizing<[u8; 16]>;

/// The MD4 of a password: as good as the password itself, for NTLM.
#[derive(Clone, PartialEq, Eq)]
pub struct NtHash(Key);

impl NtHash {
    /// The hash of a password.
    pub fn from_password(password: &Secret) -> Self {
        Self(Zeroizing::new(Md4::digest(&*utf16(password.expose())).into()))
    }

    /// A hash known from elsewhere.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// `NTOWFv2`: the key of the user's responses. `user` and `domain` are taken as they stand in the message.
    pub(super) fn response_key(&self, user: &str, domain: &str) -> Key {
        hmac_md5(&*self.0, &[&utf16(&upper_case(user)), &utf16(domain)])
    }
}

impl fmt::Debug for NtHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NtHash(***)")
    }
}

/// Windows' upper case maps one code unit to one code unit: `ß` stays what it is, where Rust would make it `SS`.
fn upper_case(text: &str) -> String {
    text.chars()
        .map(|c| {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(single), None) => single,
                _ => c,
            }
        })
        .collect()
}

pub(super) fn utf16(text: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 2));
    for unit in text.encode_utf16() {
        bytes.extend_from_slice(&unit.to_le_bytes());
    }
    bytes
}

pub(super) fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> Key {
    // HMAC takes keys of any length, which is why the fallback is unreachable.
    let Ok(mut hmac) = Hmac::<Md5>::new_from_slice(key) else {
        return Key::default();
    };
    for part in parts {
        hmac.update(part);
    }
    let mut code: [u8; 16] = hmac.finalize().into_bytes().into();
    let key = Zeroizing::new(code);
    code.zeroize();
    key
}

/// The direction of a message after the authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToServer,
    ToClient,
}

/// `SIGNKEY`, [MS-NLMP] 3.4.5.2.
pub(super) fn signing_key(session_key: &Key, direction: Direction) -> Key {
    magic_key(
        session_key,
        match direction {
            Direction::ToServer => b"session key to client-to-server signing key magic constant\0",
            Direction::ToClient => b"session key to server-to-client signing key magic constant\0",
        },
    )
}

/// `SEALKEY` with 128 bits, [MS-NLMP] 3.4.5.3.
pub(super) fn sealing_key(session_key: &Key, direction: Direction) -> Key {
    magic_key(
        session_key,
        match direction {
            Direction::ToServer => b"session key to client-to-server sealing key magic constant\0",
            Direction::ToClient => b"session key to server-to-client sealing key magic constant\0",
        },
    )
}

fn magic_key(session_key: &Key, magic: &[u8]) -> Key {
    Zeroizing::new(Md5::new().chain_update(**session_key).chain_update(magic).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_case_keeps_the_length() {
        assert_eq!(upper_case("straße ÿ é"), "STRAßE Ÿ É");
    }

    #[test]
    fn debug_hides_the_hash() {
        assert_eq!(format!("{:?}", NtHash::from_bytes([7; 16])), "NtHash(***)");
    }
}
