//! Setting a service up.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use winrm_auth::Credentials;

use crate::authentication::AuthMethod;
use crate::host::{AnyHost, Host, LocalHost};
use crate::listener::Listener;
use crate::quotas::Quotas;
use crate::server::{ServeError, Server, Settings};
use crate::tls::Identity;
use crate::users::Users;

/// Sets a service up; [`Server::builder`] makes one.
#[must_use]
pub struct ServerBuilder {
    listen: Vec<SocketAddr>,
    tls_listen: Vec<SocketAddr>,
    identity: Option<Identity>,
    path: String,
    users: Users,
    methods: Vec<AuthMethod>,
    allow_unencrypted: bool,
    quotas: Quotas,
    host: Arc<dyn AnyHost>,
}

impl ServerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            listen: Vec::new(),
            tls_listen: Vec::new(),
            identity: None,
            path: "/wsman".to_owned(),
            users: Users::new(),
            methods: AuthMethod::ALL.to_vec(),
            allow_unencrypted: false,
            quotas: Quotas::default(),
            host: Arc::new(LocalHost::new()),
        }
    }

    /// Listens for http on this address; may be called again. Port 0 takes a free one.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen.push(address);
        self
    }

    /// Listens for https on this address; may be called again. Port 0 takes a free one.
    pub fn tls_listen(mut self, address: SocketAddr) -> Self {
        self.tls_listen.push(address);
        self
    }

    /// The certificate and key for https; a self-signed one is made where none is given.
    pub fn tls_identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The URL's path; `/wsman` if not set. Compared without regard to case.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Adds an account; one of the same name is replaced.
    pub fn user(mut self, credentials: Credentials) -> Self {
        self.users.add(credentials);
        self
    }

    /// Adds all these accounts.
    pub fn users(mut self, users: Users) -> Self {
        self.users.extend(users);
        self
    }

    /// The ways to authenticate, in the order in which they are offered; all that there are if not set.
    pub fn authentication(mut self, methods: Vec<AuthMethod>) -> Self {
        self.methods = methods;
        self
    }

    /// Takes clear-text messages over http. Off by default, as on Windows: passwords and everything else can be read on the way.
    pub fn allow_unencrypted(mut self, allow: bool) -> Self {
        self.allow_unencrypted = allow;
        self
    }

    /// The limits.
    pub fn quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = quotas;
        self
    }

    /// What runs behind a shell; [`LocalHost`] if not set.
    pub fn host(mut self, host: impl Host) -> Self {
        self.host = Arc::new(host);
        self
    }

    /// Opens all listeners. Connections queue up until [`Server::serve`] takes them.
    ///
    /// # Errors
    /// [`ServeError`] when there is no listener, an address can't be had, or the certificate can't be used.
    pub async fn bind(self) -> Result<Server, ServeError> {
        if self.listen.is_empty() && self.tls_listen.is_empty() {
            return Err(ServeError::NoListener);
        }
        let path = format!("/{}", self.path.trim_matches('/'));
        let mut listeners = Vec::new();
        for address in self.listen {
            listeners.push(Listener::http(bind(address).await?, &path)?);
        }
        let mut certificate_pem = None;
        if !self.tls_listen.is_empty() {
            let identity = match self.identity {
                Some(identity) => identity,
                None => Identity::self_signed()?,
            };
            certificate_pem = Some(identity.certificate_pem()?);
            for address in self.tls_listen {
                listeners.push(Listener::https(bind(address).await?, &path, &identity)?);
            }
        }
        let settings = Settings {
            path,
            users: self.users,
            methods: self.methods,
            allow_unencrypted: self.allow_unencrypted,
            quotas: self.quotas,
        };
        Ok(Server::new(listeners, certificate_pem, settings, self.host))
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Bind { address, source })
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("listen", &self.listen)
            .field("tls_listen", &self.tls_listen)
            .field("users", &self.users)
            .finish_non_exhaustive()
    }
}
