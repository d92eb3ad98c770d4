//! Setting a service up.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use winrm_auth::Credentials;
use winrm_auth::certificate::Upn;
use winrm_auth::kerberos::KerberosService;

use crate::authentication::{Acceptors, AuthMethod};
use crate::client_certificate::{CertificateAccounts, ClientAuthorities};
use crate::credssp::CredSsp;
use crate::host::{AnyHost, Host, LocalHost};
use crate::listener::Listener;
use crate::quotas::Quotas;
use crate::server::{ServeError, Server, Settings};
use crate::tls::{Identity, machine_name};
use crate::users::Users;

/// Sets a service up; [`Server::builder`] makes one.
#[must_use]
pub struct ServerBuilder {
    listen: Vec<SocketAddr>,
    tls_listen: Vec<SocketAddr>,
    identity: Option<Identity>,
    path: String,
    users: Users,
    methods: Option<Vec<AuthMethod>>,
    keytab: Option<String>,
    client_authorities: Option<ClientAuthorities>,
    mapped: Vec<(Upn, String)>,
    any_principal: bool,
    require_channel_binding: bool,
    credssp: CredSsp,
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
            methods: None,
            keytab: None,
            client_authorities: None,
            mapped: Vec::new(),
            any_principal: false,
            require_channel_binding: false,
            credssp: CredSsp::default(),
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

    /// The ways to authenticate, in the order in which they are offered. If not set: all, Kerberos only with a
    /// [`keytab`](Self::keytab), certificates only with [`client_authorities`](Self::client_authorities).
    pub fn authentication(mut self, methods: Vec<AuthMethod>) -> Self {
        self.methods = Some(methods);
        self
    }

    /// The key table with the keys of the service's principals (`HTTP/host@REALM`): a path. With [`AuthMethod::Kerberos`] but without
    /// this, the system's default table is taken (`KRB5_KTNAME`, `/etc/krb5.keytab`).
    ///
    /// A principal gets in if it is among the users, as `name@REALM` or as `REALM\\name`; the password there plays no role for it.
    pub fn keytab(mut self, path: impl Into<String>) -> Self {
        self.keytab = Some(path.into());
        self
    }

    /// Lets in everyone for whom the KDC vouches, users or not. Off by default: all of them run commands as this service does.
    pub fn allow_any_principal(mut self, allow: bool) -> Self {
        self.any_principal = allow;
        self
    }

    /// Takes client certificates over https that these authorities have issued, or that are among these themselves. They need the
    /// extended usage of client authentication, and exactly one user principal name, which is mapped by
    /// [`map_certificate`](Self::map_certificate). The https listeners then offer TLS 1.2 alone, as Windows' do.
    pub fn client_authorities(mut self, authorities: ClientAuthorities) -> Self {
        self.client_authorities = Some(authorities);
        self
    }

    /// Lets clients with a certificate of this user principal name in as `user`, who has to be among the accounts. The letters A to Z
    /// of the name are compared without regard to case. May be called again.
    pub fn map_certificate(mut self, upn: Upn, user: impl Into<String>) -> Self {
        self.mapped.push((upn, user.into()));
        self
    }

    /// Refuses NTLM and Kerberos over https without a channel binding. Off by default, as on Windows: then only wrong ones are refused.
    pub fn require_channel_binding(mut self, require: bool) -> Self {
        self.require_channel_binding = require;
        self
    }

    /// How [`AuthMethod::CredSsp`] is offered.
    pub fn credssp(mut self, credssp: CredSsp) -> Self {
        self.credssp = credssp;
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
        if let Some(version) = self.credssp.impossible_version() {
            return Err(ServeError::CredSspVersion(version));
        }
        let certificates = match &self.methods {
            Some(methods) => methods.contains(&AuthMethod::Certificate),
            None => self.client_authorities.is_some(),
        };
        let certificates = match (certificates, &self.client_authorities) {
            (true, Some(_)) if self.tls_listen.is_empty() => return Err(ServeError::CertificatesWithoutTls),
            (true, Some(authorities)) => Some(CertificateAccounts::new(authorities, mapped(self.mapped, &self.users)?)?),
            (true, None) => return Err(ServeError::NoClientAuthorities),
            (false, None) if self.mapped.is_empty() => None,
            (false, _) => return Err(ServeError::CertificatesNotOffered),
        };
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
                listeners.push(Listener::https(
                    bind(address).await?,
                    &path,
                    &identity,
                    self.client_authorities.as_ref(),
                )?);
            }
        }
        let kerberos = match &self.methods {
            Some(methods) if methods.contains(&AuthMethod::Kerberos) => true,
            // Part of Negotiate.
            _ => self.keytab.is_some(),
        };
        let kerberos = if kerberos { Some(open_keytab(self.keytab).await?) } else { None };
        let methods = self.methods.unwrap_or_else(|| {
            let all = AuthMethod::ALL.iter().copied();
            all.filter(|method| match method {
                AuthMethod::Kerberos => kerberos.is_some(),
                AuthMethod::Certificate => certificates.is_some(),
                _ => true,
            })
            .collect()
        });
        let users = Arc::new(self.users);
        let machine = machine_name();
        let acceptors = Acceptors::new(
            users.clone(),
            &machine,
            kerberos,
            self.any_principal,
            self.require_channel_binding,
            self.credssp,
        );
        let settings = Settings {
            path,
            machine,
            users,
            methods,
            acceptors,
            certificates,
            allow_unencrypted: self.allow_unencrypted,
            quotas: self.quotas,
        };
        Ok(Server::new(listeners, certificate_pem, settings, self.host))
    }
}

/// The accounts behind user principal names, by their own names.
fn mapped(mapped: Vec<(Upn, String)>, users: &Users) -> Result<Vec<(Upn, String)>, ServeError> {
    if mapped.is_empty() {
        return Err(ServeError::NothingMapped);
    }
    let mut accounts: Vec<(Upn, String)> = Vec::new();
    for (upn, user) in mapped {
        let known = Credentials::parse(&user, "").ok();
        let known = known.and_then(|name| users.find(&name.user, name.domain.as_deref()));
        let Some((account, _)) = known else {
            return Err(ServeError::UnknownAccount { upn, user });
        };
        if accounts.iter().any(|(other, _)| other.matches(&upn)) {
            return Err(ServeError::MappedTwice(upn));
        }
        accounts.push((upn, account));
    }
    Ok(accounts)
}

/// Reading a key table blocks, and so does loading the library.
async fn open_keytab(path: Option<String>) -> Result<KerberosService, ServeError> {
    let opened = tokio::task::spawn_blocking(move || KerberosService::open(path.as_deref())).await;
    Ok(opened.map_err(|error| ServeError::Listener(error.into()))??)
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
