//! Where WS-Man's operations meet authentication and connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use tokio::sync::OnceCell;
use winrm_auth::{Credentials, basic};
use winrm_proto::fault::{self, code};
use winrm_proto::identify::{Identify, IdentifyResponse};
use winrm_proto::shell::{
    CommandRequest, CommandResponse, CreateResponse, CreateShell, DeleteShell, ReceiveRequest, ReceiveResponse, SendRequest, SignalRequest,
    StreamData,
};
use winrm_proto::transfer::{Config, Get};
use winrm_proto::xml::Limits;
use winrm_proto::{Envelope, Fault, ReadError, RequestHeader, WriteError};

use crate::answer;
use crate::builder::Settings;
use crate::child::Signal;
use crate::cleanup::Cleanups;
use crate::connection::{Bounds, Connection, Dialer, RawAnswer, Unanswered};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, MayHaveRun};
use crate::pool::Pool;
use crate::tls::Tls;
use crate::transport::Transport;

/// What an answer may have beyond its envelope: Windows counts the limit loosely, and encryption adds its own.
const MARGIN: usize = 64 * 1024;

/// What every host takes, and what is used until it pays to ask: the default of 2008 R2, in bytes.
const SMALL_ENVELOPE: usize = 150 * 1024;

/// The largest request that is made, whatever the host would take, in bytes.
const LARGEST_REQUEST: usize = 1 << 20;

/// How often a busy host is asked again, and the first pause; it doubles each time.
const BUSY_RETRIES: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// A fresh id: a UUID in upper case, as Windows writes it.
pub(crate) fn new_id() -> String {
    let mut buffer = uuid::Uuid::encode_buffer();
    uuid::Uuid::new_v4().hyphenated().encode_upper(&mut buffer).to_owned()
}

fn message_id() -> String {
    let mut buffer = uuid::Uuid::encode_buffer();
    format!("uuid:{}", uuid::Uuid::new_v4().hyphenated().encode_upper(&mut buffer))
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
    input_envelope: OnceCell<usize>,
    cleanups: Cleanups,
}

/// How connections are authenticated.
enum Authentication {
    /// The same header with every request.
    Header(HeaderValue),
    /// No credentials were given.
    None,
}

/// One connection, authenticated.
pub(crate) struct Channel {
    connection: Connection,
    security: Security,
}

/// What a connection's authentication means for its requests.
enum Security {
    /// This header goes with each of them.
    Header(HeaderValue),
    /// Nobody has asked who we are.
    None,
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
#[derive(Clone, Copy, PartialEq, Eq)]
enum Credential {
    Needed,
    Withheld,
}

impl Session {
    pub(crate) fn new(endpoint: Endpoint, settings: Settings, tls: Option<Tls>, header: RequestHeader) -> Result<Self, Error> {
        let refuse = |message: String| Error::new(ErrorKind::Configuration, message);
        let path = Uri::try_from(endpoint.path())
            .map_err(|error| refuse(format!("the path {:?} can't be used", endpoint.path())).with_source(error))?;
        let authority = HeaderValue::try_from(endpoint.authority())
            .map_err(|error| refuse(format!("the host {:?} can't be used", endpoint.host())).with_source(error))?;
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::HOST, authority);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/soap+xml;charset=UTF-8"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("winrm-rust/", env!("CARGO_PKG_VERSION"))),
        );
        let envelope = header.max_envelope_size as usize;
        Ok(Self {
            url: endpoint.url_for_host(),
            path,
            headers,
            authentication: Authentication::new(&settings)?,
            limits: Limits::default().with_bytes(envelope + MARGIN),
            bounds: Bounds {
                read_timeout: settings.read_timeout,
                body: envelope + MARGIN,
            },
            header,
            dialer: Dialer {
                endpoint,
                tls,
                server_name: settings.server_name,
                connect_timeout: settings.connect_timeout,
                retries: settings.retries,
            },
            pool: Pool::default(),
            made: AtomicU64::new(0),
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

    // Operations.

    pub(crate) async fn identify(&self, authenticated: bool) -> Result<IdentifyResponse, Error> {
        let credential = if authenticated { Credential::Needed } else { Credential::Withheld };
        let operation = Operation {
            action: "Identify",
            purpose: "identify itself",
            secret: false,
        };
        let body = Bytes::from(Identify.write());
        self.perform(operation, body, credential, IdentifyResponse::read).await
    }

    pub(crate) async fn config(&self) -> Result<Config, Error> {
        let body = Get::config().write(&self.header, &message_id());
        self.ask("Get", "tell its configuration", body, Config::read).await
    }

    pub(crate) async fn create(&self, request: &CreateShell) -> Result<String, Error> {
        let operation = Operation {
            action: "Create",
            purpose: "open a shell",
            // Environment variables.
            secret: true,
        };
        let body = written(request.write(&self.header, &message_id()))?;
        let created = self.perform(operation, body, Credential::Needed, CreateResponse::read).await?;
        Ok(created.shell_id)
    }

    pub(crate) async fn delete(&self, shell_id: &str) -> Result<(), Error> {
        let body = DeleteShell::new(shell_id).write(&self.header, &message_id());
        match self.ask("Delete", "remove the shell", body, |_| Ok(())).await {
            Err(error) if error.as_fault().is_some_and(is_gone) => Ok(()),
            result => result,
        }
    }

    pub(crate) async fn command(&self, request: &CommandRequest) -> Result<String, Error> {
        let operation = Operation {
            action: "Command",
            purpose: "start the command",
            // Command lines hold what people put there.
            secret: true,
        };
        let body = written(request.write(&self.header, &message_id()))?;
        let started = self.perform(operation, body, Credential::Needed, CommandResponse::read).await?;
        Ok(started.command_id)
    }

    /// `None` when there was nothing within the operation timeout.
    pub(crate) async fn receive(&self, shell_id: &str, id: &str) -> Result<Option<ReceiveResponse>, Error> {
        let request = ReceiveRequest {
            shell_id: shell_id.to_owned(),
            command_id: Some(id.to_owned()),
            streams: vec!["stdout".to_owned(), "stderr".to_owned()],
            keep_alive: true,
        };
        let body = request.write(&self.header, &message_id());
        match self.ask("Receive", "give the command's output", body, ReceiveResponse::read).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.as_fault().is_some_and(is_timeout) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `false` when the command takes no more input.
    pub(crate) async fn send(&self, shell_id: &str, id: &str, data: Bytes, end: bool) -> Result<bool, Error> {
        let request = send_request(shell_id, id, data, end);
        let operation = Operation {
            action: "Send",
            purpose: "take the command's input",
            secret: true,
        };
        let body = written(request.write(&self.header, &message_id()))?;
        match self.perform(operation, body, Credential::Needed, |_| Ok(())).await {
            Ok(()) => Ok(true),
            Err(error) if error.as_fault().is_some_and(is_pipe_closed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Signals a command; that it has ended meanwhile is no error.
    pub(crate) async fn signal(&self, shell_id: &str, id: &str, signal: Signal) -> Result<(), Error> {
        let request = SignalRequest {
            shell_id: shell_id.to_owned(),
            command_id: Some(id.to_owned()),
            signal: signal.into(),
        };
        let body = request.write(&self.header, &message_id());
        match self.ask("Signal", "signal the command", body, |_| Ok(())).await {
            Err(error) if error.as_fault().is_some_and(is_gone) => Ok(()),
            result => result,
        }
    }

    /// How many bytes of input fit into one request.
    pub(crate) fn input_room(&self, shell_id: &str, id: &str) -> Result<usize, Error> {
        let envelope = self.input_envelope.get().copied().unwrap_or(SMALL_ENVELOPE);
        let request = send_request(shell_id, id, Bytes::new(), true);
        request.capacity(&self.header, &message_id(), envelope).map_err(unwritable)
    }

    /// Asks the host, once, how large requests may be. Those who may not ask go on with what every host takes.
    pub(crate) async fn learn_envelope_size(&self) {
        let learn = async {
            let size = match self.config().await {
                Ok(config) => config.max_envelope_size_kb.map(|size| size as usize * 1024),
                Err(error) => {
                    tracing::debug!(%error, "the host does not tell its largest envelope");
                    None
                }
            };
            size.unwrap_or(SMALL_ENVELOPE).clamp(8_192, LARGEST_REQUEST)
        };
        self.input_envelope.get_or_init(|| learn).await;
    }

    // Requests and answers.

    async fn ask<T>(
        &self,
        action: &'static str,
        purpose: &'static str,
        body: Result<Vec<u8>, WriteError>,
        read: impl Fn(&Envelope<'_>) -> Result<T, ReadError>,
    ) -> Result<T, Error> {
        let operation = Operation {
            action,
            purpose,
            secret: false,
        };
        self.perform(operation, written(body)?, Credential::Needed, read).await
    }

    /// Sends a request until the host isn't busy any more, and reads the answer.
    async fn perform<T>(
        &self,
        operation: Operation,
        body: Bytes,
        credential: Credential,
        read: impl Fn(&Envelope<'_>) -> Result<T, ReadError>,
    ) -> Result<T, Error> {
        let mut pause = BUSY_PAUSE;
        let mut left = BUSY_RETRIES;
        loop {
            if !operation.secret {
                tracing::trace!(action = operation.action, body = %String::from_utf8_lossy(&body), "request");
            }
            let answer = self.exchange(operation, &body, credential).await?;
            let result = self.read(operation, &answer, &read);
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

    fn read<T>(&self, operation: Operation, answer: &[u8], read: impl Fn(&Envelope<'_>) -> Result<T, ReadError>) -> Result<T, Error> {
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

    /// One request, over any connection, and the SOAP that answers it.
    async fn exchange(&self, operation: Operation, body: &Bytes, credential: Credential) -> Result<Vec<u8>, Error> {
        if credential == Credential::Needed && matches!(self.authentication, Authentication::None) {
            return Err(Error::new(ErrorKind::Configuration, "no credentials were given").with_hint("give a user and a password"));
        }
        loop {
            let kept = self.pool.take();
            let reused = kept.is_some();
            let mut channel = match kept {
                Some(channel) => channel,
                None => self.open().await?,
            };
            let request = self.request(&channel, body.clone(), credential);
            match channel.connection.post(request, self.bounds).await {
                Ok(answer) => {
                    tracing::debug!(
                        connection = channel.number(),
                        action = operation.action,
                        status = answer.status.as_u16(),
                        sent = body.len(),
                        received = answer.body.len(),
                        "answer"
                    );
                    return self.accept(answer, channel);
                }
                // The host closed it just now. Each turn uses up a kept connection, a fresh one ends it.
                Err(Unanswered::NotSent(_)) if reused => {}
                Err(failure) => return Err(self.unanswered(operation, failure)),
            }
        }
    }

    fn request(&self, channel: &Channel, body: Bytes, credential: Credential) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        match (credential, &channel.security) {
            (Credential::Withheld, _) => {
                let unauthenticated = HeaderValue::from_static("unauthenticated");
                request.headers_mut().insert("wsmanidentify", unauthenticated);
            }
            (Credential::Needed, Security::Header(value)) => {
                request.headers_mut().insert(header::AUTHORIZATION, value.clone());
            }
            (Credential::Needed, Security::None) => {}
        }
        request
    }

    fn accept(&self, answer: RawAnswer, channel: Channel) -> Result<Vec<u8>, Error> {
        let refused = answer.status == http::StatusCode::UNAUTHORIZED;
        let offered = if refused { answer::offered(&answer.headers) } else { Vec::new() };
        let soap = answer::soap_of(answer, &self.url);
        if refused {
            return soap.map_err(|error| error.with_hint(self.authentication.hint(&offered)));
        }
        self.pool.put(channel);
        soap
    }

    fn unanswered(&self, operation: Operation, failure: Unanswered) -> Error {
        let url = &self.url;
        match failure {
            Unanswered::NotSent(error) => Error::new(
                ErrorKind::Closed,
                format!("{url} closed the connection before a request could be sent"),
            )
            .with_source(error),
            Unanswered::Lost(error) if error.is_parse() => {
                let message = format!("{url} answered with something that is not HTTP");
                Error::new(ErrorKind::NotWinRm, message)
                    .with_hint("another service listens there, or the port is for https")
                    .with_source(error)
                    .at_least(MayHaveRun::Unknown)
            }
            Unanswered::Lost(error) => Error::new(
                ErrorKind::Closed,
                format!("{url} closed the connection before its answer was complete ({})", operation.action),
            )
            .with_hint("the host may have been restarted, or something between here and there cuts connections")
            .with_source(error)
            .at_least(MayHaveRun::Unknown),
            Unanswered::Silent => Error::new(
                ErrorKind::Timeout,
                format!("{url} has been silent for {:?} ({})", self.bounds.read_timeout, operation.action),
            )
            .with_hint("the host hangs, or something between here and there drops what it sends")
            .at_least(MayHaveRun::Unknown),
            Unanswered::TooLarge(limit) => Error::new(ErrorKind::Protocol, format!("{url} answered with more than {limit} bytes"))
                .with_hint("it does not keep to the largest envelope that was asked for")
                .at_least(MayHaveRun::Unknown),
        }
    }

    /// Makes a connection and authenticates it.
    async fn open(&self) -> Result<Channel, Error> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let connection = self.dialer.dial(number).await?;
        let security = match &self.authentication {
            Authentication::Header(value) => Security::Header(value.clone()),
            Authentication::None => Security::None,
        };
        Ok(Channel { connection, security })
    }
}

impl Authentication {
    fn new(settings: &Settings) -> Result<Self, Error> {
        let Some(credentials) = &settings.credentials else {
            return Ok(Self::None);
        };
        match settings.transport {
            Transport::Basic => Self::basic(credentials),
            other => Err(Error::new(
                ErrorKind::Configuration,
                format!("the transport {other} is not available yet"),
            )),
        }
    }

    fn basic(credentials: &Credentials) -> Result<Self, Error> {
        let unusable = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(
                ErrorKind::Configuration,
                "these credentials can't be sent with Basic authentication",
            )
            .with_source(error)
        };
        let value = basic::write_authorization(credentials).map_err(|error| unusable(error.into()))?;
        let mut value = HeaderValue::try_from(value.expose()).map_err(|error| unusable(error.into()))?;
        value.set_sensitive(true);
        Ok(Self::Header(value))
    }

    /// Why a host may have refused.
    fn hint(&self, offered: &[String]) -> &'static str {
        let offers = |name: &str| offered.iter().any(|offer| offer.eq_ignore_ascii_case(name));
        match self {
            Self::None => "this host tells nothing without credentials",
            Self::Header(_) if !offered.is_empty() && !offers("Basic") => {
                "the host does not take Basic: use another transport, or switch it on (WSMan:\\localhost\\Service\\Auth\\Basic)"
            }
            Self::Header(_) => "check user and password; Basic is for local accounts only, and not for disabled or locked ones",
        }
    }
}

/// What a request is for, for people and logs.
#[derive(Clone, Copy)]
struct Operation {
    action: &'static str,
    /// "The host did not …".
    purpose: &'static str,
    /// Whether the body stays out of logs.
    secret: bool,
}

fn send_request(shell_id: &str, id: &str, data: Bytes, end: bool) -> SendRequest {
    SendRequest {
        shell_id: shell_id.to_owned(),
        streams: vec![StreamData {
            name: "stdin".to_owned(),
            command_id: Some(id.to_owned()),
            data,
            end,
        }],
    }
}

fn written(body: Result<Vec<u8>, WriteError>) -> Result<Bytes, Error> {
    body.map(Bytes::from).map_err(unwritable)
}

fn unwritable(error: WriteError) -> Error {
    Error::new(ErrorKind::Configuration, "a request can't be written").with_source(error)
}

fn refused(operation: Operation, fault: Fault) -> Error {
    let number = fault.number();
    let kind = if number == Some(code::ACCESS_DENIED) {
        ErrorKind::Forbidden
    } else {
        ErrorKind::Fault
    };
    let error = Error::new(kind, format!("the host did not {}", operation.purpose));
    let error = match number.and_then(fault::explain) {
        Some(hint) => error.with_hint(hint),
        None => error,
    };
    error.with_source(fault)
}

/// The shell or command isn't there any more.
fn is_gone(fault: &Fault) -> bool {
    fault.has_number(code::INVALID_SELECTORS) || fault.has_number(code::KEY_DELETED)
}

/// The shell takes no more commands; another one may.
pub(crate) fn is_shell_lost(fault: &Fault) -> bool {
    is_gone(fault) || fault.has_number(code::TOO_MANY_OPERATIONS)
}

fn is_timeout(fault: &Fault) -> bool {
    fault.has_number(code::OPERATION_TIMEOUT) || fault.number().is_none() && fault.subcode.as_deref() == Some("TimedOut")
}

/// Nobody reads the command's input any more: it has closed it, or ended. Win32's errors for a pipe without a reader, a
/// closed handle and an aborted operation, plain and as HRESULT.
fn is_pipe_closed(fault: &Fault) -> bool {
    const WIN32: [u32; 4] = [6, 109, 232, code::OPERATION_ABORTED];
    is_gone(fault)
        || WIN32
            .iter()
            .any(|number| fault.has_number(*number) || fault.has_number(0x8007_0000 | number))
}
