//! The arguments of `cert`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use winrm::certificate::Upn;

use super::setup::thumbprint;
use super::{ConnectionArguments, Format};

/// Make, show and convert client certificates; map them to accounts of a host
///
/// Windows lets a client in by a certificate whose user principal name (UPN) is mapped to an account. Here is what it takes: on this
/// side the certificate and its key, on the host its issuer and the mapping.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm cert new --upn alice@localhost --out alice      # alice.pem and alice.key
  winrm cert show alice.pem                             # and what WinRM has against it
  winrm cert convert alice.pem --key alice.key --to alice.pfx
  winrm cert install alice.pem --account alice web1     # who shows it is alice there from now on
  winrm cert list web1")]
pub(crate) struct CertArguments {
    #[command(subcommand)]
    pub(crate) verb: CertVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertVerb {
    New(CertNewArguments),
    Show(CertShowArguments),
    Convert(CertConvertArguments),
    Install(Box<CertInstallArguments>),
    List(Box<CertListArguments>),
    Remove(Box<CertRemoveArguments>),
}

/// Make a client certificate with a user principal name
///
/// Self-signed, unless an authority's certificate and key are given. It is for client authentication alone, and valid from an hour
/// ago, since the host's clock may be behind.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm cert new --upn alice@localhost --out alice
  winrm cert new --upn alice@localhost --key-type ec:p256 --days 3650 --encrypt --out alice
  winrm cert new --upn alice@corp.example --ca ca.pem --ca-key ca.key --out alice

Writes PREFIX.pem (the certificate, and the authorities between it and the root) and PREFIX.key (PKCS#8, readable by you alone).")]
pub(crate) struct CertNewArguments {
    /// The user principal name: USER@localhost for a local account, USER@SUFFIX for one of a domain
    #[arg(long, value_name = "USER@SUFFIX")]
    pub(crate) upn: Upn,
    /// The key: RSA works with every Windows
    #[arg(long, value_enum, value_name = "TYPE", default_value = "rsa:2048")]
    pub(crate) key_type: KeyType,
    /// How many days it is valid
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,
    /// The common name in the subject [default: the user of --upn]
    #[arg(long, value_name = "NAME")]
    pub(crate) subject: Option<String>,
    /// Sign with this authority's certificate: PEM or DER
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    pub(crate) ca: Option<PathBuf>,
    /// The authority's private key
    #[arg(long, value_name = "FILE", requires = "ca")]
    pub(crate) ca_key: Option<PathBuf>,
    /// The passphrase of the authority's key: the file's first line; asked for when needed and not given
    #[arg(long, value_name = "FILE", requires = "ca")]
    pub(crate) ca_passphrase_file: Option<PathBuf>,
    /// Encrypt the key, and ask for a passphrase
    #[arg(long)]
    pub(crate) encrypt: bool,
    /// Encrypt the key with this passphrase: the file's first line
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    pub(crate) force: bool,
    /// Write PREFIX.pem and PREFIX.key
    #[arg(long, value_name = "PREFIX")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyType {
    #[value(name = "rsa:2048")]
    Rsa2048,
    #[value(name = "rsa:3072")]
    Rsa3072,
    #[value(name = "rsa:4096")]
    Rsa4096,
    #[value(name = "ec:p256")]
    P256,
    #[value(name = "ec:p384")]
    P384,
}

/// Show what stands in certificates, and what is wrong with them for WinRM
///
/// Takes PEM with one or many certificates, DER, and PFX.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm cert show alice.pem
  winrm cert show alice.pem --key alice.key       # does the key belong to it?
  winrm cert show host.pfx --purpose server --format json

Exit status: 0 when nothing is wrong, 1 when something is that WinRM would not take, or when the file can't be read.")]
pub(crate) struct CertShowArguments {
    /// See whether this private key is the certificate's
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The passphrase of the key or the PFX file: the file's first line; asked for when needed and not given
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// What it is meant for [default: what the certificate itself says]
    #[arg(long, value_enum)]
    pub(crate) purpose: Option<CertPurpose>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CertPurpose {
    Client,
    Server,
}

/// Convert between a pair of PEM files and PFX
///
/// The ending of --to says what is written: .pfx or .p12 for certificate, chain and key in one encrypted file; .pem for certificate
/// and chain, with the key beside it in .key; .cer for the certificate alone, as Windows imports it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm cert convert alice.pem --key alice.key --to alice.pfx
  winrm cert convert alice.pem --key alice.key --to alice.pfx --legacy   # Server 2016 and older
  winrm cert convert alice.pfx --to alice.pem                            # and alice.key
  winrm cert convert alice.pem --to alice.cer                            # without a key")]
pub(crate) struct CertConvertArguments {
    /// The private key, when FILE doesn't hold it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The passphrase of what is read: the file's first line; asked for when needed and not given
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// The passphrase of what is written: the file's first line; a PFX file's is asked for when not given
    #[arg(long, value_name = "FILE")]
    pub(crate) out_passphrase_file: Option<PathBuf>,
    /// Encrypt the key beside a .pem file, and ask for a passphrase
    #[arg(long)]
    pub(crate) encrypt: bool,
    /// Write PFX with Triple DES and SHA-1, which Windows Server 2016 and older need, instead of AES-256 and SHA-256
    #[arg(long)]
    pub(crate) legacy: bool,
    /// Replace files that are there
    #[arg(long)]
    pub(crate) force: bool,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// The file to read: PEM, DER or PFX
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Let whoever shows a certificate in as a local account of a host
///
/// Puts the certificate into the host's TrustedPeople and its issuer into Root (or CA, where that isn't self-signed), maps the user
/// principal name to the account, switches certificates on, and then connects by the certificate, where its key is at hand. Only the
/// certificate goes there, never its key. Windows keeps the account's password for this and checks it: when it is changed, map again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm cert new --upn alice@localhost --out alice
  winrm cert install alice.pem --account alice -u administrator https://web1:5986
  winrm cert install bob.pem --issuer ca.pem --account bob --account-password-file pw web1
  winrm run --transport certificate --cert alice.pem --cert-key alice.key web1 -- whoami

The account's password comes from --account-password-file, or is that of the connection where the account is the same, or is asked for. \
The key for the try is FILE's own, that of --key, or the file beside it that ends in .key.

Exit status: 0 when the certificate lets in (or could not be tried without a key), 2 when something failed on the host or the \
certificate does not let in, 1 for usage and for a certificate that WinRM would not take, 4 when the host can't be reached.")]
pub(crate) struct CertInstallArguments {
    /// The local account of the host
    #[arg(long, value_name = "NAME")]
    pub(crate) account: String,
    /// The account's password: the file's first line
    #[arg(long, value_name = "FILE")]
    pub(crate) account_password_file: Option<PathBuf>,
    /// The certificate of the authority that has signed it, where FILE doesn't hold it
    #[arg(long, value_name = "FILE")]
    pub(crate) issuer: Option<PathBuf>,
    /// The thumbprint of that authority, where it is in the host's Root or CA already, as with a domain's own
    #[arg(long, value_name = "THUMBPRINT", value_parser = thumbprint, conflicts_with = "issuer")]
    pub(crate) issuer_thumbprint: Option<String>,
    /// The private key, to try the certificate with; it stays here
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The passphrase of the key or the PFX file: the file's first line; asked for when needed and not given
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Don't connect by the certificate afterwards
    #[arg(long)]
    pub(crate) no_try: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// The certificate: PEM, DER or PFX
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// List the certificates that a host maps to accounts
#[derive(Debug, Args)]
pub(crate) struct CertListArguments {
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// The host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}

/// Take the mapping of a certificate away from a host
///
/// With a file, its certificate is also taken out of TrustedPeople, and out of Root where it is self-signed. Authorities stay, since
/// others may need them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm cert remove alice@localhost web1      # the mapping
  winrm cert remove alice.pem web1            # the mapping, and the certificate

Exit status: 0 when it is gone, 2 when there was none or it could not be removed.")]
pub(crate) struct CertRemoveArguments {
    /// The issuer's thumbprint, where several certificates with the same name are mapped
    #[arg(long, value_name = "THUMBPRINT", value_parser = thumbprint)]
    pub(crate) issuer_thumbprint: Option<String>,
    /// Which: a user principal name as winrm cert list shows it, or the certificate's file
    #[arg(value_name = "UPN|FILE")]
    pub(crate) which: String,
    /// The host: [USER@]HOST[:PORT] or a URL
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
}
