//! Requests as a service receives them.

use crate::envelope::{Envelope, ReadError};
use crate::header::Header;
use crate::identify::Identify;
use crate::shell::{CommandRequest, CreateShell, DeleteShell, ReceiveRequest, SendRequest, SignalRequest};
use crate::transfer::Get;

/// Any request that this crate knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Who answers there?
    Identify,
    /// Reads a resource.
    Get(Get),
    /// Opens a shell.
    Create(CreateShell),
    /// Closes a shell.
    Delete(DeleteShell),
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
    /// Reads a request by its action; `header` is the envelope's own.
    ///
    /// # Errors
    /// [`ReadError`] when the action is known and the request isn't usable.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        Ok(match header.action.as_str() {
            Get::ACTION => Self::Get(Get::read(header)?),
            CreateShell::ACTION => Self::Create(CreateShell::read(envelope, header)?),
            DeleteShell::ACTION => Self::Delete(DeleteShell::read(header)?),
            CommandRequest::ACTION => Self::Command(CommandRequest::read(envelope, header)?),
            SendRequest::ACTION => Self::Send(SendRequest::read(envelope, header)?),
            ReceiveRequest::ACTION => Self::Receive(ReceiveRequest::read(envelope, header)?),
            SignalRequest::ACTION => Self::Signal(SignalRequest::read(envelope, header)?),
            "" if Identify::is(envelope) => Self::Identify,
            action => Self::Unknown { action: action.to_owned() },
        })
    }
}
