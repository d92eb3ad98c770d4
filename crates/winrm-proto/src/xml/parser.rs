//! From text to a [`Document`]: XML 1.0 without document types, names resolved to namespaces as they are met.
//!
//! One pass, no intermediate events: reading answers is most of what a client's processor does for a small command, and a
//! general tokenizer with a tree above it cost four times as much.

use std::borrow::Cow;

use memchr::{memchr, memchr3, memmem};

use super::reader::{Attribute, Document, Limits, Node, XmlError, XmlErrorKind as Kind, allowed, error_at};
use crate::ns;

type Parsed<T = ()> = Result<T, (usize, Kind)>;

pub(super) struct Parser<'i, 'l> {
    input: &'i str,
    limits: &'l Limits,
    at: usize,
    document: Document<'i>,
    open: Vec<Open<'i>>,
    /// Prefixes in force, the innermost last.
    bindings: Vec<(&'i str, u16)>,
    /// Attributes of the tag being read, before their prefixes are resolved: where each stands, prefix, local name, value.
    pending: Vec<(usize, &'i str, &'i str, Cow<'i, str>)>,
}

/// An element whose end has not come yet.
struct Open<'i> {
    node: u32,
    /// The name as it was written: the end has to repeat it.
    name: &'i str,
    /// How many bindings were in force outside of it.
    bindings: usize,
}

impl<'i, 'l> Parser<'i, 'l> {
    pub(super) fn new(input: &'i str, limits: &'l Limits) -> Self {
        let document = Document {
            input,
            namespaces: vec![Cow::Borrowed("")],
            nodes: Vec::with_capacity(32),
            attributes: Vec::with_capacity(16),
        };
        Self {
            input,
            limits,
            at: 0,
            document,
            open: Vec::with_capacity(16),
            bindings: Vec::with_capacity(16),
            pending: Vec::with_capacity(16),
        }
    }

    pub(super) fn parse(mut self) -> Result<Document<'i>, XmlError> {
        match self.run() {
            Ok(()) => Ok(self.document),
            Err((at, kind)) => Err(error_at(self.input, at, kind)),
        }
    }

    fn run(&mut self) -> Parsed {
        let bytes = self.input.as_bytes();
        if bytes.len() > self.limits.bytes {
            return Err((0, Kind::TooLarge(self.limits.bytes)));
        }
        if let Some(at) = control_character(bytes) {
            return Err((at, Kind::Character(u32::from(bytes[at]))));
        }
        while self.at < bytes.len() {
            match bytes[self.at] {
                b'<' => match bytes.get(self.at + 1) {
                    Some(b'/') => self.end_tag()?,
                    Some(b'!') => self.declaration()?,
                    Some(b'?') => self.skip("?>", 2, "a processing instruction does not end")?,
                    _ => self.start_tag()?,
                },
                b'&' => self.reference()?,
                _ => self.text()?,
            }
        }
        match self.open.last() {
            Some(open) => Err((bytes.len(), Kind::Truncated(open.name.to_owned()))),
            None if self.document.nodes.is_empty() => Err((bytes.len(), Kind::Empty)),
            None => Ok(()),
        }
    }

    /// The rest of the input.
    fn rest(&self) -> &'i str {
        &self.input[self.at..]
    }

    fn syntax<T>(&self, what: &str) -> Parsed<T> {
        Err((self.at, Kind::Syntax(what.to_owned())))
    }

    /// Skips to behind `end`, which is looked for `from` bytes further on.
    fn skip(&mut self, end: &str, from: usize, what: &str) -> Parsed {
        match memmem::find(self.rest().as_bytes().get(from..).unwrap_or_default(), end.as_bytes()) {
            Some(length) => {
                self.at += from + length + end.len();
                Ok(())
            }
            None => self.syntax(what),
        }
    }

    fn declaration(&mut self) -> Parsed {
        let rest = self.rest();
        if rest.starts_with("<!--") {
            let start = self.at;
            self.skip("-->", 4, "a comment does not end")?;
            if self.input[start + 4..self.at - 3].contains("--") || self.input[..self.at - 3].ends_with('-') && self.at - 3 > start + 4 {
                return Err((start, Kind::Syntax("a comment holds --".to_owned())));
            }
            Ok(())
        } else if rest.starts_with("<![CDATA[") {
            let start = self.at;
            if self.open.is_empty() {
                return Err((start, Kind::Outside));
            }
            self.skip("]]>", 9, "a CDATA section does not end")?;
            self.append(with_newlines(&self.input[start + 9..self.at - 3]));
            Ok(())
        } else if rest.starts_with("<!DOCTYPE") {
            Err((self.at, Kind::DocumentType))
        } else {
            self.syntax("<! begins neither a comment nor CDATA")
        }
    }

    fn text(&mut self) -> Parsed {
        let start = self.at;
        let bytes = self.input.as_bytes();
        // Base64, which is most of what is long, has none of the three.
        while let Some(found) = memchr3(b'<', b'&', b']', &bytes[self.at..]) {
            self.at += found;
            if bytes[self.at] != b']' {
                return self.add_text(start);
            }
            if self.rest().starts_with("]]>") {
                return self.syntax("]]> stands outside of a CDATA section");
            }
            self.at += 1;
        }
        self.at = bytes.len();
        self.add_text(start)
    }

    fn add_text(&mut self, start: usize) -> Parsed {
        let text = &self.input[start..self.at];
        if !self.open.is_empty() {
            self.append(with_newlines(text));
        } else if !text.bytes().all(is_space) {
            return Err((start, Kind::Outside));
        }
        Ok(())
    }

    fn append(&mut self, more: Cow<'i, str>) {
        if let Some(open) = self.open.last() {
            let text = &mut self.document.nodes[open.node as usize].text;
            if text.is_empty() {
                *text = more;
            } else {
                text.to_mut().push_str(&more);
            }
        }
    }

    fn reference(&mut self) -> Parsed {
        let Some(open) = self.open.last() else {
            return Err((self.at, Kind::Outside));
        };
        let (character, length) = reference(self.rest()).map_err(|kind| (self.at, kind))?;
        self.document.nodes[open.node as usize].text.to_mut().push(character);
        self.at += length;
        Ok(())
    }

    fn end_tag(&mut self) -> Parsed {
        let Some(open) = self.open.pop() else {
            return self.syntax("an element ends that has not begun");
        };
        let rest = &self.rest()[2..];
        let Some(behind) = rest.strip_prefix(open.name) else {
            return self.syntax(&format!("</{}> is expected here", open.name));
        };
        let behind = behind.trim_start_matches(|character: char| character.is_ascii() && is_space(character as u8));
        if !behind.starts_with('>') {
            return self.syntax(&format!("</{}> is expected here", open.name));
        }
        self.at = self.input.len() - behind.len() + 1;
        self.bindings.truncate(open.bindings);
        let end = self.document.nodes.len() as u32;
        let node = &mut self.document.nodes[open.node as usize];
        node.end = end;
        node.span.1 = self.at;
        Ok(())
    }

    fn start_tag(&mut self) -> Parsed {
        let start = self.at;
        let fail = |kind| Err((start, kind));
        if self.open.is_empty() && !self.document.nodes.is_empty() {
            return fail(Kind::Roots);
        }
        if self.open.len() >= self.limits.depth {
            return fail(Kind::TooDeep(self.limits.depth));
        }
        if self.document.nodes.len() >= self.limits.elements {
            return fail(Kind::TooManyElements(self.limits.elements));
        }
        self.at += 1;
        let (name, prefix, local) = self.name("an element's name")?;
        let outer_bindings = self.bindings.len();
        let empty = self.attributes(name)?;
        let node = self.document.nodes.len() as u32;
        let namespace = self.resolve(prefix).map_err(|kind| (start, kind))?;
        let first_attribute = self.document.attributes.len();
        self.resolve_attributes(first_attribute)?;
        self.document.nodes.push(Node {
            namespace,
            local,
            first_attribute: first_attribute as u32,
            attributes: (self.document.attributes.len() - first_attribute) as u32,
            text: Cow::Borrowed(""),
            end: node + 1,
            span: (start, self.at),
        });
        if empty {
            self.bindings.truncate(outer_bindings);
        } else {
            self.open.push(Open {
                node,
                name,
                bindings: outer_bindings,
            });
        }
        Ok(())
    }

    /// A qualified name: all of it, its prefix, its local part.
    fn name(&mut self, what: &str) -> Parsed<(&'i str, &'i str, &'i str)> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let length = bytes.iter().position(|byte| !IS_NAME[usize::from(*byte)]).unwrap_or(bytes.len());
        let name = &rest[..length];
        let (prefix, local) = match bytes[..length].iter().position(|byte| *byte == b':') {
            Some(colon) => (&name[..colon], &name[colon + 1..]),
            None => ("", name),
        };
        let starts = |part: &str| {
            part.as_bytes()
                .first()
                .is_some_and(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'.' | b':'))
        };
        if !starts(local) || local.contains(':') || prefix.len() != name.len() - local.len() && !starts(prefix) {
            return self.syntax(&format!("{what} is expected here"));
        }
        self.at += length;
        Ok((name, prefix, local))
    }

    fn space(&mut self) -> bool {
        let from = self.at;
        while self.input.as_bytes().get(self.at).is_some_and(|byte| is_space(*byte)) {
            self.at += 1;
        }
        self.at > from
    }

    /// Reads attributes up to the tag's end: declarations into the bindings, the others into `pending`. Tells whether the
    /// element is empty.
    fn attributes(&mut self, element: &'i str) -> Parsed<bool> {
        self.pending.clear();
        let outer = self.bindings.len();
        let mut count = 0;
        loop {
            let spaced = self.space();
            match self.rest().as_bytes() {
                [b'>', ..] => {
                    self.at += 1;
                    return Ok(false);
                }
                [b'/', b'>', ..] => {
                    self.at += 2;
                    return Ok(true);
                }
                [] | [b'/'] => return Err((self.at, Kind::Truncated(element.to_owned()))),
                _ if !spaced => return self.syntax("a tag goes on without a space"),
                _ => {}
            }
            count += 1;
            if count > self.limits.attributes {
                return Err((self.at, Kind::TooManyAttributes(self.limits.attributes)));
            }
            let at = self.at;
            let (name, prefix, local) = self.name("an attribute's name")?;
            self.space();
            if !self.rest().starts_with('=') {
                return self.syntax("an attribute has no value");
            }
            self.at += 1;
            self.space();
            let value = self.value()?;
            if name == "xmlns" {
                self.bind(at, outer, "", value)?;
            } else if prefix == "xmlns" {
                self.bind(at, outer, local, value)?;
            } else {
                self.pending.push((at, prefix, local, value));
            }
        }
    }

    fn value(&mut self) -> Parsed<Cow<'i, str>> {
        let quote = match self.rest().as_bytes().first() {
            Some(quote @ (b'"' | b'\'')) => *quote,
            _ => return self.syntax("an attribute's value has to be quoted"),
        };
        self.at += 1;
        let raw = match memchr(quote, self.rest().as_bytes()) {
            Some(length) => &self.rest()[..length],
            None => return self.syntax("an attribute's value does not end"),
        };
        let mut value = Cow::Borrowed(raw);
        let special = |byte: u8| byte < 0x20 || matches!(byte, b'<' | b'&');
        // Without an early exit: vector instructions, and nearly always nothing is found.
        if raw.bytes().fold(false, |found, byte| found | special(byte)) {
            value = Cow::Owned(self.normalized(raw)?);
        }
        self.at += raw.len() + 1;
        Ok(value)
    }

    /// XML 1.0, 3.3.3: references resolved, white space turned into spaces.
    fn normalized(&self, raw: &str) -> Parsed<String> {
        let mut value = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(character) = rest.chars().next() {
            let mut length = character.len_utf8();
            match character {
                '<' => return self.syntax("an attribute's value holds <"),
                '&' => {
                    let (referenced, taken) = reference(rest).map_err(|kind| (self.at, kind))?;
                    value.push(referenced);
                    length = taken;
                }
                '\r' if rest.starts_with("\r\n") => {
                    value.push(' ');
                    length = 2;
                }
                '\t' | '\n' | '\r' => value.push(' '),
                character => value.push(character),
            }
            rest = &rest[length..];
        }
        Ok(value)
    }

    /// Declares a prefix; those from `outer` on belong to the same tag.
    fn bind(&mut self, at: usize, outer: usize, prefix: &'i str, uri: Cow<'i, str>) -> Parsed {
        let fail = |what: &str| Err((at, Kind::Syntax(what.to_owned())));
        if (prefix == "xml") != (uri == ns::XML) || prefix == "xmlns" || uri == "http://www.w3.org/2000/xmlns/" {
            return fail("a reserved prefix or namespace is declared");
        }
        if uri.is_empty() && !prefix.is_empty() {
            return fail("a prefix is declared for no namespace");
        }
        if self.bindings[outer..].iter().any(|(bound, _)| *bound == prefix) {
            return fail("a prefix is declared twice");
        }
        let index = self
            .intern(uri)
            .ok_or((at, Kind::Syntax("there are too many namespaces".to_owned())))?;
        self.bindings.push((prefix, index));
        Ok(())
    }

    fn intern(&mut self, uri: Cow<'i, str>) -> Option<u16> {
        let namespaces = &mut self.document.namespaces;
        let index = namespaces.iter().position(|known| *known == uri).unwrap_or_else(|| {
            namespaces.push(uri);
            namespaces.len() - 1
        });
        u16::try_from(index).ok()
    }

    /// The namespace of a prefix; the default one for an empty prefix.
    fn resolve(&mut self, prefix: &str) -> Result<u16, Kind> {
        if let Some((_, namespace)) = self.bindings.iter().rev().find(|(bound, _)| *bound == prefix) {
            return Ok(*namespace);
        }
        match prefix {
            "" => Ok(0),
            "xml" => self.intern(Cow::Borrowed(ns::XML)).ok_or_else(|| Kind::Prefix(prefix.to_owned())),
            _ => Err(Kind::Prefix(prefix.to_owned())),
        }
    }

    fn resolve_attributes(&mut self, first: usize) -> Parsed {
        let mut pending = std::mem::take(&mut self.pending);
        for (at, prefix, local, value) in pending.drain(..) {
            // The default namespace is not for attributes.
            let namespace = if prefix.is_empty() {
                0
            } else {
                self.resolve(prefix).map_err(|kind| (at, kind))?
            };
            if self.document.attributes[first..]
                .iter()
                .any(|other| other.namespace == namespace && other.local == local)
            {
                return Err((at, Kind::Syntax(format!("the attribute {local} stands twice"))));
            }
            self.document.attributes.push(Attribute { namespace, local, value });
        }
        self.pending = pending;
        Ok(())
    }
}

/// The character that a reference at the text's beginning stands for, and the reference's length in bytes.
fn reference(text: &str) -> Result<(char, usize), Kind> {
    let end = text.bytes().take(64).position(|byte| byte == b';');
    let Some(end) = end else {
        return Err(Kind::Syntax("& does not begin a reference".to_owned()));
    };
    let name = &text[1..end];
    let character = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => {
            let Some(digits) = name.strip_prefix('#') else {
                let named = !name.is_empty() && name.bytes().all(is_name);
                return Err(if named {
                    Kind::Entity(name.to_owned())
                } else {
                    Kind::Syntax("& does not begin a reference".to_owned())
                });
            };
            let number = match digits.strip_prefix('x') {
                Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => u32::from_str_radix(digits, 16).ok(),
                None if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok(),
                _ => None,
            };
            let Some(number) = number else {
                return Err(Kind::Syntax(format!("&{name}; is no character")));
            };
            match char::from_u32(number) {
                Some(character) if allowed(character) => character,
                _ => return Err(Kind::Character(number)),
            }
        }
    };
    Ok((character, end + 1))
}

/// XML 1.0, 2.11: every line end is LF.
fn with_newlines(text: &str) -> Cow<'_, str> {
    if memchr(b'\r', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Where the first control character stands that XML does not allow.
fn control_character(bytes: &[u8]) -> Option<usize> {
    let bad = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    // Whole blocks without an early exit become vector instructions.
    let mut blocks = bytes.chunks_exact(64);
    let clean = |block: &[u8]| !block.iter().fold(false, |found, byte| found | bad(*byte));
    if blocks.by_ref().all(clean) && clean(blocks.remainder()) {
        return None;
    }
    bytes.iter().position(|byte| bad(*byte))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// [`is_name`] for each byte.
const IS_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = is_name(byte as u8);
        byte += 1;
    }
    table
};

/// Whether a byte may be part of a name, ':' included. Of the characters beyond ASCII all are taken: names are only
/// compared, never made.
const fn is_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b':' | 0x80..)
}
