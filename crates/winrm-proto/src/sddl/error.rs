use std::fmt;

/// Why a text isn't SDDL: where, and what should have been there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SddlError {
    position: usize,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Expected { what: &'static str, found: String },
    Twice(char),
    TooLong,
}

impl SddlError {
    /// Something else than `what` stands at `position` of `text`.
    pub(super) fn expected(text: &str, position: usize, what: &'static str) -> Self {
        /// Characters of the text that are shown.
        const SHOWN: usize = 16;
        let rest = text.get(position..).unwrap_or_default();
        let found: String = rest.chars().take(SHOWN).collect();
        Self {
            position: text.get(..position).unwrap_or(text).chars().count(),
            reason: Reason::Expected { what, found },
        }
    }

    pub(super) fn twice(position: usize, part: char) -> Self {
        Self {
            position,
            reason: Reason::Twice(part),
        }
    }

    pub(super) const fn too_long() -> Self {
        Self {
            position: 0,
            reason: Reason::TooLong,
        }
    }

    /// How many characters stand in front of what is wrong.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Display for SddlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = self.position;
        match &self.reason {
            Reason::Expected { what, found } if found.is_empty() => write!(f, "at the end, position {position}: expected {what}"),
            Reason::Expected { what, found } => write!(f, "at position {position}: expected {what}, found {found:?}"),
            Reason::Twice(part) => write!(f, "at position {position}: {part}: is there a second time"),
            Reason::TooLong => write!(f, "it is longer than a security descriptor can be"),
        }
    }
}

impl std::error::Error for SddlError {}
