//! Security identifiers, and accounts as descriptors name them. [MS-DTYP] 2.4.2

use std::fmt;
use std::str::FromStr;

use super::alias::Alias;
use super::error::SddlError;
use super::reader::Reader;

/// A security identifier: `S-1-5-32-544`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid {
    /// 48 bits.
    authority: u64,
    sub_authorities: Vec<u32>,
}

impl Sid {
    /// How many numbers may stand behind the authority.
    pub const MAX_SUB_AUTHORITIES: usize = 15;
    const MAX_AUTHORITY: u64 = (1 << 48) - 1;

    /// `None` if the authority takes more than 48 bits or there are more than 15 numbers.
    #[must_use]
    pub fn new(authority: u64, sub_authorities: impl Into<Vec<u32>>) -> Option<Self> {
        let sub_authorities = sub_authorities.into();
        (authority <= Self::MAX_AUTHORITY && sub_authorities.len() <= Self::MAX_SUB_AUTHORITIES).then_some(Self {
            authority,
            sub_authorities,
        })
    }

    /// The number behind `S-1-`: 5 for Windows' own accounts.
    #[must_use]
    pub const fn authority(&self) -> u64 {
        self.authority
    }

    /// The numbers behind the authority.
    #[must_use]
    pub fn sub_authorities(&self) -> &[u32] {
        &self.sub_authorities
    }

    /// This one with one more number: an account of the domain whose identifier this is.
    #[must_use]
    pub fn with(&self, number: u32) -> Option<Self> {
        let numbers: Vec<u32> = self.sub_authorities.iter().copied().chain([number]).collect();
        Self::new(self.authority, numbers)
    }

    /// Reads `S-1-5-32-544`; numbers may be hexadecimal, the way Windows writes large authorities (`S-1-0x100000000000-1`).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.strip_prefix("S-").or_else(|| text.strip_prefix("s-"))?.split('-');
        if numbers.next()? != "1" {
            return None;
        }
        let authority = number(numbers.next()?)?;
        let sub_authorities: Option<Vec<u32>> = numbers.map(|text| number(text)?.try_into().ok()).collect();
        Self::new(authority, sub_authorities?)
    }
}

fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    digits
        .chars()
        .all(|digit| digit.is_digit(radix))
        .then(|| u64::from_str_radix(digits, radix).ok())?
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // [MS-DTYP] 2.4.2.1: an authority of 2^32 or more is written in hexadecimal.
        if self.authority > u64::from(u32::MAX) {
            write!(f, "S-1-0x{:012X}", self.authority)?;
        } else {
            write!(f, "S-1-{}", self.authority)?;
        }
        self.sub_authorities.iter().try_for_each(|number| write!(f, "-{number}"))
    }
}

impl FromStr for Sid {
    type Err = SddlError;

    /// # Errors
    /// Anything but `S-1-` and up to 16 numbers.
    fn from_str(text: &str) -> Result<Self, SddlError> {
        Self::parse(text).ok_or_else(|| SddlError::expected(text, 0, "an identifier such as S-1-5-32-544"))
    }
}

/// An account as a descriptor names it.
///
/// Two are equal if they are the same account: `BA` is S-1-5-32-544. An alias of a domain (`DA`) equals no identifier, since only
/// the host knows its domain; see [`Alias::sid_in`].
#[derive(Debug, Clone)]
pub enum Trustee {
    /// By two letters.
    Alias(Alias),
    /// By identifier.
    Sid(Sid),
}

impl Trustee {
    /// The identifier, unless it is an alias that only the host can resolve.
    #[must_use]
    pub fn sid(&self) -> Option<Sid> {
        match self {
            Self::Alias(alias) => alias.sid(),
            Self::Sid(sid) => Some(sid.clone()),
        }
    }

    /// The English name of a well-known account.
    #[must_use]
    pub fn well_known_name(&self) -> Option<String> {
        match self {
            Self::Alias(alias) => Some(alias.name()),
            Self::Sid(sid) => Alias::of_sid(sid).map(Alias::name),
        }
    }
}

impl PartialEq for Trustee {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Alias(one), Self::Alias(other)) => one == other,
            (Self::Sid(one), Self::Sid(other)) => one == other,
            (Self::Alias(alias), Self::Sid(sid)) | (Self::Sid(sid), Self::Alias(alias)) => alias.sid().as_ref() == Some(sid),
        }
    }
}

impl Eq for Trustee {}

impl From<Sid> for Trustee {
    fn from(sid: Sid) -> Self {
        Self::Sid(sid)
    }
}

impl From<Alias> for Trustee {
    fn from(alias: Alias) -> Self {
        Self::Alias(alias)
    }
}

impl fmt::Display for Trustee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alias(alias) => f.write_str(alias.letters()),
            Self::Sid(sid) => sid.fmt(f),
        }
    }
}

impl FromStr for Trustee {
    type Err = SddlError;

    /// # Errors
    /// Anything but the two letters of an alias or an identifier.
    fn from_str(text: &str) -> Result<Self, SddlError> {
        let mut reader = Reader::new(text);
        let trustee = reader.trustee()?;
        reader.end()?;
        Ok(trustee)
    }
}

/// What stands in an entry where the account stands: nothing at all is an error of its own.
pub(super) const EXPECTED: &str = "an account: two letters such as BA, or an identifier such as S-1-5-32-544";
