//! Describing a command.

use std::fmt;
use std::time::Duration;

use winrm_proto::shell::CommandRequest;

use crate::child::{Child, ExitStatus, Output};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::quote::quoted;
use crate::run::{self, Plan};
use crate::run_as::RunAs;
use crate::shell::{Shell, ShellOptions};
use crate::stdio::{Source, Stdio};
use crate::task::{self, Order};

/// Describes a command for a host, and starts it: what `tokio::process::Command` is for this machine.
///
/// The program is taken as it is, so a whole command line may stand there: the host's shell (`cmd`) reads it. Arguments are
/// quoted where they need it.
pub struct Command {
    place: Place,
    options: ShellOptions,
    /// Whether `options` were touched, which a kept shell has to refuse.
    own_options: bool,
    program: String,
    arguments: Vec<String>,
    stdin: Source,
    timeout: Option<Duration>,
    console_mode_stdin: Option<bool>,
    skip_cmd_shell: Option<bool>,
    delete_in_background: bool,
    run_as: Option<RunAs>,
    as_task: bool,
}

/// What a command runs in.
#[derive(Clone)]
pub(crate) enum Place {
    /// A shell of its own.
    Own(Client),
    /// One that is kept.
    Kept(Shell),
}

impl Command {
    pub(crate) fn new(place: Place, program: String) -> Self {
        Self {
            place,
            options: ShellOptions::default(),
            own_options: false,
            program,
            arguments: Vec::new(),
            stdin: Source::Null,
            timeout: None,
            console_mode_stdin: None,
            skip_cmd_shell: None,
            delete_in_background: false,
            run_as: None,
            as_task: false,
        }
    }

    /// Adds an argument. It is quoted, by the rules that Windows programs take their command line apart with, when it is
    /// empty or holds white space, quotes or one of `& | < > ^ ( )`, so that the program gets it whole.
    ///
    /// A percent sign can't be escaped for `cmd`: `%NAME%` is replaced by a variable's value where there is such a variable.
    /// [`skip_cmd_shell`](Self::skip_cmd_shell), or passing the text on standard input, avoids that.
    pub fn arg(&mut self, argument: impl AsRef<str>) -> &mut Self {
        self.arguments.push(quoted(argument.as_ref()));
        self
    }

    /// Adds several arguments, each as [`arg`](Self::arg) does.
    pub fn args<A: AsRef<str>>(&mut self, arguments: impl IntoIterator<Item = A>) -> &mut Self {
        for argument in arguments {
            self.arg(argument);
        }
        self
    }

    /// Adds text to the command line as it is.
    pub fn raw_arg(&mut self, text: impl Into<String>) -> &mut Self {
        self.arguments.push(text.into());
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.own_options = true;
        self.options.0.environment.push((name.into(), value.into()));
        self
    }

    /// Sets several environment variables.
    pub fn envs<N: Into<String>, V: Into<String>>(&mut self, variables: impl IntoIterator<Item = (N, V)>) -> &mut Self {
        for (name, value) in variables {
            self.env(name, value);
        }
        self
    }

    /// The directory to start in; a path of the host.
    pub fn current_dir(&mut self, directory: impl Into<String>) -> &mut Self {
        self.own_options = true;
        self.options.0.working_directory = Some(directory.into());
        self
    }

    /// Where standard input comes from; [`Stdio::null`] where nothing is said.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.stdin = stdin.into().0;
        self
    }

    /// A deadline for the whole command, counted from its start, opening the shell included. When it passes, the command gets
    /// Ctrl-C, a moment later it is terminated, and the error's kind is [`ErrorKind::Deadline`]. There is none by default.
    pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
        self.timeout = Some(timeout);
        self
    }

    /// Whether standard input is a console on the host (`WINRS_CONSOLEMODE_STDIN`), or a pipe that carries any bytes.
    ///
    /// Where nothing is said it is a pipe when there is input, and a console otherwise, since some programs (`timeout`,
    /// `choice`) refuse to run without one.
    pub fn console_mode_stdin(&mut self, console: bool) -> &mut Self {
        self.console_mode_stdin = Some(console);
        self
    }

    /// Whether the program is started directly, without `cmd /c` (`WINRS_SKIP_CMD_SHELL`). Hosts since 2012 R2 may ignore it.
    pub fn skip_cmd_shell(&mut self, skip: bool) -> &mut Self {
        self.skip_cmd_shell = Some(skip);
        self
    }

    /// The console's code page, which programs write their output in. 65001 (UTF-8) where nothing else is said.
    pub fn codepage(&mut self, codepage: u32) -> &mut Self {
        self.own_options = true;
        self.options.0.codepage = Some(codepage);
        self
    }

    /// Whether the user's profile (registry hive, environment) is left alone, which starts the command faster.
    pub fn no_profile(&mut self, no_profile: bool) -> &mut Self {
        self.own_options = true;
        self.options.0.no_profile = Some(no_profile);
        self
    }

    /// After how long without a request the host removes the command's shell. The host's own default is two hours.
    pub fn idle_timeout(&mut self, idle_timeout: Duration) -> &mut Self {
        self.own_options = true;
        self.options.0.idle_timeout = Some(idle_timeout);
        self
    }

    /// Whether the command's own shell is removed in the background after the command has ended, which saves the caller one
    /// round trip. [`Client::close`] has to be awaited then.
    pub fn delete_in_background(&mut self, background: bool) -> &mut Self {
        self.delete_in_background = background;
        self
    }

    /// Runs the command as another account, with a logon of its own: a script of PowerShell on the host logs the account on, starts the
    /// command and passes on its streams, byte for byte, its exit code, and Ctrl-C (as Ctrl-Break, which is all that a process group of its
    /// own gets). The connection's account has to be an administrator of the host; otherwise the command is not elevated, and accounts of
    /// services are out of reach. Standard input is always a pipe.
    ///
    /// What keeps the command from being started is an error of the kind [`ErrorKind::RunAs`].
    pub fn run_as(&mut self, account: RunAs) -> &mut Self {
        self.run_as = Some(account);
        self
    }

    /// Runs the command by a scheduled task, which has none of the limits of a remote logon: as the account of [`run_as`](Self::run_as), or
    /// as the connection's own, without its password and so without other hosts. It runs at the highest level, without a limit of time, and
    /// its streams and its exit code arrive here as any command's. The task is taken out of the Task Scheduler as soon as it runs, and when
    /// this side drops it, the command is ended. Ctrl-C ends it.
    ///
    /// The connection's account has to be an administrator. Of a [`RunAs`], a task takes account and password.
    pub fn as_task(&mut self, as_task: bool) -> &mut Self {
        self.as_task = as_task;
        self
    }

    /// Starts the command by a scheduled task and leaves it alone: it goes on when the connection ends. Gives the id by which
    /// [`Client::tasks`] finds it again. A deadline counts on the host; input is sent to its end first.
    ///
    /// # Errors
    /// Everything that keeps the command from being started: see [`ErrorKind`].
    pub fn detach(&mut self) -> impl Future<Output = Result<String, Error>> + Send + use<> {
        let plan = self.plan();
        async move { task::detach(plan?).await }
    }

    /// Runs the command and collects its output. Dropping the future ends the command on the host.
    ///
    /// # Errors
    /// Everything that keeps the command from running to its end: see [`ErrorKind`]. An exit code other than 0 is no error.
    pub fn output(&mut self) -> impl Future<Output = Result<Output, Error>> + Send + use<> {
        let plan = self.plan();
        async move { run::output(plan?).await }
    }

    /// Runs the command, drops its output, and waits for its end. Dropping the future ends the command on the host.
    ///
    /// # Errors
    /// As [`output`](Self::output).
    pub fn status(&mut self) -> impl Future<Output = Result<ExitStatus, Error>> + Send + use<> {
        let plan = self.plan();
        async move { run::status(plan?).await }
    }

    /// Starts the command, and gives its streams.
    ///
    /// # Errors
    /// Everything that keeps the command from being started: see [`ErrorKind`].
    pub fn spawn(&mut self) -> impl Future<Output = Result<Child, Error>> + Send + use<> {
        let plan = self.plan();
        async move { Child::spawn(plan?).await }
    }

    pub(crate) fn set_program(&mut self, program: String) {
        self.program = program;
    }

    fn plan(&mut self) -> Result<Plan, Error> {
        let stdin = match &self.stdin {
            Source::Null => Source::Null,
            Source::Late(delay) => Source::Late(*delay),
            Source::Open => Source::Open,
            Source::Piped => Source::Piped,
            Source::Bytes(bytes) => Source::Bytes(bytes.clone()),
            // A reader can be read once; a second start finds the end.
            Source::Reader(_) => std::mem::replace(&mut self.stdin, Source::Null),
        };
        self.plan_with(stdin)
    }

    pub(crate) fn plan_with(&self, stdin: Source) -> Result<Plan, Error> {
        if self.own_options && matches!(self.place, Place::Kept(_)) {
            return Err(Error::new(
                ErrorKind::Configuration,
                "environment, directory, code page, profile and idle timeout belong to the shell, which is open already",
            )
            .with_hint("set them on the ShellBuilder, or run the command in a shell of its own"));
        }
        let has_input = !matches!(stdin, Source::Null | Source::Late(_) | Source::Open);
        let mut request = CommandRequest::new(String::new(), self.program.clone());
        request.arguments = self.arguments.clone();
        request.console_mode_stdin = Some(self.console_mode_stdin.unwrap_or(!has_input));
        request.skip_cmd_shell = self.skip_cmd_shell;
        Ok(Plan {
            place: self.place.clone(),
            options: self.options.clone(),
            request,
            stdin,
            prefix: None,
            timeout: self.timeout,
            delete_in_background: self.delete_in_background,
            run_as: self.run_as.clone(),
            task: self.as_task.then(Order::attached),
        })
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments and variables are left out: people put secrets there.
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("arguments", &self.arguments.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
