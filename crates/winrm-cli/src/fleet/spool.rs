//! Pieces that are printed in another order than they come in: they wait in a temporary file.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write};

/// Pieces, each with a number.
pub(super) struct Spool {
    file: BufWriter<File>,
    /// Number and start of each piece; it ends where the next begins.
    pieces: Vec<(usize, u64)>,
}

impl Spool {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            file: BufWriter::new(tempfile::tempfile()?),
            pieces: Vec::new(),
        })
    }

    /// Where the next piece is to be written.
    pub(super) fn begin(&mut self, number: usize) -> io::Result<&mut dyn Write> {
        let start = self.file.seek(SeekFrom::End(0))?;
        self.pieces.push((number, start));
        Ok(&mut self.file)
    }

    /// The pieces by their numbers.
    pub(super) fn in_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.pieces.len()).collect();
        order.sort_by_key(|index| self.pieces[*index].0);
        order
    }

    /// Copies the piece that came as the `index`th.
    pub(super) fn copy(&mut self, index: usize, out: &mut dyn Write) -> io::Result<()> {
        let end = match self.pieces.get(index + 1) {
            Some((_, start)) => *start,
            None => self.file.seek(SeekFrom::End(0))?,
        };
        self.file.flush()?;
        let start = self.pieces[index].1;
        let mut file = self.file.get_ref();
        file.seek(SeekFrom::Start(start))?;
        io::copy(&mut file.take(end - start), out)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_in_the_order_of_their_numbers() {
        let mut spool = Spool::new().unwrap();
        for (number, text) in [(2, "two"), (0, ""), (1, "one")] {
            spool.begin(number).unwrap().write_all(text.as_bytes()).unwrap();
        }
        let mut out = Vec::new();
        for index in spool.in_order() {
            spool.copy(index, &mut out).unwrap();
            out.push(b'|');
        }
        assert_eq!(out, b"|one|two|");
    }
}
