//! How much work a file demands before it can be read: the rounds by which a passphrase becomes a key.
//!
//! The file says how many there are, up to 2^31 and more, and OpenSSL does them all. One that is broken, or made for that, would keep
//! a program busy for hours.

use super::{CertificateError, Encrypted};
use crate::der::{OCTET_STRING, Reader};

/// More than any program writes (OWASP's advice of 2023 is 600,000), and some seconds of work.
const MOST: u64 = 5_000_000;

/// Tag of an `INTEGER`.
const INTEGER: u8 = 0x02;

/// How deep the elements of a PFX file stand in each other, with some left over.
const DEPTH: u8 = 24;

/// Refuses what demands too many rounds.
pub(super) fn check(what: Encrypted, der: &[u8]) -> Result<(), CertificateError> {
    let rounds = most_rounds(Reader::new(der), DEPTH);
    if rounds > MOST {
        return Err(CertificateError::TooMuchWork { what, rounds });
    }
    Ok(())
}

/// The largest number of rounds in any parameters: those of PKCS#12 and PKCS#5 (RFC 7292 appendix C, RFC 8018 appendix A) and `MacData`
/// (RFC 7292 4) all have it behind their salt, an octet string.
fn most_rounds(mut elements: Reader<'_>, depth: u8) -> u64 {
    let mut most = 0;
    let mut behind_salt = false;
    while let Ok((tag, content)) = elements.any() {
        if tag == INTEGER && behind_salt {
            let digits = content.remaining();
            let value = digits
                .iter()
                .fold(0_u64, |value, &digit| value.saturating_mul(256).saturating_add(digit.into()));
            most = most.max(value);
        }
        behind_salt = tag == OCTET_STRING;
        // Constructed elements, and octet strings that hold others: a salt that looks like one says something absurd at the worst.
        if depth > 0 && (tag & 0x20 != 0 || tag == OCTET_STRING) {
            most = most.max(most_rounds(content, depth - 1));
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der::{SEQUENCE, write};

    /// `PBKDF2-params` somewhere in the depth.
    fn file(rounds: &[u8]) -> Vec<u8> {
        let parameters = write(SEQUENCE, &[&write(OCTET_STRING, &[b"saltsalt"]), &write(INTEGER, &[rounds])]);
        let content = write(OCTET_STRING, &[&write(SEQUENCE, &[b"\x05\x00", &parameters])]);
        write(SEQUENCE, &[&write(0xa0, &[&content])])
    }

    #[test]
    fn rounds_are_found_wherever_they_stand() {
        assert_eq!(most_rounds(Reader::new(&file(&[0x08, 0x00])), DEPTH), 2_048);
        assert!(check(Encrypted::Pfx, &file(&[0x09, 0x27, 0xc0])).is_ok());
        for rounds in [&[0x7f, 0xff, 0xff, 0xff][..], &[0x00, 0xff, 0xff, 0xff, 0xff], &[0x7f; 40]] {
            let error = check(Encrypted::Pfx, &file(rounds)).unwrap_err();
            assert!(matches!(error, CertificateError::TooMuchWork { .. }), "{error}");
        }
    }

    #[test]
    fn depth_has_an_end() {
        let mut bytes = Vec::new();
        for _ in 0..20_000 {
            bytes = write(SEQUENCE, &[&bytes]);
        }
        assert_eq!(most_rounds(Reader::new(&bytes), DEPTH), 0);
    }
}
