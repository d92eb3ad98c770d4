//! A value, and what it comes with on a stream.

use std::fmt;
use std::sync::Arc;

use super::object::{Object, Property};

/// A value of PowerShell. Numbers and texts are PowerShell's primitive types; everything else is an [`Object`].
///
/// What Rust's standard library has no type for (dates, decimals, GUIDs) stays the text that CLIXML has for it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `$null`. \[MS-PSRP\] 2.2.5.1.20
    Null,
    /// A Boolean. 2.2.5.1.3
    Bool(bool),
    /// One UTF-16 code unit. 2.2.5.1.2
    Char(u16),
    /// An unsigned byte. 2.2.5.1.6
    U8(u8),
    /// A signed byte. 2.2.5.1.7
    I8(i8),
    /// 2.2.5.1.8
    U16(u16),
    /// 2.2.5.1.9
    I16(i16),
    /// 2.2.5.1.10
    U32(u32),
    /// 2.2.5.1.11
    I32(i32),
    /// 2.2.5.1.12
    U64(u64),
    /// 2.2.5.1.13
    I64(i64),
    /// 2.2.5.1.14
    F32(f32),
    /// 2.2.5.1.15
    F64(f64),
    /// A number with up to 29 decimal digits, as text. 2.2.5.1.16
    Decimal(String),
    /// A text. Halves of surrogate pairs that stand alone, which PowerShell allows, have become U+FFFD. 2.2.5.1.1
    String(String),
    /// A date and time, `2026-01-02T03:04:05.1234567+01:00`; without an offset when it names no time zone. 2.2.5.1.4
    DateTime(String),
    /// A time span, as `xs:duration`: `P1DT2H3M4.5S`, `-PT1S`. 2.2.5.1.5
    Duration(String),
    /// A GUID. 2.2.5.1.18
    Guid(String),
    /// A URI. 2.2.5.1.19
    Uri(String),
    /// A version: `10.0.17763.1`. 2.2.5.1.21
    Version(String),
    /// An XML document. 2.2.5.1.22
    Xml(String),
    /// A script block, as its text. 2.2.5.1.23
    ScriptBlock(String),
    /// A secure string: sealed, as it came. 2.2.5.1.24
    SecureString(Sealed),
    /// Bytes, in CLIXML as base64. 2.2.5.1.17
    Bytes(Vec<u8>),
    /// A progress record. 2.2.5.1.25
    Progress(Box<Progress>),
    /// Whatever else: lists, dictionaries, enumerations, objects with properties. Where CLIXML refers to an object a second time, both
    /// are the same. 2.2.5.2
    Object(Arc<Object>),
    /// An object that holds this place, so many levels further out: 0 is the object whose content or property this is.
    Enclosing(u32),
}

/// A secure string's content: encrypted for one Windows account, or by the key of a remoting session. PowerShell on other systems
/// doesn't encrypt it, so it is handled as a secret: `Debug` doesn't show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(String);

impl Sealed {
    /// Takes the text as CLIXML has it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as CLIXML has it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// How far something has come. \[MS-PSRP\] 2.2.5.1.25
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// What is done.
    pub activity: String,
    /// Tells activities under way at the same time apart.
    pub activity_id: i32,
    /// The current state, in words.
    pub status: String,
    /// What is worked on right now.
    pub current_operation: Option<String>,
    /// The activity that this is a part of; -1 if none.
    pub parent_activity_id: i32,
    /// From 0 to 100; -1 when unknown.
    pub percent: i32,
    /// Whether the activity is over.
    pub completed: bool,
    /// Seconds that are left; -1 when unknown.
    pub seconds_remaining: i32,
}

/// A value of a document, and the stream that it belongs to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Item {
    /// The stream; [`Stream::Output`] where none is named.
    pub stream: Stream,
    /// The value.
    pub value: Value,
}

impl Item {
    /// An item of this stream.
    #[must_use]
    pub fn new(stream: Stream, value: Value) -> Self {
        Self { stream, value }
    }
}

/// PowerShell's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stream {
    /// The objects that a script gives.
    Output,
    /// Errors, as text that PowerShell has laid out for a console.
    Error,
    /// `Write-Warning`
    Warning,
    /// `Write-Verbose`
    Verbose,
    /// `Write-Debug`
    Debug,
    /// `Write-Information` and `Write-Host`
    Information,
    /// `Write-Progress`
    Progress,
}

impl Stream {
    pub(super) fn parse(name: &str) -> Option<Self> {
        [
            Self::Output,
            Self::Error,
            Self::Warning,
            Self::Verbose,
            Self::Debug,
            Self::Information,
            Self::Progress,
        ]
        .into_iter()
        .find(|stream| stream.name().eq_ignore_ascii_case(name))
    }

    /// The name in the attribute `S`, in the case that PowerShell writes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Output => "Output",
            Self::Error => "Error",
            Self::Warning => "warning",
            Self::Verbose => "verbose",
            Self::Debug => "debug",
            Self::Information => "information",
            Self::Progress => "progress",
        }
    }
}

impl Value {
    /// The text of a string, with or without properties of its own.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Object(object) => match &object.content {
                Some(super::Content::Value(value)) => value.as_str(),
                _ => None,
            },
            _ => None,
        }
    }

    /// An integer, of whatever width, an enumeration's number included.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::U8(number) => Some((*number).into()),
            Self::I8(number) => Some((*number).into()),
            Self::U16(number) => Some((*number).into()),
            Self::I16(number) => Some((*number).into()),
            Self::U32(number) => Some((*number).into()),
            Self::I32(number) => Some((*number).into()),
            Self::I64(number) => Some(*number),
            Self::U64(number) => i64::try_from(*number).ok(),
            Self::Object(object) => match &object.content {
                Some(super::Content::Value(value)) => value.as_i64(),
                _ => None,
            },
            _ => None,
        }
    }

    /// A Boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// A property of an object, looked for as PowerShell does: without regard to case, those that were added first. A dictionary's
    /// entry where there is no such property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Self> {
        let Self::Object(object) = self else { return None };
        object.property(name)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(Arc::new(object))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::I32(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::I64(number)
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Object {
    /// A custom object with these properties.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(properties: I) -> Self {
        Self {
            type_names: super::TypeNames::new(["System.Management.Automation.PSCustomObject", "System.Object"]),
            extended: properties.into_iter().map(|(name, value)| Property::new(name, value)).collect(),
            ..Self::default()
        }
    }
}
