//! How a connection becomes an authenticated one: tokens back and forth until both sides know each other.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use winrm_auth::kerberos::Delegation;
use winrm_auth::sealed_body::Protocol;
use winrm_auth::{Scheme, SecurityContext, Step};

use super::{Channel, Credential, Security, SentBodies, Session};
use crate::answer;
use crate::authentication::{Authentication, Tokens, authorization};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind};

impl Session {
    /// Makes a connection and authenticates it.
    pub(super) async fn open(&self, credential: Credential) -> Result<Channel, Error> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let mut connection = self.dialer.dial(number).await?;
        let security = match (&self.authentication, credential) {
            (authentication, _) if let Some(value) = authentication.header() => Security::Header(value),
            (Authentication::Tokens(tokens), Credential::Needed) => self.authenticate(tokens, &mut connection).await?,
            _ => Security::None,
        };
        Ok(Channel {
            connection,
            security,
            used: false,
        })
    }

    /// Exchanges tokens until both sides know each other. The first is sent at once, on an empty body: no 401 is waited for.
    async fn authenticate(&self, tokens: &Tokens, connection: &mut Connection) -> Result<Security, Error> {
        let mut refusal = None;
        for scheme in tokens.schemes() {
            let offered = |names: &Vec<String>| names.iter().any(|name| name.eq_ignore_ascii_case(scheme.name()));
            if !refusal.as_ref().is_none_or(offered) {
                continue;
            }
            match self.exchange_tokens(tokens, scheme, connection).await? {
                Exchanged::Done(security) => {
                    return Ok(security);
                }
                Exchanged::NotOffered(names) => refusal = Some(names),
            }
        }
        let names = refusal.unwrap_or_default();
        Err(answer::not_accepted(&names, &self.url, &self.authentication.tried()).with_hint(self.hint(&names)))
    }

    async fn exchange_tokens(&self, tokens: &Tokens, scheme: &Scheme, connection: &mut Connection) -> Result<Exchanged, Error> {
        let begun = tokens.begin(connection.certificate.as_deref()).await?;
        let (mut machine, mut step) = (begun.machine, begun.step);
        let number = connection.number;
        let done = |context, seals, pending| established(context, scheme, seals, pending, number).map(Exchanged::Done);
        let mut first = true;
        loop {
            let (token, context) = match step {
                Step::Continue(token) => (Some(token), None),
                Step::Done { token, context } => (token, Some(context)),
            };
            let (token, context) = match (token, context) {
                (None, Some(context)) => {
                    return done(context, tokens.seals, None);
                }
                (Some(token), Some(context)) if !tokens.seals => {
                    // The last token needs no request of its own.
                    let pending = authorization(scheme, token)?;
                    return done(context, false, Some(pending));
                }
                (token, context) => (token.unwrap_or_default(), context),
            };
            let mut request = self.post(Bytes::new());
            request.headers_mut().insert(header::AUTHORIZATION, authorization(scheme, token)?);
            let answer = connection.post(request, self.bounds).await;
            // Nothing was asked for yet, whatever became of the tokens.
            let answer = answer.map_err(|failure| self.unanswered("authentication", failure).not_run())?;
            self.answered.store(true, Ordering::Relaxed);
            let reply = answer::token_of(&answer.headers, scheme);
            match (answer.status, reply, context) {
                (StatusCode::UNAUTHORIZED | StatusCode::OK, Some(reply), None) => {
                    step = machine.step(&reply).map_err(|error| tokens.failed(error))?;
                }
                (StatusCode::OK, _, Some(context)) => {
                    return done(context, tokens.seals, None);
                }
                (StatusCode::OK, None, None) => {
                    let message = format!("{} accepted the credentials without proving who it is", self.url);
                    return Err(Error::new(ErrorKind::Unauthorized, message));
                }
                (StatusCode::UNAUTHORIZED, None, None) if first => {
                    let names = answer::offered(&answer.headers);
                    if names.iter().any(|name| name.eq_ignore_ascii_case(scheme.name())) {
                        return Err(self.unauthorized(&answer));
                    }
                    return Ok(Exchanged::NotOffered(names));
                }
                (StatusCode::UNAUTHORIZED, ..) => return Err(self.unauthorized(&answer)),
                _ => {
                    let unexpected = Error::new(
                        ErrorKind::Protocol,
                        format!("{} answered an authentication with a message", self.url),
                    );
                    return Err(answer::soap_of(answer, &self.url).err().unwrap_or(unexpected).not_run());
                }
            }
            first = false;
        }
    }
}

/// How an exchange of tokens went.
enum Exchanged {
    Done(Security),
    /// The host doesn't know the scheme; it offers these.
    NotOffered(Vec<String>),
}

fn established(
    context: SecurityContext,
    scheme: &Scheme,
    seals: bool,
    pending: Option<HeaderValue>,
    connection: u64,
) -> Result<Security, Error> {
    tracing::info!(connection, %scheme, mechanism = %context.mechanism, sealed = seals, "authenticated");
    if matches!(context.delegation, Delegation::Refused) {
        tracing::warn!(
            connection,
            "the ticket was not delegated: it is not forwardable, or the KDC does not trust the host with it"
        );
    }
    if !seals {
        return Ok(Security::Established(pending));
    }
    let protocol = Protocol::of_scheme(scheme)
        .ok_or_else(|| Error::new(ErrorKind::Configuration, format!("messages can't be encrypted with {scheme}")))?;
    Ok(Security::Sealed {
        sealer: Box::new(context.sealer),
        protocol,
        sent: SentBodies::default(),
    })
}
