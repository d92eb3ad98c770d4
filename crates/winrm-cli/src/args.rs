//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Run commands on Windows hosts over Windows Remote Management (WinRM), or serve it.
#[derive(Debug, Parser)]
#[command(
    name = "winrm",
    version,
    propagate_version = true,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(after_help = "\
Examples:
  winrm run administrator@web1 -- ipconfig /all
  winrm run -u alice https://web1:5986 -- 'dir C:\\ & ver'
  winrm ping -u alice web1
  winrm serve --user alice --password-file pw       # a WinRM host of this machine, for tests
  winrm demo                                        # all of it, on this machine alone

`winrm VERB --help` tells more.")]
pub(crate) struct Arguments {
    /// Say more on standard error: -v for rare events, -vv for messages, -vvv for their contents (never secrets)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Run(RunArguments),
    Ping(PingArguments),
    Serve(Box<ServeArguments>),
    Demo(DemoArguments),
    Completions(CompletionsArguments),
}

/// Run a command on a host
///
/// Behaves like ssh: output streams as it comes, byte for byte; standard input is passed on when it isn't a terminal; Ctrl-C
/// reaches the remote command, a second one ends the program here; the exit status is the command's.
#[derive(Debug, Args)]
#[command(visible_alias = "cmd")]
#[command(after_help = "\
Examples:
  winrm run administrator@web1 -- ipconfig /all
  winrm run -u alice --ca corp.pem https://web1.corp.example:5986 -- hostname
  winrm run web1 -- 'dir C:\\Temp | findstr log'           # one argument: the host's shell reads it as it is
  winrm run web1 -- findstr 'two words' C:\\Temp\\a.txt     # several: each stays one argument on the host
  winrm run --timeout 60 --env LANG=C -C 'C:\\app' web1 -- build.cmd
  tar c . | winrm run web1 -- tar x -C 'C:\\app'

Exit status: the command's own. A code that does not fit into 0 to 255 becomes 255, and is said on standard error.
  1    usage or configuration
  2    the host was reached, but the command could not be run to its end
  4    the host can't be reached, or doesn't let us in
  124  the deadline of --timeout passed
  130  ended by Ctrl-C")]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    #[command(flatten)]
    pub(crate) shell: ShellArguments,
    /// Deadline for the command: when it passes, the command is ended on the host
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Leave standard input alone: the command reads an empty one
    #[arg(short = 'n', long)]
    pub(crate) no_stdin: bool,
    /// The host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// The command, and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
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

/// See whether a host answers, who it is, and whether it lets us in
///
/// Asks the host to identify itself, which needs no password, then opens and closes a shell as the user.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm ping web1                      # who answers there? needs no password
  winrm ping -u alice --connection-password-file pw https://web1:5986

Exit status: 0 when all that was asked went well, 4 when the host can't be reached or doesn't let us in, 1 for usage.")]
pub(crate) struct PingArguments {
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// The host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl From<Scheme> for winrm::Scheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Http => Self::Http,
            Scheme::Https => Self::Https,
        }
    }
}

/// How to reach a host and as whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArguments {
    /// The account: NAME, DOMAIN\NAME or NAME@REALM
    #[arg(short, long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Ask for the password on the terminal
    #[arg(short = 'k', long, conflicts_with = "connection_password_file")]
    pub(crate) ask_pass: bool,
    /// Read the password from the first line of a file; without this and -k it comes from WINRM_PASSWORD or a prompt
    #[arg(long, value_name = "FILE")]
    pub(crate) connection_password_file: Option<PathBuf>,
    /// How to authenticate: basic, ntlm, kerberos, or negotiate (Kerberos where a ticket can be had, else NTLM)
    #[arg(long, value_name = "NAME", default_value = "negotiate")]
    pub(crate) transport: winrm::Transport,
    /// Encrypt messages by the transport itself: auto over http, always also inside TLS, never sends clear text over http
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) encryption: winrm::Encryption,
    /// http or https; by default http for port 5985, else https
    #[arg(long, value_enum)]
    pub(crate) scheme: Option<Scheme>,
    /// The port; by default 5986 for https, 5985 for http
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The service's path
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// Trust the certificate authorities of this PEM file or folder instead of the system's
    #[arg(long, value_name = "PATH", group = "certificate")]
    pub(crate) ca: Option<PathBuf>,
    /// Trust exactly the certificate with this SHA-256 fingerprint (64 hexadecimal digits, colons allowed)
    #[arg(long, value_name = "SHA256", group = "certificate")]
    pub(crate) fingerprint: Option<String>,
    /// Trust any certificate: whoever sits between here and the host reads everything, the password included
    #[arg(long, group = "certificate")]
    pub(crate) insecure: bool,
    /// The host's name in its certificate and in its Kerberos principal, when it isn't the one in TARGET
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname_override: Option<String>,
    /// How long to wait for a connection
    #[arg(short = 'T', long, value_name = "SECONDS", value_parser = seconds, default_value = "30")]
    pub(crate) connect_timeout: Duration,
    /// How long the host may hold a request before it answers that nothing has happened yet
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "20")]
    pub(crate) operation_timeout: Duration,
    /// How long to wait for an answer; longer than the operation timeout
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "30")]
    pub(crate) read_timeout: Duration,
    /// How often to try again when nothing was sent yet
    #[arg(long, value_name = "TIMES", default_value_t = 2)]
    pub(crate) retries: u32,
    /// Don't bind NTLM and Kerberos to the TLS connection: whoever sits in between can use them
    #[arg(long)]
    pub(crate) no_cbt: bool,
    #[command(flatten)]
    pub(crate) kerberos: KerberosArguments,
}

/// Where tickets come from, and whom they are for.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Kerberos")]
pub(crate) struct KerberosArguments {
    /// managed: kinit fetches a ticket with user and password, into a cache of its own that is removed at the end; manual: the
    /// tickets that are there [default: managed where there is a user, else manual]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) kinit: Option<KinitMode>,
    /// The program that fetches managed tickets
    #[arg(long, value_name = "PROGRAM", default_value = "kinit")]
    pub(crate) kinit_cmd: String,
    /// Its arguments, split as a shell splits words; they replace -f
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub(crate) kinit_args: Option<String>,
    /// Environment variables it gets beside PATH and KRB5CCNAME [default: KRB5_CONFIG]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) kinit_env: Option<Vec<String>>,
    /// Take the user's key from this key table instead of a password
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kinit", "ccache"])]
    pub(crate) keytab: Option<String>,
    /// Take tickets from this cache: FILE:…, DIR:…, KEYRING:…, KCM:…
    #[arg(long, value_name = "NAME", conflicts_with = "kinit")]
    pub(crate) ccache: Option<String>,
    /// The realm of user and host, where krb5.conf does not tell
    #[arg(long)]
    pub(crate) realm: Option<String>,
    /// The service in the host's principal [default: HTTP]
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// Hand the ticket to the host, so that it can act as the user on other hosts
    #[arg(long)]
    pub(crate) delegate: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KinitMode {
    Managed,
    Manual,
}

/// Serve WinRM on this machine
///
/// Runs commands as real processes of this machine, as the user who started the service. Meant for tests, CI and demonstrations
/// of what talks to Windows. Prints `listening URL` for each listener once it accepts; the log goes to standard error.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm serve                                             # a random password, printed once
  winrm serve --user alice --password-file pw --tls-listen 127.0.0.1:5986
  winrm serve --listen 127.0.0.1:0 --users users --allow-unencrypted

The file of --users holds a line for each account: [DOMAIN\\]NAME:PASSWORD. Empty lines and lines that begin with # are left out.
Over http messages are encrypted by NTLM or Kerberos; Basic is taken there only with --allow-unencrypted.")]
pub(crate) struct ServeArguments {
    /// Listen for http here; may be repeated; port 0 takes a free one [default: 127.0.0.1:5985]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Listen for https here; may be repeated; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) tls_listen: Vec<SocketAddr>,
    /// The certificate for https, PEM, chain included; self-signed when not given
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Write the certificate that https uses to this file, for clients to trust
    #[arg(long, value_name = "FILE")]
    pub(crate) cert_out: Option<PathBuf>,
    /// What to take for authentication: basic, ntlm, kerberos, negotiate [default: all, Kerberos only with --keytab]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) auth: Option<Vec<winrm_server::AuthMethod>>,
    /// The key table of the service's principals (HTTP/HOST@REALM), for Kerberos
    #[arg(long, value_name = "FILE")]
    pub(crate) keytab: Option<String>,
    /// Let in everyone for whom the KDC vouches; else only those among the accounts, as NAME@REALM
    #[arg(long)]
    pub(crate) allow_any_principal: bool,
    /// Refuse NTLM and Kerberos over https without a channel binding
    #[arg(long)]
    pub(crate) require_channel_binding: bool,
    /// Accounts, a line each: [DOMAIN\]NAME:PASSWORD
    #[arg(long, value_name = "FILE", group = "accounts")]
    pub(crate) users: Option<PathBuf>,
    /// One account; its password comes from --password-file or WINRM_PASSWORD
    #[arg(long, value_name = "NAME", group = "accounts")]
    pub(crate) user: Option<String>,
    /// The password of --user: the file's first line
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// Take clear-text messages over http: whoever listens reads everything, with Basic the password as well
    #[arg(long)]
    pub(crate) allow_unencrypted: bool,
    #[command(flatten)]
    pub(crate) quotas: QuotaArguments,
}

/// Limits, with the defaults of Windows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct QuotaArguments {
    /// The largest message
    #[arg(long, value_name = "KB")]
    pub(crate) max_envelope_size: Option<u32>,
    /// Shells that one user may have open
    #[arg(long, value_name = "N")]
    pub(crate) max_shells_per_user: Option<u32>,
    /// Commands that one shell may run at once
    #[arg(long, value_name = "N")]
    pub(crate) max_processes_per_shell: Option<u32>,
    /// Requests that one user may have under way
    #[arg(long, value_name = "N")]
    pub(crate) max_operations_per_user: Option<u32>,
    /// Connections at once
    #[arg(long, value_name = "N")]
    pub(crate) max_connections: Option<u32>,
    /// How long a shell may be idle before it is removed
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) idle_timeout: Option<Duration>,
}

/// Show what winrm does, on this machine alone
///
/// Starts embedded hosts on free ports of the loopback interface, runs commands on them over the wire, tells what happened, ends.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {}

/// Print a script that completes winrm's command line in a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm completions bash > ~/.local/share/bash-completion/completions/winrm
  winrm completions zsh > ~/.zfunc/_winrm
  winrm completions fish > ~/.config/fish/completions/winrm.fish")]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Seconds, with a fraction if wished; more than zero.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("it has to be more than 0 seconds".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is not NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn seconds_are_positive_numbers() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        for bad in ["0", "-1", "x", "NaN", "inf", "1e300", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn everything_behind_the_target_belongs_to_the_command() {
        let parsed = Arguments::try_parse_from(["winrm", "run", "-u", "a", "web1", "--", "cmd", "-v", "--timeout", "--"]).unwrap();
        let Verb::Run(run) = parsed.verb else { panic!("not run") };
        assert_eq!(
            (run.target.as_str(), run.command),
            ("web1", vec!["cmd".into(), "-v".into(), "--timeout".into(), "--".into()])
        );
    }

    #[test]
    fn passwords_are_never_arguments() {
        let words: Vec<_> = Arguments::command()
            .get_subcommands()
            .flat_map(|verb| {
                verb.get_arguments()
                    .map(|argument| argument.get_id().to_string())
                    .collect::<Vec<_>>()
            })
            .filter(|id| id.contains("password") || id.contains("pass"))
            .collect();
        assert_eq!(
            words,
            [
                "ask_pass",
                "connection_password_file",
                "ask_pass",
                "connection_password_file",
                "password_file"
            ]
        );
    }
}
