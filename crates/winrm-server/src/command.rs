//! One running command: its input, its output, its end.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use winrm_proto::shell::{CommandState, ReceiveResponse, State, StreamData};

use crate::faults::{self, Refusal};
use crate::host::{Process, ProcessSignal, process};
use crate::shells::Operation;

pub(crate) struct Command {
    id: String,
    /// One request's input may wait here while the one before is written: the next has to wait for its place.
    stdin: mpsc::Sender<Input>,
    output: tokio::sync::Mutex<Outputs>,
    exit: watch::Receiver<Option<u32>>,
    control: Mutex<Option<process::Control>>,
    /// Says true when the command is ended from outside.
    ended: watch::Sender<bool>,
    driver: AbortHandle,
    _operation: Operation,
}

/// What one Send brings.
pub(crate) struct Input {
    pub(crate) data: Vec<Bytes>,
    /// Whether the input ends with it.
    pub(crate) end: bool,
}

/// How long output is gathered after its first piece: long enough for a short command's end to come along, too short to be noticed.
const GATHER: Duration = Duration::from_millis(2);

/// The same for a command's first output: PowerShell takes 20 to 30 ms from its last word to its end, and a short script's only output
/// comes along with that end. Once in a command's life, it is not noticed either.
const FIRST_GATHER: Duration = Duration::from_millis(40);

/// How long a command and what it started may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// The first read of an answer; those after it are larger.
const FIRST_READ: usize = 64 * 1_024;

impl Command {
    pub(crate) fn new(id: String, process: Process, operation: Operation) -> Self {
        let (stdin, input) = mpsc::channel(1);
        let (exited, exit) = watch::channel(None);
        let Process {
            stdin: sink,
            stdout,
            stderr,
            exit: code,
            control,
            ..
        } = process;
        let driver = tokio::spawn(async move {
            let wait = async move { exited.send_replace(Some(code.await)) };
            tokio::join!(write_input(input, sink), wait);
        });
        Self {
            id,
            stdin,
            output: tokio::sync::Mutex::new(Outputs {
                stdout: Outlet::new("stdout", stdout),
                stderr: Outlet::new("stderr", stderr),
                stderr_first: false,
                told: false,
            }),
            exit,
            control: Mutex::new(control),
            ended: watch::Sender::new(false),
            driver: driver.abort_handle(),
            _operation: operation,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Passes input on. It is taken as a whole or, at the deadline, not at all.
    pub(crate) async fn send(&self, input: Input, deadline: Instant) -> Result<(), Refusal> {
        if input.data.iter().all(Bytes::is_empty) && !input.end {
            return Ok(());
        }
        let mut ended = self.ended.subscribe();
        tokio::select! {
            place = self.stdin.reserve() => place.map_err(|_| faults::input_closed())?.send(input),
            _ = ended.wait_for(|ended| *ended) => return Err(faults::aborted()),
            () = sleep_until(deadline) => return Err(faults::timed_out()),
        }
        Ok(())
    }

    /// Waits for output of the streams asked for, at most `room` bytes of it, or for the command's end.
    pub(crate) async fn receive(&self, wanted: Wanted, room: usize, deadline: Instant) -> Result<ReceiveResponse, Refusal> {
        let mut ended = self.ended.subscribe();
        let answer = async {
            // Two Receives at once take turns.
            let Ok(mut outputs) = timeout_at(deadline, self.output.lock()).await else {
                return Err(faults::timed_out());
            };
            self.gather(&mut outputs, wanted, room, deadline).await?;
            Ok(self.take(&mut outputs, wanted))
        };
        tokio::select! {
            answer = answer => answer,
            _ = ended.wait_for(|ended| *ended) => Err(faults::aborted()),
        }
    }

    async fn gather(&self, outputs: &mut Outputs, wanted: Wanted, room: usize, deadline: Instant) -> Result<(), Refusal> {
        let mut exit = self.exit.clone();
        let mut until = deadline;
        loop {
            let complete = outputs.over(wanted) && exit.borrow().is_some();
            if complete || outputs.held() >= room {
                return Ok(());
            }
            let over = outputs.over(wanted);
            tokio::select! {
                () = poll_fn(|cx| outputs.poll_fill(wanted, room, cx)), if !over => {}
                // The driver lives as long as the command.
                _ = exit.wait_for(Option::is_some), if over => {}
                () = sleep_until(until) => {
                    return if outputs.have_news(wanted) { Ok(()) } else { Err(faults::timed_out()) };
                }
            }
            if until == deadline && outputs.have_news(wanted) {
                let gather = if std::mem::replace(&mut outputs.told, true) {
                    GATHER
                } else {
                    FIRST_GATHER
                };
                until = deadline.min(Instant::now() + gather);
            }
        }
    }

    fn take(&self, outputs: &mut Outputs, wanted: Wanted) -> ReceiveResponse {
        let mut streams = Vec::new();
        for outlet in outputs.wanted(wanted) {
            let mut piece = |data: Bytes, end: bool| {
                streams.push(StreamData {
                    name: outlet.name.to_owned(),
                    command_id: Some(self.id.clone()),
                    data,
                    end,
                });
            };
            if !outlet.held.is_empty() {
                piece(outlet.held.split().freeze(), false);
            }
            if outlet.source.is_none() && !outlet.end_told {
                outlet.end_told = true;
                piece(Bytes::new(), true);
            }
        }
        let exit_code = *self.exit.borrow();
        let exit_code = exit_code.filter(|_| outputs.over(wanted));
        ReceiveResponse {
            streams,
            state: Some(CommandState {
                command_id: Some(self.id.clone()),
                state: if exit_code.is_some() { State::Done } else { State::Running },
                exit_code,
            }),
        }
    }

    /// Passes a signal on.
    pub(crate) fn tell(&self, signal: ProcessSignal) {
        if let Some(control) = &mut *self.control.lock().unwrap_or_else(PoisonError::into_inner) {
            control(signal);
        }
    }

    /// Ends the command and all that it started: first it is asked, then it is killed. Requests that wait for it are answered at once.
    pub(crate) fn end(self: Arc<Self>) -> impl Future<Output = ()> + Send + 'static {
        self.ended.send_replace(true);
        async move {
            if self.is_running() {
                self.tell(ProcessSignal::Terminate);
                let mut exit = self.exit.clone();
                // Either it ends or the grace does; both go on the same way.
                let _ = timeout(GRACE, exit.wait_for(Option::is_some)).await;
            }
            self.tell(ProcessSignal::Kill);
        }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Writes what arrives into the command's input until it ends or the command closes it; then further input is refused.
async fn write_input(mut input: mpsc::Receiver<Input>, sink: Option<process::Input>) {
    let Some(mut sink) = sink else { return };
    while let Some(Input { data, end }) = input.recv().await {
        for piece in data {
            if let Err(error) = sink.write_all(&piece).await {
                tracing::debug!(%error, "the command takes no more input");
                return;
            }
        }
        let finished = if end { sink.shutdown().await } else { sink.flush().await };
        if end || finished.is_err() {
            return;
        }
    }
}

/// The streams that a Receive asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

struct Outputs {
    stdout: Outlet,
    stderr: Outlet,
    /// Whose turn it is to be read first, so that neither fills all answers.
    stderr_first: bool,
    /// Whether the first output has been gathered.
    told: bool,
}

struct Outlet {
    name: &'static str,
    /// `None` at its end.
    source: Option<process::Output>,
    end_told: bool,
    /// Read and not sent yet.
    held: BytesMut,
}

impl Outputs {
    fn wanted(&mut self, wanted: Wanted) -> impl Iterator<Item = &mut Outlet> {
        let stdout = wanted.stdout.then_some(&mut self.stdout);
        stdout.into_iter().chain(wanted.stderr.then_some(&mut self.stderr))
    }

    fn held(&self) -> usize {
        self.stdout.held.len() + self.stderr.held.len()
    }

    /// Whether all that is wanted has ended.
    fn over(&self, wanted: Wanted) -> bool {
        (!wanted.stdout || self.stdout.source.is_none()) && (!wanted.stderr || self.stderr.source.is_none())
    }

    /// Whether there is something that the client doesn't know yet.
    fn have_news(&mut self, wanted: Wanted) -> bool {
        self.wanted(wanted)
            .any(|outlet| !outlet.held.is_empty() || outlet.source.is_none() && !outlet.end_told)
    }

    /// Reads what is there; pending if nothing is.
    fn poll_fill(&mut self, wanted: Wanted, room: usize, cx: &mut Context<'_>) -> Poll<()> {
        self.stderr_first = !self.stderr_first;
        let order = if self.stderr_first { [true, false] } else { [false, true] };
        let mut progress = false;
        for is_stderr in order {
            let held = self.held();
            let (outlet, is_wanted) = if is_stderr {
                (&mut self.stderr, wanted.stderr)
            } else {
                (&mut self.stdout, wanted.stdout)
            };
            if is_wanted && held < room {
                progress |= outlet.poll_fill(room - held, cx);
            }
        }
        if progress { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Outlet {
    fn new(name: &'static str, source: process::Output) -> Self {
        Self {
            name,
            source: Some(source),
            end_told: false,
            held: BytesMut::new(),
        }
    }

    /// Reads up to `room` bytes; `true` if there were any or the stream has ended now.
    fn poll_fill(&mut self, room: usize, cx: &mut Context<'_>) -> bool {
        let was_over = self.source.is_none();
        let mut left = room;
        let mut size = FIRST_READ;
        while left > 0 {
            let Some(source) = &mut self.source else { break };
            let size_now = size.min(left);
            self.held.reserve(size_now);
            let mut buffer = (&mut self.held).limit(size_now);
            let read = pin!(source.read_buf(&mut buffer)).poll(cx);
            match read {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => self.source = None,
                Poll::Ready(Ok(count)) => {
                    left -= count;
                    if count < size_now {
                        // A short read: there is nothing more right now, most likely.
                        continue;
                    }
                    size = room;
                }
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, stream = self.name, "output broke");
                    self.source = None;
                }
            }
        }
        left < room || self.source.is_none() != was_over
    }
}
