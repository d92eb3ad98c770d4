//! The hosts that are reached without a proxy.

use std::net::IpAddr;

use crate::endpoint::Endpoint;

/// A list of hosts that are reached without a proxy, as `NO_PROXY` holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    what: What,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    All,
    /// The name, and all below it; in lower case.
    Domain(String),
    /// Addresses whose first bits are those.
    Network(IpAddr, u8),
}

impl NoProxy {
    /// Reads a list, separated by commas or blanks. `*` stands for all; `example.com`, `.example.com` and `*.example.com` for
    /// the name and all below it; `10.0.0.5` and `fe80::1` for an address, `10.0.0.0/8` and `fd00::/8` for a network. Each
    /// may end in a port, IPv6 addresses in brackets then. What can't be read is passed over, as curl does it.
    pub fn parse(list: &str) -> Self {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace()).filter_map(Entry::parse);
        Self(entries.collect())
    }

    /// Whether the endpoint is reached without a proxy.
    #[must_use]
    pub fn covers(&self, endpoint: &Endpoint) -> bool {
        let host = endpoint.host().to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let address: Option<IpAddr> = host.parse().ok();
        self.0.iter().any(|entry| {
            let is_port = entry.port.is_none_or(|port| port == endpoint.port());
            is_port
                && match (&entry.what, address) {
                    (What::All, _) => true,
                    (What::Network(network, bits), Some(address)) => is_within(address, *network, *bits),
                    (What::Domain(domain), None) => host
                        .strip_suffix(domain.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
                    _ => false,
                }
        })
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                // `[fd00::]/8` as well as `[fd00::1]:5986`.
                match (rest.strip_prefix(':'), rest.strip_prefix('/')) {
                    (Some(port), _) => (host.to_owned(), Some(port)),
                    (_, Some(bits)) => (format!("{host}/{bits}"), None),
                    _ => (host.to_owned(), None),
                }
            }
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host.to_owned(), Some(port)),
                _ => (text.to_owned(), None),
            },
        };
        let port = match port {
            Some(port) => Some(port.parse().ok()?),
            None => None,
        };
        let what = if host == "*" {
            What::All
        } else if let Some((address, bits)) = host.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            What::Network(address, bits.parse().ok().filter(|bits| *bits <= most)?)
        } else if let Ok(address) = host.parse::<IpAddr>() {
            What::Network(address, if address.is_ipv4() { 32 } else { 128 })
        } else {
            let domain = host.strip_prefix('*').unwrap_or(&host).trim_matches('.').to_ascii_lowercase();
            if domain.is_empty() {
                return None;
            }
            What::Domain(domain)
        };
        Some(Self { what, port })
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (address.to_bits() ^ network.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0,
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits() ^ network.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reached_without_a_proxy() {
        const YES: bool = true;
        const NO: bool = false;
        for (list, target, expected) in [
            // Names and what is below them.
            ("example.com", "https://example.com", YES),
            ("example.com", "https://web1.example.com", YES),
            ("example.com", "https://a.web1.EXAMPLE.com", YES),
            ("example.com", "https://notexample.com", NO),
            ("example.com", "https://example.com.evil", NO),
            (".example.com", "https://web1.example.com", YES),
            (".example.com", "https://example.com", YES),
            ("*.example.com", "https://web1.example.com", YES),
            ("*.example.com", "https://example.org", NO),
            ("example.com.", "https://web1.example.com", YES),
            ("example.com", "https://web1.example.com.", YES),
            ("WEB1", "https://web1", YES),
            ("web", "https://web1", NO),
            // Lists.
            ("a, b ,c", "https://b", YES),
            ("a b\tc", "https://c", YES),
            (",,", "https://a", NO),
            ("", "https://a", NO),
            ("*", "https://a", YES),
            ("*", "https://[::1]", YES),
            ("a,*", "https://10.0.0.1", YES),
            // Ports.
            ("web1:5986", "https://web1", YES),
            ("web1:5985", "https://web1", NO),
            ("example.com:5985", "http://web1.example.com", YES),
            ("*:5985", "http://web1", YES),
            ("*:5985", "https://web1", NO),
            ("10.0.0.1:5985", "http://10.0.0.1", YES),
            ("[::1]:5986", "https://[::1]", YES),
            ("[::1]:5985", "https://[::1]", NO),
            ("web1:x", "https://web1", NO),
            // Addresses and networks.
            ("10.0.0.1", "https://10.0.0.1", YES),
            ("10.0.0.1", "https://10.0.0.10", NO),
            ("0.0.1", "https://10.0.0.1", NO),
            ("10.0.0.0/8", "https://10.200.3.4", YES),
            ("10.0.0.0/8", "https://11.0.0.1", NO),
            ("192.168.1.77/24", "https://192.168.1.5", YES),
            ("192.168.1.128/25", "https://192.168.1.5", NO),
            ("0.0.0.0/0", "https://8.8.8.8", YES),
            ("0.0.0.0/0", "https://[::1]", NO),
            ("0.0.0.0/0", "https://web1", NO),
            ("10.0.0.1/32", "https://10.0.0.1", YES),
            ("10.0.0.0/33", "https://10.0.0.0", NO),
            ("10.0.0.0/x", "https://10.0.0.0", NO),
            ("::1", "https://[::1]", YES),
            ("[::1]", "https://[0:0::1]", YES),
            ("fd00::/8", "https://[fd12::1]", YES),
            ("[fd00::]/8", "https://[fd12::1]", YES),
            ("fd00::/8", "https://[fe80::1]", NO),
            ("::/0", "https://[fe80::1]", YES),
            ("fe80::/10", "https://[fe80::1%25eth0]", YES),
        ] {
            let endpoint = Endpoint::parse(target).unwrap().0;
            assert_eq!(NoProxy::parse(list).covers(&endpoint), expected, "{list:?} {target}");
        }
    }
}
