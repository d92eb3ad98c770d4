//! Methods of classes: an action of their own, whose input and output are instances. \[DSP0227\] 10, \[MS-WSMV\] 3.1.4.10.

use crate::envelope::{Envelope, ReadError};
use crate::header::{Header, RequestHeader, ResponseHeader, Target, end};
use crate::instance::Instance;
use crate::resource::Resource;
use crate::xml::WriteError;

/// Calls a method of a class, or of the instance that the selectors pick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoke {
    /// What it is called on.
    pub resource: Resource,
    /// The method's name.
    pub method: String,
    /// The parameters; the element is called after the method, with `_INPUT`.
    pub input: Instance,
}

impl Invoke {
    /// A call without parameters.
    pub fn new(resource: Resource, method: impl Into<String>) -> Self {
        let method = method.into();
        Self {
            input: Instance::new(&resource.uri, format!("{method}_INPUT")),
            resource,
            method,
        }
    }

    /// The request's action.
    #[must_use]
    pub fn action(&self) -> String {
        format!("{}/{}", self.resource.uri, self.method)
    }

    /// The method that a request of this action calls; `None` when it calls none of the resource.
    #[must_use]
    pub fn method_of<'a>(action: &'a str, resource_uri: &str) -> Option<&'a str> {
        let beginning = action.get(..resource_uri.len())?;
        let method = action[resource_uri.len()..].strip_prefix('/')?;
        let fits = !resource_uri.is_empty() && beginning.eq_ignore_ascii_case(resource_uri) && !method.is_empty() && !method.contains('/');
        fits.then_some(method)
    }

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        let action = self.action();
        let mut xml = header.begin(message_id, Target::of(&action, &self.resource, None), 512)?;
        self.input.write(&mut xml)?;
        Ok(end(xml))
    }

    /// Reads the request. A body that is empty gives a method no parameters.
    ///
    /// # Errors
    /// [`ReadError`] when the action isn't one of the resource.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        let resource = header.resource()?;
        let method = Self::method_of(&header.action, &resource.uri)
            .ok_or_else(|| ReadError::invalid("Action", &header.action, "it is no method of the resource"))?;
        let mut invoke = Self::new(resource, method);
        if let Some(input) = envelope.body().children().next() {
            invoke.input = Instance::read(input)?;
        }
        Ok(invoke)
    }
}

/// The answer to [`Invoke`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvokeResponse {
    /// What the method gives back, with `ReturnValue`; the element is called after the method, with `_OUTPUT`.
    pub output: Instance,
}

impl InvokeResponse {
    /// An answer to this request that holds nothing but what the method returned.
    #[must_use]
    pub fn new(request: &Invoke, return_value: u32) -> Self {
        let output = Instance::new(&request.resource.uri, format!("{}_OUTPUT", request.method));
        Self {
            output: output.with("ReturnValue", return_value),
        }
    }

    /// Writes the answer to a request of this action.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &ResponseHeader, action: &str) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(&format!("{action}Response"), 512)?;
        self.output.write(&mut xml)?;
        Ok(end(xml))
    }

    /// Reads the answer. A method that gives nothing back may leave the body empty.
    ///
    /// # Errors
    /// [`ReadError`] when the body isn't usable.
    pub fn read(envelope: &Envelope<'_>) -> Result<Self, ReadError> {
        let output = envelope.body().children().next().map(Instance::read).transpose()?;
        Ok(Self {
            output: output.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_a_method_of_its_resource_alone() {
        assert_eq!(
            Invoke::method_of("http://x/Win32_Process/Create", "http://x/win32_process"),
            Some("Create")
        );
        assert_eq!(Invoke::method_of("http://x/Win32_Process/Create", "http://x"), None);
        assert_eq!(Invoke::method_of("http://x/Win32_Process/", "http://x/Win32_Process"), None);
        assert_eq!(Invoke::method_of("http://x/Win32_ProcessCreate", "http://x/Win32_Process"), None);
        assert_eq!(Invoke::method_of("/Create", ""), None);
        assert_eq!(Invoke::method_of("é", "a"), None);
    }
}
