//! The service's listeners, and how many connections they may hold together.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::client_certificate::ClientAuthorities;
use crate::listener::{Listener, ListenerId, Serving, Tls};
use crate::server::ServeError;
use crate::tls::Identity;

/// The listeners as they are configured, open or not.
pub(crate) struct Listeners {
    configured: Mutex<Vec<Configured>>,
    /// Held while one is made or changed: opening takes its time, and meanwhile nobody else may decide by what there was before.
    changing: tokio::sync::Mutex<()>,
    /// To whoever runs them.
    opened: mpsc::UnboundedSender<Opened>,
    last: AtomicU32,
    /// The certificates that a listener may be given, the first for those that ask for none.
    identities: Vec<Identity>,
    clients: Option<ClientAuthorities>,
}

/// What a listener is told to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenerSettings {
    pub(crate) address: ListenAddress,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) hostname: String,
    pub(crate) enabled: bool,
    /// The URL's path without the slashes around it.
    pub(crate) url_prefix: String,
    /// The thumbprint of the certificate; empty for http.
    pub(crate) certificate_thumbprint: String,
}

/// Where a listener listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListenAddress {
    /// On all addresses.
    Any,
    /// On this one.
    Ip(std::net::IpAddr),
}

impl ListenAddress {
    /// Whether only this machine can reach it.
    pub(crate) fn is_loopback(self) -> bool {
        matches!(self, Self::Ip(address) if address.to_canonical().is_loopback())
    }

    /// That of a socket.
    pub(crate) fn of(address: std::net::IpAddr) -> Self {
        if address.is_unspecified() { Self::Any } else { Self::Ip(address) }
    }
}

/// A listener and what is behind it.
#[derive(Clone)]
pub(crate) struct Configured {
    pub(crate) id: ListenerId,
    pub(crate) settings: ListenerSettings,
    /// Where it listens; nowhere as long as it isn't enabled.
    pub(crate) listening_on: Option<SocketAddr>,
    /// Empty where it isn't open.
    pub(crate) url: String,
    serving: Arc<RwLock<Serving>>,
    stop: watch::Sender<bool>,
}

/// A listener that is to be run.
pub(crate) struct Opened {
    pub(crate) listener: Listener,
    pub(crate) stop: watch::Receiver<bool>,
}

/// Why a listener can't be as it is told to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenerError {
    #[error("there is no certificate with this thumbprint")]
    NoCertificate,
    #[error("the address can't be had")]
    Bind(#[from] std::io::Error),
    #[error("TLS can't be set up")]
    Tls(#[source] ServeError),
    #[error("the request came through this listener")]
    InUse,
    #[error("there is no such listener any more")]
    Gone,
}

impl ListenerError {
    /// What a service says that can't start because of it.
    pub(crate) fn into_serve_error(self) -> ServeError {
        match self {
            Self::Tls(error) => error,
            Self::Bind(error) => ServeError::Listener(error),
            other => ServeError::Listener(std::io::Error::other(other)),
        }
    }
}

impl Listeners {
    /// No listeners yet; what is opened later comes out of the receiver.
    pub(crate) fn new(identities: Vec<Identity>, clients: Option<ClientAuthorities>) -> (Self, mpsc::UnboundedReceiver<Opened>) {
        let (opened, receiver) = mpsc::unbounded_channel();
        let listeners = Self {
            configured: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            opened,
            last: AtomicU32::new(0),
            identities,
            clients,
        };
        (listeners, receiver)
    }

    /// Waits until nobody else makes or changes a listener.
    pub(crate) async fn changing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// All listeners, in the order in which they came.
    pub(crate) fn all(&self) -> Vec<Configured> {
        self.configured().clone()
    }

    /// The certificate of this thumbprint; the service's first for an empty one.
    pub(crate) fn identity(&self, thumbprint: &str) -> Option<&Identity> {
        if thumbprint.is_empty() {
            return self.identities.first();
        }
        self.identities
            .iter()
            .find(|identity| identity.thumbprint().eq_ignore_ascii_case(thumbprint))
    }

    /// The thumbprints of all certificates.
    pub(crate) fn thumbprints(&self) -> Vec<String> {
        self.identities.iter().map(Identity::thumbprint).collect()
    }

    /// Adds a listener that is open already.
    pub(crate) fn add(&self, tcp: TcpListener, settings: ListenerSettings) -> Result<(), ListenerError> {
        let serving = self.serving(&settings)?;
        let configured = self.open(tcp, settings, serving)?;
        self.configured().push(configured);
        Ok(())
    }

    /// Adds a listener and opens it.
    pub(crate) async fn create(&self, settings: ListenerSettings) -> Result<(), ListenerError> {
        let serving = self.serving(&settings)?;
        let configured = if settings.enabled {
            self.open(bind(&settings).await?, settings, serving)?
        } else {
            self.closed(settings, serving)
        };
        self.configured().push(configured);
        Ok(())
    }

    /// Changes a listener. Nothing that would end the connection of whoever asks is done: `asked_through` is his listener.
    pub(crate) async fn change(&self, id: ListenerId, settings: ListenerSettings, asked_through: ListenerId) -> Result<(), ListenerError> {
        let before = self.find(id)?;
        let serving = self.serving(&settings)?;
        let stays = before.settings.port == settings.port && before.settings.enabled == settings.enabled;
        if stays {
            let moves = before.settings.url_prefix != settings.url_prefix;
            if moves && id == asked_through {
                return Err(ListenerError::InUse);
            }
            *before.serving.write().unwrap_or_else(PoisonError::into_inner) = serving;
            return self.replace(id, |configured| configured.settings = settings);
        }
        if id == asked_through {
            return Err(ListenerError::InUse);
        }
        let changed = if settings.enabled {
            self.open(bind(&settings).await?, settings, serving)?
        } else {
            self.closed(settings, serving)
        };
        before.stop.send_replace(true);
        self.replace(id, |configured| *configured = changed)
    }

    /// Closes a listener and forgets it; its connections end with the answers that are under way.
    pub(crate) fn remove(&self, id: ListenerId, asked_through: ListenerId) -> Result<(), ListenerError> {
        if id == asked_through {
            return Err(ListenerError::InUse);
        }
        let mut configured = self.configured();
        let index = configured
            .iter()
            .position(|listener| listener.id == id)
            .ok_or(ListenerError::Gone)?;
        configured.remove(index).stop.send_replace(true);
        Ok(())
    }

    /// Closes all.
    pub(crate) fn stop(&self) {
        for listener in self.configured().iter() {
            listener.stop.send_replace(true);
        }
    }

    fn find(&self, id: ListenerId) -> Result<Configured, ListenerError> {
        let found = self.configured().iter().find(|listener| listener.id == id).cloned();
        found.ok_or(ListenerError::Gone)
    }

    fn replace(&self, id: ListenerId, change: impl FnOnce(&mut Configured)) -> Result<(), ListenerError> {
        let mut configured = self.configured();
        let listener = configured.iter_mut().find(|listener| listener.id == id);
        change(listener.ok_or(ListenerError::Gone)?);
        Ok(())
    }

    fn serving(&self, settings: &ListenerSettings) -> Result<Serving, ListenerError> {
        let tls = if settings.tls {
            let identity = self
                .identity(&settings.certificate_thumbprint)
                .ok_or(ListenerError::NoCertificate)?;
            Some(Tls::new(identity, self.clients.as_ref()).map_err(ListenerError::Tls)?)
        } else {
            None
        };
        Ok(Serving {
            path: format!("/{}", settings.url_prefix).into(),
            tls,
        })
    }

    fn open(&self, tcp: TcpListener, settings: ListenerSettings, serving: Serving) -> Result<Configured, ListenerError> {
        let mut configured = self.closed(settings, serving);
        let listener = Listener::new(tcp, configured.id, configured.serving.clone())?;
        configured.listening_on = Some(listener.address());
        configured.url = listener.url().to_owned();
        let stop = configured.stop.subscribe();
        // Nobody runs listeners any more once the service ends.
        let _ = self.opened.send(Opened { listener, stop });
        Ok(configured)
    }

    fn closed(&self, settings: ListenerSettings, serving: Serving) -> Configured {
        Configured {
            id: ListenerId(self.last.fetch_add(1, Ordering::Relaxed)),
            settings,
            listening_on: None,
            url: String::new(),
            serving: Arc::new(RwLock::new(serving)),
            stop: watch::Sender::new(false),
        }
    }

    fn configured(&self) -> MutexGuard<'_, Vec<Configured>> {
        self.configured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the socket of a listener.
async fn bind(settings: &ListenerSettings) -> std::io::Result<TcpListener> {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let listen = |address: IpAddr| TcpListener::bind((address, settings.port));
    match settings.address {
        ListenAddress::Ip(address) => listen(address).await,
        // Takes IPv4 as well, where the machine has both.
        ListenAddress::Any => match listen(Ipv6Addr::UNSPECIFIED.into()).await {
            Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => listen(Ipv4Addr::UNSPECIFIED.into()).await,
            bound => bound,
        },
    }
}

/// Counts the connections of all listeners.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<AtomicU32>);

/// One connection's place; given back when this is dropped.
pub(crate) struct Place(Arc<AtomicU32>);

impl Places {
    /// A place among `allowed`, if one is free.
    pub(crate) fn enter(&self, allowed: u32) -> Option<Place> {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| (taken < allowed).then(|| taken + 1))
            .ok()?;
        Some(Place(self.0.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
