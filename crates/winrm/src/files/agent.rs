//! The agent on the host: started, greeted, asked.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use winrm_proto::copy::{Answer, Decoder, Mode, Request};

use super::host_path::HostPaths;
use crate::child::Child;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::powershell::plain;
use crate::quote::quoted;
use crate::stdio::Stdio;
use crate::streams::{ChildStdin, ChildStdout};

/// Reads the agent from standard input; short enough for any command line.
const BOOTSTRAP: &str = include_str!("bootstrap.ps1");

const AGENT: &str = include_str!("agent.ps1");

/// What ends the agent's text; the bootstrap looks for it.
const BEGIN: &str = "#begin#";

/// The most of its error output that is kept, in bytes.
const COMPLAINTS: usize = 32 * 1024;

/// The most that may stand before the agent's greeting: what a host's own start-up scripts print.
const PREAMBLE: usize = 256 * 1024;

/// How long an agent may take to greet: PowerShell can take half a minute to start on a busy host.
const PATIENCE: Duration = Duration::from_secs(120);

/// An agent that runs.
pub(super) struct Agent {
    child: Child,
    pub(super) input: Input,
    pub(super) answers: Answers,
    pub(super) paths: HostPaths,
    complaints: Arc<Mutex<Vec<u8>>>,
}

/// Where requests go.
pub(super) struct Input {
    stdin: ChildStdin,
    pub(super) mode: Mode,
}

/// Where answers come from.
pub(super) struct Answers {
    stdout: ChildStdout,
    decoder: Decoder,
}

/// The agent is not there any more; [`Agent::lost`] finds out why.
#[derive(Debug)]
pub(super) enum Lost {
    /// Its streams have ended.
    Ended,
    /// It said what no agent says.
    Nonsense(String),
    /// The thread on this side that reads or writes files has ended.
    Here,
}

impl Agent {
    /// Starts an agent. Says `note` when bytes don't survive the way.
    pub(super) async fn start(client: &Client, engine: &str, note: impl FnOnce(String)) -> Result<Self, Error> {
        let mut command = client.command(quoted(engine));
        let options = "-NoProfile -NonInteractive -InputFormat None -ExecutionPolicy Bypass -EncodedCommand";
        command.raw_arg(format!("{options} {}", encoded(BOOTSTRAP)));
        let mut child = command.stdin(Stdio::piped()).console_mode_stdin(false).spawn().await?;
        let complaints = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut stderr) = child.stderr.take() {
            let complaints = Arc::clone(&complaints);
            // Ends with the command, or with this handle of it.
            tokio::spawn(async move {
                while let Ok(Some(piece)) = stderr.chunk().await {
                    let mut kept = complaints.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = COMPLAINTS.saturating_sub(kept.len());
                    kept.extend_from_slice(&piece[..piece.len().min(room)]);
                }
            });
        }
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::new(ErrorKind::Protocol, "the agent has no streams"));
        };
        let mut agent = Self {
            child,
            input: Input { stdin, mode: Mode::Raw },
            answers: Answers {
                stdout,
                decoder: Decoder::new(Mode::Raw),
            },
            paths: HostPaths::Posix,
            complaints,
        };
        let Ok(greeted) = tokio::time::timeout(PATIENCE, agent.greet(note)).await else {
            let message = format!("{engine} was started on the host and said nothing for {} s", PATIENCE.as_secs());
            return Err(Error::new(ErrorKind::Copy, message).with_hint("the host may be overloaded, or what runs there is no PowerShell"));
        };
        match greeted {
            Ok(Ok(())) => Ok(agent),
            Ok(Err(refused)) => Err(refused),
            Err(lost) => {
                let at_once = matches!(lost, Lost::Ended);
                let error = agent.lost(lost, engine).await;
                let unusable = at_once && error.kind() == ErrorKind::Copy;
                Err(if unusable {
                    error.with_kind(ErrorKind::NoPowerShell)
                } else {
                    error
                })
            }
        }
    }

    /// Sends the script and all values that a byte has, and looks at what came of them.
    async fn greet(&mut self, note: impl FnOnce(String)) -> Result<Result<(), Error>, Lost> {
        let mut first = BytesMut::from(script().as_bytes());
        first.extend_from_slice(b"\nPROBE ");
        first.extend(0..=u8::MAX);
        first.extend_from_slice(b" END\n");
        self.input.send_bytes(first.freeze()).await?;
        let mut held = Vec::new();
        let greeting = loop {
            match self.answers.stdout.chunk().await {
                Ok(Some(piece)) => held.extend_from_slice(&piece),
                _ => return Ok(Err(self.refusal(&held).ok_or(Lost::Ended)?)),
            }
            if let Some(greeting) = Greeting::find(&held) {
                break greeting;
            }
            if held.len() > PREAMBLE {
                return Err(Lost::Nonsense("it never greets".to_owned()));
            }
        };
        self.paths = if greeting.windows { HostPaths::Windows } else { HostPaths::Posix };
        let mode = if greeting.raw { Mode::Raw } else { Mode::Text };
        tracing::info!(version = %greeting.version, ?mode, windows = greeting.windows, "the agent runs");
        if mode == Mode::Text {
            note("bytes are changed on the way to this host: the copy goes on in base64, which is slower".to_owned());
        }
        self.input.mode = mode;
        self.answers.decoder = Decoder::new(mode);
        let line: &'static [u8] = if mode == Mode::Raw { b"R\n" } else { b"T\n" };
        self.input.send_bytes(Bytes::from_static(line)).await?;
        Ok(Ok(()))
    }

    /// What the bootstrap says instead of a greeting.
    fn refusal(&self, held: &[u8]) -> Option<Error> {
        let text = String::from_utf8_lossy(held);
        let (_, language) = text.split_once("winrm-agent language ")?;
        let language: String = language.chars().take_while(char::is_ascii_alphanumeric).collect();
        Some(
            Error::new(
                ErrorKind::NoPowerShell,
                format!("the host's PowerShell runs in {language} mode, which can't copy files"),
            )
            .with_hint("a policy (AppLocker, WDAC) restricts scripts for this account: use another, or have it allowed"),
        )
    }

    /// Sends requests numbered from 0, and gives each answer to `take`, until all have been answered.
    pub(super) async fn exchange(&mut self, requests: &[Request], mut take: impl FnMut(u32, Answer)) -> Result<(), Lost> {
        let (input, answers) = (&mut self.input, &mut self.answers);
        let send = async {
            for request in requests {
                input.send(request.write()).await?;
            }
            Ok(())
        };
        let receive = async {
            let mut left = requests.len();
            while left > 0 {
                let answer = answers.next().await?;
                let (id, last) = match &answer {
                    Answer::Entries { id, .. } => (*id, false),
                    Answer::Resolved { id, .. } | Answer::Hash { id, .. } | Answer::Done { id } | Answer::Failed { id, .. } => (*id, true),
                    _ => return Err(Lost::Nonsense("bytes of a file that nobody asked for".to_owned())),
                };
                if id as usize >= requests.len() {
                    return Err(Lost::Nonsense("an answer to what nobody asked".to_owned()));
                }
                left -= usize::from(last);
                take(id, answer);
            }
            Ok(())
        };
        tokio::try_join!(send, receive).map(drop)
    }

    /// Ends the agent.
    pub(super) async fn finish(mut self) -> Result<(), Error> {
        // An agent that has gone already was of use until then.
        let _ = self.input.send(Request::Stop.write()).await;
        drop((self.input, self.answers));
        self.child.wait().await.map(drop)
    }

    /// Why the agent is not there any more.
    pub(super) async fn lost(mut self, lost: Lost, engine: &str) -> Error {
        if let Lost::Here = lost {
            return Error::new(ErrorKind::Copy, "the part of this program that reads and writes files has failed")
                .with_hint("this is an error of the program: please report it");
        }
        if let Lost::Nonsense(what) = lost {
            return Error::new(ErrorKind::Protocol, format!("the host's agent can't be understood: {what}"))
                .with_hint("something on the host writes into its output, or the host is not to be trusted");
        }
        drop((self.input, self.answers));
        let status = match self.child.wait().await {
            Ok(status) => status,
            // The connection's own trouble says more.
            Err(error) => return error,
        };
        // The last of its errors may still be under way to the task that keeps them.
        tokio::task::yield_now().await;
        let complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let complaints = plain(&complaints);
        let says = if complaints.is_empty() {
            String::new()
        } else {
            format!(": {complaints}")
        };
        let missing = matches!(status.code(), Some(127 | 9009)) || complaints.contains("is not recognized");
        if missing {
            return Error::new(ErrorKind::Copy, format!("the host has no {engine}, which copies need{says}"))
                .with_hint("--engine names another PowerShell (pwsh, or a path)");
        }
        Error::new(
            ErrorKind::Copy,
            format!("{engine} ended on the host in the middle of the copy ({status}){says}"),
        )
        .with_hint("try again: what has arrived is not sent twice")
    }
}

impl Input {
    /// One frame.
    pub(super) async fn send(&mut self, frame: Bytes) -> Result<(), Lost> {
        let frame = self.mode.write(frame);
        self.send_bytes(frame).await
    }

    /// Bytes that are in this mode already.
    pub(super) async fn send_bytes(&mut self, bytes: Bytes) -> Result<(), Lost> {
        self.stdin.send(bytes).await.map_err(|_| Lost::Ended)
    }
}

impl Answers {
    /// The next answer. Can be dropped and called again.
    pub(super) async fn next(&mut self) -> Result<Answer, Lost> {
        let nonsense = |error: winrm_proto::copy::FrameError| Lost::Nonsense(error.to_string());
        loop {
            if let Some((kind, payload)) = self.decoder.frame().map_err(nonsense)? {
                return Answer::read(kind, payload).map_err(nonsense);
            }
            match self.stdout.chunk().await {
                Ok(Some(piece)) => self.decoder.push(&piece),
                _ => return Err(Lost::Ended),
            }
        }
    }
}

/// The agent's first words.
struct Greeting {
    raw: bool,
    windows: bool,
    version: String,
}

impl Greeting {
    fn find(held: &[u8]) -> Option<Self> {
        const WORD: &[u8] = b"winrm-agent 1 ";
        let at = memchr::memmem::find(held, WORD)?;
        let rest = &held[at + WORD.len()..];
        let line_end = memchr::memchr(b'\n', rest)?;
        let line = String::from_utf8_lossy(&rest[..line_end]).into_owned();
        let rest = &rest[line_end + 1..];
        let end = memchr::memmem::find(rest, b" END")?;
        memchr::memchr(b'\n', &rest[end..])?;
        let values = memchr::memmem::find(rest, b"PROBE ").map(|at| &rest[at + 6..end.max(at + 6)]);
        let mine = values.is_some_and(|values| values.len() == 256 && values.iter().copied().eq(0..=u8::MAX));
        let mut words = line.split_ascii_whitespace();
        let theirs = words.next() == Some("raw");
        Some(Self {
            raw: mine && theirs,
            windows: words.next() == Some("windows"),
            version: words.next().unwrap_or_default().to_owned(),
        })
    }
}

/// The agent's script as it is sent: without comments and what stands before the words of a line.
fn script() -> &'static str {
    static SCRIPT: OnceLock<String> = OnceLock::new();
    SCRIPT.get_or_init(|| {
        let lines = AGENT
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.chain([BEGIN]).collect::<Vec<_>>().join("\n")
    })
}

/// A script as `-EncodedCommand` takes it.
fn encoded(script: &str) -> String {
    let bytes: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_fits_everywhere() {
        // cmd takes 8,191 characters, and older ones of Windows' own programs 2,047.
        assert!(encoded(BOOTSTRAP).len() < 1_900, "{}", encoded(BOOTSTRAP).len());
        // One request of the smallest hosts, 150 KB, takes the script.
        assert!(script().len() < 60_000 && script().is_ascii());
        assert!(script().ends_with("\n#begin#") && script().matches(BEGIN).count() == 1);
    }

    #[test]
    fn a_greeting_is_found_behind_other_words() {
        let mut held = b"Welcome to HOST\r\n\nwinrm-agent 1 raw windows 5.1.17763.1\nPROBE ".to_vec();
        held.extend(0..=u8::MAX);
        assert!(Greeting::find(&held).is_none());
        held.extend_from_slice(b" END\n");
        let greeting = Greeting::find(&held).unwrap();
        assert_eq!(
            (greeting.raw, greeting.windows, greeting.version.as_str()),
            (true, true, "5.1.17763.1")
        );
        let changed: Vec<u8> = held.iter().map(|byte| if *byte > 127 { b'?' } else { *byte }).collect();
        assert!(!Greeting::find(&changed).unwrap().raw);
        let longer: Vec<u8> = held
            .iter()
            .flat_map(|byte| if *byte == b'\n' { vec![13, 10] } else { vec![*byte] })
            .collect();
        assert!(!Greeting::find(&longer).unwrap().raw);
    }
}
