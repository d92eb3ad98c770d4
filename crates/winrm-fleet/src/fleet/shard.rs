//! Splitting a fleet between machines that don't talk to each other.

use std::fmt;
use std::str::FromStr;

/// One part of a fleet: `K/N`, K from 1 to N.
///
/// A host belongs to the part that its name alone decides: the first eight bytes of the SHA-256 of the name (as UTF-8), as a
/// big-endian number, modulo N, plus 1. It is so on every machine and in every version, and a host that comes or goes moves no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: u64,
    count: u64,
}

impl Shard {
    /// Whether this host belongs to the part.
    #[must_use]
    pub fn contains(&self, host: &str) -> bool {
        let digest = openssl::sha::sha256(host.as_bytes());
        let first = digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        first % self.count + 1 == self.number
    }

    /// Which part, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many parts there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Self, InvalidShard> {
        let (number, count) = text.split_once('/').ok_or(InvalidShard)?;
        let (number, count) = (number.parse().map_err(|_| InvalidShard)?, count.parse().map_err(|_| InvalidShard)?);
        if (1..=count).contains(&number) {
            Ok(Self { number, count })
        } else {
            Err(InvalidShard)
        }
    }
}

/// A text names no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not K/N with K from 1 to N, as 1/3")]
pub struct InvalidShard;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_belongs_to_one_part_and_the_parts_are_alike() {
        let parts: Vec<Shard> = (1..=4).map(|number| format!("{number}/4").parse().unwrap()).collect();
        let mut counts = [0_u32; 4];
        for host in (0..4_000).map(|number| format!("web{number:04}.corp.example")) {
            let of: Vec<usize> = (0..4).filter(|index| parts[*index].contains(&host)).collect();
            assert_eq!(of.len(), 1, "{host}");
            counts[of[0]] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }

    /// What other versions have to agree with: `printf web1 | sha256sum` begins with 16 digits, and so on.
    #[test]
    fn a_hosts_part_never_changes() {
        let part = |host: &str| (1..=5).find(|k| format!("{k}/5").parse::<Shard>().unwrap().contains(host));
        assert_eq!(
            ["web1", "web2", "db.corp.example", "ü"].map(part),
            [Some(2), Some(3), Some(1), Some(4)]
        );
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for bad in ["", "1", "0/3", "4/3", "1/0", "a/3", "1/b", "-1/3", "1/3/5"] {
            assert_eq!(bad.parse::<Shard>(), Err(InvalidShard), "{bad}");
        }
        assert_eq!("3/3".parse::<Shard>().unwrap().to_string(), "3/3");
    }
}
