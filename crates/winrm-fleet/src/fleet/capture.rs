//! Output that is kept: a little in memory, the rest in a temporary file that nobody else sees.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};

/// What is kept in memory, in bytes.
const IN_MEMORY: usize = 64 * 1024;

/// What a command has written to one stream.
///
/// Short output is in memory; longer one is in a temporary file without a name, which the system removes with its last reader.
#[derive(Debug, Default)]
pub struct Captured {
    memory: Vec<u8>,
    file: Option<File>,
    length: u64,
}

impl Captured {
    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Reads it from its start. One reader at a time: they share the file's position.
    ///
    /// # Errors
    /// Whatever the temporary file has.
    pub fn reader(&self) -> io::Result<CaptureReader<'_>> {
        match &self.file {
            None => Ok(CaptureReader::Memory(&self.memory)),
            Some(file) => {
                (&*file).seek(SeekFrom::Start(0))?;
                Ok(CaptureReader::File(file))
            }
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.memory.len() + bytes.len() > IN_MEMORY {
            let mut file = tempfile::tempfile()?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            None => self.memory.extend_from_slice(bytes),
            Some(file) => file.write_all(bytes)?,
        }
        self.length += bytes.len() as u64;
        Ok(())
    }
}

impl From<Vec<u8>> for Captured {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            length: bytes.len() as u64,
            memory: bytes,
            file: None,
        }
    }
}

/// Reads a [`Captured`].
#[derive(Debug)]
#[non_exhaustive]
pub enum CaptureReader<'a> {
    /// What is left in memory.
    Memory(&'a [u8]),
    /// The file, at the position of reading.
    File(&'a File),
}

impl Read for CaptureReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => bytes.read(buffer),
            Self::File(file) => file.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_reads_back_also_twice() {
        for pieces in [&[][..], &[0, 3], &[IN_MEMORY], &[IN_MEMORY - 1, 1, 1], &[1, 3 * IN_MEMORY, 5]] {
            let mut captured = Captured::default();
            let mut expected = Vec::new();
            for (index, length) in pieces.iter().enumerate() {
                let piece = vec![u8::try_from(index).unwrap(); *length];
                captured.write(&piece).unwrap();
                expected.extend(piece);
            }
            assert_eq!(captured.file.is_some(), expected.len() > IN_MEMORY);
            assert_eq!(captured.len(), expected.len() as u64);
            for _ in 0..2 {
                let mut read = Vec::new();
                captured.reader().unwrap().read_to_end(&mut read).unwrap();
                assert_eq!(read, expected);
            }
        }
    }
}
