//! A running script, and what it has said.

use std::fmt;

use bytes::Bytes;
use winrm_proto::clixml::{Decoder, Piece, Progress, Value};

use super::records::{Record, Records};
use crate::child::{Child, ExitStatus, Signal};
use crate::error::{Error, ErrorKind, MayHaveRun};
use crate::run::{self, Plan};
use crate::stdio::Source;
use crate::streams::{ChildStdin, ChildStdout};

/// Everything needed to start a script.
pub(super) struct Ready {
    pub(super) plan: Plan,
    pub(super) stdin: Source,
    /// What standard input begins with.
    pub(super) prefix: Option<Vec<u8>>,
}

/// What a script has said, and how it ended.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct PowerShellOutput {
    /// The exit code, unsigned as Windows has it (-1 is 4294967295); `None` when the host told none.
    pub exit_code: Option<u32>,
    /// Standard output, in UTF-8: what PowerShell shows on a console, and what native programs write.
    pub stdout: Vec<u8>,
    /// What it said beside that, in its order.
    pub records: Vec<Record>,
}

/// The objects that a script gave, and what it said beside them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Objects {
    /// The objects.
    pub objects: Vec<Value>,
    /// What else came on standard output: `Write-Host`, and native programs that write there by themselves.
    pub text: Vec<u8>,
    /// What it said beside that, in its order.
    pub records: Vec<Record>,
    /// The exit code, unsigned as Windows has it.
    pub exit_code: Option<u32>,
}

macro_rules! said {
    ($type:ty) => {
        impl $type {
            /// Whether the exit code is 0.
            #[must_use]
            pub fn success(&self) -> bool {
                self.exit_code == Some(0)
            }

            /// All errors as PowerShell shows them, one text.
            #[must_use]
            pub fn errors(&self) -> String {
                let errors = self.records.iter().filter_map(|record| match record {
                    Record::Error(text) => Some(text.as_str()),
                    _ => None,
                });
                errors.collect()
            }

            /// The warnings.
            pub fn warnings(&self) -> impl Iterator<Item = &str> {
                self.records.iter().filter_map(|record| match record {
                    Record::Warning(text) => Some(text.as_str()),
                    _ => None,
                })
            }

            /// The verbose messages.
            pub fn verbose(&self) -> impl Iterator<Item = &str> {
                self.records.iter().filter_map(|record| match record {
                    Record::Verbose(text) => Some(text.as_str()),
                    _ => None,
                })
            }

            /// The reports of progress.
            pub fn progress(&self) -> impl Iterator<Item = &Progress> {
                self.records.iter().filter_map(|record| match record {
                    Record::Progress(progress) => Some(progress),
                    _ => None,
                })
            }
        }
    };
}

said!(PowerShellOutput);
said!(Objects);

impl fmt::Debug for PowerShellOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PowerShellOutput")
            .field("exit_code", &self.exit_code)
            .field("stdout", &String::from_utf8_lossy(&self.stdout))
            .field("records", &self.records)
            .finish()
    }
}

/// A running script. Dropping it ends the script on the host, as with [`Child`].
#[derive(Debug)]
pub struct PowerShellChild {
    /// Standard input, if it was asked for by [`Stdio::piped`](crate::Stdio::piped).
    pub stdin: Option<ChildStdin>,
    /// Standard output.
    pub stdout: Option<ChildStdout>,
    /// Standard error, as records.
    pub records: Option<Records>,
    /// The process itself; its three streams are above.
    pub process: Child,
}

impl PowerShellChild {
    /// Waits for the script's end: see [`Child::wait`].
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub async fn wait(&mut self) -> Result<ExitStatus, Error> {
        self.stdin = None;
        self.stdout = None;
        self.records = None;
        self.process.wait().await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// As [`Child::signal`].
    pub async fn signal(&self, signal: Signal) -> Result<(), Error> {
        self.process.signal(signal).await
    }
}

/// The command that runs the script, with all its input.
pub(super) fn plan(ready: Ready) -> Plan {
    let Ready { mut plan, stdin, prefix } = ready;
    let has_input = prefix.is_some() || !matches!(stdin, Source::Null | Source::Late(_) | Source::Open);
    plan.stdin = stdin;
    plan.prefix = prefix.map(Bytes::from);
    plan.request.console_mode_stdin = Some(!has_input);
    plan
}

pub(super) async fn spawn(ready: Ready) -> Result<PowerShellChild, Error> {
    run::spawn(plan(ready)).await.map(PowerShellChild::from)
}

impl From<Child> for PowerShellChild {
    fn from(mut process: Child) -> Self {
        Self {
            stdin: process.stdin.take(),
            stdout: process.stdout.take(),
            records: process.stderr.take().map(Records::new),
            process,
        }
    }
}

pub(super) async fn output(mut ready: Ready) -> Result<PowerShellOutput, Error> {
    if matches!(ready.stdin, Source::Piped) {
        ready.stdin = Source::Null;
    }
    let mut child = spawn(ready).await?;
    let mut stdout = Vec::new();
    let records = collect(&mut child, |chunk| {
        stdout.extend_from_slice(&chunk);
    })
    .await;
    let status = child.wait().await?;
    Ok(PowerShellOutput {
        exit_code: status.code(),
        stdout,
        records,
    })
}

pub(super) async fn objects(mut ready: Ready) -> Result<Objects, Error> {
    if matches!(ready.stdin, Source::Piped) {
        ready.stdin = Source::Null;
    }
    let mut child = spawn(ready).await?;
    let mut decoder = Decoder::default();
    let (mut objects, mut text) = (Vec::new(), Vec::new());
    let mut take = |pieces: Vec<Piece>| {
        for piece in pieces {
            match piece {
                Piece::Item(item) => objects.push(item.value),
                Piece::Text(bytes) => text.extend(bytes),
                _ => {}
            }
        }
    };
    let records = collect(&mut child, |chunk| take(decoder.push(&chunk))).await;
    take(decoder.finish());
    let status = child.wait().await?;
    // Each document ends with its line.
    if text.starts_with(b"<Objs") || text.windows(6).any(|window| window == b"<Objs ") {
        return Err(Error::new(ErrorKind::Protocol, "an object that the script gave can't be read").at_least(MayHaveRun::Yes));
    }
    Ok(Objects {
        objects,
        text,
        records,
        exit_code: status.code(),
    })
}

/// Takes both streams to their ends. A read error is the command's, which `wait` gives in full.
async fn collect(child: &mut PowerShellChild, mut take: impl FnMut(Bytes)) -> Vec<Record> {
    child.stdin = None;
    let (stdout, records) = (child.stdout.take(), child.records.take());
    let output = async {
        if let Some(mut stdout) = stdout {
            while let Ok(Some(chunk)) = stdout.chunk().await {
                take(chunk);
            }
        }
    };
    let mut said: Vec<Record> = Vec::new();
    let beside = async {
        if let Some(mut records) = records {
            while let Ok(Some(record)) = records.next().await {
                match (said.last_mut(), record) {
                    (Some(Record::Text(before)), Record::Text(more)) => before.extend(more),
                    (_, record) => said.push(record),
                }
            }
        }
    };
    tokio::join!(output, beside);
    said
}
