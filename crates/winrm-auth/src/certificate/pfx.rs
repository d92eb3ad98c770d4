//! PFX files: PKCS#12, RFC 7292.

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::{ParsedPkcs12_2, Pkcs12};
use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::x509::X509;

use super::error::unsupported_algorithm;
use super::key::with_legacy;
use super::{CertificateError, ClientCertificate, Encrypted, effort};
use crate::Secret;
use crate::der::{Reader, SEQUENCE};

/// How a PFX file is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PfxEncryption {
    /// AES-256 and SHA-256: Windows 10 1709, Server 2019 and later read it.
    #[default]
    Aes256,
    /// Triple DES and SHA-1: weak, but every Windows reads it, and Server 2008 to 2016 read nothing else.
    TripleDes,
}

/// What a PFX file holds.
pub(super) struct Contents {
    pub(super) certificates: Vec<X509>,
    pub(super) key: Option<PKey<Private>>,
}

impl ClientCertificate {
    /// Writes a PFX file with certificate, chain and key, named `name` where Windows shows a friendly name.
    ///
    /// # Errors
    /// A passphrase or name with a NUL character, and what OpenSSL has against the algorithms.
    pub fn to_pfx(&self, name: &str, passphrase: &Secret, encryption: PfxEncryption) -> Result<Vec<u8>, ErrorStack> {
        /// RFC 8018 asks for many; Windows takes up to 600,000, and this costs a few milliseconds.
        const ITERATIONS: u32 = 10_000;
        let mut chain = Stack::new()?;
        for certificate in &self.chain {
            chain.push(certificate.clone())?;
        }
        let (algorithm, digest) = match encryption {
            PfxEncryption::Aes256 => (Nid::AES_256_CBC, MessageDigest::sha256()),
            PfxEncryption::TripleDes => (Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC, MessageDigest::sha1()),
        };
        let mut builder = Pkcs12::builder();
        // OpenSSL's strings end at the first NUL.
        builder.name(name.split('\0').next().unwrap_or_default());
        builder.pkey(&self.key).cert(&self.leaf).ca(chain);
        builder.key_algorithm(algorithm).cert_algorithm(algorithm).mac_md(digest);
        builder.key_iter(ITERATIONS).mac_iter(ITERATIONS);
        let passphrase = passphrase.expose();
        if passphrase.contains('\0') {
            return Err(ErrorStack::get());
        }
        builder.build2(passphrase)?.to_der()
    }
}

/// Whether these bytes begin as `PFX ::= SEQUENCE { version INTEGER (3), … }`.
pub(super) fn is_pfx(bytes: &[u8]) -> bool {
    // A file that is cut off is one as well, and so is one in BER, as some programs write it: only the beginning is looked at.
    let header = match bytes {
        [SEQUENCE, 0x80, rest @ ..] => rest,
        [SEQUENCE, length, rest @ ..] if *length < 0x80 => rest,
        [SEQUENCE, length @ 0x81..=0x84, rest @ ..] => rest.get(usize::from(length & 0x7f)..).unwrap_or_default(),
        _ => return false,
    };
    header.starts_with(&[0x02, 0x01, 0x03, SEQUENCE])
}

pub(super) fn read(bytes: &[u8], passphrase: Option<&Secret>) -> Result<Contents, CertificateError> {
    let what = Encrypted::Pfx;
    if !is_pfx(bytes) {
        return Err(CertificateError::Damaged {
            what: "the PFX file",
            at: "at byte 0".to_owned(),
            reason: "it does not begin as PKCS#12".to_owned(),
        });
    }
    let file = Pkcs12::from_der(bytes).map_err(|error| {
        let cut = Reader::new(bytes).element(SEQUENCE).is_err();
        let at = if cut {
            format!("of {} bytes", bytes.len())
        } else {
            "in DER".to_owned()
        };
        CertificateError::damaged("the PFX file", &at, &error)
    })?;
    effort::check(what, bytes)?;
    let text = passphrase.map(Secret::expose).unwrap_or_default();
    if text.contains('\0') {
        return Err(CertificateError::WrongPassphrase { what });
    }
    let parsed = with_legacy(|| file.parse2(text)).map_err(|error| explain(&error, passphrase.is_some()))?;
    let ParsedPkcs12_2 { pkey, cert, ca } = parsed;
    let mut certificates: Vec<X509> = cert.into_iter().collect();
    certificates.extend(ca.into_iter().flatten());
    Ok(Contents { certificates, key: pkey })
}

fn explain(error: &ErrorStack, given: bool) -> CertificateError {
    let what = Encrypted::Pfx;
    if let Some(algorithm) = unsupported_algorithm(error) {
        return CertificateError::Unsupported { what, algorithm };
    }
    let said = |reason: &str| {
        error
            .errors()
            .iter()
            .any(|error| error.reason().is_some_and(|text| text.contains(reason)))
    };
    if said("mac verify failure") || said("cipherfinal error") || said("bad decrypt") {
        return match given {
            true => CertificateError::WrongPassphrase { what },
            false => CertificateError::PassphraseNeeded { what },
        };
    }
    CertificateError::damaged("the PFX file", "in its content", error)
}
