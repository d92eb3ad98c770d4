//! The arguments of `ping`.

use clap::Args;

use super::{ConnectionArguments, FleetArguments, InventoryArguments};

/// See whether a host, or many, answers, who it is, and whether it lets us in
///
/// Asks the host to identify itself, which needs no password, then opens and closes a shell as the user.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm ping web1                      # who answers there? needs no password
  winrm ping -u alice --connection-password-file pw https://web1:5986
  winrm ping -i prod.yml all -o        # an inventory's hosts, with their own users

Exit status: 0 when all that was asked went well, 4 when a host can't be reached or doesn't let us in, 1 for usage.")]
pub(crate) struct PingArguments {
    /// The host: [USER@]HOST[:PORT] or a URL; several with commas. With -i a pattern: names, groups, wildcards, a:b, a:&b, a:!b
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) inventory: InventoryArguments,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    #[command(flatten)]
    pub(crate) fleet: FleetArguments,
}
