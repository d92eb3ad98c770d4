//! Servers that other people wrote, as children with settings and a free port of their own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::peer;

/// A running server. Dropping it ends it.
pub(crate) struct Daemon {
    child: Child,
    folder: PathBuf,
    pub(crate) port: u16,
}

/// A port that nobody listens at.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Daemon {
    /// Starts a program with the settings of `tests/peers/TEMPLATE`, in which `@FOLDER@`, `@PORT@` and `values` are filled in, as the
    /// last of `args`; nothing, after a sentence, where the program isn't there.
    pub(crate) fn start(program: &str, args: &[&str], template: &str, folder: &Path, values: &[(&str, &str)]) -> Option<Self> {
        let name = Path::new(program).file_name().unwrap().to_string_lossy().into_owned();
        if !Path::new(program).is_file() {
            peer::skip(&name, &format!("there is no {program}"));
            return None;
        }
        let port = free_port();
        let mut settings = fs::read_to_string(peer::file(template)).unwrap();
        settings = settings
            .replace("@FOLDER@", &folder.display().to_string())
            .replace("@PORT@", &port.to_string());
        for (name, value) in values {
            settings = settings.replace(name, value);
        }
        let file = folder.join(format!("{name}.conf"));
        fs::write(&file, settings).unwrap();
        let child = Command::new(program)
            .args(args)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join(format!("{name}.err"))).unwrap())
            .spawn()
            .unwrap();
        let folder = folder.to_owned();
        let mut daemon = Self { child, folder, port };
        for _ in 0..400 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(daemon);
            }
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("{name} does not start ({status}): {}", daemon.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{name} does not listen: {}", daemon.log());
    }

    /// Everything it has written.
    pub(crate) fn log(&self) -> String {
        let files = fs::read_dir(&self.folder).unwrap().filter_map(Result::ok).map(|entry| entry.path());
        let is_log = |path: &PathBuf| path.extension().is_some_and(|end| end == "log" || end == "err");
        files
            .filter(is_log)
            .map(|path| fs::read_to_string(path).unwrap_or_default())
            .collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status());
        drop(self.child.wait());
    }
}
