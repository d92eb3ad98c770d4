//! What a command reads from its standard input.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncRead;

/// Where a command's standard input comes from.
///
/// The default is [`null`](Self::null), as it is for [`std::process::Command::output`].
pub struct Stdio(pub(crate) Source);

pub(crate) enum Source {
    Null,
    /// As `Null`, but told only so long after the start.
    Late(Duration),
    Open,
    Piped,
    Bytes(Bytes),
    Reader(Box<dyn AsyncRead + Send + Unpin>),
}

impl Stdio {
    /// No input: a command that reads finds the end.
    ///
    /// Telling it so takes a request of its own, on a second connection. Most commands never read, so the request is sent
    /// only to those that still run after a quarter of a second.
    #[must_use]
    pub fn null() -> Self {
        Self(Source::Null)
    }

    /// Nothing is sent, not even the end: a command that reads waits until its deadline.
    #[must_use]
    pub fn open() -> Self {
        Self(Source::Open)
    }

    /// [`Child::stdin`](crate::Child::stdin) is written by the caller, and ends when that is shut down or dropped. With
    /// [`output`](crate::Command::output) and [`status`](crate::Command::status) there is nobody to write: it is as
    /// [`null`](Self::null).
    #[must_use]
    pub fn piped() -> Self {
        Self(Source::Piped)
    }

    /// These bytes, and then the end.
    #[must_use]
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Source::Bytes(bytes.into()))
    }

    /// Whatever `reader` gives until it ends. It is read only as fast as the command takes it.
    #[must_use]
    pub fn reader(reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self(Source::Reader(Box::new(reader)))
    }
}

impl Default for Stdio {
    fn default() -> Self {
        Self::null()
    }
}

impl From<Vec<u8>> for Stdio {
    fn from(bytes: Vec<u8>) -> Self {
        Self::bytes(bytes)
    }
}

impl From<Bytes> for Stdio {
    fn from(bytes: Bytes) -> Self {
        Self::bytes(bytes)
    }
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Null | Source::Late(_) => f.write_str("Null"),
            Source::Open => f.write_str("Open"),
            Source::Piped => f.write_str("Piped"),
            Source::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Source::Reader(_) => f.write_str("Reader"),
        }
    }
}
