//! Ansible Vault: files and values that are encrypted with a password.
//!
//! Formats 1.1 and 1.2: a header, then hexadecimal digits of three hexadecimal fields (salt, HMAC, cipher text). Keys come from
//! PBKDF2-HMAC-SHA256, 10,000 rounds: some milliseconds each, which is why nothing is decrypted before it is needed, and why keys
//! are kept.

mod envelope;
mod error;
mod source;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{Cipher, Crypter, Mode};
use winrm::Secret;
use zeroize::Zeroizing;

use crate::value::Origin;
use envelope::Envelope;

pub use error::VaultError;
pub use source::{AskPassword, PasswordSource, PasswordSourceError, VaultId};

/// The id of passwords that were given without one.
pub const DEFAULT_ID: &str = "default";

/// What every encrypted text begins with.
const MARK: &[u8] = b"$ANSIBLE_VAULT";

const ROUNDS: usize = 10_000;
/// The key of the cipher, the key of the HMAC and the first counter: 32, 32 and 16 bytes.
const KEY_BYTES: usize = 80;
/// How many derived keys are kept; past it they are forgotten.
const KEPT_KEYS: usize = 4_096;

/// Passwords, each with its vault id, and what they open. Clones share the keys that were derived.
#[derive(Clone, Default)]
pub struct Vault {
    passwords: Vec<(Arc<str>, Secret)>,
    match_ids: bool,
    keys: Arc<Mutex<Keys>>,
}

type Keys = HashMap<(usize, Vec<u8>), Arc<Zeroizing<[u8; KEY_BYTES]>>>;

impl Vault {
    /// A vault without passwords.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a password. Passwords are tried in the order in which they were added, those of the text's own id first.
    #[must_use]
    pub fn with(mut self, id: impl Into<Arc<str>>, password: Secret) -> Self {
        self.passwords.push((id.into(), password));
        // The keys belong to the places in the list: a clone that went on with other passwords must not find them.
        self.keys = Arc::default();
        self
    }

    /// Whether only passwords of the text's own id are tried (`ANSIBLE_VAULT_ID_MATCH`). By default all are.
    #[must_use]
    pub fn match_ids(mut self, match_ids: bool) -> Self {
        self.match_ids = match_ids;
        self
    }

    /// Whether there is no password.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.passwords.is_empty()
    }

    /// Whether the data says that it is encrypted. Spaces in front, as inline values have them, don't matter.
    #[must_use]
    pub fn is_encrypted(data: &[u8]) -> bool {
        data.trim_ascii_start().starts_with(MARK)
    }

    /// Decrypts a whole file, or the text of an inline value, that stands at `place`.
    ///
    /// # Errors
    /// Without a password, with the wrong ones, and for data that is damaged: see [`VaultError`].
    pub fn decrypt(&self, data: &[u8], place: &Origin) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let envelope = Envelope::parse(data).map_err(|damage| damage.at(place))?;
        if self.passwords.is_empty() {
            return Err(VaultError::NoPassword { place: place.clone() });
        }
        let own = |id: &str| envelope.id.as_deref() == Some(id);
        let is_known = self.passwords.iter().any(|(id, _)| own(id));
        let strict = self.match_ids && envelope.id.is_some();
        let mut candidates: Vec<usize> = (0..self.passwords.len())
            .filter(|index| !strict || own(&self.passwords[*index].0))
            .collect();
        candidates.sort_by_key(|index| !own(&self.passwords[*index].0));
        let mut changed = false;
        for index in candidates {
            let keys = self.keys(index, &envelope.salt, place)?;
            let (cipher_key, rest) = keys.split_at(32);
            let (hmac_key, counter) = rest.split_at(32);
            let authentic = is_authentic(hmac_key, &envelope).map_err(|_| VaultError::Cipher { place: place.clone() })?;
            if authentic || !changed {
                let plain = decrypt(cipher_key, counter, &envelope.data).map_err(|_| VaultError::Cipher { place: place.clone() })?;
                match (authentic, unpadded(plain)) {
                    (true, Some(plain)) => return Ok(plain),
                    (true, None) => return Err(envelope::Damage::Padding.at(place)),
                    // By a wrong password the text would be noise: this one fits, and bytes were changed.
                    (false, Some(plain)) => changed |= std::str::from_utf8(&plain).is_ok(),
                    (false, None) => {}
                }
            }
        }
        if changed {
            return Err(envelope::Damage::Changed.at(place));
        }
        let place = place.clone();
        Err(match envelope.id {
            Some(id) if !is_known => VaultError::MissingId {
                place,
                id,
                known: self.ids(),
            },
            _ => VaultError::WrongPassword { place, tried: self.ids() },
        })
    }

    /// The ids of the passwords, each once.
    fn ids(&self) -> Vec<Arc<str>> {
        let mut ids: Vec<Arc<str>> = Vec::new();
        for (id, _) in &self.passwords {
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        ids
    }

    fn keys(&self, index: usize, salt: &[u8], place: &Origin) -> Result<Arc<Zeroizing<[u8; KEY_BYTES]>>, VaultError> {
        let slot = (index, salt.to_vec());
        if let Some(keys) = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&slot) {
            return Ok(keys.clone());
        }
        let mut keys = Zeroizing::new([0; KEY_BYTES]);
        let password = self.passwords[index].1.expose().as_bytes();
        openssl::pkcs5::pbkdf2_hmac(password, salt, ROUNDS, MessageDigest::sha256(), keys.as_mut_slice())
            .map_err(|_| VaultError::Cipher { place: place.clone() })?;
        let keys = Arc::new(keys);
        let mut kept = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_KEYS {
            kept.clear();
        }
        kept.insert(slot, keys.clone());
        Ok(keys)
    }
}

impl fmt::Debug for Vault {
    /// The ids; never the passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("ids", &self.ids()).finish_non_exhaustive()
    }
}

fn is_authentic(key: &[u8], envelope: &Envelope) -> Result<bool, openssl::error::ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    let expected = signer.sign_oneshot_to_vec(&envelope.data)?;
    // It panics where the lengths differ; the envelope's has been checked.
    Ok(expected.len() == envelope.hmac.len() && openssl::memcmp::eq(&expected, &envelope.hmac))
}

fn decrypt(key: &[u8], counter: &[u8], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, openssl::error::ErrorStack> {
    let mut crypter = Crypter::new(Cipher::aes_256_ctr(), Mode::Decrypt, key, Some(counter))?;
    let mut plain = Zeroizing::new(vec![0; data.len() + 16]);
    let written = crypter.update(data, &mut plain)?;
    let end = written + crypter.finalize(&mut plain[written..])?;
    plain.truncate(end);
    Ok(plain)
}

/// Without the padding of PKCS#7, which fills up blocks of 16 bytes.
fn unpadded(mut plain: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
    let last = *plain.last()?;
    let padding = usize::from(last);
    let rest = plain.len().checked_sub(padding)?;
    if !(1..=16).contains(&padding) || plain[rest..].iter().any(|byte| *byte != last) {
        return None;
    }
    plain.truncate(rest);
    Some(plain)
}

#[cfg(test)]
mod tests;
