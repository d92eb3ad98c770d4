//! From the connection's flags to a client.

use std::io::IsTerminal as _;
use std::path::Path;

use winrm::{
    CertificateCheck, Client, ClientBuilder, ClientCertificate, Credentials, Endpoint, Kerberos, Kinit, Secret, TicketSource, Transport,
};

use crate::args::{ConnectionArguments, KerberosArguments, KinitMode, TlsArguments};
use crate::client_certificate::client_certificate;
use crate::failure::Failure;
use crate::proxy;

/// The environment variable that may hold the password.
pub(crate) const PASSWORD_VARIABLE: &str = "WINRM_PASSWORD";

/// The managed tickets of a run. Dropping it removes them, which the threads of a program that ends may not get to.
pub(crate) struct ManagedTickets(Kerberos);

impl Drop for ManagedTickets {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A client for the target, the user it connects as, and the tickets that it fetches. `needs_user`: whether there is nothing to do
/// without one.
pub(crate) fn client(
    target: &str,
    arguments: &ConnectionArguments,
    needs_user: bool,
) -> Result<(Client, Option<String>, ManagedTickets), Failure> {
    let kerberos = kerberos(arguments)?;
    let (endpoint, user) = endpoint(target, arguments)?;
    let user = arguments.user.clone().or(user);
    let mut builder = Client::builder(&endpoint.to_string())
        .transport(arguments.transport)
        .encryption(arguments.encryption)
        .certificates(certificates(arguments)?)
        .connect_timeout(arguments.connect_timeout)
        .operation_timeout(arguments.operation_timeout)
        .read_timeout(arguments.read_timeout)
        .retries(arguments.retries)
        .channel_binding(!arguments.no_cbt)
        .kerberos(kerberos.clone());
    if let Some(name) = &arguments.hostname_override {
        builder = builder.server_name(name);
    }
    let certificate = client_certificate(&arguments.tls)?;
    builder = tls(builder, &arguments.tls, certificate.clone());
    if let Some(proxy) = proxy::proxy(&endpoint, &arguments.proxy)? {
        builder = builder.proxy(proxy);
    }
    if arguments.transport == Transport::Certificate {
        // The host knows which account the certificate stands for: nobody is asked for one.
        let subject = certificate.map(|certificate| certificate.subject());
        return Ok((builder.build()?, subject, ManagedTickets(kerberos)));
    }
    let tickets_suffice = matches!(arguments.transport, Transport::Kerberos | Transport::Negotiate);
    match &user {
        Some(user) => {
            // Who brings tickets is not asked for a password.
            let password = if arguments.transport == Transport::Kerberos && arguments.kerberos.has_tickets() {
                Secret::new("")
            } else {
                password(user, &endpoint.to_string(), arguments)?
            };
            let credentials =
                Credentials::parse(user, password).map_err(|error| Failure::configuration(format!("the user {user:?}")).because(error))?;
            builder = builder.credentials(credentials);
        }
        None if needs_user && !tickets_suffice => {
            return Err(Failure::configuration(format!("no user for {endpoint}")).hint("name one with -u/--user, or write USER@HOST"));
        }
        None => {}
    }
    Ok((builder.build()?, user, ManagedTickets(kerberos)))
}

fn endpoint(target: &str, arguments: &ConnectionArguments) -> Result<(Endpoint, Option<String>), Failure> {
    let (mut endpoint, user) =
        Endpoint::parse(target).map_err(|error| Failure::configuration(format!("the target {target:?}")).because(error))?;
    if let Some(scheme) = arguments.scheme {
        let scheme = winrm::Scheme::from(scheme);
        let default_port = endpoint.port() == endpoint.scheme().default_port();
        endpoint = endpoint.with_scheme(scheme);
        if default_port {
            endpoint = endpoint.with_port(scheme.default_port());
        }
    }
    if let Some(port) = arguments.port {
        endpoint = endpoint.with_port(port);
    }
    if let Some(path) = &arguments.path {
        endpoint = endpoint.with_path(path);
    }
    Ok((endpoint, user))
}

impl KerberosArguments {
    /// Whether the tickets come from elsewhere than a password.
    fn has_tickets(&self) -> bool {
        self.kinit == Some(KinitMode::Manual) || self.keytab.is_some() || self.ccache.is_some()
    }
}

fn kerberos(connection: &ConnectionArguments) -> Result<Kerberos, Failure> {
    let arguments = &connection.kerberos;
    let mut kerberos = Kerberos::new().delegate(arguments.delegate);
    if let Some(realm) = &arguments.realm {
        kerberos = kerberos.realm(realm);
    }
    if let Some(service) = &arguments.service {
        kerberos = kerberos.service(service);
    }
    if let Some(host) = &connection.hostname_override {
        kerberos = kerberos.host(host);
    }
    if let Some(keytab) = &arguments.keytab {
        return Ok(kerberos.tickets(TicketSource::Keytab(keytab.clone())));
    }
    if let Some(ccache) = &arguments.ccache {
        return Ok(kerberos.tickets(TicketSource::Ccache(ccache.clone())));
    }
    let mut kinit = Kinit::default().command(&arguments.kinit_cmd).forwardable(arguments.delegate);
    let changed = arguments.kinit_cmd != "kinit" || arguments.kinit_args.is_some() || arguments.kinit_env.is_some();
    if let Some(text) = &arguments.kinit_args {
        kinit = kinit.arguments(shlex::split(text).ok_or_else(|| {
            Failure::configuration(format!("--kinit-args {text:?} can't be split into words")).hint("a quote is not closed")
        })?);
    }
    if let Some(names) = &arguments.kinit_env {
        kinit = kinit.environment(names);
    }
    Ok(match arguments.kinit {
        Some(KinitMode::Manual) => kerberos.tickets(TicketSource::Default),
        Some(KinitMode::Managed) => kerberos.tickets(TicketSource::Managed(kinit)),
        // With negotiate, a user without a realm is tried with NTLM only, unless something says Kerberos.
        None if changed => kerberos.tickets(TicketSource::Managed(kinit)),
        None => kerberos,
    })
}

fn tls(builder: ClientBuilder, arguments: &TlsArguments, certificate: Option<ClientCertificate>) -> ClientBuilder {
    let mut builder = builder.tls_minimum(arguments.tls_min);
    if let Some(version) = arguments.tls_max {
        builder = builder.tls_maximum(version);
    }
    if let Some(ciphers) = &arguments.ciphers {
        builder = builder.ciphers(ciphers);
    }
    if let Some(certificate) = certificate {
        builder = builder.client_certificate(certificate);
    }
    builder
}

fn certificates(arguments: &ConnectionArguments) -> Result<CertificateCheck, Failure> {
    if arguments.insecure {
        return Ok(CertificateCheck::Ignore);
    }
    if let Some(ca) = &arguments.ca {
        return Ok(CertificateCheck::Authorities(ca.clone()));
    }
    let Some(fingerprint) = &arguments.fingerprint else {
        return Ok(CertificateCheck::System);
    };
    match parse_fingerprint(fingerprint) {
        Some(digest) => Ok(CertificateCheck::Pinned(digest)),
        None => Err(Failure::configuration(format!("{fingerprint:?} is no SHA-256 fingerprint"))
            .hint("it has 64 hexadecimal digits: openssl x509 -in CERT -noout -fingerprint -sha256")),
    }
}

fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| !matches!(character, ':' | ' ' | '-'))
        .map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

fn password(user: &str, endpoint: &str, arguments: &ConnectionArguments) -> Result<Secret, Failure> {
    if let Some(file) = &arguments.connection_password_file {
        return password_from_file(file);
    }
    if !arguments.ask_pass
        && let Some(password) = password_from_environment()?
    {
        return Ok(password);
    }
    prompt(
        &format!("Password of {user} at {endpoint}: "),
        &format!("give --connection-password-file FILE, or set {PASSWORD_VARIABLE}"),
    )
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
    fn fingerprints_are_read_with_and_without_colons() {
        let plain = "00ff".repeat(16);
        let expected: [u8; 32] = std::array::from_fn(|index| if index % 2 == 0 { 0 } else { 0xFF });
        assert_eq!(parse_fingerprint(&plain), Some(expected));
        assert_eq!(parse_fingerprint(&"00:FF:".repeat(16)), Some(expected));
        for bad in ["", "00ff", &"0".repeat(63), &"0".repeat(66), &"xy".repeat(32)] {
            assert_eq!(parse_fingerprint(bad), None, "{bad}");
        }
    }

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
