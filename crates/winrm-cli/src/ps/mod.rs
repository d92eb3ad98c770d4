//! `winrm ps`: a PowerShell script on one host.

mod diagnosis;
mod listener;
mod objects;
mod said;
mod script;

use std::io::{ErrorKind, IsTerminal as _};
use std::process::ExitCode;

use tokio::io::AsyncWriteExt as _;
use winrm::{Client, PowerShell, PowerShellChild, Stdio};
use winrm_fleet::Listener;

use crate::args::{PsArguments, ScriptArguments};
use crate::connection::{self, Connected};
use crate::failure::{Failure, Status};
use crate::printer::StatusLine;
use crate::reboot::Watched;
use crate::run::{Cut, Uncopied, end, exit_code, feed, interruptions, leave_alone};
use crate::signals::Signals;
use diagnosis::Diagnosis;
use listener::HostListener;
use objects::ObjectPrinter;
use said::Speaker;

pub(crate) use objects::print_list;
pub(crate) use script::Script;

pub(crate) async fn run(arguments: PsArguments) -> Result<ExitCode, Failure> {
    let script = Script::read(&arguments)?;
    let settings = connection::typed_as(&arguments.target, &arguments.connection, &arguments.becoming)?;
    let connected = connection::connect(settings, &arguments.connection, true).await?;
    on_one_host(&connected, &script, &arguments).await
}

/// Runs the script on one host, with everything streaming.
pub(crate) async fn on_one_host(connected: &Connected, script: &Script, arguments: &PsArguments) -> Result<ExitCode, Failure> {
    let client = &connected.client;
    let pass_stdin = !script.took_stdin && !arguments.no_stdin && !std::io::stdin().is_terminal();
    let mut powershell = describe(client, script, &arguments.script);
    if let Some(account) = connected.run_as()? {
        powershell.run_as(account);
    }
    powershell.as_task(arguments.becoming.task);
    if let Some(timeout) = arguments.timeout {
        powershell.timeout(timeout);
    }
    powershell.stdin(if pass_stdin { Stdio::piped() } else { Stdio::null() });
    if arguments.becoming.detach {
        if pass_stdin {
            powershell.stdin(Stdio::reader(tokio::io::stdin()));
        }
        let outcome = leave_alone(powershell.detach(), &arguments.target).await;
        client.close().await;
        return outcome;
    }
    let objects = arguments.script.objects.map(ObjectPrinter::new);
    let watched = Watched::begin(client, &arguments.reboot).await?;
    let mut outcome = run_to_its_end(powershell, objects, pass_stdin, &arguments.script.engine).await;
    if let Some(watched) = watched {
        outcome = watched.judge(outcome).await;
    }
    client.close().await;
    outcome
}

/// The script for one of many hosts, and who listens to it there.
pub(crate) fn for_fleet(client: &Client, script: &Script, arguments: &PsArguments) -> (PowerShell, Box<dyn Listener>) {
    let mut powershell = describe(client, script, &arguments.script);
    powershell.progress(false).as_task(arguments.becoming.task);
    if let Some(timeout) = arguments.timeout {
        powershell.timeout(timeout);
    }
    let listener = HostListener::new(arguments.script.engine.clone(), arguments.script.objects.is_some());
    (powershell, Box::new(listener))
}

fn describe(client: &Client, script: &Script, arguments: &ScriptArguments) -> PowerShell {
    let mut powershell = client.powershell(script.text.as_str());
    let policy = arguments.execution_policy.as_str();
    powershell
        .args(&script.arguments)
        .engine(arguments.engine.as_str())
        .profile(arguments.profile)
        .interactive(arguments.interactive)
        .execution_policy((!policy.eq_ignore_ascii_case("host")).then_some(policy))
        .depth(arguments.depth)
        // Nobody else would see it, and it takes the host's time.
        .progress(StatusLine::is_seen())
        .envs(arguments.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    if arguments.no_user_profile {
        powershell.no_user_profile(true);
    }
    if let Some(directory) = &arguments.directory {
        powershell.current_dir(directory);
    }
    if let Some(idle_timeout) = arguments.idle_timeout {
        powershell.idle_timeout(idle_timeout);
    }
    powershell
}

async fn run_to_its_end(
    mut powershell: PowerShell,
    objects: Option<ObjectPrinter>,
    pass_stdin: bool,
    engine: &str,
) -> Result<ExitCode, Failure> {
    let signals = Signals::new()?;
    let started = async {
        match objects {
            Some(_) => powershell.spawn_objects().await,
            None => powershell.spawn().await,
        }
    };
    // Before the script runs there is nothing to signal: Ctrl-C just ends.
    let mut child = tokio::select! {
        child = started => child?,
        () = signals.interrupted() => return Ok(Status::Interrupted.into()),
        () = signals.terminated() => return Ok(Status::Terminated.into()),
    };
    if pass_stdin && let Some(stdin) = child.stdin.take() {
        // Reading standard input can't be cancelled: it ends with the program.
        tokio::spawn(feed(stdin));
    }
    listen(child, objects, engine, Some(&signals)).await
}

/// Follows a task's output to its end. Whoever drops that leaves the task running.
pub(crate) async fn follow(child: PowerShellChild) -> Result<ExitCode, Failure> {
    listen(child, None, "powershell", None).await
}

/// Says what a script says, until it ends. Without `signals`, somebody else listens to those.
async fn listen(
    mut child: PowerShellChild,
    mut objects: Option<ObjectPrinter>,
    engine: &str,
    signals: Option<&Signals>,
) -> Result<ExitCode, Failure> {
    let (stdout, records) = (child.stdout.take(), child.records.take());
    let mut diagnosis = Diagnosis::default();
    let output = async {
        let Some(mut stdout) = stdout else { return Ok(()) };
        let mut target = tokio::io::stdout();
        while let Some(chunk) = stdout.chunk().await.map_err(|_| Uncopied::Source)? {
            match &mut objects {
                Some(objects) => objects.take(&chunk).map_err(Uncopied::Target)?,
                None => {
                    target.write_all(&chunk).await.map_err(Uncopied::Target)?;
                    // What the script has said is shown at once.
                    target.flush().await.map_err(Uncopied::Target)?;
                }
            }
        }
        match &mut objects {
            Some(objects) => objects.end().map_err(Uncopied::Target),
            None => Ok(()),
        }
    };
    let beside = async {
        let Some(mut records) = records else { return Ok(()) };
        let mut speaker = Speaker::default();
        while let Some(record) = records.next().await.map_err(|_| Uncopied::Source)? {
            diagnosis.hear(&record);
            speaker.say(record).map_err(Uncopied::Target)?;
        }
        Ok(())
    };
    // One that fails ends the other: nobody waits for a stream beside a closed one.
    let cut = tokio::select! {
        copied = async { tokio::try_join!(output, beside) } => copied.err().map(Cut::Output),
        cut = async {
            match signals {
                Some(signals) => interruptions(signals, &child.process).await,
                None => std::future::pending().await,
            }
        } => Some(cut),
    };
    let ended = |code: Option<u32>| {
        diagnosis.tell(code, engine);
        exit_code(code)
    };
    match cut {
        None => Ok(ended(child.wait().await?.code())),
        Some(Cut::Interrupted) => end(child.process, Status::Interrupted).await,
        Some(Cut::Terminated) => end(child.process, Status::Terminated).await,
        Some(Cut::Output(Uncopied::Target(error))) if error.kind() == ErrorKind::BrokenPipe => end(child.process, Status::BrokenPipe).await,
        Some(Cut::Output(Uncopied::Target(error))) => {
            end(child.process, Status::Failed).await?;
            Err(Failure::new(Status::Failed, "the script's output can't be written").because(error))
        }
        Some(Cut::Output(Uncopied::Source)) => Ok(ended(child.wait().await?.code())),
    }
}
