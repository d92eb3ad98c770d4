//! SOAP headers of WS-Addressing and WS-Management, with the selectors and options of a request.

use std::time::Duration;

use crate::duration;
use crate::envelope::{Envelope, ReadError};
use crate::ns;
use crate::resource::Resource;
use crate::xml::{Element, WriteError, XmlWriter};

/// What all requests of one client say in their headers, beside the operation's own part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestHeader {
    /// The service's URL, `wsa:To`.
    pub to: String,
    /// `uuid:` and a UUID that all requests of one client share (\[MS-WSMV\] 2.2.4.36).
    pub session_id: Option<String>,
    /// The language wished for messages, a language tag of RFC 3066.
    pub locale: String,
    /// The language for numbers and dates in data (\[MS-WSMV\] 2.2.4.14).
    pub data_locale: String,
    /// The largest answer the client takes, in bytes.
    pub max_envelope_size: u32,
    /// How long the service may work on one request, in milliseconds' precision.
    pub operation_timeout: Duration,
}

impl RequestHeader {
    /// A header with Windows' own defaults: `en-US`, 500 KB, 20 seconds.
    #[must_use]
    pub fn new(to: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            session_id: None,
            locale: "en-US".to_owned(),
            data_locale: "en-US".to_owned(),
            max_envelope_size: 512_000,
            operation_timeout: Duration::from_secs(20),
        }
    }

    /// Writes the envelope up to `<s:Body>`.
    pub(crate) fn begin(&self, message_id: &str, target: Target<'_>, room: usize) -> Result<XmlWriter, WriteError> {
        let mut xml = XmlWriter::with_capacity(2_048 + room);
        xml.markup(concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope""#,
            r#" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd""#,
            r#" xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd" xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell">"#,
            "<s:Header>",
        ));
        xml.element("a:To", &self.to, "the service's URL")?;
        xml.markup(r#"<w:ResourceURI s:mustUnderstand="true">"#)
            .text(target.resource_uri, "the resource URI")?;
        xml.markup("</w:ResourceURI><a:ReplyTo>")
            .markup(r#"<a:Address s:mustUnderstand="true">"#)
            .markup(ns::ANONYMOUS);
        xml.markup(r#"</a:Address></a:ReplyTo><a:Action s:mustUnderstand="true">"#)
            .text(target.action, "the action")?
            .markup("</a:Action>");
        xml.element("a:MessageID", message_id, "the message id")?;
        xml.markup(r#"<w:MaxEnvelopeSize s:mustUnderstand="true">"#)
            .plain(&self.max_envelope_size.to_string());
        xml.markup(r#"</w:MaxEnvelopeSize><w:Locale s:mustUnderstand="false""#)
            .attribute("xml:lang", &self.locale, "the locale")?;
        xml.markup(r#"/><p:DataLocale s:mustUnderstand="false""#)
            .attribute("xml:lang", &self.data_locale, "the data locale")?;
        xml.markup("/>");
        if let Some(session_id) = &self.session_id {
            xml.markup(r#"<p:SessionId s:mustUnderstand="false">"#)
                .text(session_id, "the session id")?
                .markup("</p:SessionId>");
        }
        xml.markup("<w:OperationTimeout>")
            .plain(&duration::format(self.operation_timeout))
            .markup("</w:OperationTimeout>");
        write_selectors(&mut xml, target.selectors)?;
        if !target.options.is_empty() {
            xml.markup(r#"<w:OptionSet s:mustUnderstand="true">"#);
            for option in target.options {
                xml.markup("<w:Option").attribute("Name", &option.name, "an option's name")?;
                if option.must_comply {
                    xml.markup(r#" MustComply="true""#);
                }
                xml.markup(">").text(&option.value, "an option's value")?.markup("</w:Option>");
            }
            xml.markup("</w:OptionSet>");
        }
        write_fragment(&mut xml, target.fragment)?;
        xml.markup("</s:Header><s:Body>");
        Ok(xml)
    }
}

/// What a request is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) action: &'a str,
    pub(crate) resource_uri: &'a str,
    pub(crate) selectors: &'a [Selector],
    pub(crate) options: &'a [HeaderOption],
    /// The part of the resource that is meant, `wsman:FragmentTransfer`.
    pub(crate) fragment: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// A resource, or a part of it, without options.
    pub(crate) fn of(action: &'a str, resource: &'a Resource, fragment: Option<&'a str>) -> Self {
        Self {
            action,
            resource_uri: &resource.uri,
            selectors: &resource.selectors,
            options: &[],
            fragment,
        }
    }
}

pub(crate) fn end(mut xml: XmlWriter) -> Vec<u8> {
    xml.markup("</s:Body></s:Envelope>");
    xml.finish()
}

/// \[DSP0226\] 7.7: which part of the resource is read or written.
fn write_fragment(xml: &mut XmlWriter, fragment: Option<&str>) -> Result<(), WriteError> {
    if let Some(fragment) = fragment {
        xml.markup(r#"<w:FragmentTransfer s:mustUnderstand="true">"#)
            .text(fragment, "the fragment's name")?
            .markup("</w:FragmentTransfer>");
    }
    Ok(())
}

pub(crate) fn write_selectors(xml: &mut XmlWriter, selectors: &[Selector]) -> Result<(), WriteError> {
    if !selectors.is_empty() {
        xml.markup("<w:SelectorSet>");
        for selector in selectors {
            xml.markup("<w:Selector").attribute("Name", &selector.name, "a selector's name")?;
            xml.markup(">").text(&selector.value, "a selector's value")?.markup("</w:Selector>");
        }
        xml.markup("</w:SelectorSet>");
    }
    Ok(())
}

/// What every answer of a service says in its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHeader {
    /// `uuid:` and a UUID of the answer's own.
    pub message_id: String,
    /// The request's message id; `None` when the request had none that could be read.
    pub relates_to: Option<String>,
}

impl ResponseHeader {
    /// Writes the envelope up to `<s:Body>`.
    pub(crate) fn begin(&self, action: &str, room: usize) -> Result<XmlWriter, WriteError> {
        self.begin_fragment(action, room, None)
    }

    /// The same for an answer that is about a part of the resource.
    pub(crate) fn begin_fragment(&self, action: &str, room: usize, fragment: Option<&str>) -> Result<XmlWriter, WriteError> {
        let mut xml = XmlWriter::with_capacity(1_024 + room);
        xml.markup(concat!(
            r#"<s:Envelope xml:lang="en-US" xmlns:s="http://www.w3.org/2003/05/soap-envelope""#,
            r#" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:x="http://schemas.xmlsoap.org/ws/2004/09/transfer""#,
            r#" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell""#,
            r#" xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"><s:Header><a:Action>"#,
        ));
        // The action of a method's answer repeats what the client has sent.
        xml.text(action, "the action")?
            .markup("</a:Action><a:MessageID>")
            .plain(&self.message_id)
            .markup("</a:MessageID><a:To>");
        xml.markup(ns::ANONYMOUS).markup("</a:To>");
        if let Some(relates_to) = &self.relates_to {
            xml.element("a:RelatesTo", relates_to, "the request's message id")?;
        }
        write_fragment(&mut xml, fragment)?;
        xml.markup("</s:Header><s:Body>");
        Ok(xml)
    }
}

/// One key of a resource, \[DSP0226\] 5.1.2.2: `ShellId` and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The key's name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Selector {
    /// A selector of this name and value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// One switch of an operation, \[DSP0226\] 6.4: `WINRS_CODEPAGE` and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderOption {
    /// The option's name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether the service has to refuse the request when it doesn't know the option.
    pub must_comply: bool,
}

impl HeaderOption {
    /// An option of this name and value that a service may ignore.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            must_comply: false,
        }
    }
}

/// A received header, decoded. Every field is what the message says: which ones have to be there depends on the operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// `wsa:Action`; empty when there is none.
    pub action: String,
    /// `wsa:MessageID`.
    pub message_id: Option<String>,
    /// `wsa:RelatesTo`, in answers.
    pub relates_to: Option<String>,
    /// `wsa:To`.
    pub to: Option<String>,
    /// The address in `wsa:ReplyTo`.
    pub reply_to: Option<String>,
    /// `wsman:ResourceURI`.
    pub resource_uri: Option<String>,
    /// `wsman:MaxEnvelopeSize`, in bytes.
    pub max_envelope_size: Option<u32>,
    /// `wsman:OperationTimeout`.
    pub operation_timeout: Option<Duration>,
    /// The language of `wsman:Locale`.
    pub locale: Option<String>,
    /// The language of `p:DataLocale`.
    pub data_locale: Option<String>,
    /// `p:SessionId`.
    pub session_id: Option<String>,
    /// The keys of `wsman:SelectorSet`, in order.
    pub selectors: Vec<Selector>,
    /// The switches of `wsman:OptionSet`, in order.
    pub options: Vec<HeaderOption>,
    /// The part of the resource that is meant, `wsman:FragmentTransfer`.
    pub fragment: Option<String>,
    /// Local names of headers marked `mustUnderstand` that this crate doesn't know: a service has to refuse the request.
    pub not_understood: Vec<String>,
}

impl Header {
    pub(crate) fn read(envelope: &Envelope<'_>) -> Result<Self, ReadError> {
        let mut header = Self::default();
        let Some(element) = envelope.header_element() else {
            return Ok(header);
        };
        for child in element.children() {
            header.read_child(child)?;
        }
        Ok(header)
    }

    fn read_child(&mut self, child: Element<'_, '_>) -> Result<(), ReadError> {
        let text = || child.text().trim().to_owned();
        match (child.namespace(), child.local_name()) {
            (ns::ADDRESSING, "Action") => self.action = text(),
            (ns::ADDRESSING, "MessageID") => self.message_id = Some(text()),
            (ns::ADDRESSING, "RelatesTo") => self.relates_to = Some(text()),
            (ns::ADDRESSING, "To") => self.to = Some(text()),
            (ns::ADDRESSING, "ReplyTo") => {
                self.reply_to = child
                    .child(ns::ADDRESSING, "Address")
                    .map(|address| address.text().trim().to_owned());
            }
            (ns::ADDRESSING, "From" | "FaultTo") => {}
            (ns::WSMAN, "ResourceURI") => self.resource_uri = Some(text()),
            (ns::WSMAN, "MaxEnvelopeSize") => self.max_envelope_size = Some(number(child)?),
            (ns::WSMAN, "OperationTimeout") => self.operation_timeout = Some(read_duration(child)?),
            (ns::WSMAN, "Locale") => self.locale = language(child),
            (ns::WSMV, "DataLocale") => self.data_locale = language(child),
            (ns::WSMV, "SessionId") => self.session_id = Some(text()),
            // Known, and without a meaning for a service that does one operation at a time.
            (ns::WSMV, "SequenceId" | "OperationID" | "ActivityId") => {}
            (ns::WSMAN, "FragmentTransfer") => self.fragment = Some(text()),
            (ns::WSMAN, "SelectorSet") => self.selectors = read_selectors(child)?,
            (ns::WSMAN, "OptionSet") => {
                for option in child.children().filter(|option| option.is(ns::WSMAN, "Option")) {
                    let name = option.attribute("", "Name").ok_or_else(|| ReadError::missing("Option/@Name"))?;
                    let must_comply = option.attribute("", "MustComply").is_some_and(is_true);
                    self.options.push(HeaderOption {
                        name: name.to_owned(),
                        value: option.text().to_owned(),
                        must_comply,
                    });
                }
            }
            // pywinrm writes the attribute without a prefix.
            _ if child
                .attribute(ns::SOAP, "mustUnderstand")
                .or_else(|| child.attribute("", "mustUnderstand"))
                .is_some_and(is_true) =>
            {
                self.not_understood.push(child.local_name().to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    /// The value of a selector; names are compared without regard to case, as Windows does.
    #[must_use]
    pub fn selector(&self, name: &str) -> Option<&str> {
        self.selectors
            .iter()
            .find(|selector| selector.name.eq_ignore_ascii_case(name))
            .map(|selector| selector.value.as_str())
    }

    /// The value of an option; names are compared without regard to case, as Windows does.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .find(|option| option.name.eq_ignore_ascii_case(name))
            .map(|option| option.value.as_str())
    }

    /// The value of an option that is a truth value; `None` when it isn't there.
    ///
    /// # Errors
    /// A value that is neither `TRUE`, `FALSE`, `1` nor `0`, in any case.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ReadError> {
        match self.option(name).map(str::trim) {
            None => Ok(None),
            Some(value) if is_true(value) => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") || value == "0" => Ok(Some(false)),
            Some(value) => Err(ReadError::invalid(name, value, "it is neither TRUE nor FALSE")),
        }
    }

    /// What the request is for.
    ///
    /// # Errors
    /// [`ReadError::Missing`] without a resource URI.
    pub fn resource(&self) -> Result<Resource, ReadError> {
        Ok(Resource {
            uri: self.resource_uri.clone().ok_or_else(|| ReadError::missing("ResourceURI"))?,
            selectors: self.selectors.clone(),
        })
    }

    /// The shell that the request is for.
    ///
    /// # Errors
    /// [`ReadError::Missing`] when the selector `ShellId` isn't there.
    pub fn shell_id(&self) -> Result<&str, ReadError> {
        self.selector("ShellId").ok_or_else(|| ReadError::missing("the selector ShellId"))
    }
}

pub(crate) fn read_selectors(set: Element<'_, '_>) -> Result<Vec<Selector>, ReadError> {
    let selectors = set.children().filter(|selector| selector.is(ns::WSMAN, "Selector"));
    selectors
        .map(|selector| {
            let name = selector.attribute("", "Name").ok_or_else(|| ReadError::missing("Selector/@Name"))?;
            // The keys of associations are references themselves: in their short form they can be read.
            Ok(match selector.child(ns::ADDRESSING, "EndpointReference") {
                Some(reference) => Selector::new(name, Resource::read(reference)?.to_string()),
                None => Selector::new(name, selector.text()),
            })
        })
        .collect()
}

pub(crate) fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true") || value == "1"
}

pub(crate) fn number(element: Element<'_, '_>) -> Result<u32, ReadError> {
    let text = element.text().trim();
    text.parse()
        .map_err(|error: std::num::ParseIntError| ReadError::invalid(element.local_name(), text, error))
}

pub(crate) fn read_duration(element: Element<'_, '_>) -> Result<Duration, ReadError> {
    let text = element.text().trim();
    duration::parse(text).map_err(|error| ReadError::invalid(element.local_name(), text, error))
}

fn language(element: Element<'_, '_>) -> Option<String> {
    element.attribute(ns::XML, "lang").map(str::to_owned)
}
