//! The arguments of `access`.

use clap::{Args, Subcommand, ValueEnum};

use super::{ConnectionArguments, Format};

/// Show and change who may connect to a host, and what they may do there
///
/// WinRM asks three kinds of security descriptors: the service's own (RootSDDL), which decides over commands, scripts and everything else
/// that has none of its own; those of PowerShell's endpoints; and those of WMI's namespaces. Changing them takes an administrator.
#[derive(Debug, Args)]
pub(crate) struct AccessArguments {
    #[command(subcommand)]
    pub(crate) verb: AccessVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccessVerb {
    Show(Box<AccessShowArguments>),
    Grant(Box<AccessGrantArguments>),
    Revoke(Box<AccessRevokeArguments>),
}

/// Show who may do what
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm access show -u administrator web1
  winrm access show --on service --format json web1
  winrm access show --on wmi:root/cimv2 --on endpoint:microsoft.powershell web1

Without --on it shows the service, PowerShell's endpoints, the plug-ins and WMI's root/cimv2, as far as the host lets it.")]
pub(crate) struct AccessShowArguments {
    /// Whose descriptor: service, endpoints, endpoint:NAME, plugins or wmi:NAMESPACE; may be given several times
    #[arg(long = "on", value_name = "WHAT", value_parser = guarded, help_heading = "Access")]
    pub(crate) on: Vec<Guarded>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Access")]
    pub(crate) format: Format,
    /// The host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// Let an account in
///
/// All other entries stay as they are. What the account has already is not granted twice.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm access grant 'CORP\\operators' -u administrator web1           # commands and scripts: read and execute
  winrm access grant S-1-5-21-1-2-3-1104 --rights full --dry-run web1
  winrm access grant 'CORP\\operators' --on wmi:root/cimv2 web1
  winrm access grant 'CORP\\operators' --on endpoint:microsoft.powershell web1

Membership in Remote Management Users opens PowerShell's endpoints (Enter-PSSession) and needs no grant there; it does not open \
the command shell, which winrm run and winrm ps use: those need the service's read and execute.

Exit status: 0 when the account has the rights now, 1 for usage, 2 when the host refuses, 4 when it can't be reached or \
doesn't let us in.")]
pub(crate) struct AccessGrantArguments {
    /// The rights [default: read,execute; on an endpoint: execute]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "RIGHTS", help_heading = "Access")]
    pub(crate) rights: Vec<Rights>,
    #[command(flatten)]
    pub(crate) change: AccessChange,
}

/// Take away what an account was granted
///
/// Its own entries are changed, and no others: what it may do as a member of groups stays, and so do entries that deny.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm access revoke 'CORP\\operators' -u administrator web1
  winrm access revoke 'CORP\\operators' --rights execute web1     # may still read
  winrm access revoke 'CORP\\operators' --on wmi:root/cimv2 web1

Exit status: 0 when the account has no such entry now, 1 for usage and for what would lock out the account that asks, 2 when the host \
refuses, 4 when it can't be reached or doesn't let us in.")]
pub(crate) struct AccessRevokeArguments {
    /// Only these rights [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "RIGHTS", help_heading = "Access")]
    pub(crate) rights: Vec<Rights>,
    #[command(flatten)]
    pub(crate) change: AccessChange,
}

/// What both changes have.
#[derive(Debug, Args)]
pub(crate) struct AccessChange {
    /// Whose descriptor to change: service, endpoint:NAME or wmi:NAMESPACE
    #[arg(long = "on", value_name = "WHAT", value_parser = guarded, default_value = "service", help_heading = "Access")]
    pub(crate) on: Guarded,
    /// Show what would change, and change nothing
    #[arg(long, help_heading = "Access")]
    pub(crate) dry_run: bool,
    /// Do it even if it locks out the account that asks
    #[arg(long, help_heading = "Access")]
    pub(crate) force: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Access")]
    pub(crate) format: Format,
    /// The account: DOMAIN\NAME, NAME, NAME@DOMAIN, or an identifier (S-1-5-…)
    #[arg(value_name = "ACCOUNT")]
    pub(crate) account: String,
    /// The host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rights {
    /// Ask: read the configuration, list instances
    Read,
    /// Change: configuration, instances
    Write,
    /// Run commands and scripts, call methods
    Execute,
    /// All of it
    Full,
}

/// What a descriptor guards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Guarded {
    /// The service: RootSDDL.
    Service,
    /// PowerShell's endpoints, or one.
    Endpoints(Option<String>),
    /// WinRM's plug-ins, WMI's among them. Shown, and not changed.
    Plugins,
    /// A namespace of WMI.
    Namespace(String),
}

fn guarded(text: &str) -> Result<Guarded, String> {
    let (kind, name) = text.split_once(':').map_or((text, ""), |(kind, name)| (kind, name.trim()));
    match (kind.to_ascii_lowercase().as_str(), name) {
        ("service", "") => Ok(Guarded::Service),
        ("plugins", "") => Ok(Guarded::Plugins),
        ("endpoints", "") => Ok(Guarded::Endpoints(None)),
        ("endpoint", name) if !name.is_empty() => Ok(Guarded::Endpoints(Some(name.to_owned()))),
        ("wmi", name) if is_namespace(&name.replace('\\', "/")) => Ok(Guarded::Namespace(name.replace('\\', "/"))),
        _ => Err("it is none of service, endpoints, endpoint:NAME, plugins, wmi:NAMESPACE (wmi:root/cimv2)".to_owned()),
    }
}

fn is_namespace(name: &str) -> bool {
    let good = |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    name.split('/').all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guarded_is_named() {
        assert_eq!(guarded("service"), Ok(Guarded::Service));
        assert_eq!(
            guarded("Endpoint:Microsoft.PowerShell"),
            Ok(Guarded::Endpoints(Some("Microsoft.PowerShell".into())))
        );
        assert_eq!(guarded("wmi:ROOT\\cimv2"), Ok(Guarded::Namespace("ROOT/cimv2".into())));
        for bad in [
            "",
            "services",
            "endpoint:",
            "endpoint",
            "wmi",
            "wmi:",
            "wmi:root//cimv2",
            "wmi:root/cimv2?x=1",
            "service:x",
        ] {
            assert!(guarded(bad).is_err(), "{bad}");
        }
    }
}
