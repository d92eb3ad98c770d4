//! A running command, as a host hands it to the service.

use std::future::Future;
use std::io::Cursor;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

/// A started command: its streams, its end, and how to signal it.
///
/// The service reads the outputs only while the client asks for them and writes the input as fast as the command takes it, so
/// neither needs a bound of its own. The command is over for the client when its end is known and both outputs have ended.
/// Dropping a `Process` has to end what runs behind it.
#[must_use]
pub struct Process {
    pub(crate) id: Option<u32>,
    pub(crate) stdin: Option<Input>,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    pub(crate) exit: Exit,
    pub(crate) control: Option<Control>,
}

pub(crate) type Input = Box<dyn AsyncWrite + Send + Unpin>;
pub(crate) type Output = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type Exit = Pin<Box<dyn Future<Output = u32> + Send>>;
pub(crate) type Control = Box<dyn FnMut(ProcessSignal) + Send>;

/// What a command is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessSignal {
    /// The client's Ctrl-C.
    Interrupt,
    /// The client's Ctrl-Break.
    Break,
    /// The client, or the service itself, wants the command and all that it started to end.
    Terminate,
    /// What is still there a little after [`Terminate`](Self::Terminate) has to go now.
    Kill,
}

/// What Windows gives as the exit code of a program that Ctrl-C ended: STATUS_CONTROL_C_EXIT.
const CONTROL_C_EXIT: u32 = 0xC000_013A;

impl Process {
    /// A process whose exit code `exit` gives, without input and output.
    pub fn new(exit: impl Future<Output = u32> + Send + 'static) -> Self {
        Self {
            id: None,
            stdin: None,
            stdout: Box::new(tokio::io::empty()),
            stderr: Box::new(tokio::io::empty()),
            exit: Box::pin(exit),
            control: None,
        }
    }

    /// A command that is over already: its whole output and its exit code.
    pub fn finished(stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>, exit_code: u32) -> Self {
        Self::new(std::future::ready(exit_code))
            .stdout(Cursor::new(stdout.into()))
            .stderr(Cursor::new(stderr.into()))
    }

    /// A command that is an asynchronous function of its three streams and gives the exit code. Any signal ends it as Ctrl-C ends a
    /// program on Windows, with the exit code 3221225786. Has to be called inside a tokio runtime.
    pub fn from_fn<F, R>(command: F) -> Self
    where
        F: FnOnce(DuplexStream, DuplexStream, DuplexStream) -> R,
        R: Future<Output = u32> + Send + 'static,
    {
        const BUFFER: usize = 64 * 1_024;
        let (stdin, stdin_end) = tokio::io::duplex(BUFFER);
        let (stdout, stdout_end) = tokio::io::duplex(BUFFER);
        let (stderr, stderr_end) = tokio::io::duplex(BUFFER);
        let task = AbortOnDrop(tokio::spawn(command(stdin_end, stdout_end, stderr_end)));
        let abort = task.0.abort_handle();
        let exit = async move {
            let mut task = task;
            (&mut task.0).await.unwrap_or(CONTROL_C_EXIT)
        };
        Self::new(exit)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .control(move |_| abort.abort())
    }

    /// The number that the machine knows the process by.
    pub fn id(mut self, id: u32) -> Self {
        self.id = Some(id);
        self
    }

    /// Where the command's input goes. Without one, input is refused as by a command that has closed it.
    pub fn stdin(mut self, stdin: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        self.stdin = Some(Box::new(stdin));
        self
    }

    /// Where the command's output comes from.
    pub fn stdout(mut self, stdout: impl AsyncRead + Send + Unpin + 'static) -> Self {
        self.stdout = Box::new(stdout);
        self
    }

    /// Where the command's error output comes from.
    pub fn stderr(mut self, stderr: impl AsyncRead + Send + Unpin + 'static) -> Self {
        self.stderr = Box::new(stderr);
        self
    }

    /// How to signal the command. Without one, the end of the command's outputs is not waited for when a client terminates it.
    pub fn control(mut self, control: impl FnMut(ProcessSignal) + Send + 'static) -> Self {
        self.control = Some(Box::new(control));
        self
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<u32>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
