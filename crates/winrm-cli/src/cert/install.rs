//! `winrm cert install`: a certificate becomes a way in for an account of a host.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use openssl::x509::{X509, X509Ref};
use winrm::certificate::{FileForm, Inspection, Purpose, Severity, read_certificates, read_key, way_up};
use winrm::{Client, Resource, Scheme, Secret, Value, WsMan};
use winrm_fleet::settings::Key;

use super::mapping::{Mapping, mappings};
use super::stores::{self, Store};
use super::{files, openssl, passphrase};
use crate::args::{CertInstallArguments, ConnectionArguments, Format};
use crate::connection::{self, password_from_file};
use crate::failure::{Failure, Status};
use crate::printer;

const AUTH: &str = "http://schemas.microsoft.com/wbem/wsman/1/config/service/auth";
const ACCOUNTS: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_UserAccount";

/// The certificate, and what the host has to know of it.
struct Installed {
    leaf: X509,
    upn: String,
    /// The authorities above it that are at hand.
    authorities: Vec<X509>,
    /// The thumbprint of the authority that has signed it.
    issuer: String,
}

/// What was done, in its order.
struct Steps {
    format: Format,
    done: Vec<(&'static str, bool, String)>,
}

impl Steps {
    fn add(&mut self, step: &'static str, changed: bool, text: String) {
        if self.format == Format::Text {
            printer::marked(true, if changed { "changed" } else { "unchanged" }, &text);
        }
        self.done.push((step, changed, text));
    }
}

pub(super) async fn run(arguments: &CertInstallArguments) -> Result<ExitCode, Failure> {
    if arguments.account.contains(['\\', '@']) {
        return Err(Failure::configuration(format!("{} is no local account", arguments.account))
            .hint("Windows maps certificates to accounts of the host itself: give the account's name alone"));
    }
    let certificate = read(arguments)?;
    let key = key(arguments, &certificate.leaf)?;

    let mut flags = connection::flags(&arguments.connection)?;
    let mut settings = connection::typed(&arguments.target, flags.clone())?;
    if let Some(password) = connection::asked_password(&settings)? {
        flags.set_password(password, winrm_fleet::Origin::Flag("--ask-pass"));
        settings = connection::typed(&arguments.target, flags)?;
    }
    let password = account_password(arguments, &settings)?;
    let connected = connection::connect(settings, &arguments.connection, true).await?;
    let mut steps = Steps {
        format: arguments.format,
        done: Vec::new(),
    };
    let outcome = install(&connected.client, &certificate, &arguments.account, password, &mut steps).await;
    let endpoint = connected.client.endpoint().clone();
    connected.client.close().await;
    outcome?;

    let tried = match &key {
        _ if arguments.no_try => Err("--no-try"),
        None => Err("its private key is not at hand: give --key FILE"),
        Some(key) => {
            let endpoint = match endpoint.scheme() {
                Scheme::Https => endpoint,
                Scheme::Http => endpoint.with_scheme(Scheme::Https).with_port(Scheme::Https.default_port()),
            };
            Ok((try_it(arguments, key, &endpoint.to_string()).await, endpoint))
        }
    };
    let let_in = tried.as_ref().ok().map(|(outcome, _)| outcome.is_ok());
    if arguments.format == Format::Json {
        let steps = steps
            .done
            .iter()
            .map(|(step, changed, text)| serde_json::json!({ "step": step, "changed": changed, "text": text }));
        let json = serde_json::json!({
            "upn": certificate.upn,
            "account": arguments.account,
            "issuer": certificate.issuer,
            "steps": steps.collect::<Vec<_>>(),
            "let_in": let_in,
        });
        printer::line(&json.to_string());
    }
    match tried {
        Ok((Ok(()), endpoint)) => {
            if arguments.format == Format::Text {
                printer::marked(true, "ok", &format!("the certificate lets {} in at {endpoint}", certificate.upn));
            }
            Ok(ExitCode::SUCCESS)
        }
        Ok((Err(failure), endpoint)) => {
            let (why, hint) = failure.into_parts();
            let failure = Failure::new(
                Status::Failed,
                format!("it is installed, and does not let {} in at {endpoint}: {why}", certificate.upn),
            );
            Err(hint.into_iter().fold(failure, Failure::hint))
        }
        Err(why) => {
            if arguments.format == Format::Text {
                printer::line(&format!("-  the certificate was not tried: {why}"));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Reads the certificate, and refuses what the host would.
fn read(arguments: &CertInstallArguments) -> Result<Installed, Failure> {
    let mut certificates = read_all(&arguments.file, arguments.passphrase_file.as_deref())?;
    let leaf = certificates.remove(0);
    let inspection = Inspection::of(&leaf).map_err(openssl)?;
    let name = arguments.file.display();
    let wrong = inspection
        .findings(Purpose::Client, SystemTime::now())
        .into_iter()
        .find(|finding| finding.severity == Severity::Error);
    if let Some(finding) = wrong {
        return Err(Failure::configuration(format!("{name} would let nobody in: {}", finding.what)).hint(finding.mend));
    }
    let upns: Vec<_> = inspection.upns().map(|upn| upn.as_str().to_owned()).collect();
    let [upn] = upns.as_slice() else {
        return Err(
            Failure::configuration(format!("{name} has {} user principal names, and exactly one is needed", upns.len()))
                .hint("winrm cert new --upn USER@localhost makes one that WinRM takes"),
        );
    };
    if let Some(issuer) = &arguments.issuer {
        certificates.extend(read_all(issuer, None)?);
    }
    let (authorities, issuer) = if inspection.self_signed {
        (vec![leaf.clone()], inspection.thumbprint)
    } else if let Some(issuer) = &arguments.issuer_thumbprint {
        (Vec::new(), issuer.clone())
    } else {
        let above = way_up(&leaf, certificates);
        let Some(first) = above.first() else {
            return Err(
                Failure::configuration(format!("the certificate of {name}'s issuer, {}, is not at hand", inspection.issuer))
                    .hint("give --issuer FILE; or --issuer-thumbprint THUMBPRINT, where it is in the host's Root or CA already"),
            );
        };
        let issuer = Inspection::of(first).map_err(openssl)?.thumbprint;
        (above, issuer)
    };
    Ok(Installed {
        upn: upn.clone(),
        leaf,
        authorities,
        issuer,
    })
}

/// The certificates of a file, that of the client first.
fn read_all(file: &Path, passphrase: Option<&Path>) -> Result<Vec<X509>, Failure> {
    let bytes = files::read(file)?;
    if FileForm::of(&bytes) == FileForm::Pfx {
        let pair = passphrase::read_pair(file, None, passphrase)?;
        return Ok(std::iter::once(pair.leaf().to_owned())
            .chain(pair.chain().iter().cloned())
            .collect());
    }
    let certificates = read_certificates(&bytes).map_err(|error| {
        let hint = error.hint();
        let failure = Failure::configuration(file.display().to_string()).because(error);
        hint.into_iter().fold(failure, Failure::hint)
    })?;
    if certificates.is_empty() {
        return Err(Failure::configuration(format!("{} holds no certificate", file.display())));
    }
    Ok(certificates)
}

/// Where the private key is: in the file itself, where `--key` says, or beside it.
fn key(arguments: &CertInstallArguments, leaf: &X509Ref) -> Result<Option<PathBuf>, Failure> {
    let bytes = files::read(&arguments.file)?;
    if let Some(key) = &arguments.key {
        let pair = passphrase::read_pair(&arguments.file, Some(key), arguments.passphrase_file.as_deref())?;
        drop(pair);
        return Ok(Some(key.clone()));
    }
    if FileForm::of(&bytes) == FileForm::Pfx || !matches!(read_key(&bytes, None), Err(winrm::CertificateError::NoKey { .. })) {
        return Ok(Some(arguments.file.clone()));
    }
    let beside = arguments.file.with_extension("key");
    if !beside.is_file() {
        return Ok(None);
    }
    // Another's key is no reason to fail: nobody has named it.
    let is_its = match read_key(&files::read(&beside)?, None) {
        Ok(key) => winrm::certificate::belongs(leaf, &key),
        Err(winrm::CertificateError::PassphraseNeeded { .. }) => true,
        Err(_) => false,
    };
    Ok(is_its.then_some(beside))
}

fn account_password(arguments: &CertInstallArguments, settings: &winrm_fleet::Settings) -> Result<Secret, Failure> {
    if let Some(file) = &arguments.account_password_file {
        return password_from_file(file);
    }
    let own = settings.user().map_or("", |user| user.value.as_str());
    let own = own.strip_prefix(r".\").unwrap_or(own);
    match settings.password() {
        Some(password) if own.eq_ignore_ascii_case(&arguments.account) => Ok(password.value.clone()),
        _ => connection::prompt(
            &format!("Password of the account {} on the host: ", arguments.account),
            "give --account-password-file FILE",
        ),
    }
}

async fn install(client: &Client, certificate: &Installed, account: &str, password: Secret, steps: &mut Steps) -> Result<(), Failure> {
    let wsman = client.wsman();
    // Whoever may not read the configuration may not change it: nothing is left half done then.
    let there = mappings(&wsman).await?;
    let is_on = is_switched_on(&wsman).await?;
    check_account(&wsman, account).await?;
    let mut places: Vec<(Store, &X509Ref)> = Vec::new();
    for authority in &certificate.authorities {
        let store = match Inspection::of(authority).map_err(openssl)?.self_signed {
            true => Store::Root,
            false => Store::Intermediate,
        };
        places.push((store, authority));
    }
    places.push((Store::TrustedPeople, &certificate.leaf));
    for stored in stores::change(client, &places, false).await? {
        let text = format!("the certificate {} is in {}", stored.thumbprint, stored.store);
        steps.add("store", stored.changed, text);
    }
    map(&wsman, there, certificate, account, password, steps).await?;
    if !is_on {
        wsman.set(&Resource::new(AUTH), [("Certificate", true)]).await?;
    }
    steps.add("switch", !is_on, "certificates are taken for authentication".to_owned());
    Ok(())
}

/// Whether certificates are taken, or an error where they can't be.
async fn is_switched_on(wsman: &WsMan) -> Result<bool, Failure> {
    let now = wsman.get(&Resource::new(AUTH)).await?;
    let is = |text: Option<&str>, wanted| text.is_some_and(|text| text.eq_ignore_ascii_case(wanted));
    let is_on = is(now.text("Certificate"), "true");
    if !is_on && is(now.source_of("Certificate"), "GPO") {
        return Err(
            Failure::new(Status::Failed, "group policy switches certificates off on this host, and wins")
                .hint("have the policy changed: Windows Remote Management, WinRM Service"),
        );
    }
    Ok(is_on)
}

/// Windows would say no more than that the credentials are wrong.
async fn check_account(wsman: &WsMan, account: &str) -> Result<(), Failure> {
    let quoted = account.replace('\\', "\\\\").replace('\'', "\\'");
    let query = format!("LocalAccount = True AND Name = '{quoted}'");
    let found = match wsman.enumerate(&Resource::new(ACCOUNTS)).wql(query).collect().await {
        Ok(found) => found,
        // Whoever may not read WMI may still map certificates.
        Err(error) if error.as_fault().is_some() => {
            let (why, _) = Failure::from(error).into_parts();
            printer::warning(&format!("whether there is an account {account} can't be seen: {why}"));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let Some(found) = found.iter().find_map(|item| item.instance.as_ref()) else {
        return Err(
            Failure::new(Status::Failed, format!("there is no local account {account} on the host"))
                .hint("certificates are mapped to local accounts alone; net user shows them"),
        );
    };
    for (property, what) in [("Disabled", "is disabled"), ("Lockout", "is locked out")] {
        if found.text(property).is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Err(Failure::new(Status::Failed, format!("the account {account} {what}")).hint("net user NAME /active:yes"));
        }
    }
    Ok(())
}

async fn map(
    wsman: &WsMan,
    there: Vec<Mapping>,
    certificate: &Installed,
    account: &str,
    password: Secret,
    steps: &mut Steps,
) -> Result<(), Failure> {
    let wanted = Mapping {
        subject: certificate.upn.clone(),
        uri: "*".to_owned(),
        issuer: certificate.issuer.clone(),
        account: account.to_owned(),
        enabled: true,
    };
    let there = there.into_iter().find(|mapping| mapping.is_at(&wanted));
    let values: [(&str, Value); 3] = [
        ("UserName", account.into()),
        ("Password", password.into()),
        ("Enabled", true.into()),
    ];
    let text = match there {
        // What password is kept with it can't be read, so that it is set again.
        Some(there) => {
            wsman.set(&there.resource(), values).await?;
            if there.account.eq_ignore_ascii_case(account) {
                format!("{} is mapped to {account}, as it was; the password is set again", wanted.subject)
            } else {
                format!(
                    "{} is mapped to {account} in place of {}",
                    wanted.subject,
                    printer::plain(&there.account)
                )
            }
        }
        None => {
            wsman.create(&wanted.resource(), values).await?;
            format!("{} is mapped to {account}", wanted.subject)
        }
    };
    steps.add("mapping", true, text);
    Ok(())
}

/// Connects by the certificate.
async fn try_it(arguments: &CertInstallArguments, key: &Path, endpoint: &str) -> Result<(), Failure> {
    let mut connection: ConnectionArguments = arguments.connection.clone();
    (connection.ask_pass, connection.connection_password_file, connection.user) = (false, None, None);
    (connection.port, connection.scheme, connection.encryption) = (None, None, None);
    connection.transport = Some(vec!["certificate".to_owned()]);
    connection.tls.cert = Some(arguments.file.clone());
    connection.tls.cert_key = (key != arguments.file).then(|| key.to_owned());
    if connection.tls.cert_passphrase_file.is_none() {
        connection.tls.cert_passphrase_file.clone_from(&arguments.passphrase_file);
    }
    let mut flags = connection::flags(&connection)?;
    flags.set_text(Key::Transport, "certificate", "--transport");
    let connected = connection::connect(connection::typed(endpoint, flags)?, &connection, true).await?;
    let outcome = connected.client.ping().await;
    connected.client.close().await;
    outcome?;
    Ok(())
}
