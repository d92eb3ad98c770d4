//! TLS by OpenSSL: which versions, ciphers and certificates are accepted, and sentences for what is not.

mod authorities;
mod connector;
mod failure;
mod shared;
mod shown;
mod watch;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use openssl::ssl::SslVersion;
use winrm_auth::ClientCertificate;

pub(crate) use connector::{Agreed, Secured, Tls};
pub(crate) use failure::refused_later;
pub use failure::{TlsFailure, TlsProblem};
pub use shown::ShownCertificate;
pub(crate) use watch::Watched;

/// Which certificates of a host are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateCheck {
    /// Those that the system's authorities have signed for the host's name.
    #[default]
    System,
    /// Those that authorities of this file (PEM, one or many) have signed for the host's name. For a folder: of all its
    /// files.
    Authorities(PathBuf),
    /// The one whose DER has this SHA-256, whatever names and dates it holds.
    Pinned([u8; 32]),
    /// Any. **Dangerous**: whoever sits between can read and change everything, passwords included.
    Ignore,
}

impl CertificateCheck {
    /// [`Pinned`](Self::Pinned) from the fingerprint's hexadecimal digits, with or without colons, spaces and a leading
    /// `sha256:`.
    ///
    /// # Errors
    /// Anything but 32 bytes.
    pub fn pinned(fingerprint: &str) -> Result<Self, InvalidFingerprint> {
        let text = fingerprint.trim();
        let text = match text.get(..7) {
            Some(prefix) if prefix.eq_ignore_ascii_case("sha256:") => &text[7..],
            _ => text,
        };
        let digits: Vec<u8> = text.bytes().filter(|byte| !b": -".contains(byte)).collect();
        let mut bytes = [0; 32];
        if digits.len() != 64 {
            return Err(InvalidFingerprint);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |value: u8| char::from(value).to_digit(16).ok_or(InvalidFingerprint);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(Self::Pinned(bytes))
    }
}

impl FromStr for CertificateCheck {
    type Err = InvalidFingerprint;

    /// `system`, `ignore`, or a fingerprint as [`pinned`](Self::pinned) takes it.
    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        match text {
            "system" => Ok(Self::System),
            "ignore" => Ok(Self::Ignore),
            fingerprint => Self::pinned(fingerprint),
        }
    }
}

/// A text is no SHA-256 fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 fingerprint has 64 hexadecimal digits")]
pub struct InvalidFingerprint;

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.0: all that Server 2008 has. **Weak**: it is allowed only where it is asked for.
    Tls1_0,
    /// TLS 1.1. **Weak**, as 1.0 is.
    Tls1_1,
    /// TLS 1.2: Server 2008 R2 with its updates, and later.
    Tls1_2,
    /// TLS 1.3: Server 2022 and later.
    Tls1_3,
}

impl TlsVersion {
    const NAMES: [(Self, &'static str); 4] = [
        (Self::Tls1_0, "1.0"),
        (Self::Tls1_1, "1.1"),
        (Self::Tls1_2, "1.2"),
        (Self::Tls1_3, "1.3"),
    ];

    fn openssl(self) -> SslVersion {
        match self {
            Self::Tls1_0 => SslVersion::TLS1,
            Self::Tls1_1 => SslVersion::TLS1_1,
            Self::Tls1_2 => SslVersion::TLS1_2,
            Self::Tls1_3 => SslVersion::TLS1_3,
        }
    }

    /// Whether OpenSSL 3 has it at its security level 0 only.
    fn is_weak(self) -> bool {
        self < Self::Tls1_2
    }
}

impl fmt::Display for TlsVersion {
    /// `1.2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(version, _)| version == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

impl FromStr for TlsVersion {
    type Err = UnknownTlsVersion;

    /// `1.2`, also as `TLSv1.2`, `TLS 1.2` and `tls1_2`.
    fn from_str(text: &str) -> Result<Self, UnknownTlsVersion> {
        let lower = text.trim().to_ascii_lowercase();
        let number = lower.strip_prefix("tls").unwrap_or(&lower);
        let number = number.trim_start_matches([' ', 'v', '_', '-']).replace('_', ".");
        // OpenSSL calls the first version TLSv1.
        let number = if number == "1" && lower.starts_with("tls") {
            "1.0"
        } else {
            &number
        };
        Self::NAMES
            .iter()
            .find(|(_, name)| *name == number)
            .map(|(version, _)| *version)
            .ok_or_else(|| UnknownTlsVersion(text.to_owned()))
    }
}

/// A text is no version of TLS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of TLS; there are 1.0, 1.1, 1.2, 1.3")]
pub struct UnknownTlsVersion(String);

/// How TLS is spoken.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    pub(crate) check: CertificateCheck,
    pub(crate) minimum: TlsVersion,
    pub(crate) maximum: Option<TlsVersion>,
    /// OpenSSL's names; its own choice where there is nothing.
    pub(crate) ciphers: Option<String>,
    /// What is shown to hosts that ask for it.
    pub(crate) client: Option<ClientCertificate>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            check: CertificateCheck::default(),
            minimum: TlsVersion::Tls1_2,
            maximum: None,
            ciphers: None,
            client: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_in_every_spelling() {
        let plain = "0123456789abcdef".repeat(4);
        let mut expected = [0; 32];
        for chunk in expected.chunks_exact_mut(8) {
            chunk.copy_from_slice(&[0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
        }
        let colons = plain
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap())
            .collect::<Vec<_>>()
            .join(":");
        for text in [
            plain.clone(),
            plain.to_uppercase(),
            colons.clone(),
            format!("SHA256:{colons}"),
            format!(" {plain}\n"),
        ] {
            assert_eq!(CertificateCheck::pinned(&text), Ok(CertificateCheck::Pinned(expected)), "{text}");
        }
        for text in ["", "0123", &plain[1..], &plain.replace('a', "g"), &format!("{plain}00")] {
            assert_eq!(CertificateCheck::pinned(text), Err(InvalidFingerprint), "{text}");
        }
    }

    #[test]
    fn versions_in_every_spelling() {
        for (text, version) in [
            ("1.0", TlsVersion::Tls1_0),
            ("TLSv1", TlsVersion::Tls1_0),
            ("tls1_1", TlsVersion::Tls1_1),
            ("TLSv1.2", TlsVersion::Tls1_2),
            ("TLS 1.3", TlsVersion::Tls1_3),
        ] {
            assert_eq!(text.parse(), Ok(version), "{text}");
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        for text in ["", "1", "1.4", "SSLv3", "tls", "12"] {
            assert!(text.parse::<TlsVersion>().is_err(), "{text}");
        }
        assert!(TlsVersion::Tls1_0 < TlsVersion::Tls1_1 && TlsVersion::Tls1_2 < TlsVersion::Tls1_3);
    }
}
