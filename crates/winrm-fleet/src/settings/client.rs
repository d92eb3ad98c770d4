//! From settings to clients: one for each way to authenticate.

use winrm::{
    Client, ClientBuilder, CredSsp, Credentials, Encryption, ErrorKind, Kerberos, Kinit, MayHaveRun, Proxy, Scheme, Secret, TicketSource,
    Transport,
};

use super::{Defaults, Key, Layer, Method, Resolver, Setting, Settings, SettingsError, Warning};

/// What is said of Kerberos.
#[derive(Clone, Debug)]
pub(super) struct Tickets {
    pub(super) realm: Option<String>,
    service: Option<String>,
    host: Option<String>,
    delegate: bool,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    /// Nothing is said: a managed ticket where there is a password.
    Unsaid,
    /// The same, by this `kinit`.
    Customised(Kinit),
    Managed(Kinit),
    Default,
    Ccache(String),
    Keytab(String),
}

/// One of the ways to reach a host.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Way {
    /// How it authenticates.
    pub transport: Transport,
    /// What the client is made of.
    pub builder: ClientBuilder,
}

impl Way {
    /// Whether the next way is to be tried after this error: the host refuses the credentials or the transport, there is no ticket, or the
    /// way's own settings can't be used, and nothing has run. A host that can't be reached is not reached by another transport either.
    #[must_use]
    pub fn goes_on_after(error: &winrm::Error) -> bool {
        goes_on_after(error.kind(), error.may_have_run())
    }
}

/// See [`Way::goes_on_after`].
pub(crate) fn goes_on_after(kind: ErrorKind, may_have_run: MayHaveRun) -> bool {
    matches!(kind, ErrorKind::Configuration | ErrorKind::Unauthorized | ErrorKind::Forbidden) && may_have_run == MayHaveRun::No
}

impl Settings {
    /// The proxy whose user's password has to be asked for before [`ways`](Self::ways): nobody has said it.
    #[must_use]
    pub fn asks_password_of_proxy(&self) -> Option<&Proxy> {
        self.proxy().filter(|proxy| proxy.user().is_some() && !proxy.has_password())
    }

    /// Who has to be asked for a password before [`ways`](Self::ways): nobody has said it, and it is needed.
    #[must_use]
    pub fn asks_password_of(&self) -> Option<&str> {
        let user = self.user.as_ref().filter(|_| self.password.is_none())?;
        let needs = |method: &Method| match method {
            Method::Certificate => false,
            Method::Ssl if self.client_certificate.is_some() => false,
            Method::Kerberos => match &self.kerberos.source {
                Source::Unsaid | Source::Customised(_) => self.is_program,
                Source::Managed(_) => true,
                _ => false,
            },
            _ => true,
        };
        self.methods.value.iter().any(needs).then_some(user.value.as_str())
    }

    /// The clients to try, in this order; see [`Way::goes_on_after`]. `password` is for where no setting has one; `tickets` is what all
    /// hosts of a run share, so that `kinit` runs once for each user. Without a user, `anonymous` allows clients that can only ask who
    /// answers.
    ///
    /// # Errors
    /// Without a user or password, and for what would send them in clear text: see [`SettingsError`].
    pub fn ways(&self, password: Option<&Secret>, tickets: &Kerberos, anonymous: bool) -> Result<Vec<Way>, SettingsError> {
        let password = self.password.as_ref().map(|password| &password.value).or(password);
        let mut ways = Vec::new();
        let mut refused = None;
        for method in &self.methods.value {
            match self.way(*method, password, tickets, anonymous) {
                Ok(way) => ways.push(way),
                // The others of a list may do.
                Err(error @ (SettingsError::ClearText { .. } | SettingsError::Unsupported { .. })) => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match refused {
            Some(error) if ways.is_empty() => Err(error),
            _ => Ok(ways),
        }
    }

    fn way(&self, method: Method, password: Option<&Secret>, tickets: &Kerberos, anonymous: bool) -> Result<Way, SettingsError> {
        let transport = self.transport(method)?;
        let mut encryption = self.encryption.value;
        if self.endpoint.scheme() == Scheme::Http && transport == Transport::Basic {
            match (method, encryption) {
                (Method::Plaintext, Encryption::Auto) => encryption = Encryption::Never,
                (_, Encryption::Auto) => {
                    return Err(SettingsError::ClearText {
                        method,
                        origin: self.methods.origin.clone(),
                    });
                }
                _ => {}
            }
        }
        if encryption == Encryption::Always && !transport.can_encrypt() {
            return Err(SettingsError::CannotEncrypt {
                method,
                method_origin: self.methods.origin.clone(),
                origin: self.encryption.origin.clone(),
            });
        }
        let mut builder = self
            .builder()
            .transport(transport)
            .encryption(encryption)
            .kerberos(self.kerberos(password, tickets));
        if let Some(credentials) = self.credentials(transport, password, anonymous)? {
            builder = builder.credentials(credentials);
        }
        Ok(Way { transport, builder })
    }

    /// Each transport by itself, with its client or what keeps it from being tried; as [`ways`](Self::ways) otherwise.
    #[must_use]
    pub fn each_way(&self, password: Option<&Secret>, tickets: &Kerberos) -> Vec<(Method, Result<Way, SettingsError>)> {
        let password = self.password.as_ref().map(|password| &password.value).or(password);
        let methods = self.methods.value.iter();
        methods
            .map(|method| (*method, self.way(*method, password, tickets, false)))
            .collect()
    }

    /// A client that knows nobody: for looking at a host before, or without, logging on.
    pub fn anonymous(&self) -> ClientBuilder {
        self.builder().transport(Transport::Negotiate)
    }

    /// What is said of Kerberos; `password` and `tickets` as for [`ways`](Self::ways).
    #[must_use]
    pub fn kerberos(&self, password: Option<&Secret>, tickets: &Kerberos) -> Kerberos {
        let password = self.password.as_ref().map(|password| &password.value).or(password);
        let has_password = password.is_some_and(|password| !password.is_empty());
        self.kerberos.of(tickets, has_password, self.is_program)
    }

    /// All but whom it is for and how that is proved.
    fn builder(&self) -> ClientBuilder {
        let mut builder = Client::builder(&self.endpoint.to_string())
            .certificates(self.certificates.value.clone())
            .connect_timeout(self.connect_timeout)
            .operation_timeout(self.operation_timeout)
            .read_timeout(self.read_timeout)
            .retries(self.retries)
            .channel_binding(self.send_cbt)
            .credssp(self.credssp.clone());
        if let Some(name) = &self.server_name {
            builder = builder.server_name(name);
        }
        if let Some(version) = self.tls_minimum {
            builder = builder.tls_minimum(version);
        }
        if let Some(version) = self.tls_maximum {
            builder = builder.tls_maximum(version);
        }
        if let Some(ciphers) = &self.ciphers {
            builder = builder.ciphers(ciphers);
        }
        if let Some(certificate) = &self.client_certificate {
            builder = builder.client_certificate(certificate.clone());
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        if let Some(size) = self.max_envelope_size {
            builder = builder.max_envelope_size(size);
        }
        if let Some(locale) = &self.locale {
            builder = builder.locale(locale);
        }
        builder
    }

    fn credentials(&self, transport: Transport, password: Option<&Secret>, anonymous: bool) -> Result<Option<Credentials>, SettingsError> {
        if transport == Transport::Certificate {
            return Ok(None);
        }
        let tickets_suffice = matches!(transport, Transport::Kerberos | Transport::Negotiate);
        let endpoint = || self.endpoint.to_string();
        let Some(user) = &self.user else {
            if anonymous || tickets_suffice {
                return Ok(None);
            }
            return Err(SettingsError::NoUser { endpoint: endpoint() });
        };
        let password = match password {
            Some(password) => password.clone(),
            None if transport == Transport::Kerberos && !matches!(self.kerberos.source, Source::Managed(_)) => Secret::default(),
            None => {
                return Err(SettingsError::NoPassword {
                    user: user.value.clone(),
                    endpoint: endpoint(),
                });
            }
        };
        let credentials = Credentials::parse(&user.value, password).map_err(|source| SettingsError::User {
            user: user.value.clone(),
            origin: user.origin.clone(),
            source,
        })?;
        Ok(Some(credentials))
    }

    fn transport(&self, method: Method) -> Result<Transport, SettingsError> {
        let name = match method {
            Method::Ssl if self.client_certificate.is_some() && self.endpoint.scheme() == Scheme::Https => "certificate",
            Method::Basic | Method::Plaintext | Method::Ssl => "basic",
            Method::Certificate => "certificate",
            Method::Ntlm => "ntlm",
            Method::Negotiate => "negotiate",
            Method::Kerberos => "kerberos",
            Method::Credssp => "credssp",
        };
        // By name: what the client can't do yet is an error there.
        name.parse().map_err(|_| SettingsError::Unsupported {
            method,
            origin: self.methods.origin.clone(),
        })
    }

    /// What is odd about the transports.
    pub(super) fn odd_transports(&mut self) {
        if self.endpoint.scheme() != Scheme::Http || self.encryption.value != Encryption::Auto {
            return;
        }
        let several = self.methods.value.len() > 1;
        for method in &self.methods.value {
            let place = self.methods.origin.to_string();
            match method {
                Method::Plaintext => self.warnings.push(Warning::ClearText { place }),
                Method::Basic | Method::Ssl if several => self.warnings.push(Warning::LeftOut { method: *method, place }),
                _ => {}
            }
        }
    }
}

impl Tickets {
    fn of(&self, shared: &Kerberos, has_password: bool, is_program: bool) -> Kerberos {
        let mut kerberos = shared.clone().delegate(self.delegate);
        if let Some(realm) = &self.realm {
            kerberos = kerberos.realm(realm);
        }
        if let Some(service) = &self.service {
            kerberos = kerberos.service(service);
        }
        if let Some(host) = &self.host {
            kerberos = kerberos.host(host);
        }
        match &self.source {
            // Ansible manages tickets where there is a password, and otherwise takes those that are there.
            Source::Unsaid if has_password || is_program => kerberos,
            Source::Customised(kinit) if has_password => kerberos.tickets(TicketSource::Managed(kinit.clone())),
            Source::Unsaid | Source::Customised(_) | Source::Default => kerberos.tickets(TicketSource::Default),
            Source::Managed(kinit) => kerberos.tickets(TicketSource::Managed(kinit.clone())),
            Source::Ccache(name) => kerberos.tickets(TicketSource::Ccache(name.clone())),
            Source::Keytab(path) => kerberos.tickets(TicketSource::Keytab(path.clone())),
        }
    }
}

impl Resolver<'_> {
    pub(super) fn credssp(&mut self) -> Result<CredSsp, SettingsError> {
        let mut credssp = CredSsp::new();
        if let Some(mechanism) = self.text(Key::CredSspMechanism)? {
            credssp = credssp.mechanism(mechanism.value.parse().unwrap_or_default());
        }
        if let Some(version) = self.number(Key::CredSspMinimumVersion)? {
            credssp = credssp.minimum_version(version.value);
        }
        if let Some(disable) = self.boolean(Key::CredSspDisableTls12)? {
            credssp = credssp.disable_tlsv1_2(disable.value);
        }
        Ok(credssp)
    }

    pub(super) fn tickets(&mut self) -> Result<Tickets, SettingsError> {
        let realm = self.text(Key::Realm)?.map(|realm| realm.value);
        let service = self.text(Key::Service)?.map(|service| service.value);
        if service.is_none() {
            self.defaulted(Key::Service, if self.psrp { "WSMAN" } else { "HTTP" });
        }
        let service = service.or_else(|| self.psrp.then(|| "WSMAN".to_owned()));
        let host = self.text(Key::HostnameOverride)?.map(|host| host.value);
        let delegate = self.boolean(Key::Delegation)?.is_some_and(|delegate| delegate.value);
        let command = self.text(Key::KinitCommand)?;
        let arguments = self.list(Key::KinitArguments)?;
        let environment = self.list(Key::KinitEnvironment)?;
        let changed = command.is_some() || arguments.is_some() || environment.is_some();
        let mut kinit = Kinit::default().forwardable(delegate);
        if let Some(command) = command {
            kinit = kinit.command(command.value);
        }
        if let Some(arguments) = arguments {
            kinit = kinit.arguments(arguments.value);
        }
        if let Some(environment) = environment {
            kinit = kinit.environment(environment.value);
        }
        let mode = self.text(Key::KinitMode)?;
        let keytab = self.text(Key::Keytab)?;
        let ccache = self.text(Key::Ccache)?;
        // The strongest voice; of equal ones, the one that needs the least.
        let layer = |setting: &Option<Setting<String>>| setting.as_ref().map_or(Layer::Default, |setting| setting.layer);
        let best = layer(&keytab).max(layer(&ccache)).max(layer(&mode));
        let strongest = |setting: Option<Setting<String>>| setting.filter(|setting| setting.layer == best).map(|setting| setting.value);
        let source = if let Some(keytab) = strongest(keytab) {
            Source::Keytab(keytab)
        } else if let Some(ccache) = strongest(ccache) {
            Source::Ccache(ccache)
        } else {
            match strongest(mode).as_deref() {
                Some("manual") => Source::Default,
                Some(_) => Source::Managed(kinit),
                // With negotiate, a user without a realm is tried with NTLM only, unless something says Kerberos.
                None if changed && self.flags.defaults() == Defaults::Program => Source::Managed(kinit),
                None if changed => Source::Customised(kinit),
                None => Source::Unsaid,
            }
        };
        Ok(Tickets {
            realm,
            service,
            host,
            delegate,
            source,
        })
    }
}
