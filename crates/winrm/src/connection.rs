//! One HTTP/1.1 connection, used for one request after the other.
//!
//! hyper's half that does the work is polled by whoever waits for an answer, so that a request costs no task and no
//! thread's wake-up, and dropping a request in the middle closes its connection.

use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_openssl::SslStream;

use crate::error::{Error, ErrorKind};
use crate::tls::{Agreed, Secured, Watched};

/// What HTTP is spoken on.
pub(crate) enum Made {
    Plain(TcpStream),
    Secured(Secured),
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<SslStream<Watched>>),
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
    /// What TLS was agreed on.
    pub(crate) agreed: Option<Agreed>,
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
    /// HTTP on a connection that was made, with or without TLS.
    pub(crate) async fn begin(made: Made, probe: socket2::Socket, number: u64) -> Result<Self, Error> {
        let (stream, certificate, agreed) = match made {
            Made::Plain(tcp) => (Stream::Plain(tcp), None, None),
            Made::Secured(secured) => (
                Stream::Tls(Box::new(secured.stream)),
                Some(secured.certificate),
                Some(secured.agreed),
            ),
        };
        let handshake = http1::Builder::new().handshake(TokioIo::new(stream)).await;
        let (sender, driver) =
            handshake.map_err(|error| Error::new(ErrorKind::Connect, "the connection broke at once").with_source(error))?;
        Ok(Self {
            sender,
            driver: Box::pin(driver),
            driver_ended: false,
            probe,
            certificate,
            agreed,
            number,
        })
    }

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
        let body = match self.read(body, &head.headers, bounds, silence).await {
            // Who refuses a request may not read it to its end, and the connection breaks. What was refused is known all the same.
            Err(Unanswered::Lost(_)) if head.status.is_client_error() || head.status == StatusCode::INTERNAL_SERVER_ERROR => Vec::new(),
            body => body?,
        };
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
