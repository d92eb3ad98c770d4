//! How to reach a host and as whom.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{CredSspArguments, ProxyArguments, TlsArguments, seconds};

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
    /// How to authenticate: basic, ntlm, kerberos, certificate, negotiate (Kerberos where a ticket can be had, else NTLM), or credssp,
    /// which hands the password to the host, so that it can act as the user on other hosts; several are tried in their order
    /// [default: certificate with --cert, else negotiate]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) transport: Option<Vec<String>>,
    /// Encrypt messages by the transport itself: auto over http, always also inside TLS, never sends clear text over http
    /// [default: auto]
    #[arg(long, value_name = "WHEN")]
    pub(crate) encryption: Option<winrm::Encryption>,
    /// http or https; by default http for port 5985, else https
    #[arg(long, value_enum)]
    pub(crate) scheme: Option<Scheme>,
    /// The port; by default 5986 for https, 5985 for http
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The service's path
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// Trust the certificate authorities of this PEM file or folder instead of the system's (SSL_CERT_FILE, SSL_CERT_DIR)
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
    /// How long to wait for a connection [default: 30]
    #[arg(short = 'T', long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) connect_timeout: Option<Duration>,
    /// How long the host may hold a request before it answers that nothing has happened yet [default: 20]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) operation_timeout: Option<Duration>,
    /// How long to wait for an answer; longer than the operation timeout [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) read_timeout: Option<Duration>,
    /// How often to try again when nothing was sent yet [default: 2]
    #[arg(long, value_name = "TIMES")]
    pub(crate) retries: Option<u32>,
    /// Don't bind NTLM and Kerberos to the TLS connection: whoever sits in between can use them
    #[arg(long)]
    pub(crate) no_cbt: bool,
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
    #[command(flatten)]
    pub(crate) proxy: ProxyArguments,
    #[command(flatten)]
    pub(crate) kerberos: KerberosArguments,
    #[command(flatten)]
    pub(crate) credssp: CredSspArguments,
}

/// Where tickets come from, and whom they are for.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Kerberos")]
pub(crate) struct KerberosArguments {
    /// managed: kinit fetches a ticket with user and password, into a cache of its own that is removed at the end; manual: the
    /// tickets that are there [default: managed where there is a user, else manual]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) kinit: Option<KinitMode>,
    /// The program that fetches managed tickets [default: kinit]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) kinit_cmd: Option<String>,
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
