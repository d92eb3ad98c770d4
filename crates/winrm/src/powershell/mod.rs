//! PowerShell scripts.

mod child;
mod records;
mod text;

use std::fmt;
use std::time::Duration;

pub use child::{Objects, PowerShellChild, PowerShellOutput};
pub use records::{Information, Record, Records};
pub(crate) use text::{bootstrap_line, literal, plain, without_comments};

use crate::client::Client;
use crate::command::{Command, Place};
use crate::error::{Error, ErrorKind};
use crate::run_as::RunAs;
use crate::shell::Shell;
use crate::stdio::{Source, Stdio};
use crate::task;
use text::Script;

/// Describes a PowerShell script for a host, and starts it; built as [`Command`] is.
///
/// A short script travels on the command line, a longer one, of any length, in front of standard input. It may have parameters, `$input`
/// (the lines of standard input), `begin`, `process` and `end`. Its exit code is that of `exit`; 1 after an error that nobody caught or a
/// last statement that failed; and a native program's own code when that was the last to fail.
///
/// ```no_run
/// # async fn example(client: winrm::Client) -> Result<(), winrm::Error> {
/// let output = client
///     .powershell("param($Name, [switch] $Loud) if ($Loud) { \"HELLO $Name\" } else { \"hello $Name\" }")
///     .param("Name", "a 'b' \"c\" $d")
///     .switch("Loud")
///     .output()
///     .await?;
/// println!("{}", String::from_utf8_lossy(&output.stdout));
///
/// let services = client.powershell("Get-Service | Select-Object Name, Status").objects().await?;
/// for service in &services.objects {
///     println!("{:?}", service.property("Name"));
/// }
/// # Ok(()) }
/// ```
pub struct PowerShell {
    command: Command,
    script: Script,
    engine: String,
    profile: bool,
    interactive: bool,
    execution_policy: Option<String>,
    depth: u32,
    stdin: Source,
}

/// Windows PowerShell, which every host has.
const ENGINE: &str = "powershell";

/// How deep objects are described by default: an object's properties, and theirs.
const DEPTH: u32 = 2;

/// When a script without input is told so. Nearly all are over by then, and it costs a request.
const END_OF_NO_INPUT: Duration = Duration::from_secs(3);

impl Client {
    /// Describes a PowerShell script to run in a shell of its own, which is removed with the script's end.
    #[must_use]
    pub fn powershell(&self, script: impl Into<String>) -> PowerShell {
        PowerShell::new(Place::Own(self.clone()), script.into())
    }
}

impl Shell {
    /// Describes a PowerShell script to run in this shell. Each is a process of its own.
    #[must_use]
    pub fn powershell(&self, script: impl Into<String>) -> PowerShell {
        PowerShell::new(Place::Kept(self.clone()), script.into())
    }
}

impl PowerShell {
    fn new(place: Place, text: String) -> Self {
        Self {
            command: Command::new(place, String::new()),
            script: Script { text, ..Script::default() },
            engine: ENGINE.to_owned(),
            profile: false,
            interactive: false,
            execution_policy: Some("Bypass".to_owned()),
            depth: DEPTH,
            stdin: Source::Null,
        }
    }

    /// Gives a value to a parameter. It arrives as it is, whatever characters it has, as a string that PowerShell converts to the
    /// parameter's type.
    pub fn param(&mut self, name: &str, value: impl AsRef<str>) -> &mut Self {
        let name = name.strip_prefix('-').unwrap_or(name);
        self.add(&text::word(&format!("-{name}")));
        self.add(&literal(value.as_ref()))
    }

    /// Gives a parameter that takes no value.
    pub fn switch(&mut self, name: &str) -> &mut Self {
        let name = name.strip_prefix('-').unwrap_or(name);
        self.add(&text::word(&format!("-{name}")))
    }

    /// Adds a value for the next parameter by position. It is a value even when it begins with a hyphen.
    pub fn arg(&mut self, value: impl AsRef<str>) -> &mut Self {
        self.add(&literal(value.as_ref()))
    }

    /// Adds words as `powershell -File` takes them: `-Name` names a parameter, `-Name:value` gives it a value, `-Switch:$false` is
    /// understood; all else is a value, as it is. Behind a word `--` everything is.
    pub fn args<A: AsRef<str>>(&mut self, words: impl IntoIterator<Item = A>) -> &mut Self {
        let mut values_only = false;
        for word in words {
            let word = word.as_ref();
            if values_only {
                self.add(&literal(word));
            } else if word == "--" {
                values_only = true;
            } else {
                self.add(&text::word(word));
            }
        }
        self
    }

    fn add(&mut self, text: &str) -> &mut Self {
        if !self.script.arguments.is_empty() {
            self.script.arguments.push(' ');
        }
        self.script.arguments.push_str(text);
        self
    }

    /// The PowerShell to run it with: `powershell` (Windows PowerShell, the default), `pwsh` (PowerShell 7), or a path on the host.
    pub fn engine(&mut self, engine: impl Into<String>) -> &mut Self {
        self.engine = engine.into();
        self
    }

    /// Whether the user's profile scripts run first. They don't by default.
    pub fn profile(&mut self, profile: bool) -> &mut Self {
        self.profile = profile;
        self
    }

    /// Whether commands may ask questions, which nobody can answer. By default they fail instead of waiting.
    pub fn interactive(&mut self, interactive: bool) -> &mut Self {
        self.interactive = interactive;
        self
    }

    /// The execution policy: `Bypass` by default, since policies are about files on the host; `None` leaves the host's own.
    pub fn execution_policy(&mut self, policy: Option<&str>) -> &mut Self {
        self.execution_policy = policy.map(str::to_owned);
        self
    }

    /// Whether progress is reported. It is by default; without, some commands are a good deal faster.
    pub fn progress(&mut self, progress: bool) -> &mut Self {
        self.script.no_progress = !progress;
        self
    }

    /// How deep [`objects`](Self::objects) describes objects; 2 by default. What lies deeper is text.
    pub fn depth(&mut self, depth: u32) -> &mut Self {
        self.depth = depth;
        self
    }

    /// Where standard input comes from; [`Stdio::null`] where nothing is said. A script has it as `$input`, line by line in UTF-8, when it
    /// uses that, or else as bytes by `[Console]::OpenStandardInput()`.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.stdin = stdin.into().0;
        self
    }

    /// A deadline for the whole script: see [`Command::timeout`].
    pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
        self.command.timeout(timeout);
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.command.env(name, value);
        self
    }

    /// Sets several environment variables.
    pub fn envs<N: Into<String>, V: Into<String>>(&mut self, variables: impl IntoIterator<Item = (N, V)>) -> &mut Self {
        self.command.envs(variables);
        self
    }

    /// The directory to start in; a path of the host.
    pub fn current_dir(&mut self, directory: impl Into<String>) -> &mut Self {
        self.command.current_dir(directory);
        self
    }

    /// Whether Windows leaves the user's profile (registry hive, environment) alone: see [`Command::no_profile`].
    pub fn no_user_profile(&mut self, no_profile: bool) -> &mut Self {
        self.command.no_profile(no_profile);
        self
    }

    /// After how long without a request the host removes the script's shell.
    pub fn idle_timeout(&mut self, idle_timeout: Duration) -> &mut Self {
        self.command.idle_timeout(idle_timeout);
        self
    }

    /// Whether the script's own shell is removed in the background: see [`Command::delete_in_background`].
    pub fn delete_in_background(&mut self, background: bool) -> &mut Self {
        self.command.delete_in_background(background);
        self
    }

    /// Runs the script as another account, with a logon of its own: see [`Command::run_as`].
    pub fn run_as(&mut self, account: RunAs) -> &mut Self {
        self.command.run_as(account);
        self
    }

    /// Runs the script by a scheduled task: see [`Command::as_task`].
    pub fn as_task(&mut self, as_task: bool) -> &mut Self {
        self.command.as_task(as_task);
        self
    }

    /// Starts the script by a scheduled task and leaves it alone: see [`Command::detach`].
    ///
    /// # Errors
    /// Everything that keeps the script from being started: see [`ErrorKind`].
    pub fn detach(&mut self) -> impl Future<Output = Result<String, Error>> + Send + use<> {
        let ready = self.ready(None);
        async move { task::detach(child::plan(ready?)).await }
    }

    /// Runs the script and collects what it says. Dropping the future ends it on the host.
    ///
    /// # Errors
    /// Everything that keeps the script from running to its end: see [`ErrorKind`]. An error of the script's own is an exit code.
    pub fn output(&mut self) -> impl Future<Output = Result<PowerShellOutput, Error>> + Send + use<> {
        let ready = self.ready(None);
        async move { child::output(ready?).await }
    }

    /// Runs the script and collects the objects that it gives, with their types.
    ///
    /// # Errors
    /// As [`output`](Self::output), and when what should be objects can't be read.
    pub fn objects(&mut self) -> impl Future<Output = Result<Objects, Error>> + Send + use<> {
        let ready = self.ready(Some(self.depth));
        async move { child::objects(ready?).await }
    }

    /// Starts the script, and gives its streams. Its standard output is CLIXML, a document for each object, which a
    /// [`Decoder`](crate::clixml::Decoder) takes apart while it arrives.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub fn spawn_objects(&mut self) -> impl Future<Output = Result<PowerShellChild, Error>> + Send + use<> {
        let ready = self.ready(Some(self.depth));
        async move { child::spawn(ready?).await }
    }

    /// Starts the script, and gives its streams.
    ///
    /// # Errors
    /// Everything that keeps the script from being started: see [`ErrorKind`].
    pub fn spawn(&mut self) -> impl Future<Output = Result<PowerShellChild, Error>> + Send + use<> {
        let ready = self.ready(None);
        async move { child::spawn(ready?).await }
    }

    /// The command that runs the script, and what to do with its standard input.
    fn ready(&mut self, objects: Option<u32>) -> Result<child::Ready, Error> {
        self.check()?;
        let stdin = match &self.stdin {
            Source::Bytes(bytes) => Source::Bytes(bytes.clone()),
            Source::Null | Source::Late(_) => Source::Null,
            Source::Open => Source::Open,
            Source::Piped => Source::Piped,
            // A reader can be read once; a second start finds the end.
            Source::Reader(_) => std::mem::replace(&mut self.stdin, Source::Null),
        };
        let mut script = self.script.clone();
        script.objects = objects;
        script.has_input = !matches!(stdin, Source::Null | Source::Open);
        let mut line = quoted_engine(&self.engine);
        let mut option = |text: &str| {
            line.push(' ');
            line.push_str(text);
        };
        if !self.profile {
            option("-NoProfile");
        }
        if !self.interactive {
            option("-NonInteractive");
        }
        if let Some(policy) = &self.execution_policy {
            option("-ExecutionPolicy");
            option(policy);
        }
        option("-EncodedCommand");
        let sent = script.sent(line.len() + 1);
        line.push(' ');
        line.push_str(&sent.encoded);
        let lower = script.text.to_ascii_lowercase();
        let may_read = ["console", "read-host", "input"].iter().any(|word| lower.contains(word));
        let stdin = match stdin {
            Source::Null if sent.prefix.is_none() && !may_read => Source::Late(END_OF_NO_INPUT),
            stdin => stdin,
        };
        self.command.set_program(line);
        Ok(child::Ready {
            stdin,
            prefix: sent.prefix,
            plan: self.command.plan_with(Source::Null)?,
        })
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::new(ErrorKind::Configuration, what));
        // They stand on a command line that the host's shell reads.
        if self.engine.is_empty() || self.engine.contains(['"', '&', '|', '<', '>', '\r', '\n', '\0']) {
            return refuse(format!("{:?} can't be the path of a PowerShell", self.engine));
        }
        if let Some(policy) = &self.execution_policy
            && (policy.is_empty() || !policy.chars().all(|character| character.is_ascii_alphabetic()))
        {
            return refuse(format!("{policy:?} can't be an execution policy"));
        }
        if self.script.text.contains('\0') {
            return refuse("the script holds a NUL character".to_owned());
        }
        Ok(())
    }
}

/// In quotes if it holds white space or what `cmd` or a shell gives a meaning to.
fn quoted_engine(engine: &str) -> String {
    if engine.contains(|character: char| !(character.is_alphanumeric() || "._-:/\\%".contains(character))) {
        format!("\"{engine}\"")
    } else {
        engine.to_owned()
    }
}

impl fmt::Debug for PowerShell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Script and arguments are left out: people put secrets there.
        f.debug_struct("PowerShell")
            .field("engine", &self.engine)
            .field("characters", &self.script.text.len())
            .finish_non_exhaustive()
    }
}
