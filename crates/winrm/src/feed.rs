//! A command's input, on its way to the host.

use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::error::{Error, ErrorKind};
use crate::session::{Line, Session};
use crate::stdio::Source;
use crate::streams::Inlet;

/// When a command without input is told so; see [`Stdio::null`](crate::Stdio::null).
const END_OF_NO_INPUT: Duration = Duration::from_millis(250);

/// After how many full requests it pays to ask how large they may be.
const ASK_AFTER: usize = 2;

/// Where input comes from.
pub(crate) enum Feed {
    Nothing,
    EndOnly(Duration),
    Input(Gathered),
}

impl Feed {
    pub(crate) fn unattended(source: Source) -> Self {
        match source {
            Source::Open => Self::Nothing,
            Source::Null | Source::Piped => Self::EndOnly(END_OF_NO_INPUT),
            Source::Late(delay) => Self::EndOnly(delay),
            Source::Bytes(bytes) => Self::Input(Gathered::new(Origin::Over).behind(bytes)),
            Source::Reader(reader) => Self::Input(Gathered::new(Origin::Reader(reader))),
        }
    }

    pub(crate) fn pieces(inlet: Inlet) -> Self {
        Self::Input(Gathered::new(Origin::Inlet(inlet)))
    }

    /// The same, with something before it.
    pub(crate) fn behind(self, prefix: Bytes) -> Self {
        let rest = match self {
            Self::Nothing => Gathered::new(Origin::Never),
            Self::EndOnly(_) => Gathered::new(Origin::Over),
            Self::Input(input) => input,
        };
        Self::Input(rest.behind(prefix))
    }

    /// Sends all input and its end. A command that takes no more ends it early, without an error.
    pub(crate) async fn send_all(self, session: &Session, shell_id: &str, id: &str) -> Result<(), Error> {
        match self {
            Self::Nothing => Ok(()),
            Self::EndOnly(delay) => {
                tokio::time::sleep(delay).await;
                let body = session.input(shell_id, id, Bytes::new(), true)?;
                session.send(&mut Line::default(), body, |_| Poll::Pending).await.map(drop)
            }
            Self::Input(input) => input.send(session, shell_id, id).await,
        }
    }
}

enum Origin {
    Inlet(Inlet),
    Reader(Box<dyn AsyncRead + Send + Unpin>),
    /// There is no more than what is held.
    Over,
    /// There is no more, and no end either.
    Never,
}

/// Input that waits for its request.
pub(crate) struct Gathered {
    origin: Origin,
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

/// What a request carries.
struct Portion {
    data: Bytes,
    /// Whether nothing follows.
    end: bool,
}

impl Gathered {
    fn new(origin: Origin) -> Self {
        Self {
            origin,
            pieces: VecDeque::new(),
            bytes: 0,
        }
    }

    fn behind(mut self, prefix: Bytes) -> Self {
        self.bytes += prefix.len();
        self.pieces.push_front(prefix);
        self
    }

    async fn send(mut self, session: &Session, shell_id: &str, id: &str) -> Result<(), Error> {
        let unreadable = |error| Error::new(ErrorKind::Input, "the command's input can't be read on this side").with_source(error);
        let mut room = session.input_room(shell_id, id)?;
        let (mut sent, mut asked) = (0, false);
        let mut line = Line::default();
        let mut ahead = None;
        loop {
            if !asked && (sent == ASK_AFTER || self.bytes > room * ASK_AFTER) {
                asked = true;
                session.learn_envelope_size().await;
                room = session.input_room(shell_id, id)?;
            }
            let (body, end) = match ahead.take() {
                Some(made) => made?,
                None => {
                    let portion = std::future::poll_fn(|context| self.poll_some(context, room))
                        .await
                        .map_err(unreadable)?;
                    (session.input(shell_id, id, portion.data, portion.end)?, portion.end)
                }
            };
            let taken = session.send(&mut line, body, |context| {
                // A request that is tried again finds the next one made.
                if end || !asked || ahead.is_some() {
                    return Poll::Pending;
                }
                let portion = ready!(self.poll_full(context, room)).map_err(unreadable);
                let made = portion.and_then(|portion| Ok((session.input(shell_id, id, portion.data, portion.end)?, portion.end)));
                let body = made.as_ref().ok().map(|(body, _)| body.clone());
                ahead = Some(made);
                Poll::Ready(body)
            });
            if !taken.await? || end {
                return Ok(());
            }
            sent += 1;
        }
    }

    /// Waits for the first bytes, and takes what else is there already, so that fast writers fill their requests and slow ones
    /// don't wait.
    fn poll_some(&mut self, context: &mut Context<'_>, room: usize) -> Poll<io::Result<Portion>> {
        match self.poll_full(context, room) {
            Poll::Pending if self.bytes > 0 => Poll::Ready(Ok(self.take(room))),
            full => full,
        }
    }

    /// Waits until a request is filled, or there is no more.
    fn poll_full(&mut self, context: &mut Context<'_>, room: usize) -> Poll<io::Result<Portion>> {
        /// Bytes to read at once.
        const STEP: usize = 64 * 1024;
        while self.bytes < room {
            let piece = match &mut self.origin {
                Origin::Over => break,
                Origin::Never => return Poll::Pending,
                Origin::Inlet(inlet) => ready!(inlet.poll_piece(context)),
                Origin::Reader(reader) => {
                    let mut piece = BytesMut::with_capacity(STEP.min(room - self.bytes));
                    ready!(pin!(reader.read_buf(&mut piece)).poll(context))?;
                    (!piece.is_empty()).then(|| piece.freeze())
                }
            };
            match piece {
                Some(piece) => {
                    self.bytes += piece.len();
                    self.pieces.push_back(piece);
                }
                None => self.origin = Origin::Over,
            }
        }
        Poll::Ready(Ok(self.take(room)))
    }

    fn take(&mut self, room: usize) -> Portion {
        let length = self.bytes.min(room);
        self.bytes -= length;
        let end = self.bytes == 0 && matches!(self.origin, Origin::Over);
        let whole = self.pieces.front_mut().filter(|first| first.len() >= length);
        if let Some(first) = whole {
            let data = first.split_to(length);
            if first.is_empty() {
                self.pieces.pop_front();
            }
            return Portion { data, end };
        }
        let mut data = BytesMut::with_capacity(length);
        while let Some(first) = self.pieces.front_mut().filter(|_| data.len() < length) {
            data.extend_from_slice(&first.split_to(first.len().min(length - data.len())));
            if first.is_empty() {
                self.pieces.pop_front();
            }
        }
        Portion { data: data.freeze(), end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn portions(mut gathered: Gathered, room: usize) -> Vec<Vec<u8>> {
        let mut portions = Vec::new();
        loop {
            let portion = std::future::poll_fn(|context| gathered.poll_some(context, room)).await.unwrap();
            portions.push(portion.data.to_vec());
            if portion.end {
                return portions;
            }
        }
    }

    #[tokio::test]
    async fn requests_are_filled_from_whatever_is_there() {
        let all: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        for room in [1_000, 70_000, 200_000, 300_000] {
            let whole = portions(Gathered::new(Origin::Over).behind(Bytes::from(all.clone())), room).await;
            assert!(whole[..whole.len() - 1].iter().all(|portion| portion.len() == room), "{room}");
            assert_eq!(whole.concat(), all);
            let reader = Origin::Reader(Box::new(io::Cursor::new(all.clone())));
            assert_eq!(portions(Gathered::new(reader), room).await.concat(), all, "{room}");
            let (mut stdin, inlet) = crate::streams::inlet();
            let write = async {
                for piece in all.chunks(9_999) {
                    stdin.send(Bytes::copy_from_slice(piece)).await.unwrap();
                }
                drop(stdin);
            };
            let (pieces, ()) = tokio::join!(portions(Gathered::new(Origin::Inlet(inlet)), room), write);
            assert_eq!(pieces.concat(), all, "{room}");
            assert!(pieces.iter().all(|portion| portion.len() <= room));
        }
        assert_eq!(portions(Gathered::new(Origin::Over), 10).await, [Vec::<u8>::new()]);
        let behind = Gathered::new(Origin::Over)
            .behind(Bytes::from_static(b"two"))
            .behind(Bytes::from_static(b"one"));
        assert_eq!(portions(behind, 4).await, [b"onet".to_vec(), b"wo".to_vec()]);
    }
}
