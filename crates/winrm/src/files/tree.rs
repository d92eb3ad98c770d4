//! A folder of this machine that a host's files are written into, and nothing outside of it.
//!
//! Names come from the host. Every step down goes by the folder's own handle and follows no link, so that neither a name nor a
//! link that somebody makes meanwhile leads elsewhere.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use super::time;

/// A folder to write into.
#[derive(Debug)]
pub(super) struct Tree {
    root: Arc<OwnedFd>,
    path: PathBuf,
    /// The folder that was used last.
    last: Option<(String, Arc<OwnedFd>)>,
}

/// Why no file of a host can have this name here.
pub(super) fn refuses(name: &str) -> Option<&'static str> {
    if name.is_empty() || matches!(name, "." | "..") {
        return Some("it is no name");
    }
    if name.contains(['/', '\\', '\0']) {
        return Some("a name of a file holds no slash, backslash or zero");
    }
    let mut characters = name.chars();
    let drive = characters.next().is_some_and(|c| c.is_ascii_alphabetic()) && characters.next() == Some(':');
    drive.then_some("it begins like a drive")
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

impl Tree {
    /// Opens a folder that the user has named, links included; makes it, and those above it, if asked.
    pub(super) fn open(path: &Path, make: bool) -> io::Result<Self> {
        if make {
            std::fs::create_dir_all(path)?;
        }
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let root = rustix::fs::openat(CWD, path, FOLDER, Mode::empty())?;
        Ok(Self {
            root: Arc::new(root),
            path: path.to_owned(),
            last: None,
        })
    }

    /// A path below the root, as a person reads it.
    pub(super) fn shown(&self, below: &str) -> String {
        self.path.join(below).display().to_string()
    }

    /// Opens a folder below the root; makes those that are missing, if asked.
    pub(super) fn folder(&mut self, below: &str, make: bool) -> io::Result<Arc<OwnedFd>> {
        if below.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        if let Some((last, folder)) = &self.last
            && last == below
        {
            return Ok(Arc::clone(folder));
        }
        let mut folder = Arc::clone(&self.root);
        for name in below.split('/') {
            if let Some(reason) = refuses(name) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
            }
            let open = || rustix::fs::openat(&*folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty());
            let next = match open() {
                Err(Errno::NOENT) if make => {
                    match rustix::fs::mkdirat(&*folder, name, Mode::from_raw_mode(0o777)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                    open()
                }
                next => next,
            };
            let next = next.map_err(|error| match error {
                Errno::LOOP | Errno::NOTDIR => io::Error::other(format!("a link or a file stands where the folder {name} is meant")),
                error => error.into(),
            })?;
            folder = Arc::new(next);
        }
        self.last = Some((below.to_owned(), Arc::clone(&folder)));
        Ok(folder)
    }

    /// The folder of a file below the root, and the file's name in it.
    pub(super) fn place<'a>(&mut self, below: &'a str, make: bool) -> io::Result<(Arc<OwnedFd>, &'a str)> {
        let (folder, name) = below.rsplit_once('/').unwrap_or(("", below));
        if let Some(reason) = refuses(name) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        Ok((self.folder(folder, make)?, name))
    }

    /// Removes a file or an empty folder.
    pub(super) fn remove(&mut self, below: &str, is_folder: bool) -> io::Result<()> {
        let (folder, name) = self.place(below, false)?;
        let flags = if is_folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        self.last = None;
        Ok(rustix::fs::unlinkat(&*folder, name, flags)?)
    }

    /// Sets a folder's time of change.
    pub(super) fn set_folder_time(&mut self, below: &str, modified: i64) -> io::Result<()> {
        let folder = self.folder(below, false)?;
        set_times(&folder, modified, None)
    }
}

/// What a name in a folder is; links are not followed.
pub(super) fn look(folder: &OwnedFd, name: &str) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens a part to go on with it, made if it isn't there, and locks it.
pub(super) fn open_part(folder: &OwnedFd, name: &str, make: bool) -> io::Result<File> {
    let mut flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    if make {
        flags |= OFlags::CREATE;
    }
    let file = File::from(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o666))?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("what stands where the part is meant is no file"));
    }
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

pub(super) fn set_times(file: impl std::os::fd::AsFd, modified: i64, accessed: Option<i64>) -> io::Result<()> {
    let spec = |time: i64| {
        let (tv_sec, tv_nsec) = time::to_unix(time);
        Timespec { tv_sec, tv_nsec }
    };
    let keep = Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_OMIT,
    };
    let times = Timestamps {
        last_access: accessed.map_or(keep, spec),
        last_modification: if modified == 0 { keep } else { spec(modified) },
    };
    Ok(rustix::fs::futimens(file, &times)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for bad in ["..", ".", "", "a/b", "/etc", r"..\x", r"\x", "C:x", "c:", "a\0"] {
            assert!(refuses(bad).is_some(), "{bad:?}");
        }
        for good in ["a", "..a", ".a", "ab:c", "ä ö"] {
            assert_eq!(refuses(good), None, "{good:?}");
        }
    }

    #[test]
    fn links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("link")).unwrap();
        std::fs::write(outside.path().join("kept"), "kept").unwrap();
        std::os::unix::fs::symlink(outside.path().join("kept"), root.path().join("file.winrm-part")).unwrap();
        let mut tree = Tree::open(root.path(), false).unwrap();
        assert!(tree.folder("link", true).is_err() && tree.folder("link/x", true).is_err());
        assert!(tree.folder("../x", true).is_err() && tree.place("a/..", true).is_err());
        let folder = tree.folder("", false).unwrap();
        assert!(open_part(&folder, "file.winrm-part", true).is_err());
        assert_eq!(std::fs::read_to_string(outside.path().join("kept")).unwrap(), "kept");
        let (deep, name) = tree.place("a/b/c", true).unwrap();
        let part = open_part(&deep, name, true).unwrap();
        assert_eq!(open_part(&deep, name, true).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        set_times(&part, time::from_unix(1_000, 0), None).unwrap();
        assert_eq!(look(&deep, "c").unwrap().unwrap().st_mtime, 1_000);
        assert!(root.path().join("a/b/c").is_file());
    }
}
