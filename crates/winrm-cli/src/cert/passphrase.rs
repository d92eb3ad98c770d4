//! Passphrases: from a file, or from the terminal, and only when they are needed.

use std::path::Path;

use winrm::Secret;
use winrm::certificate::{CertificateError, ClientCertificate};

use super::files;
use crate::connection::password_from_file;
use crate::failure::Failure;

/// The option that names the file with a passphrase.
pub(super) const OPTION: &str = "--passphrase-file";

/// Reads something that may be encrypted: without a passphrase first, then with that of the file, or with one that is asked for.
pub(super) fn unlock<T>(
    name: &Path,
    file: Option<&Path>,
    option: &str,
    read: impl Fn(Option<&Secret>) -> Result<T, CertificateError>,
) -> Result<T, Failure> {
    let fail = |error: CertificateError| {
        let hint = error.hint();
        let failure = Failure::configuration(name.display().to_string()).because(error);
        hint.into_iter().fold(failure, Failure::hint)
    };
    match read(None) {
        Err(CertificateError::PassphraseNeeded { .. }) => {}
        other => return other.map_err(fail),
    }
    let passphrase = match file {
        Some(file) => password_from_file(file)?,
        None => ask(&format!("Passphrase of {}: ", name.display()), option)?,
    };
    read(Some(&passphrase)).map_err(fail)
}

/// A certificate with its key.
pub(super) fn read_pair(certificate: &Path, key: Option<&Path>, passphrase: Option<&Path>) -> Result<ClientCertificate, Failure> {
    let bytes = files::read(certificate)?;
    let key_bytes = key.map(files::read).transpose()?;
    let name = key.unwrap_or(certificate);
    unlock(name, passphrase, OPTION, |passphrase| {
        ClientCertificate::read(&bytes, key_bytes.as_ref().map(|bytes| bytes.as_slice()), passphrase)
    })
}

/// A passphrase for something new: from the file, or asked for twice.
pub(super) fn choose(name: &Path, file: Option<&Path>, option: &str) -> Result<Secret, Failure> {
    if let Some(file) = file {
        let passphrase = password_from_file(file)?;
        return usable(&passphrase).map(|()| passphrase);
    }
    let passphrase = ask(&format!("New passphrase for {}: ", name.display()), option)?;
    if passphrase.is_empty() {
        return Err(Failure::configuration("the passphrase is empty").hint("whoever has the file could use it: choose another"));
    }
    usable(&passphrase)?;
    if ask("Once more: ", option)? != passphrase {
        return Err(Failure::configuration("the two passphrases differ"));
    }
    Ok(passphrase)
}

/// What every program reads that takes passphrases: OpenSSL's buffer ends at 1,024 bytes, and texts in C at the first NUL.
fn usable(passphrase: &Secret) -> Result<(), Failure> {
    let text = passphrase.expose();
    if text.len() > 1_000 || text.contains('\0') {
        return Err(Failure::configuration("the passphrase is longer than 1,000 bytes, or holds a NUL")
            .hint("other programs could not read the file"));
    }
    Ok(())
}

fn ask(question: &str, option: &str) -> Result<Secret, Failure> {
    // On the terminal itself: standard input may be something else.
    rpassword::prompt_password(question).map(Secret::new).map_err(|error| {
        Failure::configuration("a passphrase is needed, and there is no terminal to ask for it")
            .because(error)
            .hint(format!("give {option} FILE"))
    })
}
