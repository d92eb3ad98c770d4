//! Whether a host asks for a certificate, seen from outside: OpenSSL's crate doesn't tell.
//!
//! Up to TLS 1.2 a handshake is readable until the host switches to encryption, and records keep their type afterwards. That is
//! enough to see a `CertificateRequest` (RFC 5246, 7.4.4), and that the host renegotiates, which WinRM hosts do for nothing else.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Types of records (RFC 5246, 6.2.1) and of handshake messages (7.4).
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const CERTIFICATE_REQUEST: u8 = 13;

/// What was seen of requests for a certificate, over all connections of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub(crate) fn is_true(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A TCP connection that looks at what TLS sends.
pub(crate) struct Watched {
    tcp: TcpStream,
    records: Records,
    asked: Asked,
}

impl Watched {
    pub(super) fn new(tcp: TcpStream, asked: Asked) -> Self {
        Self {
            tcp,
            records: Records::default(),
            asked,
        }
    }
}

/// The incoming records, as far as they have to be understood.
#[derive(Default)]
struct Records {
    /// The bytes of a record's head that have come.
    head: Vec<u8>,
    /// How much of the record's content is still to come.
    left: usize,
    /// The bytes of a handshake message's head that have come.
    message: Vec<u8>,
    /// How much of the message is still to come.
    message_left: usize,
    encrypted: bool,
    /// Handshake records since encryption began.
    later: u32,
}

impl Records {
    /// Whether these bytes ask for a certificate.
    fn see(&mut self, mut bytes: &[u8]) -> bool {
        let mut asked = false;
        while !bytes.is_empty() {
            if self.left == 0 {
                let missing = 5 - self.head.len();
                let (begin, rest) = bytes.split_at(missing.min(bytes.len()));
                self.head.extend_from_slice(begin);
                bytes = rest;
                let [kind, _, _, high, low] = self.head[..] else {
                    return asked;
                };
                self.left = usize::from(u16::from_be_bytes([high, low]));
                if kind == HANDSHAKE && self.encrypted {
                    // The first is the end of the handshake.
                    self.later += 1;
                    asked |= self.later > 1;
                }
                self.encrypted |= kind == CHANGE_CIPHER_SPEC;
                if self.left == 0 {
                    self.head.clear();
                }
                continue;
            }
            let (content, rest) = bytes.split_at(self.left.min(bytes.len()));
            if self.head.first() == Some(&HANDSHAKE) && !self.encrypted {
                asked |= self.read(content);
            }
            self.left -= content.len();
            if self.left == 0 {
                self.head.clear();
            }
            bytes = rest;
        }
        asked
    }

    /// Handshake messages may be spread over records, and share them.
    fn read(&mut self, mut content: &[u8]) -> bool {
        let mut asked = false;
        while !content.is_empty() {
            if self.message_left > 0 {
                let skipped = self.message_left.min(content.len());
                self.message_left -= skipped;
                content = &content[skipped..];
                continue;
            }
            let missing = 4 - self.message.len();
            let (begin, rest) = content.split_at(missing.min(content.len()));
            self.message.extend_from_slice(begin);
            content = rest;
            if let [kind, high, middle, low] = self.message[..] {
                asked |= kind == CERTIFICATE_REQUEST;
                self.message_left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                self.message.clear();
            }
        }
        asked
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.tcp).poll_read(context, buffer);
        if this.records.see(&buffer.filled()[before..]) {
            this.asked.set();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[kind, 3, 3], &length[..], content].concat()
    }

    fn message(kind: u8, length: usize) -> Vec<u8> {
        let head = [kind, 0, (length >> 8) as u8, length as u8];
        [&head[..], &vec![CERTIFICATE_REQUEST; length]].concat()
    }

    /// All cuts give the same.
    #[track_caller]
    fn asked(bytes: &[u8]) -> bool {
        let whole = Records::default().see(bytes);
        for size in [1, 2, 3, 7] {
            let mut records = Records::default();
            let found = bytes.chunks(size).filter(|chunk| records.see(chunk)).count() > 0;
            assert_eq!(found, whole, "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn a_request_in_the_first_handshake() {
        let hello = message(2, 80);
        let certificate = message(11, 900);
        let done = message(14, 0);
        let none = [hello.clone(), certificate.clone(), done.clone()].concat();
        assert!(!asked(&record(HANDSHAKE, &none)));
        let with = [hello, certificate, message(CERTIFICATE_REQUEST, 30), done].concat();
        assert!(asked(&record(HANDSHAKE, &with)));
        // A message over two records.
        let (first, second) = with.split_at(400);
        assert!(asked(&[record(HANDSHAKE, first), record(HANDSHAKE, second)].concat()));
    }

    #[test]
    fn a_renegotiation_is_a_request() {
        let begin = [
            record(HANDSHAKE, &message(2, 80)),
            record(CHANGE_CIPHER_SPEC, &[1]),
            record(HANDSHAKE, &[7; 40]),
            record(23, &[CERTIFICATE_REQUEST; 600]),
        ]
        .concat();
        assert!(!asked(&begin));
        assert!(asked(&[begin, record(HANDSHAKE, &[9; 28])].concat()));
    }
}
