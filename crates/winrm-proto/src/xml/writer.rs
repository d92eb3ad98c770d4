//! Writing XML: markup comes from this crate's own constants, everything else is escaped.

/// A value that XML 1.0 can't carry, not even escaped, or a name that no element can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} holds U+{code_point:04X} at character {position}, which XML can't carry")]
pub struct WriteError {
    /// What the value is, for a person: `the command line`.
    pub what: String,
    /// Where the character stands in the value, counted in characters from 0.
    pub position: usize,
    /// The character's code point.
    pub code_point: u32,
}

/// Appends XML to a buffer.
pub(crate) struct XmlWriter {
    out: Vec<u8>,
}

impl XmlWriter {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            out: Vec::with_capacity(capacity),
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Markup, as it is.
    pub(crate) fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.out.extend_from_slice(markup.as_bytes());
        self
    }

    /// Text known to need no escaping: numbers, identifiers, this crate's own constants.
    pub(crate) fn plain(&mut self, text: &str) -> &mut Self {
        debug_assert!(
            !text.bytes().any(|byte| matches!(byte, b'<' | b'&' | b'"')),
            "{text} needs escaping"
        );
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    /// Character data, escaped for use both between tags and inside a double-quoted attribute.
    pub(crate) fn text(&mut self, text: &str, what: &str) -> Result<&mut Self, WriteError> {
        let bytes = text.as_bytes();
        // Nearly all texts need nothing; a fold without an early exit becomes vector instructions.
        let special = |byte: u8| byte < 0x20 || matches!(byte, b'&' | b'<' | b'>' | b'"' | 0xEF);
        if !bytes.iter().fold(false, |found, byte| found | special(*byte)) {
            self.out.extend_from_slice(bytes);
            return Ok(self);
        }
        let mut done = 0;
        for (index, &byte) in bytes.iter().enumerate() {
            let escape: &[u8] = match byte {
                b'&' => b"&amp;",
                b'<' => b"&lt;",
                b'>' => b"&gt;",
                b'"' => b"&quot;",
                // Readers turn a bare CR LF into LF, and white space in attributes into spaces.
                b'\r' => b"&#xD;",
                b'\n' => b"&#xA;",
                b'\t' => b"&#x9;",
                0..=0x1F => return Err(refused(text, index, what)),
                // U+FFFE and U+FFFF are no characters in XML 1.0.
                0xEF if matches!(bytes[index..], [_, 0xBF, 0xBE | 0xBF, ..]) => return Err(refused(text, index, what)),
                _ => continue,
            };
            self.out.extend_from_slice(&bytes[done..index]);
            self.out.extend_from_slice(escape);
            done = index + 1;
        }
        self.out.extend_from_slice(&bytes[done..]);
        Ok(self)
    }

    /// The name of an element, without a prefix.
    pub(crate) fn name(&mut self, name: &str, what: &str) -> Result<&mut Self, WriteError> {
        let fits = |(index, c): (usize, char)| match c {
            'a'..='z' | 'A'..='Z' | '_' => true,
            '0'..='9' | '-' | '.' => index > 0,
            _ => !c.is_ascii() && (c.is_alphabetic() || index > 0 && c.is_numeric()),
        };
        if name.is_empty() {
            return Err(refused(name, 0, what));
        }
        if let Some((index, _)) = name.char_indices().find(|place| !fits(*place)) {
            return Err(refused(name, index, what));
        }
        self.out.extend_from_slice(name.as_bytes());
        Ok(self)
    }

    /// `<tag>text</tag>`
    pub(crate) fn element(&mut self, tag: &'static str, text: &str, what: &str) -> Result<&mut Self, WriteError> {
        self.markup("<").markup(tag).markup(">").text(text, what)?;
        Ok(self.markup("</").markup(tag).markup(">"))
    }

    /// ` name="value"`
    pub(crate) fn attribute(&mut self, name: &'static str, value: &str, what: &str) -> Result<&mut Self, WriteError> {
        self.markup(" ").markup(name).markup("=\"").text(value, what)?;
        Ok(self.markup("\""))
    }

    /// Bytes in base64, encoded in place.
    pub(crate) fn base64(&mut self, bytes: &[u8]) -> &mut Self {
        base64_simd::STANDARD.encode_append(bytes, &mut self.out);
        self
    }
}

fn refused(text: &str, index: usize, what: &str) -> WriteError {
    WriteError {
        what: what.to_owned(),
        position: text[..index].chars().count(),
        code_point: text[index..].chars().next().map_or(0, u32::from),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn says_where_a_character_is_that_xml_cannot_carry() {
        let mut writer = XmlWriter::with_capacity(0);
        let error = writer.text("né\u{1}x", "an argument").err().unwrap();
        assert_eq!(
            error,
            WriteError {
                what: "an argument".into(),
                position: 2,
                code_point: 1
            }
        );
        assert_eq!(error.to_string(), "an argument holds U+0001 at character 2, which XML can't carry");
        assert_eq!(writer.text("a\u{FFFF}", "x").err().unwrap().code_point, 0xFFFF);
        assert!(writer.text("\u{FFFD}\u{FEFF}\u{10FFFF}", "x").is_ok());
    }

    #[test]
    fn escapes_for_text_and_attributes_alike() {
        let mut writer = XmlWriter::with_capacity(0);
        writer.element("a", "<&>\"'\r\n\t", "x").unwrap();
        assert_eq!(
            String::from_utf8(writer.finish()).unwrap(),
            "<a>&lt;&amp;&gt;&quot;'&#xD;&#xA;&#x9;</a>"
        );
    }

    #[test]
    fn encodes_base64_of_every_length() {
        for length in 0..=255u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
            let mut writer = XmlWriter::with_capacity(0);
            writer.markup("x").base64(&bytes);
            assert_eq!(String::from_utf8(writer.finish()).unwrap(), format!("x{}", STANDARD.encode(&bytes)));
        }
    }
}
