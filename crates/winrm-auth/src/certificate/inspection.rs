//! What stands in a certificate, as people want to read it.

use std::fmt;
use std::time::SystemTime;

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKeyRef, Public};
use openssl::x509::X509Ref;

use super::{
    AlternativeName, InvalidExtension, Upn, Usage, alternative_names, basic_constraints, extended_key_usage, is_signed_by, key_usage,
    name_text,
};

/// What stands in a certificate. Texts hold nothing that steers a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Whom it is about: `CN=alice`.
    pub subject: String,
    /// Who has signed it.
    pub issuer: String,
    /// Whether it is signed by its own key.
    pub self_signed: bool,
    /// Its serial number, hexadecimal in upper case.
    pub serial: String,
    /// Its names beside the subject, or why they can't be read.
    pub names: Result<Vec<AlternativeName>, InvalidExtension>,
    /// Its public key.
    pub key: KeyKind,
    /// How it is signed, by OpenSSL's name: `sha256WithRSAEncryption`.
    pub signature: String,
    /// Whether the signature's hash is MD5 or SHA-1, which can be forged.
    pub weak_signature: bool,
    /// What its key may do, by the names of RFC 5280 4.2.1.3; `None` if it doesn't say.
    pub key_usage: Result<Option<Vec<&'static str>>, InvalidExtension>,
    /// What it may be used for; `None` if it doesn't say.
    pub usages: Result<Option<Vec<Usage>>, InvalidExtension>,
    /// Whether it may sign other certificates.
    pub authority: Result<bool, InvalidExtension>,
    /// From when on it is valid.
    pub not_before: Instant,
    /// Until when it is valid.
    pub not_after: Instant,
    /// SHA-1 of the DER, as Windows shows it: 40 hexadecimal digits in upper case.
    pub thumbprint: String,
    /// SHA-256 of the DER, as `--fingerprint` takes it: 64 hexadecimal digits in lower case.
    pub fingerprint: String,
}

/// The kind of a public key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// RSA with this many bits.
    Rsa(u32),
    /// RSA that signs by PSS alone, with this many bits.
    RsaPss(u32),
    /// An elliptic curve, by OpenSSL's name: `prime256v1`.
    Ec(String),
    /// Any other, by OpenSSL's name.
    Other(String),
}

impl KeyKind {
    fn of(key: &PKeyRef<Public>) -> Self {
        let id = key.id();
        if id == Id::RSA {
            Self::Rsa(key.bits())
        } else if id == Id::RSA_PSS {
            Self::RsaPss(key.bits())
        } else if id == Id::EC {
            let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
            let curve = curve.and_then(|curve| curve.short_name().ok());
            Self::Ec(curve.unwrap_or("explicit curve").to_owned())
        } else {
            let name = Nid::from_raw(id.as_raw()).short_name();
            Self::Other(name.unwrap_or("unknown").to_owned())
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::RsaPss(bits) => write!(f, "RSA-PSS {bits}"),
            Self::Ec(curve) => write!(f, "EC {curve}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// A point in time: whole seconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub i64);

impl Instant {
    fn of(time: &Asn1TimeRef) -> Result<Self, ErrorStack> {
        let difference = Asn1Time::from_unix(0)?.diff(time)?;
        Ok(Self(i64::from(difference.days) * 86_400 + i64::from(difference.secs)))
    }
}

impl From<SystemTime> for Instant {
    fn from(time: SystemTime) -> Self {
        let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => seconds(after),
            Err(before) => -seconds(before.duration()),
        })
    }
}

impl fmt::Display for Instant {
    /// As ISO 8601 has it: `2026-11-22 20:41:31 UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        // Years that begin in March: the leap day is the last of each. Day 0 is 0000-03-01.
        let days = days + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let march = (5 * day + 2) / 153;
        let day = day - (153 * march + 2) / 5 + 1;
        let month = if march < 10 { march + 3 } else { march - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

impl Inspection {
    /// Reads a certificate.
    ///
    /// # Errors
    /// What OpenSSL can't make of its key, dates or numbers.
    pub fn of(certificate: &X509Ref) -> Result<Self, ErrorStack> {
        let key = certificate.public_key()?;
        let algorithm = certificate.signature_algorithm().object().nid();
        let digest = algorithm.signature_algorithms().map(|algorithms| algorithms.digest);
        Ok(Self {
            subject: name_text(certificate.subject_name()),
            issuer: name_text(certificate.issuer_name()),
            self_signed: is_signed_by(certificate, &key),
            serial: certificate.serial_number().to_bn()?.to_hex_str()?.to_string(),
            names: alternative_names(certificate),
            key: KeyKind::of(&key),
            signature: algorithm.long_name().unwrap_or("unknown").to_owned(),
            weak_signature: digest.is_some_and(|digest| [Nid::MD5, Nid::SHA1, Nid::MD4, Nid::MD2].contains(&digest)),
            key_usage: key_usage(certificate),
            usages: extended_key_usage(certificate),
            authority: basic_constraints(certificate),
            not_before: Instant::of(certificate.not_before())?,
            not_after: Instant::of(certificate.not_after())?,
            thumbprint: hexadecimal(&certificate.digest(MessageDigest::sha1())?).to_uppercase(),
            fingerprint: hexadecimal(&certificate.digest(MessageDigest::sha256())?),
        })
    }

    /// Its user principal names.
    pub fn upns(&self) -> impl Iterator<Item = &Upn> {
        self.names.iter().flatten().filter_map(|name| match name {
            AlternativeName::Upn(upn) => Some(upn),
            _ => None,
        })
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_as_iso_8601_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_795_380_091, "2026-11-22 20:41:31 UTC"),
            (4_107_542_399, "2100-02-28 23:59:59 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(Instant(seconds).to_string(), text);
        }
    }

    #[test]
    fn instants_of_certificates() {
        for text in ["19500101000000Z", "20000229120000Z", "20491231235959Z", "99991231235959Z"] {
            let time = Asn1Time::from_str(text).unwrap();
            let shown: String = Instant::of(&time)
                .unwrap()
                .to_string()
                .chars()
                .filter(char::is_ascii_digit)
                .collect();
            assert_eq!(format!("{shown}Z"), text);
        }
    }
}
