//! What a host shows to a client that has not said who it is.

use std::time::SystemTime;

use http::header;
use openssl::error::ErrorStack;
use openssl::x509::X509;

use crate::answer;
use crate::error::{Error, ErrorKind};
use crate::session::Session;
use crate::tls::ShownCertificate;

/// What [`Client::probe`](crate::Client::probe) has found. The texts are a stranger's, with control characters taken out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Probe {
    /// The status of the answer; a WinRM service says 401.
    pub status: u16,
    /// The names of the schemes of authentication that are offered, in their order (`WWW-Authenticate`).
    pub schemes: Vec<String>,
    /// What the host's clock said (`Date`, whole seconds).
    pub date: Option<SystemTime>,
    /// What calls itself the server: `Microsoft-HTTPAPI/2.0` for Windows.
    pub server: Option<String>,
    /// The TLS around it.
    pub tls: Option<ProbedTls>,
}

/// The TLS of a [`Probe`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProbedTls {
    /// The version that was agreed on, by OpenSSL's name: `TLSv1.2`.
    pub version: String,
    /// The cipher that was agreed on, by OpenSSL's name.
    pub cipher: String,
    /// What the host's certificate says of itself.
    pub certificate: ShownCertificate,
    /// The host's certificate, DER.
    pub der: Vec<u8>,
}

impl Probe {
    pub(crate) async fn of(session: &Session) -> Result<Self, Error> {
        let (connection, answer) = session.knock().await?;
        let text = |name| {
            let value = answer.headers.get(name)?;
            value.to_str().ok().map(answer::printable)
        };
        let tls = match (connection.certificate, connection.agreed) {
            (Some(der), Some(agreed)) => {
                let unreadable = |error: ErrorStack| Error::new(ErrorKind::Tls, "the host's certificate can't be read").with_source(error);
                let certificate = X509::from_der(&der).map_err(unreadable)?;
                Some(ProbedTls {
                    version: agreed.version.to_owned(),
                    cipher: agreed.cipher.to_owned(),
                    certificate: ShownCertificate::of(&certificate),
                    der,
                })
            }
            _ => None,
        };
        Ok(Self {
            status: answer.status.as_u16(),
            schemes: answer::offered(&answer.headers),
            date: text(header::DATE).and_then(|date| httpdate::parse_http_date(&date).ok()),
            server: text(header::SERVER),
            tls,
        })
    }
}
