//! PowerShell scripts on many hosts: what each says is put into words by whoever listens.

use winrm::{ChildStdout, PowerShellChild, Record, Records};

use super::task::Progress;

use super::result::Trouble;

/// Listens to the script of one host, and says what is kept of it.
pub trait Listener: Send {
    /// Whether standard output is to be objects: CLIXML, as [`winrm::PowerShell::spawn_objects`] gives it.
    fn takes_objects(&self) -> bool {
        false
    }

    /// Takes bytes of standard output, as they come.
    fn output(&mut self, bytes: &[u8], kept: &mut Kept);

    /// Takes something that was said beside it.
    fn record(&mut self, record: Record, kept: &mut Kept);

    /// No more comes, whatever the reason.
    fn end(&mut self, kept: &mut Kept) {
        let _ = kept;
    }

    /// What is known of why the script did not do what was asked. `success` is whether the exit code means success; with a trouble,
    /// the host has failed all the same.
    fn explain(&self, exit_code: Option<u32>, success: bool) -> Option<Trouble> {
        let _ = (exit_code, success);
        None
    }
}

/// What is added to a host's [`HostResult::stdout`](super::HostResult::stdout) and [`HostResult::stderr`](super::HostResult::stderr).
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Kept {
    /// For standard output.
    pub stdout: Vec<u8>,
    /// For standard error.
    pub stderr: Vec<u8>,
}

/// A script that runs, and who listens to it.
pub(super) struct Script {
    stdout: Option<ChildStdout>,
    records: Option<Records>,
    pub(super) listener: Box<dyn Listener>,
    /// Bytes of standard output so far: objects are longer on their way than when they are kept.
    heard: u64,
    kept: Kept,
}

impl Script {
    pub(super) fn new(child: &mut PowerShellChild, listener: Box<dyn Listener>) -> Self {
        Self {
            stdout: child.stdout.take(),
            records: child.records.take(),
            listener,
            heard: 0,
            kept: Kept::default(),
        }
    }

    /// Listens until both streams have ended. Why they ended, the child tells.
    pub(super) async fn take(&mut self, limit: u64, progress: &mut Progress) -> Result<(), Trouble> {
        loop {
            tokio::select! {
                chunk = async { self.stdout.as_mut()?.chunk().await.unwrap_or_default() }, if self.stdout.is_some() => match chunk {
                    None => self.stdout = None,
                    Some(bytes) => {
                        self.heard += bytes.len() as u64;
                        self.listener.output(&bytes, &mut self.kept);
                    }
                },
                record = async { self.records.as_mut()?.next().await.unwrap_or_default() }, if self.records.is_some() => match record {
                    None => self.records = None,
                    Some(record) => self.listener.record(record, &mut self.kept),
                },
                else => return Ok(()),
            }
            self.keep(progress)?;
            progress.within(limit, self.heard)?;
        }
    }

    /// Keeps what the listener has to say at the end.
    pub(super) fn end(&mut self, progress: &mut Progress) -> Result<(), Trouble> {
        self.listener.end(&mut self.kept);
        self.keep(progress)
    }

    fn keep(&mut self, progress: &mut Progress) -> Result<(), Trouble> {
        let Kept { stdout, stderr } = std::mem::take(&mut self.kept);
        let kept = progress.keep_stdout(&stdout).and_then(|()| progress.keep_stderr(&stderr));
        if kept.is_err() && self.listener.takes_objects() {
            // The first part of a list is no list.
            progress.stdout = super::Captured::default();
        }
        kept
    }
}
