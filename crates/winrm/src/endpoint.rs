//! Where a WinRM service listens, as people write it.
//!
//! A parser of its own, since those of the `url` and `http` crates take no zone ids, and link-local addresses are how one
//! reaches a machine that has no other address yet.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The address of a WinRM service: scheme, host, port and path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: Scheme,
    /// A name, an IPv4 address, or an IPv6 address without brackets and zone.
    host: String,
    /// The zone of an IPv6 address: an interface's name or number.
    zone: Option<String>,
    port: u16,
    path: String,
}

/// The scheme of an [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Without TLS; port 5985 where none is given.
    Http,
    /// With TLS; port 5986 where none is given.
    Https,
}

impl Scheme {
    /// The port that Windows listens at.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 5985,
            Self::Https => 5986,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl Endpoint {
    /// Reads `[user@]host[:port]` or a URL, `http[s]://[user@]host[:port][/path]`, and gives the user apart.
    ///
    /// Without a scheme, port 5985 means http, and everything else https. IPv6 addresses stand in brackets, or bare when
    /// no port follows; a zone follows `%` (`fe80::1%eth0`), which URLs may write as `%25`.
    ///
    /// # Errors
    /// Says which part can't be used. A password in front of the host is refused: it would end up in logs.
    pub fn parse(text: &str) -> Result<(Self, Option<String>), EndpointError> {
        let text = text.trim();
        if let Some(bad) = text.chars().find(|c| c.is_control() || c.is_whitespace()) {
            return Err(EndpointError::Character(bad));
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((name, rest)) if name.eq_ignore_ascii_case("http") => (Some(Scheme::Http), rest),
            Some((name, rest)) if name.eq_ignore_ascii_case("https") => (Some(Scheme::Https), rest),
            Some((name, _)) => return Err(EndpointError::Scheme(name.to_owned())),
            None => (None, text),
        };
        let is_url = scheme.is_some();
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, ""),
        };
        if let Some(at) = rest.find(['?', '#']).filter(|_| is_url) {
            return Err(EndpointError::Path(rest[at..].to_owned()));
        }
        if !path.is_ascii() {
            return Err(EndpointError::Path(path.to_owned()));
        }
        // The last at sign: principal names have one of their own.
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        let user = match user {
            Some(user) if user.contains(':') => return Err(EndpointError::Password),
            Some("") => return Err(EndpointError::User),
            Some(user) if is_url => Some(percent_decoded(user).ok_or(EndpointError::User)?),
            user => user.map(str::to_owned),
        };
        let (host, port) = split_port(authority)?;
        let (host, zone) = read_host(host)?;
        let port = match port {
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(EndpointError::Port(port.to_owned())),
                Ok(port) => Some(port),
            },
            None => None,
        };
        let scheme = scheme.unwrap_or(if port == Some(5985) { Scheme::Http } else { Scheme::Https });
        let endpoint = Self {
            scheme,
            host,
            zone,
            port: port.unwrap_or_else(|| scheme.default_port()),
            path: if path.is_empty() || path == "/" {
                "/wsman".to_owned()
            } else {
                path.to_owned()
            },
        };
        Ok((endpoint, user))
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name, or an address without brackets and zone.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The zone of an IPv6 address.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// The TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, `/wsman` where none was given.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// This endpoint with another scheme; the port stays.
    #[must_use]
    pub fn with_scheme(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// This endpoint with another port.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// This endpoint with another path; a leading slash is added where it is missing.
    #[must_use]
    pub fn with_path(self, path: &str) -> Self {
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Self { path, ..self }
    }

    /// `host:port` for the `Host` header. A zone means nothing to another machine (RFC 6874, 1) and is left out.
    pub(crate) fn authority(&self) -> String {
        if self.is_ipv6() {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The URL without a zone, as the host is told it in `wsa:To`.
    pub(crate) fn url_for_host(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority(), self.path)
    }

    /// The host as the system's resolver takes it, zone included.
    pub(crate) fn resolver_name(&self) -> String {
        match &self.zone {
            Some(zone) => format!("{}%{zone}", self.host),
            None => self.host.clone(),
        }
    }

    fn is_ipv6(&self) -> bool {
        self.host.contains(':')
    }
}

impl fmt::Display for Endpoint {
    /// The URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            Some(zone) => write!(f, "{}://[{}%25{zone}]:{}{}", self.scheme, self.host, self.port, self.path),
            None => f.write_str(&self.url_for_host()),
        }
    }
}

/// Parts `host:port`; IPv6 addresses keep their brackets.
pub(crate) fn split_port(authority: &str) -> Result<(&str, Option<&str>), EndpointError> {
    if authority.starts_with('[') {
        let end = authority.find(']').ok_or_else(|| EndpointError::Host(authority.to_owned()))?;
        let (host, rest) = authority.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(EndpointError::Host(authority.to_owned())),
        };
    }
    match authority.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Ok((authority, None)),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

pub(crate) fn read_host(text: &str) -> Result<(String, Option<String>), EndpointError> {
    let refuse = || EndpointError::Host(text.to_owned());
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if bare.is_none() && !text.contains(':') {
        // Not a list of what names may hold (underscores and letters beyond ASCII resolve in many networks), only what
        // can't be one, and numbers that were meant as an address.
        let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if text.is_empty() || text.contains(['[', ']', '%', '\\', '<', '>', '"', '?', '#']) || text.starts_with('.') {
            return Err(refuse());
        }
        if numeric && text.parse::<Ipv4Addr>().is_err() {
            return Err(refuse());
        }
        return Ok((text.to_owned(), None));
    }
    let address = bare.unwrap_or(text);
    let (address, zone) = match address.split_once('%') {
        Some((address, zone)) => {
            // `%25` is `%` in a URL; no interface's name begins with 25 and something behind it.
            let zone = zone.strip_prefix("25").filter(|rest| !rest.is_empty()).unwrap_or(zone);
            (address, Some(zone))
        }
        None => (address, None),
    };
    let address: Ipv6Addr = address.parse().map_err(|_| refuse())?;
    if zone.is_some_and(|zone| zone.is_empty() || !zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))) {
        return Err(refuse());
    }
    Ok((address.to_string(), zone.map(str::to_owned)))
}

pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

/// Why a text is no [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Another scheme than http and https.
    #[error("the scheme {0:?} is neither http nor https")]
    Scheme(String),
    /// The host is empty, or neither a name nor an address.
    #[error("{0:?} is neither a host name nor an address")]
    Host(String),
    /// The port isn't a number from 1 to 65535.
    #[error("the port {0:?} is not a number from 1 to 65535")]
    Port(String),
    /// The path has a query, a fragment or characters beyond ASCII.
    #[error("the path can't hold {0:?}")]
    Path(String),
    /// White space or a control character.
    #[error("the address holds the character {0:?}")]
    Character(char),
    /// The user in front of the host is empty or wrongly encoded.
    #[error("the user in front of the host is empty or not readable")]
    User,
    /// A password stands in front of the host.
    #[error("a password does not belong into the address of a host")]
    Password,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn url(text: &str) -> String {
        Endpoint::parse(text).unwrap().0.to_string()
    }

    #[test]
    fn scheme_and_port_follow_from_each_other() {
        assert_eq!(url("host"), "https://host:5986/wsman");
        assert_eq!(url("host:5985"), "http://host:5985/wsman");
        assert_eq!(url("host:5986"), "https://host:5986/wsman");
        assert_eq!(url("host:443"), "https://host:443/wsman");
        assert_eq!(url("http://host"), "http://host:5985/wsman");
        assert_eq!(url("HTTPS://host/"), "https://host:5986/wsman");
        assert_eq!(url("https://host:5985/other/path"), "https://host:5985/other/path");
        assert_eq!(url("127.0.0.1:5985"), "http://127.0.0.1:5985/wsman");
    }

    #[test]
    fn ipv6_in_every_spelling() {
        assert_eq!(url("::1"), "https://[::1]:5986/wsman");
        assert_eq!(url("[::1]"), "https://[::1]:5986/wsman");
        assert_eq!(url("[::1]:5985"), "http://[::1]:5985/wsman");
        assert_eq!(url("http://[2001:DB8:0::1]/wsman"), "http://[2001:db8::1]:5985/wsman");
        assert_eq!(url("fe80::1%eth0"), "https://[fe80::1%25eth0]:5986/wsman");
        assert_eq!(url("http://[fe80::1%25eth0]:5985"), "http://[fe80::1%25eth0]:5985/wsman");
        let (endpoint, user) = Endpoint::parse(r"CORP\alice@fe80::1%2").unwrap();
        assert_eq!(user.as_deref(), Some(r"CORP\alice"));
        assert_eq!((endpoint.host(), endpoint.zone()), ("fe80::1", Some("2")));
        assert_eq!(endpoint.resolver_name(), "fe80::1%2");
        assert_eq!(endpoint.authority(), "[fe80::1]:5986");
        assert_eq!(endpoint.url_for_host(), "https://[fe80::1]:5986/wsman");
    }

    #[test]
    fn what_is_shown_reads_back() {
        for text in ["host", "http://[fe80::1%25eth0]:1", "10.0.0.1:5985", "https://a.example:8443/x"] {
            let (endpoint, _) = Endpoint::parse(text).unwrap();
            assert_eq!(Endpoint::parse(&endpoint.to_string()).unwrap().0, endpoint, "{text}");
        }
    }

    #[test]
    fn users_stand_in_front() {
        let user = |text| Endpoint::parse(text).unwrap().1;
        assert_eq!(user("alice@host").as_deref(), Some("alice"));
        assert_eq!(user("alice@corp.example@host:5985").as_deref(), Some("alice@corp.example"));
        assert_eq!(user("http://CORP%5Calice@host").as_deref(), Some(r"CORP\alice"));
        assert_eq!(user("host"), None);
    }

    #[test]
    fn each_wrong_part_is_named() {
        let refused = |text: &str| Endpoint::parse(text).unwrap_err();
        assert_eq!(refused("ftp://host"), EndpointError::Scheme("ftp".into()));
        assert_eq!(refused(""), EndpointError::Host(String::new()));
        assert_eq!(refused("http://"), EndpointError::Host(String::new()));
        assert_eq!(refused("a b"), EndpointError::Character(' '));
        assert_eq!(refused("host:x"), EndpointError::Port("x".into()));
        assert_eq!(refused("host:0"), EndpointError::Port("0".into()));
        assert_eq!(refused("host:70000"), EndpointError::Port("70000".into()));
        assert_eq!(refused("[::1"), EndpointError::Host("[::1".into()));
        assert_eq!(refused("[::1]x"), EndpointError::Host("[::1]x".into()));
        assert_eq!(refused("[host]"), EndpointError::Host("[host]".into()));
        assert_eq!(refused("fe80::1%"), EndpointError::Host("fe80::1%".into()));
        assert_eq!(refused("10.0.0.256"), EndpointError::Host("10.0.0.256".into()));
        assert_eq!(refused("http://host?x"), EndpointError::Path("?x".into()));
        assert_eq!(refused("http://u:p@host"), EndpointError::Password);
        assert_eq!(refused("@host"), EndpointError::User);
        assert_eq!(refused("http://a%0d@host"), EndpointError::User);
    }
}
