//! What the frames say.

use bytes::{Buf as _, Bytes};

use super::field::{Reader, Writer};
use super::frame::{FrameError, header};

/// What the client wants. Those with an `id` are answered with the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Where a path as a person writes it leads, and what is there: [`Answer::Resolved`].
    Resolve {
        /// The request.
        id: u32,
        /// The path, with `~` and `%NAME%`, relative to the shell's folder.
        path: String,
    },
    /// What is in a folder: [`Answer::Entries`] again and again, [`Answer::Done`] at the end.
    List {
        /// The request.
        id: u32,
        /// The folder's full path.
        folder: String,
        /// Whether with all below it.
        recursive: bool,
    },
    /// The SHA-256 of a file's beginning: [`Answer::Hash`].
    Hash {
        /// The request.
        id: u32,
        /// The file's full path.
        path: String,
        /// How many bytes; all where there are fewer.
        length: u64,
    },
    /// A file begins. Its bytes follow, and then [`Request::End`] or [`Request::Abort`].
    Begin(Begin),
    /// Bytes of the file.
    Data(Bytes),
    /// Bytes of the file, compressed by DEFLATE (RFC 1951).
    Packed {
        /// How many they are uncompressed.
        size: u32,
        /// The compressed bytes.
        data: Bytes,
    },
    /// The file ends; the SHA-256 of its bytes from the offset on. Answered by [`Answer::Done`].
    End([u8; 32]),
    /// The file is given up; its part stays.
    Abort,
    /// Asks for a file: [`Answer::File`], bytes, [`Answer::FileEnd`].
    Fetch {
        /// The request.
        id: u32,
        /// The file's full path.
        path: String,
        /// How many bytes the client has.
        offset: u64,
        /// Their SHA-256. If the host's are others, it sends all.
        known: [u8; 32],
        /// Whether to compress what gives in.
        pack: bool,
    },
    /// Makes a folder and those above it: [`Answer::Done`].
    MakeFolder {
        /// The request.
        id: u32,
        /// Its full path.
        path: String,
    },
    /// Removes a file or an empty folder: [`Answer::Done`], also where there was none.
    Remove {
        /// The request.
        id: u32,
        /// Its full path.
        path: String,
    },
    /// Sets a folder's time of change: [`Answer::Done`].
    SetFolderTime {
        /// The request.
        id: u32,
        /// Its full path.
        path: String,
        /// The time.
        modified: i64,
    },
    /// The rest of a file that was asked for is not wanted any more: [`Answer::Failed`] takes the place of its end. Nothing where it has
    /// ended already.
    Cancel {
        /// The request for the file.
        id: u32,
    },
    /// The client is still there.
    Alive,
    /// There is nothing more to do.
    Stop,
}

/// A file that is about to come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Begin {
    /// The request.
    pub id: u32,
    /// The full path of the file.
    pub target: String,
    /// The full path of its part, in the same folder.
    pub part: String,
    /// What a file that is there already is kept as.
    pub backup: Option<String>,
    /// The whole size in bytes, where it is known. More is not taken.
    pub size: Option<u64>,
    /// How many bytes the part holds already.
    pub offset: u64,
    /// The time of change; 0 leaves it.
    pub modified: i64,
    /// The time of access; 0 leaves it.
    pub accessed: i64,
    /// Whether a file that is read-only is replaced.
    pub replace_read_only: bool,
    /// Whether the file becomes read-only.
    pub read_only: bool,
}

/// What the agent answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::Resolve`].
    Resolved {
        /// The request.
        id: u32,
        /// The full path.
        path: String,
        /// What is there; its name is empty.
        entry: Entry,
    },
    /// To [`Request::List`].
    Entries {
        /// The request.
        id: u32,
        /// Some of the entries, named by their paths below the folder.
        entries: Vec<Entry>,
    },
    /// To [`Request::Hash`].
    Hash {
        /// The request.
        id: u32,
        /// How many bytes there were.
        length: u64,
        /// Their SHA-256.
        sha256: [u8; 32],
    },
    /// It is done.
    Done {
        /// The request.
        id: u32,
    },
    /// It can't be done, or not to its end.
    Failed {
        /// The request.
        id: u32,
        /// What kind of failure.
        code: FailureCode,
        /// The host's own words.
        message: String,
    },
    /// To [`Request::Fetch`]: what will come.
    File {
        /// The request.
        id: u32,
        /// The whole size in bytes.
        size: u64,
        /// Where the bytes begin: the client's offset, or 0.
        start: u64,
        /// The time of change.
        modified: i64,
        /// Windows' file attributes.
        attributes: u32,
    },
    /// Bytes of the file.
    Data(Bytes),
    /// Bytes of the file, compressed by DEFLATE (RFC 1951).
    Packed {
        /// How many they are uncompressed.
        size: u32,
        /// The compressed bytes.
        data: Bytes,
    },
    /// The file has ended.
    FileEnd {
        /// The request.
        id: u32,
        /// The SHA-256 of the bytes that came.
        sha256: [u8; 32],
    },
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path below the folder, `/` between its names.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// The size in bytes.
    pub size: u64,
    /// The time of change.
    pub modified: i64,
    /// Windows' file attributes.
    pub attributes: u32,
}

/// What something in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EntryKind {
    /// There is nothing.
    Absent = 0,
    /// A file, or a link to one.
    File = 1,
    /// A folder.
    Folder = 2,
    /// A link to a folder.
    FolderLink = 3,
    /// A folder that can't be read.
    Unreadable = 4,
    /// A link that leads nowhere.
    DeadLink = 5,
}

/// Why something can't be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum FailureCode {
    /// None of the others.
    Other = 0,
    /// There is no such file or folder.
    NotFound = 1,
    /// The account has no right to it.
    Denied = 2,
    /// Another program holds it open.
    InUse = 3,
    /// The disk is full.
    DiskFull = 4,
    /// A folder is where a file is meant.
    IsFolder = 5,
    /// The file is read-only.
    ReadOnly = 6,
    /// The path is too long for the host.
    TooLong = 7,
    /// The bytes that arrived are not those that were sent.
    Damaged = 8,
    /// The file changed meanwhile.
    Changed = 9,
    /// The part has gone.
    PartGone = 10,
    /// Another copy went on with the part.
    PartTaken = 11,
}

impl FailureCode {
    fn of(code: u8) -> Self {
        [
            Self::Other,
            Self::NotFound,
            Self::Denied,
            Self::InUse,
            Self::DiskFull,
            Self::IsFolder,
            Self::ReadOnly,
            Self::TooLong,
            Self::Damaged,
            Self::Changed,
            Self::PartGone,
            Self::PartTaken,
        ]
        .get(usize::from(code))
        .copied()
        .unwrap_or(Self::Other)
    }
}

impl EntryKind {
    fn of(kind: u8) -> Result<Self, FrameError> {
        [
            Self::Absent,
            Self::File,
            Self::Folder,
            Self::FolderLink,
            Self::Unreadable,
            Self::DeadLink,
        ]
        .get(usize::from(kind))
        .copied()
        .ok_or(FrameError::Payload)
    }
}

const REPLACE_READ_ONLY: u32 = 2;
const READ_ONLY: u32 = 4;

impl Request {
    /// The kind of [`Request::Data`], for those who write its frame in place.
    pub const DATA: u8 = b'D';
    /// The kind of [`Request::Packed`].
    pub const PACKED: u8 = b'Z';

    /// The whole frame.
    #[must_use]
    pub fn write(&self) -> Bytes {
        let fields = Writer::default();
        match self {
            Self::Resolve { id, path } => framed(b'R', fields.u32(*id).text(path)),
            Self::List { id, folder, recursive } => framed(b'L', fields.u32(*id).text(folder).byte(u8::from(*recursive))),
            Self::Hash { id, path, length } => framed(b'H', fields.u32(*id).text(path).u64(*length)),
            Self::Begin(begin) => framed(b'F', begin.write(fields)),
            Self::Data(data) => framed(Self::DATA, fields.bytes(data)),
            Self::Packed { size, data } => framed(Self::PACKED, fields.u32(*size).bytes(data)),
            Self::End(sha256) => framed(b'X', fields.bytes(sha256)),
            Self::Abort => framed(b'A', fields),
            Self::Fetch {
                id,
                path,
                offset,
                known,
                pack,
            } => framed(b'G', fields.u32(*id).text(path).u64(*offset).bytes(known).byte(u8::from(*pack))),
            Self::MakeFolder { id, path } => framed(b'M', fields.u32(*id).text(path)),
            Self::Remove { id, path } => framed(b'U', fields.u32(*id).text(path)),
            Self::SetFolderTime { id, path, modified } => framed(b'T', fields.u32(*id).text(path).i64(*modified)),
            Self::Cancel { id } => framed(b'C', fields.u32(*id)),
            Self::Alive => framed(b'N', fields),
            Self::Stop => framed(b'S', fields),
        }
    }

    /// Reads a frame's payload.
    ///
    /// # Errors
    /// A kind that is not known, or fields that can't be read.
    pub fn read(kind: u8, mut payload: Bytes) -> Result<Self, FrameError> {
        match kind {
            Self::DATA => return Ok(Self::Data(payload)),
            Self::PACKED => {
                let size = Reader(&payload).u32()?;
                payload.advance(4);
                return Ok(Self::Packed { size, data: payload });
            }
            _ => {}
        }
        let mut fields = Reader(&payload);
        let request = match kind {
            b'R' => Self::Resolve {
                id: fields.u32()?,
                path: fields.text()?,
            },
            b'L' => Self::List {
                id: fields.u32()?,
                folder: fields.text()?,
                recursive: fields.byte()? != 0,
            },
            b'H' => Self::Hash {
                id: fields.u32()?,
                path: fields.text()?,
                length: fields.u64()?,
            },
            b'F' => Self::Begin(Begin::read(&mut fields)?),
            b'X' => Self::End(fields.hash()?),
            b'A' => Self::Abort,
            b'G' => Self::Fetch {
                id: fields.u32()?,
                path: fields.text()?,
                offset: fields.u64()?,
                known: fields.hash()?,
                pack: fields.byte()? != 0,
            },
            b'M' => Self::MakeFolder {
                id: fields.u32()?,
                path: fields.text()?,
            },
            b'U' => Self::Remove {
                id: fields.u32()?,
                path: fields.text()?,
            },
            b'T' => Self::SetFolderTime {
                id: fields.u32()?,
                path: fields.text()?,
                modified: fields.i64()?,
            },
            b'C' => Self::Cancel { id: fields.u32()? },
            b'N' => Self::Alive,
            b'S' => Self::Stop,
            unknown => return Err(FrameError::Kind(unknown)),
        };
        fields.end()?;
        Ok(request)
    }
}

impl Begin {
    fn write(&self, fields: Writer) -> Writer {
        let flags = if self.replace_read_only { REPLACE_READ_ONLY } else { 0 } | if self.read_only { READ_ONLY } else { 0 };
        fields
            .u32(self.id)
            .text(&self.target)
            .text(&self.part)
            .text(self.backup.as_deref().unwrap_or_default())
            .i64(self.size.map_or(-1, |size| i64::try_from(size).unwrap_or(i64::MAX)))
            .u64(self.offset)
            .i64(self.modified)
            .i64(self.accessed)
            .u32(flags)
    }

    fn read(fields: &mut Reader<'_>) -> Result<Self, FrameError> {
        let mut begin = Self {
            id: fields.u32()?,
            target: fields.text()?,
            part: fields.text()?,
            backup: Some(fields.text()?).filter(|backup| !backup.is_empty()),
            size: u64::try_from(fields.i64()?).ok(),
            offset: fields.u64()?,
            modified: fields.i64()?,
            accessed: fields.i64()?,
            ..Self::default()
        };
        let flags = fields.u32()?;
        begin.replace_read_only = flags & REPLACE_READ_ONLY != 0;
        begin.read_only = flags & READ_ONLY != 0;
        Ok(begin)
    }
}

impl Answer {
    /// The whole frame.
    #[must_use]
    pub fn write(&self) -> Bytes {
        let fields = Writer::default();
        match self {
            Self::Resolved { id, path, entry } => framed(b'r', entry.write(fields.u32(*id).text(path))),
            Self::Entries { id, entries } => framed(b'e', entries.iter().fold(fields.u32(*id), |fields, entry| entry.write(fields))),
            Self::Hash { id, length, sha256 } => framed(b'h', fields.u32(*id).u64(*length).bytes(sha256)),
            Self::Done { id } => framed(b'k', fields.u32(*id)),
            Self::Failed { id, code, message } => framed(b'!', fields.u32(*id).byte(*code as u8).text(message)),
            Self::File {
                id,
                size,
                start,
                modified,
                attributes,
            } => framed(b'f', fields.u32(*id).u64(*size).u64(*start).i64(*modified).u32(*attributes)),
            Self::Data(data) => framed(b'D', fields.bytes(data)),
            Self::Packed { size, data } => framed(b'Z', fields.u32(*size).bytes(data)),
            Self::FileEnd { id, sha256 } => framed(b'x', fields.u32(*id).bytes(sha256)),
        }
    }

    /// Reads a frame's payload.
    ///
    /// # Errors
    /// A kind that is not known, or fields that can't be read.
    pub fn read(kind: u8, mut payload: Bytes) -> Result<Self, FrameError> {
        match kind {
            b'D' => return Ok(Self::Data(payload)),
            b'Z' => {
                let size = Reader(&payload).u32()?;
                payload.advance(4);
                return Ok(Self::Packed { size, data: payload });
            }
            _ => {}
        }
        let mut fields = Reader(&payload);
        let answer = match kind {
            b'r' => Self::Resolved {
                id: fields.u32()?,
                path: fields.text()?,
                entry: Entry::read(&mut fields)?,
            },
            b'e' => {
                let id = fields.u32()?;
                let mut entries = Vec::new();
                while !fields.is_empty() {
                    entries.push(Entry::read(&mut fields)?);
                }
                Self::Entries { id, entries }
            }
            b'h' => Self::Hash {
                id: fields.u32()?,
                length: fields.u64()?,
                sha256: fields.hash()?,
            },
            b'k' => Self::Done { id: fields.u32()? },
            b'!' => Self::Failed {
                id: fields.u32()?,
                code: FailureCode::of(fields.byte()?),
                message: fields.text()?,
            },
            b'f' => Self::File {
                id: fields.u32()?,
                size: fields.u64()?,
                start: fields.u64()?,
                modified: fields.i64()?,
                attributes: fields.u32()?,
            },
            b'x' => Self::FileEnd {
                id: fields.u32()?,
                sha256: fields.hash()?,
            },
            unknown => return Err(FrameError::Kind(unknown)),
        };
        fields.end()?;
        Ok(answer)
    }
}

impl Entry {
    fn write(&self, fields: Writer) -> Writer {
        fields
            .text(&self.name)
            .byte(self.kind as u8)
            .u64(self.size)
            .i64(self.modified)
            .u32(self.attributes)
    }

    fn read(fields: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            name: fields.text()?,
            kind: EntryKind::of(fields.byte()?)?,
            size: fields.u64()?,
            modified: fields.i64()?,
            attributes: fields.u32()?,
        })
    }
}

fn framed(kind: u8, fields: Writer) -> Bytes {
    let payload = fields.0;
    let mut frame = Vec::with_capacity(payload.len() + 5);
    frame.extend_from_slice(&header(kind, payload.len()));
    frame.extend_from_slice(&payload);
    Bytes::from(frame)
}
