//! Instances of classes as WS-Management carries them: an element whose children are properties. \[DSP0230\], \[MS-WSMV\] 2.2.4.

use crate::envelope::ReadError;
use crate::ns;
use crate::resource::Resource;
use crate::xml::{Document, Element, Limits, WriteError, XmlWriter, decode};

/// An instance of a class, a part of the configuration, the input or output of a method, or a fragment.
///
/// Names of properties are compared without regard to case, as Windows does. An array is a property of which there are several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// The namespace of the properties, which is the resource URI of the class. It is the namespace of the element too, but for
    /// fragments.
    pub namespace: String,
    /// The class, `Win32_Service`, or what the element is called: `Create_OUTPUT`, [`FRAGMENT`](Self::FRAGMENT).
    pub name: String,
    /// The properties, in order.
    pub properties: Vec<(String, Property)>,
    /// Where the instance comes from, the attribute `Source`: `GPO` says that a group policy has made it.
    pub source: Option<String>,
    /// The same for single properties: name and source.
    pub sources: Vec<(String, String)>,
}

/// The value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Property {
    /// There is none, `xsi:nil`.
    Nil,
    /// A value as text: numbers, truth values and enumerations too.
    Text(String),
    /// A date, time or interval, in the form of XML Schema (`2024-05-01T10:00:00Z`, `P0DT1H0M0S`).
    DateTime(String),
    /// An instance within.
    Instance(Instance),
    /// A reference to an instance.
    Reference(Resource),
}

impl Instance {
    /// The name of instances that are parts of others, `wsman:XmlFragment`.
    pub const FRAGMENT: &'static str = "XmlFragment";

    /// An instance without properties.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            ..Self::default()
        }
    }

    /// An instance of the class that the resource names.
    #[must_use]
    pub fn of(resource: &Resource) -> Self {
        Self::new(&resource.uri, resource.class())
    }

    /// The same with a further property.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Property>) -> Self {
        self.push(name, value);
        self
    }

    /// Adds a property, beside those that are there.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Property>) {
        self.properties.push((name.into(), value.into()));
    }

    /// Gives a property this value alone, in the place of the first that has the name.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Property>) {
        let name = name.into();
        let is_it = |known: &str| known.eq_ignore_ascii_case(&name);
        match self.properties.iter().position(|(known, _)| is_it(known)) {
            Some(first) => {
                self.properties[first].1 = value.into();
                let mut index = 0;
                self.properties.retain(|(known, _)| {
                    index += 1;
                    index <= first + 1 || !is_it(known)
                });
            }
            None => self.push(name, value),
        }
    }

    /// All values of a property, in order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Property> {
        let found = self.properties.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value).collect::<Vec<_>>().into_iter()
    }

    /// The first value of a property.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Property> {
        let found = self.properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// The first value of a property that is text or a date.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name)?.text()
    }

    /// The instance within that a property holds.
    #[must_use]
    pub fn instance(&self, name: &str) -> Option<&Self> {
        match self.value(name)? {
            Property::Instance(instance) => Some(instance),
            _ => None,
        }
    }

    /// The same, to change it.
    pub fn instance_mut(&mut self, name: &str) -> Option<&mut Self> {
        let found = self.properties.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name));
        match found?.1 {
            Property::Instance(ref mut instance) => Some(instance),
            _ => None,
        }
    }

    /// Where the value of a property comes from: `GPO` says that a group policy sets it.
    #[must_use]
    pub fn source_of(&self, name: &str) -> Option<&str> {
        let found = self.sources.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, source)| source.as_str())
    }

    /// What a method has returned; `None` when it doesn't say.
    #[must_use]
    pub fn return_value(&self) -> Option<u32> {
        self.text("ReturnValue")?.trim().parse().ok()
    }

    /// Reads an XML document whose root is an instance.
    ///
    /// # Errors
    /// Broken XML, or an endpoint reference in it that isn't one.
    pub fn parse(document: impl AsRef<[u8]>) -> Result<Self, ReadError> {
        let text = decode(document.as_ref())?;
        let document = Document::parse(text.trim(), &Limits::default())?;
        Self::read(document.root())
    }

    /// The instance as an XML document of its own.
    ///
    /// # Errors
    /// A text or a name that XML can't carry.
    pub fn to_xml(&self) -> Result<String, WriteError> {
        let mut xml = XmlWriter::with_capacity(1_024);
        self.write_root(&mut xml, true)?;
        Ok(String::from_utf8_lossy(&xml.finish()).into_owned())
    }

    pub(crate) fn write(&self, xml: &mut XmlWriter) -> Result<(), WriteError> {
        self.write_root(xml, false)
    }

    fn write_root(&self, xml: &mut XmlWriter, alone: bool) -> Result<(), WriteError> {
        let is_fragment = self.name == Self::FRAGMENT;
        let own = usual_prefix(&self.namespace);
        let prefix = if is_fragment { "w" } else { prefix_of(&self.namespace, own) };
        open(xml, prefix, &self.name)?;
        xml.markup(r#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance""#);
        declare(xml, own, &self.namespace)?;
        if alone {
            xml.markup(r#" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing""#)
                .markup(r#" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd""#);
        }
        write_source(xml, self.source.as_deref())?;
        xml.markup(">");
        self.write_properties(xml, own, 0)?;
        close(xml, prefix, &self.name);
        Ok(())
    }

    fn write_properties(&self, xml: &mut XmlWriter, own: &str, depth: usize) -> Result<(), WriteError> {
        let prefix = prefix_of(&self.namespace, own);
        for (name, property) in &self.properties {
            open(xml, prefix, name)?;
            if !matches!(property, Property::Instance(_)) {
                write_source(xml, self.source_of(name))?;
            }
            match property {
                Property::Nil => {
                    xml.markup(r#" xsi:nil="true""#).markup("/>");
                    continue;
                }
                Property::Text(text) => {
                    xml.markup(">").text(text, &format!("the property {name}"))?;
                }
                Property::DateTime(text) => {
                    let tag = date_tag(text);
                    xml.markup(r#"><c:"#)
                        .plain(tag)
                        .markup(r#" xmlns:c="http://schemas.dmtf.org/wbem/wscim/1/common">"#)
                        .text(text, &format!("the property {name}"))?
                        .markup("</c:")
                        .plain(tag)
                        .markup(">");
                }
                Property::Reference(resource) => {
                    xml.markup(">");
                    resource.write(xml, ns::ANONYMOUS)?;
                }
                Property::Instance(instance) => {
                    let other = format!("n{}", depth + 1);
                    let inner = if instance.namespace == self.namespace {
                        own
                    } else {
                        declare(xml, &other, &instance.namespace)?;
                        &other
                    };
                    if instance.name != *name {
                        xml.markup(r#" xsi:type=""#);
                        if !instance.namespace.is_empty() {
                            xml.plain(inner).markup(":");
                        }
                        xml.name(&instance.name, "the class's name")?.markup(r#"_Type""#);
                    }
                    write_source(xml, instance.source.as_deref())?;
                    xml.markup(">");
                    instance.write_properties(xml, inner, depth + 1)?;
                }
            }
            close(xml, prefix, name);
        }
        Ok(())
    }

    pub(crate) fn read(element: Element<'_, '_>) -> Result<Self, ReadError> {
        let mut instance = Self::new(element.namespace(), element.local_name());
        if element.is(ns::WSMAN, Self::FRAGMENT) {
            // A fragment's own namespace says nothing; of a fragment that is text, nothing else is there.
            instance.namespace.clear();
            if element.children().next().is_none() && !element.text().trim().is_empty() {
                instance.push("text", element.text());
            }
        }
        instance.read_properties(element)?;
        Ok(instance)
    }

    fn read_properties(&mut self, element: Element<'_, '_>) -> Result<(), ReadError> {
        self.source = element.attribute("", "Source").map(str::to_owned);
        if let Some(first) = element.children().next() {
            first.namespace().clone_into(&mut self.namespace);
        }
        for child in element.children() {
            let name = child.local_name();
            let value = Property::read(child)?;
            if let (Some(source), false) = (child.attribute("", "Source"), matches!(value, Property::Instance(_)))
                && self.source_of(name).is_none()
            {
                self.sources.push((name.to_owned(), source.to_owned()));
            }
            self.properties.push((name.to_owned(), value));
        }
        Ok(())
    }
}

impl Property {
    /// The value, if it is text or a date.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::DateTime(text) => Some(text),
            _ => None,
        }
    }

    fn read(element: Element<'_, '_>) -> Result<Self, ReadError> {
        if element.attribute(ns::XSI, "nil").is_some_and(crate::header::is_true) {
            return Ok(Self::Nil);
        }
        let mut children = element.children();
        let Some(first) = children.next() else {
            return Ok(Self::Text(element.text().to_owned()));
        };
        let single = children.next().is_none();
        if element.child(ns::ADDRESSING, "ReferenceParameters").is_some() {
            return Resource::read(element).map(Self::Reference);
        }
        if single && first.is(ns::ADDRESSING, "EndpointReference") {
            return Resource::read(first).map(Self::Reference);
        }
        // Within fragments nothing has a namespace.
        let is_date = matches!(first.namespace(), ns::CIM_COMMON | "") && DATE_TAGS.contains(&first.local_name());
        if single && is_date && first.children().next().is_none() {
            return Ok(Self::DateTime(first.text().to_owned()));
        }
        let class = element.attribute(ns::XSI, "type").map(|class| {
            let class = class.rsplit_once(':').map_or(class, |(_, class)| class);
            class.strip_suffix("_Type").unwrap_or(class)
        });
        let mut instance = Instance::new(element.namespace(), class.unwrap_or(element.local_name()));
        instance.read_properties(element)?;
        Ok(Self::Instance(instance))
    }
}

impl From<&str> for Property {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Property {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Property {
    fn from(value: bool) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<u32> for Property {
    fn from(value: u32) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<u64> for Property {
    fn from(value: u64) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<Instance> for Property {
    fn from(instance: Instance) -> Self {
        Self::Instance(instance)
    }
}

impl From<Resource> for Property {
    fn from(resource: Resource) -> Self {
        Self::Reference(resource)
    }
}

/// What a date stands in, \[DSP0230\] 7.3.3.
const DATE_TAGS: [&str; 5] = ["Datetime", "Interval", "Date", "Time", "CIM_DateTime"];

fn date_tag(text: &str) -> &'static str {
    let [date_time, interval, date, time, cim] = DATE_TAGS;
    if text.starts_with(['P', '-']) {
        interval
    } else if text.contains('T') {
        date_time
    } else if text.contains('.') && !text.contains(':') {
        cim
    } else if text.contains(':') {
        time
    } else {
        date
    }
}

/// The prefix that Windows gives a namespace: nothing reads it, but people do.
fn usual_prefix(namespace: &str) -> &'static str {
    if namespace.starts_with(ns::CONFIG) {
        "cfg"
    } else if namespace == ns::SHELL {
        "rsp"
    } else {
        "p"
    }
}

/// The prefix of names in this namespace: none where there is none.
fn prefix_of<'a>(namespace: &str, prefix: &'a str) -> &'a str {
    if namespace.is_empty() { "" } else { prefix }
}

fn declare(xml: &mut XmlWriter, prefix: &str, namespace: &str) -> Result<(), WriteError> {
    if !namespace.is_empty() {
        xml.markup(" xmlns:").plain(prefix).markup("=\"").text(namespace, "the namespace")?;
        xml.markup("\"");
    }
    Ok(())
}

fn write_source(xml: &mut XmlWriter, source: Option<&str>) -> Result<(), WriteError> {
    if let Some(source) = source {
        xml.attribute("Source", source, "the source of a setting")?;
    }
    Ok(())
}

fn open(xml: &mut XmlWriter, prefix: &str, name: &str) -> Result<(), WriteError> {
    xml.markup("<").plain(prefix).markup(if prefix.is_empty() { "" } else { ":" });
    xml.name(name, "a property's name")?;
    Ok(())
}

fn close(xml: &mut XmlWriter, prefix: &str, name: &str) {
    xml.markup("</").plain(prefix).markup(if prefix.is_empty() { "" } else { ":" });
    xml.plain(name).markup(">");
}

#[cfg(test)]
pub(crate) mod tests;
