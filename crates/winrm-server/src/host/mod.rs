//! What runs behind a shell.

mod arguments;
mod group;
mod local;
mod output_pipe;
mod powershell;
pub(crate) mod process;

use std::future::Future;
use std::pin::Pin;

pub use local::LocalHost;
pub use process::{Process, ProcessSignal};

/// What runs behind a shell: the machine's own processes, or whatever a test wants a client to meet.
///
/// The service does the protocol: shells, ids, quotas, time-outs, authentication. A host only starts commands. The example of the
/// [crate] is a host that answers at once; this one reads its input while the client sends it and ends when the input ends:
///
/// ```
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use winrm_server::{CommandLine, Host, HostError, Process, ShellContext};
///
/// struct Counter;
///
/// impl Host for Counter {
///     async fn start(&self, _shell: &ShellContext, command: CommandLine) -> Result<Process, HostError> {
///         if command.command != "count" {
///             return Err(HostError::NotFound);
///         }
///         Ok(Process::from_fn(|mut stdin, mut stdout, _stderr| async move {
///             let mut input = Vec::new();
///             if stdin.read_to_end(&mut input).await.is_err() {
///                 return 1;
///             }
///             let line = format!("{} bytes\r\n", input.len());
///             u32::from(stdout.write_all(line.as_bytes()).await.is_err())
///         }))
///     }
/// }
/// ```
pub trait Host: Send + Sync + 'static {
    /// Starts a command. The answer to the client waits for it; what the command does then goes on in the [`Process`].
    fn start(&self, shell: &ShellContext, command: CommandLine) -> impl Future<Output = Result<Process, HostError>> + Send;
}

/// The shell that a command runs in, as the client opened it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShellContext {
    /// The shell's id, an upper-case UUID.
    pub id: String,
    /// The account that the client authenticated as, as the service's list of users has it.
    pub user: String,
    /// Environment variables, in the client's order.
    pub environment: Vec<(String, String)>,
    /// The directory that commands start in; `None` for the host's own choice.
    pub working_directory: Option<String>,
    /// The console's code page that the client asked for; 65001 is UTF-8.
    pub codepage: Option<u32>,
    /// Whether the client wished the user's profile left alone.
    pub no_profile: bool,
}

/// A command as the client sent it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandLine {
    /// The command, or the program.
    pub command: String,
    /// What follows it. The host's shell gets all of it joined by spaces.
    pub arguments: Vec<String>,
    /// Whether standard input is to be a console (Windows' default) or a pipe that carries any bytes.
    pub console_mode_stdin: bool,
    /// Whether the program is to be started directly, not by the host's shell.
    pub skip_cmd_shell: bool,
}

impl CommandLine {
    /// The command and its arguments joined by spaces, as a shell reads them.
    #[must_use]
    pub fn joined(&self) -> String {
        let mut line = self.command.clone();
        for argument in &self.arguments {
            line.push(' ');
            line.push_str(argument);
        }
        line
    }
}

/// Why a command could not be started. The client gets it as a fault in Windows' words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// There is no such program.
    #[error("the system cannot find the file specified")]
    NotFound,
    /// The shell's working directory isn't there.
    #[error("the directory name is invalid")]
    Directory,
    /// The account may not.
    #[error("access is denied")]
    AccessDenied,
    /// A refusal of the host's own: a Win32 error or HRESULT, and its text.
    #[error("{message} ({code})")]
    Refused {
        /// The number of the fault.
        code: u32,
        /// The text of the fault.
        message: String,
    },
    /// The operating system had something against it.
    #[error("the command can't be started")]
    Io(#[from] std::io::Error),
}

type Starting<'a> = Pin<Box<dyn Future<Output = Result<Process, HostError>> + Send + 'a>>;

/// [`Host`] without its type, for the service itself.
pub(crate) trait AnyHost: Send + Sync {
    fn start<'a>(&'a self, shell: &'a ShellContext, command: CommandLine) -> Starting<'a>;
}

impl<H: Host> AnyHost for H {
    fn start<'a>(&'a self, shell: &'a ShellContext, command: CommandLine) -> Starting<'a> {
        Box::pin(Host::start(self, shell, command))
    }
}
