//! The arguments of `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, value_parser};

use super::seconds;

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
  winrm serve --users users --operator bob --root-sddl 'O:NSG:BAD:P(A;;GA;;;BA)(A;;GXGR;;;RM)'
  winrm serve --tls-listen 127.0.0.1:5986 --users users \\
      --client-ca alice.pem --map-certificate alice@localhost=alice

The file of --users holds a line for each account: [DOMAIN\\]NAME:PASSWORD. Empty lines and lines that begin with # are left out. \
Over http messages are encrypted by NTLM, Kerberos or CredSSP; Basic is taken there only with --allow-unencrypted. \
Accounts are administrators, who change the service while it runs (winrm wsman set winrm/config/…), unless --operator says they aren't: \
those are in the groups Users and Remote Management Users (BU and RM in a descriptor).")]
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
    /// What to take for authentication: basic, ntlm, kerberos, negotiate, credssp, certificate [default: all, Kerberos only with --keytab,
    /// certificates only with --client-ca]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) auth: Option<Vec<winrm_server::AuthMethod>>,
    /// Refuse clients of CredSSP that speak older versions than this, 2 to 6
    #[arg(long, value_name = "VERSION", default_value_t = 2, value_parser = value_parser!(u32).range(2..=6))]
    pub(crate) credssp_minimum_version: u32,
    /// TLS 1.0 inside CredSSP in place of 1.2, as Windows Server 2008 has it
    #[arg(long = "credssp-disable-tlsv1-2")]
    pub(crate) credssp_disable_tlsv1_2: bool,
    /// The key table of the service's principals (HTTP/HOST@REALM), for Kerberos
    #[arg(long, value_name = "FILE")]
    pub(crate) keytab: Option<String>,
    /// Let in everyone for whom the KDC vouches; else only those among the accounts, as NAME@REALM
    #[arg(long)]
    pub(crate) allow_any_principal: bool,
    /// Take client certificates over https that these authorities have issued: PEM. A client's own self-signed certificate is an
    /// authority for itself. Https is TLS 1.2 alone then, as on Windows
    #[arg(long, value_name = "FILE", requires = "map_certificate")]
    pub(crate) client_ca: Option<PathBuf>,
    /// Take this folder for Windows' certificate store of the machine, for what `winrm cert install` puts there: its folders Root and CA
    /// hold the authorities whose client certificates are taken. It is made where it isn't there
    #[arg(long, value_name = "FOLDER", conflicts_with = "client_ca")]
    pub(crate) certificate_store: Option<PathBuf>,
    /// Let in the client certificates with this user principal name as an account; may be repeated
    #[arg(long, value_name = "UPN=USER", value_parser = mapping, requires = "client_ca")]
    pub(crate) map_certificate: Vec<(winrm_server::Upn, String)>,
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
    /// This account is no administrator: it may do what --root-sddl says, which by default is nothing; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) operator: Vec<String>,
    /// Who may do what, as a security descriptor: RootSDDL of winrm/config/service [default: that of Windows, administrators alone]
    #[arg(long, value_name = "SDDL")]
    pub(crate) root_sddl: Option<String>,
    /// Take clear-text messages over http: whoever listens reads everything, with Basic the password as well
    #[arg(long)]
    pub(crate) allow_unencrypted: bool,
    /// The PowerShell that clients get for powershell.exe [default: WINRM_PWSH, else pwsh on PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) pwsh: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) quotas: QuotaArguments,
}

/// `UPN=USER`.
fn mapping(text: &str) -> Result<(winrm_server::Upn, String), String> {
    let (upn, user) = text.rsplit_once('=').ok_or("it is not UPN=USER")?;
    if user.is_empty() {
        return Err("the account behind = is missing".to_owned());
    }
    let upn = winrm_server::Upn::new(upn).map_err(|error| format!("the user principal name: {error}"))?;
    Ok((upn, user.to_owned()))
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
