//! The processes of this machine.

use super::{CommandLine, Host, HostError, Process, ShellContext};

/// Runs the commands as processes of this machine.
#[derive(Debug, Clone, Default)]
pub struct LocalHost {
    _private: (),
}

impl LocalHost {
    /// The machine's own shell, `sh`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Host for LocalHost {
    async fn start(&self, _shell: &ShellContext, command: CommandLine) -> Result<Process, HostError> {
        let _ = super::arguments::split(&command.joined());
        Err(HostError::NotFound)
    }
}
