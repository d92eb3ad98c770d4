//! Writes the files of a download, on a thread of its own.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use openssl::sha::Sha256;
use rustix::fs::AtFlags;
use tokio::sync::mpsc;
use winrm_proto::copy::{FailureCode, MAX_PAYLOAD};

use super::event::FileError;
use super::part_name;
use super::tree::{self, Tree};

/// What to do with what has come.
pub(super) enum Order {
    Begin(Arriving),
    Data(Bytes),
    Packed {
        size: u32,
        data: Bytes,
    },
    /// The file has ended; the hash of what came.
    End([u8; 32]),
    /// Nothing more comes of the file.
    Drop,
}

/// A file that comes.
pub(super) struct Arriving {
    pub(super) index: u32,
    /// Its path below the root.
    pub(super) below: String,
    pub(super) size: u64,
    /// Where the bytes begin.
    pub(super) start: u64,
    /// The hash of what is there already.
    pub(super) prefix: Option<Sha256>,
    pub(super) modified: i64,
    pub(super) read_only: bool,
}

/// What became of it.
pub(super) enum Stored {
    Advanced(u32, u64),
    Done(u32, [u8; 32]),
    Failed(u32, FileError),
}

pub(super) struct Store {
    pub(super) tree: Tree,
    pub(super) make_folders: bool,
    pub(super) preserve: bool,
    pub(super) backup: Option<String>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) results: mpsc::UnboundedSender<Stored>,
}

/// A file that is being written.
struct Writing {
    file: File,
    folder: Arc<OwnedFd>,
    arriving: Arriving,
    at: u64,
    whole: Sha256,
    rest: Sha256,
}

impl Store {
    /// Carries orders out until there are no more.
    pub(super) fn run(mut self) {
        let mut writing: Option<Writing> = None;
        let mut inflate = Inflate::default();
        while let Some(order) = self.orders.blocking_recv() {
            let index = writing.as_ref().map(|writing| writing.arriving.index);
            let outcome = match order {
                Order::Begin(arriving) => {
                    let index = arriving.index;
                    match self.begin(arriving) {
                        Ok(begun) => writing = Some(begun),
                        Err(error) => {
                            writing = None;
                            self.fail(index, error);
                        }
                    }
                    continue;
                }
                Order::Data(data) => writing.as_mut().map_or(Ok(0), |writing| writing.write(&data)),
                Order::Packed { size, data } => writing.as_mut().map_or(Ok(0), |writing| {
                    let data = inflate.block(&data, size)?;
                    writing.write(data)
                }),
                Order::End(sha256) => match writing.take() {
                    Some(writing) => self.complete(writing, sha256).map(|()| 0),
                    None => Ok(0),
                },
                Order::Drop => {
                    writing = None;
                    Ok(0)
                }
            };
            match (outcome, index) {
                // Nobody who listens is nobody who cares.
                (Ok(bytes @ 1..), Some(index)) => drop(self.results.send(Stored::Advanced(index, bytes))),
                (Err(error), Some(index)) => {
                    // A full disk is not left full.
                    if error.code() == FailureCode::DiskFull
                        && let Some(writing) = writing.take()
                    {
                        let part = part_name(writing.name());
                        let _ = rustix::fs::unlinkat(&*writing.folder, part, AtFlags::empty());
                    }
                    writing = None;
                    self.fail(index, error);
                }
                _ => {}
            }
        }
    }

    fn fail(&self, index: u32, error: FileError) {
        let _ = self.results.send(Stored::Failed(index, error));
    }

    fn begin(&mut self, arriving: Arriving) -> Result<Writing, FileError> {
        let local = |error: io::Error| FileError::local(&error);
        let (folder, name) = self.tree.place(&arriving.below, self.make_folders).map_err(local)?;
        if let Some(stat) = tree::look(&folder, name).map_err(local)? {
            let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
            if kind == rustix::fs::FileType::Directory {
                return Err(FileError::new(FailureCode::IsFolder, "a folder is here where a file is meant"));
            }
            if kind == rustix::fs::FileType::RegularFile && stat.st_mode & 0o222 == 0 && !self.preserve {
                return Err(FileError::new(FailureCode::ReadOnly, "the file here is read-only")
                    .with_hint("--preserve replaces read-only files, since it takes over whether they are"));
            }
        }
        let mut file = tree::open_part(&folder, &part_name(name), true).map_err(local)?;
        let start = arriving.start;
        if file.metadata().map_err(local)?.len() < start {
            return Err(FileError::new(FailureCode::Changed, "the part changed meanwhile").with_hint("try again"));
        }
        file.set_len(start).map_err(local)?;
        file.seek(SeekFrom::Start(start)).map_err(local)?;
        let whole = arriving.prefix.clone().filter(|_| start > 0).unwrap_or_default();
        Ok(Writing {
            file,
            folder,
            at: start,
            arriving,
            whole,
            rest: Sha256::new(),
        })
    }

    /// Puts the part in the file's place.
    fn complete(&self, writing: Writing, sha256: [u8; 32]) -> Result<(), FileError> {
        let local = |error: io::Error| FileError::local(&error);
        let name = writing.name().to_owned();
        let Writing {
            file,
            folder,
            arriving,
            at,
            whole,
            rest,
        } = writing;
        let part = part_name(&name);
        let whole = whole.finish();
        let came = if arriving.start > 0 { rest.finish() } else { whole };
        if came != sha256 || at != arriving.size {
            let _ = rustix::fs::unlinkat(&*folder, &part, AtFlags::empty());
            return Err(FileError::new(FailureCode::Damaged, "the bytes that arrived are not those that were sent").with_hint("try again"));
        }
        if arriving.read_only && self.preserve {
            let mut permissions = file.metadata().map_err(local)?.permissions();
            permissions.set_mode(permissions.mode() & !0o222);
            file.set_permissions(permissions).map_err(local)?;
        }
        tree::set_times(&file, arriving.modified, None).map_err(local)?;
        if let Some(suffix) = &self.backup
            && tree::look(&folder, &name).map_err(local)?.is_some()
        {
            let backup = format!("{name}{suffix}");
            rustix::fs::renameat(&*folder, &name, &*folder, &backup).map_err(|error| local(error.into()))?;
        }
        rustix::fs::renameat(&*folder, &part, &*folder, &name).map_err(|error| local(error.into()))?;
        let _ = self.results.send(Stored::Done(arriving.index, whole));
        Ok(())
    }
}

impl Writing {
    fn name(&self) -> &str {
        self.arriving.below.rsplit('/').next().unwrap_or(&self.arriving.below)
    }

    fn write(&mut self, data: &[u8]) -> Result<u64, FileError> {
        let count = data.len() as u64;
        if count > self.arriving.size - self.at {
            return Err(FileError::new(FailureCode::Damaged, "the host sends more than it has announced"));
        }
        self.file.write_all(data).map_err(|error| FileError::local(&error))?;
        self.whole.update(data);
        if self.arriving.start > 0 {
            self.rest.update(data);
        }
        self.at += count;
        Ok(count)
    }
}

/// Uncompresses blocks, each for itself.
#[derive(Default)]
pub(super) struct Inflate {
    inflate: Option<Decompress>,
    block: Vec<u8>,
}

impl Inflate {
    /// The bytes of a block, exactly as many as were announced.
    pub(super) fn block(&mut self, data: &[u8], size: u32) -> Result<&[u8], FileError> {
        let damaged = || FileError::new(FailureCode::Damaged, "a compressed block from the host can't be read");
        let size = size as usize;
        if size > MAX_PAYLOAD {
            return Err(damaged());
        }
        let inflate = self.inflate.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        self.block.clear();
        // One more, so that a block that is too long is seen.
        self.block.reserve_exact(size + 1);
        let status = inflate.decompress_vec(data, &mut self.block, FlushDecompress::Finish);
        match status {
            Ok(Status::StreamEnd) if self.block.len() == size => Ok(&self.block),
            _ => Err(damaged()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_swells_is_refused() {
        let mut packer = super::super::pump::Packer::new();
        let frame = packer.pack(&vec![0; 500_000]).unwrap();
        let data = &frame[9..];
        let mut inflate = Inflate::default();
        assert_eq!(inflate.block(data, 500_000).unwrap().len(), 500_000);
        for size in [499_999, 500_001, 10, 0, u32::MAX] {
            assert_eq!(inflate.block(data, size).unwrap_err().code(), FailureCode::Damaged, "{size}");
        }
        assert!(inflate.block(&data[..data.len() - 1], 500_000).is_err() && inflate.block(b"\xFF\xFF", 2).is_err());
    }
}
