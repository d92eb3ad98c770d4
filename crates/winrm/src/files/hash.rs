//! SHA-256 of files.

use std::fs::File;
use std::io::{self, Read as _};

use openssl::sha::Sha256;

use super::BLOCK;

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
        text
    })
}

/// Hashes the next `length` bytes of a file, or all that are left; gives how many there were.
pub(super) fn prefix(file: &mut File, length: u64) -> io::Result<(Sha256, u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BLOCK];
    let mut done = 0;
    while done < length {
        let wanted = usize::try_from(length - done).unwrap_or(usize::MAX).min(BLOCK);
        let count = file.read(&mut buffer[..wanted])?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        done += count as u64;
    }
    Ok((hash, done))
}
