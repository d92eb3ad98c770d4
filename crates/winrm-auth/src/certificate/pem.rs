//! PEM as it is found: RFC 7468, the older headers of RFC 1421, texts around the blocks, indentation, and the UTF-16 that
//! Windows' editors and PowerShell's `>` write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::CertificateError;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// One block. Its memory is overwritten: it may be a key.
pub(super) struct Block {
    pub(super) label: String,
    /// The line of `-----BEGIN`, counted from 1.
    pub(super) line: usize,
    /// `Proc-Type: 4,ENCRYPTED` and the like, a line each.
    headers: Vec<String>,
    pub(super) content: Zeroizing<Vec<u8>>,
}

impl Block {
    /// Whether it is encrypted as RFC 1421 has it.
    pub(super) fn is_proc_type_encrypted(&self) -> bool {
        self.headers
            .iter()
            .any(|header| header.starts_with("Proc-Type:") && header.contains("ENCRYPTED"))
    }

    /// The block as OpenSSL reads it in any case: lines of 64 characters, nothing around them.
    pub(super) fn text(&self) -> Zeroizing<String> {
        let encoded = Zeroizing::new(STANDARD.encode(&self.content));
        let headers: usize = self.headers.iter().map(|header| header.len() + 1).sum();
        // Large enough at once: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(
            encoded.len() + encoded.len() / 64 + headers + 2 * self.label.len() + 64,
        ));
        let mut line = |parts: &[&str]| {
            for part in parts {
                text.push_str(part);
            }
            text.push('\n');
        };
        line(&[BEGIN, &self.label, DASHES]);
        for header in &self.headers {
            line(&[header]);
        }
        if !self.headers.is_empty() {
            line(&[]);
        }
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(64));
            line(&[part]);
            rest = after;
        }
        line(&["-----END ", &self.label, DASHES]);
        text
    }
}

/// Whether there is any block.
pub(super) fn has_blocks(bytes: &[u8]) -> bool {
    decode(bytes).is_some_and(|text| text.contains(BEGIN))
}

/// All blocks of a text, in their order. What stands between them means nothing.
pub(super) fn blocks(bytes: &[u8]) -> Result<Vec<Block>, CertificateError> {
    let Some(text) = decode(bytes) else { return Ok(Vec::new()) };
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some(label) = line.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES)) else {
            continue;
        };
        let damaged = |at: usize, reason: &str| CertificateError::Damaged {
            what: "the PEM block",
            at: format!("at line {at}"),
            reason: reason.to_owned(),
        };
        let begin = index + 1;
        let end = format!("-----END {label}-----");
        let mut headers: Vec<String> = Vec::new();
        let mut encoded = Zeroizing::new(String::with_capacity(text.len()));
        loop {
            let Some((index, line)) = lines.next() else {
                return Err(damaged(begin, &format!("it is cut off: {end} is missing")));
            };
            let line = line.trim();
            if line == end {
                break;
            }
            if line.starts_with(DASHES) {
                return Err(damaged(begin, &format!("line {} should be {end}", index + 1)));
            }
            if line.contains(':') && encoded.is_empty() {
                headers.push(line.to_owned());
            } else if let Some(bad) = line.chars().find(|&c| !(c.is_ascii_alphanumeric() || "+/= \t".contains(c))) {
                return Err(damaged(begin, &format!("line {} holds {:?}, which is not base64", index + 1, bad)));
            } else {
                encoded.extend(line.chars().filter(|c| !c.is_ascii_whitespace()));
            }
        }
        let content = STANDARD
            .decode(encoded.as_bytes())
            .map_err(|error| damaged(begin, &format!("its base64 is incomplete or changed ({error})")))?;
        blocks.push(Block {
            label: label.to_owned(),
            line: begin,
            headers,
            content: Zeroizing::new(content),
        });
    }
    Ok(blocks)
}

/// The text, without its byte order mark; `None` for what is no text.
fn decode(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let wide = |unit: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let mut text = Zeroizing::new(String::with_capacity(bytes.len() / 2));
        text.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
        Some(text)
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        // Comments around the blocks may be in any encoding.
        _ => {
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let mut out = Zeroizing::new(String::with_capacity(text.len() * 2));
            out.extend(text.iter().map(|&byte| char::from(byte)));
            Some(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, usize, Vec<u8>)> {
        let blocks = blocks(text.as_bytes()).unwrap();
        blocks
            .into_iter()
            .map(|block| (block.label.clone(), block.line, block.content.to_vec()))
            .collect()
    }

    fn damage(text: &str) -> String {
        blocks(text.as_bytes()).err().unwrap().to_string()
    }

    #[test]
    fn blocks_with_texts_around_them() {
        let text =
            "Bag Attributes: é\n  -----BEGIN A B-----\r\n  YWJj\r\n\tZGU=\n-----END A B-----\nand\n-----BEGIN C-----\n-----END C-----";
        assert_eq!(
            read(text),
            [("A B".to_owned(), 2, b"abcde".to_vec()), ("C".to_owned(), 7, Vec::new())]
        );
        assert_eq!(read("nothing here\n"), []);
    }

    #[test]
    fn the_encodings_that_windows_writes() {
        let text = "-----BEGIN A-----\r\nYWJj\r\n-----END A-----\r\n";
        let expected = [("A".to_owned(), 1, b"abc".to_vec())];
        let little: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        for bytes in [little, big, format!("\u{feff}{text}").into_bytes()] {
            assert!(has_blocks(&bytes));
            let found: Vec<_> = blocks(&bytes)
                .unwrap()
                .into_iter()
                .map(|block| (block.label.clone(), block.line, block.content.to_vec()))
                .collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn damage_says_where() {
        assert_eq!(
            damage("\n-----BEGIN A-----\nYWJj\n"),
            "the PEM block at line 2 is damaged: it is cut off: -----END A----- is missing"
        );
        assert_eq!(
            damage("-----BEGIN A-----\nYWJj\n-----END B-----\n"),
            "the PEM block at line 1 is damaged: line 3 should be -----END A-----"
        );
        assert_eq!(
            damage("-----BEGIN A-----\nYW*j\n-----END A-----\n"),
            "the PEM block at line 1 is damaged: line 2 holds '*', which is not base64"
        );
        assert!(damage("-----BEGIN A-----\nYWJ\n-----END A-----\n").contains("its base64 is incomplete or changed"));
    }

    #[test]
    fn headers_are_kept_and_lines_made_regular() {
        let text = "-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nYWJj\n-----END A-----\n";
        let blocks = blocks(text.as_bytes()).unwrap();
        assert!(blocks[0].is_proc_type_encrypted());
        assert_eq!(blocks[0].text().as_str(), text);
    }
}
