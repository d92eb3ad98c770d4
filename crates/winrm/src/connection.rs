//! One HTTP/1.1 connection: made, and used for one request after the other.
//!
//! hyper's half that does the work is polled by whoever waits for an answer, so that a request costs no task and no
//! thread's wake-up, and dropping a request in the middle closes its connection.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout_at};
use tokio_openssl::SslStream;

use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind};
use crate::tls::Tls;

/// Makes connections to one host.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) endpoint: Endpoint,
    pub(crate) tls: Option<Tls>,
    pub(crate) server_name: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) retries: u32,
}

/// How long an address may be silent before the next one is tried beside it (RFC 8305, 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// The pause before a connection is tried again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

impl Dialer {
    /// Makes a connection, with TLS where the endpoint asks for it.
    pub(crate) async fn dial(&self, number: u64) -> Result<Connection, Error> {
        let deadline = Instant::now() + self.connect_timeout;
        let (host, port, limit) = (self.endpoint.host(), self.endpoint.port(), self.connect_timeout);
        let (tcp, address) = timeout_at(deadline, self.tcp()).await.unwrap_or_else(|_| {
            let message = format!("no connection to {host} port {port} within {limit:?}");
            Err(Error::new(ErrorKind::Connect, message).with_hint("the host is down, or a firewall drops what is sent to this port"))
        })?;
        timeout_at(deadline, self.secure(tcp, address, number)).await.unwrap_or_else(|_| {
            let message = format!("{host} port {port} took the connection and did not finish TLS within {limit:?}");
            Err(Error::new(ErrorKind::Connect, message)
                .with_hint("the host hangs, or what listens there waits for something else than TLS"))
        })
    }

    async fn secure(&self, tcp: TcpStream, address: SocketAddr, number: u64) -> Result<Connection, Error> {
        // Requests go out in one piece and wait for an answer: nothing is gained by waiting for more.
        let _ = tcp.set_nodelay(true);
        let probe = SockRef::from(&tcp).try_clone().map_err(|error| self.unreachable(error))?;
        let (stream, certificate) = match &self.tls {
            None => (Stream::Plain(tcp), None),
            Some(tls) => {
                let name = self.server_name.as_deref().unwrap_or_else(|| self.endpoint.host());
                let secured = tls.handshake(tcp, name).await?;
                (Stream::Tls(Box::new(secured.stream)), Some(secured.certificate))
            }
        };
        let handshake = http1::Builder::new().handshake(TokioIo::new(stream)).await;
        let (sender, driver) =
            handshake.map_err(|error| Error::new(ErrorKind::Connect, "the connection broke at once").with_source(error))?;
        tracing::info!(connection = number, %address, tls = certificate.is_some(), "connected");
        Ok(Connection {
            sender,
            driver: Box::pin(driver),
            driver_ended: false,
            probe,
            certificate,
            number,
        })
    }

    async fn tcp(&self) -> Result<(TcpStream, SocketAddr), Error> {
        let mut pause = FIRST_PAUSE;
        let mut left = self.retries;
        loop {
            let name = self.endpoint.resolver_name();
            let addresses = tokio::net::lookup_host((name.as_str(), self.endpoint.port()))
                .await
                .map_err(|error| {
                    Error::new(ErrorKind::Resolve, format!("the name {name} has no address"))
                        .with_hint("is the name written correctly, and does this machine's resolver know it?")
                        .with_source(error)
                })?;
            let error = match race(alternating(addresses.collect())).await {
                Ok(connected) => return Ok(connected),
                Err(error) => error,
            };
            let transient = matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
            );
            if left == 0 || !transient {
                return Err(self.unreachable(error));
            }
            left -= 1;
            tracing::debug!(%error, ?pause, "connection refused, trying again");
            sleep(pause).await;
            pause *= 2;
        }
    }

    fn unreachable(&self, error: io::Error) -> Error {
        let (host, port) = (self.endpoint.host(), self.endpoint.port());
        let (message, hint) = match error.kind() {
            io::ErrorKind::ConnectionRefused => (
                format!("{host} refuses connections to port {port}"),
                "is WinRM switched on there (winrm quickconfig), and is this its port (5985 http, 5986 https)?",
            ),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => (
                format!("there is no way to {host} port {port}"),
                "is this machine in the right network or VPN?",
            ),
            io::ErrorKind::TimedOut => (
                format!("{host} does not answer at port {port}"),
                "the host is down, or a firewall drops what is sent to this port",
            ),
            _ => (
                format!("no connection to {host} port {port}"),
                "is the address right, and the host up?",
            ),
        };
        Error::new(ErrorKind::Connect, message).with_hint(hint).with_source(error)
    }
}

/// Addresses of both families in turn, so that a broken family costs one pause only (RFC 8305, 4).
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut merged = Vec::new();
    loop {
        let before = merged.len();
        merged.extend(first.next());
        merged.extend(second.next());
        if merged.len() == before {
            return merged;
        }
    }
}

/// The first connection to be made; of several failures, the last.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<(TcpStream, SocketAddr)> {
    let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address");
    if let [address] = addresses[..] {
        return Ok((TcpStream::connect(address).await?, address));
    }
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.into_iter();
    let mut error = none();
    loop {
        match waiting.next() {
            Some(address) => {
                attempts.spawn(async move { TcpStream::connect(address).await.map(|stream| (stream, address)) });
            }
            None if attempts.is_empty() => return Err(error),
            None => {}
        }
        let next = async {
            if waiting.len() == 0 {
                std::future::pending::<()>().await;
            }
            sleep(NEXT_ADDRESS).await;
        };
        tokio::select! {
            Some(attempt) = attempts.join_next() => match attempt {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(failure)) => error = failure,
                Err(panic) => error = io::Error::other(panic),
            },
            () = next => {}
        }
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, buffers: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// One connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Pin<Box<http1::Connection<TokioIo<Stream>, Full<Bytes>>>>,
    driver_ended: bool,
    /// A second handle of the socket, to look at it without reading.
    probe: socket2::Socket,
    /// The server's certificate, DER.
    pub(crate) certificate: Option<Vec<u8>>,
    /// Counted by the client, for logs.
    pub(crate) number: u64,
}

/// An answer as HTTP has it.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// Nothing was sent: it can go over another connection.
    NotSent(hyper::Error),
    /// The connection broke afterwards.
    Lost(hyper::Error),
    /// The host was silent.
    Silent,
    /// The answer is longer than this many bytes.
    TooLarge(usize),
}

/// How long a request waits, and what it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long the host may be silent.
    pub(crate) read_timeout: Duration,
    /// The longest body, in bytes.
    pub(crate) body: usize,
}

impl Connection {
    /// Whether the connection can take a request, as far as can be seen without sending one.
    pub(crate) fn is_usable(&mut self) -> bool {
        if self.driver_ended || self.sender.is_closed() {
            return false;
        }
        // On an idle connection nothing may arrive but its end. The runtime's own view can be late, hence the system call.
        let mut byte = [MaybeUninit::uninit(); 1];
        matches!(self.probe.peek(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn poll_driver(&mut self, context: &mut Context<'_>) {
        if !self.driver_ended && self.driver.as_mut().poll(context).is_ready() {
            // Errors reach those who wait for an answer.
            self.driver_ended = true;
        }
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn post(&mut self, request: Request<Full<Bytes>>, bounds: Bounds) -> Result<RawAnswer, Unanswered> {
        let mut silence = pin!(sleep(bounds.read_timeout));
        let ready = std::future::poll_fn(|context| {
            self.poll_driver(context);
            self.sender.poll_ready(context)
        });
        ready.await.map_err(Unanswered::NotSent)?;
        let response = self.sender.try_send_request(request);
        let mut response = pin!(response);
        let response = std::future::poll_fn(|context| {
            if let Poll::Ready(response) = response.as_mut().poll(context) {
                return Poll::Ready(Ok(response));
            }
            self.poll_driver(context);
            match response.as_mut().poll(context) {
                Poll::Ready(response) => Poll::Ready(Ok(response)),
                Poll::Pending => silence.as_mut().poll(context).map(|()| Err(Unanswered::Silent)),
            }
        });
        let response: Response<Incoming> = response.await?.map_err(|mut failed| match failed.take_message() {
            Some(_) => Unanswered::NotSent(failed.into_error()),
            None => Unanswered::Lost(failed.into_error()),
        })?;
        let (head, body) = response.into_parts();
        let body = self.read(body, &head.headers, bounds, silence).await?;
        Ok(RawAnswer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    async fn read(
        &mut self,
        mut incoming: Incoming,
        headers: &HeaderMap,
        bounds: Bounds,
        mut silence: Pin<&mut Sleep>,
    ) -> Result<Vec<u8>, Unanswered> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > bounds.body) {
            return Err(Unanswered::TooLarge(bounds.body));
        }
        let mut body = Vec::with_capacity(announced.unwrap_or(4_096));
        loop {
            let frame = std::future::poll_fn(|context| {
                if let Poll::Ready(frame) = Pin::new(&mut incoming).poll_frame(context) {
                    return Poll::Ready(Ok(frame));
                }
                self.poll_driver(context);
                match Pin::new(&mut incoming).poll_frame(context) {
                    Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                    Poll::Pending => silence.as_mut().poll(context).map(|()| Err(Unanswered::Silent)),
                }
            });
            let Some(frame) = frame.await? else {
                return Ok(body);
            };
            let frame = frame.map_err(Unanswered::Lost)?;
            if let Ok(data) = frame.into_data() {
                if body.len() + data.len() > bounds.body {
                    return Err(Unanswered::TooLarge(bounds.body));
                }
                body.extend_from_slice(&data);
                silence.as_mut().reset(Instant::now() + bounds.read_timeout);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let addresses = |text: &str| text.split(' ').map(|a| a.parse().unwrap()).collect::<Vec<SocketAddr>>();
        assert_eq!(
            alternating(addresses("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1 2.2.2.2:1")),
            addresses("[::1]:1 1.1.1.1:1 [::2]:1 2.2.2.2:1 [::3]:1")
        );
        assert_eq!(alternating(Vec::new()), []);
    }

    #[tokio::test]
    async fn a_refused_address_does_not_keep_from_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        assert_eq!(race(vec![closed, open]).await.unwrap().1, open);
        assert_eq!(
            race(vec![closed, closed]).await.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }
}
