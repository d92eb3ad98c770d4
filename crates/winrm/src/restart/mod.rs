//! Restarting a host, and knowing that it has been: by the time of its last start, not by its port.

mod boot_time;

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use winrm_proto::resource::Resource;

pub use boot_time::BootTime;

use crate::client::Client;
use crate::error::{Error, ErrorKind};

/// The same question for where WS-Man's own way to WMI is closed.
const BY_POWERSHELL: &str = include_str!("boot_time.ps1");

/// How long one question may take: while a host goes down, answers may stay away.
const QUESTION: Duration = Duration::from_secs(60);

/// How long a pause between two questions is, and what it grows to.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// How long a restart may take where nobody says it.
const TIMEOUT: Duration = Duration::from_secs(600);

/// How long a host that has started has to stay up where nobody says it.
const SETTLE: Duration = Duration::from_secs(10);

/// The shutdown's own delay: the answer to whoever asked for it gets out before.
const DELAY: Duration = Duration::from_secs(2);

/// Exit codes of `shutdown`, Win32 errors.
mod code {
    pub(super) const ACCESS_DENIED: u32 = 5;
    pub(super) const PRIVILEGE_NOT_HELD: u32 = 1314;
    pub(super) const SHUTDOWN_IN_PROGRESS: u32 = 1115;
    pub(super) const SHUTDOWN_IS_SCHEDULED: u32 = 1190;
}

/// What the longest comment of a shutdown is, in UTF-16 units.
const MESSAGE: usize = 512;

impl Client {
    /// When the host's system was started. It is asked of WMI over WS-Man, and of PowerShell where that is refused.
    ///
    /// # Errors
    /// When the host can't be reached or neither way is open: see [`ErrorKind`].
    pub async fn boot_time(&self) -> Result<BootTime, Error> {
        let refused = match self.boot_time_by_wmi().await {
            Err(error) if matches!(error.kind(), ErrorKind::Fault | ErrorKind::Forbidden | ErrorKind::Protocol) => error,
            outcome => return outcome,
        };
        let output = match self.powershell(BY_POWERSHELL).progress(false).output().await {
            Ok(output) => output,
            // The first refusal says more, unless the host has gone meanwhile.
            Err(error) if matches!(error.kind(), ErrorKind::Fault | ErrorKind::Forbidden) => return Err(refused),
            Err(error) => return Err(error.not_run()),
        };
        BootTime::parse(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "the host does not say when it was started")
                .with_hint("it has to be readable as Win32_OperatingSystem.LastBootUpTime, by WMI or by PowerShell")
                .with_source(refused)
        })
    }

    async fn boot_time_by_wmi(&self) -> Result<BootTime, Error> {
        let system = Resource::parse("wmicimv2/Win32_OperatingSystem")
            .map_err(|error| Error::new(ErrorKind::Protocol, "the class of the operating system").with_source(error))?;
        // It has one instance, and no key is needed for it.
        let instance = self.wsman().get(&system).await?;
        instance
            .text("LastBootUpTime")
            .and_then(BootTime::parse)
            .ok_or_else(|| Error::new(ErrorKind::Protocol, "the host's operating system has no LastBootUpTime"))
    }

    /// Describes a restart of the host.
    ///
    /// ```no_run
    /// # async fn example(client: winrm::Client) -> Result<(), winrm::Error> {
    /// let restarted = client.reboot().message("Patch day").wait().await?;
    /// println!("up again since {}", restarted.after);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn reboot(&self) -> Reboot {
        Reboot {
            client: self.clone(),
            message: None,
            waiting: Waiting::default(),
        }
    }

    /// Waits until the host has another boot time than `before`, runs commands again, and stays so.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`] when it answers to the end and has not restarted, or runs no commands; [`ErrorKind::Connect`] when it
    /// never came back.
    pub async fn restarted(&self, before: BootTime, waiting: &Waiting) -> Result<Restarted, Error> {
        waiting.run(self, before).await
    }
}

/// A restart that is described; [`start`](Self::start) asks for it, [`wait`](Self::wait) also waits until it is over.
#[derive(Debug, Clone)]
pub struct Reboot {
    client: Client,
    message: Option<String>,
    waiting: Waiting,
}

impl Reboot {
    /// What users of the host are told, and its event log: 512 characters at most.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// How to wait.
    #[must_use]
    pub fn waiting(mut self, waiting: Waiting) -> Self {
        self.waiting = waiting;
        self
    }

    /// Asks for the restart, and gives the boot time from before. A connection that is lost by it is no error.
    ///
    /// # Errors
    /// When the host can't be reached, or refuses; then nothing is restarted.
    pub async fn start(&self) -> Result<BootTime, Error> {
        let message = self.message.as_deref().unwrap_or_default();
        if message.encode_utf16().count() > MESSAGE || message.contains(['\0', '\r', '\n']) {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!("the message has to be one line of at most {MESSAGE} characters"),
            ));
        }
        let before = self.client.boot_time().await?;
        let delay = DELAY.as_secs().to_string();
        // The whole name: a machine that isn't Windows has none of it.
        let mut command = self.client.command("shutdown.exe");
        command.args(["/r", "/f", "/t", &delay, "/d", "p:0:0"]);
        if !message.is_empty() {
            command.args(["/c", message]);
        }
        match command.output().await {
            Ok(output) => refused(output.status().code(), &output.stderr).map_or(Ok(before), Err),
            // It went down while it was asked.
            Err(error) if error.is_lost() => Ok(before),
            Err(error) => Err(error),
        }
    }

    /// Asks for the restart, and waits until the host is up again and runs commands.
    ///
    /// # Errors
    /// As [`start`](Self::start) and [`Client::restarted`].
    pub async fn wait(&self) -> Result<Restarted, Error> {
        let before = self.start().await?;
        self.client.restarted(before, &self.waiting).await
    }
}

/// Why a shutdown was not begun, if it was not.
fn refused(code: Option<u32>, stderr: &[u8]) -> Option<Error> {
    let code = match code {
        None | Some(0) => return None,
        // Somebody else's restart is a restart.
        Some(code::SHUTDOWN_IN_PROGRESS) => return None,
        Some(code) => code,
    };
    let said = String::from_utf8_lossy(stderr);
    let said = said.trim();
    let error = Error::new(
        ErrorKind::Fault,
        format!("the host's shutdown.exe has refused the restart with {code}: {said}"),
    );
    Some(match code {
        code::ACCESS_DENIED | code::PRIVILEGE_NOT_HELD => error
            .with_kind(ErrorKind::Forbidden)
            .with_hint("the account lacks the right \"Force shutdown from a remote system\" or \"Shut down the system\""),
        code::SHUTDOWN_IS_SCHEDULED => {
            error.with_hint("somebody has scheduled a shutdown already: wait for it, or take it back by: winrm run HOST -- shutdown /a")
        }
        _ => error,
    })
}

/// A host that has restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restarted {
    /// When it was started before.
    pub before: BootTime,
    /// When it was started now.
    pub after: BootTime,
    /// How many starts were seen: updates may need a second one.
    pub starts: u32,
}

/// What is seen while a host restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestartEvent {
    /// It doesn't answer.
    Down,
    /// It answers, and has not restarted yet.
    NotYet(BootTime),
    /// It has restarted, and runs no commands yet.
    Started(BootTime),
    /// It runs commands, and is watched for a while.
    Settling(BootTime),
}

/// How long to wait for a restart, and for what.
#[derive(Clone)]
pub struct Waiting {
    timeout: Duration,
    settle: Duration,
    grace: Option<Duration>,
    listener: std::sync::Arc<dyn Fn(RestartEvent) + Send + Sync>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT,
            settle: SETTLE,
            grace: None,
            listener: std::sync::Arc::new(|_| {}),
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("timeout", &self.timeout)
            .field("settle", &self.settle)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

impl Waiting {
    /// How long all of it may take; ten minutes by default.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long the host has to stay up before it counts as back; ten seconds by default. A host that goes down again within it is
    /// waited for again.
    #[must_use]
    pub const fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// How long a host that answers may take to go down; all of the time by default. For where it isn't certain that it will.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Tells what is seen.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(RestartEvent) + Send + Sync + 'static) -> Self {
        self.listener = std::sync::Arc::new(listener);
        self
    }

    async fn run(&self, client: &Client, before: BootTime) -> Result<Restarted, Error> {
        let start = Instant::now();
        let deadline = start + self.timeout;
        let mut watch = Watch {
            client,
            before,
            last: before,
            starts: 0,
        };
        let mut pause = PAUSES.0;
        loop {
            let seen = watch.look(deadline).await;
            match &seen {
                Seen::Silent(_) => (self.listener)(RestartEvent::Down),
                Seen::Unchanged(boot) => (self.listener)(RestartEvent::NotYet(*boot)),
                Seen::Unready(boot, _) => (self.listener)(RestartEvent::Started(*boot)),
                Seen::Ready(boot) => {
                    (self.listener)(RestartEvent::Settling(*boot));
                    tokio::time::sleep_until(deadline.min(Instant::now() + self.settle)).await;
                    // What is up and the same after that time has stayed up.
                    if matches!(watch.look(deadline.max(Instant::now() + QUESTION)).await, Seen::Ready(again) if !again.is_another(*boot)) {
                        return Ok(Restarted {
                            before,
                            after: *boot,
                            starts: watch.starts,
                        });
                    }
                    pause = PAUSES.0;
                }
            }
            let patience = match (&seen, self.grace) {
                (Seen::Unchanged(_), Some(grace)) => deadline.min(start + grace),
                _ => deadline,
            };
            if Instant::now() + pause >= patience {
                return Err(self.given_up(seen));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn given_up(&self, seen: Seen) -> Error {
        let seconds = self.timeout.as_secs_f64();
        match seen {
            Seen::Silent(error) => {
                let text = format!("the host has not come back within {seconds} s");
                let gone = Error::new(ErrorKind::Connect, text)
                    .with_hint("look at its console: it may be installing updates, or wait for somebody; a longer time may do");
                match error {
                    Some(error) => gone.with_source(error),
                    None => gone,
                }
            }
            Seen::Unchanged(boot) => {
                let seconds = self.grace.unwrap_or(self.timeout).min(self.timeout).as_secs_f64();
                let text = format!("the host has not restarted within {seconds} s: it answers, and was started at {boot} as before");
                Error::new(ErrorKind::Deadline, text)
                    .with_hint("a program may hold the shutdown up, or somebody has called it off (shutdown /a)")
            }
            Seen::Unready(boot, error) => {
                let text = format!("the host has restarted at {boot}, and runs no commands after {seconds} s");
                Error::new(ErrorKind::Deadline, text).with_source(error)
            }
            Seen::Ready(boot) => {
                let text = format!("the host has restarted at {boot}, and has not stayed up: it went down again within {seconds} s");
                Error::new(ErrorKind::Deadline, text).with_hint("updates may need several restarts: give it a longer time")
            }
        }
    }
}

/// What a look at a host shows.
enum Seen {
    /// It doesn't answer, or says that it can't yet.
    Silent(Option<Error>),
    /// It answers, and has not restarted.
    Unchanged(BootTime),
    /// It has restarted, and runs no commands.
    Unready(BootTime, Error),
    /// It has restarted, and runs commands.
    Ready(BootTime),
}

struct Watch<'c> {
    client: &'c Client,
    before: BootTime,
    last: BootTime,
    starts: u32,
}

impl Watch<'_> {
    async fn look(&mut self, deadline: Instant) -> Seen {
        let limit = deadline.min(Instant::now() + QUESTION);
        let boot = match tokio::time::timeout_at(limit, self.client.boot_time()).await {
            Ok(Ok(boot)) => boot,
            Ok(Err(error)) => return Seen::Silent(Some(error)),
            Err(_) => return Seen::Silent(None),
        };
        if !boot.is_another(self.before) {
            return Seen::Unchanged(boot);
        }
        if boot.is_another(self.last) {
            self.last = boot;
            self.starts += 1;
        }
        // Windows answers before it lets anybody do something.
        let tried = tokio::time::timeout_at(limit, self.client.command("exit").arg("0").status()).await;
        match tried {
            Ok(Ok(_)) => Seen::Ready(boot),
            Ok(Err(error)) => Seen::Unready(boot, error.not_run()),
            Err(_) => Seen::Unready(boot, Error::new(ErrorKind::Timeout, "no answer to a command")),
        }
    }
}
