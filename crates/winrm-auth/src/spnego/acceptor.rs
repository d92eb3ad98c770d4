//! The server's side: everything that can come under the scheme `Negotiate`.

use super::message::{INITIAL, InitToken, NegotiationState, ResponseToken, SPNEGO};
use super::{MAX_TOKEN, SpnegoError};
use crate::der::{OBJECT_IDENTIFIER, Reader};
use crate::mechanism::{Error, Mechanism, SecurityContext, Step, TokenMachine};
use crate::ntlm;

/// Runs the mechanism that the client prefers among those that the server has.
///
/// Raw tokens of NTLM and Kerberos, without SPNEGO around them, are recognised and answered raw: most clients that
/// aren't Windows send them.
pub struct SpnegoAcceptor {
    machines: Vec<Box<dyn TokenMachine>>,
    chosen: Mechanism,
    state: State,
}

enum State {
    Start,
    Raw,
    Negotiate(Progress),
    Over,
}

/// What is known between two tokens.
struct Progress {
    list: Vec<u8>,
    /// The chosen mechanism's object identifier as the client wrote it; `None` once the server has named it.
    unnamed: Option<Vec<u8>>,
    /// The client has to sign the list.
    mic_needed: bool,
    /// Set when only the client's signature is missing.
    context: Option<SecurityContext>,
}

impl SpnegoAcceptor {
    /// An acceptor that has these mechanisms, one machine of each.
    pub fn new(machines: Vec<Box<dyn TokenMachine>>) -> Self {
        let chosen = machines.first().map_or(Mechanism::Ntlm, |machine| machine.mechanism());
        Self {
            machines,
            chosen,
            state: State::Start,
        }
    }

    fn machine(&mut self) -> Result<&mut Box<dyn TokenMachine>, SpnegoError> {
        let chosen = self.chosen;
        let machine = self.machines.iter_mut().find(|machine| machine.mechanism() == chosen);
        machine.ok_or(SpnegoError::NoCommonMechanism)
    }

    fn start(&mut self, input: &[u8]) -> Result<Step, Error> {
        if input.len() > MAX_TOKEN {
            return Err(SpnegoError::TooLong(input.len()).into());
        }
        if let Some(mechanism) = raw_mechanism(input)? {
            self.chosen = mechanism;
            return self.raw(input);
        }
        let (init, list) = InitToken::parse(input)?;
        let known = |identifier: &Vec<u8>| {
            let mechanism = Mechanism::from_object_identifier(identifier)?;
            self.has(mechanism).then_some(mechanism)
        };
        let chosen = init
            .mechanisms
            .iter()
            .enumerate()
            .find_map(|(index, offered)| Some((index, known(offered)?)));
        let (index, chosen) = chosen.ok_or(SpnegoError::NoCommonMechanism)?;
        self.chosen = chosen;
        // The client's token is one of its first choice.
        let first_choice = index == 0;
        let identifier = init.mechanisms[index].clone();
        let progress = Progress {
            list,
            unnamed: Some(identifier),
            mic_needed: !first_choice,
            context: None,
        };
        match init.token {
            Some(token) if first_choice => self.feed(progress, &token, init.mic.as_deref()),
            _ => self.answer(progress, ResponseToken::default(), None),
        }
    }

    fn has(&self, mechanism: Mechanism) -> bool {
        self.machines.iter().any(|machine| machine.mechanism() == mechanism)
    }

    fn raw(&mut self, input: &[u8]) -> Result<Step, Error> {
        let step = self.machine()?.step(input)?;
        if matches!(step, Step::Continue(_)) {
            self.state = State::Raw;
        }
        Ok(step)
    }

    fn go_on(&mut self, mut progress: Progress, input: &[u8]) -> Result<Step, Error> {
        let message = ResponseToken::parse(input)?;
        if message.state == Some(NegotiationState::Reject) {
            return Err(SpnegoError::Rejected.into());
        }
        match (progress.context.take(), &message.token) {
            (None, Some(token)) => self.feed(progress, token, message.mic.as_deref()),
            (None, None) => Err(SpnegoError::TokenMissing(self.chosen).into()),
            (Some(_), Some(_)) => Err(SpnegoError::ExtraToken(self.chosen).into()),
            (Some(mut context), None) => {
                let mic = message.mic.ok_or(SpnegoError::MicMissing)?;
                verify(&mut context, &progress.list, &mic)?;
                let last = ResponseToken {
                    state: Some(NegotiationState::AcceptCompleted),
                    ..ResponseToken::default()
                };
                Ok(Step::Done {
                    token: Some(last.write()),
                    context,
                })
            }
        }
    }

    /// Gives the mechanism its token, and looks at the client's signature once the mechanism is done.
    fn feed(&mut self, progress: Progress, token: &[u8], mic: Option<&[u8]>) -> Result<Step, Error> {
        let (token, mut context) = match self.machine()?.step(token)? {
            Step::Continue(token) => {
                let reply = ResponseToken {
                    token: Some(token),
                    ..ResponseToken::default()
                };
                return self.answer(progress, reply, None);
            }
            Step::Done { token, context } => (token, context),
        };
        let mut reply = ResponseToken {
            token,
            ..ResponseToken::default()
        };
        let signed = mic.is_some();
        if let Some(mic) = mic {
            verify(&mut context, &progress.list, mic)?;
        }
        if signed || progress.mic_needed {
            let mic = context.sealer.sign_mechanism_list(&progress.list);
            reply.mic = Some(mic.map_err(SpnegoError::WrongMic)?);
        }
        if progress.mic_needed && !signed {
            return self.answer(progress, reply, Some(context));
        }
        reply.state = Some(NegotiationState::AcceptCompleted);
        reply.mechanism = progress.unnamed;
        Ok(Step::Done {
            token: Some(reply.write()),
            context,
        })
    }

    /// Answers where more has to come.
    fn answer(&mut self, progress: Progress, mut reply: ResponseToken, context: Option<SecurityContext>) -> Result<Step, Error> {
        reply.state = Some(NegotiationState::AcceptIncomplete);
        if progress.unnamed.is_some() && progress.mic_needed {
            // RFC 4178 section 4.2.2: only in the first reply.
            reply.state = Some(NegotiationState::RequestMic);
        }
        reply.mechanism = progress.unnamed;
        self.state = State::Negotiate(Progress {
            unnamed: None,
            context,
            ..progress
        });
        Ok(Step::Continue(reply.write()))
    }
}

fn verify(context: &mut SecurityContext, list: &[u8], mic: &[u8]) -> Result<(), SpnegoError> {
    context.sealer.verify_mechanism_list(list, mic).map_err(SpnegoError::WrongMic)
}

/// The mechanism of a token without SPNEGO around it; `None` for SPNEGO.
fn raw_mechanism(token: &[u8]) -> Result<Option<Mechanism>, SpnegoError> {
    if token.starts_with(ntlm::SIGNATURE) {
        return Ok(Some(Mechanism::Ntlm));
    }
    let unknown = |_| SpnegoError::UnknownToken;
    if token.first() != Some(&INITIAL) {
        return Err(SpnegoError::UnknownToken);
    }
    let mut initial = Reader::new(token).element(INITIAL)?;
    let identifier = initial.element(OBJECT_IDENTIFIER).map_err(unknown)?.remaining();
    if identifier == SPNEGO {
        return Ok(None);
    }
    Mechanism::from_object_identifier(identifier)
        .map(Some)
        .ok_or(SpnegoError::UnknownToken)
}

impl TokenMachine for SpnegoAcceptor {
    fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => self.start(input),
            State::Raw => self.raw(input),
            State::Negotiate(progress) => self.go_on(progress, input),
            State::Over => Err(Error::OutOfTurn),
        }
    }

    fn mechanism(&self) -> Mechanism {
        self.chosen
    }
}
