//! The service's certificate and its side of TLS.

use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod, SslVersion};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder, X509Ref};

use crate::client_certificate::ClientAuthorities;

/// The certificate and private key of the https listeners.
#[derive(Clone)]
pub struct Identity {
    certificate: X509,
    /// What follows the certificate in its file: the way up to the authority.
    chain: Vec<X509>,
    key: PKey<Private>,
}

impl Identity {
    /// Reads a certificate (with its chain behind it) and an unencrypted private key, each from a PEM file; both may be the same file.
    ///
    /// # Errors
    /// A file that can't be read, and those of [`Identity::from_pem`].
    pub fn from_pem_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, IdentityError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| IdentityError::File {
                path: path.to_owned(),
                source,
            })
        };
        Self::from_pem(&read(certificate.as_ref())?, &read(key.as_ref())?)
    }

    /// Takes a certificate (with its chain behind it) and an unencrypted private key, both PEM.
    ///
    /// # Errors
    /// [`IdentityError`] when either isn't there or they don't belong together.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let mut chain = X509::stack_from_pem(certificate).map_err(IdentityError::Certificate)?.into_iter();
        let certificate = chain.next().ok_or(IdentityError::NoCertificate)?;
        // The callback answers for an encrypted key: it is refused instead of asked for on the terminal.
        let key = PKey::private_key_from_pem_callback(key, |_| Ok(0)).map_err(IdentityError::Key)?;
        if !certificate.public_key().is_ok_and(|public| public.public_eq(&key)) {
            return Err(IdentityError::Mismatch);
        }
        Ok(Self {
            certificate,
            chain: chain.collect(),
            key,
        })
    }

    /// A new key (P-256) and a certificate signed by itself, valid for a year, for `localhost`, `127.0.0.1`, `::1` and this machine's name.
    ///
    /// # Errors
    /// What OpenSSL has against it.
    pub fn self_signed() -> Result<Self, IdentityError> {
        Self::self_signed_for(&machine_name()).map_err(IdentityError::SelfSigned)
    }

    fn self_signed_for(machine: &str) -> Result<Self, ErrorStack> {
        let key = PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)?;
        let mut name = X509NameBuilder::new()?;
        // ub-common-name of RFC 5280 is 64 characters.
        name.append_entry_by_text("CN", if machine.len() <= 64 { machine } else { "localhost" })?;
        let name = name.build();
        let mut serial = BigNum::new()?;
        serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        builder.set_serial_number(&*serial.to_asn1_integer()?)?;
        builder.set_subject_name(&name)?;
        builder.set_issuer_name(&name)?;
        builder.set_pubkey(&key)?;
        builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
        builder.set_not_after(&*Asn1Time::days_from_now(365)?)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().digital_signature().key_cert_sign().build()?)?;
        builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
        let mut alternatives = SubjectAlternativeName::new();
        alternatives.dns("localhost").ip("127.0.0.1").ip("::1");
        if machine != "localhost" && machine.parse::<std::net::IpAddr>().is_err() {
            alternatives.dns(machine);
        }
        let alternatives = alternatives.build(&builder.x509v3_context(None, None))?;
        builder.append_extension(alternatives)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Self {
            certificate: builder.build(),
            chain: Vec::new(),
            key,
        })
    }

    /// The SHA-1 of the certificate, in upper-case hex, as Windows names certificates; empty if OpenSSL has no SHA-1.
    pub(crate) fn thumbprint(&self) -> String {
        thumbprint(&self.certificate)
    }

    /// Whether the certificate is for this host: by its alternative names or its common name, with a `*` for the first label.
    pub(crate) fn is_for(&self, host: &str) -> bool {
        let fits = |name: &str| {
            let behind_star = name.strip_prefix("*.").zip(host.split_once('.').map(|(_, behind)| behind));
            name.eq_ignore_ascii_case(host) || behind_star.is_some_and(|(name, behind)| name.eq_ignore_ascii_case(behind))
        };
        let alternatives = self.certificate.subject_alt_names().into_iter().flatten();
        let common = self.certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
        alternatives.into_iter().any(|name| name.dnsname().is_some_and(fits))
            || common
                .into_iter()
                .any(|entry| entry.data().to_string().is_ok_and(|name| fits(&name)))
    }

    pub(crate) fn certificate(&self) -> &X509 {
        &self.certificate
    }

    pub(crate) fn key(&self) -> &PKey<Private> {
        &self.key
    }

    /// The certificate, PEM.
    pub(crate) fn certificate_pem(&self) -> Result<Vec<u8>, ErrorStack> {
        self.certificate.to_pem()
    }

    /// The certificate, DER: what a channel binding is made of.
    pub(crate) fn certificate_der(&self) -> Result<Vec<u8>, ErrorStack> {
        self.certificate.to_der()
    }

    /// The server side of TLS 1.2 and 1.3; with `clients` of 1.2 alone, and it asks for their certificates.
    pub(crate) fn acceptor(&self, clients: Option<&ClientAuthorities>) -> Result<SslAcceptor, ErrorStack> {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        acceptor.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        acceptor.set_certificate(&self.certificate)?;
        for certificate in &self.chain {
            acceptor.add_extra_chain_cert(certificate.clone())?;
        }
        acceptor.set_private_key(&self.key)?;
        acceptor.check_private_key()?;
        if let Some(clients) = clients {
            clients.ask(&mut acceptor)?;
        }
        Ok(acceptor.build())
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("subject", &self.certificate.subject_name())
            .finish_non_exhaustive()
    }
}

/// The SHA-1 of a certificate, in upper-case hex.
pub(crate) fn thumbprint(certificate: &X509Ref) -> String {
    let digest = certificate.digest(MessageDigest::sha1());
    let digest = digest.as_deref().unwrap_or_default();
    digest.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// This machine's name, as the kernel has it.
pub(crate) fn machine_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name.into_owned()
    }
}

/// Why a certificate and key can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file can't be read.
    #[error("{} can't be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate isn't readable PEM.
    #[error("the certificate is not readable PEM")]
    Certificate(#[source] ErrorStack),
    /// There is no certificate.
    #[error("there is no certificate in the PEM text")]
    NoCertificate,
    /// The key isn't readable PEM, or is encrypted.
    #[error("the private key is not readable PEM, or it is encrypted")]
    Key(#[source] ErrorStack),
    /// The key is not that of the certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// No certificate of our own can be made.
    #[error("a self-signed certificate can't be made")]
    SelfSigned(#[source] ErrorStack),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_its_own_certificate_and_key() {
        let own = Identity::self_signed().unwrap();
        let certificate = own.certificate_pem().unwrap();
        let key = own.key.private_key_to_pem_pkcs8().unwrap();
        assert!(Identity::from_pem(&certificate, &key).unwrap().acceptor(None).is_ok());

        let other = Identity::self_signed_for("other").unwrap().key.private_key_to_pem_pkcs8().unwrap();
        assert!(matches!(Identity::from_pem(&certificate, &other), Err(IdentityError::Mismatch)));
        assert!(matches!(Identity::from_pem(b"", &key), Err(IdentityError::NoCertificate)));
        assert!(matches!(Identity::from_pem(&certificate, b"x"), Err(IdentityError::Key(_))));
        let encrypted = own
            .key
            .private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_256_cbc(), b"x")
            .unwrap();
        assert!(matches!(Identity::from_pem(&certificate, &encrypted), Err(IdentityError::Key(_))));
    }

    #[test]
    fn a_long_machine_name_makes_a_certificate_all_the_same() {
        let long = format!("{}.example.test", "a".repeat(63));
        assert!(Identity::self_signed_for(&long).is_ok());
    }
}
