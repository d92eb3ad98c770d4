//! Requests as a service receives them.

use crate::enumeration::{Enumerate, Pull, Release};
use crate::envelope::{Envelope, ReadError};
use crate::header::Header;
use crate::identify::Identify;
use crate::invoke::Invoke;
use crate::ns;
use crate::resource::Resource;
use crate::shell::{CommandRequest, CreateShell, DeleteShell, ReceiveRequest, SendRequest, SignalRequest};
use crate::transfer::{Create, Delete, Get, Put};

/// Any request that this crate knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Who answers there?
    Identify,
    /// Reads a resource.
    Get(Get),
    /// Replaces a resource.
    Put(Put),
    /// Opens a shell.
    Create(CreateShell),
    /// Makes another resource than a shell.
    CreateInstance(Create),
    /// Closes a shell.
    Delete(DeleteShell),
    /// Removes another resource than a shell.
    DeleteInstance(Delete),
    /// Begins a list.
    Enumerate(Enumerate),
    /// Goes on with a list.
    Pull(Pull),
    /// Ends a list.
    Release(Release),
    /// Calls a method.
    Invoke(Invoke),
    /// Starts a command.
    Command(CommandRequest),
    /// Sends input.
    Send(SendRequest),
    /// Asks for output.
    Receive(ReceiveRequest),
    /// Signals a command.
    Signal(SignalRequest),
    /// An action that isn't known.
    Unknown {
        /// The action's URI; empty when the request has none.
        action: String,
    },
}

impl Request {
    /// Reads a request by its action; `header` is the envelope's own. Whether Create and Delete are about a shell is said by the
    /// resource URI.
    ///
    /// # Errors
    /// [`ReadError`] when the action is known and the request isn't usable.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        let resource_uri = header.resource_uri.as_deref().unwrap_or_default();
        let is_shell = resource_uri.is_empty() || Resource::new(resource_uri).is_shell();
        Ok(match header.action.as_str() {
            Get::ACTION => Self::Get(Get::read(header)?),
            Put::ACTION => Self::Put(Put::read(envelope, header)?),
            CreateShell::ACTION if is_shell || envelope.body().child(ns::SHELL, "Shell").is_some() => {
                Self::Create(CreateShell::read(envelope, header)?)
            }
            Create::ACTION => Self::CreateInstance(Create::read(envelope, header)?),
            DeleteShell::ACTION if is_shell || header.shell_id().is_ok() => Self::Delete(DeleteShell::read(header)?),
            Delete::ACTION => Self::DeleteInstance(Delete::read(header)?),
            Enumerate::ACTION => Self::Enumerate(Enumerate::read(envelope, header)?),
            Pull::ACTION => Self::Pull(Pull::read(envelope, header)?),
            Release::ACTION => Self::Release(Release::read(envelope, header)?),
            CommandRequest::ACTION => Self::Command(CommandRequest::read(envelope, header)?),
            SendRequest::ACTION => Self::Send(SendRequest::read(envelope, header)?),
            ReceiveRequest::ACTION => Self::Receive(ReceiveRequest::read(envelope, header)?),
            SignalRequest::ACTION => Self::Signal(SignalRequest::read(envelope, header)?),
            "" if Identify::is(envelope) => Self::Identify,
            action if Invoke::method_of(action, resource_uri).is_some() => Self::Invoke(Invoke::read(envelope, header)?),
            action => Self::Unknown { action: action.to_owned() },
        })
    }
}
