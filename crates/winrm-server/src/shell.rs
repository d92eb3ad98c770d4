//! One shell and the commands in it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use winrm_proto::shell::{CommandRequest, CreateShell};
use winrm_proto::{Instance, Resource, duration, ns};

use crate::command::Command;
use crate::faults::{self, Refusal};
use crate::host::{CommandLine, ShellContext};
use crate::shells::{Shells, canonical, new_id};

pub(crate) struct Shell {
    pub(crate) context: ShellContext,
    pub(crate) idle_timeout: Duration,
    /// The address of the client that opened it.
    pub(crate) client: String,
    opened: Instant,
    pub(crate) input_streams: Vec<String>,
    pub(crate) output_streams: Vec<String>,
    state: Mutex<State>,
}

struct State {
    /// `None` is a command that is being started.
    commands: HashMap<String, Option<Arc<Command>>>,
    closed: bool,
    /// Requests under way.
    visits: u32,
    last_visit: Instant,
    watcher: Option<AbortHandle>,
}

/// A request that works on a shell: as long as it does the shell isn't idle.
pub(crate) struct Visit<'a>(&'a Shell);

impl Shell {
    pub(crate) fn new(id: String, user: &str, client: &str, idle_timeout: Duration, request: CreateShell) -> Self {
        let named = |streams: Vec<String>, all: &[&str]| {
            if streams.is_empty() {
                all.iter().map(|&name| name.to_owned()).collect()
            } else {
                streams
            }
        };
        Self {
            context: ShellContext {
                id,
                user: user.to_owned(),
                environment: request.environment,
                working_directory: request.working_directory.filter(|directory| !directory.is_empty()),
                codepage: request.codepage,
                no_profile: request.no_profile.unwrap_or(false),
            },
            idle_timeout,
            client: client.to_owned(),
            opened: Instant::now(),
            input_streams: named(request.input_streams, &["stdin"]),
            output_streams: named(request.output_streams, &["stdout", "stderr"]),
            state: Mutex::new(State {
                commands: HashMap::new(),
                closed: false,
                visits: 0,
                last_visit: Instant::now(),
                watcher: None,
            }),
        }
    }

    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    pub(crate) fn watched_by(&self, watcher: AbortHandle) {
        self.state().watcher = Some(watcher);
    }

    /// The shell as a resource, [MS-WSMV] 2.2.4.37.
    pub(crate) fn describe(&self) -> Instance {
        let (commands, idle) = {
            let state = self.state();
            let idle = if state.visits == 0 {
                state.last_visit.elapsed()
            } else {
                Duration::ZERO
            };
            let running = state.commands.values().flatten().filter(|command| command.is_running());
            (running.count(), idle)
        };
        let mut shell = Instance::new(ns::SHELL, "Shell")
            .with("ShellId", self.context.id.as_str())
            .with("ResourceUri", ns::SHELL_CMD)
            .with("Owner", self.context.user.as_str())
            .with("ClientIP", self.client.as_str())
            .with("IdleTimeOut", duration::format(self.idle_timeout))
            .with("InputStreams", self.input_streams.join(" "))
            .with("OutputStreams", self.output_streams.join(" "))
            .with("ShellRunTime", days_to_seconds(self.opened.elapsed()))
            .with("ShellInactivity", days_to_seconds(idle))
            .with("State", "Connected")
            .with("ChildProcesses", u32::try_from(commands).unwrap_or(u32::MAX));
        if let Some(directory) = &self.context.working_directory {
            shell.push("WorkingDirectory", directory.as_str());
        }
        shell
    }

    /// The reference to it, in a list.
    pub(crate) fn reference(&self) -> Resource {
        Resource::new(ns::SHELL_CMD).selector("ShellId", self.context.id.as_str())
    }

    pub(crate) fn visit(&self) -> Visit<'_> {
        self.state().visits += 1;
        Visit(self)
    }

    /// Since when no request has worked on the shell; `None` if one does.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.visits == 0).then_some(state.last_visit)
    }

    /// Starts a command and gives its id.
    pub(crate) async fn start(&self, shells: &Shells, request: CommandRequest) -> Result<String, Refusal> {
        let operation = shells.operation(&self.context.user)?;
        let id = match &request.command_id {
            Some(id) => canonical(id).ok_or_else(faults::command_id_invalid)?,
            None => new_id(),
        };
        let place = self.reserve(&id, shells.quotas().max_processes_per_shell)?;
        let line = CommandLine {
            command: request.command,
            arguments: request.arguments,
            console_mode_stdin: request.console_mode_stdin.unwrap_or(true),
            skip_cmd_shell: request.skip_cmd_shell.unwrap_or(false),
        };
        let process = shells.host().start(&self.context, line).await.map_err(|error| {
            tracing::debug!(shell = self.context.id, %error, "command not started");
            faults::not_started(&error)
        })?;
        place.fill(Command::new(id.clone(), process, operation))?;
        tracing::debug!(shell = self.context.id, command = id, "command started");
        Ok(id)
    }

    fn reserve(&self, id: &str, allowed: u32) -> Result<Place<'_>, Refusal> {
        let mut state = self.state();
        if state.closed {
            return Err(faults::no_such_shell());
        }
        if state.commands.contains_key(id) {
            return Err(faults::command_exists());
        }
        let running = state
            .commands
            .values()
            .filter(|command| command.as_ref().is_none_or(|command| command.is_running()))
            .count();
        if running >= allowed as usize {
            return Err(faults::too_many_commands());
        }
        state.commands.insert(id.to_owned(), None);
        Ok(Place {
            shell: self,
            id: id.to_owned(),
        })
    }

    /// The command of this id.
    pub(crate) fn command(&self, id: Option<&str>) -> Result<Arc<Command>, Refusal> {
        let id = id.and_then(canonical).ok_or_else(faults::no_such_command)?;
        let command = self.state().commands.get(&id).cloned().flatten();
        command.ok_or_else(faults::no_such_command)
    }

    /// Forgets a command. What is left of it has to be ended by the caller.
    pub(crate) fn forget(&self, command: &Command) {
        self.state().commands.remove(command.id());
    }

    /// Closes the shell for further commands; each future that is given ends one of those in it.
    pub(crate) fn close(&self) -> Vec<impl Future<Output = ()> + Send + 'static> {
        let mut state = self.state();
        state.closed = true;
        let commands = std::mem::take(&mut state.commands);
        if let Some(watcher) = state.watcher.take() {
            watcher.abort();
        }
        commands.into_values().flatten().map(Command::end).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time as Windows tells it of shells: `P0DT1H2M3S`.
fn days_to_seconds(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("P{days}DT{hours}H{minutes}M{}S", seconds % 60)
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.visits -= 1;
        state.last_visit = Instant::now();
    }
}

/// The place of a command that is being started; it is given up when the start fails or is cancelled.
struct Place<'a> {
    shell: &'a Shell,
    id: String,
}

impl Place<'_> {
    fn fill(self, command: Command) -> Result<(), Refusal> {
        match self.shell.state().commands.get_mut(&self.id) {
            Some(place) => *place = Some(Arc::new(command)),
            // The shell was closed meanwhile; dropping the command ends it.
            None => return Err(faults::no_such_shell()),
        }
        Ok(())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.shell.state();
        if state.commands.get(&self.id).is_some_and(Option::is_none) {
            state.commands.remove(&self.id);
        }
    }
}
