//! Proxies: their addresses, and when a host is reached through one.

mod environment;
mod no_proxy;
mod tunnel;

use std::fmt;

use http::{HeaderValue, header};
use winrm_auth::{Credentials, Secret, basic};

use crate::answer;
use crate::builder::Settings;
use crate::connection::RawAnswer;
use crate::endpoint::{Endpoint, EndpointError, Scheme, percent_decoded, read_host, split_port};
use crate::error::{Error, ErrorKind, MayHaveRun};
use crate::transport::Transport;

pub use no_proxy::NoProxy;

/// An http proxy, and who we are to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// A name, or an address without brackets.
    host: String,
    port: u16,
    user: Option<String>,
    password: Option<Secret>,
}

impl Proxy {
    /// Reads `[http://][user[:password]@]host[:port]`; the port is 80 where none is given. User and password are
    /// percent-encoded where they hold `@`, `:`, `/` or `%`.
    ///
    /// # Errors
    /// Says which part can't be used. Proxies that speak TLS or SOCKS themselves are not supported.
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        let text = text.trim();
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(ProxyError::Address(EndpointError::Host(without_password(text))));
        }
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => return Err(ProxyError::Scheme(scheme.to_owned())),
            None => text,
        };
        let (authority, path) = match rest.rsplit_once('@') {
            // A password may hold a slash that nobody has encoded.
            Some((user, host)) => {
                let end = host.find(['/', '?', '#']).unwrap_or(host.len());
                (&rest[..user.len() + 1 + end], &host[end..])
            }
            None => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        };
        if !matches!(path, "" | "/") {
            return Err(ProxyError::Path(path.to_owned()));
        }
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        let (host, port) = split_port(authority).map_err(ProxyError::Address)?;
        let (host, _) = read_host(host).map_err(ProxyError::Address)?;
        let port = match port {
            None => 80,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(ProxyError::Address(EndpointError::Port(port.to_owned()))),
                Ok(port) => port,
            },
        };
        let (user, password) = match user.map(|user| user.split_once(':').map_or((user, None), |(user, password)| (user, Some(password)))) {
            None => (None, None),
            Some(("", _)) => return Err(ProxyError::User),
            Some((user, password)) => (
                Some(percent_decoded(user).ok_or(ProxyError::User)?),
                password
                    .map(|password| percent_decoded(password).map(Secret::new).ok_or(ProxyError::User))
                    .transpose()?,
            ),
        };
        Ok(Self {
            host,
            port,
            user,
            password,
        })
    }

    /// This proxy with the user's password.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// This proxy with another user, and no password yet.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self.password = None;
        self
    }

    /// The host: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who we are to the proxy.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether a password is known.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The header that tells the proxy who we are (RFC 7617).
    fn authorization(&self) -> Result<Option<HeaderValue>, Error> {
        let Some(user) = &self.user else {
            return Ok(None);
        };
        let unusable = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(
                ErrorKind::Configuration,
                format!("the credentials of {user} can't be sent to the proxy {self}"),
            )
            .with_source(error)
        };
        let credentials = Credentials {
            user: user.clone(),
            domain: None,
            password: self.password.clone().unwrap_or_default(),
        };
        let value = basic::write_authorization(&credentials).map_err(|error| unusable(error.into()))?;
        let mut value = HeaderValue::try_from(value.expose()).map_err(|error| unusable(error.into()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl fmt::Display for Proxy {
    /// The address, without the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "http://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "http://{}:{}", self.host, self.port)
        }
    }
}

/// What of a text can be told although it may hold a password.
fn without_password(text: &str) -> String {
    text.rsplit_once('@').map_or(text, |(_, rest)| rest).to_owned()
}

/// Why a text is no address of a [`Proxy`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// A kind of proxy that isn't supported.
    #[error("proxies of the kind {0:?} are not supported: there is http alone")]
    Scheme(String),
    /// Host or port can't be used.
    #[error("the proxy's address can't be used")]
    Address(#[source] EndpointError),
    /// Something follows host and port.
    #[error("a proxy's address has no path: {0:?}")]
    Path(String),
    /// The user or the password is empty or wrongly encoded.
    #[error("the user in the proxy's address is empty, or wrongly percent-encoded")]
    User,
    /// An environment variable that doesn't hold a proxy.
    #[error("the environment variable {variable} holds no proxy")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What is wrong with it.
        source: Box<Self>,
    },
}

/// The way to the host.
#[derive(Debug)]
pub(crate) enum Route {
    /// Without a proxy.
    Direct,
    /// Through a tunnel that the proxy makes.
    Tunnel(Proxy),
    /// Each request is handed to the proxy, whole and readable.
    Forward(Proxy),
}

impl Route {
    /// What authenticates the connection needs one that reaches from end to end; so does TLS. What goes with each request can
    /// be handed to any proxy.
    pub(crate) fn new(endpoint: &Endpoint, settings: &Settings) -> Self {
        match &settings.proxy {
            None => Self::Direct,
            Some(proxy) if endpoint.scheme() == Scheme::Http && settings.transport == Transport::Basic => Self::Forward(proxy.clone()),
            Some(proxy) => Self::Tunnel(proxy.clone()),
        }
    }

    /// Whether requests are handed to a proxy.
    pub(crate) fn is_forward(&self) -> bool {
        matches!(self, Self::Forward(_))
    }

    /// Whether they carry credentials for the proxy beside those for the host.
    pub(crate) fn has_forwarded_user(&self) -> bool {
        matches!(self, Self::Forward(proxy) if proxy.user.is_some())
    }

    /// What stands in the request line (RFC 9112, 3.2).
    pub(crate) fn target(&self, endpoint: &Endpoint) -> String {
        match self {
            Self::Forward(_) => endpoint.url_for_host(),
            _ => endpoint.path().to_owned(),
        }
    }

    /// The header for the proxy that goes with every request.
    pub(crate) fn forwarded_credentials(&self) -> Result<Option<HeaderValue>, Error> {
        match self {
            Self::Forward(proxy) => proxy.authorization(),
            // Those of a tunnel are sent where it is made; that they can be is found out now.
            Self::Tunnel(proxy) => proxy.authorization().map(|_| None),
            Self::Direct => Ok(None),
        }
    }
}

impl Route {
    /// What a proxy says itself, in place of a host's answer.
    pub(crate) fn refusal(&self, answer: &RawAnswer, endpoint: &Endpoint) -> Option<Error> {
        let Self::Forward(proxy) = self else {
            return None;
        };
        match answer.status.as_u16() {
            407 => {
                let offers = answer.headers.get_all(header::PROXY_AUTHENTICATE);
                Some(proxy.unauthorized(offers.iter().filter_map(|value| value.to_str().ok()), 407))
            }
            // The request may have left the proxy.
            status @ (500 | 502..=504) if !answer::is_soap(&answer.headers) => {
                Some(proxy.no_way(endpoint, status).at_least(MayHaveRun::Unknown))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("direct"),
            Self::Tunnel(proxy) => write!(f, "through {proxy}"),
            Self::Forward(proxy) => write!(f, "by way of {proxy}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_every_spelling() {
        for (text, shown, user, password) in [
            ("http://proxy:3128", "http://proxy:3128", None, None),
            ("http://proxy:3128/", "http://proxy:3128", None, None),
            ("proxy:3128", "http://proxy:3128", None, None),
            ("HTTP://proxy", "http://proxy:80", None, None),
            ("http://[::1]:8080", "http://[::1]:8080", None, None),
            ("http://al@proxy:1", "http://proxy:1", Some("al"), None),
            ("http://al:pw@proxy:1", "http://proxy:1", Some("al"), Some("pw")),
            ("http://a%40b:p%3A%2F%25@proxy:1", "http://proxy:1", Some("a@b"), Some("p:/%")),
            ("http://al:p/w@x@proxy:1/", "http://proxy:1", Some("al"), Some("p/w@x")),
            ("http://al:@proxy:1", "http://proxy:1", Some("al"), Some("")),
        ] {
            let proxy = Proxy::parse(text).unwrap();
            assert_eq!((proxy.to_string().as_str(), proxy.user()), (shown, user), "{text}");
            assert_eq!(proxy.password.as_ref().map(Secret::expose), password, "{text}");
            assert!(password.is_none_or(|pw| pw.is_empty() || !format!("{proxy:?}{proxy}").contains(pw)));
        }
    }

    #[test]
    fn wrong_parts_are_named_and_passwords_are_not() {
        let refused = |text: &str| Proxy::parse(text).unwrap_err();
        assert_eq!(refused("https://proxy"), ProxyError::Scheme("https".into()));
        assert_eq!(refused("socks5://proxy"), ProxyError::Scheme("socks5".into()));
        assert_eq!(refused("http://proxy/x"), ProxyError::Path("/x".into()));
        assert_eq!(refused("http://:pw@proxy"), ProxyError::User);
        assert_eq!(refused("http://a%zz@proxy"), ProxyError::User);
        assert_eq!(refused(""), ProxyError::Address(EndpointError::Host(String::new())));
        assert_eq!(refused("proxy:0"), ProxyError::Address(EndpointError::Port("0".into())));
        for text in [
            "http://al:hunter2@",
            "http://al:hunter2@a b",
            "http://al:hunter2@p:x",
            "ftp://al:hunter2@p",
        ] {
            let error = refused(text);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
