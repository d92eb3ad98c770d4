//! Reading within bounds, and writing files that appear whole, with their mode, or not at all.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// No certificate is larger; what is, is another file.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Reads a file that may hold a key: its memory is overwritten.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let fail = || Failure::configuration(format!("{} can't be read", path.display()));
    let file = std::fs::File::open(path).map_err(|error| fail().because(error))?;
    // Large enough at once: growing would leave copies behind.
    let length = file.metadata().map_or(0, |metadata| metadata.len().min(LARGEST));
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail().because(error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::configuration(format!(
            "{} is larger than 4 MiB: that is no certificate",
            path.display()
        )));
    }
    Ok(bytes)
}

/// A file that is written, but has no name yet.
pub(super) struct Written {
    file: NamedTempFile,
    path: PathBuf,
    force: bool,
}

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Its owner: mode 0600 from the beginning.
    Owner,
    /// Whom the umask lets.
    Everyone,
}

/// Writes a file beside where it is to be.
pub(super) fn write(path: &Path, content: &[u8], readers: Readers, force: bool) -> Result<Written, Failure> {
    let fail = || Failure::configuration(format!("{} can't be written", path.display()));
    if !force && path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::Everyone => 0o644,
    };
    let mut file = tempfile::Builder::new()
        .prefix(".winrm-cert-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(|error| fail().because(error))?;
    file.write_all(content).map_err(|error| fail().because(error))?;
    file.as_file().sync_all().map_err(|error| fail().because(error))?;
    Ok(Written {
        file,
        path: path.to_owned(),
        force,
    })
}

/// Gives all files their names, or none of them.
pub(super) fn keep<const N: usize>(files: [Written; N]) -> Result<(), Failure> {
    let mut kept = Vec::new();
    for Written { file, path, force } in files {
        let named = if force {
            file.persist(&path)
        } else {
            file.persist_noclobber(&path)
        };
        if let Err(error) = named {
            for made in &kept {
                // What has replaced another stays: the other is gone.
                if !force {
                    let _ = std::fs::remove_file(made);
                }
            }
            if error.error.kind() == std::io::ErrorKind::AlreadyExists {
                return Err(exists(&path));
            }
            return Err(Failure::configuration(format!("{} can't be written", path.display())).because(error.error));
        }
        kept.push(path);
    }
    Ok(())
}

fn exists(path: &Path) -> Failure {
    Failure::configuration(format!("{} is there already", path.display())).hint("--force replaces it")
}
