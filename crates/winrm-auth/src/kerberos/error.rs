//! Why Kerberos failed, and what to do about it.

use winrm_gssapi::ErrorKind;

/// Why Kerberos failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KerberosError {
    /// There is no GSSAPI library.
    #[error("Kerberos is not available")]
    Library(#[source] winrm_gssapi::Error),
    /// No ticket or key could be had.
    #[error("no Kerberos credentials from {origin}")]
    Credentials {
        /// Where they were looked for.
        origin: String,
        /// What the library said.
        source: winrm_gssapi::Error,
    },
    /// The service could not be authenticated with.
    #[error("Kerberos authentication with {target} failed")]
    Initiate {
        /// The service principal.
        target: String,
        /// What the library said.
        source: winrm_gssapi::Error,
    },
    /// A client's token was refused.
    #[error("the Kerberos token of a client was refused")]
    Accept {
        /// What the library said.
        source: winrm_gssapi::Error,
        /// A token that tells the client why (`KRB-ERROR`); empty if there is none.
        reply: Vec<u8>,
    },
    /// The client sent no channel binding, and this service demands one.
    #[error("the client sent no channel binding, which this service requires")]
    NoChannelBinding,
    /// The other side doesn't agree to something that is not optional here.
    #[error("the Kerberos peer does not grant {0}")]
    NotGranted(&'static str),
    /// The established context can't be asked about its peer, or can't be used.
    #[error("an established Kerberos context is of no use")]
    Context(#[source] winrm_gssapi::Error),
}

const NO_KEY: &str = "the keytab does not exist, can't be read, or has no key for this principal: klist -k shows what it has";

impl KerberosError {
    /// The kind of failure the library's codes stand for, if the library failed.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Library(source)
            | Self::Credentials { source, .. }
            | Self::Initiate { source, .. }
            | Self::Accept { source, .. }
            | Self::Context(source) => Some(source.kind()),
            Self::NoChannelBinding | Self::NotGranted(_) => None,
        }
    }

    /// What a person can do about it, in one sentence; `None` where nothing better is known than the error itself.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoChannelBinding => {
                return Some("let the client send channel bindings (old pywinrm sends them only after a first refusal)");
            }
            Self::NotGranted("mutual authentication") => return Some("the host did not prove its identity: is it the right one?"),
            Self::NotGranted(_) => return None,
            _ => {}
        }
        let acceptor = matches!(self, Self::Accept { .. });
        // Without keys MIT goes on to look for a ticket, and complains of that.
        let keys = matches!(self, Self::Credentials { origin, .. } if origin.starts_with("the key table"));
        Some(match self.kind()? {
            ErrorKind::NoCredentials if keys => NO_KEY,
            ErrorKind::NoCredentials => "get a ticket with kinit, or give a password, a keytab or a ccache; klist shows what there is",
            ErrorKind::CredentialsExpired => {
                "the ticket has expired: run kinit again, or let winrm manage the ticket by giving it the password"
            }
            ErrorKind::UnknownServer => {
                "the KDC knows no such service: connect by the host's full name as Active Directory has it (setspn -L HOST shows its \
                 names), or override host name or service"
            }
            ErrorKind::UnknownClient => "the KDC does not know this user: check its spelling and the realm, which is in capitals",
            ErrorKind::WrongPassword => "the password or the key in the keytab is wrong",
            ErrorKind::AccountDisabled => "the account is locked, disabled or expired, or its password has to be changed",
            ErrorKind::ClockSkew => "the clocks differ by more than five minutes: synchronise this machine with the domain (chrony, ntpd)",
            ErrorKind::KdcUnreachable => "no KDC answers: check the network, port 88 and the kdc lines of krb5.conf",
            ErrorKind::UnknownRealm => {
                "no KDC is known for this realm: realms are in capitals, and krb5.conf ([realms], [domain_realm]) or DNS has to know them"
            }
            ErrorKind::NoKey if acceptor => {
                "the ticket is for a principal or key version that is not in the service's keytab: klist -k shows what is"
            }
            ErrorKind::NoKey => NO_KEY,
            ErrorKind::BadBindings => {
                "the client saw another TLS certificate than the one this service has: a proxy in between, or a relayed connection"
            }
            ErrorKind::Replay => "the same token came twice: a client repeated a request, or someone recorded it",
            ErrorKind::BadSignature if acceptor => "the service's keytab has an old key: export it anew",
            _ => return None,
        })
    }
}
