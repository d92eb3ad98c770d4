//! A running command, and how it ended.

use std::fmt;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::sync::oneshot;

use crate::cleanup::{Cleanups, Pending};
use crate::error::{Error, ErrorKind, MayHaveRun};
use crate::run::{self, Plan};
use crate::session::Session;
use crate::streams::{ChildStderr, ChildStdin, ChildStdout};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExitStatus {
    pub(crate) code: Option<u32>,
}

impl ExitStatus {
    /// The exit code, unsigned as Windows has it (-1 is 4294967295); `None` when the host told none.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        self.code
    }

    /// Whether the exit code is 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            // What is an NTSTATUS or an HRESULT is looked up in hexadecimal.
            Some(code) if code > 0xFFFF => write!(f, "exit code {code} (0x{code:08X})"),
            Some(code) => write!(f, "exit code {code}"),
            None => f.write_str("no exit code"),
        }
    }
}

/// What a command has written, and how it ended.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// The exit code, unsigned as Windows has it (-1 is 4294967295); `None` when the host told none.
    pub exit_code: Option<u32>,
    /// Standard output: bytes in the shell's code page, UTF-8 by default.
    pub stdout: Vec<u8>,
    /// Standard error, in the same encoding.
    pub stderr: Vec<u8>,
}

impl Output {
    /// How the command ended.
    #[must_use]
    pub fn status(&self) -> ExitStatus {
        ExitStatus { code: self.exit_code }
    }

    /// Whether the exit code is 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.exit_code == Some(0)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("exit_code", &self.exit_code)
            .field("stdout", &String::from_utf8_lossy(&self.stdout))
            .field("stderr", &String::from_utf8_lossy(&self.stderr))
            .finish()
    }
}

/// What a running command can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// Ctrl-C: most programs end, some clean up.
    CtrlC,
    /// Ctrl-Break: programs that ignore Ctrl-C end.
    CtrlBreak,
    /// The host ends the command and everything it has started.
    Terminate,
}

impl From<Signal> for winrm_proto::shell::Signal {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::CtrlC => Self::CtrlC,
            Signal::CtrlBreak => Self::CtrlBreak,
            Signal::Terminate => Self::Terminate,
        }
    }
}

/// A running command.
///
/// Unlike a process of this machine, it does not outlive its handle: dropping the `Child` ends the command on the host, in
/// the background. As with pipes, a command that writes more than fits between it and a reader waits for the reader: read
/// both streams, or let [`wait`](Self::wait) drop what isn't read.
#[derive(Debug)]
pub struct Child {
    /// Standard input, if it was asked for by [`Stdio::piped`](crate::Stdio::piped).
    pub stdin: Option<ChildStdin>,
    /// Standard output.
    pub stdout: Option<ChildStdout>,
    /// Standard error.
    pub stderr: Option<ChildStderr>,
    pub(crate) handle: ChildHandle,
    /// Kept apart from the handle, since only the `Child` ends the command when it is dropped.
    pub(crate) end: End,
}

/// What it takes to signal a command.
#[derive(Clone)]
pub(crate) struct ChildHandle {
    pub(crate) session: Arc<Session>,
    pub(crate) shell_id: String,
    pub(crate) command_id: String,
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) result: oneshot::Receiver<Result<ExitStatus, Error>>,
    pub(crate) known: Option<Result<ExitStatus, ErrorKind>>,
    pub(crate) abandon: Option<oneshot::Sender<Pending>>,
    pub(crate) cleanups: Cleanups,
}

impl Child {
    pub(crate) async fn spawn(plan: Plan) -> Result<Self, Error> {
        run::spawn(plan).await
    }

    /// The command's id on the host.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.handle.command_id
    }

    /// The id of the shell that the command runs in.
    #[must_use]
    pub fn shell_id(&self) -> &str {
        &self.handle.shell_id
    }

    /// Waits for the command's end. Standard input is closed, and output that was not taken is dropped, so that the command
    /// waits for nobody. Can be cancelled and called again.
    ///
    /// # Errors
    /// When the command did not run to its end, or nobody knows: see [`Error::may_have_run`].
    pub async fn wait(&mut self) -> Result<ExitStatus, Error> {
        self.stdin = None;
        self.stdout = None;
        self.stderr = None;
        match self.end.known {
            None => {}
            Some(Ok(status)) => return Ok(status),
            Some(Err(kind)) => return Err(Error::new(kind, "the command has failed, as was reported before").at_least(MayHaveRun::Yes)),
        }
        let result = (&mut self.end.result).await.unwrap_or_else(|_| {
            let error = Error::new(ErrorKind::Closed, "the runtime that served the command has ended");
            Err(error.at_least(MayHaveRun::Yes))
        });
        self.end.known = Some(result.as_ref().map_err(Error::kind).copied());
        result
    }

    /// Closes standard input, collects the output that was not taken, and waits for the command's end.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub async fn wait_with_output(mut self) -> Result<Output, Error> {
        self.stdin = None;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (self.stdout.take(), self.stderr.take());
        // A read error is the command's, which `wait` gives in full.
        let read_stdout = async {
            if let Some(mut out) = out {
                let _ = out.read_to_end(&mut stdout).await;
            }
        };
        let read_stderr = async {
            if let Some(mut err) = err {
                let _ = err.read_to_end(&mut stderr).await;
            }
        };
        tokio::join!(read_stdout, read_stderr);
        let status = self.wait().await?;
        Ok(Output {
            exit_code: status.code,
            stdout,
            stderr,
        })
    }

    /// Signals the command. What it does then, [`wait`](Self::wait) tells.
    ///
    /// # Errors
    /// Whatever keeps the host from being reached, or its fault.
    pub fn signal(&self, signal: Signal) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let handle = self.handle.clone();
        async move { handle.session.signal(&handle.shell_id, &handle.command_id, signal).await }
    }

    /// Terminates the command and waits for its end.
    ///
    /// # Errors
    /// Whatever keeps the host from being reached, or its fault.
    pub async fn kill(&mut self) -> Result<(), Error> {
        if self.end.known.is_some() {
            return Ok(());
        }
        self.signal(Signal::Terminate).await?;
        match self.wait().await {
            // A host may drop the command at once: asked for its output, it knows it no more.
            Err(error) if error.as_fault().is_none() => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(abandon) = self.abandon.take() {
            // The other side is gone if the command has ended.
            let _ = abandon.send(self.cleanups.begin());
        }
    }
}

impl fmt::Debug for ChildHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildHandle")
            .field("shell_id", &self.shell_id)
            .field("command_id", &self.command_id)
            .finish_non_exhaustive()
    }
}
