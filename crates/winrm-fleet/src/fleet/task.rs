//! The work on one host, from its settings to its result.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::sync::watch;
use winrm::{Child, ChildStderr, ChildStdout, Client, Command, ExitStatus, MayHaveRun, Ping, Signal, Transport};

use super::capture::Captured;
use super::host::{Attempt, Host};
use super::result::{HostResult, Outcome, Trouble, Via};

/// How long the end of a command is waited for when the run is aborted: enough for a host that answers.
const PARTING: Duration = Duration::from_secs(1);

/// What is done on every host.
pub(super) enum Job {
    Run(Box<dyn Fn(&Client) -> Command + Send + Sync>),
    Ping,
}

/// What holds for every host.
pub(super) struct Limits {
    pub(super) output: u64,
    pub(super) success_codes: Vec<u32>,
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
struct Progress {
    stdout: Captured,
    stderr: Captured,
    via: Option<Via>,
}

/// What a client has begun.
enum Begun {
    Child(Box<Child>),
    Answered(Ping),
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
        let client = match build(attempt, progress) {
            Ok(client) => client,
            Err(trouble) if number < last && trouble.is_refusal() => {
                earlier.push((transport, trouble));
                continue;
            }
            Err(trouble) => return Outcome::Failed(trouble.after(&earlier, transport)),
        };
        let begun = tokio::select! {
            begun = begin(&client, job) => begun,
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
            Ok(Begun::Child(child)) => to_its_end(*child, limits, stage, progress).await,
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

async fn begin(client: &Client, job: &Job) -> Result<Begun, Trouble> {
    match job {
        Job::Run(command) => {
            // Held by no one while it is awaited: descriptions of commands need not be shared between threads.
            let child = command(client).spawn();
            Ok(Begun::Child(Box::new(child.await?)))
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

async fn to_its_end(mut child: Child, limits: &Limits, stage: &mut watch::Receiver<Stage>, progress: &mut Progress) -> Outcome {
    let mut interrupted = stage.clone();
    let mut interrupt: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
    let mut told = false;
    let taken = {
        let streams = (child.stdout.take(), child.stderr.take());
        let mut taking = pin!(take_output(streams, limits.output, progress));
        loop {
            tokio::select! {
                taken = &mut taking => break taken,
                () = reached(stage, Stage::Aborted) => return Outcome::Cancelled(MayHaveRun::Yes),
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
    let ending = async {
        match taken {
            Ok(()) => match child.wait().await {
                Ok(status) => ended(status, limits),
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

fn ended(status: ExitStatus, limits: &Limits) -> Outcome {
    let exit_code = status.code();
    Outcome::Ended {
        exit_code,
        success: exit_code.is_some_and(|code| limits.success_codes.contains(&code)),
    }
}

/// Keeps what the command writes, until both streams have ended. Why they ended, the child tells.
async fn take_output(
    (mut stdout, mut stderr): (Option<ChildStdout>, Option<ChildStderr>),
    limit: u64,
    progress: &mut Progress,
) -> Result<(), Trouble> {
    loop {
        let (piece, target) = tokio::select! {
            piece = async { piece_of(stdout.as_mut()?.chunk().await) }, if stdout.is_some() => {
                if piece.is_none() { stdout = None; }
                (piece, &mut progress.stdout)
            }
            piece = async { piece_of(stderr.as_mut()?.chunk().await) }, if stderr.is_some() => {
                if piece.is_none() { stderr = None; }
                (piece, &mut progress.stderr)
            }
            else => return Ok(()),
        };
        let Some(piece) = piece else { continue };
        if let Err(error) = target.write(&piece) {
            return Err(Trouble::output(format!("the output can't be kept in a temporary file: {error}"))
                .with_hint("TMPDIR names the folder of temporary files; is its disk full?"));
        }
        if progress.stdout.len() + progress.stderr.len() > limit {
            return Err(Trouble::output(format!("the command wrote more than {limit} bytes, and was ended"))
                .with_hint("let it write into a file of the host, or raise the limit"));
        }
    }
}

fn piece_of(chunk: io::Result<Option<Bytes>>) -> Option<Bytes> {
    // An error is the command's, which `wait` gives in full.
    chunk.unwrap_or_default()
}
