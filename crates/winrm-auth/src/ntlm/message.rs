//! The three messages of NTLM, [MS-NLMP] 2.2.1, read and written.

use super::SIGNATURE;
use super::av_pair::AvPairs;
use super::crypto::utf16;

/// The negotiate flags, [MS-NLMP] 2.2.2.5.
pub mod flags {
    /// Texts are UTF-16LE.
    pub const UNICODE: u32 = 0x1;
    /// Texts are in the OEM code page.
    pub const OEM: u32 = 0x2;
    /// The client wants the server's name.
    pub const REQUEST_TARGET: u32 = 0x4;
    /// Signatures.
    pub const SIGN: u32 = 0x10;
    /// Encryption.
    pub const SEAL: u32 = 0x20;
    /// NTLM at all, as opposed to LM.
    pub const NTLM: u32 = 0x200;
    /// An anonymous session.
    pub const ANONYMOUS: u32 = 0x800;
    /// A session key, even if nothing is signed.
    pub const ALWAYS_SIGN: u32 = 0x8000;
    /// The target is a server rather than a domain.
    pub const TARGET_TYPE_SERVER: u32 = 0x2_0000;
    /// Extended session security, which NTLMv2's signatures need.
    pub const EXTENDED_SESSION_SECURITY: u32 = 0x8_0000;
    /// The challenge has target information.
    pub const TARGET_INFO: u32 = 0x80_0000;
    /// The version field is filled.
    pub const VERSION: u32 = 0x200_0000;
    /// Keys of 128 bits.
    pub const KEY_128: u32 = 0x2000_0000;
    /// The client chooses the session key.
    pub const KEY_EXCHANGE: u32 = 0x4000_0000;
    /// Keys of 56 bits.
    pub const KEY_56: u32 = 0x8000_0000;
}

/// The longest message that is read, in bytes.
const MAX_MESSAGE: usize = 0xffff;

/// Where a message can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} of the NTLM {message} message is malformed, at byte {at}")]
pub struct Malformed {
    /// `NEGOTIATE`, `CHALLENGE` or `AUTHENTICATE`.
    pub message: &'static str,
    /// The field, in words.
    pub field: &'static str,
    /// Byte offset in the message.
    pub at: usize,
}

/// `VERSION`, [MS-NLMP] 2.2.2.10: informative only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Major and minor version of the operating system.
    pub product: (u8, u8),
    /// Its build number.
    pub build: u16,
}

impl Version {
    /// What this program calls itself: the first Windows 10, because there is no number for other systems.
    pub const OURS: Self = Self {
        product: (10, 0),
        build: 0,
    };

    fn bytes(self) -> [u8; 8] {
        const REVISION_W2K3: u8 = 15;
        let [low, high] = self.build.to_le_bytes();
        [self.product.0, self.product.1, low, high, 0, 0, 0, REVISION_W2K3]
    }
}

/// `NEGOTIATE_MESSAGE`, [MS-NLMP] 2.2.1.1: the client says what it can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiateMessage {
    /// See [`flags`].
    pub flags: u32,
}

impl NegotiateMessage {
    const NAME: &str = "NEGOTIATE";

    /// Reads a message. The names it may hold are of no use and are not looked at.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let message = Fields::new(bytes, Self::NAME, 1)?;
        Ok(Self {
            flags: message.u32("the flags", 12)?,
        })
    }

    /// Writes the message: 40 bytes, with a version and without names.
    pub fn write(&self) -> Vec<u8> {
        let mut out = header(1);
        out.extend_from_slice(&(self.flags | flags::VERSION).to_le_bytes());
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&Version::OURS.bytes());
        out
    }
}

/// `CHALLENGE_MESSAGE`, [MS-NLMP] 2.2.1.2: the server's nonce and names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeMessage {
    /// What the server agreed to, see [`flags`].
    pub flags: u32,
    /// The server's name, decoded if the flags say UTF-16LE, else empty.
    pub target_name: String,
    /// The nonce.
    pub server_challenge: [u8; 8],
    /// Attributes of the server; empty if it sent none.
    pub target_info: AvPairs,
}

impl ChallengeMessage {
    const NAME: &str = "CHALLENGE";

    /// Reads a message.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let message = Fields::new(bytes, Self::NAME, 2)?;
        let flags = message.u32("the flags", 20)?;
        let server_challenge = message.array("the server challenge", 24)?;
        let target_name = if flags & flags::UNICODE != 0 {
            message.text("the target name", 12)?
        } else {
            String::new()
        };
        let target_info = if flags & flags::TARGET_INFO != 0 {
            let (info, at) = message.payload("the target information", 40)?;
            if info.is_empty() {
                AvPairs::default()
            } else {
                AvPairs::parse(info, Self::NAME, at)?
            }
        } else {
            AvPairs::default()
        };
        Ok(Self {
            flags,
            target_name,
            server_challenge,
            target_info,
        })
    }

    /// Writes the message, with a version.
    ///
    /// # Errors
    /// Says which field has more than 65,535 bytes.
    pub fn write(&self) -> Result<Vec<u8>, TooLong> {
        let mut payload = Payload::after(56);
        let target_name = payload.add(&utf16(&self.target_name), "target name")?;
        let mut info = Vec::new();
        self.target_info.write(&mut info).ok_or(TooLong("target information"))?;
        let info = payload.add(&info, "target information")?;

        let mut out = header(2);
        out.extend_from_slice(&target_name);
        out.extend_from_slice(&(self.flags | flags::VERSION | flags::TARGET_INFO).to_le_bytes());
        out.extend_from_slice(&self.server_challenge);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&info);
        out.extend_from_slice(&Version::OURS.bytes());
        out.extend_from_slice(&payload.bytes);
        Ok(out)
    }
}

/// `AUTHENTICATE_MESSAGE`, [MS-NLMP] 2.2.1.3: the client's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticateMessage {
    /// What was agreed, see [`flags`].
    pub flags: u32,
    /// The LM response; 24 zero bytes from us.
    pub lm_response: Vec<u8>,
    /// The NTLMv2 response as it stands in the message, see [`NtlmV2Response`].
    pub nt_response: Vec<u8>,
    /// The user's domain; may be empty.
    pub domain: String,
    /// The user.
    pub user: String,
    /// The client's name; may be empty.
    pub workstation: String,
    /// The session key, encrypted; empty if none was exchanged.
    pub encrypted_session_key: Vec<u8>,
    /// The message integrity code over all three messages, if the message has room for one.
    pub mic: Option<[u8; 16]>,
}

impl AuthenticateMessage {
    const NAME: &str = "AUTHENTICATE";
    /// Where the integrity code stands.
    pub(super) const MIC_AT: std::ops::Range<usize> = 72..88;

    /// Reads a message.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let message = Fields::new(bytes, Self::NAME, 3)?;
        let flags = message.u32("the flags", 60)?;
        let (lm_response, lm_at) = message.payload("the LM response", 12)?;
        let (nt_response, nt_at) = message.payload("the NT response", 20)?;
        let (_, domain_at) = message.payload("the domain", 28)?;
        let (_, user_at) = message.payload("the user", 36)?;
        let (_, workstation_at) = message.payload("the workstation", 44)?;
        let (session_key, key_at) = message.payload("the session key", 52)?;
        if flags & flags::UNICODE == 0 {
            return Err(message.malformed("the flags (no Unicode)", 60));
        }
        // The field is left out by clients older than Vista: it's there if nothing else is.
        let first = [lm_at, nt_at, domain_at, user_at, workstation_at, key_at].into_iter().min();
        let mic = if first.is_some_and(|first| first >= Self::MIC_AT.end) {
            Some(message.array("the integrity code", Self::MIC_AT.start)?)
        } else {
            None
        };
        Ok(Self {
            flags,
            lm_response: lm_response.to_vec(),
            nt_response: nt_response.to_vec(),
            domain: message.text("the domain", 28)?,
            user: message.text("the user", 36)?,
            workstation: message.text("the workstation", 44)?,
            encrypted_session_key: session_key.to_vec(),
            mic,
        })
    }

    /// Writes the message, with a version, and with room for the integrity code if there is one.
    ///
    /// # Errors
    /// Says which field has more than 65,535 bytes.
    pub fn write(&self) -> Result<Vec<u8>, TooLong> {
        let start = if self.mic.is_some() { Self::MIC_AT.end } else { Self::MIC_AT.start };
        let mut payload = Payload::after(start);
        // The order of the payload is that of Windows; nothing depends on it.
        let domain = payload.add(&utf16(&self.domain), "domain")?;
        let user = payload.add(&utf16(&self.user), "user name")?;
        let workstation = payload.add(&utf16(&self.workstation), "workstation name")?;
        let lm_response = payload.add(&self.lm_response, "LM response")?;
        let nt_response = payload.add(&self.nt_response, "NT response")?;
        let session_key = payload.add(&self.encrypted_session_key, "session key")?;

        let mut out = header(3);
        for field in [lm_response, nt_response, domain, user, workstation, session_key] {
            out.extend_from_slice(&field);
        }
        out.extend_from_slice(&(self.flags | flags::VERSION).to_le_bytes());
        out.extend_from_slice(&Version::OURS.bytes());
        if let Some(mic) = self.mic {
            out.extend_from_slice(&mic);
        }
        out.extend_from_slice(&payload.bytes);
        Ok(out)
    }
}

/// `NTLMv2_RESPONSE`, [MS-NLMP] 2.2.2.7 and 2.2.2.8: the proof and what it was made over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NtlmV2Response {
    /// HMAC-MD5 over the server's nonce and the rest of this structure.
    pub proof: [u8; 16],
    /// The server's time if it sent one, else the client's; see [`filetime`](super::filetime).
    pub timestamp: u64,
    /// The client's nonce.
    pub client_challenge: [u8; 8],
    /// The server's attributes, with the client's additions.
    pub attributes: AvPairs,
}

impl NtlmV2Response {
    /// Length of the proof; what follows is what it covers.
    pub(super) const PROOF: usize = 16;

    /// Reads a response. Offsets in errors count from its begin.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let fields = Fields {
            bytes,
            name: AuthenticateMessage::NAME,
        };
        if fields.array::<2>("the version of the NT response", 16)? != [1, 1] {
            return Err(fields.malformed("the version of the NT response", 16));
        }
        let at = 44;
        let attributes = bytes
            .get(at..)
            .ok_or_else(|| fields.malformed("the attributes of the NT response", at))?;
        Ok(Self {
            proof: fields.array("the proof", 0)?,
            timestamp: u64::from_le_bytes(fields.array("the timestamp", 24)?),
            client_challenge: fields.array("the client challenge", 32)?,
            attributes: AvPairs::parse(attributes, AuthenticateMessage::NAME, at)?,
        })
    }

    /// Writes what the proof covers: everything but the proof.
    pub(super) fn write_covered(&self) -> Result<Vec<u8>, TooLong> {
        let mut out = vec![1, 1, 0, 0, 0, 0, 0, 0];
        out.extend_from_slice(&self.timestamp.to_le_bytes());
        out.extend_from_slice(&self.client_challenge);
        out.extend_from_slice(&[0; 4]);
        self.attributes.write(&mut out).ok_or(TooLong("target information"))?;
        out.extend_from_slice(&[0; 4]);
        Ok(out)
    }
}

/// A field that doesn't fit into 65,535 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0} is too long for an NTLM message")]
pub struct TooLong(pub &'static str);

impl From<TooLong> for super::NtlmError {
    fn from(TooLong(field): TooLong) -> Self {
        Self::TooLong(field)
    }
}

fn header(kind: u32) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    out.extend_from_slice(&kind.to_le_bytes());
    out
}

/// Reads fields at fixed offsets.
struct Fields<'a> {
    bytes: &'a [u8],
    name: &'static str,
}

impl<'a> Fields<'a> {
    fn new(bytes: &'a [u8], name: &'static str, kind: u32) -> Result<Self, Malformed> {
        let fields = Self { bytes, name };
        if bytes.len() > MAX_MESSAGE {
            return Err(fields.malformed("the length", MAX_MESSAGE));
        }
        if fields.array::<8>("the signature", 0)? != *SIGNATURE {
            return Err(fields.malformed("the signature", 0));
        }
        if fields.u32("the message type", 8)? != kind {
            return Err(fields.malformed("the message type", 8));
        }
        Ok(fields)
    }

    fn malformed(&self, field: &'static str, at: usize) -> Malformed {
        Malformed {
            message: self.name,
            field,
            at,
        }
    }

    fn array<const N: usize>(&self, field: &'static str, at: usize) -> Result<[u8; N], Malformed> {
        let bytes = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
        bytes.copied().ok_or_else(|| self.malformed(field, at))
    }

    fn u32(&self, field: &'static str, at: usize) -> Result<u32, Malformed> {
        self.array(field, at).map(u32::from_le_bytes)
    }

    /// What length and offset at `at` point to, and the offset.
    fn payload(&self, field: &'static str, at: usize) -> Result<(&'a [u8], usize), Malformed> {
        let [low, high, _, _, offset @ ..] = self.array::<8>(field, at)?;
        let length = usize::from(u16::from_le_bytes([low, high]));
        if length == 0 {
            // Offsets of empty fields are often nonsense.
            return Ok((&[], usize::MAX));
        }
        let start = u32::from_le_bytes(offset) as usize;
        let bytes = self.bytes.get(start..).and_then(|rest| rest.get(..length));
        bytes.map(|bytes| (bytes, start)).ok_or_else(|| self.malformed(field, at))
    }

    fn text(&self, field: &'static str, at: usize) -> Result<String, Malformed> {
        let (bytes, start) = self.payload(field, at)?;
        let (units, odd) = bytes.as_chunks::<2>();
        let text: Result<String, _> = char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit))).collect();
        match text {
            Ok(text) if odd.is_empty() => Ok(text),
            _ => Err(self.malformed(field, start)),
        }
    }
}

/// Collects what stands behind the fixed part of a message.
struct Payload {
    start: usize,
    bytes: Vec<u8>,
}

impl Payload {
    fn after(start: usize) -> Self {
        Self { start, bytes: Vec::new() }
    }

    /// Adds a field and gives its length (twice) and offset.
    fn add(&mut self, field: &[u8], name: &'static str) -> Result<[u8; 8], TooLong> {
        let length = u16::try_from(field.len()).map_err(|_| TooLong(name))?.to_le_bytes();
        let offset = u32::try_from(self.start + self.bytes.len())
            .map_err(|_| TooLong(name))?
            .to_le_bytes();
        self.bytes.extend_from_slice(field);
        let [a, b] = length;
        let [c, d, e, f] = offset;
        Ok([a, b, a, b, c, d, e, f])
    }
}
