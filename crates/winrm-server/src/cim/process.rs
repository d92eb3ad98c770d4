//! `Win32_Process`: the machine's processes, and those that the service's host has started for somebody.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::task::AbortHandle;
use winrm_proto::instance::Instance;

use super::operating_system::booted;
use super::{CimCaller, CimClass, CimError, date_time, or_nil, printable};
use crate::host::process::Control;
use crate::host::{AnyHost, CommandLine, HostError, Process, ProcessSignal, ShellContext};
use crate::shells::new_id;

/// The processes.
pub(crate) struct Processes {
    host: Arc<dyn AnyHost>,
    machine: String,
    started: Arc<Mutex<BTreeMap<u32, Started>>>,
    next_made_up: AtomicU32,
}

/// A process that was made by Create and is still running.
struct Started {
    command_line: String,
    control: Option<Control>,
    /// Reads its outputs and waits for its end.
    driver: Option<AbortHandle>,
}

/// What `Create` and `Terminate` return, as WMI documents it for the class.
mod returns {
    pub(super) const DONE: u32 = 0;
    pub(super) const ACCESS_DENIED: u32 = 2;
    pub(super) const UNKNOWN_FAILURE: u32 = 8;
    pub(super) const PATH_NOT_FOUND: u32 = 9;
    pub(super) const INVALID_PARAMETER: u32 = 21;
}

/// The first number of processes that are none of the machine's: a host that is a test's own starts those. Divisible by four, as all
/// of Windows' are.
const MADE_UP: u32 = 0x4000_0000;

impl Processes {
    pub(crate) fn new(host: Arc<dyn AnyHost>, machine: &str) -> Self {
        Self {
            host,
            machine: machine.to_owned(),
            started: Arc::default(),
            next_made_up: AtomicU32::new(MADE_UP),
        }
    }

    async fn create(&self, caller: &CimCaller, input: &Instance) -> Result<Instance, CimError> {
        let known = ["CommandLine", "CurrentDirectory", "ProcessStartupInformation"];
        let is_known = |name: &str| known.iter().any(|known| known.eq_ignore_ascii_case(name));
        if !input.properties.iter().all(|(name, _)| is_known(name)) {
            return Err(CimError::Parameters);
        }
        let line = input.text("CommandLine").map(str::trim).filter(|line| !line.is_empty());
        let Some(line) = line else {
            return Ok(returned(returns::INVALID_PARAMETER));
        };
        let shell = ShellContext {
            id: new_id(),
            user: caller.user.clone(),
            working_directory: input.text("CurrentDirectory").filter(|path| !path.is_empty()).map(str::to_owned),
            ..ShellContext::default()
        };
        let command = CommandLine {
            command: line.to_owned(),
            // A program with its arguments, as CreateProcess takes it.
            skip_cmd_shell: true,
            ..CommandLine::default()
        };
        let process = match self.host.start(&shell, command).await {
            Ok(process) => process,
            Err(HostError::NotFound | HostError::Directory) => return Ok(returned(returns::PATH_NOT_FOUND)),
            Err(HostError::AccessDenied) => return Ok(returned(returns::ACCESS_DENIED)),
            Err(error) => {
                tracing::debug!(%error, line, "process not started");
                return Ok(returned(returns::UNKNOWN_FAILURE));
            }
        };
        let id = process.id;
        let id = id.unwrap_or_else(|| self.next_made_up.fetch_add(4, Ordering::Relaxed));
        self.keep(id, line, process);
        tracing::info!(user = caller.user, process = id, "process created");
        Ok(returned(returns::DONE).with("ProcessId", id))
    }

    /// Keeps a process until it ends; what it writes goes nowhere.
    fn keep(&self, id: u32, line: &str, process: Process) {
        let Process {
            stdin,
            stdout,
            stderr,
            exit,
            control,
            ..
        } = process;
        drop(stdin);
        let started = Started {
            command_line: line.to_owned(),
            control,
            driver: None,
        };
        self.started().insert(id, started);
        let all = self.started.clone();
        let driver = tokio::spawn(async move {
            tokio::join!(drain(stdout), drain(stderr), exit);
            lock(&all).remove(&id);
        });
        // It may have ended already.
        if let Some(started) = self.started().get_mut(&id) {
            started.driver = Some(driver.abort_handle());
        }
    }

    fn terminate(&self, instance: Option<&Instance>) -> Result<Instance, CimError> {
        let handle = instance.and_then(|instance| instance.text("Handle"));
        let id: u32 = handle.and_then(|handle| handle.parse().ok()).ok_or(CimError::Parameters)?;
        if let Some(mut started) = self.started().remove(&id) {
            started.end();
            return Ok(returned(returns::DONE));
        }
        // Neither the first process of all nor the service itself.
        let pid = i32::try_from(id).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|pid| *pid != rustix::process::getpid()) else {
            return Ok(returned(returns::ACCESS_DENIED));
        };
        Ok(returned(match rustix::process::kill_process(pid, Signal::KILL) {
            Ok(()) => returns::DONE,
            Err(rustix::io::Errno::PERM) => returns::ACCESS_DENIED,
            Err(_) => returns::UNKNOWN_FAILURE,
        }))
    }

    fn started(&self) -> MutexGuard<'_, BTreeMap<u32, Started>> {
        lock(&self.started)
    }
}

impl CimClass for Processes {
    fn name(&self) -> &str {
        "Win32_Process"
    }

    fn keys(&self) -> &[&str] {
        &["Handle"]
    }

    async fn instances(&self, _caller: &CimCaller) -> Result<Vec<Instance>, CimError> {
        let machine = self.machine.clone();
        let listed = tokio::task::spawn_blocking(move || of_machine(&machine)).await;
        let mut instances = listed.map_err(|error| CimError::Failed {
            // WBEM_E_FAILED
            code: 0x8004_1001,
            message: error.to_string(),
        })?;
        let made_up = self.started();
        for (id, started) in made_up.range(MADE_UP..) {
            let name = started.command_line.split_whitespace().next().unwrap_or_default();
            instances.push(
                common(&self.machine, *id, name)
                    .with("CommandLine", printable(&started.command_line))
                    .with("ExecutablePath", or_nil(None::<&str>)),
            );
        }
        Ok(instances)
    }

    async fn invoke(&self, caller: &CimCaller, instance: Option<&Instance>, method: &str, input: &Instance) -> Result<Instance, CimError> {
        match method.to_ascii_lowercase().as_str() {
            "create" => self.create(caller, input).await,
            "terminate" => self.terminate(instance),
            _ => Err(CimError::NoMethod),
        }
    }
}

impl Started {
    fn end(&mut self) {
        if let Some(control) = &mut self.control {
            control(ProcessSignal::Kill);
        }
        // Dropping the process ends what its control can't.
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for started in self.started().values_mut() {
            started.end();
        }
    }
}

fn lock(started: &Mutex<BTreeMap<u32, Started>>) -> MutexGuard<'_, BTreeMap<u32, Started>> {
    started.lock().unwrap_or_else(PoisonError::into_inner)
}

fn returned(value: u32) -> Instance {
    Instance::default().with("ReturnValue", value)
}

async fn drain(mut output: impl AsyncRead + Unpin) {
    let mut buffer = [0; 4_096];
    while matches!(output.read(&mut buffer).await, Ok(count) if count > 0) {}
}

/// What `/proc` says of all processes; nothing where there is no `/proc`.
fn of_machine(machine: &str) -> Vec<Instance> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let booted = std::fs::read_to_string("/proc/stat").ok().and_then(|stat| booted(&stat));
    let mut ids: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    ids.sort_unstable();
    // One that has ended meanwhile is left out.
    ids.into_iter().filter_map(|id| of_process(machine, id, booted)).collect()
}

/// Units of time in `/proc`, a second has so many.
const TICKS: u64 = 100;

fn of_process(machine: &str, id: u32, booted: Option<u64>) -> Option<Instance> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (name, fields) = parse_stat(&stat)?;
    let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<u64>().ok());
    let command = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command);
    let command = command.trim_end_matches('\0').replace('\0', " ");
    let program = std::fs::read_link(format!("/proc/{id}/exe")).ok();
    let hundred_nanoseconds = |ticks: Option<u64>| or_nil(ticks.map(|ticks| ticks * (10_000_000 / TICKS)));
    let created = booted.zip(field(22)).map(|(booted, ticks)| date_time(booted + ticks / TICKS));
    Some(
        common(machine, id, name)
            .with(
                "CommandLine",
                or_nil(Some(printable(&command)).filter(|command| !command.is_empty())),
            )
            .with("CreationDate", or_nil(created))
            .with("ExecutablePath", or_nil(program.map(|path| printable(&path.to_string_lossy()))))
            .with("KernelModeTime", hundred_nanoseconds(field(15)))
            .with("ParentProcessId", or_nil(field(4)))
            .with("SessionId", or_nil(field(6)))
            .with("ThreadCount", or_nil(field(20)))
            .with("UserModeTime", hundred_nanoseconds(field(14)))
            .with("VirtualSize", or_nil(field(23)))
            // Counted in pages.
            .with("WorkingSetSize", or_nil(field(24).map(|pages| pages * 4_096))),
    )
}

fn common(machine: &str, id: u32, name: &str) -> Instance {
    let name = printable(name);
    Instance::default()
        .with("Caption", name.as_str())
        .with("CreationClassName", "Win32_Process")
        .with("CSCreationClassName", "Win32_ComputerSystem")
        .with("CSName", machine)
        .with("Description", name.as_str())
        .with("Handle", id.to_string())
        .with("Name", name)
        .with("ProcessId", id)
}

/// The name, and the fields behind it from the third on. The name stands in parentheses and may hold some itself.
fn parse_stat(stat: &str) -> Option<(&str, Vec<&str>)> {
    let (before, behind) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    Some((name, behind.split_whitespace().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_parentheses_and_spaces() {
        let (name, fields) = parse_stat("7 (a) b (c)) S 1 7 7 0").unwrap();
        assert_eq!((name, fields[0], fields[1]), ("a) b (c)", "S", "1"));
        assert!(parse_stat("7").is_none());
    }
}
