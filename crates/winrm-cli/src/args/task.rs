//! The arguments of `task`.

use clap::{Args, Subcommand};

use super::{ConnectionArguments, Format};

/// Look after commands that run by scheduled tasks of their own: those of `winrm run --task --detach`
///
/// They are kept on the host, with their output, until they are removed. Only administrators of the host see them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm run web1 --task --detach --become SYSTEM -- backup.cmd     # prints the id, 5f3c09d2ab41
  winrm task list web1
  winrm task attach 5f3c09d2ab41 web1     # its output from the beginning, then as it comes; the exit status is the command's
  winrm task stop 5f3c09d2ab41 web1
  winrm task remove 5f3c09d2ab41 web1     # with its output; --force ends it first")]
pub(crate) struct TaskArguments {
    #[command(subcommand)]
    pub(crate) verb: TaskVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskVerb {
    /// List the commands that were left alone on a host: id, how each stands, when it was started, as whom, and its first word
    List {
        /// The list's format
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
        /// The host: [USER@]HOST[:PORT] or a URL
        #[arg(value_name = "TARGET")]
        target: String,
        #[command(flatten)]
        connection: Box<ConnectionArguments>,
    },
    /// Follow one's output, from the beginning; the exit status is the command's. Ctrl-C leaves it running
    Attach(Box<TaskTarget>),
    /// End one, and everything that it has started
    Stop(Box<TaskTarget>),
    /// Remove one that has ended, with its output
    Remove {
        /// End it first where it still runs
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        task: Box<TaskTarget>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TaskTarget {
    /// The task's id, as `winrm run --task --detach` and `winrm task list` print it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}
