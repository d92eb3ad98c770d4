//! Clients that authenticate with a TLS certificate: whom it is believed. Which account it means is said by
//! [`CertificateMapping`](crate::configuration::CertificateMapping).
//!
//! The handshake takes any certificate, and none, so that other ways to authenticate work on the same listener. What is wrong with a
//! certificate is said when a request refers to it: http.sys does it in this order as well.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use openssl::error::ErrorStack;
use openssl::ssl::{SslContextBuilder, SslOptions, SslRef, SslSessionCacheMode, SslVerifyMode, SslVersion};
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509PurposeId, X509StoreContext};
use winrm_auth::certificate::{
    self, AlternativeName, CertificateError, InvalidExtension, InvalidUpn, Upn, Usage, name_text, read_certificates,
};

use crate::tls::thumbprint;

/// Whose client certificates are believed: authorities, or the clients' own self-signed certificates.
#[derive(Clone)]
pub struct ClientAuthorities(Source);

#[derive(Clone)]
enum Source {
    Given(Vec<X509>),
    Store(PathBuf),
}

/// The stores whose certificates are authorities, as Windows names them.
const STORES: &[&str] = &["Root", "CA"];

impl ClientAuthorities {
    /// Reads all certificates of a text in PEM.
    ///
    /// # Errors
    /// No certificate in it, or a damaged one.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        Ok(Self(Source::Given(read_certificates(pem)?)))
    }

    /// Takes a folder in place of Windows' certificate store of the machine: the files of its folders `Root` and `CA`, PEM, are the
    /// authorities. They are read whenever a certificate is judged, so that what is put there counts for the next connection.
    #[must_use]
    pub fn store(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        // Commands may run in other directories than the service.
        Self(Source::Store(std::path::absolute(&folder).unwrap_or(folder)))
    }

    /// The folder of a [`store`](Self::store).
    pub(crate) fn folder(&self) -> Option<&Path> {
        match &self.0 {
            Source::Given(_) => None,
            Source::Store(folder) => Some(folder),
        }
    }

    fn certificates(&self) -> Cow<'_, [X509]> {
        match &self.0 {
            Source::Given(certificates) => Cow::Borrowed(certificates),
            Source::Store(folder) => Cow::Owned(read_store(folder)),
        }
    }

    /// The thumbprints of all of them.
    pub(crate) fn thumbprints(&self) -> Vec<String> {
        self.certificates().iter().map(|certificate| thumbprint(certificate)).collect()
    }

    /// Makes a listener ask for certificates.
    pub(crate) fn ask(&self, context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        let mut names = Stack::new()?;
        // A store may hold others by the time that a client comes: it is told no names then, and may show any.
        if let Source::Given(certificates) = &self.0 {
            for certificate in certificates {
                names.push(certificate.subject_name().to_owned()?)?;
            }
        }
        context.set_client_ca_list(names);
        // Whatever it is, the client hears of it when it refers to its certificate.
        context.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        // Windows' clients have no certificate for TLS 1.3, and a session that is taken up again has no chain.
        context.set_max_proto_version(Some(SslVersion::TLS1_2))?;
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        context.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION);
        Ok(())
    }
}

impl std::fmt::Debug for ClientAuthorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let certificates = self.certificates();
        let names = certificates.iter().map(|certificate| name_text(certificate.subject_name()));
        f.debug_list().entries(names).finish()
    }
}

/// What can't be read there is no authority, which is said in the log.
fn read_store(folder: &Path) -> Vec<X509> {
    let mut certificates = Vec::new();
    for store in STORES {
        let Ok(files) = std::fs::read_dir(folder.join(store)) else {
            continue;
        };
        for file in files.filter_map(Result::ok).map(|file| file.path()) {
            if file.extension().is_none_or(|ending| ending != "pem") {
                continue;
            }
            match std::fs::read(&file).map(|pem| read_certificates(&pem)) {
                Ok(Ok(found)) => certificates.extend(found),
                Ok(Err(error)) => tracing::warn!(file = %file.display(), %error, "no certificate of the store"),
                Err(error) => tracing::warn!(file = %file.display(), %error, "no certificate of the store"),
            }
        }
    }
    certificates
}

/// What a client has shown in its handshake.
#[derive(Clone)]
pub(crate) struct Shown {
    leaf: X509,
    chain: Vec<X509>,
}

impl Shown {
    pub(crate) fn of(ssl: &SslRef) -> Option<Self> {
        Some(Self {
            leaf: ssl.peer_certificate()?,
            // Without the leaf, on this side.
            chain: ssl.peer_cert_chain().into_iter().flatten().map(ToOwned::to_owned).collect(),
        })
    }

    pub(crate) fn subject(&self) -> String {
        name_text(self.leaf.subject_name())
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shown").field(&self.subject()).finish()
    }
}

/// Why a certificate lets nobody in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the client has shown no certificate")]
    NoCertificate,
    #[error("the certificate is not trusted: {reason}{}", if *depth == 0 { String::new() } else { format!(" (authority {depth} above it)") })]
    Untrusted { reason: &'static str, depth: u32 },
    #[error("the certificate can't be verified")]
    Verification(#[from] ErrorStack),
    #[error("the certificate's extended key usage has no client authentication")]
    Usage,
    #[error("the certificate has no user principal name")]
    NoUpn,
    #[error("the certificate has several user principal names")]
    SeveralUpns,
    #[error("the certificate's user principal name can't be used")]
    Upn(#[source] InvalidUpn),
    #[error("the certificate's extensions can't be read")]
    Extension(#[from] InvalidExtension),
}

/// What a good certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proven {
    pub(crate) upn: Upn,
    /// The thumbprints of the authorities above it; its own where it is its own authority.
    pub(crate) issuers: Vec<String>,
}

/// Judges the certificates of clients.
pub(crate) struct ClientCertificates {
    authorities: ClientAuthorities,
    /// Of authorities that don't change.
    store: Option<X509Store>,
}

impl ClientCertificates {
    pub(crate) fn new(authorities: &ClientAuthorities) -> Result<Self, ErrorStack> {
        let store = match &authorities.0 {
            Source::Given(certificates) => Some(trusting(certificates)?),
            Source::Store(_) => None,
        };
        Ok(Self {
            authorities: authorities.clone(),
            store,
        })
    }

    /// Whether an authority with this thumbprint is believed.
    pub(crate) fn believes(&self, issuer: &str) -> bool {
        let known = self.authorities.thumbprints();
        known.iter().any(|authority| authority.eq_ignore_ascii_case(issuer))
    }

    /// Whom a client's certificate names, if it can be believed.
    pub(crate) fn judge(&self, shown: Option<&Shown>) -> Result<Proven, Refusal> {
        let shown = shown.ok_or(Refusal::NoCertificate)?;
        // First, since OpenSSL takes certificates without any extended usage, and says less.
        let usages = certificate::extended_key_usage(&shown.leaf)?.unwrap_or_default();
        if !usages.contains(&Usage::ClientAuthentication) {
            return Err(Refusal::Usage);
        }
        let issuers = self.verify(shown)?;
        let mut upns = certificate::alternative_names(&shown.leaf)?
            .into_iter()
            .filter_map(|name| match name {
                AlternativeName::Upn(upn) => Some(Ok(upn)),
                AlternativeName::InvalidUpn(error) => Some(Err(error)),
                _ => None,
            });
        let upn = upns.next().ok_or(Refusal::NoUpn)?;
        if upns.next().is_some() {
            return Err(Refusal::SeveralUpns);
        }
        let upn = upn.map_err(Refusal::Upn)?;
        Ok(Proven { upn, issuers })
    }

    /// The thumbprints of the authorities in the chain.
    fn verify(&self, shown: &Shown) -> Result<Vec<String>, Refusal> {
        let mut chain = Stack::new()?;
        for certificate in &shown.chain {
            chain.push(certificate.clone())?;
        }
        let current;
        let store = match &self.store {
            Some(store) => store,
            None => {
                current = trusting(&self.authorities.certificates())?;
                &current
            }
        };
        let verified = X509StoreContext::new()?.init(store, &shown.leaf, &chain, |context| {
            let valid = context.verify_cert()?;
            let chain = context.chain().into_iter().flatten();
            let mut issuers: Vec<String> = chain.map(thumbprint).collect();
            if issuers.len() > 1 {
                issuers.remove(0);
            }
            Ok((valid, context.error(), context.error_depth(), issuers))
        });
        // What a wrong signature leaves behind in this thread would be taken for an error of the next TLS connection.
        drop(ErrorStack::get());
        let (valid, reason, depth, issuers) = verified?;
        if valid {
            return Ok(issuers);
        }
        Err(Refusal::Untrusted {
            reason: reason.error_string(),
            depth,
        })
    }
}

fn trusting(authorities: &[X509]) -> Result<X509Store, ErrorStack> {
    /// OpenSSL's level 2: RSA from 2,048 bits, no SHA-1 signatures.
    const SECURITY_LEVEL: i32 = 2;
    let mut rules = X509VerifyParam::new()?;
    // A self-signed certificate is its own authority, whether it may sign others or not.
    rules.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    rules.set_purpose(X509PurposeId::SSL_CLIENT)?;
    rules.set_auth_level(SECURITY_LEVEL);
    let mut store = X509StoreBuilder::new()?;
    store.set_param(&rules)?;
    for certificate in authorities {
        store.add_cert(certificate.clone())?;
    }
    Ok(store.build())
}

#[cfg(test)]
mod tests {
    use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage};
    use openssl::x509::{X509Extension, X509NameBuilder};

    use super::*;

    /// A self-signed client certificate with this value as its alternative names, or none.
    fn client(names: Option<&[u8]>) -> X509 {
        certificate("alice", "alice", names)
    }

    /// A certificate that says it is of `issuer`, but is signed by its own key.
    fn certificate(subject: &str, issuer: &str, names: Option<&[u8]>) -> X509 {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let named = |name: &str| {
            let mut builder = X509NameBuilder::new().unwrap();
            builder.append_entry_by_text("CN", name).unwrap();
            builder.build()
        };
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&named(subject)).unwrap();
        builder.set_issuer_name(&named(issuer)).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        if subject == "authority" {
            builder.append_extension(BasicConstraints::new().ca().build().unwrap()).unwrap();
        }
        builder
            .append_extension(ExtendedKeyUsage::new().client_auth().build().unwrap())
            .unwrap();
        if let Some(names) = names {
            let value = Asn1OctetString::new_from_bytes(names).unwrap();
            let identifier = Asn1Object::from_str("2.5.29.17").unwrap();
            let extension = X509Extension::new_from_der(&identifier, false, &value).unwrap();
            builder.append_extension(extension).unwrap();
        }
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        builder.build()
    }

    /// The name of a client whose certificate is its own authority.
    fn account(leaf: &X509) -> Result<String, Refusal> {
        let authorities = ClientAuthorities(Source::Given(vec![leaf.clone()]));
        let certificates = ClientCertificates::new(&authorities).unwrap();
        let shown = Shown {
            leaf: leaf.clone(),
            chain: Vec::new(),
        };
        let proven = certificates.judge(Some(&shown))?;
        assert_eq!(proven.issuers, authorities.thumbprints());
        Ok(proven.upn.as_str().to_owned())
    }

    #[test]
    fn a_certificate_may_be_its_own_authority() {
        let alice = Upn::new("alice@localhost").unwrap().to_alternative_names();
        assert_eq!(account(&client(Some(&alice))).unwrap(), "alice@localhost");
        assert!(matches!(account(&client(None)), Err(Refusal::NoUpn)));
    }

    /// No client made with OpenSSL sends such certificates; others may.
    #[test]
    fn names_that_are_no_der_let_nobody_in() {
        let alice = Upn::new("alice@localhost").unwrap().to_alternative_names();
        let mut too_long = alice.clone();
        too_long[1] += 1;
        let mut too_short = alice.clone();
        too_short[1] -= 1;
        let indefinite = [&[0x30, 0x80], &alice[2..], &[0, 0]].concat();
        let trailing = [alice.as_slice(), b"\x05\x00"].concat();
        for bad in [
            &too_long[..],
            &too_short,
            &indefinite,
            &trailing,
            b"alice@localhost",
            b"",
            &alice[..10],
        ] {
            let refused = account(&client(Some(bad)));
            assert!(
                matches!(refused, Err(Refusal::Untrusted { .. } | Refusal::Extension(_))),
                "{bad:x?}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_wrong_signature_leaves_no_error_behind() {
        let alice = Upn::new("alice@localhost").unwrap().to_alternative_names();
        let authorities = ClientAuthorities(Source::Given(vec![certificate("authority", "authority", None)]));
        let certificates = ClientCertificates::new(&authorities).unwrap();
        let shown = Shown {
            leaf: certificate("alice", "authority", Some(&alice)),
            chain: Vec::new(),
        };
        let refused = certificates.judge(Some(&shown));
        let reason = refused.err().map(|refusal| refusal.to_string());
        assert_eq!(
            reason.as_deref(),
            Some("the certificate is not trusted: certificate signature failure")
        );
        assert!(ErrorStack::get().errors().is_empty());
    }
}
