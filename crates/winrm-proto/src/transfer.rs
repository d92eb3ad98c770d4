//! WS-Transfer: Get, Put, Create and Delete of resources. \[DSP0226\] 7.

use crate::envelope::{Envelope, ReadError};
use crate::header::{Header, RequestHeader, ResponseHeader, Target, end};
use crate::instance::Instance;
use crate::ns;
use crate::resource::Resource;
use crate::xml::WriteError;

/// Get: reads a resource. \[DSP0226\] 7.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Get {
    /// What is read.
    pub resource: Resource,
    /// The part of it that is wished for, `wsman:FragmentTransfer`.
    pub fragment: Option<String>,
}

impl Get {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get";
    /// The answer's action.
    pub const RESPONSE_ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/GetResponse";

    /// Asks for a whole resource.
    #[must_use]
    pub fn new(resource: Resource) -> Self {
        Self { resource, fragment: None }
    }

    /// Asks for the service's configuration, `winrm/config`.
    #[must_use]
    pub fn config() -> Self {
        Self::new(Resource::new(ns::CONFIG))
    }

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        let target = Target::of(Self::ACTION, &self.resource, self.fragment.as_deref());
        Ok(end(header.begin(message_id, target, 0)?))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError::Missing`] without a resource URI.
    pub fn read(header: &Header) -> Result<Self, ReadError> {
        Ok(Self {
            resource: header.resource()?,
            fragment: header.fragment.clone(),
        })
    }
}

/// Put: replaces a resource, or a part of it. \[DSP0226\] 7.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// What is replaced.
    pub resource: Resource,
    /// The part of it that is replaced; the instance is a [fragment](Instance::FRAGMENT) then.
    pub fragment: Option<String>,
    /// The new content.
    pub instance: Instance,
}

impl Put {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Put";

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        let target = Target::of(Self::ACTION, &self.resource, self.fragment.as_deref());
        let mut xml = header.begin(message_id, target, 1_024)?;
        self.instance.write(&mut xml)?;
        Ok(end(xml))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError`] without a resource URI or an instance.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        Ok(Self {
            resource: header.resource()?,
            fragment: header.fragment.clone(),
            instance: envelope.instance()?,
        })
    }
}

/// The answer to [`Get`] and to [`Put`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceResponse {
    /// What the resource holds; `None` from a host that says no more of a Put than that it is done.
    pub instance: Option<Instance>,
    /// The part that was asked for.
    pub fragment: Option<String>,
}

impl InstanceResponse {
    /// The action of the answer to Put.
    pub const PUT_ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/PutResponse";

    /// The answer that gives this instance.
    #[must_use]
    pub fn new(instance: Instance) -> Self {
        Self {
            instance: Some(instance),
            fragment: None,
        }
    }

    /// Writes the answer to a Get.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write_to_get(&self, header: &ResponseHeader) -> Result<Vec<u8>, WriteError> {
        self.write(Get::RESPONSE_ACTION, header)
    }

    /// Writes the answer to a Put.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write_to_put(&self, header: &ResponseHeader) -> Result<Vec<u8>, WriteError> {
        self.write(Self::PUT_ACTION, header)
    }

    fn write(&self, action: &str, header: &ResponseHeader) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin_fragment(action, 1_024, self.fragment.as_deref())?;
        if let Some(instance) = &self.instance {
            instance.write(&mut xml)?;
        }
        Ok(end(xml))
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`ReadError`] when the body isn't usable.
    pub fn read(envelope: &Envelope<'_>) -> Result<Self, ReadError> {
        Ok(Self {
            instance: envelope.body().children().next().map(Instance::read).transpose()?,
            fragment: envelope.header()?.fragment,
        })
    }
}

/// Create: makes a resource that is no shell. \[DSP0226\] 7.5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// Where it is made: Windows wants the keys here too.
    pub resource: Resource,
    /// What it holds.
    pub instance: Instance,
}

impl Create {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create";

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(message_id, Target::of(Self::ACTION, &self.resource, None), 1_024)?;
        self.instance.write(&mut xml)?;
        Ok(end(xml))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError`] without a resource URI or an instance.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        Ok(Self {
            resource: header.resource()?,
            instance: envelope.instance()?,
        })
    }
}

/// The answer to [`Create`]: where the new resource is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The resource with its keys.
    pub resource: Resource,
    /// The service's address.
    pub address: String,
}

impl Created {
    /// The answer's action.
    pub const ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/CreateResponse";

    /// Writes the answer.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &ResponseHeader) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(Self::ACTION, 512)?;
        xml.markup("<x:ResourceCreated>");
        self.resource.write(&mut xml, &self.address)?;
        xml.markup("</x:ResourceCreated>");
        Ok(end(xml))
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`ReadError::Missing`] when it names no resource.
    pub fn read(envelope: &Envelope<'_>) -> Result<Self, ReadError> {
        let created = envelope.payload(ns::TRANSFER, "ResourceCreated")?;
        // There are services that wrap the reference once more.
        let reference = created.child(ns::ADDRESSING, "EndpointReference").unwrap_or(created);
        let address = reference.child(ns::ADDRESSING, "Address");
        Ok(Self {
            resource: Resource::read(reference)?,
            address: address.map(|address| address.text().trim().to_owned()).unwrap_or_default(),
        })
    }
}

/// Delete: removes a resource that is no shell. \[DSP0226\] 7.6. Its answer is [`DeleteResponse`](crate::shell::DeleteResponse).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// What is removed.
    pub resource: Resource,
}

impl Delete {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete";

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        Ok(end(header.begin(message_id, Target::of(Self::ACTION, &self.resource, None), 0)?))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError::Missing`] without a resource URI.
    pub fn read(header: &Header) -> Result<Self, ReadError> {
        Ok(Self {
            resource: header.resource()?,
        })
    }
}
