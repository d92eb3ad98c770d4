//! The streams of a running command.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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
pub struct ChildStdin {
    shared: Arc<Mutex<Waiting>>,
}

/// The other end of [`ChildStdin`]: whole pieces, as they were given.
#[derive(Debug)]
pub(crate) struct Inlet {
    shared: Arc<Mutex<Waiting>>,
    /// What [`AsyncRead`] has taken a part of.
    current: Bytes,
}

/// Input that nobody has taken yet.
#[derive(Debug, Default)]
struct Waiting {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// Nothing more is written.
    ended: bool,
    /// Nothing more is read.
    unwanted: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What [`ChildStdin`] holds before it lets its writer wait, in bytes: about one large request.
const INPUT_HELD: usize = 384 * 1024;

pub(crate) fn inlet() -> (ChildStdin, Inlet) {
    let shared = Arc::new(Mutex::new(Waiting::default()));
    let stdin = ChildStdin {
        shared: Arc::clone(&shared),
    };
    let current = Bytes::new();
    (stdin, Inlet { shared, current })
}

fn locked(shared: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiting {
    /// Waits for room, and gives how much there is.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.ended || self.unwanted {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.bytes >= INPUT_HELD {
            self.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(INPUT_HELD - self.bytes))
    }

    fn put(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push_back(piece);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn end(&mut self) {
        self.ended = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl ChildStdin {
    /// Passes a piece on as it is, without a copy.
    pub(crate) async fn send(&mut self, piece: Bytes) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        std::future::poll_fn(|context| locked(&self.shared).poll_room(context)).await?;
        locked(&self.shared).put(piece);
        Ok(())
    }
}

impl AsyncWrite for ChildStdin {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut waiting = locked(&self.shared);
        let room = ready!(waiting.poll_room(context))?;
        let taken = &bytes[..bytes.len().min(room)];
        if !taken.is_empty() {
            waiting.put(Bytes::copy_from_slice(taken));
        }
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        locked(&self.shared).end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for ChildStdin {
    fn drop(&mut self) {
        locked(&self.shared).end();
    }
}

impl Inlet {
    /// The next piece, never an empty one; `None` at the end.
    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.current.is_empty() {
            return Poll::Ready(Some(std::mem::take(&mut self.current)));
        }
        let mut waiting = locked(&self.shared);
        if let Some(piece) = waiting.pieces.pop_front() {
            waiting.bytes -= piece.len();
            if let Some(writer) = waiting.writer.take() {
                writer.wake();
            }
            return Poll::Ready(Some(piece));
        }
        if waiting.ended {
            return Poll::Ready(None);
        }
        waiting.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl AsyncRead for Inlet {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(mut piece) = ready!(self.poll_piece(context)) {
            buffer.put_slice(&piece.split_to(piece.len().min(buffer.remaining())));
            self.current = piece;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        let mut waiting = locked(&self.shared);
        waiting.unwanted = true;
        waiting.pieces.clear();
        if let Some(writer) = waiting.writer.take() {
            writer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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

    #[tokio::test]
    async fn input_arrives_in_order_whoever_waits_for_whom() {
        let (mut stdin, mut inlet) = inlet();
        let long = Bytes::from(vec![7; INPUT_HELD + 1]);
        let write = async {
            stdin.write_all(b"ab").await.unwrap();
            stdin.send(long.clone()).await.unwrap();
            stdin.send(Bytes::new()).await.unwrap();
            stdin.write_all(&vec![8; 2 * INPUT_HELD]).await.unwrap();
            stdin.shutdown().await.unwrap();
            stdin.write_all(b"late").await.unwrap_err()
        };
        let read = async {
            let mut start = [0; 1];
            inlet.read_exact(&mut start).await.unwrap();
            let mut pieces = Vec::new();
            while let Some(piece) = std::future::poll_fn(|context| inlet.poll_piece(context)).await {
                tokio::task::yield_now().await;
                pieces.push(piece);
            }
            pieces
        };
        let (late, pieces) = tokio::join!(write, read);
        assert_eq!(late.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!((&pieces[0][..], &pieces[1]), (&b"b"[..], &long));
        assert_eq!(pieces[2..].concat(), vec![8; 2 * INPUT_HELD]);
    }

    #[tokio::test]
    async fn input_that_nobody_takes_is_refused_and_a_dropped_writer_is_the_end() {
        let (mut stdin, reader) = inlet();
        let full = async {
            loop {
                if let Err(error) = stdin.write_all(&[0; 4_096]).await {
                    return error.kind();
                }
            }
        };
        let (kind, ()) = tokio::join!(full, async { drop(reader) });
        assert_eq!(kind, io::ErrorKind::BrokenPipe);
        let (stdin, mut inlet) = inlet();
        drop(stdin);
        assert_eq!(std::future::poll_fn(|context| inlet.poll_piece(context)).await, None);
    }
}
