//! The arguments of `setup`.

use clap::{Args, Subcommand, ValueEnum, value_parser};
use winrm::Transport;

use super::ConnectionArguments;

/// Prepare a Windows host for WinRM, or print the script that does
///
/// Without TARGET, one PowerShell script is printed, to be read and then run as an administrator: on the host's console, by group policy,
/// by cloud-init, or by an answer file. With TARGET, the same script is run over a connection that works already; afterwards each
/// mechanism that was asked for is tried by connecting anew. A script that is run again changes nothing more. What settings were before
/// is noted on the host (HKLM\SOFTWARE\winrm\Setup), and `winrm setup undo` puts it back.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  winrm setup --https --auth kerberos,certificate > setup.ps1   # read it, then run it on the host; -Check only tells
  winrm setup --https --auth ntlm --format cloudbase            # user data of cloudbase-init; also: unattend, packer
  winrm setup --check web1:5985                                 # what would change, over a connection
  winrm setup -u alice web1:5985 --https --auth kerberos,credssp
  winrm setup -u alice web1 --quota MaxShellsPerUser=50 --quota MaxMemoryPerShellMB=2048
  winrm setup undo -u alice web1                                # and what it did is put back

Without --https, --no-https, --http and --no-http, a listener for https is set up. Mechanisms that --auth doesn't name stay as they are. \
TrustedHosts is a setting of Windows' own client, and is never touched. Group policy wins over all of this: where one decides a \
setting, that is said and nothing is changed.

Exit status: 0 when all is as wanted, 2 when something is not, or a mechanism doesn't let us in; with --check 0 when nothing would \
change and 2 when something would, or can't be had. 1 for usage, 4 when the host can't be reached or doesn't let us in. A printed script \
has its own: 0 all as wanted, 1 something is not, with -Check 2 something would change.")]
pub(crate) struct SetupArguments {
    #[command(subcommand)]
    pub(crate) verb: Option<SetupVerb>,
    #[command(flatten)]
    pub(crate) how: HowArguments,
    /// The host: [USER@]HOST[:PORT] or a URL; without one the script is printed
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) wanted: WantedArguments,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SetupVerb {
    Undo(Box<UndoArguments>),
}

/// Put back what setup has changed on a host, or print the script that does
///
/// It goes by the notes that setup has left on the host. A setting that somebody has changed since is left alone, and so is one whose
/// change would cut the connection that this comes by; --force puts these back as well.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm setup undo --check -u alice web1     # what would be put back
  winrm setup undo -u alice web1
  winrm setup undo > undo.ps1                # for the host's console

Exit status: as of winrm setup.")]
pub(crate) struct UndoArguments {
    #[command(flatten)]
    pub(crate) how: HowArguments,
    /// The host: [USER@]HOST[:PORT] or a URL; without one the script is printed
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// How it is done.
#[derive(Debug, Args)]
pub(crate) struct HowArguments {
    /// Only say what would change
    #[arg(long)]
    pub(crate) check: bool,
    /// Change also what may cut the connection that this comes by
    #[arg(long)]
    pub(crate) force: bool,
    /// For a script: ps1, cloudbase (user data of cloudbase-init), unattend (part of an answer file), packer (part of a template).
    /// For a host's results: text, json [default: ps1 without TARGET, text with one]
    #[arg(long, value_enum)]
    pub(crate) format: Option<SetupFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SetupFormat {
    Ps1,
    Cloudbase,
    Unattend,
    Packer,
    Text,
    Json,
}

/// What a host is to have.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What the host is to have")]
pub(crate) struct WantedArguments {
    /// A listener for https
    #[arg(long)]
    pub(crate) https: bool,
    /// A listener for http, where messages are encrypted by NTLM, Kerberos or CredSSP
    #[arg(long)]
    pub(crate) http: bool,
    /// No listener for https
    #[arg(long, conflicts_with = "https")]
    pub(crate) no_https: bool,
    /// No listener for http
    #[arg(long, conflicts_with = "http")]
    pub(crate) no_http: bool,
    /// The port of https
    #[arg(long, value_name = "PORT", default_value_t = 5986, value_parser = value_parser!(u16).range(1..))]
    pub(crate) https_port: u16,
    /// The port of http
    #[arg(long, value_name = "PORT", default_value_t = 5985, value_parser = value_parser!(u16).range(1..))]
    pub(crate) http_port: u16,
    /// Use this certificate of LocalMachine\My for https
    #[arg(long, value_name = "THUMBPRINT", value_parser = thumbprint, group = "listener_certificate")]
    pub(crate) listener_cert: Option<String>,
    /// Use the certificate of LocalMachine\My that is valid, for servers, and has this name
    #[arg(long, value_name = "NAME", value_parser = host_name, group = "listener_certificate")]
    pub(crate) listener_cert_subject: Option<String>,
    /// Make a self-signed certificate for https, even where another would do [default: only where none has the host's name]
    #[arg(long, group = "listener_certificate")]
    pub(crate) self_signed: bool,
    /// The host's name in the certificate and the listener; may be repeated [default: the host's own full name]
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub(crate) listener_name: Vec<String>,
    /// How many days a self-signed certificate is valid; Server 2012 and 2012 R2 always make it a year
    #[arg(long, value_name = "N", default_value_t = 1_095, value_parser = value_parser!(u32).range(1..=36_500))]
    pub(crate) cert_days: u32,
    /// Mechanisms to switch on: basic, kerberos, ntlm (or negotiate), certificate, credssp
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = mechanism)]
    pub(crate) auth: Vec<Transport>,
    /// Mechanisms to switch off
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = mechanism)]
    pub(crate) auth_off: Vec<Transport>,
    /// What to do about NTLM and Kerberos over https without a channel binding: none and relaxed take them, strict refuses them
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(crate) cbt: Option<HardeningLevel>,
    /// The networks that the firewall lets in from: domain, private, public
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_enum, default_value = "domain,private")]
    pub(crate) firewall_profiles: Vec<FirewallProfile>,
    /// The addresses that the firewall lets in: addresses, ranges, networks, LocalSubnet [default: any]
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', value_parser = address)]
    pub(crate) firewall_from: Vec<String>,
    /// Leave the firewall alone
    #[arg(long, conflicts_with = "firewall_from")]
    pub(crate) no_firewall: bool,
    /// The certificate of LocalMachine\My that CredSSP shows, instead of one that Windows makes for itself
    #[arg(long, value_name = "THUMBPRINT", value_parser = thumbprint)]
    pub(crate) credssp_cert: Option<String>,
    /// Switch TLS 1.2 on for Server 2008 R2 and Windows 7, which also need the update KB3080079 for it
    #[arg(long)]
    pub(crate) tls12: bool,
    /// Set a limit; may be repeated: MaxEnvelopeSizekb, MaxTimeoutms, MaxConcurrentOperationsPerUser, MaxConnections, MaxShellsPerUser,
    /// MaxMemoryPerShellMB, MaxProcessesPerShell, MaxConcurrentUsers, IdleTimeout (milliseconds)
    #[arg(long, value_name = "NAME=N", value_parser = quota)]
    pub(crate) quota: Vec<Quota>,
    /// Let local administrators other than Administrator in with all their rights over the network. It weakens the host: whoever has
    /// stolen such an account's password, or its hash, rules the host from anywhere. Domain accounts don't need it
    #[arg(long)]
    pub(crate) local_account_token_filter_policy: bool,
    /// Take messages that nobody has encrypted: passwords of Basic and all that is sent and received can be read on the way. For
    /// development alone
    #[arg(long)]
    pub(crate) i_accept_clear_text: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HardeningLevel {
    None,
    Relaxed,
    Strict,
}

/// In the order in which Windows shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum FirewallProfile {
    Domain,
    Private,
    Public,
}

/// A limit of the service, by its path below `WSMan:\localhost`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) path: &'static str,
    pub(crate) value: u32,
}

/// The limits with what Windows takes for them.
const QUOTAS: &[(&str, u32, u32)] = &[
    ("MaxEnvelopeSizekb", 32, u32::MAX),
    ("MaxTimeoutms", 500, u32::MAX),
    (r"Service\MaxConcurrentOperationsPerUser", 1, u32::MAX),
    (r"Service\MaxConnections", 1, u32::MAX),
    (r"Shell\MaxShellsPerUser", 0, 0x7FFF_FFFF),
    (r"Shell\MaxMemoryPerShellMB", 0, 0x7FFF_FFFF),
    (r"Shell\MaxProcessesPerShell", 0, 0x7FFF_FFFF),
    (r"Shell\MaxConcurrentUsers", 1, 100),
    (r"Shell\IdleTimeout", 60_000, 0x7FFF_FFFF),
];

fn quota(text: &str) -> Result<Quota, String> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=NUMBER")?;
    let short = |path: &'static str| path.rsplit('\\').next().unwrap_or(path);
    let Some(&(path, least, most)) = QUOTAS.iter().find(|(path, _, _)| short(path).eq_ignore_ascii_case(name)) else {
        let known: Vec<_> = QUOTAS.iter().map(|(path, _, _)| short(path)).collect();
        return Err(format!("there is no limit {name:?}; there are {}", known.join(", ")));
    };
    match value.parse() {
        Ok(value) if (least..=most).contains(&value) => Ok(Quota { path, value }),
        _ => Err(format!("{} is a number from {least} to {most}", short(path))),
    }
}

fn mechanism(text: &str) -> Result<Transport, String> {
    text.parse().map_err(|error: winrm::UnknownName| error.to_string())
}

/// SHA-1, as Windows names certificates: 40 hexadecimal digits; spaces and colons between them are left out.
pub(super) fn thumbprint(text: &str) -> Result<String, String> {
    // Copied from Windows' own window, it begins with an invisible mark.
    let digits: String = text
        .chars()
        .filter(|character| !character.is_whitespace() && !matches!(character, ':' | '\u{200E}'))
        .collect();
    if digits.len() == 40 && digits.chars().all(|character| character.is_ascii_hexdigit()) {
        Ok(digits.to_ascii_uppercase())
    } else {
        Err("a thumbprint has 40 hexadecimal digits (SHA-1)".to_owned())
    }
}

fn host_name(text: &str) -> Result<String, String> {
    let fits = |character: char| character.is_ascii_alphanumeric() || ".-_*".contains(character);
    if !text.is_empty() && text.len() <= 253 && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("it is no name of a host: letters, digits, points and hyphens".to_owned())
    }
}

fn address(text: &str) -> Result<String, String> {
    let fits = |character: char| character.is_ascii_alphanumeric() || ".:/-".contains(character);
    if !text.is_empty() && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("it is no address, range (A-B), network (A/BITS) or LocalSubnet".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_windows() {
        let path = r"Shell\MaxShellsPerUser";
        assert_eq!(quota("maxshellsperuser=50"), Ok(Quota { path, value: 50 }));
        for bad in [
            "MaxShellsPerUser",
            "MaxShellsPerUser=",
            "MaxShellsPerUser=-1",
            "MaxConcurrentUsers=101",
            "x=1",
            "IdleTimeout=1000",
        ] {
            assert!(quota(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn thumbprints_are_taken_as_people_copy_them() {
        let digits = "7C8DCBD5427AFEE6560F4AF524E325915F51172C";
        assert_eq!(thumbprint(digits).as_deref(), Ok(digits));
        assert_eq!(
            thumbprint("\u{200E}7c 8d cb d5 42 7a fe e6 56 0f 4a f5 24 e3 25 91 5f 51 17 2c").as_deref(),
            Ok(digits)
        );
        assert!(thumbprint("7C8D").is_err() && thumbprint(&"x".repeat(40)).is_err());
    }

    #[test]
    fn nothing_but_names_and_addresses_gets_into_a_script() {
        for bad in ["", "a'b", "a b", "$(x)", "a\nb", "ä", "a;b"] {
            assert!(host_name(bad).is_err() && address(bad).is_err(), "{bad}");
        }
        assert!(host_name("web1.corp.example").is_ok() && address("10.0.0.0/8").is_ok() && address("fe80::1-fe80::9").is_ok());
    }
}
