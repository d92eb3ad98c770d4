//! Taking connections.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use openssl::ssl::{Ssl, SslAcceptor};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_openssl::SslStream;
use winrm_auth::ChannelBinding;

use crate::client_certificate::{ClientAuthorities, Shown};
use crate::connection::{self, Link};
use crate::server::{ServeError, Service};
use crate::tls::Identity;

/// One open listener.
pub(crate) struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    url: String,
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls {
    acceptor: SslAcceptor,
    binding: ChannelBinding,
    /// Whether clients are asked for certificates.
    asks: bool,
}

/// What a client gets that is one too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

impl Listener {
    pub(crate) fn http(tcp: TcpListener, path: &str) -> Result<Self, ServeError> {
        Self::new(tcp, "http", path, None)
    }

    pub(crate) fn https(
        tcp: TcpListener,
        path: &str,
        identity: &Identity,
        clients: Option<&ClientAuthorities>,
    ) -> Result<Self, ServeError> {
        let tls = Tls {
            acceptor: identity.acceptor(clients)?,
            binding: ChannelBinding::from_certificate_der(&identity.certificate_der()?)?,
            asks: clients.is_some(),
        };
        Self::new(tcp, "https", path, Some(tls))
    }

    fn new(tcp: TcpListener, scheme: &str, path: &str, tls: Option<Tls>) -> Result<Self, ServeError> {
        let address = tcp.local_addr().map_err(ServeError::Listener)?;
        Ok(Self {
            url: format!("{scheme}://{address}{path}"),
            tcp,
            address,
            tls,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Takes connections until `stop` says true, then waits for those that are open.
    pub(crate) async fn run(self, service: Arc<Service>, places: Arc<Semaphore>, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                () = said(&mut stop) => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(listener = %self.address, %error, "accept failed");
                    // Out of file descriptors, most likely: the connection waits in the queue meanwhile.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                tracing::info!(%peer, "refused: as many connections as allowed");
                if self.tls.is_none() {
                    // The socket's buffer is empty: this either fits or the client is gone.
                    let _ = stream.try_write(FULL);
                }
                continue;
            };
            let (service, tls, stop) = (service.clone(), self.tls.clone(), stop.clone());
            connections.spawn(async move {
                run_connection(stream, peer, tls, service, stop).await;
                drop(place);
            });
        }
        drop(self.tcp);
        while connections.join_next().await.is_some() {}
    }
}

/// Waits until `stop` says true, or nobody can say it any more.
pub(crate) async fn said(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn run_connection(stream: TcpStream, peer: SocketAddr, tls: Option<Tls>, service: Arc<Service>, stop: watch::Receiver<bool>) {
    tracing::debug!(%peer, tls = tls.is_some(), "connection opened");
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "no TCP_NODELAY");
    }
    let mut link = Link {
        peer,
        binding: tls.as_ref().map(|tls| tls.binding.clone()),
        certificate: None,
    };
    match tls {
        None => connection::run(stream, link, service, stop).await,
        Some(tls) => match handshake(&tls, stream, service.settings.quotas.handshake_timeout).await {
            Ok(stream) => {
                if tls.asks {
                    link.certificate = Shown::of(stream.ssl());
                }
                connection::run(stream, link, service, stop).await;
            }
            // Who wants to know why a certificate isn't taken finds here what is wrong with it, or with the version, in itself.
            Err(Unsecured { reason, said: true }) if tls.asks => tracing::info!(%peer, reason, "TLS handshake failed"),
            Err(Unsecured { reason, .. }) => tracing::debug!(%peer, reason, "TLS handshake failed"),
        },
    }
    tracing::debug!(%peer, "connection closed");
}

/// A handshake that came to nothing.
struct Unsecured {
    reason: String,
    /// Whether TLS itself says why, and not just a client that went away.
    said: bool,
}

async fn handshake(tls: &Tls, stream: TcpStream, timeout: Duration) -> Result<SslStream<TcpStream>, Unsecured> {
    let failed = |said: bool, reason: &dyn std::fmt::Display| Unsecured {
        reason: reason.to_string(),
        said,
    };
    let ssl = Ssl::new(tls.acceptor.context()).map_err(|error| failed(true, &error))?;
    let mut stream = SslStream::new(ssl, stream).map_err(|error| failed(true, &error))?;
    match tokio::time::timeout(timeout, Pin::new(&mut stream).accept()).await {
        Ok(Ok(())) => Ok(stream),
        Ok(Err(error)) => Err(failed(error.ssl_error().is_some(), &error)),
        Err(_) => Err(failed(false, &"it took too long")),
    }
}
