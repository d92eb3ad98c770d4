//! Where WS-Man's messages meet authentication: one request, over a connection that is authenticated, sealed if the
//! connection is, and the SOAP that answers it.

mod handshake;

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use tokio::sync::OnceCell;
use winrm_auth::Sealer;
use winrm_auth::sealed_body::{self, Protocol};
use winrm_proto::fault::code;
use winrm_proto::xml::Limits;
use winrm_proto::{Envelope, ReadError, RequestHeader};

use crate::answer;
use crate::authentication::Authentication;
use crate::builder::Settings;
use crate::cleanup::Cleanups;
use crate::client::Reply;
use crate::connection::{Bounds, Connection, RawAnswer, Unanswered};
use crate::dial::Dialer;
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, MayHaveRun};
use crate::operations::refused;
use crate::pool::Pool;
use crate::proxy::Route;
use crate::tls::{self, Tls};

/// The type of an envelope, as Windows writes it.
const SOAP: &str = "application/soap+xml;charset=UTF-8";

/// What an answer may have beyond its envelope: Windows counts the limit loosely, and encryption adds its own.
const MARGIN: usize = 64 * 1024;

/// How often a busy host is asked again, and the first pause; it doubles each time.
const BUSY_RETRIES: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// A fresh id: a UUID in upper case, as Windows writes it.
pub(crate) fn new_id() -> String {
    let mut buffer = uuid::Uuid::encode_buffer();
    fresh_uuid().hyphenated().encode_upper(&mut buffer).to_owned()
}

pub(crate) fn message_id() -> String {
    let mut buffer = uuid::Uuid::encode_buffer();
    format!("uuid:{}", fresh_uuid().hyphenated().encode_upper(&mut buffer))
}

/// A UUID that no other has. It is no secret, so the system is asked for randomness once and not for every request.
fn fresh_uuid() -> uuid::Uuid {
    static FIRST: OnceLock<u128> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let first = *FIRST.get_or_init(|| uuid::Uuid::new_v4().as_u128());
    // With an odd factor no two of the 2^64 counts have the same product. It goes into both halves, in different order, since
    // the version and the variant of a UUID overwrite six bits.
    let step = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mask = u128::from(step) << 64 | u128::from(step.swap_bytes());
    uuid::Builder::from_random_bytes((first ^ mask).to_be_bytes()).into_uuid()
}

/// Everything that the handles of one client share.
pub(crate) struct Session {
    dialer: Dialer,
    url: String,
    path: Uri,
    /// Headers of every request but for authentication.
    headers: HeaderMap,
    authentication: Authentication,
    header: RequestHeader,
    limits: Limits,
    bounds: Bounds,
    pool: Pool,
    made: AtomicU64,
    /// Whether the host has answered anything: then it speaks http there, and no hint doubts it.
    answered: AtomicBool,
    input_envelope: OnceCell<usize>,
    cleanups: Cleanups,
}

/// One connection, authenticated.
pub(crate) struct Channel {
    connection: Connection,
    security: Security,
    /// Whether a request was answered since the authentication.
    used: bool,
}

/// What a connection's authentication means for its requests.
enum Security {
    /// Nobody has asked who we are.
    None,
    /// This header goes with each of them.
    Header(HeaderValue),
    /// The connection itself is authenticated. The last token, if there is one, goes with the first request.
    Established(Option<HeaderValue>),
    /// As before, and every message is sealed.
    Sealed {
        sealer: Box<Sealer>,
        protocol: Protocol,
        sent: SentBodies,
    },
}

/// The last large bodies that were sealed: their memory serves those that follow, since fresh pages cost a good part of what sealing
/// itself does.
#[derive(Default)]
struct SentBodies(VecDeque<Bytes>);

impl SentBodies {
    /// One is on its way while the next is made.
    const KEPT: usize = 2;

    /// What is smaller is made anew, in bytes.
    const SMALL: usize = 64 * 1024;

    /// Memory that nobody needs any more, if there is any.
    fn memory(&mut self) -> Vec<u8> {
        let oldest = if self.0.len() < Self::KEPT { None } else { self.0.pop_front() };
        oldest.and_then(|body| body.try_into_mut().ok()).map(Vec::from).unwrap_or_default()
    }

    fn keep(&mut self, body: &Bytes) {
        if body.len() >= Self::SMALL {
            self.0.push_back(body.clone());
        }
    }
}

impl Channel {
    pub(crate) fn is_usable(&mut self) -> bool {
        self.connection.is_usable()
    }

    pub(crate) fn number(&self) -> u64 {
        self.connection.number
    }
}

/// Whether a request needs credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Needed,
    Withheld,
}

/// What a request is for, for people and logs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation<'a> {
    pub(crate) action: &'static str,
    /// "The host did not …".
    pub(crate) purpose: &'a str,
    /// Whether the body stays out of logs.
    pub(crate) secret: bool,
    /// Becomes false as soon as the request may be on its way.
    pub(crate) absent: Option<&'a AtomicBool>,
}

/// SOAP, and what it was taken out of.
struct Soap {
    bytes: Vec<u8>,
    envelope: Range<usize>,
}

/// An answer that was let in, and where in its body the message is, if it came sealed.
struct Admitted {
    answer: RawAnswer,
    opened: Option<Range<usize>>,
}

/// Requests that follow each other over one connection, each of them made while the one before is on its way.
#[derive(Default)]
pub(crate) struct Line {
    /// The next request, made for this connection: what is sealed can't go over another.
    ready: Option<(Channel, Request<Full<Bytes>>)>,
}

/// Where a line gets its next request from.
pub(crate) struct Ahead<'a> {
    pub(crate) line: &'a mut Line,
    /// Gives the next request's body once there is one, and nothing when there will be none.
    pub(crate) next: &'a mut (dyn FnMut(&mut Context<'_>) -> Poll<Option<Bytes>> + Send),
}

impl Session {
    pub(crate) fn new(endpoint: Endpoint, settings: Settings, tls: Option<Tls>, header: RequestHeader) -> Result<Self, Error> {
        let refuse = |message: String| Error::new(ErrorKind::Configuration, message);
        let route = Route::new(&endpoint, &settings);
        let path = Uri::try_from(route.target(&endpoint))
            .map_err(|error| refuse(format!("the path {:?} can't be used", endpoint.path())).with_source(error))?;
        let authority = HeaderValue::try_from(endpoint.authority())
            .map_err(|error| refuse(format!("the host {:?} can't be used", endpoint.host())).with_source(error))?;
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::HOST, authority);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SOAP));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("winrm-rust/", env!("CARGO_PKG_VERSION"))),
        );
        if route.is_forward() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(credentials) = route.forwarded_credentials()? {
            headers.insert(header::PROXY_AUTHORIZATION, credentials);
        }
        let envelope = header.max_envelope_size as usize;
        Ok(Self {
            url: endpoint.url_for_host(),
            path,
            headers,
            authentication: Authentication::new(&endpoint, &settings)?,
            limits: Limits::default().with_bytes(envelope + MARGIN),
            bounds: Bounds {
                read_timeout: settings.read_timeout,
                // CredSSP adds less than 300 bytes to each 16,384.
                body: envelope + MARGIN.max(envelope / 32),
            },
            header,
            dialer: Dialer {
                endpoint,
                tls,
                server_name: settings.server_name,
                route,
                connect_timeout: settings.connect_timeout,
                retries: settings.retries,
            },
            pool: Pool::default(),
            made: AtomicU64::new(0),
            answered: AtomicBool::new(false),
            input_envelope: OnceCell::new(),
            cleanups: Cleanups::default(),
        })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.dialer.endpoint
    }

    pub(crate) fn cleanups(&self) -> &Cleanups {
        &self.cleanups
    }

    pub(crate) fn connections_made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    pub(crate) fn close_idle(&self) {
        self.pool.clear();
    }

    pub(crate) fn header(&self) -> &RequestHeader {
        &self.header
    }

    /// How large requests with input may be, once that was asked.
    pub(crate) fn input_envelope(&self) -> &OnceCell<usize> {
        &self.input_envelope
    }

    /// Sends a request until the host isn't busy any more, and reads the answer. While it is on its way, `ahead` makes the next.
    pub(crate) async fn perform<T>(
        &self,
        operation: Operation<'_>,
        body: Bytes,
        credential: Credential,
        mut ahead: Option<Ahead<'_>>,
        read: impl Fn(&Envelope<'_>) -> Result<T, ReadError>,
    ) -> Result<T, Error> {
        let mut pause = BUSY_PAUSE;
        let mut left = BUSY_RETRIES;
        loop {
            if !operation.secret {
                tracing::trace!(action = operation.action, body = %String::from_utf8_lossy(&body), "request");
            }
            let answer = self.exchange(operation, &body, credential, ahead.as_mut()).await?;
            let result = self.read(operation, &answer.bytes[answer.envelope.clone()], &read);
            if let (Err(_), Some(ahead)) = (&result, &mut ahead) {
                self.withdraw(ahead.line);
            }
            let busy = |error: &Error| error.as_fault().is_some_and(|fault| fault.has_number(code::BUSY));
            match result {
                Err(error) if left > 0 && busy(&error) => {
                    tracing::debug!(action = operation.action, ?pause, "the host is busy");
                    left -= 1;
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                result => return result,
            }
        }
    }

    fn read<T>(&self, operation: Operation<'_>, answer: &[u8], read: impl Fn(&Envelope<'_>) -> Result<T, ReadError>) -> Result<T, Error> {
        let unreadable = |error: ReadError| {
            let (kind, hint) = match error {
                ReadError::NotSoap { .. } | ReadError::Version { .. } => {
                    (ErrorKind::NotWinRm, "another service listens there: check host, port and path")
                }
                _ => (
                    ErrorKind::Protocol,
                    "the answer was damaged on its way, or the service is not quite WinRM",
                ),
            };
            Error::new(kind, format!("the answer of {} can't be understood", self.url))
                .with_hint(hint)
                .with_source(error)
                .at_least(MayHaveRun::Unknown)
        };
        let text = winrm_proto::xml::decode(answer).map_err(|error| unreadable(error.into()))?;
        let envelope = Envelope::parse(&text, &self.limits).map_err(unreadable)?;
        if let Some(fault) = envelope.fault() {
            return Err(refused(operation, fault));
        }
        read(&envelope).map_err(unreadable)
    }

    /// Sends an envelope of the caller's until the host isn't busy any more, and gives the answer as it is.
    pub(crate) async fn relay(&self, body: Bytes) -> Result<Reply, Error> {
        let operation = Operation {
            action: "a message of the caller's",
            purpose: "answer the message",
            secret: true,
            absent: None,
        };
        let mut pause = BUSY_PAUSE;
        let mut left = BUSY_RETRIES;
        loop {
            let Admitted { mut answer, opened } = self.admitted(operation, &body, Credential::Needed, None).await?;
            if let Some(opened) = opened {
                answer.body.truncate(opened.end);
                answer.body.drain(..opened.start);
            }
            if left == 0 || answer.status != StatusCode::INTERNAL_SERVER_ERROR || !self.is_busy(&answer.body) {
                return Ok(Reply {
                    status: answer.status.as_u16(),
                    body: answer.body,
                });
            }
            tracing::debug!(?pause, "the host is busy");
            left -= 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    fn is_busy(&self, answer: &[u8]) -> bool {
        let fault = || {
            let text = winrm_proto::xml::decode(answer).ok()?;
            Envelope::parse(&text, &self.limits).ok()?.fault()
        };
        fault().is_some_and(|fault| fault.has_number(code::BUSY))
    }

    /// One request, over any connection, and the SOAP that answers it.
    async fn exchange(
        &self,
        operation: Operation<'_>,
        body: &Bytes,
        credential: Credential,
        ahead: Option<&mut Ahead<'_>>,
    ) -> Result<Soap, Error> {
        let Admitted { answer, opened } = self.admitted(operation, body, credential, ahead).await?;
        match opened {
            Some(envelope) => Ok(Soap {
                bytes: answer.body,
                envelope,
            }),
            None => answer::soap_of(answer, &self.url).map(|bytes| Soap {
                envelope: 0..bytes.len(),
                bytes,
            }),
        }
    }

    /// One request, over any connection, and whatever answers it but a refusal of the credentials.
    async fn admitted(
        &self,
        operation: Operation<'_>,
        body: &Bytes,
        credential: Credential,
        mut ahead: Option<&mut Ahead<'_>>,
    ) -> Result<Admitted, Error> {
        if credential == Credential::Needed && matches!(self.authentication, Authentication::None) {
            return Err(Error::new(ErrorKind::Configuration, "no credentials were given").with_hint("give a user and a password"));
        }
        // An authenticated connection stays authenticated: who wants to be a stranger takes another.
        let shares = credential == Credential::Needed || !matches!(self.authentication, Authentication::Tokens(_));
        // A proxy may close its side after any answer, without a word and a moment too late.
        let shares = shares && !self.dialer.route.is_forward();
        loop {
            let ready = ahead.as_mut().and_then(|ahead| ahead.line.ready.take());
            let ready = ready.and_then(|(mut channel, request)| channel.is_usable().then_some((channel, request)));
            let (mut channel, request, reused) = match ready {
                Some((channel, request)) => (channel, request, true),
                None => {
                    let kept = if shares { self.pool.take() } else { None };
                    let reused = kept.is_some();
                    let mut channel = match kept {
                        Some(channel) => channel,
                        // Rare, and its future is large: it would make that of every request as large.
                        None => Box::pin(self.open(credential)).await?,
                    };
                    let request = self.request(&mut channel.security, body, credential)?;
                    (channel, request, reused)
                }
            };
            if let Some(absent) = operation.absent {
                absent.store(false, Ordering::Release);
            }
            let mut following = None;
            let post = channel.connection.post(request, self.bounds);
            let posted = match &mut ahead {
                Some(ahead) if shares => {
                    let security = &mut channel.security;
                    let mut make = |context: &mut Context<'_>| {
                        let next = ready!((ahead.next)(context));
                        Poll::Ready(next.map(|body| self.request(security, &body, credential)))
                    };
                    while_on_its_way(post, &mut make, &mut following).await
                }
                _ => post.await,
            };
            match posted {
                Ok(answer) => {
                    self.answered.store(true, Ordering::Relaxed);
                    tracing::debug!(
                        connection = channel.number(),
                        action = operation.action,
                        status = answer.status.as_u16(),
                        sent = body.len(),
                        received = answer.body.len(),
                        "answer"
                    );
                    // The host has forgotten who we are, and did nothing: a new connection starts over.
                    if answer.status == StatusCode::UNAUTHORIZED && channel.used && !matches!(channel.security, Security::Header(_)) {
                        tracing::info!(connection = channel.number(), "connection is not authenticated any more");
                        continue;
                    }
                    return self.accept(answer, channel, |channel| match (&mut ahead, following) {
                        (Some(ahead), Some(Ok(request))) => ahead.line.ready = Some((channel, request)),
                        // The sealer has failed: the connection is of no use.
                        (_, Some(Err(_))) => {}
                        _ if shares => self.pool.put(channel),
                        _ => {}
                    });
                }
                // The host closed it just now. Each turn uses up a kept connection, a fresh one ends it.
                Err(Unanswered::NotSent(_)) if reused => {}
                Err(failure) => return Err(self.unanswered(operation.action, failure)),
            }
        }
    }

    /// Gives up the request that was made for a line's connection. What is sealed counts as sent: the connection ends with it.
    fn withdraw(&self, line: &mut Line) {
        if let Some((channel, _)) = line.ready.take()
            && !matches!(channel.security, Security::Sealed { .. })
        {
            self.pool.put(channel);
        }
    }

    /// Builds a request for the connection that this is the security of; sealed bodies can't go over another.
    fn request(&self, security: &mut Security, body: &Bytes, credential: Credential) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = self.post(body.clone());
        match (credential, security) {
            (Credential::Withheld, _) => {
                let unauthenticated = HeaderValue::from_static("unauthenticated");
                request.headers_mut().insert("wsmanidentify", unauthenticated);
            }
            (_, Security::None) => {}
            (_, Security::Header(value)) => {
                request.headers_mut().insert(header::AUTHORIZATION, value.clone());
            }
            (_, Security::Established(pending)) => {
                if let Some(value) = pending.take() {
                    request.headers_mut().insert(header::AUTHORIZATION, value);
                }
            }
            (_, Security::Sealed { sealer, protocol, sent }) => {
                let sealed = sealed_body::seal_in(sent.memory(), sealer, *protocol, SOAP, body)
                    .map_err(|error| Error::new(ErrorKind::Protocol, "a request can't be encrypted").with_source(error))?;
                let content_type = HeaderValue::from_static(protocol.content_type_for(body.len()));
                request.headers_mut().insert(header::CONTENT_TYPE, content_type);
                let sealed = Bytes::from(sealed);
                sent.keep(&sealed);
                *request.body_mut() = Full::new(sealed);
            }
        }
        Ok(request)
    }

    fn post(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// An empty request by which nobody says who he is, over a connection of its own: the connection and the answer.
    pub(crate) async fn knock(&self) -> Result<(Connection, RawAnswer), Error> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let mut connection = self.dialer.dial(number).await?;
        match connection.post(self.post(Bytes::new()), self.bounds).await {
            Ok(answer) => match self.dialer.route.refusal(&answer, &self.dialer.endpoint) {
                Some(refusal) => Err(refusal),
                None => Ok((connection, answer)),
            },
            Err(failure) => Err(self.unanswered("an empty request", failure).not_run()),
        }
    }

    /// Opens an answer if it is sealed, and keeps the connection if it can go on.
    fn accept(&self, mut answer: RawAnswer, mut channel: Channel, keep: impl FnOnce(Channel)) -> Result<Admitted, Error> {
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(self.unauthorized(&answer));
        }
        if let Some(refusal) = self.about_certificate(&answer) {
            return Err(refusal);
        }
        if let Some(refusal) = self.dialer.route.refusal(&answer, &self.dialer.endpoint) {
            return Err(refusal);
        }
        let mut opened = None;
        if let Security::Sealed { sealer, protocol, .. } = &mut channel.security {
            opened = open_sealed(sealer, *protocol, &mut answer, &self.limits).map_err(|error| {
                Error::new(
                    ErrorKind::Protocol,
                    format!("the encrypted answer of {} can't be accepted", self.url),
                )
                .with_hint("a service has to encrypt its answers where requests are encrypted; something may have changed them")
                .with_source(error)
                .at_least(MayHaveRun::Unknown)
            })?;
        }
        channel.used = true;
        keep(channel);
        Ok(Admitted { answer, opened })
    }

    fn hint(&self, offered: &[String]) -> &'static str {
        if self.dialer.route.has_forwarded_user() {
            return "check user and password, those for the proxy as well: there are proxies that answer so to wrong ones";
        }
        let was_asked = self.dialer.tls.as_ref().is_some_and(Tls::was_asked);
        self.authentication.hint(offered, was_asked)
    }

    /// What web servers in front of a host say of our certificate, on pages of theirs: nginx with 400, others with 403.
    fn about_certificate(&self, answer: &RawAnswer) -> Option<Error> {
        if !matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN) || answer::is_soap(&answer.headers) {
            return None;
        }
        let (url, status) = (&self.url, answer.status.as_u16());
        let is_named = String::from_utf8_lossy(&answer.body).to_lowercase().contains("certificate");
        let is_certified = self.dialer.tls.as_ref().is_some_and(Tls::is_certified);
        match &self.authentication {
            Authentication::Certificate(_) if is_named || answer.status == StatusCode::FORBIDDEN => {
                let tried = self.authentication.tried();
                Some(Error::new(ErrorKind::Unauthorized, format!("{url} refused {tried} (HTTP {status})")).with_hint(self.hint(&[])))
            }
            _ if is_named && is_certified => Some(
                Error::new(
                    ErrorKind::Unauthorized,
                    format!("{url} refused our client certificate (HTTP {status})"),
                )
                .with_hint("it has to be valid, for client authentication, and from an authority that the host trusts for clients"),
            ),
            _ if is_named && self.dialer.tls.is_some() => Some(
                Error::new(
                    ErrorKind::Unauthorized,
                    format!("{url} wants a client certificate, and none was given (HTTP {status})"),
                )
                .with_hint("give one with its key (--cert)"),
            ),
            _ => None,
        }
    }

    fn unauthorized(&self, answer: &RawAnswer) -> Error {
        let hint = self.hint(&answer::offered(&answer.headers));
        answer::unauthorized(&answer.headers, &self.url, &self.authentication.tried()).with_hint(hint)
    }

    fn unanswered(&self, action: &str, failure: Unanswered) -> Error {
        let url = &self.url;
        if let (Some(tls), Unanswered::NotSent(error) | Unanswered::Lost(error)) = (&self.dialer.tls, &failure)
            && let Some(refused) = tls::refused_later(self.dialer.server_name(), error, tls.is_certified(), tls.was_asked())
        {
            return refused;
        }
        match failure {
            Unanswered::NotSent(error) => Error::new(
                ErrorKind::Closed,
                format!("{url} closed the connection before a request could be sent"),
            )
            .with_source(error),
            Unanswered::Lost(error) if error.is_parse() => {
                let message = format!("{url} answered with something that is not HTTP");
                Error::new(ErrorKind::NotWinRm, message)
                    .with_hint("another service listens there, or the port is for https: is the scheme right?")
                    .with_source(error)
                    .at_least(MayHaveRun::Unknown)
            }
            Unanswered::Lost(error) => Error::new(
                ErrorKind::Closed,
                format!("{url} closed the connection before its answer was complete ({})", action),
            )
            .with_hint(
                if self.dialer.endpoint.scheme() == crate::Scheme::Http && !self.answered.load(Ordering::Relaxed) {
                    "the port may be for https: is the scheme right? Or something between here and there cuts connections"
                } else {
                    "the host may have been restarted, or something between here and there cuts connections"
                },
            )
            .with_source(error)
            .at_least(MayHaveRun::Unknown),
            Unanswered::Silent => Error::new(
                ErrorKind::Timeout,
                format!("{url} has been silent for {:?} ({})", self.bounds.read_timeout, action),
            )
            .with_hint("the host hangs, or something between here and there drops what it sends")
            .at_least(MayHaveRun::Unknown),
            Unanswered::TooLarge(limit) => Error::new(ErrorKind::Protocol, format!("{url} answered with more than {limit} bytes"))
                .with_hint("it does not keep to the largest envelope that was asked for")
                .at_least(MayHaveRun::Unknown),
        }
    }
}

/// Waits for a request's answer, and makes the following request meanwhile.
async fn while_on_its_way<A, R>(
    post: impl Future<Output = A>,
    make: &mut (dyn FnMut(&mut Context<'_>) -> Poll<Option<R>> + Send),
    following: &mut Option<R>,
) -> A {
    let mut post = pin!(post);
    let mut made = false;
    std::future::poll_fn(|context| {
        let mut posted = post.as_mut().poll(context);
        if posted.is_pending()
            && !made
            && let Poll::Ready(request) = make(context)
        {
            made = true;
            *following = request;
            // It took its time: more of the first may fit into the socket, or its answer be there.
            posted = post.as_mut().poll(context);
        }
        posted
    })
    .await
}

/// Opens a sealed answer where it stands, and tells where its envelope is. `None` for a refusal by HTTP itself, which carries
/// no message; everything else in clear text is an error.
fn open_sealed(
    sealer: &mut Sealer,
    protocol: Protocol,
    answer: &mut RawAnswer,
    limits: &Limits,
) -> Result<Option<Range<usize>>, Box<dyn std::error::Error + Send + Sync>> {
    let content_type = answer
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !sealed_body::is_sealed(content_type) {
        let carries_message = answer.status.is_success() || answer::is_soap(&answer.headers);
        return if carries_message {
            Err("the answer is in clear text".into())
        } else {
            Ok(None)
        };
    }
    let opened = sealed_body::open(sealer, content_type, &mut answer.body, limits.bytes)?;
    if opened.protocol != protocol {
        return Err(format!("the answer is sealed as {}, the request was as {protocol}", opened.protocol).into());
    }
    Ok(Some(opened.plain))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn ids_are_upper_case_uuids_and_never_repeat() {
        let ids: HashSet<String> = (0..100_000).map(|_| super::new_id()).collect();
        assert_eq!(ids.len(), 100_000);
        let parsed = ids.iter().map(|id| uuid::Uuid::parse_str(id).unwrap());
        assert!(
            parsed
                .zip(&ids)
                .all(|(parsed, id)| parsed.get_version_num() == 4 && parsed.to_string().to_uppercase() == *id)
        );
    }
}
