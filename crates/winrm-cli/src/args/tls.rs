//! Details of TLS, and proxies.

use std::path::PathBuf;

use clap::Args;

/// How TLS is spoken.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsArguments {
    /// The certificate that tells the host who we are, with its chain: PEM, DER or PFX; --transport is certificate then by default
    ///
    /// An encrypted key or PFX takes its passphrase from --cert-passphrase-file, WINRM_CERT_PASSPHRASE or a prompt.
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// The certificate's private key, PEM or DER, where it isn't in the same file
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) cert_key: Option<PathBuf>,
    /// Read the passphrase of the private key or PFX from the first line of a file
    #[arg(long, value_name = "FILE")]
    pub(crate) cert_passphrase_file: Option<PathBuf>,
    /// The lowest version of TLS: 1.0, 1.1, 1.2 or 1.3; below 1.2 weak keys and signatures are taken as well, for old hosts
    /// [default: 1.2]
    #[arg(long, value_name = "VERSION")]
    pub(crate) tls_min: Option<winrm::TlsVersion>,
    /// The highest version of TLS [default: any]
    #[arg(long, value_name = "VERSION")]
    pub(crate) tls_max: Option<winrm::TlsVersion>,
    /// Ciphers by OpenSSL's names, separated by colons; those of TLS 1.3 begin with TLS_ [default: OpenSSL's choice]
    #[arg(long, value_name = "NAMES")]
    pub(crate) ciphers: Option<String>,
}

/// Which proxy is used.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Proxy")]
pub(crate) struct ProxyArguments {
    /// Reach the host through this proxy: http://[USER@]HOST[:PORT]
    ///
    /// Without this, the environment says which: HTTPS_PROXY or HTTP_PROXY after the host's scheme, else ALL_PROXY. A user's password
    /// comes from --proxy-password-file, WINRM_PROXY_PASSWORD or a prompt; those variables may hold it as USER:PASSWORD@HOST.
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Read the password for the proxy from the first line of a file
    #[arg(long, value_name = "FILE")]
    pub(crate) proxy_password_file: Option<PathBuf>,
    /// Reach these hosts without a proxy, instead of those of NO_PROXY: names with all below them, addresses, networks as
    /// 10.0.0.0/8, separated by commas; all hosts where none is named
    #[arg(
        long,
        value_name = "HOSTS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "*"
    )]
    pub(crate) no_proxy: Option<String>,
}
