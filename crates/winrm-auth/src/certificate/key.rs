//! Private keys from PEM and DER.

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::provider::Provider;

use super::error::unsupported_algorithm;
use super::{CertificateError, Encrypted, FileForm, effort, pem};
use crate::Secret;
use crate::der::{OCTET_STRING, Reader, SEQUENCE};

/// Tag of an `INTEGER`.
const INTEGER: u8 = 0x02;

/// Reads the first private key of a text in PEM, or one in DER: PKCS#8, PKCS#1, SEC 1, encrypted or not.
///
/// # Errors
/// A passphrase that is missing or wrong, no private key in it, damage.
pub fn read_key(bytes: &[u8], passphrase: Option<&Secret>) -> Result<PKey<Private>, CertificateError> {
    match FileForm::of(bytes) {
        FileForm::Pfx => Err(CertificateError::NoKey {
            found: vec!["PFX".to_owned()],
        }),
        FileForm::Der if is_encrypted(bytes) => decrypt(bytes, passphrase, |passphrase| {
            PKey::private_key_from_pkcs8_callback(bytes, |buffer| Ok(fill(buffer, passphrase)))
        }),
        FileForm::Der if !is_der_key(bytes) => Err(CertificateError::NoKey {
            found: vec!["a certificate in DER".to_owned()],
        }),
        FileForm::Der => PKey::private_key_from_der(bytes).map_err(|error| CertificateError::damaged("the private key", "in DER", &error)),
        FileForm::Pem => from_blocks(bytes, passphrase),
    }
}

fn from_blocks(bytes: &[u8], passphrase: Option<&Secret>) -> Result<PKey<Private>, CertificateError> {
    let mut found = Vec::new();
    for block in pem::blocks(bytes)? {
        let encrypted = match block.label.as_str() {
            "ENCRYPTED PRIVATE KEY" => true,
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => block.is_proc_type_encrypted(),
            label => {
                found.push(label.to_owned());
                continue;
            }
        };
        let text = block.text();
        if !encrypted {
            return PKey::private_key_from_pem_callback(text.as_bytes(), |_| Ok(0))
                .map_err(|error| CertificateError::damaged("the private key", &format!("at line {}", block.line), &error));
        }
        if block.label == "ENCRYPTED PRIVATE KEY" && !is_encrypted(&block.content) {
            return Err(CertificateError::Damaged {
                what: "the private key",
                at: format!("at line {}", block.line),
                reason: "its encryption can't be read".to_owned(),
            });
        }
        return decrypt(&block.content, passphrase, |passphrase| {
            PKey::private_key_from_pem_callback(text.as_bytes(), |buffer| Ok(fill(buffer, passphrase)))
        });
    }
    Err(CertificateError::NoKey { found })
}

fn decrypt(
    content: &[u8],
    passphrase: Option<&Secret>,
    attempt: impl Fn(&Secret) -> Result<PKey<Private>, ErrorStack>,
) -> Result<PKey<Private>, CertificateError> {
    let what = Encrypted::Key;
    let passphrase = passphrase.ok_or(CertificateError::PassphraseNeeded { what })?;
    effort::check(what, content)?;
    with_legacy(|| attempt(passphrase)).map_err(|error| match unsupported_algorithm(&error) {
        Some(algorithm) => CertificateError::Unsupported { what, algorithm },
        None => CertificateError::WrongPassphrase { what },
    })
}

/// Tries once more with OpenSSL's provider `legacy` if the algorithm is one of those that only it has. It is loaded for this one
/// attempt; the providers that are there stay.
pub(super) fn with_legacy<T>(attempt: impl Fn() -> Result<T, ErrorStack>) -> Result<T, ErrorStack> {
    let error = match attempt() {
        Err(error) if unsupported_algorithm(&error).is_some() => error,
        other => return other,
    };
    let Ok(legacy) = Provider::try_load(None, "legacy", true) else {
        return Err(error);
    };
    let again = attempt();
    drop(legacy);
    again
}

/// Copies the passphrase into OpenSSL's buffer. One that is too long can't be right: OpenSSL itself could not have set it.
fn fill(buffer: &mut [u8], passphrase: &Secret) -> usize {
    let passphrase = passphrase.expose().as_bytes();
    match buffer.get_mut(..passphrase.len()) {
        Some(target) => {
            target.copy_from_slice(passphrase);
            passphrase.len()
        }
        None => 0,
    }
}

/// Whether this is `EncryptedPrivateKeyInfo`, RFC 5958 section 3: an algorithm and an octet string.
fn is_encrypted(der: &[u8]) -> bool {
    let mut input = Reader::new(der);
    let fields = input.element(SEQUENCE).and_then(|mut fields| {
        fields.element(SEQUENCE)?;
        fields.element(OCTET_STRING)?;
        fields.finish()
    });
    fields.is_ok()
}

/// Whether this is any form of a private key: all begin with a version number, encrypted ones with an algorithm.
pub(super) fn is_der_key(der: &[u8]) -> bool {
    let versioned = Reader::new(der)
        .element(SEQUENCE)
        .is_ok_and(|fields| fields.peek() == Some(INTEGER));
    versioned || is_encrypted(der)
}
