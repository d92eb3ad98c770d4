//! As whom a command runs on the host.

use std::path::PathBuf;

use clap::Args;

/// As whom the command runs, when not as the connection's account.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Another account")]
pub(crate) struct BecomeArguments {
    /// Run as this account, with a logon of its own and elevated where it can be: NAME, DOMAIN\NAME, NAME@REALM, SYSTEM,
    /// 'NT AUTHORITY\LocalService' or NetworkService
    #[arg(long = "become", value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// Read that account's password from the first line of a file; without this and -K it comes from an inventory's variables or a prompt
    #[arg(long, value_name = "FILE", conflicts_with = "ask_become_pass")]
    pub(crate) become_password_file: Option<PathBuf>,
    /// Ask for that account's password on the terminal
    #[arg(short = 'K', long)]
    pub(crate) ask_become_pass: bool,
    /// How it is logged on, as Ansible's become_flags say it: logon_type=interactive, batch, network, network_cleartext,
    /// new_credentials, service or unlock; logon_flags=with_profile, netcredentials_only or nothing
    #[arg(long, value_name = "FLAGS")]
    pub(crate) become_flags: Option<String>,
    /// Run by a scheduled task, at the highest level and without a limit of time: as the account of --become, or as the connection's own
    /// without its password, and so without other hosts. Ctrl-C and the end of this program end the command; where the connection is lost,
    /// it ends when the host gives up the shell (--idle-timeout)
    #[arg(long)]
    pub(crate) task: bool,
    /// Leave the task alone, and print its id for `winrm task`; a --timeout counts on the host
    #[arg(long, requires = "task")]
    pub(crate) detach: bool,
}
