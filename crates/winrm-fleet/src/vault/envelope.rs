//! The text around what is encrypted.

use std::sync::Arc;

use super::{MARK, VaultError};
use crate::value::Origin;

/// The parts of an encrypted text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    /// The vault id of format 1.2.
    pub(super) id: Option<Arc<str>>,
    pub(super) salt: Vec<u8>,
    /// 32 bytes.
    pub(super) hmac: Vec<u8>,
    /// What is encrypted.
    pub(super) data: Vec<u8>,
}

/// What is wrong with an encrypted text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Damage {
    Mark,
    Header(String),
    Version(String),
    Cipher(String),
    Digits,
    Fields,
    Hmac,
    Padding,
    Changed,
}

impl Damage {
    pub(super) fn at(self, place: &Origin) -> VaultError {
        let place = place.clone();
        let what = match self {
            Self::Version(version) => {
                return VaultError::Unsupported {
                    place,
                    what: format!("format {version:?}"),
                };
            }
            Self::Cipher(cipher) => {
                return VaultError::Unsupported {
                    place,
                    what: format!("cipher {cipher:?}"),
                };
            }
            Self::Mark => "it does not begin with $ANSIBLE_VAULT".to_owned(),
            Self::Header(header) => format!("its first line is {header:?}, and not $ANSIBLE_VAULT;1.1;AES256"),
            Self::Digits => "what follows its first line is not pairs of hexadecimal digits".to_owned(),
            Self::Fields => "it has not the three parts salt, HMAC and cipher text, or not all of them: is its end missing?".to_owned(),
            Self::Hmac => "its HMAC has not 32 bytes".to_owned(),
            Self::Padding => "what it decrypts to has no valid end".to_owned(),
            Self::Changed => "the password fits, but the data was changed since it was encrypted".to_owned(),
        };
        VaultError::Damaged { place, what }
    }
}

impl Envelope {
    /// Takes the text apart. White space around lines doesn't matter: inline values are indented.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Damage> {
        let text = text.trim_ascii_start();
        if !text.starts_with(MARK) {
            return Err(Damage::Mark);
        }
        let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(text.len());
        let (header, body) = text.split_at(end);
        let shown = || {
            let shown: String = String::from_utf8_lossy(header).chars().take(60).collect();
            Damage::Header(shown)
        };
        let header_text = std::str::from_utf8(header).map_err(|_| shown())?;
        let mut fields = header_text.split(';').map(str::trim);
        let (Some("$ANSIBLE_VAULT"), Some(version), Some(cipher)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(shown());
        };
        let id = fields.next().filter(|id| !id.is_empty()).map(Arc::from);
        if !matches!(version, "1.1" | "1.2") {
            return Err(Damage::Version(version.to_owned()));
        }
        if cipher != "AES256" {
            return Err(Damage::Cipher(cipher.to_owned()));
        }
        let fields = bytes_of(body.iter().copied().filter(|byte| !byte.is_ascii_whitespace())).ok_or(Damage::Digits)?;
        let mut fields = fields.splitn(3, |byte| *byte == b'\n');
        let (Some(salt), Some(hmac), Some(data)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(Damage::Fields);
        };
        let field = |digits: &[u8]| bytes_of(digits.iter().copied()).ok_or(Damage::Fields);
        let (salt, hmac, data) = (field(salt)?, field(hmac)?, field(data)?);
        if hmac.len() != 32 {
            return Err(Damage::Hmac);
        }
        // What is encrypted was filled up to blocks.
        if salt.is_empty() || data.is_empty() || data.len() % 16 != 0 {
            return Err(Damage::Fields);
        }
        Ok(Self { id, salt, hmac, data })
    }
}

fn bytes_of(digits: impl Iterator<Item = u8>) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.size_hint().1.unwrap_or_default() / 2);
    let mut high = None;
    for digit in digits {
        let digit = char::from(digit).to_digit(16)? as u8;
        match high.take() {
            None => high = Some(digit << 4),
            Some(high) => bytes.push(high | digit),
        }
    }
    high.is_none().then_some(bytes)
}
