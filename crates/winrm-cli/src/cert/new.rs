//! `winrm cert new`

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::extension::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Extension, X509Name, X509NameBuilder, X509Ref, X509VerifyResult};
use winrm::Secret;
use winrm::certificate::{self, ClientCertificate, Inspection, name_text, read_certificates, read_key};

use super::files::{self, Readers};
use super::{openssl, passphrase};
use crate::args::{CertNewArguments, KeyType};
use crate::failure::Failure;
use crate::printer;

pub(super) fn run(arguments: &CertNewArguments) -> Result<ExitCode, Failure> {
    let subject = subject(arguments)?;
    let (pem, key_file) = (with_ending(&arguments.out, "pem"), with_ending(&arguments.out, "key"));
    let authority = match (&arguments.ca, &arguments.ca_key) {
        (Some(certificate), Some(key)) => Some(authority(certificate, key, arguments.ca_passphrase_file.as_deref())?),
        _ => None,
    };
    let passphrase = match arguments.encrypt || arguments.passphrase_file.is_some() {
        true => Some(passphrase::choose(
            &key_file,
            arguments.passphrase_file.as_deref(),
            passphrase::OPTION,
        )?),
        false => None,
    };
    let key = generate(arguments.key_type).map_err(openssl)?;
    let certificate = certificate(arguments, &subject, &key, authority.as_ref()).map_err(openssl)?;
    let inspection = Inspection::of(&certificate).map_err(openssl)?;

    let key_text = key_pem(&key, passphrase.as_ref()).map_err(openssl)?;
    let key_written = files::write(&key_file, key_text.expose().as_bytes(), Readers::Owner, arguments.force)?;
    let mut text = certificate.to_pem().map_err(openssl)?;
    for above in authority.iter().flat_map(between) {
        text.extend(above.to_pem().map_err(openssl)?);
    }
    let certificate_written = files::write(&pem, &text, Readers::Everyone, arguments.force)?;
    files::keep([key_written, certificate_written])?;

    if let Some(authority) = &authority {
        let end = Inspection::of(authority.leaf()).map_err(openssl)?.not_after;
        if end < inspection.not_after {
            printer::warning(&format!(
                "the authority's certificate ends before, on {end}: this one is of no use after that"
            ));
        }
    }
    printer::line(&format!("{}: certificate of {}", pem.display(), arguments.upn));
    printer::line(&format!("   issuer      {}", inspection.issuer));
    printer::line(&format!("   valid       {} to {}", inspection.not_before, inspection.not_after));
    printer::line(&format!("   thumbprint  {}", inspection.thumbprint));
    let encrypted = if passphrase.is_some() {
        "encrypted"
    } else {
        "not encrypted, readable by you alone"
    };
    printer::line(&format!("{}: its private key, {}, {encrypted}", key_file.display(), inspection.key));
    Ok(ExitCode::SUCCESS)
}

/// The authorities from this one up to the root, which itself is of no use to anyone who doesn't trust it already.
fn between(authority: &ClientCertificate) -> impl Iterator<Item = &X509Ref> {
    let all = std::iter::once(authority.leaf()).chain(authority.chain().iter().map(|certificate| &**certificate));
    all.filter(|certificate| certificate.issued(certificate) != X509VerifyResult::OK)
}

/// The prefix may hold points: `alice.corp` becomes `alice.corp.pem`.
fn with_ending(prefix: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(prefix);
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn subject(arguments: &CertNewArguments) -> Result<X509Name, Failure> {
    let upn = arguments.upn.as_str();
    let user = upn.rsplit_once('@').map_or(upn, |(user, _)| user);
    let name = arguments.subject.as_deref().unwrap_or(user);
    let name = name.strip_prefix("CN=").unwrap_or(name);
    // ub-common-name of RFC 5280.
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(Failure::configuration(format!(
            "{name:?} can't be a subject's name: it has 1 to 64 characters, none of them control characters"
        ))
        .hint("give another with --subject NAME"));
    }
    let build = || {
        let mut subject = X509NameBuilder::new()?;
        subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
        Ok(subject.build())
    };
    build().map_err(|error: ErrorStack| Failure::configuration(format!("{name:?} can't be a subject's name")).because(error))
}

/// An authority that may sign, with its key.
fn authority(certificate: &Path, key: &Path, passphrase: Option<&Path>) -> Result<ClientCertificate, Failure> {
    let fail = |what: &str| Failure::configuration(format!("{} {what}", certificate.display()));
    let certificates = read_certificates(&files::read(certificate)?).map_err(|error| {
        let hint = error.hint();
        let failure = Failure::configuration(certificate.display().to_string()).because(error);
        hint.into_iter().fold(failure, Failure::hint)
    })?;
    let key_bytes = files::read(key)?;
    let key = passphrase::unlock(key, passphrase, "--ca-passphrase-file", |passphrase| {
        read_key(&key_bytes, passphrase)
    })?;
    let authority = ClientCertificate::join(certificates, key).map_err(|error| fail("is of no use with this key").because(error))?;
    let leaf = authority.leaf();
    if !certificate::basic_constraints(leaf).unwrap_or(false) {
        let subject = name_text(leaf.subject_name());
        return Err(fail(&format!(
            "is the certificate of {subject}, which is no authority: nobody would accept what it signs"
        ))
        .hint("give the certificate of an authority (CA:TRUE), or leave --ca away for a self-signed one"));
    }
    if certificate::key_usage(leaf).is_ok_and(|usage| usage.is_some_and(|usage| !usage.contains(&"keyCertSign"))) {
        return Err(fail("may not sign certificates: its key usage has no keyCertSign"));
    }
    let inspection = Inspection::of(leaf).map_err(openssl)?;
    if inspection.not_after < SystemTime::now().into() {
        return Err(fail(&format!("has expired on {}", inspection.not_after)).hint("renew the authority's certificate first"));
    }
    Ok(authority)
}

fn generate(kind: KeyType) -> Result<PKey<Private>, ErrorStack> {
    let rsa = |bits| PKey::from_rsa(Rsa::generate(bits)?);
    let ec = |curve| PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(curve)?)?);
    match kind {
        KeyType::Rsa2048 => rsa(2_048),
        KeyType::Rsa3072 => rsa(3_072),
        KeyType::Rsa4096 => rsa(4_096),
        KeyType::P256 => ec(Nid::X9_62_PRIME256V1),
        KeyType::P384 => ec(Nid::SECP384R1),
    }
}

/// PKCS#8, with AES-256 if it is encrypted.
pub(super) fn key_pem(key: &PKeyRef<Private>, passphrase: Option<&Secret>) -> Result<Secret, ErrorStack> {
    let pem = match passphrase {
        Some(passphrase) => key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), passphrase.expose().as_bytes()),
        None => key.private_key_to_pem_pkcs8(),
    };
    // PEM is ASCII.
    Ok(Secret::new(String::from_utf8(pem?).unwrap_or_default()))
}

fn certificate(
    arguments: &CertNewArguments,
    subject: &X509Name,
    key: &PKey<Private>,
    authority: Option<&ClientCertificate>,
) -> Result<X509, ErrorStack> {
    const BACKDATED: Duration = Duration::from_secs(3_600);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let mut serial = BigNum::new()?;
    // 20 bytes at most, positive: RFC 5280 4.1.2.2.
    serial.rand(158, MsbOption::ONE, false)?;

    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(authority.map_or(subject, |authority| authority.leaf().subject_name()))?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&*Asn1Time::from_unix(seconds(now.saturating_sub(BACKDATED)))?)?;
    let lifetime = Duration::from_secs(u64::from(arguments.days) * 86_400);
    builder.set_not_after(&*Asn1Time::from_unix(seconds(now.saturating_add(lifetime)))?)?;

    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    let mut usage = KeyUsage::new();
    usage.critical().digital_signature();
    if key.id() == Id::RSA {
        usage.key_encipherment();
    }
    builder.append_extension(usage.build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().client_auth().build()?)?;
    let names = Asn1OctetString::new_from_bytes(&arguments.upn.to_alternative_names())?;
    let identifier = Asn1Object::from_str("2.5.29.17")?;
    builder.append_extension(X509Extension::new_from_der(&identifier, false, &names)?)?;
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(identifier)?;
    let issuer: Option<&X509Ref> = authority.map(ClientCertificate::leaf);
    if issuer.is_some_and(|issuer| issuer.subject_key_id().is_some()) {
        let context = builder.x509v3_context(issuer, None);
        let identifier = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
        builder.append_extension(identifier)?;
    }
    let signer: &PKeyRef<Private> = authority.map_or(key, ClientCertificate::key);
    builder.sign(signer, digest(signer))?;
    Ok(builder.build())
}

/// The hash that goes with a key's strength; some keys have their own.
fn digest(key: &PKeyRef<Private>) -> MessageDigest {
    match key.id() {
        Id::ED25519 | Id::ED448 => MessageDigest::null(),
        Id::EC if key.bits() > 256 => MessageDigest::sha384(),
        _ => MessageDigest::sha256(),
    }
}
