//! From the flags to a client certificate.

use std::path::Path;

use winrm::{CertificateError, ClientCertificate, Secret};

use crate::args::TlsArguments;
use crate::connection::{password_from_file, prompt};
use crate::failure::Failure;

/// The environment variable that may hold the passphrase of a private key or PFX file.
const PASSPHRASE_VARIABLE: &str = "WINRM_CERT_PASSPHRASE";

/// The certificate that is shown to hosts which ask for one.
pub(crate) fn client_certificate(arguments: &TlsArguments) -> Result<Option<ClientCertificate>, Failure> {
    let Some(file) = &arguments.cert else {
        return Ok(None);
    };
    let read = |file: &Path| {
        std::fs::read(file).map_err(|error| Failure::configuration(format!("{} can't be read", file.display())).because(error))
    };
    let certificate = read(file)?;
    let key = arguments.cert_key.as_deref().map(read).transpose()?;
    let open = |passphrase: Option<&Secret>| ClientCertificate::read(&certificate, key.as_deref(), passphrase);
    let opened = match open(None) {
        Err(CertificateError::PassphraseNeeded { .. }) => open(Some(&passphrase(arguments)?)),
        opened => opened,
    };
    opened.map(Some).map_err(|error| {
        let named = match &arguments.cert_key {
            Some(key) => format!("the certificate {} with the key {}", file.display(), key.display()),
            None => format!("the certificate {}", file.display()),
        };
        let hint = match &error {
            CertificateError::NoKey { .. } if arguments.cert_key.is_none() => Some("name the key's file with --cert-key"),
            error => error.hint(),
        };
        let failure = Failure::configuration(named).because(&error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

fn passphrase(arguments: &TlsArguments) -> Result<Secret, Failure> {
    if let Some(passphrase) = known_passphrase(arguments)? {
        return Ok(passphrase);
    }
    let file = arguments.cert_key.as_ref().or(arguments.cert.as_ref());
    let file = file.map(|file| file.display().to_string()).unwrap_or_default();
    prompt(
        &format!("Passphrase of {file}: "),
        &format!("{file} is encrypted: give --cert-passphrase-file FILE, or set {PASSPHRASE_VARIABLE}"),
    )
}

/// The passphrase that nobody has to be asked for.
pub(crate) fn known_passphrase(arguments: &TlsArguments) -> Result<Option<Secret>, Failure> {
    if let Some(file) = &arguments.cert_passphrase_file {
        return password_from_file(file).map(Some);
    }
    match std::env::var(PASSPHRASE_VARIABLE) {
        Ok(passphrase) => Ok(Some(Secret::new(passphrase))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::configuration(format!("{PASSPHRASE_VARIABLE} is not valid UTF-8"))),
    }
}
