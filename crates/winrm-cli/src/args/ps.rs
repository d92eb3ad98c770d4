//! The arguments of `ps`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{BecomeArguments, ConnectionArguments, FleetArguments, InventoryArguments, ManyResults, RebootOkArguments, seconds, variable};

/// Run a PowerShell script on a host, or on many
///
/// The script is given behind `--`, by a file (-f), or by standard input. Output streams as it comes; errors, warnings and verbose
/// messages go to standard error as PowerShell shows them; standard input that isn't the script is passed on when it isn't a terminal;
/// Ctrl-C reaches the script, a second one ends the program here; the exit status is the script's.
///
/// With -i, TARGET is a pattern of an Ansible inventory's hosts, and many hosts are worked on as `winrm run` does: a block of output for
/// each as it ends, with what PowerShell said behind what it gave, and a last line on standard error that counts. Standard input is read
/// to its end and given to each. A pattern that is one host's own name, without a flag for many hosts, streams.
#[derive(Debug, Args)]
// -f is the script's file.
#[command(mut_arg("forks", |forks| forks.short(None)))]
#[command(after_help = "\
Examples:
  winrm ps web1 -- 'Get-Service | Where-Object Status -eq Stopped'
  winrm ps web1 -f deploy.ps1 -- -Version 1.2 -Path 'C:\\Program Files\\app' -Force
  winrm ps web1 < inventory.ps1                             # no script, or -: it is read from standard input
  winrm ps web1 -f load.ps1 < data.csv                      # the script has it as $input, or as bytes
  winrm ps web1 --objects json -- 'Get-Process | Select-Object Name, Id' | jq .
  winrm ps web1 --engine pwsh -- '$PSVersionTable'          # PowerShell 7 on the host
  winrm ps web1 --become 'CORP\\svc' --become-password-file pw -- 'Get-ChildItem \\\\files\\share'   # reaches other hosts
  winrm ps -i prod.yml 'web*:!web3' --forks 200 -f patch.ps1 -- -Restart
  winrm ps -i prod.yml all --group-identical -- '(Get-Service W3SVC).Status'
  winrm ps -i prod.yml all --objects json --format jsonl -- Get-HotFix   # each host's line has them as \"objects\"

Behind -f FILE --, words are as for `powershell -File`: -Name names a parameter, -Name:VALUE gives it a value, -Switch:$false is \
understood, all else is a value as it is; behind a second -- everything is.

Exit status on one host: the script's: that of `exit`; 1 after an error that nobody caught, or when the last statement failed; a native program's own \
code when it was the last to fail. A code that does not fit into 0 to 255 becomes 255, and is said on standard error.
  1    also: usage or configuration
  2    the host was reached, but the script could not be run to its end
  4    the host can't be reached, or doesn't let us in
  124  the deadline of --timeout passed
  130  ended by Ctrl-C
On many hosts: 0 when all went well, 2 when a host has failed or was not worked on, 4 when one was unreachable, whatever else \
there was; 1 for usage and configuration, 130 after Ctrl-C.")]
pub(crate) struct PsArguments {
    /// Deadline for the script: when it passes, the script is ended on the host
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Leave standard input alone: the script reads an empty one
    #[arg(short = 'n', long)]
    pub(crate) no_stdin: bool,
    /// The host: [USER@]HOST[:PORT] or a URL; several with commas. With -i a pattern: names, groups, wildcards, a:b, a:&b, a:!b
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// The script, if it is one word; the place behind -- takes any
    #[arg(value_name = "SCRIPT")]
    pub(crate) script_word: Option<String>,
    /// The script, its words joined by spaces; with -f its arguments; - is standard input
    #[arg(value_name = "WORDS", last = true)]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) inventory: InventoryArguments,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    #[command(flatten)]
    pub(crate) script: ScriptArguments,
    #[command(flatten)]
    pub(crate) becoming: BecomeArguments,
    #[command(flatten)]
    pub(crate) fleet: FleetArguments,
    #[command(flatten)]
    pub(crate) many: ManyResults,
    #[command(flatten)]
    pub(crate) reboot: RebootOkArguments,
}

/// What runs, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "PowerShell")]
pub(crate) struct ScriptArguments {
    /// The script, in UTF-8 or UTF-16; what stands behind -- are its arguments
    #[arg(short, long, value_name = "SCRIPT.ps1")]
    pub(crate) file: Option<PathBuf>,
    /// Print the objects that the script gives, as a list, instead of text; on many hosts in each one's result
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) objects: Option<ObjectFormat>,
    /// How deep objects are described; what lies deeper is text
    #[arg(long, value_name = "LEVELS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) depth: u32,
    /// The PowerShell on the host: powershell (Windows PowerShell), pwsh (PowerShell 7), or a path
    #[arg(long, value_name = "powershell|pwsh|PATH", default_value = "powershell")]
    pub(crate) engine: String,
    /// Run the user's profile scripts first
    #[arg(long)]
    pub(crate) profile: bool,
    /// Let commands ask questions, which nobody can answer; else they fail
    #[arg(long)]
    pub(crate) interactive: bool,
    /// The execution policy; `host` leaves that of the host
    #[arg(long, value_name = "NAME", default_value = "Bypass")]
    pub(crate) execution_policy: String,
    /// Set an environment variable for the script; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// The directory to run the script in
    #[arg(short = 'C', long = "chdir", value_name = "DIR")]
    pub(crate) directory: Option<String>,
    /// Don't load the user's profile of Windows
    #[arg(long)]
    pub(crate) no_user_profile: bool,
    /// How long the host keeps the shell when nothing is heard from here
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) idle_timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectFormat {
    Json,
    Yaml,
}
