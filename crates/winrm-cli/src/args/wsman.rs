//! The arguments of `wsman`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ConnectionArguments;

/// Read and change a host's resources by WS-Management: its configuration, and the classes of WMI
///
/// RESOURCE is written as for Windows' own winrm: winrm/config and its parts, wmicimv2/CLASS and wmi/root/NAMESPACE/CLASS for WMI,
/// cimv2/CLASS, shell, or a full URI; behind a question mark stand the keys of one instance: ?Name=W3SVC or ?Address=*+Transport=HTTP.
/// A value with a + in it stands in double quotes.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  winrm wsman get winrm/config web1
  winrm wsman get 'wmicimv2/Win32_Service?Name=W3SVC' web1 --format json
  winrm wsman set winrm/config/service/auth Basic=true web1
  winrm wsman create 'winrm/config/Listener?Address=*+Transport=HTTPS' Hostname=web1 CertificateThumbprint=AB… web1
  winrm wsman delete 'winrm/config/Listener?Address=*+Transport=HTTP' https://web1:5986
  winrm wsman enumerate wmicimv2/Win32_Process web1 --format table
  winrm wsman enumerate wmicimv2/Win32_Service web1 --filter \"StartMode='Auto' and State='Stopped'\"
  winrm wsman invoke Create wmicimv2/Win32_Process CommandLine=notepad.exe web1
  winrm wsman identify web1
  winrm wsman helpmsg 0x803381A6

Exit status: 0 when it was done, 1 for usage and configuration, 2 when the host answers with a fault or a method returns a failure, \
4 when the host can't be reached or doesn't let us in."
)]
pub(crate) struct WsmanArguments {
    #[command(subcommand)]
    pub(crate) verb: WsmanVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WsmanVerb {
    #[command(alias = "g")]
    Get(Box<WsmanGetArguments>),
    #[command(alias = "s")]
    Set(Box<WsmanSetArguments>),
    #[command(alias = "c")]
    Create(Box<WsmanCreateArguments>),
    #[command(alias = "d")]
    Delete(Box<WsmanDeleteArguments>),
    #[command(visible_alias = "enum", alias = "e")]
    Enumerate(Box<WsmanEnumerateArguments>),
    #[command(alias = "i")]
    Invoke(Box<WsmanInvokeArguments>),
    #[command(alias = "id")]
    Identify(Box<WsmanIdentifyArguments>),
    Helpmsg(HelpmsgArguments),
}

/// How what a host gives is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WsmanFormat {
    /// As Windows' own winrm prints it
    Text,
    /// JSON, one object for each instance on a line of its own; values are texts, as on the wire
    Json,
    /// The XML of each instance
    Xml,
    /// Columns
    Table,
}

#[derive(Debug, Args)]
pub(crate) struct ShownArguments {
    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: WsmanFormat,
    /// The properties to print, in this order
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) properties: Option<Vec<String>>,
}

/// Where values come from that are not typed.
#[derive(Debug, Args)]
pub(crate) struct BodyArguments {
    /// Take the XML of the instance, or of the method's input, from a file; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// A value that nobody may see: KEY gets the first line of FILE; may be repeated
    #[arg(long, value_name = "KEY=FILE", value_parser = super::variable)]
    pub(crate) secret: Vec<(String, String)>,
}

/// Read a resource
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm wsman get winrm/config web1
  winrm wsman get winrm/config/service/auth web1 --format table
  winrm wsman get wmicimv2/Win32_OperatingSystem web1 --properties Caption,Version,LastBootUpTime
  winrm wsman get 'wmicimv2/Win32_Service?Name=W3SVC' web1 --fragment State")]
pub(crate) struct WsmanGetArguments {
    #[command(flatten)]
    pub(crate) shown: ShownArguments,
    /// Ask for this part of the resource only, mostly a property's name (wsman:FragmentTransfer)
    #[arg(long, value_name = "PATH")]
    pub(crate) fragment: Option<String>,
    /// What to read
    #[arg(value_name = "RESOURCE")]
    pub(crate) resource: String,
    /// The host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// Change properties of a resource
///
/// Reads the resource, changes the properties, and writes it back. A word with = in it is a property, the one without is TARGET,
/// before or behind the properties. KEY=$null sets nothing at all, KEY= the empty text, a KEY twice an array. Windows' way to write them,
/// @{KEY="VALUE";KEY="VALUE"}, is understood too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm wsman set winrm/config/service/auth Basic=true web1
  winrm wsman set winrm/config/winrs MaxShellsPerUser=50 MaxMemoryPerShellMB=2048 web1
  winrm wsman set 'winrm/config/Listener?Address=*+Transport=HTTPS' web1 CertificateThumbprint=AB…
  winrm wsman set winrm/config/service web1 --fragment AllowUnencrypted AllowUnencrypted=false
  winrm wsman get winrm/config/service web1 --format xml > service.xml; winrm wsman set winrm/config/service web1 --file service.xml")]
pub(crate) struct WsmanSetArguments {
    #[command(flatten)]
    pub(crate) shown: ShownArguments,
    #[command(flatten)]
    pub(crate) body: BodyArguments,
    /// Write this part of the resource only (wsman:FragmentTransfer); it is not read first
    #[arg(long, value_name = "PATH")]
    pub(crate) fragment: Option<String>,
    /// What to change
    #[arg(value_name = "RESOURCE")]
    pub(crate) resource: String,
    /// The properties, and the host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "KEY=VALUE|TARGET", required = true)]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// Make a resource: a listener, a mapping of certificates
///
/// The keys stand behind RESOURCE, properties as KEY=VALUE before or behind TARGET, as for `set`.
/// It prints what the host calls the new resource.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm wsman create 'winrm/config/Listener?Address=*+Transport=HTTP' web1
  winrm wsman create winrm/config/Listener Address='*' Transport=HTTPS Hostname=web1 CertificateThumbprint=AB… web1
  winrm wsman create 'winrm/config/service/certmapping?Issuer=12…+Subject=alice@corp.example+URI=*' \\
      UserName=alice --secret Password=alice.pw https://web1:5986

Keys of a listener or a mapping that are given as properties are put behind RESOURCE.")]
pub(crate) struct WsmanCreateArguments {
    #[command(flatten)]
    pub(crate) body: BodyArguments,
    /// How to print where the resource is
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: WsmanFormat,
    /// What to make
    #[arg(value_name = "RESOURCE")]
    pub(crate) resource: String,
    /// The properties, and the host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "KEY=VALUE|TARGET", required = true)]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// Remove a resource
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm wsman delete 'winrm/config/Listener?Address=*+Transport=HTTP' https://web1:5986
  winrm wsman delete 'wmicimv2/Win32_Environment?Name=X+UserName=<SYSTEM>' web1")]
pub(crate) struct WsmanDeleteArguments {
    /// What to remove
    #[arg(value_name = "RESOURCE")]
    pub(crate) resource: String,
    /// The host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// List the instances of a resource
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm wsman enumerate winrm/config/Listener web1
  winrm wsman enumerate wmicimv2/Win32_Process web1 --format table
  winrm wsman enumerate wmicimv2/Win32_Service web1 --filter \"StartMode='Auto'\" --properties Name,State
  winrm wsman enumerate 'wmicimv2/*' web1 --filter 'select Name,ProcessId from Win32_Process'
  winrm wsman enumerate wmicimv2/Win32_Service web1 --mode epr
  winrm wsman enumerate wmicimv2/Win32_Service web1 --dialect selector --filter Name=W3SVC
  winrm wsman enumerate 'wmicimv2/*' web1 --dialect association --filter 'object=wmicimv2/Win32_Service?Name=W3SVC'")]
pub(crate) struct WsmanEnumerateArguments {
    #[command(flatten)]
    pub(crate) shown: ShownArguments,
    /// List those only that this takes: in WQL a query or the condition of one; see --dialect
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// What the filter is written in: wql; selector (Name=value+Name=value); association (object=RESOURCE, then, each behind a
    /// semicolon, associationclassname=, role=, resultclassname=, resultrole=, and `associations` to list the associations
    /// themselves); or the URI of a dialect
    #[arg(long, value_name = "DIALECT", default_value = "wql", requires = "filter")]
    pub(crate) dialect: String,
    /// What to tell of each
    #[arg(long, value_enum, value_name = "MODE", default_value = "object", alias = "returntype")]
    pub(crate) mode: WsmanMode,
    /// Leave out instances of derived classes
    #[arg(long)]
    pub(crate) shallow: bool,
    /// Of instances of derived classes, tell what the class itself has
    #[arg(long, alias = "basepropertiesonly", conflicts_with = "shallow")]
    pub(crate) base_properties_only: bool,
    /// How many instances one answer may hold [default: as many as fit]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_elements: Option<u32>,
    /// Stop after so many instances
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<usize>,
    /// What to list
    #[arg(value_name = "RESOURCE")]
    pub(crate) resource: String,
    /// The host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WsmanMode {
    /// The properties
    Object,
    /// A reference: what `get`, `set`, `delete` and `invoke` take as RESOURCE
    Epr,
    /// Both
    #[value(alias = "objectandepr")]
    ObjectAndEpr,
}

/// Call a method of a class or an instance
///
/// Parameters are given as KEY=VALUE, before or behind TARGET, as for `set`. What the method gives back is printed; a return
/// value that means a failure is told in a sentence, and is exit status 2.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm wsman invoke Create wmicimv2/Win32_Process CommandLine='notepad.exe a.txt' CurrentDirectory='C:\\Temp' web1
  winrm wsman invoke StopService 'wmicimv2/Win32_Service?Name=Spooler' web1
  winrm wsman invoke Terminate 'wmicimv2/Win32_Process?Handle=4711' Reason=0 web1
  winrm wsman invoke Change 'wmicimv2/Win32_Service?Name=App' StartName='.\\svc' --secret StartPassword=svc.pw https://web1:5986
  winrm wsman invoke Restore winrm/config web1")]
pub(crate) struct WsmanInvokeArguments {
    #[command(flatten)]
    pub(crate) shown: ShownArguments,
    #[command(flatten)]
    pub(crate) body: BodyArguments,
    /// Return values that are no failure; 4096 says that a job was started
    #[arg(long, value_name = "CODES", value_delimiter = ',', default_value = "0,4096")]
    pub(crate) ok_codes: Vec<u32>,
    /// The method
    #[arg(value_name = "ACTION")]
    pub(crate) action: String,
    /// What to call it on
    #[arg(value_name = "RESOURCE")]
    pub(crate) resource: String,
    /// The parameters, and the host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "KEY=VALUE|TARGET", required = true)]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// Ask a host who it is
///
/// Without a user nothing is proved, and hosts keep their version to themselves; with one the host tells it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm wsman identify web1
  winrm wsman identify -u alice web1 --format json")]
pub(crate) struct WsmanIdentifyArguments {
    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: WsmanFormat,
    /// The host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// Say what an error number means, and what to do about it
///
/// Needs no host. Numbers of WS-Management, of Win32 and of WMI are known, as Windows' tools show them: decimal, hexadecimal with 0x,
/// or negative.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm wsman helpmsg 0x803381A6
  winrm wsman helpmsg 2150859174 5 -2144108103 --format json")]
pub(crate) struct HelpmsgArguments {
    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: super::Format,
    /// The numbers
    #[arg(value_name = "NUMBER", required = true, allow_negative_numbers = true)]
    pub(crate) numbers: Vec<String>,
}
