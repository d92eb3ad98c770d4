//! Frames, taken out of a stream of bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, Bytes, BytesMut};
use thiserror::Error;

use super::MAX_PAYLOAD;

/// The length of a frame's head: its kind and the length of its payload.
pub const HEADER: usize = 5;

/// How frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As they are.
    Raw,
    /// Each as a line of base64, for ways that change bytes.
    Text,
}

/// What came is no frame, or none that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A payload of this many bytes; there are [`MAX_PAYLOAD`] at most.
    #[error("a frame of {0} bytes")]
    TooLong(usize),
    /// A line that is no base64, or that holds something else than one frame.
    #[error("a line that is no frame")]
    Text,
    /// A kind that nobody knows.
    #[error("a frame of the unknown kind {0:#04x}")]
    Kind(u8),
    /// Fields that are cut off, too many, or not what they should be.
    #[error("a frame whose fields can't be read")]
    Payload,
}

/// The head of a frame with a payload of `length` bytes, at most [`MAX_PAYLOAD`].
#[must_use]
pub fn header(kind: u8, length: usize) -> [u8; HEADER] {
    debug_assert!(length <= MAX_PAYLOAD, "a frame is too long");
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    [kind, a, b, c, d]
}

impl Mode {
    /// One frame, head included, as this mode writes it.
    #[must_use]
    pub fn write(self, frame: Bytes) -> Bytes {
        match self {
            Self::Raw => frame,
            Self::Text => {
                let mut line = STANDARD.encode(frame);
                line.push('\n');
                Bytes::from(line)
            }
        }
    }
}

/// Takes frames out of pieces of a stream.
#[derive(Debug)]
pub struct Decoder {
    mode: Mode,
    held: BytesMut,
    /// How much of a line was searched for its end.
    searched: usize,
}

/// The longest line: a frame in base64 and the end of the line.
const MAX_LINE: usize = (HEADER + MAX_PAYLOAD).div_ceil(3) * 4 + 2;

impl Decoder {
    /// A decoder that holds nothing yet.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            held: BytesMut::new(),
            searched: 0,
        }
    }

    /// Adds what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Whether there is nothing between two frames.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The next frame's kind and payload; `None` until all of it has come.
    ///
    /// # Errors
    /// [`FrameError`] for what is no frame. There is nothing to go on with then.
    pub fn frame(&mut self) -> Result<Option<(u8, Bytes)>, FrameError> {
        match self.mode {
            Mode::Raw => self.raw(),
            Mode::Text => self.line(),
        }
    }

    fn raw(&mut self) -> Result<Option<(u8, Bytes)>, FrameError> {
        let Some((kind, length)) = head(&self.held)? else { return Ok(None) };
        if self.held.len() < HEADER + length {
            self.held.reserve(HEADER + length - self.held.len());
            return Ok(None);
        }
        self.held.advance(HEADER);
        Ok(Some((kind, self.held.split_to(length).freeze())))
    }

    fn line(&mut self) -> Result<Option<(u8, Bytes)>, FrameError> {
        loop {
            let Some(end) = memchr::memchr(b'\n', &self.held[self.searched..]) else {
                self.searched = self.held.len();
                return if self.searched > MAX_LINE {
                    Err(FrameError::TooLong(self.searched))
                } else {
                    Ok(None)
                };
            };
            let line = self.held.split_to(self.searched + end + 1);
            self.searched = 0;
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let mut frame = Bytes::from(STANDARD.decode(line).map_err(|_| FrameError::Text)?);
            let Some((kind, length)) = head(&frame)? else {
                return Err(FrameError::Text);
            };
            if frame.len() != HEADER + length {
                return Err(FrameError::Text);
            }
            frame.advance(HEADER);
            return Ok(Some((kind, frame)));
        }
    }
}

fn head(bytes: &[u8]) -> Result<Option<(u8, usize)>, FrameError> {
    let Some(&[kind, a, b, c, d]) = bytes.first_chunk() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > MAX_PAYLOAD {
        return Err(FrameError::TooLong(length));
    }
    Ok(Some((kind, length)))
}
