//! The client's side.

use super::SpnegoError;
use super::message::{InitToken, NegotiationState, ResponseToken};
use crate::mechanism::{Error, Mechanism, SecurityContext, Step, TokenMachine};
use crate::sealer::Sealer;

/// Offers mechanisms and runs the one that the server chooses.
pub struct SpnegoInitiator {
    /// The mechanisms not tried yet, the preferred first; the one that runs has left this list.
    waiting: Vec<Box<dyn TokenMachine>>,
    current: Option<Box<dyn TokenMachine>>,
    preferred: Mechanism,
    skipped: Vec<(Mechanism, Error)>,
    state: State,
}

enum State {
    Start,
    Negotiate(Progress),
    Over,
}

/// What is known between two tokens.
struct Progress {
    /// The bytes to be signed.
    list: Vec<u8>,
    /// The server has answered, and so has chosen.
    answered: bool,
    /// The mechanism's result, once it has one.
    context: Option<SecurityContext>,
    mic_needed: bool,
    mic_sent: bool,
    mic_checked: bool,
}

impl SpnegoInitiator {
    /// Offers these mechanisms, the preferred first. If the first can't begin (Kerberos without a ticket), it is left
    /// out, see [`skipped`](Self::skipped).
    pub fn new(machines: Vec<Box<dyn TokenMachine>>) -> Self {
        let preferred = machines.first().map_or(Mechanism::Ntlm, |machine| machine.mechanism());
        Self {
            waiting: machines,
            current: None,
            preferred,
            skipped: Vec::new(),
            state: State::Start,
        }
    }

    /// The mechanisms that could not begin, and why. Worth a line in the log: the user may think that another one
    /// is in use.
    pub fn skipped(&self) -> &[(Mechanism, Error)] {
        &self.skipped
    }

    /// What seals messages, as soon as the mechanism itself is done; the negotiation may still go on. CredSSP sends its
    /// first sealed value along with the negotiation's last token.
    pub(crate) fn sealer(&mut self) -> Option<&mut Sealer> {
        match &mut self.state {
            State::Negotiate(progress) => progress.context.as_mut().map(|context| &mut context.sealer),
            State::Start | State::Over => None,
        }
    }

    /// The result without the peer's last word, which is the signature of the list of mechanisms: only where that has
    /// nothing to protect, because the mechanism in use is the one that was preferred.
    pub(crate) fn unconfirmed(&mut self) -> Result<SecurityContext, SpnegoError> {
        let preferred = self.preferred == self.mechanism();
        match std::mem::replace(&mut self.state, State::Over) {
            State::Negotiate(Progress {
                context: Some(context), ..
            }) if preferred => Ok(context),
            _ => Err(SpnegoError::MicMissing),
        }
    }

    /// Takes the first waiting mechanism that can begin.
    fn begin(&mut self) -> Result<Step, Error> {
        while !self.waiting.is_empty() {
            let mut machine = self.waiting.remove(0);
            match machine.step(&[]) {
                Ok(step) => {
                    self.current = Some(machine);
                    return Ok(step);
                }
                Err(error) if self.waiting.is_empty() && self.skipped.is_empty() => return Err(error),
                Err(error) => self.skipped.push((machine.mechanism(), error)),
            }
        }
        Err(SpnegoError::NoCommonMechanism.into())
    }

    fn start(&mut self) -> Result<Step, Error> {
        let step = self.begin()?;
        self.preferred = self.mechanism();
        let mechanisms = std::iter::once(self.preferred)
            .chain(self.waiting.iter().map(|machine| machine.mechanism()))
            .map(|mechanism| mechanism.object_identifier().to_vec())
            .collect();
        let (token, context) = match step {
            Step::Continue(token) => (Some(token), None),
            Step::Done { token, context } => (token, Some(context)),
        };
        let init = InitToken {
            mechanisms,
            token,
            mic: None,
        };
        self.state = State::Negotiate(Progress {
            list: init.list_bytes(),
            answered: false,
            context,
            // [MS-SPNG] 3.3.5.1: with NTLM the list is always signed, because its first choice proves nothing.
            mic_needed: self.preferred == Mechanism::Ntlm,
            mic_sent: false,
            mic_checked: false,
        });
        Ok(Step::Continue(init.write()))
    }

    fn go_on(&mut self, mut progress: Progress, input: &[u8]) -> Result<Step, Error> {
        let reply = ResponseToken::parse(input)?;
        if reply.state == Some(NegotiationState::Reject) {
            return Err(SpnegoError::Rejected.into());
        }
        progress.mic_needed |= reply.state == Some(NegotiationState::RequestMic);
        let changed = self.follow_choice(&mut progress, reply.mechanism.as_deref())?;
        progress.answered = true;

        let token = if changed {
            if reply.token.is_some() {
                return Err(SpnegoError::ExtraToken(self.mechanism()).into());
            }
            let step = self.current.as_mut().map_or(Err(Error::OutOfTurn), |machine| machine.step(&[]))?;
            progress.take(step)
        } else {
            self.feed(&mut progress, reply.token.as_deref())?
        };
        let completed = reply.state == Some(NegotiationState::AcceptCompleted);
        if completed && (token.is_some() || progress.context.is_none()) {
            return Err(SpnegoError::Incomplete(self.mechanism()).into());
        }

        let mut answer = ResponseToken {
            token,
            ..ResponseToken::default()
        };
        let Some(context) = &mut progress.context else {
            self.state = State::Negotiate(progress);
            return Ok(Step::Continue(answer.write()));
        };
        if let Some(mic) = &reply.mic {
            let checked = context.sealer.verify_mechanism_list(&progress.list, mic);
            checked.map_err(SpnegoError::WrongMic)?;
            progress.mic_checked = true;
            // Who gets a signature gives one: RFC 4178 section 5.
            progress.mic_needed = true;
        }
        if progress.mic_needed && !progress.mic_sent {
            let mic = context.sealer.sign_mechanism_list(&progress.list);
            answer.mic = Some(mic.map_err(SpnegoError::WrongMic)?);
            progress.mic_sent = true;
        }
        let silent = answer.token.is_none() && answer.mic.is_none();
        if completed && progress.mic_needed && !progress.mic_checked {
            return Err(SpnegoError::MicMissing.into());
        }
        match progress.context {
            // The server is done with us: what is left to say, if anything, needs no answer.
            Some(context) if completed => Ok(Step::Done {
                token: (!silent).then(|| answer.write()),
                context,
            }),
            context => {
                if silent {
                    return Err(SpnegoError::Incomplete(self.mechanism()).into());
                }
                self.state = State::Negotiate(Progress { context, ..progress });
                Ok(Step::Continue(answer.write()))
            }
        }
    }

    /// Changes to the mechanism that the server names; whether that is another than before.
    fn follow_choice(&mut self, progress: &mut Progress, chosen: Option<&[u8]>) -> Result<bool, SpnegoError> {
        let Some(chosen) = chosen else { return Ok(false) };
        let chosen = Mechanism::from_object_identifier(chosen).ok_or(SpnegoError::NotOffered)?;
        if chosen == self.mechanism() {
            return Ok(false);
        }
        let position = self.waiting.iter().position(|machine| machine.mechanism() == chosen);
        let position = position.filter(|_| !progress.answered).ok_or(SpnegoError::NotOffered)?;
        self.current = Some(self.waiting.remove(position));
        // Not the first choice: somebody on the way may have wanted it so.
        progress.mic_needed = true;
        progress.context = None;
        Ok(true)
    }

    /// Gives the mechanism its token.
    fn feed(&mut self, progress: &mut Progress, token: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
        let mechanism = self.mechanism();
        match (token, &progress.context) {
            (None, Some(_)) => Ok(None),
            (None, None) => Err(SpnegoError::TokenMissing(mechanism).into()),
            (Some(_), Some(_)) => Err(SpnegoError::ExtraToken(mechanism).into()),
            (Some(token), None) => {
                let machine = self.current.as_mut().ok_or(Error::OutOfTurn)?;
                Ok(progress.take(machine.step(token)?))
            }
        }
    }
}

impl Progress {
    fn take(&mut self, step: Step) -> Option<Vec<u8>> {
        match step {
            Step::Continue(token) => Some(token),
            Step::Done { token, context } => {
                self.context = Some(context);
                token
            }
        }
    }
}

impl TokenMachine for SpnegoInitiator {
    fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start if input.is_empty() => self.start(),
            State::Negotiate(progress) => self.go_on(progress, input),
            State::Start | State::Over => Err(Error::OutOfTurn),
        }
    }

    fn mechanism(&self) -> Mechanism {
        self.current.as_ref().map_or(self.preferred, |machine| machine.mechanism())
    }
}
