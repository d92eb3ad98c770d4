//! One connection: HTTP/1.1 within bounds of size and time.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use winrm_auth::ChannelBinding;

use crate::client_certificate::Shown;
use crate::listener::{ListenerId, said};
use crate::quotas::Quotas;
use crate::server::Service;
use crate::session::Session;

/// What is known of a connection before its first request.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) peer: SocketAddr,
    /// Of our certificate; `None` without TLS.
    pub(crate) binding: Option<ChannelBinding>,
    /// The certificate that the client has shown; none where it wasn't asked for one.
    pub(crate) certificate: Option<Shown>,
    /// The listener that took the connection.
    pub(crate) listener: ListenerId,
    /// The URL's path, with a slash in front and none behind.
    pub(crate) path: Arc<str>,
}

/// Answers the requests of one connection until it ends, or until the answer that is under way when `stop` says true.
pub(crate) async fn run<S>(stream: S, link: Link, service: Arc<Service>, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = link.peer;
    let configuration = service.configuration.current();
    let quotas = &configuration.quotas;
    let busy = Arc::new(AtomicBool::new(false));
    let stream = Paced::new(stream, quotas, busy.clone());
    let mut http = http1::Builder::new();
    // Paced keeps the time: hyper's own timer would also run while a kept connection rests.
    http.header_read_timeout(None)
        .max_header_size(quotas.max_header_size)
        .max_headers(quotas.max_headers);
    let session = Arc::new(Session::new(service, link));
    let answer = service_fn(move |request| {
        let (session, busy) = (session.clone(), busy.clone());
        async move {
            busy.store(true, Ordering::Relaxed);
            let answer = session.answer(request).await;
            busy.store(false, Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), answer));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = said(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection broke");
    }
}

/// A stream that fails when its peer keeps it waiting: between requests, within a request's head, and when it takes nothing of an
/// answer. Bodies have their own deadline, where they are read.
struct Paced<S> {
    stream: S,
    /// Whether a request is being read or worked on.
    busy: Arc<AtomicBool>,
    /// Whether bytes have come since the last answer.
    begun: bool,
    reading: Timer,
    writing: Timer,
    rest: Duration,
    head: Duration,
    stall: Duration,
}

impl<S> Paced<S> {
    fn new(stream: S, quotas: &Quotas, busy: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            busy,
            begun: false,
            reading: Timer::default(),
            writing: Timer::default(),
            rest: quotas.keep_alive_timeout,
            head: quotas.header_timeout,
            stall: quotas.write_timeout,
        }
    }

    fn written(&mut self, cx: &mut Context<'_>, written: &Poll<io::Result<usize>>) -> Poll<io::Result<()>> {
        if written.is_ready() {
            self.writing.stop();
            // The rest begins anew with all that is written of an answer. It is timed from here, because hyper doesn't look for
            // the next request again when it knows already that there is none.
            self.begun = false;
            self.reading.stop();
            let _ = self.reading.poll(self.rest, cx);
            return Poll::Ready(Ok(()));
        }
        ready!(self.writing.poll(self.stall, cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            if buffer.filled().len() > before && !this.begun {
                this.begun = true;
                this.reading.stop();
            }
            return Poll::Ready(read);
        }
        if this.busy.load(Ordering::Relaxed) {
            this.reading.stop();
            return Poll::Pending;
        }
        let time = if this.begun { this.head } else { this.rest };
        ready!(this.reading.poll(time, cx));
        let reason = if this.begun {
            "the request's head takes too long"
        } else {
            "no request"
        };
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        ready!(self.written(cx, &written))?;
        written
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        ready!(self.written(cx, &written))?;
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A timer that is started by being asked, and made only when it is needed.
#[derive(Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl Timer {
    fn poll(&mut self, time: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        if !self.running {
            self.running = true;
            sleep.as_mut().reset(Instant::now() + time);
        }
        sleep.as_mut().poll(cx)
    }

    fn stop(&mut self) {
        self.running = false;
    }
}
