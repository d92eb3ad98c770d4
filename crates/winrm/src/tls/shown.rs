//! A certificate as it is told to people.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::X509Ref;
use winrm_auth::certificate::{name_joined, printable};

/// What a certificate says of itself. All of it is a stranger's text, with control characters taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShownCertificate {
    /// `CN=web1 O=Example`.
    pub subject: String,
    /// The subject of the authority that has issued it; the same as its own where it is self-signed.
    pub issuer: String,
    /// `Nov 21 20:45:00 2026 GMT`.
    pub not_before: String,
    /// `Nov 21 20:45:00 2027 GMT`.
    pub not_after: String,
    /// The host names and addresses it is for: those of its subjectAltName, else the common name.
    pub names: Vec<String>,
    /// SHA-256 of its DER, in lower-case hexadecimal digits: what
    /// [`CertificateCheck::pinned`](crate::CertificateCheck::pinned) takes.
    pub fingerprint: String,
}

impl ShownCertificate {
    pub(crate) fn of(certificate: &X509Ref) -> Self {
        Self {
            subject: name_joined(certificate.subject_name(), " "),
            issuer: name_joined(certificate.issuer_name(), " "),
            not_before: certificate.not_before().to_string(),
            not_after: certificate.not_after().to_string(),
            names: names_of(certificate),
            fingerprint: fingerprint(certificate).map(hexadecimal).unwrap_or_default(),
        }
    }
}

impl fmt::Display for ShownCertificate {
    /// Subject, issuer, validity, fingerprint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "subject {}, issuer {}, valid {} to {}, SHA-256 {}",
            self.subject, self.issuer, self.not_before, self.not_after, self.fingerprint
        )
    }
}

/// SHA-256 of the certificate's DER.
pub(super) fn fingerprint(certificate: &X509Ref) -> Option<[u8; 32]> {
    let digest = certificate.digest(MessageDigest::sha256()).ok()?;
    <[u8; 32]>::try_from(&*digest).ok()
}

/// Whether a certificate is for this address in the ways that OpenSSL doesn't look at and Windows does: the address as a DNS
/// name of its subjectAltName (so `New-SelfSignedCertificate -DnsName` writes it), or as its common name where it has no
/// subjectAltName at all (so the older tools do).
pub(super) fn names_address(certificate: &X509Ref, address: IpAddr) -> bool {
    let is_it = |text: &str| text.parse() == Ok(address);
    match certificate.subject_alt_names() {
        Some(names) => names.iter().filter_map(|name| name.dnsname()).any(is_it),
        None => {
            let common = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
            common.filter_map(|entry| entry.data().to_string().ok()).any(|name| is_it(&name))
        }
    }
}

fn hexadecimal(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn names_of(certificate: &X509Ref) -> Vec<String> {
    let mut names = Vec::new();
    for name in certificate.subject_alt_names().iter().flatten() {
        if let Some(dns) = name.dnsname() {
            names.push(printable(dns));
        } else if let Some(bytes) = name.ipaddress() {
            if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
                names.push(Ipv4Addr::from(bytes).to_string());
            } else if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
                names.push(Ipv6Addr::from(bytes).to_string());
            }
        }
    }
    if names.is_empty() {
        let common = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
        names.extend(
            common
                .filter_map(|entry| entry.data().to_string().ok())
                .map(|name| printable(&name)),
        );
    }
    names.truncate(20);
    names
}
