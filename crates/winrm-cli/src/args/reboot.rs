//! The arguments of `reboot`, and those of commands that may restart their host.

use std::time::Duration;

use clap::Args;

use super::{ConnectionArguments, InventoryArguments, seconds};

/// Restart a host, or many, and wait until they are up again
///
/// That a host has restarted is known by when it was started, not by its port: a service that was restarted, or a connection that was
/// lost, is no restart. With --wait a host counts as back when it runs commands again, and stays up for a while: one that goes down a
/// second time, as updates may make it, is waited for again.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  winrm reboot -u alice --wait web1
  winrm reboot -u alice --wait --timeout 1800 --message 'Patches of May' web1
  winrm reboot -i prod.yml --wait --forks 2 'web*'       # two at a time

Exit status: 0 when the restart was asked for, with --wait when the host is back.
  1    usage or configuration
  2    the host has refused
  4    the host can't be reached, doesn't let us in, or has not come back
  124  it still answers when the time is over: it has not restarted, or runs no commands yet
On many hosts: 0 when all went well, 4 when one was unreachable or has not come back, else 2.")]
pub(crate) struct RebootArguments {
    /// Wait until the host has restarted and runs commands again
    #[arg(long, help_heading = "Restart")]
    pub(crate) wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "600", requires = "wait", help_heading = "Restart")]
    pub(crate) timeout: Duration,
    /// How long the host has to stay up before it counts as back
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10", requires = "wait", help_heading = "Restart")]
    pub(crate) settle: Duration,
    /// What the host's users and its event log are told
    #[arg(short, long, value_name = "TEXT", help_heading = "Restart")]
    pub(crate) message: Option<String>,
    /// How many hosts to restart at once
    #[arg(short, long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..), help_heading = "Restart")]
    pub(crate) forks: u16,
    /// The host: [USER@]HOST[:PORT] or a URL; several with commas. With -i a pattern: names, groups, wildcards, a:b, a:&b, a:!b
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) inventory: InventoryArguments,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// What to do when a command restarts its host.
#[derive(Debug, Clone, Args)]
pub(crate) struct RebootOkArguments {
    /// The command may restart the host: when the connection is lost, wait until the host is up again with a newer boot time, and count
    /// the command as done then (status 0; its own exit code is unknown)
    #[arg(long, conflicts_with = "detach", help_heading = "Restart")]
    pub(crate) reboot_ok: bool,
    /// How long a restart may take with --reboot-ok
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "600", requires = "reboot_ok", help_heading = "Restart")]
    pub(crate) reboot_timeout: Duration,
}
