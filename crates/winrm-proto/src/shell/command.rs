//! Starting and signalling a command.

use crate::envelope::{Envelope, ReadError};
use crate::header::{Header, HeaderOption, RequestHeader, ResponseHeader, Target, end};
use crate::ns;
use crate::xml::WriteError;

use super::{empty_response, shell_selector};

/// Starts a command. \[MS-WSMV\] 3.1.4.11 and 2.2.4.7.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandRequest {
    /// The shell to run it in.
    pub shell_id: String,
    /// An id chosen by the client, a UUID; `None` lets the host choose.
    pub command_id: Option<String>,
    /// The command as the host's shell reads it.
    pub command: String,
    /// What follows it; the host joins all by spaces, as they are.
    pub arguments: Vec<String>,
    /// `WINRS_CONSOLEMODE_STDIN`: standard input is a console (true), or a pipe that carries any bytes (false).
    pub console_mode_stdin: Option<bool>,
    /// `WINRS_SKIP_CMD_SHELL`: the program is started directly, without `cmd /c`.
    pub skip_cmd_shell: Option<bool>,
}

const CONSOLE_MODE: &str = "WINRS_CONSOLEMODE_STDIN";
const SKIP_SHELL: &str = "WINRS_SKIP_CMD_SHELL";

impl CommandRequest {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/Command";

    /// Runs `command` in a shell, with the host's defaults.
    pub fn new(shell_id: impl Into<String>, command: impl Into<String>) -> Self {
        Self {
            shell_id: shell_id.into(),
            command_id: None,
            command: command.into(),
            arguments: Vec::new(),
            console_mode_stdin: None,
            skip_cmd_shell: None,
        }
    }

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        let switch = |name: &str, value: Option<bool>| value.map(|on| HeaderOption::new(name, if on { "TRUE" } else { "FALSE" }));
        let options: Vec<_> = [
            switch(CONSOLE_MODE, self.console_mode_stdin),
            switch(SKIP_SHELL, self.skip_cmd_shell),
        ]
        .into_iter()
        .flatten()
        .collect();
        let selectors = shell_selector(&self.shell_id);
        let target = Target {
            action: Self::ACTION,
            resource_uri: ns::SHELL_CMD,
            selectors: &selectors,
            options: &options,
            fragment: None,
        };
        let mut xml = header.begin(message_id, target, self.command.len())?;
        xml.markup("<rsp:CommandLine");
        if let Some(command_id) = &self.command_id {
            xml.attribute("CommandId", command_id, "the command's id")?;
        }
        xml.markup(">").element("rsp:Command", &self.command, "the command")?;
        for (index, argument) in self.arguments.iter().enumerate() {
            xml.element("rsp:Arguments", argument, &format!("argument {}", index + 1))?;
        }
        xml.markup("</rsp:CommandLine>");
        Ok(end(xml))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError`] when it isn't usable.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        let line = envelope.payload(ns::SHELL, "CommandLine")?;
        let command = line.child(ns::SHELL, "Command").ok_or_else(|| ReadError::missing("Command"))?;
        let arguments = line.children().filter(|child| child.is(ns::SHELL, "Arguments"));
        Ok(Self {
            shell_id: header.shell_id()?.to_owned(),
            command_id: line.attribute("", "CommandId").map(str::to_owned),
            command: command.text().to_owned(),
            arguments: arguments.map(|argument| argument.text().to_owned()).collect(),
            console_mode_stdin: header.flag(CONSOLE_MODE)?,
            skip_cmd_shell: header.flag(SKIP_SHELL)?,
        })
    }
}

/// The answer to [`CommandRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandResponse {
    /// The command's id.
    pub command_id: String,
}

impl CommandResponse {
    /// The answer's action.
    pub const ACTION: &'static str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandResponse";

    /// Writes the answer.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &ResponseHeader) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(Self::ACTION, 100)?;
        xml.markup("<rsp:CommandResponse>")
            .element("rsp:CommandId", &self.command_id, "the command's id")?;
        xml.markup("</rsp:CommandResponse>");
        Ok(end(xml))
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`ReadError::Missing`] when it names no command.
    pub fn read(envelope: &Envelope<'_>) -> Result<Self, ReadError> {
        let response = envelope.payload(ns::SHELL, "CommandResponse")?;
        let id = response
            .child(ns::SHELL, "CommandId")
            .map(|id| id.text().trim())
            .filter(|id| !id.is_empty());
        Ok(Self {
            command_id: id.ok_or_else(|| ReadError::missing("CommandId"))?.to_owned(),
        })
    }
}

/// What a command can be told. \[MS-WSMV\] 2.2.4.38.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// End now, and forget the command.
    Terminate,
    /// Ctrl-C.
    CtrlC,
    /// Ctrl-Break.
    CtrlBreak,
    /// A code that this crate doesn't know.
    Other(String),
}

impl Signal {
    /// The signal's URI.
    #[must_use]
    pub fn uri(&self) -> &str {
        match self {
            Self::Terminate => "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/signal/terminate",
            Self::CtrlC => "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/signal/ctrl_c",
            Self::CtrlBreak => "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/signal/ctrl_break",
            Self::Other(uri) => uri,
        }
    }

    fn from_uri(uri: &str) -> Self {
        let known = [Self::Terminate, Self::CtrlC, Self::CtrlBreak];
        known
            .into_iter()
            .find(|signal| signal.uri().eq_ignore_ascii_case(uri))
            .unwrap_or_else(|| Self::Other(uri.to_owned()))
    }
}

/// Signals a command. \[MS-WSMV\] 3.1.4.12.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalRequest {
    /// The shell.
    pub shell_id: String,
    /// The command in it; `None` is for the whole shell.
    pub command_id: Option<String>,
    /// What to tell it.
    pub signal: Signal,
}

impl SignalRequest {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/Signal";

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        let selectors = shell_selector(&self.shell_id);
        let target = Target {
            action: Self::ACTION,
            resource_uri: ns::SHELL_CMD,
            selectors: &selectors,
            options: &[],
            fragment: None,
        };
        let mut xml = header.begin(message_id, target, 200)?;
        xml.markup("<rsp:Signal");
        if let Some(command_id) = &self.command_id {
            xml.attribute("CommandId", command_id, "the command's id")?;
        }
        xml.markup(">").element("rsp:Code", self.signal.uri(), "the signal")?;
        xml.markup("</rsp:Signal>");
        Ok(end(xml))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError`] when it isn't usable.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        let signal = envelope.payload(ns::SHELL, "Signal")?;
        let code = signal.child(ns::SHELL, "Code").ok_or_else(|| ReadError::missing("Code"))?;
        Ok(Self {
            shell_id: header.shell_id()?.to_owned(),
            command_id: signal.attribute("", "CommandId").map(str::to_owned),
            signal: Signal::from_uri(code.text().trim()),
        })
    }
}

empty_response! {
    /// The answer to [`SignalRequest`].
    SignalResponse, "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/SignalResponse", "<rsp:SignalResponse/>"
}
