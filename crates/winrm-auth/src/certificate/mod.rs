//! Client certificates: from files in every form that people have them, and what is to be known about one.
//!
//! [`ClientCertificate`] is a certificate with its chain and private key, ready for TLS. [`Inspection`] says what stands in a
//! certificate, above all the user principal name by which Windows maps it to an account, and [`Finding`]s say what would keep WinRM
//! from taking it. Times are arguments, as everywhere in this crate.

use std::fmt;

use openssl::error::ErrorStack;
use openssl::pkey::{HasPublic, PKey, PKeyRef, Private};
use openssl::x509::{X509, X509Ref};

use crate::Secret;

mod alternative_name;
mod effort;
mod error;
mod extension;
mod finding;
mod inspection;
mod key;
mod pem;
mod pfx;

pub use alternative_name::{AlternativeName, InvalidUpn, USER_PRINCIPAL_NAME, Upn};
pub use error::{CertificateError, Encrypted};
pub use extension::{InvalidExtension, Usage, alternative_names, basic_constraints, extended_key_usage, key_usage};
pub use finding::{Finding, Purpose, Severity};
pub use inspection::{Inspection, Instant, KeyKind};
pub use key::read_key;
pub use pfx::PfxEncryption;

/// A certificate, the way up to its authority, and its private key.
///
/// Cloning shares the key; `Debug` doesn't show it.
#[derive(Clone)]
pub struct ClientCertificate {
    leaf: X509,
    chain: Vec<X509>,
    key: PKey<Private>,
}

/// How the bytes of a file with certificates or keys are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileForm {
    /// Text with `-----BEGIN …-----`, RFC 7468; also where it is none of the others.
    Pem,
    /// One certificate or key in DER.
    Der,
    /// PKCS#12, RFC 7292: what Windows calls PFX.
    Pfx,
}

impl FileForm {
    /// The form, by the first bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        if pfx::is_pfx(bytes) {
            Self::Pfx
        } else if bytes.first() == Some(&crate::der::SEQUENCE) && !pem::has_blocks(bytes) {
            Self::Der
        } else {
            Self::Pem
        }
    }
}

impl ClientCertificate {
    /// Reads a certificate with its chain and its private key, whatever form they are in: PEM, DER, or a PFX file, which
    /// brings its own key. Without `key` the key has to be in the same file as the certificate.
    ///
    /// # Errors
    /// Those of [`from_pem`](Self::from_pem) and [`from_pfx`](Self::from_pfx).
    pub fn read(certificate: &[u8], key: Option<&[u8]>, passphrase: Option<&Secret>) -> Result<Self, CertificateError> {
        match (FileForm::of(certificate), key) {
            (FileForm::Pfx, None) => Self::from_pfx(certificate, passphrase),
            (FileForm::Pfx, Some(_)) => Err(CertificateError::TwoKeys),
            (_, key) => Self::from_pem(certificate, key.unwrap_or(certificate), passphrase),
        }
    }

    /// Reads certificates and a private key from PEM; DER is taken as well. Both may be the same text.
    ///
    /// The key may be PKCS#8 or of its type's own form (PKCS#1, SEC 1), each encrypted or not. The certificate is the one that the
    /// key belongs to, wherever it stands; of the others the way up to its authority is kept.
    ///
    /// # Errors
    /// A passphrase that is missing or wrong, nothing of what is needed in the text, a key of another certificate, damage.
    pub fn from_pem(certificates: &[u8], key: &[u8], passphrase: Option<&Secret>) -> Result<Self, CertificateError> {
        let certificates = read_certificates(certificates)?;
        let key = read_key(key, passphrase)?;
        Self::join(certificates, key)
    }

    /// Reads a PFX (PKCS#12) file, with a chain if there is one.
    ///
    /// Files of older Windows versions encrypt with RC2, which OpenSSL 3 keeps in its provider `legacy`: that is loaded for the
    /// time of reading where the system has it.
    ///
    /// # Errors
    /// A passphrase that is missing or wrong, no certificate or key in the file, an encryption that OpenSSL doesn't offer, damage.
    pub fn from_pfx(pfx: &[u8], passphrase: Option<&Secret>) -> Result<Self, CertificateError> {
        let contents = pfx::read(pfx, passphrase)?;
        if contents.certificates.is_empty() {
            return Err(CertificateError::NoCertificate { found: Vec::new() });
        }
        let key = contents.key.ok_or(CertificateError::NoKey { found: Vec::new() })?;
        Self::join(contents.certificates, key)
    }

    /// Puts together what belongs together.
    ///
    /// # Errors
    /// No certificate, or none that the key belongs to.
    pub fn join(mut certificates: Vec<X509>, key: PKey<Private>) -> Result<Self, CertificateError> {
        let Some(first) = certificates.first() else {
            return Err(CertificateError::NoCertificate { found: Vec::new() });
        };
        let Some(index) = certificates.iter().position(|certificate| belongs(certificate, &key)) else {
            return Err(CertificateError::KeyMismatch {
                subject: name_text(first.subject_name()),
            });
        };
        let leaf = certificates.remove(index);
        let chain = way_up(&leaf, certificates);
        Ok(Self { leaf, chain, key })
    }

    /// The certificate itself.
    #[must_use]
    pub fn leaf(&self) -> &X509Ref {
        &self.leaf
    }

    /// The certificate's subject, `CN=alice, O=Example`.
    #[must_use]
    pub fn subject(&self) -> String {
        name_text(self.leaf.subject_name())
    }

    /// The authorities' certificates above it, the nearest first; empty if none came with it.
    #[must_use]
    pub fn chain(&self) -> &[X509] {
        &self.chain
    }

    /// The certificate's private key.
    #[must_use]
    pub fn key(&self) -> &PKeyRef<Private> {
        &self.key
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("subject", &name_text(self.leaf.subject_name()))
            .field("chain", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// Reads all certificates of a text in PEM, or one in DER.
///
/// # Errors
/// No certificate in it, or a damaged one.
pub fn read_certificates(bytes: &[u8]) -> Result<Vec<X509>, CertificateError> {
    match FileForm::of(bytes) {
        FileForm::Pfx => Err(CertificateError::NoCertificate {
            found: vec!["PFX".to_owned()],
        }),
        FileForm::Der => {
            if key::is_der_key(bytes) {
                let found = vec!["a private key in DER".to_owned()];
                return Err(CertificateError::NoCertificate { found });
            }
            let certificate = X509::from_der(bytes).map_err(|error| CertificateError::damaged("the certificate", "in DER", &error))?;
            Ok(vec![certificate])
        }
        FileForm::Pem => {
            let mut certificates = Vec::new();
            let mut found = Vec::new();
            for block in pem::blocks(bytes)? {
                match block.label.as_str() {
                    // The last is OpenSSL's own: what it is trusted for stands behind the certificate, and is left there.
                    "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                        let certificate = X509::from_der(&block.content)
                            .map_err(|error| CertificateError::damaged("the certificate", &format!("at line {}", block.line), &error))?;
                        certificates.push(certificate);
                    }
                    label => found.push(label.to_owned()),
                }
            }
            if certificates.is_empty() {
                return Err(CertificateError::NoCertificate { found });
            }
            Ok(certificates)
        }
    }
}

/// Whether a key is the certificate's.
pub fn belongs<T: HasPublic>(certificate: &X509Ref, key: &PKeyRef<T>) -> bool {
    certificate.public_key().is_ok_and(|public| public.public_eq(key))
}

/// Whether a certificate's signature was made with a key.
pub(crate) fn is_signed_by<T: HasPublic>(certificate: &X509Ref, key: &PKeyRef<T>) -> bool {
    let signed = certificate.verify(key).unwrap_or(false);
    // What a wrong signature leaves behind in this thread would be taken for an error of the next TLS connection.
    drop(ErrorStack::get());
    signed
}

/// Those of `others` that lead from `leaf` to its authority, in this order.
#[must_use]
pub fn way_up(leaf: &X509Ref, mut others: Vec<X509>) -> Vec<X509> {
    let mut chain: Vec<X509> = Vec::new();
    loop {
        let last: &X509Ref = chain.last().map_or(leaf, |certificate| certificate);
        let signs = |other: &X509| {
            other.issued(last) == openssl::x509::X509VerifyResult::OK && other.public_key().is_ok_and(|key| is_signed_by(last, &key))
        };
        match others.iter().position(signs) {
            Some(index) => chain.push(others.remove(index)),
            None => return chain,
        }
    }
}

/// A name as `CN=alice, O=Example`; nothing in it may steer a terminal.
#[must_use]
pub fn name_text(name: &openssl::x509::X509NameRef) -> String {
    name_joined(name, ", ")
}

/// As [`name_text`], with something else between the parts.
#[must_use]
pub fn name_joined(name: &openssl::x509::X509NameRef, between: &str) -> String {
    let parts: Vec<String> = name
        .entries()
        .map(|entry| {
            let key = entry.object().nid().short_name().unwrap_or("?");
            let value = entry.data().to_string().unwrap_or_default();
            format!("{key}={}", printable(&value))
        })
        .collect();
    if parts.is_empty() {
        "(empty)".to_owned()
    } else {
        parts.join(between)
    }
}

/// A stranger's text without what steers terminals, at most 200 characters.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || is_direction(c) { '\u{fffd}' } else { c })
        .take(200)
        .collect()
}

/// Marks that turn the direction of what stands around them.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
