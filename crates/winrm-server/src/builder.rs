//! Setting a service up.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use winrm_auth::Credentials;
use winrm_auth::certificate::Upn;
use winrm_auth::kerberos::KerberosService;

use crate::authentication::{Acceptors, AuthMethod};
use crate::cim::{CimClass, Classes, Groups, NamespaceSecurity, OperatingSystem, Processes, SystemSecurity, SystemServices, UserAccounts};
use crate::client_certificate::{ClientAuthorities, ClientCertificates};
use crate::configuration::{
    CbtHardeningLevel, CertificateMapping, ClientSettings, Configuration, ConfigurationStore, DEFAULT_ROOT_SDDL, IpFilter, Ports,
};
use crate::credssp::CredSsp;
use crate::enumerations::Enumerations;
use crate::host::{AnyHost, Host, LocalHost};
use crate::identities::Identities;
use crate::listeners::{ListenAddress, ListenerError, ListenerSettings, Listeners, Places};
use crate::quotas::Quotas;
use crate::server::{ServeError, Server, Service, Settings};
use crate::shells::Shells;
use crate::tls::{Identity, machine_name};
use crate::users::Users;

/// Sets a service up; [`Server::builder`] makes one.
#[must_use]
pub struct ServerBuilder {
    listen: Vec<SocketAddr>,
    tls_listen: Vec<SocketAddr>,
    identities: Vec<Identity>,
    path: String,
    users: Users,
    methods: Option<Vec<AuthMethod>>,
    keytab: Option<String>,
    client_authorities: Option<ClientAuthorities>,
    mapped: Vec<(Upn, String)>,
    any_principal: bool,
    cbt_hardening_level: CbtHardeningLevel,
    credssp: CredSsp,
    allow_unencrypted: bool,
    quotas: Quotas,
    host: Arc<dyn AnyHost>,
    classes: Classes,
    operators: Vec<String>,
    root_sddl: Option<String>,
}

impl ServerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            listen: Vec::new(),
            tls_listen: Vec::new(),
            identities: Vec::new(),
            path: "/wsman".to_owned(),
            users: Users::new(),
            methods: None,
            keytab: None,
            client_authorities: None,
            mapped: Vec::new(),
            any_principal: false,
            cbt_hardening_level: CbtHardeningLevel::Relaxed,
            credssp: CredSsp::default(),
            allow_unencrypted: false,
            quotas: Quotas::default(),
            host: Arc::new(LocalHost::new()),
            classes: Classes::default(),
            operators: Vec::new(),
            root_sddl: None,
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
    ///
    /// May be called again: the listeners of [`tls_listen`](Self::tls_listen) use the first, the others are there for those that
    /// administrators create by their thumbprints.
    pub fn tls_identity(mut self, identity: Identity) -> Self {
        self.identities.push(identity);
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
    pub fn require_channel_binding(self, require: bool) -> Self {
        self.cbt_hardening_level(if require {
            CbtHardeningLevel::Strict
        } else {
            CbtHardeningLevel::Relaxed
        })
    }

    /// How strictly a channel binding is asked for with NTLM and Kerberos over https.
    pub fn cbt_hardening_level(mut self, level: CbtHardeningLevel) -> Self {
        self.cbt_hardening_level = level;
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

    /// Adds a class for WS-Management's reads, lists and methods; one of the same name, also one of the service's own, is replaced. The
    /// service's own are in `root/cimv2`: `Win32_OperatingSystem`, `Win32_Process`, `Win32_Service`, `Win32_UserAccount`,
    /// `Win32_Group`; and in each namespace `__SystemSecurity`, by which others than administrators are let in.
    pub fn class(mut self, class: impl CimClass) -> Self {
        self.classes.add(Arc::new(class));
        self
    }

    /// Makes an account an operator and no administrator: what it may do is what the [descriptor](Self::root_sddl) says, which by
    /// default is nothing. May be called again.
    pub fn operator(mut self, user: impl Into<String>) -> Self {
        self.operators.push(user.into());
        self
    }

    /// The security descriptor that says who may do what, in SDDL: `RootSDDL` of the configuration. If not set, that of Windows:
    /// administrators may do everything. Reading needs `GR`, changing `GW`, shells and methods `GX`; the configuration is the
    /// administrators' alone.
    pub fn root_sddl(mut self, sddl: impl Into<String>) -> Self {
        self.root_sddl = Some(sddl.into());
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
        let root_sddl = self.root_sddl.as_deref().unwrap_or(DEFAULT_ROOT_SDDL).parse()?;
        let operators = operators(self.operators, &self.users, self.any_principal)?;
        let certificates = match &self.methods {
            Some(methods) => methods.contains(&AuthMethod::Certificate),
            None => self.client_authorities.is_some(),
        };
        let certificates = match (certificates, &self.client_authorities) {
            // A store is filled, and certificates are mapped and switched on, while the service runs.
            (_, Some(authorities)) if authorities.folder().is_some() && !self.tls_listen.is_empty() => {
                let mappings = match self.mapped.is_empty() {
                    true => Vec::new(),
                    false => mapped(self.mapped, authorities, &self.users)?,
                };
                Some((ClientCertificates::new(authorities)?, mappings))
            }
            (true, Some(_)) if self.tls_listen.is_empty() => return Err(ServeError::CertificatesWithoutTls),
            (true, Some(authorities)) => Some((
                ClientCertificates::new(authorities)?,
                mapped(self.mapped, authorities, &self.users)?,
            )),
            (true, None) => return Err(ServeError::NoClientAuthorities),
            (false, None) if self.mapped.is_empty() => None,
            (false, _) => return Err(ServeError::CertificatesNotOffered),
        };
        let (certificates, certificate_mappings) = match certificates {
            Some((certificates, mappings)) => (Some(certificates), mappings),
            None => (None, Vec::new()),
        };
        let mut identities = self.identities;
        if identities.is_empty() && !self.tls_listen.is_empty() {
            identities.push(Identity::self_signed()?);
        }
        let identity = identities.first().filter(|_| !self.tls_listen.is_empty());
        let certificate_pem = identity.map(Identity::certificate_pem).transpose()?;
        let thumbprint = identity.map(Identity::thumbprint).unwrap_or_default();
        let (listeners, opened) = Listeners::new(identities, self.client_authorities);
        let addresses = self.listen.iter().map(|address| (address, false));
        for (address, tls) in addresses.chain(self.tls_listen.iter().map(|address| (address, true))) {
            let tcp = bind(*address).await?;
            let port = tcp.local_addr().map_err(ServeError::Listener)?.port();
            let settings = ListenerSettings {
                address: ListenAddress::of(address.ip()),
                port,
                tls,
                hostname: String::new(),
                enabled: true,
                url_prefix: self.path.trim_matches('/').to_owned(),
                certificate_thumbprint: if tls { thumbprint.clone() } else { String::new() },
            };
            listeners.add(tcp, settings).map_err(ListenerError::into_serve_error)?;
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
        let acceptors = Acceptors::new(users.clone(), &machine, kerberos, self.any_principal, self.credssp);
        let configuration = ConfigurationStore::new(Configuration {
            quotas: self.quotas,
            methods,
            cbt_hardening_level: self.cbt_hardening_level,
            allow_unencrypted: self.allow_unencrypted,
            ipv4_filter: IpFilter::all(),
            ipv6_filter: IpFilter::all(),
            certificate_mappings,
            root_sddl,
            default_ports: Ports::default(),
            certificate_thumbprint: String::new(),
            allow_remote_shell_access: true,
            max_memory_per_shell_mb: i32::MAX.cast_unsigned(),
            client: ClientSettings::default(),
        });
        let identities = Arc::new(Identities::new(&machine, users.clone(), operators));
        let mut classes = self.classes;
        classes.add_missing(Arc::new(OperatingSystem::new(&machine)));
        classes.add_missing(Arc::new(Processes::new(self.host.clone(), &machine)));
        classes.add_missing(Arc::new(SystemServices::new(&machine)));
        classes.add_missing(Arc::new(UserAccounts::new(&machine, users.clone(), identities.clone())));
        classes.add_missing(Arc::new(Groups::new(&machine)));
        let namespaces = NamespaceSecurity::new(identities.clone());
        for namespace in classes.namespaces() {
            classes.add_missing(Arc::new(SystemSecurity::new(&namespace, namespaces.clone())));
        }
        let service = Service {
            settings: Settings {
                machine,
                users,
                identities,
                acceptors,
                certificates,
            },
            shells: Shells::new(self.host, configuration.clone()),
            configuration,
            listeners,
            places: Places::default(),
            classes,
            namespaces,
            enumerations: Enumerations::new(),
            buffers: Arc::default(),
        };
        Ok(Server::new(service, opened, certificate_pem))
    }
}

/// The mappings of user principal names to accounts by their own names, below each of the authorities.
fn mapped(mapped: Vec<(Upn, String)>, authorities: &ClientAuthorities, users: &Users) -> Result<Vec<CertificateMapping>, ServeError> {
    if mapped.is_empty() {
        return Err(ServeError::NothingMapped);
    }
    let mut accounts: Vec<(Upn, String)> = Vec::new();
    for (upn, user) in mapped {
        let Some(account) = users.account_named(&user) else {
            return Err(ServeError::UnknownAccount { upn, user });
        };
        if accounts.iter().any(|(other, _)| other.matches(&upn)) {
            return Err(ServeError::MappedTwice(upn));
        }
        accounts.push((upn, account));
    }
    let mapping = |(upn, user): &(Upn, String)| {
        let (subject, user) = (upn.as_str().to_owned(), user.clone());
        authorities.thumbprints().into_iter().map(move |issuer| CertificateMapping {
            uri: "*".to_owned(),
            subject: subject.clone(),
            issuer,
            user: user.clone(),
            enabled: true,
        })
    };
    Ok(accounts.iter().flat_map(mapping).collect())
}

/// The operators by the names of their accounts. A principal that is no account may be one where all principals are let in.
fn operators(operators: Vec<String>, users: &Users, any_principal: bool) -> Result<Vec<String>, ServeError> {
    let account = |name: String| match users.account_named(&name) {
        Some(account) => Ok(account),
        None if any_principal && name.contains('@') => Ok(name),
        None => Err(ServeError::UnknownOperator(name)),
    };
    operators.into_iter().map(account).collect()
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
