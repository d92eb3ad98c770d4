//! Input and output of a command.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::envelope::{Envelope, ReadError};
use crate::header::{Header, HeaderOption, RequestHeader, ResponseHeader, Target, end, is_true, number};
use crate::ns;
use crate::xml::{Element, WriteError, XmlWriter};

use super::{empty_response, shell_selector};

/// A piece of one stream, `rsp:Stream`. \[MS-WSMV\] 2.2.4.39.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamData {
    /// The stream's name: `stdin`, `stdout`, `stderr`.
    pub name: String,
    /// The command it belongs to.
    pub command_id: Option<String>,
    /// The bytes; on the wire they are base64.
    pub data: Bytes,
    /// Whether the stream ends with this piece.
    pub end: bool,
}

impl StreamData {
    fn write(&self, xml: &mut XmlWriter) -> Result<(), WriteError> {
        xml.markup("<rsp:Stream").attribute("Name", &self.name, "a stream's name")?;
        if let Some(command_id) = &self.command_id {
            xml.attribute("CommandId", command_id, "the command's id")?;
        }
        if self.end {
            xml.markup(r#" End="true""#);
        }
        xml.markup(">").base64(&self.data).markup("</rsp:Stream>");
        Ok(())
    }

    fn read(stream: Element<'_, '_>) -> Result<Self, ReadError> {
        let name = stream.attribute("", "Name").ok_or_else(|| ReadError::missing("Stream/@Name"))?;
        Ok(Self {
            name: name.to_owned(),
            command_id: stream.attribute("", "CommandId").map(str::to_owned),
            data: decode_base64(stream.text(), name)?,
            end: stream.attribute("", "End").is_some_and(is_true),
        })
    }

    /// The room that this piece takes in an envelope, in bytes, markup included.
    fn room(&self) -> usize {
        self.data.len().div_ceil(3) * 4 + 128
    }
}

fn decode_base64(text: &str, name: &str) -> Result<Bytes, ReadError> {
    if let Ok(decoded) = base64_simd::STANDARD.decode_to_vec(text) {
        return Ok(Bytes::from(decoded));
    }
    // White space is allowed in xs:base64Binary; some clients break lines every 60 characters.
    let decoded = if text.contains(|character: char| character.is_ascii_whitespace()) {
        STANDARD.decode(text.split_ascii_whitespace().collect::<String>())
    } else {
        // To say what is wrong.
        STANDARD.decode(text)
    };
    decoded
        .map(Bytes::from)
        .map_err(|error| ReadError::invalid(&format!("Stream {name}"), text, format!("it is not base64: {error}")))
}

/// Sends input to a command. \[MS-WSMV\] 3.1.4.13.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRequest {
    /// The shell.
    pub shell_id: String,
    /// The pieces, in order; their `command_id` names the command.
    pub streams: Vec<StreamData>,
}

impl SendRequest {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/Send";

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
        let mut xml = header.begin(message_id, target, self.streams.iter().map(StreamData::room).sum())?;
        xml.markup("<rsp:Send>");
        for stream in &self.streams {
            stream.write(&mut xml)?;
        }
        xml.markup("</rsp:Send>");
        Ok(end(xml))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError`] when it isn't usable.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        let send = envelope.payload(ns::SHELL, "Send")?;
        let streams = send.children().filter(|child| child.is(ns::SHELL, "Stream")).map(StreamData::read);
        Ok(Self {
            shell_id: header.shell_id()?.to_owned(),
            streams: streams.collect::<Result<_, _>>()?,
        })
    }

    /// How many bytes of input fit into a request of at most `max_envelope` bytes; at least 1.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn capacity(&self, header: &RequestHeader, message_id: &str, max_envelope: usize) -> Result<usize, WriteError> {
        let empty: Vec<_> = self
            .streams
            .iter()
            .map(|stream| StreamData {
                data: Bytes::new(),
                end: true,
                ..stream.clone()
            })
            .collect();
        let overhead = Self {
            shell_id: self.shell_id.clone(),
            streams: empty,
        }
        .write(header, message_id)?
        .len();
        Ok((max_envelope.saturating_sub(overhead) / 4 * 3).max(1))
    }
}

empty_response! {
    /// The answer to [`SendRequest`].
    SendResponse, "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/SendResponse", "<rsp:SendResponse/>"
}

/// Asks for output. \[MS-WSMV\] 3.1.4.14.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiveRequest {
    /// The shell.
    pub shell_id: String,
    /// The command; `None` asks for the shell's own streams.
    pub command_id: Option<String>,
    /// The streams' names.
    pub streams: Vec<String>,
    /// `WSMAN_CMDSHELL_OPTION_KEEPALIVE`: the host answers within the operation timeout, with or without output.
    pub keep_alive: bool,
}

const KEEP_ALIVE: &str = "WSMAN_CMDSHELL_OPTION_KEEPALIVE";

impl ReceiveRequest {
    /// The request's action.
    pub const ACTION: &'static str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/Receive";

    /// Writes the request.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &RequestHeader, message_id: &str) -> Result<Vec<u8>, WriteError> {
        let selectors = shell_selector(&self.shell_id);
        let options = [HeaderOption::new(KEEP_ALIVE, "TRUE")];
        let options = if self.keep_alive { options.as_slice() } else { &[] };
        let target = Target {
            action: Self::ACTION,
            resource_uri: ns::SHELL_CMD,
            selectors: &selectors,
            options,
            fragment: None,
        };
        let mut xml = header.begin(message_id, target, 200)?;
        xml.markup("<rsp:Receive><rsp:DesiredStream");
        if let Some(command_id) = &self.command_id {
            xml.attribute("CommandId", command_id, "the command's id")?;
        }
        xml.markup(">").text(&self.streams.join(" "), "a stream's name")?;
        xml.markup("</rsp:DesiredStream></rsp:Receive>");
        Ok(end(xml))
    }

    /// Reads the request.
    ///
    /// # Errors
    /// [`ReadError`] when it isn't usable.
    pub fn read(envelope: &Envelope<'_>, header: &Header) -> Result<Self, ReadError> {
        let receive = envelope.payload(ns::SHELL, "Receive")?;
        let desired = receive
            .child(ns::SHELL, "DesiredStream")
            .ok_or_else(|| ReadError::missing("DesiredStream"))?;
        Ok(Self {
            shell_id: header.shell_id()?.to_owned(),
            command_id: desired.attribute("", "CommandId").map(str::to_owned),
            streams: desired.text().split_whitespace().map(str::to_owned).collect(),
            keep_alive: header.flag(KEEP_ALIVE)?.unwrap_or(false),
        })
    }
}

/// The answer to [`ReceiveRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiveResponse {
    /// Output, in order; several pieces of one stream may follow each other.
    pub streams: Vec<StreamData>,
    /// The command's state.
    pub state: Option<CommandState>,
}

/// `rsp:CommandState`, \[MS-WSMV\] 2.2.4.10.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandState {
    /// The command.
    pub command_id: Option<String>,
    /// Its state.
    pub state: State,
    /// The exit code as the host's unsigned number: -1 is 4294967295. It comes with [`State::Done`].
    pub exit_code: Option<u32>,
}

/// A command's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It has ended.
    Done,
    /// It waits to be started.
    Pending,
}

impl State {
    fn uri(self) -> &'static str {
        match self {
            Self::Running => "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Running",
            Self::Done => "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done",
            Self::Pending => "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Pending",
        }
    }
}

impl ReceiveResponse {
    /// The answer's action.
    pub const ACTION: &'static str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/ReceiveResponse";

    /// Writes the answer.
    ///
    /// # Errors
    /// A text that XML can't carry.
    pub fn write(&self, header: &ResponseHeader) -> Result<Vec<u8>, WriteError> {
        let mut xml = header.begin(Self::ACTION, 256 + self.streams.iter().map(StreamData::room).sum::<usize>())?;
        xml.markup("<rsp:ReceiveResponse>");
        for stream in &self.streams {
            stream.write(&mut xml)?;
        }
        if let Some(state) = &self.state {
            xml.markup("<rsp:CommandState");
            if let Some(command_id) = &state.command_id {
                xml.attribute("CommandId", command_id, "the command's id")?;
            }
            xml.markup(r#" State=""#).markup(state.state.uri()).markup(r#"">"#);
            if let Some(exit_code) = state.exit_code {
                xml.markup("<rsp:ExitCode>").plain(&exit_code.to_string()).markup("</rsp:ExitCode>");
            }
            xml.markup("</rsp:CommandState>");
        }
        xml.markup("</rsp:ReceiveResponse>");
        Ok(end(xml))
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// Base64 that isn't, an exit code that is no number, a state that isn't known.
    pub fn read(envelope: &Envelope<'_>) -> Result<Self, ReadError> {
        let response = envelope.payload(ns::SHELL, "ReceiveResponse")?;
        let mut answer = Self::default();
        for child in response.children() {
            if child.is(ns::SHELL, "Stream") {
                answer.streams.push(StreamData::read(child)?);
            } else if child.is(ns::SHELL, "CommandState") {
                answer.state = Some(CommandState::read(child)?);
            }
        }
        Ok(answer)
    }
}

impl CommandState {
    fn read(element: Element<'_, '_>) -> Result<Self, ReadError> {
        let uri = element
            .attribute("", "State")
            .ok_or_else(|| ReadError::missing("CommandState/@State"))?;
        let state = match uri.rsplit('/').next() {
            Some("Done") => State::Done,
            Some("Running") => State::Running,
            Some("Pending") => State::Pending,
            _ => {
                return Err(ReadError::invalid(
                    "CommandState/@State",
                    uri,
                    "it is none of Done, Running, Pending",
                ));
            }
        };
        let exit_code = match element.child(ns::SHELL, "ExitCode") {
            // Hosts write negative codes unsigned; -1 is taken all the same.
            Some(code) => Some(match code.text().trim().parse::<i32>() {
                Ok(negative) if negative < 0 => negative.cast_unsigned(),
                _ => number(code)?,
            }),
            None => None,
        };
        Ok(Self {
            command_id: element.attribute("", "CommandId").map(str::to_owned),
            state,
            exit_code,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What the fast decoder takes is what the strict one takes, byte for byte.
        #[test]
        fn the_decoders_agree(text in "[A-Za-z0-9+/]{0,70}[=*A]{0,3}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for text in [text, STANDARD.encode(bytes)] {
                let fast = base64_simd::STANDARD.decode_to_vec(&text).ok();
                prop_assert_eq!(fast, STANDARD.decode(&text).ok(), "{}", text);
            }
        }
    }
}
