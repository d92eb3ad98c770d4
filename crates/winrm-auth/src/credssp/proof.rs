//! What is sealed to prove the server's key, [MS-CSSP] 3.1.5, steps 3 and 4.

use sha2::{Digest as _, Sha256};

/// Who proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// The value of `pubKeyAuth` before it is sealed. `nonce`: from version 5 on.
pub(super) fn proof(side: Side, public_key: &[u8], nonce: Option<&[u8; 32]>) -> Vec<u8> {
    match (nonce, side) {
        (Some(nonce), side) => {
            let magic: &[u8] = match side {
                Side::Client => b"CredSSP Client-To-Server Binding Hash\0",
                Side::Server => b"CredSSP Server-To-Client Binding Hash\0",
            };
            let hash = Sha256::new().chain_update(magic).chain_update(nonce).chain_update(public_key);
            hash.finalize().to_vec()
        }
        (None, Side::Client) => public_key.to_vec(),
        (None, Side::Server) => {
            let mut key = public_key.to_vec();
            if let Some(first) = key.first_mut() {
                *first = first.wrapping_add(1);
            }
            key
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_covers_direction_nonce_and_key() {
        let value = |side, key: &[u8], nonce: u8| proof(side, key, Some(&[nonce; 32]));
        let one = value(Side::Client, b"key", 7);
        // By another program's SHA-256.
        let expected: String = one.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(expected, "51a24bf00968fd2a4f20c5eebef9613a78e6b0d05ebf549398828669d699b910");
        assert!(one != value(Side::Server, b"key", 7) && one != value(Side::Client, b"yek", 7) && one != value(Side::Client, b"key", 8));
    }

    #[test]
    fn before_version_5_the_server_adds_one() {
        assert_eq!(proof(Side::Client, &[0x30, 0x82], None), [0x30, 0x82]);
        assert_eq!(proof(Side::Server, &[0x30, 0x82], None), [0x31, 0x82]);
        assert_eq!(proof(Side::Server, &[0xff, 1], None), [0, 1]);
    }
}
