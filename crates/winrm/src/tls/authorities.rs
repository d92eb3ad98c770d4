//! Where trusted authorities come from: a file, a folder, the system.

use std::path::{Path, PathBuf};

use openssl::ssl::SslFiletype;
use openssl::x509::X509;
use openssl::x509::store::{X509Lookup, X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;

use crate::error::{Error, ErrorKind};

/// The authorities of a PEM file, or of all PEM files of a folder, whatever they are called. Revocation lists that lie among
/// them are obeyed.
pub(super) fn store(path: &Path) -> Result<X509Store, Error> {
    let unusable = |error: openssl::error::ErrorStack| {
        Error::new(
            ErrorKind::Configuration,
            format!("the authorities in {} can't be used", path.display()),
        )
        .with_source(error)
    };
    let found = read(path)?;
    let mut store = X509StoreBuilder::new().map_err(unusable)?;
    for authority in found.authorities {
        store.add_cert(authority).map_err(unusable)?;
    }
    // An authority between the host and the root can be the one that is trusted, and the host's own certificate as well.
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN).map_err(unusable)?;
    for file in &found.revocations {
        let lookup = store.add_lookup(X509Lookup::file()).map_err(unusable)?;
        lookup.load_crl_file(file, SslFiletype::PEM).map_err(unusable)?;
        store.set_flags(X509VerifyFlags::CRL_CHECK).map_err(unusable)?;
    }
    Ok(store.build())
}

/// What a file or folder holds.
struct Found {
    authorities: Vec<X509>,
    /// Files with revocation lists.
    revocations: Vec<PathBuf>,
}

fn read(path: &Path) -> Result<Found, Error> {
    let unreadable = |path: &Path, error: std::io::Error| {
        Error::new(
            ErrorKind::Configuration,
            format!("the authorities in {} can't be read", path.display()),
        )
        .with_source(error)
    };
    let is_folder = path.is_dir();
    let mut files = vec![path.to_owned()];
    if is_folder {
        files.clear();
        for entry in std::fs::read_dir(path).map_err(|error| unreadable(path, error))? {
            let entry = entry.map_err(|error| unreadable(path, error))?.path();
            if entry.is_file() {
                files.push(entry);
            }
        }
        files.sort();
    }
    let mut found = Found {
        authorities: Vec::new(),
        revocations: Vec::new(),
    };
    for file in files {
        let pem = match std::fs::read(&file) {
            Ok(pem) => pem,
            // A folder of authorities holds other things as well, keys among them.
            Err(_) if is_folder => continue,
            Err(error) => return Err(unreadable(&file, error)),
        };
        match X509::stack_from_pem(&pem) {
            Ok(certificates) => found.authorities.extend(certificates),
            Err(_) if is_folder => {}
            Err(error) => return Err(no_certificates(&file).with_source(error)),
        }
        if memchr_find(&pem, b"-----BEGIN X509 CRL-----") {
            found.revocations.push(file);
        }
    }
    // Folders made by c_rehash hold each file twice, the second time as a link.
    let mut seen = std::collections::HashSet::new();
    found
        .authorities
        .retain(|authority| authority.to_der().map_or(true, |der| seen.insert(der)));
    if found.authorities.is_empty() {
        return Err(no_certificates(path));
    }
    Ok(found)
}

fn no_certificates(path: &Path) -> Error {
    Error::new(ErrorKind::Configuration, format!("{} holds no certificates in PEM", path.display()))
        .with_hint("one in DER becomes PEM by: openssl x509 -inform der -in FILE -out FILE.pem")
}

fn memchr_find(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Whether the system's store was pointed to something that isn't there: OpenSSL itself says nothing then, and trusts nobody.
pub(super) fn check_system_store() -> Result<(), Error> {
    let Some(file) = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty()) else {
        return Ok(());
    };
    let file = PathBuf::from(file);
    let refuse = |error: std::io::Error| {
        Error::new(
            ErrorKind::Configuration,
            format!("the authorities in {}, which SSL_CERT_FILE names, can't be read", file.display()),
        )
        .with_hint("correct the variable SSL_CERT_FILE, or unset it")
        .with_source(error)
    };
    std::fs::File::open(&file).map(drop).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(path: &str) -> String {
        let error = store(Path::new(path)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        error.to_string()
    }

    #[test]
    fn authorities_that_cannot_be_used_are_named() {
        assert_eq!(
            refused("/nonexistent/ca.pem"),
            "the authorities in /nonexistent/ca.pem can't be read"
        );
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().to_str().unwrap();
        assert_eq!(refused(empty), format!("{empty} holds no certificates in PEM"));
        let text = folder.path().join("text");
        std::fs::write(&text, "nothing").unwrap();
        let text = text.to_str().unwrap();
        assert_eq!(refused(text), format!("{text} holds no certificates in PEM"));
    }
}
