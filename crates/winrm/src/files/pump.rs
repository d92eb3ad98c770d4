//! Reads the files of an upload, on a thread of its own, and makes frames of them.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use flate2::{Compress, Compression, FlushCompress, Status};
use openssl::sha::Sha256;
use tokio::sync::mpsc;
use winrm_proto::copy::{Begin, FailureCode, HEADER, Mode, Request, header};

use super::BLOCK;
use super::event::FileError;

/// A file to send.
pub(super) struct Job {
    pub(super) source: PathBuf,
    pub(super) begin: Begin,
    /// The hash of what the host has already, with all of it checked.
    pub(super) prefix: Option<Sha256>,
}

/// The files of a transfer; every stream takes the next.
pub(super) type Jobs = Arc<Mutex<VecDeque<Job>>>;

/// Frames, and what they mean.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) notes: Vec<Note>,
}

pub(super) enum Note {
    Started(u32, u64),
    Advanced(u32, u64),
    /// The end went out; the hash of the whole file.
    Ended(u32, [u8; 32]),
    /// It can't be read to its end.
    Broken(u32, FileError),
}

/// Numbers of files that the host has refused: the rest of them need not be sent.
pub(super) type Refused = Arc<Mutex<HashSet<u32>>>;

pub(super) struct Pump {
    pub(super) jobs: Jobs,
    pub(super) refused: Refused,
    pub(super) out: mpsc::Sender<Piece>,
    pub(super) mode: Mode,
    pub(super) packer: Option<Packer>,
    pub(super) blocks: Blocks,
}

/// Nobody takes the frames any more.
struct Gone;

/// A batch of frames this large is sent.
const BATCH: usize = 256 * 1024;

impl Pump {
    /// Sends all files. Ends early when nobody takes them.
    pub(super) fn run(mut self) {
        let mut batch = Batch::default();
        loop {
            let job = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(job) = job else { break };
            if self.send(job, &mut batch).is_err() {
                return;
            }
        }
        // Nobody there is the same as the end.
        let _ = self.flush(&mut batch);
    }

    fn send(&mut self, job: Job, batch: &mut Batch) -> Result<(), Gone> {
        let (id, offset) = (job.begin.id, job.begin.offset);
        let opened = File::open(&job.source).and_then(|mut file| {
            file.seek(SeekFrom::Start(offset))?;
            Ok(file)
        });
        let mut file = match opened {
            Ok(file) => file,
            Err(error) => {
                batch.notes.push(Note::Broken(id, FileError::local(&error)));
                return Ok(());
            }
        };
        batch.notes.push(Note::Started(id, offset));
        batch.add(self.mode, &Request::Begin(job.begin.clone()).write());
        let mut whole = job.prefix.unwrap_or_default();
        let mut rest = Sha256::new();
        let mut left = job.begin.size.unwrap_or(0).saturating_sub(offset);
        while left > 0 {
            if self.refused.lock().unwrap_or_else(PoisonError::into_inner).contains(&id) {
                batch.add(self.mode, &Request::Abort.write());
                return Ok(());
            }
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK);
            let mut frame = self.blocks.take(HEADER + count);
            if let Err(error) = file.read_exact(&mut frame[HEADER..]) {
                return self.give_up(id, &error, batch);
            }
            let data = &frame[HEADER..];
            whole.update(data);
            if offset > 0 {
                rest.update(data);
            }
            left -= count as u64;
            match self.packer.as_mut().and_then(|packer| packer.pack(data)) {
                Some(packed) => batch.add(self.mode, &packed),
                None => {
                    frame[..HEADER].copy_from_slice(&header(Request::DATA, count));
                    batch.add_owned(self.mode, frame);
                }
            }
            batch.notes.push(Note::Advanced(id, count as u64));
            if batch.is_full() {
                self.flush(batch)?;
            }
        }
        if file.read(&mut [0]).unwrap_or(0) > 0 {
            return self.give_up(id, &io::Error::from(io::ErrorKind::FileTooLarge), batch);
        }
        let whole = whole.finish();
        let rest = if offset > 0 { rest.finish() } else { whole };
        batch.add(self.mode, &Request::End(rest).write());
        batch.notes.push(Note::Ended(id, whole));
        if batch.is_full() { self.flush(batch) } else { Ok(()) }
    }

    fn give_up(&mut self, id: u32, error: &io::Error, batch: &mut Batch) -> Result<(), Gone> {
        let error = match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::FileTooLarge => {
                FileError::new(FailureCode::Changed, "it changed while it was read").with_hint("try again")
            }
            _ => FileError::local(error),
        };
        batch.add(self.mode, &Request::Abort.write());
        batch.notes.push(Note::Broken(id, error));
        self.flush(batch)
    }

    fn flush(&mut self, batch: &mut Batch) -> Result<(), Gone> {
        let piece = Piece {
            bytes: batch.bytes.split().freeze(),
            notes: std::mem::take(&mut batch.notes),
        };
        self.out.blocking_send(piece).map_err(|_| Gone)
    }
}

/// Buffers for blocks, used again once nobody holds what was in them: fresh memory costs more than what is done in it.
#[derive(Default)]
pub(super) struct Blocks {
    used: VecDeque<BytesMut>,
}

impl Blocks {
    /// As many as are on their way at once: being read, in the channel, waiting for a request.
    const IN_USE: usize = 4;

    fn take(&mut self, length: usize) -> BytesMut {
        let used = if self.used.len() < Self::IN_USE {
            None
        } else {
            self.used.pop_front()
        };
        let mut buffer = used.unwrap_or_default();
        // Takes what was there before, where it is free.
        buffer.reserve(length);
        buffer.resize(length, 0);
        let block = buffer.split();
        self.used.push_back(buffer);
        block
    }
}

#[derive(Default)]
struct Batch {
    bytes: BytesMut,
    notes: Vec<Note>,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH
    }

    fn add(&mut self, mode: Mode, frame: &Bytes) {
        self.bytes.extend_from_slice(&mode.write(frame.clone()));
    }

    /// Without a copy where nothing is held.
    fn add_owned(&mut self, mode: Mode, frame: BytesMut) {
        if self.bytes.is_empty() && mode == Mode::Raw {
            self.bytes = frame;
        } else {
            self.add(mode, &frame.freeze());
        }
    }
}

/// Compresses blocks, and asks those that don't give in less and less often.
pub(super) struct Packer {
    deflate: Compress,
    packed: Vec<u8>,
    sample: Vec<u8>,
    skip: u32,
    wasted: u32,
}

impl Packer {
    pub(super) fn new() -> Self {
        Self {
            deflate: Compress::new(Compression::fast(), false),
            packed: Vec::new(),
            sample: Vec::new(),
            skip: 0,
            wasted: 0,
        }
    }

    /// The frame of a block that gives in.
    pub(super) fn pack(&mut self, data: &[u8]) -> Option<Bytes> {
        const LEAST: usize = 512;
        if data.len() < LEAST {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if self.gives_in(data) {
            self.wasted = 0;
            let size = u32::try_from(data.len()).ok()?;
            return Some(
                Request::Packed {
                    size,
                    data: Bytes::copy_from_slice(&self.packed),
                }
                .write(),
            );
        }
        self.wasted = (self.wasted + 1).min(4);
        self.skip = 1 << self.wasted;
        None
    }

    /// Whether `packed` is worth sending. Of a long block pieces from all over are tried first.
    fn gives_in(&mut self, data: &[u8]) -> bool {
        const PIECE: usize = 8 * 1024;
        const PIECES: usize = 4;
        if data.len() > 2 * PIECE * PIECES {
            let mut sample = std::mem::take(&mut self.sample);
            sample.clear();
            for piece in data.chunks(data.len() / PIECES).take(PIECES) {
                sample.extend_from_slice(&piece[..PIECE]);
            }
            let worth = self.compress(&sample);
            self.sample = sample;
            if !worth {
                return false;
            }
        }
        self.compress(data)
    }

    /// Whether it takes a tenth off.
    fn compress(&mut self, data: &[u8]) -> bool {
        // Room for the worst case, nine bits for each byte: zlib-rs panics where its output runs out (0.6.8).
        self.packed.clear();
        self.packed.reserve(data.len() + data.len() / 8 + 1_024);
        self.deflate.reset();
        let status = self.deflate.compress_vec(data, &mut self.packed, FlushCompress::Finish);
        matches!(status, Ok(Status::StreamEnd)) && self.packed.len() < data.len() - data.len() / 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_gives_in_is_compressed() {
        let mut packer = Packer::new();
        let text = b"the same again and again, ".repeat(1_000);
        let frame = packer.pack(&text).unwrap();
        assert!(frame.len() < text.len() / 10);
        let Ok(Request::Packed { size, data }) = Request::read(frame[0], frame.slice(HEADER..)) else {
            panic!("not packed")
        };
        let mut back = Vec::with_capacity(text.len());
        let mut inflate = flate2::Decompress::new(false);
        inflate.decompress_vec(&data, &mut back, flate2::FlushDecompress::Finish).unwrap();
        assert_eq!((back.as_slice(), size as usize), (text.as_slice(), text.len()));
        let noise: Vec<u8> = (0..4_000_u32).flat_map(|n| openssl::sha::sha256(&n.to_le_bytes())).collect();
        let tried = (0..100).filter(|_| {
            let before = packer.skip;
            assert!(packer.pack(&noise).is_none());
            before == 0
        });
        assert!(tried.count() < 12);
        assert!(packer.pack(b"short").is_none());
    }
}
