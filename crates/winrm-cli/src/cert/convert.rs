//! `winrm cert convert`

use std::process::ExitCode;

use winrm::Secret;
use winrm::certificate::{FileForm, PfxEncryption, name_text, read_certificates};

use super::files::{self, Readers};
use super::new::key_pem;
use super::{openssl, passphrase};
use crate::args::CertConvertArguments;
use crate::failure::Failure;
use crate::printer;

/// The option for the passphrase of what is written.
const OUT_OPTION: &str = "--out-passphrase-file";

pub(super) fn run(arguments: &CertConvertArguments) -> Result<ExitCode, Failure> {
    let ending = arguments.to.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let ending = ending.to_ascii_lowercase();
    let only_for = |option: &str, endings: &str| Err(Failure::configuration(format!("{option} goes with {endings} alone")));
    let encrypts = arguments.encrypt || arguments.out_passphrase_file.is_some();
    match ending.as_str() {
        "pfx" | "p12" if arguments.encrypt => only_for("--encrypt", ".pem, since a PFX file is encrypted in any case: it goes with .pem"),
        "pfx" | "p12" => to_pfx(arguments),
        _ if arguments.legacy => only_for("--legacy", ".pfx"),
        "pem" => to_pem(arguments),
        "cer" | "crt" | "der" if encrypts => only_for("a passphrase", ".pem and .pfx"),
        "cer" | "crt" | "der" => to_der(arguments),
        _ => Err(
            Failure::configuration(format!("the ending of {} does not say what to write", arguments.to.display()))
                .hint(".pfx or .p12: all in one file; .pem: with the key in .key; .cer: the certificate alone"),
        ),
    }
}

fn to_pfx(arguments: &CertConvertArguments) -> Result<ExitCode, Failure> {
    let pair = passphrase::read_pair(&arguments.file, arguments.key.as_deref(), arguments.passphrase_file.as_deref())?;
    let passphrase = passphrase::choose(&arguments.to, arguments.out_passphrase_file.as_deref(), OUT_OPTION)?;
    let encryption = match arguments.legacy {
        true => PfxEncryption::TripleDes,
        false => PfxEncryption::Aes256,
    };
    let name = name_text(pair.leaf().subject_name());
    let pfx = pair.to_pfx(&name, &passphrase, encryption).map_err(openssl)?;
    files::keep([files::write(&arguments.to, &pfx, Readers::Owner, arguments.force)?])?;
    let (with, reads) = match arguments.legacy {
        true => ("Triple DES and SHA-1", "every Windows reads it; delete it once it is imported"),
        false => (
            "AES-256 and SHA-256",
            "Windows Server 2019 and later read it; --legacy writes one for older ones",
        ),
    };
    printer::line(&format!(
        "{}: certificate{} and key of {name}, encrypted with {with}",
        arguments.to.display(),
        if pair.chain().is_empty() { "" } else { ", chain" },
    ));
    printer::line(&format!("   {reads}"));
    Ok(ExitCode::SUCCESS)
}

fn to_pem(arguments: &CertConvertArguments) -> Result<ExitCode, Failure> {
    let pair = passphrase::read_pair(&arguments.file, arguments.key.as_deref(), arguments.passphrase_file.as_deref())?;
    let key_file = arguments.to.with_extension("key");
    let passphrase: Option<Secret> = match arguments.encrypt || arguments.out_passphrase_file.is_some() {
        true => Some(passphrase::choose(&key_file, arguments.out_passphrase_file.as_deref(), OUT_OPTION)?),
        false => None,
    };
    let mut text = pair.leaf().to_pem().map_err(openssl)?;
    for certificate in pair.chain() {
        text.extend(certificate.to_pem().map_err(openssl)?);
    }
    let key = key_pem(pair.key(), passphrase.as_ref()).map_err(openssl)?;
    files::keep([
        files::write(&key_file, key.expose().as_bytes(), Readers::Owner, arguments.force)?,
        files::write(&arguments.to, &text, Readers::Everyone, arguments.force)?,
    ])?;
    let name = name_text(pair.leaf().subject_name());
    printer::line(&format!("{}: certificate of {name}", arguments.to.display()));
    let encrypted = match passphrase {
        Some(_) => "encrypted",
        None => "not encrypted, readable by you alone",
    };
    printer::line(&format!("{}: its private key, {encrypted}", key_file.display()));
    Ok(ExitCode::SUCCESS)
}

/// The certificate alone, without its key.
fn to_der(arguments: &CertConvertArguments) -> Result<ExitCode, Failure> {
    let bytes = files::read(&arguments.file)?;
    let leaf = match (FileForm::of(&bytes), &arguments.key) {
        (FileForm::Pfx, _) | (_, Some(_)) => {
            let pair = passphrase::read_pair(&arguments.file, arguments.key.as_deref(), arguments.passphrase_file.as_deref())?;
            pair.leaf().to_owned()
        }
        _ => {
            let certificates =
                read_certificates(&bytes).map_err(|error| Failure::configuration(arguments.file.display().to_string()).because(error))?;
            certificates
                .into_iter()
                .next()
                .ok_or_else(|| Failure::configuration("there is no certificate in it"))?
        }
    };
    let der = leaf.to_der().map_err(openssl)?;
    files::keep([files::write(&arguments.to, &der, Readers::Everyone, arguments.force)?])?;
    let name = name_text(leaf.subject_name());
    printer::line(&format!("{}: certificate of {name}, in DER, without a key", arguments.to.display()));
    Ok(ExitCode::SUCCESS)
}
