//! Messages as TLS records, [MS-WSMV] 2.2.9.1.3.

use std::ops::Range;

use super::tls::{InnerTls, RECORD};
use crate::SealError;

/// Encrypts and decrypts the messages of one CredSSP connection: each is one or more records of the inner TLS.
///
/// Unlike the other mechanisms' it can't seal where the plain text stands, since records have a header and a trailer.
#[derive(Debug)]
pub struct CredSspSealer {
    tls: InnerTls,
    broken: bool,
}

impl CredSspSealer {
    /// The greatest plain text of one record, in bytes. Longer messages are cut.
    pub const RECORD: usize = RECORD;

    pub(super) fn new(tls: InnerTls) -> Self {
        Self { tls, broken: false }
    }

    /// Appends one record with `plain` to `out`; the length of the record's trailer, in bytes.
    ///
    /// # Errors
    /// [`SealError::Empty`], [`SealError::Tls`].
    pub fn seal_record(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<usize, SealError> {
        if self.broken {
            return Err(SealError::Broken);
        }
        if plain.is_empty() {
            return Err(SealError::Empty);
        }
        self.tls.write_record(plain, out).map_err(|error| self.refused(&error))
    }

    /// Decrypts the records of `message` where they stand, and tells where the plain text is.
    ///
    /// # Errors
    /// [`SealError::Tls`] if a record was changed, lost, repeated or cut off; nothing further can be opened then.
    pub fn unseal_in_place(&mut self, message: &mut [u8]) -> Result<Range<usize>, SealError> {
        if self.broken {
            return Err(SealError::Broken);
        }
        match self.tls.read_in_place(message) {
            Ok(0) => {
                self.broken = true;
                Err(SealError::Empty)
            }
            Ok(length) => Ok(0..length),
            Err(error) => Err(self.refused(&error)),
        }
    }

    fn refused(&mut self, error: &super::CredSspError) -> SealError {
        self.broken = true;
        match error {
            super::CredSspError::Tls(reason) => SealError::Tls(reason.clone()),
            other => SealError::Tls(other.to_string()),
        }
    }
}
