//! Why a value can't be had.

use crate::value::Origin;
use crate::vault::VaultError;

/// Why a value can't be rendered or decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// It is encrypted, and stays so.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What was decrypted is no text.
    #[error("what {place} decrypts to is not valid UTF-8")]
    NotUtf8 {
        /// Where the value stands.
        place: Origin,
    },
    /// Its template fails.
    #[error("the template {template:?} ({place}): {reason}")]
    Failed {
        /// Where the template stands.
        place: Origin,
        /// The template.
        template: String,
        /// Why.
        reason: String,
    },
}

impl TemplateError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Vault(error) => error.hint(),
            _ => None,
        }
    }
}
