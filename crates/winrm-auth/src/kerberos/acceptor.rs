//! The service's side.

use std::sync::Arc;

use winrm_gssapi::{AcceptContext, ChannelBindings, Credential, CredentialStore, Flags, Library, Mechanism as GssMechanism, Usage};

use super::{DelegatedTicket, Delegation, KerberosError, KerberosSealer, peer};
use crate::{ChannelBindingPolicy, Error, Mechanism, SecurityContext, Step, TokenMachine};

/// The keys of a service, read once and shared by its connections.
#[derive(Clone, Debug)]
pub struct KerberosService {
    library: &'static Library,
    credential: Arc<Credential>,
}

impl KerberosService {
    /// Opens a key table: a path or `FILE:/path`; the library's default (`KRB5_KTNAME`) if `None`. Every principal that
    /// has a key in it is accepted. The library reads the table anew for each client, so that new keys count at once.
    ///
    /// # Errors
    /// [`KerberosError::Library`]; [`KerberosError::Credentials`] if the table can't be read or is empty.
    pub fn open(keytab: Option<&str>) -> Result<Self, KerberosError> {
        let library = Library::load().map_err(KerberosError::Library)?;
        let store = keytab.map_or_else(CredentialStore::new, |keytab| CredentialStore::new().keytab(keytab));
        let credential = Credential::acquire(library, None, Usage::Accept, GssMechanism::Krb5, &store).map_err(|source| {
            let origin = keytab.map_or_else(|| "the default key table".to_owned(), |keytab| format!("the key table {keytab}"));
            KerberosError::Credentials { origin, source }
        })?;
        Ok(Self {
            library,
            credential: credential.into(),
        })
    }

    /// The machine for one client.
    pub fn acceptor(&self, policy: ChannelBindingPolicy) -> KerberosAcceptor {
        let context = AcceptContext::new(self.library, GssMechanism::Krb5).credential(self.credential.clone());
        let (context, required) = match policy {
            ChannelBindingPolicy::Ignore => (context, false),
            ChannelBindingPolicy::IfPresent(binding) => (context.channel_bindings(ChannelBindings::new(binding.application_data())), false),
            ChannelBindingPolicy::Required(binding) => (context.channel_bindings(ChannelBindings::new(binding.application_data())), true),
        };
        KerberosAcceptor {
            context: Some(Box::new(context)),
            required,
        }
    }
}

/// The acceptor's token machine.
#[derive(Debug)]
pub struct KerberosAcceptor {
    context: Option<Box<AcceptContext>>,
    required: bool,
}

impl KerberosAcceptor {
    fn advance(&mut self, mut context: Box<AcceptContext>, input: &[u8]) -> Result<Step, KerberosError> {
        let outcome = context.step(input).map_err(|source| KerberosError::Accept {
            source,
            reply: context.error_token().to_vec(),
        })?;
        if !outcome.complete {
            self.context = Some(context);
            return Ok(Step::Continue(outcome.token));
        }
        let delegated = context.take_delegated();
        let context = context.finish().map_err(KerberosError::Context)?;
        // MIT lets a client without bindings in, whatever the service's are: only this flag tells.
        let channel_bound = context.flags().contains(Flags::CHANNEL_BOUND);
        if self.required && !channel_bound {
            return Err(KerberosError::NoChannelBinding);
        }
        let name = context.source().and_then(|name| name.map(|name| name.display()).transpose());
        let Some(principal) = name.map_err(KerberosError::Context)? else {
            return Err(KerberosError::NotGranted("a client's name"));
        };
        let mut done = SecurityContext::new(
            Mechanism::Kerberos,
            KerberosSealer::new(context, true)?.into(),
            Some(peer(&principal)),
            channel_bound,
        );
        if let Some(delegated) = delegated {
            done.delegation = Delegation::Received(DelegatedTicket(delegated.into()));
        }
        Ok(Step::Done {
            token: (!outcome.token.is_empty()).then_some(outcome.token),
            context: done,
        })
    }
}

impl TokenMachine for KerberosAcceptor {
    fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        let context = self.context.take().ok_or(Error::OutOfTurn)?;
        self.advance(context, input).map_err(Error::from)
    }

    fn mechanism(&self) -> Mechanism {
        Mechanism::Kerberos
    }
}
