//! Output as JSON strings, however long it is.

use std::io::{self, Read, Write};

/// How much is looked at at once: a multiple of three, so that pieces of base64 join.
const PIECE: usize = 48 * 1024;

/// Writes a JSON string. Bytes that are no UTF-8 become U+FFFD; `false` tells of them.
pub(super) fn write_text(out: &mut dyn Write, source: &mut dyn Read) -> io::Result<bool> {
    out.write_all(b"\"")?;
    let exact = for_each_text(source, |text| {
        let quoted = serde_json::to_string(text)?;
        out.write_all(&quoted.as_bytes()[1..quoted.len() - 1])
    })?;
    out.write_all(b"\"")?;
    Ok(exact)
}

/// Gives the source as text, piece by piece, no character cut in two. Bytes that are no UTF-8 are given as U+FFFD; `false` tells of
/// them.
pub(super) fn for_each_text(source: &mut dyn Read, mut give: impl FnMut(&str) -> io::Result<()>) -> io::Result<bool> {
    let mut exact = true;
    let mut buffer = Vec::with_capacity(PIECE);
    loop {
        let read = (&mut *source).take((PIECE - buffer.len()) as u64).read_to_end(&mut buffer)?;
        let mut cut = 0;
        for chunk in buffer.utf8_chunks() {
            if !chunk.valid().is_empty() {
                give(chunk.valid())?;
            }
            let invalid = chunk.invalid();
            let at_end = chunk.valid().len() + invalid.len() + cut == buffer.len();
            // A character whose rest has not been read yet.
            if read > 0 && at_end && invalid.len() < 4 && could_go_on(invalid) {
                cut += chunk.valid().len();
                break;
            }
            if !invalid.is_empty() {
                exact = false;
                give("\u{fffd}")?;
            }
            cut += chunk.valid().len() + invalid.len();
        }
        buffer.drain(..cut);
        if read == 0 {
            return Ok(exact);
        }
    }
}

/// Whether these bytes begin a character.
fn could_go_on(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => false,
        Err(error) => error.error_len().is_none(),
    }
}

pub(super) fn write_base64(out: &mut dyn Write, source: &mut dyn Read) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(PIECE);
    loop {
        buffer.clear();
        if (&mut *source).take(PIECE as u64).read_to_end(&mut buffer)? == 0 {
            return Ok(());
        }
        out.write_all(openssl::base64::encode_block(&buffer).as_bytes())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> (String, bool) {
        let mut out = Vec::new();
        let exact = write_text(&mut out, &mut &*bytes).unwrap();
        (serde_json::from_slice(&out).unwrap(), exact)
    }

    #[test]
    fn text_of_any_length_reads_back() {
        for text in ["", "a\r\n\"\\\u{1}\t", "ü", "\u{1F600}"] {
            assert_eq!(written(text.as_bytes()), (text.to_owned(), true));
        }
        // Characters of two, three and four bytes at every place around the borders of pieces.
        for shift in 0..4 {
            let text = "x".repeat(shift) + &"üe€\u{1F600}".repeat(PIECE / 5);
            assert_eq!(written(text.as_bytes()), (text, true), "{shift}");
        }
    }

    #[test]
    fn what_is_no_text_is_said_and_kept_in_base64() {
        for (bytes, lossy) in [
            (&b"a\xFFb"[..], "a\u{fffd}b"),
            (b"\xE2\x82", "\u{fffd}"),
            (b"\xC3", "\u{fffd}"),
            (b"\xED\xA0\x80z", "\u{fffd}\u{fffd}\u{fffd}z"),
        ] {
            assert_eq!(written(bytes), (lossy.to_owned(), false));
        }
        for length in [0, 1, 2, 3, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 2] {
            let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let mut base64 = Vec::new();
            write_base64(&mut base64, &mut &*bytes).unwrap();
            let back = openssl::base64::decode_block(std::str::from_utf8(&base64).unwrap()).unwrap();
            assert_eq!(back, bytes);
        }
    }
}
