//! Why TLS has failed, in sentences.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use openssl::ssl;
use openssl::x509::{X509, X509VerifyResult};

use super::shown::ShownCertificate;
use super::{TlsSettings, TlsVersion};
use crate::error::{Error, ErrorKind};

/// What went wrong with TLS: the reason of an [`ErrorKind::Tls`]; see [`Error::as_tls`].
#[derive(Clone, Debug)]
pub struct TlsFailure {
    problem: TlsProblem,
    certificate: Option<ShownCertificate>,
    detail: String,
}

/// The reason of a [`TlsFailure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsProblem {
    /// The host's certificate is signed by itself, and not trusted.
    SelfSigned,
    /// The host's certificate was issued by an authority that isn't trusted.
    UnknownIssuer,
    /// The host's certificate, or one above it, has expired.
    Expired,
    /// The host's certificate, or one above it, is not valid yet.
    NotYetValid,
    /// The host's certificate is for other names.
    WrongName,
    /// The host's certificate is not meant for servers, or one above it not for authorities.
    WrongUsage,
    /// The host's certificate was revoked.
    Revoked,
    /// A key or a signature of the host's certificates is too weak.
    WeakCertificate,
    /// The host's certificate is not the pinned one.
    NotPinned,
    /// Something else speaks against the host's certificate.
    Certificate,
    /// The host speaks none of the allowed versions.
    Version,
    /// The host and this machine have no cipher in common.
    NoCommonCipher,
    /// The host's way to agree on keys is too weak.
    WeakKeyExchange,
    /// What listens there does not speak TLS.
    NotTls,
    /// The connection ended during the handshake.
    Closed,
    /// The host wants a client certificate, and none was given.
    ClientCertificateWanted,
    /// The host refused the client certificate.
    ClientCertificateRefused,
    /// Anything else.
    Other,
}

impl TlsFailure {
    /// The reason.
    #[must_use]
    pub fn problem(&self) -> TlsProblem {
        self.problem
    }

    /// The host's certificate, where that is what was refused.
    #[must_use]
    pub fn certificate(&self) -> Option<&ShownCertificate> {
        self.certificate.as_ref()
    }
}

impl fmt::Display for TlsFailure {
    /// OpenSSL's own words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl StdError for TlsFailure {}

/// Results of OpenSSL's verification, `X509_V_ERR_…` of `x509_vfy.h`.
mod verify {
    /// The last two are wrong signatures: those of another authority of the same name.
    pub(super) const ISSUER_UNKNOWN: [i32; 9] = [2, 19, 20, 21, 27, 28, 33, 4, 7];
    pub(super) const SELF_SIGNED: i32 = 18;
    pub(super) const NOT_YET_VALID: i32 = 9;
    pub(super) const EXPIRED: i32 = 10;
    pub(super) const REVOKED: i32 = 23;
    /// No authority, the wrong purpose, and the wrong key usage.
    pub(super) const WRONG_USAGE: [i32; 5] = [24, 26, 32, 79, 85];
    pub(super) const NAME_MISMATCH: [i32; 2] = [62, 64];
    pub(super) const WEAK: [i32; 3] = [66, 67, 68];
}

/// What the verification had against a chain.
pub(super) struct Refused {
    pub(super) reason: X509VerifyResult,
    /// The host's own certificate.
    pub(super) leaf: X509,
    /// The one above it that is the trouble, if it is not the host's own.
    pub(super) above: Option<X509>,
}

impl Refused {
    pub(super) fn explain(self, name: &str) -> Error {
        let reason = self.reason.as_raw();
        let shown = ShownCertificate::of(&self.leaf);
        let (problem, what, hint) = if reason == verify::SELF_SIGNED {
            (
                TlsProblem::SelfSigned,
                "is self-signed, and not trusted".to_owned(),
                "give the certificate as an authority, or pin its fingerprint, after comparing it on the host itself",
            )
        } else if verify::ISSUER_UNKNOWN.contains(&reason) {
            (
                TlsProblem::UnknownIssuer,
                "was issued by an authority that is not trusted".to_owned(),
                "give the file of the authority's certificate, or add it to the system's store",
            )
        } else if reason == verify::EXPIRED {
            (
                TlsProblem::Expired,
                "has expired".to_owned(),
                "renew it on the host, and check this machine's clock; or pin its fingerprint",
            )
        } else if reason == verify::NOT_YET_VALID {
            (
                TlsProblem::NotYetValid,
                "is not valid yet".to_owned(),
                "check the clocks of both machines",
            )
        } else if verify::NAME_MISMATCH.contains(&reason) {
            let names = if shown.names.is_empty() {
                "no name".to_owned()
            } else {
                shown.names.join(", ")
            };
            (
                TlsProblem::WrongName,
                format!("is for {names}"),
                "use a name that the certificate holds, or say which one to expect (server name)",
            )
        } else if reason == verify::REVOKED {
            (
                TlsProblem::Revoked,
                "was revoked by its authority".to_owned(),
                "give the host a new certificate; the old one's key may be in other hands",
            )
        } else if verify::WRONG_USAGE.contains(&reason) {
            (
                TlsProblem::WrongUsage,
                "was not issued for this use".to_owned(),
                "a host needs a certificate for server authentication, from a certificate that may issue others",
            )
        } else if verify::WEAK.contains(&reason) {
            (
                TlsProblem::WeakCertificate,
                "has a key or a signature that is too weak".to_owned(),
                "renew it with a key of RSA 2048 or more and SHA-256, or allow it by the ciphers DEFAULT@SECLEVEL=0",
            )
        } else {
            (
                TlsProblem::Certificate,
                "was not accepted".to_owned(),
                "correct the certificate on the host, or pin its fingerprint",
            )
        };
        let message = match &self.above {
            // The dates of an authority are as good a reason as those of the host.
            Some(above) if !matches!(problem, TlsProblem::SelfSigned | TlsProblem::UnknownIssuer) => {
                let above = ShownCertificate::of(above);
                format!("a certificate above that of {name} {what}: {above}; below it: {shown}")
            }
            _ => format!("the certificate of {name} {what}: {shown}"),
        };
        Error::new(ErrorKind::Tls, message).with_hint(hint).with_source(TlsFailure {
            problem,
            certificate: Some(shown),
            detail: self.reason.error_string().to_owned(),
        })
    }
}

/// The host has shown another certificate than the pinned one.
pub(super) fn not_pinned(name: &str, certificate: &X509) -> Error {
    let shown = ShownCertificate::of(certificate);
    Error::new(ErrorKind::Tls, format!("the certificate of {name} is not the pinned one: {shown}"))
        .with_hint("if the host has a new certificate, compare its fingerprint on the host itself and pin that")
        .with_source(TlsFailure {
            problem: TlsProblem::NotPinned,
            certificate: Some(shown),
            detail: "the fingerprints differ".to_owned(),
        })
}

/// Reasons of OpenSSL's errors, `SSL_R_…` of `sslerr.h`. From 1000 on they are alerts that the other side has sent.
mod reason {
    pub(super) const HTTP_ANSWERED: [i32; 6] = [155, 156, 198, 252, 267, 130];
    pub(super) const VERSION: [i32; 3] = [191, 258, 260];
    pub(super) const NO_CIPHER: [i32; 4] = [181, 185, 193, 261];
    pub(super) const WEAK_KEY_EXCHANGE: [i32; 4] = [102, 394, 399, 333];
    pub(super) const UNSAFE_RENEGOTIATION: i32 = 338;
    pub(super) const UNEXPECTED_END: i32 = 294;
    /// `SSL_AD_REASON_OFFSET`.
    pub(super) const ALERT: i32 = 1000;
}

/// Alerts, RFC 8446, 6.2.
mod alert {
    pub(super) const HANDSHAKE_FAILURE: i32 = 40;
    pub(super) const PROTOCOL_VERSION: i32 = 70;
    pub(super) const INSUFFICIENT_SECURITY: i32 = 71;
    pub(super) const CERTIFICATE_REQUIRED: i32 = 116;

    /// What an alert about our certificate says.
    pub(super) fn about_certificate(number: i32) -> Option<&'static str> {
        Some(match number {
            41 => "it has none of us",
            42 => "it finds it damaged (bad certificate)",
            43 => "it does not take its kind (unsupported certificate)",
            44 => "it was revoked (certificate revoked)",
            45 => "it has expired (certificate expired)",
            46 => "something speaks against it (certificate unknown)",
            48 => "it does not know its authority (unknown CA)",
            49 => "it is not let in (access denied)",
            51 => "its signature is not accepted (decrypt error)",
            _ => return None,
        })
    }
}

/// Why no connection was made, the host's certificate apart. `asked`: whether the host wanted to see a certificate.
pub(super) fn handshake_failed(name: &str, error: &ssl::Error, settings: &TlsSettings, asked: bool) -> Error {
    let certified = settings.client.is_some();
    let reasons: Vec<i32> = error
        .ssl_error()
        .iter()
        .flat_map(|stack| stack.errors())
        .map(openssl::error::Error::reason_code)
        .collect();
    let has = |wanted: &[i32]| reasons.iter().any(|reason| wanted.contains(reason));
    // Up to TLS 1.2 a host that gets no certificate says no more than that the handshake failed.
    let is_missing = asked && !certified && has(&[reason::ALERT + alert::HANDSHAKE_FAILURE]);
    if is_missing {
        return client_certificate_wanted(name, words(error));
    }
    if let Some(failure) = client_certificate_refused(name, &reasons, certified, words(error)) {
        return failure;
    }
    let alert = |number: i32| has(&[reason::ALERT + number]);
    let ended = reasons.is_empty() || has(&[reason::UNEXPECTED_END]);
    let (problem, what, hint) = if has(&reason::HTTP_ANSWERED) {
        (
            TlsProblem::NotTls,
            String::new(),
            "what listens there does not speak TLS: is it the port for http?".to_owned(),
        )
    } else if has(&reason::VERSION) || alert(alert::PROTOCOL_VERSION) {
        (
            TlsProblem::Version,
            format!(": it speaks no TLS {}", range(settings)),
            older(settings),
        )
    } else if has(&reason::NO_CIPHER) || alert(alert::HANDSHAKE_FAILURE) || alert(alert::INSUFFICIENT_SECURITY) {
        let hint = if certified {
            "the ciphers of both sides may be too different, or the host takes no certificate like ours"
        } else {
            "old hosts have ciphers and versions that are off by default: allow an older version or name their ciphers; or the host \
             wants a client certificate"
        };
        (TlsProblem::NoCommonCipher, ": no cipher in common".to_owned(), hint.to_owned())
    } else if has(&reason::WEAK_KEY_EXCHANGE) {
        (
            TlsProblem::WeakKeyExchange,
            ": its keys or signatures are too weak".to_owned(),
            "give the host stronger ones, or allow them by the ciphers DEFAULT@SECLEVEL=0".to_owned(),
        )
    } else if has(&[reason::UNSAFE_RENEGOTIATION]) {
        (
            TlsProblem::Version,
            ": it lacks secure renegotiation (RFC 5746)".to_owned(),
            "bring its updates up to date; a minimum version of TLS 1.0 takes such hosts as they are".to_owned(),
        )
    } else if ended {
        (
            TlsProblem::Closed,
            String::new(),
            "the host closed the connection during the handshake: has its https listener a certificate, and does it take this \
             version of TLS?"
                .to_owned(),
        )
    } else {
        (
            TlsProblem::Other,
            String::new(),
            "the host and this machine may have no version or cipher of TLS in common".to_owned(),
        )
    };
    Error::new(ErrorKind::Tls, format!("TLS with {name} has failed{what}"))
        .with_hint(hint)
        .with_source(TlsFailure {
            problem,
            certificate: None,
            detail: words(error),
        })
}

/// `from 1.2 on`, `from 1.0 to 1.1`.
fn range(settings: &TlsSettings) -> String {
    match settings.maximum {
        Some(maximum) if maximum == settings.minimum => maximum.to_string(),
        Some(maximum) => format!("from {} to {maximum}", settings.minimum),
        None => format!("from {} on", settings.minimum),
    }
}

fn older(settings: &TlsSettings) -> String {
    let newer = "allow a newer version (--tls-max)";
    let older = "old hosts have TLS 1.0 only (Server 2008, and 2008 R2 without updates): a minimum of 1.0 takes them, where the network \
                 is trusted (--tls-min 1.0)";
    match (settings.minimum, settings.maximum) {
        (TlsVersion::Tls1_0, _) => newer.to_owned(),
        (_, None | Some(TlsVersion::Tls1_3)) => older.to_owned(),
        (_, Some(_)) => format!("{newer}; or {older}"),
    }
}

fn client_certificate_wanted(name: &str, detail: String) -> Error {
    Error::new(ErrorKind::Tls, format!("{name} wants a client certificate, and none was given"))
        .with_hint("give one with its key; the account it stands for is up to the host")
        .with_source(TlsFailure {
            problem: TlsProblem::ClientCertificateWanted,
            certificate: None,
            detail,
        })
}

fn client_certificate_refused(name: &str, reasons: &[i32], certified: bool, detail: String) -> Option<Error> {
    let alerts = || reasons.iter().map(|reason| reason - reason::ALERT);
    if !certified {
        let wanted = alerts().any(|number| number == alert::CERTIFICATE_REQUIRED || number == 41);
        return wanted.then(|| client_certificate_wanted(name, detail));
    }
    let why = alerts().find_map(|number| match number {
        alert::CERTIFICATE_REQUIRED => Some("it did not get it"),
        number => alert::about_certificate(number),
    })?;
    Some(
        Error::new(ErrorKind::Tls, format!("{name} refused our certificate: {why}"))
            .with_hint("it has to be valid, for client authentication, and from an authority that the host trusts for clients")
            .with_source(TlsFailure {
                problem: TlsProblem::ClientCertificateRefused,
                certificate: None,
                detail,
            }),
    )
}

/// The same for a connection that broke later: in TLS 1.3, and in a renegotiation, hosts look at our certificate after the
/// handshake.
///
/// `asked`: whether the host wanted to see a certificate.
pub(crate) fn refused_later(name: &str, error: &(dyn StdError + 'static), certified: bool, asked: bool) -> Option<Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error's source is that of what it wraps, which is then left out.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<ssl::Error>());
        if let Some(error) = error.downcast_ref::<ssl::Error>().or(wrapped) {
            let stack = error.ssl_error()?;
            let reasons: Vec<i32> = stack.errors().iter().map(openssl::error::Error::reason_code).collect();
            if asked && !certified && reasons.contains(&(reason::ALERT + alert::HANDSHAKE_FAILURE)) {
                return Some(client_certificate_wanted(name, words(error)));
            }
            return client_certificate_refused(name, &reasons, certified, words(error));
        }
        next = error.source();
    }
    None
}

/// OpenSSL's words without its numbers.
fn words(error: &ssl::Error) -> String {
    let reasons: Vec<&str> = error
        .ssl_error()
        .iter()
        .flat_map(|stack| stack.errors())
        .filter_map(openssl::error::Error::reason)
        .collect();
    if !reasons.is_empty() {
        return reasons.join(", ");
    }
    match error.io_error() {
        Some(error) => error.to_string(),
        None => "the connection was closed".to_owned(),
    }
}
