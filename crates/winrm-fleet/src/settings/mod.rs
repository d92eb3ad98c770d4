//! How a host is reached and as whom: variables, flags and defaults joined, each value with the place it comes from.
//!
//! Variables come first, the flags of the command line over them, `-e/--extra-vars` over those. The names are those of Ansible's
//! connection plugins `winrm` and `psrp`; the conversions and defaults are theirs, too.

mod becoming;
mod certificate;
mod client;
mod convert;
mod error;
mod explain;
mod flags;
mod key;
mod transport;

use std::time::Duration;

use winrm::{CertificateCheck, ClientCertificate, CredSsp, Credentials, Encryption, Endpoint, NoProxy, Proxy, Scheme, Secret, TlsVersion};

use crate::template::Templar;
use crate::value::{Origin, Value, Variable, Variables};
use becoming::Become;
use convert::Converted;
use key::{FOREIGN_PSRP, KNOWN, Known, OLD_NAMES};

pub use client::Way;
pub(crate) use client::goes_on_after;
pub use error::{SettingsError, Warning};
pub use explain::Explained;
pub use flags::Flags;
pub use key::Key;
pub use transport::Method;

/// A value, and where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it was said.
    pub origin: Origin,
    layer: Layer,
}

/// Who says something: the later ones have the last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Default,
    Environment,
    Variable,
    Flag,
    Extra,
}

impl<T> Setting<T> {
    fn default(value: T) -> Self {
        Self {
            value,
            origin: Origin::Default,
            layer: Layer::Default,
        }
    }
}

/// Which defaults are taken where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Defaults {
    /// Those of Ansible's connection plugin: port 5986; https unless the port is 5985; Kerberos for a user with an `@`, Kerberos and
    /// then Basic where a realm is named, Basic otherwise.
    #[default]
    Ansible,
    /// Those of the program for a host that was typed: https, the port of the scheme, Negotiate.
    Program,
}

/// How a host is reached and as whom.
#[derive(Clone, Debug)]
pub struct Settings {
    endpoint: Endpoint,
    user: Option<Setting<String>>,
    password: Option<Setting<Secret>>,
    methods: Setting<Vec<Method>>,
    encryption: Setting<Encryption>,
    certificates: Setting<CertificateCheck>,
    client_certificate: Option<ClientCertificate>,
    server_name: Option<String>,
    send_cbt: bool,
    tls_minimum: Option<TlsVersion>,
    tls_maximum: Option<TlsVersion>,
    ciphers: Option<String>,
    proxy: Option<Proxy>,
    connect_timeout: Duration,
    operation_timeout: Duration,
    read_timeout: Duration,
    retries: u32,
    max_envelope_size: Option<u32>,
    locale: Option<String>,
    kerberos: client::Tickets,
    credssp: CredSsp,
    becoming: Become,
    /// Whether the defaults are the program's.
    is_program: bool,
    is_psrp: bool,
    warnings: Vec<Warning>,
    explained: Vec<Explained>,
}

impl Settings {
    /// Joins what is said about a host. `host` is its name in the inventory; `variables` are rendered as far as they are needed.
    ///
    /// # Errors
    /// The first value that can't be used, with its place: see [`SettingsError`].
    pub fn resolve(host: &str, variables: &Templar, flags: &Flags, extra: &Variables) -> Result<Self, SettingsError> {
        let mut resolver = Resolver {
            templar: variables,
            flags,
            extra,
            psrp: false,
            explained: Vec::with_capacity(KNOWN.len()),
        };
        let connection = resolver.text(Key::Connection)?;
        if let Some(connection) = connection {
            let name = connection.value.strip_prefix("ansible.builtin.").unwrap_or(&connection.value);
            match name {
                "winrm" | "" | "smart" => {}
                "psrp" => resolver.psrp = true,
                other => {
                    return Err(SettingsError::Connection {
                        host: host.to_owned(),
                        connection: other.to_owned(),
                        origin: connection.origin,
                    });
                }
            }
        }
        resolver.settings(host)
    }

    /// Where the host is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Who logs on.
    #[must_use]
    pub fn user(&self) -> Option<&Setting<String>> {
        self.user.as_ref()
    }

    /// The password that was said; `None` where nobody did.
    #[must_use]
    pub fn password(&self) -> Option<&Setting<Secret>> {
        self.password.as_ref()
    }

    /// The proxy on the way to the host.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Says the password of the proxy's user, where the proxy has a user without one.
    pub fn set_proxy_password(&mut self, password: Secret) {
        if let Some(proxy) = self.proxy.take() {
            let lacks = proxy.user().is_some() && !proxy.has_password();
            self.proxy = Some(if lacks { proxy.with_password(password) } else { proxy });
        }
    }

    /// The ways to authenticate, the first to try first.
    #[must_use]
    pub fn methods(&self) -> &Setting<Vec<Method>> {
        &self.methods
    }

    /// The certificate that is shown to hosts which ask for one.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.client_certificate.as_ref()
    }

    /// Which certificates of the host are accepted.
    #[must_use]
    pub fn certificates(&self) -> &Setting<CertificateCheck> {
        &self.certificates
    }

    /// The name that the host's certificate has to hold, where it isn't the host's own.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Whether authentication is bound to the TLS connection.
    #[must_use]
    pub fn sends_channel_binding(&self) -> bool {
        self.send_cbt
    }

    /// How long making a connection may take.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// What is odd about them.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Each setting with its value and its place, secrets left out.
    #[must_use]
    pub fn explain(&self) -> &[Explained] {
        &self.explained
    }
}

struct Resolver<'a> {
    templar: &'a Templar,
    flags: &'a Flags,
    extra: &'a Variables,
    psrp: bool,
    explained: Vec<Explained>,
}

/// A value that was said for a setting, as it was written.
#[derive(Clone, Copy)]
struct Said<'a> {
    name: &'static str,
    variable: &'a Variable,
    layer: Layer,
}

impl<'a> Resolver<'a> {
    /// All that was said for a setting, the strongest first.
    fn said(&self, known: &Known) -> Vec<Said<'a>> {
        let names = if self.psrp { known.psrp } else { known.variables };
        let look = |variables: &'a Variables, layer| {
            names.iter().rev().filter_map(move |name| {
                let variable = variables.get(*name)?;
                Some(Said { name, variable, layer })
            })
        };
        let extra = look(self.extra, Layer::Extra);
        let flag = self.flags.said(known.key).map(|(name, variable)| Said {
            name,
            variable,
            layer: Layer::Flag,
        });
        // Extra variables are among a host's variables, too, so that templates see them.
        let is_extra = |said: &Said<'_>| self.extra.get(said.name) == Some(said.variable);
        let variables = look(self.templar.variables(), Layer::Variable).filter(|said| !is_extra(said));
        let fallback = self.flags.fallback(known.key).map(|(name, variable)| Said {
            name,
            variable,
            layer: Layer::Environment,
        });
        extra.chain(flag).chain(variables).chain(fallback).collect()
    }

    /// The value of a setting, converted. `null` counts as unsaid, as it does for Ansible.
    fn setting(&mut self, key: Key) -> Result<Option<Setting<Converted>>, SettingsError> {
        let Some(known) = KNOWN.iter().find(|known| known.key == key) else {
            return Ok(None);
        };
        let said = self.said(known);
        let mut found = None;
        for (index, said_here) in said.iter().enumerate() {
            let failed = |source| SettingsError::Template {
                name: said_here.name.to_owned(),
                origin: said_here.variable.origin.clone(),
                source: Box::new(source),
            };
            let value = self.templar.value(said_here.variable).map_err(failed)?;
            if value == Value::Null {
                continue;
            }
            let is_secret = known.is_secret || explain::is_secret(&said_here.variable.value);
            let converted = known.kind.convert(&value).ok_or_else(|| SettingsError::Value {
                name: said_here.name.to_owned(),
                shown: if is_secret {
                    explain::HIDDEN.to_owned()
                } else {
                    explain::shown(&value)
                },
                origin: said_here.variable.origin.clone(),
                expected: known.kind.expected(),
            })?;
            let shown = match (&converted, key) {
                _ if is_secret => explain::HIDDEN.to_owned(),
                (Converted::Text(proxy), Key::Proxy) => explain::without_password(proxy),
                _ => explain::shown_converted(&converted),
            };
            self.explained.push(Explained::new(known, *said_here, shown, &said[index + 1..]));
            found = Some(Setting {
                value: converted,
                origin: said_here.variable.origin.clone(),
                layer: said_here.layer,
            });
            break;
        }
        Ok(found)
    }

    fn text(&mut self, key: Key) -> Result<Option<Setting<String>>, SettingsError> {
        Ok(self.setting(key)?.and_then(|setting| {
            setting.map(|value| match value {
                Converted::Text(text) => Some(text),
                Converted::Path(path) => Some(path.to_string_lossy().into_owned()),
                _ => None,
            })
        }))
    }

    fn number(&mut self, key: Key) -> Result<Option<Setting<u32>>, SettingsError> {
        Ok(self.setting(key)?.and_then(|setting| {
            setting.map(|value| match value {
                Converted::Number(number) => Some(number),
                _ => None,
            })
        }))
    }

    fn time(&mut self, key: Key) -> Result<Option<Setting<Duration>>, SettingsError> {
        Ok(self.setting(key)?.and_then(|setting| {
            setting.map(|value| match value {
                Converted::Time(time) => Some(time),
                _ => None,
            })
        }))
    }

    fn boolean(&mut self, key: Key) -> Result<Option<Setting<bool>>, SettingsError> {
        Ok(self.setting(key)?.and_then(|setting| {
            setting.map(|value| match value {
                Converted::Bool(value) => Some(value),
                _ => None,
            })
        }))
    }

    fn list(&mut self, key: Key) -> Result<Option<Setting<Vec<String>>>, SettingsError> {
        Ok(self.setting(key)?.and_then(|setting| {
            setting.map(|value| match value {
                Converted::List(list) => Some(list),
                _ => None,
            })
        }))
    }

    fn defaulted(&mut self, key: Key, shown: impl Into<String>) {
        if let Some(known) = KNOWN.iter().find(|known| known.key == key) {
            self.explained.push(Explained::default(known, shown.into()));
        }
    }

    fn settings(mut self, host: &str) -> Result<Settings, SettingsError> {
        let is_program = self.flags.defaults() == Defaults::Program;
        let mut warnings = Vec::new();

        let address = match self.text(Key::Host)? {
            Some(address) => address,
            None => {
                self.defaulted(Key::Host, host);
                Setting::default(host.to_owned())
            }
        };
        let port = self.number(Key::Port)?;
        let scheme = self.scheme(port.as_ref())?;
        let port = match port {
            Some(port) => port.value as u16,
            // Ansible's default is 5986 for http, too; who says --scheme http doesn't mean that.
            None => {
                let port = match scheme.layer {
                    Layer::Variable if !is_program => 5986,
                    _ => scheme.value.default_port(),
                };
                if scheme.value == Scheme::Http && port == 5986 {
                    warnings.push(Warning::HttpPort {
                        place: scheme.origin.to_string(),
                    });
                }
                self.defaulted(Key::Port, port.to_string());
                port
            }
        };
        let mut endpoint = address_of(&address)?.with_scheme(scheme.value).with_port(port);
        match self.text(Key::Path)? {
            Some(path) => endpoint = endpoint.with_path(&path.value),
            None => self.defaulted(Key::Path, endpoint.path()),
        }

        let user = self.text(Key::User)?;
        let password = self.secret(Key::Password)?;
        if let Some(user) = &user {
            Credentials::parse(&user.value, Secret::default()).map_err(|source| SettingsError::User {
                user: user.value.clone(),
                origin: user.origin.clone(),
                source,
            })?;
        }
        let kerberos = self.tickets()?;
        let credssp = self.credssp()?;
        let methods = self.methods(scheme.value, user.as_ref(), &kerberos)?;
        let encryption = match self.text(Key::Encryption)? {
            Some(setting) => Setting {
                value: setting.value.parse().unwrap_or_default(),
                origin: setting.origin,
                layer: setting.layer,
            },
            None => {
                self.defaulted(Key::Encryption, "auto");
                Setting::default(Encryption::Auto)
            }
        };
        let certificates = self.certificates()?;
        let client_certificate = self.certificate(&methods.value)?;
        let server_name = self.text(Key::ServerName)?.map(|name| name.value);
        let send_cbt = self.boolean(Key::SendCbt)?.map(|setting| setting.value);
        if send_cbt.is_none() {
            self.defaulted(Key::SendCbt, "true");
        }
        let tls_minimum = self.tls_version(Key::TlsMinimum)?;
        let tls_maximum = self.tls_version(Key::TlsMaximum)?;
        let ciphers = self.text(Key::Ciphers)?.map(|ciphers| ciphers.value);
        let proxy = self.proxy(&endpoint)?;
        let (connect_timeout, operation_timeout, read_timeout) = self.timeouts()?;
        let retries = self.number(Key::Retries)?.map(|retries| retries.value);
        if retries.is_none() {
            self.defaulted(Key::Retries, "2");
        }
        let max_envelope_size = self.number(Key::MaxEnvelopeSize)?.map(|size| size.value);
        let locale = self.text(Key::Locale)?.map(|locale| locale.value);
        let becoming = self.becoming()?;
        self.odd_names(&mut warnings);
        self.explained
            .sort_by_key(|row| KNOWN.iter().position(|known| known.name == row.setting));
        let mut settings = Settings {
            endpoint,
            user,
            password,
            methods,
            encryption,
            certificates,
            client_certificate,
            server_name,
            send_cbt: send_cbt.unwrap_or(true),
            tls_minimum,
            tls_maximum,
            ciphers,
            proxy,
            connect_timeout,
            operation_timeout,
            read_timeout,
            retries: retries.unwrap_or(2),
            max_envelope_size,
            locale,
            kerberos,
            credssp,
            becoming,
            is_program,
            is_psrp: self.psrp,
            warnings,
            explained: self.explained,
        };
        settings.odd_transports();
        Ok(settings)
    }

    fn scheme(&mut self, port: Option<&Setting<u32>>) -> Result<Setting<Scheme>, SettingsError> {
        if let Some(scheme) = self.text(Key::Scheme)? {
            let value = if scheme.value == "http" { Scheme::Http } else { Scheme::Https };
            return Ok(Setting {
                value,
                origin: scheme.origin,
                layer: scheme.layer,
            });
        }
        let scheme = match port {
            Some(port) if port.value == 5985 => Scheme::Http,
            _ => Scheme::Https,
        };
        self.defaulted(Key::Scheme, scheme.to_string());
        Ok(Setting::default(scheme))
    }

    fn secret(&mut self, key: Key) -> Result<Option<Setting<Secret>>, SettingsError> {
        let Some(known) = KNOWN.iter().find(|known| known.key == key) else {
            return Ok(None);
        };
        if let Some((secret, origin)) = self.flags.given_password(key) {
            let said = self.said(known);
            if said.first().is_none_or(|first| first.layer != Layer::Extra) {
                self.explained
                    .push(Explained::overriding(known, explain::HIDDEN.to_owned(), origin.clone(), &said));
                return Ok(Some(Setting {
                    value: secret.clone(),
                    origin: origin.clone(),
                    layer: Layer::Flag,
                }));
            }
        }
        let said = self.said(known);
        for (index, here) in said.iter().enumerate() {
            let secret = self.templar.secret(here.variable).map_err(|source| SettingsError::Template {
                name: here.name.to_owned(),
                origin: here.variable.origin.clone(),
                source: Box::new(source),
            })?;
            if let Some(secret) = secret {
                self.explained
                    .push(Explained::new(known, *here, explain::HIDDEN.to_owned(), &said[index + 1..]));
                return Ok(Some(Setting {
                    value: secret,
                    origin: here.variable.origin.clone(),
                    layer: here.layer,
                }));
            }
        }
        Ok(self.flags.fallback_password(key).map(|(secret, origin)| {
            self.explained
                .push(Explained::overriding(known, explain::HIDDEN.to_owned(), origin.clone(), &[]));
            Setting {
                value: secret.clone(),
                origin: origin.clone(),
                layer: Layer::Environment,
            }
        }))
    }

    fn methods(
        &mut self,
        scheme: Scheme,
        user: Option<&Setting<String>>,
        tickets: &client::Tickets,
    ) -> Result<Setting<Vec<Method>>, SettingsError> {
        if let Some(Setting {
            value: Converted::Transports(methods),
            origin,
            layer,
        }) = self.setting(Key::Transport)?
        {
            return Ok(Setting {
                value: methods,
                origin,
                layer,
            });
        }
        let basic = if scheme == Scheme::Https { Method::Ssl } else { Method::Basic };
        let methods = if self.flags.certificate().is_some() && self.flags.defaults() == Defaults::Program {
            vec![Method::Certificate]
        } else if self.psrp || self.flags.defaults() == Defaults::Program {
            vec![Method::Negotiate]
        } else if user.is_some_and(|user| user.value.contains('@')) {
            vec![Method::Kerberos]
        } else if tickets.realm.is_some() {
            vec![Method::Kerberos, basic]
        } else {
            vec![basic]
        };
        let names: Vec<String> = methods.iter().map(Method::to_string).collect();
        self.defaulted(Key::Transport, names.join(", "));
        Ok(Setting::default(methods))
    }

    /// The check that the strongest voice asks for; of equal ones, the stricter.
    fn certificates(&mut self) -> Result<Setting<CertificateCheck>, SettingsError> {
        let pinned = self.setting(Key::Fingerprint)?.and_then(|setting| {
            setting.map(|value| match value {
                Converted::Certificate(check) => Some(check),
                _ => None,
            })
        });
        let authorities = self.setting(Key::CaTrustPath)?.and_then(|setting| {
            setting.map(|value| match value {
                // What pywinrm's own default is called.
                Converted::Path(path) if path.as_os_str() == "legacy_requests" => None,
                Converted::Path(path) => Some(CertificateCheck::Authorities(path)),
                _ => None,
            })
        });
        let validation = self.text(Key::CertValidation)?;
        if validation.is_none() {
            self.defaulted(Key::CertValidation, "validate");
        }
        let ignored = validation.filter(|setting| setting.value == "ignore").map(|setting| Setting {
            value: CertificateCheck::Ignore,
            origin: setting.origin,
            layer: setting.layer,
        });
        // `ignore` is what an inventory says in so many words: it goes before what else the same voice says of authorities.
        let mut best = Setting::default(CertificateCheck::System);
        for check in [authorities, ignored, pinned].into_iter().flatten() {
            if check.layer >= best.layer {
                best = check;
            }
        }
        Ok(best)
    }

    fn tls_version(&mut self, key: Key) -> Result<Option<TlsVersion>, SettingsError> {
        Ok(match self.setting(key)? {
            Some(Setting {
                value: Converted::Tls(version),
                ..
            }) => Some(version),
            _ => None,
        })
    }

    /// The proxy: named, or the environment's.
    fn proxy(&mut self, endpoint: &Endpoint) -> Result<Option<Proxy>, SettingsError> {
        let exceptions = self.text(Key::NoProxy)?.map(|hosts| NoProxy::parse(&hosts.value));
        let ignored = self.boolean(Key::IgnoreProxy)?.is_some_and(|ignored| ignored.value);
        // What pywinrm's own default is called.
        let named = self.text(Key::Proxy)?.filter(|proxy| proxy.value != "legacy_requests");
        match (named, exceptions) {
            _ if ignored => Ok(None),
            // Who names a proxy means it, whatever the environment excepts.
            (Some(_), Some(exceptions)) if exceptions.covers(endpoint) => Ok(None),
            (Some(named), _) => Proxy::parse(&named.value).map(Some).map_err(|source| SettingsError::Proxy {
                name: "the proxy".to_owned(),
                origin: named.origin,
                source,
            }),
            (None, exceptions) => {
                let found = match exceptions {
                    Some(exceptions) => Proxy::from_environment_except(endpoint, &exceptions),
                    None => Proxy::from_environment(endpoint),
                };
                found.map_err(|source| SettingsError::Proxy {
                    name: "the proxy of the environment".to_owned(),
                    origin: Origin::Environment("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY"),
                    source,
                })
            }
        }
    }

    fn timeouts(&mut self) -> Result<(Duration, Duration, Duration), SettingsError> {
        let seconds = Duration::from_secs;
        let connect = self.time(Key::ConnectTimeout)?.map(|setting| setting.value);
        if connect.is_none() {
            self.defaulted(Key::ConnectTimeout, "30");
        }
        let both = self.time(Key::ConnectionTimeout)?.filter(|setting| !setting.value.is_zero());
        // It goes over the two that the same voice says.
        let over = |both: &Option<Setting<Duration>>, own: Option<Setting<Duration>>, more: u64| match (both, own) {
            (Some(both), own) if own.as_ref().is_none_or(|own| own.layer <= both.layer) => Some(Setting {
                value: both.value + seconds(more),
                origin: both.origin.clone(),
                layer: both.layer,
            }),
            (_, own) => own,
        };
        let own = self.time(Key::OperationTimeout)?;
        if own.is_none() && both.is_none() {
            self.defaulted(Key::OperationTimeout, "20");
        }
        let operation = over(&both, own, 0).unwrap_or_else(|| Setting::default(seconds(20)));
        let own = self.time(Key::ReadTimeout)?;
        if own.is_none() && both.is_none() {
            self.defaulted(Key::ReadTimeout, "30");
        }
        let read = over(&both, own, 10).unwrap_or_else(|| Setting::default(seconds(30)));
        if read.value <= operation.value {
            return Err(SettingsError::Timeouts {
                read: read.value.as_secs_f64(),
                read_origin: read.origin,
                operation: operation.value.as_secs_f64(),
                operation_origin: operation.origin,
            });
        }
        Ok((connect.unwrap_or(seconds(30)), operation.value, read.value))
    }

    fn odd_names(&self, warnings: &mut Vec<Warning>) {
        let variables = self.templar.variables();
        let all = variables
            .iter()
            .chain(self.extra.iter().filter(|(name, _)| !variables.contains_key(*name)));
        for (name, variable) in all {
            if !name.starts_with("ansible_") {
                continue;
            }
            let place = || variable.origin.to_string();
            if let Some((old, successor)) = OLD_NAMES.iter().find(|(old, _)| *old == &**name) {
                warnings.push(Warning::Old {
                    name: old,
                    place: place(),
                    successor,
                });
            } else if (name.starts_with("ansible_winrm_") || (self.psrp && name.starts_with("ansible_psrp_")))
                && !FOREIGN_PSRP.contains(&&**name)
                && !KNOWN
                    .iter()
                    .any(|known| known.variables.contains(&&**name) || known.psrp.contains(&&**name))
            {
                warnings.push(Warning::Unknown {
                    name: name.to_string(),
                    place: place(),
                    nearest: key::nearest(name),
                });
            }
        }
    }
}

impl<T> Setting<T> {
    fn map<U>(self, convert: impl FnOnce(T) -> Option<U>) -> Option<Setting<U>> {
        Some(Setting {
            value: convert(self.value)?,
            origin: self.origin,
            layer: self.layer,
        })
    }
}

/// The host's name or address alone: port and user have variables of their own.
fn address_of(address: &Setting<String>) -> Result<Endpoint, SettingsError> {
    let refused = |source| SettingsError::Address {
        host: address.value.clone(),
        origin: address.origin.clone(),
        source,
    };
    let text = address.value.trim();
    if text.contains(['/', '@']) {
        return Err(refused(winrm::EndpointError::Character(if text.contains('/') { '/' } else { '@' })));
    }
    // With a port, so that a bare IPv6 address isn't taken apart.
    let bracketed = if text.contains(':') && !text.starts_with('[') {
        format!("[{text}]:5986")
    } else {
        text.to_owned()
    };
    Endpoint::parse(&bracketed).map(|(endpoint, _)| endpoint).map_err(refused)
}

#[cfg(test)]
mod tests;
