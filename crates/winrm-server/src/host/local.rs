//! The processes of this machine.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::arguments;
use super::group::{Group, SIGKILL};
use super::output_pipe::OutputPipe;
use super::powershell::{self, Call, Programs};
use super::{CommandLine, Host, HostError, Process, ProcessSignal, ShellContext};

/// Runs the commands as processes of this machine, under the account of the service itself.
///
/// A command line is given to `/bin/sh -c`. With [`skip_cmd_shell`](CommandLine::skip_cmd_shell) the program is started directly, its
/// arguments taken apart as Microsoft's C runtime does. Each command is a process group of its own: signals reach all that it started,
/// and what is left of it ends with it. Only what has made itself a session of its own (`setsid`) escapes.
///
/// A command is over for the client when its first process has ended and its outputs have. A child in the background may keep them
/// open: then they count as ended when nothing came for half a second, or a megabyte came, after the first process's end.
///
/// The environment is the client's on top of a few variables of the service (`PATH`, `HOME`, `LANG` and their like); nothing else of
/// the service's environment, which may hold secrets, is passed on.
///
/// # PowerShell
/// `powershell`, `powershell.exe`, `PowerShell`, `pwsh`, `pwsh.exe` run the PowerShell that this machine has. As the first word of a
/// command line they are understood in any case, with Windows' folders and quotes, and what follows is read as Windows reads it
/// unless it needs a shell; in the middle of one they are programs on the `PATH` of the commands, as is `chcp`. Without a PowerShell
/// they say that they are not recognized, in Windows' words and with its exit code.
#[derive(Debug, Clone)]
pub struct LocalHost {
    powershell: Option<PathBuf>,
    certificate_store: Option<PathBuf>,
    /// Made when the first command needs it.
    programs: Arc<Mutex<Option<Arc<Programs>>>>,
}

/// What a command gets of the service's own environment, beside all `LC_…`.
const PASSED_ON: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "TERM",
    "HOSTNAME",
    // Where PowerShell finds .NET, and that it is to do without ICU in a small container.
    "DOTNET_ROOT",
    "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT",
];

/// A fast command should fill one answer while the last one is under way, and find one request's input at once. The kernel's own size is 64 KiB.
#[cfg(target_os = "linux")]
const PIPE_SIZE: usize = 512 * 1_024;

impl LocalHost {
    /// The machine's own shell, `/bin/sh`, and the PowerShell that the environment variable `WINRM_PWSH` names, or else `pwsh` or
    /// `powershell` on the service's `PATH`.
    #[must_use]
    pub fn new() -> Self {
        Self::with(powershell::find())
    }

    /// Takes this PowerShell instead.
    #[must_use]
    pub fn powershell(self, program: impl Into<PathBuf>) -> Self {
        Self {
            certificate_store: self.certificate_store,
            ..Self::with(Some(program.into()))
        }
    }

    /// Tells commands, by the variable `WINRM_CERTIFICATE_STORE`, which folder stands for Windows' certificate store: that of
    /// [`ClientAuthorities::store`](crate::ClientAuthorities::store).
    #[must_use]
    pub fn certificate_store(mut self, folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        self.certificate_store = Some(std::path::absolute(&folder).unwrap_or(folder));
        self
    }

    /// Has no PowerShell, whatever the machine has.
    #[must_use]
    pub fn without_powershell(self) -> Self {
        Self {
            certificate_store: self.certificate_store,
            ..Self::with(None)
        }
    }

    /// The PowerShell that commands get, if there is one.
    #[must_use]
    pub fn powershell_path(&self) -> Option<&Path> {
        self.powershell.as_deref()
    }

    fn with(powershell: Option<PathBuf>) -> Self {
        // Commands may run in other directories than the service.
        let powershell = powershell.map(|path| std::path::absolute(&path).unwrap_or(path));
        Self {
            powershell,
            certificate_store: None,
            programs: Arc::default(),
        }
    }

    fn programs(&self) -> io::Result<Arc<Programs>> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(programs) = &*programs {
            return Ok(Arc::clone(programs));
        }
        let made = Arc::new(Programs::make(self.powershell.as_deref())?);
        *programs = Some(Arc::clone(&made));
        Ok(made)
    }

    fn prepare(&self, line: &CommandLine, programs: &Programs) -> Result<Command, HostError> {
        let joined = line.joined();
        let call = powershell::call(&joined);
        if call != Call::No && self.powershell.is_none() {
            tracing::warn!(
                "a command calls PowerShell, and there is none: give its path (winrm serve --pwsh PATH), set WINRM_PWSH, or put pwsh on the service's PATH"
            );
        }
        match call {
            Call::Direct(name, arguments) => {
                let mut command = Command::new(self.powershell.clone().unwrap_or_else(|| programs.program(name)));
                command.args(arguments);
                Ok(command)
            }
            Call::Shell(joined) if !line.skip_cmd_shell => Ok(shell(&joined)),
            Call::Maybe | Call::No if !line.skip_cmd_shell => Ok(shell(&joined)),
            Call::Shell(_) | Call::Maybe | Call::No => prepare_direct(line),
        }
    }
}

impl Default for LocalHost {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for LocalHost {
    async fn start(&self, shell: &ShellContext, line: CommandLine) -> Result<Process, HostError> {
        let programs = self.programs()?;
        let mut command = self.prepare(&line, &programs)?;
        set_environment(&mut command, shell, &programs)?;
        if let Some(folder) = &self.certificate_store {
            command.env("WINRM_CERTIFICATE_STORE", folder);
        }
        if let Some(directory) = &shell.working_directory {
            if !fs::metadata(directory).is_ok_and(|directory| directory.is_dir()) {
                return Err(HostError::Directory);
            }
            command.current_dir(directory);
        }
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => HostError::NotFound,
            io::ErrorKind::PermissionDenied => HostError::AccessDenied,
            _ => HostError::Io(error),
        })?;
        let (pipes, id) = (Pipes::take(&mut child), child.id());
        let group = Group::new(child);
        let process = adopt(group, pipes.ok_or_else(|| io::Error::other("a pipe is missing"))?)?;
        Ok(process.id(id))
    }
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line);
    command
}

fn prepare_direct(line: &CommandLine) -> Result<Command, HostError> {
    let mut words = arguments::split(&line.command).into_iter();
    let program = words.next().ok_or(HostError::NotFound)?;
    let mut command = Command::new(program);
    command.args(words).args(arguments::split(&line.arguments.join(" ")));
    Ok(command)
}

fn set_environment(command: &mut Command, shell: &ShellContext, programs: &Programs) -> Result<(), HostError> {
    command.env_clear();
    let mut path = None;
    for (name, value) in std::env::vars_os() {
        if name == "PATH" {
            path = Some(value);
        } else if name
            .to_str()
            .is_some_and(|name| PASSED_ON.contains(&name) || name.starts_with("LC_"))
        {
            command.env(name, value);
        }
    }
    // What runs here is nobody's use of PowerShell.
    command.env("POWERSHELL_TELEMETRY_OPTOUT", "1").env("POWERSHELL_UPDATECHECK", "Off");
    for (name, value) in &shell.environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(HostError::Refused {
                code: 87,
                message: "The parameter is incorrect. ".to_owned(),
            });
        }
        if name == "PATH" {
            path = Some(OsString::from(value));
        } else {
            command.env(name, value);
        }
    }
    command.env("PATH", programs.path(path.as_deref()));
    Ok(())
}

struct Pipes {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Pipes {
    fn take(child: &mut Child) -> Option<Self> {
        Some(Self {
            stdin: child.stdin.take()?.into(),
            stdout: child.stdout.take()?.into(),
            stderr: child.stderr.take()?.into(),
        })
    }
}

/// Makes a process of what was started.
fn adopt(group: Group, pipes: Pipes) -> Result<Process, HostError> {
    let group = Arc::new(group);
    let leash = Leash(group.clone());
    let (exited, exit) = watch::channel(None);
    let stdin = pipe::Sender::from_owned_fd(enlarge(pipes.stdin))?;
    let stdout = OutputPipe::new(enlarged(pipes.stdout)?, exit.clone());
    let stderr = OutputPipe::new(enlarged(pipes.stderr)?, exit.clone());
    tokio::spawn(async move {
        let code = group.wait().await;
        exited.send_replace(Some(code));
    });
    let mut exit = exit;
    let code = async move {
        let code = exit.wait_for(Option::is_some).await.ok().and_then(|code| *code);
        // There is none only where the runtime is going down, and the group with it.
        code.unwrap_or(128 + SIGKILL)
    };
    Ok(Process::new(code)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr)
        .control(move |signal| leash.0.signal(signal)))
}

/// Ends the group when the service forgets the command.
struct Leash(Arc<Group>);

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.signal(ProcessSignal::Kill);
    }
}

fn enlarged(pipe: OwnedFd) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(enlarge(pipe))
}

fn enlarge(pipe: OwnedFd) -> OwnedFd {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_SIZE) {
        // The user's share of pipe memory may be spent; the pipe works all the same.
        tracing::trace!(%error, "pipe not enlarged");
    }
    pipe
}
