//! YAML as Ansible reads it: YAML 1.1's types, `!vault`, `!unsafe`, merge keys, one document, every value with its line.
//!
//! `saphyr-parser` finds the structure; what a scalar means is decided here, since Ansible's PyYAML follows YAML 1.1 (`yes` is true,
//! `1e3` is a text, `0644` is octal). A file that is JSON as a whole is read by JSON's rules, as Ansible does.

mod schema;

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::inventory::interner::Interner;
use crate::inventory::json;
use crate::inventory::literal::Numbers;
use crate::value::{Map, Value};

/// How deep lists and maps may stand in each other.
const MAX_DEPTH: usize = 100;
/// How many values aliases may stand for, all in all: nine lines of aliases can stand for a thousand million.
const MAX_ALIASED: usize = 1_000_000;

/// A value with the place where it begins.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// From 1.
    pub(crate) line: u32,
    /// In characters, from 1.
    pub(crate) column: u32,
    pub(crate) data: Data,
}

#[derive(Debug, Clone)]
pub(crate) enum Data {
    Scalar(Value),
    Sequence(Vec<Node>),
    /// Each key once.
    Mapping(Vec<Pair>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// As JSON would write it, where it is no text.
    pub(crate) key: Arc<str>,
    /// Whether it is a text, and not a number or the like.
    pub(crate) is_text: bool,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) value: Node,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) what: String,
}

impl Node {
    /// The value without its places.
    pub(crate) fn into_value(self) -> Value {
        match self.data {
            Data::Scalar(value) => value,
            Data::Sequence(items) => Value::List(items.into_iter().map(Self::into_value).collect()),
            Data::Mapping(pairs) => {
                let mut map = Map::with_capacity_and_hasher(pairs.len(), Default::default());
                map.extend(pairs.into_iter().map(|pair| (pair.key, pair.value.into_value())));
                Value::Map(map)
            }
        }
    }

    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Scalar(Value::Null) => "nothing",
            Data::Scalar(Value::Bool(_)) => "a boolean",
            Data::Scalar(Value::Int(_) | Value::Float(_)) => "a number",
            Data::Scalar(_) => "a text",
            Data::Sequence(_) => "a list",
            Data::Mapping(_) => "a map",
        }
    }

    fn count(&self) -> usize {
        1 + match &self.data {
            Data::Scalar(_) => 0,
            Data::Sequence(items) => items.iter().map(Self::count).sum(),
            Data::Mapping(pairs) => pairs.iter().map(|pair| pair.value.count()).sum(),
        }
    }
}

/// Reads the one document of a text; nothing in it is [`Value::Null`].
///
/// # Errors
/// What isn't YAML, several documents, unknown tags, aliases that stand for too much.
pub(crate) fn parse(text: &str, interner: &mut Interner) -> Result<Node, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_json = text.trim_start().starts_with(['{', '[', '"']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if is_json && text.contains("\\u") {
        // YAML doesn't join the halves of characters beyond 16 bits.
        return json_value(text, interner);
    }
    Composer {
        interner,
        is_json,
        frames: Vec::new(),
        anchors: HashMap::new(),
        aliased: 0,
    }
    .document(text)
}

fn json_value(text: &str, interner: &mut Interner) -> Result<Node, YamlError> {
    json::parse(text.as_bytes(), interner).map_err(|error| YamlError {
        line: u32::try_from(error.line()).unwrap_or(0),
        column: u32::try_from(error.column()).unwrap_or(0),
        what: error.to_string(),
    })
}

/// A map while it is read: the last value of a key counts; the key stays where it was first.
#[derive(Debug, Default)]
pub(crate) struct Mapping {
    pairs: Vec<Pair>,
    /// Where each key stands, once there are many.
    places: HashMap<Arc<str>, usize>,
}

/// Below, a search costs less than a table.
const FEW: usize = 16;

impl Mapping {
    pub(crate) fn insert(&mut self, pair: Pair) {
        let known = if self.pairs.len() < FEW {
            self.pairs.iter().position(|known| known.key == pair.key)
        } else {
            if self.places.is_empty() {
                self.places
                    .extend(self.pairs.iter().enumerate().map(|(at, pair)| (pair.key.clone(), at)));
            }
            self.places.get(&pair.key).copied()
        };
        match known {
            Some(at) => self.pairs[at] = pair,
            None => {
                if !self.places.is_empty() {
                    self.places.insert(pair.key.clone(), self.pairs.len());
                }
                self.pairs.push(pair);
            }
        }
    }

    /// A map, unless it is what JSON holds in place of `!vault` and `!unsafe`.
    pub(crate) fn finish(self) -> Data {
        if let [pair] = &self.pairs[..]
            && let Data::Scalar(Value::String(text)) = &pair.value.data
        {
            match &*pair.key {
                "__ansible_vault" => return Data::Scalar(Value::Vaulted(text.clone())),
                "__ansible_unsafe" => return Data::Scalar(Value::Unsafe(text.clone())),
                _ => {}
            }
        }
        Data::Mapping(self.pairs)
    }
}

struct Composer<'i> {
    interner: &'i mut Interner,
    is_json: bool,
    frames: Vec<Frame>,
    /// A finished value, or nothing for one that is still open.
    anchors: HashMap<usize, Option<Node>>,
    aliased: usize,
}

/// A list or map that isn't finished.
struct Frame {
    line: u32,
    column: u32,
    anchor: usize,
    kind: Kind,
    /// Whether it stands in an `!unsafe`.
    is_unsafe: bool,
    is_json: bool,
    items: Items,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// `!!set`: the keys are the values.
    Set,
    /// `!!omap`, `!!pairs`: a list of lists of two.
    Pairs,
}

enum Items {
    Sequence(Vec<Node>),
    Mapping {
        mapping: Mapping,
        numbers: Numbers,
        /// Pairs of `<<`, which give way to those that are written.
        merged: Vec<Pair>,
        key: Option<Key>,
    },
}

enum Key {
    Merge,
    Text {
        key: Arc<str>,
        is_text: bool,
        line: u32,
        column: u32,
    },
}

impl Composer<'_> {
    fn document(mut self, text: &str) -> Result<Node, YamlError> {
        let mut parser = Parser::new_from_str(text);
        let mut root = None;
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| scan_error(&error))?;
            let (line, column) = place(span);
            let finished = match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(error(line, column, "a second document begins here; an inventory has one"));
                    }
                    continue;
                }
                Event::Scalar(mut scalar, style, anchor, tag) => {
                    // The parser ends a block with a line's end even where the file has none.
                    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    if is_block && !text.ends_with('\n') && scalar.ends_with('\n') && span.end.index() >= text.chars().count() {
                        scalar.to_mut().pop();
                    }
                    let text = scalar;
                    // What stands at a key's place can't be a value yet.
                    if self.takes_merge_key(&text, style, tag.as_deref()) {
                        continue;
                    }
                    let value = self.scalar(&text, style, tag.as_deref(), line, column)?;
                    let node = Node {
                        line,
                        column,
                        data: Data::Scalar(value),
                    };
                    self.remember(anchor, &node);
                    node
                }
                Event::SequenceStart(anchor, tag) => {
                    self.open(anchor, tag.as_deref(), false, line, column)?;
                    continue;
                }
                Event::MappingStart(anchor, tag) => {
                    self.open(anchor, tag.as_deref(), true, line, column)?;
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let Some(frame) = self.frames.pop() else { continue };
                    let anchor = frame.anchor;
                    let node = frame.finish()?;
                    self.remember(anchor, &node);
                    node
                }
                Event::Alias(anchor) => self.alias(anchor, line, column)?,
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            };
            if let Some(frame) = self.frames.last_mut() {
                frame.add(finished)?;
            } else {
                root = Some(finished);
            }
        }
        Ok(root.unwrap_or(Node {
            line: 1,
            column: 1,
            data: Data::Scalar(Value::Null),
        }))
    }

    fn is_unsafe(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.is_unsafe)
    }

    fn takes_merge_key(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> bool {
        let is_merge = !self.is_json && text == "<<" && style == ScalarStyle::Plain && tag.is_none();
        if is_merge
            && let Some(Frame {
                items: Items::Mapping { key: key @ None, .. },
                ..
            }) = self.frames.last_mut()
        {
            *key = Some(Key::Merge);
            return true;
        }
        false
    }

    fn open(&mut self, anchor: usize, tag: Option<&Tag>, mapping: bool, line: u32, column: u32) -> Result<(), YamlError> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(error(
                line,
                column,
                format!("lists and maps stand in each other more than {MAX_DEPTH} deep"),
            ));
        }
        let mut is_unsafe = self.is_unsafe();
        let kind = match tag.map(|tag| (tag.handle.as_str(), tag.suffix.as_str())) {
            None | Some(("", "!")) => Kind::Plain,
            Some((schema::CORE, "map")) if mapping => Kind::Plain,
            Some((schema::CORE, "seq")) if !mapping => Kind::Plain,
            Some((schema::CORE, "set")) if mapping => Kind::Set,
            Some((schema::CORE, "omap" | "pairs")) if !mapping => Kind::Pairs,
            Some(("!", "unsafe")) => {
                is_unsafe = true;
                Kind::Plain
            }
            Some((handle, suffix)) => return Err(unknown_tag(handle, suffix, line, column)),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        let items = if mapping {
            Items::Mapping {
                mapping: Mapping::default(),
                numbers: Numbers::default(),
                merged: Vec::new(),
                key: None,
            }
        } else {
            Items::Sequence(Vec::new())
        };
        self.frames.push(Frame {
            line,
            column,
            anchor,
            kind,
            is_unsafe,
            is_json: self.is_json,
            items,
        });
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor > 0 {
            self.anchors.insert(anchor, Some(node.clone()));
        }
    }

    fn alias(&mut self, anchor: usize, line: u32, column: u32) -> Result<Node, YamlError> {
        match self.anchors.get(&anchor) {
            Some(Some(node)) => {
                self.aliased = self.aliased.saturating_add(node.count());
                if self.aliased > MAX_ALIASED {
                    return Err(error(line, column, "aliases (*name) stand for more than a million values"));
                }
                Ok(node.clone())
            }
            Some(None) => Err(error(
                line,
                column,
                "the alias stands in the value that it means: it would never end",
            )),
            None => Err(error(line, column, "the alias has no anchor (&name) in front of it")),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, line: u32, column: u32) -> Result<Value, YamlError> {
        let is_plain = style == ScalarStyle::Plain;
        let mut is_unsafe = self.is_unsafe();
        let value = match tag.map(|tag| (tag.handle.as_str(), tag.suffix.as_str())) {
            None if self.is_json && is_plain => schema::json(text),
            None if is_plain => schema::plain(text),
            None | Some(("", "!")) => None,
            Some((schema::CORE, suffix)) => {
                let wrong = || error(line, column, format!("{text:?} is no !!{suffix}"));
                match suffix {
                    "str" => None,
                    _ => Some(
                        schema::tagged(suffix, text)
                            .ok_or_else(|| unknown_tag("!!", suffix, line, column))?
                            .ok_or_else(wrong)?,
                    ),
                }
            }
            Some(("!", "unsafe")) => {
                is_unsafe = true;
                // Ansible decides anew what it is, and forgets the quotes.
                schema::plain(text)
            }
            Some(("!", "vault" | "vault-encrypted")) => return Ok(Value::Vaulted(text.into())),
            Some((handle, suffix)) => return Err(unknown_tag(handle, suffix, line, column)),
        };
        Ok(match value {
            Some(value) => value,
            None if is_unsafe => Value::Unsafe(self.interner.text(text)),
            None => Value::String(self.interner.text(text)),
        })
    }
}

impl Frame {
    fn add(&mut self, node: Node) -> Result<(), YamlError> {
        let (mapping, numbers, merged, key) = match &mut self.items {
            Items::Sequence(items) => {
                items.push(node);
                return Ok(());
            }
            Items::Mapping {
                mapping,
                numbers,
                merged,
                key,
            } => (mapping, numbers, merged, key),
        };
        match key.take() {
            None => {
                let (line, column) = (node.line, node.column);
                let Data::Scalar(value) = node.data else {
                    return Err(error(
                        line,
                        column,
                        "a list or map can't be a key; a value that begins with { needs quotes around it",
                    ));
                };
                let is_text = matches!(value, Value::String(_) | Value::Unsafe(_));
                let text = numbers.key(&value).ok_or_else(|| error(line, column, "this can't be a key"))?;
                *key = Some(Key::Text {
                    key: text,
                    is_text,
                    line,
                    column,
                });
            }
            Some(Key::Merge) => {
                let (line, column) = (node.line, node.column);
                let wrong = || error(line, column, "<< takes a map, or a list of maps");
                match node.data {
                    Data::Mapping(pairs) => merged.extend(pairs),
                    // The first map of a list goes before the next.
                    Data::Sequence(items) => {
                        for item in items.into_iter().rev() {
                            match item.data {
                                Data::Mapping(pairs) => merged.extend(pairs),
                                _ => return Err(wrong()),
                            }
                        }
                    }
                    Data::Scalar(_) => return Err(wrong()),
                }
            }
            Some(Key::Text {
                key,
                is_text,
                line,
                column,
            }) => mapping.insert(Pair {
                key,
                is_text,
                line,
                column,
                value: node,
            }),
        }
        Ok(())
    }

    fn finish(self) -> Result<Node, YamlError> {
        let Self {
            line,
            column,
            kind,
            items,
            is_json,
            ..
        } = self;
        let data = match items {
            Items::Sequence(items) if kind == Kind::Pairs => Data::Sequence(
                items
                    .into_iter()
                    .map(|item| match item.data {
                        Data::Mapping(pairs) if pairs.len() == 1 => {
                            let place = (item.line, item.column);
                            Ok(Node {
                                line: place.0,
                                column: place.1,
                                data: Data::Sequence(pairs.into_iter().flat_map(|pair| [text_node(&pair), pair.value]).collect()),
                            })
                        }
                        _ => Err(error(
                            item.line,
                            item.column,
                            "!!pairs and !!omap take a list of maps of one key each",
                        )),
                    })
                    .collect::<Result<_, _>>()?,
            ),
            Items::Sequence(items) => Data::Sequence(items),
            Items::Mapping { mapping, merged, .. } => {
                let mut mapping = mapping;
                if !merged.is_empty() {
                    let written = std::mem::take(&mut mapping.pairs);
                    mapping = Mapping::default();
                    for pair in merged.into_iter().chain(written) {
                        mapping.insert(pair);
                    }
                }
                match kind {
                    Kind::Set => Data::Sequence(mapping.pairs.iter().map(text_node).collect()),
                    Kind::Plain | Kind::Pairs if is_json => mapping.finish(),
                    Kind::Plain | Kind::Pairs => Data::Mapping(mapping.pairs),
                }
            }
        };
        Ok(Node { line, column, data })
    }
}

fn text_node(pair: &Pair) -> Node {
    Node {
        line: pair.line,
        column: pair.column,
        data: Data::Scalar(Value::String(pair.key.clone())),
    }
}

fn place(span: Span) -> (u32, u32) {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (number(span.start.line()), number(span.start.col() + 1))
}

fn error(line: u32, column: u32, what: impl Into<String>) -> YamlError {
    YamlError {
        line,
        column,
        what: what.into(),
    }
}

fn scan_error(scan: &ScanError) -> YamlError {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    error(number(scan.marker().line()), number(scan.marker().col() + 1), scan.info())
}

fn unknown_tag(handle: &str, suffix: &str, line: u32, column: u32) -> YamlError {
    error(
        line,
        column,
        format!("the tag {handle}{suffix} is unknown; Ansible's own are !vault and !unsafe"),
    )
}

#[cfg(test)]
mod tests;
