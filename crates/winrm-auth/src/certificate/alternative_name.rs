//! The names of a certificate beside its subject (`subjectAltName`, RFC 5280 4.2.1.6), and among them the user principal name.
//!
//! OpenSSL shows no content of names whose kind it doesn't know, and the user principal name is one of these: its DER is read here.

use std::fmt;
use std::net::IpAddr;

use super::{InvalidExtension, printable};
use crate::der::{DerError, OBJECT_IDENTIFIER, Reader, SEQUENCE, context, write};

/// `szOID_NT_PRINCIPAL_NAME`, 1.3.6.1.4.1.311.20.2.3: the `otherName` with a `UTF8String` by which Windows maps certificates to
/// accounts.
pub const USER_PRINCIPAL_NAME: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x14, 0x02, 0x03];

/// Tag of a `UTF8String`.
const UTF8_STRING: u8 = 0x0c;

/// A user principal name: `user@suffix`, printable, at most 1,024 bytes.
///
/// Equality is that of the text; [`matches`](Self::matches) is how Windows compares.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upn(String);

/// Why a text is no user principal name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUpn {
    /// It isn't of the form `user@suffix`.
    #[error("it is not of the form user@suffix")]
    Form,
    /// A NUL, a line break or another character that can't be seen.
    #[error("it contains a control character")]
    ControlCharacter,
    /// More than 1,024 bytes.
    #[error("it is longer than 1024 bytes")]
    TooLong,
    /// The bytes in the certificate are no `UTF8String`.
    #[error("it is not a UTF8String")]
    Encoding,
}

impl Upn {
    /// Takes `user@suffix`.
    ///
    /// # Errors
    /// Another form, a control character, too many bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidUpn> {
        let text = text.into();
        if text.len() > 1_024 {
            return Err(InvalidUpn::TooLong);
        }
        if printable_differs(&text) {
            return Err(InvalidUpn::ControlCharacter);
        }
        match text.rsplit_once('@') {
            Some((user, suffix)) if !user.trim().is_empty() && !suffix.trim().is_empty() && text.trim() == text => Ok(Self(text)),
            _ => Err(InvalidUpn::Form),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both name the same user: the letters A to Z without regard to case, everything else exactly.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// The value of `subjectAltName` with this name alone: `GeneralNames` of RFC 5280 4.2.1.6 in DER.
    #[must_use]
    pub fn to_alternative_names(&self) -> Vec<u8> {
        write(SEQUENCE, &[&self.to_general_name()])
    }

    fn to_general_name(&self) -> Vec<u8> {
        let text = write(UTF8_STRING, &[self.0.as_bytes()]);
        let identifier = write(OBJECT_IDENTIFIER, &[USER_PRINCIPAL_NAME]);
        write(context(0), &[&identifier, &write(context(0), &[&text])])
    }
}

fn printable_differs(text: &str) -> bool {
    text.chars().any(|c| c.is_control() || super::is_direction(c))
}

impl fmt::Display for Upn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Upn {
    type Err = InvalidUpn;

    fn from_str(text: &str) -> Result<Self, InvalidUpn> {
        Self::new(text)
    }
}

/// One name of a certificate. Texts hold nothing that steers a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlternativeName {
    /// The user principal name.
    Upn(Upn),
    /// What stands where a user principal name should be.
    InvalidUpn(InvalidUpn),
    /// A host's name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// A mail address.
    Email(String),
    /// A URI.
    Uri(String),
    /// Any other, by its kind.
    Other(String),
}

impl fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upn(upn) => write!(f, "UPN:{upn}"),
            Self::InvalidUpn(error) => write!(f, "UPN that can't be used ({error})"),
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Ip(address) => write!(f, "IP:{address}"),
            Self::Email(address) => write!(f, "email:{address}"),
            Self::Uri(uri) => write!(f, "URI:{uri}"),
            Self::Other(kind) => f.write_str(kind),
        }
    }
}

impl AlternativeName {
    /// Reads the value of the extension, `GeneralNames`.
    ///
    /// # Errors
    /// Anything but a sequence of names. A name that is wrong in itself is one of the results.
    pub fn parse_all(value: &[u8]) -> Result<Vec<Self>, InvalidExtension> {
        let all = || {
            let mut input = Reader::new(value);
            let mut names = input.element(SEQUENCE)?;
            input.finish()?;
            let mut found = Vec::new();
            while !names.is_empty() {
                let (tag, content) = names.any()?;
                found.push(Self::parse(tag, content)?);
            }
            Ok(found)
        };
        all().map_err(InvalidExtension::of("alternative names"))
    }

    /// `GeneralName`: the tag is the number of the choice.
    fn parse(tag: u8, content: Reader<'_>) -> Result<Self, DerError> {
        let text = || printable(&String::from_utf8_lossy(content.remaining()));
        let bytes = content.remaining();
        Ok(match tag {
            0xa0 => Self::parse_other(content)?,
            0x81 => Self::Email(text()),
            0x82 => Self::Dns(text()),
            0x86 => Self::Uri(text()),
            0x87 => {
                let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
                let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
                address.map_or_else(|_| Self::Other(format!("address of {} bytes", bytes.len())), Self::Ip)
            }
            0xa4 => Self::Other("directory name".to_owned()),
            0x88 => Self::Other(format!("registered ID {}", super::extension::dotted(bytes))),
            tag => Self::Other(format!("name of kind {}", tag & 0x1f)),
        })
    }

    fn parse_other(mut content: Reader<'_>) -> Result<Self, DerError> {
        let identifier = content.element(OBJECT_IDENTIFIER)?.remaining();
        if identifier != USER_PRINCIPAL_NAME {
            return Ok(Self::Other(format!("other name {}", super::extension::dotted(identifier))));
        }
        let mut value = || -> Result<&[u8], DerError> {
            let mut outer = content.element(context(0))?;
            let text = outer.element(UTF8_STRING)?.remaining();
            outer.finish()?;
            content.finish()?;
            Ok(text)
        };
        let upn = match value().map(|bytes| std::str::from_utf8(bytes)) {
            Ok(Ok(text)) => Upn::new(text),
            _ => Err(InvalidUpn::Encoding),
        };
        Ok(upn.map_or_else(Self::InvalidUpn, Self::Upn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(parts: &[&[u8]]) -> Vec<u8> {
        write(SEQUENCE, parts)
    }

    fn upn_of(value: &[u8]) -> Vec<AlternativeName> {
        let identifier = write(OBJECT_IDENTIFIER, &[USER_PRINCIPAL_NAME]);
        AlternativeName::parse_all(&names(&[&write(context(0), &[&identifier, value])])).unwrap()
    }

    #[test]
    fn every_kind_of_name() {
        let upn = Upn::new("alice@localhost").unwrap().to_general_name();
        let value = names(&[
            &upn,
            &write(0x82, &[b"web1\x1b[31m"]),
            &write(0x87, &[&[127, 0, 0, 1]]),
            &write(0x87, &[&[0; 16]]),
            &write(0x87, &[&[0; 3]]),
            &write(0x81, &[b"a@b"]),
            &write(0x86, &[b"urn:x"]),
            &write(0x88, &[&[0x2b, 0x06, 0x01]]),
            &write(context(0), &[&write(OBJECT_IDENTIFIER, &[&[0x2b, 0x06]]), b"\x05\x00"]),
        ]);
        let found: Vec<String> = AlternativeName::parse_all(&value)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "UPN:alice@localhost",
                "DNS:web1\u{fffd}[31m",
                "IP:127.0.0.1",
                "IP:::",
                "address of 3 bytes",
                "email:a@b",
                "URI:urn:x",
                "registered ID 1.3.6.1",
                "other name 1.3.6"
            ]
        );
    }

    #[test]
    fn a_user_principal_name_that_is_none_is_told_from_none_at_all() {
        let text = |tag, bytes: &[u8]| write(context(0), &[&write(tag, &[bytes])]);
        let encoding = [AlternativeName::InvalidUpn(InvalidUpn::Encoding)];
        assert_eq!(upn_of(&text(0x16, b"a@b")), encoding); // an IA5String
        assert_eq!(upn_of(&text(UTF8_STRING, b"a@\xff")), encoding);
        assert_eq!(upn_of(b"\x05\x00"), encoding);
        assert_eq!(upn_of(b""), encoding);
        let trailing = [text(UTF8_STRING, b"a@b"), text(UTF8_STRING, b"c@d")].concat();
        assert_eq!(upn_of(&trailing), encoding);
        let control = [AlternativeName::InvalidUpn(InvalidUpn::ControlCharacter)];
        assert_eq!(upn_of(&text(UTF8_STRING, b"alice@localhost\0.evil")), control);
        for text_of_no_form in ["", "alice", "@b", "a@", " a@b", "a@b "] {
            assert_eq!(
                upn_of(&text(UTF8_STRING, text_of_no_form.as_bytes())),
                [AlternativeName::InvalidUpn(InvalidUpn::Form)],
                "{text_of_no_form:?}"
            );
        }
        assert_eq!(Upn::new(format!("a@{}", "b".repeat(1_023))), Err(InvalidUpn::TooLong));
    }

    #[test]
    fn what_is_no_list_of_names_is_an_error() {
        for bad in [&b""[..], b"\x30\x01", b"\x30\x00\x00", b"\x04\x00", b"\x30\x02\xa0\x00"] {
            assert!(AlternativeName::parse_all(bad).is_err(), "{bad:x?}");
        }
        assert_eq!(AlternativeName::parse_all(b"\x30\x00").unwrap(), []);
    }

    #[test]
    fn users_are_compared_as_windows_does() {
        let upn = |text: &str| Upn::new(text).unwrap();
        assert!(upn("Alice@LOCALHOST").matches(&upn("alice@localhost")));
        assert!(!upn("alice@localhost").matches(&upn("alice@localhost.evil")));
        // KELVIN SIGN is no K, though its lower case is k.
        assert!(!upn("\u{212a}@x").matches(&upn("k@x")));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(user in "[a-zA-Zäöü0-9._-]{1,60}", suffix in "[a-z0-9.-]{1,60}") {
            let upn = Upn::new(format!("{user}@{suffix}")).unwrap();
            prop_assert_eq!(AlternativeName::parse_all(&upn.to_alternative_names()).unwrap(), [AlternativeName::Upn(upn)]);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = AlternativeName::parse_all(&bytes);
        }
    }
}
