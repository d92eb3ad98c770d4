//! Taking connections.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use openssl::ssl::{Ssl, SslAcceptor};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_openssl::SslStream;
use winrm_auth::ChannelBinding;

use crate::client_certificate::{ClientAuthorities, Shown};
use crate::configuration::Configuration;
use crate::connection::{self, Link};
use crate::server::{ServeError, Service};
use crate::tls::Identity;

/// One open listener.
pub(crate) struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    url: String,
    id: ListenerId,
    serving: Arc<RwLock<Serving>>,
}

/// Which of a service's listeners: as long as the service runs, no other gets this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ListenerId(pub(crate) u32);

/// How the connections of a listener are taken; a change is in effect for the next one.
#[derive(Clone)]
pub(crate) struct Serving {
    /// The URL's path, with a slash in front and none behind.
    pub(crate) path: Arc<str>,
    /// `None` for http.
    pub(crate) tls: Option<Tls>,
}

#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: SslAcceptor,
    binding: ChannelBinding,
    /// Whether clients are asked for certificates.
    asks: bool,
}

/// What a client gets that is one too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

impl Tls {
    pub(crate) fn new(identity: &Identity, clients: Option<&ClientAuthorities>) -> Result<Self, ServeError> {
        Ok(Self {
            acceptor: identity.acceptor(clients)?,
            binding: ChannelBinding::from_certificate_der(&identity.certificate_der()?)?,
            asks: clients.is_some(),
        })
    }
}

impl Listener {
    pub(crate) fn new(tcp: TcpListener, id: ListenerId, serving: Arc<RwLock<Serving>>) -> std::io::Result<Self> {
        let address = tcp.local_addr()?;
        let url = {
            let serving = serving.read().unwrap_or_else(PoisonError::into_inner);
            let scheme = if serving.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{address}{}", serving.path)
        };
        Ok(Self {
            tcp,
            address,
            url,
            id,
            serving,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Takes connections until `stop` says true, then waits for those that are open.
    pub(crate) async fn run(self, service: Arc<Service>, mut stop: watch::Receiver<bool>) {
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
            let configuration = service.configuration.current();
            if !filtered(&stream, &configuration) {
                tracing::info!(%peer, "refused: the address it came to is not among those of IPv4Filter or IPv6Filter");
                continue;
            }
            let serving = self.serving.read().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(place) = service.places.enter(configuration.quotas.max_connections) else {
                tracing::info!(%peer, "refused: as many connections as allowed");
                if serving.tls.is_none() {
                    // The socket's buffer is empty: this either fits or the client is gone.
                    let _ = stream.try_write(FULL);
                }
                continue;
            };
            let (service, listener, stop) = (service.clone(), self.id, stop.clone());
            connections.spawn(async move {
                run_connection(stream, peer, listener, serving, service, stop).await;
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

/// Whether the address that a connection came to is one that the service may listen on.
fn filtered(stream: &TcpStream, configuration: &Configuration) -> bool {
    let Ok(address) = stream.local_addr().map(|address| address.ip().to_canonical()) else {
        return false;
    };
    let filter = if address.is_ipv4() {
        &configuration.ipv4_filter
    } else {
        &configuration.ipv6_filter
    };
    filter.allows(address)
}

async fn run_connection(
    stream: TcpStream,
    peer: SocketAddr,
    listener: ListenerId,
    serving: Serving,
    service: Arc<Service>,
    stop: watch::Receiver<bool>,
) {
    let Serving { path, tls } = serving;
    tracing::debug!(%peer, tls = tls.is_some(), "connection opened");
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "no TCP_NODELAY");
    }
    let mut link = Link {
        peer,
        binding: tls.as_ref().map(|tls| tls.binding.clone()),
        certificate: None,
        listener,
        path,
    };
    match tls {
        None => connection::run(stream, link, service, stop).await,
        Some(tls) => match handshake(&tls, stream, service.configuration.current().quotas.handshake_timeout).await {
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
