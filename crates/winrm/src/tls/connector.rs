//! The handshake.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslOptions, SslVerifyMode, SslVersion};
use openssl::x509::{X509, X509StoreContextRef, X509VerifyResult};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use winrm_auth::ClientCertificate;

use super::failure::{Refused, handshake_failed, not_pinned};
use super::shared;
use super::shown::{fingerprint, names_address};
use super::watch::{Asked, Watched};
use super::{CertificateCheck, TlsSettings, TlsVersion, authorities};
use crate::error::{Error, ErrorKind};

/// `SSL_OP_LEGACY_SERVER_CONNECT`, which the crate has no name for: talk to servers without RFC 5746.
const LEGACY_SERVER_CONNECT: SslOptions = SslOptions::from_bits_retain(0x4);

/// `X509_V_ERR_IP_ADDRESS_MISMATCH`.
const ADDRESS_MISMATCH: i32 = 64;

/// The client's side of TLS, ready for many connections.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: Arc<SslConnector>,
    settings: TlsSettings,
    /// Whether the host has asked for a certificate.
    asked: Asked,
}

/// A connection, and the server's certificate (DER) that it was made with.
pub(crate) struct Secured {
    pub(crate) stream: SslStream<Watched>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) agreed: Agreed,
}

/// What both sides of a handshake have agreed on, by OpenSSL's names.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    pub(crate) version: &'static str,
    pub(crate) cipher: &'static str,
}

impl Tls {
    pub(crate) fn new(settings: TlsSettings) -> Result<Self, Error> {
        Ok(Self {
            connector: shared::connector(&settings, connector)?,
            settings,
            asked: Asked::default(),
        })
    }

    /// Makes TLS on a connection. `name` is a host's name, or an address without brackets and zone.
    pub(crate) async fn handshake(&self, tcp: TcpStream, name: &str) -> Result<Secured, Error> {
        let failed = |error: ErrorStack| Error::new(ErrorKind::Tls, format!("TLS with {name} can't be set up")).with_source(error);
        let verifies = matches!(self.settings.check, CertificateCheck::System | CertificateCheck::Authorities(_));
        let mut configuration = self.connector.configure().map_err(failed)?;
        configuration.set_verify_hostname(verifies);
        // Names go into SNI, addresses don't (RFC 6066, 3): the crate sees to that. A final dot belongs to DNS alone.
        let mut ssl = configuration
            .into_ssl(name.strip_suffix('.').unwrap_or(name))
            .map_err(|error| Error::new(ErrorKind::Tls, format!("{name:?} can't be a name in TLS")).with_source(error))?;
        let refused: Arc<Mutex<Option<Refused>>> = Arc::default();
        let slot = Arc::clone(&refused);
        match self.settings.check {
            CertificateCheck::Ignore => {}
            CertificateCheck::Pinned(pinned) => {
                // Before anything of ours is sent, a certificate for clients included.
                ssl.set_verify_callback(SslVerifyMode::PEER, move |_, context| {
                    let is_it = leaf_of(context).is_some_and(|leaf| fingerprint(&leaf) == Some(pinned));
                    if is_it {
                        context.set_error(X509VerifyResult::OK);
                    } else {
                        keep(&slot, context);
                    }
                    is_it
                });
            }
            _ => {
                let address: Option<IpAddr> = name.parse().ok();
                ssl.set_verify_callback(SslVerifyMode::PEER, move |accepted, context| {
                    let by_windows_rules = !accepted && is_for_address(context, address);
                    if by_windows_rules {
                        context.set_error(X509VerifyResult::OK);
                    } else if !accepted {
                        keep(&slot, context);
                    }
                    accepted || by_windows_rules
                });
            }
        }
        let watched = Watched::new(tcp, self.asked.clone());
        let mut stream = SslStream::new(ssl, watched).map_err(failed)?;
        if let Err(error) = Pin::new(&mut stream).connect().await {
            let refused = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Err(match refused {
                Some(refused) if matches!(self.settings.check, CertificateCheck::Pinned(_)) => not_pinned(name, &refused.leaf),
                Some(refused) => refused.explain(name),
                None => handshake_failed(name, &error, &self.settings, self.was_asked()),
            });
        }
        let certificate = stream.ssl().peer_certificate();
        let certificate = certificate.ok_or_else(|| Error::new(ErrorKind::Tls, format!("{name} has shown no certificate")))?;
        if let CertificateCheck::Pinned(pinned) = self.settings.check
            && fingerprint(&certificate) != Some(pinned)
        {
            return Err(not_pinned(name, &certificate));
        }
        if stream.ssl().version2() == Some(SslVersion::TLS1_3) {
            // There it can't be seen.
            self.asked.set();
        }
        let agreed = Agreed {
            version: stream.ssl().version_str(),
            cipher: stream.ssl().current_cipher().map_or("none", |cipher| cipher.name()),
        };
        tracing::debug!(name, version = agreed.version, cipher = agreed.cipher, "TLS");
        let certificate = certificate.to_der().map_err(failed)?;
        Ok(Secured {
            stream,
            certificate,
            agreed,
        })
    }

    /// Whether there is a certificate to show where a host asks for one.
    pub(crate) fn is_certified(&self) -> bool {
        self.settings.client.is_some()
    }

    /// Whether the host has asked for it, as far as that can be seen.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.is_true()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn set_client_certificate(builder: &mut SslConnectorBuilder, client: &ClientCertificate) -> Result<(), Error> {
    let unusable = |error: ErrorStack| {
        let subject = client.subject();
        Error::new(
            ErrorKind::Configuration,
            format!("the client certificate of {subject} can't be used"),
        )
        .with_hint("keys below 2048 bits of RSA and signatures with SHA-1 are taken only with the ciphers DEFAULT@SECLEVEL=0")
        .with_source(error)
    };
    builder.set_certificate(client.leaf()).map_err(unusable)?;
    for above in client.chain() {
        builder.add_extra_chain_cert(above.clone()).map_err(unusable)?;
    }
    builder.set_private_key(client.key()).map_err(unusable)
}

fn set_versions(builder: &mut SslConnectorBuilder, settings: &TlsSettings) -> Result<(), Error> {
    let (minimum, maximum) = (settings.minimum, settings.maximum);
    if let Some(maximum) = maximum.filter(|maximum| *maximum < minimum) {
        let message = format!("the lowest version of TLS ({minimum}) is above the highest ({maximum})");
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    let unknown = |version: TlsVersion| {
        move |error: ErrorStack| {
            let message = format!("the OpenSSL of this machine has no TLS {version}");
            Error::new(ErrorKind::Configuration, message).with_source(error)
        }
    };
    if minimum.is_weak() {
        // OpenSSL 3 signs with SHA-1, as these versions do, at level 0 only. It goes for the connections of this client.
        builder.set_security_level(0);
        builder.set_options(LEGACY_SERVER_CONNECT);
    }
    builder.set_min_proto_version(Some(minimum.openssl())).map_err(unknown(minimum))?;
    // Without a maximum: none, whatever the system's configuration says.
    builder
        .set_max_proto_version(maximum.map(TlsVersion::openssl))
        .map_err(unknown(maximum.unwrap_or(TlsVersion::Tls1_3)))
}

/// Sets a list of OpenSSL's names. Those of TLS 1.3, which begin with `TLS_`, have a list of their own in OpenSSL; the list of
/// which there is no name stays as it is.
fn set_ciphers(builder: &mut SslConnectorBuilder, list: &str) -> Result<(), Error> {
    let names = || list.split([':', ',', ' ']).filter(|name| !name.is_empty());
    let unknown = |name: &str| {
        let message = format!("the OpenSSL of this machine knows no cipher {name:?}");
        Error::new(ErrorKind::Configuration, message).with_hint("`openssl ciphers -v ALL:@SECLEVEL=0` lists them")
    };
    let unusable = |error: ErrorStack| Error::new(ErrorKind::Configuration, "the list of ciphers can't be used").with_source(error);
    // OpenSSL passes over names that it doesn't know, as long as it knows one.
    for name in names() {
        let mut trial = SslConnector::builder(SslMethod::tls_client()).map_err(unusable)?;
        let plain = name.trim_start_matches(['!', '-', '+']);
        let is_known = match plain.strip_prefix('@') {
            Some(_) => trial.set_cipher_list(&format!("DEFAULT:{plain}")).is_ok(),
            None if is_tls13(plain) => trial.set_ciphersuites(plain).is_ok(),
            None => {
                trial.set_security_level(0);
                plain == "DEFAULT" || trial.set_cipher_list(plain).is_ok()
            }
        };
        if !is_known {
            return Err(unknown(name));
        }
    }
    let (suites, ciphers): (Vec<&str>, Vec<&str>) = names().partition(|name| is_tls13(name));
    if suites.is_empty() && ciphers.is_empty() {
        return Err(Error::new(ErrorKind::Configuration, "the list of ciphers is empty"));
    }
    if !suites.is_empty() {
        builder.set_ciphersuites(&suites.join(":")).map_err(unusable)?;
    }
    if !ciphers.is_empty() {
        builder.set_cipher_list(&ciphers.join(":")).map_err(unusable)?;
    }
    Ok(())
}

fn is_tls13(name: &str) -> bool {
    name.starts_with("TLS_")
}

fn leaf_of(context: &X509StoreContextRef) -> Option<X509> {
    let first = context.chain().and_then(|chain| chain.get(0));
    first.or_else(|| context.current_cert()).map(ToOwned::to_owned)
}

/// Keeps the first refusal: what follows are its consequences.
fn keep(slot: &Mutex<Option<Refused>>, context: &X509StoreContextRef) {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(leaf) = leaf_of(context)
        && slot.is_none()
    {
        let above = context.current_cert().filter(|_| context.error_depth() > 0);
        *slot = Some(Refused {
            reason: context.error(),
            leaf,
            above: above.map(ToOwned::to_owned),
        });
    }
}

/// Whether the refusal is for the address alone, and the certificate is for it after all.
fn is_for_address(context: &X509StoreContextRef, address: Option<IpAddr>) -> bool {
    let Some(address) = address.filter(|_| context.error().as_raw() == ADDRESS_MISMATCH) else {
        return false;
    };
    leaf_of(context).is_some_and(|leaf| names_address(&leaf, address))
}

/// What OpenSSL makes connections from: it holds the certificates of all authorities, which takes milliseconds and megabytes.
fn connector(settings: &TlsSettings) -> Result<SslConnector, Error> {
    let unusable = |error: ErrorStack| Error::new(ErrorKind::Configuration, "TLS can't be set up").with_source(error);
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(unusable)?;
    set_versions(&mut builder, settings)?;
    if let Some(ciphers) = &settings.ciphers {
        set_ciphers(&mut builder, ciphers)?;
    }
    match &settings.check {
        CertificateCheck::System => authorities::check_system_store()?,
        CertificateCheck::Authorities(path) => builder.set_cert_store(authorities::store(path)?),
        CertificateCheck::Pinned(_) => {}
        CertificateCheck::Ignore => builder.set_verify(SslVerifyMode::NONE),
    }
    if let Some(client) = &settings.client {
        set_client_certificate(&mut builder, client)?;
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(settings: TlsSettings) -> String {
        let error = Tls::new(settings).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        error.to_string()
    }

    fn with_ciphers(list: &str) -> TlsSettings {
        TlsSettings {
            ciphers: Some(list.to_owned()),
            ..TlsSettings::default()
        }
    }

    #[test]
    fn ciphers_by_openssls_names() {
        for list in [
            "ECDHE-RSA-AES256-SHA384",
            "AES256-SHA:AES128-SHA",
            "DEFAULT@SECLEVEL=0",
            "DEFAULT:@SECLEVEL=1",
            "ALL:!aNULL:@STRENGTH",
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384,ECDHE+AESGCM",
        ] {
            assert!(Tls::new(with_ciphers(list)).is_ok(), "{list}");
        }
        for (list, unknown) in [
            ("AES256-SHA:AES512-SHA", "AES512-SHA"),
            ("nonsense", "nonsense"),
            ("TLS_AES_512_GCM_SHA999:AES256-SHA", "TLS_AES_512_GCM_SHA999"),
            ("AES256-SHA:@SECLEVEL=9", "@SECLEVEL=9"),
        ] {
            assert_eq!(
                refused(with_ciphers(list)),
                format!("the OpenSSL of this machine knows no cipher {unknown:?}")
            );
        }
        assert_eq!(refused(with_ciphers(":")), "the list of ciphers is empty");
    }

    #[test]
    fn versions_have_to_leave_something() {
        let settings = TlsSettings {
            minimum: TlsVersion::Tls1_3,
            maximum: Some(TlsVersion::Tls1_2),
            ..TlsSettings::default()
        };
        assert_eq!(refused(settings), "the lowest version of TLS (1.3) is above the highest (1.2)");
    }
}
