//! The server's side, [MS-NLMP] 3.2.5.

use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use super::av_pair::{AvId, AvPairs};
use super::crypto::{Direction, Key, NtHash, hmac_md5};
use super::message::{AuthenticateMessage, ChallengeMessage, NegotiateMessage, NtlmV2Response, flags};
use super::sealer::NtlmSealer;
use super::stream::Rc4;
use super::{NtlmError, filetime};
use crate::mechanism::{ChannelBindingPolicy, Error, Mechanism, Peer, SecurityContext, Step, TokenMachine};
use crate::sealer::Sealer;

/// What the server agrees to if the client asks for it.
const OPTIONAL: u32 = flags::SIGN | flags::SEAL | flags::ALWAYS_SIGN | flags::KEY_EXCHANGE | flags::KEY_56;

/// Knows the users of an acceptor.
pub trait PasswordLookup: Send + Sync {
    /// The hash of the user's password. `domain` is what the client sent, `None` for an empty one; a principal name
    /// arrives as a `user` with an `@` and without a domain.
    fn nt_hash(&self, user: &str, domain: Option<&str>) -> Option<NtHash>;
}

impl<F> PasswordLookup for F
where
    F: Fn(&str, Option<&str>) -> Option<NtHash> + Send + Sync,
{
    fn nt_hash(&self, user: &str, domain: Option<&str>) -> Option<NtHash> {
        self(user, domain)
    }
}

/// The names by which a server introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptorIdentity {
    /// NetBIOS name of the machine, `WINHOST`.
    pub computer: String,
    /// NetBIOS name of its domain; of a machine without a domain, its own name.
    pub domain: String,
    /// DNS name of the machine, `winhost.example.com`.
    pub dns_computer: String,
    /// DNS name of its domain; may be empty.
    pub dns_domain: String,
}

impl AcceptorIdentity {
    /// A machine without a domain, from its DNS name.
    pub fn standalone(dns_computer: &str) -> Self {
        let computer: String = dns_computer
            .split('.')
            .next()
            .unwrap_or_default()
            .to_uppercase()
            .chars()
            .take(15)
            .collect();
        Self {
            domain: computer.clone(),
            computer,
            dns_computer: dns_computer.to_owned(),
            dns_domain: String::new(),
        }
    }
}

/// Whether clients have to send a message integrity code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MicPolicy {
    /// Checked if the response says that there is one. That statement is under the proof of the password, so nobody on
    /// the way can take it out; some clients (older than Vista, a few libraries) never send a code.
    #[default]
    IfAnnounced,
    /// Clients without one are refused.
    Required,
}

/// Authenticates a client against known passwords.
pub struct NtlmAcceptor {
    identity: AcceptorIdentity,
    passwords: Arc<dyn PasswordLookup>,
    server_challenge: [u8; 8],
    timestamp: u64,
    binding: ChannelBindingPolicy,
    mic: MicPolicy,
    state: State,
}

enum State {
    AwaitNegotiate,
    AwaitAuthenticate {
        negotiate: Vec<u8>,
        challenge: Vec<u8>,
        flags: u32,
    },
    Over,
}

impl NtlmAcceptor {
    /// An acceptor with these names and users. `server_challenge` has to come from a cryptographic generator and be
    /// new for every authentication: it is what makes a replayed response worthless.
    pub fn new(
        identity: AcceptorIdentity,
        passwords: Arc<dyn PasswordLookup>,
        server_challenge: [u8; 8],
        since_unix_epoch: std::time::Duration,
    ) -> Self {
        Self {
            identity,
            passwords,
            server_challenge,
            timestamp: filetime(since_unix_epoch),
            binding: ChannelBindingPolicy::Ignore,
            mic: MicPolicy::IfAnnounced,
            state: State::AwaitNegotiate,
        }
    }

    /// What to do with channel bindings.
    #[must_use]
    pub fn channel_binding(mut self, policy: ChannelBindingPolicy) -> Self {
        self.binding = policy;
        self
    }

    /// What to do with clients without a message integrity code.
    #[must_use]
    pub fn mic(mut self, policy: MicPolicy) -> Self {
        self.mic = policy;
        self
    }

    fn challenge(&self, token: &[u8]) -> Result<(Vec<u8>, u32), NtlmError> {
        let asked = NegotiateMessage::parse(token)?.flags;
        demand(asked, asked)?;
        let mut target_info = AvPairs::default();
        for (id, name) in [
            (AvId::NbDomainName, &self.identity.domain),
            (AvId::NbComputerName, &self.identity.computer),
            (AvId::DnsDomainName, &self.identity.dns_domain),
            (AvId::DnsComputerName, &self.identity.dns_computer),
        ] {
            target_info.set_text(id, name);
        }
        target_info.set(AvId::Timestamp, self.timestamp.to_le_bytes().to_vec());
        let flags = asked & OPTIONAL
            | flags::UNICODE
            | flags::REQUEST_TARGET
            | flags::NTLM
            | flags::TARGET_TYPE_SERVER
            | flags::EXTENDED_SESSION_SECURITY
            | flags::TARGET_INFO
            | flags::VERSION
            | flags::KEY_128;
        let message = ChallengeMessage {
            flags,
            target_name: self.identity.computer.clone(),
            server_challenge: self.server_challenge,
            target_info,
        };
        Ok((message.write()?, flags))
    }

    fn accept(&self, negotiate: &[u8], challenge: &[u8], offered: u32, token: &[u8]) -> Result<SecurityContext, NtlmError> {
        let message = AuthenticateMessage::parse(token)?;
        if message.flags & flags::ANONYMOUS != 0 || message.user.is_empty() {
            return Err(NtlmError::Anonymous);
        }
        // NTLMv1's responses have 24 bytes; an NTLMv2 response has 44 bytes in front of its attributes.
        if message.nt_response.len() <= 24 {
            return Err(NtlmError::NotNtlmV2);
        }
        let response = NtlmV2Response::parse(&message.nt_response)?;
        demand(message.flags, offered)?;

        let domain = Some(message.domain.as_str()).filter(|domain| !domain.is_empty());
        let known = self.passwords.nt_hash(&message.user, domain);
        // The same work for users that don't exist, so that time doesn't tell who does.
        let hash = known.clone().unwrap_or_else(|| NtHash::from_bytes([0; 16]));
        let key = hash.response_key(&message.user, &message.domain);
        let covered = &message.nt_response[NtlmV2Response::PROOF..];
        let proof = hmac_md5(&*key, &[&self.server_challenge, covered]);
        let proven = bool::from(proof.ct_eq(&response.proof));
        if known.is_none() {
            return Err(NtlmError::UnknownUser(message.user));
        }
        if !proven {
            return Err(NtlmError::WrongPassword(message.user));
        }

        let flags = message.flags & offered;
        let session_key = session_key(&hmac_md5(&*key, &[&*proof]), flags, &message)?;
        self.check_mic(&message, &response, &session_key, [negotiate, challenge, token])?;
        let channel_bound = self.check_binding(&response)?;
        let peer = Peer {
            domain: domain.map(str::to_owned),
            user: message.user,
        };
        let sealer = NtlmSealer::new(&session_key, Direction::ToClient, flags);
        Ok(SecurityContext::new(
            Mechanism::Ntlm,
            Sealer::Ntlm(Box::new(sealer)),
            Some(peer),
            channel_bound,
        ))
    }

    fn check_mic(
        &self,
        message: &AuthenticateMessage,
        response: &NtlmV2Response,
        session_key: &Key,
        [negotiate, challenge, token]: [&[u8]; 3],
    ) -> Result<(), NtlmError> {
        if response.attributes.flags() & AvPairs::FLAG_MIC == 0 {
            return match self.mic {
                MicPolicy::IfAnnounced => Ok(()),
                MicPolicy::Required => Err(NtlmError::MicMissing),
            };
        }
        let sent = message.mic.ok_or(NtlmError::MicMissing)?;
        let mut without = token.to_vec();
        without[AuthenticateMessage::MIC_AT].fill(0);
        let mic = hmac_md5(&**session_key, &[negotiate, challenge, &without]);
        if bool::from(mic.ct_eq(&sent)) {
            Ok(())
        } else {
            Err(NtlmError::WrongMic)
        }
    }

    /// Whether the connection is bound.
    fn check_binding(&self, response: &NtlmV2Response) -> Result<bool, NtlmError> {
        // [MS-NLMP] 2.2.2.1: 16 zero bytes mean that the client has no binding.
        let sent = response
            .attributes
            .value(AvId::ChannelBindings)
            .filter(|sent| sent.iter().any(|&b| b != 0));
        let (expected, required) = match &self.binding {
            ChannelBindingPolicy::Ignore => return Ok(false),
            ChannelBindingPolicy::IfPresent(binding) => (binding, false),
            ChannelBindingPolicy::Required(binding) => (binding, true),
        };
        match sent {
            Some(sent) if bool::from(sent.ct_eq(&expected.md5())) => Ok(true),
            Some(_) => Err(NtlmError::BindingMismatch),
            None if required => Err(NtlmError::BindingMissing),
            None => Ok(false),
        }
    }
}

/// What a client must have: in its first message (`offered` is the message's own), and again in its last, where it may
/// not have taken back what was agreed to protect messages.
fn demand(flags: u32, offered: u32) -> Result<(), NtlmError> {
    for (flag, name) in [
        (flags::UNICODE, "Unicode"),
        (flags::EXTENDED_SESSION_SECURITY, "extended session security"),
    ] {
        if flags & flag == 0 {
            return Err(NtlmError::NotNegotiated(name));
        }
    }
    for (flag, name) in [(flags::SIGN, "message signatures"), (flags::SEAL, "message encryption")] {
        if offered & flag != 0 && flags & flag == 0 {
            return Err(NtlmError::NotNegotiated(name));
        }
    }
    if flags & (flags::SIGN | flags::SEAL) != 0 && flags & flags::KEY_128 == 0 {
        return Err(NtlmError::NotNegotiated("128-bit keys"));
    }
    Ok(())
}

/// The exported session key, [MS-NLMP] 3.2.5.1.2.
fn session_key(key_exchange_key: &Key, flags: u32, message: &AuthenticateMessage) -> Result<Key, NtlmError> {
    if flags & flags::KEY_EXCHANGE == 0 {
        return Ok(key_exchange_key.clone());
    }
    let mut key = Key::default();
    let encrypted: &[u8; 16] = message
        .encrypted_session_key
        .as_slice()
        .try_into()
        .map_err(|_| NtlmError::NotNegotiated("a session key of 16 bytes"))?;
    key.copy_from_slice(encrypted);
    Rc4::new(key_exchange_key).apply(&mut *key);
    Ok(key)
}

impl TokenMachine for NtlmAcceptor {
    fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::AwaitNegotiate => {
                let (challenge, flags) = self.challenge(input)?;
                self.state = State::AwaitAuthenticate {
                    negotiate: input.to_vec(),
                    challenge: challenge.clone(),
                    flags,
                };
                Ok(Step::Continue(challenge))
            }
            State::AwaitAuthenticate {
                negotiate,
                challenge,
                flags,
            } => {
                let context = self.accept(&negotiate, &challenge, flags, input)?;
                Ok(Step::Done { token: None, context })
            }
            State::Over => Err(Error::OutOfTurn),
        }
    }

    fn mechanism(&self) -> Mechanism {
        Mechanism::Ntlm
    }
}
