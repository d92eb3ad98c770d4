//! Kerberos by the system's GSSAPI library (RFC 4121, [MS-KILE]): both sides, with channel bindings in the first token,
//! delegation, and message encryption.
//!
//! The tokens are raw Kerberos tokens; [`spnego`](crate::spnego) carries them when it is asked to.
//!
//! Unlike the rest of the crate this module blocks: the first step of an initiator reads the ticket cache and may ask a
//! KDC over the network. Run it off asynchronous threads.

mod acceptor;
mod cfx;
mod error;
mod initiator;
pub mod kdc;
mod sealer;
mod ticket;

pub use acceptor::{KerberosAcceptor, KerberosService};
pub use error::KerberosError;
pub use initiator::{KerberosInitiator, KerberosTarget, Tickets};
pub use sealer::KerberosSealer;
pub use ticket::{HeldTicket, service_ticket};

use winrm_gssapi::{Credential, CredentialStore, Library};

use crate::Peer;

/// Whether this machine has a GSSAPI library: the first thing to ask before Kerberos is offered or tried.
///
/// # Errors
/// [`KerberosError::Library`], whose text names the package to install.
pub fn available() -> Result<(), KerberosError> {
    Library::load().map(|_| ()).map_err(KerberosError::Library)
}

/// What became of a client's ticket.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Delegation {
    /// Not asked for, or not sent.
    #[default]
    None,
    /// An initiator was to forward its ticket and could not, because the ticket is not forwardable (`kinit -f`), or
    /// because the account may not be delegated.
    Refused,
    /// An initiator has forwarded its ticket.
    Sent,
    /// An acceptor has received the client's ticket.
    Received(DelegatedTicket),
}

/// The ticket of a client, forwarded to a service, which can act with it in the client's name.
#[derive(Clone, Debug)]
pub struct DelegatedTicket(std::sync::Arc<Credential>);

impl DelegatedTicket {
    /// Writes the ticket into a cache (`FILE:/path`), for `KRB5CCNAME` of a program started for the client.
    ///
    /// # Errors
    /// [`KerberosError::Credentials`] if the cache can't be written.
    pub fn store_into(&self, ccache: &str) -> Result<(), KerberosError> {
        self.0
            .store_into(&CredentialStore::new().ccache(ccache))
            .map_err(|source| KerberosError::Credentials {
                origin: format!("the cache {ccache}"),
                source,
            })
    }

    /// The credential itself, to initiate contexts with.
    pub fn credential(&self) -> std::sync::Arc<Credential> {
        self.0.clone()
    }
}

/// Takes a principal (`user@REALM`, `HTTP/host@REALM`) apart. An `@` within the name is escaped by a backslash.
fn peer(principal: &str) -> Peer {
    let at = principal
        .char_indices()
        .rev()
        .find(|&(i, c)| c == '@' && !principal[..i].ends_with('\\'));
    match at {
        Some((i, _)) => Peer {
            user: principal[..i].to_owned(),
            domain: Some(principal[i + 1..].to_owned()),
        },
        None => Peer {
            user: principal.to_owned(),
            domain: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_has_a_user_and_a_realm() {
        let parts = |text| {
            let Peer { user, domain } = peer(text);
            (user, domain)
        };
        assert_eq!(parts("user@R.TEST"), ("user".to_owned(), Some("R.TEST".to_owned())));
        assert_eq!(parts("HTTP/h@R.TEST"), ("HTTP/h".to_owned(), Some("R.TEST".to_owned())));
        assert_eq!(parts(r"a\@b.c@R.TEST"), (r"a\@b.c".to_owned(), Some("R.TEST".to_owned())));
        assert_eq!(parts("user"), ("user".to_owned(), None));
    }
}
