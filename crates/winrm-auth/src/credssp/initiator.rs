//! The client's side, [MS-CSSP] 3.1.5.

use subtle::ConstantTimeEq as _;

use super::message::write_password;
use super::proof::{Side, proof};
use super::tls::{InitiatorTls, InnerTls};
use super::{CredSspError, CredSspSealer, NEWEST_VERSION, NtStatus, OLDEST_VERSION, TsRequest, Versions};
use crate::Credentials;
use crate::mechanism::{Error, Mechanism, SecurityContext, Step, TokenMachine};
use crate::sealer::Sealer;
use crate::spnego::{SpnegoError, SpnegoInitiator};

/// Authenticates a user, and hands name and password to the server once that has proved itself.
///
/// The first step is that of the mechanisms inside as well, so that all that may block (Kerberos asks the KDC) is done by it.
pub struct CredSspInitiator {
    tls: InitiatorTls,
    inner: SpnegoInitiator,
    credentials: Credentials,
    nonce: [u8; 32],
    versions: Versions,
    state: State,
}

enum State {
    Start,
    /// With the first token of SPNEGO, which waits for the TLS.
    Handshake(InnerTls, Vec<u8>),
    Negotiate(InnerTls),
    /// With the server's key, and what the authentication resulted in unless SPNEGO waits for its last token.
    AwaitProof(InnerTls, Vec<u8>, Option<SecurityContext>),
    Over,
}

impl CredSspInitiator {
    /// Authenticates by `inner`, whose mechanisms get no channel binding, and delegates `credentials`. `nonce` has to come from a
    /// cryptographic generator, and be new for every authentication.
    pub fn new(tls: InitiatorTls, inner: SpnegoInitiator, credentials: Credentials, nonce: [u8; 32]) -> Self {
        Self {
            tls,
            inner,
            credentials,
            nonce,
            versions: Versions::new(OLDEST_VERSION),
            state: State::Start,
        }
    }

    /// Refuses servers that speak older versions than this: 5 and later are safe from CVE-2018-0886.
    #[must_use]
    pub fn minimum_version(mut self, version: u32) -> Self {
        self.versions.minimum = version;
        self
    }

    /// The mechanisms inside that could not begin, and why.
    pub fn skipped(&self) -> &[(Mechanism, Error)] {
        self.inner.skipped()
    }

    /// The version that was agreed on, once the server has named its own.
    pub fn version(&self) -> Option<u32> {
        self.versions.agreed
    }

    fn start(&mut self) -> Result<Step, Error> {
        let token = match self.inner.step(&[])? {
            Step::Continue(token) => token,
            Step::Done { .. } => return Err(SpnegoError::Incomplete(self.inner.mechanism()).into()),
        };
        let mut tls = self.tls.connect()?;
        let (hello, _) = tls.handshake(&[])?;
        self.state = State::Handshake(tls, token);
        Ok(Step::Continue(hello))
    }

    fn handshake(&mut self, mut tls: InnerTls, token: Vec<u8>, input: &[u8]) -> Result<Step, Error> {
        let (mut out, done) = tls.handshake(input)?;
        if done {
            out.extend(tls.write(&request(Some(token)).write())?);
            self.state = State::Negotiate(tls);
        } else if out.is_empty() {
            // Nothing can be sent, so nothing more would come.
            return Err(CredSspError::Closed.into());
        } else {
            self.state = State::Handshake(tls, token);
        }
        Ok(Step::Continue(out))
    }

    fn negotiate(&mut self, mut tls: InnerTls, input: &[u8]) -> Result<Step, Error> {
        let answer = self.receive(&mut tls, input)?;
        let token = answer.nego_token.ok_or(CredSspError::Missing("negoTokens"))?;
        match self.inner.step(&token)? {
            Step::Done { token, context } => self.prove(tls, token, Some(context)),
            Step::Continue(token) if self.inner.sealer().is_some() => self.prove(tls, Some(token), None),
            Step::Continue(token) => {
                let out = tls.write(&request(Some(token)).write())?;
                self.state = State::Negotiate(tls);
                Ok(Step::Continue(out))
            }
        }
    }

    /// Seals the server's key, and sends it with the last token.
    fn prove(&mut self, mut tls: InnerTls, token: Option<Vec<u8>>, mut context: Option<SecurityContext>) -> Result<Step, Error> {
        let public_key = tls.peer_public_key()?;
        let nonce = self.nonce();
        let value = proof(Side::Client, &public_key, nonce.as_ref());
        let sealer = match &mut context {
            Some(context) => &mut context.sealer,
            None => self.inner.sealer().ok_or(Error::OutOfTurn)?,
        };
        let message = TsRequest {
            pub_key_auth: Some(sealer.seal(&value).map_err(CredSspError::Seal)?),
            client_nonce: nonce,
            ..request(token)
        };
        let out = tls.write(&message.write())?;
        self.state = State::AwaitProof(tls, public_key, context);
        Ok(Step::Continue(out))
    }

    /// Checks the server's proof. Only who passes here gets the password.
    fn delegate(&mut self, mut tls: InnerTls, public_key: &[u8], context: Option<SecurityContext>, input: &[u8]) -> Result<Step, Error> {
        let answer = self.receive(&mut tls, input)?;
        let token = answer.nego_token.filter(|token| !token.is_empty());
        let mut context = match (context, token) {
            (Some(context), None) => context,
            (Some(_), Some(_)) => return Err(CredSspError::Unexpected("negoTokens").into()),
            (None, Some(token)) => match self.inner.step(&token)? {
                Step::Done { token: None, context } => context,
                _ => return Err(SpnegoError::Incomplete(self.inner.mechanism()).into()),
            },
            (None, None) => self.inner.unconfirmed()?,
        };
        let mut sealed = answer.pub_key_auth.ok_or(CredSspError::Missing("pubKeyAuth"))?;
        let opened = context.sealer.unseal(&mut sealed).map_err(CredSspError::Proof)?;
        let expected = proof(Side::Server, public_key, self.nonce().as_ref());
        if !bool::from(sealed[opened].ct_eq(&expected)) {
            return Err(CredSspError::KeyMismatch.into());
        }
        let credentials = context
            .sealer
            .seal(&write_password(&self.credentials))
            .map_err(CredSspError::Seal)?;
        let message = TsRequest {
            auth_info: Some(credentials),
            ..request(None)
        };
        let token = tls.write(&message.write())?;
        context.sealer = Sealer::CredSsp(Box::new(CredSspSealer::new(tls)));
        Ok(Step::Done {
            token: Some(token),
            context,
        })
    }

    fn nonce(&self) -> Option<[u8; 32]> {
        self.versions.agreed.filter(|version| *version >= 5).map(|_| self.nonce)
    }

    fn receive(&mut self, tls: &mut InnerTls, input: &[u8]) -> Result<TsRequest, CredSspError> {
        let message = TsRequest::parse(&tls.read(input)?)?;
        if let Some(code) = message.error_code {
            return Err(CredSspError::Refused(NtStatus(code)));
        }
        self.versions.meet(message.version)?;
        Ok(message)
    }
}

/// A message of ours with a token of SPNEGO, or an empty one.
fn request(nego_token: Option<Vec<u8>>) -> TsRequest {
    TsRequest {
        version: NEWEST_VERSION,
        nego_token,
        ..TsRequest::default()
    }
}

impl TokenMachine for CredSspInitiator {
    fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start if input.is_empty() => self.start(),
            State::Handshake(tls, token) => self.handshake(tls, token, input),
            State::Negotiate(tls) => self.negotiate(tls, input),
            State::AwaitProof(tls, public_key, context) => self.delegate(tls, &public_key, context, input),
            State::Start | State::Over => Err(Error::OutOfTurn),
        }
    }

    fn mechanism(&self) -> Mechanism {
        self.inner.mechanism()
    }
}
