//! A process group: what one command started, as far as it stayed together.

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, waitid};

use tokio::signal::unix::{SignalKind, signal};

use super::ProcessSignal;

/// The number of the signal that can't be refused.
pub(crate) const SIGKILL: u32 = 9;

/// A process group and its first process, which is reaped only when this is dropped: until then no other process can get the group's
/// number, so that a signal to the group never reaches strangers. Whatever is left of the group is killed then.
#[derive(Debug)]
pub(crate) struct Group {
    pid: Option<Pid>,
    child: Mutex<Child>,
}

impl Group {
    /// `child` has to be the first process of a group of its own.
    pub(crate) fn new(child: Child) -> Self {
        Self {
            pid: Pid::from_raw(child.id().cast_signed()),
            child: Mutex::new(child),
        }
    }

    pub(crate) fn signal(&self, signal: ProcessSignal) {
        let Some(pid) = self.pid else { return };
        let signal = match signal {
            ProcessSignal::Interrupt => Signal::INT,
            ProcessSignal::Break => Signal::QUIT,
            ProcessSignal::Terminate => Signal::TERM,
            ProcessSignal::Kill => Signal::KILL,
        };
        // ESRCH: nobody is left.
        if let Err(error) = kill_process_group(pid, signal) {
            tracing::trace!(%error, "signal not delivered");
        }
    }

    /// Waits until the first process has ended, without reaping it. Its exit code, or 128 and the number of the signal that ended it.
    pub(crate) async fn wait(&self) -> u32 {
        match self.wait_for_exit().await {
            Ok(code) => code,
            Err(error) => {
                tracing::warn!(%error, "the command's exit code is lost");
                u32::MAX
            }
        }
    }

    async fn wait_for_exit(&self) -> io::Result<u32> {
        let pid = self.pid.ok_or_else(|| io::Error::other("a process without a number"))?;
        // Listening begins before the first look, so that no end is missed.
        let mut child_signals = signal(SignalKind::child())?;
        loop {
            if let Some(code) = exit_code(pid)? {
                return Ok(code);
            }
            child_signals.recv().await;
        }
    }
}

fn exit_code(pid: Pid) -> io::Result<Option<u32>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::Pid(pid), options)?;
    Ok(status.as_ref().and_then(code_of))
}

fn code_of(status: &WaitIdStatus) -> Option<u32> {
    let code = status.exit_status();
    let code = code.or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.map(i32::cast_unsigned)
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(ProcessSignal::Kill);
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let reaped: io::Result<Option<ExitStatus>> = child.try_wait();
        if matches!(reaped, Ok(None)) {
            // It was killed this moment and is about to end.
            reap_later(child.id());
        }
    }
}

/// Reaps a killed process from a thread of its own; on an async thread the wait could take too long.
fn reap_later(process: u32) {
    let Some(pid) = Pid::from_raw(process.cast_signed()) else { return };
    let reaper = std::thread::Builder::new().name("reaper".to_owned());
    let spawned = reaper.spawn(move || while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED) {});
    if let Err(error) = spawned {
        tracing::debug!(%error, "a zombie stays until the service ends");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;
    use std::sync::Arc;

    use super::*;

    fn group(script: &str) -> Group {
        Group::new(Command::new("/bin/sh").args(["-c", script]).process_group(0).spawn().unwrap())
    }

    #[tokio::test]
    async fn exit_codes_are_kept_until_the_group_goes() {
        let exits = group("exit 7");
        assert_eq!(exits.wait().await, 7);
        assert_eq!(exits.wait().await, 7, "not reaped yet");
    }

    #[tokio::test]
    async fn a_signal_is_an_exit_code() {
        let killed = Arc::new(group("sleep 60"));
        killed.signal(ProcessSignal::Terminate);
        assert_eq!(killed.wait().await, 128 + 15);
    }

    #[tokio::test]
    async fn what_is_left_goes_with_the_group() {
        let left = group("sleep 60 & exit 0");
        assert_eq!(left.wait().await, 0);
        let pid = left.pid.unwrap();
        assert!(
            rustix::process::test_kill_process_group(pid).is_ok(),
            "the background process is alive"
        );
        drop(left);
        // The killed process is reaped by whoever is its parent now, a moment later.
        while rustix::process::test_kill_process_group(pid).is_ok() {
            tokio::task::yield_now().await;
        }
    }
}
