//! Objects: what is more than a primitive value.

use std::sync::Arc;

use super::value::Value;

/// An object. \[MS-PSRP\] 2.2.5.2
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Object {
    /// The type's name and those of what it derives from. 2.2.5.2.3
    pub type_names: TypeNames,
    /// What `ToString()` gave. 2.2.5.2.4
    pub text: Option<String>,
    /// What it consists of besides its properties.
    pub content: Option<Content>,
    /// The properties that the type has. 2.2.5.2.8
    pub adapted: Vec<Property>,
    /// The properties that PowerShell or a script has added; those of a custom object. 2.2.5.2.9
    pub extended: Vec<Property>,
}

/// What an object consists of besides its properties.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// A primitive value: the number of an enumeration, a string that has got properties. 2.2.5.2.5
    Value(Value),
    /// An array or list. 2.2.5.2.6.3
    List(Vec<Value>),
    /// A stack, the top first. 2.2.5.2.6.1
    Stack(Vec<Value>),
    /// A queue, its head first. 2.2.5.2.6.2
    Queue(Vec<Value>),
    /// Whatever else can be enumerated. 2.2.5.2.6
    Enumerable(Vec<Value>),
    /// A dictionary, in its own order. 2.2.5.2.6.4
    Dictionary(Vec<(Value, Value)>),
}

/// A property's name and value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Property {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Value,
}

impl Property {
    /// A property.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// The name of a type and of what it derives from, the most special first. Objects of one type share them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TypeNames(Arc<[String]>);

impl TypeNames {
    /// These names.
    #[must_use]
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// The names, the most special first.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether a name is among them. `Deserialized.`, which remoting puts in front, makes no difference.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|known| known.strip_prefix("Deserialized.").unwrap_or(known) == name)
    }
}

impl Object {
    /// A property, looked for as PowerShell does: without regard to case, those that were added first. A dictionary's entry where there is
    /// no such property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Value> {
        let same = |known: &str| known.eq_ignore_ascii_case(name);
        let property = self
            .extended
            .iter()
            .chain(&self.adapted)
            .find(|property| same(&property.name))
            .map(|property| &property.value);
        property.or_else(|| match &self.content {
            Some(Content::Dictionary(entries)) => entries
                .iter()
                .find(|(key, _)| key.as_str().is_some_and(same))
                .map(|(_, value)| value),
            _ => None,
        })
    }

    /// Whether it is a value of an enumeration.
    #[must_use]
    pub fn is_enum(&self) -> bool {
        self.type_names.has("System.Enum")
    }
}
