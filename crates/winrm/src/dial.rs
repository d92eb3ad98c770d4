//! How connections are made: addresses in turn, a proxy where there is one, TLS.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::connection::{Connection, Made};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind};
use crate::proxy::{Proxy, Route};
use crate::tls::Tls;

/// Makes connections to one host.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) endpoint: Endpoint,
    pub(crate) tls: Option<Tls>,
    pub(crate) server_name: Option<String>,
    pub(crate) route: Route,
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
        let late = |message: String, hint: &'static str| Error::new(ErrorKind::Connect, message).with_hint(hint);
        let near = Near::of(self);
        let (mut tcp, address) = timeout_at(deadline, near.tcp(self.retries)).await.unwrap_or_else(|_| {
            Err(late(
                format!("no connection to {} within {limit:?}", near.named()),
                near.silent_hint(),
            ))
        })?;
        // Requests go out in one piece and wait for an answer: nothing is gained by waiting for more.
        let _ = tcp.set_nodelay(true);
        if let Route::Tunnel(proxy) = &self.route {
            timeout_at(deadline, proxy.tunnel(&mut tcp, &self.endpoint))
                .await
                .unwrap_or_else(|_| {
                    Err(late(
                        format!("the proxy {proxy} did not connect to {host} port {port} within {limit:?}"),
                        "the proxy hangs, is no proxy, or can't reach the host",
                    ))
                })?;
        }
        timeout_at(deadline, self.secure(tcp, address, number)).await.unwrap_or_else(|_| {
            Err(late(
                format!("{host} port {port} took the connection and did not finish TLS within {limit:?}"),
                "the host hangs, or what listens there waits for something else than TLS",
            ))
        })
    }

    async fn secure(&self, tcp: TcpStream, address: SocketAddr, number: u64) -> Result<Connection, Error> {
        let probe = SockRef::from(&tcp).try_clone().map_err(|error| Near::of(self).unreachable(error))?;
        let made = match &self.tls {
            None => Made::Plain(tcp),
            Some(tls) => Made::Secured(tls.handshake(tcp, self.server_name()).await?),
        };
        let connection = Connection::begin(made, probe, number).await?;
        let tls = connection.certificate.is_some();
        tracing::info!(connection = number, %address, tls, route = %self.route, "connected");
        Ok(connection)
    }

    /// The name that the host's certificate has to hold.
    pub(crate) fn server_name(&self) -> &str {
        self.server_name.as_deref().unwrap_or_else(|| self.endpoint.host())
    }
}

/// Where the first connection goes: to the host, or to the proxy in front of it.
enum Near<'a> {
    Host(&'a Endpoint),
    Proxy(&'a Proxy),
}

impl<'a> Near<'a> {
    fn of(dialer: &'a Dialer) -> Self {
        match &dialer.route {
            Route::Direct => Self::Host(&dialer.endpoint),
            Route::Tunnel(proxy) | Route::Forward(proxy) => Self::Proxy(proxy),
        }
    }

    async fn tcp(&self, retries: u32) -> Result<(TcpStream, SocketAddr), Error> {
        let mut pause = FIRST_PAUSE;
        let mut left = retries;
        let (name, port) = match self {
            Self::Host(endpoint) => (endpoint.resolver_name(), endpoint.port()),
            Self::Proxy(proxy) => (proxy.host().to_owned(), proxy.port()),
        };
        loop {
            let addresses = tokio::net::lookup_host((name.as_str(), port))
                .await
                .map_err(|error| self.unresolved(&name).with_source(error))?;
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

    fn named(&self) -> String {
        match self {
            Self::Host(endpoint) => format!("{} port {}", endpoint.host(), endpoint.port()),
            Self::Proxy(proxy) => format!("the proxy {proxy}"),
        }
    }

    fn silent_hint(&self) -> &'static str {
        match self {
            Self::Host(_) => "the host is down, or a firewall drops what is sent to this port",
            Self::Proxy(_) => "the proxy is down, its address is wrong, or this host should be reached without it (NO_PROXY)",
        }
    }

    fn unresolved(&self, name: &str) -> Error {
        match self {
            Self::Host(_) => Error::new(ErrorKind::Resolve, format!("the name {name} has no address"))
                .with_hint("is the name written correctly, and does this machine's resolver know it?"),
            Self::Proxy(_) => Error::new(ErrorKind::Resolve, format!("the proxy's name {name} has no address"))
                .with_hint("is the proxy's name written correctly, and does this machine's resolver know it?"),
        }
    }

    fn unreachable(&self, error: io::Error) -> Error {
        let endpoint = match self {
            Self::Host(endpoint) => endpoint,
            Self::Proxy(_) => {
                let message = match error.kind() {
                    io::ErrorKind::ConnectionRefused => format!("{} refuses connections", self.named()),
                    _ => format!("no connection to {}", self.named()),
                };
                return Error::new(ErrorKind::Connect, message)
                    .with_hint("is the proxy's address right, and the proxy up? NO_PROXY names the hosts that are reached without it")
                    .with_source(error);
            }
        };
        let (host, port) = (endpoint.host(), endpoint.port());
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
