//! Which of the machine's addresses listeners answer on: `IPv4Filter` and `IPv6Filter`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses from one to another, `*` for all of a family, nothing for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IpFilter {
    text: String,
    /// `None`: all.
    ranges: Option<Vec<(IpAddr, IpAddr)>>,
}

impl IpFilter {
    /// All addresses.
    pub(crate) fn all() -> Self {
        Self {
            text: "*".to_owned(),
            ranges: None,
        }
    }

    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let Some(ranges) = &self.ranges else { return true };
        ranges.iter().any(|(first, last)| {
            let same_family = first.is_ipv4() == address.is_ipv4();
            same_family && *first <= address && address <= *last
        })
    }

    /// Reads a filter of one family, as in `2.0.0.1-2.0.0.20, 24.0.0.1-24.0.0.22`.
    pub(crate) fn parse(text: &str, ipv4: bool) -> Option<Self> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let text = text.trim().to_owned();
        if text.is_empty() {
            let ranges = Some(Vec::new());
            return Some(Self { text, ranges });
        }
        if parts.contains(&"*") {
            return Some(Self { text, ranges: None });
        }
        let ranges: Option<Vec<_>> = parts
            .into_iter()
            .map(|part| {
                let (first, last) = part.split_once('-')?;
                let (first, last) = (IpAddr::from_str(first.trim()).ok()?, IpAddr::from_str(last.trim()).ok()?);
                (first.is_ipv4() == ipv4 && last.is_ipv4() == ipv4 && first <= last).then_some((first, last))
            })
            .collect();
        ranges.map(|ranges| Self {
            text,
            ranges: Some(ranges),
        })
    }
}

impl fmt::Display for IpFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_stars_and_nothing() {
        let some = IpFilter::parse("2.0.0.1-2.0.0.20, 24.0.0.1-24.0.0.22", true).unwrap();
        assert!(some.allows(address("2.0.0.20")) && some.allows(address("24.0.0.1")));
        assert!(!some.allows(address("2.0.0.21")) && !some.allows(address("::1")));
        assert!(IpFilter::parse("*", true).unwrap().allows(address("9.9.9.9")));
        assert!(IpFilter::parse("1.1.1.1-1.1.1.2,*", true).unwrap().allows(address("9.9.9.9")));
        assert!(!IpFilter::parse("", true).unwrap().allows(address("9.9.9.9")));
        let six = IpFilter::parse("fe80::1-fe80::ffff", false).unwrap();
        assert!(six.allows(address("fe80::20")) && !six.allows(address("fe81::20")));
        assert_eq!(six.to_string(), "fe80::1-fe80::ffff");
        for (bad, ipv4) in [
            ("1.1.1.1", true),
            ("1.1.1.9-1.1.1.2", true),
            ("::1-::2", true),
            ("1.1.1.1-1.1.1.2", false),
            ("x-y", true),
        ] {
            assert!(IpFilter::parse(bad, ipv4).is_none(), "{bad}");
        }
    }
}
