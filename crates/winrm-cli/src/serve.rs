//! `winrm serve`

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use winrm::{Credentials, Secret};
use winrm_server::{ClientAuthorities, CredSsp, Identity, LocalHost, Quotas, ServeError, Server, Users};

use crate::args::{QuotaArguments, ServeArguments};
use crate::connection::{PASSWORD_VARIABLE, password_from_environment, password_from_file, random_password};
use crate::failure::{Failure, Status};
use crate::printer;

pub(crate) async fn run(arguments: ServeArguments) -> Result<ExitCode, Failure> {
    let (users, made) = users(&arguments)?;
    let mut builder = Server::builder()
        .users(users)
        .require_channel_binding(arguments.require_channel_binding)
        .credssp(
            CredSsp::new()
                .minimum_version(arguments.credssp_minimum_version)
                .disable_tlsv1_2(arguments.credssp_disable_tlsv1_2),
        )
        .allow_any_principal(arguments.allow_any_principal)
        .allow_unencrypted(arguments.allow_unencrypted)
        .quotas(quotas(&arguments.quotas));
    let mut host = match &arguments.pwsh {
        Some(powershell) => host_with(powershell)?,
        None => LocalHost::new(),
    };
    if let Some(folder) = &arguments.certificate_store {
        make_store(folder)?;
        host = host.certificate_store(folder);
        builder = builder.client_authorities(ClientAuthorities::store(folder));
    }
    builder = builder.host(host);
    if let Some(methods) = &arguments.auth {
        builder = builder.authentication(methods.clone());
    }
    if let Some(keytab) = &arguments.keytab {
        builder = builder.keytab(keytab);
    }
    if let Some(file) = &arguments.client_ca {
        let authorities = ClientAuthorities::from_pem(&read(file)?)
            .map_err(|error| Failure::configuration(format!("the authorities of {}", file.display())).because(error))?;
        builder = builder.client_authorities(authorities);
    }
    for operator in &arguments.operator {
        builder = builder.operator(operator);
    }
    if let Some(sddl) = &arguments.root_sddl {
        builder = builder.root_sddl(sddl);
    }
    for (upn, user) in &arguments.map_certificate {
        builder = builder.map_certificate(upn.clone(), user);
    }
    if arguments.listen.is_empty() && arguments.tls_listen.is_empty() {
        builder = builder.listen(([127, 0, 0, 1], 5985).into());
    }
    for address in &arguments.listen {
        builder = builder.listen(*address);
    }
    for address in &arguments.tls_listen {
        builder = builder.tls_listen(*address);
    }
    if let (Some(cert), Some(key)) = (&arguments.cert, &arguments.key) {
        builder = builder.tls_identity(Identity::from_pem(&read(cert)?, &read(key)?).map_err(|error| {
            Failure::configuration(format!("the certificate {} with the key {}", cert.display(), key.display())).because(error)
        })?);
    }
    let catch = |kind| signal(kind).map_err(|error| Failure::configuration("signals can't be caught").because(error));
    let mut terminate = catch(SignalKind::terminate())?;
    // Caught, not ignored: commands would inherit that, and never hear of Ctrl-C and Ctrl-Break.
    let (mut interrupt, mut quit) = (catch(SignalKind::interrupt())?, catch(SignalKind::quit())?);
    let server = builder.bind().await.map_err(|error| {
        let hint = start_hint(&error);
        let failure = Failure::configuration("the service can't start").because(error);
        hint.into_iter().fold(failure, Failure::hint)
    })?;
    if let Some(password) = made {
        announce("winrm", &password);
    }
    for address in server.addresses() {
        if !address.ip().is_loopback() {
            printer::warning(&format!(
                "{address} can be reached from other machines: whoever has a password runs commands here"
            ));
        }
    }
    if arguments.allow_unencrypted {
        printer::warning("clear text is allowed over http: passwords and output can be read on the way");
    }
    if let Some(file) = &arguments.cert_out {
        write_certificate(&server, file)?;
    }
    for url in server.urls() {
        printer::line(&format!("listening {url}"));
    }
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
    };
    server
        .serve(shutdown)
        .await
        .map_err(|error| Failure::new(Status::Failed, "the service has ended").because(error))?;
    Ok(ExitCode::SUCCESS)
}

fn host_with(powershell: &Path) -> Result<LocalHost, Failure> {
    // Said now, not when the first client wants it.
    let failed = || Failure::configuration(format!("--pwsh {}", powershell.display()));
    let metadata = std::fs::metadata(powershell).map_err(|error| failed().because(error))?;
    if !metadata.is_file() {
        return Err(failed()
            .because(std::io::Error::other("it is no file"))
            .hint("give the program itself, such as /usr/bin/pwsh"));
    }
    Ok(LocalHost::new().powershell(powershell))
}

/// Whoever writes there decides who is let in: nobody but the user of the service.
fn make_store(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    let made = ["Root", "CA", "TrustedPeople"]
        .iter()
        .try_for_each(|store| builder.create(folder.join(store)));
    made.map_err(|error| Failure::configuration(format!("--certificate-store {}", folder.display())).because(error))
}

/// What to do about a service that can't start.
fn start_hint(error: &ServeError) -> Option<&'static str> {
    match error {
        ServeError::NoClientAuthorities => Some("give --client-ca FILE and --map-certificate UPN=USER, or leave certificate out of --auth"),
        ServeError::CertificatesNotOffered => Some("add certificate to --auth, or leave --client-ca and --map-certificate out"),
        ServeError::CertificatesWithoutTls => Some("give --tls-listen ADDR:PORT: certificates need https"),
        ServeError::UnknownOperator(_) => Some("name an account of --users or --user, as it stands there"),
        ServeError::RootSddl(_) => {
            Some("such as O:NSG:BAD:P(A;;GA;;;BA)(A;;GXGR;;;RM): administrators everything, operators shells and reading")
        }
        ServeError::UnknownAccount { .. } => Some("name an account of --users or --user behind the ="),
        _ => None,
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::configuration(format!("{} can't be read", file.display())).because(error))
}

fn write_certificate(server: &Server, file: &Path) -> Result<(), Failure> {
    let certificate = server
        .certificate_pem()
        .ok_or_else(|| Failure::configuration("there is no certificate to write").hint("--cert-out goes with --tls-listen"))?;
    std::fs::write(file, certificate).map_err(|error| Failure::configuration(format!("{} can't be written", file.display())).because(error))
}

/// The accounts, and the password if one had to be made.
fn users(arguments: &ServeArguments) -> Result<(Users, Option<Secret>), Failure> {
    if let Some(file) = &arguments.users {
        let text = Secret::new(
            String::from_utf8(read(file)?)
                .map_err(|error| Failure::configuration(format!("{} is not valid UTF-8", file.display())).because(error.utf8_error()))?,
        );
        let users = Users::parse(text.expose()).map_err(|error| Failure::configuration(file.display().to_string()).because(error))?;
        return Ok((users, None));
    }
    let (name, password, made) = match &arguments.user {
        Some(name) => {
            let password = match &arguments.password_file {
                Some(file) => password_from_file(file)?,
                None => password_from_environment()?.ok_or_else(|| {
                    Failure::configuration(format!("no password for {name}"))
                        .hint(format!("give --password-file FILE, or set {PASSWORD_VARIABLE}"))
                })?,
            };
            (name.as_str(), password, None)
        }
        None => {
            let password = random_password()?;
            ("winrm", password.clone(), Some(password))
        }
    };
    let credentials =
        Credentials::parse(name, password).map_err(|error| Failure::configuration(format!("the user {name:?}")).because(error))?;
    let mut users = Users::new();
    users.add(credentials);
    Ok((users, made))
}

/// The one place where a password is printed: nobody else knows it.
fn announce(user: &str, password: &Secret) {
    printer::note(&format!("user {user}, password {}", password.expose()));
    if !std::io::stderr().is_terminal() {
        printer::note("(made for this run; choose your own with --user and --password-file, or --users)");
    }
}

fn quotas(arguments: &QuotaArguments) -> Quotas {
    let mut quotas = Quotas::default();
    let set = |target: &mut u32, value: Option<u32>| {
        if let Some(value) = value {
            *target = value;
        }
    };
    set(&mut quotas.max_envelope_size_kb, arguments.max_envelope_size);
    set(&mut quotas.max_shells_per_user, arguments.max_shells_per_user);
    set(&mut quotas.max_processes_per_shell, arguments.max_processes_per_shell);
    set(&mut quotas.max_concurrent_operations_per_user, arguments.max_operations_per_user);
    set(&mut quotas.max_connections, arguments.max_connections);
    if let Some(idle_timeout) = arguments.idle_timeout {
        quotas.idle_timeout = idle_timeout;
    }
    quotas
}
