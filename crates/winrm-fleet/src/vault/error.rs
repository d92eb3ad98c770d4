//! Why an encrypted text stays closed.

use std::sync::Arc;

use crate::value::Origin;

/// Why an encrypted text stays closed, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// There is no password at all.
    #[error("{place} is encrypted, and there is no vault password")]
    NoPassword {
        /// Where the text stands.
        place: Origin,
    },
    /// The text names a vault id that no password was given for, and no other password fits.
    #[error("{place} is encrypted with the vault id {id:?}; there are passwords for {} only, and none of them fits", list(.known))]
    MissingId {
        /// Where the text stands.
        place: Origin,
        /// The id that it names.
        id: Arc<str>,
        /// The ids that there are passwords for.
        known: Vec<Arc<str>>,
    },
    /// No password fits.
    #[error("wrong vault password for {place} (tried: {})", list(.tried))]
    WrongPassword {
        /// Where the text stands.
        place: Origin,
        /// The ids of the passwords.
        tried: Vec<Arc<str>>,
    },
    /// The text can't be what was once encrypted.
    #[error("the encrypted text at {place} is damaged: {what}")]
    Damaged {
        /// Where the text stands.
        place: Origin,
        /// What is wrong.
        what: String,
    },
    /// A format or a cipher that nobody here knows.
    #[error("{place} is encrypted in a way that is not supported: {what}")]
    Unsupported {
        /// Where the text stands.
        place: Origin,
        /// The format or cipher.
        what: String,
    },
    /// The system's OpenSSL lacks what it takes.
    #[error("{place} can't be decrypted: this machine's OpenSSL has no PBKDF2, HMAC-SHA256 or AES-256-CTR")]
    Cipher {
        /// Where the text stands.
        place: Origin,
    },
}

impl VaultError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoPassword { .. } => "give --vault-password-file FILE, --vault-id ID@FILE, or -J to be asked".to_owned(),
            Self::MissingId { id, .. } => format!("give its password: --vault-id {id}@FILE, or {id}@prompt"),
            Self::WrongPassword { .. } => "check with: ansible-vault view FILE --vault-password-file PASSWORD-FILE".to_owned(),
            Self::Damaged { .. } => "take it from a backup or the version control, or encrypt it anew".to_owned(),
            Self::Unsupported { .. } => "formats 1.1 and 1.2 with AES256 are: encrypt it anew with ansible-vault rekey".to_owned(),
            Self::Cipher { .. } => return None,
        })
    }
}

fn list(ids: &[Arc<str>]) -> String {
    ids.join(", ")
}
