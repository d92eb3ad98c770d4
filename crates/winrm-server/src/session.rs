//! Where protocol and authentication meet: a request's way from HTTP to an envelope and back.

use std::error::Error;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use winrm_auth::sealed_body::{self, Protocol};
use winrm_auth::{Authorization, Challenge, Scheme, Sealer, SecurityContext, Step, TokenMachine, basic};

use crate::authentication::AuthMethod;
use crate::buffers::Buffer;
use crate::client_certificate::{Proven, Shown};
use crate::configuration::CertificateMapping;
use crate::connection::Link;
use crate::dispatch::{self, Answer, Caller};
use crate::server::Service;

/// The type of an envelope, as Windows writes it.
const SOAP: &str = "application/soap+xml;charset=UTF-8";

/// What a sealed body may be larger than its envelope.
const SEAL_OVERHEAD: usize = 4_096;

/// A connection from the first request to the last.
pub(crate) struct Session {
    service: Arc<Service>,
    link: Link,
    /// Locked as long as a request is answered; HTTP/1.1 has one at a time.
    state: Mutex<State>,
    /// Whom the client's certificate names, once a request has referred to it; nobody if it is no good.
    proven: OnceLock<Option<Proven>>,
}

/// How far the connection's own authentication is. Basic and certificates, which every request speaks of, have no part in it.
#[derive(Default)]
enum State {
    /// Nobody, or failed.
    #[default]
    Nobody,
    /// The client's next token is waited for.
    Handshake { scheme: Scheme, machine: Box<dyn TokenMachine> },
    /// Someone: requests need no header any more.
    Known(Known),
}

struct Known {
    user: String,
    /// `None` where messages can't be sealed.
    protocol: Option<Protocol>,
    sealer: Sealer,
    /// From the first sealed message on clear text would be an attack.
    sealed: bool,
}

type HttpResponse = Response<Full<Bytes>>;

/// Why a request's body isn't there.
enum NoBody {
    TooLarge,
    TooSlow,
    Broken,
}

impl Session {
    pub(crate) fn new(service: Arc<Service>, link: Link) -> Self {
        Self {
            service,
            link,
            state: Mutex::default(),
            proven: OnceLock::new(),
        }
    }

    /// Answers one request, whatever it is.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> HttpResponse {
        let (head, body) = request.into_parts();
        if !head.uri.path().trim_end_matches('/').eq_ignore_ascii_case(&self.link.path) {
            return empty(StatusCode::NOT_FOUND);
        }
        if head.method != Method::POST {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        let mut state = self.state.lock().await;
        // It is read before anything is answered: the connection can't be kept with half a request in it.
        let body = match self.read_body(body).await {
            Ok(body) => body,
            Err(NoBody::TooLarge) => return closing(self.too_large(&head.headers, &state)),
            Err(NoBody::TooSlow) => return closing(empty(StatusCode::REQUEST_TIMEOUT)),
            Err(NoBody::Broken) => return closing(empty(StatusCode::BAD_REQUEST)),
        };
        if asks_as_stranger(&head.headers)
            && let Some(answer) = dispatch::identify_stranger(&self.service, &body)
        {
            return soap(answer);
        }
        let Some(value) = head.headers.get(AUTHORIZATION) else {
            return match &mut *state {
                // A client that asks like this wants to authenticate anew, and would go on in clear text.
                State::Known(known) if !body.is_empty() => self.message(known, &head.headers, body).await,
                _ => self.unauthorized(),
            };
        };
        let Ok(value) = value.to_str() else { return self.unauthorized() };
        let scheme = Authorization::scheme_of(value);
        if !self.offered().any(|method| method.scheme() == scheme) {
            tracing::info!(peer = %self.link.peer, %scheme, "refused: not offered on this connection");
            return self.unauthorized();
        }
        if matches!(scheme, Scheme::Basic | Scheme::Certificate) {
            return match self.user_of_request(value) {
                Some((user, _)) if body.len() > self.max_envelope() => closing(self.clear_too_large(&user)),
                Some((user, mappings)) => soap(self.dispatch(user, mappings, &body).await),
                None => self.unauthorized(),
            };
        }
        let token = match self.handshake(&mut state, value).await {
            ControlFlow::Break(response) => return *response,
            ControlFlow::Continue(token) => token,
        };
        let mut response = match &mut *state {
            State::Known(known) if !body.is_empty() => self.message(known, &head.headers, body).await,
            _ => empty(StatusCode::OK),
        };
        if let Some(token) = token {
            add_challenge(&mut response, &Challenge::with_token(scheme, token));
        }
        response
    }

    /// One leg of an authentication: ends the request with an answer, or goes on with it as someone who is known now, with the last
    /// token for the client.
    async fn handshake(&self, state: &mut State, value: &str) -> ControlFlow<Box<HttpResponse>, Option<Vec<u8>>> {
        let refuse = |reason: &dyn std::fmt::Display| {
            tracing::info!(peer = %self.link.peer, %reason, "authentication failed");
            ControlFlow::Break(Box::new(self.unauthorized()))
        };
        let before = std::mem::take(state);
        let (scheme, token) = match Authorization::parse(value) {
            Ok(Authorization { token, .. }) if token.is_empty() => return refuse(&"no token"),
            Ok(Authorization { scheme, token }) => (scheme, token),
            Err(error) => return refuse(&error),
        };
        let begun = match before {
            State::Handshake { scheme: same, machine } if same == scheme && !begins(&scheme, &token) => Some(machine),
            _ => None,
        };
        let (service, binding, asked) = (self.service.clone(), self.link.binding.clone(), scheme.clone());
        let configuration = self.service.configuration.current();
        let go_on = move || {
            let mut machine = match begun {
                Some(machine) => machine,
                None => {
                    let (level, thumbprint) = (configuration.cbt_hardening_level, &configuration.certificate_thumbprint);
                    let inside = service.listeners.identity(thumbprint).filter(|_| !thumbprint.is_empty());
                    let acceptors = &service.settings.acceptors;
                    acceptors.machine(&asked, binding.as_ref(), level, inside)?.ok_or(NoMechanism)?
                }
            };
            let step = machine.step(&token);
            Ok::<_, Box<dyn Error + Send + Sync>>((machine, step))
        };
        let stepped = if self.service.settings.acceptors.may_block(&scheme) {
            tokio::task::spawn_blocking(go_on).await.unwrap_or_else(|error| Err(error.into()))
        } else {
            go_on()
        };
        let (mut machine, step) = match stepped {
            Ok(stepped) => stepped,
            Err(error) => return refuse(&error),
        };
        match step {
            Ok(Step::Continue(token)) => {
                let mut response = empty(StatusCode::UNAUTHORIZED);
                add_challenge(&mut response, &Challenge::with_token(scheme.clone(), token));
                *state = State::Handshake { scheme, machine };
                ControlFlow::Break(Box::new(response))
            }
            Ok(Step::Done { token, context }) => match self.known(&scheme, context) {
                Some(known) => {
                    *state = State::Known(known);
                    ControlFlow::Continue(token)
                }
                None => refuse(&"the account is none of this service's"),
            },
            Err(error) => match (machine.farewell(), refuse(&chain(&error))) {
                (Some(token), ControlFlow::Break(mut response)) => {
                    // Alone: it is no offer to begin anew.
                    response.headers_mut().remove(WWW_AUTHENTICATE);
                    add_challenge(&mut response, &Challenge::with_token(scheme, token));
                    ControlFlow::Break(response)
                }
                (_, refused) => refused,
            },
        }
    }

    fn known(&self, scheme: &Scheme, context: SecurityContext) -> Option<Known> {
        let peer = context.peer.as_ref()?;
        let acceptors = &self.service.settings.acceptors;
        let user = acceptors.account(context.mechanism, peer)?;
        if let Some(delegated) = &context.delegated_credentials
            && !acceptors.takes_delegated(context.mechanism, peer, delegated)
        {
            tracing::info!(client = %self.link.peer, user, delegated = %delegated, "the delegated credentials are wrong");
            return None;
        }
        tracing::info!(
            client = %self.link.peer,
            user,
            %scheme,
            mechanism = %context.mechanism,
            channel_bound = context.channel_bound,
            "authenticated"
        );
        Some(Known {
            user,
            protocol: Protocol::of_scheme(scheme),
            sealer: context.sealer,
            sealed: false,
        })
    }

    /// Answers a message of someone known: a sealed one sealed, one in clear text only where that is allowed.
    async fn message(&self, known: &mut Known, headers: &HeaderMap, mut body: Buffer) -> HttpResponse {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let sealing = known.protocol.filter(|_| sealed_body::is_sealed(content_type));
        let Some(protocol) = sealing else {
            if known.sealed || !self.clear_text_allowed() {
                tracing::info!(peer = %self.link.peer, user = known.user, "refused: a message in clear text");
                return closing(empty(StatusCode::INTERNAL_SERVER_ERROR));
            }
            if body.len() > self.max_envelope() {
                return closing(self.clear_too_large(&known.user));
            }
            return soap(self.dispatch(known.user.clone(), None, &body).await);
        };
        let opened = match sealed_body::open(&mut known.sealer, content_type, &mut body, self.max_envelope()) {
            Ok(opened) if opened.protocol == protocol => opened,
            Ok(opened) => return self.unreadable(&format!("sealed by {}", opened.protocol)),
            Err(error) => return self.unreadable(&chain(&error)),
        };
        known.sealed = true;
        let answer = self.dispatch(known.user.clone(), None, &body[opened.plain]).await;
        match sealed_body::seal(&mut known.sealer, protocol, SOAP, &answer.envelope) {
            Ok(sealed) => {
                let mut response = Response::new(Full::new(Bytes::from(sealed)));
                *response.status_mut() = answer.status;
                let content_type = HeaderValue::from_static(protocol.content_type_for(answer.envelope.len()));
                response.headers_mut().insert(CONTENT_TYPE, content_type);
                response
            }
            Err(error) => self.unreadable(&error.to_string()),
        }
    }

    /// What Windows says to a sealed body that it can't open. The connection's counters are of no use any more.
    fn unreadable(&self, reason: &str) -> HttpResponse {
        tracing::info!(peer = %self.link.peer, reason, "a sealed message can't be read");
        closing(empty(StatusCode::BAD_REQUEST))
    }

    async fn dispatch(&self, user: String, mappings: Option<Vec<CertificateMapping>>, body: &[u8]) -> Answer {
        let caller = Caller {
            user,
            mappings,
            listener: self.link.listener,
            address: self.link.peer.ip().to_canonical().to_string(),
        };
        dispatch::answer(&self.service, &caller, body).await
    }

    fn max_envelope(&self) -> usize {
        self.service.configuration.current().quotas.max_envelope_bytes()
    }

    /// Windows tells strangers nothing, not even that they wrote too much.
    fn too_large(&self, headers: &HeaderMap, state: &State) -> HttpResponse {
        let basic = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        match (basic, state) {
            (None, State::Known(known)) if !known.sealed && self.clear_text_allowed() => self.clear_too_large(&known.user),
            (None, State::Known(_)) => empty(StatusCode::PAYLOAD_TOO_LARGE),
            (Some(value), _) => match self.user_of_request(value) {
                Some((user, _)) => self.clear_too_large(&user),
                None => self.unauthorized(),
            },
            _ => self.unauthorized(),
        }
    }

    fn clear_too_large(&self, user: &str) -> HttpResponse {
        tracing::info!(peer = %self.link.peer, user, "refused: larger than MaxEnvelopeSizekb");
        soap(dispatch::too_large(&self.service))
    }

    async fn read_body(&self, mut body: Incoming) -> Result<Buffer, NoBody> {
        let configuration = self.service.configuration.current();
        let quotas = &configuration.quotas;
        let limit = quotas.max_envelope_bytes();
        // CredSSP adds less than 300 bytes to each 16,384.
        let limit = limit.saturating_add(limit / 32).saturating_add(SEAL_OVERHEAD);
        let hint = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if hint > limit {
            return Err(NoBody::TooLarge);
        }
        let deadline = Instant::now() + quotas.body_timeout;
        let mut bytes = self.service.buffers.take(hint);
        loop {
            let frame = timeout_at(deadline, body.frame()).await.map_err(|_| NoBody::TooSlow)?;
            let Some(frame) = frame else { return Ok(bytes) };
            // Trailers mean nothing here.
            if let Ok(data) = frame.map_err(|_| NoBody::Broken)?.into_data() {
                if bytes.len() + data.len() > limit {
                    return Err(NoBody::TooLarge);
                }
                bytes.extend_from_slice(&data);
            }
        }
    }

    /// Whether messages may be in clear text on this connection.
    fn clear_text_allowed(&self) -> bool {
        self.link.binding.is_some() || self.service.configuration.current().allow_unencrypted
    }

    fn offered(&self) -> impl Iterator<Item = AuthMethod> {
        let basic = self.clear_text_allowed();
        let methods = self.service.configuration.current().methods.clone().into_iter();
        let tls = self.link.binding.is_some();
        methods.filter(move |method| match method {
            AuthMethod::Basic => basic,
            AuthMethod::Certificate => tls,
            _ => true,
        })
    }

    /// Who a request with these credentials comes from, where they stand in every request; with the mappings of his certificate.
    fn user_of_request(&self, value: &str) -> Option<(String, Option<Vec<CertificateMapping>>)> {
        match Authorization::scheme_of(value) {
            Scheme::Basic => Some((self.basic_user(value)?, None)),
            Scheme::Certificate => self.mappings().map(|mappings| (mappings[0].user.clone(), Some(mappings))),
            _ => None,
        }
    }

    /// The mappings that the client's certificate has, at least one.
    fn mappings(&self) -> Option<Vec<CertificateMapping>> {
        if !self.offered().any(|method| method == AuthMethod::Certificate) {
            return None;
        }
        let certificates = self.service.settings.certificates.as_ref()?;
        let shown = self.link.certificate.as_ref();
        let subject = || shown.map(Shown::subject).unwrap_or_default();
        let mut first = false;
        let proven = self.proven.get_or_init(|| {
            first = true;
            let judged = certificates.judge(shown);
            judged
                .inspect_err(
                    |error| tracing::info!(peer = %self.link.peer, subject = subject(), reason = chain(error), "certificate refused"),
                )
                .ok()
        });
        let Proven { upn, issuers } = proven.as_ref()?;
        // Looked up each time: a mapping that is changed is in effect for the next request.
        let configuration = self.service.configuration.current();
        let all = configuration.certificate_mappings.iter();
        let mappings: Vec<CertificateMapping> = all.filter(|mapping| mapping.is_for(upn, issuers)).cloned().collect();
        match mappings.first() {
            Some(CertificateMapping { user, .. }) if first => {
                tracing::info!(client = %self.link.peer, user, subject = subject(), mechanism = "certificate", "authenticated");
            }
            Some(_) => {}
            None => {
                let reason = format!("no account is mapped to {upn}");
                tracing::info!(peer = %self.link.peer, subject = subject(), reason, "certificate refused");
            }
        }
        (!mappings.is_empty()).then_some(mappings)
    }

    fn basic_user(&self, value: &str) -> Option<String> {
        if !self.offered().any(|method| method == AuthMethod::Basic) {
            return None;
        }
        let refused = |reason: &str| tracing::info!(peer = %self.link.peer, reason, "Basic refused");
        let given = basic::parse_authorization(value)
            .map_err(|error| refused(&error.to_string()))
            .ok()?;
        let user = self.service.settings.users.verify(&given);
        if user.is_none() {
            refused("wrong user or password");
        }
        user
    }

    fn unauthorized(&self) -> HttpResponse {
        let mut response = empty(StatusCode::UNAUTHORIZED);
        // Windows doesn't name certificates among its challenges: they are no scheme of HTTP.
        for method in self.offered().filter(|method| *method != AuthMethod::Certificate) {
            add_challenge(&mut response, &method.challenge());
        }
        response
    }
}

/// Whether a token is the first of an authentication, whatever went before: NTLM's NEGOTIATE_MESSAGE, the initial token of a GSSAPI
/// mechanism (RFC 2743, 3.1), or for CredSSP a ClientHello in a TLS record (RFC 5246, 6.2.1 and 7.4).
fn begins(scheme: &Scheme, token: &[u8]) -> bool {
    if *scheme == Scheme::CredSsp {
        return token.first() == Some(&22) && token.get(5) == Some(&1);
    }
    token.first() == Some(&0x60) || token.starts_with(b"NTLMSSP\0\x01\0\0\0")
}

/// A scheme that is offered but has nothing behind it.
#[derive(Debug, thiserror::Error)]
#[error("the scheme has no mechanism here")]
struct NoMechanism;

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Whether the client says that it asks without credentials ([DSP0226] 11).
fn asks_as_stranger(headers: &HeaderMap) -> bool {
    let value = headers.get("WSMANIDENTIFY").and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.trim().eq_ignore_ascii_case("unauthenticated"))
}

fn add_challenge(response: &mut HttpResponse, challenge: &Challenge) {
    // Scheme names, base64 and a constant realm: always a valid value.
    if let Ok(value) = HeaderValue::from_str(&challenge.to_string()) {
        response.headers_mut().append(WWW_AUTHENTICATE, value);
    }
}

fn soap(answer: Answer) -> HttpResponse {
    let mut response = Response::new(Full::new(Bytes::from(answer.envelope)));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(SOAP));
    response
}

fn empty(status: StatusCode) -> HttpResponse {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn closing(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
