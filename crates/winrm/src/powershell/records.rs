//! What PowerShell says beside its output.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use winrm_proto::clixml::{Decoder, Item, Piece, Progress, Stream, Value};

use crate::streams::ChildStderr;

/// Something that came on standard error: a record of one of PowerShell's streams, or what a native program wrote.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Record {
    /// What is no CLIXML: bytes of native programs, and of PowerShell where it writes text.
    Text(Vec<u8>),
    /// Lines of an error as PowerShell lays it out for a console, with their ends. An error is several of them.
    Error(String),
    /// A warning's message.
    Warning(String),
    /// What a command says of what it does.
    Verbose(String),
    /// A message for whoever looks for faults.
    Debug(String),
    /// `Write-Information` and `Write-Host`.
    Information(Information),
    /// How far something has come.
    Progress(Progress),
    /// What is none of these.
    Other(Value),
}

/// A record of the information stream.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Information {
    /// The message as text.
    pub message: String,
    /// The command or script that it is from.
    pub source: String,
    /// `PSHOST` is among them for what `Write-Host` has said, which is on standard output as well.
    pub tags: Vec<String>,
    /// All of the record.
    pub record: Value,
}

impl From<Item> for Record {
    fn from(item: Item) -> Self {
        let Item { stream, value, .. } = item;
        let text = |value: &Value| match value {
            Value::Object(object) => {
                let message = object.property("Message").and_then(Value::as_str);
                message
                    .map(str::to_owned)
                    .or_else(|| value.as_str().map(str::to_owned))
                    .or_else(|| object.text.clone())
            }
            value => value.as_str().map(str::to_owned),
        };
        match (stream, text(&value)) {
            (Stream::Error, Some(text)) => Self::Error(text),
            (Stream::Warning, Some(text)) => Self::Warning(text),
            (Stream::Verbose, Some(text)) => Self::Verbose(text),
            (Stream::Debug, Some(text)) => Self::Debug(text),
            (Stream::Information, text) => {
                let message = text.or_else(|| value.property("MessageData").and_then(text_of));
                let source = value.property("Source").and_then(text_of);
                let tags = value.property("Tags").map(strings).unwrap_or_default();
                Self::Information(Information {
                    message: message.unwrap_or_default(),
                    source: source.unwrap_or_default(),
                    tags,
                    record: value,
                })
            }
            (Stream::Progress, _) => match value.property("Record").unwrap_or(&value) {
                Value::Progress(progress) => Self::Progress((**progress).clone()),
                _ => Self::Other(value),
            },
            _ => Self::Other(value),
        }
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Object(object) => value.as_str().map(str::to_owned).or_else(|| object.text.clone()),
        value => value.as_str().map(str::to_owned),
    }
}

fn strings(value: &Value) -> Vec<String> {
    use winrm_proto::clixml::Content;
    match value {
        Value::Object(object) => match &object.content {
            Some(Content::List(values) | Content::Enumerable(values)) => values.iter().filter_map(text_of).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// How long text waits for the document that may follow it.
const PATIENCE: Duration = Duration::from_millis(200);

/// Standard error as records, in their order, while they arrive.
#[derive(Debug)]
pub struct Records {
    stderr: ChildStderr,
    decoder: Decoder,
    ready: VecDeque<Record>,
    ended: bool,
}

impl Records {
    pub(super) fn new(stderr: ChildStderr) -> Self {
        Self {
            stderr,
            decoder: Decoder::default(),
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// The next record; `None` at the end. Can be cancelled and called again.
    ///
    /// # Errors
    /// When the script was not run to its end.
    pub async fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(Some(record));
            }
            if self.ended {
                return Ok(None);
            }
            let chunk = if self.decoder.is_holding() {
                match tokio::time::timeout(PATIENCE, self.stderr.chunk()).await {
                    Ok(chunk) => chunk?,
                    Err(_) => {
                        let pieces = self.decoder.release();
                        self.take(pieces);
                        if self.ready.is_empty() {
                            // Nothing was to be released: only more bytes help.
                            self.stderr.chunk().await?
                        } else {
                            continue;
                        }
                    }
                }
            } else {
                self.stderr.chunk().await?
            };
            let pieces = match chunk {
                Some(bytes) => self.decoder.push(&bytes),
                None => {
                    self.ended = true;
                    self.decoder.finish()
                }
            };
            self.take(pieces);
        }
    }

    fn take(&mut self, pieces: Vec<Piece>) {
        self.ready.extend(pieces.into_iter().map(Record::from));
    }
}

impl From<Piece> for Record {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Item(item) => item.into(),
            Piece::Text(text) => Self::Text(text),
            // The decoder may learn of more kinds than there are now.
            _ => Self::Text(Vec::new()),
        }
    }
}
