//! WS-Enumeration: Enumerate, Pull and Release, with filters and modes. \[DSP0226\] 8, \[DSP0227\] 9, \[MS-WSMV\] 3.1.4.7 to 3.1.4.9.

use crate::envelope::{Envelope, ReadError};
use crate::header::{Header, RequestHeader, ResponseHeader, Selector, Target, end, number, read_selectors, write_selectors};
use crate::instance::Instance;
use crate::ns;
use crate::resource::Resource;
use crate::shell::empty_response;
use crate::xml::{Element, WriteError, XmlWriter};

/// Begins to list the instances of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enumerate {
    /// What is listed.
    pub resource: Resource,
    /// Which instances.
    pub filter: Option<Filter>,
    /// What is told of each.
    pub mode: Mode,
    /// Whether the answer may hold instances already, `wsman:OptimizeEnumeration`.
    pub optimize: bool,
    /// How many instances the answer may hold at most.
    pub max_elements: Option<u32>,
    /// What is told of instances of derived classes; without it the service decides.
    pub polymorphism: Option<Polymorphism>,
}

/// What is told of instances of derived classes, `b:PolymorphismMode`, \[DSP0227\] 9.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Polymorphism {
    /// All their properties.
    Include,
    /// The properties that the class asked for has as well.
    Exclude,
    /// Nothing: they are left out.
    None,
}

/// What is told of each instance, `wsman:EnumerationMode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Its properties.
    #[default]
    Object,
    /// A reference to it.
    Epr,
    /// Both.
    ObjectAndEpr,
}

/// Which instances are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// A query in WMI's language; the resource is all classes of a namespace then: `…/root/cimv2/*`.
    Wql(String),
    /// Those that have these keys.
    Selectors(Vec<Selector>),
    /// Those that are associated with an instance.
    Association(Association),
    /// A filter of another dialect.
    Other {
        /// The dialect's URI; empty stands for XPath.
        dialect: String,
        /// The filter.
        text: String,
    },
}

/// A filter by association, \[DSP0227\] 9.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Association {
    /// Whether the associations themselves are listed, not what they lead to.
    pub associations: bool,
    /// The instance that all begins at.
    pub object: Resource,
    /// The class of the associations.
    pub association_class: Option<String>,
    /// The role of the object in them.
    pub role: Option<String>,
    /// The class of what is listed.
    pub result_class: Option<String>,
    /// The role in them of what is listed.
    pub result_role: Option<String>,
}

impl Enumerate {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate";

    /// Lists all instances, beginning in the answer.
    #[must_use]
    pub fn new(resource: Resource) -> Self {
        Self {
            resource,
            filter: None,
            mode: Mode::Object,
            optimize: true,
            max_elements: None,
            polymorphism: None,
        }
    }

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(message_id, Target::of(Self::ACTION, &self.resource, None), 512)?;
        xml.markup(r#"<n:Enumerate xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration">"#);
        if self.optimize {
            xml.markup("<w:OptimizeEnumeration/>");
        }
        if let Some(max) = self.max_elements {
            xml.markup("<w:MaxElements>").plain(&max.to_string()).markup("</w:MaxElements>");
        }
        match self.mode {
            Mode::Object => {}
            Mode::Epr => {
                xml.markup("<w:EnumerationMode>EnumerateEPR</w:EnumerationMode>");
            }
            Mode::ObjectAndEpr => {
                xml.markup("<w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode>");
            }
        }
        if let Some(filter) = &self.filter {
            filter.write(&mut xml)?;
        }
        if let Some(polymorphism) = self.polymorphism {
            xml.markup(r#"<b:PolymorphismMode xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd">"#)
                .markup(match polymorphism {
                    Polymorphism::Include => "IncludeSubClassProperties",
                    Polymorphism::Exclude => "ExcludeSubClassProperties",
                    Polymorphism::None => "None",
                })
                .markup("</b:PolymorphismMode>");
        }
        xml.markup("</n:Enumerate>");
        Ok(end(xml))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError`] when it isn't usable.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        let element = envelope.payload(ns::ENUMERATION, "Enumerate")?;
        let mode = element.child(ns::WSMAN, "EnumerationMode").map(|mode| mode.text().trim());
        let polymorphism = element.child(ns::CIM_BINDING, "PolymorphismMode").map(|mode| mode.text().trim());
        // WS-Enumeration's own filter means the same.
        let filter = [ns::WSMAN, ns::ENUMERATION]
            .iter()
            .find_map(|namespace| element.child(namespace, "Filter"));
        Ok(Self {
            resource: header.resource()?,
            filter: filter.map(Filter::read).transpose()?,
            mode: match mode {
                None | Some("EnumerateObject" | "") => Mode::Object,
                Some("EnumerateEPR") => Mode::Epr,
                Some("EnumerateObjectAndEPR") => Mode::ObjectAndEpr,
                Some(other) => return Err(ReadError::invalid("EnumerationMode", other, "there is no such mode")),
            },
            optimize: element.child(ns::WSMAN, "OptimizeEnumeration").is_some(),
            max_elements: element.child(ns::WSMAN, "MaxElements").map(number).transpose()?,
            polymorphism: match polymorphism {
                None => None,
                Some("IncludeSubClassProperties") => Some(Polymorphism::Include),
                Some("ExcludeSubClassProperties") => Some(Polymorphism::Exclude),
                Some("None") => Some(Polymorphism::None),
                Some(other) => return Err(ReadError::invalid("PolymorphismMode", other, "there is no such mode")),
            },
        })
    }
}

impl Filter {
    fn write(&self, xml: &mut XmlWriter) -> Result<(), WriteError> {
        let dialect = match self {
            Self::Wql(_) => ns::DIALECT_WQL,
            Self::Selectors(_) => ns::DIALECT_SELECTOR,
            Self::Association(_) => ns::DIALECT_ASSOCIATION,
            Self::Other { dialect, .. } => dialect,
        };
        xml.markup("<w:Filter");
        if !dialect.is_empty() {
            xml.attribute("Dialect", dialect, "the filter's dialect")?;
        }
        xml.markup(">");
        match self {
            Self::Wql(text) | Self::Other { text, .. } => {
                xml.text(text, "the filter")?;
            }
            Self::Selectors(selectors) => write_selectors(xml, selectors)?,
            Self::Association(association) => association.write(xml)?,
        }
        xml.markup("</w:Filter>");
        Ok(())
    }

    fn read(element: Element<'_, '_>) -> Result<Self, ReadError> {
        let dialect = element.attribute("", "Dialect").unwrap_or_default().trim();
        if dialect.eq_ignore_ascii_case(ns::DIALECT_WQL) {
            return Ok(Self::Wql(element.text().to_owned()));
        }
        if dialect == ns::DIALECT_SELECTOR {
            let selectors = element.child(ns::WSMAN, "SelectorSet").map(read_selectors).transpose()?;
            return Ok(Self::Selectors(selectors.unwrap_or_default()));
        }
        if dialect == ns::DIALECT_ASSOCIATION {
            return Association::read(element).map(Self::Association);
        }
        Ok(Self::Other {
            dialect: dialect.to_owned(),
            text: element.text().to_owned(),
        })
    }
}

impl Association {
    fn write(&self, xml: &mut XmlWriter) -> Result<(), WriteError> {
        let tag = if self.associations {
            "b:AssociationInstances"
        } else {
            "b:AssociatedInstances"
        };
        xml.markup("<")
            .markup(tag)
            .markup(r#" xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"><b:Object>"#);
        self.object.write(xml, ns::ANONYMOUS)?;
        xml.markup("</b:Object>");
        let parts = [
            ("b:AssociationClassName", &self.association_class),
            ("b:Role", &self.role),
            ("b:ResultClassName", &self.result_class),
            ("b:ResultRole", &self.result_role),
        ];
        for (tag, value) in parts {
            if let Some(value) = value {
                xml.element(tag, value, "a part of the filter")?;
            }
        }
        xml.markup("</").markup(tag).markup(">");
        Ok(())
    }

    fn read(filter: Element<'_, '_>) -> Result<Self, ReadError> {
        let associations = filter.child(ns::CIM_BINDING, "AssociationInstances");
        let element = associations
            .or_else(|| filter.child(ns::CIM_BINDING, "AssociatedInstances"))
            .ok_or_else(|| ReadError::missing("AssociatedInstances"))?;
        let object = element
            .child(ns::CIM_BINDING, "Object")
            .ok_or_else(|| ReadError::missing("Object"))?;
        let object = object.child(ns::ADDRESSING, "EndpointReference").unwrap_or(object);
        let text = |name: &str| element.child(ns::CIM_BINDING, name).map(|child| child.text().trim().to_owned());
        Ok(Self {
            associations: associations.is_some(),
            object: Resource::read(object)?,
            association_class: text("AssociationClassName"),
            role: text("Role"),
            result_class: text("ResultClassName"),
            result_role: text("ResultRole"),
        })
    }
}

/// Goes on with a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// The resource that is listed.
    pub resource: Resource,
    /// What the answer before gave.
    pub context: String,
    /// How many instances the answer may hold at most; 1 is what is meant without it.
    pub max_elements: Option<u32>,
}

impl Pull {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Pull";

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(message_id, Target::of(Self::ACTION, &self.resource, None), 256)?;
        xml.markup(r#"<n:Pull xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration">"#)
            .element("n:EnumerationContext", &self.context, "the enumeration's context")?;
        if let Some(max) = self.max_elements {
            xml.markup("<n:MaxElements>").plain(&max.to_string()).markup("</n:MaxElements>");
        }
        xml.markup("</n:Pull>");
        Ok(end(xml))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError`] when it isn't usable.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        let element = envelope.payload(ns::ENUMERATION, "Pull")?;
        Ok(Self {
            resource: header.resource()?,
            context: context(element)?,
            max_elements: element.child(ns::ENUMERATION, "MaxElements").map(number).transpose()?,
        })
    }
}

/// Ends a list before it is at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The resource that is listed.
    pub resource: Resource,
    /// What the answer before gave.
    pub context: String,
}

impl Release {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Release";

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(message_id, Target::of(Self::ACTION, &self.resource, None), 256)?;
        xml.markup(r#"<n:Release xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration">"#)
            .element("n:EnumerationContext", &self.context, "the enumeration's context")?
            .markup("</n:Release>");
        Ok(end(xml))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError`] when it isn't usable.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        Ok(Self {
            resource: header.resource()?,
            context: context(envelope.payload(ns::ENUMERATION, "Release")?)?,
        })
    }
}

empty_response! {
    /// The answer to [`Release`]: its body is empty.
    ReleaseResponse, "http://schemas.xmlsoap.org/ws/2004/09/enumeration/ReleaseResponse", ""
}

/// A part of a list: the answer to [`Enumerate`] and to [`Pull`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// What the next Pull has to give; `None` when there is none.
    pub context: Option<String>,
    /// The instances.
    pub items: Vec<Item>,
    /// Whether these were the last.
    pub end: bool,
}

/// One of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// The instance, or the [fragment](Instance::FRAGMENT) of it that a query has picked.
    pub instance: Option<Instance>,
    /// The reference to it.
    pub reference: Option<Resource>,
}

impl Page {
    /// The action of the answer to Enumerate.
    pub const ENUMERATE_ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/EnumerateResponse";
    /// The action of the answer to Pull.
    pub const PULL_ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/PullResponse";

    /// Writes the answer to Enumerate; instances stand in it only where [`Enumerate::optimize`] asked for them.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write_to_enumerate(&self, header: &ResponseHeader) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(Self::ENUMERATE_ACTION, 4_096)?;
        xml.markup(r#"<n:EnumerateResponse xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration">"#);
        let context = self.context.as_deref().unwrap_or_default();
        xml.element("n:EnumerationContext", context, "the enumeration's context")?;
        if self.end || !self.items.is_empty() {
            xml.markup("<w:Items>");
            self.items.iter().try_for_each(|item| item.write(&mut xml))?;
            xml.markup("</w:Items>");
        }
        if self.end {
            xml.markup("<w:EndOfSequence/>");
        }
        xml.markup("</n:EnumerateResponse>");
        Ok(end(xml))
    }

    /// Writes the answer to Pull.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write_to_pull(&self, header: &ResponseHeader) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(Self::PULL_ACTION, 4_096)?;
        xml.markup(r#"<n:PullResponse xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration">"#);
        if let Some(context) = &self.context {
            xml.element("n:EnumerationContext", context, "the enumeration's context")?;
        }
        xml.markup("<n:Items>");
        self.items.iter().try_for_each(|item| item.write(&mut xml))?;
        xml.markup("</n:Items>");
        if self.end {
            xml.markup("<n:EndOfSequence/>");
        }
        xml.markup("</n:PullResponse>");
        Ok(end(xml))
    }

    /// Reads either answer. Which of the two namespaces its parts have differs between services.
    ///
    /// # Errors
    /// [`ReadError`] when the body holds neither.
    pub fn read(envelope: &Envelope<'_>) -> Result<Self, ReadError> {
        let page = ["EnumerateResponse", "PullResponse"]
            .iter()
            .find_map(|name| envelope.body().child(ns::ENUMERATION, name))
            .ok_or_else(|| ReadError::missing("EnumerateResponse or PullResponse"))?;
        let part = |name: &str| {
            [ns::ENUMERATION, ns::WSMAN]
                .iter()
                .find_map(|namespace| page.child(namespace, name))
        };
        let context = part("EnumerationContext").map(|context| context.text().trim().to_owned());
        let items = part("Items").into_iter().flat_map(Element::children);
        Ok(Self {
            context: context.filter(|context| !context.is_empty()),
            items: items.map(Item::read).collect::<Result<_, _>>()?,
            end: part("EndOfSequence").is_some(),
        })
    }
}

impl Item {
    fn write(&self, xml: &mut XmlWriter) -> Result<(), WriteError> {
        let both = self.instance.is_some() && self.reference.is_some();
        if both {
            xml.markup("<w:Item>");
        }
        if let Some(instance) = &self.instance {
            instance.write(xml)?;
        }
        if let Some(reference) = &self.reference {
            xml.markup("<a:EndpointReference>");
            reference.write(xml, ns::ANONYMOUS)?;
            xml.markup("</a:EndpointReference>");
        }
        if both {
            xml.markup("</w:Item>");
        }
        Ok(())
    }

    fn read(element: Element<'_, '_>) -> Result<Self, ReadError> {
        let mut item = Self::default();
        if element.is(ns::WSMAN, "Item") {
            for part in element.children() {
                item.read_part(part)?;
            }
        } else {
            item.read_part(element)?;
        }
        Ok(item)
    }

    fn read_part(&mut self, part: Element<'_, '_>) -> Result<(), ReadError> {
        if part.is(ns::ADDRESSING, "EndpointReference") {
            self.reference = Some(Resource::read(part)?);
        } else {
            self.instance = Some(Instance::read(part)?);
        }
        Ok(())
    }
}

fn context(element: Element<'_, '_>) -> Result<String, ReadError> {
    let context = element.child(ns::ENUMERATION, "EnumerationContext");
    let context = context.ok_or_else(|| ReadError::missing("EnumerationContext"))?;
    Ok(context.text().trim().to_owned())
}

#[cfg(test)]
mod tests;
