//! The service as a whole.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use openssl::error::ErrorStack;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use winrm_auth::certificate::Upn;
use winrm_auth::channel_binding::InvalidCertificate;
use winrm_auth::kerberos::KerberosError;

use crate::authentication::{Acceptors, AuthMethod};
use crate::builder::ServerBuilder;
use crate::client_certificate::CertificateAccounts;
use crate::host::AnyHost;
use crate::listener::Listener;
use crate::quotas::Quotas;
use crate::shells::Shells;
use crate::tls::IdentityError;
use crate::users::Users;

/// A WinRM service whose listeners are open. It answers once [`serve`](Self::serve) runs.
#[must_use]
pub struct Server {
    listeners: Vec<Listener>,
    certificate_pem: Option<String>,
    service: Arc<Service>,
}

/// What all connections share.
pub(crate) struct Service {
    pub(crate) settings: Settings,
    pub(crate) shells: Arc<Shells>,
}

pub(crate) struct Settings {
    /// With a slash in front and none behind.
    pub(crate) path: String,
    /// The name that faults carry.
    pub(crate) machine: String,
    pub(crate) users: Arc<Users>,
    pub(crate) methods: Vec<AuthMethod>,
    pub(crate) acceptors: Acceptors,
    /// Where clients authenticate with certificates.
    pub(crate) certificates: Option<CertificateAccounts>,
    pub(crate) allow_unencrypted: bool,
    pub(crate) quotas: Quotas,
}

/// How long open connections have for their last answers when the service ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

impl Server {
    /// Sets a service up.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    pub(crate) fn new(listeners: Vec<Listener>, certificate_pem: Option<Vec<u8>>, settings: Settings, host: Arc<dyn AnyHost>) -> Self {
        let service = Service {
            shells: Shells::new(host, settings.quotas.clone()),
            settings,
        };
        Self {
            listeners,
            certificate_pem: certificate_pem.map(|pem| String::from_utf8_lossy(&pem).into_owned()),
            service: Arc::new(service),
        }
    }

    /// The URL of each listener, those for http first: `http://127.0.0.1:5985/wsman`.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.listeners.iter().map(|listener| listener.url().to_owned()).collect()
    }

    /// The address of each listener, in the order of [`urls`](Self::urls).
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(Listener::address).collect()
    }

    /// The certificate of the https listeners, PEM: what a client has to trust. `None` without https.
    #[must_use]
    pub fn certificate_pem(&self) -> Option<&str> {
        self.certificate_pem.as_deref()
    }

    /// Answers until `shutdown` is done. Then no connection is taken any more, all commands are ended with everything they started,
    /// requests that wait for one get their last answer, and the connections are closed.
    ///
    /// Dropping the future ends the same things at once.
    ///
    /// # Errors
    /// None at the moment: what goes wrong with one connection is logged and leaves the others alone.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let (stop, stopped) = watch::channel(false);
        let places = usize::try_from(self.service.settings.quotas.max_connections).unwrap_or(usize::MAX);
        let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        let mut listeners = JoinSet::new();
        for listener in self.listeners {
            tracing::info!(url = listener.url(), "listening");
            listeners.spawn(listener.run(self.service.clone(), places.clone(), stopped.clone()));
        }
        shutdown.await;
        tracing::info!("stopping");
        stop.send_replace(true);
        self.service.shells.close_all().await;
        let closed = async { while listeners.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_ANSWERS, closed).await.is_err() {
            tracing::debug!("connections were cut off");
        }
        Ok(())
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("urls", &self.urls()).finish_non_exhaustive()
    }
}

/// Why a service can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No address to listen on was given.
    #[error("there is no address to listen on")]
    NoListener,
    /// An address can't be had.
    #[error("can't listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// An open listener failed.
    #[error("the listener failed")]
    Listener(#[source] std::io::Error),
    /// The certificate or its key can't be used.
    #[error("the certificate for https can't be used")]
    Identity(#[from] IdentityError),
    /// OpenSSL refuses the certificate, its key or the settings.
    #[error("TLS can't be set up")]
    Tls(#[from] ErrorStack),
    /// There is no such version of CredSSP to be the least.
    #[error("there is no version {0} of CredSSP, only 2 to 6")]
    CredSspVersion(u32),
    /// Kerberos can't be offered.
    #[error("Kerberos can't be offered")]
    Kerberos(#[from] KerberosError),
    /// No channel binding can be made of the certificate.
    #[error("the certificate for https can't be bound to")]
    Binding(#[from] InvalidCertificate),
    /// Certificate authentication without authorities to believe.
    #[error("certificate authentication needs authorities whose client certificates are believed")]
    NoClientAuthorities,
    /// Authorities or mappings without certificate authentication.
    #[error("client certificates have authorities or accounts, but certificate authentication is not offered")]
    CertificatesNotOffered,
    /// Certificate authentication without an https listener.
    #[error("certificate authentication needs an address to listen on for https")]
    CertificatesWithoutTls,
    /// Certificate authentication that lets nobody in.
    #[error("certificate authentication needs a user principal name that is mapped to an account")]
    NothingMapped,
    /// A user principal name is mapped to an account that doesn't exist.
    #[error("{upn} is mapped to {user:?}, which is no account of this service")]
    UnknownAccount {
        /// The name in the certificate.
        upn: Upn,
        /// The account.
        user: String,
    },
    /// A user principal name is mapped twice.
    #[error("{0} is mapped twice")]
    MappedTwice(Upn),
}
