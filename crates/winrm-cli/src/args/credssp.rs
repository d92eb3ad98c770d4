//! What the transport `credssp` takes.

use clap::{Args, value_parser};

/// How `--transport credssp` authenticates.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "CredSSP")]
pub(crate) struct CredSspArguments {
    /// Refuse hosts that speak older versions than this, 2 to 6; from 5 on they have the mend for CVE-2018-0886 [default: 2]
    #[arg(long, value_name = "VERSION", value_parser = value_parser!(u32).range(2..=6))]
    pub(crate) credssp_minimum_version: Option<u32>,
    /// What authenticates inside: auto (Kerberos where a ticket can be had, else NTLM), ntlm, or kerberos [default: auto]
    #[arg(long, value_name = "NAME")]
    pub(crate) credssp_auth_mechanism: Option<winrm::CredSspMechanism>,
    /// TLS 1.0 inside CredSSP in place of 1.2, with weak ciphers and keys: for Windows Server 2008
    #[arg(long = "credssp-disable-tlsv1-2")]
    pub(crate) credssp_disable_tlsv1_2: bool,
}
