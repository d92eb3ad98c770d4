//! The work on one host, from its settings to its result.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::sync::watch;
use winrm::{
    BootTime, Child, ChildStderr, ChildStdout, Client, Command, ErrorKind, ExitStatus, MayHaveRun, Ping, PowerShell, RunAs, Signal,
    Transport, Waiting,
};

use super::capture::Captured;
use super::host::{Attempt, Host};
use super::result::{HostResult, Outcome, Trouble, Via};
use super::script::{Listener, Script};

/// How long the end of a command is waited for when the run is aborted: enough for a host that answers.
const PARTING: Duration = Duration::from_secs(1);

/// What is done on every host.
pub(super) enum Job {
    Run(Box<dyn Fn(&Client) -> Command + Send + Sync>),
    Script(DescribeScript),
    Ping,
}

impl Job {
    /// Whether anything runs on the hosts.
    fn runs(&self) -> bool {
        !matches!(self, Self::Ping)
    }
}

pub(super) type DescribeScript = Box<dyn Fn(&Client) -> (PowerShell, Box<dyn Listener>) + Send + Sync>;

/// What holds for every host.
pub(super) struct Limits {
    pub(super) output: u64,
    pub(super) success_codes: Vec<u32>,
    /// How a host is waited for that is restarted by what runs there; `None` where none may be.
    pub(super) restart: Option<Waiting>,
}

/// How far a run is from being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Running,
    Interrupted,
    Aborted,
}

/// Waits until the run is at least so far from running.
async fn reached(stage: &mut watch::Receiver<Stage>, wanted: Stage) {
    if stage.wait_for(|stage| *stage >= wanted).await.is_err() {
        // The run is gone, and its tasks with it.
        std::future::pending::<()>().await;
    }
}

/// What has come of a host so far.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) stdout: Captured,
    stderr: Captured,
    via: Option<Via>,
    explanation: Option<Trouble>,
}

impl Progress {
    pub(super) fn keep_stdout(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.stdout.write(bytes).map_err(unkept)
    }

    pub(super) fn keep_stderr(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.stderr.write(bytes).map_err(unkept)
    }

    /// Whether this is still within the limit, where the host has written so much to standard output at the least.
    pub(super) fn within(&self, limit: u64, stdout: u64) -> Result<(), Trouble> {
        if self.stdout.len().max(stdout) + self.stderr.len() > limit {
            return Err(Trouble::output(format!("the command wrote more than {limit} bytes, and was ended"))
                .with_hint("let it write into a file of the host, or raise the limit"));
        }
        Ok(())
    }
}

fn unkept(error: io::Error) -> Trouble {
    Trouble::output(format!("the output can't be kept in a temporary file: {error}"))
        .with_hint("TMPDIR names the folder of temporary files; is its disk full?")
}

/// What a client has begun.
enum Begun {
    Child(Box<Child>, Streams),
    Answered(Ping),
}

/// Where the output comes from.
enum Streams {
    Command(Option<ChildStdout>, Option<ChildStderr>),
    Script(Box<Script>),
}

pub(super) async fn work(index: usize, host: Host, job: Arc<Job>, limits: Arc<Limits>, mut stage: watch::Receiver<Stage>) -> HostResult {
    let (started, clock) = (SystemTime::now(), Instant::now());
    let name = Arc::clone(&host.name);
    let mut progress = Progress::default();
    let outcome = outcome(host, &job, &limits, &mut stage, &mut progress).await;
    HostResult {
        stdout: progress.stdout,
        stderr: progress.stderr,
        via: progress.via,
        explanation: progress.explanation,
        duration: clock.elapsed(),
        ..HostResult::new(index, name, started, outcome)
    }
}

async fn outcome(host: Host, job: &Job, limits: &Limits, stage: &mut watch::Receiver<Stage>, progress: &mut Progress) -> Outcome {
    // Templates and vaults take their time, and may run programs.
    let settings = tokio::task::spawn_blocking(move || host.attempts());
    let attempts = tokio::select! {
        settings = settings => match settings {
            Ok(Ok(attempts)) => attempts,
            Ok(Err(trouble)) => return Outcome::Failed(trouble),
            Err(_) => return Outcome::Failed(Trouble::panicked()),
        },
        () = reached(stage, Stage::Interrupted) => return Outcome::Cancelled(MayHaveRun::No),
    };
    let mut earlier: Vec<(Transport, Trouble)> = Vec::new();
    let last = attempts.len().saturating_sub(1);
    for (number, attempt) in attempts.into_iter().enumerate() {
        let transport = attempt.transport;
        let run_as = attempt.run_as.clone();
        let client = match build(attempt, progress) {
            Ok(client) => client,
            Err(trouble) if number < last && trouble.is_refusal() => {
                earlier.push((transport, trouble));
                continue;
            }
            Err(trouble) => return Outcome::Failed(trouble.after(&earlier, transport)),
        };
        let mut before = None;
        let begun = tokio::select! {
            begun = async {
                if limits.restart.is_some() && job.runs() {
                    before = Some(client.boot_time().await?);
                }
                begin(&client, run_as, job).await
            } => begun,
            () = reached(stage, Stage::Interrupted) => {
                part(&client, stage).await;
                return Outcome::Cancelled(MayHaveRun::Unknown);
            }
        };
        let outcome = match begun {
            Err(trouble) if number < last && trouble.is_refusal() => {
                tracing::info!(%transport, error = %trouble, "trying the next transport");
                earlier.push((transport, trouble));
                continue;
            }
            Err(trouble) => failed(trouble.after(&earlier, transport)),
            Ok(Begun::Answered(ping)) => Outcome::Answered(ping),
            Ok(Begun::Child(child, streams)) => to_its_end(*child, streams, limits, stage, progress).await,
        };
        let outcome = match (before, &limits.restart) {
            (Some(before), Some(waiting)) => unless_restarted(outcome, &client, before, waiting, stage).await,
            _ => outcome,
        };
        part(&client, stage).await;
        return outcome;
    }
    Outcome::Failed(Trouble::settings("no transport is left to try"))
}

/// Waits until the host has forgotten what was begun there, within the host's turn, so that connections stay bounded by the forks.
async fn part(client: &Client, stage: &mut watch::Receiver<Stage>) {
    tokio::select! {
        _ = client.close() => {}
        () = async { reached(stage, Stage::Aborted).await; tokio::time::sleep(PARTING).await; } => {}
    }
}

fn build(attempt: Attempt, progress: &mut Progress) -> Result<Client, Trouble> {
    let client = attempt.client.build()?;
    progress.via = Some(Via {
        endpoint: client.endpoint().to_string(),
        user: attempt.user,
        transport: attempt.transport,
    });
    Ok(client)
}

async fn begin(client: &Client, run_as: Option<RunAs>, job: &Job) -> Result<Begun, Trouble> {
    match job {
        Job::Run(command) => {
            // Held by no one while it is awaited: descriptions of commands need not be shared between threads.
            let mut command = command(client);
            if let Some(account) = run_as {
                command.run_as(account);
            }
            let child = command.spawn();
            drop(command);
            let mut child = child.await?;
            let streams = Streams::Command(child.stdout.take(), child.stderr.take());
            Ok(Begun::Child(Box::new(child), streams))
        }
        Job::Script(describe) => {
            let (mut script, listener) = describe(client);
            if let Some(account) = run_as {
                script.run_as(account);
            }
            let mut child = if listener.takes_objects() {
                let child = script.spawn_objects();
                drop(script);
                child.await?
            } else {
                let child = script.spawn();
                drop(script);
                child.await?
            };
            let streams = Streams::Script(Box::new(Script::new(&mut child, listener)));
            Ok(Begun::Child(Box::new(child.process), streams))
        }
        Job::Ping => Ok(Begun::Answered(client.ping().await?)),
    }
}

fn failed(trouble: Trouble) -> Outcome {
    if trouble.is_unreachable() {
        Outcome::Unreachable(trouble)
    } else {
        Outcome::Failed(trouble)
    }
}

/// What an outcome means where the host may be restarted: a command that was lost is done if the host has restarted since `before`.
async fn unless_restarted(
    outcome: Outcome,
    client: &Client,
    before: BootTime,
    waiting: &Waiting,
    stage: &mut watch::Receiver<Stage>,
) -> Outcome {
    let may_have_run = match &outcome {
        Outcome::Failed(trouble) | Outcome::Unreachable(trouble) if trouble.is_lost() => trouble.may_have_run(),
        _ => return outcome,
    };
    let restarted = tokio::select! {
        restarted = client.restarted(before, waiting) => restarted,
        () = reached(stage, Stage::Interrupted) => return Outcome::Cancelled(may_have_run),
    };
    match restarted {
        Ok(restarted) => Outcome::Restarted(restarted),
        // This was no restart: what had happened to the command is what matters.
        Err(error) if error.kind() == ErrorKind::Deadline => outcome,
        Err(error) => failed(Trouble::from(error).of_a_command_that(may_have_run)),
    }
}

async fn to_its_end(
    mut child: Child,
    mut streams: Streams,
    limits: &Limits,
    stage: &mut watch::Receiver<Stage>,
    progress: &mut Progress,
) -> Outcome {
    let mut interrupted = stage.clone();
    let mut interrupt: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
    let mut told = false;
    let taken = {
        let mut taking = pin!(streams.take(limits.output, progress));
        loop {
            tokio::select! {
                taken = &mut taking => break Some(taken),
                () = reached(stage, Stage::Aborted) => break None,
                () = reached(&mut interrupted, Stage::Interrupted), if !told => {
                    told = true;
                    let signal = child.signal(Signal::CtrlC);
                    interrupt = Some(Box::pin(async move {
                        if let Err(error) = signal.await {
                            tracing::info!(error = %error, "Ctrl-C did not reach the command");
                        }
                    }));
                }
                () = async { if let Some(signal) = &mut interrupt { signal.await } }, if interrupt.is_some() => interrupt = None,
            }
        }
    };
    // The streams go here: what nobody takes any more must not hold up the command's end.
    let (at_the_end, listener) = match streams {
        Streams::Command(stdout, stderr) => {
            drop((stdout, stderr));
            (Ok(()), None)
        }
        Streams::Script(mut script) => (script.end(progress), Some(script.listener)),
    };
    let Some(taken) = taken else {
        return Outcome::Cancelled(MayHaveRun::Yes);
    };
    let ending = async {
        match taken.and(at_the_end) {
            Ok(()) => match child.wait().await {
                Ok(status) => ended(status, limits, listener, progress),
                Err(error) => failed(error.into()),
            },
            Err(trouble) => {
                if let Err(error) = child.kill().await {
                    tracing::info!(error = %error, "the command may still run");
                }
                Outcome::Failed(trouble)
            }
        }
    };
    tokio::select! {
        outcome = ending => outcome,
        () = reached(stage, Stage::Aborted) => Outcome::Cancelled(MayHaveRun::Yes),
    }
}

fn ended(status: ExitStatus, limits: &Limits, listener: Option<Box<dyn Listener>>, progress: &mut Progress) -> Outcome {
    let exit_code = status.code();
    let success = exit_code.is_some_and(|code| limits.success_codes.contains(&code));
    if let Some(listener) = listener {
        progress.explanation = listener.explain(exit_code, success);
    }
    Outcome::Ended {
        exit_code,
        success: success && progress.explanation.is_none(),
    }
}

impl Streams {
    /// Keeps what is written, until all streams have ended. Why they ended, the child tells.
    async fn take(&mut self, limit: u64, progress: &mut Progress) -> Result<(), Trouble> {
        match self {
            Self::Command(stdout, stderr) => take_output(stdout, stderr, limit, progress).await,
            Self::Script(script) => script.take(limit, progress).await,
        }
    }
}

async fn take_output(
    stdout: &mut Option<ChildStdout>,
    stderr: &mut Option<ChildStderr>,
    limit: u64,
    progress: &mut Progress,
) -> Result<(), Trouble> {
    loop {
        tokio::select! {
            piece = async { piece_of(stdout.as_mut()?.chunk().await) }, if stdout.is_some() => match piece {
                None => *stdout = None,
                Some(piece) => progress.keep_stdout(&piece)?,
            },
            piece = async { piece_of(stderr.as_mut()?.chunk().await) }, if stderr.is_some() => match piece {
                None => *stderr = None,
                Some(piece) => progress.keep_stderr(&piece)?,
            },
            else => return Ok(()),
        }
        progress.within(limit, 0)?;
    }
}

fn piece_of(chunk: io::Result<Option<Bytes>>) -> Option<Bytes> {
    // An error is the command's, which `wait` gives in full.
    chunk.unwrap_or_default()
}
