//! The server's side, [MS-CSSP] 3.1.5.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::message::parse_password;
use super::proof::{Side, proof};
use super::tls::{AcceptorTls, InnerTls};
use super::{CredSspError, CredSspSealer, NEWEST_VERSION, NtStatus, OLDEST_VERSION, TsRequest, Versions};
use crate::mechanism::{Error, Mechanism, SecurityContext, Step, TokenMachine};
use crate::ntlm::NtlmError;
use crate::sealer::Sealer;
use crate::spnego::{SpnegoAcceptor, SpnegoError};

/// Authenticates a client and takes the credentials that it delegates. Whether those are good for anything, the caller has to see.
pub struct CredSspAcceptor {
    inner: SpnegoAcceptor,
    public_key: Vec<u8>,
    /// `None` once it has become part of a sealer.
    tls: Option<InnerTls>,
    versions: Versions,
    /// What the client's latest message said.
    client_version: u32,
    farewell: Option<Vec<u8>>,
    state: State,
}

enum State {
    Handshake,
    Negotiate,
    AwaitProof(SecurityContext),
    AwaitCredentials(SecurityContext),
    Over,
}

impl CredSspAcceptor {
    /// Authenticates by `inner`, whose mechanisms have to ignore channel bindings.
    ///
    /// # Errors
    /// [`CredSspError::Tls`].
    pub fn new(tls: &AcceptorTls, inner: SpnegoAcceptor) -> Result<Self, CredSspError> {
        Ok(Self {
            inner,
            public_key: tls.public_key().to_vec(),
            tls: Some(tls.accept()?),
            versions: Versions::new(OLDEST_VERSION),
            client_version: 0,
            farewell: None,
            state: State::Handshake,
        })
    }

    /// Refuses clients that speak older versions than this: 5 and later are safe from CVE-2018-0886.
    #[must_use]
    pub fn minimum_version(mut self, version: u32) -> Self {
        self.versions.minimum = version;
        self
    }

    /// The version that was agreed on, once the client has named its own.
    pub fn version(&self) -> Option<u32> {
        self.versions.agreed
    }

    fn tls(&mut self) -> Result<&mut InnerTls, Error> {
        self.tls.as_mut().ok_or(Error::OutOfTurn)
    }

    fn advance(&mut self, state: State, input: &[u8]) -> Result<Step, Error> {
        match state {
            State::Handshake => {
                let (out, done) = self.tls()?.handshake(input)?;
                if out.is_empty() {
                    return Err(CredSspError::Closed.into());
                }
                self.state = if done { State::Negotiate } else { State::Handshake };
                Ok(Step::Continue(out))
            }
            State::Negotiate => self.negotiate(input),
            State::AwaitProof(context) => {
                let message = self.receive(input, false)?;
                if message.nego_token.as_ref().is_some_and(|token| !token.is_empty()) {
                    return Err(CredSspError::Unexpected("negoTokens").into());
                }
                self.prove(context, None, message)
            }
            State::AwaitCredentials(context) => self.take_credentials(context, input),
            State::Over => Err(Error::OutOfTurn),
        }
    }

    fn negotiate(&mut self, input: &[u8]) -> Result<Step, Error> {
        let mut message = self.receive(input, false)?;
        let token = message.nego_token.take().ok_or(CredSspError::Missing("negoTokens"))?;
        match (self.inner.step(&token)?, &message.pub_key_auth) {
            (Step::Continue(token), None) => {
                self.state = State::Negotiate;
                self.answer(Some(token), None)
            }
            (Step::Continue(_), Some(_)) => Err(SpnegoError::Incomplete(self.inner.mechanism()).into()),
            (Step::Done { token, context }, Some(_)) => self.prove(context, token, message),
            (
                Step::Done {
                    token: Some(token),
                    context,
                },
                None,
            ) => {
                self.state = State::AwaitProof(context);
                self.answer(Some(token), None)
            }
            (Step::Done { token: None, .. }, None) => Err(CredSspError::Missing("pubKeyAuth").into()),
        }
    }

    /// Checks the client's proof, and gives ours.
    fn prove(&mut self, mut context: SecurityContext, token: Option<Vec<u8>>, message: TsRequest) -> Result<Step, Error> {
        let mut sealed = message.pub_key_auth.ok_or(CredSspError::Missing("pubKeyAuth"))?;
        let nonce = match self.versions.agreed {
            Some(5..) => Some(message.client_nonce.ok_or(CredSspError::Missing("clientNonce"))?),
            _ => None,
        };
        let opened = context.sealer.unseal(&mut sealed).map_err(CredSspError::Proof)?;
        let expected = proof(Side::Client, &self.public_key, nonce.as_ref());
        if !bool::from(sealed[opened].ct_eq(&expected)) {
            return Err(CredSspError::KeyMismatch.into());
        }
        let ours = proof(Side::Server, &self.public_key, nonce.as_ref());
        let ours = context.sealer.seal(&ours).map_err(CredSspError::Seal)?;
        self.state = State::AwaitCredentials(context);
        self.answer(token, Some(ours))
    }

    fn take_credentials(&mut self, mut context: SecurityContext, input: &[u8]) -> Result<Step, Error> {
        let message = self.receive(input, true)?;
        let mut sealed = Zeroizing::new(message.auth_info.ok_or(CredSspError::Missing("authInfo"))?);
        let opened = context.sealer.unseal(&mut sealed).map_err(CredSspError::Delegated)?;
        context.delegated_credentials = Some(Box::new(parse_password(&sealed[opened])?));
        let tls = self.tls.take().ok_or(Error::OutOfTurn)?;
        context.sealer = Sealer::CredSsp(Box::new(CredSspSealer::new(tls)));
        Ok(Step::Done { token: None, context })
    }

    fn answer(&mut self, nego_token: Option<Vec<u8>>, pub_key_auth: Option<Vec<u8>>) -> Result<Step, Error> {
        let message = TsRequest {
            version: NEWEST_VERSION,
            nego_token,
            pub_key_auth,
            ..TsRequest::default()
        };
        Ok(Step::Continue(self.tls()?.write(&message.write())?))
    }

    /// `last`: whether this is the message with the credentials.
    fn receive(&mut self, input: &[u8], last: bool) -> Result<TsRequest, Error> {
        let message = TsRequest::parse(&self.tls()?.read(input)?)?;
        self.client_version = message.version;
        self.versions.meet(message.version)?;
        if message.auth_info.is_some() && !last {
            return Err(CredSspError::Unexpected("authInfo").into());
        }
        Ok(message)
    }

    /// The reason of a refusal: TLS's own, or a message for clients whose version has a field for it.
    fn last_word(&mut self, error: &Error) -> Option<Vec<u8>> {
        if let Error::CredSsp(CredSspError::Tls(_)) = error {
            return self.tls.as_mut()?.alert();
        }
        if !matches!(self.client_version, 3 | 4 | 6..) {
            return None;
        }
        let message = TsRequest {
            version: NEWEST_VERSION,
            error_code: Some(status(error)?.0),
            ..TsRequest::default()
        };
        self.tls.as_mut()?.write(&message.write()).ok()
    }
}

/// What a client is told. It says no more of accounts than Windows does; `None` where the inner TLS is of no use.
fn status(error: &Error) -> Option<NtStatus> {
    Some(match error {
        Error::Ntlm(NtlmError::Malformed(_)) | Error::Spnego(_) => NtStatus::INVALID_PARAMETER,
        Error::Ntlm(_) | Error::Kerberos(_) => NtStatus::LOGON_FAILURE,
        Error::CredSsp(CredSspError::Tls(_) | CredSspError::Closed) | Error::OutOfTurn => return None,
        Error::CredSsp(CredSspError::CredentialType(_)) => NtStatus::NOT_SUPPORTED,
        Error::CredSsp(CredSspError::KeyMismatch | CredSspError::Proof(_) | CredSspError::VersionTooOld { .. }) => NtStatus::ACCESS_DENIED,
        Error::CredSsp(_) => NtStatus::INVALID_PARAMETER,
    })
}

impl TokenMachine for CredSspAcceptor {
    fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let step = self.advance(state, input);
        if let Err(error) = &step {
            self.state = State::Over;
            self.farewell = self.last_word(error);
        }
        step
    }

    fn mechanism(&self) -> Mechanism {
        self.inner.mechanism()
    }

    fn farewell(&mut self) -> Option<Vec<u8>> {
        self.farewell.take()
    }
}
