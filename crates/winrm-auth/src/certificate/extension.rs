//! The extensions of a certificate, RFC 5280 section 4.1: OpenSSL's crate gives only some of them, and those only by their meaning.

use std::fmt;

use openssl::x509::X509Ref;

use super::AlternativeName;
use crate::der::{DerError, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, context};

/// `id-ce-subjectAltName`, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// `id-ce-extKeyUsage`, 2.5.29.37.
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];

/// An extension of a certificate isn't what it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the certificate's {extension} can't be read")]
pub struct InvalidExtension {
    extension: &'static str,
    source: DerError,
}

impl InvalidExtension {
    pub(super) fn of(extension: &'static str) -> impl Fn(DerError) -> Self {
        move |source| Self { extension, source }
    }
}

/// What a certificate may be used for, RFC 5280 4.2.1.12.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Usage {
    /// TLS clients: what certificate authentication needs.
    ClientAuthentication,
    /// TLS servers: what an https listener needs.
    ServerAuthentication,
    /// Anything; WinRM doesn't count that.
    Any,
    /// Any other, as a dotted number.
    Other(String),
}

impl Usage {
    fn of(identifier: &[u8]) -> Self {
        match identifier {
            [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02] => Self::ClientAuthentication,
            [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01] => Self::ServerAuthentication,
            [0x55, 0x1d, 0x25, 0x00] => Self::Any,
            other => Self::Other(dotted(other)),
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientAuthentication => "client authentication",
            Self::ServerAuthentication => "server authentication",
            Self::Any => "any",
            // The ones that stand most often beside the two above.
            Self::Other(number) => match number.as_str() {
                "1.3.6.1.5.5.7.3.3" => "code signing",
                "1.3.6.1.5.5.7.3.4" => "e-mail protection",
                "1.3.6.1.5.5.7.3.8" => "time stamping",
                "1.3.6.1.4.1.311.20.2.2" => "smart card logon",
                "1.3.6.1.4.1.311.10.3.4" => "encrypting file system",
                number => number,
            },
        })
    }
}

/// All of a certificate's names beside its subject.
///
/// # Errors
/// A certificate whose extensions, or these names among them, aren't DER of the right form.
pub fn alternative_names(certificate: &X509Ref) -> Result<Vec<AlternativeName>, InvalidExtension> {
    let invalid = InvalidExtension::of("alternative names");
    let der = certificate.to_der().unwrap_or_default();
    let mut names = Vec::new();
    for extension in extensions(&der).map_err(&invalid)? {
        if extension.identifier == SUBJECT_ALT_NAME {
            names.extend(AlternativeName::parse_all(extension.value)?);
        }
    }
    Ok(names)
}

/// What a certificate may be used for; `None` if it doesn't say.
///
/// # Errors
/// A certificate whose extensions, or these usages among them, aren't DER of the right form.
pub fn extended_key_usage(certificate: &X509Ref) -> Result<Option<Vec<Usage>>, InvalidExtension> {
    let invalid = InvalidExtension::of("extended key usage");
    let der = certificate.to_der().unwrap_or_default();
    let mut usages = None;
    for extension in extensions(&der).map_err(&invalid)? {
        if extension.identifier == EXTENDED_KEY_USAGE {
            let mut list = Reader::new(extension.value).element(SEQUENCE).map_err(&invalid)?;
            let usages = usages.get_or_insert_with(Vec::new);
            while !list.is_empty() {
                usages.push(Usage::of(list.element(OBJECT_IDENTIFIER).map_err(&invalid)?.remaining()));
            }
        }
    }
    Ok(usages)
}

/// Tag of a `BOOLEAN`.
const BOOLEAN: u8 = 0x01;

/// One extension.
struct Extension<'a> {
    /// The content bytes of its object identifier.
    identifier: &'a [u8],
    /// What stands in its octet string.
    value: &'a [u8],
}

/// What a certificate's key may do, by the names of RFC 5280 4.2.1.3; `None` if it doesn't say.
///
/// # Errors
/// A certificate whose extensions, or this one among them, aren't DER of the right form.
pub fn key_usage(certificate: &X509Ref) -> Result<Option<Vec<&'static str>>, InvalidExtension> {
    /// `id-ce-keyUsage`, 2.5.29.15.
    const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
    /// Tag of a `BIT STRING`.
    const BIT_STRING: u8 = 0x03;
    const NAMES: [&str; 9] = [
        "digitalSignature",
        "nonRepudiation",
        "keyEncipherment",
        "dataEncipherment",
        "keyAgreement",
        "keyCertSign",
        "cRLSign",
        "encipherOnly",
        "decipherOnly",
    ];
    let invalid = InvalidExtension::of("key usage");
    let der = certificate.to_der().unwrap_or_default();
    for extension in extensions(&der).map_err(&invalid)? {
        if extension.identifier == KEY_USAGE {
            let bits = Reader::new(extension.value).element(BIT_STRING).map_err(&invalid)?;
            // The first byte counts the bits of the last that mean nothing; they are zero.
            let bits = bits.remaining().get(1..).unwrap_or_default();
            let is_set = |bit: usize| bits.get(bit / 8).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0);
            let names = NAMES.into_iter().enumerate().filter(|(bit, _)| is_set(*bit));
            return Ok(Some(names.map(|(_, name)| name).collect()));
        }
    }
    Ok(None)
}

/// Whether a certificate says that it may sign others, RFC 5280 4.2.1.9.
///
/// # Errors
/// A certificate whose extensions, or this one among them, aren't DER of the right form.
pub fn basic_constraints(certificate: &X509Ref) -> Result<bool, InvalidExtension> {
    /// `id-ce-basicConstraints`, 2.5.29.19.
    const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
    let invalid = InvalidExtension::of("basic constraints");
    let der = certificate.to_der().unwrap_or_default();
    for extension in extensions(&der).map_err(&invalid)? {
        if extension.identifier == BASIC_CONSTRAINTS {
            let mut fields = Reader::new(extension.value).element(SEQUENCE).map_err(&invalid)?;
            let authority = fields.optional(BOOLEAN).map_err(&invalid)?;
            return Ok(authority.is_some_and(|value| value.remaining() != [0]));
        }
    }
    Ok(false)
}

/// All extensions of a certificate in DER.
fn extensions(certificate: &[u8]) -> Result<Vec<Extension<'_>>, DerError> {
    let mut fields = Reader::new(certificate).element(SEQUENCE)?.element(SEQUENCE)?;
    // They stand last, under [3]; what comes before has other tags.
    while !fields.is_empty() {
        let (tag, mut content) = fields.any()?;
        if tag == context(3) {
            let mut list = content.element(SEQUENCE)?;
            let mut found = Vec::new();
            while !list.is_empty() {
                let mut extension = list.element(SEQUENCE)?;
                let identifier = extension.element(OBJECT_IDENTIFIER)?.remaining();
                extension.optional(BOOLEAN)?;
                let value = extension.element(OCTET_STRING)?.remaining();
                found.push(Extension { identifier, value });
            }
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// An object identifier as people write it: `1.3.6.1.4.1.311.20.2.3`. Numbers that are too large for that end it with `…`.
pub(super) fn dotted(identifier: &[u8]) -> String {
    let mut text = String::new();
    let mut number: u64 = 0;
    for &byte in identifier {
        if number > u64::MAX >> 7 {
            return text + "…";
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if text.is_empty() {
                // The first two numbers are one: X.690 8.19.4.
                let first = (number / 40).min(2);
                text = format!("{first}.{}", number - first * 40);
            } else {
                text.push_str(&format!(".{number}"));
            }
            number = 0;
        }
        if text.len() > 200 {
            return text + "…";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_as_people_write_them() {
        assert_eq!(dotted(super::super::USER_PRINCIPAL_NAME), "1.3.6.1.4.1.311.20.2.3");
        assert_eq!(dotted(&[0x88, 0x37]), "2.999");
        assert_eq!(dotted(&[0x55, 0x1d, 0x11]), "2.5.29.17");
        assert_eq!(
            dotted(&[0x2b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
            "1.3…"
        );
        assert_eq!(dotted(&[]), "");
    }
}
