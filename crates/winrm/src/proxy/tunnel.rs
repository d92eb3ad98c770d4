//! A tunnel through a proxy: CONNECT (RFC 9110, 9.3.6).

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use winrm_auth::Challenge;

use super::Proxy;
use crate::endpoint::{Endpoint, Scheme};
use crate::error::{Error, ErrorKind};

/// The longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

impl Proxy {
    /// Has the proxy connect to the endpoint. Afterwards the stream is one to the host.
    pub(crate) async fn tunnel(&self, stream: &mut TcpStream, endpoint: &Endpoint) -> Result<(), Error> {
        let authority = endpoint.authority();
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
        if let Some(value) = self.authorization()? {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(concat!("User-Agent: winrm-rust/", env!("CARGO_PKG_VERSION"), "\r\n\r\n").as_bytes());
        let broken = |error: std::io::Error| {
            Error::new(ErrorKind::Connect, format!("the connection to the proxy {self} broke"))
                .with_hint("does an http proxy listen there?")
                .with_source(error)
        };
        stream.write_all(&request).await.map_err(broken)?;
        let mut head = Vec::with_capacity(1_024);
        let end = loop {
            if let Some(end) = find(&head, b"\r\n\r\n") {
                break end;
            }
            if head.len() >= LONGEST_HEAD || (head.len() >= 5 && !head.starts_with(b"HTTP/")) {
                return Err(self.no_proxy());
            }
            if stream.read_buf(&mut head).await.map_err(broken)? == 0 {
                let message = format!("the proxy {self} closed the connection instead of connecting to {authority}");
                return Err(if head.is_empty() {
                    Error::new(ErrorKind::Connect, message).with_hint("does an http proxy listen there, and may this machine use it?")
                } else {
                    self.no_proxy()
                });
            }
        };
        let text = String::from_utf8_lossy(&head[..end]);
        let status = status_of(&text).ok_or_else(|| self.no_proxy())?;
        if (200..300).contains(&status) {
            // The host speaks when it is spoken to.
            return if head.len() == end + 4 { Ok(()) } else { Err(self.no_proxy()) };
        }
        Err(self.refused(status, &text, endpoint))
    }

    fn no_proxy(&self) -> Error {
        Error::new(
            ErrorKind::Connect,
            format!("what listens at {self} answered CONNECT with something that is not HTTP"),
        )
        .with_hint("it is no http proxy: check its address")
    }

    fn refused(&self, status: u16, head: &str, endpoint: &Endpoint) -> Error {
        let authority = endpoint.authority();
        let port = endpoint.port();
        match status {
            // tinyproxy says 401 to wrong credentials.
            401 | 407 => {
                let values = head.lines().filter_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("proxy-authenticate").then(|| value.trim())
                });
                self.unauthorized(values, status)
            }
            // tinyproxy says 500.
            500 | 502..=504 => self.no_way(endpoint, status),
            400 | 404 | 405 | 501 => Error::new(
                ErrorKind::Connect,
                format!("what listens at {self} makes no tunnels (HTTP {status} to CONNECT)"),
            )
            .with_hint("is it an http proxy, and is it told to make tunnels?"),
            _ => {
                let message = format!("the proxy {self} does not let connections through to {authority} (HTTP {status})");
                // Handing requests to the proxy would be the other way to an http target.
                let hint = match endpoint.scheme() {
                    Scheme::Http => format!(
                        "NTLM, Kerberos and CredSSP authenticate the connection, so they can't pass a plain-http proxy without a \
                         tunnel: have it allow CONNECT to port {port}, use https, or reach this host without it (NO_PROXY)"
                    ),
                    Scheme::Https => format!(
                        "proxies often allow CONNECT to port 443 only: have it allow port {port}, or reach this host without it (NO_PROXY)"
                    ),
                };
                Error::new(ErrorKind::Connect, message).with_hint(hint)
            }
        }
    }

    /// HTTP 500, 502, 503, 504.
    pub(super) fn no_way(&self, endpoint: &Endpoint, status: u16) -> Error {
        let message = format!("the proxy {self} can't reach {} (HTTP {status})", endpoint.authority());
        Error::new(ErrorKind::Connect, message)
            .with_hint("is the host up, is its port open for the proxy, and does the proxy know its name?")
    }

    /// HTTP 407, or one that means it, with these values of `Proxy-Authenticate`.
    pub(super) fn unauthorized<'a>(&self, offers: impl Iterator<Item = &'a str>, status: u16) -> Error {
        let offered = offered(offers);
        let takes_basic = offered.is_empty() || offered.iter().any(|name| name.eq_ignore_ascii_case("basic"));
        let (message, hint) = match &self.user {
            _ if !takes_basic => (
                format!("the proxy {self} asks for credentials by {} (HTTP {status})", offered.join(", ")),
                "only Basic is spoken to proxies here: a local proxy such as cntlm or px can stand between",
            ),
            None => (
                format!("the proxy {self} asks for credentials (HTTP {status})"),
                "name the user in the proxy's address, http://USER@HOST:PORT, and give the password",
            ),
            Some(user) => (
                format!("the proxy {self} refused the credentials of {user} (HTTP {status})"),
                "check the user and the password of the proxy: they are not those of the Windows host",
            ),
        };
        Error::new(ErrorKind::Connect, message).with_hint(hint)
    }
}

/// The status of `HTTP/1.1 200 Connection established`.
fn status_of(head: &str) -> Option<u16> {
    let mut words = head.lines().next()?.split(' ');
    let version = words.next()?;
    let status = words.next()?;
    if !matches!(version, "HTTP/1.0" | "HTTP/1.1") || status.len() != 3 {
        return None;
    }
    status.parse().ok()
}

/// The schemes that a proxy offers.
fn offered<'a>(values: impl Iterator<Item = &'a str>) -> Vec<String> {
    let challenges = values.filter_map(|value| Challenge::parse_list(value).ok()).flatten();
    let names = challenges.map(|challenge| challenge.scheme.name().chars().filter(|c| !c.is_control()).take(40).collect());
    names.take(10).collect()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
