//! Runs a command: starts it, feeds it, takes its output, and sees to it that nothing is left on the host.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use winrm_proto::shell::{CommandRequest, State};

use crate::child::{Child, ChildHandle, End, ExitStatus, Output, Signal};
use crate::command::Place;
use crate::error::{Error, ErrorKind, MayHaveRun};
use crate::feed::Feed;
use crate::launch::{Launch, Opening};
use crate::run_as::{RunAs, Turn};
use crate::session::{Session, new_id};
use crate::shell::{ShellCore, ShellOptions};
use crate::stdio::Source;
use crate::streams::{Broken, ChildStderr, ChildStdin, ChildStdout, Failure, inlet, pipe};
use crate::task::Order;

/// How long a command has between Ctrl-C and its end, when its deadline has passed.
const GRACE: Duration = Duration::from_millis(400);

/// How long the end of a command is waited for before it goes on in the background.
const ENDING: Duration = Duration::from_secs(2);

/// Everything needed to run one command.
pub(crate) struct Plan {
    pub(crate) place: Place,
    pub(crate) options: ShellOptions,
    pub(crate) request: CommandRequest,
    pub(crate) stdin: Source,
    /// What standard input begins with.
    pub(crate) prefix: Option<Bytes>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) delete_in_background: bool,
    pub(crate) run_as: Option<RunAs>,
    /// For a command that runs as a scheduled task.
    pub(crate) task: Option<Order>,
}

impl Plan {
    /// What is sent instead, where a script of ours starts the command.
    fn launch(&mut self) -> Result<Option<Launch>, Error> {
        let account = self.run_as.take();
        let launch = match (self.task.take(), account) {
            (Some(order), account) => order.launch(self, account)?,
            (None, Some(account)) => account.launch(self)?,
            (None, None) => return Ok(None),
        };
        launch.put_in_front(self);
        let mut prefix = BytesMut::from(launch.prefix.expose());
        prefix.extend_from_slice(&self.prefix.take().unwrap_or_default());
        self.prefix = Some(prefix.freeze());
        Ok(Some(launch))
    }

    /// Takes what is to be fed, and how it is fed.
    fn feed(&mut self) -> (Feed, Option<ChildStdin>) {
        let (feed, stdin) = match std::mem::replace(&mut self.stdin, Source::Null) {
            Source::Piped => {
                let (ours, theirs) = inlet();
                (Feed::pieces(theirs), Some(ours))
            }
            source => (Feed::unattended(source), None),
        };
        match self.prefix.take() {
            Some(prefix) => (feed.behind(prefix), stdin),
            None => (feed, stdin),
        }
    }
}

pub(crate) async fn output(plan: Plan) -> Result<Output, Error> {
    let (started, feed) = start_unattended(plan).await?;
    let mut sink = Sink::new(Target::Collect {
        stdout: Vec::new(),
        stderr: Vec::new(),
    });
    let status = run(started, feed, &mut sink).await?;
    let (stdout, stderr) = match sink.target {
        Target::Collect { stdout, stderr } => (stdout, stderr),
        Target::Discard | Target::Pipes { .. } => (Vec::new(), Vec::new()),
    };
    Ok(Output {
        exit_code: status.code,
        stdout,
        stderr,
    })
}

pub(crate) async fn status(plan: Plan) -> Result<ExitStatus, Error> {
    let (started, feed) = start_unattended(plan).await?;
    run(started, feed, &mut Sink::new(Target::Discard)).await
}

/// Starts a command whose input nobody writes by hand.
async fn start_unattended(mut plan: Plan) -> Result<(Started, Feed), Error> {
    if matches!(plan.stdin, Source::Piped) {
        plan.stdin = Source::Null;
    }
    let launch = plan.launch()?;
    let (feed, _) = plan.feed();
    Ok((start(plan, launch).await?, feed))
}

pub(crate) async fn spawn(mut plan: Plan) -> Result<Child, Error> {
    let launch = plan.launch()?;
    let (feed, stdin) = plan.feed();
    let started = start(plan, launch).await?;
    let session = Arc::clone(started.running.session());
    let handle = ChildHandle {
        session: Arc::clone(&session),
        shell_id: started.running.shell.id.clone(),
        command_id: started.running.id.clone(),
    };
    let failure = Failure::default();
    let (stdout, stdout_reader) = pipe(&failure);
    let (stderr, stderr_reader) = pipe(&failure);
    let (report, result) = oneshot::channel();
    let (abandon, abandoned) = oneshot::channel();
    let (begun, mut began) = oneshot::channel();
    let waits = started.opening.is_some();
    tokio::spawn(async move {
        let mut sink = Sink::new(Target::Pipes { stdout, stderr });
        sink.begun = Some(begun);
        let mut pending = None;
        let outcome = tokio::select! {
            outcome = run(started, feed, &mut sink) => outcome,
            // Never an error: the sender is dropped only after it has sent.
            dropped = abandoned => {
                pending = dropped.ok();
                Err(Error::new(ErrorKind::Closed, "the command was dropped before its end").at_least(MayHaveRun::Yes))
            }
        };
        if let Err(error) = &outcome {
            let kind = if error.is_timeout() {
                io::ErrorKind::TimedOut
            } else {
                io::ErrorKind::BrokenPipe
            };
            // Set once, here.
            let _ = failure.set(Broken {
                kind,
                message: error.to_string(),
            });
        }
        drop(sink);
        // Nobody listens when the child was dropped.
        let _ = report.send(outcome);
        drop(pending);
    });
    let mut child = Child {
        stdin,
        stdout: Some(ChildStdout(stdout_reader)),
        stderr: Some(ChildStderr(stderr_reader)),
        handle,
        end: End {
            result,
            known: None,
            abandon: Some(abandon),
            cleanups: session.cleanups().clone(),
        },
    };
    // The command is started when the script says so. Dropped meanwhile, the child ends it.
    if waits && (&mut began).await.is_err() {
        let ended = child.wait().await;
        ended?;
    }
    Ok(child)
}

/// A command on the host. Dropped before its end, it is ended there in the background.
struct Running {
    shell: Arc<ShellCore>,
    id: String,
    /// The shell is for this command alone: removing it ends the command, and no signal is needed.
    own_shell: bool,
    delete_in_background: bool,
    runtime: Handle,
    /// The host has nothing of it any more.
    forgotten: bool,
}

impl Running {
    fn session(&self) -> &Arc<Session> {
        &self.shell.session
    }

    /// After the command's end: gives back what it held on the host.
    async fn ended(mut self) {
        if !self.own_shell {
            // Without it, the host counts the command among those of the shell. Nobody needs to wait for that.
            return;
        }
        self.forgotten = true;
        if !self.delete_in_background
            && let Err(error) = self.shell.close().await
        {
            tracing::debug!(shell = %self.shell.id, error = %error, "shell not removed");
        }
    }

    /// Ends the command, and waits a little for that.
    async fn end(mut self) {
        self.forgotten = true;
        let (shell, id, own_shell) = (Arc::clone(&self.shell), self.id.clone(), self.own_shell);
        let ending = self.session().cleanups().spawn(&self.runtime, async move {
            let result = if own_shell {
                shell.close().await
            } else {
                shell.session.signal(&shell.id, &id, Signal::Terminate).await
            };
            if let Err(error) = result {
                tracing::debug!(command = %id, error = %error, "command not ended");
            }
        });
        // It goes on in the background when the time has passed.
        let _ = tokio::time::timeout(ENDING, ending).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.forgotten || self.own_shell {
            return;
        }
        let (session, shell_id, id) = (Arc::clone(self.session()), self.shell.id.clone(), std::mem::take(&mut self.id));
        // The shell is held, so that it is not removed first.
        let shell = Arc::clone(&self.shell);
        session.clone().cleanups().spawn(&self.runtime, async move {
            if let Err(error) = session.signal(&shell_id, &id, Signal::Terminate).await {
                tracing::debug!(command = %id, error = %error, "command not released");
            }
            drop(shell);
        });
    }
}

/// A command that the host has started, or a script that is to start one.
struct Started {
    running: Running,
    opening: Option<Opening>,
    deadline: Option<Instant>,
}

async fn start(plan: Plan, launch: Option<Launch>) -> Result<Started, Error> {
    let deadline = plan.timeout.map(|timeout| (Instant::now() + timeout, timeout));
    let Some((at, timeout)) = deadline else {
        return started(plan, launch, &AtomicBool::new(true)).await;
    };
    let absent = AtomicBool::new(true);
    match tokio::time::timeout_at(at, started(plan, launch, &absent)).await {
        Ok(started) => started.map(|started| Started {
            deadline: Some(at),
            ..started
        }),
        // What was begun is undone by the guards.
        Err(_) if absent.into_inner() => Err(missed(Some(timeout))),
        Err(_) => Err(missed(Some(timeout)).at_least(MayHaveRun::Unknown)),
    }
}

fn missed(timeout: Option<Duration>) -> Error {
    let message = match timeout {
        Some(timeout) => format!("the command was not started within its deadline of {timeout:?}"),
        None => "the command's deadline has passed; it was ended on the host".to_owned(),
    };
    Error::new(ErrorKind::Deadline, message).with_hint("give it more time, or find out what it waits for")
}

/// `absent` becomes false as soon as the command may run.
async fn started(plan: Plan, launch: Option<Launch>, absent: &AtomicBool) -> Result<Started, Error> {
    let mut lost: Option<Arc<ShellCore>> = None;
    let mut turn: Option<Turn> = None;
    loop {
        let shell = match (&plan.place, &lost) {
            (Place::Own(client), _) => ShellCore::open(client.session(), &plan.options).await?,
            (Place::Kept(shell), None) => shell.current(),
            (Place::Kept(shell), Some(lost)) => shell.replace(lost).await?,
        };
        let mut running = Running {
            id: new_id(),
            own_shell: matches!(plan.place, Place::Own(_)),
            delete_in_background: plan.delete_in_background,
            runtime: Handle::current(),
            forgotten: false,
            shell,
        };
        if let (Some(launch), None) = (&launch, &turn) {
            turn = match launch.turn().await {
                Ok(turn) => Some(turn),
                Err(error) => {
                    running.forgotten = true;
                    return Err(error);
                }
            };
        }
        let mut request = plan.request.clone();
        request.shell_id.clone_from(&running.shell.id);
        request.command_id = Some(running.id.clone());
        match running.session().command(&request, absent).await {
            Ok(id) => {
                tracing::debug!(shell = %running.shell.id, command = %id, "command started");
                running.id = id;
                return Ok(Started {
                    running,
                    opening: launch.zip(turn).map(|(launch, turn)| launch.opening(turn)),
                    deadline: None,
                });
            }
            Err(error) => {
                running.forgotten = error.may_have_run() == MayHaveRun::No;
                // A refusal by the shell itself: the command has not run, and another shell may take it. Once.
                if lost.is_some() || !error.as_fault().is_some_and(crate::operations::is_shell_lost) {
                    return Err(error);
                }
                tracing::info!(shell = %running.shell.id, error = %error, "shell lost, opening another");
                lost = Some(Arc::clone(&running.shell));
            }
        }
    }
}

async fn run(started: Started, feed: Feed, sink: &mut Sink) -> Result<ExitStatus, Error> {
    let Started {
        running,
        opening,
        deadline,
    } = started;
    sink.opening = opening;
    let session = Arc::clone(running.session());
    let (shell_id, id) = (running.shell.id.as_str(), running.id.as_str());
    let outcome = {
        let mut receive = pin!(receive(&session, shell_id, id, sink));
        let mut feed = pin!(feed.send_all(&session, shell_id, id));
        let mut fed = false;
        let far = Instant::now() + Duration::from_secs(60 * 60 * 24 * 365 * 10);
        let mut at_deadline = pin!(tokio::time::sleep_until(deadline.unwrap_or(far)));
        loop {
            tokio::select! {
                biased;
                outcome = &mut receive => break outcome,
                result = &mut feed, if !fed => match result {
                    Ok(()) => fed = true,
                    Err(error) => break Err(error),
                },
                () = &mut at_deadline, if deadline.is_some() => {
                    let interrupt = async {
                        // Output goes on meanwhile; whether the signal arrives doesn't change what follows.
                        let _ = session.signal(shell_id, id, Signal::CtrlC).await;
                        std::future::pending::<()>().await;
                    };
                    tokio::select! {
                        biased;
                        _ = &mut receive => {}
                        () = interrupt => {}
                        () = tokio::time::sleep(GRACE) => {}
                    }
                    break Err(missed(None));
                }
            }
        }
    };
    match outcome {
        Ok(code) => {
            running.ended().await;
            Ok(ExitStatus { code })
        }
        Err(error) => {
            running.end().await;
            // A script that says so has not started the command.
            Err(if error.kind() == ErrorKind::RunAs {
                error
            } else {
                error.at_least(MayHaveRun::Yes)
            })
        }
    }
}

/// Takes output until the command has ended, and gives its exit code.
async fn receive(session: &Session, shell_id: &str, id: &str, sink: &mut Sink) -> Result<Option<u32>, Error> {
    loop {
        let Some(answer) = session.receive(shell_id, id).await? else {
            continue;
        };
        for piece in answer.streams {
            if !piece.data.is_empty() {
                sink.put(&piece.name, piece.data).await?;
            }
        }
        if let Some(state) = answer.state
            && state.state == State::Done
        {
            if let Some(opening) = &sink.opening {
                return Err(opening.ended(state.exit_code));
            }
            return Ok(state.exit_code);
        }
    }
}

/// Takes output.
struct Sink {
    target: Target,
    /// As long as a script of ours has not said that the command runs.
    opening: Option<Opening>,
    /// Told when it runs.
    begun: Option<oneshot::Sender<()>>,
}

/// Where output goes.
enum Target {
    Discard,
    Collect {
        stdout: Vec<u8>,
        stderr: Vec<u8>,
    },
    Pipes {
        stdout: mpsc::Sender<Bytes>,
        stderr: mpsc::Sender<Bytes>,
    },
}

impl Sink {
    fn new(target: Target) -> Self {
        Self {
            target,
            opening: None,
            begun: None,
        }
    }

    async fn put(&mut self, name: &str, data: Bytes) -> Result<(), Error> {
        let Some(opening) = &mut self.opening else {
            self.target.put(name, data).await;
            return Ok(());
        };
        if name != "stdout" {
            opening.stderr(&data);
        } else if let Some(rest) = opening.stdout(&data)? {
            self.opening = None;
            if let Some(begun) = self.begun.take() {
                // Nobody waits where the child was dropped.
                let _ = begun.send(());
            }
            if !rest.is_empty() {
                self.target.put(name, rest).await;
            }
        }
        Ok(())
    }
}

impl Target {
    async fn put(&mut self, name: &str, data: Bytes) {
        match (self, name) {
            (Self::Collect { stdout, .. }, "stdout") => stdout.extend_from_slice(&data),
            (Self::Collect { stderr, .. }, "stderr") => stderr.extend_from_slice(&data),
            // Fails when the reader was dropped: nobody wants it.
            (Self::Pipes { stdout, .. }, "stdout") => drop(stdout.send(data).await),
            (Self::Pipes { stderr, .. }, "stderr") => drop(stderr.send(data).await),
            _ => {}
        }
    }
}
