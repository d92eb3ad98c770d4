//! The settings of a connection, and the names by which inventories know them.

use super::convert::Kind;

/// A setting of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the table below says what each of them is called and holds")]
pub enum Key {
    Connection,
    Host,
    Port,
    Scheme,
    Path,
    User,
    Password,
    Transport,
    Encryption,
    CertValidation,
    CaTrustPath,
    Fingerprint,
    ServerName,
    CertPem,
    CertKeyPem,
    CertPassphrase,
    SendCbt,
    TlsMinimum,
    TlsMaximum,
    Ciphers,
    Proxy,
    NoProxy,
    IgnoreProxy,
    ConnectTimeout,
    ConnectionTimeout,
    OperationTimeout,
    ReadTimeout,
    Retries,
    MaxEnvelopeSize,
    Locale,
    Realm,
    Service,
    HostnameOverride,
    Delegation,
    KinitMode,
    KinitCommand,
    KinitArguments,
    KinitEnvironment,
    Keytab,
    Ccache,
    CredSspMechanism,
    CredSspMinimumVersion,
    CredSspDisableTls12,
    Become,
    BecomeMethod,
    BecomeUser,
    BecomeFlags,
    BecomePassword,
}

/// What is known of a setting.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) key: Key,
    /// Its name in `--explain`.
    pub(super) name: &'static str,
    /// Variables; where several are set, the last of them counts, as Ansible has it.
    pub(super) variables: &'static [&'static str],
    /// Variables of the connection `psrp` that mean the same.
    pub(super) psrp: &'static [&'static str],
    pub(super) kind: Kind,
    /// Whether its value is not to be shown.
    pub(super) is_secret: bool,
}

/// Names that still count and that nobody should write any more, each with its successor.
pub(super) const OLD_NAMES: &[(&str, &str)] = &[
    ("ansible_ssh_host", "ansible_host"),
    ("ansible_ssh_port", "ansible_port"),
    ("ansible_ssh_user", "ansible_user"),
    ("ansible_ssh_pass", "ansible_password"),
    ("ansible_ssh_password", "ansible_password"),
    ("ansible_winrm_user", "ansible_user"),
    ("ansible_winrm_pass", "ansible_password"),
];

/// Variables of psrp that set what a WinRM shell does not have.
pub(super) const FOREIGN_PSRP: &[&str] = &[
    "ansible_psrp_configuration_name",
    "ansible_psrp_connection_backoff",
    "ansible_psrp_reconnection_backoff",
];

const fn known(key: Key, name: &'static str, variables: &'static [&'static str], psrp: &'static [&'static str], kind: Kind) -> Known {
    Known {
        key,
        name,
        variables,
        psrp,
        kind,
        is_secret: matches!(key, Key::Password | Key::CertPassphrase | Key::BecomePassword),
    }
}

/// All settings, in the order in which they are explained.
pub(super) const KNOWN: &[Known] = &[
    known(
        Key::Connection,
        "connection",
        &["ansible_connection"],
        &["ansible_connection"],
        Kind::Text,
    ),
    known(
        Key::Host,
        "host",
        &["ansible_ssh_host", "ansible_host", "ansible_winrm_host"],
        &["ansible_ssh_host", "ansible_host", "ansible_psrp_host"],
        Kind::Text,
    ),
    known(
        Key::Port,
        "port",
        &["ansible_ssh_port", "ansible_port", "ansible_winrm_port"],
        &["ansible_ssh_port", "ansible_port", "ansible_psrp_port"],
        Kind::Port,
    ),
    known(
        Key::Scheme,
        "scheme",
        &["ansible_winrm_scheme"],
        &["ansible_psrp_protocol"],
        Kind::Choice(&["http", "https"]),
    ),
    known(Key::Path, "path", &["ansible_winrm_path"], &["ansible_psrp_path"], Kind::Text),
    known(
        Key::User,
        "user",
        &["ansible_ssh_user", "ansible_user", "ansible_winrm_user"],
        &["ansible_ssh_user", "ansible_user", "ansible_psrp_user"],
        Kind::Text,
    ),
    known(
        Key::Password,
        "password",
        &[
            "ansible_ssh_pass",
            "ansible_ssh_password",
            "ansible_password",
            "ansible_winrm_pass",
            "ansible_winrm_password",
        ],
        &[
            "ansible_ssh_pass",
            "ansible_ssh_password",
            "ansible_password",
            "ansible_winrm_pass",
            "ansible_winrm_password",
            "ansible_psrp_password",
        ],
        Kind::Text,
    ),
    known(
        Key::Transport,
        "transport",
        &["ansible_winrm_transport"],
        &["ansible_psrp_auth"],
        Kind::Transports,
    ),
    known(
        Key::Encryption,
        "message_encryption",
        &["ansible_winrm_message_encryption"],
        &["ansible_psrp_message_encryption"],
        Kind::Choice(&["auto", "always", "never"]),
    ),
    known(
        Key::CertValidation,
        "server_cert_validation",
        &["ansible_winrm_server_cert_validation"],
        &["ansible_psrp_cert_validation"],
        Kind::Choice(&["validate", "ignore"]),
    ),
    known(
        Key::CaTrustPath,
        "ca_trust_path",
        &["ansible_winrm_ca_trust_path"],
        &["ansible_psrp_cert_trust_path", "ansible_psrp_ca_cert"],
        Kind::Path,
    ),
    known(
        Key::Fingerprint,
        "fingerprint",
        &["ansible_winrm_fingerprint"],
        &["ansible_winrm_fingerprint"],
        Kind::Fingerprint,
    ),
    known(
        Key::ServerName,
        "server_name",
        &["ansible_winrm_server_name"],
        &["ansible_winrm_server_name"],
        Kind::Text,
    ),
    known(
        Key::CertPem,
        "cert_pem",
        &["ansible_winrm_cert_pem"],
        &["ansible_psrp_certificate_pem"],
        Kind::Path,
    ),
    known(
        Key::CertKeyPem,
        "cert_key_pem",
        &["ansible_winrm_cert_key_pem"],
        &["ansible_psrp_certificate_key_pem"],
        Kind::Path,
    ),
    known(
        Key::CertPassphrase,
        "cert_passphrase",
        &["ansible_winrm_cert_passphrase"],
        &["ansible_winrm_cert_passphrase"],
        Kind::Text,
    ),
    known(
        Key::SendCbt,
        "send_cbt",
        &["ansible_winrm_send_cbt"],
        &["ansible_psrp_negotiate_send_cbt"],
        Kind::Bool,
    ),
    known(
        Key::TlsMinimum,
        "tls_minimum",
        &["ansible_winrm_tls_min"],
        &["ansible_winrm_tls_min"],
        Kind::TlsVersion,
    ),
    known(
        Key::TlsMaximum,
        "tls_maximum",
        &["ansible_winrm_tls_max"],
        &["ansible_winrm_tls_max"],
        Kind::TlsVersion,
    ),
    known(
        Key::Ciphers,
        "ciphers",
        &["ansible_winrm_ciphers"],
        &["ansible_winrm_ciphers"],
        Kind::Text,
    ),
    known(Key::Proxy, "proxy", &["ansible_winrm_proxy"], &["ansible_psrp_proxy"], Kind::Text),
    known(
        Key::NoProxy,
        "no_proxy",
        &["ansible_winrm_no_proxy"],
        &["ansible_winrm_no_proxy"],
        Kind::Text,
    ),
    known(Key::IgnoreProxy, "ignore_proxy", &[], &["ansible_psrp_ignore_proxy"], Kind::Bool),
    known(
        Key::ConnectTimeout,
        "connect_timeout",
        &["ansible_winrm_connect_timeout"],
        &["ansible_psrp_connection_timeout"],
        Kind::Seconds,
    ),
    known(
        Key::ConnectionTimeout,
        "connection_timeout",
        &["ansible_winrm_connection_timeout"],
        &[],
        Kind::SecondsOrZero,
    ),
    known(
        Key::OperationTimeout,
        "operation_timeout",
        &["ansible_winrm_operation_timeout_sec"],
        &["ansible_psrp_operation_timeout"],
        Kind::Seconds,
    ),
    known(
        Key::ReadTimeout,
        "read_timeout",
        &["ansible_winrm_read_timeout_sec"],
        &["ansible_psrp_read_timeout"],
        Kind::Seconds,
    ),
    known(
        Key::Retries,
        "retries",
        &["ansible_winrm_retries"],
        &["ansible_psrp_reconnection_retries"],
        Kind::Count,
    ),
    known(
        Key::MaxEnvelopeSize,
        "max_envelope_size",
        &["ansible_winrm_max_envelope_size"],
        &["ansible_psrp_max_envelope_size"],
        Kind::Count,
    ),
    known(
        Key::Locale,
        "locale",
        &["ansible_winrm_locale"],
        &["ansible_winrm_locale"],
        Kind::Text,
    ),
    known(Key::Realm, "realm", &["ansible_winrm_realm"], &["ansible_winrm_realm"], Kind::Text),
    known(
        Key::Service,
        "service",
        &["ansible_winrm_service"],
        &["ansible_psrp_negotiate_service"],
        Kind::Text,
    ),
    known(
        Key::HostnameOverride,
        "hostname_override",
        &["ansible_winrm_kerberos_hostname_override"],
        &["ansible_psrp_negotiate_hostname_override"],
        Kind::Text,
    ),
    known(
        Key::Delegation,
        "kerberos_delegation",
        &["ansible_winrm_kerberos_delegation"],
        &["ansible_psrp_negotiate_delegate"],
        Kind::Bool,
    ),
    known(
        Key::KinitMode,
        "kinit_mode",
        &["ansible_winrm_kinit_mode"],
        &["ansible_winrm_kinit_mode"],
        Kind::Choice(&["managed", "manual"]),
    ),
    known(
        Key::KinitCommand,
        "kinit_cmd",
        &["ansible_winrm_kinit_cmd"],
        &["ansible_winrm_kinit_cmd"],
        Kind::Text,
    ),
    known(
        Key::KinitArguments,
        "kinit_args",
        &["ansible_winrm_kinit_args"],
        &["ansible_winrm_kinit_args"],
        Kind::Words,
    ),
    known(
        Key::KinitEnvironment,
        "kinit_env_vars",
        &["ansible_winrm_kinit_env_vars"],
        &["ansible_winrm_kinit_env_vars"],
        Kind::List,
    ),
    known(
        Key::Keytab,
        "keytab",
        &["ansible_winrm_keytab"],
        &["ansible_winrm_keytab"],
        Kind::Path,
    ),
    known(
        Key::Ccache,
        "ccache",
        &["ansible_winrm_ccache"],
        &["ansible_winrm_ccache"],
        Kind::Text,
    ),
    known(
        Key::CredSspMechanism,
        "credssp_auth_mechanism",
        &["ansible_winrm_credssp_auth_mechanism"],
        &["ansible_psrp_credssp_auth_mechanism"],
        Kind::Choice(&["auto", "ntlm", "kerberos"]),
    ),
    known(
        Key::CredSspMinimumVersion,
        "credssp_minimum_version",
        &["ansible_winrm_credssp_minimum_version"],
        &["ansible_psrp_credssp_minimum_version"],
        Kind::Count,
    ),
    known(
        Key::CredSspDisableTls12,
        "credssp_disable_tlsv1_2",
        &["ansible_winrm_credssp_disable_tlsv1_2"],
        &["ansible_psrp_credssp_disable_tlsv1_2"],
        Kind::Bool,
    ),
    known(Key::Become, "become", &["ansible_become"], &["ansible_become"], Kind::Bool),
    known(
        Key::BecomeMethod,
        "become_method",
        &["ansible_become_method"],
        &["ansible_become_method"],
        Kind::Text,
    ),
    known(
        Key::BecomeUser,
        "become_user",
        &["ansible_become_user", "ansible_runas_user"],
        &["ansible_become_user", "ansible_runas_user"],
        Kind::Text,
    ),
    known(
        Key::BecomeFlags,
        "become_flags",
        &["ansible_become_flags", "ansible_runas_flags"],
        &["ansible_become_flags", "ansible_runas_flags"],
        Kind::Text,
    ),
    known(
        Key::BecomePassword,
        "become_password",
        &["ansible_become_password", "ansible_become_pass", "ansible_runas_pass"],
        &["ansible_become_password", "ansible_become_pass", "ansible_runas_pass"],
        Kind::Text,
    ),
];

/// The known name that is the nearest to `name`, where one is near enough to be meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let family = if name.starts_with("ansible_psrp_") {
        "ansible_psrp_"
    } else {
        "ansible_winrm_"
    };
    let names = KNOWN
        .iter()
        .flat_map(|known| known.variables.iter().chain(known.psrp))
        .filter(|known| known.starts_with(family))
        .filter(|known| !OLD_NAMES.iter().any(|(old, _)| old == *known));
    let (distance, name) = names.map(|known| (distance(name, known), *known)).min()?;
    // A third of what follows `ansible_winrm_` may be wrong.
    (distance <= (name.len() - "ansible_".len()) / 3).then_some(name)
}

/// How many letters have to be put in, left out, changed, or swapped with their neighbour to make one text the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_the_name_that_was_meant() {
        for (slip, meant) in [
            ("ansible_winrm_transprot", "ansible_winrm_transport"),
            ("ansible_winrm_transports", "ansible_winrm_transport"),
            ("ansible_winrm_server_cert_validaton", "ansible_winrm_server_cert_validation"),
            ("ansible_winrm_read_timeout", "ansible_winrm_read_timeout_sec"),
            ("ansible_winrm_shceme", "ansible_winrm_scheme"),
        ] {
            assert_eq!(nearest(slip), Some(meant), "{slip}");
        }
        assert_eq!(nearest("ansible_winrm_something_else_entirely"), None);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("ab", "ba"), 1);
    }

    #[test]
    fn every_name_is_documented() {
        let page = include_str!("../../../../docs/variables.md");
        for known in KNOWN {
            assert!(page.contains(&format!("| {} |", known.name)), "{}", known.name);
            for name in known.variables.iter().chain(known.psrp) {
                assert!(page.contains(&format!("`{name}`")), "{name}");
            }
        }
    }

    #[test]
    fn no_name_means_two_things() {
        let names: Vec<&str> = KNOWN.iter().flat_map(|known| known.variables).copied().collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len());
    }
}
