//! What a client wants of Kerberos.

use std::sync::Arc;

use winrm_auth::kerberos::{KerberosTarget, Tickets};
use winrm_auth::kinit::{Kinit, TicketCache};

/// Where a client's Kerberos tickets come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TicketSource {
    /// `kinit` fetches a ticket with the client's user and password, into a cache of its own that is removed at the end.
    Managed(Kinit),
    /// The library's default cache: what `kinit` left for this user.
    Default,
    /// This cache: `FILE:/path`, `DIR:`, `KEYRING:`, `KCM:`.
    Ccache(String),
    /// A key of this key table; the client's user says whose, or it is the table's first.
    Keytab(String),
}

/// Settings of Kerberos. Clones share their managed tickets: give all clients of a run clones of one, and `kinit` runs once
/// for each user and not once for each host.
#[derive(Clone, Debug, Default)]
pub struct Kerberos {
    tickets: Option<TicketSource>,
    service: Option<String>,
    host: Option<String>,
    realm: Option<String>,
    delegate: bool,
    cache: Arc<TicketCache>,
}

impl Kerberos {
    /// A managed ticket where there is a password, and the default cache otherwise; service `HTTP` on the host's own name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where tickets come from.
    #[must_use]
    pub fn tickets(mut self, tickets: TicketSource) -> Self {
        self.tickets = Some(tickets);
        self
    }

    /// Another service than `HTTP`: `WSMAN`, `host`.
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// The host's name in its principal, where it isn't that of the address.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The realm of user and host, where `krb5.conf` and DNS don't tell.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Whether the host gets the client's ticket, to act in the client's name. Only for hosts that are trusted with that.
    #[must_use]
    pub fn delegate(mut self, delegate: bool) -> Self {
        self.delegate = delegate;
        self
    }

    /// Removes the managed tickets of this and all its clones, and ends a `kinit` that still runs. For the end of a program: what its
    /// threads still hold would be left behind. Blocks for some milliseconds; nobody gets a managed ticket afterwards.
    pub fn close(&self) {
        self.cache.close();
    }

    /// Where tickets come from, if that was said.
    #[must_use]
    pub fn source(&self) -> Option<&TicketSource> {
        self.tickets.as_ref()
    }

    /// The realm that was said.
    #[must_use]
    pub fn said_realm(&self) -> Option<&str> {
        self.realm.as_deref()
    }

    /// Whether the host gets the client's ticket.
    #[must_use]
    pub fn delegates(&self) -> bool {
        self.delegate
    }

    /// The service that a ticket for this host is for, by all that was said.
    #[must_use]
    pub fn target(&self, host: &str) -> KerberosTarget {
        let mut target = KerberosTarget::new(self.host_name(host)).delegate(self.delegate);
        if let Some(service) = &self.service {
            target = target.service(service);
        }
        if let Some(realm) = &self.realm {
            target = target.realm(realm);
        }
        target
    }

    /// The host's name as its principal has it.
    #[must_use]
    pub fn host_name<'a>(&'a self, host: &'a str) -> &'a str {
        self.host.as_deref().unwrap_or(host)
    }

    /// Whether a ticket may be had at all: a local account has none, and asking a KDC for it costs time and, with the wrong
    /// password, attempts.
    #[must_use]
    pub fn is_worth_trying(&self, credentials: Option<&winrm_auth::Credentials>) -> bool {
        let domain = |credentials: &winrm_auth::Credentials| {
            credentials.is_principal_name()
                || credentials
                    .domain
                    .as_deref()
                    .is_some_and(|domain| domain.contains('.') && domain != ".")
        };
        self.tickets.is_some() || self.realm.is_some() || credentials.is_none_or(domain)
    }

    /// Gets the tickets. Blocks while `kinit` runs.
    pub(crate) fn fetch(&self, credentials: Option<&winrm_auth::Credentials>) -> Result<Tickets, winrm_auth::kinit::KinitError> {
        let principal = |credentials| winrm_auth::kinit::principal(credentials, self.realm.as_deref());
        match (&self.tickets, credentials) {
            (None, None) | (Some(TicketSource::Default), _) => Ok(Tickets::Default),
            (Some(TicketSource::Managed(_)), None) => Ok(Tickets::Default),
            (Some(TicketSource::Ccache(name)), _) => Ok(Tickets::Ccache(name.clone())),
            (Some(TicketSource::Keytab(keytab)), credentials) => Ok(Tickets::Keytab {
                keytab: keytab.clone(),
                principal: credentials.map(principal),
            }),
            (None, Some(credentials)) => self.managed(&Kinit::default().forwardable(self.delegate), credentials),
            (Some(TicketSource::Managed(kinit)), Some(credentials)) => self.managed(kinit, credentials),
        }
    }

    fn managed(&self, kinit: &Kinit, credentials: &winrm_auth::Credentials) -> Result<Tickets, winrm_auth::kinit::KinitError> {
        let principal = winrm_auth::kinit::principal(credentials, self.realm.as_deref());
        let ticket = self.cache.ticket(kinit, &principal, &credentials.password)?;
        Ok(Tickets::Managed(ticket))
    }
}

#[cfg(test)]
mod tests {
    use winrm_auth::Credentials;

    use super::*;

    #[test]
    fn local_accounts_ask_no_kdc() {
        let worth = |kerberos: &Kerberos, name: &str| kerberos.is_worth_trying(Some(&Credentials::parse(name, "x").unwrap()));
        let plain = Kerberos::new();
        for (name, expected) in [
            ("alice", false),
            (r".\alice", false),
            (r"CORP\alice", false),
            (r"corp.example\alice", true),
            ("alice@CORP.EXAMPLE", true),
        ] {
            assert_eq!(worth(&plain, name), expected, "{name}");
        }
        assert!(plain.is_worth_trying(None));
        assert!(worth(&plain.clone().realm("CORP.EXAMPLE"), "alice"));
        assert!(worth(&plain.tickets(TicketSource::Default), "alice"));
    }

    #[test]
    fn the_principal_follows_from_the_settings() {
        let kerberos = Kerberos::new();
        assert_eq!(kerberos.target("web1.corp.example").principal(), "HTTP/web1.corp.example");
        let kerberos = kerberos.service("WSMAN").host("web").realm("R.TEST");
        assert_eq!(kerberos.target("10.0.0.1").principal(), "WSMAN/web@R.TEST");
    }
}
