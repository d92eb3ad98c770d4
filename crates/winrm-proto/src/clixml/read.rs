//! CLIXML to values.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::NAMESPACE;
use super::object::{Content, Object, Property, TypeNames};
use super::text::decode;
use super::value::{Item, Progress, Sealed, Stream, Value};
use crate::xml::{self, Document, Element, XmlError};

/// Bounds on what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The size of a document in bytes; on a stream, of one item.
    pub bytes: usize,
    /// How deep XML's elements may nest.
    pub depth: usize,
    /// How many values a document may hold. An object that is referred to counts each time, so that a small document can't stand for
    /// one that fills all memory when it is written out.
    pub values: usize,
}

impl Default for Limits {
    /// 64 MiB, 200 levels, 4,000,000 values.
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            depth: 200,
            values: 4_000_000,
        }
    }
}

impl Limits {
    /// These limits with another size in bytes.
    #[must_use]
    pub fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    fn xml(&self) -> xml::Limits {
        xml::Limits {
            bytes: self.bytes,
            depth: self.depth,
            elements: self.values.saturating_mul(2),
            attributes: 16,
        }
    }
}

/// Why something is no CLIXML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is no XML, or exceeds a limit.
    #[error("it is not well-formed XML")]
    Xml(#[from] XmlError),
    /// An element that can't stand there.
    #[error("the element <{found}> can't stand in <{within}>")]
    Element {
        /// The element's name.
        found: String,
        /// That of the one around it.
        within: String,
    },
    /// A text that is no value of its type.
    #[error("{text:?} is no value for <{tag}>")]
    Text {
        /// The element's name.
        tag: String,
        /// What stands there, its beginning.
        text: String,
    },
    /// A reference to an object or to type names that were not there before.
    #[error("there is no object or type with the number {0:?} to refer to")]
    Reference(String),
    /// An object's number, or a property's name, is missing.
    #[error("<{0}> lacks an attribute")]
    Attribute(String),
    /// More values than allowed.
    #[error("it stands for more than {0} values")]
    TooManyValues(usize),
    /// Objects nest deeper than allowed.
    #[error("objects nest deeper than {0} levels")]
    TooDeep(usize),
}

/// Reads a document, `<Objs>`, with or without the line `#< CLIXML` in front.
///
/// # Errors
/// When it is something else, or exceeds a limit.
pub fn read(text: &str, limits: &Limits) -> Result<Vec<Item>, ReadError> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let text = text.strip_prefix(super::MARKER).unwrap_or(text);
    let document = Document::parse(text, &limits.xml())?;
    let root = document.root();
    if !is(root, "Objs") {
        return Err(misplaced(root, "the document"));
    }
    let mut reader = Reader::new(*limits);
    root.children().map(|element| reader.item(element)).collect()
}

/// Reads one value by itself, as remoting carries it.
///
/// # Errors
/// When it is something else, or exceeds a limit.
pub fn read_value(text: &str, limits: &Limits) -> Result<Value, ReadError> {
    let document = Document::parse(text, &limits.xml())?;
    Reader::new(*limits).value(document.root(), 0).map(|(value, _)| value)
}

/// What a document has defined so far.
#[derive(Debug)]
pub(super) struct Reader {
    limits: Limits,
    objects: HashMap<String, Slot>,
    types: HashMap<String, TypeNames>,
    values: usize,
    /// The length of the items that objects and types came with, in bytes.
    remembered: usize,
}

#[derive(Debug, Clone)]
enum Slot {
    /// Being read, at this level.
    Open(u32),
    Done(Arc<Object>, Size),
}

/// How much a value stands for.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    values: usize,
    depth: usize,
}

impl Reader {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            objects: HashMap::new(),
            types: HashMap::new(),
            values: 0,
            remembered: 0,
        }
    }

    /// Reads one item that was cut out of a document.
    pub(super) fn fragment(&mut self, text: &str) -> Result<Item, ReadError> {
        // A stream may go on for ever; what an item can refer to is what was there lately.
        self.values = 0;
        self.remembered += text.len();
        if self.remembered > self.limits.bytes {
            self.remembered = text.len();
            self.objects.clear();
            self.types.clear();
        }
        let document = Document::parse(text, &self.limits.xml())?;
        self.item(document.root())
    }

    fn item(&mut self, element: Element<'_, '_>) -> Result<Item, ReadError> {
        let stream = match element.attribute("", "S") {
            None => Stream::Output,
            Some(name) => Stream::parse(name).ok_or_else(|| ReadError::Text {
                tag: element.local_name().to_owned(),
                text: shortened(name),
            })?,
        };
        let (value, size) = self.value(element, 0)?;
        self.values = self.values.saturating_add(size.values);
        if self.values > self.limits.values {
            return Err(ReadError::TooManyValues(self.limits.values));
        }
        Ok(Item { stream, value })
    }

    /// Reads a value inside of so many objects.
    fn value(&mut self, element: Element<'_, '_>, level: u32) -> Result<(Value, Size), ReadError> {
        match element.local_name() {
            _ if !element.namespace().is_empty() && element.namespace() != NAMESPACE => Err(misplaced(element, "CLIXML")),
            "Obj" => self.object(element, level),
            "Ref" => self.reference(element, level),
            _ => Ok((primitive(element)?, Size { values: 1, depth: 1 })),
        }
    }

    fn reference(&self, element: Element<'_, '_>, level: u32) -> Result<(Value, Size), ReadError> {
        let number = attribute(element, "RefId")?;
        match self.objects.get(number) {
            Some(Slot::Done(object, size)) => Ok((Value::Object(Arc::clone(object)), *size)),
            // Level 1 is inside of the outermost object, whose own level is 0.
            Some(Slot::Open(at)) if *at < level => Ok((Value::Enclosing(level - at - 1), Size { values: 1, depth: 1 })),
            _ => Err(ReadError::Reference(shortened(number))),
        }
    }

    fn object(&mut self, element: Element<'_, '_>, level: u32) -> Result<(Value, Size), ReadError> {
        let number = element.attribute("", "RefId");
        if let Some(number) = number {
            self.objects.insert(number.to_owned(), Slot::Open(level));
        }
        let mut object = Object::default();
        let mut size = Size { values: 1, depth: 0 };
        let mut sum = Sum {
            size: &mut size,
            limits: self.limits,
        };
        for part in element.children() {
            match part.local_name() {
                "TN" => object.type_names = self.type_names(part)?,
                "TNRef" => {
                    let number = attribute(part, "RefId")?;
                    let names = self.types.get(number).ok_or_else(|| ReadError::Reference(shortened(number)))?;
                    object.type_names = names.clone();
                }
                "ToString" => object.text = Some(decode(part.text()).into_owned()),
                "Props" => self.properties(part, level + 1, &mut object.adapted, &mut sum)?,
                "MS" => self.properties(part, level + 1, &mut object.extended, &mut sum)?,
                name if object.content.is_none() => {
                    let content = match name {
                        "LST" => Content::List(self.values(part, level + 1, &mut sum)?),
                        "STK" => Content::Stack(self.values(part, level + 1, &mut sum)?),
                        "QUE" => Content::Queue(self.values(part, level + 1, &mut sum)?),
                        "IE" => Content::Enumerable(self.values(part, level + 1, &mut sum)?),
                        "DCT" => Content::Dictionary(self.entries(part, level + 1, &mut sum)?),
                        _ => Content::Value(sum.add(self.value(part, level + 1)?)?),
                    };
                    object.content = Some(content);
                }
                _ => return Err(misplaced(part, "Obj")),
            }
        }
        size.depth += 1;
        let object = Arc::new(object);
        if let Some(number) = number {
            // What refers to an object around it means that object only here.
            self.objects.insert(number.to_owned(), Slot::Done(Arc::clone(&object), size));
        }
        Ok((Value::Object(object), size))
    }

    fn type_names(&mut self, element: Element<'_, '_>) -> Result<TypeNames, ReadError> {
        let names: Result<Vec<String>, _> = element
            .children()
            .map(|name| match is(name, "T") {
                true => Ok(decode(name.text()).into_owned()),
                false => Err(misplaced(name, "TN")),
            })
            .collect();
        let names = TypeNames::new(names?);
        if let Some(number) = element.attribute("", "RefId") {
            self.types.insert(number.to_owned(), names.clone());
        }
        Ok(names)
    }

    fn properties(
        &mut self,
        element: Element<'_, '_>,
        level: u32,
        properties: &mut Vec<Property>,
        sum: &mut Sum<'_>,
    ) -> Result<(), ReadError> {
        for part in element.children() {
            let name = decode(attribute(part, "N")?).into_owned();
            let value = sum.add(self.value(part, level)?)?;
            properties.push(Property { name, value });
        }
        Ok(())
    }

    fn values(&mut self, element: Element<'_, '_>, level: u32, sum: &mut Sum<'_>) -> Result<Vec<Value>, ReadError> {
        element.children().map(|part| sum.add(self.value(part, level)?)).collect()
    }

    fn entries(&mut self, element: Element<'_, '_>, level: u32, sum: &mut Sum<'_>) -> Result<Vec<(Value, Value)>, ReadError> {
        let mut entries = Vec::new();
        for entry in element.children() {
            if !is(entry, "En") {
                return Err(misplaced(entry, "DCT"));
            }
            let (mut key, mut value) = (None, None);
            for part in entry.children() {
                let place = match attribute(part, "N")? {
                    "Key" => &mut key,
                    "Value" => &mut value,
                    _ => return Err(misplaced(part, "En")),
                };
                *place = Some(sum.add(self.value(part, level)?)?);
            }
            let missing = || ReadError::Attribute("En".to_owned());
            entries.push((key.ok_or_else(missing)?, value.ok_or_else(missing)?));
        }
        Ok(entries)
    }
}

/// Adds up what an object stands for, and stops in time.
struct Sum<'s> {
    size: &'s mut Size,
    limits: Limits,
}

impl Sum<'_> {
    fn add(&mut self, (value, size): (Value, Size)) -> Result<Value, ReadError> {
        self.size.values = self.size.values.saturating_add(size.values);
        self.size.depth = self.size.depth.max(size.depth);
        if self.size.values > self.limits.values {
            return Err(ReadError::TooManyValues(self.limits.values));
        }
        if self.size.depth >= self.limits.depth {
            return Err(ReadError::TooDeep(self.limits.depth));
        }
        Ok(value)
    }
}

fn is(element: Element<'_, '_>, name: &str) -> bool {
    element.local_name() == name && (element.namespace().is_empty() || element.namespace() == NAMESPACE)
}

fn misplaced(element: Element<'_, '_>, within: &str) -> ReadError {
    ReadError::Element {
        found: shortened(element.local_name()),
        within: within.to_owned(),
    }
}

fn attribute<'d>(element: Element<'d, '_>, name: &str) -> Result<&'d str, ReadError> {
    element
        .attribute("", name)
        .ok_or_else(|| ReadError::Attribute(element.local_name().to_owned()))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

fn primitive(element: Element<'_, '_>) -> Result<Value, ReadError> {
    let text = element.text();
    let bad = || ReadError::Text {
        tag: element.local_name().to_owned(),
        text: shortened(text),
    };
    macro_rules! number {
        ($kind:ident) => {
            Value::$kind(text.trim().parse().map_err(|_| bad())?)
        };
    }
    let simple = |allowed: &str| {
        let text = text.trim();
        let fits = !text.is_empty()
            && text
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || allowed.contains(character));
        fits.then(|| text.to_owned()).ok_or_else(bad)
    };
    let name = element.local_name();
    if name != "PR" && element.children().next().is_some() {
        return Err(bad());
    }
    Ok(match name {
        "Nil" => Value::Null,
        "S" => Value::String(decode(text).into_owned()),
        "B" => match text.trim() {
            "true" | "1" => Value::Bool(true),
            "false" | "0" => Value::Bool(false),
            _ => return Err(bad()),
        },
        "C" => number!(Char),
        "By" => number!(U8),
        "SB" => number!(I8),
        "U16" => number!(U16),
        "I16" => number!(I16),
        "U32" => number!(U32),
        "I32" => number!(I32),
        "U64" => number!(U64),
        "I64" => number!(I64),
        "Sg" => match float(text).ok_or_else(bad)? {
            Float::Special(number) => Value::F32(number as f32),
            Float::Text(text) => Value::F32(text.parse().map_err(|_| bad())?),
        },
        "Db" => match float(text).ok_or_else(bad)? {
            Float::Special(number) => Value::F64(number),
            Float::Text(text) => Value::F64(text.parse().map_err(|_| bad())?),
        },
        "D" => Value::Decimal(simple("-+.")?),
        "DT" => Value::DateTime(simple("-+:.")?),
        "TS" => Value::Duration(simple("-.")?),
        "G" => Value::Guid(simple("-{}()")?),
        "Version" => Value::Version(simple(".-+")?),
        "URI" => Value::Uri(decode(text).into_owned()),
        "XD" => Value::Xml(decode(text).into_owned()),
        "SBK" => Value::ScriptBlock(decode(text).into_owned()),
        "SS" => Value::SecureString(Sealed::new(text)),
        "BA" => Value::Bytes(bytes(text).ok_or_else(bad)?),
        "PR" => Value::Progress(Box::new(progress(element)?)),
        _ => return Err(misplaced(element, "CLIXML")),
    })
}

enum Float<'t> {
    Special(f64),
    Text(&'t str),
}

fn float(text: &str) -> Option<Float<'_>> {
    let text = text.trim();
    match text {
        "INF" => Some(Float::Special(f64::INFINITY)),
        "-INF" => Some(Float::Special(f64::NEG_INFINITY)),
        "NaN" => Some(Float::Special(f64::NAN)),
        // Rust would take `inf` and `nan` in any case.
        text => text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
            .then_some(Float::Text(text)),
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        let text: String = text.split_ascii_whitespace().collect();
        return STANDARD.decode(text).ok();
    }
    STANDARD.decode(text).ok()
}

/// The parts stand in a fixed order, but for the operation, which has a name of its own nowhere.
fn progress(element: Element<'_, '_>) -> Result<Progress, ReadError> {
    let mut progress = Progress {
        parent_activity_id: -1,
        percent: -1,
        seconds_remaining: -1,
        ..Progress::default()
    };
    for part in element.children() {
        let text = decode(part.text());
        let number = || {
            text.trim().parse().map_err(|_| ReadError::Text {
                tag: part.local_name().to_owned(),
                text: shortened(&text),
            })
        };
        match part.local_name() {
            "AV" => progress.activity = text.into_owned(),
            "AI" => progress.activity_id = number()?,
            "S" => progress.current_operation = Some(text.into_owned()),
            "Nil" => {}
            "PI" => progress.parent_activity_id = number()?,
            "PC" => progress.percent = number()?,
            "T" => progress.completed = text == "Completed",
            "SR" => progress.seconds_remaining = number()?,
            "SD" => progress.status = text.into_owned(),
            _ => return Err(misplaced(part, "PR")),
        }
    }
    Ok(progress)
}
