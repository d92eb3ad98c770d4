//! Access masks: 32 rights, some of which have names. [MS-DTYP] 2.4.3

use std::fmt;
use std::ops::{BitAnd, BitOr, Not};

/// A set of rights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AccessMask(pub u32);

impl AccessMask {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `GR`: whatever reading means for the object. WinRM: ask (get, enumerate).
    pub const GENERIC_READ: Self = Self(0x8000_0000);
    /// `GW`: whatever writing means. WinRM: change (put, create, delete of configuration).
    pub const GENERIC_WRITE: Self = Self(0x4000_0000);
    /// `GX`: whatever executing means. WinRM: invoke, and with it shells.
    pub const GENERIC_EXECUTE: Self = Self(0x2000_0000);
    /// `GA`: everything.
    pub const GENERIC_ALL: Self = Self(0x1000_0000);

    /// Reads rights by name (`GRGX`) or as a number (`0x120089`, `0400`, `42`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return number(text).map(Self);
        }
        let mut mask = Self::NONE;
        let mut rest = text;
        while !rest.is_empty() {
            let name = rest.get(..2)?;
            mask = mask
                | NAMES
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name))
                    .map(|(_, mask)| Self(*mask))?;
            rest = &rest[2..];
        }
        Some(mask)
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// By names where single-bit names cover it, otherwise in hexadecimal.
impl fmt::Display for AccessMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = NAMES[..SINGLE].iter().fold(0, |known, (_, mask)| known | mask);
        if self.0 & !known != 0 {
            return write!(f, "0x{:x}", self.0);
        }
        NAMES[..SINGLE]
            .iter()
            .filter(|(_, mask)| self.0 & mask != 0)
            .try_for_each(|(name, _)| f.write_str(name))
    }
}

impl BitOr for AccessMask {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for AccessMask {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for AccessMask {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}

/// As C's `strtoul` reads numbers: `0x` is hexadecimal, a leading 0 octal.
fn number(text: &str) -> Option<u32> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // A sign would be taken otherwise.
        return digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(digits, 16).ok())?;
    }
    let radix = if text.len() > 1 && text.starts_with('0') { 8 } else { 10 };
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| u32::from_str_radix(text, radix).ok())?
}

/// How many of [`NAMES`] stand for one right.
const SINGLE: usize = 17;

/// The names of rights: those of one right first, in the order in which they are written.
const NAMES: [(&str, u32); 28] = [
    ("GA", 0x1000_0000),
    ("GR", 0x8000_0000),
    ("GW", 0x4000_0000),
    ("GX", 0x2000_0000),
    ("CC", 0x0000_0001),
    ("DC", 0x0000_0002),
    ("LC", 0x0000_0004),
    ("SW", 0x0000_0008),
    ("RP", 0x0000_0010),
    ("WP", 0x0000_0020),
    ("DT", 0x0000_0040),
    ("LO", 0x0000_0080),
    ("CR", 0x0000_0100),
    ("SD", 0x0001_0000),
    ("RC", 0x0002_0000),
    ("WD", 0x0004_0000),
    ("WO", 0x0008_0000),
    ("FA", 0x001f_01ff),
    ("FR", 0x0012_0089),
    ("FW", 0x0012_0116),
    ("FX", 0x0012_00a0),
    ("KA", 0x000f_003f),
    ("KR", 0x0002_0019),
    ("KW", 0x0002_0006),
    ("KX", 0x0002_0019),
    ("NW", 0x0000_0001),
    ("NR", 0x0000_0002),
    ("NX", 0x0000_0004),
];
