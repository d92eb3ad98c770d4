//! Texts in CLIXML: `_xHHHH_` for each UTF-16 code unit that XML can't carry or would change (\[MS-PSRP\] 2.2.5.3.2).

use std::borrow::Cow;

/// Resolves `_xHHHH_`.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    let Some(first) = find_escape(text, 0) else {
        return Cow::Borrowed(text);
    };
    let mut decoded = String::with_capacity(text.len());
    let mut done = 0;
    let mut next = Some(first);
    // Code units of escapes that follow each other: two of them may be one character.
    let mut units: Vec<u16> = Vec::new();
    while let Some((at, unit)) = next {
        if at != done {
            flush(&mut units, &mut decoded);
            decoded.push_str(&text[done..at]);
        }
        units.push(unit);
        done = at + LENGTH;
        next = find_escape(text, done);
    }
    flush(&mut units, &mut decoded);
    decoded.push_str(&text[done..]);
    Cow::Owned(decoded)
}

/// The length of an escape.
const LENGTH: usize = 7;

fn flush(units: &mut Vec<u16>, decoded: &mut String) {
    decoded.extend(char::decode_utf16(units.drain(..)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

/// The next escape from `from` on: where, and its code unit.
fn find_escape(text: &str, from: usize) -> Option<(usize, u16)> {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(found) = memchr::memchr(b'_', &bytes[at..]) {
        at += found;
        if let Some(unit) = bytes.get(at..at + LENGTH).and_then(unit) {
            return Some((at, unit));
        }
        at += 1;
    }
    None
}

fn unit(escape: &[u8]) -> Option<u16> {
    let [b'_', b'x' | b'X', digits @ .., b'_'] = escape else {
        return None;
    };
    digits.iter().try_fold(0, |unit, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(value).ok()?)
    })
}

/// Escapes what has to be, as PowerShell does, and what XML itself gives a meaning to.
pub(super) fn encode(text: &str, out: &mut String) {
    for (at, character) in text.char_indices() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '_' if matches!(text.as_bytes().get(at + 1), Some(b'x' | b'X')) => out.push_str("_x005F_"),
            '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{FFFE}' | '\u{FFFF}' | '\u{10000}'.. => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    out.push_str("_x");
                    for shift in [12, 8, 4, 0] {
                        let digit = u32::from(*unit >> shift & 0xF);
                        out.push(char::from_digit(digit, 16).unwrap_or('0').to_ascii_uppercase());
                    }
                    out.push('_');
                }
            }
            character => out.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> String {
        let mut out = String::new();
        encode(text, &mut out);
        out
    }

    #[test]
    fn escapes_are_those_of_powershell() {
        assert_eq!(encoded("a\r\n😀_x0041_\0"), "a_x000D__x000A__xD83D__xDE00__x005F_x0041__x0000_");
        assert_eq!(decode("_xD83D__xde00_"), "😀");
        assert_eq!(decode("_xD83D_x_xDE00_"), "\u{FFFD}x\u{FFFD}");
        assert_eq!(decode("_x00E9__x5_ _x005F_x0041_ _xé_"), "é_x5_ _x0041_ _xé_");
        assert_eq!(decode("___x0041_"), "__A");
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(text in "([_xX0-9A-F]|\\PC|[\0-\u{20}]|😀){0,40}") {
            let escaped = encoded(&text).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
            prop_assert_eq!(decode(&escaped), text);
        }
    }
}
