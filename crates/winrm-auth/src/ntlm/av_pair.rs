//! The list of attributes in a challenge and in an NTLMv2 response, [MS-NLMP] 2.2.2.1.

use super::message::Malformed;

/// The meaning of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AvId {
    /// The server's NetBIOS computer name, UTF-16LE.
    NbComputerName,
    /// The server's NetBIOS domain name, UTF-16LE.
    NbDomainName,
    /// The server's DNS name, UTF-16LE.
    DnsComputerName,
    /// The server's DNS domain name, UTF-16LE.
    DnsDomainName,
    /// The DNS name of the server's forest, UTF-16LE.
    DnsTreeName,
    /// Four bytes of flags; 0x2: the message has an integrity code.
    Flags,
    /// The server's time: eight bytes, see [`filetime`](super::filetime).
    Timestamp,
    /// Claims of a single host, [MS-NLMP] 2.2.2.2.
    SingleHost,
    /// The service principal name the client wants to reach, UTF-16LE.
    TargetName,
    /// The MD5 of the channel binding, 16 bytes.
    ChannelBindings,
    /// An attribute that isn't known here.
    Other(u16),
}

const KNOWN: [(u16, AvId); 10] = [
    (1, AvId::NbComputerName),
    (2, AvId::NbDomainName),
    (3, AvId::DnsComputerName),
    (4, AvId::DnsDomainName),
    (5, AvId::DnsTreeName),
    (6, AvId::Flags),
    (7, AvId::Timestamp),
    (8, AvId::SingleHost),
    (9, AvId::TargetName),
    (10, AvId::ChannelBindings),
];

impl AvId {
    fn from_number(number: u16) -> Self {
        KNOWN
            .iter()
            .find(|(known, _)| *known == number)
            .map_or(Self::Other(number), |(_, id)| *id)
    }

    fn number(self) -> u16 {
        match self {
            Self::Other(number) => number,
            known => KNOWN.iter().find(|(_, id)| *id == known).map_or(0, |(number, _)| *number),
        }
    }
}

/// Attributes in the order in which they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AvPairs(Vec<(AvId, Vec<u8>)>);

impl AvPairs {
    /// Bit of [`AvId::Flags`]: the AUTHENTICATE message has a message integrity code.
    pub const FLAG_MIC: u32 = 0x2;

    /// The value of an attribute.
    pub fn value(&self, id: AvId) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, value)| value.as_slice())
    }

    /// The value of [`AvId::Flags`], zero if there is none.
    pub fn flags(&self) -> u32 {
        match self.value(AvId::Flags) {
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            _ => 0,
        }
    }

    /// The value of [`AvId::Timestamp`].
    pub fn timestamp(&self) -> Option<u64> {
        self.value(AvId::Timestamp)
            .and_then(|value| value.try_into().ok())
            .map(u64::from_le_bytes)
    }

    /// Sets an attribute, in its place if it exists, else at the end. An attribute has at most 65,535 bytes; a longer
    /// value is refused when the message is written.
    pub fn set(&mut self, id: AvId, value: Vec<u8>) {
        match self.0.iter_mut().find(|(known, _)| *known == id) {
            Some((_, old)) => *old = value,
            None => self.0.push((id, value)),
        }
    }

    /// Sets an attribute to a text, in UTF-16LE.
    pub fn set_text(&mut self, id: AvId, text: &str) {
        self.set(id, super::crypto::utf16(text).to_vec());
    }

    /// Takes an attribute away.
    pub fn remove(&mut self, id: AvId) {
        self.0.retain(|(known, _)| *known != id);
    }

    /// Whether there are no attributes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a list up to its `MsvAvEOL`; bytes after it are left alone. `at` is where the list stands in its message.
    ///
    /// # Errors
    /// A list without an end, or with a length that goes beyond it.
    pub(super) fn parse(bytes: &[u8], message: &'static str, at: usize) -> Result<Self, Malformed> {
        let mut pairs = Vec::new();
        let mut rest = bytes;
        loop {
            let malformed = Malformed {
                message,
                field: "target information",
                at: at + bytes.len() - rest.len(),
            };
            let (&[id_low, id_high, low, high], after) = rest.split_first_chunk().ok_or(malformed.clone())?;
            let id = u16::from_le_bytes([id_low, id_high]);
            let length = usize::from(u16::from_le_bytes([low, high]));
            if id == 0 {
                return if length == 0 { Ok(Self(pairs)) } else { Err(malformed) };
            }
            let (value, after) = after.split_at_checked(length).ok_or(malformed.clone())?;
            let id = AvId::from_number(id);
            let expected = match id {
                AvId::Flags => Some(4),
                AvId::Timestamp => Some(8),
                AvId::ChannelBindings => Some(16),
                _ => None,
            };
            // A second value of the same attribute would leave open which of the two was checked.
            let twice = pairs.iter().any(|(known, _)| *known == id);
            if twice || expected.is_some_and(|expected| expected != length) {
                return Err(malformed);
            }
            pairs.push((id, value.to_vec()));
            rest = after;
        }
    }

    /// Appends the list with its `MsvAvEOL`; `None` if a value is too long.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        for (id, value) in &self.0 {
            out.extend_from_slice(&id.number().to_le_bytes());
            out.extend_from_slice(&u16::try_from(value.len()).ok()?.to_le_bytes());
            out.extend_from_slice(value);
        }
        out.extend_from_slice(&[0; 4]);
        Some(())
    }
}
