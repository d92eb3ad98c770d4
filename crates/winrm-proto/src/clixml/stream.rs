//! CLIXML on a stream, between whatever else programs write there.

use bytes::{Buf as _, BytesMut};

use super::MARKER;
use super::read::{Limits, Reader};
use super::value::Item;

/// A piece of a stream, in its order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Piece {
    /// Bytes that are no CLIXML, as they came.
    Text(Vec<u8>),
    /// A value of a document.
    Item(Item),
}

/// Takes a stream apart while it arrives, in pieces of any size: documents behind a line `#< CLIXML`, and text in front of, between,
/// behind and inside of them, as native programs write it on the standard error that they share with PowerShell.
///
/// What turns out to be no CLIXML is given out as it came. Memory is bounded by the size of one item ([`Limits::bytes`]).
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    state: State,
    /// What can't be told yet: it stands at the beginning of what `state` expects.
    pub(super) held: BytesMut,
    /// Whether the text in front ends with a line's end.
    line_start: bool,
    /// Inside of a document: whether a program has written something since the last item. Otherwise white space is layout.
    foreign: bool,
}

#[derive(Debug)]
enum State {
    /// Outside.
    Text,
    /// Behind the marker: the document should begin. What is held begins with the marker, and is this long at least.
    Marked,
    /// As before, but what was held has been given out, without the marker.
    Released,
    /// Inside of a document, between two items.
    Document(Box<Reader>),
    /// Inside of an item.
    Item(Box<Reader>, Scan),
}

/// How much text may wait for its document.
const PATIENCE: usize = 64 * 1024;

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Limits::default().with_bytes(16 << 20))
    }
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Text,
            held: BytesMut::new(),
            line_start: true,
            foreign: false,
        }
    }

    /// Takes bytes, and gives what is known now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Pieces(Vec::new());
        self.held.extend_from_slice(bytes);
        while self.step(&mut pieces) {}
        pieces.0
    }

    /// Whether something waits that may be text. See [`release`](Self::release).
    #[must_use]
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty() && !matches!(self.state, State::Item(..))
    }

    /// Gives out text that waits to become known. PowerShell 5.1 writes the marker at once and the document at its end, with the texts of
    /// native programs in between: they should be seen while they run. Call this when nothing has come for a while.
    pub fn release(&mut self) -> Vec<Piece> {
        let mut pieces = Pieces(Vec::new());
        if self.is_holding() {
            self.release_into(&mut pieces);
        }
        pieces.0
    }

    /// The stream has ended: what is held is no CLIXML after all.
    pub fn finish(&mut self) -> Vec<Piece> {
        let mut pieces = Pieces(Vec::new());
        pieces.text(&std::mem::take(&mut self.held));
        self.state = State::Text;
        pieces.0
    }

    fn release_into(&mut self, pieces: &mut Pieces) {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Marked => {
                let text = &held[marker_length(&held).unwrap_or(0)..];
                self.line_start = text.last().is_none_or(|byte| *byte == b'\n');
                pieces.text(text);
                self.state = State::Released;
            }
            _ => {
                self.line_start = held.last().is_none_or(|byte| *byte == b'\n');
                pieces.text(&held);
            }
        }
    }

    /// Makes one step; false when more bytes are needed.
    fn step(&mut self, pieces: &mut Pieces) -> bool {
        if self.held.is_empty() {
            return false;
        }
        match &mut self.state {
            State::Text => self.outside(pieces),
            State::Marked => self.marked(pieces),
            State::Released => self.released(pieces),
            State::Document(_) => self.between(pieces),
            State::Item(_, scan) => match scan.advance(&self.held, self.limits.depth) {
                Scanned::Whole(length) => {
                    self.item(length, pieces);
                    true
                }
                Scanned::Broken => {
                    self.break_off(1, pieces);
                    true
                }
                Scanned::More if self.held.len() > self.limits.bytes => {
                    self.break_off(self.held.len(), pieces);
                    true
                }
                Scanned::More => false,
            },
        }
    }

    /// What looked like an item is none: gives out so much of it, and looks at the rest again.
    fn break_off(&mut self, length: usize, pieces: &mut Pieces) {
        pieces.text(&self.held[..length]);
        self.held.advance(length);
        self.foreign = true;
        if let State::Item(reader, _) = std::mem::replace(&mut self.state, State::Text) {
            self.state = State::Document(reader);
        }
    }

    fn give(&mut self, length: usize, pieces: &mut Pieces) {
        if length > 0 {
            pieces.text(&self.held[..length]);
            self.line_start = self.held[length - 1] == b'\n';
            self.held.advance(length);
        }
    }

    fn outside(&mut self, pieces: &mut Pieces) -> bool {
        // The marker stands at the beginning of a line.
        let mut at = 0;
        let mut line_start = self.line_start;
        while at < self.held.len() {
            if line_start {
                match marker(&self.held[at..]) {
                    Marker::Whole => {
                        self.give(at, pieces);
                        self.state = State::Marked;
                        return true;
                    }
                    Marker::Begun => {
                        self.give(at, pieces);
                        return false;
                    }
                    Marker::None => {}
                }
            }
            match memchr::memchr(b'\n', &self.held[at..]) {
                Some(end) => at += end + 1,
                None => break,
            }
            line_start = true;
        }
        let length = self.held.len();
        self.give(length, pieces);
        false
    }

    fn marked(&mut self, pieces: &mut Pieces) -> bool {
        let Some(skip) = marker_length(&self.held) else {
            // More than the marker's line end is needed.
            return false;
        };
        match find_document(&self.held[skip..]) {
            Found::At(start, end) => {
                pieces.text(&self.held[skip..skip + start]);
                self.held.advance(skip + end);
                self.state = State::Document(Box::new(Reader::new(self.limits)));
                true
            }
            _ if self.held.len() > PATIENCE => {
                self.release_into(pieces);
                true
            }
            // A second marker: the first one was only text.
            Found::Marker(at) => {
                let length = skip + at;
                self.give(length, pieces);
                true
            }
            Found::Maybe(_) => false,
        }
    }

    fn released(&mut self, pieces: &mut Pieces) -> bool {
        match find_document(&self.held) {
            Found::At(start, end) => {
                pieces.text(&self.held[..start]);
                self.held.advance(end);
                self.state = State::Document(Box::new(Reader::new(self.limits)));
                true
            }
            Found::Marker(at) => {
                self.give(at, pieces);
                self.state = State::Marked;
                true
            }
            Found::Maybe(at) => {
                self.give(at, pieces);
                false
            }
        }
    }

    fn between(&mut self, pieces: &mut Pieces) -> bool {
        let end = memchr::memchr(b'<', &self.held).unwrap_or(self.held.len());
        let blank = self.held[..end].iter().all(u8::is_ascii_whitespace);
        if end > 0 && (!blank || self.foreign || end > PATIENCE) {
            pieces.text(&self.held[..end]);
            self.held.advance(end);
            self.foreign = true;
            return true;
        }
        let tag = &self.held[end..];
        let Some(name_end) = tag.iter().take(16).position(|byte| matches!(byte, b' ' | b'>' | b'\r' | b'\n')) else {
            if tag.len() < 16 {
                return false;
            }
            return self.foreign_tag(end, pieces);
        };
        let name = &tag[1..name_end];
        if name == b"/Objs" {
            let Some(close) = memchr::memchr(b'>', tag) else { return false };
            self.held.advance(end + close + 1);
            self.state = State::Text;
            // Whatever follows begins anew, without the line's end that PowerShell may write.
            self.line_start = true;
            return true;
        }
        let is_item = std::str::from_utf8(name).is_ok_and(|name| ITEMS.contains(&name.trim_end_matches('/')));
        if !is_item {
            return self.foreign_tag(end, pieces);
        }
        self.held.advance(end);
        if let State::Document(reader) = std::mem::replace(&mut self.state, State::Text) {
            self.state = State::Item(reader, Scan::default());
        }
        true
    }

    /// A program has written a `<`: it and the white space in front are text.
    fn foreign_tag(&mut self, at: usize, pieces: &mut Pieces) -> bool {
        pieces.text(&self.held[..=at]);
        self.held.advance(at + 1);
        self.foreign = true;
        true
    }

    fn item(&mut self, length: usize, pieces: &mut Pieces) {
        let State::Item(reader, _) = &mut self.state else { return };
        let read = std::str::from_utf8(&self.held[..length])
            .ok()
            .and_then(|text| reader.fragment(text).ok());
        match read {
            Some(item) => {
                pieces.0.push(Piece::Item(item));
                self.held.advance(length);
                self.foreign = false;
                if let State::Item(reader, _) = std::mem::replace(&mut self.state, State::Text) {
                    self.state = State::Document(reader);
                }
            }
            // A program wrote into it, most likely.
            None => self.break_off(1, pieces),
        }
    }
}

/// The elements that stand in a document.
const ITEMS: &[&str] = &[
    "Obj", "Ref", "Nil", "S", "B", "C", "By", "SB", "U16", "I16", "U32", "I32", "U64", "I64", "Sg", "Db", "D", "DT", "TS", "G", "Version",
    "URI", "XD", "SBK", "SS", "BA", "PR",
];

struct Pieces(Vec<Piece>);

impl Pieces {
    fn text(&mut self, text: &[u8]) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(before)) => before.extend_from_slice(text),
            _ => self.0.push(Piece::Text(text.to_vec())),
        }
    }
}

enum Marker {
    Whole,
    /// All that is there is its beginning.
    Begun,
    None,
}

fn marker(bytes: &[u8]) -> Marker {
    let line = MARKER.as_bytes();
    let bytes = match bytes {
        // .NET puts a byte order mark in front of the first thing it writes, with some encodings.
        [0xEF, 0xBB, 0xBF, rest @ ..] => rest,
        [0xEF] | [0xEF, 0xBB] => return Marker::Begun,
        bytes => bytes,
    };
    if bytes.len() < line.len() {
        return if line.starts_with(bytes) { Marker::Begun } else { Marker::None };
    }
    match (bytes.starts_with(line), &bytes[line.len()..]) {
        (true, [] | [b'\r']) => Marker::Begun,
        (true, [b'\n' | b'<', ..] | [b'\r', b'\n', ..]) => Marker::Whole,
        _ => Marker::None,
    }
}

/// The length of the marker and of its line's end.
fn marker_length(held: &[u8]) -> Option<usize> {
    let start = if held.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 } + MARKER.len();
    match held.get(start..)? {
        [b'\r', b'\n', ..] => Some(start + 2),
        [b'\n', ..] => Some(start + 1),
        _ => Some(start),
    }
}

enum Found {
    /// A document's first tag, from here to there.
    At(usize, usize),
    /// Another marker.
    Marker(usize),
    /// Not yet; it may begin here.
    Maybe(usize),
}

/// Looks for `<Objs …>` anywhere, since native programs don't always end their lines, and for a marker at a line's beginning.
fn find_document(bytes: &[u8]) -> Found {
    const START: &[u8] = b"<Objs ";
    for at in memchr::memchr2_iter(b'<', b'#', bytes) {
        let rest = &bytes[at..];
        if bytes[at] == b'#' {
            if at == 0 || bytes[at - 1] == b'\n' {
                match marker(rest) {
                    Marker::Whole => return Found::Marker(at),
                    Marker::Begun => return Found::Maybe(at),
                    Marker::None => {}
                }
            }
        } else if rest.len() < START.len() {
            if START.starts_with(rest) {
                return Found::Maybe(at);
            }
        } else if rest.starts_with(START) {
            let tag = &rest[..rest.len().min(512)];
            match memchr::memchr(b'>', tag) {
                Some(end) if memchr::memmem::find(&tag[..end], super::NAMESPACE.as_bytes()).is_some() => {
                    return Found::At(at, at + end + 1);
                }
                Some(_) => {}
                None if tag.len() < 512 => return Found::Maybe(at),
                None => {}
            }
        }
    }
    Found::Maybe(bytes.len())
}

/// Finds an element's end, going on where it stopped.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    depth: usize,
}

enum Scanned {
    /// All of the element is there: its length.
    Whole(usize),
    More,
    /// It is no element.
    Broken,
}

impl Scan {
    fn advance(&mut self, bytes: &[u8], max_depth: usize) -> Scanned {
        loop {
            let Some(found) = bytes.get(self.at..).and_then(|rest| memchr::memchr(b'<', rest)) else {
                self.at = bytes.len();
                return Scanned::More;
            };
            // A tag is short, and is looked at again when its end was not there.
            self.at += found;
            let tag = &bytes[self.at..];
            let length = match tag_length(tag) {
                Ok(Some(length)) => length,
                Ok(None) => return Scanned::More,
                Err(Broken) => return Scanned::Broken,
            };
            self.at += length;
            if tag[1] == b'/' {
                if tag.starts_with(b"</Objs") || self.depth == 0 {
                    return Scanned::Broken;
                }
                self.depth -= 1;
            } else if tag[length - 2] != b'/' {
                self.depth += 1;
            }
            if self.depth == 0 {
                return Scanned::Whole(self.at);
            }
            if self.depth > max_depth {
                return Scanned::Broken;
            }
        }
    }
}

struct Broken;

/// The length of a tag, with regard to quoted values, once its end is there.
fn tag_length(tag: &[u8]) -> Result<Option<usize>, Broken> {
    let mut quote = None;
    for (at, byte) in tag.iter().enumerate().skip(1) {
        match (quote, byte) {
            (_, b'<') => return Err(Broken),
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), close) if open == *close => quote = None,
            (None, b'>') => return Ok(Some(at + 1)),
            _ => {}
        }
    }
    // Property names are the longest that stand in tags.
    if tag.len() > 64 * 1024 { Err(Broken) } else { Ok(None) }
}
