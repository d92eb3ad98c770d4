//! Where hosts and their variables come from.

use clap::Args;

/// Where hosts and their variables come from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Inventory")]
pub(crate) struct InventoryArguments {
    /// An Ansible inventory: a file, a folder, a program, or hosts with commas (web1,web2); may be repeated. TARGET is a pattern then
    #[arg(short, long, value_name = "SOURCE")]
    pub(crate) inventory: Vec<String>,
    /// Only hosts that this pattern means as well; @FILE reads patterns from a file
    #[arg(short, long, value_name = "PATTERN", requires = "inventory")]
    pub(crate) limit: Vec<String>,
}
