//! HTTP bodies with an encrypted message: `multipart/encrypted`, and `multipart/x-multi-encrypted` for several, [MS-WSMV] 2.2.9.1.
//!
//! ```text
//! --Encrypted Boundary
//!     Content-Type: application/HTTP-SPNEGO-session-encrypted
//!     OriginalContent: type=application/soap+xml;charset=UTF-8;Length=1234
//! --Encrypted Boundary
//!     Content-Type: application/octet-stream
//! <length of the signature, u32 little-endian><signature><sealed bytes>--Encrypted Boundary--
//! ```
//!
//! It isn't quite MIME: no empty line ends the headers, no line break precedes a boundary, and the sealed bytes can
//! contain the boundary, so that they have to be taken by their length.
//!
//! CredSSP cuts what is longer than a TLS record, 16,384 bytes, into several such pairs of parts, and puts into each the length of
//! the record's trailer and then the record.

use std::fmt;
use std::ops::Range;

use crate::challenge::Scheme;
use crate::credssp::CredSspSealer;
use crate::sealer::{SealError, Sealer};

const BOUNDARY: &str = "Encrypted Boundary";
const OCTET_STREAM: &str = "application/octet-stream";
/// No signature is longer: Kerberos' have less than 100 bytes.
const MAX_SIGNATURE: usize = 1024;

/// How the bytes were sealed, as the body says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Everything that was negotiated under the schemes `Negotiate` and `NTLM`.
    Spnego,
    /// The bare scheme `Kerberos`.
    Kerberos,
    /// `CredSSP`: TLS records.
    CredSsp,
}

impl Protocol {
    /// The protocol of a connection that was authenticated by this scheme; `None` for schemes without encryption.
    pub fn of_scheme(scheme: &Scheme) -> Option<Self> {
        match scheme {
            Scheme::Negotiate | Scheme::Ntlm => Some(Self::Spnego),
            Scheme::Kerberos => Some(Self::Kerberos),
            Scheme::CredSsp => Some(Self::CredSsp),
            Scheme::Basic | Scheme::Certificate | Scheme::Other(_) => None,
        }
    }

    /// The media type by which a body names the protocol.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Spnego => "application/HTTP-SPNEGO-session-encrypted",
            Self::Kerberos => "application/HTTP-Kerberos-session-encrypted",
            Self::CredSsp => "application/HTTP-CredSSP-session-encrypted",
        }
    }

    /// The value of the header `Content-Type` of a body with one sealed message.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Spnego => "multipart/encrypted;protocol=\"application/HTTP-SPNEGO-session-encrypted\";boundary=\"Encrypted Boundary\"",
            Self::Kerberos => {
                "multipart/encrypted;protocol=\"application/HTTP-Kerberos-session-encrypted\";boundary=\"Encrypted Boundary\""
            }
            Self::CredSsp => "multipart/encrypted;protocol=\"application/HTTP-CredSSP-session-encrypted\";boundary=\"Encrypted Boundary\"",
        }
    }

    /// The value of the header `Content-Type` of a body with a plain text of `length` bytes.
    pub const fn content_type_for(self, length: usize) -> &'static str {
        match self {
            Self::CredSsp if length > CredSspSealer::RECORD => {
                "multipart/x-multi-encrypted;protocol=\"application/HTTP-CredSSP-session-encrypted\";boundary=\"Encrypted Boundary\""
            }
            _ => self.content_type(),
        }
    }

    fn from_media_type(media_type: &str) -> Option<Self> {
        [Self::Spnego, Self::Kerberos, Self::CredSsp]
            .into_iter()
            .find(|protocol| protocol.media_type().eq_ignore_ascii_case(media_type))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.media_type())
    }
}

/// Whether a `Content-Type` says that the body is sealed. What isn't must not be taken for an answer on a connection
/// that is.
pub fn is_sealed(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("multipart/encrypted") || media_type.eq_ignore_ascii_case("multipart/x-multi-encrypted")
}

/// Builds a body around `payload`, whose own type is `original_type` (`application/soap+xml;charset=UTF-8`), and
/// seals it where it then stands. Send it with [`Protocol::content_type_for`] the payload's length.
///
/// # Errors
/// What the sealer says.
pub fn seal(sealer: &mut Sealer, protocol: Protocol, original_type: &str, payload: &[u8]) -> Result<Vec<u8>, SealError> {
    seal_in(Vec::new(), sealer, protocol, original_type, payload)
}

/// As [`seal`], in the memory of `buffer`, whose content is lost. It grows if it has to.
///
/// # Errors
/// What the sealer says.
pub fn seal_in(
    buffer: Vec<u8>,
    sealer: &mut Sealer,
    protocol: Protocol,
    original_type: &str,
    payload: &[u8],
) -> Result<Vec<u8>, SealError> {
    let mut body = buffer;
    body.clear();
    if let Sealer::CredSsp(sealer) = sealer {
        return seal_records(body, sealer, protocol, original_type, payload);
    }
    let layout = sealer.layout(payload.len())?;
    let sealed_length = payload.len() + layout.padding;
    let headers = headers(protocol, original_type, sealed_length);
    body.reserve_exact(headers.len() + 4 + layout.signature + sealed_length + END.len());
    body.extend_from_slice(headers.as_bytes());
    body.extend_from_slice(&(layout.signature as u32).to_le_bytes());
    let start = body.len();
    body.resize(start + layout.signature, 0);
    body.extend_from_slice(payload);
    body.resize(body.len() + layout.padding, 0);
    let (signature, rest) = body[start..].split_at_mut(layout.signature);
    let (data, padding) = rest.split_at_mut(payload.len());
    sealer.seal_in_place(signature, data, padding)?;
    body.extend_from_slice(END);
    Ok(body)
}

/// What ends a body.
const END: &[u8] = b"--Encrypted Boundary--\r\n";

/// What stands in front of a sealed message.
fn headers(protocol: Protocol, original_type: &str, length: usize) -> String {
    format!(
        "--{BOUNDARY}\r\n\tContent-Type: {protocol}\r\n\
         \tOriginalContent: type={original_type};Length={length}\r\n\
         --{BOUNDARY}\r\n\tContent-Type: {OCTET_STREAM}\r\n"
    )
}

/// A pair of parts for each record.
fn seal_records(
    mut body: Vec<u8>,
    sealer: &mut CredSspSealer,
    protocol: Protocol,
    original_type: &str,
    payload: &[u8],
) -> Result<Vec<u8>, SealError> {
    if payload.is_empty() {
        return Err(SealError::Empty);
    }
    // Beyond the payload: headers of less than 200 bytes and a record's own, which are less than 100.
    let pieces = payload.len().div_ceil(CredSspSealer::RECORD);
    body.reserve_exact(payload.len() + pieces * (original_type.len() + 300) + END.len());
    for piece in payload.chunks(CredSspSealer::RECORD) {
        body.extend_from_slice(headers(protocol, original_type, piece.len()).as_bytes());
        let at = body.len();
        body.extend_from_slice(&[0; 4]);
        let trailer = sealer.seal_record(piece, &mut body)?;
        body[at..at + 4].copy_from_slice(&(trailer as u32).to_le_bytes());
    }
    body.extend_from_slice(END);
    Ok(body)
}

/// A body that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// The protocol the body named; an answer to it has to name the same.
    pub protocol: Protocol,
    /// The type of the plain text.
    pub original_type: String,
    /// Where the plain text stands in the body.
    pub plain: Range<usize>,
}

/// Checks and decrypts a body where it stands. Several messages in one body become one contiguous plain text.
///
/// `limit` is the greatest length of the plain text, in bytes.
///
/// # Errors
/// See [`SealedBodyError`]. After an error `body` is of no use, and neither is the connection.
pub fn open(sealer: &mut Sealer, content_type: &str, body: &mut [u8], limit: usize) -> Result<Opened, SealedBodyError> {
    let (protocol, parts) = parse(content_type, body)?;
    let mut original_type = String::new();
    let mut plain = 0..0;
    for (index, part) in parts.into_iter().enumerate() {
        if part.length > limit.saturating_sub(plain.len()) {
            return Err(SealedBodyError::TooLarge { limit });
        }
        let start = part.message.start;
        let found = sealer.unseal_in_place(part.signature.min(part.message.len()), &mut body[part.message])?;
        if protocol == Protocol::CredSsp && found.len() != part.length {
            return Err(SealedBodyError::Length {
                stated: part.length,
                found: found.len(),
            });
        }
        let found = start + found.start..start + found.end;
        if index == 0 {
            (plain, original_type) = (found, part.original_type);
        } else {
            body.copy_within(found.clone(), plain.end);
            plain.end += found.len();
        }
    }
    Ok(Opened {
        protocol,
        original_type,
        plain,
    })
}

/// One sealed message of a body, not opened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// The type of the plain text.
    pub original_type: String,
    /// The length of the plain text with its padding, in bytes, as the body states it.
    pub length: usize,
    /// The length of the signature, in bytes, as the body states it.
    pub signature: usize,
    /// Where signature and sealed bytes stand in the body.
    pub message: Range<usize>,
}

/// Takes a body apart without opening it.
///
/// # Errors
/// See [`SealedBodyError`].
pub fn parse(content_type: &str, body: &[u8]) -> Result<(Protocol, Vec<Part>), SealedBodyError> {
    if !is_sealed(content_type) {
        return Err(SealedBodyError::NotSealed {
            content_type: content_type.to_owned(),
        });
    }
    let protocol = parameter(content_type, "protocol")
        .and_then(Protocol::from_media_type)
        .ok_or_else(|| SealedBodyError::Protocol {
            content_type: content_type.to_owned(),
        })?;
    let boundary = parameter(content_type, "boundary")
        .filter(|boundary| !boundary.is_empty())
        .ok_or_else(|| SealedBodyError::Boundary {
            content_type: content_type.to_owned(),
        })?;
    let mut reader = Reader {
        body,
        at: 0,
        boundary: boundary.as_bytes(),
    };
    let mut parts = Vec::new();
    reader.delimiter()?;
    reader.line_end()?;
    loop {
        parts.push(reader.part(protocol)?);
        reader.delimiter()?;
        if reader.skip(b"--") {
            reader.skip(b"\r\n");
            return if reader.at == body.len() {
                Ok((protocol, parts))
            } else {
                Err(SealedBodyError::Trailing { at: reader.at })
            };
        }
        reader.line_end()?;
    }
}

/// Why a body can't be opened. Offsets count bytes from the begin of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealedBodyError {
    /// The body is in clear text.
    #[error("the body is not encrypted: its Content-Type is {content_type:?}")]
    NotSealed {
        /// The header's value.
        content_type: String,
    },
    /// The `Content-Type` names no protocol that is known here.
    #[error("no known encryption protocol in Content-Type {content_type:?}")]
    Protocol {
        /// The header's value.
        content_type: String,
    },
    /// The `Content-Type` has no boundary.
    #[error("no boundary in Content-Type {content_type:?}")]
    Boundary {
        /// The header's value.
        content_type: String,
    },
    /// A boundary should stand here.
    #[error("no boundary at byte {at} of the encrypted body")]
    Delimiter {
        /// Byte offset.
        at: usize,
    },
    /// A line isn't ended by CR LF.
    #[error("no line end at byte {at} of the encrypted body")]
    LineEnd {
        /// Byte offset.
        at: usize,
    },
    /// Another header than the one that has to stand here, or another value.
    #[error("the encrypted body has no header {expected:?} at byte {at}")]
    Header {
        /// Byte offset.
        at: usize,
        /// The header's name, and its value if only one is possible.
        expected: &'static str,
    },
    /// `OriginalContent` without a type, or with a length that is no number.
    #[error("OriginalContent at byte {at} of the encrypted body is not `type=…;Length=N`")]
    OriginalContent {
        /// Byte offset.
        at: usize,
    },
    /// A signature longer than any.
    #[error("a signature of {length} bytes at byte {at} of the encrypted body")]
    Signature {
        /// Byte offset.
        at: usize,
        /// The length in front of the signature.
        length: u32,
    },
    /// The body ends inside a message.
    #[error("the encrypted body ends inside the message at byte {at}")]
    Truncated {
        /// Byte offset.
        at: usize,
    },
    /// Bytes after the last boundary.
    #[error("bytes follow the end of the encrypted body, at byte {at}")]
    Trailing {
        /// Byte offset.
        at: usize,
    },
    /// The plain text is longer than the caller wants to have.
    #[error("the encrypted body has more than {limit} bytes of plain text")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A plain text of another length than the body states.
    #[error("a message of the encrypted body has {found} bytes of plain text, not {stated}")]
    Length {
        /// The length that the body states, in bytes.
        stated: usize,
        /// The length it has.
        found: usize,
    },
    /// The message can't be decrypted.
    #[error("the encrypted body can't be decrypted")]
    Seal(#[from] SealError),
}

/// A parameter of a `Content-Type`, with or without quotes.
fn parameter<'a>(content_type: &'a str, wanted: &str) -> Option<&'a str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        name.trim().eq_ignore_ascii_case(wanted).then_some(value)
    })
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
    boundary: &'a [u8],
}

impl Reader<'_> {
    fn part(&mut self, protocol: Protocol) -> Result<Part, SealedBodyError> {
        let (at, value) = self.header("Content-Type")?;
        if Protocol::from_media_type(value) != Some(protocol) {
            return Err(SealedBodyError::Header {
                at,
                expected: protocol.media_type(),
            });
        }
        let (at, value) = self.header("OriginalContent")?;
        let (original_type, length) = original_content(value).ok_or(SealedBodyError::OriginalContent { at })?;
        let original_type = original_type.to_owned();
        self.delimiter()?;
        self.line_end()?;
        let (at, value) = self.header("Content-Type")?;
        if !value.eq_ignore_ascii_case(OCTET_STREAM) {
            return Err(SealedBodyError::Header {
                at,
                expected: OCTET_STREAM,
            });
        }
        let at = self.at;
        let truncated = SealedBodyError::Truncated { at };
        let rest = &self.body[at..];
        let (signature, message) = rest.split_first_chunk::<4>().ok_or(truncated.clone())?;
        let stated = u32::from_le_bytes(*signature);
        let signature = stated as usize;
        if signature > MAX_SIGNATURE {
            return Err(SealedBodyError::Signature { at, length: stated });
        }
        let sealed = match protocol {
            Protocol::Spnego | Protocol::Kerberos => signature.checked_add(length),
            Protocol::CredSsp => self.tls_records(at + 4),
        };
        let sealed = sealed.filter(|sealed| *sealed <= message.len()).ok_or(truncated)?;
        let start = at + 4;
        self.at = start + sealed;
        Ok(Part {
            original_type,
            length,
            signature,
            message: start..self.at,
        })
    }

    /// The length of the TLS records up to the next boundary. A record begins with 0x17, two bytes of version and two
    /// of length, so that it can't be taken for a boundary.
    fn tls_records(&self, start: usize) -> Option<usize> {
        let mut at = start;
        while self.body.get(at) == Some(&0x17) {
            let length = self.body.get(at + 3..at + 5)?;
            at += 5 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        }
        (at > start).then_some(at - start)
    }

    /// `--Encrypted Boundary`; Exchange puts a space before the name.
    fn delimiter(&mut self) -> Result<(), SealedBodyError> {
        let at = self.at;
        let boundary = self.boundary;
        if self.skip(b"--") {
            if self.skip(boundary) || (self.skip(b" ") && self.skip(boundary)) {
                return Ok(());
            }
            self.at = at;
        }
        Err(SealedBodyError::Delimiter { at })
    }

    fn line_end(&mut self) -> Result<(), SealedBodyError> {
        if self.skip(b"\r\n") {
            Ok(())
        } else {
            Err(SealedBodyError::LineEnd { at: self.at })
        }
    }

    /// One header line with this name: where it begins, and its value.
    fn header(&mut self, name: &'static str) -> Result<(usize, &str), SealedBodyError> {
        const LONGEST: usize = 1024;
        let at = self.at;
        let rest = &self.body[at..];
        let window = &rest[..rest.len().min(LONGEST)];
        let missing = SealedBodyError::Header { at, expected: name };
        let end = window.iter().position(|&b| b == b'\n').ok_or(missing.clone())?;
        let line = std::str::from_utf8(&window[..end]).map_err(|_| missing.clone())?;
        let (found, value) = line.trim_start_matches(['\t', ' ']).split_once(':').ok_or(missing.clone())?;
        if !found.trim_end().eq_ignore_ascii_case(name) {
            return Err(missing);
        }
        self.at += end;
        let value = value.strip_suffix('\r').ok_or(SealedBodyError::LineEnd { at: self.at })?;
        self.at += 1;
        Ok((at, value.trim_matches(['\t', ' '])))
    }

    fn skip(&mut self, bytes: &[u8]) -> bool {
        let found = self.body[self.at..].starts_with(bytes);
        if found {
            self.at += bytes.len();
        }
        found
    }
}

/// `type=application/soap+xml;charset=UTF-8;Length=1234`.
fn original_content(value: &str) -> Option<(&str, usize)> {
    let (content_type, length) = value.rsplit_once(';')?;
    let (name, length) = length.split_once('=')?;
    let (kind, content_type) = content_type.split_once('=')?;
    let known = kind.trim().eq_ignore_ascii_case("type") && name.trim().eq_ignore_ascii_case("length");
    let digits = length.trim();
    // `parse` alone would take a sign.
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()?;
    known.then(|| (content_type.trim(), number))
}

#[cfg(test)]
#[path = "sealed_body_tests.rs"]
mod tests;
