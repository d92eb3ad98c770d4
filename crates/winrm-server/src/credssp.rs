//! The service's side of CredSSP: its inner TLS, and what it thinks of the credentials that clients hand over.

use std::sync::OnceLock;
use std::time::Duration;

use winrm_auth::credssp::{AcceptorTls, CredSspAcceptor, CredSspError, InnerTlsVersion, NEWEST_VERSION, OLDEST_VERSION};
use winrm_auth::spnego::SpnegoAcceptor;
use winrm_auth::{Credentials, Peer};

use crate::tls::Identity;

/// How a service offers CredSSP ([MS-CSSP]).
///
/// Clients hand over their password: the service checks it, and forgets it. Commands run as the service does, whoever asks for them.
#[derive(Clone, Debug)]
pub struct CredSsp {
    minimum_version: u32,
    disable_tlsv1_2: bool,
    identity: Option<Identity>,
}

impl Default for CredSsp {
    fn default() -> Self {
        Self {
            minimum_version: OLDEST_VERSION,
            disable_tlsv1_2: false,
            identity: None,
        }
    }
}

impl CredSsp {
    /// Clients of every version, TLS 1.2 inside, with a key and a certificate that are made when the first client comes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses clients that speak older versions of CredSSP than this, 2 to 6. From 5 on they have the mend for CVE-2018-0886.
    #[must_use]
    pub fn minimum_version(mut self, version: u32) -> Self {
        self.minimum_version = version;
        self
    }

    /// TLS 1.0 inside CredSSP in place of 1.2, as Windows Server 2008 has it: to try clients with.
    #[must_use]
    pub fn disable_tlsv1_2(mut self, disable: bool) -> Self {
        self.disable_tlsv1_2 = disable;
        self
    }

    /// The certificate and key of the TLS inside, while `winrm/config/service` names no other by its `CertificateThumbprint`. Clients
    /// don't check the certificate; some can do with RSA keys only.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The minimum, if there is no such version.
    pub(crate) fn impossible_version(&self) -> Option<u32> {
        let possible = (OLDEST_VERSION..=NEWEST_VERSION).contains(&self.minimum_version);
        (!possible).then_some(self.minimum_version)
    }

    fn version(&self) -> InnerTlsVersion {
        if self.disable_tlsv1_2 {
            InnerTlsVersion::Tls10
        } else {
            InnerTlsVersion::Tls12
        }
    }

    fn tls(&self, machine: &str, since_unix_epoch: Duration) -> Result<AcceptorTls, CredSspError> {
        match &self.identity {
            Some(identity) => AcceptorTls::new(identity.certificate(), identity.key(), self.version()),
            None => AcceptorTls::self_signed(machine, since_unix_epoch, self.version()),
        }
    }
}

/// Makes acceptors.
pub(crate) struct CredSspAcceptors {
    settings: CredSsp,
    machine: String,
    /// Made for the first client: an RSA key takes its time, and most services never need it.
    tls: OnceLock<Result<AcceptorTls, CredSspError>>,
}

impl CredSspAcceptors {
    pub(crate) fn new(settings: CredSsp, machine: &str) -> Self {
        Self {
            settings,
            machine: machine.to_owned(),
            tls: OnceLock::new(),
        }
    }

    /// An acceptor around this one, which may have no channel binding, with the `configured` certificate where there is one. May take a
    /// while the first time.
    pub(crate) fn acceptor(
        &self,
        inner: SpnegoAcceptor,
        configured: Option<&Identity>,
        since_unix_epoch: Duration,
    ) -> Result<CredSspAcceptor, CredSspError> {
        let acceptor = match configured {
            Some(identity) => {
                let tls = AcceptorTls::new(identity.certificate(), identity.key(), self.settings.version())?;
                CredSspAcceptor::new(&tls, inner)?
            }
            None => {
                let tls = self.tls.get_or_init(|| self.settings.tls(&self.machine, since_unix_epoch));
                CredSspAcceptor::new(tls.as_ref().map_err(Clone::clone)?, inner)?
            }
        };
        Ok(acceptor.minimum_version(self.settings.minimum_version))
    }
}

/// Whether delegated credentials name the principal that has authenticated. Their password is for the KDC to judge, not for us.
pub(crate) fn is_principal(delegated: &Credentials, peer: &Peer) -> bool {
    let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    let realm = peer.domain.as_deref().unwrap_or_default();
    match &delegated.domain {
        // The domain's short name is as a rule the first label of its realm.
        Some(domain) => {
            let short = realm.split('.').next().unwrap_or_default();
            same(&delegated.user, &peer.user) && (same(domain, realm) || same(domain, short))
        }
        None => same(&delegated.user, &peer.user) || same(&delegated.user, &format!("{}@{realm}", peer.user)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_has_several_names() {
        let peer = Peer {
            user: "alice".to_owned(),
            domain: Some("CORP.EXAMPLE".to_owned()),
        };
        for (name, same) in [
            ("alice", true),
            ("Alice@corp.example", true),
            (r"corp\alice", true),
            (r"CORP.EXAMPLE\alice", true),
            ("bob", false),
            ("bob@CORP.EXAMPLE", false),
            ("alice@OTHER.EXAMPLE", false),
            (r"OTHER\alice", false),
        ] {
            let delegated = Credentials::parse(name, "x").unwrap();
            assert_eq!(is_principal(&delegated, &peer), same, "{name}");
        }
    }

    #[test]
    fn versions_are_2_to_6() {
        assert_eq!(CredSsp::new().minimum_version(7).impossible_version(), Some(7));
        assert_eq!(CredSsp::new().minimum_version(6).impossible_version(), None);
    }
}
