//! The ways to authenticate that the service offers, and a token machine for each.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use openssl::error::ErrorStack;
use winrm_auth::credssp::CredSspError;
use winrm_auth::kerberos::KerberosService;
use winrm_auth::ntlm::{AcceptorIdentity, NtHash, NtlmAcceptor, PasswordLookup};
use winrm_auth::spnego::SpnegoAcceptor;
use winrm_auth::{Challenge, ChannelBinding, ChannelBindingPolicy, Credentials, Mechanism, Peer, Scheme, TokenMachine};

use crate::configuration::CbtHardeningLevel;
use crate::credssp::{self, CredSsp, CredSspAcceptors};
use crate::tls::Identity;
use crate::users::Users;

/// A way to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// SPNEGO, or raw tokens: NTLM, and Kerberos where there is a key table.
    Negotiate,
    /// Kerberos without SPNEGO around it, under its own scheme. Needs a key table.
    Kerberos,
    /// NTLM under its own scheme.
    Ntlm,
    /// NTLM or Kerberos, and then the client's password, inside a TLS of its own ([MS-CSSP]).
    CredSsp,
    /// User name and password in every request, RFC 7617. Over http only where clear text is allowed.
    Basic,
    /// A TLS client certificate whose user principal name is mapped to an account; over https only. Needs authorities.
    Certificate,
}

impl AuthMethod {
    /// All methods that this build can offer, the best first.
    pub const ALL: &'static [Self] = &[
        Self::Negotiate,
        Self::Kerberos,
        Self::Ntlm,
        Self::CredSsp,
        Self::Basic,
        Self::Certificate,
    ];

    /// The name as it is given on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Negotiate => "negotiate",
            Self::Kerberos => "kerberos",
            Self::Ntlm => "ntlm",
            Self::CredSsp => "credssp",
            Self::Basic => "basic",
            Self::Certificate => "certificate",
        }
    }

    /// What a 401 offers for it.
    pub(crate) fn challenge(self) -> Challenge {
        match self {
            Self::Basic => Challenge::basic("WSMAN"),
            _ => Challenge::new(self.scheme()),
        }
    }

    pub(crate) fn scheme(self) -> Scheme {
        match self {
            Self::Negotiate => Scheme::Negotiate,
            Self::Kerberos => Scheme::Kerberos,
            Self::Ntlm => Scheme::Ntlm,
            Self::CredSsp => Scheme::CredSsp,
            Self::Basic => Scheme::Basic,
            Self::Certificate => Scheme::Certificate,
        }
    }
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AuthMethod {
    type Err = UnknownAuthMethod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|method| method.name().eq_ignore_ascii_case(text.trim()));
        known.copied().ok_or_else(|| UnknownAuthMethod(text.trim().to_owned()))
    }
}

/// A name that is no way to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownAuthMethod(pub String);

impl fmt::Display for UnknownAuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is none of", self.0)?;
        for (index, method) in AuthMethod::ALL.iter().enumerate() {
            write!(f, "{} {method}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownAuthMethod {}

/// Makes the token machines of the service's connections, and knows whom they let in.
pub(crate) struct Acceptors {
    users: Arc<Users>,
    identity: AcceptorIdentity,
    kerberos: Option<KerberosService>,
    any_principal: bool,
    credssp: CredSspAcceptors,
}

/// NTLM's way to the passwords.
struct Passwords(Arc<Users>);

impl PasswordLookup for Passwords {
    fn nt_hash(&self, user: &str, domain: Option<&str>) -> Option<NtHash> {
        let (_, password) = self.0.find(user, domain)?;
        Some(NtHash::from_password(password))
    }
}

impl Acceptors {
    pub(crate) fn new(users: Arc<Users>, machine: &str, kerberos: Option<KerberosService>, any_principal: bool, credssp: CredSsp) -> Self {
        Self {
            users,
            identity: AcceptorIdentity::standalone(machine),
            kerberos,
            any_principal,
            credssp: CredSspAcceptors::new(credssp, machine),
        }
    }

    pub(crate) fn has_kerberos(&self) -> bool {
        self.kerberos.is_some()
    }

    /// A machine for one authentication under `scheme`; `None` for schemes without tokens. `binding` is that of our certificate;
    /// `inside` is the certificate that CredSSP is configured to have.
    ///
    /// # Errors
    /// No random numbers to be had, no TLS for CredSSP.
    pub(crate) fn machine(
        &self,
        scheme: &Scheme,
        binding: Option<&ChannelBinding>,
        level: CbtHardeningLevel,
        inside: Option<&Identity>,
    ) -> Result<Option<Box<dyn TokenMachine>>, NoMachine> {
        let policy = match binding {
            None => ChannelBindingPolicy::Ignore,
            Some(binding) => match level {
                CbtHardeningLevel::None => ChannelBindingPolicy::Ignore,
                CbtHardeningLevel::Relaxed => ChannelBindingPolicy::IfPresent(binding.clone()),
                CbtHardeningLevel::Strict => ChannelBindingPolicy::Required(binding.clone()),
            },
        };
        Ok(match scheme {
            Scheme::Ntlm => Some(Box::new(self.ntlm(policy)?)),
            Scheme::Kerberos => self.kerberos.as_ref().map(|service| Box::new(service.acceptor(policy)) as _),
            Scheme::Negotiate => Some(Box::new(self.spnego(policy)?)),
            // Bound to the TLS inside by CredSSP itself; what is outside is none of its business ([MS-CSSP] 3.1.5).
            Scheme::CredSsp => {
                let inner = self.spnego(ChannelBindingPolicy::Ignore)?;
                Some(Box::new(self.credssp.acceptor(inner, inside, now())?))
            }
            _ => None,
        })
    }

    fn spnego(&self, policy: ChannelBindingPolicy) -> Result<SpnegoAcceptor, ErrorStack> {
        let mut machines: Vec<Box<dyn TokenMachine>> = Vec::new();
        machines.extend(
            self.kerberos
                .as_ref()
                .map(|service| Box::new(service.acceptor(policy.clone())) as _),
        );
        machines.push(Box::new(self.ntlm(policy)?));
        Ok(SpnegoAcceptor::new(machines))
    }

    fn ntlm(&self, policy: ChannelBindingPolicy) -> Result<NtlmAcceptor, ErrorStack> {
        let mut challenge = [0; 8];
        openssl::rand::rand_bytes(&mut challenge)?;
        let passwords = Arc::new(Passwords(self.users.clone()));
        Ok(NtlmAcceptor::new(self.identity.clone(), passwords, challenge, now()).channel_binding(policy))
    }

    /// Whether a step of a machine for `scheme` may wait for the disk or the network.
    pub(crate) fn may_block(&self, scheme: &Scheme) -> bool {
        // The first client of CredSSP waits for its key to be made.
        (self.kerberos.is_some() && *scheme != Scheme::Ntlm) || *scheme == Scheme::CredSsp
    }

    /// Whether what a client of CredSSP has delegated is good: name and password of an account, or the name of the principal who it is.
    pub(crate) fn takes_delegated(&self, mechanism: Mechanism, peer: &Peer, delegated: &Credentials) -> bool {
        self.users.verify(delegated).is_some() || (mechanism == Mechanism::Kerberos && credssp::is_principal(delegated, peer))
    }

    /// The account of someone who has authenticated; `None` if there is none for him.
    pub(crate) fn account(&self, mechanism: Mechanism, peer: &Peer) -> Option<String> {
        let domain = peer.domain.as_deref();
        match (mechanism, domain) {
            (Mechanism::Kerberos, Some(realm)) => {
                let principal = format!("{}@{realm}", peer.user);
                let listed = self
                    .users
                    .find(&principal, None)
                    .or_else(|| self.users.find_in_domain(&peer.user, realm));
                let listed = listed.map(|(account, _)| account);
                listed.or_else(|| self.any_principal.then_some(principal))
            }
            _ => self.users.find(&peer.user, domain).map(|(account, _)| account),
        }
    }
}

/// The time since 1970. A clock before that makes responses stale, not wrong.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Why no authentication can begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoMachine {
    #[error("no random numbers: {0}")]
    Random(#[from] ErrorStack),
    #[error(transparent)]
    CredSsp(#[from] CredSspError),
}
