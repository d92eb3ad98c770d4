//! The streams of a running command.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

/// Why the streams of a command ended before the command did.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) kind: io::ErrorKind,
    pub(crate) message: String,
}

/// Set before the streams' senders are dropped.
pub(crate) type Failure = Arc<OnceLock<Broken>>;

/// Output as it arrives: pieces that the host's answers held, not copied again until they are read.
#[derive(Debug)]
pub(crate) struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
    failure: Failure,
}

/// How many pieces wait for a reader before the host is asked for no more: a piece is as long as one answer at most.
const WAITING: usize = 2;

pub(crate) fn pipe(failure: &Failure) -> (mpsc::Sender<Bytes>, Pieces) {
    let (sender, pieces) = mpsc::channel(WAITING);
    let reader = Pieces {
        pieces,
        current: Bytes::new(),
        failure: Arc::clone(failure),
    };
    (sender, reader)
}

impl Pieces {
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.current.is_empty() {
            match ready!(self.pieces.poll_recv(context)) {
                Some(piece) => self.current = piece,
                None => return Poll::Ready(self.ended()),
            }
        }
        Poll::Ready(Ok(true))
    }

    fn ended(&self) -> io::Result<bool> {
        match self.failure.get() {
            Some(broken) => Err(io::Error::new(broken.kind, broken.message.clone())),
            None => Ok(false),
        }
    }

    async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let more = std::future::poll_fn(|context| self.poll_fill(context)).await?;
        Ok(more.then(|| std::mem::take(&mut self.current)))
    }

    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if ready!(self.poll_fill(context))? {
            let length = self.current.len().min(buffer.remaining());
            buffer.put_slice(&self.current[..length]);
            self.current.advance(length);
        }
        Poll::Ready(Ok(()))
    }
}

macro_rules! output_stream {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// The host is asked for more only as fast as this is read. A command that was not run to its end gives an error
        /// instead of an end; [`Child::wait`](crate::Child::wait) says the reason in full.
        #[derive(Debug)]
        pub struct $name(pub(crate) Pieces);

        impl $name {
            /// The next piece of output as it came, without a copy; `None` at the end.
            ///
            /// # Errors
            /// When the command was not run to its end.
            pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
                self.0.chunk().await
            }
        }

        impl AsyncRead for $name {
            fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                self.0.poll_read(context, buffer)
            }
        }
    };
}

output_stream! {
    /// A command's standard output.
    ChildStdout
}
output_stream! {
    /// A command's standard error.
    ChildStderr
}

/// A command's standard input. It ends when it is shut down or dropped.
///
/// What is written waits in a buffer of one request's size, and goes to the host as fast as the command takes it.
#[derive(Debug)]
pub struct ChildStdin(pub(crate) DuplexStream);

impl AsyncWrite for ChildStdin {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn pieces_are_read_in_order_and_then_the_end() {
        let failure = Failure::default();
        let (sender, pieces) = pipe(&failure);
        let mut stdout = ChildStdout(pieces);
        let write = async {
            for piece in ["ab", "", "cde", "f"] {
                sender.send(Bytes::from_static(piece.as_bytes())).await.unwrap();
            }
            drop(sender);
        };
        let read = async {
            let mut start = [0; 1];
            stdout.read_exact(&mut start).await.unwrap();
            assert_eq!(stdout.chunk().await.unwrap().unwrap(), "b");
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).await.unwrap();
            rest
        };
        let ((), rest) = tokio::join!(write, read);
        assert_eq!(rest, "cdef");
        assert_eq!(stdout.chunk().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_broken_command_is_no_end() {
        let failure = Failure::default();
        let (sender, pieces) = pipe(&failure);
        let mut stderr = ChildStderr(pieces);
        sender.send(Bytes::from_static(b"x")).await.unwrap();
        failure
            .set(Broken {
                kind: io::ErrorKind::TimedOut,
                message: "late".to_owned(),
            })
            .unwrap();
        drop(sender);
        let mut all = Vec::new();
        let error = stderr.read_to_end(&mut all).await.unwrap_err();
        assert_eq!(
            (all.as_slice(), error.kind(), error.to_string().as_str()),
            (&b"x"[..], io::ErrorKind::TimedOut, "late")
        );
    }
}
