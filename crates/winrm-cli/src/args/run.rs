//! The arguments of `run`.

use std::time::Duration;

use clap::Args;

use super::{BecomeArguments, ConnectionArguments, FleetArguments, InventoryArguments, ManyResults, RebootOkArguments, seconds, variable};

/// Run a command on a host, or on many
///
/// On one host it behaves like ssh: output streams as it comes, byte for byte; standard input is passed on when it isn't a terminal; Ctrl-C
/// reaches the remote command, a second one ends the program here; the exit status is the command's.
///
/// With -i, TARGET is a pattern of an Ansible inventory's hosts. On many hosts each has a block of output as it ends, and a last line
/// on standard error counts. Standard input is read to its end and given to each. Ctrl-C begins no more hosts and reaches the commands
/// that run, a second one ends now. A pattern that is one host's own name, without a flag for many hosts, is worked on like ssh.
#[derive(Debug, Args)]
#[command(visible_alias = "cmd")]
#[command(after_help = "\
Examples:
  winrm run administrator@web1 -- ipconfig /all
  winrm run -u alice --ca corp.pem https://web1.corp.example:5986 -- hostname
  winrm run --cert alice.pfx --ca corp.pem https://web1.corp.example:5986 -- whoami
  winrm run -u alice --proxy http://proxy.example:3128 web1 -- hostname
  winrm run web1 -- 'dir C:\\Temp | findstr log'           # one argument: the host's shell reads it as it is
  winrm run web1 -- findstr 'two words' C:\\Temp\\a.txt     # several: each stays one argument on the host
  winrm run --timeout 60 --env LANG=C -C 'C:\\app' web1 -- build.cmd
  tar c . | winrm run web1 -- tar x -C 'C:\\app'
  winrm run --reboot-ok web1 -- 'msiexec /i app.msi /qn'    # may restart the host: waits until it is back
  winrm run web1 --become SYSTEM -- whoami                 # as another account, elevated: see also -K, --become-flags
  winrm run web1 --task --detach -- backup.cmd             # by a scheduled task that outlives us: see `winrm task`
  winrm run -i prod.yml 'web*:!web3' -f 200 -- hostname
  winrm run -i prod.yml all --batch 10% --max-fail 5% --ok-codes 0,3010 -- patch.cmd
  winrm run -i prod.yml all --rerun failed -- hostname     # those that the last run left undone
  winrm run -i prod.yml all --format junit -- check.cmd > report.xml
  winrm run -u alice -k web1,web2 -- hostname              # without an inventory

Exit status on one host: the command's own. A code that does not fit into 0 to 255 becomes 255, and is said on standard error.
  1    usage or configuration
  2    the host was reached, but the command could not be run to its end
  4    the host can't be reached, or doesn't let us in
  124  the deadline of --timeout passed
  130  ended by Ctrl-C
On many hosts: 0 when all went well, 2 when a host has failed or was not worked on, 4 when one was unreachable, whatever else \
there was; 1 for usage and configuration, 130 after Ctrl-C.

Each run on many hosts leaves a record for --rerun in $XDG_STATE_HOME/winrm/runs (~/.local/state/winrm/runs), which nobody else may \
read; the last 20 are kept.")]
pub(crate) struct RunArguments {
    /// Deadline for the command: when it passes, the command is ended on the host
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Leave standard input alone: the command reads an empty one
    #[arg(short = 'n', long)]
    pub(crate) no_stdin: bool,
    /// The host: [USER@]HOST[:PORT] or a URL; several with commas. With -i a pattern: names, groups, wildcards, a:b, a:&b, a:!b
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// The command, and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
    #[command(flatten)]
    pub(crate) inventory: InventoryArguments,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    #[command(flatten)]
    pub(crate) shell: ShellArguments,
    #[command(flatten)]
    pub(crate) becoming: BecomeArguments,
    #[command(flatten)]
    pub(crate) fleet: FleetArguments,
    #[command(flatten)]
    pub(crate) many: ManyResults,
    #[command(flatten)]
    pub(crate) reboot: RebootOkArguments,
}

/// What the command finds on the host.
#[derive(Debug, Args)]
#[command(next_help_heading = "Shell")]
pub(crate) struct ShellArguments {
    /// Set an environment variable for the command; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// The directory to run the command in
    #[arg(short = 'C', long = "chdir", value_name = "DIR")]
    pub(crate) directory: Option<String>,
    /// The console's code page
    #[arg(long, value_name = "NUMBER", default_value_t = 65001)]
    pub(crate) codepage: u32,
    /// Don't load the user's profile
    #[arg(long)]
    pub(crate) no_profile: bool,
    /// Give the command a console as its standard input instead of a pipe
    #[arg(long)]
    pub(crate) console_stdin: bool,
    /// Start the program without cmd.exe (honoured fully by hosts before 2012 R2)
    #[arg(long)]
    pub(crate) skip_cmd_shell: bool,
    /// How long the host keeps the shell when nothing is heard from here
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) idle_timeout: Option<Duration>,
}
