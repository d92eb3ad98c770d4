//! From the connection's flags, and a host's variables, to a client.

use std::io::IsTerminal as _;
use std::path::Path;

use winrm::{Client, Endpoint, Kerberos, RunAs, Secret};
use winrm_fleet::settings::{Defaults, Flags, Key, Method, Way};
use winrm_fleet::{Origin, Settings, SettingsError, Templar, Value, Variables, Vault};

use crate::args::{BecomeArguments, ConnectionArguments, CredSspArguments, KerberosArguments, KinitMode, ProxyArguments, TlsArguments};
use crate::client_certificate::{self, client_certificate};
use crate::failure::Failure;
use crate::{printer, proxy};

/// The environment variable that may hold the password.
pub(crate) const PASSWORD_VARIABLE: &str = "WINRM_PASSWORD";

/// The managed tickets of a run. Dropping it removes them, which the threads of a program that ends may not get to.
#[derive(Default)]
pub(crate) struct ManagedTickets(Kerberos);

impl ManagedTickets {
    /// What the clients of a run share.
    pub(crate) fn kerberos(&self) -> Kerberos {
        self.0.clone()
    }
}

impl Drop for ManagedTickets {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A client of a host, and what is known of it.
pub(crate) struct Connected {
    pub(crate) client: Client,
    /// As whom.
    pub(crate) user: Option<String>,
    /// How it authenticates.
    pub(crate) transport: winrm::Transport,
    /// How the host is reached.
    settings: Settings,
    /// To be kept for as long as the client.
    _tickets: ManagedTickets,
}

/// A client for the target that was typed. `needs_user`: whether there is nothing to do without one. Where several transports are to be
/// tried, each is tried until the host takes one.
pub(crate) async fn client(target: &str, arguments: &ConnectionArguments, needs_user: bool) -> Result<Connected, Failure> {
    connect(typed(target, flags(arguments)?)?, arguments, needs_user).await
}

/// The settings of a host that was typed.
pub(crate) fn typed(target: &str, mut flags: Flags) -> Result<Settings, Failure> {
    let (endpoint, user) =
        Endpoint::parse(target).map_err(|error| Failure::configuration(format!("the target {target:?}")).because(error))?;
    flags.set_target(target, &endpoint, user.as_deref());
    let flags = flags.with_defaults(Defaults::Program);
    let nothing = Templar::new(Variables::new(), Vault::new());
    Ok(Settings::resolve(endpoint.host(), &nothing, &flags, &Variables::new())?)
}

/// The same, for commands that may run as another account.
pub(crate) fn typed_as(target: &str, connection: &ConnectionArguments, becoming: &BecomeArguments) -> Result<Settings, Failure> {
    let mut flags = flags(connection)?;
    set_become(&mut flags, becoming)?;
    typed(target, flags)
}

/// A client for a host with these settings.
pub(crate) async fn connect(mut settings: Settings, arguments: &ConnectionArguments, needs_user: bool) -> Result<Connected, Failure> {
    for warning in settings.warnings() {
        printer::warning(&warning.to_string());
    }
    let asked = asked_password(&settings)?;
    if let Some(proxy) = settings.asks_password_of_proxy() {
        let password = proxy::password(proxy, &arguments.proxy)?;
        settings.set_proxy_password(password);
    }
    let tickets = ManagedTickets::default();
    let mut user = settings.user().map(|user| user.value.clone());
    if user.is_none() || settings.methods().value == [Method::Certificate] {
        // The host knows which account a certificate stands for.
        user = settings.client_certificate().map(winrm::ClientCertificate::subject).or(user);
    }
    let ways = settings.ways(asked.as_ref(), &tickets.0, !needs_user)?;
    let way = first_taken(ways, user.is_some()).await?;
    Ok(Connected {
        client: way.builder.build()?,
        user,
        transport: way.transport,
        settings,
        _tickets: tickets,
    })
}

impl Connected {
    /// The account that commands run as, if it isn't the connection's. Asks for its password where nobody has said it.
    pub(crate) fn run_as(&self) -> Result<Option<RunAs>, Failure> {
        let password = ask_to_become(&self.settings)?;
        Ok(self.settings.run_as(password.as_ref())?)
    }
}

/// Asks for the password of the account to become, where nobody has said it.
pub(crate) fn ask_to_become(settings: &Settings) -> Result<Option<Secret>, Failure> {
    let Some(account) = settings.asks_password_to_become() else {
        return Ok(None);
    };
    prompt(&format!("Password of {account}, to become: "), "give --become-password-file FILE").map(Some)
}

/// Puts what is said of another account beside the connection's flags.
pub(crate) fn set_become(flags: &mut Flags, arguments: &BecomeArguments) -> Result<(), Failure> {
    if let Some(account) = &arguments.account {
        flags.set(Key::Become, Value::Bool(true), "--become");
        flags.set_text(Key::BecomeMethod, "runas", "--become");
        flags.set_text(Key::BecomeUser, account, "--become");
    }
    if let Some(text) = &arguments.become_flags {
        flags.set_text(Key::BecomeFlags, text, "--become-flags");
    }
    if let Some(file) = &arguments.become_password_file {
        flags.set_become_password(password_from_file(file)?, Origin::Flag("--become-password-file"));
    } else if arguments.ask_become_pass {
        let whose = arguments
            .account
            .as_deref()
            .map_or(String::new(), |account| format!(" of {account}"));
        let password = prompt(&format!("Password{whose}, to become: "), "give --become-password-file FILE")?;
        flags.set_become_password(password, Origin::Flag("--ask-become-pass"));
    }
    Ok(())
}

/// The user's password, asked for if it is needed and nobody has said it.
pub(crate) fn asked_password(settings: &Settings) -> Result<Option<Secret>, Failure> {
    let Some(user) = settings.asks_password_of() else {
        return Ok(None);
    };
    prompt(
        &format!("Password of {user} at {}: ", settings.endpoint()),
        &format!("give --connection-password-file FILE, or set {PASSWORD_VARIABLE}"),
    )
    .map(Some)
}

/// The first way that the host takes. Where there is only one, it is not tried: what is done with it will show.
async fn first_taken(mut ways: Vec<Way>, has_user: bool) -> Result<Way, Failure> {
    let last = ways.pop().ok_or_else(|| Failure::configuration("there is no transport to try"))?;
    for way in ways {
        let outcome = match way.builder.clone().build() {
            Ok(client) if has_user => client.ping().await.map(drop),
            outcome => outcome.map(drop),
        };
        match outcome {
            Ok(()) => return Ok(way),
            Err(error) if Way::goes_on_after(&error) => {
                printer::note(&format!("winrm: {} failed, going on to the next transport: {error}", way.transport));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(last)
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let hint = error.hint();
        let mut failure = Self::configuration(error.to_string());
        if let Some(source) = std::error::Error::source(&error) {
            failure = failure.because(source);
        }
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// What the flags say, with the password of `--connection-password-file`, of `-k`, and of the environment for where nothing else has one.
pub(crate) fn flags(arguments: &ConnectionArguments) -> Result<Flags, Failure> {
    let mut flags = Flags::new();
    let mut text = |key, value: Option<&str>, flag| {
        if let Some(value) = value {
            flags.set_text(key, value, flag);
        }
    };
    text(Key::User, arguments.user.as_deref(), "--user");
    text(
        Key::Encryption,
        arguments.encryption.map(|encryption| encryption.to_string()).as_deref(),
        "--encryption",
    );
    text(
        Key::Scheme,
        arguments.scheme.map(|scheme| winrm::Scheme::from(scheme).to_string()).as_deref(),
        "--scheme",
    );
    text(Key::Path, arguments.path.as_deref(), "--path");
    text(Key::CaTrustPath, path(arguments.ca.as_deref(), "--ca")?, "--ca");
    text(Key::Fingerprint, arguments.fingerprint.as_deref(), "--fingerprint");
    text(Key::CertValidation, arguments.insecure.then_some("ignore"), "--insecure");
    text(Key::ServerName, arguments.hostname_override.as_deref(), "--hostname-override");
    text(Key::HostnameOverride, arguments.hostname_override.as_deref(), "--hostname-override");
    if let Some(names) = &arguments.transport {
        flags.set_list(Key::Transport, names, "--transport");
    }
    if let Some(port) = arguments.port {
        flags.set(Key::Port, Value::Int(i64::from(port)), "--port");
    }
    if let Some(retries) = arguments.retries {
        flags.set(Key::Retries, Value::Int(i64::from(retries)), "--retries");
    }
    for (key, time, flag) in [
        (Key::ConnectTimeout, arguments.connect_timeout, "--connect-timeout"),
        (Key::OperationTimeout, arguments.operation_timeout, "--operation-timeout"),
        (Key::ReadTimeout, arguments.read_timeout, "--read-timeout"),
    ] {
        if let Some(time) = time {
            flags.set_time(key, time, flag);
        }
    }
    if arguments.no_cbt {
        flags.set(Key::SendCbt, Value::Bool(false), "--no-cbt");
    }
    set_tls(&mut flags, &arguments.tls)?;
    set_proxy(&mut flags, &arguments.proxy)?;
    set_kerberos(&mut flags, &arguments.kerberos);
    set_credssp(&mut flags, &arguments.credssp);
    set_password(&mut flags, arguments)?;
    Ok(flags)
}

fn set_password(flags: &mut Flags, arguments: &ConnectionArguments) -> Result<(), Failure> {
    if let Some(file) = &arguments.connection_password_file {
        flags.set_password(password_from_file(file)?, Origin::Flag("--connection-password-file"));
    } else if arguments.ask_pass {
        let who = arguments.user.as_deref().map_or(String::new(), |user| format!(" of {user}"));
        let password = prompt(
            &format!("Password{who}: "),
            &format!("give --connection-password-file FILE, or set {PASSWORD_VARIABLE}"),
        )?;
        flags.set_password(password, Origin::Flag("--ask-pass"));
    } else if let Some(password) = password_from_environment()? {
        flags.set_fallback_password(password, Origin::Environment(PASSWORD_VARIABLE));
    }
    Ok(())
}

fn set_tls(flags: &mut Flags, arguments: &TlsArguments) -> Result<(), Failure> {
    for (key, version, flag) in [
        (Key::TlsMinimum, arguments.tls_min, "--tls-min"),
        (Key::TlsMaximum, arguments.tls_max, "--tls-max"),
    ] {
        if let Some(version) = version {
            flags.set_text(key, &version.to_string(), flag);
        }
    }
    if let Some(ciphers) = &arguments.ciphers {
        flags.set_text(Key::Ciphers, ciphers, "--ciphers");
    }
    if let Some(certificate) = client_certificate(arguments)? {
        let path = path(arguments.cert.as_deref(), "--cert")?.unwrap_or_default();
        flags.set_certificate(certificate, path, "--cert");
    }
    if let Some(passphrase) = client_certificate::known_passphrase(arguments)? {
        flags.set_fallback_passphrase(passphrase);
    }
    Ok(())
}

fn set_proxy(flags: &mut Flags, arguments: &ProxyArguments) -> Result<(), Failure> {
    if let Some(url) = &arguments.proxy {
        proxy::check_typed(url)?;
        flags.set_text(Key::Proxy, url, "--proxy");
    }
    if let Some(hosts) = &arguments.no_proxy {
        flags.set_text(Key::NoProxy, hosts, "--no-proxy");
    }
    Ok(())
}

fn set_kerberos(flags: &mut Flags, arguments: &KerberosArguments) {
    let mode = arguments.kinit.map(|mode| match mode {
        KinitMode::Managed => "managed",
        KinitMode::Manual => "manual",
    });
    for (key, value, flag) in [
        (Key::KinitMode, mode, "--kinit"),
        (Key::KinitCommand, arguments.kinit_cmd.as_deref(), "--kinit-cmd"),
        (Key::KinitArguments, arguments.kinit_args.as_deref(), "--kinit-args"),
        (Key::Keytab, arguments.keytab.as_deref(), "--keytab"),
        (Key::Ccache, arguments.ccache.as_deref(), "--ccache"),
        (Key::Realm, arguments.realm.as_deref(), "--realm"),
        (Key::Service, arguments.service.as_deref(), "--service"),
    ] {
        if let Some(value) = value {
            flags.set_text(key, value, flag);
        }
    }
    if let Some(names) = &arguments.kinit_env {
        flags.set_list(Key::KinitEnvironment, names, "--kinit-env");
    }
    if arguments.delegate {
        flags.set(Key::Delegation, Value::Bool(true), "--delegate");
    }
}

fn set_credssp(flags: &mut Flags, arguments: &CredSspArguments) {
    if let Some(mechanism) = arguments.credssp_auth_mechanism {
        flags.set_text(Key::CredSspMechanism, &mechanism.to_string(), "--credssp-auth-mechanism");
    }
    if let Some(version) = arguments.credssp_minimum_version {
        flags.set(
            Key::CredSspMinimumVersion,
            Value::Int(i64::from(version)),
            "--credssp-minimum-version",
        );
    }
    if arguments.credssp_disable_tlsv1_2 {
        flags.set(Key::CredSspDisableTls12, Value::Bool(true), "--credssp-disable-tlsv1-2");
    }
}

/// A path as a setting holds it.
fn path<'a>(path: Option<&'a Path>, flag: &str) -> Result<Option<&'a str>, Failure> {
    match path {
        Some(path) => path
            .to_str()
            .map(Some)
            .ok_or_else(|| Failure::configuration(format!("{flag}: the path {} is not valid UTF-8", path.display()))),
        None => Ok(None),
    }
}

/// The first line of a file.
pub(crate) fn password_from_file(file: &Path) -> Result<Secret, Failure> {
    let fail = || Failure::configuration(format!("the password can't be read from {}", file.display()));
    let text = Secret::new(std::fs::read_to_string(file).map_err(|error| fail().because(error))?);
    let line = text.expose().lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(fail().hint("the file's first line is empty; the password has to stand on it"));
    }
    Ok(Secret::new(line))
}

/// The password of the environment, if it holds one.
pub(crate) fn password_from_environment() -> Result<Option<Secret>, Failure> {
    match std::env::var(PASSWORD_VARIABLE) {
        Ok(password) => Ok(Some(Secret::new(password))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::configuration(format!("{PASSWORD_VARIABLE} is not valid UTF-8"))),
    }
}

/// Asks on the terminal. `otherwise`: what to do where there is none.
pub(crate) fn prompt(question: &str, otherwise: &str) -> Result<Secret, Failure> {
    let no_terminal = || Failure::configuration("no password, and no terminal to ask for it").hint(otherwise);
    if !std::io::stderr().is_terminal() && !std::io::stdin().is_terminal() {
        return Err(no_terminal());
    }
    // The prompt goes to the terminal itself, so that standard input and output stay the command's.
    rpassword::prompt_password(question)
        .map(Secret::new)
        .map_err(|error| no_terminal().because(error))
}

/// A password of 20 letters and digits that no two look alike in: about 115 bits.
pub(crate) fn random_password() -> Result<Secret, Failure> {
    const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
    let mut password = String::with_capacity(20);
    let mut random = [0; 64];
    while password.len() < 20 {
        openssl::rand::rand_bytes(&mut random).map_err(|error| Failure::configuration("no random password can be made").because(error))?;
        // Bytes that would make some letters likelier are left out.
        let even = random
            .iter()
            .filter(|byte| usize::from(**byte) < 256 / ALPHABET.len() * ALPHABET.len());
        password.extend(
            even.map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
                .take(20 - password.len()),
        );
    }
    Ok(Secret::new(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_files_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let read = |content: &str| {
            let file = folder.path().join("pw");
            std::fs::write(&file, content).unwrap();
            password_from_file(&file).map(|password| password.expose().to_owned()).ok()
        };
        assert_eq!(read("pä ss \n").as_deref(), Some("pä ss "));
        assert_eq!(read("x\r\nsecond\r\n").as_deref(), Some("x"));
        assert_eq!(read("x").as_deref(), Some("x"));
        assert_eq!(read(""), None);
        assert_eq!(read("\nx"), None);
    }
}
