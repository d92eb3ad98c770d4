//! The arguments of `doctor`.

use clap::{Args, ValueEnum, value_parser};

use super::{ConnectionArguments, InventoryArguments};

/// Find out why a host doesn't answer or doesn't let us in, and what mends it
///
/// Looks at name, DNS, ports, clocks, TLS, the service, Kerberos, authentication and, where it is let in, at rights, quotas, shells,
/// PowerShell and policies. It goes as far as it can with what it is given: without a password everything that needs none. A
/// password is tried once, and never again once it was refused. Nothing is changed, here or there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm doctor web1.corp.example                               # what can be seen without a password
  winrm doctor -u alice@CORP.EXAMPLE -k web1.corp.example      # all of it
  winrm doctor --transport kerberos https://web1:5986          # with the ticket of kinit
  winrm doctor -i prod.yml web --format jsonl | jq -r '[.host, .cause.summary] | @tsv'

docs/doctor.md tells of each check by its id.

Exit status: 0 when all is well, 2 when a problem was found, 4 when a host can't be reached or lets nobody in, 1 for usage.")]
pub(crate) struct DoctorArguments {
    /// How many hosts to look at at once
    #[arg(short, long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u16).range(1..))]
    pub(crate) forks: u16,
    /// How to print what was found: text, one document of JSON, or a line of JSON for each host
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = DoctorFormat::Text)]
    pub(crate) format: DoctorFormat,
    /// The host: [USER@]HOST[:PORT] or a URL; several with commas. With -i a pattern: names, groups, wildcards, a:b, a:&b, a:!b
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) inventory: InventoryArguments,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DoctorFormat {
    Text,
    Json,
    Jsonl,
}
