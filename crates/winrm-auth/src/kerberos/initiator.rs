//! The client's side.

use std::sync::Arc;

use winrm_gssapi::{ChannelBindings, Credential, CredentialStore, Flags, InitContext, Library, Mechanism as GssMechanism, Name, Usage};

use super::{Delegation, KerberosError, KerberosSealer};
use crate::kinit::Ticket;
use crate::{ChannelBinding, Error, Mechanism, SecurityContext, Step, TokenMachine};

/// Where a client's tickets are.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Tickets {
    /// In the library's default cache: `KRB5CCNAME`, or as `krb5.conf` says.
    #[default]
    Default,
    /// In this cache: `FILE:/path`, `DIR:`, `KEYRING:`, `KCM:`.
    Ccache(String),
    /// Fetched with a key of this key table and kept in memory for the life of the process.
    Keytab {
        /// The path of the table, or `FILE:/path`.
        keytab: String,
        /// Whose key; the first one of the table if `None`.
        principal: Option<String>,
    },
    /// In a cache of their own, fetched by `kinit`; kept while it is in use.
    Managed(Arc<Ticket>),
}

impl Tickets {
    pub(super) fn store(&self) -> CredentialStore {
        let store = CredentialStore::new();
        match self {
            Self::Default => store,
            Self::Ccache(name) => store.ccache(name),
            // A cache in memory, one for each identity: the default cache may be someone else's, and the library
            // fetches a new ticket by itself when the one in there nears its end.
            Self::Keytab { keytab, principal } => store
                .client_keytab(keytab)
                .ccache(format!("MEMORY:winrm:{}:{keytab}", principal.as_deref().unwrap_or_default())),
            Self::Managed(ticket) => store.ccache(ticket.ccache()),
        }
    }

    pub(super) fn principal(&self) -> Option<&str> {
        match self {
            Self::Keytab { principal, .. } => principal.as_deref(),
            _ => None,
        }
    }

    pub(super) fn origin(&self) -> String {
        match self {
            Self::Default => "the default ticket cache".to_owned(),
            Self::Ccache(name) => format!("the ticket cache {name}"),
            Self::Keytab { keytab, .. } => format!("the key table {keytab}"),
            Self::Managed(ticket) => format!("kinit for {}", ticket.principal()),
        }
    }
}

/// The service a client authenticates with, and what it asks for.
#[derive(Clone, Debug)]
pub struct KerberosTarget {
    service: String,
    host: String,
    realm: Option<String>,
    delegate: bool,
    encrypt: bool,
    binding: Option<ChannelBinding>,
}

impl KerberosTarget {
    /// The service `HTTP` on `host`, with message encryption, without delegation.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            service: "HTTP".to_owned(),
            host: host.into(),
            realm: None,
            delegate: false,
            encrypt: true,
            binding: None,
        }
    }

    /// Another service than `HTTP`: `WSMAN`, `host`.
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = service.into();
        self
    }

    /// The realm of the host, where `krb5.conf` and DNS don't tell.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Forwards the client's ticket to the host, if the ticket allows it.
    #[must_use]
    pub fn delegate(mut self, delegate: bool) -> Self {
        self.delegate = delegate;
        self
    }

    /// Whether the context has to be able to encrypt messages.
    #[must_use]
    pub fn encrypt(mut self, encrypt: bool) -> Self {
        self.encrypt = encrypt;
        self
    }

    /// The channel binding of the TLS connection; it goes into the first token.
    #[must_use]
    pub fn channel_binding(mut self, binding: Option<ChannelBinding>) -> Self {
        self.binding = binding;
        self
    }

    /// The service principal as it is written: `HTTP/host`, `HTTP/host@REALM`.
    pub fn principal(&self) -> String {
        match &self.realm {
            Some(realm) => format!("{}/{}@{realm}", self.service, self.host),
            None => format!("{}/{}", self.service, self.host),
        }
    }

    pub(super) fn delegates(&self) -> bool {
        self.delegate
    }

    pub(super) fn name(&self, library: &'static Library) -> Result<Name, winrm_gssapi::Error> {
        match &self.realm {
            Some(_) => Name::principal(library, &self.principal()),
            // Host-based, so that the library's [domain_realm] rules and referrals find the realm.
            None => Name::service(library, &self.service, &self.host),
        }
    }

    fn flags(&self) -> Flags {
        let mut flags = Flags::MUTUAL | Flags::SEQUENCE | Flags::REPLAY;
        if self.encrypt {
            flags |= Flags::CONFIDENTIALITY | Flags::INTEGRITY;
        }
        if self.delegate {
            flags |= Flags::DELEGATE;
        }
        flags
    }
}

/// The initiator's token machine.
///
/// The first step acquires the credential and gets the service ticket: it may block on a KDC.
#[derive(Debug)]
pub struct KerberosInitiator {
    target: KerberosTarget,
    state: State,
}

#[derive(Debug)]
enum State {
    Start(Tickets),
    // Keeps the managed ticket, whose cache is removed with it.
    Running(Box<InitContext>, Tickets),
    Ended,
}

impl KerberosInitiator {
    /// Authenticates with `target`, with one of `tickets`.
    pub fn new(target: KerberosTarget, tickets: Tickets) -> Self {
        Self {
            target,
            state: State::Start(tickets),
        }
    }

    /// The target it was made for.
    pub fn target(&self) -> &KerberosTarget {
        &self.target
    }

    /// Gets the credential, without asking for a ticket of the service yet: tells whether Kerberos can be tried at all.
    /// Repeating it, or leaving it out, changes nothing.
    ///
    /// # Errors
    /// [`KerberosError::Library`] and [`KerberosError::Credentials`].
    pub fn prepare(&mut self) -> Result<(), KerberosError> {
        let State::Start(tickets) = &self.state else { return Ok(()) };
        let library = Library::load().map_err(KerberosError::Library)?;
        let failed = |source| KerberosError::Credentials {
            origin: tickets.origin(),
            source,
        };
        let name = tickets
            .principal()
            .map(|principal| Name::principal(library, principal))
            .transpose()
            .map_err(failed)?;
        let credential =
            Credential::acquire(library, name.as_ref(), Usage::Initiate, GssMechanism::Krb5, &tickets.store()).map_err(failed)?;
        let target = self.target.name(library).map_err(|source| self.failed(source))?;
        let mut context = InitContext::new(library, target, GssMechanism::Krb5)
            .credential(credential.into())
            .flags(self.target.flags());
        if let Some(binding) = &self.target.binding {
            context = context.channel_bindings(ChannelBindings::new(binding.application_data()));
        }
        self.state = State::Running(Box::new(context), tickets.clone());
        Ok(())
    }

    fn failed(&self, source: winrm_gssapi::Error) -> KerberosError {
        KerberosError::Initiate {
            target: self.target.principal(),
            source,
        }
    }

    fn advance(&mut self, input: &[u8]) -> Result<Step, KerberosError> {
        let State::Running(mut context, tickets) = std::mem::replace(&mut self.state, State::Ended) else {
            return Err(self.failed(winrm_gssapi::Error::State("the handshake has ended already")));
        };
        let outcome = context
            .step((!input.is_empty()).then_some(input))
            .map_err(|source| self.failed(source))?;
        if !outcome.complete {
            self.state = State::Running(context, tickets);
            return Ok(Step::Continue(outcome.token));
        }
        let context = context.finish().map_err(|source| self.failed(source))?;
        let flags = context.flags();
        if !flags.contains(Flags::MUTUAL) {
            return Err(KerberosError::NotGranted("mutual authentication"));
        }
        if self.target.encrypt && !flags.contains(Flags::CONFIDENTIALITY | Flags::INTEGRITY) {
            return Err(KerberosError::NotGranted("message encryption"));
        }
        let mut done = SecurityContext::new(
            Mechanism::Kerberos,
            KerberosSealer::new(context, self.target.encrypt)?.into(),
            None,
            self.target.binding.is_some(),
        );
        done.delegation = match (self.target.delegate, flags.contains(Flags::DELEGATE)) {
            (false, _) => Delegation::None,
            (true, false) => Delegation::Refused,
            (true, true) => Delegation::Sent,
        };
        Ok(Step::Done {
            token: (!outcome.token.is_empty()).then_some(outcome.token),
            context: done,
        })
    }
}

impl TokenMachine for KerberosInitiator {
    fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        match self.state {
            State::Ended => return Err(Error::OutOfTurn),
            State::Start(_) => {
                if let Err(error) = self.prepare() {
                    self.state = State::Ended;
                    return Err(error.into());
                }
            }
            State::Running(..) => {}
        }
        self.advance(input).map_err(Error::from)
    }

    fn mechanism(&self) -> Mechanism {
        Mechanism::Kerberos
    }
}
