//! What the command line says of the connection to all hosts.

use std::sync::Arc;
use std::time::Duration;

use winrm::{ClientCertificate, Endpoint, Scheme, Secret};

use super::certificate::Opened;
use super::{Defaults, Key};
use crate::value::{Origin, Value, Variable};

/// The name under which a typed target is explained.
const TARGET: &str = "TARGET";

/// Settings of the command line: they go over variables, and under `-e/--extra-vars`.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    values: Vec<(Key, &'static str, Variable)>,
    fallbacks: Vec<(Key, &'static str, Variable)>,
    password: Option<(Secret, Origin)>,
    fallback: Option<(Secret, Origin)>,
    become_password: Option<(Secret, Origin)>,
    /// What `--cert` names, opened.
    certificate: Option<ClientCertificate>,
    fallback_passphrase: Option<Secret>,
    /// Certificates that hosts' variables name: most hosts name the same.
    opened: Opened,
    defaults: Defaults,
}

impl Flags {
    /// No flags; the defaults are Ansible's.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Which defaults are taken where nothing is said.
    #[must_use]
    pub fn with_defaults(mut self, defaults: Defaults) -> Self {
        self.defaults = defaults;
        self
    }

    /// Sets a value by a flag, such as `--port`. A flag that was set before loses.
    pub fn set(&mut self, key: Key, value: Value, flag: &'static str) {
        self.values.retain(|(known, _, _)| *known != key);
        let origin = Origin::Flag(flag);
        self.values.push((key, flag, Variable { value, origin }));
    }

    /// Says a value for where no variable does, such as `remote_user` of `ansible.cfg`; `name` is what it is called there.
    pub fn set_fallback(&mut self, key: Key, name: &'static str, variable: Variable) {
        self.fallbacks.push((key, name, variable));
    }

    /// Sets a text.
    pub fn set_text(&mut self, key: Key, text: &str, flag: &'static str) {
        // What was typed is no template.
        self.set(key, Value::Unsafe(text.into()), flag);
    }

    /// Sets a list of texts.
    pub fn set_list<T: AsRef<str>>(&mut self, key: Key, items: &[T], flag: &'static str) {
        let items = items.iter().map(|item| Value::Unsafe(Arc::from(item.as_ref())));
        self.set(key, Value::List(items.collect()), flag);
    }

    /// Sets a time.
    pub fn set_time(&mut self, key: Key, time: Duration, flag: &'static str) {
        self.set(key, Value::Float(time.as_secs_f64()), flag);
    }

    /// Sets what a typed target says: `[user@]host[:port]` or a URL, as [`Endpoint::parse`] has read it. Flags that are there already
    /// win.
    pub fn set_target(&mut self, target: &str, endpoint: &Endpoint, user: Option<&str>) {
        let host = match endpoint.zone() {
            Some(zone) => format!("{}%{zone}", endpoint.host()),
            None => endpoint.host().to_owned(),
        };
        let scheme = endpoint.scheme();
        let text = |text: &str| Value::Unsafe(text.into());
        let mut said = vec![(Key::Host, text(&host))];
        if target.contains("://") || scheme == Scheme::Http {
            said.push((Key::Scheme, text(&scheme.to_string())));
        }
        if endpoint.port() != scheme.default_port() {
            said.push((Key::Port, Value::Int(i64::from(endpoint.port()))));
        }
        if endpoint.path() != "/wsman" {
            said.push((Key::Path, text(endpoint.path())));
        }
        if let Some(user) = user {
            said.push((Key::User, text(user)));
        }
        for (key, value) in said {
            if self.said(key).is_none() {
                self.set(key, value, TARGET);
            }
        }
    }

    /// The password that goes over all variables: it was asked for, or read from a file.
    pub fn set_password(&mut self, password: Secret, origin: Origin) {
        self.password = Some((password, origin));
    }

    /// The password for where no variable has one.
    pub fn set_fallback_password(&mut self, password: Secret, origin: Origin) {
        self.fallback = Some((password, origin));
    }

    /// The same for the password of the account to become.
    pub fn set_become_password(&mut self, password: Secret, origin: Origin) {
        self.become_password = Some((password, origin));
    }

    /// Sets the client certificate that a flag names, opened already; `path` is for [`Settings::explain`](super::Settings::explain).
    pub fn set_certificate(&mut self, certificate: ClientCertificate, path: &str, flag: &'static str) {
        self.set_text(Key::CertPem, path, flag);
        self.certificate = Some(certificate);
    }

    /// The passphrase of keys and PFX files that variables name, for where no variable has one.
    pub fn set_fallback_passphrase(&mut self, passphrase: Secret) {
        self.fallback_passphrase = Some(passphrase);
    }

    pub(super) fn certificate(&self) -> Option<&ClientCertificate> {
        self.certificate.as_ref()
    }

    pub(super) fn fallback_passphrase(&self) -> Option<&Secret> {
        self.fallback_passphrase.as_ref()
    }

    pub(super) fn opened(&self) -> &Opened {
        &self.opened
    }

    pub(super) fn defaults(&self) -> Defaults {
        self.defaults
    }

    pub(super) fn said(&self, key: Key) -> Option<(&'static str, &Variable)> {
        let said = self.values.iter().find(|(known, _, _)| *known == key);
        said.map(|(_, flag, variable)| (*flag, variable))
    }

    pub(super) fn fallback(&self, key: Key) -> Option<(&'static str, &Variable)> {
        let said = self.fallbacks.iter().find(|(known, _, _)| *known == key);
        said.map(|(_, name, variable)| (*name, variable))
    }

    pub(super) fn given_password(&self, key: Key) -> Option<(&Secret, &Origin)> {
        let given = match key {
            Key::Password => &self.password,
            Key::BecomePassword => &self.become_password,
            _ => &None,
        };
        given.as_ref().map(|(secret, origin)| (secret, origin))
    }

    pub(super) fn fallback_password(&self, key: Key) -> Option<(&Secret, &Origin)> {
        let fallback = self.fallback.as_ref().filter(|_| key == Key::Password)?;
        Some((&fallback.0, &fallback.1))
    }
}
