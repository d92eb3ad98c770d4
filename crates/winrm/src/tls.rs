//! TLS by OpenSSL: which certificates are accepted, and sentences for those that are not.

use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::hash::MessageDigest;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::{X509, X509NameRef, X509Ref, X509VerifyResult};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::error::{Error, ErrorKind};

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

/// The client's side of TLS, ready for many connections.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: SslConnector,
    pinned: Option<[u8; 32]>,
    verifies: bool,
}

/// A connection, and the server's certificate (DER) that it was made with.
pub(crate) struct Secured {
    pub(crate) stream: SslStream<TcpStream>,
    pub(crate) certificate: Vec<u8>,
}

impl Tls {
    pub(crate) fn new(check: &CertificateCheck) -> Result<Self, Error> {
        let configuration =
            |error: openssl::error::ErrorStack| Error::new(ErrorKind::Configuration, "TLS can't be set up").with_source(error);
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(configuration)?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(configuration)?;
        if let CertificateCheck::Authorities(path) = check {
            let store = read_authorities(path)?;
            let mut trusted = openssl::x509::store::X509StoreBuilder::new().map_err(configuration)?;
            for authority in store {
                trusted.add_cert(authority).map_err(configuration)?;
            }
            builder.set_cert_store(trusted.build());
        }
        let pinned = match check {
            CertificateCheck::Pinned(fingerprint) => Some(*fingerprint),
            _ => None,
        };
        let verifies = matches!(check, CertificateCheck::System | CertificateCheck::Authorities(_));
        if !verifies {
            // A pinned certificate is compared after the handshake, before anything is sent.
            builder.set_verify(SslVerifyMode::NONE);
        }
        Ok(Self {
            connector: builder.build(),
            pinned,
            verifies,
        })
    }

    /// Makes TLS on a connection. `name` is a host's name, or an address without brackets and zone.
    pub(crate) async fn handshake(&self, tcp: TcpStream, name: &str) -> Result<Secured, Error> {
        let failed =
            |error: openssl::error::ErrorStack| Error::new(ErrorKind::Tls, format!("TLS with {name} can't be set up")).with_source(error);
        let mut configuration = self.connector.configure().map_err(failed)?;
        configuration.set_verify_hostname(self.verifies);
        let mut ssl = configuration.into_ssl(name).map_err(failed)?;
        let refused: Arc<Mutex<Option<Refused>>> = Arc::default();
        if self.verifies {
            let refused = Arc::clone(&refused);
            ssl.set_verify_callback(SslVerifyMode::PEER, move |accepted, context| {
                if !accepted {
                    let leaf = context.chain().and_then(|chain| chain.get(0)).or_else(|| context.current_cert());
                    let mut slot = refused.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(leaf) = leaf
                        && slot.is_none()
                    {
                        *slot = Some(Refused {
                            reason: context.error(),
                            certificate: leaf.to_owned(),
                        });
                    }
                }
                accepted
            });
        }
        let mut stream = SslStream::new(ssl, tcp).map_err(failed)?;
        if let Err(error) = Pin::new(&mut stream).connect().await {
            let refused = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Err(match refused {
                Some(refused) => refused.explain(name),
                None => handshake_failed(name, error),
            });
        }
        let certificate = stream.ssl().peer_certificate();
        let certificate = certificate.ok_or_else(|| Error::new(ErrorKind::Tls, format!("{name} has shown no certificate")))?;
        if let Some(pinned) = self.pinned {
            let found = fingerprint(&certificate);
            if found != Some(pinned) {
                return Err(Error::new(
                    ErrorKind::Tls,
                    format!("the certificate of {name} is not the pinned one: {}", describe(&certificate)),
                )
                .with_hint("if the host has a new certificate, compare its fingerprint on the host itself and pin that"));
            }
        }
        let certificate = certificate.to_der().map_err(failed)?;
        Ok(Secured { stream, certificate })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("pinned", &self.pinned)
            .field("verifies", &self.verifies)
            .finish_non_exhaustive()
    }
}

fn read_authorities(path: &Path) -> Result<Vec<X509>, Error> {
    let unreadable = |path: &Path, error: std::io::Error| {
        Error::new(
            ErrorKind::Configuration,
            format!("the authorities in {} can't be read", path.display()),
        )
        .with_source(error)
    };
    let is_folder = path.is_dir();
    let mut files = vec![path.to_owned()];
    if is_folder {
        files.clear();
        for entry in std::fs::read_dir(path).map_err(|error| unreadable(path, error))? {
            let entry = entry.map_err(|error| unreadable(path, error))?.path();
            if entry.is_file() {
                files.push(entry);
            }
        }
    }
    let mut authorities = Vec::new();
    for file in files {
        let pem = std::fs::read(&file).map_err(|error| unreadable(&file, error))?;
        match X509::stack_from_pem(&pem) {
            Ok(found) => authorities.extend(found),
            // A folder of authorities holds other things as well.
            Err(_) if is_folder => {}
            Err(error) => {
                return Err(
                    Error::new(ErrorKind::Configuration, format!("{} holds no certificates in PEM", file.display())).with_source(error),
                );
            }
        }
    }
    if authorities.is_empty() {
        let message = format!("{} holds no certificates in PEM", path.display());
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    Ok(authorities)
}

struct Refused {
    reason: X509VerifyResult,
    certificate: X509,
}

/// Results of OpenSSL's verification, `X509_V_ERR_…` of `x509_vfy.h`.
mod verify {
    /// The last is a wrong signature: that of another authority of the same name.
    pub(super) const ISSUER_UNKNOWN: [i32; 6] = [2, 18, 19, 20, 21, 7];
    pub(super) const SELF_SIGNED: i32 = 18;
    pub(super) const NOT_YET_VALID: i32 = 9;
    pub(super) const EXPIRED: i32 = 10;
    pub(super) const NAME_MISMATCH: [i32; 2] = [62, 64];
}

impl Refused {
    fn explain(self, name: &str) -> Error {
        let reason = self.reason.as_raw();
        let (what, hint) = if reason == verify::SELF_SIGNED {
            (
                "is self-signed, and not trusted".to_owned(),
                "give the certificate as an authority, or pin its fingerprint, after comparing it on the host itself",
            )
        } else if verify::ISSUER_UNKNOWN.contains(&reason) {
            (
                "was issued by an authority that is not trusted".to_owned(),
                "give the file of the authority's certificate, or add it to the system's store",
            )
        } else if reason == verify::EXPIRED {
            (
                "has expired".to_owned(),
                "renew it on the host, and check this machine's clock; or pin its fingerprint",
            )
        } else if reason == verify::NOT_YET_VALID {
            ("is not valid yet".to_owned(), "check the clocks of both machines")
        } else if verify::NAME_MISMATCH.contains(&reason) {
            let names = names_of(&self.certificate);
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            (
                format!("is for {names}"),
                "use a name that the certificate holds, or say which one to expect (server name)",
            )
        } else {
            (
                "was not accepted".to_owned(),
                "correct the certificate on the host, or pin its fingerprint",
            )
        };
        let message = format!("the certificate of {name} {what}: {}", describe(&self.certificate));
        Error::new(ErrorKind::Tls, message)
            .with_hint(hint)
            .with_source(self.reason.error_string())
    }
}

fn handshake_failed(name: &str, error: openssl::ssl::Error) -> Error {
    // Nothing but the text tells a server that answers in plain HTTP.
    let text = error.to_string();
    let plain = ["wrong version number", "http request", "packet length too long", "unknown protocol"];
    let failed = Error::new(ErrorKind::Tls, format!("TLS with {name} has failed"));
    let hint = if plain.iter().any(|sign| text.contains(sign)) {
        "what listens there does not speak TLS: is it the port for http?"
    } else if error.ssl_error().is_none() {
        "the host closed the connection during the handshake: has its https listener a certificate?"
    } else {
        "the host and this machine may have no version or cipher of TLS in common"
    };
    failed.with_hint(hint).with_source(error)
}

fn fingerprint(certificate: &X509Ref) -> Option<[u8; 32]> {
    let digest = certificate.digest(MessageDigest::sha256()).ok()?;
    <[u8; 32]>::try_from(&*digest).ok()
}

/// Subject, issuer, validity, fingerprint.
fn describe(certificate: &X509Ref) -> String {
    use fmt::Write as _;
    let mut text = format!(
        "subject {}, issuer {}, valid {} to {}",
        name_text(certificate.subject_name()),
        name_text(certificate.issuer_name()),
        certificate.not_before(),
        certificate.not_after(),
    );
    if let Some(fingerprint) = fingerprint(certificate) {
        text.push_str(", SHA-256 ");
        for byte in fingerprint {
            // Writing to a String can't fail.
            let _ = write!(text, "{byte:02x}");
        }
    }
    text
}

fn name_text(name: &X509NameRef) -> String {
    let parts: Vec<String> = name
        .entries()
        .map(|entry| {
            let key = entry.object().nid().short_name().unwrap_or("?");
            let value = entry.data().to_string().unwrap_or_default();
            format!("{key}={}", printable(&value))
        })
        .collect();
    if parts.is_empty() { "(empty)".to_owned() } else { parts.join(" ") }
}

fn names_of(certificate: &X509Ref) -> Vec<String> {
    let mut names = Vec::new();
    for name in certificate.subject_alt_names().iter().flatten() {
        if let Some(dns) = name.dnsname() {
            names.push(printable(dns));
        } else if let Some(bytes) = name.ipaddress() {
            if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
                names.push(std::net::Ipv4Addr::from(bytes).to_string());
            } else if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
                names.push(std::net::Ipv6Addr::from(bytes).to_string());
            }
        }
    }
    if names.is_empty() {
        let common = certificate.subject_name().entries_by_nid(openssl::nid::Nid::COMMONNAME);
        names.extend(
            common
                .filter_map(|entry| entry.data().to_string().ok())
                .map(|name| printable(&name)),
        );
    }
    names
}

/// What a certificate holds is a stranger's text: nothing in it may steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(200)
        .collect()
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
    fn authorities_that_cannot_be_used_are_named() {
        let missing = Tls::new(&CertificateCheck::Authorities("/nonexistent/ca.pem".into())).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Configuration);
        assert_eq!(missing.to_string(), "the authorities in /nonexistent/ca.pem can't be read");
    }
}
