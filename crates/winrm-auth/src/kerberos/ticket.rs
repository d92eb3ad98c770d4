//! What tickets are good for, without a host to show them to. These functions block.

use std::time::Duration;

use winrm_gssapi::{Credential, Flags, InitContext, Library, Mechanism, Name, Usage};

use super::{Delegation, KerberosError, KerberosTarget, Tickets};

/// What a ticket cache, or a key table, has for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldTicket {
    /// Whose it is, `user@REALM`: as the KDC has written it, which may be another name than the one that was asked for.
    pub principal: String,
    /// How long it is still valid; zero once it has expired, `None` if it never ends.
    pub lifetime: Option<Duration>,
}

impl HeldTicket {
    /// Looks at what is there. With a key table this asks the KDC for a ticket.
    ///
    /// # Errors
    /// [`KerberosError::Library`] and [`KerberosError::Credentials`].
    pub fn of(tickets: &Tickets) -> Result<Self, KerberosError> {
        let credential = credential(tickets)?;
        let read = || {
            let name = credential.name()?;
            let principal = name.map(|name| name.display()).transpose()?.unwrap_or_default();
            Ok(Self {
                principal,
                lifetime: credential.lifetime()?,
            })
        };
        read().map_err(|source| KerberosError::Credentials {
            origin: tickets.origin(),
            source,
        })
    }
}

/// Asks the KDC for a ticket of the service `target`, and forwards the client's own into it if the target asks for that. Nothing is
/// sent to the service. Tells whether the client's ticket could be forwarded.
///
/// # Errors
/// [`KerberosError::Library`], [`KerberosError::Credentials`], and [`KerberosError::Initiate`] for everything the KDC may say.
pub fn service_ticket(target: &KerberosTarget, tickets: &Tickets) -> Result<Delegation, KerberosError> {
    let library = Library::load().map_err(KerberosError::Library)?;
    let failed = |source| KerberosError::Initiate {
        target: target.principal(),
        source,
    };
    let credential = credential(tickets)?;
    let name = target.name(library).map_err(failed)?;
    let wanted = if target.delegates() { Flags::DELEGATE } else { Flags::empty() };
    // Without mutual authentication there is nothing to wait for: the context is there as soon as the ticket is.
    let mut context = InitContext::new(library, name, Mechanism::Krb5)
        .credential(credential.into())
        .flags(wanted);
    context.step(None).map_err(failed)?;
    let granted = context.finish().map_err(failed)?.flags();
    Ok(match (target.delegates(), granted.contains(Flags::DELEGATE)) {
        (false, _) => Delegation::None,
        (true, false) => Delegation::Refused,
        (true, true) => Delegation::Sent,
    })
}

fn credential(tickets: &Tickets) -> Result<Credential, KerberosError> {
    let library = Library::load().map_err(KerberosError::Library)?;
    let failed = |source| KerberosError::Credentials {
        origin: tickets.origin(),
        source,
    };
    let name = tickets.principal().map(|principal| Name::principal(library, principal));
    let name = name.transpose().map_err(failed)?;
    Credential::acquire(library, name.as_ref(), Usage::Initiate, Mechanism::Krb5, &tickets.store()).map_err(failed)
}
