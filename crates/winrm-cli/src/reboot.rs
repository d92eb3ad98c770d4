//! `winrm reboot`, and what `--reboot-ok` does when a command has taken its host down.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use winrm::{BootTime, Client, RestartEvent, Restarted, Waiting};
use winrm_fleet::Host;

use crate::args::{RebootArguments, RebootOkArguments};
use crate::connection;
use crate::failure::{Failure, Status};
use crate::fleet::Hosts;
use crate::printer::{self, StatusLine};
use crate::signals::Signals;

/// How long a host that answers, after a connection was lost, is given to go down: services end late in a shutdown, but they do.
const GRACE: Duration = Duration::from_secs(60);

/// How long a host has to stay up after a command has restarted it.
const SETTLE: Duration = Duration::from_secs(5);

pub(crate) async fn run(arguments: RebootArguments) -> Result<ExitCode, Failure> {
    if Hosts::are_meant(&arguments.target, &arguments.inventory) {
        let hosts = Hosts::named(&arguments.target, &arguments.inventory, &arguments.connection)?;
        return many(&hosts, &arguments).await;
    }
    let connected = connection::client(&arguments.target, &arguments.connection, true).await?;
    let screen = Screen::new();
    let outcome = unless_interrupted(restart(&connected.client, &arguments, &screen)).await?;
    screen.clear();
    let Some(outcome) = outcome else {
        printer::warning("the host may restart all the same");
        return Ok(Status::Interrupted.into());
    };
    printer::line(&outcome?);
    connected.client.close().await;
    Ok(ExitCode::SUCCESS)
}

/// What is done on each host, and the sentence about it.
async fn restart(client: &Client, arguments: &RebootArguments, screen: &Arc<Screen>) -> Result<String, winrm::Error> {
    let shown = Arc::clone(screen);
    let mut reboot = client.reboot().waiting(
        Waiting::default()
            .timeout(arguments.timeout)
            .settle(arguments.settle)
            .on_event(move |event| shown.see(event)),
    );
    if let Some(message) = &arguments.message {
        reboot = reboot.message(message);
    }
    if !arguments.wait {
        let before = reboot.start().await?;
        return Ok(format!("restarts; it was up since {before}"));
    }
    reboot.wait().await.map(|restarted| told(&restarted))
}

fn told(restarted: &Restarted) -> String {
    let Restarted { before, after, .. } = restarted;
    match restarted.starts {
        0 | 1 => format!("restarted: up since {after}, before since {before}"),
        starts => format!("restarted {starts} times: up since {after}, before since {before}"),
    }
}

async fn many(hosts: &Hosts, arguments: &RebootArguments) -> Result<ExitCode, Failure> {
    let arguments = Arc::new(arguments.clone());
    let signals = Signals::new()?;
    let mut waiting = hosts.all().iter();
    let mut running = tokio::task::JoinSet::new();
    let (mut done, mut failed, mut unreachable) = (0usize, 0usize, 0usize);
    loop {
        while running.len() < usize::from(arguments.forks)
            && let Some(host) = waiting.next()
        {
            let (host, arguments) = (host.clone(), Arc::clone(&arguments));
            running.spawn(async move {
                let outcome = one_of_many(&host, &arguments).await;
                (host, outcome)
            });
        }
        let next = tokio::select! {
            next = running.join_next() => next,
            status = ended_by(&signals) => {
                running.shutdown().await;
                printer::warning("hosts that were asked restart all the same");
                return Ok(status.into());
            }
        };
        let Some(next) = next else { break };
        let (host, outcome) = next.map_err(|error| Failure::new(Status::Failed, "a restart has ended early").because(error))?;
        for warning in hosts.warnings() {
            printer::warning(&warning);
        }
        match outcome {
            Ok(sentence) => {
                done += 1;
                printer::marked(true, host.name(), &sentence);
            }
            Err(failure) => {
                if failure.is_unreachable() {
                    unreachable += 1;
                } else {
                    failed += 1;
                }
                let (text, hint) = failure.into_parts();
                printer::marked(false, host.name(), &text);
                if let Some(hint) = hint {
                    printer::line(&format!("  hint: {hint}"));
                }
            }
        }
    }
    let left = hosts.all().len() - done - failed - unreachable;
    printer::note(&format!(
        "{} hosts: {done} ok, {failed} failed, {unreachable} unreachable, {left} left out",
        hosts.all().len()
    ));
    Ok(match (failed, unreachable) {
        (0, 0) => ExitCode::SUCCESS,
        (_, 0) => Status::Failed.into(),
        _ => Status::Unreachable.into(),
    })
}

async fn one_of_many(host: &Host, arguments: &RebootArguments) -> Result<String, Failure> {
    let client = host.connect().await.map_err(|trouble| {
        let hint = trouble.hint().map(str::to_owned);
        let failure = Failure::new(Status::Unreachable, trouble.to_string());
        hint.into_iter().fold(failure, Failure::hint)
    })?;
    let outcome = restart(&client, arguments, &Screen::silent()).await;
    client.close().await;
    outcome.map_err(Failure::from)
}

/// How a host is waited for that a command has restarted; `None` where none may.
pub(crate) fn waiting(arguments: &RebootOkArguments) -> Option<Waiting> {
    let waiting = Waiting::default().timeout(arguments.reboot_timeout).settle(SETTLE).grace(GRACE);
    arguments.reboot_ok.then_some(waiting)
}

/// What is known before a command that may restart its host.
pub(crate) struct Watched<'c> {
    client: &'c Client,
    before: BootTime,
    waiting: Waiting,
}

impl<'c> Watched<'c> {
    /// Asks when the host was started, if it may be restarted.
    pub(crate) async fn begin(client: &'c Client, arguments: &RebootOkArguments) -> Result<Option<Self>, Failure> {
        let Some(waiting) = waiting(arguments) else { return Ok(None) };
        Ok(Some(Self {
            client,
            before: client.boot_time().await?,
            waiting,
        }))
    }

    /// What a command's outcome means. One that was lost after it had been started is done if the host has restarted since.
    pub(crate) async fn judge(self, outcome: Result<ExitCode, Failure>) -> Result<ExitCode, Failure> {
        let failure = match outcome {
            Err(failure) if failure.is_lost() => failure,
            outcome => return outcome,
        };
        printer::note("winrm: the connection to the command was lost; looking whether the host restarts");
        let screen = Screen::new();
        let shown = Arc::clone(&screen);
        let waiting = self.waiting.on_event(move |event| shown.see(event));
        let waited = unless_interrupted(self.client.restarted(self.before, &waiting)).await?;
        screen.clear();
        match waited {
            None => Ok(Status::Interrupted.into()),
            Some(Ok(restarted)) => {
                printer::note(&format!(
                    "winrm: the host has {}; the command's exit code is unknown",
                    told(&restarted)
                ));
                Ok(ExitCode::SUCCESS)
            }
            Some(Err(error)) if error.kind() == winrm::ErrorKind::Deadline => {
                // What had happened to the command is what matters: this was no restart.
                printer::note(&format!("winrm: {error}"));
                Err(failure)
            }
            Some(Err(error)) => Err(error.into()),
        }
    }
}

/// `None` when Ctrl-C or SIGTERM came first.
async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Result<Option<T>, Failure> {
    let signals = Signals::new()?;
    tokio::select! {
        done = work => Ok(Some(done)),
        _ = ended_by(&signals) => Ok(None),
    }
}

async fn ended_by(signals: &Signals) -> Status {
    tokio::select! {
        () = signals.interrupted() => Status::Interrupted,
        () = signals.terminated() => Status::Terminated,
    }
}

/// Shows what is seen of one host, on a terminal.
struct Screen(Option<Mutex<StatusLine>>);

impl Screen {
    fn new() -> Arc<Self> {
        Arc::new(Self(StatusLine::is_seen().then(Mutex::default)))
    }

    fn silent() -> Arc<Self> {
        Arc::new(Self(None))
    }

    fn see(&self, event: RestartEvent) {
        let text = match event {
            RestartEvent::Down => "does not answer".to_owned(),
            RestartEvent::NotYet(_) => "has not restarted yet".to_owned(),
            RestartEvent::Started(boot) => format!("started at {boot}, runs no commands yet"),
            RestartEvent::Settling(boot) => format!("started at {boot}, runs commands"),
            _ => return,
        };
        if let Some(line) = &self.0 {
            line.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .show(&format!("the host {text}"));
        }
    }

    fn clear(&self) {
        if let Some(line) = &self.0 {
            line.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}
