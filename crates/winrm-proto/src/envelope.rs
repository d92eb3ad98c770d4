//! The SOAP envelope as it was received.

use crate::fault::Fault;
use crate::header::Header;
use crate::instance::Instance;
use crate::ns;
use crate::xml::{Document, Element, Limits, XmlError};

/// A received SOAP 1.2 envelope.
#[derive(Debug)]
pub struct Envelope<'i> {
    document: Document<'i>,
}

impl<'i> Envelope<'i> {
    /// Reads an envelope; [`crate::xml::decode`] makes the text of received bytes.
    ///
    /// # Errors
    /// Broken or oversized XML, another root element, another SOAP version, or no body.
    pub fn parse(text: &'i str, limits: &Limits) -> Result<Self, ReadError> {
        let document = Document::parse(text, limits)?;
        let root = document.root();
        if root.local_name() != "Envelope" {
            return Err(ReadError::NotSoap {
                root: root.local_name().to_owned(),
            });
        }
        if root.namespace() != ns::SOAP {
            return Err(ReadError::Version {
                namespace: root.namespace().to_owned(),
            });
        }
        if root.child(ns::SOAP, "Body").is_none() {
            return Err(ReadError::missing("Body"));
        }
        Ok(Self { document })
    }

    /// The element `s:Body`.
    #[must_use]
    pub fn body(&self) -> Element<'_, 'i> {
        let root = self.document.root();
        root.child(ns::SOAP, "Body").unwrap_or(root)
    }

    /// The element `s:Header`, if there is one.
    #[must_use]
    pub fn header_element(&self) -> Option<Element<'_, 'i>> {
        self.document.root().child(ns::SOAP, "Header")
    }

    /// Everything the header says, decoded.
    ///
    /// # Errors
    /// A header whose value isn't of its type.
    pub fn header(&self) -> Result<Header, ReadError> {
        Header::read(self)
    }

    /// The fault that the body holds, if it holds one.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.body().child(ns::SOAP, "Fault").map(Fault::read)
    }

    /// The instance that the body is.
    ///
    /// # Errors
    /// [`ReadError::Missing`] when the body is empty.
    pub(crate) fn instance(&self) -> Result<Instance, ReadError> {
        let first = self.body().children().next();
        Instance::read(first.ok_or_else(|| ReadError::missing("what the Body should hold"))?)
    }

    /// The first element of the body of this name.
    ///
    /// # Errors
    /// [`ReadError::Missing`] when there is none.
    pub(crate) fn payload(&self, namespace: &str, local: &str) -> Result<Element<'_, 'i>, ReadError> {
        self.body().child(namespace, local).ok_or_else(|| ReadError::missing(local))
    }
}

/// A message that can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It isn't usable XML.
    #[error("the XML can't be read")]
    Xml(#[from] XmlError),
    /// The root element is no SOAP envelope.
    #[error("the root element is {root}, not a SOAP Envelope")]
    NotSoap {
        /// Local name of the root element.
        root: String,
    },
    /// The envelope is of another SOAP version than 1.2.
    #[error("the envelope is of another SOAP version ({namespace})")]
    Version {
        /// The envelope's namespace.
        namespace: String,
    },
    /// An element or attribute that has to be there isn't.
    #[error("{name} is missing")]
    Missing {
        /// The local name of what is missing.
        name: String,
    },
    /// A value isn't of its type.
    #[error("{name} has the value {value:?}: {reason}")]
    Invalid {
        /// The local name of what holds the value.
        name: String,
        /// The value, cut to 100 characters.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ReadError {
    pub(crate) fn missing(name: &str) -> Self {
        Self::Missing { name: name.to_owned() }
    }

    pub(crate) fn invalid(name: &str, value: &str, reason: impl ToString) -> Self {
        Self::Invalid {
            name: name.to_owned(),
            value: value.chars().take(100).collect(),
            reason: reason.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_why_an_answer_is_no_envelope() {
        let parse = |text: &str| Envelope::parse(text, &Limits::default()).err().unwrap();
        assert_eq!(
            parse("<html xmlns='http://www.w3.org/1999/xhtml'/>"),
            ReadError::NotSoap { root: "html".into() }
        );
        assert_eq!(
            parse("<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body/></s:Envelope>"),
            ReadError::Version {
                namespace: "http://schemas.xmlsoap.org/soap/envelope/".into()
            }
        );
        assert_eq!(
            parse("<Envelope xmlns='http://www.w3.org/2003/05/soap-envelope'/>"),
            ReadError::Missing { name: "Body".into() }
        );
        assert!(matches!(parse("<a>"), ReadError::Xml(_)));
    }
}
