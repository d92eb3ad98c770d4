//! The client's side, [MS-NLMP] 3.1.5.

use zeroize::Zeroizing;

use super::av_pair::{AvId, AvPairs};
use super::crypto::{Direction, Key, NtHash, hmac_md5};
use super::message::{AuthenticateMessage, ChallengeMessage, NegotiateMessage, NtlmV2Response, flags};
use super::sealer::NtlmSealer;
use super::stream::Rc4;
use super::{NtlmError, filetime};
use crate::mechanism::{Error, Mechanism, SecurityContext, Step, TokenMachine};
use crate::sealer::Sealer;
use crate::{ChannelBinding, Credentials};

/// What the client offers: 0xE2088237.
const OFFERED: u32 = flags::UNICODE
    | flags::OEM
    | flags::REQUEST_TARGET
    | flags::SIGN
    | flags::SEAL
    | flags::NTLM
    | flags::ALWAYS_SIGN
    | flags::EXTENDED_SESSION_SECURITY
    | flags::VERSION
    | flags::KEY_128
    | flags::KEY_EXCHANGE
    | flags::KEY_56;

/// What the server has to agree to.
const DEMANDED: [(u32, &str); 6] = [
    (flags::UNICODE, "Unicode"),
    (flags::EXTENDED_SESSION_SECURITY, "extended session security"),
    (flags::SIGN, "message signatures"),
    (flags::SEAL, "message encryption"),
    (flags::KEY_128, "128-bit keys"),
    (flags::KEY_EXCHANGE, "key exchange"),
];

/// The random bytes and the time that an initiator needs.
#[derive(Clone)]
pub struct NtlmEntropy {
    client_challenge: [u8; 8],
    session_key: Key,
    now: u64,
}

impl NtlmEntropy {
    /// `random` has to come from a cryptographic generator, and be new for every authentication. `since_unix_epoch` is
    /// the client's time, which matters only to servers that don't send theirs.
    pub fn new(random: [u8; 24], since_unix_epoch: std::time::Duration) -> Self {
        let random = Zeroizing::new(random);
        let mut client_challenge = [0; 8];
        client_challenge.copy_from_slice(&random[..8]);
        let mut session_key = Key::default();
        session_key.copy_from_slice(&random[8..]);
        Self {
            client_challenge,
            session_key,
            now: filetime(since_unix_epoch),
        }
    }

    #[cfg(test)]
    pub(super) fn set_now(&mut self, filetime: u64) {
        self.now = filetime;
    }
}

/// Authenticates a user by name and password.
pub struct NtlmInitiator {
    credentials: Credentials,
    target_name: Option<String>,
    channel_binding: Option<ChannelBinding>,
    workstation: String,
    entropy: NtlmEntropy,
    state: State,
}

enum State {
    Start,
    AwaitChallenge { negotiate: Vec<u8> },
    Over,
}

impl NtlmInitiator {
    /// An initiator for these credentials.
    pub fn new(credentials: Credentials, entropy: NtlmEntropy) -> Self {
        Self {
            credentials,
            target_name: None,
            channel_binding: None,
            workstation: String::new(),
            entropy,
            state: State::Start,
        }
    }

    /// The service principal name of the server, `http/host.example`: protects against relay to another service.
    #[must_use]
    pub fn target_name(mut self, name: impl Into<String>) -> Self {
        self.target_name = Some(name.into());
        self
    }

    /// Ties the authentication to a TLS connection.
    #[must_use]
    pub fn channel_binding(mut self, binding: ChannelBinding) -> Self {
        self.channel_binding = Some(binding);
        self
    }

    /// The name of the client's machine, which the server may log.
    #[must_use]
    pub fn workstation(mut self, name: impl Into<String>) -> Self {
        self.workstation = name.into();
        self
    }

    fn answer(&self, negotiate: &[u8], input: &[u8]) -> Result<Step, NtlmError> {
        let challenge = ChallengeMessage::parse(input)?;
        for (flag, name) in DEMANDED {
            if challenge.flags & flag == 0 {
                return Err(NtlmError::NotNegotiated(name));
            }
        }
        if challenge.target_info.is_empty() {
            return Err(NtlmError::NoTargetInfo);
        }
        let user = &self.credentials.user;
        let domain = self.credentials.domain.as_deref().unwrap_or_default();
        let key = NtHash::from_password(&self.credentials.password).response_key(user, domain);

        let with_mic = challenge.target_info.timestamp().is_some();
        let response = NtlmV2Response {
            proof: [0; 16],
            timestamp: challenge.target_info.timestamp().unwrap_or(self.entropy.now),
            client_challenge: self.entropy.client_challenge,
            attributes: self.attributes(challenge.target_info.clone(), with_mic),
        };
        let covered = response.write_covered()?;
        let proof = hmac_md5(&*key, &[&challenge.server_challenge, &covered]);
        let key_exchange_key = hmac_md5(&*key, &[&*proof]);

        let mut encrypted_session_key = *self.entropy.session_key;
        Rc4::new(&key_exchange_key).apply(&mut encrypted_session_key);

        // Texts are UTF-16LE from now on; of what was offered, what the server agreed to remains.
        let flags = challenge.flags & (OFFERED | flags::TARGET_INFO) & !flags::OEM;
        let mut token = AuthenticateMessage {
            flags,
            lm_response: vec![0; 24],
            nt_response: [&proof[..], &covered].concat(),
            domain: domain.to_owned(),
            user: user.clone(),
            workstation: self.workstation.clone(),
            encrypted_session_key: encrypted_session_key.to_vec(),
            mic: with_mic.then_some([0; 16]),
        }
        .write()?;
        if with_mic {
            let mic = hmac_md5(&*self.entropy.session_key, &[negotiate, input, &token]);
            token[AuthenticateMessage::MIC_AT].copy_from_slice(&*mic);
        }
        let sealer = NtlmSealer::new(&self.entropy.session_key, Direction::ToServer, flags);
        let context = SecurityContext::new(
            Mechanism::Ntlm,
            Sealer::Ntlm(Box::new(sealer)),
            None,
            self.channel_binding.is_some(),
        );
        Ok(Step::Done {
            token: Some(token),
            context,
        })
    }

    /// The server's attributes with ours, [MS-NLMP] 3.1.5.1.2. Attributes that are only a client's are not taken over
    /// from the server.
    fn attributes(&self, mut attributes: AvPairs, with_mic: bool) -> AvPairs {
        attributes.remove(AvId::ChannelBindings);
        attributes.remove(AvId::TargetName);
        if with_mic {
            let flags = attributes.flags() | AvPairs::FLAG_MIC;
            attributes.set(AvId::Flags, flags.to_le_bytes().to_vec());
        }
        if let Some(binding) = &self.channel_binding {
            attributes.set(AvId::ChannelBindings, binding.md5().to_vec());
        }
        if let Some(name) = &self.target_name {
            attributes.set_text(AvId::TargetName, name);
        }
        attributes
    }
}

impl TokenMachine for NtlmInitiator {
    fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start if input.is_empty() => {
                let negotiate = NegotiateMessage { flags: OFFERED }.write();
                self.state = State::AwaitChallenge {
                    negotiate: negotiate.clone(),
                };
                Ok(Step::Continue(negotiate))
            }
            State::AwaitChallenge { negotiate } => Ok(self.answer(&negotiate, input)?),
            State::Start | State::Over => Err(Error::OutOfTurn),
        }
    }

    fn mechanism(&self) -> Mechanism {
        Mechanism::Ntlm
    }
}
