//! `winrm run`: one host, as ssh does it.

use std::io::{ErrorKind, IsTerminal as _};
use std::process::ExitCode;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use winrm::{Child, ChildStdin, Client, Command, Signal, Stdio};

use crate::args::{RunArguments, ShellArguments};
use crate::connection::{self, Connected};
use crate::failure::{Failure, Status};
use crate::printer;
use crate::reboot::Watched;
use crate::signals::Signals;

/// How much is read from standard input, and from the host, at once.
const PIECE: usize = 256 * 1024;

pub(crate) async fn run(arguments: RunArguments) -> Result<ExitCode, Failure> {
    let settings = connection::typed_as(&arguments.target, &arguments.connection, &arguments.becoming)?;
    let connected = connection::connect(settings, &arguments.connection, true).await?;
    on_one_host(&connected, &arguments).await
}

/// Runs the command on one host, as ssh does.
pub(crate) async fn on_one_host(connected: &Connected, arguments: &RunArguments) -> Result<ExitCode, Failure> {
    let pass_stdin = !arguments.no_stdin && !std::io::stdin().is_terminal();
    let client = &connected.client;
    let mut command = command(client, &arguments.command, &arguments.shell);
    if let Some(account) = connected.run_as()? {
        command.run_as(account);
    }
    command.as_task(arguments.becoming.task);
    if let Some(timeout) = arguments.timeout {
        command.timeout(timeout);
    }
    command.stdin(if pass_stdin { Stdio::piped() } else { Stdio::null() });
    if arguments.becoming.detach {
        if pass_stdin {
            command.stdin(Stdio::reader(tokio::io::stdin()));
        }
        let outcome = leave_alone(command.detach(), &arguments.target).await;
        client.close().await;
        return outcome;
    }
    let watched = Watched::begin(client, &arguments.reboot).await?;
    let mut outcome = run_to_its_end(command, pass_stdin).await;
    if let Some(watched) = watched {
        outcome = watched.judge(outcome).await;
    }
    client.close().await;
    outcome
}

/// Prints the id of a task that is left alone, once it is started.
pub(crate) async fn leave_alone(started: impl Future<Output = Result<String, winrm::Error>>, target: &str) -> Result<ExitCode, Failure> {
    let signals = Signals::new()?;
    let id = tokio::select! {
        id = started => id?,
        () = signals.interrupted() => return Ok(Status::Interrupted.into()),
        () = signals.terminated() => return Ok(Status::Terminated.into()),
    };
    printer::line(&id);
    printer::note(&format!("winrm: it runs on its own; `winrm task attach {id} {target}` follows it"));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn command(client: &Client, words: &[String], shell: &ShellArguments) -> Command {
    let (program, arguments) = words
        .split_first()
        .map_or(("", &[][..]), |(program, arguments)| (program.as_str(), arguments));
    let mut command = client.command(program);
    command
        .args(arguments)
        .envs(shell.env.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        .codepage(shell.codepage)
        .no_profile(shell.no_profile)
        .console_mode_stdin(shell.console_stdin)
        .skip_cmd_shell(shell.skip_cmd_shell);
    if let Some(directory) = &shell.directory {
        command.current_dir(directory);
    }
    if let Some(idle_timeout) = shell.idle_timeout {
        command.idle_timeout(idle_timeout);
    }
    command
}

/// What ended the program before the command ended by itself.
pub(crate) enum Cut {
    Interrupted,
    Terminated,
    Output(Uncopied),
}

async fn run_to_its_end(mut command: Command, pass_stdin: bool) -> Result<ExitCode, Failure> {
    let signals = Signals::new()?;
    // Before the command runs there is nothing to signal: Ctrl-C just ends.
    let mut child = tokio::select! {
        child = command.spawn() => child?,
        () = signals.interrupted() => return Ok(Status::Interrupted.into()),
        () = signals.terminated() => return Ok(Status::Terminated.into()),
    };
    if pass_stdin && let Some(stdin) = child.stdin.take() {
        // Reading standard input can't be cancelled: it ends with the program.
        tokio::spawn(feed(stdin));
    }
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // One that fails ends the other: nobody waits for a stream beside a closed one.
    let copies = async { tokio::try_join!(copy(stdout, tokio::io::stdout()), copy(stderr, tokio::io::stderr())) };
    let cut = tokio::select! {
        copied = copies => copied.err().map(Cut::Output),
        cut = interruptions(&signals, &child) => Some(cut),
    };
    match cut {
        None => Ok(exit_code(child.wait().await?.code())),
        Some(Cut::Interrupted) => end(child, Status::Interrupted).await,
        Some(Cut::Terminated) => end(child, Status::Terminated).await,
        Some(Cut::Output(Uncopied::Target(error))) if error.kind() == ErrorKind::BrokenPipe => end(child, Status::BrokenPipe).await,
        Some(Cut::Output(Uncopied::Target(error))) => {
            end(child, Status::Failed).await?;
            Err(Failure::new(Status::Failed, "the command's output can't be written").because(error))
        }
        Some(Cut::Output(Uncopied::Source)) => match child.wait().await {
            Err(trouble) => Err(trouble.into()),
            Ok(status) => Ok(exit_code(status.code())),
        },
    }
}

/// The first Ctrl-C goes to the command, a second one and SIGTERM end the program.
pub(crate) async fn interruptions(signals: &Signals, child: &Child) -> Cut {
    tokio::select! {
        () = signals.terminated() => return Cut::Terminated,
        () = signals.interrupted() => {}
    }
    printer::note("winrm: sent Ctrl-C to the command; again to end here");
    let told = child.signal(Signal::CtrlC);
    tokio::select! {
        // When the host can't be told any more, the first one ends the program too.
        Err(_) = told => Cut::Interrupted,
        () = signals.interrupted() => Cut::Interrupted,
        () = signals.terminated() => Cut::Terminated,
    }
}

/// Ends the command on the host, and the program. Another Ctrl-C doesn't wait for the host.
pub(crate) async fn end(mut child: Child, status: Status) -> Result<ExitCode, Failure> {
    let signals = Signals::new()?;
    tokio::select! {
        outcome = child.kill() => {
            if let Err(error) = outcome {
                printer::warning(&format!("the command may still run on the host: {error}"));
            }
        }
        () = signals.interrupted() => printer::warning("the command may still run on the host"),
    }
    Ok(status.into())
}

pub(crate) fn exit_code(code: Option<u32>) -> ExitCode {
    match code {
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or_else(|_| {
            printer::note(&format!("winrm: the command's exit code is {} (0x{code:08X})", code.cast_signed()));
            u8::MAX
        })),
        None => {
            printer::warning("the host told no exit code");
            Status::Failed.into()
        }
    }
}

pub(crate) async fn feed(mut stdin: ChildStdin) {
    let mut source = tokio::io::stdin();
    let mut buffer = vec![0; PIECE];
    // The command may end without reading its input: that is no error here, as it is none for a pipe in a shell.
    while let Ok(read @ 1..) = source.read(&mut buffer).await {
        if stdin.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    let _ = stdin.shutdown().await;
}

/// What keeps the output from being copied.
pub(crate) enum Uncopied {
    /// The host's trouble: the child knows more about it.
    Source,
    /// Ours.
    Target(std::io::Error),
}

async fn copy(source: Option<impl AsyncRead + Unpin>, mut target: impl AsyncWrite + Unpin) -> Result<(), Uncopied> {
    let Some(mut source) = source else { return Ok(()) };
    let mut buffer = vec![0; PIECE];
    loop {
        let read = source.read(&mut buffer).await.map_err(|_| Uncopied::Source)?;
        if read == 0 {
            return Ok(());
        }
        target.write_all(&buffer[..read]).await.map_err(Uncopied::Target)?;
        // What the command has said is shown at once.
        target.flush().await.map_err(Uncopied::Target)?;
    }
}
