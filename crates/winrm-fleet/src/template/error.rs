//! Why a value can't be had.

use std::fmt;

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
    /// The template asks for a variable that nobody has set.
    #[error("{name} is undefined, which {template} ({place}) asks for")]
    Undefined {
        /// The variable, or what of it.
        name: String,
        /// The template.
        template: Source,
        /// Where the template stands.
        place: Origin,
    },
    /// Templates that ask for each other in a ring.
    #[error("the value refers to itself: {}", .chain.join(" -> "))]
    Cycle {
        /// The variables, the first one again at the end.
        chain: Vec<String>,
    },
    /// The template is none, or fails.
    #[error("the template {template} ({place}) can't be rendered: {reason}")]
    Failed {
        /// Where the template stands.
        place: Origin,
        /// The template.
        template: Source,
        /// Why.
        reason: String,
    },
    /// It would take too much.
    #[error("rendering {template} ({place}) takes too much: {limit}")]
    Limit {
        /// Where the template stands.
        place: Origin,
        /// The template.
        template: Source,
        /// What was exceeded.
        limit: &'static str,
    },
}

impl TemplateError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Vault(error) => error.hint(),
            Self::Undefined { name, .. } => Some(format!("set it, give -e {name}=VALUE, or write {{{{ {name} | default(...) }}}}")),
            Self::Cycle { .. } => Some("one of them has to get a value of its own".to_owned()),
            _ => None,
        }
    }
}

/// A template's text, as far as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source(pub(super) Option<String>);

impl Source {
    /// The beginning of a text; nothing of one that was encrypted.
    pub(super) fn of(text: &str, is_secret: bool) -> Self {
        Self((!is_secret).then(|| {
            let mut short: String = text.chars().take(120).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            short
        }))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(text) => write!(f, "{text:?}"),
            None => f.write_str("an encrypted template"),
        }
    }
}
