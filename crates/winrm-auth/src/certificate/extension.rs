//! The extensions of a certificate, RFC 5280 section 4.1: OpenSSL's crate gives only some of them, and those only by their meaning.

use crate::der::{DerError, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, context};

/// Tag of a `BOOLEAN`.
const BOOLEAN: u8 = 0x01;

/// One extension.
pub(super) struct Extension<'a> {
    /// The content bytes of its object identifier.
    pub(super) identifier: &'a [u8],
    /// What stands in its octet string.
    pub(super) value: &'a [u8],
}

/// All extensions of a certificate in DER.
pub(super) fn extensions(certificate: &[u8]) -> Result<Vec<Extension<'_>>, DerError> {
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
