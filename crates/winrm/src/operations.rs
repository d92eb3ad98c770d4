//! WS-Man's operations, as the shell and its commands use them, and what their faults mean.

use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use bytes::Bytes;
use winrm_proto::config::Config;
use winrm_proto::fault::{self, code};
use winrm_proto::identify::{Identify, IdentifyResponse};
use winrm_proto::shell::{
    CommandRequest, CommandResponse, CreateResponse, CreateShell, DeleteShell, ReceiveRequest, ReceiveResponse, SendRequest, SignalRequest,
    StreamData,
};
use winrm_proto::transfer::Get;
use winrm_proto::{Envelope, Fault, ReadError, WriteError};

use crate::child::Signal;
use crate::error::{Error, ErrorKind};
use crate::session::{Ahead, Credential, Line, Operation, Session, message_id};

/// What every host takes, and what is used until it pays to ask: the default of 2008 R2, in bytes.
const SMALL_ENVELOPE: usize = 150 * 1024;

/// The largest request that is made, whatever the host would take, in bytes.
const LARGEST_REQUEST: usize = 1 << 20;

impl Session {
    pub(crate) async fn identify(&self, authenticated: bool) -> Result<IdentifyResponse, Error> {
        let credential = if authenticated { Credential::Needed } else { Credential::Withheld };
        let operation = Operation {
            action: "Identify",
            purpose: "identify itself",
            secret: false,
            absent: None,
        };
        let body = Bytes::from(Identify.write());
        self.perform(operation, body, credential, None, IdentifyResponse::read).await
    }

    pub(crate) async fn config(&self) -> Result<Config, Error> {
        let body = Get::config().write(self.header(), &message_id());
        self.ask("Get", "tell its configuration", body, Config::read).await
    }

    /// Opens a shell; `absent` becomes false as soon as there may be one.
    pub(crate) async fn create(&self, request: &CreateShell, absent: &AtomicBool) -> Result<String, Error> {
        let operation = Operation {
            action: "Create",
            purpose: "open a shell",
            // Environment variables.
            secret: true,
            absent: Some(absent),
        };
        let body = written(request.write(self.header(), &message_id()))?;
        let created = self
            .perform(operation, body, Credential::Needed, None, CreateResponse::read)
            .await?;
        Ok(created.shell_id)
    }

    pub(crate) async fn delete(&self, shell_id: &str) -> Result<(), Error> {
        let body = DeleteShell::new(shell_id).write(self.header(), &message_id());
        match self.ask("Delete", "remove the shell", body, |_| Ok(())).await {
            Err(error) if error.as_fault().is_some_and(is_gone) => Ok(()),
            result => result,
        }
    }

    /// Starts a command; `absent` becomes false as soon as it may run.
    pub(crate) async fn command(&self, request: &CommandRequest, absent: &AtomicBool) -> Result<String, Error> {
        let operation = Operation {
            action: "Command",
            purpose: "start the command",
            // Command lines hold what people put there.
            secret: true,
            absent: Some(absent),
        };
        let body = written(request.write(self.header(), &message_id()))?;
        let started = self
            .perform(operation, body, Credential::Needed, None, CommandResponse::read)
            .await?;
        Ok(started.command_id)
    }

    /// `None` when there was nothing within the operation timeout.
    pub(crate) async fn receive(&self, shell_id: &str, id: &str) -> Result<Option<ReceiveResponse>, Error> {
        let request = ReceiveRequest {
            shell_id: shell_id.to_owned(),
            command_id: Some(id.to_owned()),
            streams: vec!["stdout".to_owned(), "stderr".to_owned()],
            keep_alive: true,
        };
        let body = request.write(self.header(), &message_id());
        match self.ask("Receive", "give the command's output", body, ReceiveResponse::read).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.as_fault().is_some_and(is_timeout) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A request that brings input to a command.
    pub(crate) fn input(&self, shell_id: &str, id: &str, data: Bytes, end: bool) -> Result<Bytes, Error> {
        written(send_request(shell_id, id, data, end).write(self.header(), &message_id()))
    }

    /// Sends [`input`](Self::input), and has `next` make what follows it meanwhile. `false` when the command takes no more.
    pub(crate) async fn send(
        &self,
        line: &mut Line,
        input: Bytes,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<Bytes>> + Send,
    ) -> Result<bool, Error> {
        let operation = Operation {
            action: "Send",
            purpose: "take the command's input",
            secret: true,
            absent: None,
        };
        let ahead = Ahead { line, next: &mut next };
        match self.perform(operation, input, Credential::Needed, Some(ahead), |_| Ok(())).await {
            Ok(()) => Ok(true),
            Err(error) if error.as_fault().is_some_and(is_pipe_closed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Signals a command; that it has ended meanwhile is no error.
    pub(crate) async fn signal(&self, shell_id: &str, id: &str, signal: Signal) -> Result<(), Error> {
        let request = SignalRequest {
            shell_id: shell_id.to_owned(),
            command_id: Some(id.to_owned()),
            signal: signal.into(),
        };
        let body = request.write(self.header(), &message_id());
        match self.ask("Signal", "signal the command", body, |_| Ok(())).await {
            Err(error) if error.as_fault().is_some_and(is_gone) => Ok(()),
            result => result,
        }
    }

    /// How many bytes of input fit into one request.
    pub(crate) fn input_room(&self, shell_id: &str, id: &str) -> Result<usize, Error> {
        let envelope = self.input_envelope().get().copied().unwrap_or(SMALL_ENVELOPE);
        let request = send_request(shell_id, id, Bytes::new(), true);
        request.capacity(self.header(), &message_id(), envelope).map_err(unwritable)
    }

    /// Asks the host, once, how large requests may be. Those who may not ask go on with what every host takes.
    pub(crate) async fn learn_envelope_size(&self) {
        let learn = async {
            let size = match self.config().await {
                Ok(config) => config.max_envelope_size_kb.map(|size| size as usize * 1024),
                Err(error) => {
                    tracing::debug!(%error, "the host does not tell its largest envelope");
                    None
                }
            };
            size.unwrap_or(SMALL_ENVELOPE).clamp(8_192, LARGEST_REQUEST)
        };
        self.input_envelope().get_or_init(|| learn).await;
    }

    async fn ask<T>(
        &self,
        action: &'static str,
        purpose: &'static str,
        body: Result<Vec<u8>, WriteError>,
        read: impl Fn(&Envelope<'_>) -> Result<T, ReadError>,
    ) -> Result<T, Error> {
        let operation = Operation {
            action,
            purpose,
            secret: false,
            absent: None,
        };
        self.perform(operation, written(body)?, Credential::Needed, None, read).await
    }
}

fn send_request(shell_id: &str, id: &str, data: Bytes, end: bool) -> SendRequest {
    SendRequest {
        shell_id: shell_id.to_owned(),
        streams: vec![StreamData {
            name: "stdin".to_owned(),
            command_id: Some(id.to_owned()),
            data,
            end,
        }],
    }
}

pub(crate) fn written(body: Result<Vec<u8>, WriteError>) -> Result<Bytes, Error> {
    body.map(Bytes::from).map_err(unwritable)
}

fn unwritable(error: WriteError) -> Error {
    Error::new(ErrorKind::Configuration, "a request can't be written").with_source(error)
}

pub(crate) fn refused(operation: Operation<'_>, fault: Fault) -> Error {
    let number = fault.number();
    let kind = if number == Some(code::ACCESS_DENIED) {
        ErrorKind::Forbidden
    } else {
        ErrorKind::Fault
    };
    let error = Error::new(kind, format!("the host did not {}", operation.purpose));
    let error = match number.and_then(fault::explain) {
        Some(hint) => error.with_hint(hint),
        None => error,
    };
    error.with_source(fault)
}

/// The shell or command isn't there any more.
fn is_gone(fault: &Fault) -> bool {
    fault.has_number(code::INVALID_SELECTORS) || fault.has_number(code::KEY_DELETED)
}

/// The shell takes no more commands; another one may.
pub(crate) fn is_shell_lost(fault: &Fault) -> bool {
    is_gone(fault) || fault.has_number(code::TOO_MANY_OPERATIONS)
}

pub(crate) fn is_timeout(fault: &Fault) -> bool {
    fault.has_number(code::OPERATION_TIMEOUT) || fault.number().is_none() && fault.subcode.as_deref() == Some("TimedOut")
}

/// Nobody reads the command's input any more: it has closed it, or ended. Win32's errors for a pipe without a reader, a
/// closed handle and an aborted operation, plain and as HRESULT.
fn is_pipe_closed(fault: &Fault) -> bool {
    const WIN32: [u32; 4] = [6, 109, 232, code::OPERATION_ABORTED];
    is_gone(fault)
        || WIN32
            .iter()
            .any(|number| fault.has_number(*number) || fault.has_number(0x8007_0000 | number))
}
