//! The ways to authenticate that the service offers, and a token machine for each.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use openssl::error::ErrorStack;
use winrm_auth::kerberos::KerberosService;
use winrm_auth::ntlm::{AcceptorIdentity, NtHash, NtlmAcceptor, PasswordLookup};
use winrm_auth::spnego::SpnegoAcceptor;
use winrm_auth::{Challenge, ChannelBinding, ChannelBindingPolicy, Mechanism, Peer, Scheme, TokenMachine};

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
    /// User name and password in every request, RFC 7617. Over http only where clear text is allowed.
    Basic,
    /// A TLS client certificate whose user principal name is mapped to an account; over https only. Needs authorities.
    Certificate,
}

impl AuthMethod {
    /// All methods that this build can offer, the best first.
    pub const ALL: &'static [Self] = &[Self::Negotiate, Self::Kerberos, Self::Ntlm, Self::Basic, Self::Certificate];

    /// The name as it is given on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Negotiate => "negotiate",
            Self::Kerberos => "kerberos",
            Self::Ntlm => "ntlm",
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
            Self::Basic => Scheme::Basic,
            Self::Certificate => Scheme::Certificate,
        }
    }

    /// The switch's name under `Service/Auth` of the configuration; Windows has none for bare NTLM.
    pub(crate) fn config_name(self) -> Option<&'static str> {
        match self {
            Self::Negotiate => Some("Negotiate"),
            Self::Kerberos => Some("Kerberos"),
            Self::Ntlm => None,
            Self::Basic => Some("Basic"),
            Self::Certificate => Some("Certificate"),
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
    require_channel_binding: bool,
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
    pub(crate) fn new(
        users: Arc<Users>,
        machine: &str,
        kerberos: Option<KerberosService>,
        any_principal: bool,
        require_channel_binding: bool,
    ) -> Self {
        Self {
            users,
            identity: AcceptorIdentity::standalone(machine),
            kerberos,
            any_principal,
            require_channel_binding,
        }
    }

    /// A machine for one authentication under `scheme`; `None` for schemes without tokens. `binding` is that of our certificate.
    ///
    /// # Errors
    /// No random numbers to be had.
    pub(crate) fn machine(&self, scheme: &Scheme, binding: Option<&ChannelBinding>) -> Result<Option<Box<dyn TokenMachine>>, ErrorStack> {
        let policy = match binding {
            None => ChannelBindingPolicy::Ignore,
            Some(binding) if self.require_channel_binding => ChannelBindingPolicy::Required(binding.clone()),
            Some(binding) => ChannelBindingPolicy::IfPresent(binding.clone()),
        };
        let kerberos = || self.kerberos.as_ref().map(|service| service.acceptor(policy.clone()));
        Ok(match scheme {
            Scheme::Ntlm => Some(Box::new(self.ntlm(policy)?)),
            Scheme::Kerberos => kerberos().map(|machine| Box::new(machine) as _),
            Scheme::Negotiate => {
                let mut machines: Vec<Box<dyn TokenMachine>> = Vec::new();
                machines.extend(kerberos().map(|machine| Box::new(machine) as _));
                machines.push(Box::new(self.ntlm(policy)?));
                Some(Box::new(SpnegoAcceptor::new(machines)))
            }
            _ => None,
        })
    }

    fn ntlm(&self, policy: ChannelBindingPolicy) -> Result<NtlmAcceptor, ErrorStack> {
        let mut challenge = [0; 8];
        openssl::rand::rand_bytes(&mut challenge)?;
        // A clock before 1970 makes responses stale, not wrong.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let passwords = Arc::new(Passwords(self.users.clone()));
        Ok(NtlmAcceptor::new(self.identity.clone(), passwords, challenge, now).channel_binding(policy))
    }

    /// Whether a step of a machine for `scheme` may wait for the disk or the network.
    pub(crate) fn may_block(&self, scheme: &Scheme) -> bool {
        self.kerberos.is_some() && *scheme != Scheme::Ntlm
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
