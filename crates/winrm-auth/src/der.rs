//! Just enough of DER (ITU-T X.690) to read and write the tokens of SPNEGO and CredSSP and to find the signature algorithm
//! of a certificate: definite lengths of at most four bytes, low tag numbers, every length checked against its container.

/// Tag of a `SEQUENCE`.
pub(crate) const SEQUENCE: u8 = 0x30;
/// Tag of an `INTEGER`.
pub(crate) const INTEGER: u8 = 0x02;
/// Tag of a `BIT STRING`.
pub(crate) const BIT_STRING: u8 = 0x03;
/// Tag of an `OBJECT IDENTIFIER`.
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
/// Tag of an `OCTET STRING`.
pub(crate) const OCTET_STRING: u8 = 0x04;
/// Tag of an `ENUMERATED`.
pub(crate) const ENUMERATED: u8 = 0x0a;

/// The tag of an explicitly tagged field, `[number]`.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// What is wrong, and at which byte of the whole input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DerError {
    /// The input ends inside an element.
    #[error("the DER element at byte {at} is cut off")]
    Truncated {
        /// Byte offset of the element.
        at: usize,
    },
    /// An indefinite length, more than four length bytes, or a length that isn't the shortest form.
    #[error("the DER element at byte {at} has an invalid length")]
    Length {
        /// Byte offset of the element.
        at: usize,
    },
    /// Another element than the one that has to stand here.
    #[error("DER tag {found:#04x} at byte {at} where {expected:#04x} should stand")]
    Tag {
        /// Byte offset of the element.
        at: usize,
        /// The tag that should stand there.
        expected: u8,
        /// The tag that stands there.
        found: u8,
    },
    /// An `INTEGER` without bytes, not in its shortest form, or greater than those that occur here.
    #[error("the DER integer at byte {at} is malformed or too great")]
    Integer {
        /// Byte offset of the integer's content.
        at: usize,
    },
    /// Bytes after the end of what should be the last element.
    #[error("bytes follow the end of the DER value, at byte {at}")]
    Trailing {
        /// Byte offset of the first extra byte.
        at: usize,
    },
}

/// Reads elements from left to right, and knows where it is in the whole input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { rest: input, at: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next element, without taking it.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The bytes not read yet.
    pub(crate) fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes the next element, whatever it is: its tag and a reader of its content.
    pub(crate) fn any(&mut self) -> Result<(u8, Self), DerError> {
        let at = self.at;
        let truncated = DerError::Truncated { at };
        let (&tag, rest) = self.rest.split_first().ok_or(truncated)?;
        let (&first, rest) = rest.split_first().ok_or(truncated)?;
        let (length, header, rest) = match first {
            0..=0x7f => (usize::from(first), 2, rest),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let (digits, rest) = rest.split_at_checked(count).ok_or(truncated)?;
                let length = digits.iter().fold(0_u32, |value, &digit| value << 8 | u32::from(digit));
                // The shortest form is demanded: X.690 10.1.
                if digits.first() == Some(&0) || length < 0x80 {
                    return Err(DerError::Length { at });
                }
                (length as usize, 2 + count, rest)
            }
            _ => return Err(DerError::Length { at }),
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(truncated)?;
        *self = Self {
            rest,
            at: at + header + length,
        };
        Ok((
            tag,
            Self {
                rest: content,
                at: at + header,
            },
        ))
    }

    /// Takes the next element, which has to have this tag.
    pub(crate) fn element(&mut self, expected: u8) -> Result<Self, DerError> {
        let found = self.peek().ok_or(DerError::Truncated { at: self.at })?;
        if found != expected {
            return Err(DerError::Tag {
                at: self.at,
                expected,
                found,
            });
        }
        Ok(self.any()?.1)
    }

    /// Takes the next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Self>, DerError> {
        if self.peek() == Some(tag) {
            self.element(tag).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Takes an `INTEGER` of at most five bytes: what 32 bits hold, with and without sign.
    pub(crate) fn integer(&mut self) -> Result<i64, DerError> {
        let content = self.element(INTEGER)?;
        let malformed = DerError::Integer { at: content.at };
        let bytes = content.remaining();
        // The shortest form is demanded: X.690 8.3.2.
        let shortest = !matches!(bytes, [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..]);
        let (&first, _) = bytes.split_first().filter(|_| shortest && bytes.len() <= 5).ok_or(malformed)?;
        let sign = if first & 0x80 == 0 { 0 } else { -1 };
        Ok(bytes.iter().fold(sign, |value, &byte| value << 8 | i64::from(byte)))
    }

    /// Makes sure that nothing is left.
    pub(crate) fn finish(self) -> Result<(), DerError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DerError::Trailing { at: self.at })
        }
    }
}

/// One element around the concatenation of `parts`.
pub(crate) fn write(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let digits = length.to_be_bytes();
        let skipped = digits.iter().take_while(|&&digit| digit == 0).count();
        out.push(0x80 | (digits.len() - skipped) as u8);
        out.extend_from_slice(&digits[skipped..]);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// An `INTEGER` in its shortest form.
pub(crate) fn write_integer(value: i32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let superfluous = |at: usize| matches!((bytes[at], bytes[at + 1]), (0, 0..=0x7f) | (0xff, 0x80..));
    let skipped = (0..3).take_while(|&at| superfluous(at)).count();
    write(INTEGER, &[&bytes[skipped..]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_malformation_says_where() {
        let read = |bytes: &[u8]| Reader::new(bytes).any().map(|(tag, _)| tag);
        assert_eq!(read(&[]), Err(DerError::Truncated { at: 0 }));
        assert_eq!(read(&[0x30]), Err(DerError::Truncated { at: 0 }));
        assert_eq!(read(&[0x30, 1]), Err(DerError::Truncated { at: 0 }));
        assert_eq!(read(&[0x30, 0x80, 0, 0]), Err(DerError::Length { at: 0 }));
        assert_eq!(read(&[0x30, 0x85, 0, 0, 0, 0, 0]), Err(DerError::Length { at: 0 }));
        assert_eq!(read(&[0x30, 0x81, 0x7f]), Err(DerError::Length { at: 0 }));
        assert_eq!(read(&[0x30, 0x82, 0x00, 0xff]), Err(DerError::Length { at: 0 }));
        let mut outer = Reader::new(&[0x30, 3, 0x04, 5, 0]);
        let mut inner = outer.element(SEQUENCE).unwrap();
        assert_eq!(
            inner.element(SEQUENCE).unwrap_err(),
            DerError::Tag {
                at: 2,
                expected: 0x30,
                found: 4
            }
        );
        assert_eq!(inner.element(OCTET_STRING).unwrap_err(), DerError::Truncated { at: 2 });
        assert_eq!(inner.finish(), Err(DerError::Trailing { at: 2 }));
    }

    #[test]
    fn integers_have_one_form() {
        for (bytes, value) in [
            (&[2, 1, 0][..], 0),
            (&[2, 1, 6], 6),
            (&[2, 1, 0xff], -1),
            (&[2, 2, 0, 0x80], 128),
            (&[2, 4, 0xc0, 0, 0, 0x6d], -0x3fff_ff93),
        ] {
            assert_eq!(Reader::new(bytes).integer(), Ok(i64::from(value)));
            assert_eq!(write_integer(value), bytes);
        }
        assert_eq!(Reader::new(&[2, 5, 0, 0xc0, 0, 0, 0x6d]).integer(), Ok(0xc000_006d));
        for bytes in [&[2, 0][..], &[2, 2, 0, 6], &[2, 2, 0xff, 0x80], &[2, 6, 1, 0, 0, 0, 0, 0]] {
            assert_eq!(Reader::new(bytes).integer(), Err(DerError::Integer { at: 2 }), "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn integers_read_back(value in any::<i32>()) {
            prop_assert_eq!(Reader::new(&write_integer(value)).integer(), Ok(i64::from(value)));
        }

        #[test]
        fn what_is_written_reads_back(content in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let bytes = write(OCTET_STRING, &[&content, b"x"]);
            let mut reader = Reader::new(&bytes);
            let inner = reader.element(OCTET_STRING).unwrap();
            prop_assert_eq!(inner.remaining(), [content, b"x".to_vec()].concat());
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }
}
