//! The service as a whole.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use openssl::error::ErrorStack;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use winrm_auth::certificate::Upn;
use winrm_auth::channel_binding::InvalidCertificate;
use winrm_auth::kerberos::KerberosError;
use winrm_proto::sddl::SddlError;

use crate::authentication::Acceptors;
use crate::buffers::Buffers;
use crate::builder::ServerBuilder;
use crate::cim::{Classes, NamespaceSecurity};
use crate::client_certificate::ClientCertificates;
use crate::configuration::{Capabilities, ConfigurationStore};
use crate::enumerations::Enumerations;
use crate::identities::Identities;
use crate::listeners::{Listeners, Opened, Places};
use crate::shells::Shells;
use crate::tls::IdentityError;
use crate::users::Users;

/// A WinRM service whose listeners are open. It answers once [`serve`](Self::serve) runs.
#[must_use]
pub struct Server {
    /// Those that are open, and those that clients will open.
    opened: mpsc::UnboundedReceiver<Opened>,
    certificate_pem: Option<String>,
    service: Arc<Service>,
}

/// What all connections share.
pub(crate) struct Service {
    pub(crate) settings: Settings,
    pub(crate) configuration: Arc<ConfigurationStore>,
    pub(crate) listeners: Listeners,
    pub(crate) places: Places,
    pub(crate) shells: Arc<Shells>,
    pub(crate) classes: Classes,
    pub(crate) namespaces: Arc<NamespaceSecurity>,
    pub(crate) enumerations: Arc<Enumerations>,
    pub(crate) buffers: Arc<Buffers>,
}

/// What stays as it is while the service runs.
pub(crate) struct Settings {
    /// The name that faults carry.
    pub(crate) machine: String,
    pub(crate) users: Arc<Users>,
    pub(crate) identities: Arc<Identities>,
    pub(crate) acceptors: Acceptors,
    /// Where clients may authenticate with certificates.
    pub(crate) certificates: Option<ClientCertificates>,
}

impl Service {
    /// What the service can be told to do.
    pub(crate) fn capabilities(&self) -> Capabilities {
        Capabilities {
            kerberos: self.settings.acceptors.has_kerberos(),
            certificates: self.settings.certificates.is_some(),
            thumbprints: self.listeners.thumbprints(),
        }
    }
}

/// How long open connections have for their last answers when the service ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

impl Server {
    /// Sets a service up.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    pub(crate) fn new(service: Service, opened: mpsc::UnboundedReceiver<Opened>, certificate_pem: Option<Vec<u8>>) -> Self {
        Self {
            opened,
            certificate_pem: certificate_pem.map(|pem| String::from_utf8_lossy(&pem).into_owned()),
            service: Arc::new(service),
        }
    }

    /// The URL of each listener, those for http first: `http://127.0.0.1:5985/wsman`.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.service.listeners.all().into_iter().map(|listener| listener.url).collect()
    }

    /// The address of each listener, in the order of [`urls`](Self::urls).
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let listeners = self.service.listeners.all();
        listeners.into_iter().filter_map(|listener| listener.listening_on).collect()
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
    pub async fn serve(mut self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let mut listeners = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                Some(Opened { listener, stop }) = self.opened.recv() => {
                    tracing::info!(url = listener.url(), "listening");
                    listeners.spawn(listener.run(self.service.clone(), stop));
                }
                Some(_) = listeners.join_next(), if !listeners.is_empty() => {}
                () = &mut shutdown => break,
            }
        }
        tracing::info!("stopping");
        self.opened.close();
        self.service.listeners.stop();
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
    /// Someone is to be an operator who is no account.
    #[error("{0:?} is to be an operator, and is no account of this service")]
    UnknownOperator(String),
    /// The security descriptor of the service can't be read.
    #[error("the security descriptor can't be read: {0}")]
    RootSddl(#[from] SddlError),
    /// A user principal name is mapped twice.
    #[error("{0} is mapped twice")]
    MappedTwice(Upn),
}
