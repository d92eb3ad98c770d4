//! The arguments of `inventory`, and those that say where inventories are, which other verbs have as well.

use std::path::PathBuf;

use clap::Args;

use super::{ConnectionArguments, Format};

/// Which hosts there are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Inventory")]
pub(crate) struct InventoryArguments {
    /// An Ansible inventory: a file, a folder, a program, or hosts with a comma between or behind them; may be given several times
    /// [default: ANSIBLE_INVENTORY, or what ansible.cfg says]. TARGET is a pattern of hosts then
    #[arg(short, long, value_name = "SOURCE")]
    pub(crate) inventory: Vec<String>,
    /// Of the hosts, only those that this pattern means too; @FILE holds a pattern a line
    #[arg(short, long, value_name = "PATTERN")]
    pub(crate) limit: Vec<String>,
    /// The folder whose group_vars and host_vars count as well, more than those beside the inventory [default: the working directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) playbook_dir: Option<PathBuf>,
    /// Set variables over all others: NAME=VALUE …, YAML or JSON in braces, or @FILE; may be given several times
    #[arg(short, long, value_name = "VARS")]
    pub(crate) extra_vars: Vec<String>,
    /// Ask for the password of the vault
    #[arg(short = 'J', long)]
    pub(crate) ask_vault_pass: bool,
    /// A file with a vault's password, or a program that prints it; may be given several times
    #[arg(long, value_name = "FILE", visible_alias = "vault-pass-file")]
    pub(crate) vault_password_file: Vec<String>,
    /// A vault's id and where its password comes from: ID@FILE, ID@PROGRAM or ID@prompt; may be given several times
    #[arg(long, value_name = "ID@SOURCE")]
    pub(crate) vault_id: Vec<String>,
}

/// Show the hosts, groups and variables of Ansible inventories
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
#[command(after_help = "\
Examples:
  winrm inventory -i prod.ini --graph            # who is where
  winrm inventory -i prod.yml --list             # everything, as ansible-inventory --list prints it
  winrm inventory -i inventories/ --host web1    # one host's variables, merged
  winrm inventory -i web1,web2, --graph web --vars
  winrm inventory -i prod.yml --explain web1     # how it is reached, and which file and line says so

Exit status: 0 when the inventory could be read, 1 otherwise.")]
pub(crate) struct ShowArguments {
    /// Print all groups, hosts and variables as JSON, in the form of inventory programs
    #[arg(long, group = "what")]
    pub(crate) list: bool,
    /// Print a host's variables as JSON
    #[arg(long, group = "what", value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// Print groups and hosts as a tree, from a group on
    #[arg(long, group = "what", value_name = "GROUP", num_args = 0..=1, default_missing_value = "all")]
    pub(crate) graph: Option<String>,
    /// Print how a host is reached and as whom: each setting, where it was said, and with -v what was said and lost
    #[arg(long, group = "what", value_name = "HOST")]
    pub(crate) explain: Option<String>,
    /// With --explain: how to print it
    #[arg(long, value_enum, default_value_t = Format::Text, requires = "explain")]
    pub(crate) format: Format,
    /// With --graph: print the variables as well
    #[arg(long, requires = "graph")]
    pub(crate) vars: bool,
    /// Leave variables at the groups that have them, instead of merging them into each host's
    #[arg(long)]
    pub(crate) export: bool,
    #[command(flatten)]
    pub(crate) sources: InventoryArguments,
    /// With --explain: what goes over the variables
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}
