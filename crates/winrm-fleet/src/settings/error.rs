//! What is wrong with a host's settings, and what is only odd.

use std::path::PathBuf;
use std::sync::Arc;

use crate::template::TemplateError;
use crate::value::Origin;

/// What keeps a host's settings from being used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A value that a setting can't have.
    #[error("{} is {shown}", place(.name, .origin))]
    Value {
        /// The variable or flag.
        name: String,
        /// The value, as far as it may be shown.
        shown: String,
        /// Where it was said.
        origin: Origin,
        /// What it has to be.
        expected: String,
    },
    /// A value that can't be rendered or decrypted.
    #[error("{} has no value", place(.name, .origin))]
    Template {
        /// The variable.
        name: String,
        /// Where it was said.
        origin: Origin,
        /// Why.
        source: Box<TemplateError>,
    },
    /// The host is reached by something else than WinRM.
    #[error("{host} is reached by {connection} and not by WinRM: {} says so", place("ansible_connection", .origin))]
    Connection {
        /// The host.
        host: String,
        /// The connection's name.
        connection: String,
        /// Where it was said.
        origin: Origin,
    },
    /// The host's address is none.
    #[error("{host:?} ({origin}) is no address of a host")]
    Address {
        /// The address.
        host: String,
        /// Where it was said.
        origin: Origin,
        /// Why.
        source: winrm::EndpointError,
    },
    /// The read timeout is not longer than the operation timeout.
    #[error("the read timeout ({read} s, {read_origin}) is not longer than the operation timeout ({operation} s, {operation_origin})")]
    Timeouts {
        /// Seconds.
        read: f64,
        /// Where it was said.
        read_origin: Origin,
        /// Seconds.
        operation: f64,
        /// Where it was said.
        operation_origin: Origin,
    },
    /// A user's name that can't be one.
    #[error("the user {user:?} ({origin})")]
    User {
        /// The name.
        user: String,
        /// Where it was said.
        origin: Origin,
        /// Why.
        source: winrm::InvalidUserName,
    },
    /// A proxy that can't be one.
    #[error("{name} ({origin})")]
    Proxy {
        /// The variable, the flag, or the environment.
        name: String,
        /// Where it was said.
        origin: Origin,
        /// Why.
        source: winrm::ProxyError,
    },
    /// A client certificate, or its key, that can't be read.
    #[error("{} ({origin}) can't be read", path.display())]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// Where the certificate was named.
        origin: Origin,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// A client certificate that can't be used.
    #[error("the client certificate {} ({origin})", path.display())]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// Where it was named.
        origin: Origin,
        /// Why.
        source: winrm::CertificateError,
    },
    /// There is nobody to log on as.
    #[error("no user for {endpoint}")]
    NoUser {
        /// Where.
        endpoint: String,
    },
    /// There is no password.
    #[error("no password for {user} at {endpoint}")]
    NoPassword {
        /// Who.
        user: String,
        /// Where.
        endpoint: String,
    },
    /// User and password would go in clear text.
    #[error("{method} over http would send the password readable on the way (transport: {origin})")]
    ClearText {
        /// The way to authenticate.
        method: super::Method,
        /// Where it was said.
        origin: Origin,
    },
    /// Messages have to be encrypted, and the transport can't.
    #[error("the transport {method} ({method_origin}) can't encrypt messages, as \"always\" ({origin}) asks for")]
    CannotEncrypt {
        /// The way to authenticate.
        method: super::Method,
        /// Where it was said.
        method_origin: Origin,
        /// Where `always` was said.
        origin: Origin,
    },
    /// A way to become another account that there isn't on Windows.
    #[error("{} is {method:?}", place("ansible_become_method", .origin))]
    BecomeMethod {
        /// The method.
        method: String,
        /// Where it was said.
        origin: Origin,
    },
    /// Nobody says which account to become.
    #[error("commands are to run as another account ({origin}), and there is none")]
    BecomeNobody {
        /// Where it was said that there is one.
        origin: Origin,
    },
    /// The account to become has no password.
    #[error("no password for {account}, which commands are to run as ({origin})")]
    BecomeNoPassword {
        /// The account.
        account: String,
        /// Where it was said.
        origin: Origin,
    },
    /// Flags that can't be read.
    #[error("the flags for becoming another account ({origin})")]
    BecomeFlags {
        /// Where they were said.
        origin: Origin,
        /// Why.
        source: winrm::InvalidRunAsFlag,
    },
    /// A way to authenticate that this version of the library has not.
    #[error("the transport {method} ({origin}) is not there yet")]
    Unsupported {
        /// The way to authenticate.
        method: super::Method,
        /// Where it was said.
        origin: Origin,
    },
}

impl SettingsError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Value { expected, .. } => expected.clone(),
            Self::Template { source, .. } => return source.hint(),
            Self::Connection { host, .. } => {
                format!("leave it out with --limit '!{host}', or say that it is reached by WinRM: -e ansible_connection=winrm")
            }
            Self::Timeouts { .. } => "a host answers only when the operation timeout is over: make the read timeout longer".to_owned(),
            Self::Proxy { .. } => "it is written http://[USER[:PASSWORD]@]HOST[:PORT]; --no-proxy leaves the environment's proxies out".to_owned(),
            Self::Certificate { source, .. } if source.is_passphrase() => {
                "give the passphrase by the variable ansible_winrm_cert_passphrase, --cert-passphrase-file FILE or WINRM_CERT_PASSPHRASE"
                    .to_owned()
            }
            Self::Certificate { source, .. } => return source.hint().map(str::to_owned),
            Self::NoUser { .. } => "name one with -u/--user, as USER@HOST, or by the variable ansible_user".to_owned(),
            Self::NoPassword { .. } => {
                "give --connection-password-file FILE, -k, WINRM_PASSWORD, or the variable ansible_password".to_owned()
            }
            Self::ClearText { .. } => {
                "use https, or another transport (ntlm encrypts); message encryption \"never\" allows clear text, as does the transport plaintext by its name"
                    .to_owned()
            }
            Self::CannotEncrypt { .. } => "choose another transport, or leave the encryption to https".to_owned(),
            Self::BecomeMethod { .. } => "Windows has one way, runas; --become ACCOUNT and the variable ansible_become_method=runas say so".to_owned(),
            Self::BecomeNobody { .. } => "name the account by --become ACCOUNT or the variable ansible_become_user".to_owned(),
            Self::BecomeNoPassword { .. } => {
                "give it by -K, --become-password-file FILE or the variable ansible_become_password; accounts of services need none".to_owned()
            }
            Self::BecomeFlags { .. } => "they are written logon_type=batch logon_flags=with_profile".to_owned(),
            Self::Address { .. } | Self::User { .. } | Self::CertificateFile { .. } | Self::Unsupported { .. } => return None,
        })
    }
}

/// Something odd, that doesn't keep anything from working.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// A variable that looks like one of a connection, and isn't.
    #[error("{name} ({place}) is unknown{}", .nearest.map_or_else(String::new, |nearest| format!("; is {nearest} meant?")))]
    Unknown {
        /// The variable.
        name: String,
        /// Where it was said.
        place: String,
        /// The known name that is the nearest.
        nearest: Option<&'static str>,
    },
    /// A name that still counts, and has a successor.
    #[error("{name} ({place}) is an old name: write {successor}")]
    Old {
        /// The variable.
        name: &'static str,
        /// Where it was said.
        place: String,
        /// The name to write.
        successor: &'static str,
    },
    /// The transport `plaintext` over http.
    #[error("transport plaintext over http ({place}): user, password and all messages are readable on the way")]
    ClearText {
        /// Where it was said.
        place: String,
    },
    /// A transport of a list that is left out.
    #[error("transport {method} ({place}) is left out: over http it would send the password readable on the way")]
    LeftOut {
        /// The way to authenticate.
        method: super::Method,
        /// Where it was said.
        place: String,
    },
    /// http on the port of https.
    #[error("http on port 5986, which is Ansible's default port for http too ({place}); name the port with ansible_port")]
    HttpPort {
        /// Where the scheme was said.
        place: String,
    },
}

/// A name with its place, where the name isn't the place itself.
fn place(name: &str, origin: &Origin) -> String {
    let place = origin.to_string();
    if place == name { place } else { format!("{name} ({place})") }
}
