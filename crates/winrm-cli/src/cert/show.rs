//! `winrm cert show`

use std::process::ExitCode;
use std::time::SystemTime;

use openssl::x509::X509;
use winrm::certificate::{self, CertificateError, FileForm, Finding, Inspection, Purpose, Severity, read_certificates, read_key};

use super::{files, openssl, passphrase};
use crate::args::{CertPurpose, CertShowArguments, Format};
use crate::failure::{Failure, Status};
use crate::printer;

/// What is known of the private key.
enum Key {
    /// None was given, and none is in the file.
    None,
    /// In the file, but encrypted, and nobody asked for it.
    Encrypted,
    /// It is the first certificate's.
    Matches,
    /// It is that of another.
    Mismatch,
}

pub(super) fn run(arguments: &CertShowArguments) -> Result<ExitCode, Failure> {
    let (certificates, key) = read(arguments)?;
    let mut shown = Vec::new();
    for (index, certificate) in certificates.iter().enumerate() {
        let inspection = Inspection::of(certificate).map_err(openssl)?;
        let purpose = match (index, arguments.purpose) {
            (0, Some(CertPurpose::Client)) => Purpose::Client,
            (0, Some(CertPurpose::Server)) => Purpose::Server,
            (0, None) => Purpose::of(&inspection),
            _ if inspection.authority == Ok(true) => Purpose::Authority,
            _ => Purpose::of(&inspection),
        };
        let findings = inspection.findings(purpose, SystemTime::now());
        shown.push((inspection, purpose, findings));
    }
    match arguments.format {
        Format::Text => text(&shown, &key),
        Format::Json => json(&shown, &key),
    }
    let wrong = shown
        .iter()
        .any(|(_, _, findings)| findings.iter().any(|finding| finding.severity == Severity::Error));
    match wrong || matches!(key, Key::Mismatch) {
        true => Ok(Status::Configuration.into()),
        false => Ok(ExitCode::SUCCESS),
    }
}

fn read(arguments: &CertShowArguments) -> Result<(Vec<X509>, Key), Failure> {
    let bytes = files::read(&arguments.file)?;
    if FileForm::of(&bytes) == FileForm::Pfx {
        if arguments.key.is_some() {
            return Err(Failure::configuration(format!("{} is a PFX file", arguments.file.display()))
                .hint("it brings its own key: leave --key away"));
        }
        let pair = passphrase::read_pair(&arguments.file, None, arguments.passphrase_file.as_deref())?;
        let certificates = std::iter::once(pair.leaf().to_owned()).chain(pair.chain().iter().cloned());
        return Ok((certificates.collect(), Key::Matches));
    }
    let fail = |error: CertificateError| {
        let hint = error.hint();
        let failure = Failure::configuration(arguments.file.display().to_string()).because(error);
        hint.into_iter().fold(failure, Failure::hint)
    };
    let certificates = read_certificates(&bytes).map_err(fail)?;
    let (name, bytes, asked) = match &arguments.key {
        Some(key) => (key, files::read(key)?, true),
        None => (&arguments.file, bytes, arguments.passphrase_file.is_some()),
    };
    let key = match read_key(&bytes, None) {
        Err(CertificateError::NoKey { .. }) if arguments.key.is_none() => return Ok((certificates, Key::None)),
        Err(CertificateError::PassphraseNeeded { .. }) if !asked => return Ok((certificates, Key::Encrypted)),
        _ => passphrase::unlock(name, arguments.passphrase_file.as_deref(), passphrase::OPTION, |passphrase| {
            read_key(&bytes, passphrase)
        })?,
    };
    let matches = certificates.first().is_some_and(|first| certificate::belongs(first, &key));
    Ok((certificates, if matches { Key::Matches } else { Key::Mismatch }))
}

fn text(shown: &[(Inspection, Purpose, Vec<Finding>)], key: &Key) {
    for (index, (inspection, purpose, findings)) in shown.iter().enumerate() {
        if index > 0 {
            printer::line("");
        }
        let field = |name: &str, value: &str| printer::line(&format!("{name:<14}{value}"));
        field("subject", &inspection.subject);
        let issuer = if inspection.self_signed {
            "(self-signed)"
        } else {
            inspection.issuer.as_str()
        };
        field("issuer", issuer);
        let mut upns: Vec<String> = inspection.upns().map(ToString::to_string).collect();
        if upns.is_empty() {
            upns.push("none".to_owned());
        }
        field("UPN", &upns.join(", "));
        let others: Vec<String> = inspection
            .names
            .iter()
            .flatten()
            .map(ToString::to_string)
            .filter(|name| !name.starts_with("UPN:"))
            .collect();
        if !others.is_empty() {
            field("other names", &others.join(", "));
        }
        field("usage", &list(inspection.usages.as_ref().ok().and_then(Option::as_deref)));
        field("key usage", &list(inspection.key_usage.as_ref().ok().and_then(Option::as_deref)));
        if inspection.authority == Ok(true) {
            field("authority", "yes: it may sign other certificates");
        }
        field("valid from", &inspection.not_before.to_string());
        field("valid to", &inspection.not_after.to_string());
        field("key", &inspection.key.to_string());
        field("signature", &inspection.signature);
        field("serial", &inspection.serial);
        field("thumbprint", &inspection.thumbprint);
        field("SHA-256", &inspection.fingerprint);
        if index == 0 {
            match key {
                Key::None => {}
                Key::Encrypted => field("private key", "encrypted; --passphrase-file FILE tells whether it belongs to it"),
                Key::Matches => field("private key", "belongs to it"),
                Key::Mismatch => {
                    printer::marked(false, "error", "the private key does not belong to the certificate");
                    printer::line("   mend: give the key that was made together with it");
                }
            }
        }
        for finding in findings {
            printer::marked(false, &finding.severity.to_string(), &finding.what);
            printer::line(&format!("   mend: {}", finding.mend));
        }
        if findings.is_empty() && !(index == 0 && matches!(key, Key::Mismatch)) {
            let what = match purpose {
                Purpose::Client => "fit for client authentication",
                Purpose::Server => "fit for an https listener",
                _ => "fit for an authority",
            };
            printer::marked(true, "ok", what);
        }
    }
}

fn list<T: ToString>(values: Option<&[T]>) -> String {
    match values {
        None => "not said".to_owned(),
        Some(values) => values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn json(shown: &[(Inspection, Purpose, Vec<Finding>)], key: &Key) {
    let certificates: Vec<serde_json::Value> = shown
        .iter()
        .map(|(inspection, purpose, findings)| {
            let findings: Vec<_> = findings
                .iter()
                .map(|finding| serde_json::json!({"severity": finding.severity.to_string(), "what": finding.what, "mend": finding.mend}))
                .collect();
            let names: Vec<String> = inspection.names.iter().flatten().map(ToString::to_string).collect();
            let usages: Option<Vec<String>> = inspection
                .usages
                .clone()
                .ok()
                .flatten()
                .map(|usages| usages.iter().map(ToString::to_string).collect());
            serde_json::json!({
                "subject": inspection.subject,
                "issuer": inspection.issuer,
                "self_signed": inspection.self_signed,
                "serial": inspection.serial,
                "upns": inspection.upns().map(ToString::to_string).collect::<Vec<_>>(),
                "names": names,
                "usages": usages,
                "key_usage": inspection.key_usage.clone().ok().flatten(),
                "authority": inspection.authority.ok(),
                "not_before": inspection.not_before.to_string(),
                "not_after": inspection.not_after.to_string(),
                "key": inspection.key.to_string(),
                "signature": inspection.signature,
                "thumbprint": inspection.thumbprint,
                "sha256": inspection.fingerprint,
                "purpose": purpose.to_string(),
                "findings": findings,
            })
        })
        .collect();
    let matches = match key {
        Key::None | Key::Encrypted => None,
        Key::Matches => Some(true),
        Key::Mismatch => Some(false),
    };
    printer::line(&serde_json::json!({"certificates": certificates, "key_matches": matches}).to_string());
}
